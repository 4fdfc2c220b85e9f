//! A store at rest is proven, an older copy of it is refused at the start, and accepted by command.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;

use std::path::Path;

use harness::{Place, Server, mode};

/// An address of nobody's machine (RFC 5737): a server that comes so far ends here.
const NOWHERE: &str = "192.0.2.1:7800";
const AT_REST: &str = "--store redb:store --holder holder --seal-key-file key";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            copy(&old, &new);
        } else {
            std::fs::copy(&old, &new).unwrap();
        }
    }
}

fn serve(place: &Place) -> Server {
    place.start(&format!("serve {AT_REST} --listen 127.0.0.1:0"))
}

#[test]
fn an_older_copy_of_the_store_is_refused_at_the_start_until_it_is_accepted() {
    let place = Place::new();
    place.run(&format!("init {AT_REST} --invitation-file invitation")).well();
    assert_eq!(mode(&place.path("holder.head")), 0o600);
    let report = place.run(&format!("verify {AT_REST} --output json")).well().json();
    assert_eq!((&report["damage_count"], &report["compared_with_head"]), (&0.into(), &true.into()));
    let older = place.path("older");
    copy(&place.path("store"), &older);

    // A server that is killed leaves a store that is proven all the same.
    let server = serve(&place);
    let at = server.address();
    place
        .run(&format!("login --server {at} --token-file operator --invitation-file invitation"))
        .well();
    server.end("KILL");
    place.run(&format!("verify {AT_REST}")).well();
    let (exit, _) = serve(&place).stop("TERM");
    assert_eq!(exit, 0);
    place.run(&format!("verify {AT_REST}")).well();

    std::fs::remove_dir_all(place.path("store")).unwrap();
    copy(&older, &place.path("store"));
    place.run(&format!("verify {AT_REST}")).fails(8, "the store is not what was written");
    for unlocked in ["--seal-key-file key", ""] {
        let command = format!("serve --store redb:store --holder holder {unlocked}");
        place
            .run(&format!("{command} --listen {NOWHERE} --behind-proxy"))
            .fails(8, "accept-older-store");
    }
    place.run(&format!("accept-older-store {AT_REST}")).fails(2, "nobody can be asked here");
    place.run(&format!("accept-older-store {AT_REST} --yes")).well();
    place.run(&format!("verify {AT_REST}")).well();
    let (exit, _) = serve(&place).stop("TERM");
    assert_eq!(exit, 0);

    std::fs::remove_file(place.path("holder.head")).unwrap();
    place
        .run(&format!("serve {AT_REST} --listen {NOWHERE} --behind-proxy"))
        .fails(8, "the head of the store is missing");
}
