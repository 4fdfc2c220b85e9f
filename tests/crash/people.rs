//! Many people move in and on: imported while importer and server are killed, exported, imported into
//! another server, and compared. `STRONGROOM_PEOPLE` says how many.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::site::{Site, end};

/// People, unless `STRONGROOM_PEOPLE` says otherwise.
const PEOPLE: u64 = 12_000;
const MAP: &str = r#"
collection = "customers"
external_id = "number"
source = "the old system"
collected_at = "since"
[fields]
name = "name"
email = "email"
phone = "phone"
born = "born"
limit = { column = "limit", as = "decimal" }
news = { column = "news", as = "boolean" }
note = "note"
"#;

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn people() -> u64 {
    std::env::var("STRONGROOM_PEOPLE").map_or(PEOPLE, |text| text.parse().expect("a number"))
}

/// Says how long something took; seen with `--nocapture`.
#[expect(clippy::print_stdout, reason = "figures of a campaign")]
fn figure(what: &str, people: u64, since: Instant) {
    let seconds = since.elapsed().as_secs_f64();
    let people = f64::from(u32::try_from(people).unwrap());
    println!("{what}: {people} people in {seconds:.1} s, {:.0}/s", people / seconds);
}

/// A row for each of them; no two are alike.
fn write_rows(path: &Path, people: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "number,since,name,email,phone,born,limit,news,note").unwrap();
    for number in 0..people {
        let (month, day, year) = (number % 12 + 1, number % 28 + 1, 1930 + number % 80);
        writeln!(
            file,
            "C-{number},2019-{month:02}-{day:02},\"Customer, {number}\",c{number}@post.example,\
             +1 555 {:07},{year}-{month:02}-{day:02},{}.50,{},\"Says \"\"{number}\"\"\nand more\"",
            number % 10_000_000,
            number % 9_000,
            number.is_multiple_of(2),
        )
        .unwrap();
    }
    file.into_inner().unwrap().sync_all().unwrap();
}

/// A server with the collection.
async fn made() -> Site {
    let fields = [
        ("name", "name"),
        ("email", "email"),
        ("phone", "phone"),
        ("born", "date"),
        ("limit", "decimal"),
        ("news", "boolean"),
        ("note", "text"),
    ];
    let site = Site::make("customers", &fields).await;
    fs::write(site.folder.path().join("map.toml"), MAP).unwrap();
    site
}

/// What an export says of each record that does not belong to its server, as a hash by external id.
fn contents(path: &Path) -> HashMap<String, u64> {
    let mut contents = HashMap::new();
    for line in BufReader::new(File::open(path).unwrap()).lines() {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(record["masked"], json!({}), "everything is in the clear");
        let mut hasher = DefaultHasher::new();
        for member in ["source", "collected_at", "notice", "purposes"] {
            record[member].to_string().hash(&mut hasher);
        }
        let fields = record["fields"].as_object().unwrap();
        assert_eq!(fields.len(), 7);
        for name in ["name", "email", "phone", "born", "limit", "news", "note"] {
            fields[name].to_string().hash(&mut hasher);
        }
        let external_id = record["external_id"].as_str().unwrap().to_owned();
        let before = contents.insert(external_id, hasher.finish());
        assert_eq!(before, None, "no record is there twice");
    }
    contents
}

/// Imports the rows in a job of the server: whoever sends them is killed, then the server, then, while
/// the job makes records, the server and whoever waits for it.
fn import_under_kills(site: &mut Site, people: u64) {
    let begun = Instant::now();
    let import = ["import", "customers.csv", "--map", "map.toml", "--job"];
    let resume = ["import", "customers.csv", "--map", "map.toml", "--job", "--resume"];

    let mut child = site.begin(&import);
    let job = site.come_to(&mut child, "/progress/total", people / 4);
    end(child);

    let mut child = site.begin(&resume);
    site.come_to(&mut child, "/progress/total", people / 2);
    site.kill_server();
    let status = child.wait().unwrap();
    assert!(!status.success(), "the server was killed: {}", site.said());
    site.start_server();
    site.run(&resume);
    assert!(!site.folder.path().join("customers.csv.job").exists());

    let wait = ["jobs", "wait", &job];
    let mut child = site.begin(&wait);
    site.come_to(&mut child, "/progress/done", people / 4);
    site.kill_server();
    end(child);
    site.start_server();

    let said = site.run(&wait);
    let all = format!("{people} of {people} rows: {people} created, 0 there already, 0 rejected");
    assert!(said.contains(&all), "{said}");
    figure("imported by a job, with three kills", people, begun);
}

/// Exports the collection by a job; the program is killed on the way, and then the server.
fn export_under_kills(site: &mut Site, people: u64) {
    let begun = Instant::now();
    // Parts so small that there is something to break off.
    let export = ["export", "customers", "--to", "out.ndjson", "--page", "100"];
    let resume = ["export", "customers", "--to", "out.ndjson", "--resume"];
    let mut child = site.begin(&export);
    site.wait_for(&mut child, "out.ndjson.checkpoint", "/summary/records", people / 3);
    end(child);
    let mut child = site.begin(&resume);
    site.wait_for(&mut child, "out.ndjson.checkpoint", "/summary/records", people / 3 * 2);
    site.kill_server();
    let status = child.wait().unwrap();
    assert!(!status.success(), "the server was killed: {}", site.said());
    site.start_server();
    site.run(&resume);
    figure("exported by a job, with two kills", people, begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_is_imported_under_kills_arrives_once_and_unchanged_on_another_server() {
    let people = people();
    let mut first = made().await;
    let second = made().await;
    let done = tokio::task::spawn_blocking(move || {
        write_rows(&first.folder.path().join("customers.csv"), people);
        import_under_kills(&mut first, people);
        let begun = Instant::now();
        let verify = ["import", "customers.csv", "--map", "map.toml", "--verify"];
        let said = first.run(&verify);
        assert!(said.contains(&format!("{people} there already")), "{said}");
        figure("looked up and compared row by row", people, begun);
        export_under_kills(&mut first, people);

        let moved = second.folder.path().join("in.ndjson");
        fs::copy(first.folder.path().join("out.ndjson"), &moved).unwrap();
        let begun = Instant::now();
        let import = ["import", "in.ndjson", "--exported", "customers", "--job", "--wait"];
        let said = second.run(&import);
        assert!(said.contains(&format!("{people} rows: {people} created")), "{said}");
        figure("imported into another server", people, begun);
        second.run(&["export", "customers", "--to", "out.ndjson"]);

        let begun = Instant::now();
        let (there, here) = (contents(&moved), contents(&second.folder.path().join("out.ndjson")));
        assert_eq!(there.len() as u64, people);
        assert!(there == here, "both servers say the same of everybody");
        figure("both exports compared", people, begun);
        (first, second)
    });
    let (first, second) = done.await.unwrap();
    // Somebody in particular, as the row said it.
    for site in [&first, &second] {
        let wanted = json!({"external_id": "C-17"});
        let lookup = "/collections/customers/records:lookup";
        let found = site.owner().post(lookup, wanted).await.ok();
        assert_eq!(found["fields"]["name"], "Customer, 17");
        assert_eq!(found["fields"]["note"], "Says \"17\"\nand more");
        assert_eq!(found["fields"]["limit"], "17.50");
    }
}
