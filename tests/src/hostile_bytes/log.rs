//! Audit lines and receipts: both have one form only, and a receipt nobody but its key signs.

use strongroom_audit::receipt::{self, Receipt, Scope};
use strongroom_audit::{Error, Position, line};
use strongroom_crypto::line::{self as sealed_line, NO_PREVIOUS, Prefix};
use strongroom_crypto::sign::SigningKey;
use strongroom_model::{
    Action, AuditEvent, AuditObject, ClassId, CollectionNumber, ErasureGround, ErasureId,
    FieldNumber, InstallId, JobName, KeyId, Outcome, Principal, ReceiptId, RecordId, RuleRef,
    SealedReason, SubjectId, TenantId, Through, Timestamp, Touch, UserId,
};

use super::{Seed, Verdict, damaged, key, text};

/// Lines in the clear; the same bytes are then sealed as a line, and taken for a sealed one.
pub fn audit_line(bytes: &[u8]) -> Verdict {
    let prefix = Prefix { tenant: TenantId::from_bytes([2; 16]), node: 3, n: 4, time_us: 5 };
    let sealed = sealed_line::seal(&key(), &prefix, &NO_PREVIOUS, bytes).unwrap();
    let (found, clear) = sealed_line::open(&key(), &NO_PREVIOUS, &sealed).unwrap();
    assert!(found == prefix && clear.expose() == bytes);
    assert!(sealed_line::open(&key(), &[1; 16], &sealed).is_err(), "a line left its chain");
    let at = u32::try_from(bytes.len()).unwrap() * 7;
    assert!(sealed_line::open(&key(), &NO_PREVIOUS, &damaged(&sealed, at, 1)).is_err());
    if let Some(position) = Position::of(bytes) {
        assert_eq!(position.to_string().parse(), Ok(position));
        assert!(sealed_line::open(&key(), &NO_PREVIOUS, bytes).is_err());
    }
    let Ok(event) = line::decode(bytes) else { return Verdict::Refused };
    assert_eq!(line::encode_decoded(&event).unwrap(), bytes);
    Verdict::Read
}

/// Receipts: bytes that begin like armour are taken for it, others for what was signed, without
/// the signer's key and the signature, which are put behind them.
pub fn receipt(bytes: &[u8]) -> Verdict {
    const DOMAIN: &[u8] = b"strongroom/v1/receipt\0";
    let signer = signer();
    if bytes.starts_with(b"-----") {
        let Some(signed) = text(bytes).and_then(|text| receipt::unarmour(text).ok()) else {
            return Verdict::Refused;
        };
        assert_eq!(receipt::armour(&signed).as_bytes(), bytes);
        let _ = receipt::claimed_signer(&signed);
        let read = receipt::verify(&signer.public(), &signed).ok();
        if let Some(read) = &read {
            assert_eq!(receipt::sign(read, &signer).unwrap(), signed);
        }
        return Verdict::of(read.is_some());
    }
    let body = [bytes, &signer.public()].concat();
    let signature = signer.sign(&[DOMAIN, &body].concat());
    let signed = [&body[..], &signature].concat();
    assert_eq!(receipt::claimed_signer(&signed), Ok(signer.public()));
    assert_eq!(receipt::unarmour(&receipt::armour(&signed)).unwrap(), signed);
    match receipt::verify(&signer.public(), &signed) {
        Ok(read) => {
            assert_eq!(receipt::sign(&read, &signer).unwrap(), signed);
            assert_eq!(receipt::verify(&[1; 32], &signed), Err(Error::NotGenuine));
            let at = u32::try_from(bytes.len()).unwrap() * 7;
            assert!(receipt::verify(&signer.public(), &damaged(&signed, at, 1)).is_err());
            Verdict::Read
        }
        Err(error) => {
            assert_eq!(error, Error::Malformed, "a genuine receipt of another form");
            Verdict::Refused
        }
    }
}

fn signer() -> SigningKey {
    SigningKey::from_seed(key()).unwrap()
}

