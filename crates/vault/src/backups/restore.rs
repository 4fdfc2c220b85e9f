//! Brings the rows of a backup back onto the live keys, proves a backup, or says what restoring would
//! do. The server does not run meanwhile.
//!
//! What the live store has and can open stays as it is: rows that are missing or damaged come back from
//! the backup. So an interrupted restore is run again, and nothing is done twice.

use std::collections::HashMap;

use strongroom_model::{
    Action, AuditObject, Collection, CollectionNumber, JobId, JobName, Principal, RecordHead,
    RecordPlace, TenantId,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, Row, RowKey, StoreError};

use crate::backups::opened::{NotOpened, OpenedBackup};
use crate::backups::reapply::Fate;
use crate::backups::{BackupPlace, BackupProblem};
use crate::classes::ClassList;
use crate::records::SealedRecord;
use crate::trail::Attempted;
use crate::{Vault, VaultError, integrity, keyspace};

/// Rows that are looked at at a time.
const ROWS_AT_ONCE: usize = 256;
/// What is about persons, besides the heads of subjects.
const DATA: [RowKind; 4] =
    [RowKind::Record, RowKind::File, RowKind::ManifestEntry, RowKind::Idempotency];
/// Bytes of rows above which a commit takes no more of them: 8 MiB.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;

/// What is to be done with a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bring its rows back.
    Restore {
        /// Records that were changed since get the values of the backup, as a new version.
        put_back_changed: bool,
    },
    /// Say what bringing them back would do, and change nothing.
    DryRun,
    /// Open every row, and change nothing.
    Drill,
}

/// What became of rows of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rows in the backup.
    pub rows: u64,
    /// The live store has them unchanged.
    pub same: u64,
    /// They were missing and come back.
    pub restored: u64,
    /// The live store had something under their key that cannot be opened; they take its place.
    pub repaired: u64,
    /// They were changed since: what is live stays.
    pub changed_since: u64,
    /// They were changed since and got the backup's values again.
    pub put_back: u64,
    /// Their keys are gone, or they belong to what is being erased: they do not come back.
    pub erased_since: u64,
    /// They were corrected since: the key of what was wrong is gone, and what is live stays.
    pub corrected_since: u64,
    /// They cannot be opened although their keys are there.
    pub unreadable: u64,
    /// They point to what is not there, and are left out.
    pub loose: u64,
    /// In a drill: they were opened with the live keys.
    pub opened: u64,
}

/// What became of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Records.
    pub records: Counts,
    /// People whom records are about, and the subjects of records about nobody.
    pub subjects: Counts,
    /// Everything else: tenants, users, classes, collections, receipts and so on.
    pub others: Counts,
    /// Entries that were missing in indexes and were added.
    pub index_entries: u64,
    /// API keys that came back: those that were revoked since are in force again.
    pub api_keys: u64,
}

impl Report {
    fn counts(&mut self, kind: RowKind) -> &mut Counts {
        if kind == RowKind::Record {
            &mut self.records
        } else if kind == RowKind::SubjectHead {
            &mut self.subjects
        } else {
            &mut self.others
        }
    }

