//! Where the server's log goes: standard error, as lines or JSON.

use std::io::IsTerminal;

use strongroom_vault::SPANS;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::server::telemetry::TracesLayer;
use crate::settings::LogFormat;

/// Begins to log. Our own events are logged from `least` on; libraries only warn, because what they
/// say more may hold parts of requests.
///
/// `traces` is where spans go, if they go anywhere; the log has none.
pub(super) fn begin(format: LogFormat, least: LevelFilter, traces: Option<TracesLayer>) {
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(least))
        .with_targets(OWN.iter().map(|room| (*room, least)))
        .with_target(SPANS, LevelFilter::OFF);
    let lines = match format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        }
    };
    // The only error is that a log has been set up already.
    let _ = tracing_subscriber::registry().with(traces).with(lines.with_filter(targets)).try_init();
    strongroom_api::log_panics_by_place();
}

const OWN: [&str; 6] = [
    "strongroom",
    "strongroom_api",
    "strongroom_vault",
    "strongroom_keyring",
    "strongroom_storage",
    "strongroom_audit",
];
