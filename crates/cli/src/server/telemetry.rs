//! Traces to an OpenTelemetry collector: spans of requests as OTLP over HTTP, in bounded batches that
//! no request waits for.
//!
//! This is the only place that knows OpenTelemetry. The rooms make spans with `tracing`, under one
//! target; here a layer listens to that target alone, so that no event of any library is exported.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use strongroom_client::ServerAddress;
use strongroom_vault::SPANS;
use tokio::runtime::Handle;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};

use crate::exit::Failure;
use crate::session::authorities;
use crate::settings::TelemetrySettings;

/// Spans that wait to be sent; what comes beyond that is dropped, and the log says so.
const WAITING_MAX: usize = 4096;
/// Spans in one message to the collector.
const BATCH_MAX: usize = 512;
/// A batch that is not full is sent after this time.
const BATCH_DELAY: Duration = Duration::from_secs(5);
/// A collector that does not take a batch within this time does not get it.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// How long a stopping server waits for the last batches.
const END_TIME: Duration = Duration::from_secs(8);
/// More of a collector's answer is not read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Where collectors take traces, below the address (OpenTelemetry Protocol, OTLP/HTTP).
const TRACES_PATH: &str = "/v1/traces";

/// What a subscriber listens with.
pub(crate) type TracesLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Where traces go.
pub(crate) struct Collector {
    endpoint: String,
    http: reqwest::Client,
    share: f64,
}

/// Traces on their way.
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Collector {
    /// The collector that the settings name, if they name one.
    pub(crate) fn of(settings: &TelemetrySettings) -> Result<Option<Self>, Failure> {
        let share = settings.trace_share.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&share) {
            return Err(Failure::usage("`--trace-share` is a number from 0 to 1"));
        }
        let Some(named) = &settings.otlp_endpoint else { return Ok(None) };
        let address: ServerAddress = named
            .parse()
            .map_err(|error| Failure::usage(format!("`--otlp-endpoint {named}`: {error}")))?;
        let tls = authorities(settings.otlp_ca_file.as_deref())?.tls()?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(EXPORT_TIME)
            .build()
            .map_err(|error| Failure::local(format!("cannot send traces: {error}")))?;
        Ok(Some(Self { endpoint: format!("{address}{TRACES_PATH}"), http, share }))
    }

    /// Begins to collect spans, and to send them. To be called within the server's runtime.
    pub(super) fn begin(&self) -> Result<Traces, Failure> {
        let sender = Sender { http: self.http.clone(), runtime: Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_endpoint(&self.endpoint)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIME)
            // What a collector has not taken is dropped: the next batch waits behind it.
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|error| Failure::local(format!("cannot send traces: {error}")))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(BATCH_DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "strongroom"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ])
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.share)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Traces { provider })
    }
}

impl Traces {
    /// What listens to spans, and to nothing else.
    pub(super) fn layer(&self) -> TracesLayer {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("strongroom"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        spans.with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO)).boxed()
    }

    /// Sends what is left, within a bound.
    pub(super) async fn end(self) {
        let ended =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(END_TIME));
        if let Ok(Err(error)) = ended.await {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// What the edge tells of spans.
pub(super) fn exported() -> Arc<dyn strongroom_api::Traces> {
    Arc::new(Exported)
}

struct Exported;

/// W3C Trace Context, without `tracestate`, in which there may be anything.
struct Traceparent<'t>(&'t str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

impl strongroom_api::Traces for Exported {
    fn adopt(&self, span: &Span, traceparent: &str) {
        let extractor = Traceparent(traceparent);
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &extractor);
        // Its only error is a span that nobody listens to.
        let _ = span.set_parent(parent);
    }

    fn name(&self, span: &Span, name: String) {
        span.context().span().update_name(name);
    }
}

/// Sends batches from the thread that collects them, over the server's own runtime.
#[derive(Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers);
            let mut answer = request.body(body).send().await?;
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                    break;
                }
                bytes.extend_from_slice(&chunk);
            }
            let mut response = Response::new(Bytes::from(bytes));
            *response.status_mut() = answer.status();
            Ok::<_, HttpError>(response)
        });
        sent.await?
    }
}
