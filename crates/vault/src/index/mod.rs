//! The equality index: which record, user or subject has an external id, in sealed pages.
//!
//! A page is chosen by four bits at a time of an HMAC of the value; its entries are small rows
//! sealed under a key that only this page has. A page that grows is split in sixteen: its parts get
//! new keys and its own is retired. `docs/formats/index-pages.md` has the layout and what remains
//! of it after an erasure.

mod opened;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use strongroom_crypto::{Key, entry, mac, scrub_once};
use strongroom_keyring::{Half, Leaf, Service};
use strongroom_model::{RecordId, SubjectId, TenantId};
use strongroom_storage::{Batch, Expect, KeyRange, Row, RowKey};

use crate::index::opened::{Entries, PageState};
pub(crate) use crate::index::opened::{Grown, Opened};
use crate::rows::OwnerLeaf;
use crate::snapshot::Snapshot;
use crate::{Vault, VaultError, keyspace};

/// Entries in a page above which it is split before the next one is added.
const PAGE_ENTRIES_MAX: usize = 128;
/// Bits of the HMAC that one level of pages consumes.
const BITS: u8 = 4;
/// The deepest level; its pages are not split.
const DEPTH_MAX: u8 = 28;
/// The levels that pages have, from the first one down.
const DEPTHS: [u8; 8] = [0, 4, 8, 12, 16, 20, 24, DEPTH_MAX];

/// An index of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) tenant: TenantId,
    number: u32,
    /// The leaf of the collection whose records are indexed: its pages die with it.
    collection_slot: Option<u64>,
}

impl Index {
    /// The external ids of a collection's records.
    pub(crate) fn of_records(tenant: TenantId, collection: &strongroom_model::Collection) -> Self {
        Self { tenant, number: collection.number.0, collection_slot: Some(collection.slot) }
    }

    /// The external ids of subjects.
    pub(crate) const fn of_subjects(tenant: TenantId) -> Self {
        Self { tenant, number: 0xFFFF_FF01, collection_slot: None }
    }

    /// The external ids of users.
    pub(crate) const fn of_users(tenant: TenantId) -> Self {
        Self { tenant, number: 0xFFFF_FF02, collection_slot: None }
    }

    /// The e-mail addresses of users.
    pub(crate) const fn of_emails(tenant: TenantId) -> Self {
        Self { tenant, number: 0xFFFF_FF03, collection_slot: None }
    }
}

/// A page as its row describes it; the row's key says which bits lead to it.
#[derive(Debug, Clone, minicbor::Encode, minicbor::Decode)]
struct PageRow {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    id: [u8; 16],
    #[n(1)]
    slot: u64,
    #[n(2)]
    entries: u32,
    /// Whether its entries have moved to sixteen pages below.
    #[n(3)]
    split: bool,
}

/// Where a value leads: its tag, whose first bits choose the page.
#[derive(Debug, Clone, Copy)]
struct Aim {
    tag: [u8; 16],
}

impl Aim {
    fn prefix(self, depth: u8) -> u32 {
        let (bits, _) = self.tag.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        u32::from_be_bytes(*bits).checked_shr(32 - u32::from(depth)).unwrap_or(0)
    }

    /// The row of the page on its path at this depth.
    fn key(self, index: Index, depth: u8) -> RowKey {
        keyspace::index_page(index.tenant, index.number, depth, self.prefix(depth))
    }

    /// The rows of all pages on its path, from the first one down.
    fn path(self, index: Index) -> impl Iterator<Item = RowKey> {
        DEPTHS.into_iter().map(move |depth| self.key(index, depth))
    }
}

/// What an entry leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) subject: SubjectId,
    pub(crate) record: RecordId,
}

struct Page {
    key: RowKey,
    depth: u8,
    prefix: u32,
    version: u64,
    row: PageRow,
}

impl Page {
    fn state(&self, index: Index) -> PageState {
        PageState { tenant: index.tenant, page: self.row.id, version: self.version }
    }
}

impl Vault {
    async fn aim(&self, index: Index, value: &str) -> Result<Aim, VaultError> {
        let key = self.keyring.service(index.tenant, Half::Data, Service::Index).await?;
        let mac = mac::hmac_sha256(
            &key,
            &[b"sr1/index\0", &index.number.to_be_bytes(), value.as_bytes()],
        );
        let (tag, _) = mac.split_first_chunk::<16>().ok_or_else(crate::rows::damaged)?;
        Ok(Aim { tag: *tag })
    }

