//! Reads the whole store and proves it: every row opens in its place, the sums agree, and the chains
//! of lines have no gap.

use std::collections::HashMap;

use strongroom_crypto::line;
use strongroom_keyring::{Half, Service};
use strongroom_model::{Collection, CollectionNumber, TenantId};
use strongroom_storage::keyspace::{Owner, RowKind};
use strongroom_storage::{KeyRange, LinePosition, LineRange, Row, RowKey, Standing, Sum, Total};

use super::HeadKey;
use super::age::{Found, Rejected, check_age};
use super::head::{Head, sum_state};
use crate::records::SealedRecord;
use crate::{Vault, VaultError, keyspace};

/// Rows and lines read at once.
const AT_ONCE: usize = 500;
/// Damages that are told one by one; the rest is counted.
const DAMAGES_MAX: usize = 1_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Rows that were read.
    pub rows: u64,
    /// Rows of which it was proven that they are what was sealed.
    pub opened: u64,
    /// Rows that wait to be cleared: their keys were erased.
    pub erased: u64,
    /// Lines that were read.
    pub lines: u64,
    /// Lines of which it was proven that they are what was sealed, in their order.
    pub lines_opened: u64,
    /// Whether there was a head outside of the store to compare it with.
    pub has_head: bool,
    /// What is not as it should be, the first thousand.
    pub damages: Vec<Damage>,
    /// How many there are altogether.
    pub damage_count: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A row does not open in its place.
    Row {
        /// Its kind.
        kind: RowKind,
        /// Whose it is.
        tenant: TenantId,
    },
    /// A row is of no kind that there is.
    Foreign,
    /// Rows of a tenant's policy are missing, were added, or are older than they were.
    Policy {
        /// Whose policy.
        tenant: TenantId,
    },
    /// Rows of the store are missing, were added, or are older than they were.
    Store,
    /// A line does not open after the one before it, or is missing.
    Line {
        /// Whose log.
        tenant: TenantId,
        /// Who wrote it.
        node: u32,
        /// Its number.
        n: u64,
    },
    /// Lines are missing, or were added, among those that the head has seen.
    Log,
    /// The store is older than its head, or its head is not what was written.
    Head,
}

impl Report {
    fn found(&mut self, damage: Damage) {
        self.damage_count += 1;
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(damage);
        }
    }
}

