//! The OpenAPI 3.1 document: what the handlers describe, and what holds for all of them.

#[cfg(test)]
use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Map, Value, json};
use strongroom_vault::policy::Gate;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;

use crate::extract::{IF_MATCH, PURPOSE, REASON, USER};
use crate::gates::{Gates, Rules};
use crate::limits::REASON_BYTES_MAX;
use crate::permissions::{gate, gate_word};
use crate::problem::{FlawDocument, MEDIA_TYPE, ProblemDocument};

/// What the API is, for its readers.
const ABOUT: &str = "Keeps the client data of a SaaS provider: encrypted per client and per person, \
readable only by those whom the client's own admins allow, and truly gone when it is erased.\n\n\
Every answer has the header `Strongroom-Request`. Answers that the audit log knows have \
`Strongroom-Audit`: node, number and tag of each line, `node.n.tag`, with commas between them. \
Errors are problem documents (RFC 9457); `code` is stable. What does not exist and what the caller \
may not know about have the same answer. `x-permission` is the action that the caller's permission \
classes must allow, `signed_in` for routes that any credential opens, `public` for those that need none.";

/// What is known of parameters in paths.
const PATH_PARAMETERS: &[(&str, &str, &str)] = &[
    ("tenant", "The tenant's id.", "^ten_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("user", "The user's id.", "^usr_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("backend", "The backend's id.", "^bck_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("blueprint", "The blueprint's name.", "^[a-z][a-z0-9_]{0,62}$"),
    ("version", "The version's number.", "^[1-9][0-9]{0,8}$"),
    ("job", "The job's id.", "^job_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("part", "The number of the part, from 1.", "^[1-9][0-9]{0,5}$"),
    ("key", "The API key's id.", "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("record", "The record's id.", "^rec_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("field", "The name of a field of type `file`.", "^[a-z][a-z0-9_]{0,62}$"),
    ("subject", "The subject's id.", "^sub_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("erasure", "The erasure's id.", "^ers_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("receipt", "The receipt's id.", "^rcp_[0-7][0-9a-hjkmnp-tv-z]{25}$"),
    ("class", "The permission class's name.", "^[a-z][a-z0-9_]{0,62}$"),
    ("collection", "The collection's name.", "^[a-z][a-z0-9_]{0,62}$"),
];

/// One character of percent-encoded UTF-8 that is no control character (RFC 3986, 2.1; RFC 3629, 4).
/// Some sequences that are none of UTF-8 are let through, and refused by the server.
const ENCODED_CHARACTER: &str = "[!-$&-~]|%[2-6][0-9A-Fa-f]|%7[0-9A-Ea-e]\
|%[Cc]2%[ABab][0-9A-Fa-f]|%([Cc][3-9A-Fa-f]|[Dd][0-9A-Fa-f])%[89ABab][0-9A-Fa-f]\
|%[Ee][1-9A-Ca-cEFef](%[89ABab][0-9A-Fa-f]){2}|%[Ff][1-3](%[89ABab][0-9A-Fa-f]){3}";

/// A reason; one of characters that take several bytes has fewer of them. Spaces may stand between
/// them as they are: at the ends they belong to the header, not to its value.
fn reason_pattern() -> String {
    let between = REASON_BYTES_MAX - 2;
    format!("^({ENCODED_CHARACTER})(( |{ENCODED_CHARACTER}){{0,{between}}}({ENCODED_CHARACTER}))?$")
}

/// A user's id, or an external one. The server takes other percent-encoded characters too, as far as an
/// external id may have them.
const USER_PATTERN: &str = "^(usr_[0-7][0-9a-hjkmnp-tv-z]{25}\
|ext:([!-$&-~]|%2[1-9A-Fa-f]|%[3-6][0-9A-Fa-f]|%7[0-9A-Ea-e]){1,256})$";

/// Methods as the document writes them.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document of the whole API.
#[cfg(test)]
pub(crate) fn document() -> Value {
    finish(crate::routes::all().described)
}

/// Adds to what the handlers describe what holds for all of them.
pub(crate) fn finish(mut described: OpenApi) -> Value {
    add_schemas(&mut described);
    // Texts, numbers, lists and objects can always be a JSON value.
    let mut document = serde_json::to_value(&described).unwrap_or_default();
    if let Some(root) = document.as_object_mut() {
        root.insert("info".to_owned(), info());
        root.insert("security".to_owned(), json!([{ "bearer": [] }]));
        root.insert("tags".to_owned(), tags());
    }
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("securitySchemes".to_owned(), security_schemes());
        components.insert("responses".to_owned(), json!({ "Problem": problem_response() }));
        components.insert("headers".to_owned(), headers());
        components.insert("parameters".to_owned(), parameters());
    }
    for_each_operation(&mut document, finish_operation);
    if let Some(schemas) = document.pointer_mut("/components/schemas") {
        close_variants(schemas);
    }
    document
}

/// An object that stands for one of several variants has the member that names it, and no other.
fn close_variants(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let variants = members.get_mut("oneOf").and_then(Value::as_array_mut);
            for variant in variants.into_iter().flatten().filter_map(Value::as_object_mut) {
                let named = variant.get("properties").and_then(Value::as_object);
                if named.is_some_and(|named| named.len() == 1) {
                    variant.entry("additionalProperties").or_insert(false.into());
                }
            }
            members.values_mut().for_each(close_variants);
        }
        Value::Array(items) => items.iter_mut().for_each(close_variants),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add_schemas(described: &mut OpenApi) {
    let components = described.components.get_or_insert_default();
    let mut schemas = Vec::new();
    ProblemDocument::schemas(&mut schemas);
    schemas.push((
        ProblemDocument::name().into_owned(),
        <ProblemDocument<'_> as utoipa::PartialSchema>::schema(),
    ));
    schemas.push((
        FlawDocument::name().into_owned(),
        <FlawDocument as utoipa::PartialSchema>::schema(),
    ));
    components.schemas.extend(schemas);
}

fn finish_operation(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let upper = method.to_ascii_uppercase();
    let demanded = gate(&upper, path);
    let mut added: Vec<Value> = path_parameters(path).collect();
    match demanded {
        Some(Gate::Public(_)) => {
            operation.insert("security".to_owned(), json!([]));
        }
        Some(Gate::SignedIn | Gate::Operator | Gate::Needs(_)) | None => {
            added.push(json!({ "$ref": "#/components/parameters/Purpose" }));
            added.push(json!({ "$ref": "#/components/parameters/Reason" }));
            added.push(json!({ "$ref": "#/components/parameters/User" }));
        }
    }
    if let Some(demanded) = demanded {
        operation.insert("x-permission".to_owned(), gate_word(demanded).into());
    }
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        for parameter in parameters.iter_mut().filter(|it| it["name"] == IF_MATCH) {
            parameter["schema"] = json!({ "oneOf": [
                { "type": "string", "enum": ["*"] },
                { "type": "string", "pattern": "^\"v[0-9]{1,19}\"$" },
            ]});
        }
        added.append(parameters);
        *parameters = added;
    }
    if operation.get("parameters").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        operation.remove("parameters");
    }
    if path.starts_with("/v1/provider/")
        && let Some(Value::String(id)) = operation.get_mut("operationId")
    {
        id.insert_str(0, "provider_");
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for (status, response) in responses.iter_mut() {
            let extra = headers_of(status, response);
            let Some(response) = response.as_object_mut() else { continue };
            let headers = response.entry("headers").or_insert_with(|| json!({}));
            if let Some(headers) = headers.as_object_mut() {
                let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
                headers.insert("Strongroom-Request".to_owned(), header("Request"));
                headers.insert("Strongroom-Audit".to_owned(), header("Audit"));
                for (name, component) in extra {
                    headers.insert(name.to_owned(), header(component));
                }
            }
        }
    }
    let refusals = refusals(method, demanded, operation);
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        for status in refusals {
            let problem = json!({ "$ref": "#/components/responses/Problem" });
            responses.entry(status).or_insert(problem);
        }
    }
}

