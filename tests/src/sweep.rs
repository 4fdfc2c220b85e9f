//! Every route of the OpenAPI document, with marked values wherever a caller may put something.

use serde_json::{Value, json};

use crate::canaries::Canaries;
use crate::life::{Life, Stage};
use crate::{Caller, Reply};

/// Headers in which a caller may put something.
const HEADERS: [&str; 12] = [
    "If-Match",
    "Idempotency-Key",
    "Strongroom-Purpose",
    "Strongroom-Reason",
    "Strongroom-User",
    "X-Unknown",
    "Cookie",
    "User-Agent",
    "X-Forwarded-For",
    "Referer",
    "traceparent",
    "Accept",
];

/// An operation of the document.
struct Operation<'d> {
    method: String,
    path: &'d str,
    described: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, described)| Operation {
            method: method.to_uppercase(),
            path,
            described,
        })
    });
    let all: Vec<_> =
        all.filter(|operation| operation.described["responses"].is_object()).collect();
    assert!(all.len() > 50, "{} operations", all.len());
    all
}

impl Operation<'_> {
    /// What would end the credential or lock the server; it is asked without one.
    fn ends_something(&self) -> bool {
        self.path == "/v1/system/lock" || self.path.ends_with("/sessions/current")
    }

    /// The path with what is there, but for one part of it.
    fn path_with(&self, life: &Life, other: Option<(&str, &str)>) -> String {
        let parts = self.path.split('/').map(|part| {
            let Some(name) = name_in(part) else { return part.to_owned() };
            let value = match other {
                Some((of, value)) if of == name => value,
                _ => life.ids.get(name).map_or("none", String::as_str),
            };
            part.replace(&format!("{{{name}}}"), value)
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn parts(&self) -> Vec<String> {
        self.path.split('/').filter_map(name_in).map(str::to_owned).collect()
    }

    fn queries(&self) -> Vec<String> {
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        let names = parameters.filter(|parameter| parameter["in"] == "query");
        names.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The name in `{name}` or `{name}:verb`.
fn name_in(part: &str) -> Option<&str> {
    Some(part.strip_prefix('{')?.split_once('}')?.0)
}

/// Goes to every route as four callers, with a marked value in a part of the path, in the query, in
/// each header, and in bodies that are none, broken, of another shape and of another kind.
pub async fn sweep(stage: &Stage, life: &Life, document: &Value, canaries: &mut Canaries) {
    let strange = life.owner.with_token(&canaries.word("a token of the sweep"));
    let operations = operations(document);
    for operation in &operations {
        let Operation { method, path, .. } = operation;
        let name = format!("{method} {path}");
        let mut word = |place: &str| canaries.word(&format!("{place} of {name}"));
        let (in_path, in_query, in_header, in_body) =
            (word("path"), word("query"), word("header"), word("body"));
        for caller in [&life.owner, &life.manager, &stage.operator, &strange] {
            if operation.ends_something() && caller.token() != strange.token() {
                continue;
            }
            let whole = operation.path_with(life, None);
            for part in operation.parts() {
                let wrong = operation.path_with(life, Some((&part, &in_path)));
                caller.call(method, &wrong).send().await;
            }
            for query in operation.queries().iter().chain([&in_query]) {
                caller.call(method, &format!("{whole}?{query}={in_query}")).send().await;
            }
            for header in HEADERS {
                // An unknown member of the query keeps it from doing what it would do.
                let call = caller.call(method, &format!("{whole}?unknown=1"));
                call.header(header, &in_header).send().await;
            }
            let key = format!("sweep_{in_header}");
            for body in bodies(&in_body) {
                let call = caller.call(method, &whole).header("Idempotency-Key", &key);
                call.header("If-Match", "*").raw(body).send().await;
            }
            let call = caller.call(method, &format!("{whole}?unknown=1"));
            call.body_of("text/plain", in_body.clone()).send().await;
        }
    }
}

/// Bodies with a marked value that no route takes.
fn bodies(word: &str) -> Vec<Vec<u8>> {
    let mut cut = format!("{{\"name\": \"{word}").into_bytes();
    let whole = json!({word: word}).to_string().into_bytes();
    let named = json!({"name": {word: word}, "label": [word], "fields": word, "token": [word]});
    let list = json!([word, {word: word}]).to_string().into_bytes();
    let text = json!(word).to_string().into_bytes();
    let mut bytes = word.as_bytes().to_vec();
    bytes.insert(0, 0xff);
    cut.push(0xc3);
    vec![cut, whole, named.to_string().into_bytes(), list, text, bytes]
}

/// What somebody is answered who goes to every route with the names of what belongs to another tenant.
pub async fn trespass(other: &Caller, life: &Life, document: &Value) -> Vec<(String, Reply)> {
    let mut answers = Vec::new();
    for operation in operations(document) {
        // Only what belongs to a tenant, and nothing that ends the trespasser's own credential.
        if !operation.path.contains("{tenant}/") || operation.ends_something() {
            continue;
        }
        let Operation { method, path, .. } = &operation;
        let whole = operation.path_with(life, None);
        for body in [json!({}), json!({"external_id": "x"}), json!({"fields": {}})] {
            let call = other.call(method, &whole).header("If-Match", "*");
            let call = if method == "GET" { call } else { call.json(&body) };
            answers.push((format!("{method} {path}"), call.send().await));
        }
    }
    answers
}

/// The operations of the document that the server's own metrics have not counted.
pub fn routes_without_requests(document: &Value, metrics: &str) -> Vec<String> {
    let missing = operations(document).into_iter().filter(|operation| {
        let route = format!("http_route=\"{}\"", operation.path);
        let method = format!("http_request_method=\"{}\"", operation.method);
        !metrics.lines().any(|line| line.contains(&route) && line.contains(&method))
    });
    missing.map(|operation| format!("{} {}", operation.method, operation.path)).collect()
}
