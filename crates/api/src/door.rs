//! What every request goes through before and after its handler: an id, a turn, headers, and one line
//! in the log.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Incoming;
use strongroom_model::{RequestId, Rng, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::{Instrument, Span};

use crate::Limits;
use crate::body::{LongBody, Paced};
use crate::edge::{self, HostName, Network};
use crate::extract::Caller;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::spans::{self, Traces};
use crate::table::Answering;

/// The header that names the request in every answer.
pub(crate) const REQUEST_HEADER: HeaderName = HeaderName::from_static("strongroom-request");

/// Headers that every answer has: nothing is kept, guessed at, framed, followed or indexed.
const HEADERS: [(HeaderName, HeaderValue); 8] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// What is noted of a request on its way, for its log line and its answer.
pub(crate) struct Notes {
    /// The request's id.
    pub(crate) id: RequestId,
    /// From where it comes.
    pub(crate) address: IpAddr,
    /// The route's template; never the path, which has ids in it.
    pub(crate) route: OnceLock<Arc<str>>,
    /// What kind of principal sent it, once that is known.
    pub(crate) principal: OnceLock<&'static str>,
    /// Who sent it, once the gate has let them in.
    pub(crate) caller: OnceLock<Caller>,
}

/// Who answers the requests that come through a door.
pub(crate) trait Desk: Send + Sync + 'static {
    /// Answers a request, and notes which route it has taken.
    fn answer(self: Arc<Self>, request: Request, notes: Arc<Notes>) -> Answering;
}

/// A desk without gates, for routes that need none.
pub(crate) struct OpenDesk(Router);

impl OpenDesk {
    /// With these routes.
    pub(crate) fn new(router: Router) -> Arc<Self> {
        Arc::new(Self(router.layer(axum::middleware::from_fn(note_route))))
    }
}

impl Desk for OpenDesk {
    fn answer(self: Arc<Self>, mut request: Request, notes: Arc<Notes>) -> Answering {
        request.extensions_mut().insert(notes);
        let answering = self.0.clone().oneshot(request);
        Box::pin(async move {
            match answering.await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        })
    }
}

/// Notes the template of the route that the request matched.
async fn note_route(request: Request, next: Next) -> Response {
    let noted =
        request.extensions().get::<Arc<Notes>>().zip(request.extensions().get::<MatchedPath>());
    if let Some((notes, path)) = noted {
        // It is set once: a request matches one route.
        let _ = notes.route.set(path.as_str().into());
    }
    next.run(request).await
}

/// HSTS (RFC 6797): for two years this host and those below it are asked by TLS alone.
const STRICT_TRANSPORT: HeaderValue =
    HeaderValue::from_static("max-age=63072000; includeSubDomains");

/// What a door is beyond its desk.
#[derive(Default)]
pub(crate) struct Manner {
    /// Whether connections come by TLS.
    pub(crate) tls: bool,
    /// The names under which it is asked.
    pub(crate) hosts: Vec<HostName>,
    /// Whose word about the caller's address is taken.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Who exports spans.
    pub(crate) traces: Option<Arc<dyn Traces>>,
    /// Where requests are counted.
    pub(crate) metrics: Option<Arc<Metrics>>,
    /// Whether requests are left out of the log, unless something failed.
    pub(crate) quiet: bool,
}

/// The way in and out.
pub(crate) struct Door {
    manner: Manner,
    desk: Arc<dyn Desk>,
    rng: Arc<dyn Rng>,
    turns: Arc<Semaphore>,
    limits: Arc<Limits>,
}

impl Door {
    pub(crate) fn new(
        desk: Arc<dyn Desk>,
        rng: Arc<dyn Rng>,
        turns: Arc<Semaphore>,
        limits: Arc<Limits>,
        manner: Manner,
    ) -> Self {
        Self { manner, desk, rng, turns, limits }
    }

