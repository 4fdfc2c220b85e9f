//! The keyring itself: created once, opened locked, unlocked with the seal key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_crypto::Key;
use strongroom_model::{Clock, InstallId, Rng, TenantId};
use strongroom_storage::keyspace;
use strongroom_storage::{Batch, KeyRange, Row, RowKey, Store};
use tokio::sync::Mutex;

use crate::holder::Holder;
use crate::node::{Node, Place};
use crate::outcome::Unlocked;
use crate::rows::{
    BatchRecord, BatchState, ClearRow, Enrolled, Halves, InForce, TreeHead, Versioned,
};
use crate::secrets::Secrets;
use crate::slots::write_first_node;
use crate::tree::{Half, Position, TreeName};
use crate::{KeyError, Result};

/// Most holders of an installation.
const HOLDERS_MAX: usize = 64;
/// Keys of one read of the store.
const READ_MAX: usize = 4_096;

/// The keys of an installation. A clone is another handle to the same keyring.
#[derive(Clone)]
pub struct Keyring {
    pub(crate) core: Arc<Core>,
}

pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) holders: Vec<Arc<dyn Holder>>,
    pub(crate) enrolled: Vec<Enrolled>,
    pub(crate) install: InstallId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    /// One batch, or one unlocking, at a time.
    pub(crate) batch_gate: Arc<Mutex<()>>,
    /// One taking of slots from the store at a time.
    pub(crate) slot_gate: Mutex<()>,
    pub(crate) number: AtomicU64,
    secrets: RwLock<Option<Arc<Secrets>>>,
}

