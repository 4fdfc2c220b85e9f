//! Problem documents (RFC 9457): the one place where errors become answers.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strongroom_model::{Purpose, ReceiptId, RequestId};
use strongroom_vault::integrity::Rejected;
use strongroom_vault::policy::{Answer, Ask, CeilingKind, Condition, Missing, Refusal, Side};
use strongroom_vault::{Flaw, LinePlaced, VaultError};

use crate::limits::{DEPTH_MAX, PAGE_MAX};
use crate::rates::{Bound, TooMany};
use crate::reply::{AUDIT_HEADER, promises};
use crate::unlocker::UnlockError;

/// What the type of every problem begins with; its code follows.
pub const TYPE_BASE: &str = "https://strongroom.dev/problems/";

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// How many wrong parts of a request are named. The answer would be longer than the request if all
/// were.
const ERRORS_MAX: usize = 100;

/// Why a request was not carried out, as its caller is told.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

/// What a problem is made of.
#[derive(Debug, Clone)]
struct Parts {
    kind: Kind,
    code: &'static str,
    detail: Cow<'static, str>,
    more: More,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The bound that was run into, for the metrics.
    bound: Option<Bound>,
    /// For the log, never for the caller.
    cause: Option<String>,
}

/// The members that some problems have.
#[derive(Debug, Clone, Default)]
struct More {
    errors: Vec<Flaw>,
    missing: Option<String>,
    ask: Vec<String>,
    purposes: Vec<Purpose>,
    current_version: Option<u64>,
    receipt: Option<ReceiptId>,
}

