//! Who is calling: from a bearer token to a context that only authentication can make.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{
    ActsAs, Admission, ApiKey, AskedWith, Asker, BackendId, ClassId, JobId, KeyId, PermissionClass,
    Plaintext, Principal, Purpose, RequestId, Session, SessionId, Tenant, TenantId, Timestamp,
    User, UserId, UserState,
};

use crate::acting::{Acting, ActingFor};
use crate::recovery::RecoveryNotice;
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::{Token, TokenKind, Vault, VaultError, keyspace};

/// What a request says about itself beside its credential.
#[derive(Clone)]
pub struct About {
    /// The request's id.
    pub request: RequestId,
    /// From where it comes.
    pub address: Option<IpAddr>,
    /// The purpose that it states.
    pub purpose: Option<Purpose>,
    /// The reason that it gives, for the audit log.
    pub reason: Option<Arc<Plaintext<String>>>,
}

impl std::fmt::Debug for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.request)
    }
}

/// The credential that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A session of a user.
    Session(SessionId),
    /// An API key.
    ApiKey(KeyId),
    /// A backend of the provider.
    Backend(BackendId),
}

/// A caller whose credential has been checked, confined to one tenant. Whatever touches rows of a
/// tenant takes the tenant from here.
#[derive(Debug, Clone)]
pub struct TenantCtx {
    tenant: TenantId,
    credential: Credential,
    /// The number of the backend's secret that was shown; 0 for other credentials.
    secret: u32,
    /// In whose name the credential acts.
    acts: ActsAs,
    /// The user for whom this request is made.
    acting: Acting,
    /// The job that is done for the caller; absent for a request of its own.
    job: Option<JobId>,
    about: About,
}

impl TenantCtx {
    /// Whoever asked for a job, as it is done for them. Nothing of their rights is taken from when
    /// they asked: every use case reads for itself what the credential may now.
    pub(crate) fn of_job(tenant: TenantId, job: JobId, asker: &Asker) -> Self {
        let (credential, secret) = match asker.credential {
            AskedWith::Session(id) => (Credential::Session(id), 0),
            AskedWith::ApiKey(id) => (Credential::ApiKey(id), 0),
            AskedWith::Backend(id, secret) => (Credential::Backend(id), secret),
        };
        let about = About {
            request: RequestId::from_bytes(*job.as_bytes()),
            address: asker.address,
            purpose: asker.purpose.clone(),
            reason: None,
        };
        Self {
            tenant,
            credential,
            secret,
            acts: ActsAs::Itself,
            acting: asker.acting_for.map_or(Acting::Nobody, Acting::User),
            job: Some(job),
            about,
        }
    }

    /// The caller as a job that it asks for keeps it.
    pub(crate) fn as_asker(&self) -> Asker {
        let credential = match self.credential {
            Credential::Session(id) => AskedWith::Session(id),
            Credential::ApiKey(id) => AskedWith::ApiKey(id),
            Credential::Backend(id) => AskedWith::Backend(id, self.secret),
        };
        let acting_for = match self.acting {
            Acting::User(user) => Some(user),
            // Whoever names a user that there is not has been refused before.
            Acting::Nobody | Acting::Unknown => None,
        };
        let About { address, purpose, .. } = &self.about;
        Asker { credential, acting_for, purpose: purpose.clone(), address: *address }
    }

    /// The job that is done for the caller.
    pub(crate) const fn job(&self) -> Option<JobId> {
        self.job
    }

    /// The tenant to which the caller is confined; the provider for operators, and for a backend that
    /// has not been let in anywhere.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The credential.
    pub const fn credential(&self) -> Credential {
        self.credential
    }

    /// What the request says about itself.
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// The number of the backend's secret that was shown.
    pub(crate) const fn secret(&self) -> u32 {
        self.secret
    }

    /// In whose name the credential acts.
    pub(crate) const fn acts(&self) -> ActsAs {
        self.acts
    }

    /// The user for whom the request is made.
    pub(crate) const fn acting(&self) -> Acting {
        self.acting
    }

    /// A backend in a tenant that admits it.
    pub(crate) fn let_in(self, tenant: TenantId, admission: &Admission) -> Self {
        Self { tenant, acts: admission.acts, ..self }
    }

    /// The same caller, for another purpose than the request states.
    pub(crate) fn stating(&self, purpose: Option<Purpose>) -> Self {
        Self { about: About { purpose, ..self.about.clone() }, ..self.clone() }
    }

    /// The same caller, as what they do themselves belongs to a job.
    pub(crate) fn through(self, job: JobId) -> Self {
        Self { job: Some(job), ..self }
    }

    /// The same caller, acting for somebody.
    pub(crate) fn acting_as(self, acting: Acting) -> Self {
        Self { acting, ..self }
    }

