//! Any changed, missing or added byte fails, always with the one error.

use strongroom_crypto::entry::{self, Entry, EntryPlace};
use strongroom_crypto::line::{self, NO_PREVIOUS, Prefix};
use strongroom_crypto::stream::StreamReader;
use strongroom_crypto::{Error, Key, MessagePurpose, SystemRng, record, stream};
use strongroom_model::{RecordId, SubjectId, TenantId};

use crate::{Broken, PURPOSES, key, place};

/// Opens the message as it is, then with every bit flipped, cut at every length, and longer.
fn check<T>(sealed: &[u8], open: impl Fn(&[u8]) -> Result<T, Error>) {
    assert!(open(sealed).is_ok());
    for bit in 0..sealed.len() * 8 {
        let mut other = sealed.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&other).err(), Some(Error::Damaged), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert_eq!(open(&sealed[..length]).err(), Some(Error::Damaged), "cut at {length}");
    }
    for more in [1, 15, 16, 48, 64] {
        let longer = [sealed, &vec![0; more]].concat();
        assert_eq!(open(&longer).err(), Some(Error::Damaged), "{more} more");
    }
}

#[test]
fn any_changed_bit_of_a_stream_fails() {
    for purpose in PURPOSES {
        for plaintext in [&b""[..], b"a canary"] {
            let (key, place) = (key(1), place(purpose));
            let sealed = stream::seal(&key, &place, plaintext, &SystemRng::new()).unwrap();
            check(&sealed, |sealed| stream::open(&key, &place, sealed));
        }
    }
}

#[test]
fn any_changed_byte_of_a_file_of_several_chunks_fails() {
    let (key, place) = (key(1), place(MessagePurpose::File));
    let sealed = stream::seal(&key, &place, &vec![7; 16 * 1024 + 9], &SystemRng::new()).unwrap();
    for at in (0..100)
        .chain((100..sealed.len() - 100).step_by(97))
        .chain(sealed.len() - 100..sealed.len())
    {
        let mut other = sealed.clone();
        other[at] ^= 0x40;
        assert_eq!(stream::open(&key, &place, &other).err(), Some(Error::Damaged), "byte {at}");
    }
}

#[test]
fn any_changed_bit_of_a_record_fails() {
    let (key, place) = (key(2), place(MessagePurpose::Record));
    let fields: [(u32, &[u8]); 3] = [(0, b"head"), (7, b"Ada"), (9, b"")];
    let sealed = record::seal(&key, &place, &fields, &SystemRng::new()).unwrap();
    check(&sealed, |sealed| {
        let open = record::open(&key, &place, sealed)?;
        open.fields().try_for_each(|field| open.open_field(field).map(drop))
    });
}

#[test]
fn a_changed_field_fails_alone() {
    let (key, place) = (key(2), place(MessagePurpose::Record));
    let fields: [(u32, &[u8]); 2] = [(0, b"head"), (7, b"Ada")];
    let mut sealed = record::seal(&key, &place, &fields, &SystemRng::new()).unwrap();
    let head = 16 + 24 + 32 + 2 + (2 + 16 + 16);
    sealed[head + 4 + 16] ^= 1;
    let open = record::open(&key, &place, &sealed).unwrap();
    assert_eq!(open.open_field(0).unwrap().unwrap().expose(), b"head");
    assert_eq!(open.open_field(7).err(), Some(Error::Damaged));
    assert!(open.open_field(8).unwrap().is_none());
}

#[test]
fn fields_of_one_record_do_not_stand_in_for_each_other() {
    let (key, place) = (key(2), place(MessagePurpose::Record));
    let fields: [(u32, &[u8]); 2] = [(3, b"one"), (4, b"two")];
    let mut sealed = record::seal(&key, &place, &fields, &SystemRng::new()).unwrap();
    let start = 16 + 24 + 32 + 2 + (2 + 16 + 16);
    let (one, two) = sealed[start..start + 38].split_at_mut(19);
    one.swap_with_slice(two);
    let open = record::open(&key, &place, &sealed).unwrap();
    assert_eq!(open.open_field(3).err(), Some(Error::Damaged));
    assert_eq!(open.open_field(4).err(), Some(Error::Damaged));
}

#[test]
fn a_record_with_a_field_twice_or_the_directorys_number_is_not_sealed() {
    let (key, place) = (key(2), place(MessagePurpose::Record));
    for fields in [
        vec![(3, &b"a"[..]), (3, b"a")],
        vec![(3, &b"a"[..]), (1, b""), (3, b"b")],
        vec![(record::DIRECTORY, &b"a"[..])],
    ] {
        let sealed = record::seal(&key, &place, &fields, &SystemRng::new());
        assert!(matches!(sealed, Err(Error::Misuse(_))));
    }
}

#[test]
fn a_record_has_as_many_fields_as_its_directory_has_room_for() {
    let (key, place) = (key(2), place(MessagePurpose::Record));
    let numbers = |count: usize| {
        (0..u32::try_from(count).unwrap()).map(|n| (n, &b"x"[..])).collect::<Vec<_>>()
    };
    let most = record::seal(&key, &place, &numbers(record::FIELDS_MAX), &SystemRng::new()).unwrap();
    assert_eq!(record::open(&key, &place, &most).unwrap().fields().count(), record::FIELDS_MAX);
    let more = record::seal(&key, &place, &numbers(record::FIELDS_MAX + 1), &SystemRng::new());
    assert_eq!(more.err(), Some(Error::TooLong));
}

