//! Acting for users: a backend comes into a tenant that admits it, and a credential names the user for
//! whom its request is made.

use std::sync::Arc;

use strongroom_access_policy::{AccessRequest, absent};
use strongroom_model::{
    Action, ActsAs, Admission, AuditEvent, AuditObject, Backend, BackendId, NamedUser, Outcome,
    PermissionClass, Principal, Tenant, TenantId, TenantState, Through, User, UserId, UserState,
};

use crate::caller::{Credential, Who};
use crate::index::Index;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{TenantCtx, Vault, VaultError, keyspace};

/// The user for whom a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acting {
    /// The request names none.
    Nobody,
    /// This one.
    User(UserId),
    /// One by an external id that no user of the tenant has.
    Unknown,
}

/// A user for whom somebody acts, with the classes that they have now.
pub(crate) struct ActingFor {
    pub(crate) user: UserId,
    pub(crate) classes: Vec<Loaded<PermissionClass>>,
}

impl TenantCtx {
    /// Whether a request with this credential may name a user for whom it is made.
    pub fn may_act_for_users(&self) -> bool {
        match self.credential() {
            Credential::Session(_) => false,
            Credential::ApiKey(_) => self.acts() == ActsAs::ForUsers,
            Credential::Backend(_) => self.tenant() != TenantId::PROVIDER,
        }
    }

    /// Whether it is a backend of the provider.
    pub fn is_backend(&self) -> bool {
        match self.credential() {
            Credential::Session(_) | Credential::ApiKey(_) => false,
            Credential::Backend(_) => true,
        }
    }

    /// What its lines say beside the principal: for whom it acts, and through what it came in.
    pub(crate) fn complete(&self, event: &mut AuditEvent) {
        match self.acting() {
            Acting::User(user) => event.acting_for = Some(user),
            Acting::Nobody | Acting::Unknown => {}
        }
        match self.credential() {
            Credential::Backend(id) => event.through = Some((Through::Backend, *id.as_bytes())),
            Credential::Session(_) | Credential::ApiKey(_) => {}
        }
        // Who asked for the job is the principal, a backend too.
        if let Some(job) = self.job() {
            event.through = Some((Through::Job, *job.as_bytes()));
        }
    }
}

impl Vault {
    /// Lets a backend into the tenant that the path names. Other credentials stay where they are.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for a tenant that does not admit the backend, as for one that does not
    /// exist.
    pub async fn enter(&self, ctx: TenantCtx, tenant: TenantId) -> Result<TenantCtx, VaultError> {
        let Credential::Backend(id) = ctx.credential() else { return Ok(ctx) };
        if tenant == TenantId::PROVIDER {
            return Err(VaultError::NotFound);
        }
        // Where there is no row there is nothing to open either: a tenant that never admitted the backend
        // takes the same steps as one that does not exist.
        let mut snapshot = Snapshot::new(self);
        let admission = snapshot.admission(tenant, id).await?.ok_or(VaultError::NotFound)?;
        let found = snapshot.load::<Tenant>(&keyspace::tenant(tenant)).await?;
        let found = found.ok_or(VaultError::NotFound)?;
        if !admission.is_in_force(self.now()) || found.state == TenantState::Erased {
            return Err(VaultError::NotFound);
        }
        Ok(ctx.let_in(tenant, &admission))
    }

    /// Has a request made for a user. Whether they are one of the tenant, and active, every use case
    /// reads for itself.
    ///
    /// # Errors
    /// [`VaultError::UserNotAllowed`] for a credential that acts for nobody.
    pub async fn act_for(&self, ctx: TenantCtx, user: &NamedUser) -> Result<TenantCtx, VaultError> {
        if !ctx.may_act_for_users() {
            return Err(VaultError::UserNotAllowed);
        }
        let acting = match user {
            NamedUser::Id(id) => Acting::User(*id),
            NamedUser::External(external_id) => {
                let index = Index::of_users(ctx.tenant());
                let found = attempt(|| async {
                    Snapshot::new(self).find(index, external_id.as_str()).await
                });
                found.await?.map_or(Acting::Unknown, |hit| {
                    Acting::User(UserId::from_bytes(*hit.record.as_bytes()))
                })
            }
        };
        Ok(ctx.acting_as(acting))
    }
}

