//! Blueprints: tenants that are ready to work when they come into being, later versions that reach
//! them all, and their own edits, which stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_client::read_blueprint;
use strongroom_tests::program::{Installation, redeem};
use strongroom_tests::{Caller, Reply, Server, fresh_key};

/// Where the worked example is.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/blueprints/clinic")
}

/// The worked example as the API takes it.
fn clinic() -> Value {
    let mut files = Vec::new();
    for entry in fs::read_dir(example()).unwrap() {
        let path = entry.unwrap().path();
        files.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    let (name, content) = read_blueprint(&files).unwrap();
    assert_eq!(name.as_str(), "clinic");
    serde_json::to_value(&content).unwrap()
}

const PATH: &str = "/v1/provider/blueprints/clinic";

async fn put(operator: &Caller, content: &Value) -> Reply {
    operator.put(PATH, content.clone()).await
}

async fn stored(operator: &Caller, content: &Value) -> Value {
    let answer = put(operator, content).await;
    assert!(answer.status < 300, "{}", answer.text());
    answer.json()
}

/// Breaks a rule in a blueprint.
type Break = fn(&mut Value);

/// Something of a list by its name.
fn named<'v>(list: &'v mut Value, name: &str) -> &'v mut Value {
    list.as_array_mut().unwrap().iter_mut().find(|it| it["name"] == name).unwrap()
}

fn field<'v>(content: &'v mut Value, collection: &str, name: &str) -> &'v mut Value {
    named(&mut named(&mut content["collections"], collection)["fields"], name)
}

fn fields<'v>(content: &'v mut Value, collection: &str) -> &'v mut Vec<Value> {
    named(&mut content["collections"], collection)["fields"].as_array_mut().unwrap()
}

/// The second version: everything that may follow.
fn second() -> Value {
    let mut content = clinic();
    field(&mut content, "patients", "phone")["label"] = "Phone".into();
    field(&mut content, "patients", "birth_date")["mask"] = "hidden".into();
    fields(&mut content, "patients")
        .push(json!({"number": 6, "name": "insurer", "label": "Insurer", "type": "text"}));
    named(&mut content["collections"], "visits")["label"] = "Appointments".into();
    let rooms = json!({
        "name": "rooms", "label": "Rooms", "purposes": ["care"], "subject": "nobody",
        "fields": [{"number": 1, "name": "name", "type": "text"}],
    });
    content["collections"].as_array_mut().unwrap().push(rooms);
    fields(&mut content, "visits")
        .push(json!({"number": 5, "name": "room", "type": {"reference": "rooms"}}));
    named(&mut content["classes"], "reception")["terms"]["rules"][0]["view"] = "hidden".into();
    named(&mut content["classes"], "doctor")["label"] = "Physician".into();
    content
}

/// The third: a field and a collection go, a class comes.
fn third() -> Value {
    let mut content = second();
    field(&mut content, "patients", "note")["retired"] = true.into();
    named(&mut content["collections"], "rooms")["retired"] = true.into();
    field(&mut content, "visits", "room")["retired"] = true.into();
    let classes = content["classes"].as_array_mut().unwrap();
    classes.push(json!({"name": "auditor", "template": "auditor"}));
    content
}

/// A tenant that was made from the blueprint, and its owner.
struct Made {
    id: String,
    owner: Caller,
}

async fn make(server: &Server, name: &str) -> Made {
    let made = server.operator().post("/v1/tenants", new_tenant(name)).await.ok();
    let id = made["id"].as_str().unwrap().to_owned();
    let token = server.redeem(made["invitation"]["token"].as_str().unwrap()).await;
    let owner = server.at(&format!("/v1/tenants/{id}"), &token);
    Made { id, owner }
}

fn new_tenant(name: &str) -> Value {
    json!({"name": name, "owner": {"name": "Odette Owner"}, "blueprint": "clinic"})
}

/// Has a version applied, and gives the job when it is done.
async fn applied(server: &Server, body: Value) -> Value {
    let operator = server.operator();
    let asked = operator.post_once(&format!("{PATH}/apply"), body).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let location = asked.header("location").unwrap().to_owned();
    server.run_due_jobs().await;
    let job = operator.get(&location).await.ok();
    assert_eq!(job["state"], "done", "{job}");
    job
}

fn outcomes(job: &Value) -> [u64; 5] {
    ["applied", "kept", "unchanged", "skipped", "failed"]
        .map(|name| job["outcomes"][name].as_u64().unwrap())
}

async fn items(operator: &Caller, job: &Value) -> Vec<Value> {
    operator.all(&format!("/v1/provider/jobs/{}/items", job["id"].as_str().unwrap()), 3).await
}

/// The fields of a collection by their names.
async fn fields_of(owner: &Caller, collection: &str) -> BTreeMap<String, Value> {
    let found = owner.get(&format!("/collections/{collection}")).await.ok();
    let fields = found["fields"].as_array().unwrap().iter();
    fields.map(|field| (field["name"].as_str().unwrap().to_owned(), field.clone())).collect()
}

