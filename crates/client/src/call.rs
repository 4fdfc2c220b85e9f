//! One request and its answer: headers, the idempotency key, and when it is sent again.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_model::{NoRandomness, Rng};

use crate::authorities::distrust;
use crate::{Client, ClientError, Problem};

/// A request that the server calls retryable is sent so many times more.
const RETRIES_MAX: u32 = 5;
/// The pause before the first retry; each further one takes twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A longer `Retry-After` is the caller's to wait for. A user's session that imports 500 records at a
/// time is told to wait for up to half a minute.
const RETRY_AFTER_SECONDS_MAX: u64 = 60;
/// Answers are not read beyond this, so that what answers cannot fill the memory.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What the HTTP library says of an answer that is not HTTP, such as TLS's alert to plain HTTP.
const NO_HTTP: &str = "invalid HTTP version parsed";
/// An answer that comes in parts comes to its end within this time, or not at all: a week.
const STREAM_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;
/// The next part of it has to come within this time.
const PART_SECONDS_MAX: u64 = 120;
/// Bytes of an idempotency key's randomness: 128 bits.
const KEY_BYTES: usize = 16;

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was found or made.
    pub value: T,
    /// The version of what was found or made, if it has one: the `ETag`.
    pub version: Option<u64>,
    /// The audit log's promise: `node.n.tag` of each line.
    pub audit: Option<String>,
    /// How the server's log names the request.
    pub request_id: Option<String>,
}

impl<T> Answer<T> {
    /// The same answer with something else in it.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            version: self.version,
            audit: self.audit,
            request_id: self.request_id,
        }
    }
}

/// The version that a change is made against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// Exactly this one; if somebody else was first, the change is refused.
    Version(u64),
    /// Whichever stands now.
    Any,
}

impl IfMatch {
    fn header(self) -> HeaderValue {
        match self {
            Self::Any => HeaderValue::from_static("*"),
            Self::Version(version) => HeaderValue::from_str(&format!("\"v{version}\""))
                .unwrap_or(HeaderValue::from_static("*")),
        }
    }
}

/// A fresh idempotency key: 128 random bits in 22 characters.
pub(crate) fn idempotency_key(rng: &dyn Rng) -> Result<String, NoRandomness> {
    let mut bytes = [0; KEY_BYTES];
    rng.fill(&mut bytes)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// Whether a request whose answer was lost may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It changes nothing, or the server recognises it.
    Harmless,
    /// It might be carried out twice.
    Harmful,
    /// Somebody waits for the answer and decides: nothing is sent again, whatever the server says.
    Never,
}

/// A request before it is sent.
pub(crate) struct Call<'c> {
    client: &'c Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<bytes::Bytes>,
    headers: HeaderMap,
    again: Again,
    /// How long the whole answer may take, where that is not what the client's answers may.
    time: Option<Duration>,
}

impl<'c> Call<'c> {
    fn new(client: &'c Client, method: Method, path: String, again: Again) -> Self {
        let headers = HeaderMap::new();
        Self { client, method, path, query: Vec::new(), body: None, headers, again, time: None }
    }

