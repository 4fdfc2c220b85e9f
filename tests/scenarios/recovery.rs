//! A tenant whose owners cannot come in any more: two operators, everybody told, 72 hours, and the
//! tenant's veto until the new owner has come in.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Reply, Server, fresh_key};

/// Seconds of an hour.
const HOUR: i64 = 60 * 60;

/// How often two redemptions race, and a redemption with a veto.
const RACES: usize = 12;

/// Somebody who stays signed in.
struct Person {
    id: String,
    caller: Caller,
}

impl Person {
    /// The person whose session this is.
    async fn of(caller: Caller) -> Self {
        let myself = caller.get("/v1/whoami").await.ok();
        Self { id: myself["user"].as_str().unwrap().to_owned(), caller }
    }

    /// Invites somebody with these classes, who comes in.
    async fn invited(server: &Server, by: &Caller, name: &str, classes: &[&str]) -> Self {
        let made = by.post("/users", json!({"name": name, "classes": classes})).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let token = server.redeem(made.json()["invitation"]["token"].as_str().unwrap()).await;
        Self::of(by.with_token(&token)).await
    }

    /// Begins a new session before the old one ends.
    async fn stay(&mut self, server: &Server) {
        let again = self.caller.post(&format!("/users/{}/invitation", self.id), json!({})).await;
        assert_eq!(again.status, 201, "{}", again.text());
        let token = server.redeem(again.json()["token"].as_str().unwrap()).await;
        self.caller = self.caller.with_token(&token);
    }
}

/// A clinic, three operators, and an owner and an auditor of the clinic, all signed in.
struct Scene {
    server: Server,
    clinic: Clinic,
    operators: [Person; 3],
    owner: Person,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::memory().await;
        let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
        let first = server.operator();
        let second = Person::invited(&server, &first, "Second Operator", &["operator"]).await;
        let third = Person::invited(&server, &first, "Third Operator", &["operator"]).await;
        let first = Person::of(first).await;
        let owner = Person::of(clinic.tenant.owner.clone()).await;
        Self { server, clinic, operators: [first, second, third], owner }
    }

    /// Lets time pass while everybody stays signed in.
    async fn pass(&mut self, seconds: i64) {
        /// A session lasts twelve hours.
        const STEP: i64 = 11 * HOUR;
        let mut left = seconds;
        while left > 0 {
            let step = left.min(STEP);
            self.server.clock.advance(step);
            left -= step;
            for person in self.operators.iter_mut().chain([&mut self.owner]) {
                person.stay(&self.server).await;
            }
        }
    }

    fn path(&self) -> String {
        format!("/v1/tenants/{}/recovery", self.clinic.tenant.id)
    }

    fn operator(&self, number: usize) -> &Caller {
        &self.operators[number].caller
    }

    async fn start(&self, by: &Caller) -> Reply {
        by.post(&self.path(), json!({"reason": "the only owner has left, ticket 4711"})).await
    }

    async fn approve(&self, by: &Caller) -> Reply {
        let path = format!("{}/approval", self.path());
        by.call("POST", &path).header("If-Match", "*").send().await
    }

    async fn redeem(&self, by: &Caller) -> Reply {
        let body = json!({"owner": {"name": "Nora New", "email": "nora@new.example"}});
        by.post(&format!("{}/redemption", self.path()), body).await
    }

    async fn stop(&self, by: &Caller) -> Reply {
        by.delete(&self.path()).await
    }

    async fn state(&self) -> Value {
        self.operator(0).get(&self.path()).await.ok()["state"].clone()
    }

    /// Asked for by the first operator, approved by the second.
    async fn approved(&self) {
        assert_eq!(self.start(self.operator(0)).await.status, 201);
        self.approve(self.operator(1)).await.ok();
    }

    /// Approved, and 72 hours later.
    async fn ready(&mut self) {
        self.approved().await;
        self.pass(72 * HOUR).await;
        assert_eq!(self.state().await, "ready");
    }

    /// What a log says of the recovery, oldest first: principal's kind, outcome and code.
    async fn told(log: &Caller, path: &str) -> Vec<String> {
        let lines = log.all(path, 500).await;
        let about = |line: &&Value| {
            let code = line["code"].as_str().unwrap_or_default();
            code.starts_with("recovery.") || code == "another_operator_needed"
        };
        let mut told: Vec<String> = lines
            .iter()
            .filter(about)
            .map(|line| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                format!("{} {}", text(&line["principal"]["kind"]), text(&line["code"]))
            })
            .collect();
        told.retain(|line| !line.ends_with("recovery.read"));
        told
    }
}