/// Creates a record for the care of patients, and gives its id.
async fn record(owner: &Caller, collection: &str, fields: Value) -> String {
    let call = owner.call("POST", &format!("/collections/{collection}/records"));
    call.header("Strongroom-Purpose", "care").json(&json!({"fields": fields})).send().await.id()
}

async fn names(owner: &Caller, path: &str) -> BTreeSet<String> {
    let all = owner.all(path, 100).await;
    all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The lines of a tenant's log that the job wrote.
async fn lines_of_the_job(owner: &Caller) -> Vec<Value> {
    let lines = owner.all("/audit", 400).await;
    lines.into_iter().filter(|line| line["principal"]["kind"] == "job").collect()
}

#[tokio::test]
async fn a_hundred_tenants_come_into_being_ready_to_work() {
    const TENANTS: usize = 100;
    let server = Server::memory().await;
    let first = put(&server.operator(), &clinic()).await;
    assert_eq!((first.status, first.json()["version"].as_u64()), (201, Some(1)));
    for number in 0..TENANTS {
        let made = make(&server, &format!("Clinic {number}")).await;
        assert_eq!(
            names(&made.owner, "/collections").await,
            set(&["invoices", "patients", "visits"])
        );
        let classes = set(&["bookkeeping", "doctor", "owner", "privacy_officer", "reception"]);
        assert_eq!(names(&made.owner, "/classes").await, classes);
        let fields = fields_of(&made.owner, "patients").await;
        assert_eq!(fields["note"]["mask"], "hidden");
        assert_eq!(fields["birth_date"]["number"], 4);
        assert_eq!(fields["name"]["required"], true);

        let patient = json!({"name": "Mira Halloran", "note": "n"});
        let patient = record(&made.owner, "patients", patient).await;
        let visit = json!({"patient": patient, "kind": "first", "findings": "f"});
        record(&made.owner, "visits", visit).await;
        let tenant = made.owner.get(&format!("/v1/tenants/{}", made.id)).await.ok();
        assert_eq!(tenant["blueprint"], json!({"name": "clinic", "version": 1}));
        let log = made.owner.all("/audit", 400).await;
        assert!(log.iter().any(|line| line["code"] == "blueprint.give"), "{log:?}");
    }
    let shown = server.operator().get(PATH).await.ok();
    assert_eq!(shown["tenants"], json!([{"version": 1, "tenants": TENANTS}]));
    let body = json!({"name": "Other", "owner": {"name": "O"}, "blueprint": "dentist"});
    let refused = server.operator().post("/v1/tenants", body).await.refused(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/blueprint");
}

#[tokio::test]
async fn the_classes_of_a_blueprint_show_their_holders_what_they_say() {
    let server = Server::memory().await;
    stored(&server.operator(), &clinic()).await;
    let made = make(&server, "Clinic").await;
    let fields = json!({"name": "Mira Halloran", "phone": "+353 1 555 0141", "note": "n"});
    let record = record(&made.owner, "patients", fields).await;
    let path = format!("/collections/patients/records/{record}");
    let ends = server.clock.in_seconds(60 * 60);
    for (class, purpose, clear, masked) in [
        ("doctor", "care", vec!["name", "note", "phone"], vec![]),
        ("reception", "care", vec!["name"], vec!["phone"]),
        ("bookkeeping", "billing", vec![], vec!["name", "phone"]),
    ] {
        let body = json!({"label": class, "classes": [class], "expires_at": ends});
        let token = made.owner.post("/api-keys", body).await.ok();
        let holder = made.owner.with_token(token["token"].as_str().unwrap());
        let seen =
            holder.call("GET", &path).header("Strongroom-Purpose", purpose).send().await.ok();
        let keys =
            |part: &Value| part.as_object().unwrap().keys().cloned().collect::<BTreeSet<String>>();
        assert_eq!(keys(&seen["fields"]), set(&clear), "{class}");
        assert_eq!(keys(&seen["masked"]), set(&masked), "{class}");
    }
}

#[tokio::test]
async fn three_versions_reach_every_tenant_and_what_one_has_edited_stays() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let plain = make(&server, "Plain").await;
    let edited = make(&server, "Edited").await;
    for number in 0..3 {
        make(&server, &format!("Clinic {number}")).await;
    }
    let patch = json!({
        "relabel": {"phone": "Handset"}, "masks": {"email": "hidden"}, "retire_fields": ["note"],
        "add_fields": [{"name": "allergies", "type": "text"}],
    });
    edited.owner.patch_if("/collections/patients", "*", patch).await.ok();
    edited
        .owner
        .patch_if("/collections/visits", "*", json!({"purposes": ["care", "billing"]}))
        .await
        .ok();
    let narrow = json!({"label": "Front desk", "terms": {"rules": [
        {"actions": ["read"], "collection": "patients", "view": "masked"}]}});
    edited.owner.put_if("/classes/reception", "*", narrow).await.ok();
    let gone = edited.owner.call("DELETE", "/classes/doctor").header("If-Match", "*").send().await;
    assert_eq!(gone.status, 204, "{}", gone.text());

    let changes = stored(&operator, &second()).await;
    assert_eq!((&changes["version"], &changes["new"]), (&json!(2), &json!(true)));
    let job = applied(&server, json!({})).await;
    assert_eq!(outcomes(&job), [4, 1, 0, 0, 0], "{job}");
    assert_eq!(job["progress"], json!({"done": 5, "total": 5}));
    let found = items(&operator, &job).await;
    assert_eq!(found.len(), 5);
    let kept: Vec<&Value> = found.iter().filter(|item| item["outcome"] == "kept").collect();
    assert_eq!(kept[0]["tenant"], edited.id.as_str());
    assert_eq!(
        kept[0]["kept"],
        json!([
            "/collections/patients/fields/phone/label",
            "/classes/doctor",
            "/classes/reception/terms",
        ])
    );

    let fields = fields_of(&plain.owner, "patients").await;
    assert_eq!(fields["phone"]["label"], "Phone");
    assert_eq!(fields["birth_date"]["mask"], "hidden");
    assert_eq!(fields["insurer"]["number"], 6);
    assert!(names(&plain.owner, "/collections").await.contains("rooms"));
    let fields = fields_of(&edited.owner, "patients").await;
    assert_eq!(fields["phone"]["label"], "Handset");
    assert_eq!(fields["email"]["mask"], "hidden");
    assert_eq!(fields["birth_date"]["mask"], "hidden", "what was not edited follows");
    assert_eq!(fields["allergies"]["number"], 6, "the tenant's own field keeps its number");
    assert_eq!(fields["insurer"]["number"], 7);
    assert_eq!(fields["note"]["retired"], true);
    let visits = edited.owner.get("/collections/visits").await.ok();
    assert_eq!(visits["label"], "Appointments");
    assert_eq!(visits["purposes"], json!(["care", "billing"]));
    let reception = edited.owner.get("/classes/reception").await.ok();
    assert_eq!(
        (&reception["label"], &reception["terms"]["rules"][0]["view"]),
        (&json!("Front desk"), &json!("masked"))
    );
    assert!(!names(&edited.owner, "/classes").await.contains("doctor"));

    // The tenant makes of a part what the blueprint has: from then on it follows again.
    edited
        .owner
        .patch_if("/collections/patients", "*", json!({"relabel": {"phone": "Phone"}}))
        .await
        .ok();
    let mut last = third();
    field(&mut last, "patients", "phone")["label"] = "Line".into();
    stored(&operator, &last).await;
    let job = applied(&server, json!({})).await;
    assert_eq!(outcomes(&job), [5, 0, 0, 0, 0], "{:?}", items(&operator, &job).await);
    for owner in [&plain.owner, &edited.owner] {
        let fields = fields_of(owner, "patients").await;
        assert_eq!(fields["phone"]["label"], "Line");
        assert_eq!(fields["note"]["retired"], true);
        assert_eq!(fields_of(owner, "visits").await["room"]["retired"], true);
        assert!(names(owner, "/collections").await.contains("rooms"), "what was given stays");
        assert!(names(owner, "/classes").await.contains("auditor"));
        let lines = lines_of_the_job(owner).await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines.iter().all(|line| {
                line["principal"]["id"] == "apply_blueprint"
                    && line["code"] == "blueprint.apply"
                    && line["outcome"] == "allowed"
            }),
            "{lines:?}"
        );
    }
    // A tenant that comes now gets what is given now.
    let late = make(&server, "Late").await;
    assert!(!names(&late.owner, "/collections").await.contains("rooms"));
    let fields = fields_of(&late.owner, "patients").await;
    assert!(!fields.contains_key("note"));
    assert_eq!(fields["insurer"]["number"], 6);
    let job = applied(&server, json!({})).await;
    assert_eq!(outcomes(&job), [0, 0, 6, 0, 0]);
    assert!(items(&operator, &job).await.is_empty());
}

