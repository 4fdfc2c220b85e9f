//! The text of 32-byte keys: Bech32 (BIP 173) without its bound on length, as age writes keys.

use strongroom_model::Wiping;

/// The 32 letters of the data part, each worth five bits.
const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// The generator polynomial of the checksum (BIP 173, Checksum).
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
/// 32 bytes in groups of five bits; the last four bits are zero.
const GROUPS: usize = 52;
/// Groups of the checksum.
const CHECK: usize = 6;
/// What separates the readable part from the data.
const SEPARATOR: u8 = b'1';

/// The text of a key, in lower case.
pub(super) fn encode(readable: &str, key: &[u8; 32]) -> Wiping<Vec<u8>> {
    let mut groups = Wiping::new(Vec::with_capacity(GROUPS + CHECK));
    let (mut kept, mut bits) = (0_u32, 0_u32);
    for byte in key {
        kept = (kept << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            groups.push(low_five(kept >> bits));
        }
    }
    groups.push(low_five(kept << (5 - bits)));
    let zeros = [0; CHECK];
    let checksum = polymod(readable, groups.iter().chain(&zeros).copied()) ^ 1;
    groups.extend((0..CHECK).rev().map(|place| low_five(checksum >> (5 * place))));
    let mut text = Wiping::new(Vec::with_capacity(readable.len() + 1 + GROUPS + CHECK));
    text.extend_from_slice(readable.as_bytes());
    text.push(SEPARATOR);
    text.extend(groups.iter().filter_map(|group| LETTERS.get(usize::from(*group))));
    text
}

/// Writes the key that a text in lower case has into `key`; nothing for another text.
pub(super) fn decode(readable: &str, text: &[u8], key: &mut [u8; 32]) -> Option<()> {
    let data = text.strip_prefix(readable.as_bytes())?.strip_prefix(&[SEPARATOR])?;
    if data.len() != GROUPS + CHECK {
        return None;
    }
    let mut groups = Wiping::new(Vec::with_capacity(GROUPS + CHECK));
    for letter in data {
        let place = LETTERS.iter().position(|known| known == letter)?;
        groups.push(u8::try_from(place).ok()?);
    }
    if polymod(readable, groups.iter().copied()) != 1 {
        return None;
    }
    let (mut kept, mut bits) = (0_u32, 0_u32);
    let mut bytes = key.iter_mut();
    for group in groups.iter().take(GROUPS) {
        kept = (kept << 5 | u32::from(*group)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.next()? = low_eight(kept >> bits);
        }
    }
    // What is left over are zeros: each key has one text.
    (kept & ((1 << bits) - 1) == 0).then_some(())
}

fn low_five(bits: u32) -> u8 {
    low_eight(bits & 31)
}

fn low_eight(bits: u32) -> u8 {
    bits.to_le_bytes()[0]
}

/// The checksum over the readable part and these groups.
fn polymod(readable: &str, groups: impl Iterator<Item = u8>) -> u32 {
    let high = readable.bytes().map(|byte| byte >> 5);
    let low = readable.bytes().map(|byte| byte & 31);
    high.chain([0]).chain(low).chain(groups).fold(1, |checksum, group| {
        let top = checksum >> 25;
        let shifted = (checksum & 0x01ff_ffff) << 5 ^ u32::from(group);
        let taken = GENERATOR.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1);
        taken.fold(shifted, |checksum, (_, generator)| checksum ^ generator)
    })
}