/// With which statuses an operation is refused, or fails.
fn refusals(method: &str, demanded: Option<Gate>, operation: &Map<String, Value>) -> Vec<String> {
    // Headers and queries that cannot be read, another host, too many requests, headers too many
    // or too long, our faults, a locked server.
    let mut refusals = vec![400, 421, 429, 431, 500, 503];
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let has = |place: &str, name: &str| {
        parameters.into_iter().flatten().any(|parameter| {
            parameter["in"] == place && (name.is_empty() || parameter["name"] == name)
        })
    };
    match demanded {
        Some(Gate::Public(_)) if method == "get" => {}
        // The secret in the body is looked at.
        Some(Gate::Public(_)) => refusals.extend([401, 403]),
        Some(Gate::SignedIn | Gate::Operator | Gate::Needs(_)) | None => {
            refusals.extend([401, 403, 404]);
        }
    }
    if has("path", "subject") || has("path", "record") || has("path", "collection") {
        refusals.push(410);
    }
    if operation.contains_key("requestBody") {
        refusals.extend([408, 413, 415, 422]);
    }
    if has("query", "") {
        refusals.push(422);
    }
    if method != "get" {
        refusals.push(409);
    }
    if has("header", "Range") {
        refusals.push(416);
    }
    if has("header", IF_MATCH) {
        refusals.extend([412, 428]);
    }
    refusals.sort_unstable();
    refusals.iter().map(u16::to_string).collect()
}

