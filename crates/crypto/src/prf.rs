//! The puncturable function below a seed: a key for every number, and the means to forget one.
//!
//! A number stands at a leaf of a binary tree; its path is a prefix code: `0` and 8 bits, `10` and
//! 16 bits, `11` and 32 bits, the shortest that fits. `child = HMAC-SHA-256(seed, bit | "sr1/ggm")`,
//! `key = HMAC-SHA-256(leaf, 0x02 | "sr1/rec" | collection key)`. Forgetting a number replaces the
//! seed above it by the siblings along its path, from which it cannot be computed (Goldreich,
//! Goldwasser, Micali 1986; punctured as in Boneh, Waters 2013). Layout of what is kept:
//! `docs/formats/sealed-messages.md`.

use std::ops::RangeInclusive;

use strongroom_model::Plaintext;

use crate::layout::Reader;
use crate::mac::Hmac256;
use crate::wiping::scrub_after_hash;
use crate::{Error, Key, Result, labels};

/// The number of the subject's own rows.
pub const SUBJECT_ROWS: u32 = 0;
/// The number under which the subject's audit openings are sealed.
pub const AUDIT_OPENINGS: u32 = 1;
/// The number of the subject's manifest: its records, files and index pages.
pub const MANIFEST: u32 = 2;
/// The first number that a record or file may have; those below are reserved.
pub const FIRST_RECORD: u32 = 16;

/// Length of one seed of an encoded cover: depth, path, seed.
pub const SEED_BYTES: usize = 38;

/// What is left of a seed: the seeds of the subtrees in which no number is punctured, in the order
/// of their paths. A fresh cover is the one seed of the whole tree.
pub struct Cover(Vec<Subtree>);

/// The number was punctured; its key is gone for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number was punctured")]
pub struct Punctured;

struct Subtree {
    path: Path,
    seed: Key,
}

impl Cover {
    /// The cover of a seed in which nothing is punctured.
    pub fn from_seed(seed: Key) -> Self {
        Self(vec![Subtree { path: Path::ROOT, seed }])
    }

    /// The key of a number; `collection` is the key of the collection whose record it is.
    ///
    /// # Errors
    /// [`Punctured`] if the number was punctured.
    pub fn key(
        &self,
        number: u32,
        collection: Option<&Key>,
    ) -> std::result::Result<Key, Punctured> {
        let leaf = Path::of(number);
        let subtree = self.above(leaf).ok_or(Punctured)?;
        Ok(scrub_after_hash(|| subtree.key(leaf, collection)))
    }

    /// Whether the number was punctured.
    pub fn is_punctured(&self, number: u32) -> bool {
        self.above(Path::of(number)).is_none()
    }

    /// Forgets the key of a number; nothing changes if it was forgotten before.
    pub fn puncture(&mut self, number: u32) {
        self.puncture_range(number..=number);
    }

    /// Forgets the keys of a range of numbers, with no more seeds than puncturing one by one leaves.
    pub fn puncture_range(&mut self, numbers: RangeInclusive<u32>) {
        let mut left = Vec::with_capacity(self.0.len());
        scrub_after_hash(|| {
            for subtree in self.0.drain(..) {
                keep_outside(subtree, &numbers, &mut left);
            }
        });
        self.0 = left;
    }

    /// How many seeds there are; none if every number was punctured.
    pub const fn seeds(&self) -> usize {
        self.0.len()
    }

    /// Every seed as `depth u8 | path 5, left-aligned | seed 32`, in ascending order of the paths.
    /// It is secret, and is cut at any multiple of [`SEED_BYTES`] to be sealed.
    pub fn encode(&self) -> Plaintext<Vec<u8>> {
        let mut bytes = Plaintext::new(Vec::with_capacity(self.0.len() * SEED_BYTES));
        for subtree in &self.0 {
            bytes.expose_mut().extend_from_slice(&subtree.path.encode());
            bytes.expose_mut().extend_from_slice(subtree.seed.expose());
        }
        bytes
    }

    /// Reads a cover. Only what [`Cover::encode`] writes is one: paths of this code, zero bits after
    /// each, strictly ascending, none a prefix of another, nothing after the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (seeds, []) = bytes.as_chunks::<SEED_BYTES>() else { return Err(Error::Damaged) };
        let mut subtrees: Vec<Subtree> = Vec::with_capacity(seeds.len());
        for bytes in seeds {
            let subtree = Subtree::decode(bytes).ok_or(Error::Damaged)?;
            if subtrees.last().is_some_and(|last| !last.path.is_left_of(subtree.path)) {
                return Err(Error::Damaged);
            }
            subtrees.push(subtree);
        }
        Ok(Self(subtrees))
    }

    /// The subtree in which a leaf lies.
    fn above(&self, leaf: Path) -> Option<&Subtree> {
        let after = self.0.partition_point(|subtree| subtree.path.bits <= leaf.bits);
        self.0.get(after.checked_sub(1)?).filter(|subtree| subtree.path.is_above(leaf))
    }
}

