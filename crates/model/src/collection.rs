//! Collections: typed sets of records, and the fields that a record of them has.

use crate::{
    CollectionId, CollectionName, DpvTerm, FieldName, Label, Malformed, Purpose, SubjectId,
};

/// A collection's number within its tenant; part of row keys and contexts, never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
)]
#[cbor(transparent)]
pub struct CollectionNumber(#[n(0)] pub u32);

/// A field's number within its collection: 1 and up, never reused. Number 0 is the record head.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[cbor(transparent)]
pub struct FieldNumber(#[n(0)] pub u32);

impl FieldNumber {
    /// The record head.
    pub const HEAD: Self = Self(0);
}

/// A typed set of records.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Collection {
    /// Its id.
    #[n(0)]
    pub id: CollectionId,
    /// Its number.
    #[n(1)]
    pub number: CollectionNumber,
    /// Its name in paths.
    #[n(2)]
    pub name: CollectionName,
    /// What people call it.
    #[n(3)]
    pub label: Label,
    /// For what its records may be used. A collection without a purpose takes no records.
    #[n(4)]
    pub purposes: Vec<Purpose>,
    /// Its fields, in ascending order of their numbers.
    #[n(5)]
    pub fields: Vec<Field>,
    /// The leaf of the tenant's `data` tree that holds its key.
    #[n(6)]
    pub slot: u64,
    /// Whom its records are about, where a creation does not say.
    #[n(7)]
    pub subject: SubjectRule,
    /// The subject that its records about nobody share, once there is one.
    #[n(8)]
    pub filler: Option<Filler>,
    /// Whether it has been erased: its key is dead or about to die.
    #[n(9)]
    pub erased: bool,
    /// Whether each change of a record erases what it held before, as a correction does.
    #[n(10)]
    pub forgets_old_versions: bool,
}

/// Whom the records of a collection are about, where a creation does not say.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRule {
    /// Each record is about a person of its own.
    #[default]
    #[n(0)]
    Own,
    /// The person whom the record in this field of type `reference` is about.
    #[n(1)]
    Through(#[n(0)] FieldName),
    /// Nobody.
    #[n(2)]
    Nobody,
}

/// The subject that records about nobody share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Filler {
    /// The subject.
    #[n(0)]
    pub subject: SubjectId,
    /// The leaf that holds its seed.
    #[n(1)]
    pub slot: u64,
}

impl Collection {
    /// The field of this name, retired ones not included.
    pub fn field(&self, name: &FieldName) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == *name && !field.retired)
    }

    /// The field of this number.
    pub fn field_of(&self, number: FieldNumber) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }
}

/// A field of a collection.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Field {
    /// Its number.
    #[n(0)]
    pub number: FieldNumber,
    /// Its name.
    #[n(1)]
    pub name: FieldName,
    /// What people call it.
    #[n(2)]
    pub label: Label,
    /// What its values are.
    #[n(3)]
    pub kind: FieldType,
    /// The kind of personal data in it.
    #[n(4)]
    pub category: Option<DpvTerm>,
    /// What a class with the view `masked` sees of it.
    #[n(5)]
    pub mask: Mask,
    /// Whether a record must have it.
    #[n(6)]
    pub required: bool,
    /// Whether row scopes may filter by it; its value then stands in the record head too.
    #[n(7)]
    pub scope: bool,
    /// Whether it has been retired: no longer written or shown.
    #[n(8)]
    pub retired: bool,
}

/// What the values of a field are. A field's type never changes.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Any text.
    #[n(0)]
    Text,
    /// A person's name.
    #[n(1)]
    Name,
    /// An e-mail address.
    #[n(2)]
    Email,
    /// A telephone number.
    #[n(3)]
    Phone,
    /// A day, `2026-01-31`.
    #[n(4)]
    Date,
    /// A moment, `2026-01-31T09:30:00Z`.
    #[n(5)]
    Timestamp,
    /// A 64-bit floating-point number.
    #[n(6)]
    Number,
    /// An exact decimal number, as a string such as `"12.50"`.
    #[n(7)]
    Decimal,
    /// `true` or `false`.
    #[n(8)]
    Boolean,
    /// One of the named options.
    #[n(9)]
    Choice(
        #[n(0)]
        #[serde(deserialize_with = "crate::objects::objects")]
        Vec<ChoiceOption>,
    ),
    /// A postal address: an object of `lines`, `city`, `region`, `postal_code`, `country`.
    #[n(10)]
    Address,
    /// A national id, such as a social security number.
    #[n(11)]
    NationalId,
    /// A tax id, such as an employer identification number.
    #[n(12)]
    TaxId,
    /// A payment card's number.
    #[n(13)]
    Card,
    /// A place: an object of `latitude`, `longitude` and, if known, `captured_at`.
    #[n(14)]
    Location,
    /// A credential of a third-party account.
    #[n(15)]
    Credential,
    /// A record of the named collection.
    #[n(16)]
    Reference(#[n(0)] CollectionName),
    /// A person other than the one whom the record is about.
    #[n(17)]
    Subject,
    /// Several values of one type.
    #[n(18)]
    #[schema(no_recursion)]
    List(#[n(0)] Box<FieldType>),
    /// Any JSON.
    #[n(19)]
    Json,
    /// A file of any size, written and read by itself; its value is an object of `size`, `type`,
    /// `name` and `sha256`.
    #[n(20)]
    File,
}

/// One option of a choice.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ChoiceOption {
    /// Its name in values.
    #[n(0)]
    pub name: FieldName,
    /// What people call it.
    #[n(1)]
    pub label: Label,
}

