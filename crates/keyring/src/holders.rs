//! The holders together: loading shares, installing new ones, forgetting all but the one in force.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::{Context, Key, MessagePurpose, root, stream};
use strongroom_model::TenantId;

use crate::holder::{Grade, Holder, HolderError};
use crate::keyring::Keyring;
use crate::node::{Node, Place};
use crate::outcome::HolderReport;
use crate::rows::{ClearRow, TreeHead};
use crate::secrets::Secrets;
use crate::tree::{Position, TreeName};
use crate::{KeyError, Result};

/// A holder that is silent for so long is behind.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// One share of every class.
pub(crate) type Shares = BTreeMap<u8, Key>;

impl Keyring {
    /// The root secret in force, checked against the root tree's top; nothing is changed.
    pub(crate) async fn load_secrets(&self, seal: &Key) -> Result<Secrets> {
        let (in_force, record) = self.protocol_rows().await?;
        let number = in_force.value.number;
        self.refuse_later_shares(record.value.number).await?;
        let shares = self.load_shares(seal, number).await?;
        let root = self.root_of(number, &shares)?;
        self.check_root(&root).await?;
        self.core.number.store(number, std::sync::atomic::Ordering::SeqCst);
        Ok(Secrets::new(seal.duplicate(), number, root))
    }

    /// One share of every class, from the first holder of the class that gives it.
    pub(crate) async fn load_shares(&self, seal: &Key, number: u64) -> Result<Shares> {
        let mut shares = Shares::new();
        for class in self.classes() {
            shares.insert(class, self.load_share(seal, class, number).await?);
        }
        Ok(shares)
    }

    pub(crate) fn root_of(&self, number: u64, shares: &Shares) -> Result<Key> {
        let shares: Vec<_> = shares.iter().map(|(class, share)| (*class, share)).collect();
        Ok(root::derive(self.core.install, number, &shares)?)
    }

    /// The classes of the installation, ascending.
    pub(crate) fn classes(&self) -> BTreeSet<u8> {
        self.core.enrolled.iter().map(|holder| holder.class).collect()
    }

    /// Gives every holder of a new installation its share. All of them must take it.
    pub(crate) async fn install_first_shares(&self, seal: &Key, number: u64) -> Result<Shares> {
        for holder in &self.core.holders {
            let holding = within(holder.list()).await.map_err(|error| for_unlock(&error))?;
            if !holding.shares.is_empty() || holding.damaged > 0 {
                return Err(KeyError::AlreadyCreated);
            }
        }
        let shares = self.new_shares()?;
        for holder in &self.core.holders {
            self.install_one(holder, seal, &shares, number).await.map_err(|error| {
                tracing::warn!(holder = ?holder.id(), %error, "a holder does not take its share");
                for_unlock(&error)
            })?;
        }
        Ok(shares)
    }

    /// A fresh random share of every class.
    pub(crate) fn new_shares(&self) -> Result<Shares> {
        let fresh = |class| Ok((class, Key::generate(self.core.rng.as_ref())?));
        self.classes().into_iter().map(fresh).collect()
    }

    /// Gives every holder its new share, beside the old one, and reads it back. True if every class
    /// has a holder that took it.
    pub(crate) async fn install_everywhere(
        &self,
        seal: &Key,
        shares: &Shares,
        number: u64,
    ) -> bool {
        let mut missing = self.classes();
        for holder in &self.core.holders {
            match self.install_one(holder, seal, shares, number).await {
                Ok(()) => drop(missing.remove(&holder.class())),
                Err(error) => warn_behind(holder, &error),
            }
        }
        missing.is_empty()
    }

    async fn install_one(
        &self,
        holder: &Arc<dyn Holder>,
        seal: &Key,
        shares: &Shares,
        number: u64,
    ) -> std::result::Result<(), HolderError> {
        let share = shares.get(&holder.class()).ok_or(HolderError::Missing)?;
        let context = self.slot_context(holder, number);
        let sealed = stream::seal(seal, &context, share.expose(), self.core.rng.as_ref())
            .map_err(|_| HolderError::Unavailable("no randomness".to_owned()))?;
        within(holder.install(number, &sealed)).await?;
        self.read_back(holder, seal, share, number).await
    }

    /// Makes every holder keep the share in force and nothing else, and reports how they stand.
    /// `highest` is the highest number ever used: a holder with a later one is left alone.
    pub(crate) async fn settle(
        &self,
        seal: &Key,
        shares: &Shares,
        number: u64,
        highest: u64,
    ) -> Vec<HolderReport> {
        let mut reports: BTreeMap<u8, HolderReport> = BTreeMap::new();
        for known in &self.core.enrolled {
            let holder = self.core.holders.iter().find(|holder| holder.id() == known.id);
            let settled = match holder {
                Some(holder) => self
                    .settle_one(holder, seal, shares, number, highest)
                    .await
                    .inspect_err(|error| warn_behind(holder, error))
                    .is_ok(),
                None => false,
            };
            let grade = holder.map_or(Grade::Hardware, |holder| holder.grade());
            let report = reports.entry(known.class).or_insert(HolderReport {
                class: known.class,
                grade,
                replicas: 0,
                forgotten: 0,
                behind: 0,
            });
            report.grade = report.grade.min(grade);
            report.replicas += 1;
            report.forgotten += usize::from(settled);
            report.behind += usize::from(!settled);
        }
        reports.into_values().collect()
    }

