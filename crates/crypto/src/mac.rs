//! HMAC with SHA-256 and SHA-512 (RFC 2104, FIPS 198-1), over the bare compression functions.
//!
//! Written here because it wipes its states, which the library's does not, and because the
//! puncturable function spends its time in it; the test `hmac_is_the_librarys_hmac` and all
//! Wycheproof vectors compare it with `ring`.

use sha2::block_api::{compress256, compress512};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, optimization_barrier};

use crate::Key;
use crate::wiping::scrub_after_hash;

/// `HMAC-SHA-256(key, part 1 | part 2 | …)`.
pub fn hmac_sha256(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut tag = [0; 32];
    scrub_after_hash(|| Hmac256::new(key.expose()).finish_into(parts.iter().copied(), &mut tag));
    tag
}

/// `HMAC-SHA-256(key, part 1 | part 2 | …)` as a key, built in its box.
pub fn derive_key(key: &Key, parts: &[&[u8]]) -> Key {
    Key::build(|bytes| {
        scrub_after_hash(|| Hmac256::new(key.expose()).finish_into(parts.iter().copied(), bytes));
    })
}

/// Whether two tags are the same, in time that depends on their lengths only.
pub fn verify(tag: &[u8], expected: &[u8]) -> bool {
    tag.ct_eq(expected).into()
}

/// A hash over a compression function and an HMAC over that hash, both of which wipe themselves.
macro_rules! hash_and_hmac {
    (
        $hash:ident, $hmac:ident, $doc:literal, $word:ty, $compress:ident,
        block $block:literal, digest $digest:literal, length $length:literal as $count:ty, $initial:expr
    ) => {
        #[doc = $doc]
        pub(crate) struct $hash {
            state: [$word; 8],
            block: [u8; $block],
            filled: usize,
            length: $count,
        }

        impl $hash {
            pub(crate) fn new() -> Self {
                Self { state: $initial, block: [0; $block], filled: 0, length: 0 }
            }

            pub(crate) fn update(&mut self, mut bytes: &[u8]) {
                self.length = self.length.wrapping_add(bytes.len() as $count);
                while !bytes.is_empty() {
                    if self.filled == 0 {
                        // Whole blocks are taken from where they are, all at once.
                        let (blocks, rest) = bytes.as_chunks();
                        $compress(&mut self.state, blocks);
                        bytes = rest;
                    }
                    let (now, later) = bytes.split_at(bytes.len().min($block - self.filled));
                    let end = self.filled + now.len();
                    if let Some(room) = self.block.get_mut(self.filled..end) {
                        room.copy_from_slice(now);
                    }
                    self.filled = end;
                    if self.filled == $block {
                        self.compress();
                    }
                    bytes = later;
                }
            }

            /// Padding, length in bits, digest.
            pub(crate) fn finish_into(mut self, digest: &mut [u8; $digest]) {
                let bits = self.length.wrapping_mul(8).to_be_bytes();
                let filled = self.filled;
                if let Some((first, rest)) =
                    self.block.get_mut(filled..).and_then(<[u8]>::split_first_mut)
                {
                    *first = 0x80;
                    rest.fill(0);
                }
                if filled >= $block - $length {
                    self.compress();
                    self.block.fill(0);
                }
                self.block[$block - $length..].copy_from_slice(&bits);
                self.compress();
                for (out, word) in digest.as_chunks_mut().0.iter_mut().zip(&self.state) {
                    *out = word.to_be_bytes();
                }
            }

            fn compress(&mut self) {
                $compress(&mut self.state, std::slice::from_ref(&self.block));
                self.filled = 0;
            }
        }

        impl Drop for $hash {
            fn drop(&mut self) {
                self.state = [0; 8];
                self.block = [0; $block];
                optimization_barrier(self);
            }
        }

        impl ZeroizeOnDrop for $hash {}

        #[doc = concat!("HMAC over [`", stringify!($hash), "`]: the two states after the padded key.")]
        pub(crate) struct $hmac {
            pub(crate) inner: [$word; 8],
            pub(crate) outer: [$word; 8],
        }

        impl $hmac {
            pub(crate) fn new(key: &[u8]) -> Self {
                let mut pad = $hash::new();
                if key.len() > $block {
                    let mut digest = [0; $digest];
                    let mut hash = $hash::new();
                    hash.update(key);
                    hash.finish_into(&mut digest);
                    pad.block[..$digest].copy_from_slice(&digest);
                    digest.zeroize();
                } else if let Some(room) = pad.block.get_mut(..key.len()) {
                    room.copy_from_slice(key);
                }
                let mut states = Self { inner: $initial, outer: $initial };
                pad.block.iter_mut().for_each(|byte| *byte ^= 0x36);
                $compress(&mut states.inner, std::slice::from_ref(&pad.block));
                pad.block.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
                $compress(&mut states.outer, std::slice::from_ref(&pad.block));
                states
            }

            pub(crate) fn finish_into<'a>(
                &self,
                parts: impl IntoIterator<Item = &'a [u8]>,
                tag: &mut [u8; $digest],
            ) {
                let mut inner = $hash::new();
                inner.state = self.inner;
                inner.length = $block;
                for part in parts {
                    inner.update(part);
                }
                inner.finish_into(tag);
                let mut outer = $hash::new();
                outer.state = self.outer;
                outer.length = $block;
                outer.update(tag);
                outer.finish_into(tag);
            }
        }

        impl Drop for $hmac {
            fn drop(&mut self) {
                self.inner = [0; 8];
                self.outer = [0; 8];
                optimization_barrier(self);
            }
        }

        impl ZeroizeOnDrop for $hmac {}
    };
}

