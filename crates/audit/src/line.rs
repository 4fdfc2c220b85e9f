//! The bytes of an audit line in the clear; `docs/formats/audit-line.md` has them.

use strongroom_crypto::layout::{Reader, Writer};
use strongroom_crypto::line::CLEAR_MAX;
use strongroom_model::{
    Action, AuditEvent, AuditObject, BackendId, ClassId, CollectionNumber, FieldNumber, JobName,
    KeyId, Outcome, Principal, RecordId, RuleRef, SealedReason, SubjectId, TOUCHES_MAX, TenantId,
    Through, Touch, UserId,
};

use crate::{Error, Result};

/// Version of this layout.
const VERSION: u8 = 1;

/// An event as it is read back from a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedEvent {
    /// Who acted.
    pub principal: Principal,
    /// For which user, where a key, backend or connection acts for one.
    pub acting_for: Option<UserId>,
    /// Through which backend, connection or grant: its kind and id.
    pub through: Option<(Through, [u8; 16])>,
    /// What was asked.
    pub action: Action,
    /// Under which purpose, by its name; empty where the action has none.
    pub purpose: String,
    /// The class whose rule decided, its version, and the rule's place in it.
    pub rule: Option<RuleRef>,
    /// What was decided.
    pub outcome: Outcome,
    /// A stable word for what was done or refused.
    pub code: String,
    /// What it was about.
    pub object: DecodedObject,
    /// Which records and fields were touched.
    pub touches: Vec<Touch>,
    /// A keyed commitment to the caller's address; zeros where there was none.
    pub address_commitment: [u8; 16],
    /// The reason that the caller gave, sealed.
    pub reason: Option<SealedReason>,
}

/// What an event was about, as it is read back from a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodedObject {
    /// The tenant as a whole.
    Tenant(TenantId),
    /// A collection.
    Collection(CollectionNumber),
    /// A record.
    Record(CollectionNumber, RecordId),
    /// A subject.
    Subject(SubjectId),
    /// Anything else that has an id: its kind's prefix and bytes.
    Other(String, [u8; 16]),
}

/// The bytes of an event.
///
/// # Errors
/// [`Error::TooLong`] if it has more than [`TOUCHES_MAX`] touches, a text of more than 255 bytes, a
/// list of more than 65,535 fields, or more bytes than a line can have.
pub fn encode(event: &AuditEvent) -> Result<Vec<u8>> {
    encode_decoded(&DecodedEvent::from(event))
}

/// The bytes of an event that was read back; the same as those that it was read from.
///
/// # Errors
/// [`Error::TooLong`] as for [`encode`].
pub fn encode_decoded(event: &DecodedEvent) -> Result<Vec<u8>> {
    let mut writer = Writer::with_capacity(256);
    writer.u8(VERSION);
    write_principal(&mut writer, event.principal);
    write_tagged_id(&mut writer, event.acting_for.map(|user| (1, *user.as_bytes())));
    write_tagged_id(&mut writer, event.through.map(|(kind, id)| (through_number(kind), id)));
    writer.u8(event.action.number()).u8(outcome_number(event.outcome));
    write_rule(&mut writer, event.rule);
    write_object(&mut writer, &event.object)?;
    writer.bytes(&event.address_commitment);
    write_text(&mut writer, &event.purpose)?;
    write_text(&mut writer, &event.code)?;
    write_touches(&mut writer, &event.touches)?;
    write_reason(&mut writer, event.reason.as_ref())?;
    let bytes = writer.finish();
    if bytes.len() > CLEAR_MAX { Err(Error::TooLong) } else { Ok(bytes) }
}

/// Reads an event.
///
/// # Errors
/// [`Error::Malformed`] if it is not, byte for byte, what [`encode`] writes for some event.
pub fn decode(bytes: &[u8]) -> Result<DecodedEvent> {
    let event = read(bytes).ok_or(Error::Malformed)?;
    // One event has one form: lists in another order of first use, fillings that are not zero and
    // the like do not pass.
    if encode_decoded(&event).is_ok_and(|again| again == bytes) {
        Ok(event)
    } else {
        Err(Error::Malformed)
    }
}

