//! Backups: taken while the server works, brought back after erasures, cut short, changed and exchanged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_model::{JobId, TenantId};
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{Batch, KeyRange, Row, RowKey, StoreUrl};
use strongroom_tests::program::{Installation, People, Running, redeem};
use strongroom_tests::{Caller, Needle, search_folder};

use crate::place::{Place, Sort};

const PEOPLE: &str = "/collections/people/records";
const ORDERS: &str = "/collections/orders/records";
/// Longest time that a backup or an erasure may take, in tenths of a second.
const PATIENCE: u32 = 600;

/// An installation with two tenants, one with two collections, that has a place for backups.
pub(crate) struct Site {
    pub(crate) installation: Installation,
    pub(crate) people: People,
    pub(crate) place: Place,
    /// The other tenant's home and its owner's session.
    other: (String, String),
    /// Ids of records and of the persons whom they are about.
    records: Vec<(String, String)>,
    order: String,
    other_record: String,
}

impl Site {
    pub(crate) async fn new(engine: &str, sort: Sort) -> (Self, Running) {
        let installation = Installation::make_on(engine);
        let place = Place::make(sort, &installation).await;
        let server = start(&installation, &place);
        let people = installation.settle(&server).await;
        let owner = people.owner(&server);
        let orders = json!({
            "name": "orders", "label": "Orders", "purposes": ["care"],
            "fields": [{"name": "name", "type": "name"}, {"name": "note", "type": "text"}],
        });
        assert_eq!(owner.post("/collections", orders.clone()).await.status, 201);
        let mut records = Vec::new();
        for number in 0..6 {
            records.push(create(&owner, PEOPLE, number).await);
        }
        let (order, _) = create(&owner, ORDERS, 0).await;

        let operator = people.operator(&server);
        let body = json!({"name": "Quay Street Clinic", "owner": {"name": "Oscar Owner"}});
        let tenant = operator.post("/v1/tenants", body).await.ok();
        let home = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
        let token = tenant["invitation"]["token"].as_str().unwrap();
        let session = redeem(&operator.nobody(), token).await;
        let other = Caller::of(&server.address, &home, Some(&session));
        assert_eq!(other.post("/collections", orders).await.status, 201);
        let (other_record, _) = create(&other, ORDERS, 1).await;
        let other = (home, session);
        let site = Self { installation, people, place, other, records, order, other_record };
        (site, server)
    }

    /// Starts its server, which knows the place.
    pub(crate) fn start(&self) -> Running {
        start(&self.installation, &self.place)
    }

    /// The folder in which its backups lie.
    fn backups(&self) -> PathBuf {
        self.place.folder(&self.installation)
    }

    fn other(&self, server: &Running) -> Caller {
        Caller::of(&server.address, &self.other.0, Some(&self.other.1))
    }

    /// Has a backup made and gives its folder.
    pub(crate) async fn back_up(&self, server: &Running) -> PathBuf {
        let operator = self.people.operator(server);
        let asked = operator.post_once("/v1/system/backups", json!({"place": "nightly"})).await;
        assert_eq!(asked.status, 202, "{}", asked.text());
        self.finished(server, &asked.id()).await
    }

    /// Has a backup made that fails, and gives the word with which it does.
    pub(crate) async fn failing(&self, server: &Running, place: &str) -> String {
        let operator = self.people.operator(server);
        let asked = operator.post_once("/v1/system/backups", json!({"place": place})).await;
        assert_eq!(asked.status, 202, "{}", asked.text());
        self.failed(server, &asked.id()).await
    }

    /// Waits until a backup has failed, and gives the word with which it did.
    pub(crate) async fn failed(&self, server: &Running, job: &str) -> String {
        let operator = self.people.operator(server);
        for _ in 0..PATIENCE {
            let shown = operator.get(&format!("/jobs/{job}")).await.ok();
            match shown["state"].as_str().unwrap() {
                "queued" | "running" => tokio::time::sleep(Duration::from_millis(100)).await,
                "failed" => return shown["problem"].as_str().unwrap().to_owned(),
                other => panic!("the backup is {other}: {shown}"),
            }
        }
        panic!("the backup takes too long");
    }