    /// The key that a page's entries are sealed under: its own leaf, and the collection's key where
    /// there is one, so that the index of an erased collection is dead with it.
    async fn page_key(&self, index: Index, slot: u64) -> Result<Key, VaultError> {
        let own = self.keyring.leaf(Leaf { tenant: index.tenant, half: Half::Data, slot }).await?;
        let Some(collection_slot) = index.collection_slot else { return Ok(own.duplicate()) };
        let collection = self
            .keyring
            .leaf(Leaf { tenant: index.tenant, half: Half::Data, slot: collection_slot })
            .await?;
        Ok(mac::derive_key(&own, &[b"sr1/page\0", collection.expose()]))
    }

    async fn entries(
        &self,
        index: Index,
        page: &Page,
    ) -> Result<Vec<(RowKey, entry::Entry)>, VaultError> {
        let prefix = keyspace::index_entries_prefix(index.tenant, index.number, &page.row.id);
        let rows = self
            .store
            .scan(&KeyRange::prefix(prefix.as_bytes()), strongroom_storage::PAGE_MAX)
            .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let reader = entry::PageReader::new(&self.page_key(index, page.row.slot).await?);
        let open = |(key, row): (RowKey, Row)| {
            let place = entry_place(index, &page.row.id, &key).ok_or_else(crate::rows::damaged)?;
            Ok((key, reader.open(&place, &row.value)?))
        };
        scrub_once(|| rows.into_iter().map(open).collect())
    }

    /// Opens every entry of the page in this row, and keeps none.
    pub(crate) async fn check_page(
        &self,
        tenant: TenantId,
        number: u32,
        collection: Option<&strongroom_model::Collection>,
        key: &RowKey,
        row: &Row,
    ) -> Result<(), VaultError> {
        let (page, _) = self.open_row::<PageRow>(key, row).await?;
        if page.split {
            return Ok(());
        }
        let collection_slot = collection.map(|collection| collection.slot);
        let index = Index { tenant, number, collection_slot };
        let page = Page { key: key.clone(), depth: 0, prefix: 0, version: row.version, row: page };
        self.entries(index, &page).await.map(drop)
    }

    /// What a page's entries lead to. They are read after the page's row: what has come in since is
    /// among them, and then the row's version, a fact, is not the newest any more.
    async fn opened(&self, index: Index, page: &Page) -> Result<Arc<Entries>, VaultError> {
        let at = page.state(index);
        if let Some(entries) = self.opened.find(at) {
            return Ok(entries);
        }
        let entries = self.entries(index, page).await?;
        let entries = Arc::new(Entries::of(entries.iter().map(|(_, entry)| entry)));
        self.opened.keep(at, Arc::clone(&entries));
        Ok(entries)
    }

    /// Splits a page in sixteen, in a commit of its own.
    async fn split(&self, index: Index, page: Page) -> Result<(), VaultError> {
        let entries = self.entries(index, &page).await?;
        let slots = self.keyring.take_slots(index.tenant, Half::Data, 1 << BITS).await?;
        let depth = page.depth + BITS;
        let mut batch = Batch::new();
        batch.expect_version(page.key.clone(), page.version);
        let mut parts: BTreeMap<u32, (PageRow, Key)> = BTreeMap::new();
        for (part, slot) in (0u32..).zip(slots) {
            let mut id = [0; 16];
            self.rng.fill(&mut id)?;
            let key = self.page_key(index, slot).await?;
            parts.insert(
                (page.prefix << BITS) | part,
                (PageRow { id, slot, entries: 0, split: false }, key),
            );
        }
        for (old, found) in entries {
            let prefix = Aim { tag: found.tag }.prefix(depth);
            let (row, key) = parts.get_mut(&prefix).ok_or_else(crate::rows::damaged)?;
            self.put_entry(index, &mut batch, row, key, &found)?;
            batch.delete(old);
        }
        for (prefix, (row, _)) in &parts {
            let key = keyspace::index_page(index.tenant, index.number, depth, *prefix);
            let value = self.seal_row(&key, OwnerLeaf::NOBODY, 1, row).await?;
            batch.expect_absent(key.clone()).put(key, 1, value);
        }
        let row = PageRow { split: true, entries: 0, ..page.row };
        let value = self.seal_row(&page.key, OwnerLeaf::NOBODY, page.version + 1, &row).await?;
        self.keyring
            .retire(&mut batch, Leaf { tenant: index.tenant, half: Half::Data, slot: row.slot });
        batch.put(page.key, page.version + 1, value);
        let _committed = self.store.commit(batch).await?;
        Ok(())
    }

