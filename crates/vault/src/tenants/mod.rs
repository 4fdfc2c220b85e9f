//! Tenants: made by operators, seen by themselves.

mod create;
mod list;
mod show;

pub(crate) use create::plant_provider;
pub use create::{CreateTenant, CreatedTenant, Owner, create};
pub use list::list;
pub use show::show;
