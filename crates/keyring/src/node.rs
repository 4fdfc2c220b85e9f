//! A node of a shred tree: 64 keys, sealed under the key that the node above has for it.

use std::sync::{Arc, OnceLock};

use strongroom_crypto::{Context, Key, MessagePurpose, stream};
use strongroom_model::{InstallId, Plaintext, Rng};

use crate::tree::{FAN_OUT, Position};
use crate::{KeyError, Result};

/// Children of a node, as many as [`FAN_OUT`].
const CHILDREN: usize = 64;
/// Length of a node's plaintext: 64 keys of 32 bytes.
const NODE_BYTES: usize = CHILDREN * Key::BYTES;
const _: () = assert!(CHILDREN as u64 == FAN_OUT);

/// The 64 keys of a node's children. A key of zeros says that the child was erased.
pub(crate) struct Node {
    keys: Plaintext<Vec<u8>>,
    /// Keys that several users share, made when the first one asks.
    shared: [OnceLock<Arc<Key>>; CHILDREN],
    /// Which children are seeds of which a number is punctured, once somebody has looked. It is so
    /// for this version of the node: whatever punctures a seed writes a new version.
    pub(crate) punctured: OnceLock<Places>,
}

/// Some of a node's children: one bit for each, the first child's lowest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Places(u64);

impl Places {
    /// The same and one more.
    pub(crate) const fn with(self, place: u8) -> Self {
        Self(self.0 | 1 << (place % 64))
    }

    /// Whether this child is among them.
    pub(crate) const fn contains(self, place: u8) -> bool {
        self.0 & 1 << (place % 64) != 0
    }
}

impl Node {
    /// A node that is born full: every child has a random key before it exists.
    pub(crate) fn generate(rng: &dyn Rng) -> Result<Self> {
        let mut keys = Plaintext::new(vec![0; NODE_BYTES]);
        rng.fill(keys.expose_mut())?;
        Ok(Self::of(keys))
    }

    fn of(keys: Plaintext<Vec<u8>>) -> Self {
        Self { keys, shared: [const { OnceLock::new() }; CHILDREN], punctured: OnceLock::new() }
    }

    /// The key of a child, in a box that all who ask share.
    ///
    /// # Errors
    /// [`KeyError::Gone`] if it was erased.
    pub(crate) fn shared_key(&self, place: u8) -> Result<Arc<Key>> {
        let shared = self.shared.get(usize::from(place)).ok_or(KeyError::Gone)?;
        if let Some(key) = shared.get() {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(self.key(place)?);
        Ok(Arc::clone(shared.get_or_init(|| key)))
    }

    /// The key of a child, in a box of its own.
    ///
    /// # Errors
    /// [`KeyError::Gone`] if it was erased.
    pub(crate) fn key(&self, place: u8) -> Result<Key> {
        let bytes = self.child(place);
        let erased = bytes.iter().fold(0, |all, byte| all | byte) == 0;
        let key = Key::from_slice(bytes).filter(|_| !erased);
        key.ok_or(KeyError::Gone)
    }

    /// Gives a child a new key, or none ever again.
    pub(crate) fn set(&mut self, place: u8, key: Option<&Key>) {
        let start = usize::from(place) * Key::BYTES;
        let child = self.keys.expose_mut().get_mut(start..start + Key::BYTES);
        let bytes = key.map_or(&[0; Key::BYTES], Key::expose);
        child.unwrap_or_default().copy_from_slice(bytes);
        if let Some(shared) = self.shared.get_mut(usize::from(place)) {
            shared.take();
        }
    }

    /// The node in the place and version in which it will be stored.
    pub(crate) fn seal(&self, key: &Key, place: &Place, rng: &dyn Rng) -> Result<Vec<u8>> {
        Ok(stream::seal(key, &place.context(), self.keys.expose(), rng)?)
    }

    /// The node that was stored in this place and version.
    ///
    /// # Errors
    /// [`KeyError::Damaged`] if the key, the place, the version or the bytes are others.
    pub(crate) fn open(key: &Key, place: &Place, sealed: &[u8]) -> Result<Self> {
        let keys = stream::open(key, &place.context(), sealed)
            .map_err(|_| KeyError::Damaged("a node cannot be opened"))?;
        if keys.expose().len() != NODE_BYTES {
            return Err(KeyError::Damaged("a node does not have 64 keys"));
        }
        Ok(Self::of(keys))
    }

    fn child(&self, place: u8) -> &[u8] {
        let start = usize::from(place) * Key::BYTES;
        self.keys.expose().get(start..start + Key::BYTES).unwrap_or_default()
    }
}

/// Everything that a sealed node is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) install: InstallId,
    pub(crate) position: Position,
    pub(crate) version: u64,
}

