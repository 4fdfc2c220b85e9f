//! What was sealed for one place does not open in another: every part of a place, one by one and
//! two by two, and every value moved into another part.

use strongroom_crypto::entry::{self, Entry, EntryPlace};
use strongroom_crypto::line::{self, NO_PREVIOUS, Prefix};
use strongroom_crypto::{Context, Error, MessagePurpose, SystemRng, record, stream};
use strongroom_model::{InstallId, RecordId, SubjectId, TenantId};

use crate::{PURPOSES, key, place};

/// Something that makes a place another one, with its name.
type Change = (&'static str, fn(&mut Context));

/// Every part of a place with a change to it.
const CHANGES: [Change; 10] = [
    ("purpose", |place| {
        place.purpose = match place.purpose {
            MessagePurpose::Row => MessagePurpose::Node,
            _ => MessagePurpose::Row,
        }
    }),
    ("epoch", |place| place.epoch += 1),
    ("install", |place| place.install = InstallId::from_bytes([0x12; 16])),
    ("tenant", |place| place.tenant = TenantId::from_bytes([0x23; 16])),
    ("subject", |place| place.subject[15] ^= 1),
    ("object", |place| place.object[0] ^= 0x80),
    ("collection", |place| place.collection += 1),
    ("index", |place| place.index += 1),
    ("number", |place| place.number += 1),
    ("version", |place| place.version += 1),
];

/// Every two neighbouring parts of one size, swapped.
const SWAPS: [Change; 6] = [
    ("install and tenant", |place| {
        let install = *place.install.as_bytes();
        place.install = InstallId::from_bytes(*place.tenant.as_bytes());
        place.tenant = TenantId::from_bytes(install);
    }),
    ("tenant and subject", |place| {
        let tenant = *place.tenant.as_bytes();
        place.tenant = TenantId::from_bytes(place.subject);
        place.subject = tenant;
    }),
    ("install and subject", |place| {
        let install = *place.install.as_bytes();
        place.install = InstallId::from_bytes(place.subject);
        place.subject = install;
    }),
    ("subject and object", |place| std::mem::swap(&mut place.subject, &mut place.object)),
    ("collection and number", |place| std::mem::swap(&mut place.collection, &mut place.number)),
    ("index and version", |place| std::mem::swap(&mut place.index, &mut place.version)),
];

#[test]
fn a_message_moved_to_any_other_place_does_not_open() {
    let mut moves = 0;
    for purpose in PURPOSES {
        let home = place(purpose);
        let file = stream::seal(&key(1), &home, b"canary", &SystemRng::new()).unwrap();
        let fields: [(u32, &[u8]); 1] = [(1, b"canary")];
        let row = record::seal(&key(1), &home, &fields, &SystemRng::new()).unwrap();
        let all = CHANGES.iter().chain(&SWAPS);
        for (first_name, first) in all.clone() {
            for (second_name, second) in all.clone() {
                let mut away = home;
                first(&mut away);
                if first_name != second_name {
                    second(&mut away);
                }
                assert_ne!(away, home);
                moves += 1;
                // With the header it was sealed with, and with the one that the place expects.
                for header in [home.header16(), away.header16()] {
                    let file = [&header, &file[16..]].concat();
                    let opened = stream::open(&key(1), &away, &file);
                    assert_eq!(opened.err(), Some(Error::Damaged), "{first_name}, {second_name}");
                    let row = [&header, &row[16..]].concat();
                    let opened = record::open(&key(1), &away, &row);
                    assert_eq!(opened.err(), Some(Error::Damaged), "{first_name}, {second_name}");
                }
            }
        }
        assert!(stream::open(&key(1), &home, &file).is_ok());
        assert!(record::open(&key(1), &home, &row).is_ok());
    }
    assert_eq!(moves, 6 * 16 * 16);
}

#[test]
fn a_message_does_not_open_under_another_key() {
    let home = place(MessagePurpose::Record);
    let file = stream::seal(&key(1), &home, b"canary", &SystemRng::new()).unwrap();
    let row = record::seal(&key(1), &home, &[], &SystemRng::new()).unwrap();
    assert_eq!(stream::open(&key(2), &home, &file).err(), Some(Error::Damaged));
    assert_eq!(record::open(&key(2), &home, &row).err(), Some(Error::Damaged));
}

#[test]
fn a_record_does_not_open_as_a_stream_nor_a_stream_as_a_record() {
    let home = place(MessagePurpose::Record);
    let file = stream::seal(&key(1), &home, &[0; 100], &SystemRng::new()).unwrap();
    let row = record::seal(&key(1), &home, &[(1, &[0; 100])], &SystemRng::new()).unwrap();
    assert_eq!(record::open(&key(1), &home, &file).err(), Some(Error::Damaged));
    assert_eq!(stream::open(&key(1), &home, &row).err(), Some(Error::Damaged));
}

#[test]
fn two_messages_with_the_same_content_share_no_bytes_but_the_header() {
    let home = place(MessagePurpose::Row);
    let seal = || stream::seal(&key(1), &home, &[0; 64], &SystemRng::new()).unwrap();
    let (one, two) = (seal(), seal());
    assert_eq!(one[..16], two[..16]);
    for at in (16..one.len() - 8).step_by(8) {
        assert_ne!(one[at..at + 8], two[at..at + 8]);
    }
}

#[test]
fn an_index_entry_moved_to_another_place_does_not_open() {
    let home =
        EntryPlace { tenant: TenantId::from_bytes([2; 16]), index: 9, page: [3; 16], row: [4; 8] };
    let entry =
        Entry::new([1; 16], SubjectId::from_bytes([5; 16]), RecordId::from_bytes([6; 16]), 7);
    let sealed = entry::seal(&key(1), &home, &entry, &SystemRng::new()).unwrap();
    for away in [
        EntryPlace { tenant: TenantId::from_bytes([3; 16]), ..home },
        EntryPlace { index: 10, ..home },
        EntryPlace { page: [2; 16], ..home },
        EntryPlace { row: [5; 8], ..home },
        EntryPlace {
            tenant: TenantId::from_bytes(home.page),
            page: *home.tenant.as_bytes(),
            ..home
        },
    ] {
        assert_eq!(entry::open(&key(1), &away, &sealed).err(), Some(Error::Damaged));
    }
    assert_eq!(entry::open(&key(2), &home, &sealed).err(), Some(Error::Damaged));
    let opened = entry::PageReader::new(&key(1)).open(&home, &sealed).unwrap();
    assert!(opened == entry && opened.subject() == SubjectId::from_bytes([5; 16]));
}

#[test]
fn an_audit_line_moved_in_the_chain_does_not_open() {
    let prefix = |n| Prefix { tenant: TenantId::from_bytes([2; 16]), node: 3, n, time_us: 5 };
    let first = line::seal(&key(1), &prefix(0), &NO_PREVIOUS, b"one").unwrap();
    let second = line::seal(&key(1), &prefix(1), &line::tag(&first).unwrap(), b"two").unwrap();
    assert_eq!(line::open(&key(1), &NO_PREVIOUS, &second).err(), Some(Error::Damaged));
    assert_eq!(line::open(&key(2), &NO_PREVIOUS, &first).err(), Some(Error::Damaged));
    let other = line::seal(&key(1), &prefix(0), &NO_PREVIOUS, b"ten").unwrap();
    let after_other = line::open(&key(1), &line::tag(&other).unwrap(), &second);
    assert_eq!(after_other.err(), Some(Error::Damaged));
    assert!(line::open(&key(1), &line::tag(&first).unwrap(), &second).is_ok());
    assert_eq!(line::tag(&first[..51]), Err(Error::Damaged));
}

#[test]
fn a_header_names_epoch_and_number_and_nothing_else_passes_for_one() {
    let home = place(MessagePurpose::Record);
    let sealed = record::seal(&key(1), &home, &[], &SystemRng::new()).unwrap();
    assert_eq!(Context::peek(&sealed), Some((home.epoch, home.number)));
    for at in 0..4 {
        let mut other = sealed.clone();
        other[at] ^= 1;
        assert_eq!(Context::peek(&other), None);
    }
    assert_eq!(Context::peek(&sealed[..15]), None);
}
