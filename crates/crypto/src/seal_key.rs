//! The key that seals the holders' shares: from a passphrase, or from a key file.
//!
//! Layouts: `docs/formats/seal-key.md`.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use strongroom_model::{Malformed, Plaintext, Rng};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::layout::{Reader, Writer};
use crate::wiping::scrub_after_cipher;
use crate::{Error, Key, Result, hash, labels};

/// Least memory with at least [`PASSES_MIN`] passes: the second recommended option of RFC 9106, 4.
pub const MEMORY_KIB_MIN: u32 = 64 * 1024;
/// Most memory; also enough for a single pass: the first recommended option of RFC 9106, 4.
pub const MEMORY_KIB_MAX: u32 = 2 * 1024 * 1024;
/// Least passes below [`MEMORY_KIB_MAX`].
pub const PASSES_MIN: u32 = 3;
/// Most passes, so that an edited header cannot keep a server busy for hours.
pub const PASSES_MAX: u32 = 32;
/// Least lanes, as in both options of RFC 9106.
pub const LANES_MIN: u32 = 4;
/// Most lanes.
pub const LANES_MAX: u32 = 64;
/// Longest passphrase, in bytes.
pub const PASSPHRASE_MAX: usize = 1024;
/// Length of encoded parameters.
pub const PARAMETER_BYTES: usize = 30;

const VERSION: u8 = 1;
const ARGON2ID: u8 = 1;
const SALT: usize = 16;

/// How a passphrase becomes the seal key: argon2id, version 0x13 (RFC 9106). Not secret. There is
/// no way to make one below the floor or above the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; SALT],
}

impl SealParameters {
    /// The cheapest that are allowed: 64 MiB, 3 passes, 4 lanes, with a fresh salt.
    ///
    /// # Errors
    /// [`Error::NoRandomness`] if there is no salt to be had.
    pub fn floor(rng: &dyn Rng) -> Result<Self> {
        Self::new(MEMORY_KIB_MIN, PASSES_MIN, LANES_MIN, rng)
    }

    /// Parameters with a fresh salt. `memory_kib` is in KiB.
    ///
    /// # Errors
    /// [`Error::Misuse`] if they are below the floor or above the ceiling; [`Error::NoRandomness`].
    pub fn new(memory_kib: u32, passes: u32, lanes: u32, rng: &dyn Rng) -> Result<Self> {
        let mut salt = [0; SALT];
        rng.fill(&mut salt)?;
        Self { memory_kib, passes, lanes, salt }
            .checked()
            .ok_or(Error::Misuse("argon2 parameters below the floor or above the ceiling"))
    }

    /// `version=1 u8 | argon2id=1 u8 | memory u32, KiB | passes u32 | lanes u32 | salt 16`.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(PARAMETER_BYTES);
        writer.u8(VERSION).u8(ARGON2ID);
        writer.u32(self.memory_kib).u32(self.passes).u32(self.lanes).bytes(&self.salt);
        writer.finish()
    }

    /// Reads parameters and holds them against the floor and the ceiling.
    ///
    /// # Errors
    /// [`Error::Damaged`] if they are not such parameters.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::read(bytes).and_then(Self::checked).ok_or(Error::Damaged)
    }

    /// The seal key of a passphrase: `argon2id(passphrase, salt, 32 bytes)`. Takes as long and as
    /// much memory as the parameters say; the memory is wiped.
    ///
    /// # Errors
    /// [`Error::TooLong`] above [`PASSPHRASE_MAX`]; [`Error::NoMemory`].
    pub fn derive(&self, passphrase: &[u8]) -> Result<Key> {
        if passphrase.len() > PASSPHRASE_MAX {
            return Err(Error::TooLong);
        }
        let refused = |_| Error::Misuse("argon2 refused its parameters");
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(Key::BYTES))
            .map_err(refused)?;
        let mut memory = Zeroizing::new(Vec::new());
        memory.try_reserve_exact(params.block_count()).map_err(|_| Error::NoMemory)?;
        memory.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Key::try_build(|key| {
            let memory = memory.as_mut_slice();
            scrub_after_cipher(|| {
                argon2.hash_password_into_with_memory(passphrase, &self.salt, key, memory)
            })
            .map_err(refused)
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let known = (reader.u8()?, reader.u8()?) == (VERSION, ARGON2ID);
        let parameters = Self {
            memory_kib: reader.u32()?,
            passes: reader.u32()?,
            lanes: reader.u32()?,
            salt: reader.array()?,
        };
        reader.end()?;
        known.then_some(parameters)
    }

    fn checked(self) -> Option<Self> {
        let least_passes = if self.memory_kib == MEMORY_KIB_MAX { 1 } else { PASSES_MIN };
        let fits = (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&self.memory_kib)
            && (least_passes..=PASSES_MAX).contains(&self.passes)
            && (LANES_MIN..=LANES_MAX).contains(&self.lanes);
        fits.then_some(self)
    }
}

