//! Somebody who may manage connections looks at the backends that the tenant admits, or has admitted.

use strongroom_model::{
    Action, ActsAs, Admission, AuditObject, Backend, BackendId, ClassName, Label, Purpose,
    TenantId, Timestamp,
};
use strongroom_storage::keyspace::RowKind;

use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace};

/// An admission as the tenant sees it.
#[derive(Debug, Clone)]
pub struct AdmissionView {
    /// The backend.
    pub backend: BackendId,
    /// What the provider calls it.
    pub name: Option<Label>,
    /// Whether it is let in.
    pub state: AdmissionState,
    /// The names of the classes that bound it.
    pub classes: Vec<ClassName>,
    /// The purposes that bound it; empty: those of the classes.
    pub purposes: Vec<Purpose>,
    /// In whose name it may act.
    pub acts: ActsAs,
    /// About how many persons it may read in an hour.
    pub subjects_per_hour: u32,
    /// When the admission ends by itself.
    pub until: Option<Timestamp>,
    /// When it was first admitted.
    pub admitted_at: Timestamp,
    /// When the bounds were changed last.
    pub changed_at: Timestamp,
    /// When it last ran into the bound on persons.
    pub last_limited_at: Option<Timestamp>,
}

/// Whether a backend is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionState {
    /// It is.
    Admitted,
    /// The tenant has revoked it.
    Revoked,
    /// The admission has ended by itself.
    Ended,
    /// The provider has revoked the backend itself.
    BackendRevoked,
}

impl AdmissionView {
    pub(crate) async fn of(
        snapshot: &mut Snapshot<'_>,
        tenant: TenantId,
        admission: &Admission,
        backend: Option<&Backend>,
    ) -> Result<Self, VaultError> {
        let classes = snapshot.classes_of(tenant, &admission.classes).await?;
        let now = snapshot.vault.now();
        let state = if admission.revoked {
            AdmissionState::Revoked
        } else if backend.is_none_or(|backend| backend.revoked) {
            AdmissionState::BackendRevoked
        } else if admission.is_in_force(now) {
            AdmissionState::Admitted
        } else {
            AdmissionState::Ended
        };
        Ok(Self {
            backend: admission.backend,
            name: backend.map(|backend| backend.name.clone()),
            state,
            classes: classes.into_iter().map(|class| class.name).collect(),
            purposes: admission.purposes.clone(),
            acts: admission.acts,
            subjects_per_hour: admission.subjects_per_hour,
            until: admission.until,
            admitted_at: admission.admitted_at,
            changed_at: admission.changed_at,
            last_limited_at: admission.limited_at,
        })
    }
}

/// Lists the tenant's admissions, also those that hold no longer, in the order in which the backends
/// were made.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_connections`.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    page: Page,
) -> Result<Answer<Listed<Versioned<AdmissionView>>>, VaultError> {
    attempt(|| async {
        let tenant = ctx.tenant();
        let object = AuditObject::Tenant(tenant);
        let (mut snapshot, allowed) = vault
            .administer(
                ctx,
                Snapshot::new(vault),
                Action::ManageConnections,
                "admission.list",
                object,
            )
            .await?;
        let (keys, next) = vault.page_of_keys(ctx, tenant, RowKind::Admission, &page).await?;
        let mut items = Vec::new();
        for found in snapshot.load_many::<Admission>(&keys).await?.into_iter().flatten() {
            let backend = snapshot.load::<Backend>(&keyspace::backend(found.backend)).await?;
            let backend = backend.as_ref().map(|backend| &*backend.value);
            let value = AdmissionView::of(&mut snapshot, tenant, &found, backend).await?;
            items.push(Versioned { version: found.version, value });
        }
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: Listed { items, next }, lines: committed.places().to_vec() })
    })
    .await
}

/// Shows the tenant's admission of one backend.
///
/// # Errors
/// [`VaultError::Refused`] without `manage_connections`; [`VaultError::NotFound`].
pub async fn show(
    vault: &Vault,
    ctx: &TenantCtx,
    backend: BackendId,
) -> Result<Answer<Versioned<AdmissionView>>, VaultError> {
    attempt(|| async {
        let tenant = ctx.tenant();
        let object = AuditObject::Other(BackendId::PREFIX, *backend.as_bytes());
        let (mut snapshot, allowed) = vault
            .administer(
                ctx,
                Snapshot::new(vault),
                Action::ManageConnections,
                "admission.read",
                object,
            )
            .await?;
        let known = snapshot.load::<Backend>(&keyspace::backend(backend)).await?;
        let known = known.as_ref().map(|known| &*known.value);
        let found = snapshot.load::<Admission>(&keyspace::admission(tenant, backend)).await?;
        let view = match &found {
            Some(found) => {
                let value = AdmissionView::of(&mut snapshot, tenant, found, known).await?;
                Some(Versioned { version: found.version, value })
            }
            None => None,
        };
        let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
        Ok(Answer { value: view.ok_or(VaultError::NotFound)?, lines: committed.places().to_vec() })
    })
    .await
}
