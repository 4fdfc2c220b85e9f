//! What the black-box tests share: a real server to talk to, a client that checks every answer's
//! manners, made-up tenants, and the eyes of whoever holds the disk and the logs.
//!
//! This crate knows the product's doors: HTTP, the command line, the files that a server leaves. It
//! does *not* know what happens between them, but for the readers of bytes in [`hostile_bytes`].
//! Whatever goes wrong in here fails the test at once.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

pub mod canaries;
mod client;
mod clock;
pub mod cluster;
mod disk;
mod faults;
pub mod hostile_bytes;
pub mod life;
mod logs;
pub mod memory;
pub mod program;
mod recorder;
mod server;
pub mod sweep;
mod tenant;

pub use client::{Call, Caller, Reply, fresh_key, plain_http};
pub use clock::ManualClock;
pub use disk::{Finding, Footprint, Needle, search_bytes, search_folder};
pub use faults::{Fault, Faults};
pub use logs::Logs;
pub use server::{Home, LARGEST_FILE, Server};
pub use tenant::{Clinic, Person, Tenant};