/// Status, title and whether the same request may succeed later.
#[derive(Debug, Clone, Copy)]
struct Kind(StatusCode, &'static str, bool);

const BAD_REQUEST: Kind = Kind(StatusCode::BAD_REQUEST, "The request cannot be read", false);
const UNAUTHENTICATED: Kind = Kind(StatusCode::UNAUTHORIZED, "A valid credential is needed", false);
const FORBIDDEN: Kind = Kind(StatusCode::FORBIDDEN, "The request is not allowed", false);
const NOT_FOUND: Kind = Kind(StatusCode::NOT_FOUND, "Nothing was found", false);
const METHOD: Kind =
    Kind(StatusCode::METHOD_NOT_ALLOWED, "The method is not one of this path", false);
const SLOW: Kind = Kind(StatusCode::REQUEST_TIMEOUT, "The request came too slowly", true);
const STATE: Kind = Kind(StatusCode::CONFLICT, "The state does not allow it", false);
const GONE: Kind = Kind(StatusCode::GONE, "It has been erased", false);
const STALE: Kind = Kind(StatusCode::PRECONDITION_FAILED, "Somebody else was first", false);
const TOO_LARGE: Kind = Kind(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large", false);
const RANGE: Kind = Kind(StatusCode::RANGE_NOT_SATISFIABLE, "There is no such range", false);
const MEDIA: Kind =
    Kind(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body's media type is not JSON", false);
const ELSEWHERE: Kind =
    Kind(StatusCode::MISDIRECTED_REQUEST, "Another node has to be asked", false);
const UNKNOWN_HOST: Kind =
    Kind(StatusCode::MISDIRECTED_REQUEST, "Another server was asked for", false);
const INVALID: Kind = Kind(StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid", false);
const VERSION_REQUIRED: Kind =
    Kind(StatusCode::PRECONDITION_REQUIRED, "The version must be named", false);
const TOO_MANY: Kind = Kind(StatusCode::TOO_MANY_REQUESTS, "Too many requests", true);
const UNAVAILABLE: Kind = Kind(StatusCode::SERVICE_UNAVAILABLE, "Not possible at present", true);
const OURS: Kind = Kind(StatusCode::INTERNAL_SERVER_ERROR, "The server failed", false);

impl Problem {
    fn new(kind: Kind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts {
            kind,
            code,
            detail: detail.into(),
            more: More::default(),
            headers: Vec::new(),
            bound: None,
            cause: None,
        }))
    }

    /// Its stable word.
    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    /// Whether it is about a credential that is missing or not in force.
    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.0.kind.0 == StatusCode::UNAUTHORIZED
    }

    /// What went wrong on our side, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The body is no JSON, or not the JSON that the route takes.
    pub(crate) fn invalid_json(detail: String, errors: Vec<Flaw>) -> Self {
        Self::new(BAD_REQUEST, "invalid_json", detail).with(More { errors, ..More::default() })
    }

    /// The body is nested beyond the bound.
    pub(crate) fn too_deep() -> Self {
        let detail = format!("the body is nested more than {DEPTH_MAX} levels deep");
        Self::new(BAD_REQUEST, "invalid_json", detail)
    }

    /// A header cannot be read.
    pub(crate) fn invalid_header(name: &'static str, detail: &str) -> Self {
        Self::new(BAD_REQUEST, "invalid_header", format!("the header `{name}`: {detail}"))
    }

    /// The query cannot be read.
    pub(crate) fn invalid_query(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(BAD_REQUEST, "invalid_query", detail)
    }

    /// More items were asked for than a page may have.
    pub(crate) fn limit_too_large() -> Self {
        let detail = format!("`limit` is at most {PAGE_MAX}");
        Self::new(BAD_REQUEST, "limit_too_large", detail)
    }

    /// The route takes no request without a key.
    pub(crate) fn idempotency_key_required() -> Self {
        Self::new(
            BAD_REQUEST,
            "idempotency_key_required",
            "this route needs the header `Idempotency-Key`: at least 22 random characters of A-Z, a-z, 0-9, `-` and `_`",
        )
    }

    /// No credential came, or more than one, or one that cannot be read.
    pub(crate) fn unauthenticated() -> Self {
        let mut problem = Self::new(
            UNAUTHENTICATED,
            "unauthenticated",
            "the header `Authorization: Bearer …` is missing, or its token is unknown, expired or revoked",
        );
        let challenge = HeaderValue::from_static("Bearer realm=\"strongroom\"");
        problem.0.headers.push((header::WWW_AUTHENTICATE, challenge));
        problem
    }

    /// The answer of absence; the same bytes for what does not exist and for what the caller may
    /// not know about.
    pub(crate) fn not_found() -> Self {
        Self::new(
            NOT_FOUND,
            "not_found",
            "there is nothing here, or nothing that this credential may know of",
        )
    }

    /// The path is there, the method is not; those that are stand in `Allow`.
    pub(crate) fn method_not_allowed(allowed: &str) -> Self {
        let mut problem = Self::new(
            METHOD,
            "method_not_allowed",
            "the header `Allow` lists the methods of this path",
        );
        if let Ok(allowed) = HeaderValue::from_str(allowed) {
            problem.0.headers.push((header::ALLOW, allowed));
        }
        problem
    }

    /// The body is not declared as JSON.
    pub(crate) fn not_json() -> Self {
        Self::new(
            MEDIA,
            "unsupported_media_type",
            "the body must be JSON, with the header `Content-Type: application/json`",
        )
    }

    /// The body is not declared as a part of a file.
    pub(crate) fn no_table() -> Self {
        Self::new(
            MEDIA,
            "unsupported_media_type",
            "the body must be a part of a file, with the header `Content-Type: text/csv` or \
             `application/x-ndjson`",
        )
    }

    /// The body is packed.
    pub(crate) fn packed() -> Self {
        let detail = "the body must come as it is, without `Content-Encoding`";
        let mut problem = Self::new(MEDIA, "unsupported_media_type", detail);
        let identity = HeaderValue::from_static("identity");
        problem.0.headers.push((header::ACCEPT_ENCODING, identity));
        problem
    }

    /// The body is above its bound, in bytes.
    pub(crate) fn body_too_large(most: usize) -> Self {
        Self::new(TOO_LARGE, "body_too_large", format!("the body has more than {most} bytes"))
    }

    /// A file is above its bound, in bytes.
    pub(crate) fn file_too_large(most: u64) -> Self {
        Self::new(TOO_LARGE, "file_too_large", format!("the file has more than {most} bytes"))
    }

    /// A range begins after the end of a file of this size. That it was asked for is on record.
    pub(crate) fn range_not_satisfiable(size: u64, lines: &[LinePlaced]) -> Self {
        let detail = "the range begins after the end of the file";
        let mut problem = Self::new(RANGE, "range_not_satisfiable", detail);
        if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
            problem.0.headers.push((header::CONTENT_RANGE, range));
        }
        problem.on_record(lines)
    }

    /// As many files are being sent as may be at a time.
    pub(crate) fn uploading_already() -> Self {
        let detail = "as many files are being sent as may be at a time";
        Self::new(UNAVAILABLE, "too_many_uploads", detail).retry_after(RETRY_SECONDS)
    }

    /// The body came too slowly.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(SLOW, "body_too_slow", "the body came too slowly")
    }

    /// The body broke off.
    pub(crate) fn body_incomplete() -> Self {
        Self::new(BAD_REQUEST, "body_incomplete", "the body broke off before its end")
    }

    /// Input that can be read and means nothing that could be done.
    pub(crate) fn invalid(mut errors: Vec<Flaw>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request is not valid".to_owned(),
            [Flaw { pointer, detail }] if pointer.is_empty() => detail.clone(),
            [Flaw { pointer, detail }] => format!("`{pointer}`: {detail}"),
            several => format!("{} parts of the request are not valid", several.len()),
        };
        errors.truncate(ERRORS_MAX);
        Self::new(INVALID, "invalid", detail).with(More { errors, ..More::default() })
    }

    /// One part of the input means nothing that could be done.
    pub(crate) fn invalid_at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![Flaw { pointer: pointer.into(), detail: detail.into() }])
    }

    /// A handler panicked.
    pub(crate) fn panicked() -> Self {
        let mut problem = Self::new(OURS, "internal", INTERNAL);
        problem.0.cause = Some("a handler panicked".to_owned());
        problem
    }

    /// Something of ours failed; the chain of errors is for the log.
    pub(crate) fn internal(error: &dyn Error) -> Self {
        let mut problem = Self::new(OURS, "internal", INTERNAL);
        problem.0.cause = Some(chain(error));
        problem
    }

    /// The server is about to end.
    pub(crate) fn stopping() -> Self {
        Self::new(UNAVAILABLE, "unavailable", "the server is stopping")
    }

    /// The same as a list of flaws, for one item of several.
    pub(crate) fn into_flaws(self) -> Vec<FlawDocument> {
        if self.0.more.errors.is_empty() {
            vec![FlawDocument { pointer: String::new(), detail: self.0.detail.into_owned() }]
        } else {
            self.0.more.errors.iter().map(FlawDocument::from).collect()
        }
    }

    /// Somebody asks too often.
    pub(crate) fn too_many_requests(too_many: TooMany) -> Self {
        let detail = match too_many.bound {
            Bound::Credential => "this credential asks more often than it may",
            Bound::Tenant => "the credentials of this tenant together ask more often than they may",
            Bound::Address | Bound::Proof => "this address asks more often than it may",
        };
        let mut problem = Self::new(TOO_MANY, "too_many_requests", detail);
        problem.0.bound = Some(too_many.bound);
        problem.retry_after(too_many.seconds)
    }

    /// The bound that was run into.
    pub(crate) fn bound(&self) -> Option<Bound> {
        self.0.bound
    }

    /// The request was meant for another server.
    pub(crate) fn unknown_host() -> Self {
        Self::new(UNKNOWN_HOST, "unknown_host", "the header `Host` names no host of this server")
    }

    /// Somebody else is unlocking the server.
    pub(crate) fn unlocking_already() -> Self {
        Self::new(UNAVAILABLE, "unlocking", "the server is being unlocked")
            .retry_after(RETRY_SECONDS)
    }

    /// As many archives are being made as may be at a time.
    pub(crate) fn archiving_already() -> Self {
        let detail = "as many archives are being made as may be at a time";
        Self::new(UNAVAILABLE, "too_many_archives", detail).retry_after(RETRY_SECONDS)
    }

    fn with(mut self, more: More) -> Self {
        self.0.more = more;
        self
    }

    fn caused_by(mut self, error: &dyn Error) -> Self {
        self.0.cause = Some(chain(error));
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.0.headers.push((header::RETRY_AFTER, seconds.into()));
        self
    }

    /// Says where in the log it stands.
    fn on_record(mut self, lines: &[LinePlaced]) -> Self {
        if let Ok(promises) = HeaderValue::try_from(promises(lines)) {
            self.0.headers.push((AUDIT_HEADER, promises));
        }
        self
    }

    /// The document of it.
    pub(crate) fn document(&self, request: RequestId) -> ProblemDocument<'_> {
        let Kind(status, title, retryable) = self.0.kind;
        ProblemDocument {
            r#type: format!("{TYPE_BASE}{}", self.0.code),
            title,
            status: status.as_u16(),
            detail: &self.0.detail,
            code: self.0.code,
            request_id: request,
            retryable,
            errors: self.0.more.errors.iter().map(FlawDocument::from).collect(),
            missing: self.0.more.missing.as_deref(),
            ask: &self.0.more.ask,
            purposes: &self.0.more.purposes,
            current_version: self.0.more.current_version,
            receipt: self.0.more.receipt,
        }
    }

    /// The answer, with everything but the headers that all answers have.
    pub(crate) fn render(&self, request: RequestId) -> Response {
        // Texts and numbers can always be written.
        let body = serde_json::to_vec(&self.document(request)).unwrap_or_default();
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = self.0.kind.0;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(self.0.headers.iter().cloned());
        answer
    }
}