impl From<&AuditEvent> for DecodedEvent {
    fn from(event: &AuditEvent) -> Self {
        Self {
            principal: event.principal,
            acting_for: event.acting_for,
            through: event.through,
            action: event.action,
            purpose: event.purpose.clone(),
            rule: event.rule,
            outcome: event.outcome,
            code: event.code.to_owned(),
            object: match event.object {
                AuditObject::Tenant(tenant) => DecodedObject::Tenant(tenant),
                AuditObject::Collection(collection) => DecodedObject::Collection(collection),
                AuditObject::Record(collection, record) => {
                    DecodedObject::Record(collection, record)
                }
                AuditObject::Subject(subject) => DecodedObject::Subject(subject),
                AuditObject::Other(kind, id) => DecodedObject::Other(kind.to_owned(), id),
            },
            touches: event.touches.clone(),
            address_commitment: event.address_commitment,
            reason: event.reason.clone(),
        }
    }
}

fn read(bytes: &[u8]) -> Option<DecodedEvent> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return None;
    }
    let event = DecodedEvent {
        principal: read_principal(&mut reader)?,
        acting_for: match read_tagged_id(&mut reader)? {
            (0, _) => None,
            (1, id) => Some(UserId::from_bytes(id)),
            _ => return None,
        },
        through: match read_tagged_id(&mut reader)? {
            (0, _) => None,
            (kind, id) => Some((through_of(kind)?, id)),
        },
        action: Action::from_number(reader.u8()?)?,
        outcome: outcome_of(reader.u8()?)?,
        rule: read_rule(&mut reader).ok()?,
        object: read_object(&mut reader)?,
        address_commitment: reader.array()?,
        purpose: read_text(&mut reader)?,
        code: read_text(&mut reader)?,
        touches: read_touches(&mut reader)?,
        reason: read_reason(&mut reader).ok()?,
    };
    reader.end()?;
    Some(event)
}

/// `kind u8 | id 16`; zeros where there is none.
fn write_tagged_id(writer: &mut Writer, value: Option<(u8, [u8; 16])>) {
    let (kind, id) = value.unwrap_or_default();
    writer.u8(kind).bytes(&id);
}

fn read_tagged_id(reader: &mut Reader<'_>) -> Option<(u8, [u8; 16])> {
    Some((reader.u8()?, reader.array()?))
}

fn write_principal(writer: &mut Writer, principal: Principal) {
    let tagged = match principal {
        Principal::User(id) => (1, *id.as_bytes()),
        Principal::ApiKey(id) => (2, *id.as_bytes()),
        Principal::Operator(id) => (3, *id.as_bytes()),
        Principal::Job(name) => (4, u128::from(job_number(name)).to_be_bytes()),
        Principal::Anonymous => (5, [0; 16]),
        Principal::Backend(id) => (6, *id.as_bytes()),
    };
    write_tagged_id(writer, Some(tagged));
}

fn read_principal(reader: &mut Reader<'_>) -> Option<Principal> {
    let (kind, id) = read_tagged_id(reader)?;
    Some(match kind {
        1 => Principal::User(UserId::from_bytes(id)),
        2 => Principal::ApiKey(KeyId::from_bytes(id)),
        3 => Principal::Operator(UserId::from_bytes(id)),
        4 => Principal::Job(job_of(id)?),
        5 => Principal::Anonymous,
        6 => Principal::Backend(BackendId::from_bytes(id)),
        _ => return None,
    })
}

const fn job_number(name: JobName) -> u8 {
    match name {
        JobName::Eraser => 1,
        JobName::Init => 2,
        JobName::ApplyBlueprint => 3,
        JobName::Restore => 4,
    }
}

