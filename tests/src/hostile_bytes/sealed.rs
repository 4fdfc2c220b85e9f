//! Sealed messages: nothing opens but what was sealed for its place, and what opens seals to the
//! same bytes again.

use strongroom_crypto::entry::{self, Entry, EntryPlace};
use strongroom_crypto::layout::Reader;
use strongroom_crypto::prf::{Cover, SEED_BYTES};
use strongroom_crypto::stream::{self, StreamReader};
use strongroom_crypto::{Context, Error, Key, MessagePurpose, record};
use strongroom_keyring::fuzzing::{node_context, node_keys};
use strongroom_model::{Plaintext, RecordId, SubjectId, TenantId};

use super::{KnownRng, Seed, Verdict, damaged, key, place};

/// First byte of an input whose rest is taken for sealed bytes, as they may be found on a disk. Any
/// other first byte is followed by `at u32 | change u8` and what is to be sealed, damaged and opened.
const AS_FOUND: u8 = 0;
/// The salts of sealed messages, which stand behind their header.
const SALT: std::ops::Range<usize> = Context::HEADER_BYTES..Context::HEADER_BYTES + 24;
/// Nonces of index entries.
const NONCE: usize = 12;

/// Rows, files and nodes: messages with a body in chunks.
pub fn sealed_stream(bytes: &[u8]) -> Verdict {
    let mut reader = Reader::new(bytes);
    let Some(form) = reader.u8() else { return Verdict::Refused };
    let is_file = form & 2 != 0;
    let place = place(if is_file { MessagePurpose::File } else { MessagePurpose::Row });
    if form == AS_FOUND {
        let sealed = reader.rest();
        let opened = stream::open(&key(), &place, sealed).ok();
        let in_parts = open_in_parts(&place, sealed);
        assert_eq!(opened.as_ref().map(Plaintext::expose), in_parts.as_ref());
        if let Some(plain) = &opened {
            let rng = KnownRng::of(&sealed[SALT]);
            assert_eq!(stream::seal(&key(), &place, plain.expose(), &rng).unwrap(), sealed);
        }
        return Verdict::of(opened.is_some());
    }
    let (Some(at), Some(change)) = (reader.u32(), reader.u8()) else { return Verdict::Refused };
    let plain = reader.rest();
    let sealed = stream::seal(&key(), &place, plain, &KnownRng::of(&[form; 24])).unwrap();
    assert!(stream::open(&key(), &place, &sealed).unwrap().expose() == plain);
    assert!(open_in_parts(&place, &sealed).unwrap() == plain);
    let wrong = damaged(&sealed, at, change);
    assert!(stream::open(&key(), &place, &wrong).is_err(), "a changed message opened");
    assert!(open_in_parts(&place, &wrong).is_none(), "a changed message opened in parts");
    let moved = Context { object: [9; 16], ..place };
    assert!(stream::open(&key(), &moved, &sealed).is_err(), "a moved message opened");
    Verdict::Read
}

/// The plaintext of a message that is opened chunk by chunk, the last one first.
fn open_in_parts(place: &Context, sealed: &[u8]) -> Option<Vec<u8>> {
    let part = |range: std::ops::Range<u64>| {
        sealed.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    };
    let length = sealed.len() as u64;
    let last = part(StreamReader::last_chunk(length).ok()?)?;
    let prelude = sealed.get(..stream::PRELUDE)?;
    let (reader, end) = StreamReader::begin(&key(), place, prelude, length, last).ok()?;
    let mut plain = Vec::new();
    for index in 0..reader.chunks() {
        let chunk = part(reader.chunk(index)?)?;
        plain.extend_from_slice(reader.open_chunk(index, chunk).ok()?.expose());
    }
    assert!(plain.ends_with(end.expose()) && plain.len() as u64 == reader.plaintext_length());
    Some(plain)
}

