//! The page of all metrics, made from what the server shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::{MADE, cell, kept};
use crate::metrics::{Metrics, StoreCounts};

/// What the labels say. `le` belongs to the format of histograms.
const LABELS: [(&str, &str); 5] = [
    ("bound", "which bound was run into"),
    ("http_request_method", "the method, or `_OTHER` for one that the server does not know"),
    ("http_response_status_code", "the status of the answer"),
    ("http_route", "the route's template, such as `/v1/tenants/{tenant}`, or `unmatched`"),
    ("outcome", "what became of it"),
];

/// Labels whose values are few and always there.
const LISTED: [&str; 2] = ["bound", "outcome"];

#[derive(Default)]
struct Metric {
    meaning: String,
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The metrics of a server that has answered a request.
fn shown() -> BTreeMap<String, Metric> {
    let counted = Metrics::default();
    counted.request(Some("/v1/whoami"), Some("GET"), 200, Duration::from_millis(1));
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in counted.text(false, StoreCounts::default()).lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, meaning] => {
                metrics.entry((*name).to_owned()).or_default().meaning = (*meaning).to_owned();
            }
            ["#", "TYPE", name, kind] => {
                metrics.entry((*name).to_owned()).or_default().kind = (*kind).to_owned();
            }
            _ => add_labels(&mut metrics, line),
        }
    }
    metrics
}

fn add_labels(metrics: &mut BTreeMap<String, Metric>, line: &str) {
    let (series, _) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let suffixes = ["_bucket", "_sum", "_count"];
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
    let known = if metrics.contains_key(name) { name } else { base };
    let metric = metrics.get_mut(known).unwrap_or_else(|| panic!("{line} has no HELP"));
    for label in labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap();
        if name != "le" {
            let values = metric.labels.entry(name.to_owned()).or_default();
            values.insert(value.trim_matches('"').to_owned());
        }
    }
}

/// The unit, which is the end of the name (OpenTelemetry's and Prometheus' habit).
fn unit(name: &str) -> &'static str {
    match name.trim_end_matches("_total") {
        name if name.ends_with("_seconds") => "seconds",
        name if name.ends_with("_bytes") => "bytes",
        _ => "a number",
    }
}

fn page() -> String {
    let mut page = format!(
        "# Metrics\n\n{MADE}\n\
         What the listener for health and metrics shows at `/metrics`, in Prometheus' text format 0.0.4. `--admin-listen` opens it; what else is on it is in\n\
         [operating.md](../operating.md#health-and-metrics), and what to watch in [watch the metrics](../how-to/watch-the-metrics.md). Names are those of\n\
         OpenTelemetry where it has one. No label holds an id, a path, a tenant, an address or a value. Counters begin at 0 when the server starts.\n\n\
         | metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n"
    );
    let metrics = shown();
    for (name, metric) in &metrics {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(label, values)| {
                if LISTED.contains(&label.as_str()) {
                    let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
                    format!("`{label}`: {}", values.join(", "))
                } else {
                    format!("`{label}`")
                }
            })
            .collect();
        let Metric { meaning, kind, .. } = metric;
        let (unit, labels) = (unit(name), labels.join("; "));
        writeln!(page, "| `{name}` | {kind} | {unit} | {labels} | {} |", cell(meaning)).unwrap();
    }
    page += "\n| label | what it says |\n|---|---|\n";
    for (label, meaning) in LABELS {
        writeln!(page, "| `{label}` | {meaning} |").unwrap();
    }
    page
}

#[test]
fn the_page_of_metrics_is_the_one_that_the_server_shows() {
    kept("metrics.md", &page());
}

#[test]
fn every_metric_has_a_kind_and_a_meaning_and_every_label_one() {
    let metrics = shown();
    assert!(metrics.len() > 5);
    for (name, metric) in &metrics {
        assert!(!metric.kind.is_empty() && metric.meaning.ends_with('.'), "{name}");
        for label in metric.labels.keys() {
            assert!(LABELS.iter().any(|(known, _)| known == label), "{name}: {label}");
        }
    }
}
