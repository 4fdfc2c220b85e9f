//! Every kind of row: its number, the layout of its key, and whose key it is sealed under.
//!
//! A row's key is `tenant 16 | kind u8 | parts`, parts big endian. Numbers are never reused. The
//! tenant of installation-wide rows is [`TenantId::PROVIDER`]. `docs/formats/store.md` has the
//! same table.

use strongroom_model::{
    BackendId, BlueprintId, ClassId, CollectionNumber, ErasureId, FileId, InvitationId, JobId,
    KeyId, ReceiptId, RecordId, SessionId, SubjectId, TenantId, UserId,
};

use crate::RowKey;

/// Under whose key a row's value is sealed, and with whom it dies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    /// Nobody's: it says nothing about anybody and is not sealed.
    Clear,
    /// The keyring's own: wrapped or clear by its rules, never in a backup.
    KeyState,
    /// The service key of the tenant's `account` tree.
    TenantAccount,
    /// The service key of the tenant's `data` tree.
    TenantData,
    /// The user's leaf.
    User,
    /// A number under the subject's seed.
    Subject,
    /// The job's leaf.
    Job,
    /// The day's leaf.
    Day,
}

macro_rules! row_kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $owner:ident;)*) => {
        /// A kind of row; the number is the 17th byte of the key.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum RowKind {
            $($(#[$doc])* $kind,)*
        }

        impl RowKind {
            /// All kinds, ascending by number.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The kind's number, as it stands in keys and sealed contexts.
            pub const fn number(self) -> u8 {
                match self { $(Self::$kind => $number,)* }
            }

            /// The kind with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)* _ => None }
            }

            /// Under whose key its rows are sealed.
            pub const fn owner(self) -> Owner {
                match self { $(Self::$kind => Owner::$owner,)* }
            }
        }
    };
}

row_kinds! {
    /// `-`, provider only. Format version and install id.
    Format = 0x01, Clear;
    /// `-`, provider only. High-water mark of the clock.
    Clock = 0x02, Clear;
    /// `-`, provider only. The sum over the rows of the store.
    StoreSum = 0x03, Clear;
    /// `tenant 16`, provider only. The sum over the rows of the tenant's policy.
    PolicySum = 0x04, Clear;
    /// `-`, provider only. That a restore is under way: the backup's id.
    Restore = 0x05, Clear;

    /// `tree u8 | level u8 | index u64`. A node of a shred tree, sealed under its parent.
    Node = 0x10, KeyState;
    /// `tree u8`. Height of a tree and its next slot; clear.
    TreeHead = 0x11, Clear;
    /// `-`. Slots of the tenant's two halves in the root tree; clear.
    Halves = 0x12, Clear;
    /// `-`, provider only. The shred batch that is open.
    BatchRow = 0x13, KeyState;
    /// `-`, provider only. The number of the last committed batch.
    CommittedNumber = 0x14, KeyState;
    /// `kind u8 | id 16 | number u32`. What is erased, or is being erased.
    Tombstone = 0x15, KeyState;
    /// `tree u8 | slot u64`. A slot whose key was dropped outside a batch.
    Retired = 0x16, KeyState;
    /// `tree u8 | slot u64 | chunk u16`. What is left of a punctured seed.
    PuncturedSeed = 0x17, KeyState;

    /// `-`. The tenant.
    Tenant = 0x20, TenantAccount;
    /// `user 16`. A user's account and credentials.
    User = 0x21, User;
    /// `session 16`. A signed-in user's session.
    Session = 0x22, User;
    /// `key 16`. An API key.
    ApiKey = 0x23, TenantAccount;
    /// `invitation 16`. A one-time invitation.
    Invitation = 0x24, User;
    /// `class 16`. A permission class.
    Class = 0x25, TenantAccount;
    /// `-`. Names and ids of the tenant's classes.
    ClassList = 0x26, TenantAccount;
    /// `backend 16`, provider only. A backend and its secrets.
    Backend = 0x27, TenantAccount;
    /// `backend 16`. That the tenant admits a backend, and how far.
    Admission = 0x28, TenantAccount;
    /// `blueprint 16`, provider only. A blueprint and the number of its newest version.
    Blueprint = 0x29, TenantAccount;
    /// `blueprint 16 | version u32`, provider only. What a version of a blueprint holds.
    BlueprintVersion = 0x2a, TenantAccount;
    /// `-`, provider only. Names and ids of the blueprints.
    BlueprintList = 0x2b, TenantAccount;
    /// `-`. What the tenant has of its blueprint.
    GivenBlueprint = 0x2c, TenantAccount;
    /// `-`. That operators want to let a new owner in.
    Recovery = 0x2d, TenantAccount;

    /// `-`. Names, numbers and ids of the tenant's collections.
    CollectionList = 0x30, TenantData;
    /// `collection u32`. A collection and its fields.
    Collection = 0x31, TenantData;
    /// `index u32 | depth u8 | prefix u32`. Where the entries of a part of an index lie.
    IndexPage = 0x33, TenantData;
    /// `index u32 | page 16 | row 8`. An entry of an index, sealed under its page's key.
    IndexEntry = 0x34, TenantData;
    /// `digest 16`. What a replayed creation is answered with.
    Idempotency = 0x35, Subject;
    /// `tenant 16 | erasure 16`, provider only. An erasure and how far it has come.
    Erasure = 0x36, TenantData;
    /// `receipt 16`, provider only. A signed receipt.
    Receipt = 0x37, TenantData;
    /// `tenant 16`, provider only. That there is such a tenant.
    KnownTenant = 0x38, TenantData;
    /// `job 16`. A long-running piece of work, and how far it has come.
    Job = 0x3c, TenantData;
    /// `job 16 | item 16`. How an item of a job ended.
    JobItem = 0x3d, TenantData;
    /// `tenant 16 | job 16`, provider only. That a job of a tenant has something left to be done.
    JobQueue = 0x3e, TenantData;
    /// `-`. The tenant's jobs that have not ended.
    OpenJobs = 0x3f, TenantData;

    /// `subject 16`. A subject's state and next number.
    SubjectHead = 0x40, Subject;
    /// `collection u32 | record 16`. A record.
    Record = 0x41, Subject;
    /// `subject 16 | number u32`. What a number of the subject was used for.
    ManifestEntry = 0x42, Subject;
    /// `job 16`. How the columns of an imported file become fields.
    JobMapping = 0x43, Job;
    /// `job 16 | part u32`. A part of a file that was uploaded.
    JobPart = 0x44, Job;
    /// `job 16 | round u16 | part u32 | page u32`. Rows of a file that wait to become records.
    JobSpool = 0x45, Job;
    /// `job 16 | part u32 | line u64`. Why a row of a file became no record.
    JobReject = 0x46, TenantData;
    /// `collection u32 | record 16 | file 16`. That a record has a file.
    File = 0x47, Subject;
    /// `tenant 16 | file 16`, provider only. A file that is being written, or is to be removed.
    StrayFile = 0x48, TenantData;
}

