//! The job gives one tenant a version of its blueprint: all of it and its outcome in one commit, so
//! that it can be stopped anywhere and done again.

use strongroom_access_policy::{AccessRequest, Actor, Facts, HeldClass, Refusal, decide};
use strongroom_keyring::Half;
use strongroom_model::{
    Action, ApplyBlueprint, AuditObject, BlueprintClass, BlueprintCollection, BlueprintOfTenant,
    BlueprintVersion, ClassId, ClassTerms, Collection, CollectionName, FieldName, Given,
    GivenClass, GivenCollection, JobId, JobItem, JobName, JobOutcome, PermissionClass, Principal,
    SubjectRule, Tenant, TenantId, TenantState,
};
use strongroom_storage::keyspace::RowKind;
use strongroom_storage::{Batch, KeyRange};

use crate::blueprints::merge::{self, terms_of};
use crate::blueprints::plant::{enlist, put_new};
use crate::classes::{CLASSES_MAX, ClassList};
use crate::collections::{COLLECTIONS_MAX, CollectionList, references};
use crate::jobs::{Errand, KEPT_MAX};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Vault, VaultError, keyspace};

/// Tenants looked at for one page of the job.
const TENANTS_AT_ONCE: usize = 256;
/// The word on the tenant's audit line.
const CODE: &str = "blueprint.apply";

/// The next tenants of a job.
pub(crate) struct Page {
    /// The tenants.
    pub(crate) tenants: Vec<TenantId>,
    /// Where the job goes on after them.
    pub(crate) checkpoint: Vec<u8>,
    /// Whether they are the last.
    pub(crate) is_last: bool,
}

/// The tenants that come after a checkpoint.
///
/// # Errors
/// [`VaultError::Unavailable`] if the store fails.
pub(crate) async fn page_of_tenants(
    vault: &Vault,
    order: &ApplyBlueprint,
    checkpoint: &[u8],
) -> Result<Page, VaultError> {
    if let Some(named) = &order.tenants {
        let left = named.iter().filter(|tenant| tenant.as_bytes().as_slice() > checkpoint);
        let tenants: Vec<TenantId> = left.take(TENANTS_AT_ONCE).copied().collect();
        let is_last = tenants.len() < TENANTS_AT_ONCE;
        let last = tenants.last().map(|tenant| tenant.as_bytes().to_vec());
        return Ok(Page {
            tenants,
            checkpoint: last.unwrap_or_else(|| checkpoint.to_vec()),
            is_last,
        });
    }
    let prefix = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
    let range = match checkpoint.try_into() {
        Ok(last) => prefix.continued(&keyspace::known_tenant(TenantId::from_bytes(last))),
        Err(_) => prefix,
    };
    let rows = vault.store.scan(&range, TENANTS_AT_ONCE).await?;
    let last = rows.last().and_then(|(key, _)| keyspace::parse_id(key)).map(|(_, _, id)| id);
    let found = vault.tenants_among(rows.iter().map(|(key, _)| key)).await?;
    let of_blueprint = |tenant: &Tenant| {
        tenant.blueprint.as_ref().is_some_and(|given| given.id == order.blueprint)
    };
    Ok(Page {
        tenants: found.iter().filter(|it| of_blueprint(it)).map(|it| it.id).collect(),
        checkpoint: last.map_or_else(|| checkpoint.to_vec(), |last| last.to_vec()),
        is_last: rows.len() < TENANTS_AT_ONCE,
    })
}

/// How many tenants a job has before it.
///
/// # Errors
/// As for [`page_of_tenants`].
pub(crate) async fn total(vault: &Vault, order: &ApplyBlueprint) -> Result<u64, VaultError> {
    let mut total = 0u64;
    let mut checkpoint = Vec::new();
    loop {
        let page = page_of_tenants(vault, order, &checkpoint).await?;
        total = total.saturating_add(page.tenants.len() as u64);
        if page.is_last {
            return Ok(total);
        }
        checkpoint = page.checkpoint;
    }
}