const INTERNAL: &str = "the server failed; its log has more under this request's id";

/// A problem travels inside an answer until the request's id is written into it at the door.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = self.0.kind.0;
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

/// How long to wait before trying again, in seconds, when something is briefly not possible.
const RETRY_SECONDS: u32 = 1;
/// The same, when somebody has to do something first.
const UNLOCK_SECONDS: u32 = 30;

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Unauthenticated => Self::unauthenticated(),
            VaultError::Refused(refusal) => refused(&refusal),
            VaultError::NotFound => Self::not_found(),
            VaultError::UserNotAllowed => Self::new(
                FORBIDDEN,
                "user_not_allowed",
                "the header `Strongroom-User` names nobody for whom this credential can act",
            ),
            VaultError::TooManySubjects { seconds } => Self::new(
                TOO_MANY,
                "too_many_subjects",
                "the backend has read about as many persons in this hour as the tenant lets it",
            )
            .retry_after(seconds),
            VaultError::Erased(receipt) => erased(receipt),
            VaultError::OnRecord { error, lines } => Self::from(*error).on_record(&lines),
            VaultError::Invalid(flaws) => Self::invalid(flaws),
            VaultError::WrongState { code, detail } => Self::new(STATE, code, detail),
            VaultError::BatchFailed(items) => batch_failed(items),
            VaultError::VersionRequired => Self::new(
                VERSION_REQUIRED,
                "version_required",
                "`If-Match`, or `if_match` of an item, must name the version that the change is made against, or `*`",
            ),
            VaultError::VersionStale { current } => Self::new(
                STALE,
                "version_stale",
                "the version that is named is not the present one",
            )
            .with(More { current_version: Some(current), ..More::default() }),
            VaultError::IdempotencyReused => Self::new(
                INVALID,
                "idempotency_key_reused",
                "this `Idempotency-Key` was used for another request",
            ),
            VaultError::SecretAlreadyShown => Self::new(
                STATE,
                "secret_already_shown",
                "the request was carried out before; its secret was shown then and is not kept",
            ),
            VaultError::Conflict => {
                Self::new(UNAVAILABLE, "conflict", "too many changes at the same time")
                    .retry_after(RETRY_SECONDS)
            }
            VaultError::Locked => {
                Self::new(UNAVAILABLE, "locked", "the server is locked: somebody has to unlock it")
                    .retry_after(UNLOCK_SECONDS)
            }
            VaultError::Unavailable(ref source) => {
                Self::new(UNAVAILABLE, "unavailable", "the store cannot be reached or is full")
                    .retry_after(RETRY_SECONDS)
                    .caused_by(source.as_ref())
            }
            VaultError::Damaged(ref source) => Self::new(
                OURS,
                "damaged",
                "something stored is damaged; the log has more under this request's id",
            )
            .caused_by(source.as_ref()),
            VaultError::Internal(ref source) => Self::internal(source.as_ref()),
        }
    }
}

