//! What a holder's file and a seal key's file say (`docs/formats/holder-file.md`, `docs/formats/seal-key.md`).

use crate::primitives::Secret;
use crate::rows::{id_at, u64_at};
use crate::{Id, Share};

/// A holder's file is three blocks: header, two slots.
const BLOCK: usize = 4096;
const MAGIC: &[u8] = b"strongroom share";

/// The installation of a holder's file, and the shares in it.
pub fn holder_file(bytes: &[u8]) -> Option<(Id, Vec<Share>)> {
    let header = bytes.strip_prefix(MAGIC)?;
    let [_, _, class, _grade, ..] = *header else { return None };
    let (holder, install) = (id_at(header, 4)?, id_at(header, 20)?);
    let mut shares = Vec::new();
    for slot in [bytes.get(BLOCK..2 * BLOCK)?, bytes.get(2 * BLOCK..)?] {
        let [_, 1, ..] = *slot else { continue };
        let number = u64_at(slot, 2)?;
        let (length, sealed) = slot.get(10..)?.split_first_chunk::<2>()?;
        let sealed = sealed.get(..usize::from(u16::from_be_bytes(*length)))?.to_vec();
        shares.push(Share { number, class, holder, sealed });
    }
    Some((install, shares))
}

/// The seal key in the text of its file.
pub fn seal_key_file(text: &str) -> Option<Secret> {
    let digits = text.trim().strip_prefix("strongroom-seal-key-1-")?.get(..64)?;
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}