/// The invitation's token in an answer.
fn invitation(answer: &Reply) -> String {
    answer.json()["invitation"]["token"].as_str().unwrap().to_owned()
}

async fn come_in(server: &Server, token: &str) -> Reply {
    server.nobody().post("/v1/invitations/redeem", json!({"token": token})).await
}

#[tokio::test]
async fn trackops_02_two_operators_and_72_hours_let_a_new_owner_in_and_everybody_is_told() {
    let mut scene = Scene::new().await;
    let started = scene.start(scene.operator(0)).await;
    assert_eq!(started.status, 201, "{}", started.text());
    let started_by = &scene.operators[0].id;
    assert_eq!(started.json()["requested_by"], started_by.as_str());
    assert_eq!(started.json()["state"], "requested");
    // Everybody of the tenant is told, whatever their class.
    for caller in [&scene.owner.caller, &scene.clinic.clerk, &scene.clinic.officer] {
        let notice = caller.get("/v1/whoami").await.ok()["recovery"].clone();
        assert_eq!(notice, json!({"state": "requested", "opens_at": null}));
    }
    let opens = scene.server.clock.in_seconds(72 * HOUR);
    let approved = scene.approve(scene.operator(1)).await.ok();
    assert_eq!((&approved["state"], &approved["opens_at"]), (&json!("waiting"), &json!(opens)));
    let tenant = format!("/v1/tenants/{}", scene.clinic.tenant.id);
    let notice = json!({"state": "waiting", "opens_at": opens});
    assert_eq!(scene.clinic.clerk.get("/v1/whoami").await.ok()["recovery"], notice);
    assert_eq!(scene.clinic.clerk.get(&tenant).await.ok()["recovery"], notice);
    assert_eq!(scene.operator(2).get(&tenant).await.ok()["recovery"], notice);

    scene.pass(72 * HOUR).await;
    let redeemed = scene.redeem(scene.operator(1)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    assert_eq!(redeemed.json()["state"], "invited");
    let session = come_in(&scene.server, &invitation(&redeemed)).await.ok();
    let token = session["session"]["token"].as_str().unwrap();
    let new = scene.owner.caller.with_token(token);
    // The new owner may all that an owner may; the old one keeps what they have.
    for owner in [&new, &scene.owner.caller] {
        let patient = owner.get(&scene.clinic.patient(0)).await.ok();
        assert_eq!(patient["fields"]["name"], "Mira Halloran");
        assert_eq!(owner.get("/v1/whoami").await.ok()["classes"][0]["name"], "owner");
    }
    let over = new.get(&scene.path()).await.ok();
    assert_eq!((&over["state"], &over["user"]), (&json!("finished"), &session["user"]));
    assert!(new.get("/v1/whoami").await.ok().get("recovery").is_none());
    assert!(new.get(&tenant).await.ok().get("recovery").is_none());

    let expected =
        ["operator recovery.start", "operator recovery.approve", "operator recovery.redeem"];
    let expected: Vec<&str> = expected.into_iter().chain(["user recovery.finish"]).collect();
    assert_eq!(Scene::told(&new, "/audit").await, expected);
    assert_eq!(Scene::told(scene.operator(2), "/audit").await, expected);
}

#[tokio::test]
async fn one_operator_is_not_two_whatever_credentials_they_have() {
    let scene = Scene::new().await;
    let one = scene.operator(0);
    // Their keys can do nothing of it.
    let ends = scene.server.clock.in_seconds(24 * HOUR);
    for acts in ["itself", "for_users"] {
        let body = json!({
            "label": "operators_key", "classes": ["operator"], "expires_at": ends, "acts": acts,
        });
        let key = one.post("/api-keys", body).await.ok();
        let key = one.with_token(key["token"].as_str().unwrap());
        for user in [None, Some(scene.operators[1].id.as_str())] {
            let reason = json!({"reason": "a key asks"});
            let call = key.call("POST", &scene.path()).json(&reason);
            let call = match user {
                Some(user) => call.header("Strongroom-User", user),
                None => call,
            };
            let answer = call.send().await;
            assert!([400, 403].contains(&answer.status), "{acts} {user:?}: {}", answer.text());
        }
    }
    scene.operator(2).get(&scene.path()).await.refused(404, "not_found");

    assert_eq!(scene.start(one).await.status, 201);
    scene.approve(one).await.refused(409, "another_operator_needed");
    // Another session of theirs is still them.
    let mut again = Person { id: scene.operators[0].id.clone(), caller: one.clone() };
    again.stay(&scene.server).await;
    assert_ne!(again.caller.token(), one.token());
    scene.approve(&again.caller).await.refused(409, "another_operator_needed");
    // A key of another operator is not that operator.
    let body = json!({"label": "second_key", "classes": ["operator"], "expires_at": ends});
    let key = scene.operator(1).post("/api-keys", body).await.ok();
    let key = one.with_token(key["token"].as_str().unwrap());
    scene.approve(&key).await.refused(403, "session_required");
    scene.redeem(&key).await.refused(403, "session_required");
    assert_eq!(scene.state().await, "requested");
    // Provider people without the action, and the tenant's own, cannot approve it either.
    let agent = Person::invited(&scene.server, one, "Agnes Agent", &["support_agent"]).await.caller;
    scene.approve(&agent).await.refused(403, "no_rule");
    scene.approve(&scene.owner.caller).await.refused(404, "not_found");
    scene.start(&scene.owner.caller).await.refused(404, "not_found");
    assert_eq!(scene.state().await, "requested");
    let told = Scene::told(one, "/audit").await;
    let tried = told.iter().filter(|line| line.ends_with("another_operator_needed")).count();
    assert_eq!(tried, 2, "{told:?}");
}

#[tokio::test]
async fn nobody_is_invited_a_second_before_the_72_hours_are_over_or_after_14_days() {
    let mut scene = Scene::new().await;
    scene.redeem(scene.operator(0)).await.refused(404, "not_found");
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    // The time before the approval does not count.
    scene.pass(80 * HOUR).await;
    scene.approve(scene.operator(1)).await.ok();
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    scene.approve(scene.operator(2)).await.refused(409, "wrong_state");
    scene.pass(72 * HOUR - 1).await;
    for operator in [0, 1] {
        scene.redeem(scene.operator(operator)).await.refused(409, "wrong_state");
    }
    assert_eq!(scene.state().await, "waiting");
    scene.pass(1).await;
    scene.redeem(scene.operator(2)).await.refused(409, "another_operator_needed");
    assert_eq!(scene.state().await, "ready");
    scene.pass(14 * 24 * HOUR).await;
    assert_eq!(scene.state().await, "expired");
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    assert!(scene.owner.caller.get("/v1/whoami").await.ok().get("recovery").is_none());

    // A request that nobody approves ends too, and another one can follow it.
    assert_eq!(scene.start(scene.operator(2)).await.status, 201);
    scene.start(scene.operator(0)).await.refused(409, "recovery_under_way");
    scene.pass(7 * 24 * HOUR).await;
    scene.approve(scene.operator(1)).await.refused(409, "wrong_state");
    assert_eq!(scene.state().await, "expired");
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
}

#[tokio::test]
async fn the_tenant_stops_it_at_every_stage_until_the_new_owner_has_come_in() {
    let mut scene = Scene::new().await;
    let managers = json!({"name": "people", "label": "People", "terms": {
        "administrative": ["manage_users"],
    }});
    assert_eq!(scene.owner.caller.post("/classes", managers).await.status, 201);
    // An admin who may manage users and nothing else; an API key, so that they outlast the days.
    let ends = scene.server.clock.in_seconds(60 * 24 * HOUR);
    let body = json!({"label": "people_key", "classes": ["people"], "expires_at": ends});
    let key = scene.owner.caller.post("/api-keys", body).await.ok();
    let admin = scene.owner.caller.with_token(key["token"].as_str().unwrap());

    scene.stop(&admin).await.refused(404, "not_found");
    // Asked for.
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    scene.stop(&scene.clinic.clerk).await.refused(403, "no_rule");
    assert_eq!(scene.stop(&admin).await.status, 204);
    assert_eq!(scene.state().await, "stopped");
    assert_eq!(admin.get(&scene.path()).await.ok()["stopped_by"]["kind"], "api-key");
    scene.approve(scene.operator(1)).await.refused(409, "wrong_state");
    scene.stop(&admin).await.refused(409, "wrong_state");
    // Waiting.
    scene.approved().await;
    assert_eq!(scene.stop(&scene.owner.caller).await.status, 204);
    scene.pass(72 * HOUR).await;
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    // Ready.
    scene.ready().await;
    assert_eq!(scene.stop(&admin).await.status, 204);
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    // Invited: the invitation dies, and the user whom it was for.
    scene.ready().await;
    let redeemed = scene.redeem(scene.operator(0)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    let user = redeemed.json()["user"].as_str().unwrap().to_owned();
    assert_eq!(scene.stop(&admin).await.status, 204);
    come_in(&scene.server, &invitation(&redeemed)).await.refused(401, "unauthenticated");
    let gone = scene.owner.caller.get(&format!("/users/{user}")).await.ok();
    assert_eq!(gone["state"], "removed");
    scene.redeem(scene.operator(1)).await.refused(409, "wrong_state");
    // Over: the new owner has come in, and only the tenant's ordinary means are left.
    scene.ready().await;
    let body = json!({"owner": {"name": "Nora New"}});
    let path = format!("{}/redemption", scene.path());
    let redeemed = scene.operator(0).post(&path, body).await;
    come_in(&scene.server, &invitation(&redeemed)).await.ok();
    scene.stop(&admin).await.refused(409, "wrong_state");
    come_in(&scene.server, &invitation(&redeemed)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_suspended_user_cannot_stop_it_and_an_operator_who_sees_through_it_can() {
    let mut scene = Scene::new().await;
    let owner = &scene.owner.caller;
    let second = Person::invited(&scene.server, owner, "Otto Owner", &["owner"]).await;
    scene.approved().await;
    let path = format!("/users/{}", second.id);
    owner.patch_if(&path, "*", json!({"state": "suspended"})).await.ok();
    scene.stop(&second.caller).await.refused(401, "unauthenticated");
    assert_eq!(scene.state().await, "waiting");
    // The third operator stops what the two others do.
    assert_eq!(scene.stop(scene.operator(2)).await.status, 204);
    assert_eq!(scene.state().await, "stopped");
    let told = Scene::told(&scene.owner.caller, "/audit").await;
    assert_eq!(told.last().map(String::as_str), Some("operator recovery.stop"));

    // An operator who was suspended meanwhile stands for nothing any more.
    scene.ready().await;
    let first = format!("/users/{}", scene.operators[0].id);
    scene.operator(2).patch_if(&first, "*", json!({"state": "suspended"})).await.ok();
    scene.redeem(scene.operator(1)).await.refused(409, "operator_gone");
    scene.redeem(scene.operator(0)).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn operators_see_nothing_of_the_tenant_s_data_at_any_stage() {
    let mut scene = Scene::new().await;
    let home = format!("/v1/tenants/{}", scene.clinic.tenant.id);
    for stage in ["none", "requested", "waiting", "ready", "invited"] {
        match stage {
            "requested" => assert_eq!(scene.start(scene.operator(0)).await.status, 201),
            "waiting" => {
                scene.approve(scene.operator(1)).await.ok();
            }
            "ready" => scene.pass(72 * HOUR).await,
            "invited" => assert_eq!(scene.redeem(scene.operator(0)).await.status, 201),
            _ => {}
        }
        for operator in [0, 1] {
            for path in [
                scene.clinic.patient(0),
                "/collections/patients/records".to_owned(),
                "/users".to_owned(),
                "/audit".to_owned(),
                "/api-keys".to_owned(),
            ] {
                let path = format!("{home}{path}");
                scene.operator(operator).get(&path).await.refused(404, "not_found");
            }
            let user = scene.operator(operator).get("/v1/whoami").await.ok();
            assert_eq!(user["classes"].as_array().unwrap().len(), 1, "{user}");
            assert_eq!(user["classes"][0]["name"], "operator");
        }
    }
    // What operators can do otherwise is what they could do before.
    assert_eq!(scene.operator(1).get("/v1/tenants").await.status, 200);
    assert_eq!(scene.operator(1).get("/backends").await.status, 200);
}

#[tokio::test]
async fn another_tenant_learns_nothing_of_a_recovery() {
    let scene = Scene::new().await;
    let other = Clinic::open(&scene.server, "Lindenhof Practice").await;
    let stranger = &other.tenant.owner;
    let look = || async {
        let mut seen = Vec::new();
        for (method, path) in [
            ("GET", scene.path()),
            ("POST", scene.path()),
            ("DELETE", scene.path()),
            ("POST", format!("{}/approval", scene.path())),
            ("POST", format!("{}/redemption", scene.path())),
            ("POST", format!("/v1/tenants/{}/owner-invitation", scene.clinic.tenant.id)),
        ] {
            let body = json!({"reason": "curious"});
            let answer = stranger.call(method, &path).json(&body).send().await;
            answer.refused(404, "not_found");
            seen.push(answer.without_request_id());
        }
        assert!(stranger.get("/v1/whoami").await.ok().get("recovery").is_none());
        seen
    };
    let before = look().await;
    scene.approved().await;
    let during = look().await;
    assert_eq!(before, during);
    assert_eq!(scene.state().await, "waiting");
    // Nor do those of the tenant who may not manage users learn more than that it is under way.
    scene.clinic.clerk.get(&scene.path()).await.refused(403, "no_rule");
}

#[tokio::test]
async fn an_approval_is_of_the_request_that_was_seen() {
    let scene = Scene::new().await;
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    let seen = scene.operator(1).get(&scene.path()).await;
    let tag = seen.header("etag").unwrap().to_owned();
    assert_eq!(scene.stop(scene.operator(0)).await.status, 204);
    let other = scene.operator(0).post(&scene.path(), json!({"reason": "something else"})).await;
    assert_eq!(other.status, 201);
    let path = format!("{}/approval", scene.path());
    let approve = |tag: Option<&str>| {
        let call = scene.operator(1).call("POST", &path);
        match tag {
            Some(tag) => call.header("If-Match", tag),
            None => call,
        }
    };
    approve(None).send().await.refused(428, "version_required");
    approve(Some(&tag)).send().await.refused(412, "version_stale");
    let tag = other.header("etag").unwrap().to_owned();
    approve(Some(&tag)).send().await.ok();
}

#[tokio::test]
async fn two_redemptions_at_once_make_one_invitation_and_a_repeated_one_shows_it_no_more() {
    let mut scene = Scene::new().await;
    for _ in 0..RACES {
        scene.ready().await;
        let body = json!({"owner": {"name": "Nora New"}});
        let path = format!("{}/redemption", scene.path());
        let (one, two) = tokio::join!(
            scene.operator(0).post(&path, body.clone()),
            scene.operator(1).post(&path, body.clone()),
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{} {}", one.text(), two.text());
        assert_eq!(scene.stop(&scene.owner.caller).await.status, 204);
    }
    let users = scene.owner.caller.all("/users", 500).await;
    let invited = users.iter().filter(|user| user["state"] == "invited").count();
    assert_eq!(invited, 0);

    scene.ready().await;
    let key = fresh_key();
    let path = format!("{}/redemption", scene.path());
    let body = json!({"owner": {"name": "Nora New"}});
    let send = || {
        let call = scene.operator(0).call("POST", &path);
        call.header("Idempotency-Key", &key).json(&body).send()
    };
    assert_eq!(send().await.status, 201);
    send().await.refused(409, "secret_already_shown");
}

#[tokio::test]
async fn a_veto_and_a_coming_in_at_once_have_one_winner() {
    let mut scene = Scene::new().await;
    let (mut came, mut stopped) = (0, 0);
    for _ in 0..RACES {
        scene.ready().await;
        let body = json!({"owner": {"name": "Nora New"}});
        let path = format!("{}/redemption", scene.path());
        let token = invitation(&scene.operator(0).post(&path, body).await);
        let (veto, entry) =
            tokio::join!(scene.stop(&scene.owner.caller), come_in(&scene.server, &token));
        match (veto.status, entry.status) {
            (204, 401) => stopped += 1,
            (409, 201) => came += 1,
            other => panic!("{other:?}: {} {}", veto.text(), entry.text()),
        }
        let expected = if entry.status == 201 { "finished" } else { "stopped" };
        assert_eq!(scene.state().await, expected);
    }
    assert_eq!(came + stopped, RACES);
}

#[tokio::test]
async fn a_repeated_request_asks_once_and_its_reason_is_the_tenant_s_to_read() {
    let scene = Scene::new().await;
    let key = fresh_key();
    let send = |reason: &str| {
        let call = scene.operator(0).call("POST", &scene.path()).header("Idempotency-Key", &key);
        call.json(&json!({"reason": reason})).send()
    };
    let first = send("the owner has left").await;
    let second = send("the owner has left").await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.json(), second.json());
    send("another reason").await.refused(422, "idempotency_key_reused");
    let seen = scene.owner.caller.get(&scene.path()).await.ok();
    assert_eq!(seen["reason"], "the owner has left");
    for wrong in [json!({}), json!({"reason": ""}), json!({"reason": "x", "opens_at": "now"})] {
        let answer = scene.operator(0).post(&scene.path(), wrong).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_operator_renews_the_first_owner_s_invitation_and_only_where_nobody_has_come_in() {
    let server = Server::memory().await;
    let body = json!({"name": "Lindenhof Practice", "owner": {"name": "Odette Owner"}});
    let made = server.operator().post("/v1/tenants", body).await.ok();
    let first = made["invitation"]["token"].as_str().unwrap().to_owned();
    let home = format!("/v1/tenants/{}", made["id"].as_str().unwrap());
    // A tenant into which nobody has come has nobody who could stop a recovery.
    let recovery = format!("{home}/recovery");
    let asked = server.operator().post(&recovery, json!({"reason": "nobody comes"})).await;
    asked.refused(409, "wrong_state");
    let path = format!("{home}/owner-invitation");
    let again = server.operator().post(&path, json!({})).await;
    assert_eq!(again.status, 201, "{}", again.text());
    come_in(&server, &first).await.refused(401, "unauthenticated");
    // Also one that ended by itself is renewed.
    server.clock.advance(11 * HOUR);
    let renewed = server.operator().post(&path, json!({})).await.ok();
    come_in(&server, again.json()["token"].as_str().unwrap()).await.refused(401, "unauthenticated");
    let session = come_in(&server, renewed["token"].as_str().unwrap()).await.ok();
    let token = session["session"]["token"].as_str().unwrap();
    let owner = server.at(&home, token);
    assert_eq!(owner.get(&home).await.ok()["state"], "active");
    let users = owner.all("/users", 500).await;
    assert_eq!(users.len(), 1, "the same person was invited again: {users:?}");
    server.operator().post(&path, json!({})).await.refused(409, "wrong_state");
    owner.post(&path, json!({})).await.refused(404, "not_found");
    let lines = owner.all("/audit", 500).await;
    let renewals = lines.iter().filter(|line| line["code"] == "tenant.invite_owner").count();
    assert_eq!(renewals, 2);
}
