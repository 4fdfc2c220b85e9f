//! Stored rows: what is read back means the same when it is written again; fixed layouts have one
//! form only.

use std::fmt::Debug;

use strongroom_crypto::seal_key::SealParameters;
use strongroom_keyring::fuzzing::{ROWS, reread_holder_header, reread_holder_slot, reread_row};
use strongroom_model::{
    ActsAs, Admission, ApiKey, ApplyBlueprint, Archiving, AskedWith, Asker, Backend, BackendSecret,
    Blueprint, BlueprintClass, BlueprintCollection, BlueprintContent, BlueprintField, BlueprintId,
    BlueprintOfTenant, BlueprintVersion, ChoiceOption, ClassTerms, ClearValue, Collection,
    CollectionNumber, Consent, ConsentState, Erasure, ErasureGround, ErasureState, ErasureTarget,
    Export, ExportFormat, ExportPart, Field, FieldNumber, FieldType, FileId, FilePlace, Given,
    GivenClass, GivenCollection, Import, Invitation, Job, JobId, JobItem, JobKind, JobOutcome,
    JobPart, JobReject, JobState, Lease, ManagedBy, Mask, NamedUser, OpenJob, OpenJobs,
    PermissionClass, Principal, RecordHead, RecordId, RecordPlace, Recovery, RecoveryState, Rule,
    ScopeAttribute, Session, SubjectHead, SubjectId, SubjectKind, SubjectRule, SubjectState,
    Tenant, TenantId, TenantState, Timestamp, User, UserId, UserState,
};
use strongroom_storage::RowKey;
use strongroom_storage::keyspace;
use strongroom_vault::imports::FileRow;
use strongroom_vault::records::{NamedSubject, NewRecord};

use super::{KnownRng, Seed, Verdict};

/// Field 0 of a record, as it is decoded after it was opened.
pub fn record_head(bytes: &[u8]) -> Verdict {
    reread::<RecordHead>(bytes)
}

/// The other rows that are CBOR: `kind u8 | CBOR`.
pub fn stored_rows(bytes: &[u8]) -> Verdict {
    let Some((kind, cbor)) = bytes.split_first() else { return Verdict::Refused };
    match kind {
        0 => reread::<Tenant>(cbor),
        1 => reread::<User>(cbor),
        2 => reread::<Invitation>(cbor),
        3 => reread::<ApiKey>(cbor),
        4 => reread::<Session>(cbor),
        5 => reread::<Collection>(cbor),
        6 => reread::<PermissionClass>(cbor),
        7 => reread::<SubjectHead>(cbor),
        8 => reread::<RecordPlace>(cbor),
        9 => reread::<Erasure>(cbor),
        10 => reread_value(cbor),
        11 => reread::<Backend>(cbor),
        12 => reread::<Admission>(cbor),
        13 => reread::<Blueprint>(cbor),
        14 => reread::<BlueprintVersion>(cbor),
        15 => reread::<Given>(cbor),
        16 => reread::<Job>(cbor),
        17 => reread::<JobItem>(cbor),
        18 => reread::<JobPart>(cbor),
        19 => reread::<JobReject>(cbor),
        20 => reread::<OpenJobs>(cbor),
        21 => reread_file_rows(cbor),
        22 => reread::<Recovery>(cbor),
        _ => Verdict::Refused,
    }
}

fn reread<T>(cbor: &[u8]) -> Verdict
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + PartialEq + Debug,
{
    let Ok(row) = minicbor::decode::<T>(cbor) else { return Verdict::Refused };
    let written = minicbor::to_vec(&row).unwrap();
    assert_eq!(minicbor::decode::<T>(&written).unwrap(), row);
    Verdict::Read
}

