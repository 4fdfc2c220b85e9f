//! From a request to its handler: one flat table of paths and methods, with the gate before each.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;

use crate::door::{Desk, Notes};
use crate::gates::{self, Gates, Rules};
use crate::problem::Problem;
use crate::routes::{Api, Route};

/// An answer that is being worked on.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler without its type.
pub(crate) type Serve = Arc<dyn Fn(Request, Arc<Api>) -> Answering + Send + Sync>;

/// Every path with its methods.
pub(crate) struct Table {
    paths: matchit::Router<Place>,
    api: Arc<Api>,
}

/// One path.
struct Place {
    template: Arc<str>,
    methods: Vec<Entry>,
}

/// One method of a path.
struct Entry {
    method: Method,
    rules: Rules,
    serve: Serve,
}

impl Table {
    /// The table of these routes. One without rules is left out, and so lets nobody in.
    pub(crate) fn new(routes: Vec<Route>, mut gates: Gates, api: Arc<Api>) -> Self {
        let mut places: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for Route { method, path, serve } in routes {
            let rules = gates.remove(&(method.clone(), path.clone()));
            let entry = rules.map(|rules| Entry { method, rules, serve });
            places.entry(path).or_default().extend(entry);
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in places {
            let template: Arc<str> = path.as_str().into();
            if let Err(error) = paths.insert(path, Place { template: template.clone(), methods }) {
                // The tests walk every route, so this is never seen.
                tracing::error!(%error, template = &*template, "a route cannot be reached");
            }
        }
        Self { paths, api }
    }

    async fn serve(&self, request: Request, notes: Arc<Notes>) -> Response {
        let (mut parts, body) = request.into_parts();
        let Ok(found) = self.paths.at(parts.uri.path()) else {
            return Problem::not_found().into();
        };
        let place = found.value;
        // It is set once: a request matches one route.
        let _ = notes.route.set(place.template.clone());
        let asked_for_head = parts.method == Method::HEAD;
        let method = if asked_for_head { &Method::GET } else { &parts.method };
        let Some(entry) = place.methods.iter().find(|entry| entry.method == *method) else {
            return place.refuse_method().into();
        };
        if let Err(problem) = gates::admit(&self.api, &entry.rules, &parts, &notes).await {
            return problem.into();
        }
        parts.extensions.insert(notes);
        let request = Request::from_parts(parts, body);
        let answer = (entry.serve)(request, self.api.clone()).await;
        if asked_for_head { without_body(answer) } else { answer }
    }
}

impl Desk for Table {
    fn answer(self: Arc<Self>, request: Request, notes: Arc<Notes>) -> Answering {
        Box::pin(async move { self.serve(request, notes).await })
    }
}

impl Place {
    /// The path is known and the method is not; the answer lists those that are.
    fn refuse_method(&self) -> Problem {
        let mut methods: Vec<&str> =
            self.methods.iter().map(|entry| entry.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        Problem::method_not_allowed(&methods.join(", "))
    }
}

/// What HEAD is answered: everything but the body, whose length stays (RFC 9110, 9.3.2).
fn without_body(mut answer: Response) -> Response {
    if let Some(length) = answer.body().size_hint().exact() {
        answer.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    *answer.body_mut() = Body::empty();
    answer
}
