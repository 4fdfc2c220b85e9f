//! Primitives and sealed formats: what turns keys and plaintext into bytes that may be stored.
//!
//! This crate knows keys that wipe themselves, the byte layouts of every sealed message, the
//! puncturable function below a seed, and signatures; the layouts are described byte for byte in
//! `docs/formats/`. It does *not* know where a key or a message is stored, which key belongs to
//! which tenant, who may open what, or what time it is: it does no I/O, and randomness is handed in.
//!
//! A failed opening says nothing about why it failed: there is one [`Error::Damaged`].

pub mod age;
pub mod cobblestone;
pub mod context;
mod derived;
pub mod entry;
mod error;
mod gcm;
pub mod hash;
mod hkdf;
mod key;
mod labels;
pub mod layout;
pub mod line;
pub mod mac;
pub mod prf;
pub mod record;
#[cfg(all(test, target_os = "linux"))]
mod residue;
mod rng;
pub mod root;
pub mod seal_key;
pub mod sign;
pub mod stream;
mod wiping;
#[cfg(test)]
mod wycheproof;

pub use context::{Context, MessagePurpose};
pub use error::{Error, Result};
pub use key::Key;
pub use rng::SystemRng;
pub use wiping::scrub_once;
