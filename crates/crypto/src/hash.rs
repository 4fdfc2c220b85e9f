//! SHA-256 of parts.

use crate::mac::Sha256;

/// `SHA-256(part 1 | part 2 | …)` (FIPS 180-4). The parts are not separated: the caller's layout is.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut digest = [0; 32];
    hash.finish_into(&mut digest);
    digest
}

/// SHA-256 of bytes that come piece by piece.
pub struct Hasher(Sha256);

impl Hasher {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes that were taken.
    pub fn finish(self) -> [u8; 32] {
        let mut digest = [0; 32];
        self.0.finish_into(&mut digest);
        digest
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}
