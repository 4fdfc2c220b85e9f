//! The attack: every key is tried wherever it may fit, and what it opens gives more keys, until nothing new
//! opens.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::evidence::{Evidence, Written};
use crate::message::{self, Place, Sealed, header, open_record, open_stream};
use crate::numbers::Cover;
use crate::opened::{Clear, Leaf, Opened};
use crate::primitives::{Opener, Secret, hmac_sha256, root};
use crate::rows::{self, DATA_TREE, ROOT_TREE, SealedUnder};
use crate::{Id, PROVIDER, Share, chains, clear};

/// Slots of the services in a tree: rows of the tenant, the audit log.
const ROWS_SLOT: u64 = 0;
const AUDIT_SLOT: u64 = 1;
/// Indexes from here on are not a collection's.
const FIRST_SHARED_INDEX: u32 = 0xffff_ff00;
/// Batches of which every share is tried with every number; of more, each with its own.
const BATCHES_MAX: usize = 32;
/// The index in the place of a caller's reason.
const REASON: u64 = 1 << 32;

/// A node that a key may open.
type Node = (Id, u8, u8, u64, Secret);

/// Opens whatever these shares and this seal key lead to.
pub fn attack(evidence: &Evidence, shares: &[Share], seal: &Secret) -> Opened {
    let mut attack = Attack {
        evidence,
        rows: evidence.all_rows(),
        opened: Opened::default(),
        collections: BTreeMap::new(),
        pages: BTreeMap::new(),
    };
    let roots = attack.roots(shares, seal);
    attack.walk(&roots);
    attack.open_seeds();
    attack.open_rows();
    attack.open_records();
    attack.open_entries();
    attack.open_lines();
    attack.opened
}

struct Attack<'e> {
    evidence: &'e Evidence,
    rows: BTreeMap<Vec<u8>, BTreeSet<Written>>,
    opened: Opened,
    /// Slots of the collections' keys.
    collections: BTreeMap<(Id, u32), BTreeSet<u64>>,
    /// Slots of the index pages' keys.
    pages: BTreeMap<(Id, Id), BTreeSet<u64>>,
}

