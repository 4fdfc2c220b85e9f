//! The keyring from outside, through the doors that the vault uses.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the crash walk says how far it went"
)]

mod adversary;
mod closure;
mod concurrency;
mod crash;
mod differential;
mod holder_file;
mod locking;
#[path = "../../../../tests/src/recorder.rs"]
mod recorder;
mod world;