impl From<UnlockError> for Problem {
    fn from(error: UnlockError) -> Self {
        match error {
            UnlockError::WrongKey => Self::new(
                FORBIDDEN,
                "wrong_key",
                "the passphrase or key is not the one that opens the root secret",
            ),
            UnlockError::Rejected(ref rejected) => {
                Self::new(OURS, word(rejected), rejected.to_string()).caused_by(rejected)
            }
            UnlockError::Unavailable(ref source) => Self::new(
                UNAVAILABLE,
                "unavailable",
                "the keys cannot be loaded; the log has more under this request's id",
            )
            .retry_after(UNLOCK_SECONDS)
            .caused_by(source.as_ref()),
        }
    }
}

/// The word for why a store is not opened. It says the sort alone, which is no secret.
fn word(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::OlderCopy => "store_older",
        Rejected::NoHead | Rejected::HeadDamaged | Rejected::HeadOfAnother => "store_head",
        Rejected::Damaged(_) => "damaged",
        Rejected::Store(_) | Rejected::Keys(_) => "unavailable",
    }
}

fn erased(receipt: Option<ReceiptId>) -> Problem {
    Problem::new(GONE, "erased", "it was here and has been erased")
        .with(More { receipt, ..More::default() })
}

/// A batch of which nothing was done: what is wrong with which item, by its code and in words.
fn batch_failed(items: Vec<(usize, VaultError)>) -> Problem {
    let mut errors = Vec::new();
    for (place, error) in items {
        let problem = Problem::from(error);
        let code = problem.code();
        let words = if problem.0.more.errors.is_empty() {
            vec![Flaw { pointer: String::new(), detail: problem.0.detail.into_owned() }]
        } else {
            problem.0.more.errors
        };
        errors.extend(words.into_iter().map(|flaw| Flaw {
            pointer: format!("/items/{place}{}", flaw.pointer),
            detail: format!("{code}: {}", flaw.detail),
        }));
    }
    errors.truncate(ERRORS_MAX);
    let detail = "items of the batch cannot be carried out, so nothing of it was";
    Problem::new(INVALID, "batch_failed", detail).with(More { errors, ..More::default() })
}

