//! Audit lines and their chain from outside: what is written is read, and nothing else is.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use proptest::prelude::*;
use strongroom_audit::chain::{self, ChainError, ChainVerifier, Fault};
use strongroom_audit::line::{self, DecodedEvent, DecodedObject};
use strongroom_audit::{Error, Position};
use strongroom_crypto::Key;
use strongroom_crypto::line::{NO_PREVIOUS, Prefix};
use strongroom_model::{
    Action, AuditEvent, AuditObject, BackendId, ClassId, CollectionNumber, FieldNumber, JobName,
    KeyId, Outcome, Principal, RecordId, RuleRef, SealedReason, SubjectId, TOUCHES_MAX, TenantId,
    Through, Touch, UserId,
};

const TENANT: TenantId = TenantId::from_bytes([0x22; 16]);

fn event() -> AuditEvent {
    AuditEvent {
        principal: Principal::ApiKey(KeyId::from_bytes([1; 16])),
        acting_for: Some(UserId::from_bytes([2; 16])),
        through: Some((Through::Backend, [3; 16])),
        action: Action::Read,
        purpose: "customer_care".to_owned(),
        rule: Some(RuleRef { class: ClassId::from_bytes([4; 16]), version: 5, rule: 6 }),
        outcome: Outcome::Allowed,
        code: "record.read",
        object: AuditObject::Record(CollectionNumber(7), RecordId::from_bytes([8; 16])),
        touches: vec![touch(8, &[1, 2], &[3])],
        address_commitment: [9; 16],
        reason: Some(SealedReason {
            subject: Some((SubjectId::from_bytes([8; 16]), 77)),
            sealed: vec![1, 2, 3],
        }),
    }
}

fn touch(record: u8, clear: &[u32], masked: &[u32]) -> Touch {
    let fields = |numbers: &[u32]| numbers.iter().copied().map(FieldNumber).collect();
    Touch {
        record: RecordId::from_bytes([record; 16]),
        clear: fields(clear),
        masked: fields(masked),
    }
}

