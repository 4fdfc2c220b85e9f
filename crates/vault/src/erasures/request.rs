//! Somebody who may erase asks for an erasure and gets it carried out, with a receipt.

use strongroom_model::{
    Action, AuditObject, CollectionName, Erasure, ErasureGround, ErasureTarget, RecordId,
    RecordPlace, Retained, SubjectId, TenantId,
};
use strongroom_storage::{KeyRange, LinePlaced, PAGE_MAX};

use crate::erasures::fence::{Fence, RecordTarget, id_of};
use crate::erasures::show::{ErasureView, show};
use crate::idempotency::Before;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct EraseRequest {
    /// What is to be erased.
    pub target: TargetRef,
    /// Why.
    pub ground: ErasureGround,
    /// Whether only to say what would be erased.
    pub dry_run: bool,
    /// So that a repeated request is recognised.
    pub idempotency: Option<Idempotency>,
}

/// What is to be erased, as a caller names it.
#[derive(Debug, Clone)]
pub enum TargetRef {
    /// A record.
    Record(CollectionName, RecordId),
    /// A person, with all their records.
    Subject(SubjectId),
    /// A collection, with all its records.
    Collection(CollectionName),
    /// The tenant's data; only an owner may ask for it, and names the tenant once more.
    Tenant(TenantId),
}

/// What came of a request.
#[derive(Debug)]
pub enum Requested {
    /// What would be erased.
    Preview(Preview),
    /// The erasure, as far as it has come.
    Erasure(ErasureView),
}

/// What an erasure would do.
#[derive(Debug)]
pub struct Preview {
    /// How many records would go; counted up to 10,000.
    pub records: usize,
    /// Whether there are more than were counted.
    pub or_more: bool,
    /// What would stay, and why.
    pub retained: Vec<Retained>,
}

/// Erases: closes access at once, then destroys the keys. If a holder of the root secret is not
/// there, access is closed all the same and the erasure goes on when it comes back.
///
/// # Errors
/// [`VaultError::Refused`] without `erase`; [`VaultError::NotFound`]; `held`; `owner_required`.
pub async fn request(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: EraseRequest,
) -> Result<Answer<Requested>, VaultError> {
    if wanted.dry_run {
        return attempt(|| preview(vault, ctx, &wanted)).await;
    }
    if let TargetRef::Tenant(tenant) = &wanted.target
        && *tenant == ctx.tenant()
        && let Ok(first) = show(vault, ctx, id_of(&ErasureTarget::Tenant(*tenant))).await
    {
        // A tenant that is erased takes no further requests; whoever may know finds the first.
        return Ok(Answer { value: Requested::Erasure(first.value), lines: first.lines });
    }
    let (lines, erasure, name) = attempt(|| fence(vault, ctx, &wanted)).await?;
    vault.forget_opened(ctx.tenant());
    vault.admission.drain().await;
    if let Err(error) = vault.carry_out_erasures().await {
        tracing::warn!(error = %error, "an erasure could not be carried out at once; it goes on later");
    }
    vault.work_soon.notify_one();
    let erasure = vault.erasure(&erasure).await?;
    Ok(Answer { value: Requested::Erasure(ErasureView { erasure, collection: name }), lines })
}

