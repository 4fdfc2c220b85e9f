//! The API over HTTP: routes, credentials, problem documents, the OpenAPI document, and the bounds
//! of the server.
//!
//! This crate knows how a request is spelled and how an answer is: it turns the bearer token into a
//! caller, paths, headers and bodies into typed requests, and what the vault answers into JSON. It
//! does *not* know who may do what (the vault decides), the vault's keys, rows, or configuration. It adds
//! nothing to an answer and keeps nothing of it.

mod addresses;
mod admin;
mod admissions;
mod api_keys;
mod archives;
mod audit;
mod backends;
mod blueprints;
mod body;
mod classes;
mod collections;
mod connection;
mod door;
mod edge;
#[cfg(test)]
mod edges;
mod erasures;
mod exports;
mod extract;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod gates;
mod imports;
mod invitations;
mod jobs;
mod json;
mod limits;
mod log_lines;
mod metrics;
mod openapi;
mod panics;
mod permissions;
mod places;
mod problem;
mod rates;
mod receipts;
mod records;
mod recovery;
#[cfg(test)]
mod reference;
mod reply;
mod routes;
mod server;
mod sessions;
mod spans;
mod subjects;
mod system;
mod table;
mod tenants;
mod tls;
mod unlocker;
mod users;
mod whoami;
mod wire;

pub use edge::{Edge, EdgeMalformed, HostName, Network};
pub use limits::{
    BODY_BYTES_MAX, DEPTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN,
    IMPORT_BYTES_MAX, IMPORT_ITEMS_MAX, Limits, PAGE_DEFAULT, PAGE_MAX, PUBLIC_BYTES_MAX,
    REASON_BYTES_MAX, Rates,
};
pub use log_lines::{LogLines, LogWriter};
pub use panics::log_panics_by_place;
pub use problem::TYPE_BASE;
pub use server::{Config, RunningServer, Server, StartError};
pub use spans::Traces;
pub use tls::{TlsError, TlsFiles};
pub use unlocker::{SealProof, UnlockError, Unlocker};
