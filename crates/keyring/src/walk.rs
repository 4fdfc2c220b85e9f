//! From the root secret down to a leaf's key.

use std::sync::Arc;

use strongroom_crypto::Key;
use strongroom_model::TenantId;
use strongroom_storage::keyspace;
use strongroom_storage::{Row, RowKey};

use crate::keyring::Keyring;
use crate::node::{Node, Place};
use crate::rows::{ClearRow, Halves, InForce, TreeHead};
use crate::secrets::{Generation, Secrets};
use crate::tree::{Half, Leaf, Position, Service, TreeName, leaf_node, path, place_of};
use crate::{KeyError, Result};

/// How often a reader begins anew because a shred or a growing tree came between.
pub(crate) const ATTEMPTS: usize = 32;

/// An opened node and the version of its row.
pub(crate) type OpenedNode = (Arc<Node>, u64);

impl Keyring {
    /// The key of a leaf. It may come from memory, up to a minute old; using it for an answer needs
    /// the caller's own fence.
    ///
    /// # Errors
    /// [`KeyError::Locked`]; [`KeyError::Gone`] if the leaf or its tree was erased;
    /// [`KeyError::Unknown`] if there is no such tenant or the slot was never taken.
    pub async fn leaf(&self, leaf: Leaf) -> Result<Arc<Key>> {
        let secrets = self.secrets()?;
        self.leaf_key(&secrets, leaf).await
    }

    /// One of the keys that every tenant has from the beginning.
    ///
    /// # Errors
    /// As [`Keyring::leaf`].
    pub async fn service(
        &self,
        tenant: TenantId,
        half: Half,
        service: Service,
    ) -> Result<Arc<Key>> {
        self.leaf(Leaf { tenant, half, slot: service.slot() }).await
    }

    pub(crate) async fn leaf_key(&self, secrets: &Secrets, leaf: Leaf) -> Result<Arc<Key>> {
        let (node, _) = self.node_of(secrets, leaf).await?;
        node.shared_key(place_of(leaf.slot))
    }

    /// The node that holds the key of a leaf.
    pub(crate) async fn node_of(&self, secrets: &Secrets, leaf: Leaf) -> Result<OpenedNode> {
        let name = TreeName::half(leaf.tenant, leaf.half);
        let position = leaf_node(name, leaf.slot);
        if let Some(found) = secrets.node(position, self.core.clock.elapsed()) {
            return Ok(found);
        }
        for attempt in 0..ATTEMPTS {
            if let Some(found) = self.descend(secrets, name, leaf, attempt > 1).await? {
                return Ok(found);
            }
            tokio::task::yield_now().await;
        }
        Err(KeyError::Conflict)
    }

    /// One attempt to walk down in one snapshot; none if something changed while it was taken.
    async fn descend(
        &self,
        secrets: &Secrets,
        name: TreeName,
        leaf: Leaf,
        reload: bool,
    ) -> Result<Option<OpenedNode>> {
        let generation = secrets.generation();
        let heads = [
            TreeName::ROOT.head_key(),
            name.head_key(),
            keyspace::halves(leaf.tenant),
            keyspace::committed_number(),
        ];
        let [root_head, head, halves, _] = &self.rows(heads.clone()).await?;
        let before = [root_head.clone(), head.clone(), halves.clone()];
        let (root_head, head, halves) = (
            TreeHead::of(root_head.as_ref())?,
            TreeHead::of(head.as_ref())?,
            Halves::of(halves.as_ref())?,
        );
        let root_head = root_head.ok_or(KeyError::NotCreated)?.value;
        let (head, halves) = head.zip(halves).ok_or(KeyError::Unknown)?;
        if head.value.erased {
            return Err(KeyError::Gone);
        }
        if !head.value.covers(leaf.slot) {
            return Err(KeyError::Unknown);
        }

        let root_slot = halves.value.slot(leaf.half);
        let upper: Vec<_> = path(TreeName::ROOT, root_slot, root_head.height).collect();
        let lower: Vec<_> = path(name, leaf.slot, head.value.height).collect();
        let keys: Vec<RowKey> = heads
            .into_iter()
            .chain(upper.iter().chain(&lower).map(|position| position.row_key()))
            .collect();
        let rows = self.many_rows(&keys).await?;
        let Some(([root_head, head, halves, in_force], nodes)) = rows.split_first_chunk::<4>()
        else {
            return Err(KeyError::Damaged("the store gave another number of rows"));
        };
        if [root_head, head, halves] != [&before[0], &before[1], &before[2]] {
            return Ok(None);
        }
        let number = InForce::of(in_force.as_ref())?.ok_or(KeyError::NotCreated)?.value.number;
        let Some(root) = self.root_in_force(secrets, number, reload).await? else {
            return Ok(None);
        };

        let (upper_rows, lower_rows) = nodes.split_at_checked(upper.len()).unwrap_or((nodes, &[]));
        let walk = Walk { keyring: self, secrets, generation };
        let (node, _) = walk.down(root.duplicate(), &upper, upper_rows)?;
        let top = node.key(place_of(root_slot))?;
        walk.down(top, &lower, lower_rows).map(Some)
    }

    /// The root secret of the number in force. A shred that has just ended may have dropped the one
    /// that a reader saw; only if that does not pass are the holders asked.
    pub(crate) async fn root_in_force(
        &self,
        secrets: &Secrets,
        number: u64,
        reload: bool,
    ) -> Result<Option<Arc<Key>>> {
        if let Some(root) = secrets.root(number) {
            return Ok(Some(root));
        }
        if !reload {
            return Ok(None);
        }
        let shares = self.load_shares(&secrets.seal, number).await?;
        let root = Arc::new(self.root_of(number, &shares)?);
        secrets.add_root(number, Arc::clone(&root));
        Ok(Some(root))
    }
}

struct Walk<'a> {
    keyring: &'a Keyring,
    secrets: &'a Secrets,
    generation: Generation,
}

impl Walk<'_> {
    /// Opens the nodes of one tree from the top down; nodes in memory are used if they are of the
    /// version that the snapshot shows.
    fn down(&self, top: Key, path: &[Position], rows: &[Option<Row>]) -> Result<OpenedNode> {
        let now = self.keyring.core.clock.elapsed();
        let mut key = top;
        let mut last: Option<OpenedNode> = None;
        for (position, row) in path.iter().zip(rows) {
            let row = row.as_ref().ok_or(KeyError::Damaged("a node is missing"))?;
            if let Some((parent, _)) = last.take() {
                key = parent.key(position.place())?;
            }
            let kept = self.secrets.node(*position, now).filter(|(_, v)| *v == row.version);
            last = Some(match kept {
                Some(kept) => kept,
                None => self.open(*position, &key, row)?,
            });
        }
        last.ok_or(KeyError::Damaged("a tree has no node"))
    }

    fn open(&self, position: Position, key: &Key, row: &Row) -> Result<OpenedNode> {
        let install = self.keyring.core.install;
        let place = Place { install, position, version: row.version };
        let node = Arc::new(Node::open(key, &place, &row.value)?);
        let now = self.keyring.core.clock.elapsed();
        self.secrets.keep_node(position, &node, row.version, self.generation, now);
        Ok((node, row.version))
    }
}
