//! An installation whose store is a PostgreSQL database, from `init` to a verified receipt.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;
#[path = "harness/postgres.rs"]
mod postgres;

use harness::{Place, Ran, Server};
use postgres::Cluster;

/// The password of the role; it must be seen nowhere.
const PASSWORD: &str = "hidden-4711";

const CUSTOMERS: &str = r#"{"name": "customers", "label": "Customers", "purposes": ["sales"],
    "subject": "own", "fields": [{"name": "name", "type": "name", "required": true}]}"#;

struct World {
    cluster: Cluster,
    place: Place,
    store: String,
}

impl World {
    fn new() -> Self {
        let cluster = Cluster::start_durable();
        cluster.query(
            "postgres",
            &format!(
                "create role vault login password '{PASSWORD}'; create database vault owner vault;"
            ),
        );
        // Whoever comes by the socket as this role is asked for the password.
        let rules = "local vault vault scram-sha-256\nlocal all tester trust\n";
        std::fs::write(cluster.data().join("pg_hba.conf"), rules).unwrap();
        cluster.query("postgres", "select pg_reload_conf();");
        let place = Place::new();
        place.write("password", &format!("{PASSWORD}\n"));
        let store = cluster.url("vault").replace("tester@", "vault@");
        let store = format!("{store}?password_file={}", place.path("password").display());
        Self { cluster, place, store }
    }

    fn init(&self) {
        let init = format!(
            "init --store {} --holder holder --seal-key-file seal-key --invitation-file invitation",
            self.store
        );
        let ran = self.place.run(&init).well();
        assert!(ran.err.contains("serve --store 'postgres://vault@"), "{}", ran.err);
    }

    fn serve(&self) -> Server {
        self.place.start(&self.serving())
    }

    /// The database as statements, with the server stopped.
    fn dumped(&self) -> String {
        let mut command = std::process::Command::new("pg_dump");
        command.envs(self.cluster.variables()).env("PGDATABASE", "vault");
        harness::finish(&mut command, "").well().out
    }

    /// Puts such statements back, as somebody does who has nothing else.
    fn put_back(&self, dumped: &str) {
        self.cluster.query("vault", "drop schema strongroom cascade;");
        self.cluster.query("vault", dumped);
    }

    /// Runs a command on the store, whose server does not run.
    fn at_rest(&self, command: &str) -> Ran {
        let store = &self.store;
        self.place
            .run(&format!("{command} --store {store} --holder holder --seal-key-file seal-key"))
    }

    fn serving(&self) -> String {
        format!(
            "serve --store {} --holder holder --seal-key-file seal-key --listen 127.0.0.1:0",
            self.store
        )
    }
}

fn at(place: &Place, server: &Server, command: &str) -> Ran {
    place.run(&format!("{command} --server {}", server.address()))
}

