//! The Rust client: the API's nouns as typed calls over HTTP, and the import and export of files.
//!
//! This crate knows the API's paths, headers, bodies and problems, when a request may be sent
//! again, and in which batches and parts the rows of a file travel. It does *not* know the
//! vault, keys, ciphers or policy, where a token is kept, or how anything is shown to people.
//! Client data passes through it as JSON values, which are not wiped: the process that runs it is
//! the one that asked for them.

pub mod archive;
pub mod export;
pub mod files;
pub mod import;

mod address;
mod admissions;
mod api_keys;
mod audit;
mod authorities;
mod backends;
mod batches;
mod blueprint_files;
mod blueprints;
mod call;
mod certificate;
mod checkpoint;
mod classes;
mod client;
mod collections;
mod erasures;
mod error;
mod invitations;
mod jobs;
mod listing;
mod problem;
mod receipts;
mod records;
mod recovery;
mod secret;
mod sessions;
mod subjects;
mod system;
mod tenants;
mod users;

pub use address::ServerAddress;
pub use admissions::{Admission, AdmissionBounds};
pub use api_keys::{ApiKey, NewApiKey, NewApiKeyAnswer};
pub use audit::{AuditLine, Touch};
pub use authorities::Authorities;
pub use backends::{Backend, BackendSecret, NewBackend, NewBackendAnswer};
pub use batches::{
    BATCH_ITEMS_MAX, BatchToChange, BatchToCreate, BatchToDelete, BatchToRead, FieldsShown,
    ItemRead, ItemToChange, ItemToDelete, ItemToRead, ItemVersion, ItemWritten, NamedRecord, Star,
};
pub use blueprint_files::{
    BLUEPRINT_BYTES_MAX, BLUEPRINT_FILES_MAX, BlueprintFileError, read_blueprint,
};
pub use blueprints::{
    Blueprint, BlueprintApplication, BlueprintChange, BlueprintDiff, BlueprintVersion,
    BlueprintVersionSummary, StoredBlueprint, TenantsAt,
};
pub use call::{Answer, IfMatch};
pub use classes::{Class, ClassChange, ClassTemplate, NewClass};
pub use client::{Client, Place, Scoped};
pub use collections::{Collection, CollectionChange, Field, NewCollection, NewField};
pub use erasures::{Erasure, ErasureTarget, Forecast, NewErasure, Retained};
pub use error::ClientError;
pub use invitations::{Invitation, Redeemed, SessionToken};
pub use jobs::{Job, JobBlueprint, JobExport, JobImport, JobItem, JobOutcomes, JobProgress};
pub use listing::{Listed, Page};
pub use problem::{Problem, ProblemCode};
pub use receipts::Receipt;
pub use records::{ImportResult, ImportStatus, NewRecord, Record, RecordChange, Shown};
pub use recovery::{RecoveredOwner, Recovery, RecoveryNotice, RedeemedRecovery};
pub use secret::Secret;
pub use strongroom_tables::{Flaw, ImportItem, NamedSubject, NamedUser};
pub use subjects::{NewSubject, Subject, SubjectRecord};
pub use system::{PrincipalShown, ReceiptKey, SeenClass, Status, Unlocking, Whoami};
pub use tenants::{NewOwner, NewTenant, NewTenantAnswer, Tenant, TenantBlueprint};
pub use users::{NewUser, NewUserAnswer, User, UserChange, UserUpsert};
