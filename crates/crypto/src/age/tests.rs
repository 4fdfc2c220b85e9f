//! What is sealed is opened by those for whom it is, whole or not at all.

use super::*;
use crate::{Error, SystemRng};

fn identity() -> Identity {
    Identity::generate(&SystemRng::new()).unwrap()
}

fn seal(plain: &[u8], recipients: &[Recipient], parts: usize) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut sealer = Sealer::begin(recipients, &SystemRng::new(), &mut sealed).unwrap();
    for part in plain.chunks(parts) {
        sealer.push(part, &mut sealed).unwrap();
    }
    sealer.finish(&mut sealed).unwrap();
    sealed
}

fn open(sealed: &[u8], identity: &Identity, parts: usize) -> crate::Result<Vec<u8>> {
    let identity = Identity::parse(identity.write().expose()).unwrap();
    let mut opener = Opener::new(vec![identity]);
    let mut plain = Vec::new();
    for part in sealed.chunks(parts) {
        opener.push(part, &mut plain)?;
    }
    opener.finish(&mut plain)?;
    Ok(plain)
}

#[test]
fn a_stream_of_any_length_and_in_any_parts_is_opened_as_it_was() {
    let identity = identity();
    let chunk = 64 * 1024;
    for length in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 17] {
        let plain: Vec<u8> = (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect();
        for parts in [977, chunk, 10 * chunk] {
            let sealed = seal(&plain, &[identity.recipient()], parts);
            assert_eq!(open(&sealed, &identity, parts).unwrap(), plain, "{length} in {parts}");
        }
    }
}

#[test]
fn each_of_several_recipients_opens_it_and_nobody_else() {
    let all = [identity(), identity(), identity()];
    let recipients: Vec<Recipient> = all.iter().map(Identity::recipient).collect();
    let sealed = seal(b"to three", &recipients, 8);
    for one in &all {
        assert_eq!(open(&sealed, one, 8).unwrap(), b"to three");
    }
    assert_eq!(open(&sealed, &identity(), 8), Err(Error::Damaged));
    // An opener with several identities takes the one that fits.
    let mut opener = Opener::new(vec![identity(), all.into_iter().next().unwrap()]);
    let mut plain = Vec::new();
    opener.push(&sealed, &mut plain).unwrap();
    assert!(opener.has_begun());
    opener.finish(&mut plain).unwrap();
    assert_eq!(plain, b"to three");
}

#[test]
fn a_stream_needs_recipients_and_not_too_many() {
    let mut out = Vec::new();
    let rng = SystemRng::new();
    assert!(Sealer::begin(&[], &rng, &mut out).is_err());
    let many = vec![identity().recipient(); RECIPIENTS_MAX + 1];
    assert!(Sealer::begin(&many, &rng, &mut out).is_err());
    assert!(Sealer::begin(&many[1..], &rng, &mut out).is_ok());
}

#[test]
fn a_changed_byte_anywhere_and_a_cut_anywhere_are_noticed() {
    let identity = identity();
    let sealed = seal(b"an archive of very few words", &[identity.recipient()], 5);
    for place in 0..sealed.len() {
        for bit in [0, 5] {
            let mut changed = sealed.clone();
            changed[place] ^= 1 << bit;
            assert_eq!(open(&changed, &identity, 9), Err(Error::Damaged), "{place} {bit}");
        }
        assert_eq!(open(&sealed[..place], &identity, 9), Err(Error::Damaged), "cut at {place}");
    }
    let mut longer = sealed;
    longer.push(0);
    assert_eq!(open(&longer, &identity, 9), Err(Error::Damaged));
}

#[test]
fn chunks_that_are_missing_or_have_changed_places_are_noticed() {
    let identity = identity();
    let (chunk, sealed_chunk) = (64 * 1024, 64 * 1024 + 16);
    let sealed = seal(&vec![7; 3 * chunk], &[identity.recipient()], chunk);
    let head = sealed.len() - 3 * sealed_chunk;
    let part = |number: usize| {
        sealed[head + number * sealed_chunk..head + (number + 1) * sealed_chunk].to_vec()
    };
    for order in [vec![0, 1], vec![1, 0, 2], vec![0, 2], vec![0, 1, 1, 2], vec![2], vec![]] {
        let mut changed = sealed[..head].to_vec();
        for number in &order {
            changed.extend(part(*number));
        }
        assert_eq!(open(&changed, &identity, chunk), Err(Error::Damaged), "{order:?}");
    }
    let mut same = sealed[..head].to_vec();
    for number in 0..3 {
        same.extend(part(number));
    }
    assert_eq!(open(&same, &identity, chunk).unwrap().len(), 3 * chunk);
}

#[test]
fn a_header_without_end_is_not_read_for_ever() {
    let mut opener = Opener::new(vec![identity()]);
    let mut out = Vec::new();
    let endless = b"age-encryption.org/v1\n-> X25519 AAAA\n".repeat(10_000);
    assert_eq!(opener.push(&endless, &mut out), Err(Error::Damaged));
}

#[test]
fn keys_have_one_text_each() {
    let identity = identity();
    let text = identity.recipient().to_string();
    assert!(text.starts_with("age1") && text.len() == 62, "{text}");
    assert_eq!(text.parse::<Recipient>().unwrap(), identity.recipient());
    let secret = identity.write();
    assert!(secret.expose().starts_with("AGE-SECRET-KEY-1"));
    let again = Identity::parse(secret.expose()).unwrap();
    assert_eq!(again.recipient(), identity.recipient());

    // A wrong letter anywhere, a letter less or more, another case, another kind of key.
    for place in 0..text.len() {
        for letter in ['q', 'p', '1', 'b'] {
            let mut wrong: Vec<char> = text.chars().collect();
            if wrong[place] != letter {
                wrong[place] = letter;
                let wrong: String = wrong.into_iter().collect();
                assert!(wrong.parse::<Recipient>().is_err(), "{wrong}");
            }
        }
    }
    let shorter = text.strip_suffix(|_: char| true).unwrap();
    assert!(shorter.parse::<Recipient>().is_err());
    assert!(format!("{text}q").parse::<Recipient>().is_err());
    assert!(text.to_uppercase().parse::<Recipient>().is_err());
    assert!(secret.expose().parse::<Recipient>().is_err());
    assert!(Identity::parse(&secret.expose().to_lowercase()).is_err());
    assert!(Identity::parse(&text).is_err());
    assert!("".parse::<Recipient>().is_err());
}

#[test]
fn a_recipient_with_whom_everybody_shares_the_same_gets_nothing() {
    let nobody = Recipient([0; 32]);
    let mut out = Vec::new();
    assert!(Sealer::begin(&[nobody], &SystemRng::new(), &mut out).is_err());
}
