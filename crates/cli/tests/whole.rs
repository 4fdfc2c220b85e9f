//! An installation from `init` to a verified receipt, by the command line alone.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::process::Command;

use harness::{Place, Ran, Server, mode};

const PASSPHRASE: &str = "a passphrase of some length";

const CUSTOMERS: &str = r#"
name = "customers"
label = "Customers"
purposes = ["sales"]
subject = "own"

[[fields]]
name = "name"
type = "name"
category = "pd:Name"
required = true

[[fields]]
name = "phone"
type = "phone"

[[fields]]
name = "born"
type = "date"
mask = "hidden"
"#;

const ORDERS: &str = r#"{"name": "orders", "label": "Orders", "purposes": ["sales"],
    "subject": {"through": "customer"}, "fields": [
        {"name": "customer", "type": {"reference": "customers"}, "required": true},
        {"name": "total", "type": "decimal"}]}"#;

const CALLER: &str = r#"{"name": "caller", "label": "Caller", "terms": {"rules": [
    {"actions": ["read"], "collection": "customers", "view": "revealable"}]}}"#;

const SLIP: &str = r#"{"name": "slip", "label": "Slip", "terms": {"rules": [
    {"actions": ["read"], "collection": "customer", "view": "clear"},
    {"actions": ["read"], "collection": "customers", "fields": [{"field": "mail", "view": "clear"}],
        "rows": {"filter": [{"field": "born", "any_of": ["x"]}]}}]}}"#;

const CUSTOMERS_MAP: &str = r#"
collection = "customers"
external_id = "id"
null = ["NULL", ""]
source = "an export"
[fields]
name = "name"
phone = "phone"
born = { column = "born", take = "date" }
"#;

const ORDERS_MAP: &str = r#"
collection = "orders"
external_id = "{Customer}-{Number}"
[fields]
customer = { column = "Customer", reference = true }
total = { column = "Total", as = "decimal" }
"#;

struct Installation {
    place: Place,
    server: Server,
}

impl Installation {
    /// A server that a passphrase has unlocked.
    fn new() -> Self {
        let place = Place::new();
        place.write("passphrase", &format!("{PASSPHRASE}\n"));
        place
            .run("init --store redb:store --holder holder --passphrase-file passphrase --invitation-file invitation")
            .well();
        assert_eq!(mode(&place.path("invitation")), 0o600);
        let server =
            place.start("serve --store redb:store --holder holder --listen 127.0.0.1:0 --log json");
        let this = Self { place, server };
        assert_eq!(this.public("status").well().json()["locked"], true);
        this.public("login --token-file operator --invitation-file invitation").fails(6, "locked");
        assert!(!this.place.path("operator").exists());
        this.unlock("a passphrase of another length").fails(3, "wrong_key");
        assert_eq!(this.unlock(PASSPHRASE).well().json()["locked"], false);
        this.public("login --token-file operator --invitation-file invitation").well();
        assert_eq!(mode(&this.place.path("operator")), 0o600);
        this
    }

    fn unlock(&self, passphrase: &str) -> Ran {
        let command = format!("unlock --passphrase-stdin --server {}", self.server.address());
        self.place.run_with(&command, passphrase)
    }

    fn public(&self, command: &str) -> Ran {
        self.place.run(&format!("{command} --server {}", self.server.address()))
    }

    /// Runs a command with the token in this file.
    fn by(&self, who: &str, command: &str) -> Ran {
        self.public(&format!("{command} --token-file {who}"))
    }

    fn by_with(&self, who: &str, command: &str, input: &str) -> Ran {
        let command = format!("{command} --server {} --token-file {who}", self.server.address());
        self.place.run_with(&command, input)
    }

    fn invite(&self, who: &str) {
        let command =
            format!("users invite --name {who} --class {who} --secret-file {who}.invitation");
        let shown = self.by("owner", &command).well();
        assert!(!shown.out.contains("sri_") && !shown.out.contains("\"token\""), "{}", shown.out);
        self.public(&format!("login --invitation-file {who}.invitation --token-file {who}")).well();
    }

