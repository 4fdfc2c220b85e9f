//! The demonstration: a test starts it, takes the lines that it prints, and runs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::fs::File;
use std::process::Command;

use harness::{Place, Ran, Server, finish};

/// Starts the demonstration, with what it printed.
fn start(place: &Place, more: &str) -> (Server, String) {
    let printed = place.path("printed");
    let mut command = place.command(&format!("demo --port 0 {more}"));
    command.stdout(File::create(&printed).unwrap());
    let server = Server::start(&mut command, "serving until Ctrl-C");
    (server, std::fs::read_to_string(printed).unwrap())
}

fn shell(place: &Place, lines: &str) -> Ran {
    finish(Command::new("sh").arg("-c").arg(lines).current_dir(place.path("")), "")
}

fn variable<'l>(lines: &'l str, name: &str) -> &'l str {
    let line =
        lines.split(['\n', ';']).find_map(|line| line.trim().strip_prefix(&format!("{name}=")));
    line.unwrap().trim_matches('\'')
}

#[test]
fn the_printed_lines_do_what_they_say_and_nothing_is_left_of_the_demonstration() {
    let place = Place::new();
    let (server, lines) = start(&place, "");
    assert!(lines.contains("NOT FOR REAL DATA"));
    let folder = variable(&lines, "FOLDER").to_owned();
    assert_eq!(harness::mode(folder.as_ref()), 0o700);

    let ran = shell(&place, &lines).well();
    let seen: Vec<&str> = ran.out.lines().collect();
    assert!(ran.err.contains("the signature is good"), "{}", ran.err);
    let json = |place: usize| serde_json::from_str::<serde_json::Value>(seen[place]).unwrap();

    let (clerk, manager) = (json(0), json(1));
    assert_eq!(clerk["fields"], serde_json::json!({}));
    assert_eq!(clerk["masked"]["name"], "J. A.");
    assert!(clerk["masked"].get("birth_date").is_none());
    assert_eq!(manager["fields"]["name"], "Jördis Amsel");
    assert!(manager["fields"]["birth_date"].is_string());
    assert_eq!(json(2)["code"], "not_found");
    let erasure = json(3);
    assert_eq!(erasure["state"], "erased");
    assert_eq!(json(4)["status"], 404);
    assert!([404, 410].contains(&json(5)["status"].as_u64().unwrap()));
    let receipt: serde_json::Value = serde_json::from_str(&seen[6..].join("\n")).unwrap();
    assert_eq!(receipt["id"], erasure["receipt"]);
    assert_eq!(receipt["state"], "erased");

    let (exit, said) = server.stop("INT");
    assert_eq!((exit, said.as_str()), (0, ""));
    assert!(!std::path::Path::new(&folder).exists());
}

#[test]
fn a_demonstration_that_is_kept_can_be_served_and_what_was_erased_stays_erased() {
    let place = Place::new();
    let (server, lines) = start(&place, "--keep kept");
    shell(&place, &lines).well();
    assert_eq!(server.stop("TERM").0, 0);

    place.run("demo --port 0 --keep kept").fails(1, "exists");
    let serve = "serve --store redb:kept/store --holder kept/holder --seal-key-file kept/seal-key \
                 --listen 127.0.0.1:0";
    let server = place.start(serve);
    let (tenant, record) = lines
        .split("/v1/tenants/")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .zip(lines.split("$CUSTOMERS/").nth(1).and_then(|rest| rest.lines().next()))
        .unwrap();
    let common = format!(
        "--server {} --tenant {tenant} --token-file kept/lindenhof-manager.token",
        server.address()
    );
    place.run(&format!("records read customers {record} {common}")).fails(4, "");
    let left = place.run(&format!("records list customers {common}")).well().json();
    assert_eq!(left["data"].as_array().unwrap().len(), 19);
    let orders = place.run(&format!("records list orders {common}")).well().json();
    assert_eq!(orders["data"].as_array().unwrap().len(), 38, "the person's orders are gone too");
    assert_eq!(server.stop("TERM").0, 0);
}
