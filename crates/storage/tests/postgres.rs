//! A store in PostgreSQL under attack: cut connections, restarts, held locks, rivals, poolers, and places
//! that are not what the URL says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../tests/src/cluster.rs"]
#[expect(unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "postgres/encrypted.rs"]
mod encrypted;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod fixture;
#[path = "postgres/pooler.rs"]
mod pooler;
#[path = "postgres/proxy.rs"]
mod proxy;
#[path = "postgres/refusals.rs"]
mod refusals;
#[path = "postgres/rivals.rs"]
mod rivals;
#[path = "postgres/writers.rs"]
mod writers;