/// Gives a tenant the version; nothing if the job is not the worker's any more.
///
/// # Errors
/// [`VaultError::Unavailable`], [`VaultError::Locked`]: it is tried again.
pub(crate) async fn give(
    vault: &Vault,
    errand: &Errand,
    order: &ApplyBlueprint,
    tenant: TenantId,
) -> Result<Option<JobOutcome>, VaultError> {
    attempt(|| once(vault, errand, order, tenant)).await
}

async fn once(
    vault: &Vault,
    errand: &Errand,
    order: &ApplyBlueprint,
    tenant: TenantId,
) -> Result<Option<JobOutcome>, VaultError> {
    let mut snapshot = Snapshot::new(vault);
    let item_key = keyspace::job_item(TenantId::PROVIDER, errand.job, tenant.as_bytes());
    if snapshot.ours(errand).await?.is_none() {
        return Ok(None);
    }
    // A worker that ended between this commit and its checkpoint has done it.
    if let Some(done) = snapshot.load::<JobItem>(&item_key).await? {
        return Ok(Some(done.outcome));
    }
    let mut work = Work { vault, order, tenant, batch: Batch::new(), kept: Vec::new() };
    let ended = match work.plan(&mut snapshot).await {
        Ok(ended) => ended,
        Err(VaultError::Erased(_) | VaultError::NotFound) => Ended::without(JobOutcome::Skipped),
        Err(VaultError::WrongState { code, .. }) => Ended::failed(code),
        Err(VaultError::Damaged(error)) => {
            tracing::warn!(%tenant, %error, "a tenant could not be given its blueprint");
            Ended::failed("damaged")
        }
        Err(error) => return Err(error),
    };
    if ended.outcome == JobOutcome::Unchanged {
        return Ok(Some(ended.outcome));
    }
    let mut batch = if ended.changes { work.batch } else { Batch::new() };
    let mut kept = work.kept;
    kept.truncate(KEPT_MAX);
    let item = JobItem {
        outcome: ended.outcome,
        kept: if ended.changes { kept } else { Vec::new() },
        problem: ended.problem.map(str::to_owned),
    };
    let value = vault.seal_row(&item_key, OwnerLeaf::NOBODY, 1, &item).await?;
    batch.put(item_key, 1, value);
    let attempted = Attempted {
        principal: Principal::Job(JobName::ApplyBlueprint),
        action: Action::ManageSchema,
        code: CODE,
        object: AuditObject::Other(JobId::PREFIX, *errand.job.as_bytes()),
    };
    if let Some(refusal) = &ended.refusal {
        let event = attempted.refused(refusal, String::new());
        batch.line(vault.line(tenant, None, event).await?);
    } else if ended.changes {
        batch.line(vault.line(tenant, None, attempted.done()).await?);
    }
    snapshot.expect_in(&mut batch);
    let _committed = vault.store.commit(batch).await?;
    Ok(Some(ended.outcome))
}

/// How a tenant's part of the job ends.
struct Ended {
    outcome: JobOutcome,
    /// Whether the rows that were planned are written.
    changes: bool,
    refusal: Option<Refusal>,
    problem: Option<&'static str>,
}

impl Ended {
    fn without(outcome: JobOutcome) -> Self {
        Self { outcome, changes: false, refusal: None, problem: None }
    }

    fn failed(code: &'static str) -> Self {
        Self { problem: Some(code), ..Self::without(JobOutcome::Failed) }
    }
}

/// What is to be written for one tenant.
struct Work<'v> {
    vault: &'v Vault,
    order: &'v ApplyBlueprint,
    tenant: TenantId,
    batch: Batch,
    kept: Vec<String>,
}

