//! API keys: made, listed, revoked.

mod create;
mod list;
mod revoke;

pub use create::{CreateApiKey, CreatedApiKey, create};
pub use list::{ApiKeyView, list, show};
pub use revoke::revoke;
