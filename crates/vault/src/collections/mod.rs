//! Collections: declared, shown, changed.

mod change;
mod create;
mod list;

pub use change::{ChangeCollection, change};
pub(crate) use create::{COLLECTIONS_MAX, FIELDS_MAX, references};
pub use create::{CreateCollection, NewField, create};
pub use list::{list, show};

use strongroom_model::{Collection, CollectionId, CollectionName, CollectionNumber, TenantId};

use crate::snapshot::{Loaded, Snapshot};
use crate::{VaultError, keyspace};

/// The tenant's collections by name; erased ones stay, so that numbers are never reused.
#[derive(Debug, Clone, Default, minicbor::Encode, minicbor::Decode)]
pub(crate) struct CollectionList {
    #[n(0)]
    pub(crate) next: u32,
    #[n(1)]
    pub(crate) collections: Vec<Entry>,
}

/// A collection in the list.
#[derive(Debug, Clone, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Entry {
    #[n(0)]
    pub(crate) name: CollectionName,
    #[n(1)]
    pub(crate) number: CollectionNumber,
    #[n(2)]
    pub(crate) id: CollectionId,
    #[n(3)]
    pub(crate) erased: bool,
}

impl Snapshot<'_> {
    /// The collection of this name, unless it has been erased.
    pub(crate) async fn collection(
        &mut self,
        tenant: TenantId,
        name: &CollectionName,
    ) -> Result<Option<Loaded<Collection>>, VaultError> {
        let list = self.load::<CollectionList>(&keyspace::collection_list(tenant)).await?;
        let entry = list
            .as_ref()
            .and_then(|list| list.collections.iter().find(|entry| entry.name == *name));
        match entry {
            Some(entry) if entry.erased => {
                self.look_for_erasure(tenant, *entry.id.as_bytes()).await?;
                Ok(None)
            }
            Some(entry) => {
                self.load::<Collection>(&keyspace::collection(tenant, entry.number)).await
            }
            None => Ok(None),
        }
    }

    /// The collection of this number, erased or not.
    pub(crate) async fn collection_of(
        &mut self,
        tenant: TenantId,
        number: CollectionNumber,
    ) -> Result<Option<Loaded<Collection>>, VaultError> {
        self.load::<Collection>(&keyspace::collection(tenant, number)).await
    }
}