#[tokio::test]
async fn what_a_tenant_has_made_itself_under_a_new_name_is_never_taken_over() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let made = make(&server, "Clinic").await;
    let own = json!({"name": "rooms", "label": "My rooms", "purposes": ["care"],
        "fields": [{"name": "name", "type": "name"}]});
    made.owner.post("/collections", own).await.ok();
    let terms = json!({"rules": [{"actions": ["read"], "view": "masked"}]});
    made.owner
        .post("/classes", json!({"name": "auditor", "label": "Mine", "terms": terms}))
        .await
        .ok();
    made.owner
        .patch_if(
            "/collections/patients",
            "*",
            json!({"add_fields": [{"name": "insurer", "type": "json"}]}),
        )
        .await
        .ok();
    let before = made.owner.get("/collections/rooms").await.json();

    stored(&operator, &second()).await;
    let mut last = third();
    named(&mut last["collections"], "rooms").as_object_mut().unwrap().remove("retired");
    field(&mut last, "visits", "room").as_object_mut().unwrap().remove("retired");
    stored(&operator, &last).await;
    let job = applied(&server, json!({"version": 2})).await;
    assert_eq!(
        items(&operator, &job).await[0]["kept"],
        json!(["/collections/patients/fields/insurer", "/collections/rooms"])
    );
    let job = applied(&server, json!({"version": 3})).await;
    assert_eq!(
        items(&operator, &job).await[0]["kept"],
        json!(["/collections/rooms", "/classes/auditor"])
    );
    assert_eq!(made.owner.get("/collections/rooms").await.json(), before);
    assert_eq!(made.owner.get("/classes/auditor").await.ok()["label"], "Mine");
    assert_eq!(fields_of(&made.owner, "patients").await["insurer"]["type"], "json");
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused_with_its_place_and_nothing_changes() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let tenant = make(&server, "Clinic").await;
    let before = tenant.owner.all("/collections", 100).await;
    let cases: &[(&str, Break)] = &[
        ("/collections/0/fields/2/type", |it| {
            field(it, "patients", "phone")["type"] = "text".into();
        }),
        ("/collections/1/fields/2/type", |it| {
            field(it, "visits", "kind")["type"]["choice"][0]["label"] = "Other".into();
        }),
        ("/collections/0/fields/2/number", |it| {
            field(it, "patients", "phone")["name"] = "mobile".into();
        }),
        ("/collections/0/fields/2/number", |it| {
            field(it, "patients", "phone")["number"] = 9.into();
        }),
        ("/collections/0/fields", |it| field(it, "patients", "phone")["number"] = 9.into()),
        ("/collections/0/fields/5/number", |it| {
            fields(it, "patients").push(json!({"number": 3, "name": "mobile", "type": "phone"}));
        }),
        ("/collections/0/fields/5/required", |it| {
            fields(it, "patients")
                .push(json!({"number": 6, "name": "mobile", "type": "phone", "required": true}));
        }),
        ("/collections/0/fields/5/number", |it| {
            fields(it, "patients").push(json!({"number": 0, "name": "mobile", "type": "phone"}));
        }),
        ("/collections/0/fields", |it| drop(fields(it, "patients").remove(4))),
        ("/collections", |it| drop(it["collections"].as_array_mut().unwrap().remove(2))),
        ("/collections/1/subject", |it| {
            named(&mut it["collections"], "visits")["subject"] = "own".into();
        }),
        ("/collections/0/fields/0/required", |it| {
            field(it, "patients", "name")["required"] = false.into();
        }),
        ("/collections/0/fields/0/category", |it| {
            field(it, "patients", "name")["category"] = "pd:Age".into();
        }),
        ("/collections/0/fields/4/scope", |it| {
            field(it, "patients", "note")["scope"] = true.into();
        }),
        ("/collections/0/fields/1/mask", |it| {
            field(it, "patients", "email")["mask"] = "year".into();
        }),
        ("/collections/0/purposes/0", |it| {
            named(&mut it["collections"], "patients")["purposes"][0] = "sales".into();
        }),
        ("/collections/1/fields/0/type", |it| {
            named(&mut it["collections"], "patients")["retired"] = true.into();
        }),
        ("/collections/1/subject", |it| field(it, "visits", "patient")["retired"] = true.into()),
        ("/classes/1/terms/rules/0/collection", |it| {
            named(&mut it["classes"], "reception")["terms"]["rules"][0]["collection"] =
                "people".into();
        }),
        ("/classes/1/terms/rules/0/fields/0/field", |it| {
            named(&mut it["classes"], "reception")["terms"]["rules"][0]["fields"][0]["field"] =
                "nam".into();
        }),
        ("/classes/0/terms/owner", |it| {
            named(&mut it["classes"], "doctor")["terms"]["owner"] = true.into();
        }),
        ("/classes/0/name", |it| named(&mut it["classes"], "doctor")["name"] = "owner".into()),
        ("/classes/0/terms/administrative", |it| {
            named(&mut it["classes"], "doctor")["terms"]["administrative"] =
                json!(["manage_tenants"]);
        }),
        ("/classes/0", |it| {
            drop(named(&mut it["classes"], "doctor").as_object_mut().unwrap().remove("terms"));
        }),
        ("/classes/3/template", |it| {
            named(&mut it["classes"], "privacy_officer")["template"] = "owner".into();
        }),
        ("/backends/0/backend", |it| {
            it["backends"] =
                json!([{"backend": format!("bck_{}", "0".repeat(26)), "classes": ["doctor"]}]);
        }),
    ];
    for (pointer, change) in cases {
        let mut content = clinic();
        change(&mut content);
        for path in [PATH.to_owned(), format!("{PATH}/diff")] {
            let method = if path == PATH { "PUT" } else { "POST" };
            let answer = operator.call(method, &path).json(&content).send().await;
            let refused = answer.refused(422, "invalid");
            let pointers: Vec<&str> = refused["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|flaw| flaw["pointer"].as_str().unwrap())
                .collect();
            assert!(pointers.contains(pointer), "{pointer}: {refused}");
        }
    }
    assert_eq!(operator.get(PATH).await.ok()["newest"], 1);
    assert_eq!(operator.all(&format!("{PATH}/versions"), 10).await.len(), 1);
    assert_eq!(tenant.owner.all("/collections", 100).await, before);

    // What is retired stays retired, and its number and name are never given again.
    let mut retired = clinic();
    field(&mut retired, "patients", "note")["retired"] = true.into();
    assert_eq!(stored(&operator, &retired).await["version"], 2);
    put(&operator, &clinic()).await.refused(422, "invalid");
    field(&mut retired, "patients", "note")["name"] = "remark".into();
    put(&operator, &retired).await.refused(422, "invalid");
}

