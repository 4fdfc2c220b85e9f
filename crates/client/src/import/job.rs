//! An import that the server does: the file is sent in parts, then started. Sending can be gone on with
//! after it broke off.

use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_model::{CollectionName, JobId};
use strongroom_tables::{Format, Part, Parts};

use crate::call::{Call, idempotency_key};
use crate::checkpoint;
use crate::import::ImportError;
use crate::{Answer, ClientError, Job, Page, Scoped};

/// An import that is asked for.
#[derive(Debug, Clone, Serialize)]
pub struct NewImportJob {
    /// How the columns of the file become fields, with the members of a mapping file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Value>,
    /// Instead of a mapping: the file is an NDJSON export of this collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<CollectionName>,
    /// Whether everything is looked at and nothing is made.
    pub dry_run: bool,
}

/// What is there of a part.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct UploadedPart {
    /// Its number.
    pub part: u32,
    /// Its rows.
    pub rows: u64,
    /// Those that cannot be read.
    pub rejected: u64,
}

/// Where it is kept which job a file is sent to, so that sending can be gone on with.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The file.
    pub path: PathBuf,
    /// What is imported: the file's length and time, and the mapping.
    pub what: String,
    /// Whether to go on with what is there.
    pub resume: bool,
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    what: String,
    job: JobId,
}

impl Scoped<'_> {
    /// Asks for an import.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_import(&self, wanted: &NewImportJob) -> Result<Answer<Job>, ClientError> {
        let key = idempotency_key(self.client.rng())?;
        Call::post_with_key(self.client, self.path("imports"), &key)?.json(wanted)?.read().await
    }

    /// Sends a part of a file; the same part again changes nothing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upload_part(
        &self,
        job: JobId,
        number: u32,
        format: Format,
        part: Part,
    ) -> Result<Answer<UploadedPart>, ClientError> {
        let media_type = match format {
            Format::Csv => "text/csv",
            Format::Ndjson => "application/x-ndjson",
        };
        let path = self.path(&format!("jobs/{job}/parts/{number}"));
        let query = vec![("first_line", part.first_line.to_string())];
        Call::put_again(self.client, path).query(query).bytes(media_type, part.bytes).read().await
    }

    /// Starts an import whose parts are there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn start_import(&self, job: JobId, parts: u32) -> Result<Answer<Job>, ClientError> {
        #[derive(Serialize)]
        struct Body {
            parts: u32,
        }
        let path = self.path(&format!("jobs/{job}/start"));
        Call::ask(self.client, path).json(&Body { parts })?.read().await
    }

    /// A page of the rejects of an import as it is written, and the cursor of the page that follows.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn import_rejects(
        &self,
        job: JobId,
        page: &Page,
    ) -> Result<Answer<(Vec<u8>, Option<String>)>, ClientError> {
        let path = self.path(&format!("jobs/{job}/rejects"));
        Call::get(self.client, path).query(page.query()).page().await
    }
}

/// Sends a whole file and starts its import. Parts that are there already are not sent again.
/// `progress` is told the number of rows that have been sent.
///
/// # Errors
/// [`ImportError`]; with [`Sending::resume`] it can be gone on with.
pub async fn send<R: Read>(
    scoped: Scoped<'_>,
    wanted: &NewImportJob,
    format: Format,
    mut parts: Parts<R>,
    sending: &Sending,
    mut progress: impl FnMut(u64),
) -> Result<Answer<Job>, ImportError> {
    let job = if sending.resume {
        let kept: Option<Kept> =
            checkpoint::read(&sending.path).map_err(ImportError::Checkpoint)?;
        let kept = kept.ok_or(ImportError::NothingToResume)?;
        if kept.what != sending.what {
            return Err(ImportError::Another);
        }
        scoped.job(kept.job).await?.value
    } else {
        let job = scoped.begin_import(wanted).await?.value;
        let kept = Kept { what: sending.what.clone(), job: job.id };
        checkpoint::write(&sending.path, &kept).map_err(ImportError::Checkpoint)?;
        job
    };
    // They are sent one after the other, so those that are there are the first.
    let there = job.import.as_ref().map_or(0, |import| import.parts);
    let mut rows = job.progress.total;
    let mut number = 0u32;
    while let Some(part) = parts.read()? {
        number = number.checked_add(1).ok_or_else(|| io::Error::other("the file is too long"))?;
        if number > there {
            rows += scoped.upload_part(job.id, number, format, part).await?.value.rows;
            progress(rows);
        }
    }
    let started = if job.state == "uploading" {
        scoped.start_import(job.id, number).await?
    } else {
        scoped.job(job.id).await?
    };
    checkpoint::remove(&sending.path).map_err(ImportError::Checkpoint)?;
    Ok(started)
}