    /// Whether the caller is a person of the provider, or a key that one of them made.
    pub fn is_provider(&self) -> bool {
        match self.credential {
            Credential::Session(_) | Credential::ApiKey(_) => self.tenant == TenantId::PROVIDER,
            Credential::Backend(_) => false,
        }
    }
}

impl Vault {
    /// Turns a bearer token into a context.
    ///
    /// # Errors
    /// [`VaultError::Unauthenticated`] for whatever is no credential in force, without saying why;
    /// [`VaultError::Locked`] while the keys that tell are not loaded.
    pub async fn sign_in(&self, token: &str, about: About) -> Result<TenantCtx, VaultError> {
        if self.keyring.is_locked() {
            return Err(VaultError::Locked);
        }
        let token = Token::parse(token).ok_or(VaultError::Unauthenticated)?;
        let key =
            match self.keyring.service(token.tenant, Half::Account, Service::Credentials).await {
                Ok(key) => key,
                Err(KeyError::Gone | KeyError::Unknown) => return Err(VaultError::Unauthenticated),
                Err(error) => return Err(error.into()),
            };
        let mut snapshot = Snapshot::new(self);
        let now = self.now();
        let mut acts = ActsAs::Itself;
        let (credential, stored, in_force) = match token.kind {
            TokenKind::Session => {
                let id = SessionId::from_bytes(token.id);
                let session =
                    snapshot.load::<Session>(&keyspace::session(token.tenant, id)).await?;
                let in_force = session.as_ref().is_some_and(|session| session.is_in_force(now));
                (Credential::Session(id), session.map(|session| session.secret_hash), in_force)
            }
            TokenKind::ApiKey => {
                let id = KeyId::from_bytes(token.id);
                let api_key = snapshot.load::<ApiKey>(&keyspace::api_key(token.tenant, id)).await?;
                let in_force = api_key.as_ref().is_some_and(|key| key.is_in_force(now));
                acts = api_key.as_ref().map_or(ActsAs::Itself, |key| key.acts());
                (Credential::ApiKey(id), api_key.map(|api_key| api_key.secret_hash), in_force)
            }
            TokenKind::Backend => return self.sign_in_backend(&token, &key, about).await,
            TokenKind::Invitation => return Err(VaultError::Unauthenticated),
        };
        // Absent and wrong take the same comparison.
        if !token.matches(&key, &stored.unwrap_or([0; 32])) || stored.is_none() || !in_force {
            return Err(VaultError::Unauthenticated);
        }
        // Whether the user may still sign in, and what they hold, every use case reads for itself, as
        // facts that its line or its commit rests on.
        Ok(TenantCtx {
            tenant: token.tenant,
            credential,
            secret: 0,
            acts,
            acting: Acting::Nobody,
            job: None,
            about,
        })
    }

    async fn sign_in_backend(
        &self,
        token: &Token,
        key: &strongroom_crypto::Key,
        about: About,
    ) -> Result<TenantCtx, VaultError> {
        let id = BackendId::from_bytes(token.id);
        let found = Snapshot::new(self).load(&keyspace::backend(id)).await?;
        let found: Option<Loaded<strongroom_model::Backend>> = found;
        let now = self.now();
        // Every secret is compared, and absent and wrong take the same comparison.
        let mut secret = None;
        for known in found.iter().flat_map(|found| found.in_force(now)) {
            if token.matches(key, &known.secret_hash) {
                secret = Some(known.number);
            }
        }
        if found.is_none() {
            let _ = token.matches(key, &[0; 32]);
        }
        let secret = secret.filter(|_| token.tenant == TenantId::PROVIDER);
        Ok(TenantCtx {
            tenant: TenantId::PROVIDER,
            credential: Credential::Backend(id),
            secret: secret.ok_or(VaultError::Unauthenticated)?,
            acts: ActsAs::Itself,
            acting: Acting::Nobody,
            job: None,
            about,
        })
    }

    /// Who the caller is.
    ///
    /// # Errors
    /// As for [`Vault::sign_in`].
    pub async fn whoami(&self, ctx: &TenantCtx) -> Result<Whoami, VaultError> {
        attempt(|| async {
            let mut snapshot = Snapshot::new(self);
            let who = snapshot.known(ctx).await?;
            Ok(Whoami {
                recovery: snapshot.recovery_notice(ctx.tenant).await?,
                tenant: ctx.tenant,
                principal: who.principal,
                user: who.user,
                acts: who.acts,
                classes: who.classes.iter().map(|class| (class.id, class.name.clone())).collect(),
                expires_at: who.expires_at,
            })
        })
        .await
    }
}