impl Work<'_> {
    async fn plan(&mut self, snapshot: &mut Snapshot<'_>) -> Result<Ended, VaultError> {
        let key = keyspace::tenant(self.tenant);
        let Some(tenant) = snapshot.load::<Tenant>(&key).await? else {
            return Ok(Ended::without(JobOutcome::Skipped));
        };
        if tenant.state == TenantState::Erased {
            return Ok(Ended::without(JobOutcome::Skipped));
        }
        let had = tenant.blueprint.as_ref();
        if had.is_some_and(|had| had.id != self.order.blueprint) {
            return Ok(Ended::failed("other_blueprint"));
        }
        if had.is_some_and(|had| had.version >= self.order.version) {
            return Ok(Ended::without(JobOutcome::Unchanged));
        }
        if let Err(refusal) = decide_for_job(self.vault, tenant.state)? {
            let code = refusal.reason_code();
            return Ok(Ended { refusal: Some(refusal), ..Ended::failed(code) });
        }

        let next = snapshot.blueprint_version(self.order.blueprint, self.order.version).await?;
        let given_key = keyspace::given_blueprint(self.tenant);
        let found = snapshot.load::<Given>(&given_key).await?;
        let row = found.as_ref().map_or(0, |found| found.version);
        let before = found.map_or_else(Given::default, |found| (*found.value).clone());
        let given = Given {
            collections: self.collections(snapshot, &next, before.collections).await?,
            classes: self.classes(snapshot, &next, before.classes).await?,
        };
        self.put(given_key, row, &given).await?;
        let of_tenant = BlueprintOfTenant {
            id: self.order.blueprint,
            name: self.order.name.clone(),
            version: self.order.version,
        };
        let changed = Tenant { blueprint: Some(of_tenant), ..(*tenant.value).clone() };
        self.put(key, tenant.version, &changed).await?;
        let outcome = if self.kept.is_empty() { JobOutcome::Applied } else { JobOutcome::Kept };
        Ok(Ended { changes: true, ..Ended::without(outcome) })
    }

    /// Writes the next version of a row; version 0 is that of one that is not there.
    async fn put<T: minicbor::Encode<()>>(
        &mut self,
        key: strongroom_storage::RowKey,
        version: u64,
        value: &T,
    ) -> Result<(), VaultError> {
        let sealed = self.vault.seal_row(&key, OwnerLeaf::NOBODY, version + 1, value).await?;
        if version == 0 {
            self.batch.expect_absent(key.clone());
        }
        self.batch.put(key, version + 1, sealed);
        Ok(())
    }

    async fn collections(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        next: &BlueprintVersion,
        mut given: Vec<GivenCollection>,
    ) -> Result<Vec<GivenCollection>, VaultError> {
        let list_key = keyspace::collection_list(self.tenant);
        let found = snapshot.load::<CollectionList>(&list_key).await?;
        let row = found.as_ref().map_or(0, |found| found.version);
        let mut list = found.map_or_else(CollectionList::default, |it| (*it.value).clone());
        let present = list.clone();
        let wanted: Vec<&BlueprintCollection> =
            next.content.collections.iter().filter(|it| !it.retired).collect();
        let has = |name: &CollectionName| match present
            .collections
            .iter()
            .find(|entry| entry.name == *name)
        {
            Some(entry) => !entry.erased,
            None => wanted.iter().any(|it| it.name == *name),
        };
        let mut new = Vec::new();
        for collection in &wanted {
            let place = given.iter().position(|it| it.name == collection.name);
            let entry = present.collections.iter().find(|it| it.name == collection.name);
            let Some(entry) = entry else {
                new.push(*collection);
                continue;
            };
            let at = format!("/collections/{}", collection.name);
            match place.and_then(|place| given.get_mut(place)) {
                Some(given) if given.number == entry.number => {
                    let base = base(snapshot, self.order, given.version).await?;
                    let base = base.content.collections.iter().find(|it| it.name == given.name);
                    let base = base.ok_or_else(crate::rows::damaged)?;
                    if entry.erased {
                        if base != *collection {
                            self.kept.push(at);
                        }
                    } else {
                        self.merge_collection(snapshot, given, base, collection, &has).await?;
                    }
                    given.version = self.order.version;
                }
                // The tenant has made one of this name itself.
                Some(_) | None => {
                    let own = snapshot.collection_of(self.tenant, entry.number).await?;
                    let same = own.is_some_and(|own| merge::same_collection(&own, collection));
                    if same && !entry.erased {
                        given.push(GivenCollection {
                            name: collection.name.clone(),
                            number: entry.number,
                            version: self.order.version,
                        });
                    } else {
                        self.kept.push(at);
                    }
                }
            }
        }
        let new = self.leading_somewhere(new, has);
        if new.is_empty() {
            return Ok(given);
        }
        if present.collections.len().saturating_add(new.len()) > COLLECTIONS_MAX {
            return Err(VaultError::wrong_state(
                "too_many_collections",
                "a tenant has at most 1000 collections",
            ));
        }
        let slots = self.vault.keyring.take_slots(self.tenant, Half::Data, new.len()).await?;
        for (collection, slot) in new.into_iter().zip(slots) {
            let made = enlist(self.vault, &mut list, collection, slot, has)?;
            put_new(self.vault, &mut self.batch, self.tenant, &made).await?;
            let Collection { name, number, .. } = made;
            given.push(GivenCollection { name, number, version: self.order.version });
        }
        self.put(list_key, row, &list).await?;
        Ok(given)
    }

    /// Those of the new collections that can be made; what leads to something that the tenant has erased
    /// is named.
    fn leading_somewhere<'n>(
        &mut self,
        new: Vec<&'n BlueprintCollection>,
        has: impl Fn(&CollectionName) -> bool,
    ) -> Vec<&'n BlueprintCollection> {
        let mut kept = Vec::new();
        let can_be_made = |collection: &&BlueprintCollection| {
            let at = format!("/collections/{}", collection.name);
            let lost = |name: &FieldName| {
                collection
                    .fields
                    .iter()
                    .filter(|field| !field.retired)
                    .find(|field| field.name == *name)
                    .and_then(|field| references(&field.kind))
                    .is_some_and(|target| !has(target))
            };
            if let SubjectRule::Through(name) = &collection.subject
                && lost(name)
            {
                kept.push(at);
                return false;
            }
            let lost = collection.fields.iter().filter(|field| lost(&field.name));
            kept.extend(lost.map(|field| format!("{at}/fields/{}", field.name)));
            true
        };
        let made = new.into_iter().filter(can_be_made).collect();
        self.kept.extend(kept);
        made
    }

    async fn merge_collection(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        given: &GivenCollection,
        base: &BlueprintCollection,
        next: &BlueprintCollection,
        has: impl Fn(&CollectionName) -> bool,
    ) -> Result<(), VaultError> {
        let found = snapshot.collection_of(self.tenant, given.number).await?;
        let found = found.ok_or_else(crate::rows::damaged)?;
        let merged = merge::collection(&found, base, next, has)?;
        self.kept.extend(merged.kept);
        if merged.changed {
            let key = keyspace::collection(self.tenant, given.number);
            self.put(key, found.version, &merged.value).await?;
        }
        Ok(())
    }

    async fn classes(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        next: &BlueprintVersion,
        given: Vec<GivenClass>,
    ) -> Result<Vec<GivenClass>, VaultError> {
        let list_key = keyspace::class_list(self.tenant);
        let found = snapshot.load::<ClassList>(&list_key).await?.ok_or(VaultError::NotFound)?;
        let mut list = (*found.value).clone();
        // A class that the blueprint gives no longer is the tenant's own.
        let mut left: Vec<GivenClass> = Vec::with_capacity(next.content.classes.len());
        let mut longer = false;
        for class in &next.content.classes {
            let before = given.iter().find(|it| it.name == class.name);
            let present = list.classes.iter().find(|(name, _)| *name == class.name);
            let entry = match (present.map(|(_, id)| *id), before) {
                (None, None) => {
                    longer = true;
                    Some(self.new_class(&mut list, class).await?)
                }
                // The tenant has removed it.
                (None, Some(before)) => {
                    let base = base(snapshot, self.order, before.version).await?;
                    if class_in(&base, class).is_none_or(|base| base != class) {
                        self.kept.push(format!("/classes/{}", class.name));
                    }
                    Some(before.clone())
                }
                (Some(id), Some(before)) if id == before.id => {
                    let base = base(snapshot, self.order, before.version).await?;
                    let base = class_in(&base, class).ok_or_else(crate::rows::damaged)?;
                    self.merge_class(snapshot, id, base, class).await?;
                    Some(before.clone())
                }
                (Some(id), _) => self.adopt_class(snapshot, id, class).await?,
            };
            let version = self.order.version;
            left.extend(entry.map(|entry| GivenClass { version, ..entry }));
        }
        if longer {
            self.put(list_key, found.version, &list).await?;
        }
        Ok(left)
    }

    async fn new_class(
        &mut self,
        list: &mut ClassList,
        class: &BlueprintClass,
    ) -> Result<GivenClass, VaultError> {
        if list.classes.len() >= CLASSES_MAX {
            return Err(VaultError::wrong_state(
                "too_many_classes",
                "a tenant has at most 500 classes",
            ));
        }
        let id = ClassId::new(self.vault.now(), &*self.vault.rng)?;
        let made = PermissionClass {
            id,
            name: class.name.clone(),
            label: class.label.clone().map_or_else(|| class.name.as_str().parse(), Ok)?,
            terms: terms_of(class),
        };
        self.put(keyspace::class(self.tenant, id), 0, &made).await?;
        list.classes.push((class.name.clone(), id));
        Ok(GivenClass { name: class.name.clone(), id, version: self.order.version })
    }

    async fn merge_class(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        id: ClassId,
        base: &BlueprintClass,
        next: &BlueprintClass,
    ) -> Result<(), VaultError> {
        let key = keyspace::class(self.tenant, id);
        let found = snapshot.load::<PermissionClass>(&key).await?;
        let found = found.ok_or_else(crate::rows::damaged)?;
        let merged = merge::class(&found, base, next);
        self.kept.extend(merged.kept);
        if merged.changed {
            self.put(key, found.version, &merged.value).await?;
        }
        Ok(())
    }

    /// A class that the tenant has made itself is the blueprint's from now on only if it is the same.
    async fn adopt_class(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        id: ClassId,
        class: &BlueprintClass,
    ) -> Result<Option<GivenClass>, VaultError> {
        let key = keyspace::class(self.tenant, id);
        let own = snapshot.load::<PermissionClass>(&key).await?;
        let same = own.is_some_and(|own| {
            Some(&own.label) == class.label.as_ref() && own.terms == terms_of(class)
        });
        if same {
            return Ok(Some(GivenClass {
                name: class.name.clone(),
                id,
                version: self.order.version,
            }));
        }
        self.kept.push(format!("/classes/{}", class.name));
        Ok(None)
    }
}