    fn put_entry(
        &self,
        index: Index,
        batch: &mut Batch,
        page: &mut PageRow,
        key: &Key,
        entry: &entry::Entry,
    ) -> Result<(), VaultError> {
        let mut row = [0; 8];
        self.rng.fill(&mut row)?;
        let place =
            entry::EntryPlace { tenant: index.tenant, index: index.number, page: page.id, row };
        let sealed = entry::seal(key, &place, entry, &*self.rng)?;
        let at = keyspace::index_entry(index.tenant, index.number, &page.id, &row);
        batch.expect_absent(at.clone()).put(at, 1, sealed);
        page.entries = page.entries.saturating_add(1);
        Ok(())
    }
}

fn entry_place(index: Index, page: &[u8; 16], key: &RowKey) -> Option<entry::EntryPlace> {
    let row = key.as_bytes().last_chunk::<8>()?;
    Some(entry::EntryPlace { tenant: index.tenant, index: index.number, page: *page, row: *row })
}

impl Snapshot<'_> {
    /// The page to which a value leads. Its row becomes a fact: as long as it has this version, it has
    /// not been split, and what is concluded from its entries holds.
    async fn page(&mut self, index: Index, aim: Aim) -> Result<Option<Page>, VaultError> {
        for depth in DEPTHS {
            let key = aim.key(index, depth);
            let row = self.vault.read_many::<PageRow>(std::slice::from_ref(&key)).await?.pop();
            let Some(row) = row.flatten() else {
                if depth > 0 {
                    // The page above was split when it was read, and is not there any more.
                    return Err(VaultError::Conflict);
                }
                self.fact(Expect::Absent(key));
                return Ok(None);
            };
            if !row.split {
                self.fact(Expect::Version(key.clone(), row.version));
                let (prefix, version) = (aim.prefix(depth), row.version);
                return Ok(Some(Page { key, depth, prefix, version, row: (*row.value).clone() }));
            }
        }
        Err(crate::rows::damaged())
    }

    /// What has this value in the index.
    pub(crate) async fn find(
        &mut self,
        index: Index,
        value: &str,
    ) -> Result<Option<Hit>, VaultError> {
        let aim = self.vault.aim(index, value).await?;
        let Some(page) = self.page(index, aim).await? else { return Ok(None) };
        Ok(self.vault.opened(index, &page).await?.find(&aim.tag))
    }

    /// Makes room in the index for these values, in commits of its own: pages that would grow too
    /// large are split first.
    pub(crate) async fn make_room(
        &mut self,
        index: Index,
        values: &[&str],
    ) -> Result<(), VaultError> {
        for _ in DEPTHS {
            let mut incoming: BTreeMap<RowKey, (usize, Page)> = BTreeMap::new();
            for value in values {
                let aim = self.vault.aim(index, value).await?;
                let known = aim.path(index).find(|key| incoming.contains_key(key));
                if let Some((more, _)) = known.and_then(|key| incoming.get_mut(&key)) {
                    *more += 1;
                    continue;
                }
                let mut fresh = Snapshot::new(self.vault);
                let Some(page) = fresh.page(index, aim).await? else {
                    fresh.vault.plant(index).await?;
                    return Err(VaultError::Conflict);
                };
                incoming.insert(page.key.clone(), (1, page));
            }
            let mut grown = false;
            for (more, page) in incoming.into_values() {
                let total =
                    usize::try_from(page.row.entries).unwrap_or(usize::MAX).saturating_add(more);
                if total > PAGE_ENTRIES_MAX && page.depth < DEPTH_MAX {
                    self.vault.split(index, page).await?;
                    grown = true;
                }
            }
            if !grown {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Vault {
    /// Makes an index's first page.
    async fn plant(&self, index: Index) -> Result<(), VaultError> {
        let slots = self.keyring.take_slots(index.tenant, Half::Data, 1).await?;
        let slot = slots.first().copied().ok_or_else(crate::rows::damaged)?;
        let mut id = [0; 16];
        self.rng.fill(&mut id)?;
        let key = keyspace::index_page(index.tenant, index.number, 0, 0);
        let value = self
            .seal_row(&key, OwnerLeaf::NOBODY, 1, &PageRow { id, slot, entries: 0, split: false })
            .await?;
        let mut batch = Batch::new();
        batch.expect_absent(key.clone()).put(key, 1, value);
        match self.store.commit(batch).await {
            Ok(_) | Err(strongroom_storage::StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Entries to be added in one commit, page by page.
pub(crate) struct Additions {
    index: Index,
    pages: BTreeMap<RowKey, Growing>,
}

struct Growing {
    page: Page,
    key: Key,
    entries: Arc<Entries>,
    /// Whether entries have been added to it.
    added: bool,
}

impl Additions {
    pub(crate) fn new(index: Index) -> Self {
        Self { index, pages: BTreeMap::new() }
    }

    /// What has this value, among what is there and what has been added.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if the index has no page for it yet: see [`Snapshot::make_room`].
    pub(crate) async fn look(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        value: &str,
    ) -> Result<Option<Hit>, VaultError> {
        let aim = snapshot.vault.aim(self.index, value).await?;
        Ok(self.growing(snapshot, aim).await?.entries.find(&aim.tag))
    }

    /// Adds a value that must not be there yet. Returns whether it was free.
    ///
    /// # Errors
    /// As for [`Additions::look`].
    pub(crate) async fn add(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        batch: &mut Batch,
        value: &str,
        hit: Hit,
    ) -> Result<bool, VaultError> {
        let vault = snapshot.vault;
        let index = self.index;
        let aim = vault.aim(index, value).await?;
        let growing = self.growing(snapshot, aim).await?;
        if !Arc::make_mut(&mut growing.entries).add(aim.tag, hit) {
            return Ok(false);
        }
        growing.added = true;
        let entry = entry::Entry::new(aim.tag, hit.subject, hit.record, 1);
        vault.put_entry(index, batch, &mut growing.page.row, &growing.key, &entry)?;
        Ok(true)
    }

    /// The page to which a value leads, read and opened once: read again it could be a later one, and what
    /// was added would stand beside what was looked at. A page among those read has not been split as
    /// long as its version is the one that was read.
    async fn growing(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        aim: Aim,
    ) -> Result<&mut Growing, VaultError> {
        let vault = snapshot.vault;
        let known = aim.path(self.index).find(|key| self.pages.contains_key(key));
        let key = if let Some(key) = known {
            key
        } else {
            let page = snapshot.page(self.index, aim).await?.ok_or(VaultError::Conflict)?;
            let entries = vault.opened(self.index, &page).await?;
            let own = vault.page_key(self.index, page.row.slot).await?;
            let key = page.key.clone();
            self.pages.insert(key.clone(), Growing { page, key: own, entries, added: false });
            key
        };
        self.pages.get_mut(&key).ok_or_else(crate::rows::damaged)
    }

    /// Writes the pages' rows anew: two additions to one page cannot both succeed.
    pub(crate) async fn finish(
        self,
        vault: &Vault,
        batch: &mut Batch,
    ) -> Result<Grown, VaultError> {
        let mut grown = Grown::default();
        for (key, mut growing) in self.pages.into_iter().filter(|(_, growing)| growing.added) {
            growing.page.version += 1;
            let Page { version, row, .. } = &growing.page;
            let value = vault.seal_row(&key, OwnerLeaf::NOBODY, *version, row).await?;
            batch.put(key, *version, value);
            grown.push(growing.page.state(self.index), growing.entries);
        }
        Ok(grown)
    }
}

/// Takes values out of an index: what else their pages hold moves to new pages under new keys, and
/// the old keys are retired, so that the next batch makes every older copy of them unreadable.
/// Returns how many pages were re-keyed.
pub(crate) async fn forget(
    snapshot: &mut Snapshot<'_>,
    batch: &mut Batch,
    index: Index,
    values: &[String],
) -> Result<usize, VaultError> {
    let vault = snapshot.vault;
    let mut pages: BTreeMap<RowKey, (Page, HashSet<[u8; 16]>)> = BTreeMap::new();
    for value in values {
        let aim = vault.aim(index, value).await?;
        if let Some(page) = snapshot.page(index, aim).await? {
            pages
                .entry(page.key.clone())
                .or_insert_with(|| (page, HashSet::new()))
                .1
                .insert(aim.tag);
        }
    }
    let count = pages.len();
    for (at, (page, gone)) in pages {
        let slots = vault.keyring.take_slots(index.tenant, Half::Data, 1).await?;
        let slot = slots.first().copied().ok_or_else(crate::rows::damaged)?;
        let mut id = [0; 16];
        vault.rng.fill(&mut id)?;
        let key = vault.page_key(index, slot).await?;
        let mut row = PageRow { id, slot, entries: 0, split: false };
        for (old, entry) in vault.entries(index, &page).await? {
            if !gone.contains(&entry.tag) {
                vault.put_entry(index, batch, &mut row, &key, &entry)?;
            }
            batch.delete(old);
        }
        let value = vault.seal_row(&at, OwnerLeaf::NOBODY, page.version + 1, &row).await?;
        batch.put(at, page.version + 1, value);
        vault
            .keyring
            .retire(batch, Leaf { tenant: index.tenant, half: Half::Data, slot: page.row.slot });
    }
    Ok(count)
}
