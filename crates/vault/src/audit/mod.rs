//! The tenant's audit log, read by those who may.

use strongroom_audit::line::DecodedEvent;
use strongroom_crypto::line;
use strongroom_keyring::{Half, Service};
use strongroom_model::{Action, AuditObject, Plaintext, TenantId, Timestamp};
use strongroom_storage::{LinePosition, LineRange};

use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError};

/// A line of the log.
pub struct Entry {
    /// When it was written.
    pub time: Timestamp,
    /// Where it stands.
    pub place: strongroom_audit::position::Position,
    /// What it says.
    pub event: DecodedEvent,
    /// The reason that the caller gave, unless the person whom it is about has been erased.
    pub reason: Option<Plaintext<String>>,
}

/// Lists lines of the tenant's log: first those of changes, then those of reads, each in the order
/// in which they were written.
///
/// # Errors
/// [`VaultError::Refused`] without `read_audit`; [`VaultError::Damaged`] if a line is missing or
/// does not follow the one before it.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Entry>>, VaultError> {
    attempt(|| async {
        let tenant = ctx.tenant();
        let object = AuditObject::Tenant(tenant);
        let (snapshot, allowed) = vault
            .administer(ctx, Snapshot::new(vault), Action::ReadAudit, "audit.list", object)
            .await?;
        let list = [b"audit".as_slice(), tenant.as_bytes()].concat();
        let (after, previous) = match &page.cursor {
            None => (LinePosition::START, Vec::new()),
            Some(cursor) => read_cursor(&vault.open_cursor(ctx, &list, cursor).await?)?,
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        let lines = vault.store.read_lines(&LineRange::of(tenant, after, page.limit)).await?;
        let (items, previous) = vault.open_lines(tenant, &lines, previous).await?;
        let next = match lines.last() {
            Some((last, _)) if lines.len() >= page.limit => {
                Some(vault.seal_cursor(ctx, &list, &write_cursor(*last, &previous)).await?)
            }
            Some(_) | None => None,
        };
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// The last tag of each node that has been seen.
pub(crate) type Tags = Vec<(u32, [u8; 16])>;

impl Vault {
    async fn open_lines(
        &self,
        tenant: TenantId,
        lines: &[(LinePosition, bytes::Bytes)],
        mut tags: Tags,
    ) -> Result<(Vec<Entry>, Tags), VaultError> {
        let key = self.keyring.service(tenant, Half::Data, Service::Audit).await?;
        let key = line::LineKey::new(&key);
        let mut entries = Vec::with_capacity(lines.len());
        for (_, sealed) in lines {
            let prefix = line::Prefix::parse(sealed).ok_or_else(crate::rows::damaged)?;
            let previous =
                tags.iter().find(|(node, _)| *node == prefix.node).map_or([0; 16], |(_, tag)| *tag);
            let (prefix, plain) = key.open(&previous, sealed)?;
            let tag = line::tag(sealed)?;
            tags.retain(|(node, _)| *node != prefix.node);
            tags.push((prefix.node, tag));
            let event = strongroom_audit::line::decode(plain.expose())
                .map_err(|error| VaultError::Damaged(Box::new(error)))?;
            let time = Timestamp::from_micros(i64::try_from(prefix.time_us).unwrap_or(i64::MAX));
            let place =
                strongroom_audit::position::Position { node: prefix.node, n: prefix.n, tag };
            let reason = match &event.reason {
                Some(sealed) => self.open_reason(tenant, sealed).await?,
                None => None,
            };
            entries.push(Entry { time, place, event, reason });
        }
        Ok((entries, tags))
    }
}

/// Nodes whose last tags a cursor carries; older ones have ended.
const NODES_MAX: usize = 8;

/// The position that a cursor of the log holds.
pub(crate) fn write_cursor(last: LinePosition, tags: &Tags) -> Vec<u8> {
    let mut bytes = last.to_bytes().to_vec();
    for (node, tag) in tags.iter().rev().take(NODES_MAX) {
        bytes.extend_from_slice(&node.to_be_bytes());
        bytes.extend_from_slice(tag);
    }
    bytes
}

/// Reads such a position.
pub(crate) fn read_cursor(bytes: &[u8]) -> Result<(LinePosition, Tags), VaultError> {
    let (position, rest) = bytes.split_first_chunk::<20>().ok_or_else(crate::rows::damaged)?;
    let mut tags = Vec::new();
    for chunk in rest.chunks_exact(20) {
        let (node, tag) = chunk.split_first_chunk::<4>().ok_or_else(crate::rows::damaged)?;
        tags.push((u32::from_be_bytes(*node), tag.try_into().map_err(|_| crate::rows::damaged())?));
    }
    tags.reverse();
    Ok((LinePosition::from_bytes(*position), tags))
}
