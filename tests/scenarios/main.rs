//! The product from outside: what a provider's tenants live through.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod archives;
mod backends;
mod bad_input;
mod batches;
mod blueprints;
mod canary;
mod closed;
mod corrections;
mod credentials;
mod doors;
mod erasure;
mod export;
mod export_jobs;
mod files;
mod first_tenant;
mod hidden_places;
mod import_jobs;
mod job_senders;
mod locked;
mod log;
mod reasons;
mod recovery;
mod strangers;