fn refused(refusal: &Refusal) -> Problem {
    match refusal.answer() {
        Answer::NotFound => Problem::not_found(),
        Answer::Erased => erased(None),
        Answer::Forbidden { missing, ask } => {
            let words = missing_words(missing);
            Problem::new(FORBIDDEN, missing.code(), format!("not allowed: {words}")).with(More {
                missing: Some(words),
                ask: vec![ask_words(ask)],
                ..More::default()
            })
        }
        Answer::PurposeRequired { among } => Problem::new(
            BAD_REQUEST,
            "purpose_required",
            "the header `Strongroom-Purpose` must state the purpose",
        )
        .with(More { purposes: among.to_vec(), ..More::default() }),
        Answer::UserRequired => Problem::new(
            BAD_REQUEST,
            "user_required",
            "the credential acts only for users: the header `Strongroom-User` must name one",
        ),
        Answer::Elsewhere => {
            Problem::new(ELSEWHERE, missing_code(refusal), "the tenant's keys are on other nodes")
        }
    }
}

fn missing_code(refusal: &Refusal) -> &'static str {
    refusal.missing().code()
}

/// Which rule or ceiling is missing.
fn missing_words(missing: &Missing) -> String {
    let whose = |side: Side| match side {
        Side::Principal => "your classes",
        Side::ActingUser => "the classes of the user for whom you act",
    };
    match missing {
        Missing::Rule(side) => format!("no rule of {} allows this action here", whose(*side)),
        Missing::Write(fields) => {
            format!("no rule lets you write the fields numbered {}", numbers(fields))
        }
        Missing::ClearView(fields) => {
            format!("the fields numbered {} are not in your clear view", numbers(fields))
        }
        Missing::Condition(side, condition) => {
            format!("a class among {} allows it, but {}", whose(*side), condition_words(*condition))
        }
        Missing::Ceiling(kind) => ceiling_words(*kind).to_owned(),
        Missing::Purpose(_) => "the purpose is not stated".to_owned(),
        Missing::User => "the user for whom the credential acts is not named".to_owned(),
        Missing::Person => "it is for people who have signed in, not for keys".to_owned(),
        Missing::Object => "the object does not exist".to_owned(),
    }
}

