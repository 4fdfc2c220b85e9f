//! A holder in memory: for a store in memory, and for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_model::InstallId;

use crate::holder::{Grade, Held, Holder, HolderError, HolderId, Holding, ShareTag};

/// Shares that a holder keeps at most: the old one and the new one.
const SHARES_MAX: usize = 2;

/// A holder that lives with its process.
pub struct MemoryHolder {
    id: HolderId,
    install: InstallId,
    class: u8,
    kept: Mutex<Kept>,
}

#[derive(Clone, Default)]
struct Kept {
    shares: BTreeMap<u64, Vec<u8>>,
    highest: u64,
}

impl MemoryHolder {
    /// A holder that keeps nothing yet.
    pub fn new(id: HolderId, install: InstallId, class: u8) -> Self {
        Self { id, install, class, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Holder for MemoryHolder {
    fn id(&self) -> HolderId {
        self.id
    }

    fn installation(&self) -> InstallId {
        self.install
    }

    fn class(&self) -> u8 {
        self.class
    }

    fn grade(&self) -> Grade {
        Grade::Logical
    }

    async fn install(&self, number: u64, sealed: &[u8]) -> Result<(), HolderError> {
        let mut kept = self.kept();
        if kept.shares.get(&number).is_some_and(|share| share == sealed) {
            return Ok(());
        }
        if number <= kept.highest {
            return Err(HolderError::Reused);
        }
        if kept.shares.len() == SHARES_MAX {
            return Err(HolderError::Full);
        }
        kept.highest = number;
        kept.shares.insert(number, sealed.to_vec());
        Ok(())
    }

    async fn read(&self, number: u64) -> Result<Vec<u8>, HolderError> {
        self.kept().shares.get(&number).cloned().ok_or(HolderError::Missing)
    }

    async fn list(&self) -> Result<Holding, HolderError> {
        let kept = self.kept();
        let held =
            |(number, share): (&u64, &Vec<u8>)| Held { number: *number, tag: ShareTag::of(share) };
        Ok(Holding { shares: kept.shares.iter().map(held).collect(), damaged: 0 })
    }

    async fn forget(&self, number: u64, tag: ShareTag) -> Result<(), HolderError> {
        let mut kept = self.kept();
        match kept.shares.get(&number).map(|share| ShareTag::of(share) == tag) {
            None => Ok(()),
            Some(false) => Err(HolderError::Missing),
            Some(true) => {
                kept.shares.remove(&number);
                Ok(())
            }
        }
    }

    async fn forget_damaged(&self) -> Result<(), HolderError> {
        Ok(())
    }
}
