//! Audit lines, the chain that they form, and erasure receipts: written here, read by anyone.
//!
//! This crate knows the bytes of a line and of a receipt (`docs/formats/audit-line.md`,
//! `docs/formats/receipt.md`), and how to verify a chain of lines offline. It does *not* know where
//! lines are stored, when one must be written, or who may read it, and it links nothing of the
//! vault: what verifies is not what wrote.

pub mod chain;
mod error;
pub mod line;
pub mod position;
pub mod receipt;

pub use chain::{ChainError, ChainVerifier, Fault};
pub use error::{Error, Result};
pub use line::{DecodedEvent, DecodedObject};
pub use position::Position;
pub use receipt::Receipt;
