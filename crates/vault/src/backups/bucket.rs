//! A bucket of S3-compatible storage as a place for backups: one object for each file, and a backup is
//! whole once its manifest is there, which is written last.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use strongroom_storage::buckets::{Bucket, BucketProblem};

use crate::backups::manifest;
use crate::backups::places::{BackupPlace, FILE_BYTES_MAX, PlaceProblem};

/// So many objects are asked for or removed at the same time.
const AT_ONCE: usize = 8;

/// A bucket, or what lies below a prefix of it, in which backups lie.
#[derive(Debug, Clone)]
pub struct BucketPlace {
    bucket: Bucket,
}

impl BucketPlace {
    /// The place in this bucket.
    pub fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    async fn is_finished(&self, backup: &str) -> Result<bool, PlaceProblem> {
        match self.read(backup, manifest::FILE).await {
            Ok(_) | Err(PlaceProblem::TooLong(_)) => Ok(true),
            Err(PlaceProblem::Missing(_)) => Ok(false),
            Err(problem) => Err(problem),
        }
    }
}

#[async_trait]
impl BackupPlace for BucketPlace {
    /// There is nothing to make: a bucket has names, and no folders.
    async fn begin(&self, _: &str) -> Result<(), PlaceProblem> {
        Ok(())
    }

    async fn write(&self, backup: &str, file: &str, bytes: Vec<u8>) -> Result<(), PlaceProblem> {
        self.bucket.put(&name(backup, file), bytes).await.map_err(|problem| place(problem, file))
    }

    async fn read_unfinished(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem> {
        self.read(backup, file).await
    }

    async fn read(&self, backup: &str, file: &str) -> Result<Vec<u8>, PlaceProblem> {
        let read = self.bucket.get(&name(backup, file), FILE_BYTES_MAX).await;
        read.map_err(|problem| place(problem, file))
    }

    async fn finish(&self, backup: &str, manifest: Vec<u8>) -> Result<(), PlaceProblem> {
        self.write(backup, manifest::FILE, manifest).await
    }

    async fn unfinished(&self) -> Result<Vec<String>, PlaceProblem> {
        let all = self.bucket.folders().await.map_err(|problem| place(problem, ""))?;
        let looked = stream::iter(all)
            .map(async |name| Ok((!self.is_finished(&name).await?).then_some(name)))
            .buffer_unordered(AT_ONCE);
        looked.try_filter_map(async |name| Ok(name)).try_collect().await
    }

    async fn discard(&self, backup: &str) -> Result<(), PlaceProblem> {
        let files = self.bucket.names(backup).await.map_err(|problem| place(problem, backup))?;
        if files.iter().any(|file| file == manifest::FILE) {
            return Ok(());
        }
        let removed = stream::iter(files)
            .map(async |file| self.bucket.delete(&name(backup, &file)).await)
            .buffer_unordered(AT_ONCE);
        removed.try_collect().await.map_err(|problem| place(problem, backup))
    }
}

fn name(backup: &str, file: &str) -> String {
    format!("{backup}/{file}")
}

fn place(problem: BucketProblem, file: &str) -> PlaceProblem {
    match problem {
        BucketProblem::Missing => PlaceProblem::Missing(file.to_owned()),
        BucketProblem::TooLong => PlaceProblem::TooLong(file.to_owned()),
        BucketProblem::NoBucket => PlaceProblem::Gone,
        BucketProblem::Full(_) => PlaceProblem::Full,
        BucketProblem::Credentials(_) => PlaceProblem::Credentials(problem.into()),
        BucketProblem::Forbidden(_) => PlaceProblem::Forbidden,
        BucketProblem::Unreachable(_) => PlaceProblem::Unreachable(problem.into()),
        BucketProblem::Setup(_) | BucketProblem::Refused(_) => PlaceProblem::Failed(problem.into()),
    }
}