impl RowKind {
    /// Whether the keyring alone writes it, and no backup holds it.
    pub const fn is_key_state(self) -> bool {
        self.number() & 0xF0 == 0x10
    }

    /// Whether it counts in the sum over the store that commits keep. The row of the batch that is open
    /// does not: unlocking changes it before the key of the sums is there. Sums over policies count,
    /// where they are written.
    pub const fn is_summed(self) -> bool {
        !matches!(self, Self::Format | Self::StoreSum | Self::PolicySum | Self::BatchRow)
    }

    /// Whether rights rest on it: it counts in the sum over its tenant's policy.
    pub const fn is_policy(self) -> bool {
        matches!(self.number(), 0x20..=0x2d | 0x30 | 0x31)
    }

    /// Whether a backup holds it. Key state is never copied; indexes are made anew; what lets somebody
    /// in once, or for a short while, and what is under way would do harm if it came back.
    pub const fn is_backed_up(self) -> bool {
        match self {
            Self::Tenant
            | Self::User
            | Self::ApiKey
            | Self::Class
            | Self::ClassList
            | Self::Backend
            | Self::Admission
            | Self::Blueprint
            | Self::BlueprintVersion
            | Self::BlueprintList
            | Self::GivenBlueprint
            | Self::CollectionList
            | Self::Collection
            | Self::Idempotency
            | Self::Erasure
            | Self::Receipt
            | Self::KnownTenant
            | Self::SubjectHead
            | Self::Record
            | Self::ManifestEntry
            | Self::File => true,
            Self::Format
            | Self::Clock
            | Self::Restore
            | Self::StoreSum
            | Self::PolicySum
            | Self::Node
            | Self::TreeHead
            | Self::Halves
            | Self::BatchRow
            | Self::CommittedNumber
            | Self::Tombstone
            | Self::Retired
            | Self::PuncturedSeed
            | Self::Session
            | Self::Invitation
            | Self::Recovery
            | Self::IndexPage
            | Self::IndexEntry
            | Self::Job
            | Self::JobItem
            | Self::JobQueue
            | Self::OpenJobs
            | Self::JobMapping
            | Self::JobPart
            | Self::JobSpool
            | Self::JobReject
            | Self::StrayFile => false,
        }
    }
}

/// One of the trees of keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tree {
    /// The tree whose leaves are the tenants' halves; its rows lie under the provider.
    Root,
    /// A tenant's keys of accounts.
    Account,
    /// A tenant's keys of data.
    Data,
}

