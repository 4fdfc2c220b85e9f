//! The product's program: killed at any moment, and started where it should not start.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod backup;
mod export;
mod files;
mod import;
mod job;
mod kill;
mod people;
mod place;
mod places;
mod site;
mod start;
mod upload;
