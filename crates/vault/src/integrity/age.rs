//! Whether a store that is being opened is the newest, or an older copy of it.

use std::sync::Arc;

use strongroom_keyring::KeyError;
use strongroom_model::{Action, AuditObject, InstallId, JobName, Principal, TenantId};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange, LineRange, Standing, Store, Sum, Total};

use super::head::{Head, Log, sum_state};
use super::{HeadKey, HeadPlace, retake};
use crate::trail::Attempted;
use crate::{Vault, VaultError, keyspace};

/// Rows and lines read at once.
const AT_ONCE: usize = 1_000;

/// Why a store is not opened.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The head has seen a later state of the store.
    #[error(
        "the store is an older copy: the head outside of it has seen a later one. Bring the newest store; \
         or go on with this one, and lose what came after it: `strongroom accept-older-store`"
    )]
    OlderCopy,
    /// There is no head where it should be.
    #[error(
        "the head of the store is missing, so that nobody can tell whether this is an older copy. Bring it \
         back to where it was, beside the holder; or go on with the store as it is: \
         `strongroom accept-older-store`"
    )]
    NoHead,
    /// The head is not what was written.
    #[error(
        "the head of the store is damaged, so that nobody can tell whether this is an older copy. Bring it \
         back to what it was; or go on with the store as it is: `strongroom accept-older-store`"
    )]
    HeadDamaged,
    /// The head belongs to another installation.
    #[error("the head beside the holder belongs to another installation: bring the right one")]
    HeadOfAnother,
    /// Rows of the store are not those that were written.
    #[error(
        "the store is damaged: {0}. `strongroom verify` finds where; to go on with the store as it is: \
         `strongroom accept-older-store`"
    )]
    Damaged(&'static str),
    /// The store does not answer.
    #[error("the store cannot be read: {0}")]
    Store(#[source] Box<VaultError>),
    /// The keys are not there.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Rejected {
    /// Whether the key is not the one that opens the root secret.
    pub fn is_wrong_key(&self) -> bool {
        matches!(self, Self::Keys(KeyError::WrongSealKey))
    }
}

impl From<VaultError> for Rejected {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Damaged(_) => Self::Damaged("a sum over rows is not what was written"),
            error => Self::Store(Box::new(error)),
        }
    }
}

impl From<strongroom_storage::StoreError> for Rejected {
    fn from(error: strongroom_storage::StoreError) -> Self {
        VaultError::from(error).into()
    }
}

/// What the places outside of the store have.
pub(super) enum Found {
    /// There is no place, or nothing was ever written.
    Nothing,
    /// The newest of them, and its bytes.
    Head(Box<Head>, Vec<u8>),
}

/// How a store stands to its head, as far as that can be told without keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// The number of the store; 0 where it was never unlocked.
    pub store: u64,
    /// The number that the newest head has seen; nothing if there is none.
    pub head: Option<u64>,
}

/// Refuses an older copy before anything is opened, because opening its keys could already change
/// holders.
///
/// # Errors
/// [`Rejected`].
pub async fn check_age(vault: &Vault) -> Result<Age, Rejected> {
    age(&*vault.store, vault.keyring.install(), &vault.integrity.places).await
}

/// The same for a store that is not served.
///
/// # Errors
/// [`Rejected`].
pub async fn age(
    store: &dyn Store,
    install: InstallId,
    places: &[Arc<dyn HeadPlace>],
) -> Result<Age, Rejected> {
    let (number, _) = sum_state(store).await?;
    match heads(places, install).await? {
        Found::Nothing if number > 0 && !places.is_empty() => Err(Rejected::NoHead),
        Found::Nothing => Ok(Age { store: number, head: None }),
        Found::Head(head, _) if head.number > number => Err(Rejected::OlderCopy),
        Found::Head(head, _) => Ok(Age { store: number, head: Some(head.number) }),
    }
}

/// The newest head of all places, if there is one.
async fn heads(places: &[Arc<dyn HeadPlace>], install: InstallId) -> Result<Found, Rejected> {
    let places = places.to_vec();
    let read = tokio::task::spawn_blocking(move || {
        places.iter().map(|place| place.read()).collect::<Vec<_>>()
    });
    let read = read.await.map_err(|error| VaultError::Internal(Box::new(error)))?;
    let mut found = Found::Nothing;
    for bytes in read {
        let bytes = bytes.map_err(|error| VaultError::Unavailable(Box::new(error)))?;
        // Where one place has lost its head, the others have it.
        let Some(bytes) = bytes else { continue };
        let head = Head::parse(&bytes).ok_or(Rejected::HeadDamaged)?;
        if head.install != install {
            return Err(Rejected::HeadOfAnother);
        }
        let is_newer = match &found {
            Found::Nothing => true,
            Found::Head(known, _) => head.number >= known.number,
        };
        if is_newer {
            found = Found::Head(Box::new(head), bytes);
        }
    }
    Ok(found)
}

