//! The sum over the rows of a tenant's policy, checked when the policy is first read.

use std::sync::PoisonError;

use strongroom_model::TenantId;
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{KeyRange, RowKey, Standing, Sum};

use super::HeadKey;
use crate::{Vault, VaultError, keyspace};

/// Rows read at once.
const ROWS_AT_ONCE: usize = 1_000;
/// How often a policy that changes meanwhile is read again.
const ROUNDS_MAX: u32 = 64;

impl Vault {
    /// Checks the policies of the tenants whose rows are about to be read, unless that was done since the
    /// server has started.
    pub(crate) async fn check_policies(&self, keys: &[RowKey]) -> Result<(), VaultError> {
        let mut last = None;
        for key in keys {
            let (tenant, kind) = crate::rows::place(key)?;
            if kind.is_policy() && last != Some(tenant) {
                self.check_policy(tenant).await?;
                last = Some(tenant);
            }
        }
        Ok(())
    }

    async fn check_policy(&self, tenant: TenantId) -> Result<(), VaultError> {
        let Some(key) = self.integrity.key.get() else { return Ok(()) };
        let checked = || self.integrity.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().find(&tenant).is_some() {
            return Ok(());
        }
        for _ in 0..ROUNDS_MAX {
            let (version, sum) = self.policy_sum(key, tenant).await?;
            let found = self.sum_policy(key, tenant).await?;
            if self.policy_sum(key, tenant).await?.0 != version {
                continue;
            }
            if found != sum {
                return Err(VaultError::Damaged(
                    "a row of a tenant's policy is missing or older than it was".into(),
                ));
            }
            // A tenant that there is not is nothing to be remembered.
            if version > 0 {
                checked().keep(tenant, ());
            }
            return Ok(());
        }
        Err(VaultError::Conflict)
    }

    /// The sum that stands in the store, and the version of its row, 0 if there is none.
    pub(super) async fn policy_sum(
        &self,
        key: &HeadKey,
        tenant: TenantId,
    ) -> Result<(u64, Sum), VaultError> {
        let at = keyspace::policy_sum(tenant);
        let row = self.store.get_many(std::slice::from_ref(&at)).await?.pop().flatten();
        let Some(row) = row else { return Ok((0, Sum::default())) };
        Ok((row.version, Sum::of_row(key, &at, &row)?))
    }

    /// The sum over the rows that are there.
    pub(super) async fn sum_policy(
        &self,
        key: &HeadKey,
        tenant: TenantId,
    ) -> Result<Sum, VaultError> {
        let mut sum = Sum::default();
        for kind in RowKind::ALL.iter().filter(|kind| kind.is_policy()) {
            let mut range = KeyRange::prefix_of(tenant, *kind);
            loop {
                let rows = self.store.scan(&range, ROWS_AT_ONCE).await?;
                for (at, row) in &rows {
                    sum.add(key, at, Standing::of(at, row.version, &row.value));
                }
                match rows.last() {
                    Some((last, _)) if rows.len() == ROWS_AT_ONCE => range = range.continued(last),
                    Some(_) | None => break,
                }
            }
        }
        Ok(sum)
    }
}
