//! Backends: the provider's software products, made and revoked by its operators.

mod create;
mod list;
mod revoke;
mod rotate;

pub use create::{CreateBackend, CreatedBackend, ShownToken, create};
pub use list::{BackendView, list, show};
pub use revoke::revoke;
pub use rotate::{RotateBackend, rotate};

use strongroom_crypto::Key;
use strongroom_model::BackendId;

use crate::{Token, TokenKind, Vault, VaultError};

/// The provider has at most so many backends, the revoked ones among them.
const BACKENDS_MAX: usize = 200;

/// A new secret of a backend: its token, and the hash that is kept of it.
fn new_secret(
    vault: &Vault,
    credentials: &Key,
    id: BackendId,
) -> Result<(Token, [u8; 32]), VaultError> {
    let provider = strongroom_model::TenantId::PROVIDER;
    let token = Token::new(TokenKind::Backend, provider, *id.as_bytes(), &*vault.rng)?;
    let hash = token.hash(credentials);
    Ok((token, hash))
}