impl Tree {
    /// Its number, as it stands in keys and sealed contexts.
    pub const fn number(self) -> u8 {
        match self {
            Self::Root => 0,
            Self::Account => 1,
            Self::Data => 2,
        }
    }

    /// The tree with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Root),
            1 => Some(Self::Account),
            2 => Some(Self::Data),
            _ => None,
        }
    }
}

/// `tenant | 0x01`, provider only.
pub fn format() -> RowKey {
    key(TenantId::PROVIDER, RowKind::Format, &[])
}

/// `tenant | 0x02`, provider only.
pub fn clock() -> RowKey {
    key(TenantId::PROVIDER, RowKind::Clock, &[])
}

/// `tenant | 0x03`, provider only.
pub fn store_sum() -> RowKey {
    key(TenantId::PROVIDER, RowKind::StoreSum, &[])
}

/// `tenant | 0x04 | tenant 16`, provider only.
pub fn policy_sum(tenant: TenantId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::PolicySum, &[tenant.as_bytes()])
}

/// `tenant | 0x05`, provider only.
pub fn restore() -> RowKey {
    key(TenantId::PROVIDER, RowKind::Restore, &[])
}

/// `tenant | 0x10 | tree u8 | level u8 | index u64`.
pub fn node(tenant: TenantId, tree: Tree, level: u8, index: u64) -> RowKey {
    key(tenant, RowKind::Node, &[&[tree.number(), level], &index.to_be_bytes()])
}

/// `tenant | 0x11 | tree u8`.
pub fn tree_head(tenant: TenantId, tree: Tree) -> RowKey {
    key(tenant, RowKind::TreeHead, &[&[tree.number()]])
}

/// `tenant | 0x12`.
pub fn halves(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::Halves, &[])
}

/// `tenant | 0x13`, provider only.
pub fn batch_row() -> RowKey {
    key(TenantId::PROVIDER, RowKind::BatchRow, &[])
}

/// `tenant | 0x14`, provider only.
pub fn committed_number() -> RowKey {
    key(TenantId::PROVIDER, RowKind::CommittedNumber, &[])
}

/// `tenant | 0x15 | kind u8 | id 16 | number u32`: what was erased is named by the kind of its
/// row, its id, and its number where it has one.
pub fn tombstone(tenant: TenantId, target: RowKind, id: &[u8; 16], number: u32) -> RowKey {
    key(tenant, RowKind::Tombstone, &[&[target.number()], id, &number.to_be_bytes()])
}

/// `tenant | 0x16 | tree u8 | slot u64`.
pub fn retired(tenant: TenantId, tree: Tree, slot: u64) -> RowKey {
    key(tenant, RowKind::Retired, &[&[tree.number()], &slot.to_be_bytes()])
}

/// `tenant | 0x17 | tree u8 | slot u64 | chunk u16`.
pub fn punctured_seed(tenant: TenantId, tree: Tree, slot: u64, chunk: u16) -> RowKey {
    key(
        tenant,
        RowKind::PuncturedSeed,
        &[&[tree.number()], &slot.to_be_bytes(), &chunk.to_be_bytes()],
    )
}

/// `tenant | 0x20`.
pub fn tenant(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::Tenant, &[])
}

/// `tenant | 0x21 | user 16`.
pub fn user(tenant: TenantId, user: UserId) -> RowKey {
    key(tenant, RowKind::User, &[user.as_bytes()])
}

/// `tenant | 0x22 | session 16`.
pub fn session(tenant: TenantId, session: SessionId) -> RowKey {
    key(tenant, RowKind::Session, &[session.as_bytes()])
}

/// `tenant | 0x23 | key 16`.
pub fn api_key(tenant: TenantId, api_key: KeyId) -> RowKey {
    key(tenant, RowKind::ApiKey, &[api_key.as_bytes()])
}

/// `tenant | 0x24 | invitation 16`.
pub fn invitation(tenant: TenantId, invitation: InvitationId) -> RowKey {
    key(tenant, RowKind::Invitation, &[invitation.as_bytes()])
}

/// `tenant | 0x25 | class 16`.
pub fn class(tenant: TenantId, class: ClassId) -> RowKey {
    key(tenant, RowKind::Class, &[class.as_bytes()])
}

/// `tenant | 0x26`.
pub fn class_list(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::ClassList, &[])
}

/// `tenant | 0x27 | backend 16`, provider only.
pub fn backend(backend: BackendId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::Backend, &[backend.as_bytes()])
}

/// `tenant | 0x28 | backend 16`.
pub fn admission(tenant: TenantId, backend: BackendId) -> RowKey {
    key(tenant, RowKind::Admission, &[backend.as_bytes()])
}

/// `tenant | 0x29 | blueprint 16`, provider only.
pub fn blueprint(blueprint: BlueprintId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::Blueprint, &[blueprint.as_bytes()])
}

