//! Commands that need no server: settings and their origins, the doctor, completions, the manual.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use harness::{Place, Ran, finish};
use serde_json::{Value, json};

fn installed() -> Place {
    let place = Place::new();
    place.write(
        "strongroom.toml",
        "output = \"json\"\n[serve]\nstore = \"redb:store\"\nholder = \"holder\"\n",
    );
    place.run("init --seal-key-file key").well();
    place
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What the doctor says of one thing.
fn found<'r>(report: &'r Value, check: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    let found: Vec<_> = checks.iter().filter(|finding| finding["check"] == check).collect();
    assert!(found.len() == 1, "{check}: {report:#}");
    found[0]
}

/// Runs the doctor; one thing stands like this, for this reason.
fn doctor(place: &Place, more: &str, check: &str, state: &str, why: &str) -> Ran {
    let ran = place.run(&format!("doctor --server http://127.0.0.1:1 {more}"));
    let report = ran.json();
    let finding = found(&report, check);
    assert_eq!(finding["state"], state, "{finding}");
    assert!(finding["why"].as_str().unwrap().contains(why), "{finding}");
    assert_eq!(ran.exit, if report["state"] == "fail" { 8 } else { 0 }, "{report:#}");
    ran
}

#[test]
fn every_setting_says_where_it_comes_from() {
    let place = Place::new();
    place.write(
        "strongroom.toml",
        "server = \"http://127.0.0.1:1\"\npurpose = \"service\"\n[serve]\nstore = \"redb:a\"\nlisten = \"127.0.0.1:1\"\nbehind_proxy = true\nhost = [\"a.example\", \"b.example\"]\n",
    );
    let mut command = place.command(
        "config show --origin --listen 127.0.0.1:3 --server http://127.0.0.1:4 --trusted-proxy \
         10.0.0.0/8 --trusted-proxy 10.1.0.0/16",
    );
    command.env("STRONGROOM_LISTEN", "127.0.0.1:2").env("STRONGROOM_PURPOSE", "sales");
    let shown = finish(&mut command, "").well().json();
    let of = |setting: &str| {
        let rows = shown.as_array().unwrap().iter();
        let row = rows.filter(|row| row["setting"] == setting).collect::<Vec<_>>()[0];
        (row["value"].clone(), row["origin"].as_str().unwrap(), row["source"].clone())
    };
    assert_eq!(of("server"), (json!("http://127.0.0.1:4"), "flag", json!("--server")));
    assert_eq!(of("purpose"), (json!("sales"), "environment", json!("STRONGROOM_PURPOSE")));
    assert_eq!(of("serve.listen"), (json!("127.0.0.1:3"), "flag", json!("--listen")));
    assert_eq!(of("serve.store"), (json!("redb:a"), "file", json!("strongroom.toml")));
    assert_eq!(of("serve.behind_proxy"), (json!(true), "file", json!("strongroom.toml")));
    assert_eq!(
        of("serve.host"),
        (json!(["a.example", "b.example"]), "file", json!("strongroom.toml"))
    );
    assert_eq!(
        of("serve.trusted_proxy"),
        (json!(["10.0.0.0/8", "10.1.0.0/16"]), "flag", json!("--trusted-proxy"))
    );
    assert_eq!(of("serve.no_rate_limits"), (json!(false), "default", Value::Null));
    assert_eq!(of("serve.holder"), (json!("a/holder"), "default", Value::Null));
    assert_eq!(of("serve.log"), (json!("text"), "default", Value::Null));
    assert_eq!(of("tenant"), (Value::Null, "default", json!("the token's own")));
    assert_eq!(of("token_file"), (Value::Null, "unset", Value::Null));
    // The common flags may also stand before the command.
    let first = place.run("--server http://127.0.0.1:5 config show").well().json();
    assert_eq!(first["server"], "http://127.0.0.1:5");
    assert_eq!(first["serve"]["listen"], "127.0.0.1:1");
    let table = place.run("config show --origin --output table").well().out;
    assert!(table.lines().any(|line| line.starts_with("serve.store") && line.contains("file")));
}

