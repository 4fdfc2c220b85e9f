//! The adversary of erasure: whoever has every byte that was ever written, the present content of the
//! holders and the seal key, and reads whatever these open.
//!
//! It is written from the pages of `docs/formats/` alone and shares no code with the product: it knows
//! how messages are opened, and has nothing that seals one. It does *not* know which rows the server
//! still has, what was erased, or what an engine's files look like: it carves sealed messages and row
//! keys out of any bytes, and tries the keys that it gets until nothing new opens.

mod attack;
mod backup;
mod carve;
mod chains;
mod clear;
mod evidence;
mod holder_file;
mod message;
mod numbers;
mod opened;
mod primitives;
mod rows;

pub use attack::attack;
pub use evidence::Evidence;
pub use holder_file::{holder_file, seal_key_file};
pub use opened::{Clear, Leaf, Opened};
pub use primitives::Secret;

/// Sixteen bytes that name something: an installation, a tenant, a record.
pub type Id = [u8; 16];

/// The provider: the tenant whose rows are those of the whole installation.
pub const PROVIDER: Id = [0; 16];

/// A share of the root secret as a holder keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// The batch whose share it is.
    pub number: u64,
    /// The class of its holder.
    pub class: u8,
    /// The holder.
    pub holder: Id,
    /// The share, sealed under the seal key.
    pub sealed: Vec<u8>,
}
