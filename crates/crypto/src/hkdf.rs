//! HKDF (RFC 5869) with SHA-256 and SHA-512 over the HMAC of this crate.

use strongroom_model::Wiping;

use crate::mac::{Hmac256, Hmac512};

/// `HKDF-Extract-SHA-256(salt, ikm part 1 | …)`.
pub(crate) fn extract_sha256(salt: &[u8], ikm: &[&[u8]], prk: &mut [u8; 32]) {
    Hmac256::new(salt).finish_into(ikm.iter().copied(), prk);
}

/// Fills `okm` with `HKDF-Expand(prk, info part 1 | …, length of okm)`.
///
/// `okm` is at most 255 digests long; what would lie beyond stays as it was. All lengths in this
/// crate are constants below that.
macro_rules! expand {
    ($name:ident, $hmac:ident, $digest:literal) => {
        pub(crate) fn $name(prk: &[u8], info: &[&[u8]], okm: &mut [u8]) {
            let hmac = $hmac::new(prk);
            let mut previous = Wiping::new([0; $digest]);
            let mut block = Wiping::new([0; $digest]);
            for (counter, out) in (1..=u8::MAX).zip(okm.chunks_mut($digest)) {
                let before = (counter > 1).then_some(previous.as_slice());
                let parts = before.into_iter().chain(info.iter().copied());
                hmac.finish_into(parts.chain([[counter].as_slice()]), &mut block);
                out.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
                std::mem::swap(&mut previous, &mut block);
            }
        }
    };
}

expand!(expand_sha256, Hmac256, 32);
expand!(expand_sha512, Hmac512, 64);
