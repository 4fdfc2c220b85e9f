//! The keys of numbers under a seed, and what is left of it (`docs/formats/sealed-messages.md`).

use crate::primitives::{Secret, hmac_sha256};

/// Bytes of one seed of a cover: depth, path, seed.
const SEED: usize = 38;

/// Some subtrees of the numbers under a person's seed.
pub(crate) struct Cover(Vec<Subtree>);

struct Subtree {
    /// The bits of the way, the first one highest.
    path: u64,
    depth: u8,
    seed: Secret,
}

impl Cover {
    /// All numbers.
    pub(crate) fn whole(seed: Secret) -> Self {
        Self(vec![Subtree { path: 0, depth: 0, seed }])
    }

    /// The whole seeds of a piece of an encoded cover.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let subtree = |bytes: &[u8; SEED]| {
            let [depth, p0, p1, p2, p3, p4, seed @ ..] = *bytes;
            Subtree { path: u64::from_be_bytes([p0, p1, p2, p3, p4, 0, 0, 0]), depth, seed }
        };
        Self(bytes.as_chunks::<SEED>().0.iter().map(subtree).collect())
    }

    /// The key of a number, if it is in here. `collection` is zeros where there is none.
    pub(crate) fn key(&self, number: u32, collection: &Secret) -> Option<Secret> {
        let (path, depth) = path_of(number);
        let subtree = self.0.iter().find(|subtree| {
            subtree.depth <= depth
                && (subtree.path ^ path).leading_zeros() >= u32::from(subtree.depth)
        })?;
        let leaf = (subtree.depth..depth).fold(subtree.seed, |seed, place| {
            let bit = u8::from(path & (1 << 63 >> place) != 0);
            hmac_sha256(&seed, &[&[bit], b"sr1/ggm"])
        });
        Some(hmac_sha256(&leaf, &[&[2], b"sr1/rec", collection]))
    }
}

/// The way to a number: `0` and 8 bits, `10` and 16, `11` and 32, the shortest that fits.
fn path_of(number: u32) -> (u64, u8) {
    let number_64 = u64::from(number);
    let (code, depth) = match number {
        0..=0xff => (number_64, 9),
        0x100..=0xffff => (0b10 << 16 | number_64, 18),
        0x1_0000.. => (0b11 << 32 | number_64, 34),
    };
    (code << (64 - u32::from(depth)), depth)
}