fn job_of(id: [u8; 16]) -> Option<JobName> {
    match u128::from_be_bytes(id) {
        1 => Some(JobName::Eraser),
        2 => Some(JobName::Init),
        3 => Some(JobName::ApplyBlueprint),
        4 => Some(JobName::Restore),
        _ => None,
    }
}

const fn through_number(kind: Through) -> u8 {
    match kind {
        Through::Backend => 1,
        Through::Connection => 2,
        Through::Grant => 3,
        Through::Job => 4,
    }
}

const fn through_of(number: u8) -> Option<Through> {
    match number {
        1 => Some(Through::Backend),
        2 => Some(Through::Connection),
        3 => Some(Through::Grant),
        4 => Some(Through::Job),
        _ => None,
    }
}

const fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allowed => 1,
        Outcome::Refused => 2,
    }
}

const fn outcome_of(number: u8) -> Option<Outcome> {
    match number {
        1 => Some(Outcome::Allowed),
        2 => Some(Outcome::Refused),
        _ => None,
    }
}

/// `present u8 | class 16 | version u64 | rule u16`; zeros where there is none.
fn write_rule(writer: &mut Writer, rule: Option<RuleRef>) {
    write_tagged_id(writer, rule.map(|rule| (1, *rule.class.as_bytes())));
    writer.u64(rule.map_or(0, |rule| rule.version)).u16(rule.map_or(0, |rule| rule.rule));
}

fn read_rule(reader: &mut Reader<'_>) -> Result<Option<RuleRef>> {
    match (read_tagged_id(reader), reader.u64(), reader.u16()) {
        (Some((0, _)), Some(_), Some(_)) => Ok(None),
        (Some((1, class)), Some(version), Some(rule)) => {
            Ok(Some(RuleRef { class: ClassId::from_bytes(class), version, rule }))
        }
        _ => Err(Error::Malformed),
    }
}

/// `kind u8 | collection u32 | id 16 | prefix`; zeros where a part has no meaning.
fn write_object(writer: &mut Writer, object: &DecodedObject) -> Result<()> {
    let (kind, collection, id, prefix) = match object {
        DecodedObject::Tenant(tenant) => (1, 0, *tenant.as_bytes(), ""),
        DecodedObject::Collection(collection) => (2, collection.0, [0; 16], ""),
        DecodedObject::Record(collection, record) => (3, collection.0, *record.as_bytes(), ""),
        DecodedObject::Subject(subject) => (4, 0, *subject.as_bytes(), ""),
        DecodedObject::Other(prefix, id) => (5, 0, *id, prefix.as_str()),
    };
    writer.u8(kind).u32(collection).bytes(&id);
    write_text(writer, prefix)
}

fn read_object(reader: &mut Reader<'_>) -> Option<DecodedObject> {
    let kind = reader.u8()?;
    let collection = CollectionNumber(reader.u32()?);
    let id = reader.array()?;
    let prefix = read_text(reader)?;
    Some(match kind {
        1 => DecodedObject::Tenant(TenantId::from_bytes(id)),
        2 => DecodedObject::Collection(collection),
        3 => DecodedObject::Record(collection, RecordId::from_bytes(id)),
        4 => DecodedObject::Subject(SubjectId::from_bytes(id)),
        5 => DecodedObject::Other(prefix, id),
        _ => return None,
    })
}

/// Longest sealed reason.
const REASON_MAX: usize = 1024;

/// `kind u8 | subject 16 | slot u64 | length u16 | sealed`; all zeros where there is none.
fn write_reason(writer: &mut Writer, reason: Option<&SealedReason>) -> Result<()> {
    let subject = reason.and_then(|reason| reason.subject);
    let kind = match (reason, subject) {
        (None, _) => 0,
        (Some(_), None) => 1,
        (Some(_), Some(_)) => 2,
    };
    write_tagged_id(
        writer,
        Some((kind, subject.map_or([0; 16], |(subject, _)| *subject.as_bytes()))),
    );
    let sealed = reason.map_or(&[][..], |reason| &reason.sealed);
    if sealed.len() > REASON_MAX || (kind > 0 && sealed.is_empty()) {
        return Err(Error::TooLong);
    }
    writer.u64(subject.map_or(0, |(_, slot)| slot)).u16(count(sealed.len())?).bytes(sealed);
    Ok(())
}

