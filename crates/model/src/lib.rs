//! The words of Strongroom: typed ids, names parsed once, entities as plain data with state enums.
//!
//! This crate knows what things are called and which values are well formed. It does *not* know
//! bytes on disk, ciphers, HTTP, who is allowed, or what time it is: clocks and randomness are
//! traits here and are handed in at the top.

pub mod access;
pub mod audit;
pub mod backend;
pub mod blueprint;
pub mod clear_value;
pub mod collection;
pub mod credentials;
pub mod erasure;
pub mod file;
pub mod ids;
pub mod job;
pub mod names;
pub mod objects;
pub mod record;
pub mod recovery;
pub mod states;
pub mod subject;
pub mod tenant;
pub mod time;
pub mod user;
pub mod value;
pub mod wipe;

pub use access::*;
pub use audit::*;
pub use backend::*;
pub use blueprint::*;
pub use clear_value::{ClearValue, Plaintext};
pub use collection::*;
pub use credentials::*;
pub use erasure::*;
pub use file::*;
pub use ids::*;
pub use job::*;
pub use names::*;
pub use record::*;
pub use recovery::*;
pub use states::*;
pub use subject::*;
pub use tenant::*;
pub use time::*;
pub use user::*;
pub use value::*;
pub use wipe::{Wipe, Wiping};

/// Where randomness comes from. The operating system's generator in production, a seeded one in
/// tests that must repeat.
pub trait Rng: Send + Sync + 'static {
    /// Fills `into` with random bytes.
    ///
    /// # Errors
    /// [`NoRandomness`] if the operating system's generator fails; nothing is written then.
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system's random generator failed; what needed randomness must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random generator failed")]
pub struct NoRandomness;

/// What is wrong with a text that should have been a name, an id or a value. The message never
/// repeats the text: it may be a client's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
