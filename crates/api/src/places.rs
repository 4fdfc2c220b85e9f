//! How much of what takes long goes on at a time: archives, each of which keeps a page of records in memory
//! for as long as its reader takes, and files that are sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use strongroom_model::TenantId;

/// So many of them a server works on at a time.
const PLACES_MAX: usize = 16;
/// So many of one tenant.
const PLACES_OF_TENANT_MAX: usize = 4;

/// Who has a place now.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<TenantId, usize>>);

/// A place; it is free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    tenant: TenantId,
}

impl Places {
    /// A place for this tenant, if there is one.
    pub(crate) fn take(self: &Arc<Self>, tenant: TenantId) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&tenant).copied().unwrap_or_default();
        if all >= PLACES_MAX || own >= PLACES_OF_TENANT_MAX {
            return None;
        }
        taken.insert(tenant, own + 1);
        Some(Place { places: self.clone(), tenant })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => drop(taken.remove(&self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_bytes([number; 16])
    }

    #[test]
    fn a_tenant_has_some_places_and_leaves_others_to_others() {
        let places = Arc::new(Places::default());
        let mut held: Vec<_> = (0..4).map(|_| places.take(tenant(1)).unwrap()).collect();
        assert!(places.take(tenant(1)).is_none());
        held.extend((0..12).map(|number| places.take(tenant(2 + number / 4)).unwrap()));
        assert!(places.take(tenant(9)).is_none());
        held.swap_remove(0);
        assert!(places.take(tenant(9)).is_some());
        assert!(places.take(tenant(1)).is_some());
        held.clear();
        assert!(places.0.lock().unwrap().is_empty());
    }
}
