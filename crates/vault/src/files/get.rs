//! Somebody reads a file: decided on and on record before any of it is opened, and, while its bytes are
//! taken, not beyond the moment in which that is no longer so.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use strongroom_access_policy::Shown;
use strongroom_crypto::cobblestone::{CHUNK, sealed_length};
use strongroom_crypto::stream::{PRELUDE, StreamReader};
use strongroom_crypto::{Context, Key, scrub_once};
use strongroom_model::{
    Action, CollectionName, FieldName, FieldType, FileDescription, FileId, RecordId, Wiping,
};
use strongroom_storage::Expect;

use crate::files::beside;
use crate::records::{Asked, KnownRecord, disclose_file, person, record_facts};
use crate::rows::damaged;
use crate::snapshot::attempt;
use crate::{Answer, TenantCtx, Vault, VaultError};

/// Chunks that are read and opened at a time: 256 KiB.
const CHUNKS_AT_ONCE: u64 = 16;
/// For so long a decision serves, as long as what it rests on stays the same: what ends by time alone, such
/// as a credential, ends what is taken by it soon after.
const DECISION_TIME: Duration = Duration::from_mins(1);

/// Which file.
#[derive(Debug, Clone)]
pub struct NamedFile {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: RecordId,
    /// The field of it.
    pub field: FieldName,
}

/// A file that was found, and that its caller may read.
pub struct FoundFile {
    named: NamedFile,
    /// What is known of it.
    pub description: FileDescription,
    /// Its id, which other bytes never have: the ETag.
    pub file: FileId,
    key: Key,
    context: Context,
    facts: Vec<Expect>,
    decided: Duration,
}

/// A file that is being read.
pub struct FileReader {
    found: FoundFile,
    stream: StreamReader,
    /// What is still to be given.
    left: Range<u64>,
}