impl Snapshot<'_> {
    /// Reads who the caller is, and for whom it acts; whoever acts only for users has named one.
    pub(crate) async fn who(&mut self, ctx: &TenantCtx) -> Result<Who, VaultError> {
        let who = self.known(ctx).await?;
        if who.acts == ActsAs::ForUsers && who.acting_for.is_none() {
            let refusal = {
                let held = who.held();
                let request = AccessRequest::new(Action::ManageUsers);
                absent(&held.facts(), &request, self.vault.now())
            };
            let attempted = Attempted {
                principal: who.principal,
                action: Action::ManageUsers,
                code: "user.act_for",
                object: AuditObject::Tenant(ctx.tenant()),
            };
            return self.vault.refuse(ctx, self.same(), attempted, refusal).await;
        }
        Ok(who)
    }

    /// How far a backend may go in the tenant that it has come into; nothing where it has not come
    /// into one.
    pub(crate) async fn admitted(
        &mut self,
        ctx: &TenantCtx,
        id: BackendId,
        tenant: &Tenant,
    ) -> Result<Option<Loaded<Admission>>, VaultError> {
        let now = self.vault.now();
        let backend = self.load::<Backend>(&keyspace::backend(id)).await?;
        let backend = backend.ok_or(VaultError::Unauthenticated)?;
        if !backend.in_force(now).any(|secret| secret.number == ctx.secret()) {
            return Err(VaultError::Unauthenticated);
        }
        if ctx.tenant() == TenantId::PROVIDER {
            return Ok(None);
        }
        let admission = self.admission(ctx.tenant(), id).await?;
        let admission = admission.filter(|admission| admission.is_in_force(now));
        let admission = admission.filter(|_| tenant.state != TenantState::Erased);
        admission.map(Some).ok_or(VaultError::NotFound)
    }

    /// The tenant's word about a backend, whether it holds now or not.
    pub(crate) async fn admission(
        &mut self,
        tenant: TenantId,
        backend: BackendId,
    ) -> Result<Option<Loaded<Admission>>, VaultError> {
        match self.load::<Admission>(&keyspace::admission(tenant, backend)).await {
            Err(VaultError::Erased(_)) => Ok(None),
            found => found,
        }
    }

    /// The user for whom the request is made, who must be active now.
    pub(crate) async fn acting_for(
        &mut self,
        ctx: &TenantCtx,
        principal: Principal,
    ) -> Result<Option<ActingFor>, VaultError> {
        let user = match ctx.acting() {
            Acting::Nobody => return Ok(None),
            Acting::Unknown => None,
            Acting::User(user) => self.load::<User>(&keyspace::user(ctx.tenant(), user)).await?,
        };
        let Some(user) = user.filter(|user| user.state == UserState::Active) else {
            return self.refuse_user(ctx, principal).await;
        };
        let keys: Vec<_> =
            user.classes.iter().map(|class| keyspace::class(ctx.tenant(), *class)).collect();
        let classes = self.load_many::<PermissionClass>(&keys).await?.into_iter().flatten();
        Ok(Some(ActingFor { user: user.id, classes: classes.collect() }))
    }

    /// Puts on record that the user named is not one to act for. Whether there is no such user, or one
    /// who has not come yet, is suspended or removed, the caller does not learn.
    async fn refuse_user<T>(&self, ctx: &TenantCtx, principal: Principal) -> Result<T, VaultError> {
        let object = match ctx.acting() {
            Acting::User(user) => AuditObject::Other(UserId::PREFIX, *user.as_bytes()),
            Acting::Nobody | Acting::Unknown => AuditObject::Tenant(ctx.tenant()),
        };
        let action = Action::ManageUsers;
        let attempted = Attempted { principal, action, code: "user_not_allowed", object };
        let event = AuditEvent { outcome: Outcome::Refused, ..attempted.done() };
        let committed = self.vault.put_on_record(ctx, self.same(), event).await?;
        let error = Box::new(VaultError::UserNotAllowed);
        Err(VaultError::OnRecord { error, lines: committed.places().to_vec() })
    }
}

impl Who {
    /// Who did it: the user for whom it was done, else the principal. It is what `own` means.
    pub(crate) fn author(&self) -> Principal {
        self.acting_for.as_ref().map_or(self.principal, |acting| Principal::User(acting.user))
    }

    /// The caller's admission, if it is a backend that was let in.
    pub(crate) fn admission(&self) -> Option<Arc<Admission>> {
        self.admission.as_ref().map(|admission| admission.value.clone())
    }
}
