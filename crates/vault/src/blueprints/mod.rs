//! Blueprints: what the provider's tenants begin with, kept in versions, and given to those that have
//! an earlier one.

mod apply;
mod changes;
mod compare;
mod content;
mod evolve;
mod give;
mod list;
mod merge;
mod plant;
mod put;

pub use apply::{ApplyToTenants, apply};
pub use changes::{Change, What};
pub use compare::{Comparison, compare};
pub(crate) use give::{Page, give, page_of_tenants, total};
pub use list::{BlueprintView, TenantsAt, VersionView, list, show, show_version, versions};
pub(crate) use plant::{Plan, plant};
pub use put::{PutBlueprint, Stored, put};

use strongroom_model::{Blueprint, BlueprintId, BlueprintName, BlueprintVersion};

use crate::snapshot::{Loaded, Snapshot};
use crate::{VaultError, keyspace};

/// The provider has at most so many blueprints.
const BLUEPRINTS_MAX: usize = 200;
/// Most bytes of a version as it is kept.
const VERSION_BYTES_MAX: usize = 1024 * 1024;

/// The provider's blueprints by name.
#[derive(Debug, Clone, Default, minicbor::Encode, minicbor::Decode)]
pub(crate) struct BlueprintList {
    #[n(0)]
    pub(crate) blueprints: Vec<(BlueprintName, BlueprintId)>,
}

impl Snapshot<'_> {
    /// The blueprint of this name.
    pub(crate) async fn blueprint_named(
        &mut self,
        name: &BlueprintName,
    ) -> Result<Option<Loaded<Blueprint>>, VaultError> {
        let list = self.load::<BlueprintList>(&keyspace::blueprint_list()).await?;
        let id = list
            .as_ref()
            .and_then(|list| list.blueprints.iter().find(|(known, _)| known == name))
            .map(|(_, id)| *id);
        match id {
            Some(id) => self.load::<Blueprint>(&keyspace::blueprint(id)).await,
            None => Ok(None),
        }
    }

    /// A version of a blueprint.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for a number that it does not have.
    pub(crate) async fn blueprint_version(
        &mut self,
        blueprint: BlueprintId,
        version: u32,
    ) -> Result<Loaded<BlueprintVersion>, VaultError> {
        let key = keyspace::blueprint_version(blueprint, version);
        self.load::<BlueprintVersion>(&key).await?.ok_or(VaultError::NotFound)
    }
}