/// Rows that wait have no `PartialEq`: what they are written as is compared.
fn reread_file_rows(cbor: &[u8]) -> Verdict {
    let Ok(rows) = minicbor::decode::<Vec<FileRow>>(cbor) else { return Verdict::Refused };
    let written = minicbor::to_vec(&rows).unwrap();
    let again: Vec<FileRow> = minicbor::decode(&written).unwrap();
    assert_eq!(minicbor::to_vec(&again).unwrap(), written);
    Verdict::Read
}

/// A value has no `PartialEq`: what it is written as is compared.
fn reread_value(cbor: &[u8]) -> Verdict {
    let Ok(value) = minicbor::decode::<ClearValue>(cbor) else { return Verdict::Refused };
    let written = minicbor::to_vec(&value).unwrap();
    let again: ClearValue = minicbor::decode(&written).unwrap();
    assert_eq!(minicbor::to_vec(&again).unwrap(), written);
    let mut json = Vec::new();
    value.write_json(&mut json);
    serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
    Verdict::Read
}

/// Clear rows of the key state: `kind u8 | row`.
pub fn key_state_rows(bytes: &[u8]) -> Verdict {
    let Some((kind, row)) = bytes.split_first() else { return Verdict::Refused };
    let Some(name) = ROWS.get(usize::from(*kind)) else { return Verdict::Refused };
    let Some(again) = reread_row(name, row) else { return Verdict::Refused };
    assert_eq!(again, row, "{name}");
    Verdict::Read
}

/// Header and slots of a holder file: `0 | header` or `slot u8 from 1 | slot`, without the zeros
/// that fill the block and without its checksum.
pub fn holder_file(bytes: &[u8]) -> Verdict {
    /// Bytes of a block before its checksum.
    const CONTENT: usize = 4096 - 32;
    let Some((slot, content)) = bytes.split_first() else { return Verdict::Refused };
    if content.len() > CONTENT {
        return Verdict::Refused;
    }
    let again = match slot.checked_sub(1) {
        None => reread_holder_header(content),
        Some(index) => reread_holder_slot(index, content),
    };
    let Some(again) = again else { return Verdict::Refused };
    let (start, filling) = again[..CONTENT].split_at(content.len());
    assert!(start == content && filling.iter().all(|byte| *byte == 0));
    Verdict::Read
}

/// Row keys: what they name leads to the same key.
pub fn row_keys(bytes: &[u8]) -> Verdict {
    let key = RowKey::new(bytes);
    let Some((tenant, kind, parts)) = keyspace::parse(&key) else { return Verdict::Refused };
    let whole = [&tenant.as_bytes()[..], &[kind.number()], parts].concat();
    assert_eq!(whole, bytes);
    if let Some((tenant, collection, record)) = keyspace::parse_record(&key) {
        assert_eq!(keyspace::record(tenant, collection, record), key);
    }
    if let Some((tenant, subject, number)) = keyspace::parse_manifest_entry(&key) {
        assert_eq!(keyspace::manifest_entry(tenant, subject, number), key);
    }
    if let Some((tenant, kind, id, number)) = keyspace::parse_tombstone(&key) {
        assert_eq!(keyspace::tombstone(tenant, kind, &id, number), key);
    }
    if let Some((tenant, tree, slot)) = keyspace::parse_retired(&key) {
        assert_eq!(keyspace::retired(tenant, tree, slot), key);
    }
    if let Some((tenant, erasure)) = keyspace::parse_erasure(&key) {
        assert_eq!(keyspace::erasure(tenant, erasure), key);
    }
    if let Some((tenant, job)) = keyspace::parse_queued_job(&key) {
        assert_eq!(keyspace::queued_job(tenant, job), key);
    }
    if let Some((tenant, job, round, part, page)) = keyspace::parse_job_spool(&key) {
        assert_eq!(keyspace::job_spool(tenant, job, round, part, page), key);
    }
    if let Some((tenant, kind, id)) = keyspace::parse_id(&key) {
        assert_eq!([&tenant.as_bytes()[..], &[kind.number()], &id].concat(), bytes);
    }
    Verdict::Read
}

