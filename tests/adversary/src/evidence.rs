//! What the adversary has to go by: rows, lines, and bytes of any kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Id;
use crate::carve::Fragment;
use crate::message::{SALT, Sealed, header, salt};
use crate::rows::{is_key_state, parse};

/// Length of what stands between a row's version and its message where the row names an owner.
pub(crate) const OWNER: usize = 24;

/// A row as it was once written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Written {
    pub(crate) version: u64,
    /// Bytes that are shared with every other row that they may be part of, and where in them this begins.
    bytes: Arc<[u8]>,
    from: usize,
    /// Whether the value ends where it should; see [`Sealed`].
    is_exact: bool,
}

impl Written {
    /// A value that begins somewhere in bytes that were carved, and ends nobody knows where.
    pub(crate) fn carved(version: u64, bytes: &Arc<[u8]>, from: usize) -> Self {
        Self { version, bytes: Arc::clone(bytes), from, is_exact: false }
    }

    /// What stands behind the version.
    pub(crate) fn value(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }

    /// Its sealed message, with nothing before it.
    pub(crate) fn message(&self) -> Sealed<'_> {
        Sealed { bytes: self.value(), is_exact: self.is_exact }
    }

    /// The owner's id and slot before the message, and the message.
    pub(crate) fn owned(&self) -> Option<(Id, u64, Sealed<'_>)> {
        let (owner, bytes) = self.value().split_first_chunk::<OWNER>()?;
        let (id, slot) = owner.split_first_chunk::<16>()?;
        let slot = u64::from_be_bytes(slot.try_into().ok()?);
        Some((*id, slot, Sealed { bytes, is_exact: self.is_exact }))
    }
}

/// Everything that was ever written, as far as the adversary has it.
#[derive(Clone)]
pub struct Evidence {
    pub(crate) install: Id,
    pub(crate) rows: BTreeMap<Vec<u8>, BTreeSet<Written>>,
    pub(crate) lines: BTreeSet<Vec<u8>>,
    pub(crate) tenants: BTreeSet<Id>,
    /// Row keys that were carved out of bytes.
    pub(crate) names: BTreeSet<Vec<u8>>,
    /// Messages that were carved out of bytes and stand in no row that is known.
    pub(crate) loose: BTreeMap<[u8; SALT], Fragment>,
    pub(crate) scanned: u64,
    salts: BTreeSet<[u8; SALT]>,
}

impl Evidence {
    /// Nothing yet, about this installation.
    pub fn new(install: Id) -> Self {
        Self {
            install,
            rows: BTreeMap::new(),
            lines: BTreeSet::new(),
            tenants: BTreeSet::from([crate::PROVIDER]),
            names: BTreeSet::new(),
            loose: BTreeMap::new(),
            scanned: 0,
            salts: BTreeSet::new(),
        }
    }

    /// Takes a row as it was written: any version of it, also one that was never committed.
    pub fn row(&mut self, key: &[u8], version: u64, value: &[u8]) {
        if let Some(tenant) = key.first_chunk() {
            self.tenants.insert(*tenant);
        }
        for message in [value, value.get(OWNER..).unwrap_or_default()] {
            if header(message).is_some() {
                self.salts.extend(salt(message));
            }
        }
        let written = Written { version, bytes: value.into(), from: 0, is_exact: true };
        self.rows.entry(key.to_vec()).or_default().insert(written);
    }

    /// Takes a sealed line of the audit log.
    pub fn line(&mut self, sealed: &[u8]) {
        self.lines.insert(sealed.to_vec());
    }

    /// Takes the id of a tenant, whose row keys are then looked for in bytes. Ids are no secret.
    pub fn tenant(&mut self, id: Id) {
        self.tenants.insert(id);
    }

    /// Carves what there is out of bytes of any kind: a file, a page, a disk. Tenants are named before.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.scanned += bytes.len() as u64;
        self.carve(bytes);
    }

    /// The values of all rows, every version.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.rows.values().flatten().map(Written::value)
    }

    /// The key state alone: what somebody needs besides a backup, which has none.
    #[must_use]
    pub fn keys_alone(&self) -> Self {
        let mut keys = Self::new(self.install);
        keys.rows.clone_from(&self.rows);
        keys.rows.retain(|key, _| parse(key).is_some_and(|name| is_key_state(name.kind)));
        keys
    }

    /// How many rows there are, every version counted.
    pub fn writes(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }

    /// How many bytes were looked through.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// How many messages stand in bytes and in no row that is known.
    pub fn loose(&self) -> usize {
        self.loose.len()
    }

    /// Whether a message is part of a row that is known.
    pub(crate) fn knows(&self, salt: &[u8; SALT]) -> bool {
        self.salts.contains(salt)
    }
}