/// `tenant | 0x2a | blueprint 16 | version u32`, provider only.
pub fn blueprint_version(blueprint: BlueprintId, version: u32) -> RowKey {
    let parts: [&[u8]; 2] = [blueprint.as_bytes(), &version.to_be_bytes()];
    key(TenantId::PROVIDER, RowKind::BlueprintVersion, &parts)
}

/// What the versions of a blueprint begin with: `tenant | 0x2a | blueprint 16`, provider only.
pub fn blueprint_versions_prefix(blueprint: BlueprintId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::BlueprintVersion, &[blueprint.as_bytes()])
}

/// `tenant | 0x2b`, provider only.
pub fn blueprint_list() -> RowKey {
    key(TenantId::PROVIDER, RowKind::BlueprintList, &[])
}

/// `tenant | 0x2c`.
pub fn given_blueprint(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::GivenBlueprint, &[])
}

/// `tenant | 0x2d`.
pub fn recovery(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::Recovery, &[])
}

/// `tenant | 0x30`.
pub fn collection_list(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::CollectionList, &[])
}

/// `tenant | 0x31 | collection u32`.
pub fn collection(tenant: TenantId, collection: CollectionNumber) -> RowKey {
    key(tenant, RowKind::Collection, &[&collection.0.to_be_bytes()])
}

/// `tenant | 0x33 | index u32 | depth u8 | prefix u32`.
pub fn index_page(tenant: TenantId, index: u32, depth: u8, prefix: u32) -> RowKey {
    key(tenant, RowKind::IndexPage, &[&index.to_be_bytes(), &[depth], &prefix.to_be_bytes()])
}

/// `tenant | 0x34 | index u32 | page 16 | row 8`.
pub fn index_entry(tenant: TenantId, index: u32, page: &[u8; 16], row: &[u8; 8]) -> RowKey {
    key(tenant, RowKind::IndexEntry, &[&index.to_be_bytes(), page, row])
}

/// What the entries of one page of an index begin with: `tenant | 0x34 | index u32 | page 16`.
pub fn index_entries_prefix(tenant: TenantId, index: u32, page: &[u8; 16]) -> RowKey {
    key(tenant, RowKind::IndexEntry, &[&index.to_be_bytes(), page])
}

/// `tenant | 0x35 | digest 16`.
pub fn idempotency(tenant: TenantId, digest: &[u8; 16]) -> RowKey {
    key(tenant, RowKind::Idempotency, &[digest])
}

/// `tenant | 0x36 | tenant 16 | erasure 16`, provider only: it outlives the tenant's data.
pub fn erasure(tenant: TenantId, erasure: ErasureId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::Erasure, &[tenant.as_bytes(), erasure.as_bytes()])
}

/// What the erasures of a tenant begin with: `tenant | 0x36 | tenant 16`, provider only.
pub fn erasures_prefix(tenant: TenantId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::Erasure, &[tenant.as_bytes()])
}

/// The tenant of a policy sum's key.
pub fn parse_policy_sum(key: &RowKey) -> Option<TenantId> {
    let (_, tenant) = parse_kind(key, RowKind::PolicySum)?;
    Some(TenantId::from_bytes(tenant.try_into().ok()?))
}

/// The index, the depth and the prefix of a page's key.
pub fn parse_index_page(key: &RowKey) -> Option<(u32, u8, u32)> {
    let (_, parts) = parse_kind(key, RowKind::IndexPage)?;
    let (index, parts) = parts.split_first_chunk::<4>()?;
    let (depth, prefix) = parts.split_first()?;
    let prefix = u32::from_be_bytes(prefix.try_into().ok()?);
    Some((u32::from_be_bytes(*index), *depth, prefix))
}

/// The tenant and the erasure of an erasure's key.
pub fn parse_erasure(key: &RowKey) -> Option<(TenantId, ErasureId)> {
    let (_, parts) =
        parse_kind(key, RowKind::Erasure).filter(|(owner, _)| *owner == TenantId::PROVIDER)?;
    let (tenant, erasure) = parts.split_first_chunk::<16>()?;
    Some((TenantId::from_bytes(*tenant), ErasureId::from_bytes(erasure.try_into().ok()?)))
}

/// What the tombstones of an id begin with, whatever their numbers.
pub fn tombstones_prefix(tenant: TenantId, target: RowKind, id: &[u8; 16]) -> RowKey {
    key(tenant, RowKind::Tombstone, &[&[target.number()], id])
}

/// `tenant | 0x37 | receipt 16`, provider only: it outlives the tenant's data.
pub fn receipt(receipt: ReceiptId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::Receipt, &[receipt.as_bytes()])
}

/// `tenant | 0x38 | tenant 16`, provider only.
pub fn known_tenant(tenant: TenantId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::KnownTenant, &[tenant.as_bytes()])
}

