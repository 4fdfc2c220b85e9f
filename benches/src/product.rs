//! One product, many tenants: made from a blueprint, changed by a job, and served by one backend for
//! users of two classes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;
use crate::customer::{COLLECTION, Customer, fields};
use crate::http::request;
use crate::load::{self, Load, count};
use crate::process::Server;
use crate::report::median;
use crate::time::Start;
use crate::world::{Caller, fresh_key, text};

const BLUEPRINT: &str = "/v1/provider/blueprints/shop";
/// Records that each tenant has.
const RECORDS: usize = 20;
/// Connections of the backend.
const CONNECTIONS: usize = 32;
/// Connections that make tenants.
const MAKERS: usize = 8;
/// The two users that each tenant has, and the class of each.
const USERS: [(&str, &str); 2] = [("sales", "sales"), ("support", "support")];
/// How often it is asked how far a job is.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A tenant, as the backend knows it.
struct Home {
    records: String,
    ids: Vec<String>,
}

/// The content of the blueprint: customers, and two classes that see them differently.
fn content(backend: &str, label: &str) -> Value {
    let rule = |fields: Value| {
        json!({
            "actions": ["read", "create", "update"], "collection": COLLECTION, "view": "clear",
            "write": true, "fields": fields,
        })
    };
    let hidden = json!([
        {"field": "birth_date", "view": "masked"},
        {"field": "credit_limit", "view": "hidden"},
        {"field": "note", "view": "hidden"},
    ]);
    let mut fields = fields();
    for (number, field) in (1..).zip(&mut fields) {
        field["number"] = number.into();
    }
    json!({
        "purposes": [{"name": "sales", "label": "Sales"}],
        "collections": [{
            "name": COLLECTION, "label": label, "purposes": ["sales"], "subject": "own", "fields": fields,
        }],
        "classes": [
            {"name": "sales", "label": "Sales", "terms": {"rules": [rule(json!([]))]}},
            {"name": "support", "label": "Support", "terms": {"rules": [rule(hidden)]}},
        ],
        "backends": [{
            "backend": backend, "classes": ["sales"], "purposes": ["sales"], "subjects_per_hour": 1_000_000,
        }],
    })
}

/// Makes the tenants, changes them, and serves them. Gives the part of the report.
///
/// # Errors
/// If a server answers with anything but success, or somebody is shown what another class sees.
pub(crate) fn measure(
    server: &Server,
    operator: &mut Caller,
    tenants: usize,
    turn: Duration,
    rounds: usize,
) -> Result<String, Failure> {
    let made = operator.post("/v1/provider/backends", &json!({"name": "Shop"}))?;
    let (backend, token) = (text(&made, "/id")?, text(&made, "/token")?);
    operator.call("PUT", BLUEPRINT, "", &content(&backend, "Customers").to_string())?;
    let begun = Start::now();
    let invited = invite(server, &operator.token, tenants)?;
    let making = count(tenants) / begun.elapsed().as_secs_f64();
    let homes = settle(server, &invited)?;
    operator.call("PUT", BLUEPRINT, "", &content(&backend, "Clients").to_string())?;
    let applying = apply(operator, tenants)?;

    let homes = Arc::new(homes);
    let checked =
        check(server.address, &token, &homes, tenants * USERS.len(), &AtomicBool::new(false))?;
    let (mut all, mut one) = (Vec::new(), Vec::new());
    let (mut p99_all, mut p99_one, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut under_load = 0;
    for _ in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let checker = {
            let (address, token) = (server.address, token.clone());
            let (homes, stop) = (Arc::clone(&homes), Arc::clone(&stop));
            thread::spawn(move || check(address, &token, &homes, usize::MAX, &stop))
        };
        let many = serve(server, &token, &homes, homes.len(), turn);
        let few = serve(server, &token, &homes, 1, turn);
        stop.store(true, Ordering::Relaxed);
        under_load += checker.join().map_err(|_| "the thread that checks panicked")??;
        let (many, few) = (many?, few?);
        all.push(many.rate() / few.rate());
        one.push(few.rate());
        rates.push(many.rate());
        p99_all.push(many.quantile_ms(990));
        p99_one.push(few.quantile_ms(990));
    }
    Ok(format!(
        "{tenants} tenants from a blueprint: {making:.0} made in a second over {MAKERS} connections; a later version \
         reached {applying:.0} of them in a second.\n\n\
         One backend, {CONNECTIONS} connections, half of the requests for a user who sees ten fields, half for one who sees seven \
         and one masked:\n\n\
         | reads of one record | requests/s | p99 ms | ratio |\n|---|---|---|---|\n\
         | at one tenant | {:.0} | {:.2} | 1 |\n| at all {tenants}, at random | {:.0} | {:.2} | {:.2} |\n\n\
         Every tenant was read for both users before ({checked} answers), and {under_load} answers were compared while the load was on: each \
         had what its user's class sees of that record, and nothing else. Resident: {:.0} MiB.",
        median(one),
        median(p99_one),
        median(rates),
        median(p99_all),
        median(all),
        count(server.resident_bytes()?) / 1_048_576.0
    ))
}

