//! Finding sealed messages and row keys in bytes of any kind, whatever engine wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::Id;
use crate::evidence::{Evidence, OWNER, Written};
use crate::message::{self, PRELUDE, header};
use crate::rows::{self, Name, SealedUnder, parse, parts_length, sealed_under};

/// Most bytes of a carved message that are kept: more than any row has that holds keys, or a few words.
const MESSAGE_MAX: usize = 4 * 1024;
/// What stands before a message in its row: the version, and an owner with a slot if there is one.
const BEFORE: usize = 8 + OWNER;
/// Length of the version.
const VERSION: usize = 8;
/// Most nodes beside each other in a tree of the tests; beyond it a key of a node is none.
const NODE_INDEX_MAX: u64 = 1 << 32;
/// Highest level of a node.
const LEVEL_MAX: u8 = 9;

/// A message in the middle of something.
#[derive(Clone)]
pub(crate) struct Fragment {
    /// What stood before it, zeros where there was nothing, and the message.
    bytes: Arc<[u8]>,
}

impl Evidence {
    pub(crate) fn carve(&mut self, bytes: &[u8]) {
        let mut begins: BTreeMap<[u8; 2], Vec<Id>> = BTreeMap::new();
        for tenant in self.tenants.iter().filter(|tenant| **tenant != crate::PROVIDER) {
            begins.entry([tenant[0], tenant[1]]).or_default().push(*tenant);
        }
        let mut is_begin = vec![false; 1 << 16];
        for two in begins.keys().copied().chain([[b'S', b'R']]) {
            if let Some(place) = is_begin.get_mut(usize::from(u16::from_be_bytes(two))) {
                *place = true;
            }
        }
        for (at, two) in bytes.array_windows::<2>().enumerate() {
            // A node of the provider: zeros, then the kind, which no other rule would find.
            if *two == [0, rows::NODE] {
                self.carve_root_node(bytes, at);
            }
            if !is_begin.get(usize::from(u16::from_be_bytes(*two))).copied().unwrap_or(false) {
                continue;
            }
            self.carve_message(bytes, at);
            for tenant in begins.get(two).into_iter().flatten() {
                self.carve_name(bytes, at, tenant);
            }
        }
    }

    fn carve_message(&mut self, bytes: &[u8], at: usize) {
        let Some(sealed) = bytes.get(at..).filter(|sealed| sealed.len() > PRELUDE) else { return };
        let (Some(_), Some(salt)) = (header(sealed), message::salt(sealed)) else { return };
        if self.knows(&salt) {
            return;
        }
        let sealed = sealed.get(..sealed.len().min(MESSAGE_MAX)).unwrap_or(sealed);
        let before = bytes.get(at.saturating_sub(BEFORE)..at).unwrap_or_default();
        let nothing = vec![0; BEFORE - before.len()];
        let fragment = Fragment { bytes: [&nothing, before, sealed].concat().into() };
        match self.loose.get_mut(&salt) {
            // Another copy of it may be cut later.
            Some(known) if known.bytes.len() < fragment.bytes.len() => *known = fragment,
            Some(_) => {}
            None => drop(self.loose.insert(salt, fragment)),
        }
    }

    fn carve_name(&mut self, bytes: &[u8], at: usize, tenant: &Id) {
        let Some(rest) = bytes.get(at..).and_then(|rest| rest.strip_prefix(tenant)) else { return };
        let Some((kind, parts)) = rest.split_first() else { return };
        let Some(parts) = parts_length(*kind).and_then(|length| parts.get(..length)) else {
            return;
        };
        let name = Name { tenant: *tenant, kind: *kind, parts };
        if is_plausible(&name) {
            self.names.insert([&tenant[..], &[*kind], parts].concat());
        }
    }

    /// `at` is the last of the zeros that are the provider's id.
    fn carve_root_node(&mut self, bytes: &[u8], at: usize) {
        let Some(from) = (at + 1).checked_sub(crate::PROVIDER.len()) else { return };
        self.carve_name(bytes, from, &crate::PROVIDER);
    }

    /// The rows that are known, and of every message that was carved each row that it may be.
    pub(crate) fn all_rows(&self) -> BTreeMap<Vec<u8>, BTreeSet<Written>> {
        let mut rows = self.rows.clone();
        let names: BTreeSet<&Vec<u8>> = self.names.iter().chain(self.rows.keys()).collect();
        for fragment in self.loose.values() {
            let Some(header) = header(fragment.sealed()) else { continue };
            for key in &names {
                let Some(name) = parse(key) else { continue };
                if let Some(written) = fragment.in_row(header.purpose, name.kind) {
                    rows.entry((*key).clone()).or_default().insert(written);
                }
            }
        }
        rows
    }
}

impl Fragment {
    /// The row of this kind that it would be part of; none if it cannot be.
    fn in_row(&self, purpose: u8, kind: u8) -> Option<Written> {
        let has_owner = match sealed_under(kind) {
            SealedUnder::Leaf { .. } | SealedUnder::Number => true,
            SealedUnder::Tenant { .. } | SealedUnder::Itself => false,
        };
        let fits = match purpose {
            message::RECORD => kind == rows::RECORD,
            message::ROW => kind != rows::RECORD && sealed_under(kind) != SealedUnder::Itself,
            message::NODE => kind == rows::NODE,
            message::STATE => kind == rows::PUNCTURED_SEED,
            _ => false,
        };
        let from = if has_owner { VERSION } else { BEFORE };
        let version = rows::u64_at(&self.bytes, from - VERSION)?;
        fits.then(|| Written::carved(version, &self.bytes, from))
    }

    fn sealed(&self) -> &[u8] {
        self.bytes.get(BEFORE..).unwrap_or_default()
    }
}

/// Whether a row could have this key. Any bytes may follow a tenant's id by chance.
fn is_plausible(name: &Name<'_>) -> bool {
    match name.kind {
        rows::NODE => {
            let index = rows::u64_at(name.parts, 2).unwrap_or(u64::MAX);
            matches!(name.parts, [0..=2, 0..=LEVEL_MAX, ..]) && index < NODE_INDEX_MAX
        }
        _ => name.tenant != crate::PROVIDER,
    }
}