/// What the schemas of versioned things are called.
const VERSIONED: [&str; 16] = [
    "Admission",
    "Backend",
    "CreatedBackend",
    "Tenant",
    "CreatedTenant",
    "Recovery",
    "RedeemedRecovery",
    "User",
    "InvitedUser",
    "ApiKey",
    "CreatedApiKey",
    "Class",
    "Collection",
    "Record",
    "FileShown",
    "Subject",
];

/// The headers that an answer has because of what it is, with their components.
fn headers_of(status: &str, response: &Value) -> Vec<(&'static str, &'static str)> {
    let schema = response.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str);
    let schema = schema.and_then(|place| place.rsplit('/').next()).unwrap_or_default();
    let mut headers = Vec::new();
    if VERSIONED.contains(&schema) {
        headers.push(("ETag", "Version"));
    }
    if status == "201" && ["CreatedTenant", "Record", "Erasure"].contains(&schema) {
        headers.push(("Location", "Location"));
    }
    if status == "202" {
        headers.push(("Location", "Location"));
    }
    if schema.starts_with("ListOf_") {
        headers.push(("Link", "Next"));
    }
    if response.pointer("/content/application~1x-ndjson").is_some() {
        headers.extend([("Link", "Next"), ("Strongroom-Next", "Cursor")]);
    }
    headers
}

fn path_parameters(path: &str) -> impl Iterator<Item = Value> {
    let named = |name: &'static str| path.contains(&format!("{{{name}}}"));
    PATH_PARAMETERS.iter().filter(move |(name, _, _)| named(name)).map(|(name, about, pattern)| {
        json!({
            "name": name, "in": "path", "required": true, "description": about,
            "schema": { "type": "string", "pattern": pattern },
        })
    })
}

fn info() -> Value {
    json!({
        "title": "Strongroom",
        "description": ABOUT,
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
    })
}

fn tags() -> Value {
    json!([
        { "name": "system", "description": "The server: whether it is locked, and what verifies its receipts." },
        { "name": "invitations", "description": "How users come in." },
        { "name": "whoami", "description": "Who the caller is." },
        { "name": "tenants", "description": "The clients of the provider." },
        { "name": "recovery", "description": "How a tenant whose owners cannot come in any more gets a new one." },
        { "name": "users", "description": "The people of a tenant, or of the provider, who sign in." },
        { "name": "sessions", "description": "Signed-in users." },
        { "name": "api-keys", "description": "Credentials for machines." },
        { "name": "backends", "description": "The provider's software products, with one credential for all tenants that admit them." },
        { "name": "blueprints", "description": "What tenants begin with, in versions, and what they are given later." },
        { "name": "jobs", "description": "Long-running work: how far it is, and what became of each item." },
        { "name": "admissions", "description": "How far a tenant lets a backend go." },
        { "name": "classes", "description": "Permission classes: what their holders see and may do." },
        { "name": "collections", "description": "Typed sets of records." },
        { "name": "records", "description": "Client data, in the view of the caller." },
        { "name": "subjects", "description": "The people whom records are about." },
        { "name": "erasures", "description": "What is to be gone, and how far that is." },
        { "name": "receipts", "description": "Signed proof of what is gone." },
        { "name": "audit", "description": "Who did what." },
    ])
}

fn security_schemes() -> Value {
    json!({ "bearer": {
        "type": "http", "scheme": "bearer",
        "description": "A session's token (`srs_…`), an API key's (`srk_…`) or a backend's (`srb_…`).",
    }})
}

fn parameters() -> Value {
    json!({
        "Purpose": {
            "name": PURPOSE, "in": "header", "required": false,
            "description": "The purpose for which the data is used. If absent: the one purpose that the caller's classes share.",
            "schema": { "type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$" }, "example": "billing",
        },
        "Reason": {
            "name": REASON, "in": "header", "required": false,
            "description": "Why, as percent-encoded UTF-8 of at most 512 bytes.",
            "schema": { "type": "string", "pattern": reason_pattern() },
            "example": "Ticket%204711",
        },
        "User": {
            "name": USER, "in": "header", "required": false,
            "description": "The user for whom a backend, or an API key that acts for users, makes the request: `usr_…`, or `ext:` and the product's own id for them, percent-encoded.",
            "schema": { "type": "string", "pattern": USER_PATTERN }, "example": "ext:4711",
        },
    })
}