#[test]
fn a_first_tenant_s_record_is_erased_with_a_receipt_in_a_database() {
    let world = World::new();
    let place = &world.place;
    world.init();
    let server = world.serve();
    at(place, &server, "login --invitation-file invitation --token-file operator").well();
    let tenant = "tenants create --name Shop --owner-name Olive --owner-email o@example.org";
    at(place, &server, &format!("{tenant} --secret-file owner.invitation --token-file operator"))
        .well();
    at(place, &server, "login --invitation-file owner.invitation --token-file owner").well();
    place.write("customers.json", CUSTOMERS);
    at(place, &server, "collections create --file customers.json --token-file owner").well();
    place.write("record.json", r#"{"external_id": "A", "fields": {"name": "Ada Canary"}}"#);
    at(place, &server, "records create customers --file record.json --token-file owner").well();

    // Nobody else uses the database meanwhile, and doctor says whom it belongs to.
    let second = place.run(&world.serving()).fails(1, "another server uses the store");
    assert!(!second.err.contains(PASSWORD), "{}", second.err);
    let settings = format!("--store {} --holder holder --seal-key-file seal-key", world.store);
    let looked = place.run(&format!("doctor {settings}"));
    assert!(looked.out.contains("in use by a running server"), "{} {}", looked.out, looked.err);

    // A server that is killed leaves everything to the next one.
    server.end("KILL");
    let server = world.serve();
    let found = at(place, &server, "records lookup customers --external-id A --token-file owner");
    let found = found.well().json();
    assert_eq!(found["fields"]["name"], "Ada Canary");
    let erase = format!(
        "erasures create --subject {} --ground subject-request --yes --reason asked",
        found["subject"].as_str().unwrap()
    );
    let erasure = at(place, &server, &format!("{erase} --token-file owner")).well().json();
    assert_eq!(erasure["state"], "erased");
    at(place, &server, "records lookup customers --external-id A --token-file owner").fails(4, "");
    let receipt = format!("receipts show {} --armored", erasure["receipt"].as_str().unwrap());
    let receipt = at(place, &server, &format!("{receipt} --token-file owner")).well().out;
    place.write("receipt", &receipt);
    let key = at(place, &server, "receipts key").well().json();
    place.write("key", key["public_key"].as_str().unwrap());
    place.run("receipts verify receipt --public-key-file key").well();
    let log = at(place, &server, "audit list --limit 1000 --token-file owner").well();
    assert!(log.out.contains("erasure") && !log.out.contains("Canary"), "{}", log.out);
    let (exit, said) = server.stop("TERM");
    assert_eq!(exit, 0);
    assert!(!said.contains(PASSWORD) && !said.contains("Canary"), "{said}");

    // What stands in the database is sealed.
    let dumped = world.cluster.query(
        "vault",
        "select count(*) from strongroom.rows where position('Canary'::bytea in value) > 0;",
    );
    assert_eq!(dumped, "0");
    let counted = world.cluster.query("vault", "select count(*) > 10 from strongroom.lines;");
    assert_eq!(counted, "t", "the lines stand in the database");
}

#[test]
fn a_dump_that_is_put_back_is_an_older_copy_and_a_backup_brings_back_what_its_keys_open() {
    let world = World::new();
    let place = &world.place;
    world.init();
    std::fs::create_dir(place.path("backups")).unwrap();
    let serving = format!("{} --backup-place nightly=backups", world.serving());
    let server = place.start(&serving);
    at(place, &server, "login --invitation-file invitation --token-file operator").well();
    let tenant = "tenants create --name Shop --owner-name Olive --owner-email o@example.org";
    at(place, &server, &format!("{tenant} --secret-file owner.invitation --token-file operator"))
        .well();
    at(place, &server, "login --invitation-file owner.invitation --token-file owner").well();
    place.write("customers.json", CUSTOMERS);
    at(place, &server, "collections create --file customers.json --token-file owner").well();
    let create = |server: &Server, id: &str| {
        let record = format!(r#"{{"external_id": "{id}", "fields": {{"name": "{id} Canary"}}}}"#);
        place.write("record.json", &record);
        let create = "records create customers --file record.json --token-file owner";
        at(place, server, create).well();
    };
    let find = |server: &Server, id: &str| {
        let lookup = format!("records lookup customers --external-id {id} --token-file owner");
        at(place, server, &lookup)
    };
    create(&server, "A");
    assert_eq!(server.stop("TERM").0, 0);
    world.at_rest("verify").well();
    let dumped = world.dumped();

    let server = place.start(&serving);
    create(&server, "B");
    let record = find(&server, "A").json()["id"].as_str().unwrap().to_owned();
    place.write("change.json", r#"{"fields": {"name": "A changed"}}"#);
    let change = format!("records patch customers {record} --file change.json --any-version");
    at(place, &server, &format!("{change} --token-file owner")).well();
    let backup = at(place, &server, "backup --to nightly --token-file operator").well().json();
    let backup = format!("backups/{}", backup["backup"]["name"].as_str().unwrap());
    assert_eq!(server.stop("TERM").0, 0);
    let drill = world.at_rest(&format!("restore --from {backup} --drill")).well().json();
    assert_eq!((&drill["records"]["rows"], &drill["records"]["opened"]), (&2.into(), &2.into()));

    // The dump is older than what the head beside the holder has seen.
    world.put_back(&dumped);
    place.run(&serving).fails(8, "the store is an older copy");
    world.at_rest("verify").fails(8, "");
    let looked = world.at_rest("doctor");
    assert!(looked.out.contains("the store is an older copy"), "{}", looked.out);
    let accepted = world.at_rest("accept-older-store --yes").well();
    assert!(accepted.err.contains("accepted"), "{}", accepted.err);
    world.at_rest("verify").well();
    let server = place.start(&serving);
    find(&server, "A").well();
    find(&server, "B").fails(4, "");
    assert_eq!(server.stop("TERM").0, 0);

    // What came after it is in the backup. The keys of B, who was made after the dump, are not in it.
    let restored = world.at_rest(&format!("restore --from {backup} --yes"));
    let restored = restored.fails(7, "cannot be opened").json();
    let records = &restored["records"];
    assert_eq!((&records["repaired"], &records["unreadable"]), (&1.into(), &1.into()), "{records}");
    world.at_rest("verify").well();
    let server = place.start(&serving);
    assert_eq!(find(&server, "A").well().json()["fields"]["name"], "A changed");
    find(&server, "B").fails(4, "");

    // A dump from before an erasure has no keys any more: neither it nor the backup brings A back.
    let subject = find(&server, "A").json()["subject"].as_str().unwrap().to_owned();
    assert_eq!(server.stop("TERM").0, 0);
    let dumped = world.dumped();
    let server = place.start(&serving);
    let erase =
        format!("erasures create --subject {subject} --ground subject-request --yes --reason x");
    at(place, &server, &format!("{erase} --token-file owner")).well();
    assert_eq!(server.stop("TERM").0, 0);
    let newest = world.dumped();
    world.put_back(&dumped);
    place.run(&serving).fails(8, "the store is an older copy");
    world.at_rest("accept-older-store --yes").fails(1, "cannot be accepted");
    world.put_back(&newest);
    let restored = world.at_rest(&format!("restore --from {backup} --yes")).fails(7, "").json();
    assert_eq!(restored["subjects"]["erased_since"], 1, "{restored}");
    world.at_rest("verify").well();
    let server = place.start(&serving);
    find(&server, "A").fails(4, "");
    assert_eq!(server.stop("TERM").0, 0);
}

#[test]
fn a_store_in_a_database_is_refused_clearly_and_its_password_is_never_shown() {
    let world = World::new();
    let place = &world.place;
    let with_password =
        world.store.split_once('?').unwrap().0.replace("vault@", &format!("vault:{PASSWORD}@"));
    let holder = "--holder holder --seal-key-file seal-key";
    let shown = |ran: Ran| {
        assert!(
            !ran.err.contains(PASSWORD) && !ran.out.contains(PASSWORD),
            "{} {}",
            ran.out,
            ran.err
        );
        ran
    };
    let serve = format!("serve --store {with_password} {holder}");
    place.write("seal-key", "");
    std::fs::remove_file(place.path("seal-key")).unwrap();
    let init = format!("init --store {with_password} --seal-key-file seal-key");
    shown(place.run(&init)).fails(2, "name a file with `--holder`");
    let wrong = with_password.replace("postgres://", "postgres:/");
    shown(place.run(&format!("init --store {wrong} {holder}"))).fails(2, "is not understood");
    let wrong = world.store.split_once('?').unwrap().0.replace("vault@", "vault:wrong@");
    shown(place.run(&format!("init --store {wrong} {holder}"))).fails(1, "password file");

    // By the environment, where it may have the password; what is shown of it has none.
    let mut command = place.command(&format!("init {holder} --invitation-file invitation"));
    shown(harness::finish(command.env("STRONGROOM_STORE", &with_password), "")).well();
    for help in
        ["serve --help", "init --help", "config show", "config show --origin", "config check"]
    {
        let mut command = place.command(help);
        shown(harness::finish(command.env("STRONGROOM_STORE", &with_password), ""));
    }
    shown(
        place
            .run(&format!("init --store {with_password} --holder other --seal-key-file other-key")),
    )
    .fails(1, "a store is in it already");
    let mut command = place.command(&format!("{serve} --listen 127.0.0.1:0"));
    let server = Server::start(&mut command, "listening on ");
    let (exit, said) = server.stop("TERM");
    assert_eq!((exit, said.contains(PASSWORD)), (0, false), "{said}");
    let looked = shown(place.run(&format!("doctor --store {with_password} {holder}")));
    assert!(looked.out.contains("opens"), "{} {}", looked.out, looked.err);
}

#[test]
fn the_demonstration_runs_over_a_database() {
    let world = World::new();
    let mut command =
        world.place.command(&format!("demo --keep kept --port 0 --store {}", world.store));
    let server = Server::start(&mut command, "serving until Ctrl-C");
    let counted = world.cluster.query("vault", "select count(*) > 50 from strongroom.rows;");
    assert_eq!(counted, "t");
    let (exit, _) = server.stop("INT");
    assert_eq!(exit, 0);
}
