//! Takes the sums and the head anew from what stands in the store: for a new store, after a restore,
//! and for an older copy that somebody accepts.

use std::collections::BTreeMap;

use strongroom_model::TenantId;
use strongroom_storage::{Batch, KeyRange, RowKey, Standing, Sum};

use super::head::Log;
use crate::{Vault, VaultError, keyspace};

/// Rows read, and sums written, at once.
const ROWS_AT_ONCE: usize = 1_000;

/// Takes the sums anew, and writes the heads. Nobody else may be writing, and the vault has not summed
/// before: what is done here cannot be told from what an attacker has done. The keyring is unlocked.
///
/// # Errors
/// [`VaultError::Locked`], [`VaultError::Unavailable`], [`VaultError::Damaged`];
/// [`VaultError::Conflict`] if the vault sums already.
pub async fn retake(vault: &Vault) -> Result<(), VaultError> {
    if vault.integrity.key.get().is_some() {
        return Err(VaultError::Conflict);
    }
    let key = vault.head_key().await?;
    let mut whole = Sum::default();
    let mut policies: BTreeMap<TenantId, Sum> = BTreeMap::new();
    let mut old: BTreeMap<RowKey, u64> = BTreeMap::new();
    let mut number = vault.newest_number().await?;
    let mut range = KeyRange::prefix(&[]);
    loop {
        let rows = vault.store.scan(&range, ROWS_AT_ONCE).await?;
        for (at, row) in &rows {
            let (tenant, kind) = crate::rows::place(at)?;
            if *at == keyspace::store_sum() {
                number = number.max(row.version);
            } else if !kind.is_summed() {
                if keyspace::parse_policy_sum(at).is_some() {
                    old.insert(at.clone(), row.version);
                }
            } else {
                let standing = Standing::of(at, row.version, &row.value);
                whole.add(&*key, at, standing);
                if kind.is_policy() {
                    policies.entry(tenant).or_default().add(&*key, at, standing);
                }
            }
        }
        match rows.last() {
            Some((last, _)) if rows.len() == ROWS_AT_ONCE => range = range.continued(last),
            Some(_) | None => break,
        }
    }
    let mut batch = Batch::new();
    let mut in_batch = 0;
    for (tenant, sum) in policies {
        let at = keyspace::policy_sum(tenant);
        let version = old.remove(&at).unwrap_or(0).saturating_add(1);
        let standing = Standing::unmarked(version);
        whole.add(&*key, &at, standing);
        let mut part = Sum::default();
        part.add(&*key, &at, standing);
        whole.policies.add(&part.total.to_bytes());
        let value = sum.to_value(&*key, &at, version);
        batch.put(at, version, value);
        in_batch += 1;
        if in_batch == ROWS_AT_ONCE {
            let _committed = vault.store.commit(std::mem::take(&mut batch)).await?;
            in_batch = 0;
        }
    }
    for at in old.into_keys() {
        batch.delete(at);
    }
    let at = keyspace::store_sum();
    let number = number.saturating_add(1);
    let value = whole.to_value(&*key, &at, number);
    batch.put(at, number, value);
    let _committed = vault.store.commit(batch).await?;
    let log = vault.catch_up(&key, Log::default()).await?;
    vault.sum_from_now(key, log).await;
    vault.write_heads().await
}