impl Subtree {
    fn decode(bytes: &[u8; SEED_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let path = Path::decode(reader.array()?)?;
        Some(Self { path, seed: Key::from_slice(reader.rest())? })
    }

    /// The key of a leaf below.
    fn key(&self, leaf: Path, collection: Option<&Key>) -> Key {
        let mut key = self.seed.duplicate();
        for bit in leaf.bits_from(self.path.depth) {
            step(&mut key, bit);
        }
        let collection = collection.map_or(&[0; 32], Key::expose);
        let hmac = Hmac256::new(key.expose());
        let parts: [&[u8]; 3] = [&[labels::PRF_LEAF_BYTE], labels::PRF_LEAF, collection];
        key.replace(|bytes| hmac.finish_into(parts, bytes));
        key
    }

    /// The two halves of a subtree that is not a leaf.
    fn split(self) -> [Self; 2] {
        let [left, right] = self.path.children();
        let mut seeds = [self.seed.duplicate(), self.seed];
        seeds.iter_mut().zip([false, true]).for_each(|(seed, bit)| step(seed, bit));
        let [left_seed, right_seed] = seeds;
        [Self { path: left, seed: left_seed }, Self { path: right, seed: right_seed }]
    }
}

/// Puts what of a subtree lies outside a range of numbers into `left`, in order. Not deeper than
/// a path is long.
fn keep_outside(subtree: Subtree, numbers: &RangeInclusive<u32>, left: &mut Vec<Subtree>) {
    match subtree.path.overlap(numbers) {
        Overlap::None => left.push(subtree),
        Overlap::All => {}
        Overlap::Some => {
            for half in subtree.split() {
                keep_outside(half, numbers, left);
            }
        }
    }
}

/// `seed = HMAC-SHA-256(seed, bit | "sr1/ggm")`, in place.
fn step(seed: &mut Key, bit: bool) {
    let hmac = Hmac256::new(seed.expose());
    let parts: [&[u8]; 2] = [&[u8::from(bit)], labels::PRF_STEP];
    seed.replace(|bytes| hmac.finish_into(parts, bytes));
}

/// The way from the root of the tree to a node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Path {
    /// The bits of the way, the first one highest, zeros after the last.
    bits: u64,
    /// How many bits there are.
    depth: u8,
}

/// How much of a subtree's numbers lie in a range.
enum Overlap {
    None,
    Some,
    All,
}

/// One of the three lengths of the code.
struct Class {
    /// Bits before the number.
    marker: u8,
    /// Bits of the number.
    width: u8,
    /// The first number that is written in this length.
    first: u64,
    /// The last one.
    last: u64,
}

impl Path {
    const ROOT: Self = Self { bits: 0, depth: 0 };

    /// The path of a number's leaf.
    fn of(number: u32) -> Self {
        let (code, depth) = match number {
            0..=0xff => (u64::from(number), 9),
            0x100..=0xffff => (0b10 << 16 | u64::from(number), 18),
            0x1_0000.. => (0b11 << 32 | u64::from(number), 34),
        };
        Self { bits: code << (64 - u32::from(depth)), depth }
    }

    fn bit(self, place: u8) -> bool {
        self.bits & (1 << 63 >> place) != 0
    }

    fn bits_from(self, place: u8) -> impl Iterator<Item = bool> {
        (place..self.depth).map(move |place| self.bit(place))
    }

    /// The length of the code that this path has decided on; none for the root and for `1`.
    fn class(self) -> Option<Class> {
        match (self.depth, self.bit(0), self.bit(1)) {
            (0, _, _) | (1, true, _) => None,
            (1.., false, _) => Some(Class { marker: 1, width: 8, first: 0, last: 0xff }),
            (2.., true, false) => Some(Class { marker: 2, width: 16, first: 0x100, last: 0xffff }),
            (2.., true, true) => {
                Some(Class { marker: 2, width: 32, first: 0x1_0000, last: 0xffff_ffff })
            }
        }
    }

    /// The first and the last value below this path, within its class.
    fn values(self, class: &Class) -> (u64, u64) {
        let free = class.marker + class.width - self.depth;
        let low = self.bits << class.marker >> (64 - u32::from(class.width));
        (low, low | ((1 << free) - 1))
    }

    fn overlap(self, numbers: &RangeInclusive<u32>) -> Overlap {
        let (start, end) = (u64::from(*numbers.start()), u64::from(*numbers.end()));
        let Some(class) = self.class() else {
            let first = if self.depth == 0 { 0 } else { 0x100 };
            return if start <= end && end >= first { Overlap::Some } else { Overlap::None };
        };
        let (low, high) = self.values(&class);
        let from = start.max(low).max(class.first);
        let to = end.min(high).min(class.last);
        match from <= to {
            false => Overlap::None,
            true if (from, to) == (low, high) => Overlap::All,
            true => Overlap::Some,
        }
    }

    /// The paths one bit longer.
    fn children(self) -> [Self; 2] {
        let depth = self.depth + 1;
        [Self { bits: self.bits, depth }, Self { bits: self.bits | (1 << 63 >> self.depth), depth }]
    }

    /// Whether `other` is this path or goes on from it.
    fn is_above(self, other: Self) -> bool {
        let same = (self.bits ^ other.bits).leading_zeros() >= u32::from(self.depth);
        same && self.depth <= other.depth
    }

    /// Whether this subtree ends before the other begins.
    fn is_left_of(self, other: Self) -> bool {
        self.bits < other.bits && !self.is_above(other)
    }

    /// `depth u8 | the bits, left-aligned, 5`.
    fn encode(self) -> [u8; 6] {
        let [first, second, third, fourth, fifth, ..] = self.bits.to_be_bytes();
        [self.depth, first, second, third, fourth, fifth]
    }

    /// `None` if it is longer than its class or has bits after its end.
    fn decode(bytes: [u8; 6]) -> Option<Self> {
        let [depth, first, second, third, fourth, fifth] = bytes;
        let bits = u64::from_be_bytes([first, second, third, fourth, fifth, 0, 0, 0]);
        let path = Self { bits, depth };
        let longest = path.class().map_or(1, |class| class.marker + class.width);
        let clean = bits.checked_shl(depth.into()) == Some(0);
        (depth <= longest && clean).then_some(path)
    }
}