fn named<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn moment() -> Timestamp {
    named("2026-01-31T09:30:00.123456Z")
}

pub(super) fn head_seeds() -> Vec<Seed> {
    let head = RecordHead {
        subject: SubjectId::from_bytes([3; 16]),
        external_id: Some(named("C-1024")),
        source: Some(named("an export")),
        purposes: vec![named("sales"), named("billing")],
        notice: Some(4),
        collected_at: moment(),
        created_by: Principal::User(UserId::from_bytes([1; 16])),
        created_at: moment(),
        changed_at: moment(),
        assignees: vec![UserId::from_bytes([5; 16])],
        scope: vec![ScopeAttribute { field: FieldNumber(2), value: "north".into() }],
        files: vec![FilePlace {
            field: FieldNumber(7),
            file: FileId::from_bytes([5; 16]),
            number: 18,
        }],
    };
    let whole = minicbor::to_vec(&head).unwrap();
    let bare = RecordHead {
        external_id: None,
        source: None,
        purposes: Vec::new(),
        notice: None,
        created_by: Principal::Anonymous,
        assignees: Vec::new(),
        scope: Vec::new(),
        files: Vec::new(),
        ..head
    };
    vec![
        ("refused-cut", whole[..whole.len() - 1].to_vec()),
        ("refused-an-array-of-nothing", vec![0x80]),
        ("refused-endless-array", [&[0x9f][..], &whole[1..]].concat()),
        ("read-whole", whole),
        ("read-bare", minicbor::to_vec(&bare).unwrap()),
    ]
}

