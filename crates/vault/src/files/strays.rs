//! Files that belong to nothing: unfinished ones whose writer is gone, and those whose record does not have
//! them any more. Their numbers are punctured and their bytes removed.
//!
//! A file has a row of its own in one list from before its first byte until its record has it, and again
//! from when it has no record until its bytes are removed. So what a kill leaves anywhere between is found
//! by looking at that list alone.

use strongroom_keyring::{Half, ShredTarget, Tombstone};
use strongroom_model::{
    CollectionNumber, FileId, FilePlace, RecordId, SubjectId, TenantId, Timestamp,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, Row, RowKey, StoreError};

use crate::files::Files;
use crate::rows::OwnerLeaf;
use crate::{Vault, VaultError, keyspace};

/// Files that are looked at at a time.
const FILES_AT_ONCE: usize = 500;

/// A file that is being written, or is to be removed.
#[derive(Debug, Clone, minicbor::Encode, minicbor::Decode)]
pub(super) struct Stray {
    #[n(0)]
    pub(super) state: StrayState,
    /// The leaf of the subject's seed.
    #[n(1)]
    pub(super) slot: u64,
    /// The file's number under it.
    #[n(2)]
    pub(super) number: u32,
    #[n(3)]
    pub(super) since: Timestamp,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, minicbor::Encode, minicbor::Decode)]
pub(super) enum StrayState {
    /// This worker is writing it.
    #[n(0)]
    Writing(
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        [u8; 16],
    ),
    /// Its number has a tombstone; its bytes are to be removed.
    #[n(1)]
    Doomed,
}

/// Whose a file is.
pub(crate) struct FileOwner {
    pub(crate) tenant: TenantId,
    pub(crate) collection: CollectionNumber,
    pub(crate) record: RecordId,
    pub(crate) subject: SubjectId,
    /// The leaf of the subject's seed.
    pub(crate) slot: u64,
}

impl Vault {
    /// Puts into a commit that a record's file dies: what leads to it goes, its number is to be punctured,
    /// and its bytes are to be removed.
    pub(crate) async fn doom_file(
        &self,
        batch: &mut Batch,
        owner: &FileOwner,
        place: FilePlace,
    ) -> Result<(), VaultError> {
        let FileOwner { tenant, collection, record, subject, slot } = *owner;
        let FilePlace { file, number, .. } = place;
        batch.delete(keyspace::file(tenant, collection, record, file));
        batch.delete(keyspace::manifest_entry(tenant, subject, number));
        self.keyring.fence(batch, &[tombstone(tenant, file, slot, number)]);
        let stray = Stray { state: StrayState::Doomed, slot, number, since: self.now() };
        self.put_stray(batch, tenant, file, &stray).await
    }

    /// Puts a file on the list.
    pub(super) async fn put_stray(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        file: FileId,
        stray: &Stray,
    ) -> Result<(), VaultError> {
        let key = keyspace::stray_file(tenant, file);
        let value = self.seal_row(&key, OwnerLeaf::NOBODY, 1, stray).await?;
        batch.expect_absent(key.clone()).put(key, 1, value);
        Ok(())
    }

    /// Clears what is left of files that nobody writes any more and no record has. It can be stopped
    /// anywhere and run again.
    pub(crate) async fn clear_strays(&self) -> Result<(), VaultError> {
        let Some(files) = self.files.get() else { return Ok(()) };
        let all = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::StrayFile);
        let mut range = all.clone();
        loop {
            let rows = self.store.scan(&range, FILES_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = all.clone().continued(last);
            for (key, row) in &rows {
                self.clear_row(files, key, row).await?;
            }
        }
    }

    /// The same for one file, whose use case has failed. If that fails too, it is done later.
    pub(super) async fn clear_stray(&self, tenant: TenantId, file: FileId) {
        let cleared = async {
            let Some(files) = self.files.get() else { return Ok(()) };
            let key = keyspace::stray_file(tenant, file);
            let found = self.store.get_many(std::slice::from_ref(&key)).await?;
            let Some(row) = found.into_iter().flatten().next() else { return Ok(()) };
            self.clear_row(files, &key, &row).await
        };
        let cleared: Result<(), VaultError> = cleared.await;
        if let Err(error) = cleared {
            tracing::warn!(error = %error, "an unfinished file could not be removed; it is tried again");
        }
        self.work_soon.notify_one();
    }

    async fn clear_row(&self, files: &Files, key: &RowKey, row: &Row) -> Result<(), VaultError> {
        let (tenant, file) = keyspace::parse_stray_file(key).ok_or_else(crate::rows::damaged)?;
        let (stray, _) = self.open_row::<Stray>(key, row).await?;
        let mut version = row.version;
        match stray.state {
            StrayState::Doomed => {}
            // One server writes to a store at a time, so a writer that is not in this process is gone.
            StrayState::Writing(_) if files.is_writing(file) => return Ok(()),
            StrayState::Writing(_) => {
                let mut batch = Batch::new();
                version += 1;
                let doomed = Stray { state: StrayState::Doomed, ..stray.clone() };
                let value = self.seal_row(key, OwnerLeaf::NOBODY, version, &doomed).await?;
                batch.expect_version(key.clone(), row.version).put(key.clone(), version, value);
                let stone = tombstone(tenant, file, stray.slot, stray.number);
                self.keyring.fence(&mut batch, &[stone]);
                match self.store.commit(batch).await {
                    // Its record has just got it, or somebody else clears it.
                    Err(StoreError::Conflict) => return Ok(()),
                    committed => drop(committed?),
                }
            }
        }
        files.blobs.remove(file).await?;
        let mut batch = Batch::new();
        batch.expect_version(key.clone(), version);
        batch.delete(key.clone());
        match self.store.commit(batch).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the files of a range whose rows are wanted gone, bytes first, and says how many. Their keys
    /// are dead: of a person, a collection or a tenant.
    pub(crate) async fn clear_files(
        &self,
        range: KeyRange,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<usize, VaultError> {
        let Some(files) = self.files.get() else { return Ok(0) };
        let mut range = range;
        let mut cleared = 0;
        loop {
            let rows = self.store.scan(&range, FILES_AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(cleared) };
            range = range.continued(last);
            let mut batch = Batch::new();
            for (key, _) in rows.iter().filter(|(_, row)| wanted(&row.value)) {
                let (_, _, _, file) = keyspace::parse_file(key).ok_or_else(crate::rows::damaged)?;
                files.blobs.remove(file).await?;
                batch.delete(key.clone());
                cleared += 1;
            }
            if !batch.is_empty() {
                let _committed = self.store.commit(batch).await?;
            }
        }
    }
}

/// That a file's number is to be punctured. It has no erasure and no receipt of its own: the line of what
/// took the file away says so.
fn tombstone(tenant: TenantId, file: FileId, slot: u64, number: u32) -> Tombstone {
    let numbers = vec![number];
    Tombstone {
        tenant,
        kind: RowKind::File,
        id: *file.as_bytes(),
        part: 0,
        target: ShredTarget::Numbers { half: Half::Data, slot, numbers },
    }
}