pub(super) fn line_seeds() -> Vec<Seed> {
    let touch = |record: u8, clear: &[u32], masked: &[u32]| Touch {
        record: RecordId::from_bytes([record; 16]),
        clear: clear.iter().map(|number| FieldNumber(*number)).collect(),
        masked: masked.iter().map(|number| FieldNumber(*number)).collect(),
    };
    let bare = AuditEvent {
        principal: Principal::Anonymous,
        acting_for: None,
        through: None,
        action: Action::Read,
        purpose: String::new(),
        rule: None,
        outcome: Outcome::Refused,
        code: "no_rule",
        object: AuditObject::Tenant(TenantId::from_bytes([2; 16])),
        touches: Vec::new(),
        address_commitment: [0; 16],
        reason: None,
    };
    let whole = AuditEvent {
        principal: Principal::ApiKey(KeyId::from_bytes([1; 16])),
        acting_for: Some(UserId::from_bytes([5; 16])),
        through: Some((Through::Grant, [6; 16])),
        purpose: "billing".to_owned(),
        rule: Some(RuleRef { class: ClassId::from_bytes([7; 16]), version: 2, rule: 1 }),
        outcome: Outcome::Allowed,
        code: "record.list",
        object: AuditObject::Record(CollectionNumber(5), RecordId::from_bytes([4; 16])),
        touches: vec![touch(4, &[1, 2], &[3]), touch(5, &[1, 2], &[3]), touch(6, &[], &[])],
        address_commitment: [8; 16],
        reason: Some(SealedReason {
            subject: Some((SubjectId::from_bytes([3; 16]), 99)),
            sealed: vec![9; 40],
        }),
        ..bare
    };
    let job = AuditEvent {
        principal: Principal::Job(JobName::Eraser),
        object: AuditObject::Other("col_", [4; 16]),
        ..bare.clone()
    };
    let bytes = |event: &AuditEvent| line::encode(event).unwrap();
    let mut other_version = bytes(&bare);
    other_version[0] = 2;
    // No job has this number.
    let mut other_job = bytes(&job);
    other_job[17] = 99;
    vec![
        ("read-whole", bytes(&whole)),
        ("read-bare", bytes(&bare)),
        ("read-job", bytes(&job)),
        ("refused-cut", bytes(&whole)[..200].to_vec()),
        ("refused-longer", [bytes(&bare), vec![0]].concat()),
        ("refused-other-version", other_version),
        ("refused-other-job", other_job),
    ]
}

pub(super) fn receipt_seeds() -> Vec<Seed> {
    let moment = |seconds: i64| Timestamp::from_micros(1_770_000_000_000_000 + seconds * 1_000_000);
    let erased = Receipt {
        id: ReceiptId::from_bytes([1; 16]),
        install: InstallId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        erasure: ErasureId::from_bytes([3; 16]),
        scope: Scope::Record(CollectionNumber(5), [4; 16]),
        ground: ErasureGround::SubjectRequest,
        requested_at: moment(0),
        fenced_at: moment(1),
        forgotten_at: Some(moment(2)),
        number_before: 17,
        number_after: 18,
        state: receipt::ReceiptState::Erased,
        holders: vec![
            receipt::Holder { class: 0, grade: receipt::Grade::Logical, replicas: 1, forgotten: 1 },
            receipt::Holder {
                class: 1,
                grade: receipt::Grade::DelayedUntil(moment(9)),
                replicas: 2,
                forgotten: 0,
            },
        ],
        index_pages: 3,
        index_residue_until: Some(moment(99)),
        exclusions: receipt::Exclusion::ALL.to_vec(),
        audit: Position { node: 3, n: 17, tag: [0xab; 16] },
    };
    let partial = Receipt {
        scope: Scope::Tenant,
        forgotten_at: None,
        state: receipt::ReceiptState::Partial,
        index_residue_until: None,
        exclusions: Vec::new(),
        ..erased.clone()
    };
    let signed = |receipt: &Receipt| receipt::sign(receipt, &signer()).unwrap();
    // Without the signer's key and the signature.
    let body = |receipt: &Receipt| {
        let signed = signed(receipt);
        signed[..signed.len() - 96].to_vec()
    };
    let armour = receipt::armour(&signed(&erased));
    let mut other_scope = body(&erased);
    other_scope[69] = 5;
    vec![
        ("read-erased", body(&erased)),
        ("read-partial", body(&partial)),
        ("refused-other-scope", other_scope),
        ("refused-longer", [body(&partial), vec![0]].concat()),
        ("read-armour", armour.clone().into_bytes()),
        ("refused-armour-in-one-line", armour.replace("=\n", "=").into_bytes()),
        ("refused-armour-with-other-line-ends", armour.replace('\n', "\r\n").into_bytes()),
        ("refused-armour-of-another", receipt::armour(&[7; 200]).into_bytes()),
    ]
}
