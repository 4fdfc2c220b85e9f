//! Archives: sealed files of age, and the files that are in them.

use data_encoding::HEXLOWER;
use strongroom_client::archive::verify;
use strongroom_crypto::age::{Identity, Opener, Sealer};
use strongroom_crypto::hash::sha256;
use strongroom_crypto::layout::Reader;

use super::{KnownRng, Seed, Verdict, damaged};

/// What tar writes in pieces of.
const BLOCK: usize = 512;

/// Archives: `0 | an age file`, `1 | an archive that has been opened`, `2 | at u32 | change u8 | plaintext`,
/// which is sealed, changed there and opened.
pub fn archive(bytes: &[u8]) -> Verdict {
    let Some((form, rest)) = bytes.split_first() else { return Verdict::Refused };
    match form % 3 {
        0 => Verdict::of(open(rest).is_some()),
        1 => Verdict::of(verify(rest, sha256, |_| ()).is_ok()),
        _ => {
            let mut reader = Reader::new(rest);
            let (Some(at), Some(change)) = (reader.u32(), reader.u8()) else {
                return Verdict::Refused;
            };
            let sealed = seal(reader.rest());
            let opened = open(&sealed).expect("what was sealed");
            assert_eq!(opened, rest[5..], "what was sealed is opened as something else");
            assert!(open(&damaged(&sealed, at, change)).is_none(), "a change went unnoticed");
            Verdict::Read
        }
    }
}

fn identity() -> Identity {
    Identity::generate(&KnownRng::of(&[0x5a; 32])).unwrap()
}

fn seal(plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let known = KnownRng::of(&[0x3c; 64]);
    let mut sealer = Sealer::begin(&[identity().recipient()], &known, &mut sealed).unwrap();
    sealer.push(plain, &mut sealed).unwrap();
    sealer.finish(&mut sealed).unwrap();
    sealed
}

/// What is sealed; the same whether it comes at once or in parts.
fn open(sealed: &[u8]) -> Option<Vec<u8>> {
    let in_parts = |length: usize| {
        let mut opener = Opener::new(vec![identity()]);
        let mut plain = Vec::new();
        for part in sealed.chunks(length) {
            opener.push(part, &mut plain).ok()?;
        }
        opener.finish(&mut plain).ok().map(|()| plain)
    };
    let opened = in_parts(sealed.len().max(1));
    assert_eq!(opened, in_parts(7), "parts are opened otherwise than the whole");
    opened
}

/// A file in a tar archive.
fn file(name: &str, contents: &str) -> Vec<u8> {
    let mut head = vec![0; BLOCK];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[124..136].copy_from_slice(format!("{:011o}\0", contents.len()).as_bytes());
    head[148..156].fill(b' ');
    head[156] = b'0';
    head[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    head.extend_from_slice(contents.as_bytes());
    head.resize(head.len().next_multiple_of(BLOCK), 0);
    head
}

pub(super) fn archive_seeds() -> Vec<Seed> {
    let manifest = r#"{"format":"strongroom-archive","version":1,"tenant":{"id":"t","name":"T"},"made_at":"","collections":[
{"id":"col_00000000000000000000000000","name":"a","label":"A","purposes":[],"subject":"own","fields":[]}]}"#;
    let line = "{\"id\":\"rec_00000000000000000000000000\"}\n";
    let digest = HEXLOWER.encode(&sha256(&[&[0; 32], &sha256(&[line.as_bytes()])]));
    let end = format!(
        r#"{{"records":1,"collections":[{{"name":"a","records":1,"files":1,"digest":"{digest}"}}]}}"#
    );
    let (manifest, records, end) = (
        file("manifest.json", manifest),
        file("records/a/000001.ndjson", line),
        file("end.json", &end),
    );
    let nothing = vec![0; 2 * BLOCK];
    let whole = [vec![1], manifest.clone(), records.clone(), end.clone(), nothing.clone()].concat();
    let sealed = seal(b"a few words");
    let mut other = sealed.clone();
    *other.last_mut().unwrap() ^= 1;
    vec![
        ("read-age-file", [vec![0], sealed.clone()].concat()),
        ("read-sealed-and-changed", [&[2, 0, 0, 0, 9, 1], b"some words".as_slice()].concat()),
        ("read-sealed-and-cut", [&[2, 0, 0, 0, 99, 0], b"".as_slice()].concat()),
        ("read-archive", whole),
        ("refused-age-file-changed", [vec![0], other].concat()),
        ("refused-age-file-cut", [&[0], &sealed[..sealed.len() - 1]].concat()),
        ("refused-age-header-alone", [&[0], &sealed[..100]].concat()),
        (
            "refused-archive-without-end",
            [vec![1], manifest.clone(), records.clone(), nothing.clone()].concat(),
        ),
        (
            "refused-archive-without-records",
            [vec![1], manifest.clone(), end.clone(), nothing.clone()].concat(),
        ),
        (
            "refused-archive-twice",
            [vec![1], manifest, records.clone(), records, end, nothing].concat(),
        ),
        ("refused-nothing", Vec::new()),
    ]
}
