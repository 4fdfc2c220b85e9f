//! Receipts from outside: a genuine one verifies, a changed or impossible one does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use strongroom_audit::receipt::{
    self, Exclusion, Grade, Holder, Receipt, ReceiptState, Scope, armour, sign, unarmour, verify,
};
use strongroom_audit::{Error, Position};
use strongroom_crypto::Key;
use strongroom_crypto::sign::SigningKey;
use strongroom_model::{
    CollectionNumber, ErasureGround, ErasureId, InstallId, ReceiptId, TenantId, Timestamp,
};

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(Key::build(|seed| seed.fill(byte))).unwrap()
}

fn receipt() -> Receipt {
    Receipt {
        id: ReceiptId::from_bytes([1; 16]),
        install: InstallId::from_bytes([2; 16]),
        tenant: TenantId::from_bytes([3; 16]),
        erasure: ErasureId::from_bytes([4; 16]),
        scope: Scope::Subject([5; 16]),
        ground: ErasureGround::SubjectRequest,
        requested_at: Timestamp::from_micros(1_790_000_000_000_000),
        fenced_at: Timestamp::from_micros(1_790_000_000_500_000),
        forgotten_at: Some(Timestamp::from_micros(1_790_000_060_000_000)),
        number_before: 7,
        number_after: 8,
        state: ReceiptState::Erased,
        holders: vec![
            Holder { class: 1, grade: Grade::Logical, replicas: 1, forgotten: 1 },
            Holder { class: 3, grade: Grade::Hardware, replicas: 2, forgotten: 1 },
        ],
        index_pages: 2,
        index_residue_until: Some(Timestamp::from_micros(1_792_592_000_000_000)),
        exclusions: vec![Exclusion::Exports, Exclusion::Recipients, Exclusion::CopiedKeys],
        audit: Position { node: 6, n: 42, tag: [7; 16] },
    }
}

/// The example of `docs/formats/receipt.md`.
#[test]
fn a_receipt_has_the_bytes_of_its_page() {
    let signed = sign(&receipt(), &key(9)).unwrap();
    let time = |micros: i64| micros.to_be_bytes();
    let expected = [
        &b"SRRC\x01"[..],
        &[1; 16],
        &[2; 16],
        &[3; 16],
        &[4; 16],
        &[2],
        &[0; 4],
        &[5; 16],
        &[1],
        &time(1_790_000_000_000_000),
        &time(1_790_000_000_500_000),
        &[1],
        &time(1_790_000_060_000_000),
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 0, 0, 0, 0, 0, 0, 8],
        &[1],
        &[2],
        &[1, 1, 0],
        &[0; 8],
        &[0, 1, 0, 1],
        &[3, 3, 0],
        &[0; 8],
        &[0, 2, 0, 1],
        &[0, 0, 0, 2],
        &[1],
        &time(1_792_592_000_000_000),
        &[3, 0, 1, 0, 2, 0, 5],
        &[0, 0, 0, 6],
        &[0, 0, 0, 0, 0, 0, 0, 42],
        &[7; 16],
        &key(9).public(),
    ]
    .concat();
    assert_eq!(signed[..signed.len() - 64], expected);
    assert_eq!(verify(&key(9).public(), &signed), Ok(receipt()));
    assert_eq!(receipt::claimed_signer(&signed), Ok(key(9).public()));
}

#[test]
fn any_changed_bit_of_a_receipt_fails() {
    let signed = sign(&receipt(), &key(9)).unwrap();
    for bit in 0..signed.len() * 8 {
        let mut other = signed.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&key(9).public(), &other), Err(Error::NotGenuine), "bit {bit}");
    }
    for length in 0..signed.len() {
        assert_eq!(verify(&key(9).public(), &signed[..length]), Err(Error::NotGenuine));
    }
    assert_eq!(verify(&key(9).public(), &[&signed[..], &[0]].concat()), Err(Error::NotGenuine));
}

#[test]
fn a_receipt_of_another_key_fails() {
    let signed = sign(&receipt(), &key(9)).unwrap();
    assert_eq!(verify(&key(8).public(), &signed), Err(Error::NotGenuine));
}

#[test]
fn signed_bytes_that_are_no_receipt_fail() {
    // The right key, over a body that names another signer, is cut, or claims the impossible.
    let signed = sign(&receipt(), &key(9)).unwrap();
    let body = &signed[..signed.len() - 64];
    let mut other_signer = body.to_vec();
    *other_signer.last_mut().unwrap() ^= 1;
    let mut other_version = body.to_vec();
    other_version[4] = 2;
    let mut no_growth = body.to_vec();
    no_growth[131] = 7;
    for body in [other_signer, other_version, no_growth, body[1..].to_vec(), [body, &[0]].concat()]
    {
        let message = [b"strongroom/v1/receipt\0", body.as_slice()].concat();
        let forged = [body.as_slice(), &key(9).sign(&message)].concat();
        assert_eq!(verify(&key(9).public(), &forged), Err(Error::Malformed));
        let without_domain = [body.as_slice(), &key(9).sign(&body)].concat();
        assert_eq!(verify(&key(9).public(), &without_domain), Err(Error::NotGenuine));
    }
}

