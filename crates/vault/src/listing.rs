//! Pages of lists, and the sealed cursor that leads from one to the next.

use data_encoding::BASE64URL_NOPAD;
use strongroom_crypto::{Context, MessagePurpose, stream};
use strongroom_keyring::{Half, Service};
use strongroom_model::TenantId;

use crate::{TenantCtx, Vault, VaultError};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// How many items at most.
    pub limit: usize,
    /// Where the previous page ended, as it was given there.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug)]
pub struct Listed<T> {
    /// Its items.
    pub items: Vec<T>,
    /// The cursor of the next page, if there may be one.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// The same page with other items.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(change).collect(), next: self.next }
    }
}

/// The version that a change is made against, as the request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This one.
    Version(u64),
    /// Whichever is there.
    Any,
    /// The request names none.
    Missing,
}

impl Expected {
    /// Refuses a change that is not made against the present version.
    pub(crate) fn check(self, current: u64) -> Result<(), VaultError> {
        match self {
            Self::Missing => Err(VaultError::VersionRequired),
            Self::Any => Ok(()),
            Self::Version(version) if version == current => Ok(()),
            Self::Version(_) => Err(VaultError::VersionStale { current }),
        }
    }
}

/// How long a cursor leads on.
const CURSOR_SECONDS: i64 = 24 * 60 * 60;

impl Vault {
    /// Seals a position for the caller: `expiry i64 | position`, bound to the tenant and the list.
    pub(crate) async fn seal_cursor(
        &self,
        ctx: &TenantCtx,
        list: &[u8],
        position: &[u8],
    ) -> Result<String, VaultError> {
        let key = self.keyring.service(ctx.tenant(), Half::Account, Service::Cursors).await?;
        let mut plain = self.now().plus_seconds(CURSOR_SECONDS).as_micros().to_be_bytes().to_vec();
        plain.extend_from_slice(position);
        let sealed =
            stream::seal(&key, &self.cursor_context(ctx.tenant(), list), &plain, &*self.rng)?;
        Ok(BASE64URL_NOPAD.encode(&sealed))
    }

    /// The position in a cursor of this list.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for whatever is no cursor of this tenant and list, or has expired.
    pub(crate) async fn open_cursor(
        &self,
        ctx: &TenantCtx,
        list: &[u8],
        cursor: &str,
    ) -> Result<Vec<u8>, VaultError> {
        let wrong =
            || VaultError::invalid("/cursor", "not a cursor of this list, or an expired one");
        let sealed = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| wrong())?;
        let key = self.keyring.service(ctx.tenant(), Half::Account, Service::Cursors).await?;
        let plain = stream::open(&key, &self.cursor_context(ctx.tenant(), list), &sealed)
            .map_err(|_| wrong())?;
        let (until, position) = plain.expose().split_first_chunk::<8>().ok_or_else(wrong)?;
        if i64::from_be_bytes(*until) < self.now().as_micros() {
            return Err(wrong());
        }
        Ok(position.to_vec())
    }

    fn cursor_context(&self, tenant: TenantId, list: &[u8]) -> Context {
        let hash = strongroom_crypto::hash::sha256(&[b"sr1/cursor\0", list]);
        let mut object = [0; 16];
        object.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Context {
            purpose: MessagePurpose::Row,
            epoch: 0,
            install: self.keyring.install(),
            tenant,
            subject: [0; 16],
            object,
            collection: 0,
            index: u64::MAX,
            number: 0,
            version: 0,
        }
    }
}