/// What is left of a value under the view `masked`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Mask {
    /// The last four characters that are letters or digits: `•••• 4321`.
    #[n(0)]
    LastFour,
    /// The first letter and the domain: `a•••@example.org`.
    #[n(1)]
    EmailDomain,
    /// Initials: `A. L.`.
    #[n(2)]
    Initials,
    /// The year: `1815`.
    #[n(3)]
    Year,
    /// The country of an address: `DE`.
    #[n(4)]
    Country,
    /// Nothing: such a field is hidden where it would be masked.
    #[n(5)]
    Hidden,
}

impl FieldType {
    /// The mask that a field of this type has unless its collection says otherwise (`access.md`).
    pub const fn default_mask(&self) -> Mask {
        match self {
            Self::Phone | Self::NationalId | Self::TaxId | Self::Card => Mask::LastFour,
            Self::Email => Mask::EmailDomain,
            Self::Name => Mask::Initials,
            Self::Date => Mask::Year,
            Self::Address => Mask::Country,
            Self::Text
            | Self::Timestamp
            | Self::Number
            | Self::Decimal
            | Self::Boolean
            | Self::Choice(_)
            | Self::Location
            | Self::Credential
            | Self::Reference(_)
            | Self::Subject
            | Self::List(_)
            | Self::Json
            | Self::File => Mask::Hidden,
        }
    }

    /// Whether this mask can be applied to values of this type.
    pub const fn takes(&self, mask: Mask) -> bool {
        match mask {
            Mask::Hidden => true,
            Mask::LastFour => matches!(
                self,
                Self::Text | Self::Name | Self::Phone | Self::NationalId | Self::TaxId | Self::Card
            ),
            Mask::EmailDomain => matches!(self, Self::Email),
            Mask::Initials => matches!(self, Self::Name | Self::Text),
            Mask::Year => matches!(self, Self::Date | Self::Timestamp),
            Mask::Country => matches!(self, Self::Address),
        }
    }

    /// Whether the type can be used for row scopes: short values that can be compared.
    pub const fn can_scope(&self) -> bool {
        matches!(self, Self::Text | Self::Boolean | Self::Choice(_))
    }

    /// Whether a record can be made to have a value of this type: a file comes when its record is there.
    pub const fn can_be_required(&self) -> bool {
        !matches!(self, Self::File)
    }

    /// Refuses a type that could not hold a value.
    ///
    /// # Errors
    /// [`Malformed`] for a choice without options or with one twice, and for a list of lists or files.
    pub fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::Choice(options) => {
                let mut names: Vec<_> = options.iter().map(|option| &option.name).collect();
                names.sort_unstable();
                names.dedup();
                if options.is_empty() || options.len() > 1000 || names.len() != options.len() {
                    return Err(Malformed("a choice has 1 to 1000 options with different names"));
                }
                Ok(())
            }
            Self::List(of) if matches!(**of, Self::List(_)) => {
                Err(Malformed("a list cannot hold lists"))
            }
            Self::List(of) if **of == Self::File => Err(Malformed("a list cannot hold files")),
            Self::List(of) => of.check(),
            Self::Text
            | Self::Name
            | Self::Email
            | Self::Phone
            | Self::Date
            | Self::Timestamp
            | Self::Number
            | Self::Decimal
            | Self::Boolean
            | Self::Address
            | Self::NationalId
            | Self::TaxId
            | Self::Card
            | Self::Location
            | Self::Credential
            | Self::Reference(_)
            | Self::Subject
            | Self::Json
            | Self::File => Ok(()),
        }
    }
}
