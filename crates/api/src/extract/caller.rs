//! Who is calling, by its bearer token, and in which tenant.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use strongroom_model::TenantId;
use strongroom_vault::records::RecordView;
use strongroom_vault::{About, Credential, TenantCtx, Vault};

use super::headers;
use super::path::{in_path, parameter};
use crate::door::Notes;
use crate::problem::Problem;
use crate::rates::RateLimits;
use crate::routes::Api;

/// Most bytes of a token; ours are shorter.
const TOKEN_LENGTH_MAX: usize = 256;

/// Somebody with a credential that is in force.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The vault.
    pub(crate) vault: Arc<Vault>,
    /// What authentication made.
    pub(crate) ctx: TenantCtx,
    /// What counts its requests.
    rates: Option<Arc<RateLimits>>,
}

/// A caller of the tenant that the path names, or of the provider where it names none.
pub(crate) struct TenantCaller(pub(crate) Caller);

/// A caller, and the tenant that the path names: any for people of the provider, their own for others.
pub(crate) struct AboutTenant {
    /// Who asks.
    pub(crate) caller: Caller,
    /// About which tenant.
    pub(crate) tenant: TenantId,
}

impl Caller {
    /// Turns the bearer token into a caller, and counts its request. The credential comes first:
    /// whoever has none learns nothing else.
    ///
    /// # Errors
    /// 401 for whatever is no credential in force; 429 for whoever asks too often; 400 for a purpose
    /// or reason that cannot be read.
    pub(crate) async fn sign_in(
        api: &Api,
        headers: &HeaderMap,
        notes: &Notes,
    ) -> Result<Self, Problem> {
        let (vault, rates) = (&api.vault, &api.rates);
        let unknown = |problem: Problem| match rates {
            Some(rates) if problem.is_unauthenticated() => {
                rates.stranger(notes.address).map_or_else(Problem::from, |()| problem)
            }
            Some(_) | None => problem,
        };
        let token = bearer_token(headers).map_err(unknown)?;
        let (purpose, reason) = (headers::purpose(headers), headers::reason(headers));
        let (reason, reason_flaw) = match reason {
            Ok(reason) => (reason.map(Arc::new), Ok(())),
            Err(flaw) => (None, Err(flaw)),
        };
        let about = About {
            request: notes.id,
            address: Some(notes.address),
            purpose: purpose.as_ref().ok().cloned().flatten(),
            reason,
        };
        let signed_in = vault.sign_in(token, about).await;
        let ctx = signed_in.map_err(|error| unknown(error.into()))?;
        // It is set once: a request has one caller.
        let _ = notes.principal.set(kind(&ctx));
        if let Some(rates) = rates {
            rates.request(&ctx)?;
        }
        purpose?;
        reason_flaw?;
        Ok(Self { vault: vault.clone(), ctx, rates: rates.clone() })
    }

    /// Goes to where the request leads: a backend into the tenant that the path names, and whoever
    /// acts for a user to that user.
    ///
    /// # Errors
    /// 404 for a backend at a tenant that does not admit it; 429 where that tenant's credentials ask
    /// too often; 400 for a user who cannot be read, or a credential that acts for nobody.
    pub(crate) async fn proceed(self, request: &Parts, notes: &Notes) -> Result<Self, Problem> {
        let Self { vault, mut ctx, rates } = self;
        if ctx.is_backend()
            && let Some(tenant) = in_path(notes, request.uri.path(), "tenant")?
        {
            ctx = vault.enter(ctx, tenant).await?;
            if let Some(rates) = &rates {
                rates.entered(&ctx)?;
            }
        }
        if let Some(user) = headers::user(&request.headers)? {
            ctx = vault.act_for(ctx, &user).await?;
        }
        Ok(Self { vault, ctx, rates })
    }

    /// Counts the items of a batch.
    ///
    /// # Errors
    /// 429, if they are more than the caller may send now.
    pub(crate) fn count_items(&self, items: usize) -> Result<(), Problem> {
        if let Some(rates) = &self.rates {
            rates.batch(&self.ctx, items)?;
        }
        Ok(())
    }

    /// Where a record of the caller's tenant can be found.
    pub(crate) fn location(&self, record: &RecordView) -> String {
        let RecordView { id, collection, .. } = record;
        format!("/v1/tenants/{}/collections/{collection}/records/{id}", self.ctx.tenant())
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// The gate has signed the caller in (`gates.rs`).
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let notes = parts.extensions.get::<Arc<Notes>>();
        let caller = notes.and_then(|notes| notes.caller.get().cloned());
        caller.ok_or_else(Problem::unauthenticated)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TenantCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let named = parameter(parts, "tenant")?;
        // The provider has its own paths; under those of a tenant it is one that does not exist.
        let fits = match named {
            Some(TenantId::PROVIDER) => false,
            Some(tenant) => tenant == caller.ctx.tenant(),
            None => caller.ctx.is_provider(),
        };
        if fits { Ok(Self(caller)) } else { Err(Problem::not_found()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AboutTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let tenant: Option<TenantId> = parameter(parts, "tenant")?;
        let tenant = tenant.filter(|tenant| {
            *tenant != TenantId::PROVIDER
                && (caller.ctx.is_provider() || *tenant == caller.ctx.tenant())
        });
        tenant.map(|tenant| Self { caller, tenant }).ok_or_else(Problem::not_found)
    }
}

/// The bearer token, not looked at.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Problem::unauthenticated());
    };
    let text = value.to_str().map_err(|_| Problem::unauthenticated())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") && token.len() <= TOKEN_LENGTH_MAX {
        Ok(token)
    } else {
        Err(Problem::unauthenticated())
    }
}

/// What kind of principal it is, for the log.
fn kind(ctx: &TenantCtx) -> &'static str {
    match (ctx.credential(), ctx.is_provider()) {
        (Credential::Session(_), false) => "user",
        (Credential::Session(_), true) => "operator",
        (Credential::ApiKey(_), _) => "api-key",
        (Credential::Backend(_), _) => "backend",
    }
}