    /// Waits until a backup is made and gives its folder.
    pub(crate) async fn finished(&self, server: &Running, job: &str) -> PathBuf {
        let operator = self.people.operator(server);
        for _ in 0..PATIENCE {
            let job = operator.get(&format!("/jobs/{job}")).await.ok();
            match job["state"].as_str().unwrap() {
                "queued" | "running" => tokio::time::sleep(Duration::from_millis(100)).await,
                "done" => {
                    assert_eq!(job["progress"]["done"], job["progress"]["total"]);
                    let name = job["backup"]["name"].as_str().unwrap();
                    return self.backups().join(name);
                }
                other => panic!("the backup is {other}: {job}"),
            }
        }
        panic!("the backup takes too long");
    }

    /// Runs `restore` with these words besides store, holder and key.
    pub(crate) fn restore(&self, backup: &Path, words: &[&str]) -> Output {
        restore(&self.installation, &self.place.from(backup), words)
    }

    /// Insists that the store at rest is what its sums and its head say.
    #[track_caller]
    pub(crate) fn proven(&self) {
        let told = self.installation.run_at_rest("verify", &[]);
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    }

    /// Everything that the owner sees of the records that are left.
    async fn seen(&self, server: &Running) -> String {
        let owner = self.people.owner(server);
        let mut seen = vec![Value::from(owner.all("/collections", 100).await)];
        seen.push(owner.all(PEOPLE, 3).await.into());
        for (number, (record, subject)) in self.records.iter().enumerate() {
            let lookup = json!({"external_id": format!("P-{number}")});
            let found = owner.post(&format!("{PEOPLE}:lookup"), lookup).await;
            let shown = owner.get(&format!("{PEOPLE}/{record}")).await;
            let of_subject = owner.get(&format!("/subjects/{subject}/records")).await;
            seen.push(json!([found.status, shown.status, of_subject.json()["data"]]));
        }
        Value::from(seen).to_string()
    }
}

fn start(installation: &Installation, place: &Place) -> Running {
    let place = format!("nightly={}", place.text(installation));
    installation.start_with(&["--backup-place", &place])
}

pub(crate) fn restore(installation: &Installation, from: &str, words: &[&str]) -> Output {
    let words = [&["--from", from, "--output", "json"], words].concat();
    installation.run_at_rest("restore", &words)
}

/// What `restore` has reported.
#[track_caller]
pub(crate) fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// It has failed with exit code 8 and these words, and changed no row.
#[track_caller]
fn refused(site: &Site, backup: &Path, words: &str) {
    for more in [["--yes"], ["--drill"], ["--dry-run"]] {
        let before = rows(&site.installation);
        let output = site.restore(backup, &more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(8), "{said}");
        assert!(said.contains(words), "`{words}` is not in: {said}");
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
        assert!(rows(&site.installation) == before, "{words}: rows were changed");
    }
}

async fn create(owner: &Caller, path: &str, number: usize) -> (String, String) {
    let body = json!({
        "external_id": format!("P-{number}"),
        "fields": {"name": format!("Canary Carlsson {number}"), "note": "canary in the note"},
    });
    let made = owner.post(path, body).await.ok();
    let id = |name: &str| made[name].as_str().unwrap().to_owned();
    (id("id"), id("subject"))
}

/// Erases something and waits until its keys are gone.
async fn erase(by: &Caller, target: Value) {
    let body = json!({"target": target, "ground": "subject_request"});
    let asked = by.post_once("/erasures", body).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    assert_eq!(asked.json()["state"], "erased", "{}", asked.text());
}

