//! Spans: the steps of a use case, for traces. They have a name and no field: what a step is about is
//! nobody's who reads traces.

use tracing::Span;

/// The target of all spans. Whoever exports traces listens to it; where nobody does, a span costs one
/// comparison.
pub const SPANS: &str = "strongroom_spans";

/// The policy decides.
pub(crate) fn deciding() -> Span {
    tracing::info_span!(target: SPANS, "decide")
}

/// What was allowed is opened.
pub(crate) fn opening() -> Span {
    tracing::info_span!(target: SPANS, "open")
}
