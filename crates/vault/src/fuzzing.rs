//! Doors to this room's readers and writers of text for the fuzz targets; nothing else uses them.

use strongroom_crypto::{Context, Key};
use strongroom_model::{Rng, TenantId, Timestamp};
use strongroom_storage::LinePosition;

use crate::{Token, TokenKind, VaultError};

/// The text of a token.
pub fn token_text(token: &Token) -> String {
    token.reveal().expose().clone()
}

/// The text of a new token, whose secret the generator gives.
///
/// # Errors
/// [`VaultError`] if there is no randomness.
pub fn new_token(
    kind: TokenKind,
    tenant: TenantId,
    id: [u8; 16],
    rng: &dyn Rng,
) -> Result<String, VaultError> {
    Ok(token_text(&Token::new(kind, tenant, id, rng)?))
}

/// The text of a cursor that leads on until a moment.
///
/// # Errors
/// [`VaultError`] if there is no randomness.
pub fn write_cursor(
    key: &Key,
    context: &Context,
    until: Timestamp,
    position: &[u8],
    rng: &dyn Rng,
) -> Result<String, VaultError> {
    crate::listing::write_cursor(key, context, until, position, rng)
}

/// The position in a cursor; `None` if it is none of this key and context, or has expired.
pub fn read_cursor(key: &Key, context: &Context, now: Timestamp, cursor: &str) -> Option<Vec<u8>> {
    crate::listing::read_cursor(key, context, now, cursor)
}

/// A position in the audit log, as cursors hold it, read and written again; `None` if it is refused.
pub fn reread_log_position(bytes: &[u8]) -> Option<Vec<u8>> {
    let (position, tags): (LinePosition, _) = crate::audit::read_cursor(bytes).ok()?;
    Some(crate::audit::write_cursor(position, &tags))
}

/// A part of a backup, read in the place that it names and written again; `None` if it is refused.
pub fn reread_part(bytes: &[u8]) -> Option<Vec<u8>> {
    crate::backups::reread_part(bytes)
}

/// A backup's manifest without its proof, proved with this key, read and written again; `None` if it is
/// refused.
pub fn reread_manifest(clear: &[u8], service: &Key) -> Option<Vec<u8>> {
    crate::backups::reread_manifest(clear, service)
}

/// A store's head without its tag, read and written again under this key; `None` if it is refused.
pub fn reread_head(content: &[u8], key: Key) -> Option<Vec<u8>> {
    crate::integrity::reread_head(content, key)
}
