//! A tenant whose owners cannot come in any more: two operators, everybody told, 72 hours, and the
//! tenant's stop until the new owner has come in.

use serde_json::{Value, json};
use strongroom_tests::{Caller, Clinic, Fault, Reply, Server, fresh_key};

/// Seconds of an hour.
const HOUR: i64 = 60 * 60;

/// How often two redemptions race, and a redemption with a stop.
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

    /// Comes in as this person by an invitation that somebody else makes.
    async fn impersonated(&self, server: &Server, by: &Caller) -> Caller {
        let again = by.post(&format!("/users/{}/invitation", self.id), json!({})).await;
        assert_eq!(again.status, 201, "{}", again.text());
        by.with_token(&server.redeem(again.json()["token"].as_str().unwrap()).await)
    }
}

/// A clinic, three operators who have been there for 72 hours, and an owner of the clinic, all signed in.
struct Scene {
    server: Server,
    clinic: Clinic,
    operators: [Person; 3],
    owner: Person,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Server::memory().await).await
    }

    async fn on(mut server: Server) -> Self {
        let first = server.operator();
        let mut second = Person::invited(&server, &first, "Second Operator", &["operator"]).await;
        let mut third = Person::invited(&server, &first, "Third Operator", &["operator"]).await;
        server.pass(72 * HOUR, &mut [&mut second.caller, &mut third.caller]).await;
        let first = Person::of(server.operator()).await;
        let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
        let owner = Person::of(clinic.tenant.owner.clone()).await;
        Self { server, clinic, operators: [first, second, third], owner }
    }

    /// Lets time pass while everybody stays signed in.
    async fn pass(&mut self, seconds: i64) {
        let Self { server, operators: [first, second, third], owner, .. } = self;
        let others = &mut [&mut second.caller, &mut third.caller, &mut owner.caller];
        server.pass(seconds, others).await;
        first.caller = server.operator();
    }

    /// Starts the server again over what it has left behind.
    async fn restart(&mut self) {
        self.server.restart().await;
        for person in self.operators.iter_mut().chain([&mut self.owner]) {
            person.caller = self.server.again(&person.caller);
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
async fn two_operators_and_72_hours_let_a_new_owner_in_and_everybody_is_told() {
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
    let body = |acts: &str| json!({"label": "operators_key", "classes": ["operator"], "expires_at": ends, "acts": acts});
    // The provider has no keys that act for others of its people.
    assert_eq!(one.post("/api-keys", body("for_users")).await.status, 422);
    let key = one.post("/api-keys", body("itself")).await.ok();
    let key = one.with_token(key["token"].as_str().unwrap());
    scene.start(&key).await.refused(403, "session_required");
    let reason = json!({"reason": "a key asks for another"});
    let call = key.call("POST", &scene.path()).json(&reason);
    let answer = call.header("Strongroom-User", &scene.operators[1].id).send().await;
    answer.refused(403, "user_not_allowed");
    scene.operator(2).get(&scene.path()).await.refused(404, "not_found");

    assert_eq!(scene.start(one).await.status, 201);
    scene.approve(one).await.refused(409, "another_operator_needed");
    // Another session of theirs is still them.
    let again = scene.server.stay(one).await;
    assert_ne!(again.token(), one.token());
    scene.approve(&again).await.refused(409, "another_operator_needed");
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
async fn an_operator_who_makes_an_operator_is_two_only_after_72_hours_in_the_log() {
    let mut server = Server::memory().await;
    let first = server.operator();
    let mut made = Person::invited(&server, &first, "Puppet Operator", &["operator"]).await.caller;
    let tenant = server.tenant("Lindenhof Practice").await;
    let path = format!("/v1/tenants/{}/recovery", tenant.id);
    let approval = format!("{path}/approval");
    let ask = json!({"reason": "nobody answers"});
    // Neither who was there from the beginning nor who was made asks on the first day.
    first.post(&path, ask.clone()).await.refused(409, "operator_too_new");
    made.post(&path, ask.clone()).await.refused(409, "operator_too_new");
    server.pass(72 * HOUR - 1, &mut [&mut made]).await;
    server.operator().post(&path, ask.clone()).await.refused(409, "operator_too_new");
    server.pass(1, &mut [&mut made]).await;
    assert_eq!(server.operator().post(&path, ask.clone()).await.status, 201);
    let late = Person::invited(&server, &server.operator(), "Late", &["operator"]).await.caller;
    let approve = |by: &Caller| by.call("POST", &approval).header("If-Match", "*").send();
    approve(&late).await.refused(409, "operator_too_new");
    // That this one was made by the one who asks stands in the log of all of them, for 72 hours by now.
    approve(&made).await.ok();
    let lines = server.operator().all("/audit", 500).await;
    let count = |code: &str| lines.iter().filter(|line| line["code"] == code).count();
    assert_eq!((count("user.invite"), count("operator_too_new")), (2, 4));
}

#[tokio::test]
async fn an_operator_who_comes_in_as_another_does_not_approve_their_own_request() {
    let mut scene = Scene::new().await;
    let [one, two, _] = &scene.operators;
    assert_eq!(scene.start(&one.caller).await.status, 201);
    // Whoever manages users makes an invitation of any operator and uses it themselves.
    let mut taken = two.impersonated(&scene.server, &one.caller).await;
    scene.approve(&taken).await.refused(409, "operator_too_new");
    // From then on the account approves nothing, whoever of the two uses it, and says since when.
    scene.approve(&two.caller).await.refused(409, "operator_too_new");
    let account = one.caller.get(&format!("/users/{}", two.id)).await.ok();
    assert_eq!(account["let_in_at"], scene.server.clock.in_seconds(0));
    // Invitations that it makes for itself do not shorten that.
    scene.server.clock.advance(60);
    taken = scene.server.stay(&taken).await;
    scene.approve(&taken).await.refused(409, "operator_too_new");
    assert_eq!(scene.state().await, "requested");
    // A third one, into whose account nobody else has come, may.
    scene.approve(scene.operator(2)).await.ok();

    // Nor does a third operator redeem by the account of one of the two.
    scene.pass(72 * HOUR).await;
    let [one, _, three] = &scene.operators;
    let taken = one.impersonated(&scene.server, &three.caller).await;
    scene.redeem(&taken).await.refused(409, "operator_too_new");
    assert_eq!(scene.redeem(&three.caller).await.status, 201);
    let lines = scene.operator(2).all("/audit", 500).await;
    let tried = lines.iter().filter(|line| line["code"] == "operator_too_new").count();
    assert_eq!(tried, 4);
}

#[tokio::test]
async fn an_account_that_others_have_opened_in_whatever_way_waits_72_hours() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    let [one, two, three] = &scene.operators;
    // By the key of the operator themselves: whoever has a key is not there in person.
    let ends = scene.server.clock.in_seconds(24 * HOUR);
    let body = json!({"label": "second_key", "classes": ["operator"], "expires_at": ends});
    let key = two.caller.post("/api-keys", body).await.ok();
    let key = two.caller.with_token(key["token"].as_str().unwrap());
    let by_key = two.impersonated(&scene.server, &key).await;
    scene.approve(&by_key).await.refused(409, "operator_too_new");
    // By an end of a suspension.
    let account = format!("/users/{}", three.id);
    one.caller.patch_if(&account, "*", json!({"state": "suspended"})).await.ok();
    one.caller.patch_if(&account, "*", json!({"state": "active"})).await.ok();
    scene.approve(&three.caller).await.refused(409, "operator_too_new");
    // By other classes, even for somebody who has long been there.
    scene.pass(72 * HOUR).await;
    let [one, two, three] = &scene.operators;
    let change = json!({"classes": ["operator", "support_agent"]});
    one.caller.patch_if(&account, "*", change).await.ok();
    scene.approve(&three.caller).await.refused(409, "operator_too_new");
    assert_eq!(scene.state().await, "requested");
    // A new name lets nobody in; and after 72 hours the first account is its owner's again.
    let account = format!("/users/{}", two.id);
    one.caller.patch_if(&account, "*", json!({"name": "Renamed Operator"})).await.ok();
    scene.approve(&two.caller).await.ok();
}

#[tokio::test]
async fn an_invitation_that_nobody_took_dies_with_its_recovery_and_gives_the_address_free() {
    let mut scene = Scene::new().await;
    let of_state = |users: &[Value], state: &str| -> Vec<Value> {
        users.iter().filter(|user| user["state"] == state).cloned().collect()
    };
    scene.ready().await;
    let redeemed = scene.redeem(scene.operator(0)).await;
    let first = redeemed.json()["user"].clone();
    scene.pass(72 * HOUR).await;
    assert_eq!(scene.state().await, "expired");
    come_in(&scene.server, &invitation(&redeemed)).await.refused(401, "unauthenticated");
    scene.stop(&scene.owner.caller).await.refused(409, "wrong_state");
    // The next one begins with taking back whom the last one had invited.
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    let users = scene.owner.caller.all("/users", 500).await;
    assert!(of_state(&users, "invited").is_empty(), "{users:?}");
    let removed = of_state(&users, "removed");
    assert_eq!((&removed[0]["id"], &removed[0]["email"]), (&first, &Value::Null));
    let lines = scene.owner.caller.all("/audit", 500).await;
    assert_eq!(lines.iter().filter(|line| line["code"] == "recovery.expire").count(), 1);
    scene.approve(scene.operator(1)).await.ok();
    scene.pass(72 * HOUR).await;
    // The same address once more; and again after the tenant has stopped it.
    let redeemed = scene.redeem(scene.operator(0)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    assert_eq!(scene.stop(&scene.owner.caller).await.status, 204);
    scene.ready().await;
    let redeemed = scene.redeem(scene.operator(1)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    come_in(&scene.server, &invitation(&redeemed)).await.ok();
    // The address of somebody who is there is not taken from them.
    scene.ready().await;
    scene.redeem(scene.operator(1)).await.refused(409, "email_taken");
    assert_eq!(scene.state().await, "ready");
    let body = json!({"owner": {"name": "Nils Next", "email": "nils@next.example"}});
    let path = format!("{}/redemption", scene.path());
    assert_eq!(scene.operator(0).post(&path, body).await.status, 201);
}

#[tokio::test]
async fn an_invited_owner_stays_out_whichever_way_the_tenant_takes() {
    let mut scene = Scene::new().await;
    // A stop ends every invitation of the one who was to be owner, also one that the tenant has made.
    scene.ready().await;
    let redeemed = scene.redeem(scene.operator(0)).await;
    let path = format!("/users/{}", redeemed.json()["user"].as_str().unwrap());
    let owner = &scene.owner.caller;
    let again = owner.post(&format!("{path}/invitation"), json!({})).await.ok();
    assert_eq!(scene.stop(owner).await.status, 204);
    for token in [invitation(&redeemed).as_str(), again["token"].as_str().unwrap()] {
        come_in(&scene.server, token).await.refused(401, "unauthenticated");
    }
    owner.post(&format!("{path}/invitation"), json!({})).await.refused(409, "wrong_state");
    // Removing them like any user does the same; the recovery can still be stopped.
    scene.ready().await;
    let body = json!({"owner": {"name": "Nora New"}});
    let redemption = format!("{}/redemption", scene.path());
    let redeemed = scene.operator(0).post(&redemption, body).await;
    let path = format!("/users/{}", redeemed.json()["user"].as_str().unwrap());
    let owner = &scene.owner.caller;
    owner.patch_if(&path, "*", json!({"state": "removed"})).await.ok();
    come_in(&scene.server, &invitation(&redeemed)).await.refused(401, "unauthenticated");
    scene.redeem(scene.operator(1)).await.refused(409, "wrong_state");
    assert_eq!(scene.stop(owner).await.status, 204);
    assert_eq!(scene.state().await, "stopped");
}

#[tokio::test]
async fn a_recovery_goes_on_where_it_was_when_the_server_starts_again() {
    let mut scene = Scene::on(Server::redb().await).await;
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    scene.restart().await;
    scene.start(scene.operator(1)).await.refused(409, "recovery_under_way");
    scene.approve(scene.operator(0)).await.refused(409, "another_operator_needed");
    let approved = scene.approve(scene.operator(1)).await.ok();
    scene.pass(36 * HOUR).await;
    scene.restart().await;
    let again = scene.operator(1).get(&scene.path()).await.ok();
    assert_eq!(again["opens_at"], approved["opens_at"]);
    scene.pass(36 * HOUR - 1).await;
    scene.restart().await;
    scene.redeem(scene.operator(0)).await.refused(409, "wrong_state");
    scene.pass(1).await;
    let redeemed = scene.redeem(scene.operator(0)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    scene.restart().await;
    scene.redeem(scene.operator(1)).await.refused(409, "wrong_state");
    come_in(&scene.server, &invitation(&redeemed)).await.ok();
    scene.restart().await;
    assert_eq!(scene.state().await, "finished");
    scene.stop(&scene.owner.caller).await.refused(409, "wrong_state");
}

#[tokio::test]
async fn a_step_that_cannot_be_made_durable_has_not_happened() {
    let mut scene = Scene::new().await;
    let full = |scene: &Scene| scene.server.faults.set(Fault::Commit);
    let mended = |scene: &Scene| scene.server.faults.set(Fault::None);
    full(&scene);
    assert!(scene.start(scene.operator(0)).await.status >= 500);
    mended(&scene);
    scene.operator(0).get(&scene.path()).await.refused(404, "not_found");
    assert_eq!(scene.start(scene.operator(0)).await.status, 201);
    full(&scene);
    assert!(scene.approve(scene.operator(1)).await.status >= 500);
    mended(&scene);
    assert_eq!(scene.state().await, "requested");
    scene.approve(scene.operator(1)).await.ok();
    scene.pass(72 * HOUR).await;
    full(&scene);
    assert!(scene.redeem(scene.operator(0)).await.status >= 500);
    mended(&scene);
    assert_eq!(scene.state().await, "ready");
    assert_eq!(scene.owner.caller.all("/users", 500).await.len(), 1);
    let redeemed = scene.redeem(scene.operator(0)).await;
    assert_eq!(redeemed.status, 201, "{}", redeemed.text());
    full(&scene);
    assert!(scene.stop(&scene.owner.caller).await.status >= 500);
    assert!(come_in(&scene.server, &invitation(&redeemed)).await.status >= 500);
    mended(&scene);
    assert_eq!(scene.state().await, "invited");
    assert_eq!(scene.stop(&scene.owner.caller).await.status, 204);
    come_in(&scene.server, &invitation(&redeemed)).await.refused(401, "unauthenticated");
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
async fn a_product_is_told_of_it_and_stops_it_for_a_user_who_may() {
    let scene = Scene::new().await;
    let body = json!({"name": "Shop software"});
    let backend = scene.operator(0).post("/backends", body).await.ok();
    let owner = &scene.owner.caller;
    let admission = format!("/backends/{}", backend["id"].as_str().unwrap());
    owner.put_if(&admission, "*", json!({"classes": ["manager"]})).await.ok();
    for class in ["manager", "clerk"] {
        let body = json!({"external_id": class, "name": "Mo Managed", "classes": [class]});
        assert_eq!(owner.put("/users:upsert", body).await.status, 201);
    }
    scene.approved().await;
    let product = owner.with_token(backend["token"].as_str().unwrap());
    let ask = |method: &str, path: &str, user: &str| {
        product.call(method, path).header("Strongroom-User", user).send()
    };
    let tenant = format!("/v1/tenants/{}", scene.clinic.tenant.id);
    let told = ask("GET", &tenant, "ext:clerk").await.ok()["recovery"].clone();
    assert_eq!(told["state"], "waiting");
    for method in ["GET", "DELETE"] {
        ask(method, &scene.path(), "ext:clerk").await.refused(403, "no_rule_of_user");
    }
    assert_eq!(ask("GET", &scene.path(), "ext:manager").await.ok()["state"], "waiting");
    assert_eq!(ask("DELETE", &scene.path(), "ext:manager").await.status, 204);
    assert_eq!(scene.state().await, "stopped");
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
async fn a_stop_and_a_coming_in_at_once_have_one_winner() {
    let mut scene = Scene::new().await;
    let (mut came, mut stopped) = (0, 0);
    for _ in 0..RACES {
        scene.ready().await;
        let body = json!({"owner": {"name": "Nora New"}});
        let path = format!("{}/redemption", scene.path());
        let token = invitation(&scene.operator(0).post(&path, body).await);
        let (stop, entry) =
            tokio::join!(scene.stop(&scene.owner.caller), come_in(&scene.server, &token));
        match (stop.status, entry.status) {
            (204, 401) => stopped += 1,
            (409, 201) => came += 1,
            other => panic!("{other:?}: {} {}", stop.text(), entry.text()),
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