    /// Rows that cannot be opened although their keys are there.
    pub fn unreadable(&self) -> u64 {
        self.records.unreadable + self.subjects.unreadable + self.others.unreadable
    }
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreProblem {
    /// It is the backup. Nothing was changed, unless it was exchanged while it was read.
    #[error("the backup cannot be used: {0}")]
    Backup(#[from] BackupProblem),
    /// It is the store or its keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for RestoreProblem {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

impl From<NotOpened> for RestoreProblem {
    fn from(error: NotOpened) -> Self {
        match error {
            NotOpened::Backup(problem) => Self::Backup(problem),
            NotOpened::Vault(error) => Self::Vault(error),
        }
    }
}

/// The order in which rows come back: what is needed to open others comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Standing,
    Heads,
    Data,
}

impl Pass {
    const ALL: [Self; 3] = [Self::Standing, Self::Heads, Self::Data];

    fn of(kind: RowKind) -> Self {
        if kind == RowKind::SubjectHead {
            Self::Heads
        } else if DATA.contains(&kind) {
            Self::Data
        } else {
            Self::Standing
        }
    }
}

/// Whether a restore of this store was begun and has not ended: it must not be served then.
///
/// # Errors
/// [`VaultError::Unavailable`] if the store does not answer.
pub async fn unfinished_restore(vault: &Vault) -> Result<bool, VaultError> {
    Ok(vault.store.get_many(&[keyspace::restore()]).await?.iter().any(Option::is_some))
}

/// Restores a backup, or proves it. The vault is unlocked, and nobody else works with it. `progress` is
/// told how many parts of how many were gone through.
///
/// # Errors
/// [`RestoreProblem::Backup`] for a backup that is not whole, not this installation's, or newer than its
/// keys; [`RestoreProblem::Vault`] if the store or its keys fail.
pub async fn restore(
    vault: &Vault,
    at: &dyn BackupPlace,
    name: &str,
    mode: Mode,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report, RestoreProblem> {
    let passes = u64::try_from(Pass::ALL.len()).unwrap_or(1) + 1;
    let of_all =
        |pass: u64| move |done: u64, parts: u64| progress(pass * parts + done, passes * parts);
    let backup = OpenedBackup::open(vault, at, name, &of_all(0)).await?;
    let mut restoring = Restoring {
        vault,
        mode,
        report: Report::default(),
        collections: HashMap::new(),
        batch: Batch::new(),
        bytes: 0,
        holds_records: false,
    };
    if let Mode::Restore { .. } = mode {
        restoring.begin(backup.manifest.backup).await?;
    }
    for (pass, number) in Pass::ALL.into_iter().zip(1..) {
        let progress = of_all(number);
        for part in 1..=backup.parts() {
            let mut rows = backup.rows(part).await?;
            rows.retain(|(key, _)| {
                keyspace::parse(key).is_some_and(|(_, kind, _)| Pass::of(kind) == pass)
            });
            for some in rows.chunks(ROWS_AT_ONCE) {
                restoring.rows(some).await?;
            }
            progress(u64::from(part), u64::from(backup.parts()));
        }
        restoring.flush().await?;
    }
    if let Mode::Restore { .. } = mode {
        restoring.report.index_entries = vault.complete_indexes().await?;
        restoring.finish(backup.manifest.backup).await?;
    }
    Ok(restoring.report)
}

/// Whether a row can be opened.
enum Proof {
    Opens,
    Gone,
    Damaged,
}

fn proof(outcome: Result<(), VaultError>) -> Result<Proof, VaultError> {
    match outcome {
        Ok(()) => Ok(Proof::Opens),
        Err(VaultError::Erased(_)) => Ok(Proof::Gone),
        Err(VaultError::Damaged(_) | VaultError::NotFound) => Ok(Proof::Damaged),
        Err(error) => Err(error),
    }
}

struct Restoring<'v> {
    vault: &'v Vault,
    mode: Mode,
    report: Report,
    /// Collections as they are live, or else as they come back.
    collections: HashMap<(TenantId, CollectionNumber), Collection>,
    batch: Batch,
    bytes: usize,
    /// Whether records wait to be committed, which entries of manifests point to.
    holds_records: bool,
}

impl Restoring<'_> {
    /// Says in the store that a restore is under way. Until it has ended the store is not served, and its
    /// sums are not kept.
    async fn begin(&self, backup: [u8; 16]) -> Result<(), RestoreProblem> {
        let key = keyspace::restore();
        let found = self.vault.store.get_many(std::slice::from_ref(&key)).await?.pop().flatten();
        self.vault.store.sums().leave();
        let mut batch = Batch::new();
        batch.put(key, found.map_or(0, |row| row.version) + 1, backup.to_vec());
        let _committed = self.vault.store.commit(batch).await?;
        Ok(())
    }

    /// Takes the sums and the head anew, puts the restore on record, and says that it has ended.
    async fn finish(&self, backup: [u8; 16]) -> Result<(), RestoreProblem> {
        integrity::retake(self.vault).await?;
        let event = Attempted {
            principal: Principal::Job(JobName::Restore),
            action: Action::Operate,
            code: "backup.restore",
            object: AuditObject::Other(JobId::PREFIX, backup),
        }
        .done();
        let mut batch = Batch::new();
        batch.line(self.vault.line(TenantId::PROVIDER, None, event).await?);
        batch.delete(keyspace::restore());
        let _committed = self.vault.store.commit(batch).await?;
        Ok(self.vault.write_heads().await?)
    }

    async fn rows(&mut self, rows: &[(RowKey, Row)]) -> Result<(), RestoreProblem> {
        let keys: Vec<RowKey> = rows.iter().map(|(key, _)| key.clone()).collect();
        let live = self.vault.store.get_many(&keys).await?;
        for ((key, row), live) in rows.iter().zip(live) {
            let Some((_, kind, _)) = keyspace::parse(key) else { continue };
            self.report.counts(kind).rows += 1;
            self.row(kind, key, row, live).await?;
        }
        // What comes later may rest on it.
        self.flush().await
    }

    async fn row(
        &mut self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
        live: Option<Row>,
    ) -> Result<(), RestoreProblem> {
        let same = live.as_ref() == Some(row);
        if same && self.mode != Mode::Drill {
            self.report.counts(kind).same += 1;
            return self.remember(kind, key, row).await;
        }
        match self.prove(kind, key, row).await? {
            Proof::Opens => {}
            Proof::Gone => {
                let counts = self.report.counts(kind);
                match &live {
                    // The record is there under another number.
                    Some(live) if kind == RowKind::Record && live.version > row.version => {
                        counts.corrected_since += 1;
                    }
                    Some(_) | None => counts.erased_since += 1,
                }
                return Ok(());
            }
            Proof::Damaged => {
                self.report.counts(kind).unreadable += 1;
                return Ok(());
            }
        }
        if self.mode == Mode::Drill {
            self.report.counts(kind).opened += 1;
            return self.remember(kind, key, live.as_ref().unwrap_or(row)).await;
        }
        let Some(live) = live else { return self.bring_back(kind, key, row).await };
        let is_live = matches!(self.prove(kind, key, &live).await?, Proof::Opens);
        if is_live && live.version >= row.version {
            self.remember(kind, key, &live).await?;
            if let Fate::Superseded = self.vault.fate(key, row).await? {
                self.report.counts(kind).corrected_since += 1;
            } else if self.put_back(kind, key, row, &live).await? {
                self.report.counts(kind).put_back += 1;
            } else {
                self.report.counts(kind).changed_since += 1;
            }
            return Ok(());
        }
        self.report.counts(kind).repaired += 1;
        self.take_place(kind, key, row, &live).await
    }

    /// A row that is missing.
    async fn bring_back(
        &mut self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
    ) -> Result<(), RestoreProblem> {
        if [RowKind::File, RowKind::ManifestEntry].contains(&kind) && self.holds_records {
            self.flush().await?;
        }
        if self.is_loose(kind, key, row).await? {
            self.report.counts(kind).loose += 1;
            return Ok(());
        }
        let row = match self.vault.fate(key, row).await? {
            Fate::AsItIs => row.clone(),
            Fate::Marked(value) => Row { version: row.version, value: value.into() },
            Fate::Erased => {
                self.report.counts(kind).erased_since += 1;
                return Ok(());
            }
            Fate::Superseded => {
                self.report.counts(kind).corrected_since += 1;
                return Ok(());
            }
        };
        self.report.counts(kind).restored += 1;
        self.report.api_keys += u64::from(kind == RowKind::ApiKey);
        self.remember(kind, key, &row).await?;
        self.put(key, row.version, &row.value).await
    }

    /// A row in whose place stands something that cannot be opened, or that is older.
    async fn take_place(
        &mut self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
        live: &Row,
    ) -> Result<(), RestoreProblem> {
        self.remember(kind, key, row).await?;
        if live.version >= row.version && self.writes() {
            let mut batch = Batch::new();
            batch.delete(key.clone());
            let _committed = self.vault.store.commit(batch).await?;
        }
        self.put(key, row.version, &row.value).await
    }

    /// Gives a record that was changed since the values that it had, as a new version, if that is wanted.
    /// One whose external id is another now stays: the old one may be somebody else's.
    async fn put_back(
        &mut self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
        live: &Row,
    ) -> Result<bool, RestoreProblem> {
        let wanted = self.mode == Mode::Restore { put_back_changed: true };
        if !wanted || kind != RowKind::Record || live.version <= row.version {
            return Ok(false);
        }
        let (Some((tenant, number, id)), Some((_, now))) =
            (keyspace::parse_record(key), self.record(key, live).await?)
        else {
            return Ok(false);
        };
        let Some((sealed, then)) = self.record(key, row).await? else { return Ok(false) };
        let Some(collection) = self.collections.get(&(tenant, number)) else { return Ok(false) };
        // A file that the record had then is dead, if it has another one now.
        if then.head.external_id != now.head.external_id
            || then.head.subject != now.head.subject
            || then.head.files != now.head.files
        {
            return Ok(false);
        }
        let mut fields = Vec::new();
        for field in then.fields() {
            if let Some(value) = then.open(field)? {
                fields.push((field, value));
            }
        }
        let parts: Vec<(u32, &[u8])> =
            fields.iter().map(|(field, value)| (*field, value.expose().as_slice())).collect();
        let head = RecordHead { changed_at: self.vault.now(), ..then.head.clone() };
        let record_key = self.vault.record_key(tenant, collection, sealed.place).await?;
        let version = live.version + 1;
        let value = self.vault.seal_record(
            &record_key,
            tenant,
            collection,
            id,
            sealed.place,
            version,
            &head,
            &parts,
        )?;
        self.put(key, version, &value.into()).await?;
        Ok(true)
    }

    /// Whether a row belongs to nothing: an entry of a manifest whose record was made after the records
    /// were copied, or a class that has been removed since.
    async fn is_loose(
        &self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
    ) -> Result<bool, RestoreProblem> {
        let Some((tenant, _, _)) = keyspace::parse(key) else { return Ok(true) };
        if let (RowKind::Class, Some((_, _, class))) = (kind, keyspace::parse_id(key)) {
            let list = self.vault.read_many::<ClassList>(&[keyspace::class_list(tenant)]).await;
            let list = list.map(|mut found| found.pop().flatten());
            let is_listed = |list: &ClassList| {
                list.classes.iter().any(|(_, listed)| *listed.as_bytes() == class)
            };
            return Ok(list.is_ok_and(|list| list.is_some_and(|list| !is_listed(&list))));
        }
        if !self.writes() {
            return Ok(false);
        }
        let record = match (kind, keyspace::parse_file(key)) {
            (RowKind::ManifestEntry, _) => {
                let (place, _) = self.vault.open_row::<RecordPlace>(key, row).await?;
                let record = keyspace::record(tenant, place.collection, place.record);
                if place.file.is_none() {
                    return self.is_entered_otherwise(key, record).await;
                }
                record
            }
            (_, Some((_, collection, record, _))) => keyspace::record(tenant, collection, record),
            (_, None) => return Ok(false),
        };
        Ok(self.vault.store.get_many(&[record]).await?.iter().all(Option::is_none))
    }

    /// Whether a record is not there, or was corrected since and is entered under another number.
    async fn is_entered_otherwise(
        &self,
        entry: &RowKey,
        record: RowKey,
    ) -> Result<bool, RestoreProblem> {
        let found = self.vault.store.get_many(&[record]).await?.into_iter().flatten().next();
        let present = found.map(SealedRecord::parse).transpose()?.map(|found| found.place.number);
        let entered = keyspace::parse_manifest_entry(entry).map(|(_, _, number)| number);
        Ok(present.is_none() || present != entered)
    }

    /// Keeps what opening other rows needs.
    async fn remember(
        &mut self,
        kind: RowKind,
        key: &RowKey,
        row: &Row,
    ) -> Result<(), RestoreProblem> {
        if kind != RowKind::Collection {
            return Ok(());
        }
        let Some((tenant, _, _)) = keyspace::parse(key) else { return Ok(()) };
        match self.vault.open_row::<Collection>(key, row).await {
            Ok((collection, _)) => {
                self.collections.insert((tenant, collection.number), collection);
                Ok(())
            }
            Err(VaultError::Erased(_) | VaultError::Damaged(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a row is what was written, all of it, and its key is alive.
    async fn prove(&self, kind: RowKind, key: &RowKey, row: &Row) -> Result<Proof, VaultError> {
        if kind != RowKind::Record {
            return proof(self.vault.prove_row(key, row).await);
        }
        match self.record(key, row).await {
            Ok(Some((_, opened))) => proof(opened.prove()),
            Ok(None) => Ok(Proof::Damaged),
            Err(error) => proof(Err(error)),
        }
    }

    /// A record with its head opened; nothing where its collection is not known.
    async fn record(
        &self,
        key: &RowKey,
        row: &Row,
    ) -> Result<Option<(SealedRecord, crate::records::Opened)>, VaultError> {
        let Some((tenant, number, id)) = keyspace::parse_record(key) else { return Ok(None) };
        let sealed = SealedRecord::parse(row.clone())?;
        let Some(collection) = self.collections.get(&(tenant, number)) else {
            // The collection's row went with the tenant's data, and so did the person's key.
            let leaf = sealed.place;
            let half = strongroom_keyring::Half::Data;
            self.vault.keyring.subject_key(tenant, half, leaf.slot, leaf.number, None).await?;
            return Ok(None);
        };
        let record_key = self.vault.record_key(tenant, collection, sealed.place).await?;
        let opened = self.vault.open_head(&record_key, tenant, collection, id, &sealed)?;
        Ok(Some((sealed, opened)))
    }

    fn writes(&self) -> bool {
        match self.mode {
            Mode::Restore { .. } => true,
            Mode::DryRun | Mode::Drill => false,
        }
    }

    async fn put(
        &mut self,
        key: &RowKey,
        version: u64,
        value: &bytes::Bytes,
    ) -> Result<(), RestoreProblem> {
        if !self.writes() {
            return Ok(());
        }
        self.bytes += value.len();
        self.holds_records |= keyspace::parse_record(key).is_some();
        self.batch.put(key.clone(), version, value.clone());
        if self.bytes > COMMIT_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), RestoreProblem> {
        self.bytes = 0;
        self.holds_records = false;
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            let _committed = self.vault.store.commit(batch).await?;
        }
        Ok(())
    }
}