    async fn settle_one(
        &self,
        holder: &Arc<dyn Holder>,
        seal: &Key,
        shares: &Shares,
        number: u64,
        highest: u64,
    ) -> std::result::Result<(), HolderError> {
        let holding = within(holder.list()).await?;
        if holding.shares.iter().any(|held| held.number > highest) {
            return Err(HolderError::Damaged("it keeps a share of a later number"));
        }
        let share = shares.get(&holder.class()).ok_or(HolderError::Missing)?;
        let keeps_it = holding.shares.iter().any(|held| held.number == number);
        if keeps_it {
            // Nothing is forgotten unless the share in force was just read back.
            self.read_back(holder, seal, share, number).await?;
        }
        for held in holding.shares.iter().filter(|held| held.number != number) {
            within(holder.forget(held.number, held.tag)).await?;
        }
        if holding.damaged > 0 {
            within(holder.forget_damaged()).await?;
        }
        if !keeps_it {
            // It was behind; the share came from another holder of its class.
            self.install_one(holder, seal, shares, number).await?;
        }
        let after = within(holder.list()).await?;
        let only_this = after.shares.iter().all(|held| held.number == number);
        if only_this && after.shares.len() == 1 && after.damaged == 0 {
            Ok(())
        } else {
            Err(HolderError::Damaged("it did not forget"))
        }
    }

    /// Reads a share back and compares it.
    async fn read_back(
        &self,
        holder: &Arc<dyn Holder>,
        seal: &Key,
        share: &Key,
        number: u64,
    ) -> std::result::Result<(), HolderError> {
        let sealed = within(holder.read(number)).await?;
        let kept = self
            .open_share(holder, seal, number, &sealed)
            .map_err(|_| HolderError::Damaged("what it keeps cannot be opened"))?;
        if kept.is_same_as(share) {
            Ok(())
        } else {
            Err(HolderError::Damaged("it keeps another share than its class"))
        }
    }

    async fn load_share(&self, seal: &Key, class: u8, number: u64) -> Result<Key> {
        let mut reason = KeyError::HoldersUnavailable;
        for holder in self.core.holders.iter().filter(|holder| holder.class() == class) {
            match within(holder.read(number)).await {
                Ok(sealed) => match self.open_share(holder, seal, number, &sealed) {
                    Ok(share) => return Ok(share),
                    Err(_) => reason = KeyError::WrongSealKey,
                },
                Err(error) => {
                    warn_behind(holder, &error);
                    reason = for_unlock(&error);
                }
            }
        }
        Err(reason)
    }

    fn open_share(
        &self,
        holder: &Arc<dyn Holder>,
        seal: &Key,
        number: u64,
        sealed: &[u8],
    ) -> Result<Key> {
        let share = stream::open(seal, &self.slot_context(holder, number), sealed)?;
        Key::from_slice(share.expose()).ok_or(KeyError::Damaged("a share does not have 32 bytes"))
    }

    fn slot_context(&self, holder: &Arc<dyn Holder>, number: u64) -> Context {
        Context {
            purpose: MessagePurpose::Slot,
            epoch: 0,
            install: self.core.install,
            tenant: TenantId::PROVIDER,
            subject: [0; 16],
            object: holder.id().0,
            collection: 0,
            index: u64::from(holder.class()),
            number: 0,
            version: number,
        }
    }

    /// A holder that has seen more batches than the store: the store is an older copy.
    async fn refuse_later_shares(&self, highest: u64) -> Result<()> {
        for holder in &self.core.holders {
            let Ok(holding) = within(holder.list()).await else { continue };
            if holding.shares.iter().any(|held| held.number > highest) {
                return Err(KeyError::Mismatch(
                    "a holder is ahead of the store: the store is an older copy",
                ));
            }
        }
        Ok(())
    }

    /// Whether the root secret opens the top of the root tree.
    async fn check_root(&self, root: &Key) -> Result<()> {
        let [head] = self.rows([TreeName::ROOT.head_key()]).await?;
        let head = TreeHead::of(head.as_ref())?
            .ok_or(KeyError::Damaged("the root tree's head is missing"))?;
        let level = head.value.height.saturating_sub(1);
        let position = Position { name: TreeName::ROOT, level, index: 0 };
        let [top] = self.rows([position.row_key()]).await?;
        let top = top.ok_or(KeyError::Damaged("the root tree's top is missing"))?;
        let place = Place { install: self.core.install, position, version: top.version };
        Node::open(root, &place, &top.value).map(drop)
    }
}

/// The holder's answer, unless it is silent for too long.
async fn within<T>(
    call: impl Future<Output = std::result::Result<T, HolderError>>,
) -> std::result::Result<T, HolderError> {
    tokio::time::timeout(SILENCE_MAX, call)
        .await
        .unwrap_or_else(|_| Err(HolderError::Unavailable("it is silent".to_owned())))
}

fn warn_behind(holder: &Arc<dyn Holder>, error: &HolderError) {
    let id = format!("{:032x}", u128::from_be_bytes(holder.id().0));
    tracing::warn!(holder = id, class = holder.class(), %error, "a holder is behind");
}

/// What a holder's error means to somebody who needs its share.
fn for_unlock(error: &HolderError) -> KeyError {
    match error {
        HolderError::Unavailable(_) => KeyError::HoldersUnavailable,
        HolderError::Damaged(what) => KeyError::Damaged(what),
        HolderError::Missing | HolderError::Full | HolderError::Reused => {
            KeyError::Mismatch("the holders do not keep the root secret of this store")
        }
    }
}
