//! The adversary, brought before a keyring: what it takes from the world of the tests.

use std::sync::{Arc, Mutex};

use strongroom_adversary::{Evidence, Opened, Share, attack};
use strongroom_keyring::{Holder, Leaf};
use strongroom_storage::{MemoryStore, Store};

use crate::recorder::Recorder;
use crate::world;

/// A store in memory, and everything that will ever have been written to it.
pub(crate) fn recorded() -> (Arc<dyn Store>, Arc<Mutex<Evidence>>) {
    let evidence = Arc::new(Mutex::new(Evidence::new(*world::INSTALL.as_bytes())));
    let store = Recorder::new(Arc::new(MemoryStore::new()), Arc::clone(&evidence), true);
    (Arc::new(store), evidence)
}

/// What the holders keep now.
pub(crate) async fn shares_of(holders: &[Arc<dyn Holder>]) -> Vec<Share> {
    let mut shares = Vec::new();
    for holder in holders {
        for held in holder.list().await.unwrap().shares {
            let sealed = holder.read(held.number).await.unwrap();
            let (number, class, holder) = (held.number, holder.class(), holder.id().0);
            shares.push(Share { number, class, holder, sealed });
        }
    }
    shares
}

/// What opens with these shares.
pub(crate) fn attacked(evidence: &Mutex<Evidence>, shares: &[Share]) -> Opened {
    attack(&evidence.lock().unwrap(), shares, world::seal_key().expose())
}

/// The adversary's name of a leaf.
pub(crate) fn name(leaf: &Leaf) -> strongroom_adversary::Leaf {
    let (tenant, tree) = (*leaf.tenant.as_bytes(), leaf.half.tree().number());
    strongroom_adversary::Leaf { tenant, tree, slot: leaf.slot }
}
