//! Doors to this room's readers of stored bytes for the fuzz targets; nothing else uses them.

use strongroom_crypto::{Context, Key};
use strongroom_model::{InstallId, TenantId};

use crate::file_holder;
use crate::node::{Node, Place};
use crate::rows::{BatchRecord, ClearRow, Halves, InForce, RetiredMark, TreeHead};
use crate::tombstone::TombstoneRow;
use crate::tree::{Half, TreeName, leaf_node};

/// The kinds of clear rows of the key state, by name.
pub const ROWS: &[&str] = &["batch", "halves", "in_force", "retired", "tombstone", "tree_head"];

/// A clear row of the kind of this name, read and written again; `None` if it is refused, or if
/// there is no such kind.
pub fn reread_row(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match name {
        "batch" => reread::<BatchRecord>(bytes),
        "halves" => reread::<Halves>(bytes),
        "in_force" => reread::<InForce>(bytes),
        "retired" => reread::<RetiredMark>(bytes),
        "tombstone" => reread::<TombstoneRow>(bytes),
        "tree_head" => reread::<TreeHead>(bytes),
        _ => None,
    }
}

fn reread<T: ClearRow>(bytes: &[u8]) -> Option<Vec<u8>> {
    T::decode(bytes).ok().map(|row| row.encode())
}

/// The block of a holder file's header with this content, read and written again.
pub fn reread_holder_header(content: &[u8]) -> Option<Vec<u8>> {
    file_holder::reread_header(content)
}

/// The block of a holder file's slot with this content, read and written again.
pub fn reread_holder_slot(index: u8, content: &[u8]) -> Option<Vec<u8>> {
    file_holder::reread_slot(index, content)
}

/// The place of one node, in which [`node_keys`] expects it.
pub fn node_context() -> Context {
    place().context()
}

/// The keys of a sealed node that was found at [`node_context`], as far as they are not erased;
/// `None` if it is refused. It is asked for one key more than it has.
pub fn node_keys(key: &Key, sealed: &[u8]) -> Option<Vec<Option<Key>>> {
    /// One place more than a node has.
    const PLACES: u8 = 65;
    let node = Node::open(key, &place(), sealed).ok()?;
    Some((0..PLACES).map(|place| node.key(place).ok()).collect())
}

fn place() -> Place {
    let name = TreeName::half(TenantId::from_bytes([2; 16]), Half::Data);
    Place { install: InstallId::from_bytes([1; 16]), position: leaf_node(name, 77), version: 3 }
}
