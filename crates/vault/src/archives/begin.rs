//! Somebody asks for an archive: which collections it will have.

use strongroom_access_policy::{AccessRequest, Facts, Refusal, decide_list};
use strongroom_model::{
    Action, Archiving, Asker, AuditEvent, AuditObject, Collection, CollectionName,
    CollectionNumber, Job, JobId, JobKind, JobState, Tenant, TenantId,
};
use strongroom_storage::Batch;

use crate::collections::{CollectionList, references};
use crate::jobs::check_room;
use crate::snapshot::{Loaded, Snapshot, Versioned, attempt};
use crate::trail::Attempted;
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct BeginArchive {
    /// These collections; absent: all that the caller may export.
    pub collections: Option<Vec<CollectionName>>,
}

/// What an archive will have.
pub struct Archive {
    /// The job in which others see how far it is, and stop it.
    pub job: JobId,
    /// The tenant.
    pub tenant: Versioned<Tenant>,
    /// Its collections: those that others refer to come before them, as far as that goes.
    pub collections: Vec<Versioned<Collection>>,
}

/// Decides which collections go into an archive, puts that on record, and makes its job. Their records are decided on
/// page by page when they are taken out.
///
/// # Errors
/// [`VaultError::Refused`] without `export` for a collection that is named, or for any;
/// [`VaultError::NotFound`] for one that is not there; [`VaultError::Invalid`] for one that is named
/// twice, or none; `too_many_open_jobs`, `too_many_jobs`.
pub async fn begin(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BeginArchive,
) -> Result<Answer<Archive>, VaultError> {
    if let Some(names) = &wanted.collections {
        check_names(names)?;
    }
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BeginArchive,
) -> Result<Answer<Archive>, VaultError> {
    let tenant = ctx.tenant();
    if ctx.is_provider() {
        return Err(VaultError::NotFound);
    }

    // What is known.
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let attempted = Attempted {
        principal: who.principal,
        action: Action::Export,
        code: "archive.begin",
        object: AuditObject::Tenant(tenant),
    };
    let Some(candidates) = snapshot.wanted_collections(tenant, wanted).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };

    // The decision, for each collection.
    let mut collections = Vec::with_capacity(candidates.len());
    let mut refused: Option<(CollectionNumber, Refusal)> = None;
    let mut rule = None;
    {
        let held = who.held();
        let request = AccessRequest {
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(Action::Export)
        };
        for collection in candidates {
            let facts = Facts { collection: Some(&collection.value), ..held.facts() };
            match decide_list(&facts, &request, vault.now()) {
                Ok(permit) => {
                    // The line names what opens the first; each page is decided on when it is read.
                    rule = rule.or(Some(permit.rule()));
                    collections.push(collection);
                }
                Err(refusal) => refused = Some((collection.number, refusal)),
            }
        }
    }
    if let Some((number, refusal)) = refused
        && (wanted.collections.is_some() || collections.is_empty())
    {
        let attempted = Attempted { object: AuditObject::Collection(number), ..attempted };
        return vault.refuse(ctx, snapshot, attempted, refusal).await;
    }
    if collections.is_empty() {
        return Err(VaultError::wrong_state(
            "nothing_to_archive",
            "the tenant has no collection that could be archived",
        ));
    }

    // The record of it.
    let tenant_shown =
        Versioned { version: who.tenant.version, value: (*who.tenant.value).clone() };
    let collections: Vec<_> = in_order(collections)
        .into_iter()
        .map(|found| Versioned { version: found.version, value: (*found.value).clone() })
        .collect();
    check_room(vault, tenant).await?;
    let names = collections.iter().map(|collection| collection.value.name.clone());
    let now = vault.now();
    let archiving = Archiving { collections: names.collect(), moved_at: now };
    let id = JobId::new(now, &*vault.rng)?;
    let job = Job {
        state: JobState::Running,
        started_at: Some(now),
        // What is made for it is made by whoever reads it, from where they are.
        asker: Some(Asker { address: None, ..ctx.as_asker() }),
        ..Job::new(id, JobKind::Archive(archiving), who.principal, now)
    };
    let mut batch = Batch::new();
    snapshot.put_job(&mut batch, tenant, 0, &job).await?;
    snapshot.expect_in(&mut batch);
    let event = AuditEvent { rule, ..attempted.done() };
    batch.line(vault.line(tenant, Some(&ctx.clone().through(id)), event).await?);
    let committed = vault.store.commit(batch).await?;
    let value = Archive { job: id, tenant: tenant_shown, collections };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

fn check_names(names: &[CollectionName]) -> Result<(), VaultError> {
    let is_repeated =
        |(place, name): (usize, &CollectionName)| names.iter().take(place).any(|it| it == name);
    if names.is_empty() {
        return Err(VaultError::invalid("/collections", "name at least one collection"));
    }
    if names.iter().enumerate().any(is_repeated) {
        return Err(VaultError::invalid("/collections", "a collection is named twice"));
    }
    Ok(())
}

impl Snapshot<'_> {
    /// The collections that are wanted, in the order of their numbers; nothing if one that is named is
    /// not there.
    async fn wanted_collections(
        &mut self,
        tenant: TenantId,
        wanted: &BeginArchive,
    ) -> Result<Option<Vec<Loaded<Collection>>>, VaultError> {
        let list = self.load::<CollectionList>(&keyspace::collection_list(tenant)).await?;
        let living = list.iter().flat_map(|list| &list.collections).filter(|entry| !entry.erased);
        let named = living.filter(|entry| {
            wanted.collections.as_ref().is_none_or(|names| names.contains(&entry.name))
        });
        let keys: Vec<_> = named.map(|entry| keyspace::collection(tenant, entry.number)).collect();
        let found = self.load_many::<Collection>(&keys).await?;
        let found: Vec<_> = found.into_iter().flatten().filter(|found| !found.erased).collect();
        let is_missing = wanted.collections.as_ref().is_some_and(|names| names.len() > found.len());
        Ok((!is_missing).then_some(found))
    }
}

/// Collections with those that they refer to before them. Where they refer to each other in a ring, the
/// first of the ring comes first.
fn in_order(mut waiting: Vec<Loaded<Collection>>) -> Vec<Loaded<Collection>> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let waits = |candidate: &Loaded<Collection>| {
            let targets = candidate.fields.iter().filter_map(|field| references(&field.kind));
            let mut others = targets.filter(|target| **target != candidate.name);
            others.any(|target| waiting.iter().any(|other| other.name == *target))
        };
        let next = waiting.iter().position(|candidate| !waits(candidate)).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}