/// Record bodies, whose fields open one by one.
pub fn record_body(bytes: &[u8]) -> Verdict {
    let place = place(MessagePurpose::Record);
    let mut reader = Reader::new(bytes);
    let Some(form) = reader.u8() else { return Verdict::Refused };
    if form == AS_FOUND {
        let sealed = reader.rest();
        // The header names epoch and number before anything is known to be true.
        let peeked = Context::peek(sealed);
        let Some(fields) = open_record(&place, sealed) else { return Verdict::Refused };
        assert_eq!(peeked, Some((place.epoch, place.number)));
        let fields: Vec<_> = fields.iter().map(|(number, value)| (*number, &**value)).collect();
        let rng = KnownRng::of(&sealed[SALT]);
        assert_eq!(record::seal(&key(), &place, &fields, &rng).unwrap(), sealed);
        return Verdict::Read;
    }
    let (Some(at), Some(change)) = (reader.u32(), reader.u8()) else { return Verdict::Refused };
    let mut fields = read_fields(reader);
    let sealed = record::seal(&key(), &place, &fields, &KnownRng::of(&[form; 24]));
    fields.sort_by_key(|(number, _)| *number);
    let twice = fields.windows(2).any(|pair| pair[0].0 == pair[1].0);
    let reserved = fields.iter().any(|(number, _)| *number == record::DIRECTORY);
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(Error::Misuse(_)) if twice || reserved => return Verdict::Refused,
        Err(Error::TooLong) if fields.len() > record::FIELDS_MAX => return Verdict::Refused,
        Err(error) => panic!("not sealed: {error}"),
    };
    assert!(!twice && !reserved);
    let opened = open_record(&place, &sealed).unwrap();
    let opened: Vec<_> = opened.iter().map(|(number, value)| (*number, &**value)).collect();
    assert!(opened == fields, "a record opened to other fields");
    assert!(
        open_record(&place, &damaged(&sealed, at, change)).is_none(),
        "a changed record opened whole"
    );
    Verdict::Read
}

/// `(number u32 | length u16 | value)*`, the last value cut where the bytes end.
fn read_fields(mut reader: Reader<'_>) -> Vec<(u32, &[u8])> {
    let mut fields = Vec::new();
    while let (Some(number), Some(length)) = (reader.u32(), reader.u16()) {
        let length = usize::from(length).min(reader.rest().len());
        fields.push((number, reader.slice(length).unwrap()));
    }
    fields
}

/// All fields, if the record and each of them opens.
fn open_record(place: &Context, sealed: &[u8]) -> Option<Vec<(u32, Vec<u8>)>> {
    let open = record::open(&key(), place, sealed).ok()?;
    let numbers: Vec<u32> = open.fields().collect();
    // Numbers ascend: the first that is not its own place leaves that place free.
    let gap = numbers.iter().zip(0..).find(|(number, place)| *number != place);
    let absent = gap.map_or(u32::try_from(numbers.len()).unwrap(), |(_, place)| place);
    assert!(open.open_field(absent).unwrap().is_none(), "a field that is not there opened");
    numbers
        .into_iter()
        .map(|number| {
            let value = open.open_field(number).ok()?.expect("a field of the directory");
            Some((number, value.expose().clone()))
        })
        .collect()
}

/// Entries of index pages.
pub fn index_entry(bytes: &[u8]) -> Verdict {
    let place =
        EntryPlace { tenant: TenantId::from_bytes([2; 16]), index: 5, page: [6; 16], row: [7; 8] };
    let mut reader = Reader::new(bytes);
    let Some(form) = reader.u8() else { return Verdict::Refused };
    if form == AS_FOUND {
        let sealed = reader.rest();
        let opened = entry::open(&key(), &place, sealed).ok();
        if let Some(entry) = &opened {
            let rng = KnownRng::of(&sealed[..NONCE]);
            assert_eq!(entry::seal(&key(), &place, entry, &rng).unwrap(), sealed);
        }
        return Verdict::of(opened.is_some());
    }
    let (Some(at), Some(change)) = (reader.u32(), reader.u8()) else { return Verdict::Refused };
    let Some((tag, subject, record, version)) = read_entry(reader) else {
        return Verdict::Refused;
    };
    let entry = Entry::new(tag, subject, record, version);
    let sealed = entry::seal(&key(), &place, &entry, &KnownRng::of(&[form; NONCE])).unwrap();
    let opened = entry::open(&key(), &place, &sealed).unwrap();
    assert_eq!(
        (opened.tag, opened.subject(), opened.record(), opened.version),
        (tag, subject, record, version)
    );
    assert!(entry::open(&key(), &place, &damaged(&sealed, at, change)).is_err());
    let moved = EntryPlace { row: [8; 8], ..place };
    assert!(entry::open(&key(), &moved, &sealed).is_err(), "a moved entry opened");
    Verdict::Read
}