/// The example of `docs/formats/audit-line.md`.
#[test]
fn a_line_has_the_bytes_of_its_page() {
    let bytes = line::encode(&event()).unwrap();
    let expected = [
        &[1][..],
        &[2],
        &[1; 16],
        &[1],
        &[2; 16],
        &[1],
        &[3; 16],
        &[1, 1],
        &[1],
        &[4; 16],
        &[0, 0, 0, 0, 0, 0, 0, 5],
        &[0, 6],
        &[3],
        &[0, 0, 0, 7],
        &[8; 16],
        &[0],
        &[9; 16],
        &[13],
        b"customer_care",
        &[11],
        b"record.read",
        &[0, 1],
        &[0, 2],
        &[0, 0, 0, 1],
        &[0, 0, 0, 2],
        &[0, 1],
        &[0, 0, 0, 3],
        &[0, 1],
        &[8; 16],
        &[0, 0],
        &[2],
        &[8; 16],
        &[0, 0, 0, 0, 0, 0, 0, 77],
        &[0, 3],
        &[1, 2, 3],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn a_list_of_a_thousand_records_writes_a_shared_view_once() {
    let mut list = event();
    list.touches = vec![touch(1, &(0..50).collect::<Vec<_>>(), &[60]); TOUCHES_MAX];
    let bytes = line::encode(&list).unwrap();
    assert!(bytes.len() < TOUCHES_MAX * 18 + 500, "{}", bytes.len());
    assert_eq!(line::decode(&bytes), Ok(DecodedEvent::from(&list)));
    list.touches.push(touch(1, &[], &[]));
    assert_eq!(line::encode(&list), Err(Error::TooLong));
}

#[test]
fn a_text_that_does_not_fit_is_refused() {
    let mut long = event();
    long.purpose = "p".repeat(255);
    assert!(line::encode(&long).is_ok());
    long.purpose.push('p');
    assert_eq!(line::encode(&long), Err(Error::TooLong));
}

#[test]
fn a_line_that_is_cut_or_longer_is_not_read() {
    let bytes = line::encode(&event()).unwrap();
    for length in 0..bytes.len() {
        assert_eq!(line::decode(&bytes[..length]), Err(Error::Malformed), "{length}");
    }
    assert_eq!(line::decode(&[&bytes[..], &[0]].concat()), Err(Error::Malformed));
}

#[test]
fn unknown_numbers_are_not_read() {
    let bytes = line::encode(&event()).unwrap();
    // Version, principal, acting user, through, action, outcome, rule, object.
    for at in [0, 1, 18, 35, 52, 53, 54, 81] {
        let mut other = bytes.clone();
        other[at] = 200;
        assert_eq!(line::decode(&other), Err(Error::Malformed), "byte {at}");
    }
}

#[test]
fn an_event_has_one_form_only() {
    let mut bare = event();
    bare.acting_for = None;
    bare.through = None;
    bare.rule = None;
    bare.object = AuditObject::Tenant(TENANT);
    bare.principal = Principal::Anonymous;
    let bytes = line::encode(&bare).unwrap();
    assert!(line::decode(&bytes).is_ok());
    // Fillings that must be zero: anonymous, acting user, through, rule, the object's collection.
    for at in [2, 19, 36, 55, 71, 79, 82] {
        let mut other = bytes.clone();
        other[at] = 1;
        assert_eq!(line::decode(&other), Err(Error::Malformed), "byte {at}");
    }
    // A view that nothing uses.
    let unused = [&bytes[..bytes.len() - 38], &[0, 2]].concat();
    assert_eq!(unused.len() + 36, bytes.len());
    let views = &bytes[bytes.len() - 36..bytes.len() - 20];
    let other = [&unused, views, &[0, 0, 0, 0], &bytes[bytes.len() - 20..]].concat();
    assert_eq!(line::decode(&other), Err(Error::Malformed));
}

fn principal() -> impl Strategy<Value = Principal> {
    let id = any::<[u8; 16]>();
    prop_oneof![
        id.prop_map(|id| Principal::User(UserId::from_bytes(id))),
        id.prop_map(|id| Principal::ApiKey(KeyId::from_bytes(id))),
        id.prop_map(|id| Principal::Operator(UserId::from_bytes(id))),
        Just(Principal::Job(JobName::Eraser)),
        Just(Principal::Job(JobName::Init)),
        Just(Principal::Job(JobName::ApplyBlueprint)),
        Just(Principal::Anonymous),
        id.prop_map(|id| Principal::Backend(BackendId::from_bytes(id))),
    ]
}

fn object() -> impl Strategy<Value = DecodedObject> {
    let id = any::<[u8; 16]>();
    prop_oneof![
        id.prop_map(|id| DecodedObject::Tenant(TenantId::from_bytes(id))),
        any::<u32>().prop_map(|number| DecodedObject::Collection(CollectionNumber(number))),
        (any::<u32>(), id).prop_map(|(number, id)| {
            DecodedObject::Record(CollectionNumber(number), RecordId::from_bytes(id))
        }),
        id.prop_map(|id| DecodedObject::Subject(SubjectId::from_bytes(id))),
        ("[a-z]{0,8}", id).prop_map(|(prefix, id)| DecodedObject::Other(prefix, id)),
    ]
}

fn touches() -> impl Strategy<Value = Vec<Touch>> {
    let fields = || proptest::collection::vec((0..3u32).prop_map(FieldNumber), 0..3);
    let one = (any::<[u8; 16]>(), fields(), fields()).prop_map(|(id, clear, masked)| Touch {
        record: RecordId::from_bytes(id),
        clear,
        masked,
    });
    proptest::collection::vec(one, 0..30)
}

fn decoded() -> impl Strategy<Value = DecodedEvent> {
    let id = any::<[u8; 16]>();
    let through = prop_oneof![
        Just(Through::Backend),
        Just(Through::Connection),
        Just(Through::Grant),
        Just(Through::Job)
    ];
    let rule = (id, any::<u64>(), any::<u16>()).prop_map(|(id, version, rule)| RuleRef {
        class: ClassId::from_bytes(id),
        version,
        rule,
    });
    (
        (principal(), proptest::option::of(id), proptest::option::of((through, id))),
        (
            0..Action::ALL.len(),
            ".{0,60}",
            proptest::option::of(rule),
            any::<bool>(),
            "[a-z_.]{0,40}",
        ),
        (object(), touches(), id),
    )
        .prop_map(
            |(
                (principal, user, through),
                (action, purpose, rule, allowed, code),
                (object, touches, address),
            )| {
                DecodedEvent {
                    principal,
                    acting_for: user.map(UserId::from_bytes),
                    through,
                    action: Action::ALL[action],
                    purpose,
                    rule,
                    outcome: if allowed { Outcome::Allowed } else { Outcome::Refused },
                    code,
                    object,
                    touches,
                    address_commitment: address,
                    reason: None,
                }
            },
        )
}

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(event in decoded()) {
        let bytes = line::encode_decoded(&event).unwrap();
        prop_assert_eq!(line::decode(&bytes), Ok(event));
    }

    #[test]
    fn whatever_is_read_is_written_with_the_same_bytes(
        event in decoded(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = line::encode_decoded(&event).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(event) = line::decode(&bytes) {
            prop_assert_eq!(line::encode_decoded(&event), Ok(bytes));
        }
    }
}

fn audit_key() -> Key {
    Key::build(|key| key.fill(7))
}

/// A chain of sealed lines of one node.
fn lines(node: u32, count: u64) -> Vec<Vec<u8>> {
    let mut previous = NO_PREVIOUS;
    (0..count)
        .map(|n| {
            let prefix = Prefix { tenant: TENANT, node, n, time_us: 1_000_000 + n };
            let clear = line::encode(&event()).unwrap();
            let sealed =
                strongroom_crypto::line::seal(&audit_key(), &prefix, &previous, &clear).unwrap();
            previous = strongroom_crypto::line::tag(&sealed).unwrap();
            sealed
        })
        .collect()
}

fn check(lines: &[Vec<u8>]) -> Result<usize, ChainError> {
    let lines = lines.iter().map(Vec::as_slice);
    chain::verify(&audit_key(), TENANT, 3, lines).map(|events| events.len())
}

#[test]
fn a_whole_chain_verifies_and_its_head_is_the_last_position() {
    let lines = lines(3, 5);
    assert_eq!(check(&lines), Ok(5));
    let mut verifier = ChainVerifier::new(&audit_key(), TENANT, 3);
    assert_eq!(verifier.head(), None);
    for line in &lines {
        let (_, event_read) = verifier.push(line).unwrap();
        assert_eq!(event_read, DecodedEvent::from(&event()));
        assert_eq!(verifier.head(), Position::of(line));
    }
}

#[test]
fn a_chain_goes_on_from_a_position_and_from_no_other() {
    let lines = lines(3, 5);
    let head = Position::of(&lines[2]).unwrap();
    let mut verifier = ChainVerifier::after(&audit_key(), TENANT, head).unwrap();
    assert!(verifier.push(&lines[3]).is_ok());
    let other = Position { tag: [1; 16], ..head };
    let mut verifier = ChainVerifier::after(&audit_key(), TENANT, other).unwrap();
    assert_eq!(verifier.push(&lines[3]).unwrap_err(), ChainError { n: 3, fault: Fault::Damaged });
}

#[test]
fn a_line_left_out_repeated_or_out_of_order_is_found() {
    let whole = lines(3, 5);
    for at in 0..4 {
        let mut missing = whole.clone();
        missing.remove(at);
        assert_eq!(check(&missing), Err(ChainError { n: at as u64, fault: Fault::Gap }));
        let mut repeated = whole.clone();
        repeated.insert(at, whole[at].clone());
        assert_eq!(check(&repeated), Err(ChainError { n: at as u64 + 1, fault: Fault::Gap }));
        let mut swapped = whole.clone();
        swapped.swap(at, at + 1);
        assert_eq!(check(&swapped), Err(ChainError { n: at as u64, fault: Fault::Gap }));
    }
    assert_eq!(check(&whole[..4]), Ok(4), "a cut end shows only against a promised position");
}

#[test]
fn any_changed_byte_of_a_chain_is_found_in_its_line() {
    let whole = lines(3, 3);
    for (n, line) in whole.iter().enumerate() {
        for at in 0..line.len() {
            let mut other = whole.clone();
            other[n][at] ^= 1;
            assert_eq!(check(&other).unwrap_err().n, n as u64, "line {n}, byte {at}");
        }
    }
}

#[test]
fn a_line_of_another_chain_is_found() {
    let whole = lines(3, 2);
    assert_eq!(check(&lines(4, 2)), Err(ChainError { n: 0, fault: Fault::Foreign }));
    let other_key = Key::build(|key| key.fill(8));
    let opened = chain::verify(&other_key, TENANT, 3, whole.iter().map(Vec::as_slice));
    assert_eq!(opened.unwrap_err(), ChainError { n: 0, fault: Fault::Damaged });
    let other_tenant =
        chain::verify(&audit_key(), TenantId::PROVIDER, 3, whole.iter().map(Vec::as_slice));
    assert_eq!(other_tenant.unwrap_err(), ChainError { n: 0, fault: Fault::Foreign });
    assert_eq!(check(&[vec![0; 51]]), Err(ChainError { n: 0, fault: Fault::TooShort }));
}

#[test]
fn a_sealed_line_that_says_nothing_readable_is_found() {
    let prefix = Prefix { tenant: TENANT, node: 3, n: 0, time_us: 0 };
    let sealed = strongroom_crypto::line::seal(&audit_key(), &prefix, &NO_PREVIOUS, b"?").unwrap();
    assert_eq!(check(&[sealed]), Err(ChainError { n: 0, fault: Fault::Unreadable }));
}