/// Does something with the store of an installation whose server does not run.
fn with_store<T: Send>(
    installation: &Installation,
    work: impl AsyncFnOnce(&dyn strongroom_storage::Store) -> T + Send,
) -> T {
    let url = StoreUrl::parse(&installation.store_url()).unwrap();
    // A runtime does not run within another.
    let apart = move || {
        let store = strongroom_storage::open(&url).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(work(&*store))
    };
    std::thread::scope(|scope| scope.spawn(apart).join().unwrap())
}

async fn all_rows(store: &dyn strongroom_storage::Store) -> Vec<(RowKey, Row)> {
    let mut range = KeyRange::prefix(b"");
    let mut all = Vec::new();
    loop {
        let page = store.scan(&range, 1000).await.unwrap();
        let Some((last, _)) = page.last() else { return all };
        range = range.continued(last);
        all.extend(page);
    }
}

/// Every row of the store but the clock's.
fn rows(installation: &Installation) -> Vec<(RowKey, Row)> {
    let mut all = with_store(installation, async |store| all_rows(store).await);
    all.retain(|(key, _)| *key != keyspace::clock());
    all
}

fn kind(key: &RowKey) -> RowKind {
    keyspace::parse(key).unwrap().1
}

/// Loses every row but the key state: as if the disk with the data were gone, and the keys were not.
fn lose_data(installation: &Installation) {
    with_store(installation, async |store| {
        for (key, _) in all_rows(store).await {
            if !kind(&key).is_key_state() {
                let mut batch = Batch::new();
                batch.delete(key);
                store.commit(batch).await.unwrap();
            }
        }
    });
}

/// The whole: a backup, then erasures of every sort, then the loss of all data, then the restore.
async fn erased_stays_erased(engine: &str, sort: Sort) {
    let (site, server) = Site::new(engine, sort).await;
    let backup = site.back_up(&server).await;
    site.people.operator(&server).get("/v1/system/status").await.ok();
    server.stop();
    // The old keys, to see that this test is able to find what is not erased.
    site.installation.copy_to("before");
    let server = site.start();
    let owner = site.people.owner(&server);
    let (record, person) = (&site.records[0].0, &site.records[1].1);
    erase(&owner, json!({"record": {"collection": "people", "id": record}})).await;
    erase(&owner, json!({"subject": person})).await;
    erase(&owner, json!({"collection": "orders"})).await;
    let other = site.other(&server);
    let tenant = site.other.0.rsplit('/').next().unwrap().to_owned();
    erase(&other, json!({"tenant": tenant})).await;
    let seen = site.seen(&server).await;
    server.stop();

    // The drill, and the dry run onto a store that has all there is, see the erasures too.
    let drill = report(&site.restore(&backup, &["--drill"]));
    assert_eq!(drill["records"]["rows"], 8, "{drill}");
    assert_eq!(drill["records"]["opened"], 4, "{drill}");
    assert_eq!(drill["records"]["erased_since"], 4, "{drill}");
    let dry = report(&site.restore(&backup, &["--dry-run"]));
    // Rows of the erased that are not swept yet stand there as they stood, without a key.
    let (same, erased) = (&dry["records"]["same"], &dry["records"]["erased_since"]);
    assert!(same.as_u64().unwrap() >= 4, "{dry}");
    assert_eq!(same.as_u64().unwrap() + erased.as_u64().unwrap(), 8, "{dry}");
    assert_eq!(dry["records"]["restored"], 0, "{dry}");

    lose_data(&site.installation);
    let done = report(&site.restore(&backup, &["--yes"]));
    assert_eq!(done["records"]["restored"], 4, "{done}");
    assert_eq!(done["records"]["erased_since"], 4, "{done}");
    for sort in ["records", "subjects", "others"] {
        assert_eq!(done[sort]["unreadable"], 0, "{done}");
    }
    assert!(done["index_entries"].as_u64().unwrap() >= 4, "{done}");

    site.proven();
    let server = site.start();
    let owner = site.people.owner(&server);
    for gone in [record, &site.records[1].0] {
        let status = owner.get(&format!("{PEOPLE}/{gone}")).await.status;
        assert!([404, 410].contains(&status), "{status}");
    }
    assert_eq!(owner.get(&format!("{ORDERS}/{}", site.order)).await.status, 404);
    let other = Caller::of(&server.address, &site.other.0, Some(&site.other.1));
    let path = format!("{ORDERS}/{}", site.other_record);
    assert!(other.get(&path).await.status >= 400);
    assert_eq!(without_codes(&site.seen(&server).await), without_codes(&seen));
    // It works on: the same external id is taken, a new one is not, and erasing erases.
    let again = json!({"external_id": "P-3", "fields": {"name": "Twice"}});
    assert_eq!(owner.post(PEOPLE, again).await.status, 409);
    let (new, _) = create(&owner, PEOPLE, 77).await;
    erase(&owner, json!({"record": {"collection": "people", "id": new}})).await;
    erase(&owner, json!({"subject": site.records[2].1})).await;
    assert!(owner.get(&format!("{PEOPLE}/{}", site.records[2].0)).await.status >= 400);
    owner.get(&format!("{PEOPLE}/{}", site.records[4].0)).await.ok();
    server.stop();

    // The control: with the keys of before, which nobody has any more, the erased come back.
    site.installation.put_back("before");
    lose_data(&site.installation);
    let control = report(&site.restore(&backup, &["--yes"]));
    assert_eq!(control["records"]["restored"], 8, "{control}");
    assert_eq!(control["records"]["erased_since"], 0, "{control}");
    let server = site.start();
    site.people.owner(&server).get(&format!("{PEOPLE}/{record}")).await.ok();
    server.stop();
}

