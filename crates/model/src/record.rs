//! Records: what of one must be known before it may be decided who sees it.

use crate::{
    CollectionNumber, ExternalId, FieldNumber, FileId, FilePlace, Label, Principal, Purpose,
    RecordId, SubjectId, Timestamp, UserId,
};

/// Field number 0 of every record body: opened before the decision, never leaves the vault.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct RecordHead {
    /// The subject whose key seals the record.
    #[n(0)]
    pub subject: SubjectId,
    /// The id that the SaaS product has for it.
    #[n(1)]
    pub external_id: Option<ExternalId>,
    /// Who gave the data: the person, a named third party, or derived.
    #[n(2)]
    pub source: Option<Label>,
    /// The purposes in force when it was collected.
    #[n(3)]
    pub purposes: Vec<Purpose>,
    /// The version of the notice in force when it was collected.
    #[n(4)]
    pub notice: Option<u32>,
    /// When the data was collected; retention runs from here.
    #[n(5)]
    pub collected_at: Timestamp,
    /// Who created the record.
    #[n(6)]
    pub created_by: Principal,
    /// When the record was created here.
    #[n(7)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[n(8)]
    pub changed_at: Timestamp,
    /// The users to whom it is assigned.
    #[n(9)]
    pub assignees: Vec<UserId>,
    /// The values of the fields by which row scopes filter.
    #[n(10)]
    pub scope: Vec<ScopeAttribute>,
    /// Where its files are.
    #[n(11)]
    #[cbor(default)]
    pub files: Vec<FilePlace>,
}

impl RecordHead {
    /// Where the file in a field is, if there is one.
    pub fn file_in(&self, field: FieldNumber) -> Option<FilePlace> {
        self.files.iter().find(|place| place.field == field).copied()
    }
}

/// The value of a field marked `scope`.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ScopeAttribute {
    /// The field.
    #[n(0)]
    pub field: FieldNumber,
    /// Its value: text as it is, a boolean as `true` or `false`, a choice's name.
    #[n(1)]
    pub value: Box<str>,
}

/// Where a record is, or a file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
pub struct RecordPlace {
    /// Its collection.
    #[n(0)]
    pub collection: CollectionNumber,
    /// The record.
    #[n(1)]
    pub record: RecordId,
    /// The file of the record that is meant, if one is.
    #[n(2)]
    pub file: Option<FileId>,
}

impl RecordPlace {
    /// The place of a record itself.
    pub const fn of_record(collection: CollectionNumber, record: RecordId) -> Self {
        Self { collection, record, file: None }
    }
}