#[test]
fn the_settings_that_are_shown_are_a_file_that_says_the_same() {
    let place = installed();
    let shown = place.run("config show --log json --behind-proxy").well().json();
    let kept: toml::Table = serde_json::from_value(without_nulls(shown.clone())).unwrap();
    place.write("again.toml", &toml::to_string(&kept).unwrap());
    let again = place.run("config show --config again.toml --output json").well().json();
    assert_eq!(again, shown);
}

fn without_nulls(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let members = members.into_iter().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| (name, without_nulls(value))).collect()
}

#[test]
fn wrong_settings_fail_the_check_and_name_themselves() {
    let place = Place::new();
    let check = |toml: &str, check: &str, state: &str, why: &str| {
        place.write("strongroom.toml", toml);
        let ran = place.run("config check --output json");
        let report = ran.json();
        let finding = found(&report, check);
        assert_eq!(finding["state"], state, "{toml}: {finding}");
        assert!(finding["why"].as_str().unwrap().contains(why), "{toml}: {finding}");
        assert_eq!(ran.exit, if state == "fail" { 8 } else { 0 }, "{toml}");
    };
    check("", "settings", "ok", "");
    check("[serve]\nstor = \"redb:a\"", "configuration", "fail", "unknown field `stor`");
    check("server = ", "configuration", "fail", "line 1");
    check("output = \"xml\"", "configuration", "fail", "xml");
    check("server = \"ftp://a\"", "server_address", "fail", "ftp://a");
    check("server = \"http://192.0.2.1\"", "server_address", "fail", "192.0.2.1");
    check("tenant = \"Sample\"", "tenant", "fail", "ten_");
    check("tenant = \"provider\"", "settings", "ok", "");
    check("purpose = \"two words\"", "purpose", "fail", "two words");
    check("[serve]\nstore = \"rocks:a\"", "store_url", "fail", "rocks:a");
    check("[serve]\nlisten = \"0.0.0.0:1\"", "listen", "fail", "--behind-proxy");
    check("[serve]\nlisten = \"0.0.0.0:1\"\nbehind_proxy = true", "settings", "ok", "");
    check("[serve]\ntls_cert = \"a\"", "edge", "fail", "--tls-key");
    check("[serve]\nhost = [\"https://a\"]", "edge", "fail", "https://a");
    check("token_file = \"nowhere\"", "token_file", "warn", "not there");
    place.write("token", "srs_x");
    chmod(&place.path("token"), 0o644);
    check("token_file = \"token\"", "token_file", "warn", "others");
    place.write("strongroom.toml", "");
    let mut command = place.command("config check --output json");
    let ran = finish(command.env("STRONGROOM_SEVER", "x").env("STRONGROOM_STORE", "redb:a"), "");
    let report = ran.well().json();
    assert!(found(&report, "environment")["why"].as_str().unwrap().contains("`STRONGROOM_SEVER`"));
    assert!(!report.to_string().contains("STRONGROOM_STORE"));
    place.run("config check --config nowhere.toml").fails(8, "");
}

#[test]
fn a_healthy_installation_passes_with_warnings_that_say_what_mends() {
    let place = installed();
    let ran = doctor(&place, "--seal-key-file key", "store", "ok", "opens");
    let report = ran.json();
    assert_eq!((ran.exit, &report["state"]), (0, &json!("warn")));
    for (check, state) in [
        ("configuration", "ok"),
        ("settings", "ok"),
        ("store_format", "ok"),
        ("holder", "ok"),
        ("holder_place", "warn"),
        ("holder_grade", "ok"),
        ("seal_key_file", "ok"),
        ("clock", "ok"),
        ("second_home", "warn"),
        ("server", "warn"),
    ] {
        let finding = found(&report, check);
        assert_eq!(finding["state"], state, "{finding}");
        assert_eq!(finding["mend"].is_null(), state == "ok", "{finding}");
    }
    let why = found(&report, "second_home")["why"].as_str().unwrap();
    assert!(why.contains("losing all replicas") && why.contains("loses everything"));
    for check in ["disk", "swap"] {
        found(&report, check);
    }
    assert_eq!(found(&report, "core_dumps")["state"], "ok");
    doctor(&place, "--allow-core-dumps", "core_dumps", "warn", "the settings allow them");
    let lines = place.run("doctor --output table").well().out;
    assert!(lines.contains("ok    store: `store` opens\n"), "{lines}");
    assert!(lines.contains("\n      mend: "), "{lines}");
    // Looking changes nothing that keeps the server from starting.
    let server = place.start("serve --seal-key-file key --listen 127.0.0.1:0");
    assert_eq!(server.stop("TERM").0, 0);
}

