//! The store: an ordered, transactional, durable key-value store with a journal of audit lines
//! beside it, and the engines that implement it; and the places where sealed files lie.
//!
//! This crate knows rows, their versions, their order on disk, what is durable and in which order
//! commits and reads happened; `keyspace` names every kind of row. It does *not* know keys or
//! ciphers (it sees sealed bytes only), what a row or a line says, who is allowed, or what time it
//! is. Nothing outside of `embedded` may assume an engine. `buckets` keeps whole sealed objects on other
//! machines, for copies of the store.

pub mod buckets;
pub mod fuzzing;
pub mod keyspace;

mod batch;
mod blobs;
mod chain;
mod embedded;
mod error;
mod fatal;
mod journal;
mod line;
mod memory;
mod postgres;
mod recent;
mod row;
mod store;
mod sums;
mod tls;
mod url;

pub use batch::{
    BATCH_BYTES_MAX, BATCH_LINES_MAX, BATCH_ROWS_MAX, Batch, Expect, KEY_BYTES_MAX, LINE_BYTES_MAX,
    VALUE_BYTES_MAX,
};
pub use blobs::{
    BLOB_PAGE_MAX, BlobError, BlobStore, BlobUrl, BlobUrlMalformed, BlobWriter, FolderBlobs,
    MemoryBlobs,
};
pub use error::{OpenError, StoreError};
pub use line::{Line, LinePlace, LinePlaced, LinePosition, LineRange};
pub use memory::MemoryStore;
pub use postgres::{DatabaseProblem, PostgresStore, PostgresUrl};
pub use recent::Recent;
pub use row::{KeyRange, Row, RowKey};
pub use store::{Committed, Description, KEYS_MAX, PAGE_MAX, Store};
pub use sums::{Standing, Sum, Summing, Sums, Total};
pub use url::{Behind, StoreUrl, create, open};