/// `tenant | 0x3c | job 16`.
pub fn job(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::Job, &[job.as_bytes()])
}

/// `tenant | 0x3d | job 16 | item 16`.
pub fn job_item(tenant: TenantId, job: JobId, item: &[u8; 16]) -> RowKey {
    key(tenant, RowKind::JobItem, &[job.as_bytes(), item])
}

/// What the items of a job begin with: `tenant | 0x3d | job 16`.
pub fn job_items_prefix(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::JobItem, &[job.as_bytes()])
}

/// The job and the item of an item's key.
pub fn parse_job_item(key: &RowKey) -> Option<(TenantId, JobId, [u8; 16])> {
    let (tenant, parts) = parse_kind(key, RowKind::JobItem)?;
    let (job, item) = parts.split_first_chunk::<16>()?;
    Some((tenant, JobId::from_bytes(*job), item.try_into().ok()?))
}

/// `tenant | 0x3e | tenant 16 | job 16`, provider only: who works on jobs finds them in one place.
pub fn queued_job(tenant: TenantId, job: JobId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::JobQueue, &[tenant.as_bytes(), job.as_bytes()])
}

/// The tenant and the job of a queue row's key.
pub fn parse_queued_job(key: &RowKey) -> Option<(TenantId, JobId)> {
    let (_, parts) =
        parse_kind(key, RowKind::JobQueue).filter(|(owner, _)| *owner == TenantId::PROVIDER)?;
    let (tenant, job) = parts.split_first_chunk::<16>()?;
    Some((TenantId::from_bytes(*tenant), JobId::from_bytes(job.try_into().ok()?)))
}

/// `tenant | 0x3f`.
pub fn open_jobs(tenant: TenantId) -> RowKey {
    key(tenant, RowKind::OpenJobs, &[])
}

/// `tenant | 0x43 | job 16`.
pub fn job_mapping(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::JobMapping, &[job.as_bytes()])
}

/// `tenant | 0x44 | job 16 | part u32`.
pub fn job_part(tenant: TenantId, job: JobId, part: u32) -> RowKey {
    key(tenant, RowKind::JobPart, &[job.as_bytes(), &part.to_be_bytes()])
}

/// What the parts of a job begin with: `tenant | 0x44 | job 16`.
pub fn job_parts_prefix(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::JobPart, &[job.as_bytes()])
}

/// `tenant | 0x45 | job 16 | round u16 | part u32 | page u32`.
pub fn job_spool(tenant: TenantId, job: JobId, round: u16, part: u32, page: u32) -> RowKey {
    let place: [&[u8]; 4] =
        [job.as_bytes(), &round.to_be_bytes(), &part.to_be_bytes(), &page.to_be_bytes()];
    key(tenant, RowKind::JobSpool, &place)
}

/// What the waiting rows of a job begin with: `tenant | 0x45 | job 16`.
pub fn job_spool_prefix(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::JobSpool, &[job.as_bytes()])
}

/// The round, the part and the page of waiting rows.
pub fn parse_job_spool(key: &RowKey) -> Option<(TenantId, JobId, u16, u32, u32)> {
    let (tenant, parts) = parse_kind(key, RowKind::JobSpool)?;
    let (job, parts) = parts.split_first_chunk::<16>()?;
    let (round, parts) = parts.split_first_chunk::<2>()?;
    let (part, page) = parts.split_first_chunk::<4>()?;
    let page = u32::from_be_bytes(page.try_into().ok()?);
    let (round, part) = (u16::from_be_bytes(*round), u32::from_be_bytes(*part));
    Some((tenant, JobId::from_bytes(*job), round, part, page))
}

/// `tenant | 0x46 | job 16 | part u32 | line u64`.
pub fn job_reject(tenant: TenantId, job: JobId, part: u32, line: u64) -> RowKey {
    let place: [&[u8]; 3] = [job.as_bytes(), &part.to_be_bytes(), &line.to_be_bytes()];
    key(tenant, RowKind::JobReject, &place)
}

/// What the rejects of a job begin with: `tenant | 0x46 | job 16`.
pub fn job_rejects_prefix(tenant: TenantId, job: JobId) -> RowKey {
    key(tenant, RowKind::JobReject, &[job.as_bytes()])
}

/// `tenant | 0x40 | subject 16`.
pub fn subject_head(tenant: TenantId, subject: SubjectId) -> RowKey {
    key(tenant, RowKind::SubjectHead, &[subject.as_bytes()])
}

/// `tenant | 0x41 | collection u32 | record 16`.
pub fn record(tenant: TenantId, collection: CollectionNumber, record: RecordId) -> RowKey {
    key(tenant, RowKind::Record, &[&collection.0.to_be_bytes(), record.as_bytes()])
}

