//! What the server counts about itself, as text for Prometheus. Names are those of OpenTelemetry.
//!
//! Labels say which route, method, status and bound; their values come from this program alone and
//! never from a request, so that there is a fixed number of them and none holds an id or a value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::rates::Bound;

/// The media type of what [`Metrics::text`] writes (Prometheus text format 0.0.4).
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route of what matched none.
const UNMATCHED: &str = "unmatched";

/// The upper ends of the histogram's buckets, in seconds: those that OpenTelemetry advises, and two
/// below them.
const BUCKETS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// How much the store has done since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StoreCounts {
    /// Groups of batches that were made durable together.
    pub(crate) commit_groups: u64,
    /// Groups of appends that were made durable together.
    pub(crate) append_groups: u64,
    /// Times that a file was synced to its disk.
    pub(crate) syncs: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By route template, then by method and status. There are as many as the program has routes,
    /// methods that it knows, and statuses that it answers.
    requests: Mutex<BTreeMap<String, Series>>,
    connections: AtomicU64,
    active_requests: AtomicU64,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
    certificates_loaded: AtomicU64,
    certificates_refused: AtomicU64,
    rate_limited: [AtomicU64; Bound::ALL.len()],
}

/// The requests of one route by method and status.
type Series = BTreeMap<(&'static str, u16), Histogram>;

#[derive(Debug, Default)]
struct Histogram {
    /// How many fell into each bucket and no earlier one.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// Something that is counted as long as it lasts.
pub(crate) struct Lasting {
    metrics: Arc<Metrics>,
    of: fn(&Metrics) -> &AtomicU64,
}

impl Lasting {
    fn new(metrics: Arc<Metrics>, of: fn(&Metrics) -> &AtomicU64) -> Self {
        of(&metrics).fetch_add(1, Ordering::Relaxed);
        Self { metrics, of }
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        (self.of)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A connection is open until what this gives is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Lasting {
        Lasting::new(self.clone(), |metrics| &metrics.connections)
    }

    /// A request is under way until what this gives is dropped.
    pub(crate) fn active_request(self: &Arc<Self>) -> Lasting {
        Lasting::new(self.clone(), |metrics| &metrics.active_requests)
    }

    /// A request was answered. The method is one that we know or [`None`]; the route is a template.
    pub(crate) fn request(
        &self,
        route: Option<&str>,
        method: Option<&'static str>,
        status: u16,
        took: Duration,
    ) {
        let route = route.unwrap_or(UNMATCHED);
        let series = (method.unwrap_or("_OTHER"), status);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_route) = requests.get_mut(route) {
            of_route.entry(series).or_default().add(took);
        } else {
            requests.entry(route.to_owned()).or_default().entry(series).or_default().add(took);
        }
    }

    /// A request was refused because of a bound.
    pub(crate) fn rate_limited(&self, bound: Bound) {
        let counters = Bound::ALL.iter().zip(&self.rate_limited);
        for (_, counter) in counters.filter(|(of, _)| **of == bound) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection was closed because its address has as many as it may have.
    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake did not come to its end.
    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A changed certificate was loaded, or refused.
    pub(crate) fn certificate_changed(&self, loaded: bool) {
        let counter = if loaded { &self.certificates_loaded } else { &self.certificates_refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it as text.
    pub(crate) fn text(&self, locked: bool, store: StoreCounts) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut page = Page::default();
        self.histograms(&mut page);
        page.one(
            "http_server_active_requests",
            "gauge",
            "Requests that are being worked on.",
            read(&self.active_requests),
        );
        page.one(
            "strongroom_connections",
            "gauge",
            "Open connections of the API.",
            read(&self.connections),
        );
        page.one(
            "strongroom_connections_refused_total",
            "counter",
            "Connections that were closed because their address has enough others.",
            read(&self.connections_refused),
        );
        page.one(
            "strongroom_locked",
            "gauge",
            "1 while the keys are not loaded.",
            u64::from(locked),
        );
        page.head(
            "strongroom_rate_limited_total",
            "counter",
            "Requests that were refused because somebody asked too often.",
        );
        for (bound, counter) in Bound::ALL.iter().zip(&self.rate_limited) {
            page.line(
                &format!("strongroom_rate_limited_total{{bound=\"{}\"}}", bound.word()),
                read(counter),
            );
        }
        page.one(
            "strongroom_store_commit_groups_total",
            "counter",
            "Groups of commits that were made durable together.",
            store.commit_groups,
        );
        page.one(
            "strongroom_store_append_groups_total",
            "counter",
            "Groups of audit lines that were made durable together.",
            store.append_groups,
        );
        page.one(
            "strongroom_store_syncs_total",
            "counter",
            "Times that a file was synced to its disk.",
            store.syncs,
        );
        page.one(
            "strongroom_tls_handshake_failures_total",
            "counter",
            "TLS handshakes that did not come to their end.",
            read(&self.handshakes_failed),
        );
        page.head(
            "strongroom_tls_reloads_total",
            "counter",
            "Changed certificates, by what became of them.",
        );
        page.line(
            "strongroom_tls_reloads_total{outcome=\"loaded\"}",
            read(&self.certificates_loaded),
        );
        page.line(
            "strongroom_tls_reloads_total{outcome=\"refused\"}",
            read(&self.certificates_refused),
        );
        page.0
    }

    fn histograms(&self, page: &mut Page) {
        const NAME: &str = "http_server_request_duration_seconds";
        page.head(NAME, "histogram", "How long requests took, without their delivery.");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for (route, series) in requests.iter() {
            for ((method, status), histogram) in series {
                let labels = format!(
                    "http_route=\"{route}\",http_request_method=\"{method}\",http_response_status_code=\"{status}\""
                );
                let mut below = 0;
                for (end, count) in BUCKETS.iter().zip(histogram.buckets) {
                    below += count;
                    page.line(&format!("{NAME}_bucket{{{labels},le=\"{end}\"}}"), below);
                }
                page.line(&format!("{NAME}_bucket{{{labels},le=\"+Inf\"}}"), histogram.count);
                page.line(&format!("{NAME}_sum{{{labels}}}"), histogram.seconds);
                page.line(&format!("{NAME}_count{{{labels}}}"), histogram.count);
            }
        }
    }
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let fits = BUCKETS.iter().zip(&mut self.buckets).find(|(end, _)| seconds <= **end);
        if let Some((_, count)) = fits {
            *count += 1;
        }
        self.count += 1;
        self.seconds += seconds;
    }
}

/// The text as it grows. Writing to a string does not fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, series: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{series} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_took_as_long_or_less() {
        let metrics = Metrics::default();
        for milliseconds in [1, 2, 30, 20_000] {
            metrics.request(Some("/a/{b}"), Some("GET"), 200, Duration::from_millis(milliseconds));
        }
        let text = metrics.text(true, StoreCounts::default());
        let labels =
            "http_route=\"/a/{b}\",http_request_method=\"GET\",http_response_status_code=\"200\"";
        for (end, count) in [("0.001", 1), ("0.0025", 2), ("0.05", 3), ("10", 3), ("+Inf", 4)] {
            let line = format!(
                "http_server_request_duration_seconds_bucket{{{labels},le=\"{end}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(text.contains("strongroom_locked 1\n"), "{text}");
    }

    #[test]
    fn what_lasts_is_counted_until_it_ends() {
        let metrics = Arc::new(Metrics::default());
        let connections = || {
            let text = metrics.text(false, StoreCounts::default());
            let line =
                text.lines().find(|line| line.starts_with("strongroom_connections ")).unwrap();
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
        };
        let (first, second) = (metrics.connection(), metrics.connection());
        assert_eq!(connections(), 2);
        drop(first);
        assert_eq!(connections(), 1);
        drop(second);
        assert_eq!(connections(), 0);
    }

    #[test]
    fn each_bound_is_counted_for_itself() {
        let metrics = Metrics::default();
        metrics.rate_limited(Bound::Proof);
        let text = metrics.text(false, StoreCounts::default());
        for (bound, count) in [("credential", 0), ("tenant", 0), ("address", 0), ("proof", 1)] {
            let line = format!("strongroom_rate_limited_total{{bound=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