fn read_entry(mut reader: Reader<'_>) -> Option<([u8; 16], SubjectId, RecordId, u64)> {
    let entry = (
        reader.array()?,
        SubjectId::from_bytes(reader.array()?),
        RecordId::from_bytes(reader.array()?),
        reader.u64()?,
    );
    reader.end().map(|()| entry)
}

/// Nodes of the shred tree: 64 keys, no more and no fewer.
pub fn tree_node(bytes: &[u8]) -> Verdict {
    const NODE_BYTES: usize = 64 * Key::BYTES;
    let mut reader = Reader::new(bytes);
    let Some(form) = reader.u8() else { return Verdict::Refused };
    if form == AS_FOUND {
        return Verdict::of(node_keys(&key(), reader.rest()).is_some());
    }
    let clear = reader.rest();
    let rng = KnownRng::of(&[form; 24]);
    let sealed = stream::seal(&key(), &node_context(), clear, &rng).unwrap();
    let keys = node_keys(&key(), &sealed);
    assert_eq!(keys.is_some(), clear.len() == NODE_BYTES);
    let Some(keys) = keys else { return Verdict::Refused };
    let mut chunks = clear.chunks(Key::BYTES);
    for key in &keys {
        let expected = chunks.next().filter(|chunk| chunk.iter().any(|byte| *byte != 0));
        assert!(key.as_ref().map(|key| key.expose().as_slice()) == expected);
    }
    Verdict::Read
}

/// What is left of a punctured seed: `numbers to puncture u8 | (number u32)* | cover`.
pub fn punctured_seed(bytes: &[u8]) -> Verdict {
    const NUMBERS_MAX: u8 = 4;
    let mut reader = Reader::new(bytes);
    let Some(count) = reader.u8() else { return Verdict::Refused };
    let numbers: Option<Vec<u32>> = (0..count % (NUMBERS_MAX + 1)).map(|_| reader.u32()).collect();
    let Some(numbers) = numbers else { return Verdict::Refused };
    let Ok(mut cover) = Cover::decode(reader.rest()) else { return Verdict::Refused };
    assert!(cover.encode().expose() == reader.rest(), "a cover has two forms");
    assert_eq!(cover.seeds(), reader.rest().len() / SEED_BYTES);
    for number in numbers {
        let before = cover.key(number, None).is_ok();
        assert_eq!(before, !cover.is_punctured(number));
        cover.puncture(number);
        assert!(cover.is_punctured(number) && cover.key(number, None).is_err());
        let again = Cover::decode(cover.encode().expose()).unwrap();
        assert!(again.encode().expose() == cover.encode().expose());
    }
    Verdict::Read
}

fn after(first: &[u8], rest: &[u8]) -> Vec<u8> {
    [first, rest].concat()
}

pub(super) fn stream_seeds() -> Vec<Seed> {
    let row = place(MessagePurpose::Row);
    let short = stream::seal(&key(), &row, b"a row", &KnownRng::of(&[3; 24])).unwrap();
    let empty = stream::seal(&key(), &row, b"", &KnownRng::of(&[4; 24])).unwrap();
    let mut wrong = short.clone();
    wrong[stream::PRELUDE] ^= 1;
    vec![
        ("read-found-short", after(&[AS_FOUND], &short)),
        ("read-found-empty", after(&[AS_FOUND], &empty)),
        ("refused-found-changed", after(&[AS_FOUND], &wrong)),
        ("refused-found-cut", after(&[AS_FOUND], &short[..short.len() - 1])),
        ("refused-found-header-alone", after(&[AS_FOUND], &short[..Context::HEADER_BYTES])),
        ("read-sealed-cut", after(&[1, 0, 0, 0, 70, 0], b"plaintext")),
        ("read-sealed-changed", after(&[1, 0, 0, 0, 20, 1], b"plaintext")),
        ("read-sealed-file", after(&[2, 0, 0, 0, 90, 128], b"plaintext of a file")),
        ("read-sealed-file-of-chunks", after(&[3, 0, 0, 64, 200, 1], &[7; 20_000])),
    ]
}