    /// Answers a request, whatever happens.
    pub(crate) async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        peer: SocketAddr,
    ) -> Response {
        let begun = Instant::now();
        let method = request.method().clone();
        let id = match RequestId::new(Timestamp::default(), &*self.rng) {
            Ok(id) => id,
            Err(error) => {
                let id = RequestId::from_bytes([0; 16]);
                return self.finish(Problem::internal(&error).render(id), id);
            }
        };
        let notes = Arc::new(Notes {
            id,
            address: edge::caller_address(
                peer.ip(),
                &self.manner.trusted_proxies,
                request.headers(),
            ),
            route: OnceLock::new(),
            principal: OnceLock::new(),
            caller: OnceLock::new(),
        });
        let span = self.span(&request, peer, id);
        let active = self.manner.metrics.as_ref().map(Metrics::active_request);
        let answer = if !edge::is_for(&self.manner.hosts, request.uri(), request.headers()) {
            Problem::unknown_host().into()
        } else if let Some(problem) = edge::ambiguity(&request) {
            problem.into()
        } else {
            self.work(request, notes.clone(), &span).await
        };
        drop(active);
        let (answer, problem) = settle(answer, id);
        let traces = self.manner.traces.as_deref();
        spans::end(traces, &span, known(&method), &notes, &answer, problem.as_ref());
        self.count_and_log(&notes, &method, answer.status(), begun.elapsed(), problem.as_ref());
        self.finish(answer, id)
    }

    /// The request's span, if somebody listens for spans.
    fn span<B>(&self, request: &hyper::Request<B>, peer: SocketAddr, id: RequestId) -> Span {
        if self.manner.quiet {
            return Span::none();
        }
        let span = spans::begin(known(request.method()), id);
        if let Some(traces) = self.manner.traces.as_deref()
            && edge::is_among(&self.manner.trusted_proxies, peer.ip().to_canonical())
        {
            spans::adopt(traces, &span, request.headers());
        }
        span
    }

    fn count_and_log(
        &self,
        notes: &Notes,
        method: &Method,
        status: StatusCode,
        took: Duration,
        problem: Option<&Problem>,
    ) {
        let method = known(method);
        if let Some(metrics) = &self.manner.metrics {
            let route = notes.route.get().map(|route| &**route);
            metrics.request(route, method, status.as_u16(), took);
            if let Some(bound) = problem.and_then(Problem::bound) {
                metrics.rate_limited(bound);
            }
        }
        if !self.manner.quiet || problem.is_some_and(|problem| problem.cause().is_some()) {
            log(notes, method, status, took, problem);
        }
    }

    fn finish(&self, mut answer: Response, id: RequestId) -> Response {
        let headers = answer.headers_mut();
        for (name, value) in HEADERS {
            headers.entry(name).or_insert(value);
        }
        if self.manner.tls {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        }
        if let Ok(id) = HeaderValue::try_from(id.to_string()) {
            headers.insert(REQUEST_HEADER, id);
        }
        answer
    }

    async fn work(
        &self,
        request: hyper::Request<Incoming>,
        notes: Arc<Notes>,
        span: &Span,
    ) -> Response {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Problem::stopping().into();
        };
        let long = LongBody::new(request.extensions().get().cloned());
        let mut request =
            request.map(|body| Body::new(Paced::new(body, &self.limits, long.clone())));
        request.extensions_mut().insert(long);
        let answering = self.desk.clone().answer(request, notes);
        let answering = if span.is_disabled() {
            answering
        } else {
            Box::pin(answering.instrument(span.clone()))
        };
        Work(Some((answering, turn))).await
    }
}

/// A request that is worked on where its connection is. If its caller hangs up, what is left to do
/// becomes a task of its own: a use case that has begun is finished. A panic ends the request only.
struct Work(Option<(Answering, OwnedSemaphorePermit)>);

impl Future for Work {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let outcome = match &mut self.0 {
            Some((answering, _)) => {
                catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)))
            }
            None => Ok(Poll::Pending),
        };
        // The payload of a panic may hold a value: it is not used.
        let outcome = outcome.unwrap_or_else(|_| Poll::Ready(Problem::panicked().into()));
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let (Some((answering, turn)), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move {
                drop(answering.await);
                drop(turn);
            });
        }
    }
}

/// Renders the problem that an answer carries, if it does.
fn settle(mut answer: Response, id: RequestId) -> (Response, Option<Problem>) {
    let Some(problem) = answer.extensions_mut().remove::<Problem>() else { return (answer, None) };
    (problem.render(id), Some(problem))
}

/// The method's word; none for one that we do not know, which is text of the caller's choosing.
fn known(method: &Method) -> Option<&'static str> {
    match method.as_str() {
        "GET" => Some("GET"),
        "HEAD" => Some("HEAD"),
        "POST" => Some("POST"),
        "PUT" => Some("PUT"),
        "PATCH" => Some("PATCH"),
        "DELETE" => Some("DELETE"),
        "OPTIONS" => Some("OPTIONS"),
        _ => None,
    }
}

/// In whole thousandths, so that the number is as short as it is exact.
fn milliseconds(took: Duration) -> f64 {
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// One line for each request: no path, query, header or body, for these can hold client data.
fn log(
    notes: &Notes,
    method: Option<&'static str>,
    status: StatusCode,
    took: Duration,
    problem: Option<&Problem>,
) {
    let method = method.unwrap_or("-");
    let route = notes.route.get().map_or("-", |route| &**route);
    let principal = notes.principal.get().copied().unwrap_or("-");
    let duration_ms = milliseconds(took);
    let (request_id, status) = (notes.id, status.as_u16());
    match problem.map(|problem| (problem.code(), problem.cause())) {
        Some((code, Some(cause))) => {
            tracing::error!(%request_id, method, route, status, duration_ms, principal, code, cause, "a request ended");
        }
        Some((code, None)) => {
            tracing::info!(%request_id, method, route, status, duration_ms, principal, code, "a request ended");
        }
        None => {
            tracing::info!(%request_id, method, route, status, duration_ms, principal, "a request ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_in_the_log_has_at_most_three_decimals() {
        for micros in (0..5_000_000).step_by(37) {
            let shown = milliseconds(Duration::from_nanos(micros * 1000 + 999)).to_string();
            let decimals = shown.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 3, "{shown}");
        }
        assert_eq!(milliseconds(Duration::from_nanos(360_537_999)).to_string(), "360.537");
        assert_eq!(milliseconds(Duration::from_secs(1)).to_string(), "1000");
    }
}
