//! What a caller sees of a record, and the one function that opens it.

use strongroom_access_policy::{FieldView, Permit, Shown, mask};
use strongroom_crypto::scrub_once;
use strongroom_model::{
    Action, AuditEvent, AuditObject, ClearValue, Collection, CollectionName, ExternalId, Field,
    FieldName, FieldNumber, FileDescription, Plaintext, Principal, RecordHead, RecordId, SubjectId,
    Timestamp, UserId,
};
use strongroom_storage::Committed;

use crate::admission::Ticket;
use crate::records::codec::Opened;
use crate::rows::damaged;
use crate::trail::Attempted;
use crate::{Flaw, VaultError};

/// Which fields of records are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only these fields; absent: all that the caller may see.
    pub fields: Option<Vec<FieldName>>,
    /// Revealable fields that are to come in the clear, which is recorded as such.
    pub reveal: Vec<FieldName>,
}

/// The numbers of what is wanted.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) requested: Option<Vec<FieldNumber>>,
    pub(crate) reveal: Vec<FieldNumber>,
    /// What names no field of the collection.
    pub(crate) unknown: Vec<Flaw>,
}

impl Columns {
    /// Refuses what names no field. It comes after the decision: whoever may not see anything of the
    /// collection does not learn which fields it has.
    ///
    /// # Errors
    /// [`VaultError::Invalid`].
    pub(crate) fn check(&self) -> Result<(), VaultError> {
        if self.unknown.is_empty() {
            Ok(())
        } else {
            Err(VaultError::Invalid(self.unknown.clone()))
        }
    }
}

impl Wanted {
    /// Finds the fields' numbers.
    pub(crate) fn columns(&self, collection: &Collection) -> Columns {
        let mut unknown = Vec::new();
        let mut numbers = |pointer: &str, names: &[FieldName]| -> Vec<FieldNumber> {
            let known = names.iter().filter_map(|name| {
                let field = collection.field(name);
                if field.is_none() {
                    let detail = format!("no field `{name}`");
                    unknown.push(Flaw { pointer: pointer.to_owned(), detail });
                }
                field.map(|field| field.number)
            });
            known.collect()
        };
        let requested = self.fields.as_ref().map(|names| numbers("/fields", names));
        let reveal = numbers("/reveal", &self.reveal);
        Columns { requested, reveal, unknown }
    }
}

/// A record as one caller sees it.
pub struct RecordView {
    /// Its id.
    pub id: RecordId,
    /// Its collection.
    pub collection: CollectionName,
    /// Whom it is about; absent for records about nobody.
    pub subject: Option<SubjectId>,
    /// The id that the SaaS product has for it.
    pub external_id: Option<ExternalId>,
    /// Its version, the ETag.
    pub version: u64,
    /// When it was created here.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// The users to whom it is assigned.
    pub assignees: Vec<UserId>,
    /// Fields in the clear.
    pub fields: Vec<(FieldName, ClearValue)>,
    /// What masks leave of fields.
    pub masked: Vec<(FieldName, Plaintext<String>)>,
}

impl std::fmt::Debug for RecordView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "a view of {} with {} clear and {} masked fields",
            self.id,
            self.fields.len(),
            self.masked.len()
        )
    }
}

/// Opens what a permit allows, after it is on record, while the request is still admitted. This is
/// the only way in which client data comes to a caller.
pub(crate) fn disclose(
    permit: Permit,
    on_record: &Committed,
    ticket: &Ticket,
    record: &Known<'_>,
) -> Result<RecordView, VaultError> {
    check_opening(on_record, ticket)?;
    let (fields, masked) = scrub_once(|| open_shown(&permit.spend().fields, record))?;
    let head = record.head;
    Ok(RecordView {
        id: record.id,
        collection: record.collection.name.clone(),
        subject: record.person,
        external_id: head.external_id.clone(),
        version: record.version,
        created_at: head.created_at,
        changed_at: head.changed_at,
        assignees: head.assignees.clone(),
        fields,
        masked,
    })
}