/// What a seal key file begins with.
pub const FILE_PREFIX: &str = "strongroom-seal-key-1-";
/// Bytes of the key and of its checksum.
const FILE_BYTES: usize = Key::BYTES + CHECKSUM;
const CHECKSUM: usize = 4;

/// The one line of a seal key file: [`FILE_PREFIX`], the key and 4 bytes of a checksum in lower-case
/// hexadecimal, a line feed.
pub fn write_file(key: &Key) -> Plaintext<String> {
    let mut line = String::with_capacity(FILE_PREFIX.len() + 2 * FILE_BYTES + 1);
    line.push_str(FILE_PREFIX);
    for byte in key.expose().iter().chain(&checksum(key)) {
        line.push(hex_digit(byte >> 4));
        line.push(hex_digit(byte & 15));
    }
    line.push('\n');
    Plaintext::new(line)
}

/// The key in a seal key file.
///
/// # Errors
/// [`Malformed`] if it is not the text that [`write_file`] writes, with or without its line end.
pub fn parse_file(text: &str) -> std::result::Result<Key, Malformed> {
    let malformed = Malformed("not a seal key file, or not all of it");
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let digits = line.strip_prefix(FILE_PREFIX).ok_or(malformed)?;
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return Err(malformed) };
    if pairs.len() != FILE_BYTES {
        return Err(malformed);
    }
    let mut bytes = Zeroizing::new([0; FILE_BYTES]);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = hex_value(*high).ok_or(malformed)? << 4 | hex_value(*low).ok_or(malformed)?;
    }
    let (key, sum) = bytes.split_at(Key::BYTES);
    let key = Key::from_slice(key).ok_or(malformed)?;
    if checksum(&key).ct_eq(sum).into() { Ok(key) } else { Err(malformed) }
}

/// The first 4 bytes of `SHA-256("strongroom/v1/seal-key-file\0" | key)`: finds typing errors.
fn checksum(key: &Key) -> [u8; CHECKSUM] {
    let mut digest = hash::sha256(&[labels::SEAL_KEY_CHECK, key.expose()]);
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&digest[..CHECKSUM]);
    digest.zeroize();
    sum
}

