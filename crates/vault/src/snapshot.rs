//! What a use case has read: values with their versions, which are the facts that its commit or its
//! audit line rests on.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use strongroom_model::{Erasure, ErasureId, ReceiptId, TenantId};
use strongroom_storage::{Batch, Expect, RowKey};

use crate::rows::OwnerLeaf;
use crate::trail::Person;
use crate::{Vault, VaultError, keyspace};

/// A value and the version of the row it was read from.
#[derive(Debug)]
pub struct Versioned<T> {
    /// The row's version; the ETag of what it holds.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// A decoded row.
pub(crate) struct Loaded<T> {
    pub(crate) version: u64,
    pub(crate) value: Arc<T>,
    pub(crate) leaf: OwnerLeaf,
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: self.value.clone(), leaf: self.leaf }
    }
}

impl<T> std::ops::Deref for Loaded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// That something has been erased.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone {
    /// Its receipt, once there is one.
    pub(crate) receipt: Option<ReceiptId>,
}

/// What one attempt of a use case has read. The rows need not come from one moment: that they are
/// all still the newest is checked where the store orders commits, and the use case runs again if
/// they are not.
pub(crate) struct Snapshot<'v> {
    pub(crate) vault: &'v Vault,
    facts: Vec<Expect>,
    person: Option<Person>,
    gone: Option<Gone>,
}

impl<'v> Snapshot<'v> {
    pub(crate) fn new(vault: &'v Vault) -> Self {
        Self { vault, facts: Vec::new(), person: None, gone: None }
    }

    /// Reads and decodes a row; what was found becomes a fact.
    pub(crate) async fn load<T>(&mut self, key: &RowKey) -> Result<Option<Loaded<T>>, VaultError>
    where
        T: for<'b> minicbor::Decode<'b, ()> + Any + Send + Sync,
    {
        let mut rows = self.load_many(std::slice::from_ref(key)).await?;
        Ok(rows.pop().flatten())
    }

    /// The same for several rows of one type, in one round trip.
    pub(crate) async fn load_many<T>(
        &mut self,
        keys: &[RowKey],
    ) -> Result<Vec<Option<Loaded<T>>>, VaultError>
    where
        T: for<'b> minicbor::Decode<'b, ()> + Any + Send + Sync,
    {
        let loaded = self.vault.read_many::<T>(keys).await?;
        for (key, found) in keys.iter().zip(&loaded) {
            self.facts.push(match found {
                Some(found) => Expect::Version(key.clone(), found.version),
                None => Expect::Absent(key.clone()),
            });
        }
        Ok(loaded)
    }

    /// Adds a fact that was learned otherwise.
    pub(crate) fn fact(&mut self, fact: Expect) {
        self.facts.push(fact);
    }

    /// Takes over what another has read.
    pub(crate) fn learn(&mut self, other: Snapshot<'_>) {
        self.facts.extend(other.facts);
    }

    /// Says whom the use case is about: under whose key the caller's reason is sealed.
    pub(crate) fn is_about(&mut self, person: Person) {
        self.person = Some(person);
    }

    /// Whom the use case is about.
    pub(crate) fn person(&self) -> Option<Person> {
        self.person
    }

    /// Finds out whether what has this id was erased, where it is not there any more.
    pub(crate) async fn look_for_erasure(
        &mut self,
        tenant: TenantId,
        id: [u8; 16],
    ) -> Result<(), VaultError> {
        let key = keyspace::erasure(tenant, ErasureId::from_bytes(id));
        if let Some(erasure) = self.load::<Erasure>(&key).await? {
            self.gone = Some(Gone { receipt: erasure.receipt });
        }
        Ok(())
    }

    /// Says that what the use case is about has been erased, where its id is not known any more.
    pub(crate) fn presume_erased(&mut self) {
        self.gone = Some(Gone { receipt: None });
    }

    /// That what the use case is about has been erased.
    pub(crate) fn gone(&self) -> Option<Gone> {
        self.gone
    }

    /// The same reads once more, for a line that is written before the use case ends.
    pub(crate) fn same(&self) -> Self {
        Self { vault: self.vault, facts: self.facts.clone(), person: self.person, gone: self.gone }
    }

    /// The facts, for an audit line of a read.
    pub(crate) fn into_facts(self) -> Vec<Expect> {
        self.facts
    }

    /// A batch that is committed only if all that was read is still so.
    pub(crate) fn into_batch(self) -> Batch {
        let mut batch = Batch::new();
        self.expect_in(&mut batch);
        batch
    }

    /// Lets a batch be committed only if all that was read is still so.
    pub(crate) fn expect_in(self, batch: &mut Batch) {
        for fact in self.facts {
            batch.expect(fact);
        }
    }
}

/// How often a use case is run again when what it read has changed meanwhile.
const ATTEMPTS_MAX: u32 = 64;

/// Runs a use case until it is not overtaken by a change of what it read.
pub(crate) async fn attempt<T, F>(mut once: impl FnMut() -> F) -> Result<T, VaultError>
where
    F: Future<Output = Result<T, VaultError>>,
{
    for round in 0..ATTEMPTS_MAX {
        match once().await {
            Err(VaultError::Conflict) if round + 1 < ATTEMPTS_MAX => {
                // Those that were overtaken together do not come back together.
                let pause = u64::from(round.min(8)) * 250;
                tokio::time::sleep(std::time::Duration::from_micros(pause)).await;
            }
            outcome => return outcome,
        }
    }
    Err(VaultError::Conflict)
}
