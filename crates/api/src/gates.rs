//! What every request passes before its handler: the gate of the permission table, and the members
//! that its query may have.

use std::collections::HashMap;

use axum::http::Method;
use axum::http::request::Parts;
use strongroom_vault::policy::Gate;

use crate::door::Notes;
use crate::extract::Caller;
use crate::problem::Problem;
use crate::routes::Api;

/// What is known of a route.
pub(crate) struct Rules {
    /// What it demands.
    pub(crate) gate: Gate,
    /// The names of its query's members.
    pub(crate) queries: Vec<String>,
}

/// The rules of every route, by method and template.
pub(crate) type Gates = HashMap<(Method, String), Rules>;

/// Lets a request in, or says why not. A route that is not public lets nobody in without a
/// credential, whatever its handler asks for; the caller is noted for it.
///
/// # Errors
/// Those of [`Caller::sign_in`]; 429 for strangers who ask too often; 400 for a member of the query
/// that the route does not know.
pub(crate) async fn admit(
    api: &Api,
    rules: &Rules,
    request: &Parts,
    notes: &Notes,
) -> Result<(), Problem> {
    match rules.gate {
        Gate::Public(_) => count_stranger(api, &request.method, notes)?,
        Gate::SignedIn | Gate::Operator | Gate::Needs(_) => {
            let caller = Caller::sign_in(api, &request.headers, notes).await?;
            let caller = caller.proceed(request, notes).await?;
            // It is set once: a request has one caller.
            let _ = notes.caller.set(caller);
        }
    }
    let asked = request.uri.query().unwrap_or_default();
    let mut members = asked.split('&').filter(|member| !member.is_empty());
    let known = |member: &str| {
        let name = member.split_once('=').map_or(member, |(name, _)| name);
        rules.queries.iter().any(|known| known == name)
    };
    if members.all(known) {
        Ok(())
    } else {
        // Ignored, it would be silently without effect.
        Err(Problem::invalid_query("the query has a member that this route does not know"))
    }
}

/// Counts a request of a public route. Those that change something are answered for a secret in
/// their body, so trying is made slow.
fn count_stranger(api: &Api, method: &Method, notes: &Notes) -> Result<(), Problem> {
    let Some(rates) = &api.rates else { return Ok(()) };
    if method.is_safe() {
        rates.stranger(notes.address)?;
    } else {
        rates.proof(notes.address)?;
    }
    Ok(())
}