/// The version that something of the tenant's was compared with last.
async fn base(
    snapshot: &mut Snapshot<'_>,
    order: &ApplyBlueprint,
    version: u32,
) -> Result<Loaded<BlueprintVersion>, VaultError> {
    snapshot.blueprint_version(order.blueprint, version).await.map_err(|error| match error {
        VaultError::NotFound => crate::rows::damaged(),
        other => other,
    })
}

fn class_in<'v>(
    version: &'v BlueprintVersion,
    class: &BlueprintClass,
) -> Option<&'v BlueprintClass> {
    version.content.classes.iter().find(|it| it.name == class.name)
}

/// Whether the job may change the schema and the classes of a tenant in this state. It holds no more
/// than these two actions, and ceilings take them away like everybody's.
fn decide_for_job(vault: &Vault, state: TenantState) -> Result<Result<(), Refusal>, VaultError> {
    const ACTIONS: [Action; 2] = [Action::ManageSchema, Action::ManageClasses];
    let class = PermissionClass {
        id: ClassId::from_bytes([0; 16]),
        name: "apply_blueprint".parse()?,
        label: "apply_blueprint".parse()?,
        terms: ClassTerms { administrative: ACTIONS.to_vec(), ..ClassTerms::default() },
    };
    let held = [HeldClass { class: &class, version: 0 }];
    let actor = Actor::other(Principal::Job(JobName::ApplyBlueprint), &held);
    let facts = Facts { tenant: state, ..Facts::of(actor) };
    for action in ACTIONS {
        match decide(&facts, &AccessRequest::new(action), vault.now()) {
            Ok(permit) => drop(permit.spend()),
            Err(refusal) => return Ok(Err(refusal)),
        }
    }
    Ok(Ok(()))
}
