//! Tenants: made by operators, seen by themselves.

mod create;
mod invite_owner;
mod list;
mod show;

pub(crate) use create::plant_provider;
pub use create::{CreateTenant, CreatedTenant, Owner, create};
pub use invite_owner::invite_owner;
pub use list::list;
pub use show::{TenantView, show};