pub(super) fn row_seeds() -> Vec<Seed> {
    let row = |kind: u8, cbor: Vec<u8>| [vec![kind], cbor].concat();
    let tenant = Tenant {
        id: TenantId::from_bytes([2; 16]),
        name: named("Sample Ltd"),
        state: TenantState::Active,
        created_at: moment(),
        blueprint: Some(BlueprintOfTenant {
            id: BlueprintId::from_bytes([14; 16]),
            name: named("clinic"),
            version: 3,
        }),
    };
    let user = User {
        id: UserId::from_bytes([5; 16]),
        name: named("Olive Owner"),
        email: Some(named("olive@example.org")),
        external_id: None,
        classes: vec![strongroom_model::ClassId::from_bytes([6; 16])],
        state: UserState::Invited,
        created_at: moment(),
        managed_by: Some(ManagedBy::Backend),
        let_in_at: Some(moment()),
    };
    let invitation = Invitation {
        id: strongroom_model::InvitationId::from_bytes([7; 16]),
        user: user.id,
        until: moment(),
        secret_hash: [8; 32],
        made_by: Some(user.id),
    };
    let api_key = ApiKey {
        id: strongroom_model::KeyId::from_bytes([9; 16]),
        label: named("web_backend"),
        classes: user.classes.clone(),
        created_by: Principal::ApiKey(strongroom_model::KeyId::from_bytes([4; 16])),
        created_at: moment(),
        expires_at: moment(),
        revoked: true,
        secret_hash: [8; 32],
        acts: Some(ActsAs::ForUsers),
    };
    let backend = Backend {
        id: strongroom_model::BackendId::from_bytes([4; 16]),
        name: named("Shop software"),
        secrets: vec![BackendSecret {
            number: 7,
            created_at: moment(),
            ends_at: Some(moment()),
            secret_hash: [3; 32],
        }],
        next_secret: 8,
        created_by: Principal::Operator(user.id),
        created_at: moment(),
        revoked: false,
    };
    let admission = Admission {
        backend: backend.id,
        classes: user.classes.clone(),
        purposes: vec![named("care")],
        acts: ActsAs::ForUsers,
        subjects_per_hour: 1_000,
        until: None,
        revoked: false,
        admitted_by: Principal::Backend(backend.id),
        admitted_at: moment(),
        changed_at: moment(),
        limited_at: Some(moment()),
    };
    let blueprint = tenant.blueprint.as_ref().unwrap();
    let blueprint_row = Blueprint {
        id: blueprint.id,
        name: blueprint.name.clone(),
        newest: 3,
        created_at: moment(),
        changed_at: moment(),
    };
    let version = BlueprintVersion {
        number: 3,
        content: blueprint_content(),
        stored_by: Principal::Operator(user.id),
        stored_at: moment(),
    };
    let given = Given {
        collections: vec![GivenCollection {
            name: named("customers"),
            number: CollectionNumber(5),
            version: 2,
        }],
        classes: vec![GivenClass { name: named("clerk"), id: user.classes[0], version: 3 }],
    };
    let order = ApplyBlueprint {
        blueprint: blueprint.id,
        name: blueprint.name.clone(),
        version: 3,
        tenants: Some(vec![tenant.id]),
    };
    let mut job = Job::new(
        JobId::from_bytes([15; 16]),
        JobKind::ApplyBlueprint(order),
        Principal::Operator(user.id),
        moment(),
    );
    job.count(JobOutcome::Kept);
    job.checkpoint = vec![2; 16];
    job.lease = Some(Lease { worker: [16; 16], until: moment() });
    let item = JobItem {
        outcome: JobOutcome::Kept,
        kept: vec!["/collections/customers/label".to_owned()],
        problem: None,
    };
    let recovery = Recovery {
        state: RecoveryState::Invited,
        reason: named("the owner has left"),
        requested_by: user.id,
        requested_at: moment(),
        approved_by: Some(UserId::from_bytes([6; 16])),
        approved_at: Some(moment()),
        invited_by: Some(user.id),
        user: Some(user.id),
        invitation_ends_at: Some(moment()),
        stopped_by: Some(Principal::User(user.id)),
        closed_at: None,
    };
    let session = Session {
        id: strongroom_model::SessionId::from_bytes([1; 16]),
        user: user.id,
        created_at: moment(),
        expires_at: moment(),
        ended: false,
        secret_hash: [7; 32],
    };
    let class = PermissionClass {
        id: user.classes[0],
        name: named("clerk"),
        label: named("Clerk"),
        terms: serde_json::from_str::<ClassTerms>(super::words::CLERK).unwrap(),
    };
    let rules: Vec<Rule> = class.terms.rules.clone();
    assert!(!rules.is_empty());
    let subject = SubjectHead {
        id: SubjectId::from_bytes([3; 16]),
        kind: SubjectKind::Filler(CollectionNumber(1)),
        state: SubjectState::Active,
        epoch: 0,
        next_number: 17,
        external_id: Some(named("person-4711")),
        consents: vec![Consent {
            purpose: named("newsletter"),
            state: ConsentState::Given,
            since: moment(),
            until: None,
        }],
        holds: Vec::new(),
        created_at: moment(),
    };
    let place = RecordPlace::of_record(CollectionNumber(1), RecordId::from_bytes([4; 16]));
    let erasure = Erasure {
        id: strongroom_model::ErasureId::from_bytes([1; 16]),
        tenant: tenant.id,
        target: ErasureTarget::Subject(subject.id),
        ground: ErasureGround::SubjectRequest,
        state: ErasureState::Erased,
        requested_by: Principal::Anonymous,
        requested_at: moment(),
        closed_at: Some(moment()),
        erased_at: None,
        receipt: None,
        index_pages: 2,
    };
    let value: ClearValue =
        serde_json::from_str(r#"{"a":[1,-2.5,true,null,"é"],"b":{"c":1e300}}"#).unwrap();
    let import = Job {
        state: JobState::Uploading,
        asker: Some(Asker {
            credential: AskedWith::Backend(backend.id, 2),
            acting_for: Some(user.id),
            purpose: Some(named("care")),
            address: Some([192, 0, 2, 7].into()),
        }),
        slot: Some(70),
        ..Job::new(
            job.id,
            JobKind::Import(Import::new(named("customers"), true)),
            Principal::Backend(backend.id),
            moment(),
        )
    };
    let export = Job {
        asker: import.asker.clone(),
        ..Job::new(
            job.id,
            JobKind::Export(Export {
                collection: named("customers"),
                number: CollectionNumber(5),
                format: ExportFormat::Csv,
                fields: Some(vec![FieldNumber(1), FieldNumber(2)]),
                reveal: vec![FieldNumber(2)],
                part_records: 1000,
                part: ExportPart { number: 3, records: 9, ..ExportPart::NOTHING },
                moved_at: Some(moment()),
            }),
            Principal::User(user.id),
            moment(),
        )
    };
    let archiving = Archiving { collections: vec![named("customers")], moved_at: moment() };
    let archive = Job::new(job.id, JobKind::Archive(archiving), Principal::User(user.id), moment());
    let part = JobPart { digest: [8; 32], rows: 3, rejected: 1 };
    let flaws = vec![("/fields/phone".to_owned(), "not a telephone number".to_owned())];
    let reject = JobReject { part: 2, line: 12, flaws };
    let open = OpenJobs { jobs: vec![OpenJob { job: job.id, slot: Some(70) }] };
    let spooled = vec![FileRow {
        line: 12,
        record: NewRecord {
            external_id: Some(named("C-1024")),
            subject: Some(NamedSubject::External(named("person-4711"))),
            source: Some(named("an export")),
            collected_at: Some(moment()),
            notice: Some(3),
            purposes: Some(vec![named("care")]),
            assignees: vec![
                NamedUser::Id(UserId::from_bytes([5; 16])),
                NamedUser::External(named("staff-1")),
            ],
            fields: vec![(named("note"), ClearValue::Text("seven".to_owned()))],
        },
    }];
    let nested = |depth: usize| [vec![0x81; depth], vec![0xf6]].concat();
    vec![
        ("read-tenant", row(0, minicbor::to_vec(&tenant).unwrap())),
        ("read-user", row(1, minicbor::to_vec(&user).unwrap())),
        ("read-invitation", row(2, minicbor::to_vec(&invitation).unwrap())),
        ("read-api-key", row(3, minicbor::to_vec(&api_key).unwrap())),
        ("read-session", row(4, minicbor::to_vec(&session).unwrap())),
        ("read-collection", row(5, minicbor::to_vec(collection()).unwrap())),
        ("read-class", row(6, minicbor::to_vec(&class).unwrap())),
        ("read-subject", row(7, minicbor::to_vec(&subject).unwrap())),
        ("read-place", row(8, minicbor::to_vec(place).unwrap())),
        ("read-erasure", row(9, minicbor::to_vec(&erasure).unwrap())),
        ("read-backend", row(11, minicbor::to_vec(&backend).unwrap())),
        ("read-admission", row(12, minicbor::to_vec(&admission).unwrap())),
        ("refused-admission-cut", row(12, minicbor::to_vec(&admission).unwrap()[..30].to_vec())),
        ("read-blueprint", row(13, minicbor::to_vec(&blueprint_row).unwrap())),
        ("read-blueprint-version", row(14, minicbor::to_vec(&version).unwrap())),
        (
            "refused-blueprint-version-cut",
            row(14, minicbor::to_vec(&version).unwrap()[..60].to_vec()),
        ),
        ("read-given", row(15, minicbor::to_vec(&given).unwrap())),
        ("read-job", row(16, minicbor::to_vec(&job).unwrap())),
        ("refused-job-cut", row(16, minicbor::to_vec(&job).unwrap()[..40].to_vec())),
        ("read-job-item", row(17, minicbor::to_vec(&item).unwrap())),
        ("read-recovery", row(22, minicbor::to_vec(&recovery).unwrap())),
        ("refused-recovery-cut", row(22, minicbor::to_vec(&recovery).unwrap()[..30].to_vec())),
        ("read-job-import", row(16, minicbor::to_vec(&import).unwrap())),
        ("read-job-export", row(16, minicbor::to_vec(&export).unwrap())),
        ("read-job-archive", row(16, minicbor::to_vec(&archive).unwrap())),
        ("read-job-part", row(18, minicbor::to_vec(part).unwrap())),
        ("read-job-reject", row(19, minicbor::to_vec(&reject).unwrap())),
        ("read-open-jobs", row(20, minicbor::to_vec(&open).unwrap())),
        ("read-spool", row(21, minicbor::to_vec(&spooled).unwrap())),
        ("refused-spool-cut", row(21, minicbor::to_vec(&spooled).unwrap()[..30].to_vec())),
        ("read-value", row(10, minicbor::to_vec(&value).unwrap())),
        ("read-value-nested-63-deep", row(10, nested(63))),
        ("refused-value-nested-64-deep", row(10, nested(64))),
        ("refused-value-longer-than-it-is", row(10, vec![0x9b, 255, 255, 255, 255, 0, 0, 0, 0])),
        ("refused-user-cut", row(1, minicbor::to_vec(&user).unwrap()[..20].to_vec())),
        ("refused-unknown-kind", row(99, vec![0x80])),
    ]
}

/// A blueprint with one part of each kind.
fn blueprint_content() -> BlueprintContent {
    BlueprintContent {
        purposes: Vec::new(),
        collections: vec![BlueprintCollection {
            name: named("customers"),
            label: named("Customers"),
            purposes: vec![named("sales")],
            subject: SubjectRule::Own,
            fields: vec![BlueprintField {
                number: FieldNumber(1),
                name: named("email"),
                label: Some(named("E-mail")),
                kind: FieldType::Email,
                category: None,
                mask: Some(Mask::EmailDomain),
                required: true,
                scope: false,
                retired: false,
            }],
            retired: false,
            forgets_old_versions: false,
        }],
        classes: vec![BlueprintClass {
            name: named("clerk"),
            label: Some(named("Clerk")),
            template: None,
            terms: Some(serde_json::from_str::<ClassTerms>(super::words::CLERK).unwrap()),
        }],
        backends: Vec::new(),
    }
}

/// A collection with a field of each shape of type.
fn collection() -> Collection {
    let field = |number: u32, kind: FieldType| Field {
        number: FieldNumber(number),
        name: named(&format!("field_{number}")),
        label: named("A field"),
        kind,
        category: Some(named("pd:EmailAddress")),
        mask: Mask::Hidden,
        required: false,
        scope: false,
        retired: false,
    };
    let option = ChoiceOption { name: named("north"), label: named("North") };
    Collection {
        id: strongroom_model::CollectionId::from_bytes([1; 16]),
        number: CollectionNumber(5),
        name: named("customers"),
        label: named("Customers"),
        purposes: vec![named("sales")],
        fields: vec![
            field(1, FieldType::Text),
            field(2, FieldType::Choice(vec![option])),
            field(3, FieldType::Reference(named("orders"))),
            field(4, FieldType::List(Box::new(FieldType::Date))),
        ],
        slot: 99,
        subject: SubjectRule::Through(named("field_3")),
        filler: None,
        erased: false,
        forgets_old_versions: false,
    }
}

pub(super) fn key_state_seeds() -> Vec<Seed> {
    let row = |name: &str, rest: &[u8]| {
        let kind = ROWS.iter().position(|known| *known == name).unwrap();
        [&[u8::try_from(kind).unwrap(), 1], rest].concat()
    };
    let number = 258u64.to_be_bytes();
    let in_force = [&number[..], &[1; 16], &[2], &[3; 16], &[0], &[4; 16], &[1]].concat();
    let batch = [&[1][..], &number, &[5; 16], &number].concat();
    let tombstone = [&[2, 0, 1][..], &number, &number, &number].concat();
    vec![
        ("read-tree-head", row("tree_head", &[&[0, 2][..], &number].concat())),
        ("refused-tree-too-high", row("tree_head", &[&[0, 11][..], &number].concat())),
        ("refused-more-slots-than-a-tree-has", row("tree_head", &[&[0, 1][..], &number].concat())),
        ("read-halves", row("halves", &[number, number].concat())),
        ("read-in-force", row("in_force", &in_force)),
        ("refused-in-force-longer", row("in_force", &[&in_force[..], &[0]].concat())),
        ("read-batch", row("batch", &batch)),
        ("read-retired", row("retired", &[])),
        ("refused-retired-longer", row("retired", &[0])),
        ("read-tombstone", row("tombstone", &tombstone)),
        ("refused-other-format", [&[0, 2][..], &batch].concat()),
    ]
}

pub(super) fn holder_seeds() -> Vec<Seed> {
    let header = |seal: &[u8]| {
        let start = [&b"\0strongroom share"[..], &[0, 1, 7, 1], &[8; 16], &[1; 16]].concat();
        [&start[..], seal].concat()
    };
    let parameters = SealParameters::floor(&KnownRng::of(&[9; 16])).unwrap().encode();
    let passphrase = [&[1, 0, 30][..], &parameters].concat();
    let mut weak = passphrase.clone();
    weak[10] = 1;
    let slot = |index: u8, full: u8, sealed: &[u8]| {
        let length = u16::try_from(sealed.len()).unwrap().to_be_bytes();
        [&[index + 1, index, full][..], &258u64.to_be_bytes(), &length, sealed].concat()
    };
    vec![
        ("read-header-of-a-key-file", header(&[0, 0, 0])),
        ("read-header-of-a-passphrase", header(&passphrase)),
        ("refused-header-with-weak-parameters", header(&weak)),
        ("refused-header-with-something-behind", header(&[0, 0, 0, 1])),
        ("read-empty-slot", slot(0, 0, &[])),
        ("read-full-slot", slot(1, 1, &[7; 200])),
        ("refused-full-slot-without-a-share", slot(1, 1, &[])),
        ("refused-slot-of-another-place", [&[2][..], &slot(0, 0, &[])[1..]].concat()),
        ("refused-slot-with-something-behind", [&slot(0, 0, &[])[..], &[0, 1]].concat()),
    ]
}

pub(super) fn row_key_seeds() -> Vec<Seed> {
    let tenant = TenantId::from_bytes([2; 16]);
    let record = keyspace::record(tenant, CollectionNumber(5), RecordId::from_bytes([4; 16]));
    let subject = SubjectId::from_bytes([3; 16]);
    let erasure = keyspace::erasure(tenant, strongroom_model::ErasureId::from_bytes([1; 16]));
    let tombstone = keyspace::tombstone(tenant, keyspace::RowKind::Record, &[4; 16], 17);
    let bytes = |key: RowKey| key.as_bytes().to_vec();
    vec![
        ("read-record", bytes(record)),
        ("read-manifest-entry", bytes(keyspace::manifest_entry(tenant, subject, 17))),
        ("read-subject", bytes(keyspace::subject_head(tenant, subject))),
        ("read-erasure-of-a-tenants-own", [&[2; 16], &bytes(erasure.clone())[16..]].concat()),
        ("read-erasure", bytes(erasure)),
        ("read-tombstone", bytes(tombstone)),
        ("read-retired", bytes(keyspace::retired(tenant, keyspace::Tree::Data, 99))),
        ("refused-unknown-kind", [&[2; 16][..], &[0xff]].concat()),
        ("refused-short", vec![2; 16]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_key_states_rows_has_a_seed() {
        let seeds = key_state_seeds();
        for (kind, name) in ROWS.iter().enumerate() {
            let is_of_kind = |seed: &Seed| usize::from(seed.1[0]) == kind;
            assert!(seeds.iter().any(is_of_kind), "{name}");
        }
    }
}
