//! What stands outside of the store, or beside its engine: backups, the head, the journal of lines.

use strongroom_vault::fuzzing;

use super::{Seed, Verdict, key};

/// Bytes of a frame of the journal before its payload, and where its checksum stands in them.
const FRAME_HEADER_BYTES: usize = 16;
const FRAME_CHECKSUM_AT: usize = 12;

/// Parts of a backup, in the place that they name.
pub fn backup_part(bytes: &[u8]) -> Verdict {
    one_form(bytes, fuzzing::reread_part(bytes).as_deref())
}

/// A backup's manifest without its proof, which is put behind it.
pub fn backup_manifest(bytes: &[u8]) -> Verdict {
    one_form(bytes, fuzzing::reread_manifest(bytes, &key()).as_deref())
}

/// A store's head without its tag, which is put behind it.
pub fn store_head(bytes: &[u8]) -> Verdict {
    one_form(bytes, fuzzing::reread_head(bytes, key()).as_deref())
}

/// A frame of the journal, whose checksum is put right.
pub fn journal_frame(bytes: &[u8]) -> Verdict {
    let mut bytes = bytes.to_vec();
    let again = strongroom_storage::fuzzing::reread_frame(&bytes);
    if let Some(again) = &again {
        let checksum = FRAME_CHECKSUM_AT..FRAME_HEADER_BYTES;
        bytes[checksum.clone()].copy_from_slice(&again[checksum]);
    }
    one_form(&bytes, again.as_deref())
}

fn one_form(bytes: &[u8], again: Option<&[u8]>) -> Verdict {
    if let Some(again) = again {
        assert!(again == bytes, "what was read is not what would be written");
    }
    Verdict::of(again.is_some())
}

pub(super) fn part_seeds() -> Vec<Seed> {
    let head = |rows: u32| {
        [&b"SRbackup"[..], &[0, 0, 0, 1, 0, 0, 0, 7], &[9; 32], &rows.to_be_bytes()].concat()
    };
    let row = [&[0, 2, 1, 2][..], &3u64.to_be_bytes(), &[0, 0, 0, 1, b'x']].concat();
    let two = [head(2), row.clone(), row.clone()].concat();
    let mut endless = head(1);
    endless.extend([0, 1, 1]);
    endless.extend(3u64.to_be_bytes());
    endless.extend(u32::MAX.to_be_bytes());
    let mut other_version = two.clone();
    other_version[11] = 2;
    vec![
        ("read-empty", head(0)),
        ("read-two-rows", two.clone()),
        ("refused-cut", two[..two.len() - 1].to_vec()),
        ("refused-longer", [two.clone(), vec![0]].concat()),
        ("refused-fewer-rows-than-said", [head(3), row].concat()),
        ("refused-endless-value", endless),
        ("refused-other-version", other_version),
        ("refused-nothing", Vec::new()),
    ]
}

pub(super) fn manifest_seeds() -> Vec<Seed> {
    let mut whole = b"SRbkhead\0\0\0\x01".to_vec();
    whole.extend([[1; 16], [2; 16]].concat());
    whole.extend(3u64.to_be_bytes());
    whole.extend([4i64, -5].map(i64::to_be_bytes).concat());
    whole.extend(6u32.to_be_bytes());
    whole.extend([7u64, 8].map(u64::to_be_bytes).concat());
    whole.extend([9; 32]);
    let mut other_version = whole.clone();
    other_version[11] = 9;
    vec![
        ("read-whole", whole.clone()),
        ("refused-cut", whole[..whole.len() - 1].to_vec()),
        ("refused-longer", [whole, vec![0]].concat()),
        ("refused-other-version", other_version),
    ]
}

pub(super) fn store_head_seeds() -> Vec<Seed> {
    let mut whole = b"SRhead1\0".to_vec();
    whole.extend([1; 16]);
    whole.extend(2u64.to_be_bytes());
    whole.extend([3; 32]);
    let position = [4; 20];
    whole.extend(position);
    whole.extend(5u64.to_be_bytes());
    whole.extend([6; 32]);
    for tag in [[7; 16], [0; 16]] {
        whole.extend(position);
        whole.extend(tag);
    }
    let mut other = whole.clone();
    other[6] = b'2';
    vec![
        ("read-whole", whole.clone()),
        ("refused-cut", whole[..whole.len() - 1].to_vec()),
        ("refused-longer", [whole, vec![0]].concat()),
        ("refused-other-version", other),
    ]
}

pub(super) fn frame_seeds() -> Vec<Seed> {
    let frame = |lines: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&b"SRfr"[..], &length, &lines.to_be_bytes(), &[0; 4], payload].concat()
    };
    let payload = b"\0\0\0\x03one\0\0\0\0\0\0\0\x05three";
    let mut too_long = frame(0, b"");
    too_long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    vec![
        ("read-empty", frame(0, b"")),
        ("read-three-lines", frame(3, payload)),
        ("refused-two-lines-said", frame(2, payload)),
        ("refused-line-beyond-the-end", frame(1, b"\0\0\0\x04one")),
        ("refused-length-beyond-all", frame(1, &u32::MAX.to_be_bytes())),
        ("refused-payload-longer-than-any", too_long),
        ("refused-header-alone", frame(3, payload)[..FRAME_HEADER_BYTES].to_vec()),
    ]
}