/// Finds a file and puts on record that it is read. Asking for a file by itself asks to reveal it, where
/// the caller's class may.
///
/// # Errors
/// [`VaultError::NotFound`] for what is not there and what the caller may not know about, also a file of
/// which it may see no more than a mask; [`VaultError::Refused`]; [`VaultError::Erased`] for those who may
/// know.
pub async fn get(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: NamedFile,
) -> Result<Answer<FoundFile>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &NamedFile,
) -> Result<Answer<FoundFile>, VaultError> {
    let ticket = vault.admission.enter();
    let decided = vault.clock.elapsed();

    // What is known.
    let (collection, record) = (&wanted.collection, wanted.record);
    let known = vault.know(ctx, collection, record, Action::Read, "file.read").await?;
    let KnownRecord { snapshot, who, collection, subject, sealed, key, attempted } = known;
    let opened = vault.open_head(&key, ctx.tenant(), &collection, record, &sealed)?;
    let field = collection.field(&wanted.field).filter(|field| field.kind == FieldType::File);
    let field = field.map(|field| field.number);
    let place = field.and_then(|field| opened.head.file_in(field));

    // The decision.
    let asked =
        Asked { requested: Some(field.as_slice()), reveal: field.as_slice(), ..Asked::default() };
    let facts = record_facts(record, &opened.head, &subject);
    let decision = vault.decide_on_record(ctx, &who, &collection, facts, Action::Read, asked);
    let permit = match decision {
        Ok(permit) => permit,
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    let is_clear = permit.granted().fields.iter().any(|view| match view.shown {
        Shown::Clear => Some(view.number) == field,
        Shown::Masked(_) => false,
    });
    let Some(place) = place.filter(|_| is_clear) else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };

    // The record of it.
    let about = person(&subject);
    let (snapshot, attempted) =
        vault.count_subjects(ctx, snapshot, &who, attempted, about.as_slice()).await?;
    let facts = snapshot.same().into_facts();
    let touches = permit.touch().into_iter().collect();
    let event = attempted.allowed(permit.granted(), touches);
    let committed = vault.put_on_record(ctx, snapshot, event).await?;

    // The effect.
    let description = disclose_file(permit, &committed, &ticket, &opened, place.field)?;
    let at = sealed.place;
    let key = vault.record_key(ctx.tenant(), &collection, beside(at, place)).await?;
    let context = vault.file_context(ctx.tenant(), &collection, subject.id, at.epoch, place);
    let (named, file) = (wanted.clone(), place.file);
    let value = FoundFile { named, description, file, key, context, facts, decided };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

impl FoundFile {
    /// Begins to read a range of the file, which ends within it. The last chunk is opened first: a file
    /// that was cut is not served from its beginning.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] if the bytes are missing or are not those that were written;
    /// [`VaultError::Unavailable`] if the place for files fails.
    pub async fn read(self, vault: &Vault, range: Range<u64>) -> Result<FileReader, VaultError> {
        let blobs = &vault.files()?.blobs;
        let length = blobs.length(self.file).await?;
        let expected = usize::try_from(self.description.size).ok().and_then(sealed_length);
        let expected = expected.and_then(|body| u64::try_from(body + Context::HEADER_BYTES).ok());
        if expected != Some(length) || range.end > self.description.size {
            return Err(damaged());
        }
        let prelude = blobs.read(self.file, 0..PRELUDE as u64).await?;
        let last = blobs.read(self.file, StreamReader::last_chunk(length)?).await?;
        let (stream, _) = StreamReader::begin(&self.key, &self.context, &prelude, length, &last)?;
        Ok(FileReader { found: self, stream, left: range })
    }
}

impl FileReader {
    /// The next bytes; nothing when all of them have been given. Each time it is first looked whether what
    /// the decision rests on is still so.
    ///
    /// # Errors
    /// Those of [`get`], when it is decided anew; [`VaultError::Conflict`] if another file is in the place
    /// of this one by then; those of [`FoundFile::read`].
    pub async fn next(
        &mut self,
        vault: &Vault,
        ctx: &TenantCtx,
    ) -> Result<Option<Wiping<Vec<u8>>>, VaultError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let chunk = CHUNK as u64;
        let first = self.left.start / chunk;
        let end = self.left.end.div_ceil(chunk).min(first + CHUNKS_AT_ONCE);
        let place = |index: u64| self.stream.chunk(index).ok_or_else(damaged);
        let sealed_range = place(first)?.start..place(end - 1)?.end;
        let sealed = vault.files()?.blobs.read(self.found.file, sealed_range.clone()).await?;
        let ticket = vault.admission.enter();
        self.check_decision(vault, ctx).await?;
        ticket.still_admitted()?;
        let opened = scrub_once(|| self.open(first..end, &sealed, sealed_range.start))?;
        self.left.start = (end * chunk).min(self.left.end);
        Ok(Some(opened))
    }

    /// Opens chunks, as far as they are wanted, into a buffer that does not grow.
    fn open(
        &self,
        chunks: Range<u64>,
        sealed: &Bytes,
        sealed_from: u64,
    ) -> Result<Wiping<Vec<u8>>, VaultError> {
        let chunk = CHUNK as u64;
        let place = |at: u64| usize::try_from(at).map_err(|_| damaged());
        let mut bytes =
            Wiping::new(Vec::with_capacity(place((chunks.end - chunks.start) * chunk)?));
        for index in chunks {
            let at = self.stream.chunk(index).ok_or_else(damaged)?;
            let at = place(at.start - sealed_from)?..place(at.end - sealed_from)?;
            let opened = self.stream.open_chunk(index, sealed.get(at).ok_or_else(damaged)?)?;
            let opened = opened.expose();
            let begins = index * chunk;
            let from = place(self.left.start.saturating_sub(begins))?;
            let to = opened.len().min(place(self.left.end - begins)?);
            bytes.extend_from_slice(opened.get(from..to).ok_or_else(damaged)?);
        }
        Ok(bytes)
    }

    /// Looks whether the caller may go on: at once if nothing has changed, else by another decision, which
    /// goes on record too.
    async fn check_decision(&mut self, vault: &Vault, ctx: &TenantCtx) -> Result<(), VaultError> {
        let is_fresh = vault.clock.elapsed().saturating_sub(self.found.decided) < DECISION_TIME;
        if is_fresh && vault.still_holds(&self.found.facts).await? {
            return Ok(());
        }
        let again = attempt(|| once(vault, ctx, &self.found.named)).await?.value;
        if again.file != self.found.file {
            return Err(VaultError::Conflict);
        }
        self.found = again;
        Ok(())
    }
}

impl Vault {
    /// Whether all of this is still so.
    async fn still_holds(&self, facts: &[Expect]) -> Result<bool, VaultError> {
        let keys: Vec<_> = facts.iter().map(|fact| fact.key().clone()).collect();
        let rows = self.store.get_many(&keys).await?;
        Ok(facts.iter().zip(rows).all(|(fact, row)| match fact {
            Expect::Version(_, version) => row.is_some_and(|row| row.version == *version),
            Expect::Absent(_) => row.is_none(),
        }))
    }
}
