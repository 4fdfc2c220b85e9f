//! What is sealed opens to the same, whatever it is; what is parsed is written with the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use strongroom_crypto::prf::{Cover, SEED_BYTES};
use strongroom_crypto::stream::StreamSealer;
use strongroom_crypto::{
    Error, Key, MessagePurpose, SystemRng, hash, record, root, seal_key, stream,
};
use strongroom_model::InstallId;

use crate::{Broken, Fixed, key, place};

proptest! {
    #[test]
    fn a_stream_opens_to_what_was_sealed(plaintext in proptest::collection::vec(any::<u8>(), 0..40_000)) {
        for purpose in [MessagePurpose::File, MessagePurpose::Row] {
            let sealed = stream::seal(&key(1), &place(purpose), &plaintext, &SystemRng::new()).unwrap();
            let opened = stream::open(&key(1), &place(purpose), &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &plaintext);
        }
    }

    #[test]
    fn a_stream_sealed_in_pieces_is_the_one_sealed_at_once(
        plaintext in proptest::collection::vec(any::<u8>(), 0..40_000),
        length in prop_oneof![Just(0usize), Just(16_384), Just(32_768), 0..40_000usize],
        mut cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let plaintext = &plaintext[..length.min(plaintext.len())];
        let (key, place) = (key(1), place(MessagePurpose::File));
        let at_once = stream::seal(&key, &place, plaintext, &Fixed(vec![8; 24])).unwrap();
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(plaintext.len() + 1)).collect();
        cuts.sort_unstable();
        let mut sealed = Vec::new();
        let mut sealer = StreamSealer::begin(&mut sealed, &key, &place, &Fixed(vec![8; 24])).unwrap();
        let mut begun = 0;
        for cut in cuts {
            sealer.push(&plaintext[begun..cut], &mut sealed).unwrap();
            begun = cut;
        }
        sealer.push(&plaintext[begun..], &mut sealed).unwrap();
        sealer.finish(&mut sealed).unwrap();
        prop_assert_eq!(sealed, at_once);
    }

    #[test]
    fn a_record_opens_to_what_was_sealed_whatever_the_order(
        fields in proptest::collection::btree_map(0..u32::MAX, proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        turn in 0usize..20,
    ) {
        let mut list: Vec<(u32, &[u8])> = fields.iter().map(|(n, value)| (*n, value.as_slice())).collect();
        let turn = turn.min(list.len());
        list.rotate_left(turn);
        let sealed = record::seal(&key(1), &place(MessagePurpose::Record), &list, &SystemRng::new()).unwrap();
        prop_assert_eq!((sealed.len() - 16) % record::BLOCK, 0);
        let open = record::open(&key(1), &place(MessagePurpose::Record), &sealed).unwrap();
        let read: BTreeMap<u32, Vec<u8>> = open
            .fields()
            .map(|number| (number, open.open_field(number).unwrap().unwrap().expose().clone()))
            .collect();
        prop_assert_eq!(read, fields);
    }

    #[test]
    fn bytes_that_nobody_sealed_do_not_open(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let place = place(MessagePurpose::Record);
        let sealed = [place.header16().as_slice(), &bytes].concat();
        prop_assert_eq!(stream::open(&key(1), &place, &sealed).err(), Some(Error::Damaged));
        prop_assert_eq!(record::open(&key(1), &place, &sealed).err(), Some(Error::Damaged));
        prop_assert!(seal_key::SealParameters::decode(&bytes).is_err());
    }

    #[test]
    fn a_punctured_number_has_no_key_and_every_other_keeps_its_own(
        gone in proptest::collection::btree_set(number(), 0..12),
        asked in proptest::collection::vec(number(), 1..12),
    ) {
        let fresh = Cover::from_seed(key(9));
        let mut cover = Cover::from_seed(key(9));
        puncture(&mut cover, gone.iter());
        let read = Cover::decode(&encoded(&cover)).unwrap();
        prop_assert_eq!(encoded(&read), encoded(&cover));
        for number in asked.iter().chain(&gone) {
            let before = fresh.key(*number, None).unwrap();
            for cover in [&cover, &read] {
                prop_assert_eq!(cover.is_punctured(*number), gone.contains(number));
                match cover.key(*number, None) {
                    Ok(key) => prop_assert!(key.is_same_as(&before) && !gone.contains(number)),
                    Err(_) => prop_assert!(gone.contains(number)),
                }
            }
        }
    }

    #[test]
    fn the_order_of_puncturing_leaves_no_trace(
        gone in proptest::collection::btree_set(number(), 0..12),
    ) {
        let mut one = Cover::from_seed(key(9));
        puncture(&mut one, gone.iter());
        let mut two = Cover::from_seed(key(9));
        puncture(&mut two, gone.iter().rev());
        puncture(&mut two, gone.iter());
        prop_assert_eq!(encoded(&one), encoded(&two));
    }

    #[test]
    fn a_range_is_punctured_as_its_numbers_are(start in number(), length in 0u32..300) {
        let range = start..=start.saturating_add(length);
        let mut one = Cover::from_seed(key(9));
        one.puncture_range(range.clone());
        let mut two = Cover::from_seed(key(9));
        puncture(&mut two, range.collect::<Vec<_>>().iter());
        prop_assert_eq!(encoded(&one), encoded(&two));
    }

    #[test]
    fn a_cover_with_any_changed_path_bit_is_another_cover_or_none(
        gone in proptest::collection::btree_set(number(), 1..4), bit in 0usize..48, pick in any::<prop::sample::Index>(),
    ) {
        let mut cover = Cover::from_seed(key(9));
        puncture(&mut cover, gone.iter());
        let mut bytes = encoded(&cover);
        let at = pick.index(cover.seeds()) * SEED_BYTES + bit / 8;
        bytes[at] ^= 1 << (bit % 8);
        if let Ok(read) = Cover::decode(&bytes) {
            prop_assert_eq!(encoded(&read), bytes);
        }
    }
}

