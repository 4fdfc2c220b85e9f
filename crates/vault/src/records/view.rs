//! What a caller sees of a record, and the one function that opens it.

use strongroom_access_policy::{FieldView, Permit, Shown, mask};
use strongroom_crypto::scrub_once;
use strongroom_model::{
    ClearValue, Collection, CollectionName, ExternalId, FieldName, FieldNumber, Plaintext,
    RecordId, SubjectId, Timestamp, UserId,
};
use strongroom_storage::Committed;

use crate::VaultError;
use crate::admission::Ticket;
use crate::records::codec::Opened;
use crate::rows::damaged;

/// Which fields of records are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only these fields; absent: all that the caller may see.
    pub fields: Option<Vec<FieldName>>,
    /// Revealable fields that are to come in the clear, which is recorded as such.
    pub reveal: Vec<FieldName>,
}

/// The numbers of what is wanted.
pub(crate) struct Columns {
    pub(crate) requested: Option<Vec<FieldNumber>>,
    pub(crate) reveal: Vec<FieldNumber>,
}

impl Wanted {
    /// Finds the fields' numbers.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for a field that the collection does not have.
    pub(crate) fn columns(&self, collection: &Collection) -> Result<Columns, VaultError> {
        let number = |pointer: &str, name: &FieldName| {
            let field = collection.field(name);
            let field =
                field.ok_or_else(|| VaultError::invalid(pointer, format!("no field `{name}`")))?;
            Ok::<_, VaultError>(field.number)
        };
        let requested = match &self.fields {
            None => None,
            Some(names) => {
                Some(names.iter().map(|name| number("/fields", name)).collect::<Result<_, _>>()?)
            }
        };
        let reveal =
            self.reveal.iter().map(|name| number("/reveal", name)).collect::<Result<_, _>>()?;
        Ok(Columns { requested, reveal })
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
    // A commit without a line proves nothing about this request.
    if on_record.places().is_empty() {
        return Err(VaultError::Internal("nothing was put on record".into()));
    }
    ticket.still_admitted()?;
    let (fields, masked) = scrub_once(|| open_shown(&permit.spend().fields, record))?;
    let head = &record.opened.head;
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

/// A record's fields as they are shown: in the clear, and what masks leave of them.
type ShownFields = (Vec<(FieldName, ClearValue)>, Vec<(FieldName, Plaintext<String>)>);

fn open_shown(views: &[FieldView], record: &Known<'_>) -> Result<ShownFields, VaultError> {
    let mut fields = Vec::with_capacity(views.len());
    let mut masked = Vec::new();
    let mut stored = Plaintext::new(Vec::with_capacity(FIRST_CAPACITY));
    for view in views {
        let Some(field) = record.collection.field_of(view.number).filter(|field| !field.retired)
        else {
            continue;
        };
        if !record.opened.open_into(view.number.0, &mut stored)? {
            continue;
        }
        let value = field.kind.load(stored.expose()).map_err(|_| damaged())?;
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

/// A record whose head is open.
pub(crate) struct Known<'a> {
    pub(crate) id: RecordId,
    pub(crate) version: u64,
    pub(crate) collection: &'a Collection,
    /// The person whom it is about, if it is about one.
    pub(crate) person: Option<SubjectId>,
    pub(crate) opened: &'a Opened,
}
