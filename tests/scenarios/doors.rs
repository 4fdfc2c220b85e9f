//! Every door of the API, one by one: closed without a credential, and narrow with one.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Reply, Server};

/// A route of the API.
struct Route {
    method: String,
    /// With ids in it that look right and name nothing.
    path: String,
    /// What the document says that it demands.
    permission: String,
}

/// Every route, as the document of the server lists them.
async fn routes(server: &Server) -> Vec<Route> {
    let document = server.nobody().get("/openapi.json").await.ok();
    let mut routes = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        let names =
            ["tenant", "user", "key", "backend", "record", "subject", "erasure", "receipt", "job"];
        let path = names
            .iter()
            .zip(["ten", "usr", "key", "bck", "rec", "sub", "ers", "rcp", "job"])
            .fold(template.clone(), |path, (name, prefix)| {
                path.replace(&format!("{{{name}}}"), &format!("{prefix}_{}", "1".repeat(26)))
            })
            .replace("{class}", "clerk")
            .replace("{blueprint}", "clinic")
            .replace("{version}", "1")
            .replace("{part}", "1")
            .replace("{field}", "photo")
            .replace("{collection}", "patients");
        assert!(!path.contains('{'), "a parameter is not known here: {path}");
        for (method, operation) in methods.as_object().unwrap() {
            let permission = operation["x-permission"].as_str();
            let permission = permission.unwrap_or_else(|| panic!("no permission: {path}"));
            routes.push(Route {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                permission: permission.to_owned(),
            });
        }
    }
    assert!(routes.len() > 60, "{} routes", routes.len());
    routes
}

async fn call(caller: &Caller, method: &str, path: &str) -> Reply {
    caller.call(method, path).json(&json!({})).send().await
}

#[tokio::test]
async fn every_door_but_the_public_ones_is_closed_without_a_credential() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let right = clinic.clerk.token();
    let (kind, rest) = right.split_at(4);
    let mut public = Vec::new();
    for route in routes(&server).await {
        if route.permission == "public" {
            public.push(format!("{} {}", route.method, route.path));
            continue;
        }
        for token in [
            None,
            Some("none".to_owned()),
            Some(rest.to_owned()),
            Some(format!("sri_{rest}")),
            Some(format!("{kind}{}", rest.to_ascii_lowercase())),
            Some(format!("{right}A")),
            Some("x".repeat(10_000)),
        ] {
            let caller = match &token {
                None => server.nobody(),
                Some(token) => server.nobody().with_token(token),
            };
            let answer = call(&caller, &route.method, &route.path).await;
            let problem = answer.refused(401, "unauthenticated");
            assert!(problem["errors"].is_null(), "it says more than that: {problem}");
            assert!(
                answer.header("www-authenticate").is_some_and(|text| text.starts_with("Bearer"))
            );
        }
    }
    let listed = include_str!("../../public-routes.txt").lines();
    let listed = listed.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut listed: Vec<&str> = listed.filter_map(|line| line.split(" — ").next()).collect();
    listed.sort_unstable();
    public.sort_unstable();
    assert_eq!(public, listed);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    clinic.clerk.get("/v1/whoami").await.ok();
    let twice = clinic.clerk.call("GET", "/v1/whoami");
    let twice = twice.header("Authorization", &format!("Bearer {}", clinic.clerk.token()));
    twice.send().await.refused(401, "unauthenticated");
    for scheme in ["Basic", "Token", ""] {
        let call = server.nobody().call("GET", "/v1/whoami");
        let text = format!("{scheme} {}", clinic.clerk.token());
        call.header("Authorization", &text).send().await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let routes = routes(&server).await;
    for path in routes.iter().map(|route| &route.path) {
        let known: Vec<&str> = routes
            .iter()
            .filter(|route| route.path == *path)
            .map(|route| route.method.as_str())
            .collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "SPILL"] {
            if known.contains(&method) {
                continue;
            }
            let answer = call(&clinic.clerk, method, path).await;
            answer.refused(405, "method_not_allowed");
            let allowed = answer.header("allow").unwrap().to_owned();
            let allowed: Vec<&str> = allowed.split(", ").filter(|one| *one != "HEAD").collect();
            let mut known = known.clone();
            known.sort_unstable();
            assert_eq!(allowed, known, "{path}");
        }
    }
}

#[tokio::test]
async fn a_query_that_a_route_does_not_know_is_refused_and_nothing_happens() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let before = clinic.state().await;
    let erasure = json!({"target": {"record": {
        "collection": "patients", "id": clinic.patients[0],
    }}, "ground": "tenant_request"});
    let erase = clinic.tenant.owner.post_once("/erasures?dry_run=true", erasure).await;
    erase.refused(400, "invalid_query");
    let patient = clinic.patient(0);
    let unknown = clinic.clerk.get(&format!("{patient}?field=name")).await;
    unknown.refused(400, "invalid_query");
    let twice = clinic.clerk.get(&format!("{patient}?fields=name&fields=phone")).await;
    twice.refused(400, "invalid_query");
    clinic.clerk.get(&format!("{patient}?fields=Name")).await.refused(400, "invalid_query");
    let unknown = clinic.clerk.get(&format!("{patient}?fields=nothing")).await;
    unknown.refused(422, "invalid");
    assert_eq!(clinic.state().await, before);
}

#[tokio::test]
async fn a_purpose_or_reason_that_cannot_be_read_is_refused_to_those_who_are_known() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let whoami = |caller: &Caller, name: &str, value: &str| {
        caller.call("GET", "/v1/whoami").header(name, value).send()
    };
    for (name, value) in [
        ("Strongroom-Purpose", "Not A Purpose"),
        ("Strongroom-Purpose", ""),
        ("Strongroom-Reason", "%ff"),
        ("Strongroom-Reason", "half%2"),
        ("Strongroom-Reason", &"a".repeat(513)),
    ] {
        whoami(&clinic.clerk, name, value).await.refused(400, "invalid_header");
        whoami(&server.nobody(), name, value).await.refused(401, "unauthenticated");
    }
    whoami(&clinic.clerk, "Strongroom-Reason", "Ticket%204711").await.ok();
}

#[tokio::test]
async fn the_next_page_is_linked_and_keeps_the_rest_of_the_query() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let list = "/collections/patients/records?fields=name&limit=1";
    let first = clinic.manager.get(list).await;
    let link = first.header("link").unwrap().to_owned();
    let next =
        link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let cursor = first.json()["next"].as_str().unwrap().to_owned();
    assert!(next.contains("fields=name") && next.contains("limit=1"), "{next}");
    assert!(next.ends_with(&format!("cursor={cursor}")), "{next}");
    let second = clinic.manager.get(next).await.ok();
    assert_ne!(second["data"], first.json()["data"]);
    let fields = |page: &Value| page["data"][0]["fields"].as_object().unwrap().len();
    assert_eq!(fields(&second), 1);
    let other = clinic.manager.get(&format!("/collections/visits/records?cursor={cursor}")).await;
    other.refused(422, "invalid");
}

#[tokio::test]
async fn a_request_for_a_user_is_refused_and_not_made_with_the_rights_of_the_key() {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let call = clinic.manager.call("GET", &clinic.patient(0));
    call.header("Strongroom-User", "ext:4711").send().await.refused(403, "user_not_allowed");
}