/// What is erased answers 410 as long as its erasure is known, and 404 where that was lost.
fn without_codes(seen: &str) -> String {
    seen.replace("410", "404")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_after_a_backup_stays_erased_and_all_else_comes_back() {
    erased_stays_erased("redb", Sort::Folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_after_a_backup_stays_erased_over_fjall_and_sled() {
    erased_stays_erased("fjall", Sort::Folder).await;
    erased_stays_erased("sled", Sort::Folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_after_a_backup_in_a_bucket_stays_erased() {
    erased_stays_erased("redb", Sort::Bucket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_and_altered_rows_come_back_and_newer_ones_stay_unless_it_is_said() {
    let (site, server) = Site::new("redb", Sort::Folder).await;
    let backup = site.back_up(&server).await;
    let owner = site.people.owner(&server);
    let path = |at: usize| format!("{PEOPLE}/{}", site.records[at].0);
    let change = json!({"fields": {"note": "another note"}});
    owner.patch_if(&path(3), "*", change).await.ok();
    let (new, _) = create(&owner, PEOPLE, 99).await;
    server.stop();
    let records = |key: &RowKey| kind(key) == RowKind::Record;
    with_store(&site.installation, async |store| {
        let all = all_rows(store).await;
        // The newest of all is not in the backup, so that the first and the second are.
        let mine: Vec<_> =
            all.into_iter().filter(|(key, row)| records(key) && row.version == 1).collect();
        let (gone, _) = &mine[0];
        let (altered, row) = &mine[1];
        let mut value = row.value.to_vec();
        let last = value.len() - 1;
        value[last] ^= 1;
        let mut batch = Batch::new();
        batch.delete(gone.clone()).put(altered.clone(), 2, value);
        store.commit(batch).await.unwrap();
    });
    let done = report(&site.restore(&backup, &["--yes"]));
    assert_eq!(done["records"]["restored"], 1, "{done}");
    assert_eq!(done["records"]["repaired"], 1, "{done}");
    assert_eq!(done["records"]["changed_since"], 1, "{done}");
    assert_eq!(done["records"]["same"], 5, "{done}");
    site.proven();
    let server = site.start();
    let owner = site.people.owner(&server);
    for at in 0..6 {
        owner.get(&path(at)).await.ok();
    }
    owner.get(&format!("{PEOPLE}/{new}")).await.ok();
    assert_eq!(owner.get(&path(3)).await.ok()["fields"]["note"], "another note");
    server.stop();

    let done = report(&site.restore(&backup, &["--yes", "--put-back-changed"]));
    assert_eq!(done["records"]["put_back"], 1, "{done}");
    let server = site.start();
    let owner = site.people.owner(&server);
    let shown = owner.get(&path(3)).await;
    assert_eq!(shown.ok()["fields"]["note"], "canary in the note");
    assert_eq!(shown.tag(), "\"v3\"");
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_corrected_after_a_backup_does_not_come_back_with_it() {
    let (site, server) = Site::new("redb", Sort::Folder).await;
    let backup = site.back_up(&server).await;
    server.stop();
    site.installation.copy_to("before");
    let server = site.start();
    let owner = site.people.owner(&server);
    let path = format!("{PEOPLE}/{}", site.records[2].0);
    let right = json!({"fields": {"note": "the right note"}, "correction": true});
    owner.patch_if(&path, "*", right).await.ok();
    // The key of what was wrong goes with the next erasure.
    let record = &site.records[0].0;
    erase(&owner, json!({"record": {"collection": "people", "id": record}})).await;
    server.stop();

    let drill = report(&site.restore(&backup, &["--drill"]));
    assert_eq!(drill["records"]["corrected_since"], 1, "{drill}");
    assert_eq!(drill["records"]["erased_since"], 1, "{drill}");
    assert_eq!(drill["records"]["opened"], 6, "{drill}");
    for _ in 0..2 {
        let done = report(&site.restore(&backup, &["--yes", "--put-back-changed"]));
        assert_eq!(done["records"]["corrected_since"], 1, "{done}");
        assert_eq!(done["records"]["put_back"], 0, "{done}");
        site.proven();
    }
    let server = site.start();
    let owner = site.people.owner(&server);
    assert_eq!(owner.get(&path).await.ok()["fields"]["note"], "the right note");
    let lookup = json!({"external_id": "P-2"});
    owner.post(&format!("{PEOPLE}:lookup"), lookup).await.ok();
    let of_subject = format!("/subjects/{}/records", site.records[2].1);
    assert_eq!(owner.get(&of_subject).await.ok()["data"].as_array().unwrap().len(), 1);
    server.stop();

    // The control: with the keys of before, what was wrong opens.
    site.installation.put_back("before");
    let control = report(&site.restore(&backup, &["--drill"]));
    assert_eq!(control["records"]["opened"], 8, "{control}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_cut_changed_exchanged_or_is_anothers_is_refused() {
    changed_is_refused(Sort::Folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_a_bucket_that_was_cut_changed_exchanged_or_is_anothers_is_refused() {
    changed_is_refused(Sort::Bucket).await;
}

async fn changed_is_refused(sort: Sort) {
    let (site, server) = Site::new("redb", sort).await;
    let backup = site.back_up(&server).await;
    server.stop();
    let copy = site.backups().join("copy");
    let part = "00000001.part";
    let fresh = || {
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&backup).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    };
    let change = |file: &str, how: &dyn Fn(&mut Vec<u8>)| {
        fresh();
        let mut bytes = fs::read(copy.join(file)).unwrap();
        how(&mut bytes);
        fs::write(copy.join(file), bytes).unwrap();
    };
    fresh();
    assert!(site.restore(&copy, &["--drill"]).status.success(), "an untouched copy is good");
    fs::remove_file(copy.join("manifest")).unwrap();
    refused(&site, &copy, "it has no manifest");
    fresh();
    fs::remove_file(copy.join(part)).unwrap();
    refused(&site, &copy, "is missing");
    change("manifest", &|bytes| bytes.truncate(bytes.len() - 1));
    refused(&site, &copy, "manifest");
    change("manifest", &|bytes| bytes[50] ^= 1);
    refused(&site, &copy, "was changed");
    change("manifest", &|bytes| bytes[11] = 9);
    refused(&site, &copy, "it is of version 9");
    change(part, &|bytes| bytes.truncate(bytes.len() / 2));
    refused(&site, &copy, "was cut, changed or exchanged");
    change(part, &|bytes| bytes.push(0));
    refused(&site, &copy, "was cut, changed or exchanged");
    let length = fs::metadata(backup.join(part)).unwrap().len();
    for at in [0, 20, 60, length / 3, length / 2, length - 1] {
        change(part, &|bytes| bytes[usize::try_from(at).unwrap()] ^= 1);
        refused(&site, &copy, "was cut, changed or exchanged");
    }

    // A part of another backup of the same installation.
    let server = site.start();
    create(&site.people.owner(&server), PEOPLE, 50).await;
    let later = site.back_up(&server).await;
    // And the store at a later number than the copy that is put back.
    server.stop();
    fresh();
    fs::copy(later.join(part), copy.join(part)).unwrap();
    refused(&site, &copy, "was cut, changed or exchanged");
    let (elsewhere, server) = Site::new("redb", sort).await;
    let made = elsewhere.back_up(&server).await;
    server.stop();
    let foreign = site.backups().join(made.file_name().unwrap());
    fs::rename(&made, &foreign).unwrap();
    refused(&site, &foreign, "another installation");
    site.installation.copy_to("older");
    let server = site.start();
    erase(&site.people.owner(&server), json!({"subject": site.records[0].1})).await;
    let newer = site.back_up(&server).await;
    server.stop();
    site.installation.put_back("older");
    refused(&site, &newer, "the store is an older copy");
    let output = site.restore(&site.backups().join("nothing"), &["--yes"]);
    assert_eq!(output.status.code(), Some(if sort == Sort::Folder { 1 } else { 8 }));
    let output = site.restore(&backup, &[]);
    assert_eq!(output.status.code(), Some(2), "nobody is asked without a terminal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_on_after_kills_and_holds_nothing_clear() {
    goes_on_after_kills(Sort::Folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_a_bucket_goes_on_after_kills_and_holds_nothing_clear() {
    goes_on_after_kills(Sort::Bucket).await;
}

async fn goes_on_after_kills(sort: Sort) {
    let (site, mut server) = Site::new("redb", sort).await;
    let mut made = Vec::new();
    for round in 0..8u64 {
        let operator = site.people.operator(&server);
        let asked = operator.post_once("/v1/system/backups", json!({"place": "nightly"})).await;
        assert_eq!(asked.status, 202, "{}", asked.text());
        tokio::time::sleep(Duration::from_millis(round * 4)).await;
        server.kill();
        server = site.start();
        made.push(site.finished(&server, &asked.id()).await);
    }
    // What another installation makes at the same place is left alone, and what an ended job left is not.
    let elsewhere = format!("20260101T000000-{}", JobId::from_bytes([7; 16]));
    let elsewhere = site.place.unfinished(&site.installation, &elsewhere);
    let first = made.remove(0);
    let mine = first.file_name().unwrap().to_str().unwrap();
    let mine = site.place.unfinished(&site.installation, mine);
    fs::remove_file(first.join("manifest")).unwrap();
    if mine != first {
        fs::rename(&first, &mine).unwrap();
    }
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("00000001.part"), "theirs").unwrap();
    made.push(site.back_up(&server).await);
    assert!(!mine.join("00000001.part").exists());
    assert!(elsewhere.join("00000001.part").exists());
    fs::remove_dir_all(&elsewhere).unwrap();
    // Such a server may leave the folders of its keys.
    let _ = fs::remove_dir_all(&mine);
    let operator = site.people.operator(&server);
    let unknown = json!({"place": "elsewhere"});
    operator.post_once("/v1/system/backups", unknown).await.refused(422, "invalid");
    let path = json!({"place": "/etc"});
    operator.post_once("/v1/system/backups", path).await.refused(422, "invalid");
    let owner = site.people.owner(&server);
    let by_owner = owner.post_once("/v1/system/backups", json!({"place": "nightly"})).await;
    by_owner.refused(404, "not_found");
    // A place that is not there fails the job and says so.
    let place =
        site.installation.path(if sort == Sort::Folder { "backups" } else { "s3/vault-backups" });
    fs::rename(&place, site.installation.path("gone")).unwrap();
    assert_eq!(site.failing(&server, "nightly").await, "place_gone");
    fs::rename(site.installation.path("gone"), &place).unwrap();
    server.stop();
    for backup in &made {
        let drill = report(&site.restore(backup, &["--drill"]));
        assert_eq!(drill["records"]["opened"], 8, "{drill}");
    }
    let place = site.backups();
    let left = fs::read_dir(&place).unwrap().count();
    assert_eq!(left, made.len(), "unfinished backups are left");
    let needles: Vec<Needle> = ["Canary Carlsson", "canary in the note", "Harbour Street"]
        .map(|text| Needle::new(text, text.as_bytes()))
        .into();
    let (found, searched) = search_folder(&place, &needles);
    assert!(searched > made.len(), "nothing was searched");
    assert!(found.is_empty(), "{found:?}");
    // No key state, no index, nothing that lets somebody in.
    with_store(&site.installation, async |store| {
        let all = all_rows(store).await;
        let bytes = fs::read(made[0].join("00000001.part")).unwrap();
        let mut kinds = 0;
        for (key, _) in all.iter().filter(|(key, _)| !kind(key).is_backed_up()) {
            kinds += 1;
            let whole = key.as_bytes();
            // Single rows of a tenant have keys that others begin with.
            if whole.len() > 25 {
                assert!(!bytes.windows(whole.len()).any(|it| it == whole), "{key:?}");
            }
        }
        assert!(kinds > 20, "{kinds}");
        let tenant = keyspace::known_tenant(TenantId::PROVIDER);
        assert!(tenant.as_bytes().len() > 25);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_is_not_served_and_is_run_again() {
    killed_is_run_again(Sort::Folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_from_a_bucket_that_is_killed_is_not_served_and_is_run_again() {
    killed_is_run_again(Sort::Bucket).await;
}

async fn killed_is_run_again(sort: Sort) {
    let (site, server) = Site::new("redb", sort).await;
    let seen = site.seen(&server).await;
    let backup = site.back_up(&server).await;
    server.stop();
    lose_data(&site.installation);
    let mut refusals = 0;
    for round in 0..12u64 {
        let mut child = site.installation.begin_command(&[
            "restore",
            "--yes",
            "--from",
            &site.place.from(&backup),
            "--store",
            &site.installation.store_url(),
            "--holder",
            &site.installation.text("holder"),
            "--seal-key-file",
            &site.installation.text("seal.key"),
        ]);
        tokio::time::sleep(Duration::from_millis(8 * round)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let unfinished =
            rows(&site.installation).iter().any(|(key, _)| kind(key) == RowKind::Restore);
        if unfinished {
            let arguments = site.installation.serving();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = site.installation.run(&arguments);
            assert_eq!(output.status.code(), Some(1));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("has not ended: run `strongroom restore` again"), "{said}");
            refusals += 1;
        }
    }
    // Whether a kill came in between is luck; the mark itself is not.
    with_store(&site.installation, async |store| {
        let held = store.get_many(&[keyspace::restore()]).await.unwrap().pop().flatten();
        let mut batch = Batch::new();
        batch.put(keyspace::restore(), held.map_or(0, |row| row.version) + 1, vec![0; 16]);
        store.commit(batch).await.unwrap();
    });
    let arguments = site.installation.serving();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(site.installation.run(&arguments).status.code(), Some(1), "{refusals} refusals");
    report(&site.restore(&backup, &["--yes"]));
    let server = site.start();
    assert_eq!(site.seen(&server).await, seen);
    server.stop();
}