hash_and_hmac!(
    Sha256, Hmac256, "SHA-256 (FIPS 180-4, 6.2).", u32, compress256,
    block 64, digest 32, length 8 as u64,
    [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
        0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
);

hash_and_hmac!(
    Sha512, Hmac512, "SHA-512 (FIPS 180-4, 6.4).", u64, compress512,
    block 128, digest 64, length 16 as u128,
    [
        0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1, 0x9b05_688c_2b3e_6c1f, 0x1f83_d9ab_fb41_bd6b, 0x5be0_cd19_137e_2179,
    ]
);

#[cfg(test)]
mod tests {
    use ring::{digest, hmac};

    use super::*;

    /// Every length around the borders of blocks and padding, given in one part and in three.
    #[test]
    fn hmac_is_the_librarys_hmac() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        for (key, message) in (0..300).flat_map(|length| [(length, 40), (32, length)]) {
            let (key, message) = (&bytes[..key], &bytes[..message]);
            let (first, rest) = message.split_at(message.len() / 3);
            let (second, third) = rest.split_at(rest.len() / 2);
            for parts in [vec![message], vec![first, second, third]] {
                let mut tag = [0; 32];
                Hmac256::new(key).finish_into(parts.iter().copied(), &mut tag);
                let theirs = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
                assert_eq!(tag, theirs.as_ref(), "{} {}", key.len(), message.len());
                let mut tag = [0; 64];
                Hmac512::new(key).finish_into(parts, &mut tag);
                let theirs = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), message);
                assert_eq!(tag, theirs.as_ref(), "{} {}", key.len(), message.len());
            }
            let theirs = digest::digest(&digest::SHA256, message);
            assert_eq!(crate::hash::sha256(&[first, second, third]), theirs.as_ref());
        }
    }

    #[test]
    fn a_tag_verifies_only_whole_and_unchanged() {
        let tag = hmac_sha256(&Key::build(|key| key.fill(1)), &[b"part", b"s"]);
        assert_eq!(tag, hmac_sha256(&Key::build(|key| key.fill(1)), &[b"par", b"ts"]));
        assert!(verify(&tag, &tag));
        assert!(!verify(&tag[..31], &tag) && !verify(&tag, &[]));
        for bit in 0..256 {
            let mut other = tag;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&other, &tag));
        }
    }
}