/// Proves the whole store. Nobody else may be writing, and the vault has not been unlocked; `progress` is
/// told how many rows and lines have been read.
///
/// # Errors
/// [`Rejected::Keys`] if the keys do not open; [`Rejected::Store`] if the store cannot be read.
pub async fn verify(
    vault: &Vault,
    seal: &strongroom_crypto::Key,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, Rejected> {
    let mut report = Report::default();
    match check_age(vault).await {
        Ok(_) => {}
        // What can be told of it is told; opening its keys could change the holders.
        Err(Rejected::OlderCopy) => {
            report.found(Damage::Head);
            return Ok(report);
        }
        Err(Rejected::NoHead | Rejected::HeadDamaged | Rejected::HeadOfAnother) => {
            report.found(Damage::Head);
        }
        Err(error @ (Rejected::Damaged(_) | Rejected::Store(_) | Rejected::Keys(_))) => {
            return Err(error);
        }
    }
    vault.keyring.unlock(seal).await?;
    let key = vault.head_key().await?;
    let head = match vault.heads().await {
        Ok(Found::Head(head, bytes)) if Head::is_proven(&key, &bytes) => Some(*head),
        Ok(Found::Head(..)) => {
            report.found(Damage::Head);
            None
        }
        Ok(Found::Nothing) | Err(_) => None,
    };
    report.has_head = head.is_some();
    vault.scan_rows(&key, head, &mut report, progress).await?;
    vault.scan_lines(&key, head, &mut report, progress).await?;
    Ok(report)
}

/// What is known of the tenant whose rows are being read.
#[derive(Default)]
struct Current {
    tenant: Option<TenantId>,
    policy: Sum,
    collections: HashMap<CollectionNumber, Collection>,
}

impl Vault {
    async fn scan_rows(
        &self,
        key: &HeadKey,
        head: Option<Head>,
        report: &mut Report,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), VaultError> {
        let mut whole = Sum::default();
        let mut current = Current::default();
        let mut range = KeyRange::prefix(&[]);
        loop {
            let rows = self.store.scan(&range, AT_ONCE).await?;
            // Damage to an engine's file may hide a row from one way to it and not from the other.
            let keys: Vec<RowKey> = rows.iter().map(|(at, _)| at.clone()).collect();
            let looked_up = self.store.get_many(&keys).await?;
            for ((at, row), looked_up) in rows.iter().zip(looked_up) {
                report.rows += 1;
                let Ok((tenant, kind)) = crate::rows::place(at) else {
                    report.found(Damage::Foreign);
                    continue;
                };
                if current.tenant != Some(tenant) {
                    self.end_tenant(key, &current, report).await?;
                    current = Current { tenant: Some(tenant), ..Current::default() };
                }
                let standing = Standing::of(at, row.version, &row.value);
                if kind.is_summed() || kind == RowKind::PolicySum {
                    whole.add(key, at, standing);
                }
                if kind.is_policy() {
                    current.policy.add(key, at, standing);
                }
                if looked_up.as_ref() != Some(row) {
                    report.found(Damage::Row { kind, tenant });
                    continue;
                }
                match self.prove(key, &mut current, (tenant, kind), at, row).await {
                    Ok(true) => report.opened += 1,
                    Ok(false) => {}
                    Err(VaultError::Erased(_)) => report.erased += 1,
                    Err(VaultError::Damaged(_) | VaultError::NotFound) => {
                        report.found(Damage::Row { kind, tenant });
                    }
                    Err(error) => return Err(error),
                }
            }
            progress(report.rows);
            match rows.last() {
                Some((last, _)) if rows.len() == AT_ONCE => range = range.continued(last),
                Some(_) | None => break,
            }
        }
        self.end_tenant(key, &current, report).await?;
        let policies = self.sum_of_policies(key).await?;
        let at = keyspace::store_sum();
        let row = self.store.get_many(std::slice::from_ref(&at)).await?.pop().flatten();
        let stands = row.as_ref().and_then(|row| Sum::of_row(key, &at, row).ok());
        let is_whole = stands.is_some_and(|sum| {
            (sum.rows, sum.total, sum.policies) == (whole.rows, whole.total, policies)
        });
        if !is_whole {
            report.found(Damage::Store);
        }
        let (number, tag) = sum_state(&*self.store).await?;
        if head.is_some_and(|head| head.number == number && head.sum_tag != tag) {
            report.found(Damage::Head);
        }
        Ok(())
    }

    async fn end_tenant(
        &self,
        key: &HeadKey,
        current: &Current,
        report: &mut Report,
    ) -> Result<(), VaultError> {
        let Some(tenant) = current.tenant else { return Ok(()) };
        match self.policy_sum(key, tenant).await {
            Ok((_, sum)) if sum == current.policy => Ok(()),
            Ok(_) | Err(VaultError::Damaged(_)) => {
                report.found(Damage::Policy { tenant });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a row is what was sealed for its place; `false` where nothing is sealed, or where it is
    /// proven with another row.
    async fn prove(
        &self,
        key: &HeadKey,
        current: &mut Current,
        (tenant, kind): (TenantId, RowKind),
        at: &RowKey,
        row: &Row,
    ) -> Result<bool, VaultError> {
        match (kind, kind.owner()) {
            (RowKind::StoreSum | RowKind::PolicySum, _) => {
                Sum::of_row(key, at, row)?;
                Ok(true)
            }
            // Their versions are summed; their keys are used to open the rows below them.
            // Entries open with their page.
            (RowKind::IndexEntry, _) | (_, Owner::Clear | Owner::KeyState | Owner::Day) => {
                Ok(false)
            }
            (RowKind::IndexPage, _) => {
                let (number, _, _) =
                    keyspace::parse_index_page(at).ok_or_else(crate::rows::damaged)?;
                let collection = current.collections.get(&CollectionNumber(number));
                self.check_page(tenant, number, collection, at, row).await?;
                Ok(true)
            }
            (RowKind::Record, _) => {
                let (_, number, id) =
                    keyspace::parse_record(at).ok_or_else(crate::rows::damaged)?;
                let sealed = SealedRecord::parse(row.clone())?;
                let Some(collection) = current.collections.get(&number) else {
                    // Its collection was erased, or is damaged and was told as such.
                    return Err(VaultError::Erased(None));
                };
                let record_key = self.record_key(tenant, collection, sealed.place).await?;
                self.open_head(&record_key, tenant, collection, id, &sealed)?.prove()?;
                Ok(true)
            }
            (RowKind::Collection, _) => {
                let (collection, _) = self.open_row::<Collection>(at, row).await?;
                current.collections.insert(collection.number, collection);
                Ok(true)
            }
            (
                _,
                Owner::TenantAccount
                | Owner::TenantData
                | Owner::User
                | Owner::Subject
                | Owner::Job,
            ) => {
                self.prove_row(at, row).await?;
                Ok(true)
            }
        }
    }

    async fn scan_lines(
        &self,
        key: &HeadKey,
        head: Option<Head>,
        report: &mut Report,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), VaultError> {
        let mut position = LinePosition::START;
        let (mut seen, mut total) = (0, Total::default());
        let mut lane = Chains::default();
        let mut in_commits = true;
        loop {
            let lines = self.store.read_lines(&LineRange::all(position, AT_ONCE)).await?;
            if lines.is_empty() {
                break;
            }
            for (after, sealed) in &lines {
                if in_commits && !after.is_of_commit(position) {
                    (in_commits, lane) = (false, Chains::default());
                }
                if head.is_some_and(|head| after.is_within(position, head.log.position)) {
                    seen += 1;
                    total.add(&key.line(sealed));
                }
                position = *after;
                report.lines += 1;
                self.prove_line(&mut lane, sealed, report).await?;
            }
            progress(report.rows + report.lines);
        }
        if head.is_some_and(|head| (head.log.lines, head.log.total) != (seen, total)) {
            report.found(Damage::Log);
        }
        Ok(())
    }

    async fn prove_line(
        &self,
        lane: &mut Chains,
        sealed: &[u8],
        report: &mut Report,
    ) -> Result<(), VaultError> {
        let Some(prefix) = line::Prefix::parse(sealed) else {
            report.found(Damage::Foreign);
            return Ok(());
        };
        let (tenant, node, n) = (prefix.tenant, prefix.node, prefix.n);
        if lane.node < node {
            (lane.node, lane.ends) = (node, HashMap::new());
        }
        let (next, previous_tag) = lane.ends.get(&tenant).copied().unwrap_or_default();
        let mut is_whole = lane.node == node && next == n;
        match self.keyring.service(tenant, Half::Data, Service::Audit).await {
            Ok(key) if is_whole => match line::open(&key, &previous_tag, sealed) {
                Ok(_) => report.lines_opened += 1,
                Err(_) => is_whole = false,
            },
            // An erased tenant's log cannot be read any more; its lines are counted.
            Ok(_) | Err(strongroom_keyring::KeyError::Gone) => {}
            Err(error) => return Err(error.into()),
        }
        if !is_whole {
            report.found(Damage::Line { tenant, node, n });
        }
        lane.ends.insert(tenant, (n.saturating_add(1), super::tag_of(sealed)));
        Ok(())
    }
}

/// The ends of the chains of the node that is writing a lane.
#[derive(Default)]
struct Chains {
    node: u32,
    ends: HashMap<TenantId, (u64, [u8; 16])>,
}