/// Without a table, whose cache lines would tell the key.
fn hex_digit(value: u8) -> char {
    let letter = u8::from(value > 9) * (b'a' - b'0' - 10);
    char::from(b'0' + value + letter)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    fn parameters(memory_kib: u32, passes: u32, lanes: u32) -> SealParameters {
        SealParameters { memory_kib, passes, lanes, salt: [2; SALT] }
    }

    #[test]
    fn a_passphrase_gives_the_key_that_argon2id_gives() {
        let floor = parameters(MEMORY_KIB_MIN, PASSES_MIN, LANES_MIN);
        let key = floor.derive(b"correct horse").unwrap();
        // From the implementation in OpenSSL, through Python's `cryptography`.
        assert_eq!(
            data_encoding::HEXLOWER.encode(key.expose()),
            "a621651423a735add22ff0be77561a592a84b374f0065afe6d623bd3d6f3062c"
        );
        assert!(!floor.derive(b"correct horsf").unwrap().is_same_as(&key));
        let other_salt = SealParameters { salt: [3; SALT], ..floor };
        assert!(!other_salt.derive(b"correct horse").unwrap().is_same_as(&key));
    }

    #[test]
    fn a_passphrase_longer_than_the_bound_is_refused() {
        let floor = parameters(MEMORY_KIB_MIN, PASSES_MIN, LANES_MIN);
        assert_eq!(floor.derive(&[b'x'; PASSPHRASE_MAX + 1]).err(), Some(Error::TooLong));
    }

    #[test]
    fn parameters_below_the_floor_or_above_the_ceiling_are_neither_made_nor_read() {
        let rng = SystemRng::new();
        for (memory, passes, lanes, allowed) in [
            (MEMORY_KIB_MIN, 3, 4, true),
            (MEMORY_KIB_MIN - 1, 3, 4, false),
            (MEMORY_KIB_MIN, 2, 4, false),
            (MEMORY_KIB_MIN, 3, 3, false),
            (8, 1, 1, false),
            (MEMORY_KIB_MAX, 1, 4, true),
            (MEMORY_KIB_MAX, 0, 4, false),
            (MEMORY_KIB_MAX - 1, 1, 4, false),
            (MEMORY_KIB_MAX + 1, 1, 4, false),
            (u32::MAX, 3, 4, false),
            (MEMORY_KIB_MIN, PASSES_MAX, 4, true),
            (MEMORY_KIB_MIN, PASSES_MAX + 1, 4, false),
            (MEMORY_KIB_MIN, 3, LANES_MAX, true),
            (MEMORY_KIB_MIN, 3, LANES_MAX + 1, false),
        ] {
            assert_eq!(SealParameters::new(memory, passes, lanes, &rng).is_ok(), allowed);
            let read = SealParameters::decode(&parameters(memory, passes, lanes).encode());
            assert_eq!(read.is_ok(), allowed, "{memory} {passes} {lanes}");
        }
    }

    #[test]
    fn parameters_are_read_as_they_were_written_and_in_no_other_form() {
        let floor = SealParameters::floor(&SystemRng::new()).unwrap();
        let bytes = floor.encode();
        assert_eq!(bytes.len(), PARAMETER_BYTES);
        assert_eq!(SealParameters::decode(&bytes), Ok(floor));
        for length in 0..bytes.len() {
            assert_eq!(SealParameters::decode(&bytes[..length]), Err(Error::Damaged));
        }
        assert_eq!(SealParameters::decode(&[&bytes[..], &[0]].concat()), Err(Error::Damaged));
        for at in [0, 1] {
            let mut other = bytes.clone();
            other[at] = 2;
            assert_eq!(SealParameters::decode(&other), Err(Error::Damaged));
        }
    }

    #[test]
    fn a_key_file_is_read_as_it_was_written() {
        let key = Key::generate(&SystemRng::new()).unwrap();
        let text = write_file(&key);
        let line = text.expose().as_str();
        assert_eq!(line.len(), FILE_PREFIX.len() + 73);
        for same in [line.to_owned(), line.trim_end().to_owned(), line.replace('\n', "\r\n")] {
            assert!(parse_file(&same).unwrap().is_same_as(&key));
        }
    }

    #[test]
    fn a_key_file_with_any_changed_character_is_refused() {
        let key = Key::build(|bytes| (0..).zip(bytes).for_each(|(at, byte)| *byte = at));
        let text = write_file(&key).expose().clone();
        for at in 0..text.len() {
            for other in [b'0', b'1', b'f', b'A', b'g', b' ', b'\n'] {
                let mut bytes = text.clone().into_bytes();
                if bytes[at] != other {
                    bytes[at] = other;
                    assert!(parse_file(&String::from_utf8(bytes).unwrap()).is_err(), "{at}");
                }
            }
            let cut: String = text.chars().take(at).collect();
            assert!(parse_file(&cut).is_err() || at == text.len() - 1);
        }
        for wrong in [
            format!(" {text}"),
            format!("{text}\n"),
            text.to_uppercase(),
            text.replace("-1-", "-2-"),
        ] {
            assert!(parse_file(&wrong).is_err());
        }
    }
}