fn headers() -> Value {
    json!({
        "Request": {
            "description": "The request's id, as the server's log has it.",
            "schema": { "type": "string", "pattern": "^req_[0-7][0-9a-hjkmnp-tv-z]{25}$" },
        },
        "Audit": {
            "description": "Where the request's lines stand in the audit log: `node.n.tag` each.",
            "schema": { "type": "string" }, "example": "17.4711.00112233445566778899aabbccddeeff",
        },
        "Version": {
            "description": "The version, for `If-Match`.",
            "schema": { "type": "string", "pattern": "^\"v[0-9]+\"$" }, "example": "\"v3\"",
        },
        "Location": {
            "description": "The path of what was made, or of the job that does it.",
            "schema": { "type": "string" },
        },
        "Cursor": {
            "description": "The cursor of the next page, if there is one.",
            "schema": { "type": "string" },
        },
        "Next": {
            "description": "The next page, if there is one: `<path>; rel=\"next\"`.",
            "schema": { "type": "string" },
        },
    })
}

fn problem_response() -> Value {
    let example = |status: u16, code: &str, title: &str, detail: &str, retryable: bool| {
        json!({ "summary": code, "value": {
            "type": format!("{}{code}", crate::problem::TYPE_BASE), "title": title,
            "status": status, "detail": detail, "code": code,
            "request_id": "req_0k3c5vrm9w8e2t1y4q6z7x8b9n", "retryable": retryable,
        }})
    };
    json!({
        "description": "The request was not carried out.",
        "headers": { "Strongroom-Request": { "$ref": "#/components/headers/Request" } },
        "content": { MEDIA_TYPE: {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": {
                "unauthenticated": example(401, "unauthenticated", "A valid credential is needed",
                    "the header `Authorization: Bearer …` is missing, or its token is unknown, expired or revoked", false),
                "not_found": example(404, "not_found", "Nothing was found",
                    "there is nothing here, or nothing that this credential may know of", false),
                "version_stale": example(412, "version_stale", "Somebody else was first",
                    "the version that is named is not the present one", false),
                "invalid_json": example(400, "invalid_json", "The request cannot be read",
                    "the body is not JSON: line 1, column 8", false),
                "locked": example(503, "locked", "Not possible at present",
                    "the server is locked: somebody has to unlock it", true),
            },
        }},
    })
}

fn for_each_operation(
    document: &mut Value,
    mut change: impl FnMut(&str, &str, &mut Map<String, Value>),
) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                change(path, method, operation);
            }
        }
    }
}

/// What each route demands, and the names of its query's members.
pub(crate) fn gates_of(document: &Value) -> Gates {
    let mut gates = Gates::new();
    for_each_operation(&mut document.clone(), |path, method, operation| {
        let method = method.to_ascii_uppercase();
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let queries = parameters
            .into_iter()
            .flatten()
            .filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"))
            .filter_map(|parameter| {
                parameter.get("name").and_then(Value::as_str).map(str::to_owned)
            })
            .collect();
        if let (Some(gate), Ok(method)) =
            (gate(&method, path), Method::from_bytes(method.as_bytes()))
        {
            gates.insert((method, path.to_owned()), Rules { gate, queries });
        }
    });
    gates
}

/// Every method and path of the document.
#[cfg(test)]
pub(crate) fn routes_of(document: &Value) -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for_each_operation(&mut document.clone(), |path, method, _| {
        routes.insert((method.to_ascii_uppercase(), path.to_owned()));
    });
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the document is kept, so that a change of the API is seen in review.
    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

    #[test]
    fn the_document_is_the_one_that_was_reviewed() {
        let now = document();
        if option_env!("STRONGROOM_RENEW").is_some() {
            std::fs::write(KEPT, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
        }
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
        assert!(
            kept == now,
            "the API has changed: look at the difference and keep it with\n\
             STRONGROOM_RENEW=1 cargo test --release -p strongroom-api the_document_is_the_one"
        );
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_every_reference_leads_somewhere() {
        let mut document = document();
        let mut ids = BTreeSet::new();
        for_each_operation(&mut document, |path, method, operation| {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{method} {path}: {id}");
        });
        let mut references = Vec::new();
        collect_references(&document, &mut references);
        assert!(references.len() > 100);
        for reference in references {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_part_of_a_path_is_described_once() {
        let mut document = document();
        for_each_operation(&mut document, |path, method, operation| {
            let described = |name: &str| {
                let all = operation["parameters"].as_array().unwrap();
                all.iter().filter(|one| one["name"] == name && one["in"] == "path").count()
            };
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = part.split('}').next().unwrap();
                assert_eq!(described(name), 1, "{method} {path}: {name}");
            }
        });
    }

    fn collect_references(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(place) if name == "$ref" => into.push(place.clone()),
                        _ => collect_references(value, into),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
            _ => {}
        }
    }
}