impl Attack<'_> {
    /// Every secret that the shares make, one of each class for the same number.
    fn roots(&mut self, shares: &[Share], seal: &Secret) -> Vec<Secret> {
        let mut batches: BTreeMap<u64, BTreeMap<u8, BTreeSet<Secret>>> = BTreeMap::new();
        for share in shares {
            let place = Place {
                purpose: message::SLOT,
                install: self.evidence.install,
                object: share.holder,
                index: share.class.into(),
                version: share.number,
                ..Place::default()
            };
            let sealed = Sealed { bytes: &share.sealed, is_exact: true };
            let opened = self.try_stream(seal, &place, sealed);
            if let Some(secret) = opened.and_then(|bytes| Secret::try_from(bytes).ok()) {
                self.opened.shares += 1;
                let classes = batches.entry(share.number).or_default();
                classes.entry(share.class).or_default().insert(secret);
            }
        }
        let highest = batches.keys().max().copied().unwrap_or(0);
        let mut roots = Vec::new();
        for (number, classes) in &batches {
            // A share may have been used for another number than the one that it is kept under.
            let numbers = if batches.len() > BATCHES_MAX { *number..=*number } else { 1..=highest };
            for chosen in one_of_each(classes) {
                let root = |number| root(&self.evidence.install, number, &chosen);
                roots.extend(numbers.clone().filter_map(root));
            }
        }
        roots
    }

    /// Opens all nodes that hang from some keys, and keeps the keys of the leaves.
    fn walk(&mut self, roots: &[Secret]) {
        let mut tops: BTreeSet<(Id, u8, u8)> = BTreeSet::new();
        for name in self.rows.keys().filter_map(|key| rows::parse(key)) {
            if let (rows::NODE, [tree, level, index @ ..]) = (name.kind, name.parts)
                && index == [0; 8]
            {
                tops.insert((name.tenant, *tree, *level));
            }
        }
        let of_the_root =
            tops.iter().filter(|(tenant, tree, _)| (*tenant, *tree) == (PROVIDER, ROOT_TREE));
        let mut waiting: Vec<Node> = Vec::new();
        for (tenant, tree, level) in of_the_root {
            waiting.extend(roots.iter().map(|root| (*tenant, *tree, *level, 0, *root)));
        }
        let mut walked: HashSet<Node> = HashSet::new();
        while let Some(node) = waiting.pop() {
            if !walked.insert(node) {
                continue;
            }
            let (tenant, tree, level, index, key) = node;
            for content in self.try_node(tenant, tree, level, index, &key) {
                self.opened.nodes += 1;
                for (place, child) in (0u64..).zip(content.as_chunks::<32>().0) {
                    let below = index.saturating_mul(64).saturating_add(place);
                    match (level, tree) {
                        (1.., _) => waiting.push((tenant, tree, level - 1, below, *child)),
                        // What hangs from the tree of trees may be the top of any tree, also of this.
                        (0, ROOT_TREE) => {
                            waiting.extend(
                                tops.iter().map(|(tenant, tree, level)| {
                                    (*tenant, *tree, *level, 0, *child)
                                }),
                            );
                        }
                        (0, _) => {
                            let leaf = Leaf { tenant, tree, slot: below };
                            self.opened.leaves.entry(leaf).or_default().insert(*child);
                        }
                    }
                }
            }
        }
    }

    fn try_node(
        &mut self,
        tenant: Id,
        tree: u8,
        level: u8,
        index: u64,
        key: &Secret,
    ) -> Vec<Vec<u8>> {
        let install = self.evidence.install;
        let Some(writes) = self.rows.get(&rows::node(tenant, tree, level, index)) else {
            return Vec::new();
        };
        self.opened.tried += writes.len() as u64;
        let open = |written: &Written| {
            let place = rows::node_place(install, tenant, tree, level, index, written.version);
            open_stream(key, &place, written.message())
        };
        writes.iter().filter_map(open).collect()
    }

    /// A leaf may be a seed, or seal what is left of one.
    fn open_seeds(&mut self) {
        let leaves = self.opened.leaves.clone();
        for (leaf, keys) in leaves {
            let prefix = rows::punctured_seed(leaf.tenant, leaf.tree, leaf.slot);
            let mut covers: Vec<Cover> = keys.iter().map(|key| Cover::whole(*key)).collect();
            let chunks =
                self.rows.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
            for (row_key, writes) in chunks {
                for written in writes {
                    let place = rows::row_place(
                        self.evidence.install,
                        row_key,
                        message::STATE,
                        written.version,
                    );
                    let Some(place) = place else { continue };
                    for key in &keys {
                        self.opened.tried += 1;
                        let Some(state) = open_stream(key, &place, written.message()) else {
                            continue;
                        };
                        covers.push(Cover::decode(state.get(2..).unwrap_or_default()));
                    }
                }
            }
            self.opened.covers.insert(leaf, covers);
        }
    }

    /// Rows that are no records, and what they say of the keys of collections and index pages.
    fn open_rows(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        for (key, writes) in &rows {
            let Some(name) = rows::parse(key).filter(|name| name.kind != rows::RECORD) else {
                continue;
            };
            for written in writes {
                let Some((place, sealed, keys)) = self.keys_for(key, written) else { continue };
                let plaintext = keys.iter().find_map(|key| self.try_stream(key, &place, sealed));
                let Some(bytes) = plaintext else { continue };
                self.learn(&name, &bytes);
                self.opened.clear.push(Clear {
                    row: key.clone(),
                    version: written.version,
                    field: None,
                    bytes,
                });
            }
        }
        self.rows = rows;
    }

    /// What a row may be sealed under.
    fn keys_for<'w>(
        &self,
        key: &[u8],
        written: &'w Written,
    ) -> Option<(Place, Sealed<'w>, Vec<Secret>)> {
        let name = rows::parse(key)?;
        let place = rows::row_place(self.evidence.install, key, message::ROW, written.version)?;
        let leaf = |tree, slot| self.leaf(name.tenant, tree, slot);
        Some(match rows::sealed_under(name.kind) {
            SealedUnder::Itself => return None,
            SealedUnder::Tenant { tree } => (place, written.message(), leaf(tree, ROWS_SLOT)),
            SealedUnder::Leaf { tree } => {
                let (subject, slot, sealed) = written.owned()?;
                (Place { subject, ..place }, sealed, leaf(tree, slot))
            }
            SealedUnder::Number => {
                let (subject, slot, sealed) = written.owned()?;
                let header = header(sealed.bytes)?;
                let place = Place { subject, epoch: header.epoch, number: header.number, ..place };
                let mut keys = self.numbers(name.tenant, slot, header.number, &[0; 32]);
                // What belongs to nobody is the tenant's.
                keys.extend(leaf(DATA_TREE, ROWS_SLOT));
                (place, sealed, keys)
            }
        })
    }

    fn learn(&mut self, name: &rows::Name<'_>, plaintext: &[u8]) {
        match name.kind {
            rows::COLLECTION => {
                let (number, slot) =
                    (rows::u32_at(name.parts, 0), clear::slot_of_collection(plaintext));
                if let (Some(number), Some(slot)) = (number, slot) {
                    self.collections.entry((name.tenant, number)).or_default().insert(slot);
                }
            }
            rows::INDEX_PAGE => {
                if let Some((page, slot)) = clear::id_and_slot_of_page(plaintext) {
                    self.pages.entry((name.tenant, page)).or_default().insert(slot);
                }
            }
            _ => {}
        }
    }

    fn open_records(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        for (key, writes) in &rows {
            let Some(name) = rows::parse(key).filter(|name| name.kind == rows::RECORD) else {
                continue;
            };
            let (Some(collection), Some(object)) =
                (rows::u32_at(name.parts, 0), rows::id_at(name.parts, 4))
            else {
                continue;
            };
            let collection_keys = self.collection_keys(name.tenant, collection);
            for written in writes {
                let Some((subject, slot, sealed)) = written.owned() else { continue };
                let Some(header) = header(sealed.bytes) else { continue };
                let place = Place {
                    purpose: message::RECORD,
                    epoch: header.epoch,
                    install: self.evidence.install,
                    tenant: name.tenant,
                    subject,
                    object,
                    collection,
                    index: 0,
                    number: header.number,
                    version: written.version,
                };
                for joined in &collection_keys {
                    for secret in self.numbers(name.tenant, slot, header.number, joined) {
                        self.opened.tried += 1;
                        let Some(fields) = open_record(&secret, &place, sealed) else { continue };
                        self.opened.clear.extend(fields.into_iter().map(|(field, bytes)| Clear {
                            row: key.clone(),
                            version: written.version,
                            field: Some(field),
                            bytes,
                        }));
                    }
                }
            }
        }
        self.rows = rows;
    }

    fn open_entries(&mut self) {
        for (key, writes) in &self.rows {
            let Some(name) = rows::parse(key).filter(|name| name.kind == rows::INDEX_ENTRY) else {
                continue;
            };
            let (Some(index), Some(page)) =
                (rows::u32_at(name.parts, 0), rows::id_at(name.parts, 4))
            else {
                continue;
            };
            let mut secrets = Vec::new();
            for slot in self.pages.get(&(name.tenant, page)).into_iter().flatten() {
                for leaf in self.leaf(name.tenant, DATA_TREE, *slot) {
                    if index >= FIRST_SHARED_INDEX {
                        secrets.push(leaf);
                    } else {
                        let joined = self.collection_keys(name.tenant, index);
                        secrets.extend(
                            joined.iter().map(|key| hmac_sha256(&leaf, &[b"sr1/page\0", key])),
                        );
                    }
                }
            }
            let associated = [b"sr1\0entry\0", &name.tenant[..], name.parts].concat();
            for opener in secrets.iter().filter_map(Opener::new) {
                for written in writes {
                    self.opened.tried += 1;
                    let Some((nonce, sealed)) = written.value().split_first_chunk::<12>() else {
                        continue;
                    };
                    let Some(entry) = opener.open(*nonce, &associated, sealed) else { continue };
                    let tags = self.opened.tags.entry((name.tenant, index)).or_default();
                    tags.extend(rows::id_at(&entry, 0));
                }
            }
        }
    }

    fn open_lines(&mut self) {
        let leaves = &self.opened.leaves;
        let lines = chains::open(&self.evidence.lines, |tenant| {
            let leaf = Leaf { tenant, tree: DATA_TREE, slot: AUDIT_SLOT };
            leaves.get(&leaf).into_iter().flatten().collect()
        });
        self.opened.lines = lines.len();
        for line in lines {
            let Some(reason) = chains::reason(&line.bytes) else { continue };
            let mut keys = self.numbers(line.tenant, reason.slot, reason.number, &[0; 32]);
            keys.extend(self.leaf(line.tenant, DATA_TREE, ROWS_SLOT));
            let place = Place {
                purpose: message::ROW,
                install: self.evidence.install,
                tenant: line.tenant,
                subject: reason.subject,
                index: REASON,
                number: reason.number,
                ..Place::default()
            };
            let sealed = Sealed { bytes: reason.sealed, is_exact: true };
            let plaintext = keys.iter().find_map(|key| self.try_stream(key, &place, sealed));
            let row = line.tenant.to_vec();
            self.opened.clear.extend(plaintext.map(|bytes| Clear {
                row,
                version: 0,
                field: None,
                bytes,
            }));
        }
    }

    fn try_stream(&mut self, key: &Secret, place: &Place, sealed: Sealed<'_>) -> Option<Vec<u8>> {
        self.opened.tried += 1;
        open_stream(key, place, sealed)
    }

    /// Every key that a slot ever had.
    fn leaf(&self, tenant: Id, tree: u8, slot: u64) -> Vec<Secret> {
        self.opened
            .leaves
            .get(&Leaf { tenant, tree, slot })
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    fn numbers(&self, tenant: Id, slot: u64, number: u32, collection: &Secret) -> Vec<Secret> {
        let covers = self.opened.covers.get(&Leaf { tenant, tree: DATA_TREE, slot });
        covers.into_iter().flatten().filter_map(|cover| cover.key(number, collection)).collect()
    }

    fn collection_keys(&self, tenant: Id, collection: u32) -> Vec<Secret> {
        let slots = self.collections.get(&(tenant, collection)).into_iter().flatten();
        slots.flat_map(|slot| self.leaf(tenant, DATA_TREE, *slot)).collect()
    }
}

/// Every choice of one secret of each class, the classes ascending.
fn one_of_each(classes: &BTreeMap<u8, BTreeSet<Secret>>) -> Vec<Vec<(u8, Secret)>> {
    classes.iter().fold(vec![Vec::new()], |chosen, (class, secrets)| {
        let with = |chosen: &Vec<(u8, Secret)>| {
            let each = secrets.iter().map(|secret| (*class, *secret));
            each.map(|next| chosen.iter().copied().chain([next]).collect()).collect::<Vec<_>>()
        };
        chosen.iter().flat_map(with).collect()
    })
}
