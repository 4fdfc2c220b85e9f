//! Somebody who may manage connections admits a backend, or changes how far it may go.

use std::collections::BTreeSet;

use strongroom_model::{
    Action, ActsAs, Admission, AuditObject, Backend, BackendId, ClassId, ClassName, Purpose,
    SUBJECTS_PER_HOUR_MAX, TenantId, Timestamp,
};

use crate::admissions::list::AdmissionView;
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Expected, TenantCtx, Vault, VaultError, keyspace};

/// An admission has at most so many classes and so many purposes.
const BOUNDS_MAX: usize = 100;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct AdmitBackend {
    /// The backend.
    pub backend: BackendId,
    /// The version that the change is made against; a first admission has none.
    pub expected: Expected,
    /// How far it may go.
    pub bounds: Bounds,
}

/// How far a backend may go.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Only what these classes allow.
    pub classes: Vec<ClassRef>,
    /// Only for these purposes; empty: those of the classes.
    pub purposes: Vec<Purpose>,
    /// In whose name it may act.
    pub acts: ActsAs,
    /// About how many persons it may read in an hour.
    pub subjects_per_hour: u32,
    /// When the admission ends by itself.
    pub until: Option<Timestamp>,
}

/// A class as a caller names it. Every id is well formed as a name too: a name that there is comes first.
#[derive(Debug, Clone)]
pub struct ClassRef(pub ClassName);

/// Admits a backend, or changes how far it may go. It is acknowledged when no request that was let in
/// before can use what was taken away.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_connections`; [`VaultError::NotFound`] for a backend that
/// there is not; [`VaultError::Invalid`] for bounds that mean nothing and for classes wider than the
/// caller's; [`VaultError::VersionStale`].
pub async fn admit(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: AdmitBackend,
) -> Result<Answer<Versioned<AdmissionView>>, VaultError> {
    let answer = attempt(|| once(vault, ctx, &wanted)).await?;
    vault.admission.drain().await;
    Ok(answer)
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &AdmitBackend,
) -> Result<Answer<Versioned<AdmissionView>>, VaultError> {
    let tenant = ctx.tenant();
    let now = vault.now();
    let object = AuditObject::Other(BackendId::PREFIX, *wanted.backend.as_bytes());
    let (mut snapshot, allowed) = vault
        .administer(ctx, Snapshot::new(vault), Action::ManageConnections, "admission.put", object)
        .await?;
    let backend = snapshot.load::<Backend>(&keyspace::backend(wanted.backend)).await?;
    let backend = backend.ok_or(VaultError::NotFound)?;
    let key = keyspace::admission(tenant, wanted.backend);
    let found = snapshot.load::<Admission>(&key).await?;
    match (&found, wanted.expected) {
        (Some(found), expected) => expected.check(found.version)?,
        (None, Expected::Missing | Expected::Any) => {}
        (None, Expected::Version(_)) => return Err(VaultError::VersionStale { current: 0 }),
    }
    if backend.revoked {
        return Err(VaultError::wrong_state("revoked", "the provider has revoked the backend"));
    }
    let bounds = &wanted.bounds;
    check(bounds, now)?;
    let classes = snapshot.ceiling(tenant, &bounds.classes).await?;
    let held = allowed.who.held();
    for (place, class) in classes.iter().enumerate() {
        if let Err(wider) = held.covers(class) {
            return Err(VaultError::invalid(
                format!("/classes/{place}"),
                format!("wider than your own: {wider}"),
            ));
        }
    }

    let ids: BTreeSet<ClassId> = classes.iter().map(|class| class.id).collect();
    let purposes: BTreeSet<Purpose> = bounds.purposes.iter().cloned().collect();
    let row = Admission {
        backend: wanted.backend,
        classes: ids.into_iter().collect(),
        purposes: purposes.into_iter().collect(),
        acts: bounds.acts,
        subjects_per_hour: bounds.subjects_per_hour,
        until: bounds.until,
        revoked: false,
        admitted_by: allowed.who.principal,
        admitted_at: found.as_ref().map_or(now, |found| found.admitted_at),
        changed_at: now,
        limited_at: found.as_ref().and_then(|found| found.limited_at),
    };
    let version = found.map_or(0, |found| found.version) + 1;
    let value = AdmissionView::of(&mut snapshot, tenant, &row, Some(&backend)).await?;
    let mut batch = snapshot.into_batch();
    let sealed = vault.seal_row(&key, OwnerLeaf::NOBODY, version, &row).await?;
    if version == 1 {
        batch.expect_absent(key.clone());
    }
    batch.put(key, version, sealed);
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    let value = Versioned { version, value };
    Ok(Answer { value, lines: committed.places().to_vec() })
}

fn check(bounds: &Bounds, now: Timestamp) -> Result<(), VaultError> {
    if bounds.classes.is_empty() || bounds.classes.len() > BOUNDS_MAX {
        return Err(VaultError::invalid("/classes", "1 to 100 classes bound a backend"));
    }
    if bounds.purposes.len() > BOUNDS_MAX {
        return Err(VaultError::invalid("/purposes", "at most 100 purposes bound a backend"));
    }
    if !(1..=SUBJECTS_PER_HOUR_MAX).contains(&bounds.subjects_per_hour) {
        return Err(VaultError::invalid(
            "/subjects_per_hour",
            "a backend reads about 1 to 1000000 persons in an hour",
        ));
    }
    if bounds.until.is_some_and(|until| until <= now) {
        return Err(VaultError::invalid("/until", "an admission ends in the future"));
    }
    Ok(())
}

impl Snapshot<'_> {
    /// The classes that are named, by name or by id.
    async fn ceiling(
        &mut self,
        tenant: TenantId,
        named: &[ClassRef],
    ) -> Result<Vec<strongroom_model::PermissionClass>, VaultError> {
        let mut classes = Vec::with_capacity(named.len());
        for (place, ClassRef(name)) in named.iter().enumerate() {
            let mut class = self.class_named(tenant, name).await?;
            if class.is_none()
                && let Ok(id) = name.as_str().parse::<ClassId>()
            {
                class = self.load(&keyspace::class(tenant, id)).await?;
            }
            let class = class.ok_or_else(|| {
                VaultError::invalid(format!("/classes/{place}"), "no class of this name or id")
            })?;
            classes.push((*class.value).clone());
        }
        Ok(classes)
    }
}