/// What the records of a collection begin with: `tenant | 0x41 | collection u32`.
pub fn records_prefix(tenant: TenantId, collection: CollectionNumber) -> RowKey {
    key(tenant, RowKind::Record, &[&collection.0.to_be_bytes()])
}

/// `tenant | 0x47 | collection u32 | record 16 | file 16`.
pub fn file(
    tenant: TenantId,
    collection: CollectionNumber,
    record: RecordId,
    file: FileId,
) -> RowKey {
    let place: [&[u8]; 3] = [&collection.0.to_be_bytes(), record.as_bytes(), file.as_bytes()];
    key(tenant, RowKind::File, &place)
}

/// What the files of a collection begin with: `tenant | 0x47 | collection u32`.
pub fn files_prefix(tenant: TenantId, collection: CollectionNumber) -> RowKey {
    key(tenant, RowKind::File, &[&collection.0.to_be_bytes()])
}

/// The collection, the record and the file of a file's key.
pub fn parse_file(key: &RowKey) -> Option<(TenantId, CollectionNumber, RecordId, FileId)> {
    let (tenant, parts) = parse_kind(key, RowKind::File)?;
    let (collection, parts) = parts.split_first_chunk::<4>()?;
    let (record, file) = parts.split_first_chunk::<16>()?;
    let collection = CollectionNumber(u32::from_be_bytes(*collection));
    Some((
        tenant,
        collection,
        RecordId::from_bytes(*record),
        FileId::from_bytes(file.try_into().ok()?),
    ))
}

/// `provider | 0x48 | tenant 16 | file 16`.
pub fn stray_file(tenant: TenantId, file: FileId) -> RowKey {
    key(TenantId::PROVIDER, RowKind::StrayFile, &[tenant.as_bytes(), file.as_bytes()])
}

/// The tenant and the file of a stray file's key.
pub fn parse_stray_file(key: &RowKey) -> Option<(TenantId, FileId)> {
    let (_, parts) =
        parse_kind(key, RowKind::StrayFile).filter(|(owner, _)| *owner == TenantId::PROVIDER)?;
    let (tenant, file) = parts.split_first_chunk::<16>()?;
    Some((TenantId::from_bytes(*tenant), FileId::from_bytes(file.try_into().ok()?)))
}

/// `tenant | 0x42 | subject 16 | number u32`.
pub fn manifest_entry(tenant: TenantId, subject: SubjectId, number: u32) -> RowKey {
    key(tenant, RowKind::ManifestEntry, &[subject.as_bytes(), &number.to_be_bytes()])
}

/// What the manifest of a subject begins with: `tenant | 0x42 | subject 16`.
pub fn manifest_prefix(tenant: TenantId, subject: SubjectId) -> RowKey {
    key(tenant, RowKind::ManifestEntry, &[subject.as_bytes()])
}

/// The tenant, the kind and the remaining parts of a key; none if it is not one of these.
pub fn parse(key: &RowKey) -> Option<(TenantId, RowKind, &[u8])> {
    let (tenant, rest) = key.as_bytes().split_first_chunk::<16>()?;
    let (kind, parts) = rest.split_first()?;
    Some((TenantId::from_bytes(*tenant), RowKind::from_number(*kind)?, parts))
}

/// The collection and the record of a record's key.
pub fn parse_record(key: &RowKey) -> Option<(TenantId, CollectionNumber, RecordId)> {
    let (tenant, parts) = parse_kind(key, RowKind::Record)?;
    let (collection, record) = parts.split_first_chunk::<4>()?;
    Some((
        tenant,
        CollectionNumber(u32::from_be_bytes(*collection)),
        RecordId::from_bytes(record.try_into().ok()?),
    ))
}

/// The subject and the number of a manifest entry's key.
pub fn parse_manifest_entry(key: &RowKey) -> Option<(TenantId, SubjectId, u32)> {
    let (tenant, parts) = parse_kind(key, RowKind::ManifestEntry)?;
    let (subject, number) = parts.split_first_chunk::<16>()?;
    Some((tenant, SubjectId::from_bytes(*subject), u32::from_be_bytes(number.try_into().ok()?)))
}

/// The erased thing that a tombstone's key names: the kind of its row, its id, its number.
pub fn parse_tombstone(key: &RowKey) -> Option<(TenantId, RowKind, [u8; 16], u32)> {
    let (tenant, parts) = parse_kind(key, RowKind::Tombstone)?;
    let (target, parts) = parts.split_first()?;
    let (id, number) = parts.split_first_chunk::<16>()?;
    let number = u32::from_be_bytes(number.try_into().ok()?);
    Some((tenant, RowKind::from_number(*target)?, *id, number))
}

/// The tree and the slot of a retired slot's key.
pub fn parse_retired(key: &RowKey) -> Option<(TenantId, Tree, u64)> {
    let (tenant, parts) = parse_kind(key, RowKind::Retired)?;
    let (tree, slot) = parts.split_first()?;
    Some((tenant, Tree::from_number(*tree)?, u64::from_be_bytes(slot.try_into().ok()?)))
}