#[tokio::test]
async fn unknown_keys_other_shapes_and_bodies_too_long_are_refused() {
    let server = Server::memory().await;
    let operator = server.operator();
    let mut unknown = clinic();
    unknown["collections"][0]["colour"] = "red".into();
    put(&operator, &unknown).await.refused(400, "invalid_json");
    put(&operator, &json!({"collections": [[]]})).await.refused(400, "invalid_json");
    put(&operator, &json!([])).await.refused(400, "invalid_json");
    let long = format!("{{\"purposes\":[{}]}}", " ".repeat(10 * 1024 * 1024));
    operator.call("PUT", PATH).raw(long).send().await.refused(413, "body_too_large");
    let many: Vec<Value> = (0..201).map(|number| json!({"name": format!("p{number}")})).collect();
    put(&operator, &json!({"purposes": many})).await.refused(422, "invalid");
    operator.put("/v1/provider/blueprints/A%20B", clinic()).await.refused(404, "not_found");
    assert!(operator.all("/v1/provider/blueprints", 10).await.is_empty());
    operator.get(PATH).await.refused(404, "not_found");
    operator.post(&format!("{PATH}/apply"), json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_same_content_in_another_order_is_the_same_version() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let mut turned = clinic();
    for part in ["purposes", "collections", "classes"] {
        turned[part].as_array_mut().unwrap().reverse();
    }
    fields(&mut turned, "patients").reverse();
    // What is a default may be said.
    field(&mut turned, "patients", "email")["mask"] = "email_domain".into();
    let again = put(&operator, &turned).await;
    assert_eq!(
        (again.status, &again.json()["version"], &again.json()["new"]),
        (200, &json!(1), &json!(false))
    );
    let diff = operator.post(&format!("{PATH}/diff"), turned).await.ok();
    assert_eq!(diff, json!({"newest": 1, "changes": []}));

    let diff = operator.post(&format!("{PATH}/diff"), second()).await.ok();
    let told: BTreeSet<String> = diff["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["what"].as_str().unwrap(), it["place"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        set(&[
            "added /collections/patients/fields/insurer",
            "added /collections/rooms",
            "added /collections/visits/fields/room",
            "masked /collections/patients/fields/birth_date",
            "relabelled /classes/doctor",
            "relabelled /collections/patients/fields/phone",
            "relabelled /collections/visits",
            "terms /classes/reception",
        ])
    );
    assert_eq!(stored(&operator, &second()).await["changes"].as_array().unwrap().len(), 8);
    assert_eq!(
        operator.get(&format!("{PATH}/versions/1")).await.ok()["content"]["classes"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
    operator.get(&format!("{PATH}/versions/3")).await.refused(404, "not_found");
}

#[tokio::test]
async fn two_applies_at_once_give_every_tenant_the_newest_version_once() {
    const TENANTS: u64 = 20;
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let mut owners = Vec::new();
    for number in 0..TENANTS {
        owners.push(make(&server, &format!("Clinic {number}")).await.owner);
    }
    // Two people store what follows at the same time: one version comes after the other.
    let (two, three) = (second(), third());
    let (one, other) = tokio::join!(put(&operator, &two), put(&operator, &three));
    let statuses = [one.status, other.status];
    assert!(statuses.contains(&201), "{} {}", one.text(), other.text());
    stored(&operator, &third()).await;
    let newest = operator.get(PATH).await.ok()["newest"].as_u64().unwrap();

    let path = format!("{PATH}/apply");
    let key = fresh_key();
    let ask =
        || operator.call("POST", &path).header("Idempotency-Key", &key).json(&json!({})).send();
    let (first, again, second) = tokio::join!(ask(), ask(), operator.post_once(&path, json!({})));
    assert_eq!(first.id(), again.id(), "the same request makes one job");
    assert_ne!(first.id(), second.id());
    tokio::join!(server.run_due_jobs(), server.run_due_jobs());
    let mut sums = [0; 5];
    for job in [first, second] {
        let job = operator.get(&format!("/v1/provider/jobs/{}", job.id())).await.ok();
        assert_eq!((&job["state"], &job["progress"]["done"]), (&json!("done"), &json!(TENANTS)));
        sums.iter_mut().zip(outcomes(&job)).for_each(|(sum, count)| *sum += count);
    }
    assert_eq!(sums, [TENANTS, 0, TENANTS, 0, 0]);
    let shown = operator.get(PATH).await.ok();
    assert_eq!(shown["tenants"], json!([{"version": newest, "tenants": TENANTS}]));
    for owner in &owners {
        assert_eq!(lines_of_the_job(owner).await.len(), 1);
    }
}

#[tokio::test]
async fn a_job_that_was_stopped_does_nothing_more() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let made = make(&server, "Clinic").await;
    stored(&operator, &second()).await;
    let job = operator.post_once(&format!("{PATH}/apply"), json!({})).await.id();
    let path = format!("/v1/provider/jobs/{job}");
    assert_eq!(operator.get(&path).await.ok()["state"], "queued");
    let stopped = operator.post(&format!("{path}/cancel"), json!({})).await.ok();
    assert_eq!(stopped["state"], "cancelled");
    server.run_due_jobs().await;
    assert_eq!(operator.get(&path).await.ok()["progress"]["done"], 0);
    assert!(!names(&made.owner, "/collections").await.contains("rooms"));
    operator.post(&format!("{path}/cancel"), json!({})).await.refused(409, "wrong_state");
    assert_eq!(operator.all("/v1/provider/jobs", 10).await.len(), 1);
    // 30 days after its end it is forgotten.
    let ends = server.clock.in_seconds(40 * 24 * 60 * 60);
    let body = json!({"label": "watcher", "classes": ["operator"], "expires_at": ends});
    let key = operator.post("/api-keys", body).await.ok();
    let watcher = operator.with_token(key["token"].as_str().unwrap());
    for (days, kept) in [(29, 1), (2, 0)] {
        server.clock.advance(days * 24 * 60 * 60);
        server.run_due_jobs().await;
        assert_eq!(watcher.all("/v1/provider/jobs", 10).await.len(), kept);
    }
}

