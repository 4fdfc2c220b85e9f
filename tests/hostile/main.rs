//! The product's program, attacked over the network, while somebody who behaves asks it beside.
//!
//! Every attack goes to a server in a process of its own, on loopback, with the bounds that are its
//! defaults. What is always asked afterwards: were others served, is memory bounded, was the answer
//! right, is the connection closed, does the server live.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod crowds;
mod heads;
mod http2;
mod neighbour;
mod smuggling;
mod victim;
mod wire;

use std::time::Duration;

/// The longest that anybody else may wait for an answer meanwhile. It is no aim: it tells service
/// from none, on a machine that may be busy with other tests.
const WORST: Duration = Duration::from_secs(8);
/// The most that an attack may let the server's memory grow.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// What is always so while somebody attacks: others are served, and memory is bounded.
#[track_caller]
fn others_are_served(service: &neighbour::Service) {
    let worst = service.quantile(1000);
    assert!(worst < WORST, "others have waited for {worst:?}");
    let grown = service.peak_kib.saturating_sub(service.before_kib);
    assert!(grown < GROWTH_KIB_MAX, "the server's memory has grown by {grown} KiB");
}
