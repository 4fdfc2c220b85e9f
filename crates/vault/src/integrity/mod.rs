//! Whether the store is what was last written: sums over rows, and heads outside of the store
//! (`docs/formats/integrity.md`).

mod age;
mod head;
mod policies;
mod retake;
mod scan;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use strongroom_crypto::{Key, mac};
use strongroom_keyring::{Half, Service};
use strongroom_model::TenantId;
use strongroom_storage::{Recent, RowKey, Standing, Summing};

use crate::{Vault, VaultError};

pub use age::{Age, Rejected, accept, age, check_age};
pub use retake::retake;
pub use scan::{Damage, Report, verify};

pub(crate) use head::reread as reread_head;

use head::Log;

/// Tenants of which it is remembered that their policy was checked.
const CHECKED_MAX: usize = 65_536;

/// A place outside of the store for its head, such as a file beside the holder.
pub trait HeadPlace: Send + Sync {
    /// What was last written; nothing if there never was anything.
    ///
    /// # Errors
    /// What the place says.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Writes the whole head over the last one, durably: after a crash there is the one or the other.
    ///
    /// # Errors
    /// What the place says.
    fn write(&self, head: &[u8]) -> io::Result<()>;
}

/// What the vault knows of its store's integrity.
pub(crate) struct Integrity {
    pub(crate) places: Vec<Arc<dyn HeadPlace>>,
    /// Once the server has been unlocked. It opens nothing, so that locking does not drop it.
    key: OnceLock<Arc<HeadKey>>,
    /// How far the lines of the log have been summed; none before unlocking.
    log: tokio::sync::Mutex<Option<Log>>,
    checked: Mutex<Recent<TenantId, ()>>,
}

impl Default for Integrity {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            key: OnceLock::new(),
            log: tokio::sync::Mutex::default(),
            checked: Mutex::new(Recent::new(CHECKED_MAX)),
        }
    }
}

/// The key of sums and heads: it proves who wrote them and opens nothing.
pub(crate) struct HeadKey(Key);

impl HeadKey {
    fn line(&self, line: &[u8]) -> [u8; 32] {
        let (begin, _) = line.split_at_checked(LINE_PLACE_BYTES).unwrap_or((line, &[]));
        mac::hmac_sha256(&self.0, &[&[3], begin, &tag_of(line)])
    }

    fn head(&self, content: &[u8]) -> [u8; 32] {
        mac::hmac_sha256(&self.0, &[&[4], content])
    }
}

/// Bytes of a sealed line that name its place.
const LINE_PLACE_BYTES: usize = 28;

/// The tag that a sealed line ends with.
fn tag_of(line: &[u8]) -> [u8; 16] {
    line.last_chunk::<16>().copied().unwrap_or_default()
}

impl Summing for HeadKey {
    fn part(&self, key: &RowKey, standing: Standing) -> [u8; 32] {
        let version = standing.version.to_be_bytes();
        match standing.mark {
            None => mac::hmac_sha256(&self.0, &[&[1], &version, key.as_bytes()]),
            Some(mark) => mac::hmac_sha256(&self.0, &[&[5], &version, &mark, key.as_bytes()]),
        }
    }

    fn tag(&self, key: &RowKey, version: u64, content: &[u8]) -> [u8; 32] {
        mac::hmac_sha256(&self.0, &[&[2], &version.to_be_bytes(), content, key.as_bytes()])
    }
}

impl Vault {
    /// The key of sums and heads.
    async fn head_key(&self) -> Result<Arc<HeadKey>, VaultError> {
        if let Some(key) = self.integrity.key.get() {
            return Ok(Arc::clone(key));
        }
        let rows = self.keyring.service(TenantId::PROVIDER, Half::Data, Service::Rows).await?;
        Ok(Arc::new(HeadKey(mac::derive_key(&rows, &[b"sr1/head\0"]))))
    }
}
