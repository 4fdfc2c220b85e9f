//! The span of a request, for traces: its method, the template of its route, its status, and ids that
//! name no person. Never a path, a query, a header of the caller's, a body or an address.

use axum::http::HeaderMap;
use axum::response::Response;
use strongroom_model::RequestId;
use strongroom_vault::SPANS;
use tracing::Span;
use tracing::field::Empty;

use crate::door::Notes;
use crate::problem::Problem;
use crate::reply::AUDIT_HEADER;

/// The header in which whoever asks says to which trace a request belongs (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
/// The header's length in version 0, which later versions begin with.
const TRACEPARENT_LENGTH: usize = 55;

/// Who knows more of spans than that they begin and end: those who export them.
pub trait Traces: Send + Sync {
    /// Makes the span a child of the one that `traceparent` names, if it names one.
    fn adopt(&self, span: &Span, traceparent: &str);
    /// Names a span that has begun.
    fn name(&self, span: &Span, name: String);
}

/// The span of a request, named after OpenTelemetry's conventions for HTTP servers.
pub(crate) fn begin(method: Option<&'static str>, id: RequestId) -> Span {
    tracing::info_span!(
        target: SPANS,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method.unwrap_or("_OTHER"),
        http.route = Empty,
        http.response.status_code = Empty,
        strongroom.request_id = %id,
        strongroom.code = Empty,
        strongroom.audit = Empty,
    )
}

/// Puts the span into the caller's trace. Only for callers that are trusted: their word also decides
/// whether it is traced at all.
pub(crate) fn adopt(traces: &dyn Traces, span: &Span, headers: &HeaderMap) {
    let mut named = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (named.next(), named.next()) else { return };
    if let Ok(parent) = parent.to_str()
        && parent.len() == TRACEPARENT_LENGTH
    {
        traces.adopt(span, parent);
    }
}

/// Notes how the request has ended.
pub(crate) fn end(
    traces: Option<&dyn Traces>,
    span: &Span,
    method: Option<&'static str>,
    notes: &Notes,
    answer: &Response,
    problem: Option<&Problem>,
) {
    if span.is_disabled() {
        return;
    }
    let method = method.unwrap_or("HTTP");
    let route = notes.route.get().map(|route| &**route);
    if let Some(route) = route {
        span.record("http.route", route);
    }
    if let Some(traces) = traces {
        traces.name(
            span,
            route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        );
    }
    span.record("http.response.status_code", answer.status().as_u16());
    if answer.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(problem) = problem {
        span.record("strongroom.code", problem.code());
    }
    if let Some(lines) = answer.headers().get(AUDIT_HEADER).and_then(|lines| lines.to_str().ok()) {
        span.record("strongroom.audit", lines);
    }
}
