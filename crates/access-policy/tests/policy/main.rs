//! The policy through its own door: tables of cases, properties of random worlds, Cedar as judge.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod administration;
mod cedar;
mod decisions;
mod properties;
mod standing;
mod worlds;
