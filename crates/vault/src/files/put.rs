//! Somebody writes a file: it is decided on, its bytes are sealed as they come, and when all of them are
//! durable it is decided on again and the record gets it, in one commit.

use bytes::Bytes;
use strongroom_crypto::hash::Hasher;
use strongroom_crypto::stream::StreamSealer;
use strongroom_keyring::Half;
use strongroom_model::{
    FileDescription, FileId, FileName, FilePlace, MediaType, RecordPlace, SubjectHead,
};
use strongroom_storage::{Batch, BlobWriter, LinePlaced};

use crate::files::strays::{Stray, StrayState};
use crate::files::{FileOwner, NamedFile, Writing, beside};
use crate::records::Place;
use crate::rows::OwnerLeaf;
use crate::snapshot::attempt;
use crate::{Answer, Expected, TenantCtx, Vault, VaultError, keyspace};

/// So many sealed bytes are gathered before they are written down.
const PIECE_BYTES: usize = 256 * 1024;

/// What is wanted.
pub struct PutFile {
    /// Where the file is to be.
    pub named: NamedFile,
    /// The version of the record that the change is made against.
    pub expected: Expected,
    /// What the file is said to be.
    pub media_type: MediaType,
    /// What it is called.
    pub name: Option<FileName>,
}

/// A file that was written.
pub struct FileWritten {
    /// The version that its record has now.
    pub version: u64,
    /// What is known of it.
    pub description: FileDescription,
    /// Whether there was a file before, which dies now.
    pub replaced: bool,
}

/// A file that is being written.
pub struct Upload {
    wanted: PutFile,
    begun: Begun,
    sealer: StreamSealer,
    writer: Box<dyn BlobWriter>,
    /// Sealed bytes that have not been written down.
    sealed: Vec<u8>,
    hasher: Hasher,
    size: u64,
    writing: Writing,
}

/// A number and an id that a file has before any of its bytes.
#[derive(Clone, Copy)]
struct Begun {
    place: FilePlace,
    /// Where the record's key is, with the file's number.
    key: Place,
}

/// Begins to write a file, after deciding whether the caller may. Nothing of the record changes before
/// [`Upload::finish`].
///
/// # Errors
/// [`VaultError::NotFound`] for what is not there and what the caller may not know about, also a field
/// that holds no files; [`VaultError::Refused`]; [`VaultError::VersionRequired`],
/// [`VaultError::VersionStale`]; `held`; `no_place_for_files`; [`VaultError::Unavailable`] for a full disk.
pub async fn put(vault: &Vault, ctx: &TenantCtx, wanted: PutFile) -> Result<Upload, VaultError> {
    let file = FileId::new(vault.now(), &*vault.rng)?;
    let (begun, writing, sealer, sealed) = attempt(|| begin(vault, ctx, &wanted, file)).await?;
    let writer = match vault.files()?.blobs.begin(file).await {
        Ok(writer) => writer,
        Err(error) => {
            drop(writing);
            vault.clear_stray(ctx.tenant(), file).await;
            return Err(error.into());
        }
    };
    Ok(Upload { wanted, begun, sealer, writer, sealed, hasher: Hasher::new(), size: 0, writing })
}

async fn begin(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &PutFile,
    file: FileId,
) -> Result<(Begun, Writing, StreamSealer, Vec<u8>), VaultError> {
    let tenant = ctx.tenant();
    let writable = vault.writable(ctx, &wanted.named, "file.write").await?;
    let (known, field) = (writable.known, writable.field);
    wanted.expected.check(known.sealed.version)?;
    refuse_held_file(&known.subject, writable.opened.head.file_in(field))?;
    let files = vault.files()?;

    // The number is taken before the key is used, and is never given again, whatever becomes of the file.
    let (subject, record) = (&known.subject, known.sealed.place);
    let mut number = subject.next_number;
    while vault.keyring.is_punctured(tenant, Half::Data, record.slot, number).await? {
        number = number.checked_add(1).ok_or(VaultError::Conflict)?;
    }
    let next_number = number.checked_add(1).ok_or(VaultError::Conflict)?;
    let grown = SubjectHead { next_number, ..(*subject.value).clone() };
    let place = FilePlace { field, file, number };
    let head = keyspace::subject_head(tenant, subject.id);
    let sealed_head = vault.seal_row(&head, subject.leaf, subject.version + 1, &grown).await?;
    let stray = Stray {
        state: StrayState::Writing(vault.worker()?),
        slot: record.slot,
        number,
        since: vault.now(),
    };
    let writing = files.write(file);
    let begun = Begun { place, key: beside(record, place) };
    let key = vault.record_key(tenant, &known.collection, begun.key).await?;
    let context = vault.file_context(tenant, &known.collection, subject.id, record.epoch, place);
    let mut batch = known.snapshot.into_batch();
    batch.put(head, subject.version + 1, sealed_head);
    vault.put_stray(&mut batch, tenant, file, &stray).await?;
    let _committed = vault.store.commit(batch).await?;

    let mut sealed = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
    let sealer = StreamSealer::begin(&mut sealed, &key, &context, &*vault.rng)?;
    Ok((begun, writing, sealer, sealed))
}