/// Opens a store whatever its head says, takes its sums and its head anew, and puts that on record.
///
/// # Errors
/// [`Rejected::Keys`] if its keys are not there any more: a copy from before an erasure; otherwise
/// [`Rejected::Store`].
pub async fn accept(vault: &Vault, seal: &strongroom_crypto::Key) -> Result<(), Rejected> {
    vault.keyring.unlock(seal).await?;
    retake(vault).await?;
    let event = Attempted {
        principal: Principal::Job(JobName::Init),
        action: Action::Operate,
        code: "store.accept_older",
        object: AuditObject::Tenant(TenantId::PROVIDER),
    };
    let mut batch = Batch::new();
    batch.line(vault.line(TenantId::PROVIDER, None, event.done()).await?);
    let _committed = vault.store.commit(batch).await?;
    Ok(vault.write_heads().await?)
}

impl Vault {
    pub(super) async fn heads(&self) -> Result<Found, Rejected> {
        heads(&self.integrity.places, self.keyring.install()).await
    }

    /// The number of the newest head; 0 if there is none that can be read.
    pub(super) async fn newest_number(&self) -> Result<u64, VaultError> {
        match self.heads().await {
            Ok(Found::Head(head, _)) => Ok(head.number),
            Err(Rejected::Store(error)) => Err(*error),
            Ok(Found::Nothing) | Err(_) => Ok(0),
        }
    }

    /// Compares the store with its sums and its head once its keys are there, and begins to sum.
    pub(crate) async fn begin_sums(&self) -> Result<(), Rejected> {
        if self.integrity.key.get().is_some() {
            return Ok(());
        }
        let key = self.head_key().await?;
        let at = [keyspace::store_sum(), keyspace::tenant(TenantId::PROVIDER)];
        let mut rows = self.store.get_many(&at).await?.into_iter();
        let (sum, provider) = (rows.next().flatten(), rows.next().flatten());
        let Some(row) = sum else {
            return match (provider, self.heads().await?) {
                // A new installation, in which nothing stands but its keys.
                (None, Found::Nothing) => Ok(retake(self).await?),
                (_, Found::Head(..)) => Err(Rejected::OlderCopy),
                (Some(_), Found::Nothing) => Err(Rejected::Damaged("it has no sum over its rows")),
            };
        };
        let sum = Sum::of_row(&*key, &at[0], &row)?;
        let log = match self.heads().await? {
            Found::Nothing if !self.integrity.places.is_empty() => return Err(Rejected::NoHead),
            Found::Nothing => Log::default(),
            Found::Head(head, bytes) => {
                if !Head::is_proven(&key, &bytes) {
                    return Err(Rejected::HeadDamaged);
                }
                let (number, sum_tag) = sum_state(&*self.store).await?;
                if head.number > number || (head.number == number && head.sum_tag != sum_tag) {
                    return Err(Rejected::OlderCopy);
                }
                self.check_log(&head.log).await?;
                self.catch_up(&key, head.log).await?
            }
        };
        if self.sum_of_policies(&key).await? != sum.policies {
            return Err(Rejected::Damaged("a sum over a tenant's policy is older than it was"));
        }
        self.sum_from_now(key, log).await;
        Ok(self.write_heads().await?)
    }

    pub(super) async fn sum_from_now(&self, key: Arc<HeadKey>, log: Log) {
        *self.integrity.log.lock().await = Some(log);
        self.store.sums().keep(key.clone());
        // It is the same key whoever was first.
        let _ = self.integrity.key.set(key);
    }

    /// Whether the last lines that the head has seen are still there.
    async fn check_log(&self, log: &Log) -> Result<(), Rejected> {
        if log.last_commit.tag != [0; 16] {
            let range = LineRange::all(log.last_commit.before, 1);
            let line = self.store.read_lines(&range).await?.pop();
            if line.is_none_or(|(_, line)| super::tag_of(&line) != log.last_commit.tag) {
                return Err(Rejected::Damaged(
                    "lines are missing at the end of the log of changes",
                ));
            }
        }
        if log.last_append.tag != [0; 16] {
            let mut position = log.last_append.before.with_commits_of(log.position);
            loop {
                let lines = self.store.read_lines(&LineRange::all(position, AT_ONCE)).await?;
                let mut first = None;
                for (after, line) in &lines {
                    if !after.is_of_commit(position) {
                        first = Some(super::tag_of(line));
                        break;
                    }
                    position = *after;
                }
                match first {
                    Some(tag) if tag == log.last_append.tag => break,
                    None if !lines.is_empty() => {}
                    Some(_) | None => {
                        return Err(Rejected::Damaged(
                            "lines are missing at the end of the log of reads",
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// What the sums over policies that stand in the store add up to.
    pub(super) async fn sum_of_policies(&self, key: &HeadKey) -> Result<Total, VaultError> {
        let mut sum = Sum::default();
        let mut range = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::PolicySum);
        loop {
            let rows = self.store.scan(&range, AT_ONCE).await?;
            for (at, row) in &rows {
                sum.add(key, at, Standing::of(at, row.version, &row.value));
            }
            match rows.last() {
                Some((last, _)) if rows.len() == AT_ONCE => range = range.continued(last),
                Some(_) | None => return Ok(sum.total),
            }
        }
    }
}
