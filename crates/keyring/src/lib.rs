//! The keyring: the shred tree, the root secret and its holders, the shred protocol, locking and
//! unlocking.
//!
//! This crate knows which keys exist, where each of them is wrapped, how a leaf, a number or a whole
//! tree is made unreachable, and what has to be forgotten where and in which order for that. It does
//! *not* know records, users, fields, HTTP, policy, or whether somebody may have a key: a caller
//! that is given a key has been allowed to use it elsewhere. The byte layouts are in
//! `docs/formats/shred-tree.md`, `docs/formats/holder-file.md` and `docs/formats/shred-protocol.md`.

mod batch;
mod cache;
mod edit;
mod error;
mod file_holder;
#[doc(hidden)]
pub mod fuzzing;
mod holder;
mod holders;
mod keyring;
mod memory_holder;
mod node;
mod outcome;
mod recovery;
mod rekey;
mod rows;
mod secrets;
mod seed;
mod shred;
mod slots;
mod tombstone;
mod tree;
mod walk;

pub use batch::{CommittedBatch, InstalledBatch, OpenBatch};
pub use error::{KeyError, Result};
pub use file_holder::{FileHolder, FileHolderError, SealMethod};
pub use holder::{Grade, Held, Holder, HolderError, HolderId, Holding, ShareTag};
pub use keyring::Keyring;
pub use memory_holder::MemoryHolder;
pub use outcome::{HolderReport, Recovery, ShredOutcome, Unlocked};
pub use rekey::ShredPlan;
pub use shred::TARGETS_MAX;
pub use slots::TAKE_MAX;
pub use tombstone::{ShredTarget, Tombstone};
pub use tree::{FIRST_SLOT, Half, Leaf, Service};