/// Makes tenants over several connections, and gives their homes and invitations.
fn invite(server: &Server, token: &str, tenants: usize) -> Result<Vec<(String, String)>, Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let makers: Vec<_> = (0..MAKERS)
        .map(|_| {
            let (address, token, next) = (server.address, token.to_owned(), Arc::clone(&next));
            thread::spawn(move || {
                let mut operator = Caller::at(address, &token)?;
                let mut made = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if usize::try_from(number)? >= tenants {
                        return Ok::<_, Failure>(made);
                    }
                    let body = json!({
                        "name": format!("Shop {number}"), "owner": {"name": "Owner"}, "blueprint": "shop",
                    });
                    let answer = operator.post("/v1/tenants", &body)?;
                    made.push((text(&answer, "/id")?, text(&answer, "/invitation/token")?));
                }
            })
        })
        .collect();
    let mut invited = Vec::with_capacity(tenants);
    for maker in makers {
        invited.extend(maker.join().map_err(|_| "a thread that makes tenants panicked")??);
    }
    Ok(invited)
}

/// Lets the owners in, who name the users and bring in the records.
fn settle(server: &Server, invited: &[(String, String)]) -> Result<Vec<Home>, Failure> {
    let mut homes = Vec::with_capacity(invited.len());
    for (number, (id, invitation)) in invited.iter().enumerate() {
        let mut owner = Caller::come_in(server, invitation)?;
        let home = format!("/v1/tenants/{id}");
        for (user, class) in USERS {
            let body = json!({"external_id": user, "name": user, "classes": [class]}).to_string();
            owner.call("PUT", &format!("{home}/users:upsert"), "", &body)?;
        }
        let items: Vec<Value> = (0..RECORDS)
            .map(|record| {
                let customer = numbered(number, record);
                json!({"external_id": format!("C-{record}"), "fields": customer})
            })
            .collect();
        let records = format!("{home}/collections/{COLLECTION}/records");
        let once = format!("Idempotency-Key: {}\r\n", fresh_key()?);
        let body = json!({ "items": items }).to_string();
        let outcome = owner.call("POST", &format!("{records}:import"), &once, &body)?;
        let results = outcome.pointer("/results").and_then(Value::as_array);
        let results = results.ok_or("an import without results")?;
        let ids = results.iter().map(|result| text(result, "/id")).collect::<Result<_, _>>()?;
        homes.push(Home { records, ids });
    }
    Ok(homes)
}

/// What the customer of a tenant holds; no two tenants have the same.
fn numbered(tenant: usize, record: usize) -> Value {
    let number = u64::try_from(tenant * RECORDS + record).unwrap_or(0);
    serde_json::from_str(&Customer::numbered(number).json()).unwrap_or_default()
}

