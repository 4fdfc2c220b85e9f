//! What every request passes before its handler: the gate of the permission table, and the members
//! that its query may have.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
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

/// Lets a request in, or answers for its handler. A route without rules lets nobody in; a route that
/// is not public lets nobody in without a credential, whatever its handler asks for.
pub(crate) async fn pass(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&api, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn admit(api: &Arc<Api>, request: &mut Request) -> Result<(), Problem> {
    let Some(rules) = rules_of(&api.gates, request) else {
        return Err(refuse_method(&api.gates, request));
    };
    match rules.gate {
        Gate::Public(_) => count_stranger(api, request)?,
        Gate::SignedIn | Gate::Operator | Gate::Needs(_) => {
            let caller = Caller::sign_in(api, request.headers(), request.extensions()).await?;
            request.extensions_mut().insert(caller);
        }
    }
    let asked = request.uri().query().unwrap_or_default();
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
fn count_stranger(api: &Api, request: &Request) -> Result<(), Problem> {
    let notes = request.extensions().get::<Arc<Notes>>();
    let (Some(rates), Some(notes)) = (&api.rates, notes) else { return Ok(()) };
    if request.method().is_safe() {
        rates.stranger(notes.address)?;
    } else {
        rates.proof(notes.address)?;
    }
    Ok(())
}

fn rules_of<'g>(gates: &'g Gates, request: &Request) -> Option<&'g Rules> {
    let route = request.extensions().get::<MatchedPath>()?.as_str().to_owned();
    let method =
        if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    gates.get(&(method, route))
}

/// The path is known and the method is not; the answer lists those that are.
fn refuse_method(gates: &Gates, request: &Request) -> Problem {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let of_route = gates.keys().filter(|(_, known)| Some(known.as_str()) == route);
    let mut methods: Vec<&str> = of_route.map(|(method, _)| method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    Problem::method_not_allowed(&methods.join(", "))
}