async fn fence(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &EraseRequest,
) -> Result<(Vec<LinePlaced>, Erasure, Option<CollectionName>), VaultError> {
    let tenant = ctx.tenant();
    let object = object_of(ctx, &wanted.target);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::Erase, "erasure.request", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let id = strongroom_model::ErasureId::from_bytes(id);
            let found = snapshot
                .load::<Erasure>(&keyspace::erasure(tenant, id))
                .await?
                .ok_or(VaultError::NotFound)?;
            let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
            return Ok((
                committed.places().to_vec(),
                (*found.value).clone(),
                named(&wanted.target),
            ));
        }
    };
    let mut fence = Fence::new(vault, tenant);
    let target = match &wanted.target {
        TargetRef::Record(name, record) => {
            let Some(collection) = snapshot.collection(tenant, name).await? else {
                return Err(VaultError::NotFound);
            };
            let target = ErasureTarget::Record(collection.number, *record);
            if let Some(found) = snapshot.earlier(tenant, &target).await? {
                return vault
                    .again(ctx, snapshot, allowed.event, found, named(&wanted.target))
                    .await;
            }
            let found = snapshot.record(ctx, &collection, *record).await?;
            let (sealed, subject) = found.ok_or(VaultError::NotFound)?;
            let key = vault.key_of(tenant, &collection, *record, &sealed).await?;
            let opened = vault.open_head(&key, tenant, &collection, *record, &sealed)?;
            let record = RecordTarget {
                collection: &collection,
                record: *record,
                subject: &subject,
                place: sealed.place,
                external_id: opened.head.external_id.clone(),
                files: opened.head.files.clone(),
            };
            fence.record(&mut snapshot, record).await?;
            target
        }
        TargetRef::Subject(subject) => {
            let target = ErasureTarget::Subject(*subject);
            if let Some(found) = snapshot.earlier(tenant, &target).await? {
                return vault.again(ctx, snapshot, allowed.event, found, None).await;
            }
            let found = snapshot.subject(tenant, *subject).await?.ok_or(VaultError::NotFound)?;
            if crate::records::person(&found).is_none() {
                return Err(VaultError::NotFound);
            }
            fence.subject(&mut snapshot, &found).await?;
            target
        }
        TargetRef::Collection(name) => {
            let Some(found) = snapshot.collection(tenant, name).await? else {
                let earlier =
                    snapshot.erased_collection(tenant, name).await?.ok_or(VaultError::NotFound)?;
                return vault
                    .again(ctx, snapshot, allowed.event, earlier, Some(name.clone()))
                    .await;
            };
            fence.collection(&mut snapshot, &found).await?;
            ErasureTarget::Collection(found.number, found.name.clone(), found.id)
        }
        TargetRef::Tenant(named) => {
            if *named != tenant || ctx.is_provider() {
                return Err(VaultError::NotFound);
            }
            if !allowed.who.held().is_owner() {
                return Err(VaultError::wrong_state(
                    "owner_required",
                    "only an owner may erase the tenant's data",
                ));
            }
            let target = ErasureTarget::Tenant(tenant);
            if let Some(found) = snapshot.earlier(tenant, &target).await? {
                return vault.again(ctx, snapshot, allowed.event, found, None).await;
            }
            fence.tenant(&allowed.who.tenant).await?;
            target
        }
    };
    let erasure = fence.erasure(target, wanted.ground, allowed.who.principal);
    if let Some(slot) = slot {
        slot.fill(vault, fence.batch(), tenant, OwnerLeaf::NOBODY, *erasure.id.as_bytes()).await?;
    }
    let (lines, erasure) = fence.close(ctx, snapshot, erasure, allowed.event).await?;
    Ok((lines, erasure, named(&wanted.target)))
}

fn named(target: &TargetRef) -> Option<CollectionName> {
    match target {
        TargetRef::Record(name, _) | TargetRef::Collection(name) => Some(name.clone()),
        TargetRef::Subject(_) | TargetRef::Tenant(_) => None,
    }
}

fn object_of(ctx: &TenantCtx, target: &TargetRef) -> AuditObject {
    match target {
        TargetRef::Record(_, record) => AuditObject::Other(RecordId::PREFIX, *record.as_bytes()),
        TargetRef::Subject(subject) => AuditObject::Subject(*subject),
        TargetRef::Collection(_) | TargetRef::Tenant(_) => AuditObject::Tenant(ctx.tenant()),
    }
}

impl Vault {
    /// A second request for the same target finds the first.
    async fn again(
        &self,
        ctx: &TenantCtx,
        snapshot: Snapshot<'_>,
        event: strongroom_model::AuditEvent,
        found: Erasure,
        name: Option<CollectionName>,
    ) -> Result<(Vec<LinePlaced>, Erasure, Option<CollectionName>), VaultError> {
        let committed = self.put_on_record(ctx, snapshot, event).await?;
        Ok((committed.places().to_vec(), found, name))
    }
}

