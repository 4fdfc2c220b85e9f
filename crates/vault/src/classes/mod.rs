//! Permission classes: made from templates or from scratch, changed, removed.

mod change;
mod create;
mod list;
mod templates;

pub use change::{ReplaceClass, remove, replace};
pub(crate) use create::{CLASSES_MAX, check_terms};
pub use create::{CreateClass, create};
pub use list::{list, show};
pub use templates::{PROVIDER_TEMPLATES, TEMPLATES, Template};
pub(crate) use templates::{owner_class, plant, plant_provider, plant_these};

use strongroom_model::{ClassId, ClassName, PermissionClass, TenantId};

use crate::snapshot::{Loaded, Snapshot};
use crate::{VaultError, keyspace};

/// The tenant's classes by name.
#[derive(Debug, Clone, Default, minicbor::Encode, minicbor::Decode)]
pub(crate) struct ClassList {
    #[n(0)]
    pub(crate) classes: Vec<(ClassName, ClassId)>,
}

impl Snapshot<'_> {
    /// The class of this name.
    pub(crate) async fn class_named(
        &mut self,
        tenant: TenantId,
        name: &ClassName,
    ) -> Result<Option<Loaded<PermissionClass>>, VaultError> {
        let list = self.load::<ClassList>(&keyspace::class_list(tenant)).await?;
        let id = list
            .as_ref()
            .and_then(|list| list.classes.iter().find(|(known, _)| known == name))
            .map(|(_, id)| *id);
        match id {
            Some(id) => self.load::<PermissionClass>(&keyspace::class(tenant, id)).await,
            None => Ok(None),
        }
    }

    /// The classes of these names.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] for a name that no class has.
    pub(crate) async fn classes_named(
        &mut self,
        tenant: TenantId,
        names: &[ClassName],
    ) -> Result<Vec<PermissionClass>, VaultError> {
        let mut classes: Vec<PermissionClass> = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            let class = self.class_named(tenant, name).await?;
            let class = class.ok_or_else(|| {
                VaultError::invalid(format!("/classes/{place}"), "no class of this name")
            })?;
            if !classes.iter().any(|known| known.id == class.id) {
                classes.push((*class.value).clone());
            }
        }
        Ok(classes)
    }
}
