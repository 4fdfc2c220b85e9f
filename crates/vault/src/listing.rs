//! Pages of lists, and the sealed cursor that leads from one to the next.

use data_encoding::BASE64URL_NOPAD;
use strongroom_crypto::{Context, Key, MessagePurpose, stream};
use strongroom_keyring::{Half, Service};
use strongroom_model::{Rng, TenantId, Timestamp};

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
        let until = self.now().plus_seconds(CURSOR_SECONDS);
        write_cursor(&key, &self.cursor_context(ctx.tenant(), list), until, position, &*self.rng)
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
        let key = self.keyring.service(ctx.tenant(), Half::Account, Service::Cursors).await?;
        read_cursor(&key, &self.cursor_context(ctx.tenant(), list), self.now(), cursor).ok_or_else(
            || VaultError::invalid("/cursor", "not a cursor of this list, or an expired one"),
        )
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

/// The text of a cursor that leads on until a moment.
pub(crate) fn write_cursor(
    key: &Key,
    context: &Context,
    until: Timestamp,
    position: &[u8],
    rng: &dyn Rng,
) -> Result<String, VaultError> {
    let mut plain = until.as_micros().to_be_bytes().to_vec();
    plain.extend_from_slice(position);
    Ok(BASE64URL_NOPAD.encode(&stream::seal(key, context, &plain, rng)?))
}

/// The position in a cursor; `None` if it is none of this key and context, or has expired.
pub(crate) fn read_cursor(
    key: &Key,
    context: &Context,
    now: Timestamp,
    cursor: &str,
) -> Option<Vec<u8>> {
    let sealed = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let plain = stream::open(key, context, &sealed).ok()?;
    let (until, position) = plain.expose().split_first_chunk::<8>()?;
    (i64::from_be_bytes(*until) >= now.as_micros()).then(|| position.to_vec())
}
