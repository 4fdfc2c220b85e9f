//! Archives: what the caller may take out and nothing else, whole or known as not whole, opened by its
//! recipients alone, and the same records again where it is brought in.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_client::archive::{
    ArchiveError, ArchiveImport, ArchiveImportError, ArchiveReader, FetchError, Imported,
    NewArchive, Part, fetch, import, verify,
};
use strongroom_client::import::Rejects;
use strongroom_crypto::age::{Identity, Opener, Recipient, Sealer};
use strongroom_crypto::hash::sha256;
use strongroom_crypto::{Error, SystemRng};
use strongroom_model::CollectionName;
use strongroom_tests::{
    Caller, Clinic, Fault, Logs, Needle, Person, Reply, Server, Tenant, search_bytes, search_folder,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::export::{client, contents, exporter};

const ARCHIVE: &str = "/records:archive";
/// No wait here is longer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a field of a record that is made to be large, of which it has four.
const LARGE: usize = 15_000;

fn identity() -> Identity {
    Identity::generate(&SystemRng::new()).unwrap()
}

fn again(identity: &Identity) -> Identity {
    Identity::parse(identity.write().expose()).unwrap()
}

fn for_one(identity: &Identity) -> Value {
    json!({"recipients": [identity.recipient().to_string()]})
}

fn open(sealed: &[u8], identity: &Identity) -> Result<Vec<u8>, Error> {
    let mut opener = Opener::new(vec![again(identity)]);
    let mut plain = Vec::new();
    for part in sealed.chunks(40_000) {
        opener.push(part, &mut plain)?;
    }
    opener.finish(&mut plain)?;
    Ok(plain)
}

fn seal(plain: &[u8], recipient: &Recipient) -> Vec<u8> {
    let mut sealed = Vec::new();
    let recipients = [recipient.clone()];
    let mut sealer = Sealer::begin(&recipients, &SystemRng::new(), &mut sealed).unwrap();
    sealer.push(plain, &mut sealed).unwrap();
    sealer.finish(&mut sealed).unwrap();
    sealed
}

/// The records of an archive by their collections, in its order.
fn records(plain: &[u8]) -> Vec<(String, Vec<Value>)> {
    let mut reader = ArchiveReader::new(plain);
    let mut found: Vec<(String, Vec<Value>)> = Vec::new();
    while let Some(part) = reader.next_part().unwrap() {
        match part {
            Part::Manifest(manifest) => {
                let names = manifest.collections.iter().map(|it| it.name.to_string());
                found.extend(names.map(|name| (name, Vec::new())));
            }
            Part::Records { collection, lines } => {
                let of = found.iter_mut().find(|(name, _)| *name == collection.as_str()).unwrap();
                let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                of.1.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
            }
            Part::End(_) => {}
        }
    }
    found
}

async fn opened() -> (Server, Clinic) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    (server, clinic)
}

async fn bring(
    into: &Caller,
    file: &Path,
    identity: &Identity,
    wanted: &ArchiveImport,
) -> Result<Vec<Imported>, ArchiveImportError> {
    let (client, place) = client(into);
    let reopen = || {
        let plain = open(&fs::read(file).unwrap(), identity);
        plain.map(io::Cursor::new).map_err(|error| io::Error::other(error.to_string()))
    };
    let rejects = |name: &CollectionName| Rejects::at(file.with_extension(name.as_str()), false);
    import(client.at(place), reopen, sha256, wanted, rejects, |_, _| ()).await
}

/// Fetches an archive of some collections, or of all, to a file.
async fn fetched(by: &Caller, identity: &Identity, to: &Path, names: Option<&[&str]>) -> u64 {
    let (client, place) = client(by);
    let collections = names.map(|names| names.iter().map(|name| name.parse().unwrap()).collect());
    let recipients = vec![identity.recipient().to_string()];
    let wanted = NewArchive { collections, recipients };
    let seen = AtomicU64::new(0);
    let progress = |bytes| seen.store(bytes, Ordering::SeqCst);
    let bytes = fetch(client.at(place), &wanted, to, progress).await.unwrap();
    assert_eq!(seen.into_inner(), bytes);
    assert_eq!(fs::metadata(to).unwrap().len(), bytes);
    bytes
}