impl Snapshot<'_> {
    /// The erasure of a target, if it was asked for before.
    async fn earlier(
        &mut self,
        tenant: TenantId,
        target: &ErasureTarget,
    ) -> Result<Option<Erasure>, VaultError> {
        let found = self.load::<Erasure>(&keyspace::erasure(tenant, id_of(target))).await?;
        Ok(found.map(|found| (*found.value).clone()))
    }

    /// The erasure of what a caller names, if it was asked for before; of a tenant it is found when
    /// it is asked for again.
    async fn earlier_of(
        &mut self,
        tenant: TenantId,
        target: &TargetRef,
    ) -> Result<Option<Erasure>, VaultError> {
        match target {
            TargetRef::Record(name, record) => match self.collection(tenant, name).await? {
                Some(found) => {
                    self.earlier(tenant, &ErasureTarget::Record(found.number, *record)).await
                }
                None => self.erased_collection(tenant, name).await,
            },
            TargetRef::Subject(subject) => {
                self.earlier(tenant, &ErasureTarget::Subject(*subject)).await
            }
            TargetRef::Collection(name) => match self.collection(tenant, name).await? {
                Some(_) => Ok(None),
                None => self.erased_collection(tenant, name).await,
            },
            TargetRef::Tenant(_) => Ok(None),
        }
    }

    /// The erasure of a collection that had this name.
    async fn erased_collection(
        &mut self,
        tenant: TenantId,
        name: &CollectionName,
    ) -> Result<Option<Erasure>, VaultError> {
        let list = self
            .load::<crate::collections::CollectionList>(&keyspace::collection_list(tenant))
            .await?;
        let entry = list
            .and_then(|list| list.collections.iter().find(|entry| entry.name == *name).cloned());
        match entry {
            Some(entry) => {
                self.earlier(tenant, &ErasureTarget::Collection(entry.number, entry.name, entry.id))
                    .await
            }
            None => Ok(None),
        }
    }
}

/// What an erasure would do, and nothing more.
async fn preview(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &EraseRequest,
) -> Result<Answer<Requested>, VaultError> {
    let tenant = ctx.tenant();
    let object = object_of(ctx, &wanted.target);
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::Erase, "erasure.preview", object)
        .await?;
    if let Some(earlier) = snapshot.earlier_of(tenant, &wanted.target).await? {
        // Whoever may erase may know that it is done, and has its receipt.
        vault.put_on_record(ctx, snapshot, allowed.event).await?;
        return Err(VaultError::Erased(earlier.receipt));
    }
    let mut retained = Vec::new();
    let rows = match &wanted.target {
        TargetRef::Record(name, record) => {
            let collection =
                snapshot.collection(tenant, name).await?.ok_or(VaultError::NotFound)?;
            let found = snapshot.record(ctx, &collection, *record).await?;
            let (_, subject) = found.ok_or(VaultError::NotFound)?;
            let holds = subject.holds.iter();
            retained.extend(holds.map(|hold| Retained {
                record: *record,
                ground: hold.ground.clone(),
                until: None,
            }));
            usize::from(retained.is_empty())
        }
        TargetRef::Subject(subject) => {
            let found = snapshot.subject(tenant, *subject).await?.ok_or(VaultError::NotFound)?;
            let prefix = keyspace::manifest_prefix(tenant, *subject);
            let rows = vault.store.scan(&KeyRange::prefix(prefix.as_bytes()), PAGE_MAX).await?;
            let mut records = 0;
            for (key, row) in &rows {
                let (place, _) = vault.open_row::<RecordPlace>(key, row).await?;
                if place.file.is_some() {
                    continue;
                }
                records += 1;
                retained.extend(found.holds.first().map(|hold| Retained {
                    record: place.record,
                    ground: hold.ground.clone(),
                    until: None,
                }));
            }
            records - retained.len()
        }
        TargetRef::Collection(name) => {
            let collection =
                snapshot.collection(tenant, name).await?.ok_or(VaultError::NotFound)?;
            let prefix = keyspace::records_prefix(tenant, collection.number);
            vault.store.scan(&KeyRange::prefix(prefix.as_bytes()), PAGE_MAX).await?.len()
        }
        TargetRef::Tenant(named) => {
            if *named != tenant || ctx.is_provider() {
                return Err(VaultError::NotFound);
            }
            let kind = strongroom_storage::keyspace::RowKind::Record;
            vault.store.scan(&KeyRange::prefix_of(tenant, kind), PAGE_MAX).await?.len()
        }
    };
    let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
    let value = Requested::Preview(Preview { records: rows, or_more: rows >= PAGE_MAX, retained });
    Ok(Answer { value, lines: committed.places().to_vec() })
}