impl Keyring {
    /// Makes the key state of a new installation: number 1, the root tree, and the provider's two
    /// trees. Every holder gets its share; all must be empty.
    ///
    /// # Errors
    /// [`KeyError::AlreadyCreated`] if there is key state in the store or in a holder,
    /// [`KeyError::HoldersUnavailable`] if a holder fails, [`KeyError::Refused`] if there is no holder
    /// or one of another installation.
    pub async fn create(
        store: Arc<dyn Store>,
        holders: Vec<Arc<dyn Holder>>,
        seal: &Key,
        install: InstallId,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<()> {
        let enrolled = enroll(&holders)?;
        let in_force = InForce { number: 1, install, holders: enrolled };
        let keyring = Self::assemble(store, holders, &in_force, clock, rng)?;
        if keyring.rows([keyspace::committed_number()]).await? != [None] {
            return Err(KeyError::AlreadyCreated);
        }
        let shares = keyring.install_first_shares(seal, in_force.number).await?;
        let root = keyring.root_of(in_force.number, &shares)?;
        let batch = keyring.first_rows(&in_force, &root)?;
        keyring.core.store.commit(batch).await.map(drop).map_err(KeyError::from)
    }

    /// Opens the keyring, locked.
    ///
    /// # Errors
    /// [`KeyError::NotCreated`] if the store has no key state, [`KeyError::Mismatch`] if a holder is
    /// another installation's.
    pub async fn open(
        store: Arc<dyn Store>,
        holders: Vec<Arc<dyn Holder>>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self> {
        let row = store.get_many(&[keyspace::committed_number()]).await?.pop().flatten();
        let in_force = InForce::of(row.as_ref())?.ok_or(KeyError::NotCreated)?.value;
        Self::assemble(store, holders, &in_force, clock, rng)
    }

    /// The installation whose keys a store has.
    ///
    /// # Errors
    /// [`KeyError::NotCreated`] if it has none.
    pub async fn installation(store: &dyn Store) -> Result<InstallId> {
        let row = store.get_many(&[keyspace::committed_number()]).await?.pop().flatten();
        Ok(InForce::of(row.as_ref())?.ok_or(KeyError::NotCreated)?.value.install)
    }

    /// Loads the root secret from the holders and ends what a crash may have left: a batch that had
    /// not ended is aborted or completed, and holders that were behind catch up.
    ///
    /// # Errors
    /// [`KeyError::WrongSealKey`], [`KeyError::HoldersUnavailable`], [`KeyError::Mismatch`] if store
    /// and holders are of different times, [`KeyError::Damaged`]. Nothing was changed then, except
    /// where the error came later than the root secret was found to be the right one.
    pub async fn unlock(&self, seal: &Key) -> Result<Unlocked> {
        let _gate = self.core.batch_gate.lock().await;
        let secrets = Arc::new(self.load_secrets(seal).await?);
        let (recovery, holders) = self.recover(&secrets).await?;
        *self.core.secrets.write().unwrap_or_else(PoisonError::into_inner) = Some(secrets);
        Ok(Unlocked { number: self.number(), recovery, holders })
    }

    /// Drops all keys. A batch that is under way ends, and drops its keys then.
    pub fn lock(&self) {
        *self.core.secrets.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there are no keys in memory.
    pub fn is_locked(&self) -> bool {
        self.core.secrets.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The installation.
    pub fn install(&self) -> InstallId {
        self.core.install
    }

    /// The number in force, as this keyring has last seen it.
    pub fn number(&self) -> u64 {
        self.core.number.load(Ordering::SeqCst)
    }

    /// Drops opened keys that have been in memory for a minute. Reading does so too; this is for a
    /// server that nobody asks for anything.
    pub fn expire(&self) {
        if let Ok(secrets) = self.secrets() {
            secrets.expire(self.core.clock.elapsed());
        }
    }

    pub(crate) fn secrets(&self) -> Result<Arc<Secrets>> {
        let secrets = self.core.secrets.read().unwrap_or_else(PoisonError::into_inner);
        secrets.clone().ok_or(KeyError::Locked)
    }

    fn assemble(
        store: Arc<dyn Store>,
        holders: Vec<Arc<dyn Holder>>,
        in_force: &InForce,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self> {
        for holder in &holders {
            let known = Enrolled { id: holder.id(), class: holder.class() };
            if holder.installation() != in_force.install {
                return Err(KeyError::Mismatch("a holder belongs to another installation"));
            }
            if !in_force.holders.contains(&known) {
                return Err(KeyError::Mismatch("a holder is not one of this installation's"));
            }
        }
        let core = Core {
            store,
            holders,
            enrolled: in_force.holders.clone(),
            install: in_force.install,
            clock,
            rng,
            batch_gate: Arc::default(),
            slot_gate: Mutex::default(),
            number: AtomicU64::new(in_force.number),
            secrets: RwLock::new(None),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// The rows of a new installation: everything that must be there before the first tenant.
    fn first_rows(&self, in_force: &InForce, root: &Key) -> Result<Batch> {
        let rng = self.core.rng.as_ref();
        let mut batch = Batch::new();
        put_new(&mut batch, keyspace::committed_number(), in_force.encode());
        let record = BatchRecord {
            state: BatchState::Done,
            number: in_force.number,
            coordinator: [0; 16],
            token: 0,
        };
        put_new(&mut batch, keyspace::batch_row(), record.encode());

        let halves = Halves { account: 0, data: 1 };
        let node = Node::generate(rng)?;
        for half in [Half::Account, Half::Data] {
            let key = node.key(u8::try_from(halves.slot(half)).unwrap_or(0))?;
            let name = TreeName::half(TenantId::PROVIDER, half);
            write_first_node(&mut batch, self.core.install, name, &key, rng)?;
        }
        put_new(&mut batch, keyspace::halves(TenantId::PROVIDER), halves.encode());

        let position = Position { name: TreeName::ROOT, level: 0, index: 0 };
        let place = Place { install: self.core.install, position, version: 1 };
        put_new(&mut batch, position.row_key(), node.seal(root, &place, rng)?);
        let head = TreeHead { erased: false, height: 1, next: 2 };
        put_new(&mut batch, TreeName::ROOT.head_key(), head.encode());
        Ok(batch)
    }

    /// Rows of one snapshot.
    pub(crate) async fn rows<const N: usize>(&self, keys: [RowKey; N]) -> Result<[Option<Row>; N]> {
        let rows = self.core.store.get_many(&keys).await?;
        rows.try_into().map_err(|_| KeyError::Damaged("the store gave another number of rows"))
    }

    /// As many rows as are asked for; those of one snapshot are a few thousand.
    pub(crate) async fn many_rows(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>> {
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(READ_MAX) {
            rows.extend(self.core.store.get_many(keys).await?);
        }
        if rows.len() == keys.len() {
            Ok(rows)
        } else {
            Err(KeyError::Damaged("the store gave another number of rows"))
        }
    }

    /// All rows whose keys begin with `prefix`.
    pub(crate) async fn all_rows(&self, prefix: &[u8]) -> Result<Vec<(RowKey, Row)>> {
        let mut rows: Vec<(RowKey, Row)> = Vec::new();
        loop {
            let range = match rows.last() {
                Some((last, _)) => KeyRange::after(last, prefix),
                None => KeyRange::prefix(prefix),
            };
            let page = self.core.store.scan(&range, READ_MAX).await?;
            let is_last = page.len() < READ_MAX;
            rows.extend(page);
            if is_last {
                return Ok(rows);
            }
        }
    }

    /// The number in force and the newest batch, of one snapshot.
    pub(crate) async fn protocol_rows(
        &self,
    ) -> Result<(Versioned<InForce>, Versioned<BatchRecord>)> {
        let [in_force, record] =
            self.rows([keyspace::committed_number(), keyspace::batch_row()]).await?;
        let in_force = InForce::of(in_force.as_ref())?.ok_or(KeyError::NotCreated)?;
        let record = BatchRecord::of(record.as_ref())?
            .ok_or(KeyError::Damaged("the batch row is missing"))?;
        if record.value.number < in_force.value.number {
            return Err(KeyError::Damaged("the number in force was never a batch's"));
        }
        Ok((in_force, record))
    }
}

/// Writes a row that must not exist yet.
pub(crate) fn put_new(batch: &mut Batch, key: RowKey, value: Vec<u8>) {
    batch.expect_absent(key.clone()).put(key, 1, value);
}

fn enroll(holders: &[Arc<dyn Holder>]) -> Result<Vec<Enrolled>> {
    let mut enrolled: Vec<Enrolled> = Vec::with_capacity(holders.len());
    for holder in holders {
        if enrolled.iter().any(|known| known.id == holder.id()) {
            return Err(KeyError::Refused("a holder is named twice"));
        }
        enrolled.push(Enrolled { id: holder.id(), class: holder.class() });
    }
    if enrolled.is_empty() || enrolled.len() > HOLDERS_MAX {
        return Err(KeyError::Refused("an installation has 1 to 64 holders"));
    }
    Ok(enrolled)
}