#[tokio::test]
async fn only_tenants_of_the_blueprint_get_it_unless_they_are_named() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let ours = make(&server, "Clinic").await;
    let bare = server.tenant("Bare").await;
    let erased = make(&server, "Erased").await;
    let body = json!({"target": {"tenant": erased.id}, "ground": "tenant_request"});
    assert_eq!(erased.owner.post_once("/erasures", body).await.status, 201);
    let other = clinic();
    operator.put("/v1/provider/blueprints/dentist", other).await.ok();
    let body = json!({"name": "D", "owner": {"name": "O"}, "blueprint": "dentist"});
    let dentist = operator.post("/v1/tenants", body).await.id();
    stored(&operator, &second()).await;

    let job = applied(&server, json!({})).await;
    let [applied_to, kept, unchanged, _skipped, failed] = outcomes(&job);
    assert_eq!([applied_to, kept, unchanged, failed], [1, 0, 0, 0], "{job}");
    assert!(names(&ours.owner, "/collections").await.contains("rooms"));
    assert!(names(&bare.owner, "/collections").await.is_empty());

    let tenants = json!([bare.id, dentist, erased.id, ours.id]);
    let job = applied(&server, json!({"tenants": tenants})).await;
    assert_eq!(outcomes(&job), [1, 0, 1, 1, 1], "{:?}", items(&operator, &job).await);
    let failed = items(&operator, &job).await;
    let failed = failed.iter().find(|item| item["outcome"] == "failed").unwrap();
    assert_eq!(
        (&failed["tenant"], &failed["problem"]),
        (&json!(dentist), &json!("other_blueprint"))
    );
    // A tenant that had none keeps its own classes beside those of the blueprint.
    assert!(names(&bare.owner, "/collections").await.contains("patients"));
    assert!(names(&bare.owner, "/classes").await.is_superset(&set(&["clerk", "doctor", "owner"])));

    for body in [
        json!({"tenants": []}),
        json!({"version": 9}),
        json!({"version": 0}),
        json!({"tenants": [format!("ten_{}", "0".repeat(26))]}),
    ] {
        operator.post_once(&format!("{PATH}/apply"), body).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn a_new_tenant_admits_the_backends_of_its_blueprint_and_may_revoke_them() {
    let server = Server::memory().await;
    let operator = server.operator();
    let made = operator.post("/backends", json!({"name": "Shop software"})).await.ok();
    let (backend, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    let mut content = clinic();
    content["backends"] = json!([
        {"backend": backend, "classes": ["reception"], "purposes": ["care"], "subjects_per_hour": 7},
    ]);
    stored(&operator, &content).await;
    let tenant = make(&server, "Clinic").await;
    let path = format!("/backends/{backend}");
    let admission = tenant.owner.get(&path).await.ok();
    assert_eq!(admission["state"], "admitted");
    assert_eq!(admission["classes"], json!(["reception"]));
    assert_eq!(
        (&admission["acts"], &admission["subjects_per_hour"]),
        (&json!("for_users"), &json!(7))
    );
    let body = json!({"external_id": "u-1", "name": "Mo Managed", "classes": ["owner"]});
    tenant.owner.put("/users:upsert", body).await.ok();
    let patient = json!({"name": "Mira Halloran", "note": "n"});
    let record = record(&tenant.owner, "patients", patient).await;
    let read = || {
        let call = tenant
            .owner
            .with_token(token)
            .call("GET", &format!("/collections/patients/records/{record}"));
        call.header("Strongroom-User", "ext:u-1").header("Strongroom-Purpose", "care").send()
    };
    assert_eq!(read().await.ok()["fields"], json!({"name": "Mira Halloran"}));
    tenant.owner.delete(&path).await.ok();
    read().await.refused(404, "not_found");
    // A later version does not let it in again.
    named(&mut content["collections"], "patients")["label"] = "People".into();
    stored(&operator, &content).await;
    applied(&server, json!({})).await;
    read().await.refused(404, "not_found");
    assert_eq!(tenant.owner.get(&path).await.ok()["state"], "revoked");
}

#[tokio::test]
async fn nobody_but_an_operator_knows_of_blueprints_and_jobs() {
    let server = Server::memory().await;
    let operator = server.operator();
    stored(&operator, &clinic()).await;
    let made = make(&server, "Clinic").await;
    let job = operator.post_once(&format!("{PATH}/apply"), json!({})).await.id();
    let agent =
        operator.post("/users", json!({"name": "A", "classes": ["support_agent"]})).await.ok();
    let agent = server.redeem(agent["invitation"]["token"].as_str().unwrap()).await;
    let agent = operator.with_token(&agent);
    let jobs = format!("/v1/provider/jobs/{job}");
    for (method, path) in [
        ("GET", "/v1/provider/blueprints".to_owned()),
        ("PUT", PATH.to_owned()),
        ("GET", PATH.to_owned()),
        ("GET", format!("{PATH}/versions")),
        ("GET", format!("{PATH}/versions/1")),
        ("POST", format!("{PATH}/diff")),
        ("POST", format!("{PATH}/apply")),
        ("GET", "/v1/provider/jobs".to_owned()),
        ("GET", jobs.clone()),
        ("GET", format!("{jobs}/items")),
        ("POST", format!("{jobs}/cancel")),
    ] {
        let ask = |caller: &Caller| {
            let call = caller.call(method, &path);
            if method == "GET" { call } else { call.json(&json!({})) }.send()
        };
        ask(&made.owner).await.refused(404, "not_found");
        ask(&agent).await.refused(403, "no_rule");
        ask(&operator.nobody()).await.refused(401, "unauthenticated");
    }
    assert_eq!(operator.get(&jobs).await.ok()["state"], "queued");
}

/// How often it is looked whether a server has come further, at most.
const LOOKS_MAX: usize = 4_000;
/// The pause between two looks at a job.
const PAUSE: Duration = Duration::from_millis(30);

/// Waits for a job of a server that works by itself.
async fn ended(operator: &Caller, path: &str) -> Value {
    for _ in 0..LOOKS_MAX {
        let job = operator.get(path).await.ok();
        if job["state"] != "queued" && job["state"] != "running" {
            return job;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("the job does not end");
}

/// Waits until a job has done something for somebody.
async fn begun(operator: &Caller, path: &str) {
    for _ in 0..LOOKS_MAX {
        let items = operator.get(&format!("{path}/items?limit=1")).await.ok();
        if items["data"].as_array().is_some_and(|items| !items.is_empty()) {
            return;
        }
    }
    panic!("the job does not begin");
}

#[tokio::test]
async fn a_job_whose_server_is_killed_goes_on_and_gives_nothing_twice() {
    const TENANTS: usize = 60;
    const KILLS: usize = 2;
    let installation = Installation::make();
    let mut running = installation.start();
    let nobody = Caller::of(&running.address, "/v1/provider", None);
    let token = redeem(&nobody, installation.invitation()).await;
    let mut operator = nobody.with_token(&token);
    stored(&operator, &clinic()).await;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let made = operator.post("/v1/tenants", new_tenant(&format!("Clinic {number}"))).await.ok();
        let token = redeem(&nobody, made["invitation"]["token"].as_str().unwrap()).await;
        tenants.push((made["id"].as_str().unwrap().to_owned(), token));
    }
    stored(&operator, &second()).await;
    let job = operator.post_once(&format!("{PATH}/apply"), json!({})).await.id();
    let path = format!("/v1/provider/jobs/{job}");
    for _ in 0..KILLS {
        // It is killed as soon as the first tenant has it, and once more right after it is back.
        begun(&operator, &path).await;
        running.kill();
        running = installation.start();
        operator = Caller::of(&running.address, "/v1/provider", Some(&token));
    }
    let job = ended(&operator, &path).await;
    assert_eq!(
        (&job["state"], outcomes(&job)),
        (&json!("done"), [TENANTS as u64, 0, 0, 0, 0]),
        "{job}"
    );
    assert_eq!(items(&operator, &job).await.len(), TENANTS);
    assert_eq!(
        operator.get(PATH).await.ok()["tenants"],
        json!([{"version": 2, "tenants": TENANTS}])
    );
    for (tenant, token) in &tenants {
        let owner = Caller::of(&running.address, &format!("/v1/tenants/{tenant}"), Some(token));
        assert_eq!(fields_of(&owner, "patients").await["phone"]["label"], "Phone");
        assert!(names(&owner, "/collections").await.contains("rooms"));
        assert_eq!(lines_of_the_job(&owner).await.len(), 1);
    }
}

#[tokio::test]
async fn the_commands_bring_a_folder_of_files_to_the_tenants() {
    let installation = Installation::make();
    let running = installation.start();
    let nobody = Caller::of(&running.address, "/v1/provider", None);
    let token = redeem(&nobody, installation.invitation()).await;
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(installation.path("token")).unwrap();
    file.write_all(token.as_bytes()).unwrap();
    let say = |arguments: &[&str]| {
        let server = [
            "--server",
            &running.address,
            "--token-file",
            &installation.text("token"),
            "--output",
            "json",
        ];
        let whole: Vec<&str> = arguments.iter().chain(&server).copied().collect();
        let output = installation.run(&whole);
        let (out, error) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code().unwrap(), serde_json::from_str(&out).unwrap_or(Value::Null), error)
    };
    let folder = installation.path("clinic");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(example()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let folder = folder.display().to_string();

    let (code, told, _) = say(&["blueprints", "diff", &folder, "--check"]);
    assert_eq!((code, &told["newest"]), (8, &Value::Null), "{told}");
    let (code, told, error) = say(&["blueprints", "apply", &folder, "--store-only"]);
    assert_eq!((code, &told["version"]), (0, &json!(1)), "{error}");
    let create = [
        "tenants",
        "create",
        "--blueprint",
        "clinic",
        "--name",
        "Clinic",
        "--owner-name",
        "Odette",
        "--owner-email",
        "o@example.org",
    ];
    let (code, tenant, error) = say(&create);
    assert_eq!(
        (code, &tenant["blueprint"]),
        (0, &json!({"name": "clinic", "version": 1})),
        "{error}"
    );
    let (code, told, _) = say(&["blueprints", "diff", &folder, "--check"]);
    assert_eq!((code, &told["changes"]), (0, &json!([])));

    let text = fs::read_to_string(format!("{folder}/collections.toml")).unwrap();
    fs::write(format!("{folder}/collections.toml"), text.replace("\"Telephone\"", "\"Phone\""))
        .unwrap();
    let (code, job, error) = say(&["blueprints", "apply", &folder]);
    assert_eq!(
        (code, &job["state"], &job["outcomes"]["applied"]),
        (0, &json!("done"), &json!(1)),
        "{error}"
    );
    assert!(error.contains("relabelled /collections/patients/fields/phone"), "{error}");
    let id = job["id"].as_str().unwrap();
    let (code, told, _) = say(&["jobs", "items", id]);
    assert_eq!((code, &told["data"][0]["tenant"]), (0, &tenant["id"]));
    assert_eq!(say(&["jobs", "wait", id]).0, 0);
    assert_eq!(say(&["jobs", "cancel", id]).0, 5);
    assert_eq!(say(&["jobs", "list"]).1["data"].as_array().unwrap().len(), 1);
    assert_eq!(say(&["blueprints", "list"]).1["data"][0]["newest"], 2);
    assert_eq!(say(&["blueprints", "versions", "clinic"]).1["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        say(&["blueprints", "show", "clinic"]).1["tenants"],
        json!([{"version": 2, "tenants": 1}])
    );
    assert_eq!(say(&["blueprints", "show", "clinic", "--number", "1"]).1["version"], 1);

    // Files that are none, and one that breaks the rules: nothing is stored.
    fs::write(
        installation.path("long.toml"),
        format!("name = \"clinic\"\n#{}", " ".repeat(10 * 1024 * 1024)),
    )
    .unwrap();
    let (code, _, error) = say(&["blueprints", "apply", &installation.text("long.toml")]);
    assert_eq!(code, 1, "{error}");
    fs::write(installation.path("unknown.toml"), "name = \"clinic\"\ncolour = \"red\"\n").unwrap();
    let (code, _, error) = say(&["blueprints", "apply", &installation.text("unknown.toml")]);
    assert_eq!(code, 1);
    assert!(error.contains("unknown field `colour`"), "{error}");
    fs::write(
        format!("{folder}/collections.toml"),
        text.replace("type = \"phone\"", "type = \"text\""),
    )
    .unwrap();
    let (code, _, error) = say(&["blueprints", "apply", &folder]);
    assert_eq!(code, 1);
    assert!(error.contains("a type never changes"), "{error}");
    assert_eq!(say(&["blueprints", "show", "clinic"]).1["newest"], 2);
}