#[test]
fn no_stream_begins_without_randomness() {
    let begun =
        StreamSealer::begin(&mut Vec::new(), &key(1), &place(MessagePurpose::File), &Broken);
    assert_eq!(begun.err(), Some(Error::NoRandomness));
}

#[test]
fn a_hash_of_pieces_is_that_of_the_whole() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    for length in [0, 1, 55, 56, 64, 65, 1000] {
        let (one, two) = bytes[..length].split_at(length / 3);
        let mut hasher = hash::Hasher::new();
        hasher.update(one);
        hasher.update(two);
        assert_eq!(hasher.finish(), hash::sha256(&[&bytes[..length]]), "{length}");
    }
}

fn puncture<'a>(cover: &mut Cover, numbers: impl Iterator<Item = &'a u32>) {
    for number in numbers {
        cover.puncture(*number);
    }
}

fn encoded(cover: &Cover) -> Vec<u8> {
    cover.encode().expose().clone()
}

/// Numbers of every length of the code, and those at their borders.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..=40u32,
        0xf0..=0x110u32,
        0xfff0..=0x1_0010u32,
        0xffff_fff0..=u32::MAX,
        any::<u32>(),
    ]
}

#[test]
fn a_whole_length_of_the_code_is_punctured_at_little_cost() {
    let mut cover = Cover::from_seed(key(9));
    cover.puncture_range(0..=0xff);
    assert_eq!(cover.seeds(), 1);
    cover.puncture_range(0..=0xffff);
    assert!(cover.seeds() <= 1 + 1);
    cover.puncture_range(0..=u32::MAX);
    assert!((0..=300).chain([0xffff, 0x1_0000, u32::MAX]).all(|number| cover.is_punctured(number)));
    let kept = cover.seeds();
    assert!(kept <= 32, "the leaves that no number has are left: {kept}");
}