/// Gives the newest version to all tenants, and says how many it reached in a second.
fn apply(operator: &mut Caller, tenants: usize) -> Result<f64, Failure> {
    let begun = Start::now();
    let once = format!("Idempotency-Key: {}\r\n", fresh_key()?);
    let job = operator.call("POST", &format!("{BLUEPRINT}/apply"), &once, "{}")?;
    let path = format!("/v1/provider/jobs/{}", text(&job, "/id")?);
    loop {
        let job = operator.call("GET", &path, "", "")?;
        match text(&job, "/state")?.as_str() {
            "queued" | "running" => thread::sleep(ASK_EVERY),
            "done" => return Ok(count(tenants) / begun.elapsed().as_secs_f64()),
            _ => return Err(format!("the job ended otherwise: {job}").into()),
        }
    }
}

/// The reads of a turn: any record of any of the first `among` tenants, for one user or the other.
fn serve(
    server: &Server,
    token: &str,
    homes: &Arc<Vec<Home>>,
    among: usize,
    turn: Duration,
) -> Result<load::Outcome, Failure> {
    let (homes, token) = (Arc::clone(homes), token.to_owned());
    load::make(&Load {
        address: server.address,
        connections: CONNECTIONS,
        turn,
        warm: turn / 10,
        pace: None,
        source: Arc::new(move |number, into| {
            let mixed = usize::try_from(load::mixed(number) >> 1).unwrap_or(0);
            let Some(home) = homes.get(mixed % among.max(1)) else { return };
            let Some(id) = home.ids.get(mixed / among.max(1) % home.ids.len().max(1)) else {
                return;
            };
            let user = if number.is_multiple_of(2) { USERS[0].0 } else { USERS[1].0 };
            let path = format!("{}/{id}", home.records);
            into.extend(request("GET", &path, Some(&token), &acting_for(user), ""));
        }),
        numbers: Arc::new(AtomicU64::new(0)),
    })
}

fn acting_for(user: &str) -> String {
    format!("Strongroom-User: ext:{user}\r\n")
}

/// Reads records of all tenants for both users by turns, and compares each answer with what the
/// user's class sees. Gives how many were compared.
fn check(
    address: std::net::SocketAddr,
    token: &str,
    homes: &[Home],
    answers: usize,
    stop: &AtomicBool,
) -> Result<usize, Failure> {
    let mut backend = Caller::at(address, token)?;
    let mut compared = 0;
    for turn in 0..answers {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let tenant = turn / USERS.len() % homes.len().max(1);
        let record = turn / (USERS.len() * homes.len().max(1)) % RECORDS;
        let (Some(home), Some((user, class))) = (homes.get(tenant), USERS.get(turn % USERS.len()))
        else {
            break;
        };
        let id = home.ids.get(record).ok_or("a record is missing")?;
        let path = format!("{}/{id}", home.records);
        let shown = backend.call("GET", &path, &acting_for(user), "")?;
        let (fields, masked) = seen(&numbered(tenant, record), class);
        let names = shown.pointer("/masked").and_then(Value::as_object);
        let names: Vec<&str> = names.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        if shown.pointer("/fields") != Some(&fields) || names != masked {
            return Err(format!("{class} is shown something else at {path}").into());
        }
        compared += 1;
    }
    Ok(compared)
}

/// The fields that a class sees of a customer, and the names of those it sees masked.
fn seen(customer: &Value, class: &str) -> (Value, &'static [&'static str]) {
    let mut fields = customer.clone();
    let masked: &[&str] = if class == "support" { &["birth_date"] } else { &[] };
    if let (Some(all), "support") = (fields.as_object_mut(), class) {
        for name in ["birth_date", "credit_limit", "note"] {
            all.remove(name);
        }
    }
    (fields, masked)
}