/// Something that makes a receipt impossible, with its name.
type Change = (&'static str, fn(&mut Receipt));

#[test]
fn a_receipt_never_claims_what_cannot_be() {
    let refused: [Change; 13] = [
        ("nobody has forgotten", |r| r.holders.iter_mut().for_each(|h| h.forgotten = 0)),
        ("no holders", |r| r.holders.clear()),
        ("a class without replicas", |r| {
            r.holders[0] = Holder { replicas: 0, forgotten: 0, ..r.holders[0] }
        }),
        ("no time of forgetting", |r| r.forgotten_at = None),
        ("partial with a time of forgetting", |r| r.state = ReceiptState::Partial),
        ("more forgotten than there are", |r| r.holders[1].forgotten = 3),
        ("the same number", |r| r.number_after = 7),
        ("a smaller number", |r| r.number_after = 6),
        ("fenced before it was asked for", |r| r.fenced_at = Timestamp::from_micros(0)),
        ("forgotten before the fence", |r| r.forgotten_at = Some(r.requested_at)),
        ("holders out of order", |r| r.holders.reverse()),
        ("an exclusion twice", |r| r.exclusions.push(Exclusion::CopiedKeys)),
        ("only a class that deletes later", |r| {
            r.holders[0].grade = Grade::DelayedUntil(Timestamp::from_micros(i64::MAX));
        }),
    ];
    assert!(sign(&receipt(), &key(9)).is_ok());
    for (name, change) in refused {
        let mut other = receipt();
        change(&mut other);
        assert!(matches!(sign(&other, &key(9)), Err(Error::Misuse(_))), "{name}");
    }
}

#[test]
fn a_partial_receipt_says_so() {
    let mut partial = receipt();
    partial.state = ReceiptState::Partial;
    partial.forgotten_at = None;
    partial.holders[0].forgotten = 0;
    let signed = sign(&partial, &key(9)).unwrap();
    assert_eq!(verify(&key(9).public(), &signed), Ok(partial));
}

#[test]
fn exclusions_have_numbers_of_their_own() {
    for exclusion in Exclusion::ALL {
        assert_eq!(Exclusion::from_number(exclusion.number()), Some(*exclusion));
    }
    assert!(Exclusion::ALL.is_sorted_by(|one, next| one.number() < next.number()));
    assert_eq!(Exclusion::from_number(0), None);
}

#[test]
fn armour_is_read_only_as_it_is_written() {
    let signed = sign(&receipt(), &key(9)).unwrap();
    let text = armour(&signed);
    assert_eq!(unarmour(&text), Ok(signed));
    assert!(text.lines().all(|line| line.len() <= 64 && line.is_ascii()));
    for wrong in [
        String::new(),
        text.replace('\n', "\r\n"),
        text.replace('\n', ""),
        format!("{text}\n"),
        format!("\n{text}"),
        text.replacen('\n', "\n\n", 1),
        text.replacen("BEGIN", "begin", 1),
        text.replacen('=', "", 1),
        text.trim_end().to_owned(),
        text.replacen('A', "*", 1),
    ] {
        if wrong != text {
            assert_eq!(unarmour(&wrong), Err(Error::Malformed), "{wrong}");
        }
    }
}

#[test]
fn any_changed_character_of_an_armoured_receipt_fails() {
    let text = armour(&sign(&receipt(), &key(9)).unwrap());
    for at in 0..text.len() {
        let mut other = text.clone().into_bytes();
        other[at] = if other[at] == b'B' { b'C' } else { b'B' };
        let other = String::from_utf8(other).unwrap();
        let read = unarmour(&other).and_then(|signed| verify(&key(9).public(), &signed));
        assert!(read.is_err(), "character {at}");
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    let id = any::<[u8; 16]>();
    prop_oneof![
        (any::<u32>(), id).prop_map(|(number, id)| Scope::Record(CollectionNumber(number), id)),
        id.prop_map(Scope::Subject),
        any::<u32>().prop_map(|number| Scope::Collection(CollectionNumber(number))),
        Just(Scope::Tenant),
    ]
}

fn ground() -> impl Strategy<Value = ErasureGround> {
    prop_oneof![
        Just(ErasureGround::SubjectRequest),
        Just(ErasureGround::TenantRequest),
        Just(ErasureGround::ConsentWithdrawn),
        Just(ErasureGround::NoLongerNeeded),
        Just(ErasureGround::UnlawfullyCollected),
        Just(ErasureGround::ContractEnded),
    ]
}

proptest! {
    #[test]
    fn a_receipt_is_read_as_it_was_signed(
        scope in scope(), ground in ground(), id in any::<[u8; 16]>(),
        classes in proptest::collection::btree_set(any::<u8>(), 1..5), until in proptest::option::of(any::<i64>()),
        excluded in proptest::collection::btree_set(0..Exclusion::ALL.len(), 0..Exclusion::ALL.len()),
    ) {
        let grades = [Grade::Logical, Grade::Overwritten, Grade::Hardware,
            Grade::DelayedUntil(Timestamp::from_micros(0))];
        let mut expected = receipt();
        expected.id = ReceiptId::from_bytes(id);
        (expected.scope, expected.ground) = (scope, ground);
        expected.holders = classes.iter().zip(grades.iter().cycle())
            .map(|(class, grade)| Holder { class: *class, grade: *grade, replicas: 2, forgotten: 2 })
            .collect();
        expected.index_residue_until = until.map(Timestamp::from_micros);
        expected.exclusions = excluded.iter().map(|at| Exclusion::ALL[*at]).collect();
        let signed = sign(&expected, &key(9)).unwrap();
        prop_assert_eq!(verify(&key(9).public(), &unarmour(&armour(&signed)).unwrap()), Ok(expected));
    }

    #[test]
    fn any_bytes_survive_armour(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(unarmour(&armour(&bytes)), Ok(bytes));
    }
}