impl Upload {
    /// How many bytes have come.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes of the file. Its bound is the caller's to keep.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`] if the place for files is full or fails: the file is given up then, by
    /// [`Upload::give_up`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.hasher.update(piece);
            self.sealer.push(piece, &mut self.sealed)?;
            self.size = self.size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if self.sealed.len() >= PIECE_BYTES {
                self.write_down().await?;
            }
        }
        Ok(())
    }

    async fn write_down(&mut self) -> Result<(), VaultError> {
        let next = Vec::with_capacity(self.sealed.capacity());
        let piece = std::mem::replace(&mut self.sealed, next);
        Ok(self.writer.write(Bytes::from(piece)).await?)
    }

    /// Ends the file and gives it to its record, if the caller may still write it there and the record
    /// still has the version that was named. A file that was there dies: its number is punctured in the next
    /// batch, and its bytes are removed.
    ///
    /// # Errors
    /// As for [`put`]; `file_given_up` if the upload took so long that it was taken for lost.
    pub async fn finish(
        self,
        vault: &Vault,
        ctx: &TenantCtx,
    ) -> Result<Answer<FileWritten>, VaultError> {
        let Self { wanted, begun, sealer, mut writer, mut sealed, hasher, size, writing } = self;
        let (tenant, file) = (ctx.tenant(), begun.place.file);
        let description = FileDescription {
            size,
            sha256: hasher.finish(),
            media_type: wanted.media_type.clone(),
            name: wanted.name.clone(),
        };
        let ended = async {
            sealer.finish(&mut sealed)?;
            writer.write(Bytes::from(sealed)).await?;
            Ok(writer.finish().await?)
        };
        let given = match ended.await {
            Ok(()) => attempt(|| give(vault, ctx, &wanted, begun, &description)).await,
            Err(error) => Err(error),
        };
        drop(writing);
        match given {
            Ok((version, lines, replaced)) => {
                if replaced {
                    vault.work_soon.notify_one();
                }
                Ok(Answer { value: FileWritten { version, description, replaced }, lines })
            }
            Err(error) => {
                vault.clear_stray(tenant, file).await;
                Err(error)
            }
        }
    }

    /// Removes what has come of a file that does not come to its end.
    pub async fn give_up(self, vault: &Vault, ctx: &TenantCtx) {
        let file = self.begun.place.file;
        drop(self);
        vault.clear_stray(ctx.tenant(), file).await;
    }
}

/// Gives a whole file to its record.
async fn give(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &PutFile,
    begun: Begun,
    description: &FileDescription,
) -> Result<(u64, Vec<LinePlaced>, bool), VaultError> {
    let (tenant, place) = (ctx.tenant(), begun.place);
    let mut writable = vault.writable(ctx, &wanted.named, "file.write").await?;
    let known = &mut writable.known;
    wanted.expected.check(known.sealed.version)?;
    let stray = known.snapshot.load::<Stray>(&keyspace::stray_file(tenant, place.file)).await?;
    let is_ours = stray.is_some_and(|stray| match stray.state {
        StrayState::Writing(_) => true,
        StrayState::Doomed => false,
    });
    let is_there = known.sealed.place.slot == begun.key.slot
        && known.sealed.place.epoch == begun.key.epoch
        && writable.field == place.field;
    if !is_ours || !is_there {
        let detail = "the file was given up while it was sent: send it again";
        return Err(VaultError::wrong_state("file_given_up", detail));
    }
    let old = writable.opened.head.file_in(place.field);
    refuse_held_file(&known.subject, old)?;

    let owner = FileOwner {
        tenant,
        collection: known.collection.number,
        record: wanted.named.record,
        subject: known.subject.id,
        slot: begun.key.slot,
    };
    let mut batch = Batch::new();
    if let Some(old) = old {
        vault.doom_file(&mut batch, &owner, old).await?;
    }
    batch.delete(keyspace::stray_file(tenant, place.file));
    let leaf = |number| OwnerLeaf::subject(owner.subject, owner.slot, begun.key.epoch, number);
    let entry = keyspace::manifest_entry(tenant, owner.subject, place.number);
    let named =
        RecordPlace { collection: owner.collection, record: owner.record, file: Some(place.file) };
    let value = vault.seal_row(&entry, leaf(strongroom_crypto::prf::MANIFEST), 1, &named).await?;
    batch.expect_absent(entry.clone()).put(entry, 1, value);
    let row = keyspace::file(tenant, owner.collection, owner.record, place.file);
    let value = vault.seal_row(&row, leaf(place.number), 1, &place).await?;
    batch.expect_absent(row.clone()).put(row, 1, value);
    let with = Some((place, description.store()?));
    let (version, lines) = vault.commit_file_change(ctx, writable, batch, with).await?;
    Ok((version, lines, old.is_some()))
}

/// A hold keeps what is there: a file is not replaced or removed under it.
pub(super) fn refuse_held_file(
    subject: &SubjectHead,
    old: Option<FilePlace>,
) -> Result<(), VaultError> {
    if old.is_some() { crate::erasures::refuse_held(subject) } else { Ok(()) }
}