#[test]
fn any_changed_bit_of_an_index_entry_fails() {
    let place =
        EntryPlace { tenant: TenantId::from_bytes([2; 16]), index: 9, page: [3; 16], row: [4; 8] };
    let entry =
        Entry::new([1; 16], SubjectId::from_bytes([5; 16]), RecordId::from_bytes([6; 16]), 7);
    let sealed = entry::seal(&key(3), &place, &entry, &SystemRng::new()).unwrap();
    check(&sealed, |sealed| entry::open(&key(3), &place, sealed));
}

#[test]
fn any_changed_bit_of_an_audit_line_fails() {
    let prefix = Prefix { tenant: TenantId::from_bytes([2; 16]), node: 3, n: 4, time_us: 5 };
    let sealed = line::seal(&key(4), &prefix, &NO_PREVIOUS, b"line").unwrap();
    check(&sealed, |sealed| line::open(&key(4), &NO_PREVIOUS, sealed));
    for bit in 0..128 {
        let mut previous = NO_PREVIOUS;
        previous[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(line::open(&key(4), &previous, &sealed).err(), Some(Error::Damaged));
    }
}

#[test]
fn nothing_is_sealed_without_randomness() {
    let record = place(MessagePurpose::Record);
    assert_eq!(Key::generate(&Broken).err(), Some(Error::NoRandomness));
    assert_eq!(stream::seal(&key(1), &record, b"x", &Broken).err(), Some(Error::NoRandomness));
    assert_eq!(record::seal(&key(1), &record, &[], &Broken).err(), Some(Error::NoRandomness));
    let place = EntryPlace { tenant: TenantId::PROVIDER, index: 0, page: [0; 16], row: [0; 8] };
    let entry =
        Entry::new([1; 16], SubjectId::from_bytes([5; 16]), RecordId::from_bytes([6; 16]), 7);
    assert_eq!(entry::seal(&key(3), &place, &entry, &Broken).err(), Some(Error::NoRandomness));
}

/// Reads all chunks through a reader.
fn read_by_chunks(key: &Key, sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let place = place(MessagePurpose::File);
    let at = |range: std::ops::Range<u64>| {
        &sealed[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    };
    let length = sealed.len() as u64;
    let last = at(StreamReader::last_chunk(length)?);
    let prelude = &sealed[..stream::PRELUDE];
    let (reader, end) = StreamReader::begin(key, &place, prelude, length, last)?;
    let mut plaintext = Vec::new();
    for index in 0..reader.chunks() - 1 {
        let chunk = at(reader.chunk(index).unwrap());
        plaintext.extend_from_slice(reader.open_chunk(index, chunk)?.expose());
    }
    plaintext.extend_from_slice(end.expose());
    assert_eq!(reader.plaintext_length(), plaintext.len() as u64);
    assert_eq!(reader.chunk(reader.chunks()), None);
    Ok(plaintext)
}

#[test]
fn a_file_read_by_chunks_is_the_file() {
    for length in [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 50_000, 64 * 1024] {
        let plaintext: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let place = place(MessagePurpose::File);
        let sealed = stream::seal(&key(1), &place, &plaintext, &SystemRng::new()).unwrap();
        assert_eq!(read_by_chunks(&key(1), &sealed), Ok(plaintext), "{length}");
    }
}

#[test]
fn a_file_cut_at_a_chunks_end_is_not_served_from_its_beginning() {
    let place = place(MessagePurpose::File);
    let sealed = stream::seal(&key(1), &place, &vec![1; 3 * 16 * 1024], &SystemRng::new()).unwrap();
    let chunk = 16 * 1024 + 16;
    for chunks in 1..=3 {
        let cut = &sealed[..stream::PRELUDE + chunks * chunk];
        assert_eq!(read_by_chunks(&key(1), cut), Err(Error::Damaged), "{chunks} chunks");
        assert_eq!(stream::open(&key(1), &place, cut).err(), Some(Error::Damaged));
        let shortened = &cut[..cut.len() - 5];
        assert_eq!(read_by_chunks(&key(1), shortened), Err(Error::Damaged), "{chunks} chunks");
    }
}

#[test]
fn chunks_do_not_stand_in_for_each_other() {
    let place = place(MessagePurpose::File);
    let mut swapped = stream::seal(&key(1), &place, &vec![1; 40_000], &SystemRng::new()).unwrap();
    let chunk = 16 * 1024 + 16;
    let (one, two) = swapped[stream::PRELUDE..stream::PRELUDE + 2 * chunk].split_at_mut(chunk);
    one.swap_with_slice(two);
    assert_eq!(stream::open(&key(1), &place, &swapped).err(), Some(Error::Damaged));
    assert_eq!(read_by_chunks(&key(1), &swapped), Err(Error::Damaged));
}
