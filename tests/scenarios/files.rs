//! Files of records: photos and scans of any size, sealed, seen by those who may, and dead with what they
//! belong to.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_client::IfMatch;
use strongroom_client::files::{FileAt, FileError, NewFile};
use strongroom_tests::{Caller, LARGEST_FILE, Person, Reply, Server, Tenant};

/// A tenant that keeps clients with a photo and a scan of each.
struct Agency {
    tenant: Tenant,
    clients: Vec<String>,
    subjects: Vec<String>,
}

impl Agency {
    async fn open(server: &Server, name: &str) -> Self {
        let tenant = server.tenant(name).await;
        let fields = [("name", json!("name")), ("photo", json!("file")), ("scan", json!("file"))];
        tenant.collection("clients", json!("own"), &fields).await;
        let (mut clients, mut subjects) = (Vec::new(), Vec::new());
        for person in Person::ALL {
            let body = json!({"external_id": person.external_id, "fields": {"name": person.name}});
            let made = tenant.record("clients", body).await;
            clients.push(made["id"].as_str().unwrap().to_owned());
            subjects.push(made["subject"].as_str().unwrap().to_owned());
        }
        Self { tenant, clients, subjects }
    }

    fn owner(&self) -> &Caller {
        &self.tenant.owner
    }

    fn client(&self, number: usize) -> String {
        format!("/collections/clients/records/{}", self.clients[number])
    }

    fn file(&self, number: usize, field: &str) -> String {
        format!("{}/files/{field}", self.client(number))
    }

    /// Somebody with a class that has this to say of clients.
    async fn somebody(&self, server: &Server, name: &str, rule: Value) -> Caller {
        let mut rule = rule;
        rule["collection"] = json!("clients");
        let class = json!({"name": name, "label": name, "terms": {"rules": [rule]}});
        let made = self.owner().post("/classes", class).await;
        assert_eq!(made.status, 201, "{}", made.text());
        self.tenant.key(server, &[name]).await
    }
}

/// Bytes of which no two pieces are alike.
fn bytes(length: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&strongroom_crypto::hash::sha256(&[bytes]))
}

async fn put(by: &Caller, path: &str, tag: &str, body: &[u8]) -> Reply {
    by.call("PUT", path).header("If-Match", tag).body_of("image/jpeg", body).send().await
}

async fn ranged(by: &Caller, path: &str, range: &str) -> Reply {
    by.call("GET", path).header("Range", range).send().await
}

/// The blobs in a server's folder: where each lies.
fn blobs(server: &Server) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(&server.folder().join("files"), &mut found);
    found
}

