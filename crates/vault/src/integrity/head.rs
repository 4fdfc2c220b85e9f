//! The head: what is known of the store outside of it, and how far its log had come.

use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::Key;
use strongroom_model::InstallId;
use strongroom_storage::{LinePosition, LineRange, Store, Total};

use super::{HeadKey, tag_of};
use crate::{Vault, VaultError, keyspace};

/// How often a running server writes the head, if the store has changed.
const EVERY: Duration = Duration::from_secs(5);
/// Lines read at once.
const LINES_AT_ONCE: usize = 1_000;
/// What a head begins with.
const MAGIC: [u8; 8] = *b"SRhead1\0";
/// Bytes of a head without its tag.
const CONTENT_BYTES: usize = 8 + 16 + 8 + 32 + LOG_BYTES;
/// Bytes of what it says of the log.
const LOG_BYTES: usize = 20 + 8 + 32 + 2 * (20 + 16);

/// What is known of the store outside of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) install: InstallId,
    /// The number of the sum over the store: it grows with each group of commits.
    pub(super) number: u64,
    /// The tag of that sum.
    pub(super) sum_tag: [u8; 32],
    pub(super) log: Log,
}

/// How far the lines of the log have been summed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Log {
    /// After the last of them.
    pub(super) position: LinePosition,
    pub(super) lines: u64,
    pub(super) total: Total,
    pub(super) last_commit: Last,
    pub(super) last_append: Last,
}

/// The last line of a lane: the place before it, and its tag; zeros if there was none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Last {
    pub(super) before: LinePosition,
    pub(super) tag: [u8; 16],
}

impl Log {
    fn take(&mut self, key: &HeadKey, position: LinePosition, line: &[u8]) {
        let last = if position.is_of_commit(self.position) {
            &mut self.last_commit
        } else {
            &mut self.last_append
        };
        *last = Last { before: self.position, tag: tag_of(line) };
        self.position = position;
        self.lines = self.lines.saturating_add(1);
        self.total.add(&key.line(line));
    }
}

impl Head {
    pub(super) fn to_bytes(self, key: &HeadKey) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CONTENT_BYTES + 32);
        bytes.extend(MAGIC);
        bytes.extend(self.install.as_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.sum_tag);
        bytes.extend(self.log.position.to_bytes());
        bytes.extend(self.log.lines.to_be_bytes());
        bytes.extend(self.log.total.to_bytes());
        for last in [self.log.last_commit, self.log.last_append] {
            bytes.extend(last.before.to_bytes());
            bytes.extend(last.tag);
        }
        let tag = key.head(&bytes);
        bytes.extend(tag);
        bytes
    }

    /// What stands in a head, not yet proven.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (content, _tag) = bytes.split_at_checked(CONTENT_BYTES)?;
        let (magic, rest) = content.split_first_chunk::<8>()?;
        let (install, rest) = rest.split_first_chunk::<16>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sum_tag, rest) = rest.split_first_chunk::<32>()?;
        let (position, rest) = rest.split_first_chunk::<20>()?;
        let (lines, rest) = rest.split_first_chunk::<8>()?;
        let (total, rest) = rest.split_first_chunk::<32>()?;
        let (commit, rest) = rest.split_first_chunk::<36>()?;
        let append = rest.first_chunk::<36>()?;
        let log = Log {
            position: LinePosition::from_bytes(*position),
            lines: u64::from_be_bytes(*lines),
            total: Total::from_bytes(*total),
            last_commit: Last::parse(commit)?,
            last_append: Last::parse(append)?,
        };
        let install = InstallId::from_bytes(*install);
        let number = u64::from_be_bytes(*number);
        (*magic == MAGIC).then_some(Self { install, number, sum_tag: *sum_tag, log })
    }

    /// Whether whoever has the key wrote these bytes.
    pub(super) fn is_proven(key: &HeadKey, bytes: &[u8]) -> bool {
        bytes
            .split_at_checked(CONTENT_BYTES)
            .is_some_and(|(content, tag)| strongroom_crypto::mac::verify(tag, &key.head(content)))
    }
}

impl Last {
    fn parse(bytes: &[u8; 36]) -> Option<Self> {
        let (before, tag) = bytes.split_first_chunk::<20>()?;
        Some(Self { before: LinePosition::from_bytes(*before), tag: tag.try_into().ok()? })
    }
}

/// The number and the tag of the sum over a store; 0 and zeros if there is none.
pub(super) async fn sum_state(store: &dyn Store) -> Result<(u64, [u8; 32]), VaultError> {
    let row = store.get_many(&[keyspace::store_sum()]).await?.pop().flatten();
    Ok(row.map_or((0, [0; 32]), |row| {
        (row.version, row.value.last_chunk::<32>().copied().unwrap_or_default())
    }))
}

impl Vault {
    /// Sums the lines that have come since.
    pub(super) async fn catch_up(&self, key: &HeadKey, mut log: Log) -> Result<Log, VaultError> {
        loop {
            let range = LineRange::all(log.position, LINES_AT_ONCE);
            let lines = self.store.read_lines(&range).await?;
            if lines.is_empty() {
                return Ok(log);
            }
            for (position, line) in &lines {
                log.take(key, *position, line);
            }
        }
    }

    /// Writes the head as the store is now into every place, unless nothing has changed since.
    ///
    /// # Errors
    /// [`VaultError::Unavailable`] if the store cannot be read, or a place not be written.
    pub async fn write_heads(&self) -> Result<(), VaultError> {
        let Some(key) = self.integrity.key.get().map(Arc::clone) else { return Ok(()) };
        if self.integrity.places.is_empty() {
            return Ok(());
        }
        let mut kept = self.integrity.log.lock().await;
        let Some(log) = *kept else { return Ok(()) };
        // What is read here is durable, so that a head is never ahead of its store.
        let log = self.catch_up(&key, log).await?;
        let (number, sum_tag) = sum_state(&*self.store).await?;
        let head = Head { install: self.keyring.install(), number, sum_tag, log };
        let bytes = head.to_bytes(&key);
        let places = self.integrity.places.clone();
        let written = tokio::task::spawn_blocking(move || {
            places.iter().try_for_each(|place| match place.read() {
                Ok(Some(there)) if there == bytes => Ok(()),
                Ok(_) | Err(_) => place.write(&bytes),
            })
        });
        let written = written.await.map_err(|error| VaultError::Internal(Box::new(error)))?;
        written.map_err(|error| VaultError::Unavailable(Box::new(error)))?;
        *kept = Some(log);
        Ok(())
    }

    /// Writes the heads from time to time, until the server ends.
    pub async fn keep_heads(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.write_heads().await {
                tracing::warn!(error = %error, "the head of the store could not be written; it is tried again");
            }
        }
    }
}

/// A head without its tag, read and written again under this key: for the fuzz target.
pub(crate) fn reread(content: &[u8], key: Key) -> Option<Vec<u8>> {
    let key = HeadKey(key);
    let whole = [content, &key.head(content)].concat();
    let head = Head::parse(&whole).filter(|_| Head::is_proven(&key, &whole))?;
    head.to_bytes(&key).split_last_chunk::<32>().map(|(content, _)| content.to_vec())
}
