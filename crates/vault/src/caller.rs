//! Who is calling: from a bearer token to a context that only authentication can make.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_access_policy::{Actor, HeldClass};
use strongroom_keyring::{Half, KeyError, Service};
use strongroom_model::{
    ApiKey, ClassId, KeyId, PermissionClass, Plaintext, Principal, Purpose, RequestId, Session,
    SessionId, Tenant, TenantId, Timestamp, User, UserId, UserState,
};

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
}

/// A caller whose credential has been checked, confined to one tenant. Whatever touches rows of a
/// tenant takes the tenant from here.
#[derive(Debug, Clone)]
pub struct TenantCtx {
    tenant: TenantId,
    credential: Credential,
    about: About,
}

impl TenantCtx {
    /// The tenant to which the caller is confined; the provider for operators.
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

    /// Whether the caller is of the provider.
    pub fn is_provider(&self) -> bool {
        self.tenant == TenantId::PROVIDER
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
                (Credential::ApiKey(id), api_key.map(|api_key| api_key.secret_hash), in_force)
            }
            TokenKind::Invitation => return Err(VaultError::Unauthenticated),
        };
        // Absent and wrong take the same comparison.
        if !token.matches(&key, &stored.unwrap_or([0; 32])) || stored.is_none() || !in_force {
            return Err(VaultError::Unauthenticated);
        }
        // Whether the user may still sign in, and what they hold, every use case reads for itself, as
        // facts that its line or its commit rests on.
        Ok(TenantCtx { tenant: token.tenant, credential, about })
    }

    /// Who the caller is.
    ///
    /// # Errors
    /// As for [`Vault::sign_in`].
    pub async fn whoami(&self, ctx: &TenantCtx) -> Result<Whoami, VaultError> {
        attempt(|| async {
            let who = Snapshot::new(self).who(ctx).await?;
            Ok(Whoami {
                tenant: ctx.tenant,
                principal: who.principal,
                user: who.user,
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
    /// The user, if it is one.
    pub user: Option<UserId>,
    /// Its permission classes.
    pub classes: Vec<(ClassId, strongroom_model::ClassName)>,
    /// When its credential ends.
    pub expires_at: Timestamp,
}

/// What is known of the caller in one attempt of a use case.
pub(crate) struct Who {
    pub(crate) principal: Principal,
    pub(crate) user: Option<UserId>,
    pub(crate) classes: Vec<Loaded<PermissionClass>>,
    pub(crate) tenant: Loaded<Tenant>,
    pub(crate) expires_at: Timestamp,
}

impl Who {
    /// Its classes as the policy takes them.
    pub(crate) fn held(&self) -> Vec<HeldClass<'_>> {
        self.classes
            .iter()
            .map(|class| HeldClass { class: &class.value, version: class.version })
            .collect()
    }

    /// The caller as the policy takes it.
    pub(crate) fn actor<'a>(&self, held: &'a [HeldClass<'a>]) -> Actor<'a> {
        Actor { principal: self.principal, user: self.user, linked_subject: None, classes: held }
    }

    /// Whether one of its classes is the owner class.
    pub(crate) fn is_owner(&self) -> bool {
        self.classes.iter().any(|class| class.terms.owner)
    }
}

impl Snapshot<'_> {
    /// Reads who the caller is, whether the credential is still in force, and what it holds.
    pub(crate) async fn who(&mut self, ctx: &TenantCtx) -> Result<Who, VaultError> {
        let now = self.vault.now();
        let tenant = self
            .load::<Tenant>(&keyspace::tenant(ctx.tenant))
            .await?
            .ok_or(VaultError::Unauthenticated)?;
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
                (principal, Some(user.id), user.classes.clone(), session.expires_at)
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
                (principal, None, key.classes.clone(), key.expires_at)
            }
        };
        let keys: Vec<_> =
            class_ids.iter().map(|class| keyspace::class(ctx.tenant, *class)).collect();
        let classes =
            self.load_many::<PermissionClass>(&keys).await?.into_iter().flatten().collect();
        Ok(Who { principal, user, classes, tenant, expires_at })
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