/// Many records in the first collection of an archive, so large that no buffer holds them.
async fn fill(tenant: &Tenant, records: usize) {
    let fields = ["one", "two", "three", "four"].map(|name| (name, json!("text")));
    tenant.collection("heavy", json!("own"), &fields).await;
    let text = "x".repeat(LARGE);
    let fields = json!({"one": text, "two": text, "three": text, "four": text});
    let numbers: Vec<usize> = (0..records).collect();
    for part in numbers.chunks(100) {
        let items: Vec<Value> = part
            .iter()
            .map(|number| json!({"external_id": format!("H-{number}"), "fields": fields}))
            .collect();
        let path = "/collections/heavy/records:import";
        let done = tenant.owner.post_once(path, json!({"items": items})).await.ok();
        assert_eq!(done["results"][0]["status"], "created", "{}", done["results"][0]);
    }
}

/// How many pages of records somebody has been given, as the log says.
async fn pages(owner: &Caller) -> usize {
    let log = owner.all("/audit", 1000).await;
    log.iter().filter(|line| line["code"] == "record.export").count()
}

/// A reader that takes what it is told to take: behind it nothing can hide but what a small window holds.
struct SlowReader(TcpStream);

impl SlowReader {
    async fn ask(by: &Caller, body: &Value) -> Self {
        let address = by.address().strip_prefix("http://").unwrap().parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let body = body.to_string();
        let head = format!(
            "POST {}{ARCHIVE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            by.home(),
            by.token(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(stream)
    }

    async fn some(&mut self, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        timeout(PATIENCE, self.0.read_exact(&mut taken)).await.unwrap().unwrap();
        taken
    }

    /// Everything until the connection ends.
    async fn rest(mut self) -> Vec<u8> {
        let mut taken = Vec::new();
        // Whether it is closed or reset makes no difference here.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut taken)).await.unwrap();
        taken
    }
}

/// The answer that a server gives once all others have ended.
async fn when_free(by: &Caller, body: &Value) -> Reply {
    for _ in 0..600 {
        let reply = by.post(ARCHIVE, body.clone()).await;
        if reply.status != 503 {
            return reply;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("a place never becomes free");
}

#[tokio::test]
async fn an_archive_that_is_brought_into_another_server_gives_the_same_records() {
    let (server, clinic) = opened().await;
    let people = json!({
        "external_id": "P-9", "source": "An old card", "collected_at": "2019-05-04T03:02:01Z",
        "notice": 4, "subject": {"external_id": "person-9"},
        "fields": {"name": "Nine", "note": "two\nlines, \"quoted\" and żółć"},
    });
    clinic.tenant.record("patients", people).await;
    // One without an external id, to whom others refer.
    let nameless = clinic.tenant.record("patients", json!({"fields": {"name": "Nobody"}})).await;
    for number in 0..620 {
        let patient = match number % 2 {
            0 => json!({"external_id": "P-9"}),
            _ => nameless["id"].clone(),
        };
        let fields = json!({"patient": patient, "fee": format!("{number}.05")});
        let body = json!({"external_id": format!("W-{number}"), "fields": fields});
        clinic.tenant.record("visits", body).await;
    }
    // References within a collection, forwards and backwards, and lists of them.
    let staff = [("name", json!("name")), ("head", json!({"reference": "staff"}))];
    clinic.tenant.collection("staff", json!("own"), &staff).await;
    let rooms = [("people", json!({"list": {"reference": "staff"}})), ("label", json!("text"))];
    clinic.tenant.collection("rooms", json!("nobody"), &rooms).await;
    let one = json!({"external_id": "S-1", "fields": {"name": "One"}});
    let first = clinic.tenant.record("staff", one).await["id"].as_str().unwrap().to_owned();
    let two = json!({"external_id": "S-2", "fields": {"name": "Two", "head": first}});
    let second = clinic.tenant.record("staff", two).await["id"].clone();
    clinic
        .tenant
        .owner
        .patch_if(
            &format!("/collections/staff/records/{first}"),
            "*",
            json!({"fields": {"head": null}}),
        )
        .await
        .ok();
    let room = json!({"external_id": "R-1", "fields": {"label": "Lab", "people": [first, second]}});
    clinic.tenant.record("rooms", room).await;
    let empty = [("label", json!("text"))];
    clinic.tenant.collection("empty", json!("nobody"), &empty).await;

    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("all.age");
    let identity = identity();
    fetched(&out, &identity, &file, None).await;
    let plain = open(&fs::read(&file).unwrap(), &identity).unwrap();
    let archived = verify(plain.as_slice(), sha256, |_| ()).unwrap();
    let counts: Vec<(String, u64, u64)> =
        archived.collections.iter().map(|it| (it.name.to_string(), it.records, it.files)).collect();
    let expected =
        [("patients", 5, 1), ("visits", 624, 3), ("staff", 2, 1), ("rooms", 1, 1), ("empty", 0, 0)];
    let expected = expected.map(|(name, records, files)| (name.to_owned(), records, files));
    assert_eq!(counts, expected);
    assert_eq!(archived.manifest.tenant.name, "Harbour Street Clinic");
    // A file that is there is never overwritten.
    let (from, place) = client(&out);
    let recipients = vec![identity.recipient().to_string()];
    let wanted = NewArchive { collections: None, recipients };
    let taken = fetch(from.at(place), &wanted, &file, |_| ()).await;
    assert!(matches!(taken, Err(FetchError::Taken(_))));

    let second = Server::memory().await;
    let tenant = second.tenant("Another name").await;
    let into = tenant.key(&second, &["owner"]).await;
    let nothing = bring(&into, &file, &identity, &ArchiveImport::default()).await;
    assert!(matches!(nothing, Err(ArchiveImportError::Import(_))), "no collection is there");
    let unknown = ArchiveImport {
        collections: Some(vec!["nothing".parse().unwrap()]),
        ..ArchiveImport::default()
    };
    let unknown = bring(&into, &file, &identity, &unknown).await;
    assert!(matches!(unknown, Err(ArchiveImportError::NoCollection(_))));
    let wanted = ArchiveImport { collections: None, create_collections: true, verify: true };
    for round in 0..2 {
        let imported = bring(&into, &file, &identity, &wanted).await.unwrap();
        assert_eq!(imported.len(), 5);
        for (outcome, (name, records, _)) in imported.iter().zip(&expected) {
            let Imported { collection, made, summary, verified } = outcome;
            assert_eq!((collection.as_str(), *made), (name.as_str(), round == 0));
            let (created, exists) = if round == 0 { (*records, 0) } else { (0, *records) };
            assert_eq!((summary.created, summary.exists), (created, exists), "{outcome:?}");
            let verified = verified.as_ref().unwrap();
            assert_eq!((verified.same, verified.different), (*records, 0), "{outcome:?}");
            assert_eq!((summary.rejected, verified.missing), (0, 0), "{outcome:?}");
        }
    }
    for name in ["patients", "visits"] {
        let (mut there, here) = (contents(&into, name).await, contents(&out, name).await);
        // What has no external id is called by the id that it had.
        for (there, here) in there.iter_mut().zip(&here) {
            if here["external_id"].is_null() {
                there["external_id"] = Value::Null;
            }
        }
        let sorted = |mut records: Vec<Value>| {
            records.sort_by_key(ToString::to_string);
            records
        };
        if name == "patients" {
            assert_eq!(sorted(there), sorted(here), "{name}");
        } else {
            assert_eq!(there.len(), here.len());
        }
    }
    // References lead to the same records.
    let visit = json!({"external_id": "W-1"});
    let visit = into.post("/collections/visits/records:lookup", visit).await.ok();
    let patient = visit["fields"]["patient"].as_str().unwrap();
    let patient = into.get(&format!("/collections/patients/records/{patient}")).await.ok();
    assert_eq!(patient["fields"]["name"], "Nobody");
    let room = json!({"external_id": "R-1"});
    let room = into.post("/collections/rooms/records:lookup", room).await.ok();
    let mut heads = Vec::new();
    for id in room["fields"]["people"].as_array().unwrap() {
        let path = format!("/collections/staff/records/{}", id.as_str().unwrap());
        heads.push(into.get(&path).await.ok());
    }
    assert_eq!(heads[0]["external_id"], "S-1");
    assert_eq!(heads[1]["fields"]["head"], heads[0]["id"]);
    let person = into.post("/subjects:lookup", json!({"external_id": "person-9"})).await.ok();
    let path = format!("/subjects/{}/records?limit=1000", person["id"].as_str().unwrap());
    assert_eq!(into.get(&path).await.ok()["data"].as_array().unwrap().len(), 311);
    // The schema came along.
    let declared = |value: Value| {
        let fields = value["fields"].as_array().unwrap().clone();
        let fields: Vec<Value> = fields
            .iter()
            .map(|field| json!([field["name"], field["type"], field["mask"], field["label"]]))
            .collect();
        json!([fields, value["subject"], value["purposes"], value["label"]])
    };
    for name in ["patients", "visits", "staff", "rooms", "empty"] {
        let path = format!("/collections/{name}");
        let (there, here) = (into.get(&path).await.ok(), out.get(&path).await.ok());
        assert_eq!(declared(there), declared(here));
    }
    // Into another tenant of the same server, some of it.
    let neighbour = server.tenant("A neighbour").await;
    let neighbour = neighbour.key(&server, &["owner"]).await;
    let some = ArchiveImport { collections: Some(vec!["patients".parse().unwrap()]), ..wanted };
    let imported = bring(&neighbour, &file, &identity, &some).await.unwrap();
    assert_eq!((imported.len(), imported[0].summary.created), (1, 5));
}

#[tokio::test]
async fn collections_that_refer_to_each_other_come_along() {
    let (server, clinic) = opened().await;
    let tenant = &clinic.tenant;
    tenant.collection("teams", json!("nobody"), &[("label", json!("text"))]).await;
    let staff = [("name", json!("name")), ("team", json!({"reference": "teams"}))];
    tenant.collection("staff", json!("own"), &staff).await;
    let change = json!({"add_fields": [{"name": "head", "type": {"reference": "staff"}}]});
    tenant.owner.patch_if("/collections/teams", "*", change).await.ok();
    let label = |name: &str, fields: Value| json!({"external_id": name, "fields": fields});
    tenant.record("teams", label("T-1", json!({"label": "First"}))).await;
    let fields = json!({"name": "Ada", "team": {"external_id": "T-1"}});
    tenant.record("staff", label("S-1", fields)).await;
    let fields = json!({"label": "Second", "head": {"external_id": "S-1"}});
    tenant.record("teams", label("T-2", fields)).await;
    let out = exporter(&server, tenant, "exporter", "clear").await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ring.age");
    let identity = identity();
    fetched(&out, &identity, &file, Some(&["staff", "teams"])).await;
    let other = server.tenant("Another").await;
    let into = other.key(&server, &["owner"]).await;
    let wanted = ArchiveImport { collections: None, create_collections: true, verify: true };
    let imported = bring(&into, &file, &identity, &wanted).await.unwrap();
    for outcome in &imported {
        let verified = outcome.verified.as_ref().unwrap();
        assert_eq!((outcome.summary.rejected, verified.missing), (0, 0), "{outcome:?}");
    }
    let led = into.post("/collections/teams/records:lookup", json!({"external_id": "T-2"})).await;
    let head = led.ok()["fields"]["head"].as_str().unwrap().to_owned();
    let head = into.get(&format!("/collections/staff/records/{head}")).await.ok();
    assert_eq!(head["external_id"], "S-1");
}

#[tokio::test]
async fn an_archive_has_what_the_caller_may_see_and_nothing_else() {
    let (server, clinic) = opened().await;
    let identity = identity();
    let body = for_one(&identity);
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let reply = clear.post(ARCHIVE, body.clone()).await;
    assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
    assert_eq!(reply.lines().len(), 1);
    let found = records(&open(&reply.bytes, &identity).unwrap());
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["patients", "visits"]);
    for (record, person) in found[0].1.iter().zip(Person::ALL) {
        assert_eq!(record["external_id"], person.external_id);
        assert_eq!(record["fields"], person.fields());
    }
    // Nothing of it can be read on the way.
    let words: Vec<Needle> =
        Person::ALL.iter().map(|it| Needle::new(it.name, it.email.as_bytes())).collect();
    assert!(search_bytes("the archive", &reply.bytes, &words).is_empty());
    assert!(!search_bytes("it", &open(&reply.bytes, &identity).unwrap(), &words).is_empty());

    let masked = exporter(&server, &clinic.tenant, "masked_exporter", "masked").await;
    let hidden = exporter(&server, &clinic.tenant, "hidden_exporter", "hidden").await;
    for caller in [&masked, &hidden] {
        let plain = open(&caller.post(ARCHIVE, body.clone()).await.bytes, &identity).unwrap();
        let text = String::from_utf8_lossy(&plain);
        for person in Person::ALL {
            for secret in [person.name, person.email, person.phone, person.birth_date] {
                assert!(!text.contains(secret), "{secret}");
            }
        }
    }
    let plain = open(&masked.post(ARCHIVE, body.clone()).await.bytes, &identity).unwrap();
    assert_eq!(records(&plain)[0].1[0]["masked"]["name"], "M. H.");

    // Who may export one collection gets that one, and is refused the other.
    let rules = json!([{"actions": ["export"], "view": "clear", "collection": "visits"}]);
    let class = json!({"name": "visits", "label": "Visits", "terms": {"rules": rules}});
    assert_eq!(clinic.tenant.owner.post("/classes", class).await.status, 201);
    let some = clinic.tenant.key(&server, &["visits"]).await;
    let plain = open(&some.post(ARCHIVE, body.clone()).await.bytes, &identity).unwrap();
    let found = records(&plain);
    assert_eq!((found.len(), found[0].0.as_str(), found[0].1.len()), (1, "visits", 4));
    let naming = |names: Value| {
        let mut body = body.clone();
        body["collections"] = names;
        body
    };
    // Of which it may not even know.
    some.post(ARCHIVE, naming(json!(["visits", "patients"]))).await.refused(404, "not_found");
    // To read is not to take out.
    clinic.manager.post(ARCHIVE, body.clone()).await.refused(403, "no_rule");
    clear.nobody().post(ARCHIVE, body.clone()).await.refused(401, "unauthenticated");
    let stranger = server.tenant("Strangers").await;
    let stranger = stranger.key(&server, &["owner"]).await;
    let next_door = stranger.in_home_of(&clear);
    next_door.post(ARCHIVE, body.clone()).await.refused(404, "not_found");
    stranger.post(ARCHIVE, body.clone()).await.refused(409, "nothing_to_archive");
    clear.post(ARCHIVE, naming(json!(["patients", "nothing"]))).await.refused(404, "not_found");

    let recipient = identity.recipient().to_string();
    let many = vec![recipient.clone(); 21];
    for (wrong, status, code) in [
        (json!({}), 400, "invalid_json"),
        (json!({"recipients": []}), 422, "invalid"),
        (json!({"recipients": many}), 422, "invalid"),
        (json!({"recipients": ["age1qqqq"]}), 422, "invalid"),
        (json!({"recipients": [recipient.to_uppercase()]}), 422, "invalid"),
        (json!({"recipients": [identity.write().expose()]}), 422, "invalid"),
        (json!({"recipients": [recipient], "format": "tar"}), 400, "invalid_json"),
        (naming(json!([])), 422, "invalid"),
        (naming(json!(["patients", "patients"])), 422, "invalid"),
        (naming(json!(null)), 400, "invalid_json"),
    ] {
        let refused = clear.post(ARCHIVE, wrong.clone()).await.refused(status, code);
        assert!(!refused.to_string().contains("AGE-SECRET"), "{refused}");
    }
}

#[tokio::test]
async fn an_archive_that_is_not_whole_is_known_as_such_and_makes_nothing() {
    let (server, clinic) = opened().await;
    let identity = identity();
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let sealed = clear.post(ARCHIVE, for_one(&identity)).await.bytes;
    let plain = open(&sealed, &identity).unwrap();
    verify(plain.as_slice(), sha256, |_| ()).unwrap();
    // Sealed, no byte can be taken away or changed.
    for cut in (0..sealed.len()).step_by(97) {
        assert_eq!(open(&sealed[..cut], &identity), Err(Error::Damaged), "cut at {cut}");
        let mut changed = sealed.clone();
        changed[cut] ^= 4;
        assert_eq!(open(&changed, &identity), Err(Error::Damaged), "changed at {cut}");
    }
    let stranger = Identity::generate(&SystemRng::new()).unwrap();
    assert_eq!(open(&sealed, &stranger), Err(Error::Damaged));

    // Nor by somebody who can seal for the recipient, without the end telling.
    for cut in (0..plain.len()).step_by(512) {
        assert!(verify(&plain[..cut], sha256, |_| ()).is_err(), "cut at {cut}");
    }
    let text = String::from_utf8(plain.clone()).unwrap();
    let halla = text.find("Halloran").unwrap();
    let mut renamed = plain.clone();
    renamed[halla] = b'h';
    let damaged = verify(renamed.as_slice(), sha256, |_| ()).err().unwrap();
    assert!(matches!(damaged, ArchiveError::Damaged(_)), "{damaged}");
    // Without the file of one collection, heads and sums all right.
    let visits = text.find("records/visits/").unwrap();
    let end = text.find("end.json").unwrap();
    let without = [&plain[..visits], &plain[end..]].concat();
    assert!(matches!(verify(without.as_slice(), sha256, |_| ()), Err(ArchiveError::Damaged(_))));
    // A file twice, files in another order, and something behind the end.
    let patients = text.find("records/patients/").unwrap();
    let (first, second) = (&plain[patients..visits], &plain[visits..end]);
    let rest = &plain[end..];
    for files in [
        [&plain[..patients], first, first, second, rest].concat(),
        [&plain[..patients], second, first, rest].concat(),
        [plain.as_slice(), first].concat(),
        [plain.as_slice(), &[0; 512]].concat(),
        [&plain[..patients], first, rest, second, rest].concat(),
    ] {
        assert!(verify(files.as_slice(), sha256, |_| ()).is_err());
    }
    let other = text.replacen("\"version\":1", "\"version\":2", 1);
    assert!(matches!(verify(other.as_bytes(), sha256, |_| ()), Err(ArchiveError::Unknown(_))));
    for nonsense in [vec![0; 2048], b"not an archive".repeat(100), Vec::new()] {
        assert!(verify(nonsense.as_slice(), sha256, |_| ()).is_err());
    }

    // Nothing of it is made anywhere.
    let folder = TempDir::new().unwrap();
    let tenant = server.tenant("Another").await;
    let into = tenant.key(&server, &["owner"]).await;
    let wanted = ArchiveImport { collections: None, create_collections: true, verify: false };
    for (name, bytes) in [
        ("cut.age", sealed[..sealed.len() - 1].to_vec()),
        ("resealed.age", seal(&without, &identity.recipient())),
        ("renamed.age", seal(&renamed, &identity.recipient())),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        assert!(bring(&into, &file, &identity, &wanted).await.is_err(), "{name}");
        assert_eq!(into.all("/collections", 100).await, Vec::<Value>::new(), "{name}");
    }
}

#[tokio::test]
async fn the_usual_tools_open_an_archive() {
    let (server, clinic) = opened().await;
    let identity = identity();
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fetched(&clear, &identity, Path::new(&path("a.age")), None).await;
    fs::write(path("key.txt"), identity.write().expose()).unwrap();
    let mut age = Command::new("age");
    age.args(["--decrypt", "--identity", &path("key.txt"), "--output", &path("a.tar")]);
    assert!(age.arg(path("a.age")).status().unwrap().success());
    let listed = Command::new("tar").args(["-tf", &path("a.tar")]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = listed.lines().collect();
    let expected = [
        "manifest.json",
        "records/patients/000001.ndjson",
        "records/visits/000001.ndjson",
        "end.json",
    ];
    assert_eq!(names, expected);
    let unpack = Command::new("tar").args(["-xf", &path("a.tar"), "-C", &path("")]).status();
    assert!(unpack.unwrap().success());
    let lines = fs::read_to_string(path("records/patients/000001.ndjson")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"]["name"], Person::ALL[0].name);
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(path("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["tenant"]["id"], clinic.tenant.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_ends_while_an_archive_is_read_ends_it() {
    let server = Server::memory().await;
    let tenant = server.tenant("Heavy").await;
    fill(&tenant, 1_000).await;
    let rules = json!([{"actions": ["export"], "view": "clear"}]);
    let class = json!({"name": "mover", "label": "Mover", "terms": {"rules": rules}});
    tenant.owner.post("/classes", class).await.id();
    let mover = tenant.key(&server, &["mover"]).await;
    let identity = identity();
    let mut reader = SlowReader::ask(&mover, &for_one(&identity)).await;
    let mut taken = reader.some(100_000).await;
    // A reader that takes nothing is given nothing: the server reads no further, and keeps a page.
    sleep(Duration::from_secs(2)).await;
    let given = pages(&tenant.owner).await;
    assert!((1..=2).contains(&given), "{given} pages of 4");
    let nothing = json!({"label": "Mover", "terms": {"rules": []}});
    tenant.owner.put_if("/classes/mover", "*", nothing).await.ok();
    taken.extend(reader.rest().await);
    assert!(taken.len() > 10_000_000 && taken.len() < 55_000_000, "{}", taken.len());
    // The last chunk of HTTP never came.
    assert!(!taken.ends_with(b"0\r\n\r\n"));
    assert_eq!(pages(&tenant.owner).await, given);
    let log = tenant.owner.all("/audit", 1000).await;
    let refused = log.iter().any(|line| line["code"] == "no_rule" && line["action"] == "export");
    assert!(refused, "the refusal is on record");
    let job = ended(&tenant.owner).await;
    assert_eq!((&job["state"], &job["problem"]), (&json!("failed"), &json!("asker_not_allowed")));
}

/// The archive that was asked for last, once it has ended.
async fn ended(owner: &Caller) -> Value {
    for _ in 0..600 {
        let jobs = owner.all("/jobs", 100).await;
        let last = jobs.last().unwrap().clone();
        if last["state"] != "running" {
            return last;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the archive does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_seen_by_others_and_has_no_end_when_they_stop_it() {
    let server = Server::memory().await;
    let tenant = server.tenant("Heavy").await;
    fill(&tenant, 1_000).await;
    let out = exporter(&server, &tenant, "exporter", "clear").await;
    let twin = tenant.key(&server, &["exporter"]).await;
    let identity = identity();
    let mut reader = SlowReader::ask(&out, &for_one(&identity)).await;
    let mut taken = reader.some(100_000).await;
    let jobs = tenant.owner.all("/jobs", 100).await;
    let job = &jobs[0];
    assert_eq!((jobs.len(), &job["kind"]), (1, &json!("archive")));
    assert_eq!(job["state"], "running");
    let shown = json!({"collections": ["heavy"], "format": "archive", "part": null});
    assert_eq!(job["export"], shown);
    let done = job["progress"]["done"].as_u64().unwrap();
    assert!((250..1_000).contains(&done), "{job}");
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let cancel = format!("{path}/cancel");
    // It has no parts that could be taken, and a stranger to it neither sees nor stops it.
    out.get(&format!("{path}/parts/1")).await.refused(404, "not_found");
    assert_eq!(twin.get(&path).await.status, 404);
    assert_eq!(twin.post(&cancel, json!({})).await.status, 404);
    assert_eq!(out.get(&path).await.ok()["state"], "running");
    assert_eq!(tenant.owner.post(&cancel, json!({})).await.ok()["state"], "cancelled");
    let given = pages(&tenant.owner).await;
    taken.extend(reader.rest().await);
    assert!(taken.len() < 55_000_000 && !taken.ends_with(b"0\r\n\r\n"), "{}", taken.len());
    assert_eq!(pages(&tenant.owner).await, given);
    let after = tenant.owner.get(&path).await.ok();
    assert_eq!((&after["state"], &after["problem"]), (&json!("cancelled"), &json!(null)));
    // One that is taken to its end is done, and one whose reader goes away ends with them.
    server.clock.advance(1);
    let whole = when_free(&out, &for_one(&identity)).await;
    assert!(open(&whole.bytes, &identity).is_ok());
    let job = ended(&tenant.owner).await;
    assert_eq!(job["state"], "done");
    assert_eq!(job["progress"], json!({"done": 1_000, "total": 1_000}));
    server.clock.advance(1);
    let mut reader = SlowReader::ask(&out, &for_one(&identity)).await;
    reader.some(100_000).await;
    drop(reader);
    let job = ended(&tenant.owner).await;
    assert_eq!((&job["state"], &job["problem"]), (&json!("cancelled"), &json!("reader_gone")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_leaves_nothing_and_makes_room_for_others() {
    let server = Server::memory().await;
    let tenant = server.tenant("Heavy").await;
    fill(&tenant, 1_000).await;
    let out = exporter(&server, &tenant, "exporter", "clear").await;
    let identity = identity();
    let body = for_one(&identity);
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut reader = SlowReader::ask(&out, &body).await;
        assert!(reader.some(1_000).await.starts_with(b"HTTP/1.1 200"));
        readers.push(reader);
    }
    let full = out.post(ARCHIVE, body.clone()).await;
    assert_eq!(full.refused(503, "too_many_archives")["retryable"], true);
    // Another tenant has places of its own.
    let neighbour = Clinic::open(&server, "Harbour Street Clinic").await;
    let theirs = exporter(&server, &neighbour.tenant, "exporter", "clear").await;
    assert_eq!(theirs.post(ARCHIVE, body.clone()).await.status, 200);
    let before = pages(&tenant.owner).await;
    assert!(before <= 8, "{before}");
    drop(readers);
    let small = json!({"recipients": body["recipients"], "collections": ["heavy"]});
    let whole = when_free(&out, &small).await;
    assert_eq!(records(&open(&whole.bytes, &identity).unwrap())[0].1.len(), 1_000);
    // Nobody went on reading for those who had gone.
    let after = pages(&tenant.owner).await;
    assert!(after <= before + 4 + 4, "{before} {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_that_breaks_off_leaves_no_file() {
    let server = Server::memory().await;
    let tenant = server.tenant("Heavy").await;
    fill(&tenant, 1_000).await;
    let out = exporter(&server, &tenant, "exporter", "clear").await;
    let (client, place) = client(&out);
    let identity = identity();
    let recipients = vec![identity.recipient().to_string()];
    let wanted = NewArchive { collections: None, recipients };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a.age");
    let faults = server.faults.clone();
    let stop = |_: u64| faults.set(Fault::Everything);
    let broken = fetch(client.at(place), &wanted, &file, stop).await;
    assert!(matches!(broken, Err(FetchError::Client(_))), "{broken:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    faults.set(Fault::None);
    // Its job could not be ended then, and ends after a day.
    let ends = server.clock.in_seconds(3 * 24 * 60 * 60);
    let body = json!({"label": "long", "classes": ["owner"], "expires_at": ends});
    let made = tenant.owner.post("/api-keys", body).await.ok();
    let owner = tenant.owner.with_token(made["token"].as_str().unwrap());
    server.clock.advance(24 * 60 * 60 + 1);
    server.run_due_jobs().await;
    let job = ended(&owner).await;
    let how = (&job["state"], job["problem"].as_str().unwrap());
    assert!(how == (&json!("cancelled"), "export_abandoned") || how.1 == "broke_off", "{job}");
    // One that is given up neither.
    let (client, place) = super::export::client(&owner);
    {
        let running = fetch(client.at(place), &wanted, &file, |_| ());
        let given_up = timeout(Duration::from_millis(100), running).await;
        assert!(given_up.is_err() || file.exists());
    }
    let _ = fs::remove_file(&file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_an_archive_is_left_with_the_server() {
    let logs = Logs::keep();
    let mut server = Server::redb().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    let identity = identity();
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let sealed = clear.post(ARCHIVE, for_one(&identity)).await.bytes;
    let plain = open(&sealed, &identity).unwrap();
    let mut needles: Vec<Needle> = Person::ALL
        .iter()
        .flat_map(|it| [it.name, it.email, it.phone])
        .map(|word| Needle::new(word, word.as_bytes()))
        .collect();
    needles.push(Needle::new("the sealed archive", &sealed[sealed.len() - 64..]));
    needles.push(Needle::new("the identity", &identity.write().expose().as_bytes()[20..60]));
    assert!(!search_bytes("the archive", &plain, &needles).is_empty(), "the search is blind");
    server.stop().await;
    let (found, read) = search_folder(server.folder(), &needles);
    assert!(found.is_empty() && read > 50_000, "{read} bytes: {found:#?}");
    let found = search_bytes("the log", &logs.so_far(), &needles);
    assert!(found.is_empty(), "{found:#?}");
}

/// So that the reader of archives is asked for no more than it says that it takes.
#[test]
fn a_reader_of_archives_ends_with_its_source() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("a broken disk"))
        }
    }
    let outcome = verify(Broken, sha256, |_| ());
    assert!(matches!(outcome, Err(ArchiveError::Unreadable(_))));
}
