//! The domain: tenants, users, subjects, collections, records and their erasure.
//!
//! This is the only room in which keys, policy and data meet; every use case is one file, read top
//! to bottom: what is wanted, what is known, the decision, the record, the effect. It does *not*
//! know HTTP, JSON on the wire, configuration, or which engine keeps its rows.

pub mod admissions;
pub mod api_keys;
pub mod archives;
pub mod audit;
pub mod backends;
pub mod backups;
pub mod blueprints;
pub mod classes;
pub mod collections;
pub mod erasures;
pub mod exports;
pub mod files;
pub mod imports;
pub mod integrity;
pub mod invitations;
pub mod jobs;
pub mod records;
pub mod recovery;
pub mod sessions;
pub mod subjects;
pub mod system;
pub mod tenants;
pub mod users;

mod acting;
mod admission;
mod caller;
mod decision;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod idempotency;
mod index;
mod keyspace;
mod listing;
mod machine;
mod rows;
mod snapshot;
mod spans;
mod token;
mod trail;

use std::sync::Arc;

use strongroom_keyring::Keyring;
use strongroom_model::{Clock, Rng, Timestamp};
use strongroom_storage::Store;

pub use caller::{About, Credential, TenantCtx, Whoami};
pub use error::{Flaw, VaultError};
pub use idempotency::Idempotency;
pub use listing::{Expected, Listed, Page};
pub use machine::SystemClock;
pub use snapshot::Versioned;
pub use spans::SPANS;
/// Why the policy refused, as the API tells the caller.
pub use strongroom_access_policy as policy;
/// The words of lines and receipts, as the API shows them.
pub use strongroom_audit as log;
/// Where a line of the audit log stands.
pub use strongroom_storage::LinePlaced;
pub use token::{Secret, Token, TokenKind};

/// What a use case found or made, and where its audit lines stand.
#[derive(Debug)]
pub struct Answer<T> {
    /// What was found or made.
    pub value: T,
    /// The log's promise: node, number and tag of each line.
    pub lines: Vec<LinePlaced>,
}

/// The vault: what the use cases share.
pub struct Vault {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    time: machine::HighWaterMark,
    admission: admission::Admission,
    subject_counts: admissions::SubjectCounts,
    decoded: rows::Decoded,
    opened: index::Opened,
    creations: records::Creations,
    erasing: tokio::sync::Mutex<()>,
    /// When old versions of records are erased next, if no erasure takes them along.
    old_versions_at: std::sync::Mutex<Timestamp>,
    /// Wakes whoever does the work that is due.
    work_soon: tokio::sync::Notify,
    working: tokio::sync::Mutex<()>,
    worker: std::sync::OnceLock<[u8; 16]>,
    backup_places: std::sync::OnceLock<backups::Places>,
    files: std::sync::OnceLock<files::Files>,
    /// Whether there is a job that another worker may have.
    jobs_wait: std::sync::atomic::AtomicBool,
    integrity: integrity::Integrity,
}

impl Vault {
    /// A vault over a store and the keyring of the same installation.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        store.sums().keep_later();
        Self {
            time: machine::HighWaterMark::new(&*clock),
            admission: admission::Admission::new(clock.clone()),
            subject_counts: admissions::SubjectCounts::default(),
            decoded: rows::Decoded::default(),
            opened: index::Opened::default(),
            creations: records::Creations::default(),
            erasing: tokio::sync::Mutex::new(()),
            old_versions_at: std::sync::Mutex::new(Timestamp::from_micros(0)),
            work_soon: tokio::sync::Notify::new(),
            working: tokio::sync::Mutex::new(()),
            worker: std::sync::OnceLock::new(),
            backup_places: std::sync::OnceLock::new(),
            files: std::sync::OnceLock::new(),
            jobs_wait: std::sync::atomic::AtomicBool::new(false),
            integrity: integrity::Integrity::default(),
            store,
            keyring,
            clock,
            rng,
        }
    }

    /// The same vault, whose store is compared with the heads in these places outside of it.
    #[must_use]
    pub fn with_heads(mut self, places: Vec<Arc<dyn integrity::HeadPlace>>) -> Self {
        self.integrity.places = places;
        self
    }

    /// Forgets what was opened of a tenant's rows and index pages: something of its was erased.
    fn forget_opened(&self, tenant: strongroom_model::TenantId) {
        self.decoded.forget(tenant);
        self.opened.forget(tenant);
    }

    /// The present moment: the wall clock, which never goes back here (`access.md`, Time).
    pub fn now(&self) -> Timestamp {
        self.time.now(&*self.clock)
    }
}
