//! age (C2SP age-encryption.org/v1): a stream of bytes sealed for those who hold X25519 identities.
//!
//! `header | nonce16 | chunks`, as `docs/formats/archive.md` has it. Both sides work on the bytes that
//! they are given, piece by piece, and keep at most a chunk. The tools `age` and `rage` read and write
//! the same files.

mod bech32;
mod header;
mod keys;
mod payload;

pub use keys::{Identity, RECIPIENTS_MAX, Recipient};
pub use payload::{Opener, Sealer};

#[cfg(test)]
mod tests;