    /// A tenant with an owner, a manager and a clerk, and two collections.
    fn tenant(&self) {
        let command = "tenants create --name Sample --owner-name Olive --owner-email o@example.org";
        let made = self.by("operator", command).well();
        assert!(made.err.contains("shown this once"), "{}", made.err);
        let json = made.json();
        let token = json["invitation"]["token"].as_str().unwrap();
        let login = format!("login --token-file owner --server {}", self.server.address());
        self.place.run_with(&login, token).well();
        self.place.run_with(&login, token).fails(1, "exists");
        let again = login.replace("owner", "owner-again");
        self.place.run_with(&again, token).fails(3, "the invitation is unknown, has been used");
        assert!(!self.place.path("owner-again").exists());
        self.invite("manager");
        self.invite("clerk");
        self.place.write("customers.toml", CUSTOMERS);
        self.by("owner", "collections create --file customers.toml").well();
        self.by_with("owner", "collections create --file -", ORDERS).well();
    }
}

#[test]
fn from_init_to_a_verified_receipt() {
    let this = Installation::new();
    this.tenant();
    let place = &this.place;

    // Two rows are bad; the others are imported, and again is harmless.
    place.write("customers.map", CUSTOMERS_MAP);
    place.write(
        "people.csv",
        "id,name,phone,born\nA,Ada Canary,+49 30 901820,1815-12-10 00:00:00\nB,Bo Berg,NULL,NULL\n\
         C,,+49 30 1,NULL\nD,Di Dorn,no phone,NULL\nE,Ed\nF,Fe Finch,+49 30 901821,2001-01-31\n",
    );
    let import = "import people.csv --map customers.map";
    let dry = place.run(&format!("{import} --dry-run --server http://127.0.0.1:1"));
    dry.fails(7, "6 rows, 1 would be rejected");
    let ran = this.by("manager", import).fails(7, "6 rows: 3 created, 0 there already, 3 rejected");
    assert_eq!(ran.out, "");
    let rejects = std::fs::read_to_string(place.path("people.csv.rejects.ndjson")).unwrap();
    for line in ["\"line\":4", "\"line\":5", "\"line\":6"] {
        assert!(rejects.contains(line), "{rejects}");
    }
    assert!(rejects.contains("/fields/phone") && !rejects.contains("no phone"), "{rejects}");
    assert_eq!(mode(&place.path("people.csv.rejects.ndjson")), 0o600);
    this.by("manager", import).fails(7, "0 created, 3 there already, 3 rejected");
    let elsewhere = format!("{import} --rejects elsewhere --keep-rows");
    this.by("manager", &elsewhere).fails(7, "see `elsewhere`");
    assert_eq!(mode(&place.path("elsewhere")), 0o600);
    assert!(std::fs::read_to_string(place.path("elsewhere")).unwrap().contains("no phone"));

    place.write("orders.map", ORDERS_MAP);
    place.write(
        "orders.ndjson",
        "{\"Customer\":\"A\",\"Number\":1,\"Total\":12.50}\n{\"Customer\":\"B\",\"Number\":2,\"Total\":7}\n\
         {\"Customer\":\"nobody\",\"Number\":3,\"Total\":1}\n",
    );
    this.by("manager", "import orders.ndjson --map orders.map").fails(7, "2 created");

    // One record through two classes.
    let lookup = "records lookup customers --external-id A";
    let clear = this.by("manager", lookup).well().json();
    assert_eq!(clear["fields"]["name"], "Ada Canary");
    assert_eq!(clear["fields"]["born"], "1815-12-10");
    let masked = this.by("clerk", lookup).well();
    assert!(!masked.out.contains("Canary") && !masked.out.contains("1815"), "{}", masked.out);
    assert_eq!(masked.json()["masked"]["name"], "A. C.");
    let table = this.by("manager", &format!("{lookup} --output table")).well();
    assert!(table.out.contains("fields.name") && table.out.contains("Ada Canary"), "{}", table.out);
    let named = this.by("manager", &format!("{lookup} --fields born")).well();
    assert!(named.out.contains("1815-12-10") && !named.out.contains("Canary"), "{}", named.out);
    this.by("owner", "classes create --file caller.json").fails(1, "caller.json");
    place.write("caller.json", CALLER);
    let made = this.by("owner", "classes create --file caller.json").well();
    assert!(!made.err.contains("warning"), "{}", made.err);
    // What a rule names and the tenant does not have is said: it would just show nothing.
    place.write("slip.json", SLIP);
    let made = this.by("owner", "classes create --file slip.json").well();
    for said in ["collection `customer`", "field `mail` in `customers`", "`born` in `customers`"] {
        assert!(made.err.contains(said), "{}", made.err);
    }
    // The same file serves for replacing it.
    this.by("owner", "classes replace slip --file slip.json --if-version 1").well();
    let other = "classes replace caller --file slip.json --if-version 1";
    this.by("owner", other).fails(2, "`slip`");
    this.by("owner", "classes delete slip --any-version").well();
    this.invite("caller");
    let hidden = this.by("caller", lookup).well();
    assert!(!hidden.out.contains("+49 30 901820"), "{}", hidden.out);
    let revealed = this.by("caller", &format!("{lookup} --reveal phone")).well().json();
    assert_eq!(revealed["fields"]["phone"], "+49 30 901820");

    // Changes against a version.
    let record = clear["id"].as_str().unwrap();
    let patch = format!("records patch customers {record} --if-version {}", clear["version"]);
    let change = r#"{"fields": {"phone": "+49 30 901899"}}"#;
    let changed = this.by_with("manager", &patch, change).well().json();
    assert_eq!(changed["fields"]["phone"], "+49 30 901899");
    this.by_with("manager", &patch, change).fails(5, "version_stale");
    this.by_with("manager", &patch, "{\"fields\": {\"phone\": \"+49\n").fails(1, "is not JSON");
    let wrong = this
        .by_with("manager", &patch, r#"{"fields": {}, "canary": 1}"#)
        .fails(1, "an unknown member; known here: `fields`, `assignees`, `correction`");
    assert!(!wrong.err.contains("canary"), "{}", wrong.err);
    for (body, said) in [
        (r#"{"external_id": "X"}"#, "missing member `fields`"),
        (r#"{"fields": "canary"}"#, "expected a map"),
        (r#"{"fields": {}, "purposes": ["can ary"]}"#, "is not what this command takes"),
    ] {
        let wrong = this.by_with("manager", "records create customers", body).fails(1, said);
        assert!(!wrong.err.contains("can"), "{}", wrong.err);
    }

    // What one may not do.
    let subject = clear["subject"].as_str().unwrap();
    let erase = format!("erasures create --subject {subject} --ground subject-request");
    this.by("clerk", &format!("{erase} --dry-run")).fails(3, "who may `erase`");
    this.by("owner", &erase).fails(2, "--yes");
    this.by("owner", &format!("{erase} --yes")).fails(2, "--reason");
    let foreseen = this.by("owner", &format!("{erase} --dry-run")).well().json();
    assert_eq!(foreseen["would_erase"]["records"], 2);

    // Erased, with a receipt that verifies without the server.
    let erasure = this.by("owner", &format!("{erase} --yes --reason asked")).well().json();
    assert_eq!(erasure["state"], "erased");
    this.by("manager", lookup).fails(4, "strongroom whoami");
    let receipt = erasure["receipt"].as_str().unwrap();
    this.by("owner", &format!("{erase} --yes --reason asked")).fails(4, receipt);
    let armored = this.by("owner", &format!("receipts show {receipt} --armored")).well().out;
    let key = this.public("receipts key").well().json();
    place.write("key", key["public_key"].as_str().unwrap());
    place.write("receipt", &armored);
    let verify = "receipts verify receipt --public-key-file key";
    let verified = place.run(verify).well();
    assert_eq!(verified.json()["scope"]["subject"], subject);
    place.write("receipt", &armored.replacen('A', "B", 1));
    place.run(verify).fails(8, "");
    let other = place.run_with(
        "receipts verify - --public-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        &armored,
    );
    assert_eq!(other.exit, 8, "{}", other.err);

    // Lists, keys, the log; then the door is closed.
    let page = this.by("manager", "records list customers --limit 1 --output table").well();
    assert!(page.err.contains("--cursor "), "{}", page.err);
    let made =
        this.by("owner", "api-keys create --label web --class clerk --secret-file web").well();
    assert!(!made.out.contains("srk_"), "{}", made.out);
    this.by("web", "records list orders").well();
    let id = made.json()["id"].as_str().unwrap().to_owned();
    this.by("owner", &format!("api-keys revoke {id}")).well();
    this.by("web", "records list orders").fails(3, "unauthenticated");
    let log = this.by("owner", "audit list --limit 1000").well();
    assert!(log.out.contains("erasure") && !log.out.contains("Canary"), "{}", log.out);
    this.by("owner", "lock").fails(4, "not_found");
    this.by("operator", "lock").well();
    this.by("manager", "records list customers").fails(6, "strongroom unlock");
    let (exit, said) = this.server.stop("TERM");
    assert_eq!(exit, 0);
    assert!(
        !said.contains("Canary") && !said.contains("901820") && said.contains("\"route\""),
        "{said}"
    );
}

#[test]
fn a_tenant_s_owner_is_invited_again_and_recovered_by_no_operator_of_the_first_day() {
    let here = Installation::new();
    let command = "tenants create --name Sample --owner-name Olive --owner-email o@example.org";
    let made = here.by("operator", &format!("{command} --secret-file first")).well().json();
    let id = made["id"].as_str().unwrap();
    let shown = here.by("operator", &format!("tenants show {id}")).well().json();
    assert_eq!(shown["state"], "invited");
    let start = format!("recovery start {id} --because nobody-answers");
    here.by("operator", &start).fails(5, "wrong_state");

    let again = |file: &str| format!("tenants invite-owner {id} --secret-file {file}");
    let renewed = here.by("operator", &again("second")).well();
    assert!(!renewed.out.contains("sri_"), "{}", renewed.out);
    let login = |file: &str| format!("login --token-file owner --invitation-file {file}");
    here.public(&login("first")).fails(3, "the invitation is unknown, has been used");
    here.public(&login("second")).well();
    here.by("operator", &again("third")).fails(5, "wrong_state");
    assert!(!here.place.path("third").exists());

    // Somebody else has let the operator in, a moment ago: `init`.
    here.by("operator", &start).fails(5, "operator_too_new");
    here.by("owner", &start).fails(4, "not_found");
    let user = here.by("operator", "whoami").well().json()["user"].clone();
    let user = format!("users show {}", user.as_str().unwrap());
    assert!(here.by("operator", &user).well().json()["let_in_at"].is_string());

    for verb in ["show", "stop", "approve --if-version 1", "redeem --owner-name Nora"] {
        let (verb, rest) = verb.split_once(' ').unwrap_or((verb, ""));
        here.by("operator", &format!("recovery {verb} {id} {rest}")).fails(4, "not_found");
    }
    here.by("operator", &format!("recovery approve {id}")).fails(2, "--if-version");
    here.by("operator", "recovery show").fails(2, "name the tenant");
    here.by("owner", "recovery show").fails(4, "not_found");
    here.by("owner", "recovery stop").fails(4, "not_found");
    let warned = here.by("owner", "whoami").well();
    assert!(!warned.err.contains("warning"), "{}", warned.err);
}

/// A key file as the tool of age makes it, and a file with its recipient.
fn age_keys(place: &Place, name: &str) {
    let key = place.path(&format!("{name}.txt"));
    let mut keygen = Command::new("age-keygen");
    let made = keygen.arg("-o").arg(&key).output().expect("`age` is installed");
    assert!(made.status.success());
    let recipient = Command::new("age-keygen").arg("-y").arg(&key).output().unwrap();
    let recipient = String::from_utf8(recipient.stdout).unwrap();
    place.write(&format!("{name}.recipients"), &format!("# {name}\n\n{recipient}"));
}

#[test]
fn an_archive_goes_from_one_tenant_to_another() {
    let this = Installation::new();
    this.tenant();
    let place = &this.place;
    let customer =
        r#"{"external_id": "C-1", "fields": {"name": "Ana", "phone": "+34 555 010 893"}}"#;
    this.by_with("owner", "records create customers --file -", customer).well();
    let order = r#"{"external_id": "O-1", "fields": {"customer": {"external_id": "C-1"}, "total": "1.50"}}"#;
    this.by_with("owner", "records create orders --file -", order).well();
    age_keys(place, "key");
    age_keys(place, "other");

    this.by("owner", "export --archive --to all.age").fails(2, "--recipient");
    this.by("owner", "export --to all.age").fails(2, "COLLECTION");
    this.by("owner", "export customers orders --to all.ndjson").fails(2, "one collection");
    this.by("owner", "export customers --recipient age1x --to c.ndjson").fails(2, "--archive");
    this.by("owner", "export --archive --recipient age1qqqq --to all.age").fails(1, "age1");
    this.by("clerk", "export --archive --recipients-file key.recipients --to all.age")
        .fails(3, "no_rule");
    assert!(!place.path("all.age").exists() && !place.path("all.age.part").exists());
    let export = "export --archive --recipients-file key.recipients --to all.age";
    this.by("owner", export).well();
    assert_eq!(mode(&place.path("all.age")), 0o600);
    assert!(!place.path("all.age.part").exists());
    this.by("owner", export).fails(1, "exists and is not overwritten");
    let some = "export --archive customers --recipients-file key.recipients --to some.age";
    this.by("owner", some).well();

    let shown = place.run("archive verify all.age --identity key.txt").well();
    assert_eq!(shown.json()["records"], 2);
    assert_eq!(shown.json()["collections"]["orders"], 1);
    let shown = place.run("archive verify some.age --identity key.txt").well();
    assert_eq!(shown.json()["records"], 1);
    place
        .run("archive verify all.age --identity other.txt")
        .fails(8, "not sealed for this identity");
    place.run("archive verify key.txt --identity key.txt").fails(8, "no file of age");
    let whole = std::fs::read(place.path("all.age")).unwrap();
    std::fs::write(place.path("cut.age"), &whole[..whole.len() - 1]).unwrap();
    place.run("archive verify cut.age --identity key.txt").fails(8, "damaged or cut off");
    place.write("sealed.txt", "age-encryption.org/v1\n-> scrypt AAAA 18\n");
    place.run("archive verify all.age --identity sealed.txt").fails(1, "sealed with a passphrase");
    place.write("wrong.txt", "# a key\nAGE-SECRET-KEY-1WRONG\n");
    let wrong = place.run("archive verify all.age --identity wrong.txt").fails(1, "line 2");
    assert!(!wrong.err.contains("WRONG"), "{}", wrong.err);

    let command = "tenants create --name Other --owner-name Omar --owner-email o@example.net";
    let made = this.by("operator", command).well().json();
    let token = made["invitation"]["token"].as_str().unwrap().to_owned();
    let login = format!("login --token-file omar --server {}", this.server.address());
    place.run_with(&login, &token).well();
    let import = "import all.age --archive --identity key.txt --verify";
    this.by("omar", "import all.age --archive").fails(2, "--identity");
    this.by("omar", "import all.age --identity key.txt").fails(2, "--archive");
    this.by("omar", import).fails(4, "not_found");
    this.by("omar", "import cut.age --archive --identity key.txt --create-collections")
        .fails(8, "damaged or cut off");
    assert_eq!(this.by("omar", "collections list").well().json()["data"], serde_json::json!([]));
    let made = this.by("omar", &format!("{import} --create-collections")).well();
    assert!(made.err.contains("customers, made: 1 records: 1 created"), "{}", made.err);
    assert!(made.err.contains("orders, verified: 1 are there"), "{}", made.err);
    let again = this.by("omar", &format!("{import} --collections orders")).well();
    assert!(again.err.contains("orders: 1 records: 0 created, 1 there already"), "{}", again.err);
    assert!(!again.err.contains("customers"), "{}", again.err);
    let found = this.by("omar", "records lookup orders --external-id O-1").well().json();
    assert_eq!(found["fields"]["total"], "1.50");
}
