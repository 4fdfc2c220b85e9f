//! Where the server's log goes: standard error, as lines or JSON.

use std::io::IsTerminal;

use strongroom_api::LogLines;
use strongroom_vault::SPANS;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::exit::Failure;
use crate::server::telemetry::TracesLayer;
use crate::settings::LogFormat;

/// Begins to log, until what this gives is dropped. Our own events are logged from `least` on;
/// libraries only warn, because what they say more may hold parts of requests. Errors are written at
/// once, for the process may end with them.
///
/// `traces` is where spans go, if they go anywhere; the log has none.
pub(super) fn begin(
    format: LogFormat,
    least: LevelFilter,
    traces: Option<TracesLayer>,
) -> Result<LogLines, Failure> {
    let lines = LogLines::begin(std::io::stderr())
        .map_err(|error| Failure::local(format!("cannot begin to log: {error}")))?;
    let (queued, urgent) = (lines.writer(), lines.urgent());
    let writer =
        (move || urgent.clone()).with_max_level(Level::ERROR).or_else(move || queued.clone());
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(least))
        .with_targets(OWN.iter().map(|room| (*room, least)))
        .with_target(SPANS, LevelFilter::OFF);
    let layer = match format {
        LogFormat::Text => fmt::layer()
            .with_writer(writer)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    // The only error is that a log has been set up already.
    let layer = layer.with_filter(targets);
    let _ = tracing_subscriber::registry().with(traces).with(layer).try_init();
    strongroom_api::log_panics_by_place();
    Ok(lines)
}

const OWN: [&str; 6] = [
    "strongroom",
    "strongroom_api",
    "strongroom_vault",
    "strongroom_keyring",
    "strongroom_storage",
    "strongroom_audit",
];
