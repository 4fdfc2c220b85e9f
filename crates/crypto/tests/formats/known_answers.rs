//! Messages made by another implementation: each known answer is made again and opened, each
//! message that must fail fails.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha3::Shake256;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use strongroom_crypto::entry::{self, Entry, EntryPlace};
use strongroom_crypto::line::{self, Prefix};
use strongroom_crypto::prf::Cover;
use strongroom_crypto::{Context, Error, Key, MessagePurpose, hash, record, root, stream};
use strongroom_model::{InstallId, RecordId, SubjectId, TenantId};

use crate::Fixed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    prf: Prf,
    root: Vec<Root>,
    stream: Vec<Stream>,
    record: Vec<Record>,
    record_must_fail: Vec<MustFail>,
    entry: Vec<SealedEntry>,
    line: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prf {
    seed: Hex,
    collection_key: Hex,
    keys: Vec<NumberKey>,
    cover_after_puncturing_21_and_300: Vec<CoverSeed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberKey {
    number: u32,
    key: Hex,
    key_without_collection: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoverSeed {
    path: String,
    seed: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    install: Hex,
    generation: u64,
    shares: BTreeMap<u8, Hex>,
    #[serde(rename = "root")]
    expected: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    name: Option<String>,
    length: Option<usize>,
    key: Hex,
    context: Hex,
    header: Hex,
    plaintext_rule: String,
    salt: Hex,
    body_sha256: Option<Hex>,
    body: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    name: String,
    key: Hex,
    context: Hex,
    header: Hex,
    salt: Hex,
    fields: BTreeMap<u32, Hex>,
    body: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MustFail {
    name: String,
    key: Hex,
    context: Hex,
    header: Hex,
    #[expect(dead_code, reason = "the salt stands in the body too")]
    salt: Hex,
    body: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedEntry {
    page_key: Hex,
    nonce: Hex,
    tenant: Hex,
    index: u32,
    page: Hex,
    row: Hex,
    entry: Hex,
    sealed: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    audit_key: Hex,
    tenant: Hex,
    node: u32,
    n: u64,
    time_us: u64,
    previous_tag: Hex,
    #[serde(rename = "line")]
    clear: Hex,
    sealed: Hex,
}

/// Bytes written in hexadecimal.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        HEXLOWER.decode(text.as_bytes()).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Hex {
    fn key(&self) -> Key {
        Key::from_slice(&self.0).unwrap()
    }

    fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }

    /// The place whose context these 96 bytes are.
    fn context(&self) -> Context {
        let bytes: [u8; 96] = self.array();
        let purpose = crate::PURPOSES.into_iter().find(|known| known.number() == bytes[4]);
        let context = Context {
            purpose: purpose.unwrap(),
            epoch: u16::from_be_bytes(bytes[6..8].try_into().unwrap()),
            install: InstallId::from_bytes(bytes[8..24].try_into().unwrap()),
            tenant: TenantId::from_bytes(bytes[24..40].try_into().unwrap()),
            subject: bytes[40..56].try_into().unwrap(),
            object: bytes[56..72].try_into().unwrap(),
            collection: u32::from_be_bytes(bytes[72..76].try_into().unwrap()),
            index: u64::from_be_bytes(bytes[76..84].try_into().unwrap()),
            number: u32::from_be_bytes(bytes[84..88].try_into().unwrap()),
            version: u64::from_be_bytes(bytes[88..].try_into().unwrap()),
        };
        assert_eq!(context.ctx96(), bytes);
        context
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../vectors/sealed-messages.json")).unwrap()
}

#[test]
fn keys_of_numbers_are_those_of_the_other_implementation() {
    let prf = vectors().prf;
    assert_eq!(prf.keys.len(), 10);
    let cover = Cover::from_seed(prf.seed.key());
    for vector in &prf.keys {
        let collection = prf.collection_key.key();
        let with = cover.key(vector.number, Some(&collection)).unwrap();
        assert_eq!(with.expose().as_slice(), vector.key.0, "{}", vector.number);
        let without = cover.key(vector.number, None).unwrap();
        assert_eq!(without.expose().as_slice(), vector.key_without_collection.0);
    }
}

#[test]
fn the_cover_after_puncturing_is_that_of_the_other_implementation() {
    let prf = vectors().prf;
    let expected = prf.cover_after_puncturing_21_and_300;
    assert_eq!(expected.len(), 25);
    let mut cover = Cover::from_seed(prf.seed.key());
    cover.puncture(21);
    cover.puncture(300);
    let mut bytes = Vec::new();
    for seed in &expected {
        let mut bits = u64::from_str_radix(&seed.path, 2).unwrap();
        bits <<= 40 - seed.path.len();
        bytes.push(u8::try_from(seed.path.len()).unwrap());
        bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
        bytes.extend_from_slice(&seed.seed.0);
    }
    assert_eq!(cover.encode().expose(), &bytes);
}

#[test]
fn roots_are_those_of_the_other_implementation() {
    let roots = vectors().root;
    assert_eq!(roots.len(), 2);
    for vector in roots {
        let shares: Vec<(u8, Key)> =
            vector.shares.iter().map(|(class, share)| (*class, share.key())).collect();
        let shares: Vec<(u8, &Key)> = shares.iter().map(|(class, key)| (*class, key)).collect();
        let install = InstallId::from_bytes(vector.install.array());
        let root = root::derive(install, vector.generation, &shares).unwrap();
        assert_eq!(root.expose().as_slice(), vector.expected.0);
    }
}

#[test]
fn stream_messages_are_those_of_the_other_implementation() {
    let streams = vectors().stream;
    assert_eq!(streams.len(), 8);
    for vector in streams {
        let plaintext = if let Some(length) = vector.length {
            assert_eq!(vector.plaintext_rule, "SHAKE-256('plain<length>')");
            shake(&format!("plain{length}"), length)
        } else {
            assert_eq!(vector.name.as_deref(), Some("node"));
            assert_eq!(vector.plaintext_rule, "64 x SHA-256('child<i>')");
            (0..64).flat_map(|i| hash::sha256(&[format!("child{i}").as_bytes()])).collect()
        };
        let context = vector.context.context();
        assert_eq!(context.header16().as_slice(), vector.header.0);
        let key = vector.key.key();
        let sealed = stream::seal(&key, &context, &plaintext, &Fixed(vector.salt.0)).unwrap();
        let body = &sealed[Context::HEADER_BYTES..];
        assert!(vector.body.is_some() || vector.body_sha256.is_some());
        if let Some(expected) = vector.body {
            assert_eq!(body, expected.0);
        }
        if let Some(expected) = vector.body_sha256 {
            assert_eq!(hash::sha256(&[body]).as_slice(), expected.0);
        }
        assert_eq!(stream::open(&key, &context, &sealed).unwrap().expose(), &plaintext);
    }
}

#[test]
fn record_messages_are_those_of_the_other_implementation() {
    let records = vectors().record;
    assert_eq!(records.len(), 4);
    for vector in records {
        let context = vector.context.context();
        assert_eq!(context.purpose, MessagePurpose::Record);
        let key = vector.key.key();
        let fields: Vec<(u32, &[u8])> =
            vector.fields.iter().map(|(number, value)| (*number, value.0.as_slice())).collect();
        let sealed = record::seal(&key, &context, &fields, &Fixed(vector.salt.0)).unwrap();
        assert_eq!(sealed, [vector.header.0, vector.body.0].concat(), "{}", vector.name);
        let open = record::open(&key, &context, &sealed).unwrap();
        assert_eq!(
            open.fields().collect::<Vec<_>>(),
            vector.fields.keys().copied().collect::<Vec<_>>()
        );
        for (number, value) in fields {
            let field = open.open_field(number).unwrap().unwrap();
            assert_eq!(field.expose(), value, "{} {number}", vector.name);
        }
    }
}

#[test]
fn record_messages_that_must_fail_fail() {
    let records = vectors().record_must_fail;
    assert_eq!(records.len(), 10);
    for vector in records {
        let context = vector.context.context();
        let sealed = [vector.header.0, vector.body.0].concat();
        let opened = record::open(&vector.key.key(), &context, &sealed);
        assert_eq!(opened.err(), Some(Error::Damaged), "{}", vector.name);
    }
}

#[test]
fn index_entries_are_those_of_the_other_implementation() {
    let entries = vectors().entry;
    assert_eq!(entries.len(), 1);
    for vector in entries {
        let place = EntryPlace {
            tenant: TenantId::from_bytes(vector.tenant.array()),
            index: vector.index,
            page: vector.page.array(),
            row: vector.row.array(),
        };
        let clear = vector.entry.0;
        let entry = Entry::new(
            clear[..16].try_into().unwrap(),
            SubjectId::from_bytes(clear[16..32].try_into().unwrap()),
            RecordId::from_bytes(clear[32..48].try_into().unwrap()),
            u64::from_be_bytes(clear[48..].try_into().unwrap()),
        );
        let key = vector.page_key.key();
        let sealed = entry::seal(&key, &place, &entry, &Fixed(vector.nonce.0)).unwrap();
        assert_eq!(sealed, vector.sealed.0);
        assert_eq!(sealed.len(), entry::SEALED);
        assert!(entry::open(&key, &place, &sealed).unwrap() == entry);
    }
}

#[test]
fn audit_lines_are_those_of_the_other_implementation() {
    let lines = vectors().line;
    assert_eq!(lines.len(), 2);
    for vector in lines {
        let prefix = Prefix {
            tenant: TenantId::from_bytes(vector.tenant.array()),
            node: vector.node,
            n: vector.n,
            time_us: vector.time_us,
        };
        let (key, previous) = (vector.audit_key.key(), vector.previous_tag.array());
        let sealed = line::seal(&key, &prefix, &previous, &vector.clear.0).unwrap();
        assert_eq!(sealed, vector.sealed.0);
        let (read, line) = line::open(&key, &previous, &sealed).unwrap();
        assert_eq!((read, line.expose()), (prefix, &vector.clear.0));
    }
}

fn shake(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hash = Shake256::default();
    hash.update(seed.as_bytes());
    hash.finalize_xof().read(&mut bytes);
    bytes
}
