//! Many people move in and on: imported while importer and server are killed, exported, imported into
//! another server, and compared. `STRONGROOM_PEOPLE` says how many.

use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_tests::Caller;
use strongroom_tests::program::{Installation, People, Running, binary};
use tempfile::TempDir;
use tokio::time::Instant;

/// People, unless `STRONGROOM_PEOPLE` says otherwise.
const PEOPLE: u64 = 3_000;
/// How often it is looked how far a program has come, and how long a step of it may take.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const STEP_MAX: Duration = Duration::from_mins(30);

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

/// A server with the collection, and a folder beside it in which the program is run.
struct Site {
    installation: Installation,
    people: People,
    server: Option<Running>,
    folder: TempDir,
}

impl Site {
    async fn make() -> Self {
        let installation = Installation::make();
        let server = installation.start();
        let people = installation.settle(&server).await;
        let owner = people.owner(&server);
        let fields = [
            ("name", "name"),
            ("email", "email"),
            ("phone", "phone"),
            ("born", "date"),
            ("limit", "decimal"),
            ("news", "boolean"),
            ("note", "text"),
        ];
        let fields: Vec<Value> =
            fields.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let body = json!({
            "name": "customers", "label": "Customers", "purposes": ["sales"], "subject": "own",
            "fields": fields,
        });
        assert_eq!(owner.post("/collections", body).await.status, 201);
        let folder = TempDir::new().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, owner.token()).unwrap();
        fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
        fs::write(folder.path().join("map.toml"), MAP).unwrap();
        Self { installation, people, server: Some(server), folder }
    }

    fn owner(&self) -> Caller {
        self.people.owner(self.server.as_ref().unwrap())
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(binary());
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        let said = File::create(self.folder.path().join("said")).unwrap();
        command.stdout(Stdio::null()).stderr(said).args(arguments);
        let address = self.server.as_ref().unwrap().address.as_str();
        command.args(["--token-file", "token", "--server", address]);
        command.spawn().unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// Waits until a checkpoint says that a program has come so far.
    fn wait_for(&self, child: &mut Child, checkpoint: &str, at: &str, far_enough: u64) {
        let begun = Instant::now();
        loop {
            let text = fs::read(self.folder.path().join(checkpoint)).unwrap_or_default();
            let come: Value = serde_json::from_slice(&text).unwrap_or_default();
            if come.pointer(at).and_then(Value::as_u64).unwrap_or(0) >= far_enough {
                return;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended too early: {}", self.said());
            assert!(begun.elapsed() < STEP_MAX, "it does not come so far: {}", self.said());
            thread::sleep(LOOK_EVERY);
        }
    }

    fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    fn start_server(&mut self) {
        self.server = Some(self.installation.start());
    }

    /// Runs a command of the program to its end.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let status = self.begin(arguments).wait().unwrap();
        let said = self.said();
        assert!(status.success(), "{arguments:?}: {status}: {said}");
        said
    }
}

fn end(mut child: Child) -> ExitStatus {
    child.kill().unwrap();
    child.wait().unwrap()
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

/// Imports the rows: the importer is killed, then the server, then both.
fn import_under_kills(site: &mut Site, people: u64) {
    let begun = Instant::now();
    let import = ["import", "customers.csv", "--map", "map.toml"];
    let resume = ["import", "customers.csv", "--map", "map.toml", "--resume"];
    let checkpoint = "customers.csv.checkpoint";

    let mut child = site.begin(&import);
    site.wait_for(&mut child, checkpoint, "/rows", people / 4);
    end(child);

    let mut child = site.begin(&resume);
    site.wait_for(&mut child, checkpoint, "/rows", people / 2);
    site.kill_server();
    let status = child.wait().unwrap();
    assert!(!status.success(), "the server was killed: {}", site.said());
    site.start_server();

    let mut child = site.begin(&resume);
    site.wait_for(&mut child, checkpoint, "/rows", people / 4 * 3);
    site.kill_server();
    end(child);
    site.start_server();

    let said = site.run(&resume);
    assert!(said.contains(&format!("{people} rows: ")), "{said}");
    assert!(said.contains("0 rejected"), "{said}");
    assert!(!site.folder.path().join(checkpoint).exists());
    figure("imported, with three kills", people, begun);
}

/// Exports the collection; the program is killed once on the way.
fn export_under_a_kill(site: &Site, people: u64) {
    let begun = Instant::now();
    // Pages so small that there is something to break off.
    let export = ["export", "customers", "--to", "out.ndjson", "--page", "100"];
    let mut child = site.begin(&export);
    site.wait_for(&mut child, "out.ndjson.checkpoint", "/summary/records", people / 3);
    end(child);
    site.run(&["export", "customers", "--to", "out.ndjson", "--resume"]);
    figure("exported, with a kill", people, begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_is_imported_under_kills_arrives_once_and_unchanged_on_another_server() {
    let people = people();
    let mut first = Site::make().await;
    let second = Site::make().await;
    let done = tokio::task::spawn_blocking(move || {
        write_rows(&first.folder.path().join("customers.csv"), people);
        import_under_kills(&mut first, people);
        let begun = Instant::now();
        let verify = ["import", "customers.csv", "--map", "map.toml", "--verify"];
        let said = first.run(&verify);
        assert!(said.contains(&format!("{people} there already")), "{said}");
        figure("looked up and compared row by row", people, begun);
        export_under_a_kill(&first, people);

        let moved = second.folder.path().join("in.ndjson");
        fs::copy(first.folder.path().join("out.ndjson"), &moved).unwrap();
        let begun = Instant::now();
        let said = second.run(&["import", "in.ndjson", "--exported", "customers"]);
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