/// What a caller is told about itself.
#[derive(Debug)]
pub struct Whoami {
    /// Its tenant.
    pub tenant: TenantId,
    /// What it acts as.
    pub principal: Principal,
    /// The user, if it is one or acts for one.
    pub user: Option<UserId>,
    /// In whose name it acts.
    pub acts: ActsAs,
    /// Its permission classes.
    pub classes: Vec<(ClassId, strongroom_model::ClassName)>,
    /// When its credential ends, if it does by itself.
    pub expires_at: Option<Timestamp>,
    /// That the recovery of an owner of its tenant is under way.
    pub recovery: Option<RecoveryNotice>,
}

/// What is known of the caller in one attempt of a use case.
pub(crate) struct Who {
    pub(crate) principal: Principal,
    /// The user whom it is, or for whom it acts.
    pub(crate) user: Option<UserId>,
    /// Its own classes; for a backend those of its admission.
    pub(crate) classes: Vec<Loaded<PermissionClass>>,
    pub(crate) tenant: Loaded<Tenant>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) acts: ActsAs,
    /// The user for whom it acts, with their classes.
    pub(crate) acting_for: Option<ActingFor>,
    /// For a backend: how far the tenant admits it.
    pub(crate) admission: Option<Loaded<Admission>>,
}

impl Who {
    /// The user who is there themselves, signed in; nobody where a key or a backend asks.
    pub(crate) fn in_person(&self, ctx: &TenantCtx) -> Option<UserId> {
        match ctx.credential {
            Credential::Session(_) if self.acting_for.is_none() => self.user,
            Credential::Session(_) | Credential::ApiKey(_) | Credential::Backend(_) => None,
        }
    }
}

impl Snapshot<'_> {
    /// Reads who the caller is, whether the credential is still in force, and what it holds.
    pub(crate) async fn known(&mut self, ctx: &TenantCtx) -> Result<Who, VaultError> {
        let now = self.vault.now();
        let tenant = self
            .load::<Tenant>(&keyspace::tenant(ctx.tenant))
            .await?
            .ok_or(VaultError::Unauthenticated)?;
        let (mut acts, mut admission) = (ActsAs::Itself, None);
        let (principal, user, class_ids, expires_at) = match ctx.credential {
            Credential::Session(id) => {
                let session = self.load::<Session>(&keyspace::session(ctx.tenant, id)).await?;
                let session = session.ok_or(VaultError::Unauthenticated)?;
                let user = self.load::<User>(&keyspace::user(ctx.tenant, session.user)).await?;
                let user = user.ok_or(VaultError::Unauthenticated)?;
                if !session.is_in_force(now) || user.state != UserState::Active {
                    return Err(VaultError::Unauthenticated);
                }
                let principal = if ctx.is_provider() {
                    Principal::Operator(user.id)
                } else {
                    Principal::User(user.id)
                };
                (principal, Some(user.id), user.classes.clone(), Some(session.expires_at))
            }
            Credential::ApiKey(id) => {
                let key = self.load::<ApiKey>(&keyspace::api_key(ctx.tenant, id)).await?;
                let key = key.ok_or(VaultError::Unauthenticated)?;
                if !key.is_in_force(now) {
                    return Err(VaultError::Unauthenticated);
                }
                // A key of the provider acts as the operator who made it: running the server is for
                // operators alone.
                let principal =
                    if ctx.is_provider() { key.created_by } else { Principal::ApiKey(key.id) };
                acts = key.acts();
                (principal, None, key.classes.clone(), Some(key.expires_at))
            }
            Credential::Backend(id) => {
                admission = self.admitted(ctx, id, &tenant).await?;
                acts = admission.as_ref().map_or(ActsAs::Itself, |admission| admission.acts);
                let classes = admission.iter().flat_map(|admission| admission.classes.clone());
                let until = admission.as_ref().and_then(|admission| admission.until);
                (Principal::Backend(id), None, classes.collect(), until)
            }
        };
        let keys: Vec<_> =
            class_ids.iter().map(|class| keyspace::class(ctx.tenant, *class)).collect();
        let classes =
            self.load_many::<PermissionClass>(&keys).await?.into_iter().flatten().collect();
        let acting_for = self.acting_for(ctx, principal).await?;
        let user = acting_for.as_ref().map_or(user, |acting| Some(acting.user));
        Ok(Who { principal, user, classes, tenant, expires_at, acts, acting_for, admission })
    }

    /// A tenant that the path names: the caller's own, or any for an operator.
    pub(crate) async fn named_tenant(
        &mut self,
        ctx: &TenantCtx,
        tenant: TenantId,
    ) -> Result<Option<Loaded<Tenant>>, VaultError> {
        if tenant == TenantId::PROVIDER || (tenant != ctx.tenant && !ctx.is_provider()) {
            return Ok(None);
        }
        match self.load::<Tenant>(&keyspace::tenant(tenant)).await {
            Err(VaultError::Erased(_)) => Ok(None),
            found => found,
        }
    }
}