/// The slot of a punctured seed's key.
pub fn parse_punctured_seed(key: &RowKey) -> Option<u64> {
    let (_, parts) = parse_kind(key, RowKind::PuncturedSeed)?;
    let (_tree, parts) = parts.split_first()?;
    let (slot, _chunk) = parts.split_first_chunk::<8>()?;
    Some(u64::from_be_bytes(*slot))
}

/// The id of a key whose only part is one: users, sessions, API keys, invitations, classes, backends,
/// admissions, blueprints, receipts, jobs, subjects.
pub fn parse_id(key: &RowKey) -> Option<(TenantId, RowKind, [u8; 16])> {
    let (tenant, kind, parts) = parse(key)?;
    Some((tenant, kind, parts.try_into().ok()?))
}

fn parse_kind(key: &RowKey, wanted: RowKind) -> Option<(TenantId, &[u8])> {
    let (tenant, kind, parts) = parse(key)?;
    (kind == wanted).then_some((tenant, parts))
}

fn key(tenant: TenantId, kind: RowKind, parts: &[&[u8]]) -> RowKey {
    let place: [&[u8]; 2] = [tenant.as_bytes(), &[kind.number()]];
    RowKey::of_parts(place.into_iter().chain(parts.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::from_bytes([7; 16]);

    #[test]
    fn numbers_are_unique_and_lead_back_to_their_kind() {
        let numbers: Vec<u8> = RowKind::ALL.iter().map(|kind| kind.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:02x?}");
        for kind in RowKind::ALL {
            assert_eq!(RowKind::from_number(kind.number()), Some(*kind));
        }
        assert_eq!(RowKind::from_number(0), None);
    }

    #[test]
    fn an_erasure_is_a_row_of_the_provider() {
        let erasure_id = ErasureId::from_bytes([9; 16]);
        let of_provider = erasure(TENANT, erasure_id);
        assert_eq!(parse_erasure(&of_provider), Some((TENANT, erasure_id)));
        let parts = [TENANT.as_bytes().as_slice(), erasure_id.as_bytes()];
        assert_eq!(parse_erasure(&key(TENANT, RowKind::Erasure, &parts)), None);
    }

    #[test]
    fn the_format_page_lists_every_kind_with_its_number_and_owner() {
        let page = include_str!("../../../docs/formats/store.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| 0x")).collect();
        assert_eq!(rows.len(), RowKind::ALL.len());
        for (row, kind) in rows.iter().zip(RowKind::ALL) {
            let begins = format!("| 0x{:02x} | {kind:?} ", kind.number());
            assert!(row.starts_with(&begins), "`{row}` is not `{begins}`");
            let owner = match kind.owner() {
                Owner::Clear => "clear",
                Owner::KeyState => "key state",
                Owner::TenantAccount => "tenant, `account` half",
                Owner::TenantData => "tenant, `data` half",
                Owner::User => "user",
                Owner::Subject => "subject",
                Owner::Job => "job",
                Owner::Day => "day",
            };
            assert!(row.ends_with(&format!("| {owner} |")), "`{row}` is not of `{owner}`");
        }
    }

    #[test]
    fn keys_have_the_bytes_of_the_format_page() {
        let id = [9; 16];
        for (key, hex) in [
            (format(), "01"),
            (clock(), "02"),
            (node(TENANT, Tree::Data, 3, 258), "1002030000000000000102"),
            (tree_head(TENANT, Tree::Account), "1101"),
            (halves(TENANT), "12"),
            (batch_row(), "13"),
            (committed_number(), "14"),
            (
                tombstone(TENANT, RowKind::SubjectHead, &id, 1),
                &format!("1540{}00000001", "09".repeat(16)),
            ),
            (retired(TENANT, Tree::Root, 5), "16000000000000000005"),
            (punctured_seed(TENANT, Tree::Data, 5, 6), "170200000000000000050006"),
            (tenant(TENANT), "20"),
            (user(TENANT, UserId::from_bytes(id)), &format!("21{}", "09".repeat(16))),
            (class_list(TENANT), "26"),
            (backend(BackendId::from_bytes(id)), &format!("27{}", "09".repeat(16))),
            (admission(TENANT, BackendId::from_bytes(id)), &format!("28{}", "09".repeat(16))),
            (
                blueprint_version(BlueprintId::from_bytes(id), 3),
                &format!("2a{}00000003", "09".repeat(16)),
            ),
            (blueprint_list(), "2b"),
            (given_blueprint(TENANT), "2c"),
            (job(TENANT, JobId::from_bytes(id)), &format!("3c{}", "09".repeat(16))),
            (
                job_item(TENANT, JobId::from_bytes(id), &[8; 16]),
                &format!("3d{}{}", "09".repeat(16), "08".repeat(16)),
            ),
            (
                queued_job(TENANT, JobId::from_bytes(id)),
                &format!("3e{}{}", "07".repeat(16), "09".repeat(16)),
            ),
            (open_jobs(TENANT), "3f"),
            (job_mapping(TENANT, JobId::from_bytes(id)), &format!("43{}", "09".repeat(16))),
            (job_part(TENANT, JobId::from_bytes(id), 2), &format!("44{}00000002", "09".repeat(16))),
            (
                job_spool(TENANT, JobId::from_bytes(id), 1, 2, 3),
                &format!("45{}00010000000200000003", "09".repeat(16)),
            ),
            (
                job_reject(TENANT, JobId::from_bytes(id), 2, 3),
                &format!("46{}000000020000000000000003", "09".repeat(16)),
            ),
            (collection_list(TENANT), "30"),
            (collection(TENANT, CollectionNumber(4)), "3100000004"),
            (index_page(TENANT, 1, 2, 3), "33000000010200000003"),
            (
                index_entry(TENANT, 1, &id, &[8; 8]),
                &format!("3400000001{}{}", "09".repeat(16), "08".repeat(8)),
            ),
            (
                record(TENANT, CollectionNumber(1), RecordId::from_bytes(id)),
                &format!("4100000001{}", "09".repeat(16)),
            ),
            (
                file(
                    TENANT,
                    CollectionNumber(1),
                    RecordId::from_bytes(id),
                    FileId::from_bytes([8; 16]),
                ),
                &format!("4700000001{}{}", "09".repeat(16), "08".repeat(16)),
            ),
            (
                stray_file(TENANT, FileId::from_bytes(id)),
                &format!("48{}{}", "07".repeat(16), "09".repeat(16)),
            ),
            (
                manifest_entry(TENANT, SubjectId::from_bytes(id), 16),
                &format!("42{}00000010", "09".repeat(16)),
            ),
        ] {
            let shown = format!("{key:?}");
            let (tenant, rest) = shown.split_at(32);
            assert!(tenant == "07".repeat(16) || tenant == "00".repeat(16));
            assert_eq!(rest, hex);
        }
    }

    #[test]
    fn what_was_put_into_a_key_is_read_from_it() {
        let (subject, record_id) = (SubjectId::from_bytes([3; 16]), RecordId::from_bytes([4; 16]));
        let place = record(TENANT, CollectionNumber(77), record_id);
        assert_eq!(parse_record(&place), Some((TENANT, CollectionNumber(77), record_id)));
        assert_eq!(
            parse_manifest_entry(&manifest_entry(TENANT, subject, 99)),
            Some((TENANT, subject, 99))
        );
        assert_eq!(
            parse_tombstone(&tombstone(TENANT, RowKind::Record, &[5; 16], 18)),
            Some((TENANT, RowKind::Record, [5; 16], 18))
        );
        assert_eq!(parse_retired(&retired(TENANT, Tree::Data, 6)), Some((TENANT, Tree::Data, 6)));
        assert_eq!(parse_punctured_seed(&punctured_seed(TENANT, Tree::Data, 6, 1)), Some(6));
        let job_id = JobId::from_bytes([5; 16]);
        assert_eq!(
            parse_job_item(&job_item(TENANT, job_id, &[6; 16])),
            Some((TENANT, job_id, [6; 16]))
        );
        assert_eq!(parse_queued_job(&queued_job(TENANT, job_id)), Some((TENANT, job_id)));
        assert_eq!(
            parse_job_spool(&job_spool(TENANT, job_id, 1, 2, 3)),
            Some((TENANT, job_id, 1, 2, 3))
        );
        let file_id = FileId::from_bytes([6; 16]);
        assert_eq!(
            parse_file(&file(TENANT, CollectionNumber(77), record_id, file_id)),
            Some((TENANT, CollectionNumber(77), record_id, file_id))
        );
        assert_eq!(parse_stray_file(&stray_file(TENANT, file_id)), Some((TENANT, file_id)));
        assert_eq!(
            parse_id(&subject_head(TENANT, subject)),
            Some((TENANT, RowKind::SubjectHead, [3; 16]))
        );
    }

    #[test]
    fn a_key_that_is_too_short_or_of_an_unknown_kind_is_none() {
        let whole = record(TENANT, CollectionNumber(77), RecordId::from_bytes([4; 16]));
        for length in 0..whole.as_bytes().len() {
            assert_eq!(parse_record(&RowKey::new(&whole.as_bytes()[..length])), None);
        }
        assert_eq!(parse(&RowKey::new([vec![7; 16], vec![0xFF]].concat())), None);
        assert_eq!(parse_record(&subject_head(TENANT, SubjectId::from_bytes([3; 16]))), None);
    }
}
