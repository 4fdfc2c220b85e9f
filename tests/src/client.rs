//! A plain HTTP client that shows everything of an answer, and fails the test if an answer lacks
//! the manners that all answers have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

/// Somebody with (or without) a credential, at home in a tenant.
#[derive(Clone)]
pub struct Caller {
    http: Client,
    base: String,
    home: String,
    token: Option<String>,
}

/// A request in the making.
pub struct Call {
    request: reqwest::RequestBuilder,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
}

/// An HTTP client for servers on this machine. It is told that it will speak no TLS: by itself it would
/// look for a library of ciphers, and there is none by default.
pub fn plain_http() -> Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).build().unwrap()
}

/// An idempotency key that no other call has given.
pub fn fresh_key() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test_key_{:016}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Caller {
    pub(crate) fn new(http: Client, base: String, home: String, token: Option<String>) -> Self {
        Self { http, base, home, token }
    }

    /// Somebody at a server's address, `http://127.0.0.1:…`, in front of a home.
    pub fn of(address: &str, home: &str, token: Option<&str>) -> Self {
        Self::new(plain_http(), address.to_owned(), home.to_owned(), token.map(str::to_owned))
    }

    /// The same server and home, with this credential.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same credential, in front of another tenant's door.
    #[must_use]
    pub fn in_home_of(&self, other: &Self) -> Self {
        Self { home: other.home.clone(), ..self.clone() }
    }

    /// The same credential, in front of this door.
    #[must_use]
    pub fn with_home(&self, home: &str) -> Self {
        Self { home: home.to_owned(), ..self.clone() }
    }

    /// The same home, without a credential.
    #[must_use]
    pub fn nobody(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The credential.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a credential")
    }

    /// The server's address, `http://127.0.0.1:…`.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// Where the home is: `/v1/tenants/ten_…` or `/v1/provider`.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// A request. A path that begins with `/v1/` or `/openapi` is taken as it is, any other one is
    /// below the home.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let whole = path.starts_with("/v1/") || path.starts_with("/openapi");
        let home = if whole { "" } else { &self.home };
        let url = format!("{}{home}{path}", self.base);
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Call { request }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).send().await
    }

    /// POST, without an idempotency key.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path).json(&body).send().await
    }

    /// POST with an idempotency key that is used once.
    pub async fn post_once(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path).header("Idempotency-Key", &fresh_key()).json(&body).send().await
    }

    /// PUT, without a condition.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call("PUT", path).json(&body).send().await
    }

    /// PUT against an ETag, or `*`.
    pub async fn put_if(&self, path: &str, tag: &str, body: Value) -> Reply {
        self.call("PUT", path).header("If-Match", tag).json(&body).send().await
    }

    /// PATCH against an ETag, or `*`.
    pub async fn patch_if(&self, path: &str, tag: &str, body: Value) -> Reply {
        self.call("PATCH", path).header("If-Match", tag).json(&body).send().await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path).send().await
    }

    /// All items of a list, page after page of `limit`.
    pub async fn all(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{joint}limit={limit}{next}")).await.ok();
            let data = page["data"].as_array().expect("a list");
            assert!(data.len() <= limit, "a page of {} where {limit} were asked for", data.len());
            items.extend(data.iter().cloned());
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return items,
            }
        }
    }
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.raw(serde_json::to_vec(body).unwrap())
    }

    /// Sets any bytes as a body that claims to be JSON.
    #[must_use]
    pub fn raw(self, body: impl Into<Vec<u8>>) -> Self {
        self.body_of("application/json", body)
    }

    /// Sets any bytes as a body of a media type.
    #[must_use]
    pub fn body_of(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.request = self.request.header("Content-Type", media_type).body(body.into());
        self
    }

    /// Sends it.
    pub async fn send(self) -> Reply {
        self.try_send().await.expect("the server answers")
    }

    /// Sends it to a server that may be about to die.
    ///
    /// # Errors
    /// Whatever keeps the answer from coming.
    pub async fn try_send(self) -> Result<Reply, reqwest::Error> {
        let answer = self.request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await?.to_vec();
        let reply = Reply { status, headers, bytes };
        reply.check_manners();
        Ok(reply)
    }
}

impl Reply {
    /// The body as JSON; null if there is none, a text if it says that it is something else.
    pub fn json(&self) -> Value {
        let media_type = self.header("content-type").unwrap_or_default();
        let others = ["application/x-ndjson", "text/csv", "application/octet-stream"];
        if others.iter().any(|other| media_type.starts_with(other)) {
            return Value::String(self.text());
        }
        if self.bytes.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The ETag.
    pub fn tag(&self) -> &str {
        self.header("etag").expect("an ETag")
    }

    /// Where the audit lines of this request stand: `node.n.tag` each.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.header("strongroom-audit").unwrap_or_default();
        lines.split(", ").filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// The problem's code; empty for what is no problem.
    pub fn code(&self) -> String {
        if self.status < 400 {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self.json()
    }

    /// The id of what was made.
    #[track_caller]
    pub fn id(&self) -> String {
        self.ok()["id"].as_str().expect("an id").to_owned()
    }

    /// Insists on a problem of this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{}", self.text());
        self.json()
    }

    /// The body without what differs from request to request.
    pub fn without_request_id(&self) -> String {
        match self.header("strongroom-request") {
            Some(id) => self.text().replace(id, "req_"),
            None => self.text(),
        }
    }

    /// What every answer has, and every problem.
    fn check_manners(&self) {
        let request = self.header("strongroom-request").expect("a request id");
        assert!(request.starts_with("req_"), "{request}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("x-robots-tag", "noindex"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name}");
        }
        if self.status < 400 {
            return;
        }
        let problem = self.json();
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"], request, "{problem}");
        assert!(problem["retryable"].is_boolean(), "{problem}");
        for member in ["title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        let code = problem["code"].as_str().expect("a code");
        let kind = problem["type"].as_str().expect("a type");
        assert_eq!(kind, format!("{}{code}", strongroom_api::TYPE_BASE), "{problem}");
    }
}
