//! The stream of an archive: a page of records is read when its reader has taken the one before.

use axum::body::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use strongroom_model::CollectionName;
use strongroom_vault::VaultError;
use strongroom_vault::archives::{self, Archive, ArchivePage, ArchiveWriter, FilesDigest, GivenUp};

use super::job::ArchiveJob;
use super::wire::{End, Manifest, Written};
use crate::extract::Caller;
use crate::places::Place;
use crate::wire::write_lines;

/// Records of one file of an archive. A record has at most 64 KiB, so a file stays below 128 MiB even
/// where each byte of it is written as six.
const FILE_RECORDS: usize = 250;

/// That an archive ends before its end. Why stands in the log, and what was refused also in the audit
/// log.
#[derive(Debug, thiserror::Error)]
#[error("the archive broke off")]
pub(super) struct BrokeOff;

/// An archive in the making.
struct Making {
    caller: Caller,
    job: ArchiveJob,
    writer: ArchiveWriter,
    /// Collections that have not been begun, the next one last.
    waiting: Vec<CollectionName>,
    current: Option<Current>,
    end: End,
    _place: Place,
}

/// The collection whose records are being written.
struct Current {
    name: CollectionName,
    cursor: Option<String>,
    digest: FilesDigest,
    files: u64,
    records: u64,
}

impl Current {
    fn of(name: CollectionName) -> Self {
        Self { name, cursor: None, digest: FilesDigest::default(), files: 0, records: 0 }
    }
}

/// The stream, with its manifest written.
///
/// # Errors
/// [`VaultError::Internal`] for a manifest that cannot be written.
pub(super) fn of(
    caller: Caller,
    place: Place,
    mut writer: ArchiveWriter,
    archive: &Archive,
) -> Result<impl Stream<Item = Result<Bytes, BrokeOff>> + Send + 'static, VaultError> {
    let manifest = Manifest::of(archive, caller.vault.now(), caller.ctx.about().purpose.as_ref());
    writer.file("manifest.json", &manifest.to_json())?;
    let names = archive.collections.iter().map(|collection| collection.value.name.clone());
    let waiting = names.rev().collect();
    let end = End::default();
    let job = ArchiveJob::of(&caller, archive.job);
    let making = Making { caller, job, writer, waiting, current: None, end, _place: place };
    Ok(try_unfold(Some(making), |making| async move {
        let Some(making) = making else { return Ok(None) };
        let request = making.caller.ctx.about().request;
        // In a task of its own a page is read to its end, also when its reader has gone, and one that
        // panics ends its archive alone.
        let Ok(outcome) = tokio::spawn(making.step()).await else { return Err(BrokeOff) };
        let (sealed, rest) = outcome.map_err(|error| {
            tracing::info!(request_id = %request, code = error.code(), "an archive broke off");
            BrokeOff
        })?;
        Ok(Some((Bytes::from(sealed), rest)))
    }))
}

impl Making {
    /// Writes pages of records until something of them is sealed, or all of it is written.
    async fn step(mut self) -> Result<(Vec<u8>, Option<Self>), VaultError> {
        loop {
            let Some(mut current) =
                self.current.take().or_else(|| self.waiting.pop().map(Current::of))
            else {
                let Self { job, mut writer, end, .. } = self;
                writer.file("end.json", &end.to_json())?;
                let sealed = writer.finish()?;
                // What somebody has stopped gets no end.
                job.finish().await?;
                return Ok((sealed, None));
            };
            let written = self.write_page(&mut current).await;
            if let Err(error) = &written {
                self.job.ends_by(GivenUp::by(error));
            }
            if written? {
                self.current = Some(current);
            } else {
                let Current { name, digest, files, records, .. } = current;
                self.end.add(Written::new(name, records, files, &digest));
            }
            let sealed = self.writer.sealed();
            if !sealed.is_empty() {
                return Ok((sealed, Some(self)));
            }
        }
    }

    /// Writes the next page of a collection, and says whether there may be another one.
    async fn write_page(&mut self, current: &mut Current) -> Result<bool, VaultError> {
        let wanted = ArchivePage {
            job: self.job.id(),
            collection: current.name.clone(),
            cursor: current.cursor.take(),
            limit: FILE_RECORDS,
        };
        let answer = archives::page(&self.caller.vault, &self.caller.ctx, &wanted).await?;
        let page = answer.value.records;
        if !page.items.is_empty() {
            current.files += 1;
            current.records += u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            let name = format!("records/{}/{:06}.ndjson", current.name, current.files);
            let digest = self.writer.file(&name, &write_lines(&page.items))?;
            current.digest.add(&digest);
        }
        current.cursor = page.next;
        Ok(current.cursor.is_some())
    }
}