#[test]
fn an_empty_range_punctures_nothing() {
    let mut cover = Cover::from_seed(key(9));
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
    cover.puncture_range(5..=4);
    assert_eq!(cover.seeds(), 1);
    assert!(!cover.is_punctured(4) && !cover.is_punctured(5));
}

#[test]
fn only_the_canonical_form_of_a_cover_is_read() {
    let mut cover = Cover::from_seed(key(9));
    cover.puncture(21);
    let bytes = encoded(&cover);
    let seeds: Vec<&[u8]> = bytes.chunks(SEED_BYTES).collect();
    let damaged =
        |parts: Vec<&[u8]>| assert_eq!(Cover::decode(&parts.concat()).err(), Some(Error::Damaged));
    damaged(vec![&bytes, &[0]]);
    damaged(vec![&bytes[..bytes.len() - 1]]);
    damaged(seeds.iter().rev().copied().collect());
    damaged(vec![seeds[0], seeds[0]]);
    // The root is a prefix of everything.
    let root = [&[0; 6], [1; 32].as_slice()].concat();
    assert!(Cover::decode(&root).is_ok());
    damaged(vec![&root, seeds[0]]);
    damaged(vec![seeds[0], &root]);
    // A set bit after the path's end; a path longer than its class.
    let seed = |path: [u8; 6]| [path.as_slice(), &[1; 32]].concat();
    assert!(Cover::decode(&seed([1, 0x80, 0, 0, 0, 0])).is_ok());
    damaged(vec![&seed([1, 0xc0, 0, 0, 0, 0])]);
    damaged(vec![&seed([0, 0x80, 0, 0, 0, 0])]);
    assert!(Cover::decode(&seed([9, 0, 0, 0, 0, 0])).is_ok());
    damaged(vec![&seed([10, 0, 0, 0, 0, 0])]);
    assert!(Cover::decode(&seed([18, 0x80, 0, 0, 0, 0])).is_ok());
    damaged(vec![&seed([19, 0x80, 0, 0, 0, 0])]);
    assert!(Cover::decode(&seed([34, 0xc0, 0, 0, 0, 0])).is_ok());
    damaged(vec![&seed([35, 0xc0, 0, 0, 0, 0])]);
    damaged(vec![&seed([255, 0xc0, 0, 0, 0, 0])]);
}

#[test]
fn no_seed_of_a_cover_leads_to_a_punctured_number() {
    // Every seed that is left, made a cover of its own, gives only keys of numbers that are left.
    let mut cover = Cover::from_seed(key(9));
    let gone: BTreeSet<u32> = [0, 16, 17, 255, 256, 70_000].into();
    puncture(&mut cover, gone.iter());
    let bytes = encoded(&cover);
    for seed in bytes.chunks(SEED_BYTES) {
        let alone = Cover::decode(seed).unwrap();
        assert!(gone.iter().all(|number| alone.key(*number, None).is_err()));
    }
}

#[test]
fn a_root_needs_every_share_in_order() {
    let (one, two) = (key(1), key(2));
    let install = InstallId::from_bytes([1; 16]);
    let derive = |number, shares: &[(u8, &Key)]| root::derive(install, number, shares);
    let root = derive(7, &[(1, &one), (3, &two)]).unwrap();
    for other in [
        derive(8, &[(1, &one), (3, &two)]),
        derive(7, &[(1, &one)]),
        derive(7, &[(3, &two)]),
        derive(7, &[(1, &two), (3, &one)]),
        derive(7, &[(1, &one), (2, &two)]),
        root::derive(InstallId::from_bytes([2; 16]), 7, &[(1, &one), (3, &two)]),
    ] {
        assert!(!other.unwrap().is_same_as(&root));
    }
    for refused in
        [derive(7, &[]), derive(7, &[(3, &two), (1, &one)]), derive(7, &[(1, &one), (1, &two)])]
    {
        assert!(matches!(refused, Err(Error::Misuse(_))));
    }
}