const fn condition_words(condition: Condition) -> &'static str {
    match condition {
        Condition::Window => "not at this time of the week",
        Condition::Address => "not from this address",
        Condition::SecondFactor => "only shortly after a second factor was shown",
        Condition::Purpose => "not for this purpose",
    }
}

const fn ceiling_words(kind: CeilingKind) -> &'static str {
    match kind {
        CeilingKind::Principal => "a principal of this kind has no way to client data",
        CeilingKind::Key => "the bounds of the API key end before this",
        CeilingKind::Backend => {
            "the bounds under which the tenant admits the backend end before this"
        }
        CeilingKind::Connection => {
            "the bounds under which the tenant admits the connection end before this"
        }
        CeilingKind::Grant => "the bounds of the support grant end before this",
        CeilingKind::SubjectState => "the person's data is restricted, closed or erased",
        CeilingKind::Consent => "the person has not consented to this purpose",
        CeilingKind::TenantState => "the tenant's state does not allow it",
        CeilingKind::DocumentAcceptance => "a document in force has not been accepted",
        CeilingKind::Residency => "the tenant's keys are not opened on this node",
        CeilingKind::Purpose => "the data was not collected for this purpose",
    }
}

fn ask_words(ask: Ask) -> String {
    match ask {
        Ask::HolderOf(action) => format!("somebody of the tenant who may `{action}`"),
        Ask::Provider => "the provider".to_owned(),
        Ask::Yourself => "yourself".to_owned(),
    }
}

fn numbers(fields: &[strongroom_model::FieldNumber]) -> String {
    let mut text = String::new();
    for (place, field) in fields.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        // Writing into a string does not fail.
        let _ = write!(text, "{comma}{}", field.0);
    }
    text
}

/// An error and what it came from, for the log.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let _ = write!(text, ": {error}");
        next = error.source();
    }
    text
}

