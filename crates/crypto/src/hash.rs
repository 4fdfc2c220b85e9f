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
