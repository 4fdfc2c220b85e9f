//! The command line at its edges: exit codes, refusals, and what is never done.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use harness::{Place, mode};

#[test]
fn the_version_is_data() {
    let ran = Place::new().run("version").well();
    assert_eq!(ran.out, format!("strongroom {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ran.err, "");
}

#[test]
fn wrong_usage_ends_with_two() {
    let place = Place::new();
    for wrong in [
        "",
        "no-such-command",
        "records read customers",
        "records read customers usr_00000000000000000000000001",
        "records read Customers rec_00000000000000000000000001",
        "records patch customers rec_00000000000000000000000001",
        "records patch customers rec_00000000000000000000000001 --if-version 1 --any-version",
        "whoami --output xml",
        "whoami --token srs_secret",
        "unlock --passphrase secret",
        "erasures create --ground subject_request",
        "erasures create --ground subject-request --whole-tenant --collection orders",
        "erasures create --whole-tenant",
        "classes create",
        "classes create --name clerk",
        "init --store rocks:here",
        "init --store memory: --seal-key-file key",
        "init --seal-key-file key",
        "init --store redb:here --seal-key-file key --passphrase-stdin",
        "serve",
        "api-keys create --label x --class y --days 0",
    ] {
        let ran = place.run(wrong);
        assert_eq!(ran.exit, 2, "{wrong}: {}", ran.err);
        assert_eq!(ran.out, "", "{wrong}");
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0, "nothing was made");
}

#[test]
fn the_configuration_file_comes_after_the_environment_and_after_flags() {
    let place = Place::new();
    place.write("strongroom.toml", "server = \"http://127.0.0.1:1\"\n");
    place.run("status").fails(6, "127.0.0.1:1:");
    let mut command = place.command("status");
    let ran = harness::finish(command.env("STRONGROOM_SERVER", "http://127.0.0.1:2"), "");
    ran.fails(6, "127.0.0.1:2:");
    let mut command = place.command("status --server http://127.0.0.1:3");
    let ran = harness::finish(command.env("STRONGROOM_SERVER", "http://127.0.0.1:2"), "");
    ran.fails(6, "127.0.0.1:3:");

    place.write("strongroom.toml", "sever = \"http://127.0.0.1:1\"\n");
    place.run("status").fails(2, "unknown field `sever`");
    place.run("status --config elsewhere.toml").fails(1, "elsewhere.toml");
}

#[test]
fn a_token_does_not_go_to_another_machine_in_the_clear() {
    let place = Place::new();
    place.write("token", "srs_secret\n");
    for server in [
        "http://192.0.2.1:7800",
        "https://a@127.0.0.1:7800",
        "127.0.0.1:7800",
        "http://a@127.0.0.1",
    ] {
        let ran = place.run(&format!("whoami --server {server} --token-file token"));
        assert_eq!(ran.exit, 2, "{server}: {}", ran.err);
        assert!(!ran.err.contains("srs_secret"));
    }
}

#[test]
fn without_a_token_or_a_server_the_exit_code_says_so() {
    let place = Place::new();
    place.run("whoami").fails(3, "--token-file");
    place.write("token", "srs_secret\n");
    place
        .run("whoami --token-file token --server http://127.0.0.1:1")
        .fails(6, "cannot be reached");
    place.run("whoami --token-file nowhere").fails(1, "nowhere");
    place.write("empty", "");
    place.run("whoami --token-file empty").fails(1, "no secret");
    place.write("long", &"x".repeat(5000));
    place.run("whoami --token-file long").fails(1, "no secret");
    place.write("control", "srs\u{7}secret");
    place.run("whoami --token-file control").fails(1, "characters that no token has");
}

#[test]
fn init_makes_what_is_not_there_and_refuses_what_is() {
    let place = Place::new();
    let ran = place.run("init --store redb:store --seal-key-file key").well();
    assert!(ran.out.starts_with("sri_") && ran.out.lines().count() == 1, "{}", ran.out);
    assert!(ran.err.contains("keep the holder elsewhere"), "{}", ran.err);
    assert_eq!((mode(&place.path("key")), mode(&place.path("store/holder"))), (0o600, 0o600));
    let key = std::fs::read(place.path("key")).unwrap();

    place.run("init --store redb:store --holder h2 --seal-key-file key2").fails(1, "not empty");
    place.run("init --store redb:store2 --seal-key-file key").fails(1, "exists");
    place.write("taken", "");
    place.run("init --store redb:store2 --holder taken --seal-key-file key2").fails(1, "exists");
    place
        .run("init --store redb:store2 --invitation-file taken --seal-key-file key2")
        .fails(1, "exists");
    assert_eq!(std::fs::read(place.path("key")).unwrap(), key);
    for gone in ["store2", "key2", "h2"] {
        assert!(!place.path(gone).exists(), "{gone}");
    }
}

#[test]
fn init_takes_back_what_it_has_made_when_a_later_step_fails() {
    let place = Place::new();
    place
        .run("init --store redb:store --holder nowhere/holder --seal-key-file key")
        .fails(1, "nowhere");
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0);
}

#[test]
fn a_short_passphrase_seals_nothing() {
    let place = Place::new();
    place.run_with("init --store redb:store --passphrase-stdin", "elevenchars\n").fails(1, "12");
    place.run("init --store redb:store").fails(2, "--passphrase-stdin");
    place.run("init --store redb:store --passphrase-file nowhere").fails(1, "nowhere");
    assert!(!place.path("store").exists());
}

#[test]
fn serve_says_what_is_wrong_in_one_line() {
    let place = Place::new();
    place.run("serve --store redb:store").fails(1, "run `strongroom init`");
    place.run("init --store redb:store --seal-key-file key").well();
    place.run("serve --store redb:store --listen 0.0.0.0:0").fails(2, "--behind-proxy");
    place.run("serve --store redb:store --seal-key-file nowhere").fails(1, "nowhere");
    place.write("wrong", "strongroom-seal-key-1-00\n");
    place.run("serve --store redb:store --seal-key-file wrong").fails(1, "seal key");

    place.run("init --store redb:other --seal-key-file other-key").well();
    place
        .run("serve --store redb:store --seal-key-file other-key --listen 127.0.0.1:0")
        .fails(3, "does not open the root secret");
    place
        .run("serve --store redb:store --holder other/holder --listen 127.0.0.1:0")
        .fails(1, "another installation");
    place
        .run("serve --store redb:store --holder key --listen 127.0.0.1:0")
        .fails(1, "not a holder file");

    let server = place.start("serve --store redb:store --listen 127.0.0.1:0");
    assert!(server.ready.trim().ends_with(", locked"), "{}", server.ready);
    place.run("serve --store redb:store --listen 127.0.0.1:0").fails(1, "in use");
    let taken = server.address().trim_start_matches("http://").to_owned();
    place
        .run(&format!("serve --store redb:other --seal-key-file other-key --listen {taken}"))
        .fails(1, "cannot listen");
    assert_eq!(server.stop("INT").0, 0);
}

#[test]
fn unlocking_without_the_holder_says_so_at_once() {
    let place = Place::new();
    place.run("init --store redb:store --holder holder --seal-key-file key").well();
    let server = place.start("serve --store redb:store --holder holder --listen 127.0.0.1:0");
    std::fs::rename(place.path("holder"), place.path("gone")).unwrap();
    let unlock = format!("unlock --seal-key-file key --server {}", server.address());
    // The server says `Retry-After`; a person would wait for minutes and not know for what.
    let mut command = place.command(&unlock);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let ended = child.try_wait().unwrap();
    let _ = child.kill();
    assert_eq!(ended.and_then(|ended| ended.code()), Some(6), "it waits");
    place.run(&unlock).fails(6, "the holder's medium");
    std::fs::rename(place.path("gone"), place.path("holder")).unwrap();
    place.run(&unlock).well();
    assert_eq!(server.stop("INT").0, 0);
}

#[test]
fn rejects_have_a_place_before_anything_is_sent() {
    let place = Place::new();
    place.write("token", "srs_secret");
    place
        .write("map", "collection = \"people\"\nexternal_id = \"id\"\n[fields]\nname = \"name\"\n");
    place.write("people.csv", "id,name\nA,Ada\n");
    // Nobody listens there: whatever is sent ends with 6.
    let import = "import people.csv --map map --token-file token --server http://127.0.0.1:1";
    place.run(import).fails(6, "");
    place.run(&format!("{import} --rejects nowhere/rejects")).fails(1, "nothing was sent");
    // What is there is never overwritten, least of all the rows themselves.
    for taken in ["people.csv", "map", "token"] {
        let before = std::fs::read(place.path(taken)).unwrap();
        let ran = place.run(&format!("{import} --rejects {taken}"));
        ran.fails(1, "exists and is not overwritten");
        assert_eq!(std::fs::read(place.path(taken)).unwrap(), before);
    }
    std::fs::create_dir(place.path("people.csv.rejects.ndjson")).unwrap();
    let ran = place.run(import).fails(1, "nothing was sent");
    assert!(ran.err.contains("--rejects"), "{}", ran.err);
    place.run(&format!("{import} --rejects rejects")).fails(6, "");
    assert!(!place.path("rejects").exists(), "without rejects there is no file");
}