    pub(crate) fn get(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::GET, path, Again::Harmless)
    }

    /// A POST that changes nothing, or that has no principal to remember a key for.
    pub(crate) fn ask(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::POST, path, Again::Harmful)
    }

    /// A POST that only reads, because what it names does not belong in a URL.
    pub(crate) fn look(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::POST, path, Again::Harmless)
    }

    /// A POST with a fresh idempotency key.
    pub(crate) fn post(client: &'c Client, path: String) -> Result<Self, ClientError> {
        let key = idempotency_key(client.rng())?;
        Self::post_with_key(client, path, &key)
    }

    /// A POST with this idempotency key.
    pub(crate) fn post_with_key(
        client: &'c Client,
        path: String,
        key: &str,
    ) -> Result<Self, ClientError> {
        let key = HeaderValue::from_str(key).map_err(|_| {
            ClientError::Header("an idempotency key has only A-Z, a-z, 0-9, _ and -")
        })?;
        let mut call = Self::new(client, Method::POST, path, Again::Harmless);
        call.headers.insert("idempotency-key", key);
        Ok(call)
    }

    /// The same, and never sent again.
    pub(crate) fn ask_once(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::POST, path, Again::Never)
    }

    pub(crate) fn put(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::PUT, path, Again::Harmful)
    }

    /// A PUT that may be sent twice.
    pub(crate) fn put_again(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::PUT, path, Again::Harmless)
    }

    pub(crate) fn patch(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::PATCH, path, Again::Harmful)
    }

    pub(crate) fn delete(client: &'c Client, path: String) -> Self {
        Self::new(client, Method::DELETE, path, Again::Harmful)
    }

    pub(crate) fn query(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query.extend(query);
        self
    }

    pub(crate) fn if_match(mut self, version: IfMatch) -> Self {
        self.headers.insert(header::IF_MATCH, version.header());
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, text: &str) -> Result<Self, ClientError> {
        let value = HeaderValue::from_str(text)
            .map_err(|_| ClientError::Header("a header has characters that may not stand there"))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, ClientError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|_| ClientError::Header("the request cannot be written as JSON"))?;
        self.body = Some(bytes.into());
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self)
    }

    pub(crate) fn bytes(mut self, media_type: &'static str, body: Vec<u8>) -> Self {
        self.body = Some(body.into());
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        self
    }

    /// Sends it and reads an answer of this shape.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<Answer<T>, ClientError> {
        let answer = self.send().await?;
        Self::value_of(answer)
    }

    /// The same with a body that comes piece by piece, for as long as it takes; once, because what has been
    /// read of it cannot be read again.
    pub(crate) async fn read_with<T: DeserializeOwned>(
        mut self,
        body: reqwest::Body,
    ) -> Result<Answer<T>, ClientError> {
        self.time = Some(Duration::from_secs(STREAM_SECONDS_MAX));
        let answered = async { self.answer(self.response_to(Some(body)).await?).await };
        Self::value_of(answered.await.map_err(|failed| failed.error)?)
    }

    fn value_of<T: DeserializeOwned>(
        (parts, got, body): (Answer<()>, Got, Vec<u8>),
    ) -> Result<Answer<T>, ClientError> {
        let value = serde_json::from_slice(&body).map_err(|_| ClientError::Unintelligible {
            status: got.status.as_u16(),
            reason: "its JSON has another shape",
        })?;
        Ok(parts.map(|()| value))
    }

    /// Sends it and gives the body as it is, with the cursor of the page that follows.
    pub(crate) async fn page(self) -> Result<Answer<(Vec<u8>, Option<String>)>, ClientError> {
        let (parts, got, body) = self.send().await?;
        Ok(parts.map(|()| (body, got.next)))
    }

    /// Sends it and gives the body part by part as it comes. A body that breaks off is not asked for
    /// again.
    pub(crate) async fn parts(mut self) -> Result<Parts, ClientError> {
        self.time = Some(Duration::from_secs(STREAM_SECONDS_MAX));
        let mut attempt = 0;
        loop {
            let failed = match self.begun().await {
                Ok(response) => {
                    let address = self.client.address().to_string();
                    return Ok(Parts { response, address });
                }
                Err(failed) => failed,
            };
            if attempt == RETRIES_MAX || !self.may_retry(&failed) {
                return Err(failed.error);
            }
            tokio::time::sleep(self.pause(attempt, failed.retry_after)?).await;
            attempt += 1;
        }
    }

    /// The answer to it before its body, if it is a success.
    async fn begun(&self) -> Result<Response, Failed> {
        let mut response = self.response().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.body_of(&mut response, status).await?;
        Err(refusal(&response, &body))
    }

    /// Sends it and expects no body.
    pub(crate) async fn done(self) -> Result<Answer<()>, ClientError> {
        self.send().await.map(|(parts, _, _)| parts)
    }

    /// Sends it, again where that is harmless, and gives the first answer that is no problem.
    async fn send(self) -> Result<(Answer<()>, Got, Vec<u8>), ClientError> {
        let mut attempt = 0;
        loop {
            let failed = match self.once().await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if attempt == RETRIES_MAX || !self.may_retry(&failed) {
                return Err(failed.error);
            }
            tokio::time::sleep(self.pause(attempt, failed.retry_after)?).await;
            attempt += 1;
        }
    }

    fn may_retry(&self, failed: &Failed) -> bool {
        match &failed.error {
            // A locked server stays locked until a person comes.
            ClientError::Problem(problem) => {
                self.again != Again::Never
                    && problem.retryable
                    && problem.code != crate::ProblemCode::Locked
                    && failed
                        .retry_after
                        .is_none_or(|pause| pause <= Duration::from_secs(RETRY_AFTER_SECONDS_MAX))
            }
            ClientError::Unreachable { .. } => failed.broke_off && self.again == Again::Harmless,
            ClientError::Address(_)
            | ClientError::Authorities(_)
            | ClientError::Header(_)
            | ClientError::Untrusted { .. }
            | ClientError::TimedOut(_)
            | ClientError::Unintelligible { .. }
            | ClientError::NoRandomness(_) => false,
        }
    }

    /// Twice as long each time, and up to a half more by chance, so that many clients spread out.
    fn pause(&self, attempt: u32, asked: Option<Duration>) -> Result<Duration, NoRandomness> {
        let mut chance = [0];
        self.client.rng().fill(&mut chance)?;
        let pause = RETRY_PAUSE.saturating_mul(1 << attempt.min(RETRIES_MAX));
        let spread = pause.saturating_mul(u32::from(chance[0])) / 512;
        Ok(asked.unwrap_or_default().max(pause + spread))
    }

    /// Sends it, and gives the certificate that the server has shown, in DER, if it speaks TLS.
    pub(crate) async fn certificate(self) -> Result<Option<Vec<u8>>, ClientError> {
        let response = self.response().await.map_err(|failed| failed.error)?;
        let shown = response.extensions().get::<reqwest::tls::TlsInfo>();
        Ok(shown.and_then(|shown| shown.peer_certificate()).map(<[u8]>::to_vec))
    }

    async fn response(&self) -> Result<Response, Failed> {
        self.response_to(self.body.clone().map(reqwest::Body::from)).await
    }

    /// The answer to it with this body.
    async fn response_to(&self, body: Option<reqwest::Body>) -> Result<Response, Failed> {
        let url = self.client.address().url(&self.path, &self.query);
        let mut request = self.client.http().request(self.method.clone(), url);
        request = request.headers(self.client.headers().clone()).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(time) = self.time {
            request = request.timeout(time);
        }
        request.send().await.map_err(|error| self.network(&error))
    }

    async fn once(&self) -> Result<(Answer<()>, Got, Vec<u8>), Failed> {
        self.answer(self.response().await?).await
    }

    /// What an answer says, if it is a success.
    async fn answer(&self, mut response: Response) -> Result<(Answer<()>, Got, Vec<u8>), Failed> {
        let status = response.status();
        let parts = Answer {
            value: (),
            version: text(&response, "etag").and_then(|etag| version(&etag)),
            audit: text(&response, "strongroom-audit"),
            request_id: text(&response, "strongroom-request"),
        };
        let next = text(&response, "strongroom-next");
        let body = self.body_of(&mut response, status).await?;
        if status.is_success() {
            return Ok((parts, Got { status, next }, body));
        }
        Err(refusal(&response, &body))
    }

    async fn body_of(
        &self,
        response: &mut Response,
        status: StatusCode,
    ) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.network(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = "it is longer than 64 MiB";
                return Err(Failed::once(ClientError::Unintelligible {
                    status: status.as_u16(),
                    reason,
                }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What the network said; the innermost cause, because the outer ones only repeat the URL.
    fn network(&self, error: &reqwest::Error) -> Failed {
        let address = self.client.address().to_string();
        if error.is_timeout() {
            return Failed::once(ClientError::TimedOut(address));
        }
        if let Some(reason) = distrust(error) {
            return Failed::once(ClientError::Untrusted { address, reason });
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let mut reason = cause.to_string();
        if reason == NO_HTTP && !address.starts_with("https://") {
            reason.push_str("; perhaps it speaks TLS: `https://…`");
        }
        Failed {
            error: ClientError::Unreachable { address, reason },
            retry_after: None,
            broke_off: !error.is_connect() && !error.is_builder(),
        }
    }
}

/// What an answer that is no success says, with this body.
fn refusal(response: &Response, body: &[u8]) -> Failed {
    let retry_after = text(response, "retry-after").and_then(|text| text.parse().ok());
    let is_problem = text(response, "content-type")
        .is_some_and(|kind| kind.starts_with("application/problem+json"));
    let error = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if is_problem => ClientError::Problem(Box::new(problem)),
        Ok(_) | Err(_) => ClientError::Unintelligible {
            status: response.status().as_u16(),
            reason: "it is no problem document",
        },
    };
    Failed { error, retry_after: retry_after.map(Duration::from_secs), broke_off: false }
}

/// An answer that comes in parts.
pub(crate) struct Parts {
    response: Response,
    address: String,
}

impl Parts {
    /// The answer's status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        text(&self.response, name)
    }

    /// The next part; nothing when all of them have come.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] for an answer that breaks off; [`ClientError::TimedOut`].
    pub(crate) async fn next(&mut self) -> Result<Option<bytes::Bytes>, ClientError> {
        let time = Duration::from_secs(PART_SECONDS_MAX);
        match tokio::time::timeout(time, self.response.chunk()).await {
            Ok(Ok(part)) => Ok(part),
            Ok(Err(_)) => Err(ClientError::Unreachable {
                address: self.address.clone(),
                reason: "the answer broke off before its end".to_owned(),
            }),
            Err(_) => Err(ClientError::TimedOut(self.address.clone())),
        }
    }
}

/// What an answer says about its body.
struct Got {
    status: StatusCode,
    /// The cursor of the page that follows.
    next: Option<String>,
}

/// An attempt that failed, with what decides about the next.
struct Failed {
    error: ClientError,
    retry_after: Option<Duration>,
    /// The connection stood and broke.
    broke_off: bool,
}

impl Failed {
    fn once(error: ClientError) -> Self {
        Self { error, retry_after: None, broke_off: false }
    }
}

fn text(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(ToOwned::to_owned)
}

/// The version in `"v12"`.
fn version(etag: &str) -> Option<u64> {
    etag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_a_strong_etag_only() {
        assert_eq!(version("\"v12\""), Some(12));
        for other in ["", "v12", "\"12\"", "W/\"v12\"", "\"v12", "\"vx\""] {
            assert_eq!(version(other), None, "{other}");
        }
        assert_eq!(IfMatch::Version(7).header(), "\"v7\"");
        assert_eq!(IfMatch::Any.header(), "*");
    }
}