#[tokio::test]
async fn a_file_is_written_read_in_ranges_replaced_and_removed() {
    let server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let (owner, path) = (agency.owner(), agency.file(0, "photo"));
    owner.get(&path).await.refused(404, "not_found");

    let photo = bytes(300_001, 1);
    let call = owner.call("PUT", &path).header("If-Match", "\"v1\"");
    let call = call.header("Strongroom-File-Name", "M%C3%ADra%20at%20work.jpg");
    let made = call.body_of("image/jpeg", photo.clone()).send().await;
    assert_eq!((made.status, made.tag()), (201, "\"v2\""), "{}", made.text());
    let described = json!({
        "size": 300_001, "type": "image/jpeg", "name": "Míra at work.jpg", "sha256": sha256(&photo),
    });
    assert_eq!(made.json(), described);
    assert_eq!(made.lines().len(), 1);
    let shown = owner.get(&agency.client(0)).await.ok();
    assert_eq!((&shown["fields"]["photo"], &shown["version"]), (&described, &json!(2)));
    assert_eq!(shown["fields"]["name"], Person::ALL[0].name);

    let whole = owner.get(&path).await;
    assert_eq!(whole.status, 200);
    assert!(whole.bytes == photo, "the file comes back");
    assert_eq!(whole.lines().len(), 1);
    let tag = whole.tag().to_owned();
    assert!(tag.starts_with("\"fil_"), "{tag}");
    for (name, value) in [
        ("content-length", "300001"),
        ("content-type", "image/jpeg"),
        ("accept-ranges", "bytes"),
        ("content-disposition", "attachment; filename*=UTF-8''M%C3%ADra%20at%20work.jpg"),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }
    let head = owner.call("HEAD", &path).send().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("300001")));
    assert!(head.bytes.is_empty());

    // Ranges around the borders of what is sealed as one.
    for (from, to) in [(0, 1), (0, 16_384), (16_383, 16_385), (40_000, 262_145), (300_000, 300_001)]
    {
        let part = ranged(owner, &path, &format!("bytes={from}-{}", to - 1)).await;
        assert_eq!(part.status, 206, "{}", part.text());
        assert!(part.bytes == photo[from..to], "{from} to {to}");
        let range = format!("bytes {from}-{}/300001", to - 1);
        assert_eq!(part.header("content-range"), Some(range.as_str()));
        assert_eq!(part.tag(), tag);
    }
    let beyond = ranged(owner, &path, "bytes=300001-").await;
    beyond.refused(416, "range_not_satisfiable");
    assert_eq!(beyond.header("content-range"), Some("bytes */300001"));
    assert_eq!(beyond.lines().len(), 1);
    let resumed = owner.call("GET", &path).header("Range", "bytes=-5").header("If-Range", &tag);
    assert_eq!(resumed.send().await.bytes, photo[299_996..]);

    // Another field's change leaves the file as it is.
    let change = json!({"fields": {"name": "Mira H."}});
    assert_eq!(owner.patch_if(&agency.client(0), "\"v2\"", change).await.status, 200);
    assert!(owner.get(&path).await.bytes == photo);

    let other = bytes(16_384, 2);
    assert_eq!(put(owner, &path, "\"v2\"", &other).await.status, 412);
    assert_eq!(blobs(&server).len(), 1, "what was refused left nothing");
    let replaced = put(owner, &path, "\"v3\"", &other).await;
    assert_eq!((replaced.status, replaced.tag()), (200, "\"v4\""), "{}", replaced.text());
    assert_eq!(replaced.json()["name"], Value::Null);
    let again = owner.get(&path).await;
    assert!(again.bytes == other && again.tag() != tag);
    let of_the_old = owner.call("GET", &path).header("Range", "bytes=5-").header("If-Range", &tag);
    let of_the_old = of_the_old.send().await;
    assert!(of_the_old.status == 200 && of_the_old.bytes == other);
    server.run_due_jobs().await;
    assert_eq!(blobs(&server).len(), 1, "the old one's bytes are gone");

    owner.call("DELETE", &path).send().await.refused(428, "version_required");
    let removed = owner.call("DELETE", &path).header("If-Match", "\"v4\"").send().await;
    assert_eq!((removed.status, removed.tag()), (204, "\"v5\""), "{}", removed.text());
    owner.get(&path).await.refused(404, "not_found");
    owner.call("DELETE", &path).header("If-Match", "*").send().await.refused(404, "not_found");
    let shown = owner.get(&agency.client(0)).await.ok();
    assert_eq!(shown["fields"].get("photo"), None);
    server.run_due_jobs().await;
    assert_eq!(blobs(&server), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn files_of_every_length_around_a_chunk_come_back() {
    let mut server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let chunk = 16 * 1024;
    let lengths = [0, 1, chunk - 1, chunk, chunk + 1, 16 * chunk, 16 * chunk + 1, 1_500_000];
    for (turn, length) in lengths.into_iter().enumerate() {
        let body = bytes(length, 7);
        let path = agency.file(turn % 3, "scan");
        let sent = put(agency.owner(), &path, "*", &body).await;
        assert_eq!(sent.json()["sha256"], sha256(&body), "{length}");
        let got = agency.owner().get(&path).await;
        assert!(got.status == 200 && got.bytes == body, "{length} bytes: {}", got.bytes.len());
    }
    server.restart().await;
    let owner = server.again(agency.owner());
    assert_eq!(owner.get(&agency.file(1, "scan")).await.bytes.len(), 1_500_000);
    // The empty one has no range.
    let empty = agency.file(2, "photo");
    assert_eq!(put(&owner, &empty, "*", b"").await.json()["size"], 0);
    assert_eq!(owner.get(&empty).await.bytes, b"");
    ranged(&owner, &empty, "bytes=0-").await.refused(416, "range_not_satisfiable");
}

#[tokio::test]
async fn only_a_field_for_files_takes_one_and_nothing_else() {
    let server = Server::memory().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let owner = agency.owner();
    for field in ["name", "unheard_of", "Photo", "photo%2f"] {
        let path = agency.file(0, field);
        put(owner, &path, "*", b"x").await.refused(404, "not_found");
        owner.get(&path).await.refused(404, "not_found");
        owner.call("DELETE", &path).header("If-Match", "*").send().await.refused(404, "not_found");
    }
    for value in [json!("x"), json!({"size": 1}), json!(null)] {
        let body = json!({"fields": {"photo": value}});
        let problem = owner.patch_if(&agency.client(0), "*", body).await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/fields/photo", "{problem}");
    }
    let made = owner.post("/collections/clients/records", json!({"fields": {"photo": "x"}})).await;
    made.refused(422, "invalid");
    // What a record shows of its file is not taken back by an import.
    assert_eq!(put(owner, &agency.file(0, "photo"), "*", b"seen").await.status, 201);
    let shown = owner.get(&agency.client(0)).await.ok()["fields"].clone();
    let items = json!({"items": [{"external_id": "P-9", "fields": shown}]});
    let imported = owner.post_once("/collections/clients/records:import", items).await.ok();
    let item = imported["items"].as_array().or_else(|| imported["results"].as_array());
    let text = imported.to_string();
    assert!(item.is_some() && text.contains("/fields/photo"), "{text}");
    // Nor can such a field be required, or hold a list.
    for (kind, required) in [(json!("file"), true), (json!({"list": "file"}), false)] {
        let field = json!({"name": "f", "type": kind, "required": required});
        let body =
            json!({"name": "more", "label": "More", "purposes": ["care"], "fields": [field]});
        owner.post("/collections", body).await.refused(422, "invalid");
    }
    let many: Vec<Value> =
        (0..17).map(|n| json!({"name": format!("f{n}"), "type": "file"})).collect();
    let body = json!({"name": "more", "label": "More", "purposes": ["care"], "fields": many});
    owner.post("/collections", body).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_file_is_seen_and_written_as_its_field_is() {
    let server = Server::memory().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let path = agency.file(0, "photo");
    let photo = bytes(20_000, 3);
    assert_eq!(put(agency.owner(), &path, "*", &photo).await.status, 201);
    let all = ["read", "create", "update", "delete"];
    let rule =
        |photo: Value| json!({"actions": all, "view": "clear", "write": true, "fields": [photo]});
    let field = |view: &str, write: bool| json!({"field": "photo", "view": view, "write": write});
    let hidden = agency.somebody(&server, "hidden", rule(field("hidden", false))).await;
    let masked = agency.somebody(&server, "masked", rule(field("masked", false))).await;
    let revealing = agency.somebody(&server, "revealing", rule(field("revealable", false))).await;
    let reading = agency.somebody(&server, "reading", rule(field("clear", false))).await;
    let writing = agency.somebody(&server, "writing", rule(field("hidden", true))).await;

    // Who may not see the field is answered as for a field that there is not.
    for caller in [&hidden, &masked] {
        for (method, body) in [("GET", None), ("PUT", Some("x")), ("DELETE", None)] {
            let ask = async |field: &str| {
                let call = caller.call(method, &agency.file(0, field)).header("If-Match", "*");
                match body {
                    Some(body) => call.body_of("text/plain", body).send().await,
                    None => call.send().await,
                }
            };
            let (there, nowhere) = (ask("photo").await, ask("unheard_of").await);
            there.refused(404, "not_found");
            assert_eq!(there.without_request_id(), nowhere.without_request_id(), "{method}");
            assert_eq!((there.lines().len(), nowhere.lines().len()), (1, 1), "{method}");
        }
        let shown = caller.get(&agency.client(0)).await.ok();
        assert!(!shown.to_string().contains("photo"), "{shown}");
    }
    // Asking for a file by itself reveals it, and the record alone does not.
    let shown = revealing.get(&agency.client(0)).await.ok();
    assert!(!shown.to_string().contains("photo"), "{shown}");
    assert!(revealing.get(&path).await.bytes == photo);
    assert!(reading.get(&path).await.bytes == photo);
    // Who sees the field and may not write it is told so.
    for (caller, status) in [(&reading, 403), (&revealing, 404)] {
        assert_eq!(put(caller, &path, "*", b"x").await.status, status);
    }
    // Who may write it blindly does, and sees nothing.
    assert_eq!(put(&writing, &path, "*", b"blind").await.status, 200);
    writing.get(&path).await.refused(404, "not_found");
    assert_eq!(agency.owner().get(&path).await.bytes, b"blind");
}

#[tokio::test]
async fn nothing_of_another_tenants_files() {
    let server = Server::memory().await;
    let (one, two) = (Agency::open(&server, "One").await, Agency::open(&server, "Two").await);
    let path = one.file(0, "photo");
    assert_eq!(put(one.owner(), &path, "*", b"of the first").await.status, 201);
    let stranger = two.owner();
    let intruder = stranger.in_home_of(one.owner());
    let nobody = one.owner().nobody();
    for (method, with) in [("GET", false), ("HEAD", false), ("PUT", true), ("DELETE", false)] {
        for (caller, status) in [(stranger, 404), (&intruder, 404), (&nobody, 401)] {
            let call = caller.call(method, &path).header("If-Match", "*");
            let call = if with { call.body_of("text/plain", "mine") } else { call };
            if method == "HEAD" {
                continue;
            }
            let answer = call.send().await;
            assert_eq!(answer.status, status, "{method}");
            assert!(!answer.text().contains("of the first"));
        }
    }
    assert_eq!(one.owner().get(&path).await.bytes, b"of the first");
}

#[tokio::test]
async fn a_file_dies_with_its_record_person_collection_and_tenant() {
    let mut server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let other = Agency::open(&server, "Another Agency").await;
    for number in 0..3 {
        for field in ["photo", "scan"] {
            let body = bytes(40_000, u8::try_from(number).unwrap());
            assert_eq!(
                put(agency.owner(), &agency.file(number, field), "*", &body).await.status,
                201
            );
        }
    }
    assert_eq!(put(other.owner(), &other.file(0, "photo"), "*", b"stays").await.status, 201);
    assert_eq!(blobs(&server).len(), 7);
    let subject = format!("/subjects/{}/records", agency.subjects[1]);
    assert_eq!(agency.owner().all(&subject, 1).await.len(), 1, "files are no records");

    let erase = async |server: &Server, target: Value, left: usize| {
        let owner = server.again(agency.owner());
        let body = json!({"target": target.clone(), "ground": "subject_request", "dry_run": true});
        let preview = owner.post_once("/erasures", body).await;
        assert_eq!(preview.status, 200, "{}", preview.text());
        let body = json!({"target": target, "ground": "subject_request"});
        let done = owner.post_once("/erasures", body).await;
        assert_eq!(
            (done.status, &done.json()["state"]),
            (201, &json!("erased")),
            "{}",
            done.text()
        );
        server.run_due_jobs().await;
        server.run_due_jobs().await;
        assert_eq!(blobs(server).len(), left);
        preview.json()
    };
    let record = json!({"record": {"collection": "clients", "id": agency.clients[0]}});
    erase(&server, record, 5).await;
    assert_eq!(agency.owner().get(&agency.file(0, "photo")).await.status, 410);
    let preview = erase(&server, json!({"subject": agency.subjects[1]}), 3).await;
    assert_eq!(preview["would_erase"]["records"], 1, "files are no records: {preview}");
    assert_eq!(agency.owner().get(&agency.file(1, "scan")).await.status, 404);
    assert_eq!(agency.owner().get(&agency.file(2, "scan")).await.bytes.len(), 40_000);
    erase(&server, json!({"collection": "clients"}), 1).await;
    assert!(agency.owner().get(&agency.file(2, "scan")).await.status >= 400);

    server.restart().await;
    let owner = server.again(other.owner());
    assert_eq!(owner.get(&other.file(0, "photo")).await.bytes, b"stays");
    let body = json!({"target": {"tenant": other.tenant.id}, "ground": "subject_request"});
    let done = owner.post_once("/erasures", body).await;
    assert_eq!(done.status, 201, "{}", done.text());
    server.run_due_jobs().await;
    server.run_due_jobs().await;
    assert_eq!(blobs(&server), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_file_that_is_too_large_or_breaks_off_leaves_nothing() {
    let server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let (owner, path) = (agency.owner(), agency.file(0, "photo"));
    let most = usize::try_from(LARGEST_FILE).unwrap();
    assert_eq!(put(owner, &path, "*", &bytes(most, 1)).await.status, 201);
    put(owner, &path, "*", &bytes(most + 1, 1)).await.refused(413, "file_too_large");
    // Without a length it is noticed when it has come.
    let chunks = bytes(most + 1, 1);
    let pieces = chunks.chunks(100_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()));
    let url = format!("{}{}{path}", owner.address(), owner.home());
    let sent = strongroom_tests::plain_http()
        .put(&url)
        .bearer_auth(owner.token())
        .header("If-Match", "*")
        .body(stream);
    assert_eq!(sent.send().await.unwrap().status().as_u16(), 413);
    // A body that ends with an error.
    let broken = vec![Ok(bytes(300_000, 4)), Err(std::io::Error::other("gone"))];
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(broken));
    let sent = strongroom_tests::plain_http()
        .put(&url)
        .bearer_auth(owner.token())
        .header("If-Match", "*")
        .body(stream);
    assert!(sent.send().await.is_err());
    let mut left = blobs(&server);
    for _ in 0..200 {
        if left.len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        left = blobs(&server);
    }
    assert_eq!(left.len(), 1, "only the first is left: {left:?}");
    assert_eq!(owner.get(&path).await.bytes.len(), most);
    put(owner, &path, "\"v1\"", b"x").await.refused(412, "version_stale");
    let unnamed = owner.call("PUT", &path).body_of("text/plain", "x").send().await;
    unnamed.refused(428, "version_required");
    let packed =
        owner.call("PUT", &path).header("If-Match", "*").header("Content-Encoding", "gzip");
    packed.body_of("text/plain", "x").send().await.refused(415, "unsupported_media_type");
    let wrong =
        owner.call("PUT", &path).header("If-Match", "*").header("Strongroom-File-Name", "a%2Fb");
    wrong.body_of("text/plain", "x").send().await.refused(400, "invalid_header");
    assert_eq!(blobs(&server).len(), 1);
}

#[tokio::test]
async fn a_file_whose_bytes_were_changed_cut_or_exchanged_is_not_served() {
    let server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let owner = agency.owner();
    let (one, two) = (agency.file(0, "photo"), agency.file(1, "photo"));
    assert_eq!(put(owner, &one, "*", &bytes(50_000, 1)).await.status, 201);
    let first = blobs(&server).pop().unwrap();
    assert_eq!(put(owner, &two, "*", &bytes(50_000, 2)).await.status, 201);
    let second = blobs(&server).into_iter().find(|place| *place != first).unwrap();
    let good = fs::read(&first).unwrap();
    let whole = async || {
        let answer = owner.call("GET", &one).try_send().await;
        answer.is_ok_and(|answer| answer.status == 200 && answer.bytes.len() == 50_000)
    };
    assert!(whole().await);
    let sealed_chunk = 16 * 1024 + 16;
    let mut changed = good.clone();
    changed[30_000] ^= 1;
    let mut swapped = good.clone();
    let (a, b) = swapped[72..72 + 2 * sealed_chunk].split_at_mut(sealed_chunk);
    a.swap_with_slice(b);
    for (what, other) in [
        ("changed", changed),
        ("cut", good[..good.len() - 1].to_vec()),
        ("cut at a chunk's end", good[..72 + 2 * sealed_chunk].to_vec()),
        ("longer", [good.as_slice(), &[0; 16]].concat()),
        ("swapped", swapped),
        ("another's", fs::read(&second).unwrap()),
        ("empty", Vec::new()),
    ] {
        fs::write(&first, other).unwrap();
        assert!(!whole().await, "{what}");
    }
    fs::remove_file(&first).unwrap();
    let missing = owner.get(&one).await;
    assert!(missing.status >= 500, "{}", missing.text());
    fs::write(&first, good).unwrap();
    assert!(whole().await);
}

#[tokio::test]
async fn a_copy_from_before_an_erasure_does_not_open_with_the_keys_of_now() {
    let mut server = Server::redb().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let photo = bytes(40_000, 5);
    assert_eq!(put(agency.owner(), &agency.file(0, "photo"), "*", &photo).await.status, 201);
    server.stop().await;
    let (home, before) = (server.folder().to_owned(), tempfile::TempDir::new().unwrap());
    copy(&home, before.path());
    server.restart().await;
    let owner = server.again(agency.owner());
    let body = json!({"target": {"subject": agency.subjects[0]}, "ground": "subject_request"});
    assert_eq!(owner.post_once("/erasures", body).await.status, 201);
    server.stop().await;
    fs::rename(home.join("holder"), home.join("holder.now")).unwrap();

    // All of the copy, with the share of the root secret that it had, opens it.
    let put_back = |holder: &Path| {
        for name in ["store", "files"] {
            fs::remove_dir_all(home.join(name)).unwrap();
            copy(&before.path().join(name), &home.join(name));
        }
        fs::copy(holder, home.join("holder")).unwrap();
    };
    put_back(&before.path().join("holder"));
    server.restart().await;
    assert!(server.again(agency.owner()).get(&agency.file(0, "photo")).await.bytes == photo);
    server.stop().await;
    // With the share of now it does not.
    put_back(&home.join("holder.now"));
    server.restart_locked().await;
    let key = json!({"key": server.seal_key()});
    let unlocked = server.operator().post("/v1/system/unlock", key).await;
    let read = server.again(agency.owner()).get(&agency.file(0, "photo")).await;
    assert!(read.status >= 400 && unlocked.status >= 400, "{}", unlocked.text());
}

/// Stands between a client and the server, and lets so many bytes of answers through on each of the first
/// connections; then everything, or nobody comes through any more.
async fn cutting(server: &str, cuts: Vec<usize>, then_all: bool) -> String {
    let server = server.trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut cuts = cuts.into_iter();
        while let Ok((client, _)) = listener.accept().await {
            let (server, cut) = (server.clone(), cuts.next());
            if cut.is_none() && !then_all {
                return;
            }
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect(server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                let sending = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let most = cut.map_or(u64::MAX, |cut| u64::try_from(cut).unwrap());
                let mut from_server = tokio::io::AsyncReadExt::take(from_server, most);
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                sending.abort();
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_takes_up_a_file_that_breaks_off_where_it_was() {
    let server = Server::memory().await;
    let agency = Agency::open(&server, "Harbour Street Agency").await;
    let photo = bytes(1_500_000, 9);
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("photo"), &photo).unwrap();
    let at = FileAt {
        collection: "clients".parse().unwrap(),
        record: agency.clients[0].parse().unwrap(),
        field: "photo".parse().unwrap(),
    };
    let (client, place) = crate::export::client(agency.owner());
    let from = tokio::fs::File::open(folder.path().join("photo")).await.unwrap();
    let new =
        NewFile {
            name: Some("Ädä.jpg".to_owned()), length: Some(1_500_000), ..NewFile::default()
        };
    let put = client.at(place).put_file(&at, &new, IfMatch::Version(1), from).await.unwrap();
    assert_eq!((put.version, put.value.name.as_deref()), (Some(2), Some("Ädä.jpg")));
    assert_eq!(put.value.sha256, sha256(&photo));

    let address = cutting(agency.owner().address(), vec![300_000, 40_000, 600_000], true).await;
    let through = Caller::of(&address, agency.owner().home(), Some(agency.owner().token()));
    let (cut_off, place) = crate::export::client(&through);
    let (cut_off, to) = (cut_off.at(place), folder.path().join("back"));
    let mut come = Vec::new();
    let fetched = cut_off.fetch_file(&at, &to, false, |bytes| come.push(bytes)).await.unwrap();
    assert_eq!(fetched, 1_500_000);
    assert!(fs::read(&to).unwrap() == photo);
    assert!(come.is_sorted(), "it never begins again");
    assert!(
        !folder.path().join("back.part").exists() && !folder.path().join("back.part.tag").exists()
    );

    // What was given up goes on later, and not with another file.
    let address = cutting(agency.owner().address(), vec![400_000], false).await;
    let through = Caller::of(&address, agency.owner().home(), Some(agency.owner().token()));
    let (gives_up, place) = crate::export::client(&through);
    let to = folder.path().join("again");
    assert!(gives_up.at(place).fetch_file(&at, &to, false, |_| ()).await.is_err());
    let part = fs::metadata(folder.path().join("again.part")).unwrap().len();
    assert!((200_000..400_000).contains(&part), "{part}");
    assert!(!to.exists());
    let (client, place) = crate::export::client(agency.owner());
    let scoped = client.at(place);
    assert!(matches!(scoped.fetch_file(&at, &to, false, |_| ()).await, Err(FileError::Taken(_))));
    fs::copy(folder.path().join("again.part"), folder.path().join("other.part")).unwrap();
    fs::copy(folder.path().join("again.part.tag"), folder.path().join("other.part.tag")).unwrap();
    let mut first = None;
    let done = scoped.fetch_file(&at, &to, true, |bytes| first = first.or(Some(bytes))).await;
    assert_eq!(done.unwrap(), 1_500_000);
    assert!(first.unwrap() > part && fs::read(&to).unwrap() == photo);
    assert_eq!(put_bytes(agency.owner(), &agency.file(0, "photo")).await, 200);
    let to = folder.path().join("other");
    assert!(matches!(scoped.fetch_file(&at, &to, true, |_| ()).await, Err(FileError::Another(_))));
    let to = folder.path().join("none");
    let none = scoped.fetch_file(&at, &to, true, |_| ()).await;
    assert!(matches!(none, Err(FileError::NothingToResume(_))));
    let mut got = Vec::new();
    assert_eq!(scoped.get_file(&at, &mut got).await.unwrap(), 1_600_000);
    scoped.remove_file(&at, IfMatch::Any).await.unwrap();
    assert!(scoped.get_file(&at, &mut got).await.is_err());
}

/// Puts another file there.
async fn put_bytes(owner: &Caller, path: &str) -> u16 {
    put(owner, path, "*", &bytes(1_600_000, 10)).await.status
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