/// Opens what is known of a file, as [`disclose`] opens a record.
pub(crate) fn disclose_file(
    permit: Permit,
    on_record: &Committed,
    ticket: &Ticket,
    record: &Opened,
    field: FieldNumber,
) -> Result<FileDescription, VaultError> {
    check_opening(on_record, ticket)?;
    let shown = |view: &FieldView| match view.shown {
        Shown::Clear => view.number == field,
        Shown::Masked(_) => false,
    };
    if !permit.spend().fields.iter().any(shown) {
        return Err(VaultError::Internal("a permit does not show the file".into()));
    }
    let stored = scrub_once(|| record.open(field.0))?.ok_or_else(damaged)?;
    FileDescription::load(stored.expose()).map_err(|_| damaged())
}

/// Refuses to open what is not on record, or after the request's lease.
fn check_opening(on_record: &Committed, ticket: &Ticket) -> Result<(), VaultError> {
    // A commit without a line proves nothing about this request.
    if on_record.places().is_empty() {
        return Err(VaultError::Internal("nothing was put on record".into()));
    }
    ticket.still_admitted()
}

/// A record's fields as they are shown: in the clear, and what masks leave of them.
type ShownFields = (Vec<(FieldName, ClearValue)>, Vec<(FieldName, Plaintext<String>)>);

fn open_shown(views: &[FieldView], record: &Known<'_>) -> Result<ShownFields, VaultError> {
    let mut fields = Vec::with_capacity(views.len());
    let mut masked = Vec::new();
    let mut buffer = Plaintext::new(Vec::with_capacity(FIRST_CAPACITY));
    for view in views {
        let Some(field) = record.collection.field_of(view.number).filter(|field| !field.retired)
        else {
            continue;
        };
        let Some(value) = record.contents.load(field, &mut buffer)? else { continue };
        match view.shown {
            Shown::Clear => fields.push((field.name.clone(), value)),
            Shown::Masked(by) => {
                if let Some(left) = mask(by, &field.kind, &value) {
                    masked.push((field.name.clone(), Plaintext::new(left)));
                }
            }
        }
    }
    Ok((fields, masked))
}

/// Room for most fields, so that one buffer serves them all.
const FIRST_CAPACITY: usize = 1024;

/// The line that says that a caller sees what it has just written.
pub(crate) fn shown_event(
    principal: Principal,
    object: AuditObject,
    permit: &Permit,
) -> AuditEvent {
    let attempted = Attempted { principal, action: Action::Read, code: "record.read", object };
    attempted.allowed(permit.granted(), permit.touch().into_iter().collect())
}

/// Shows a record that the caller has just written, if it may read it and the line that says so
/// went on record with the writing. Nothing is shown once the request's lease has passed: what is
/// written stays written, and showing it is decided anew.
pub(crate) fn disclose_written(
    seen: Option<Permit>,
    on_record: &Committed,
    ticket: &Ticket,
    record: &Known<'_>,
) -> Result<Option<RecordView>, VaultError> {
    let Some(permit) = seen else { return Ok(None) };
    match disclose(permit, on_record, ticket, record) {
        Ok(view) => Ok(Some(view)),
        Err(VaultError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A record whose head is known.
pub(crate) struct Known<'a> {
    pub(crate) id: RecordId,
    pub(crate) version: u64,
    pub(crate) collection: &'a Collection,
    /// The person whom it is about, if it is about one.
    pub(crate) person: Option<SubjectId>,
    pub(crate) head: &'a RecordHead,
    pub(crate) contents: Contents<'a>,
}

/// Where the values of a record's fields are.
pub(crate) enum Contents<'a> {
    /// In its row, each sealed by itself.
    Sealed(&'a Opened),
    /// In the hands of the use case that has just written them, in the form in which they are sealed.
    Written(&'a [(FieldNumber, Plaintext<Vec<u8>>)]),
}

impl Contents<'_> {
    /// The value of a field, if the record has it. A sealed one is opened into the buffer.
    fn load(
        &self,
        field: &Field,
        buffer: &mut Plaintext<Vec<u8>>,
    ) -> Result<Option<ClearValue>, VaultError> {
        let load = |stored: &Plaintext<Vec<u8>>| {
            field.kind.load(stored.expose()).map(Some).map_err(|_| damaged())
        };
        match self {
            Self::Sealed(opened) if opened.open_into(field.number.0, buffer)? => load(buffer),
            Self::Sealed(_) => Ok(None),
            Self::Written(fields) => {
                let written = fields.iter().find(|(number, _)| *number == field.number);
                written.map_or(Ok(None), |(_, stored)| load(stored))
            }
        }
    }
}