fn read_reason(reader: &mut Reader<'_>) -> Result<Option<SealedReason>> {
    let (kind, id) = read_tagged_id(reader).ok_or(Error::Malformed)?;
    let slot = reader.u64().ok_or(Error::Malformed)?;
    let length = usize::from(reader.u16().ok_or(Error::Malformed)?);
    let sealed = reader.slice(length).ok_or(Error::Malformed)?.to_vec();
    match kind {
        0 => Ok(None),
        1 => Ok(Some(SealedReason { subject: None, sealed })),
        2 => Ok(Some(SealedReason { subject: Some((SubjectId::from_bytes(id), slot)), sealed })),
        _ => Err(Error::Malformed),
    }
}

/// `length u8 | UTF-8`.
fn write_text(writer: &mut Writer, text: &str) -> Result<()> {
    let length = u8::try_from(text.len()).map_err(|_| Error::TooLong)?;
    writer.u8(length).bytes(text.as_bytes());
    Ok(())
}

fn read_text(reader: &mut Reader<'_>) -> Option<String> {
    let length = usize::from(reader.u8()?);
    String::from_utf8(reader.slice(length)?.to_vec()).ok()
}

/// What a touch shows of its record. A list shows the same of most records, so each view is
/// written once.
type View<'a> = (&'a [FieldNumber], &'a [FieldNumber]);

/// `views u16 | (clear, masked)* | touches u16 | (record 16, view u16)*`, the views in the order in
/// which touches first use them.
fn write_touches(writer: &mut Writer, touches: &[Touch]) -> Result<()> {
    if touches.len() > TOUCHES_MAX {
        return Err(Error::TooLong);
    }
    let mut views: Vec<View<'_>> = Vec::new();
    let mut rows = Writer::with_capacity(touches.len() * 18);
    for touch in touches {
        let view = (touch.clear.as_slice(), touch.masked.as_slice());
        let place = views.iter().position(|known| *known == view).unwrap_or_else(|| {
            views.push(view);
            views.len() - 1
        });
        rows.bytes(touch.record.as_bytes()).u16(count(place)?);
    }
    writer.u16(count(views.len())?);
    for (clear, masked) in views {
        write_fields(writer, clear)?;
        write_fields(writer, masked)?;
    }
    writer.u16(count(touches.len())?).bytes(&rows.finish());
    Ok(())
}

fn read_touches(reader: &mut Reader<'_>) -> Option<Vec<Touch>> {
    let mut views = Vec::new();
    for _ in 0..reader.u16()? {
        views.push((read_fields(reader)?, read_fields(reader)?));
    }
    let touches = usize::from(reader.u16()?);
    if touches > TOUCHES_MAX {
        return None;
    }
    (0..touches)
        .map(|_| {
            let record = RecordId::from_bytes(reader.array()?);
            let (clear, masked) = views.get(usize::from(reader.u16()?))?.clone();
            Some(Touch { record, clear, masked })
        })
        .collect()
}

/// `count u16 | field u32*`.
fn write_fields(writer: &mut Writer, fields: &[FieldNumber]) -> Result<()> {
    writer.u16(count(fields.len())?);
    for field in fields {
        writer.u32(field.0);
    }
    Ok(())
}

fn read_fields(reader: &mut Reader<'_>) -> Option<Vec<FieldNumber>> {
    (0..reader.u16()?).map(|_| reader.u32().map(FieldNumber)).collect()
}

fn count(number: usize) -> Result<u16> {
    u16::try_from(number).map_err(|_| Error::TooLong)
}