#[test]
fn what_is_broken_fails_with_eight() {
    let place = installed();
    doctor(&place, "--store redb:nowhere", "store", "fail", "run `strongroom init`");
    doctor(&place, "--store memory:", "store", "fail", "keeps nothing");
    doctor(&place, "--holder nowhere", "holder", "fail", "nowhere");
    doctor(&place, "--holder key", "holder", "fail", "not a holder file");
    doctor(&place, "--seal-key-file nowhere", "seal_key_file", "fail", "nowhere");
    doctor(&place, "--seal-key-file holder", "seal_key_file", "fail", "holder");
    chmod(&place.path("key"), 0o640);
    let ran = doctor(&place, "--seal-key-file key", "seal_key_file", "fail", "640");
    assert_eq!(found(&ran.json(), "seal_key_file")["mend"], "chmod 600 key");
    assert!(!ran.out.contains("strongroom-seal-key"), "the key itself is not shown");
    doctor(&place, "--tls-cert key --tls-key key", "tls_key", "fail", "640");
    chmod(&place.path("holder"), 0o644);
    let ran = doctor(&place, "", "holder", "fail", "others");
    assert_eq!(found(&ran.json(), "holder")["mend"], "chmod 600 holder");
    chmod(&place.path("holder"), 0o600);

    let good = std::fs::read(place.path("holder")).unwrap();
    let mut damaged = good.clone();
    damaged[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
    std::fs::write(place.path("holder"), damaged).unwrap();
    doctor(&place, "", "holder_shares", "fail", "no share");
    std::fs::write(place.path("holder"), good).unwrap();

    place.run("init --store redb:other --holder other-holder --seal-key-file other-key").well();
    doctor(&place, "--holder other-holder", "holder", "fail", "belongs to installation");
    std::fs::rename(place.path("other-holder"), place.path("other/holder")).unwrap();
    let inside = "--store redb:other --holder other/holder";
    doctor(&place, inside, "holder_place", "warn", "in the store's folder");

    std::fs::write(place.path("other/FORMAT"), "strongroom store 9 redb\n").unwrap();
    doctor(&place, inside, "store_format", "fail", "format 9");
    std::fs::write(place.path("other/FORMAT"), "something\n").unwrap();
    doctor(&place, inside, "store", "fail", "not a Strongroom store");
    place.write("strongroom.toml", "sever = 1\noutput = \"json\"");
    doctor(&place, "--store redb:store --holder holder", "configuration", "fail", "sever");
}

#[test]
fn a_head_that_does_not_fit_the_store_is_found_and_unlocking_says_why() {
    let place = installed();
    let (head, store) = (place.path("holder.head"), place.path("store"));
    let serve = "serve --seal-key-file key --listen 127.0.0.1:0";
    doctor(&place, "", "head", "ok", "has seen the store as it is");
    let older_head = std::fs::read(&head).unwrap();
    let copied = Command::new("cp").arg("-a").arg(&store).arg(place.path("copy")).status();
    assert!(copied.unwrap().success());
    place.run("accept-older-store --yes --seal-key-file key").well();
    let newest = std::fs::read(&head).unwrap();
    assert!(newest != older_head, "nothing was changed");

    std::fs::write(&head, &older_head).unwrap();
    let ran = doctor(&place, "", "head", "warn", "groups of commits behind the store");
    assert!(found(&ran.json(), "head")["mend"].as_str().unwrap().contains("verify"));

    // Each is found by doctor, and by a server that has begun and is then unlocked.
    place.run("init --store redb:other --holder other-holder --seal-key-file other-key").well();
    let foreign = std::fs::read(place.path("other-holder.head")).unwrap();
    for (bytes, why, code) in [
        (None, "is missing", "store_head"),
        (Some(&foreign[..]), "another installation", "store_head"),
        (Some(&b"nothing like it"[..]), "is damaged", "store_head"),
    ] {
        std::fs::write(&head, &newest).unwrap();
        let server = place.start("serve --listen 127.0.0.1:0");
        match bytes {
            None => std::fs::remove_file(&head).unwrap(),
            Some(bytes) => std::fs::write(&head, bytes).unwrap(),
        }
        let unlock = format!("unlock --seal-key-file key --server {}", server.address());
        place.run(&unlock).fails(1, code);
        assert_eq!(server.stop("TERM").0, 0);
        let ran = doctor(&place, "", "head", "fail", why);
        let mend = found(&ran.json(), "head")["mend"].as_str().unwrap().to_owned();
        assert!(mend.contains("accept-older-store") && mend.contains("holder.head"), "{mend}");
        place.run(serve).fails(8, "head");
    }

    // The store as it was before, under the head of afterwards.
    std::fs::write(&head, &newest).unwrap();
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(place.path("copy"), &store).unwrap();
    doctor(&place, "", "head", "fail", "the store is an older copy");
}

#[test]
fn a_running_server_is_asked_and_its_store_left_alone() {
    let place = installed();
    let server = place.start("serve --listen 127.0.0.1:0");
    let report = place.run(&format!("doctor --server {}", server.address())).well().json();
    assert!(found(&report, "store")["why"].as_str().unwrap().contains("in use"));
    assert_eq!(found(&report, "server")["state"], "ok");
    assert_eq!(found(&report, "locked")["state"], "warn");
    doctor(&place, "", "server", "fail", "cannot be reached");
    place.run(&format!("unlock --seal-key-file key --server {}", server.address())).well();
    let report = place.run(&format!("doctor --server {}", server.address())).well().json();
    assert_eq!(found(&report, "locked")["state"], "ok");

    place.run("init --store redb:other --holder other-holder --seal-key-file other-key").well();
    let other = place.start("serve --store redb:other --holder other-holder --listen 127.0.0.1:0");
    let report = place.run(&format!("doctor --server {}", other.address())).well().json();
    assert_eq!(found(&report, "installation")["state"], "warn");
    assert_eq!(other.stop("TERM").0, 0);
    assert_eq!(server.stop("TERM").0, 0);

    // The server has stored a time by now, and this machine's clock is not behind it.
    doctor(&place, "", "clock", "ok", "not behind");
}

#[test]
fn every_shell_is_told_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&format!("completions {shell}")).well().out;
        for word in ["doctor", "api-keys", "erasures", "seal-key-file"] {
            assert!(script.contains(word), "{shell} {word}");
        }
    }
    assert_eq!(place.run("completions tcsh").exit, 2);
    let script = place.run("completions bash").well().out;
    place.write("completions", &script);
    let asked = ". ./completions; COMP_WORDS=(strongroom config sh); COMP_CWORD=2; \
                 _strongroom strongroom sh config; echo \"${COMPREPLY[@]}\"";
    let ran = finish(Command::new("bash").args(["-c", asked]).current_dir(place.path("")), "");
    assert_eq!(ran.well().out, "show\n");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let place = Place::new();
    let page = place.run("man").well().out;
    assert!(page.contains(".TH strongroom 1") && page.contains("Exit codes"), "{page}");
    let page = place.run("man records read").well().out;
    assert!(page.contains(".TH strongroom-records-read 1"), "{page}");
    place.run("man records no-such").fails(2, "no-such");
    place.run("man --into nowhere").fails(1, "nowhere");
    std::fs::create_dir(place.path("pages")).unwrap();
    for _ in 0..2 {
        place.run("man --into pages").well();
    }
    let pages = std::fs::read_dir(place.path("pages")).unwrap().count();
    assert!(pages > 50, "{pages}");
    for page in ["strongroom.1", "strongroom-doctor.1", "strongroom-config-show.1"] {
        assert!(place.path("pages").join(page).exists(), "{page}");
    }
}

#[test]
fn what_needs_no_settings_works_with_a_broken_file() {
    let place = Place::new();
    place.write("strongroom.toml", "broken");
    for command in ["version", "completions bash", "man", "config reference"] {
        place.run(command).well();
    }
    assert_eq!(place.run("config show").exit, 2);
    assert_eq!(place.run("status").exit, 2);
}