/// A problem document.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// Names the kind of problem; its last part is `code`.
    #[schema(example = "https://strongroom.dev/problems/version_stale")]
    r#type: String,
    /// The kind of problem in words.
    #[schema(example = "Somebody else was first")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 412)]
    status: u16,
    /// This problem in words. Never repeats a value.
    #[schema(example = "the version that is named is not the present one")]
    detail: &'a str,
    /// The stable word by which programs tell problems apart.
    #[schema(example = "version_stale")]
    code: &'a str,
    /// The request's id, as the header `Strongroom-Request` and the server's log have it.
    #[schema(value_type = String, example = "req_0k3c5vrm9w8e2t1y4q6z7x8b9n")]
    request_id: RequestId,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What is wrong with which part of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FlawDocument>,
    /// For a refusal: which rule or ceiling is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    missing: Option<&'a str>,
    /// For a refusal: whom to ask for it.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    ask: &'a [String],
    /// For `purpose_required`: the purposes that the caller's classes have here.
    #[serde(skip_serializing_if = "<[Purpose]>::is_empty")]
    #[schema(required = false, value_type = Vec<String>)]
    purposes: &'a [Purpose],
    /// For `version_stale`: the present version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    current_version: Option<u64>,
    /// For `erased`: the receipt, for those who may know of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<String>)]
    receipt: Option<ReceiptId>,
}

/// What is wrong with one part of a request.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(as = Flaw)]
pub(crate) struct FlawDocument {
    /// Where: a JSON pointer (RFC 6901) into the body.
    pointer: String,
    /// What, without repeating the value.
    detail: String,
}

impl FlawDocument {
    /// What is wrong at a place.
    pub(crate) fn of(pointer: &str, detail: &str) -> Self {
        Self { pointer: pointer.to_owned(), detail: detail.to_owned() }
    }
}

impl From<&Flaw> for FlawDocument {
    fn from(flaw: &Flaw) -> Self {
        Self { pointer: flaw.pointer.clone(), detail: flaw.detail.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: VaultError) -> (u16, &'static str, bool) {
        let problem = Problem::from(error);
        let Kind(status, _, retryable) = problem.0.kind;
        (status.as_u16(), problem.code(), retryable)
    }

    #[test]
    fn every_error_of_the_vault_has_its_status_and_code() {
        let source = || "the disk has the value of Sandra Sample".into();
        let state = VaultError::WrongState { code: "last_owner", detail: "no".to_owned() };
        for (error, expected) in [
            (VaultError::Unauthenticated, (401, "unauthenticated", false)),
            (VaultError::NotFound, (404, "not_found", false)),
            (VaultError::UserNotAllowed, (403, "user_not_allowed", false)),
            (VaultError::TooManySubjects { seconds: 7 }, (429, "too_many_subjects", true)),
            (VaultError::Erased(None), (410, "erased", false)),
            (VaultError::Invalid(Vec::new()), (422, "invalid", false)),
            (state, (409, "last_owner", false)),
            (VaultError::BatchFailed(Vec::new()), (422, "batch_failed", false)),
            (VaultError::VersionRequired, (428, "version_required", false)),
            (VaultError::VersionStale { current: 3 }, (412, "version_stale", false)),
            (VaultError::IdempotencyReused, (422, "idempotency_key_reused", false)),
            (VaultError::SecretAlreadyShown, (409, "secret_already_shown", false)),
            (VaultError::Conflict, (503, "conflict", true)),
            (VaultError::Locked, (503, "locked", true)),
            (VaultError::Unavailable(source()), (503, "unavailable", true)),
            (VaultError::Damaged(source()), (500, "damaged", false)),
            (VaultError::Internal(source()), (500, "internal", false)),
        ] {
            assert_eq!(shown(error), expected);
        }
    }

    #[tokio::test]
    async fn what_went_wrong_with_us_is_for_the_log_and_not_for_the_caller() {
        use http_body_util::BodyExt;
        let problem = Problem::from(VaultError::Damaged("row 7 of Sandra Sample".into()));
        assert_eq!(problem.cause(), Some("row 7 of Sandra Sample"));
        let answer = problem.render(RequestId::from_bytes([1; 16]));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("Sandra"));
    }
}
