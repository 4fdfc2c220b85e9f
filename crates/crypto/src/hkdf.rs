//! HKDF (RFC 5869) with SHA-256 and SHA-512 over the HMAC of this crate.

use zeroize::Zeroizing;

use crate::mac::{Hmac256, Hmac512};

/// `HKDF-Extract-SHA-256(salt, ikm part 1 | …)`.
pub(crate) fn extract_sha256(salt: &[u8], ikm: &[&[u8]], prk: &mut [u8; 32]) {
    Hmac256::new(salt).finish_into(ikm, prk);
}

/// Fills `okm` with `HKDF-Expand(prk, info part 1 | …, length of okm)`.
///
/// `okm` is at most 255 digests long; what would lie beyond stays as it was. All lengths in this
/// crate are constants below that.
macro_rules! expand {
    ($name:ident, $hmac:ident, $digest:literal) => {
        pub(crate) fn $name(prk: &[u8], info: &[&[u8]], okm: &mut [u8]) {
            let hmac = $hmac::new(prk);
            let mut parts: Vec<&[u8]> = Vec::with_capacity(info.len() + 2);
            let mut previous = Zeroizing::new([0; $digest]);
            let mut block = Zeroizing::new([0; $digest]);
            for (counter, out) in (1..=u8::MAX).zip(okm.chunks_mut($digest)) {
                let counter = [counter];
                parts.clear();
                if counter != [1] {
                    parts.push(previous.as_slice());
                }
                parts.extend_from_slice(info);
                parts.push(&counter);
                hmac.finish_into(&parts, &mut block);
                out.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
                std::mem::swap(&mut previous, &mut block);
            }
        }
    };
}

expand!(expand_sha256, Hmac256, 32);
expand!(expand_sha512, Hmac512, 64);
