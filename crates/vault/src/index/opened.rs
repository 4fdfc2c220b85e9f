//! Pages of indexes that were opened lately, so that a page's entries are not all opened again for
//! each value that falls on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_crypto::entry::Entry;
use strongroom_model::TenantId;
use strongroom_storage::Recent;

use crate::Vault;
use crate::index::Hit;

/// Most pages that are kept: with at most 128 entries of 48 bytes each they take less than 100 MiB.
const PAGES_MAX: usize = 16_384;

/// What a page's entries lead to, in ascending order of their tags.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries(Vec<([u8; 16], Hit)>);

impl Entries {
    /// What the entries of a page say.
    pub(super) fn of<'e>(entries: impl Iterator<Item = &'e Entry>) -> Self {
        let hit = |entry: &Entry| Hit { subject: entry.subject(), record: entry.record() };
        let mut found: Vec<_> = entries.map(|entry| (entry.tag, hit(entry))).collect();
        found.sort_unstable_by_key(|(tag, _)| *tag);
        Self(found)
    }

    /// What has this tag.
    pub(super) fn find(&self, tag: &[u8; 16]) -> Option<Hit> {
        let at = self.0.binary_search_by_key(tag, |(tag, _)| *tag).ok()?;
        self.0.get(at).map(|(_, hit)| *hit)
    }

    /// Adds a tag. Returns whether it was free.
    pub(super) fn add(&mut self, tag: [u8; 16], hit: Hit) -> bool {
        match self.0.binary_search_by_key(&tag, |(tag, _)| *tag) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (tag, hit));
                true
            }
        }
    }
}

/// A page in one state: its tenant, its random id, and the version of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageState {
    pub(super) tenant: TenantId,
    pub(super) page: [u8; 16],
    pub(super) version: u64,
}

/// The entries of pages, each in the state in which it was opened or written last.
pub(crate) struct Opened(Mutex<Recent<(TenantId, [u8; 16]), Kept>>);

struct Kept {
    version: u64,
    entries: Arc<Entries>,
}

impl Default for Opened {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(PAGES_MAX)))
    }
}

impl Opened {
    pub(super) fn find(&self, at: PageState) -> Option<Arc<Entries>> {
        let mut kept = self.kept();
        let found = kept.find(&(at.tenant, at.page)).filter(|kept| kept.version == at.version)?;
        Some(Arc::clone(&found.entries))
    }

    pub(super) fn keep(&self, at: PageState, entries: Arc<Entries>) {
        self.kept().keep((at.tenant, at.page), Kept { version: at.version, entries });
    }

    /// Forgets every page of a tenant: something of its was erased.
    pub(crate) fn forget(&self, tenant: TenantId) {
        self.kept().retain(|(of, _)| *of != tenant);
    }

    /// Forgets everything: the server is locked.
    pub(crate) fn clear(&self) {
        self.kept().retain(|_| false);
    }

    fn kept(&self) -> MutexGuard<'_, Recent<(TenantId, [u8; 16]), Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages as a commit is about to leave them. Only when it has succeeded are they known to be so.
#[must_use = "pages that a commit has written are kept once it has succeeded"]
#[derive(Default)]
pub(crate) struct Grown(Vec<(PageState, Arc<Entries>)>);

impl Grown {
    pub(super) fn push(&mut self, at: PageState, entries: Arc<Entries>) {
        self.0.push((at, entries));
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Keeps them: the commit has succeeded.
    pub(crate) fn keep(self, vault: &Vault) {
        for (at, entries) in self.0 {
            vault.opened.keep(at, entries);
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_model::{RecordId, SubjectId};

    use super::*;

    fn hit(number: u8) -> Hit {
        Hit {
            subject: SubjectId::from_bytes([number; 16]),
            record: RecordId::from_bytes([number; 16]),
        }
    }

    #[test]
    fn a_tag_is_found_as_it_was_added_first() {
        let mut entries = Entries::default();
        for number in [5, 1, 9, 3, 7] {
            assert!(entries.add([number; 16], hit(number)), "{number} was free");
        }
        assert!(!entries.add([9; 16], hit(1)), "9 is taken");
        for number in 0..=10 {
            let found = entries.find(&[number; 16]);
            assert_eq!(found, (number % 2 == 1).then(|| hit(number)), "{number}");
        }
    }

    #[test]
    fn a_page_is_known_in_the_state_in_which_it_was_kept_and_in_no_other() {
        let opened = Opened::default();
        let (one, other) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let at = PageState { tenant: one, page: [7; 16], version: 4 };
        opened.keep(at, Arc::default());
        assert!(opened.find(at).is_some());
        assert!(opened.find(PageState { version: 5, ..at }).is_none());
        assert!(opened.find(PageState { tenant: other, ..at }).is_none());
        assert!(opened.find(PageState { page: [8; 16], ..at }).is_none());
        let foreign = PageState { tenant: other, ..at };
        opened.keep(foreign, Arc::default());
        opened.forget(one);
        assert!(opened.find(at).is_none() && opened.find(foreign).is_some());
        opened.clear();
        assert!(opened.find(foreign).is_none());
    }
}