impl Place {
    pub(crate) fn context(&self) -> Context {
        Context {
            purpose: MessagePurpose::Node,
            epoch: 0,
            install: self.install,
            tenant: self.position.name.tenant,
            subject: [0; 16],
            object: self.position.name.id(),
            collection: u32::from(self.position.level),
            index: self.position.index,
            number: 0,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Half, TreeName};
    use strongroom_crypto::SystemRng;
    use strongroom_model::TenantId;

    #[test]
    fn a_node_opens_only_in_its_place_and_version() {
        let rng = SystemRng::new();
        let (key, node) = (Key::generate(&rng).unwrap(), Node::generate(&rng).unwrap());
        let tenant = TenantId::from_bytes([1; 16]);
        let position = Position { name: TreeName::half(tenant, Half::Data), level: 1, index: 2 };
        let place = Place { install: InstallId::from_bytes([9; 16]), position, version: 3 };
        let sealed = node.seal(&key, &place, &rng).unwrap();
        let opened = Node::open(&key, &place, &sealed).unwrap();
        assert!((0..64).all(|i| opened.child(i) == node.child(i) && opened.child(i).len() == 32));

        let other_name = TreeName::half(tenant, Half::Account);
        let other_tenant = TreeName::half(TenantId::from_bytes([2; 16]), Half::Data);
        for wrong in [
            Place { install: InstallId::from_bytes([8; 16]), ..place },
            Place { version: 4, ..place },
            Place { position: Position { level: 2, ..position }, ..place },
            Place { position: Position { index: 3, ..position }, ..place },
            Place { position: Position { name: other_name, ..position }, ..place },
            Place { position: Position { name: other_tenant, ..position }, ..place },
        ] {
            assert!(Node::open(&key, &wrong, &sealed).is_err());
        }
    }

    #[test]
    fn a_child_that_gets_another_key_is_shared_with_that() {
        let rng = SystemRng::new();
        let (mut node, new) = (Node::generate(&rng).unwrap(), Key::generate(&rng).unwrap());
        let old = node.shared_key(63).unwrap();
        assert!(Arc::ptr_eq(&old, &node.shared_key(63).unwrap()));
        node.set(63, Some(&new));
        assert!(node.shared_key(63).unwrap().is_same_as(&new) && !old.is_same_as(&new));
    }

    #[test]
    fn places_are_those_that_were_put_in() {
        let places = [0, 7, 63].into_iter().fold(Places::default(), Places::with);
        let found: Vec<u8> = (0..64).filter(|place| places.contains(*place)).collect();
        assert_eq!(found, [0, 7, 63]);
    }

    #[test]
    fn an_erased_child_has_no_key_and_its_siblings_keep_theirs() {
        let rng = SystemRng::new();
        let mut node = Node::generate(&rng).unwrap();
        let before: Vec<_> = (0..64).map(|place| node.key(place).unwrap()).collect();
        assert!(node.shared_key(5).unwrap().is_same_as(&before[5]));
        node.set(5, None);
        assert_eq!(node.key(5).err(), Some(KeyError::Gone));
        assert_eq!(node.shared_key(5).err(), Some(KeyError::Gone));
        assert!(
            (0..64)
                .filter(|i| *i != 5)
                .all(|i| { node.key(i).unwrap().is_same_as(&before[usize::from(i)]) })
        );
    }
}