pub(super) fn record_seeds() -> Vec<Seed> {
    let place = place(MessagePurpose::Record);
    let fields: [(u32, &[u8]); 3] = [(0, b"head"), (1, b"Ada"), (7, b"")];
    let sealed = record::seal(&key(), &place, &fields, &KnownRng::of(&[3; 24])).unwrap();
    let none = record::seal(&key(), &place, &[], &KnownRng::of(&[4; 24])).unwrap();
    let mut padded = sealed.clone();
    padded.extend_from_slice(&[0; record::BLOCK]);
    let mut wrong = sealed.clone();
    *wrong.last_mut().unwrap() = 1;
    let field = |number: u32, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap();
        [&number.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
    };
    let two = [field(2, b"Lovelace"), field(1, b"Ada")].concat();
    let twice = [field(2, b"Lovelace"), field(2, b"Ada")].concat();
    vec![
        ("read-found", after(&[AS_FOUND], &sealed)),
        ("read-found-without-fields", after(&[AS_FOUND], &none)),
        ("refused-found-with-more-padding", after(&[AS_FOUND], &padded)),
        ("refused-found-with-other-padding", after(&[AS_FOUND], &wrong)),
        ("refused-found-cut", after(&[AS_FOUND], &sealed[..100])),
        ("read-sealed", after(&[1, 0, 0, 0, 99, 1], &two)),
        ("read-sealed-cut", after(&[1, 0, 0, 0, 130, 0], &two)),
        ("refused-a-field-twice", after(&[1, 0, 0, 0, 1, 1], &twice)),
        ("refused-the-directory", after(&[1, 0, 0, 0, 1, 1], &field(record::DIRECTORY, b"x"))),
    ]
}

pub(super) fn entry_seeds() -> Vec<Seed> {
    let place =
        EntryPlace { tenant: TenantId::from_bytes([2; 16]), index: 5, page: [6; 16], row: [7; 8] };
    let entry =
        Entry::new([1; 16], SubjectId::from_bytes([2; 16]), RecordId::from_bytes([3; 16]), 4);
    let sealed = entry::seal(&key(), &place, &entry, &KnownRng::of(&[3; NONCE])).unwrap();
    let clear = [&[1; 16][..], &[2; 16], &[3; 16], &[0, 0, 0, 0, 0, 0, 0, 4]].concat();
    vec![
        ("read-found", after(&[AS_FOUND], &sealed)),
        ("refused-found-cut", after(&[AS_FOUND], &sealed[..sealed.len() - 1])),
        ("refused-found-longer", after(&[AS_FOUND], &after(&sealed, &[0]))),
        ("read-sealed", after(&[1, 0, 0, 0, 30, 1], &clear)),
        ("refused-short", after(&[1, 0, 0, 0, 30, 1], &clear[..40])),
    ]
}

pub(super) fn node_seeds() -> Vec<Seed> {
    let mut clear = vec![7; 64 * Key::BYTES];
    clear[3 * Key::BYTES..4 * Key::BYTES].fill(0);
    let sealed = stream::seal(&key(), &node_context(), &clear, &KnownRng::of(&[3; 24])).unwrap();
    vec![
        ("read-found", after(&[AS_FOUND], &sealed)),
        ("refused-found-cut", after(&[AS_FOUND], &sealed[..sealed.len() - 1])),
        ("read-sealed", after(&[1], &clear)),
        ("refused-a-key-short", after(&[1], &clear[Key::BYTES..])),
        ("refused-a-key-more", after(&after(&[1], &clear), &[1; Key::BYTES])),
    ]
}

pub(super) fn punctured_seeds() -> Vec<Seed> {
    let whole = Cover::from_seed(key());
    let mut punctured = Cover::from_seed(key());
    punctured.puncture(16);
    punctured.puncture(70_000);
    let punctured = punctured.encode().expose().clone();
    let swapped = [&punctured[SEED_BYTES..2 * SEED_BYTES], &punctured[..SEED_BYTES]].concat();
    vec![
        ("read-whole", after(&[1, 0, 0, 1, 0], whole.encode().expose())),
        ("read-punctured", after(&[2, 0, 0, 0, 17, 0, 1, 17, 112], &punctured)),
        ("read-nothing-left", vec![0]),
        ("refused-cut", after(&[0], &punctured[..punctured.len() - 1])),
        ("refused-out-of-order", after(&[0], &swapped)),
    ]
}
