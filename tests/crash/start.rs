//! Starting where it should not start: one line that says what to do, an exit code, and nothing
//! changed.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use strongroom_storage::{KeyRange, Row, RowKey, StoreUrl};
use strongroom_tests::Footprint;

use strongroom_tests::program::Installation;

/// The engine's own file in an installation.
const DATABASE: &str = "store/store.redb";

/// Runs a command that has to fail, and gives the line that it says. Not a byte may change.
#[track_caller]
fn fails(what: &str, installation: &Installation, arguments: &[&str]) -> String {
    fails_but(None, what, installation, arguments)
}

/// The same; one file may change.
#[track_caller]
fn fails_but(
    may_change: Option<&Path>,
    what: &str,
    installation: &Installation,
    arguments: &[&str],
) -> String {
    let before = Footprint::of(installation.folder());
    let done = installation.run(arguments);
    let said = String::from_utf8(done.stderr).unwrap();
    let mut changed = Footprint::of(installation.folder()).difference(&before);
    changed.retain(|path| Some(path.as_path()) != may_change);
    assert_eq!(changed, Vec::<PathBuf>::new(), "{what}: files were changed");
    let code = done.status.code().unwrap_or_else(|| panic!("{what}: killed by a signal: {said}"));
    assert!((1..=8).contains(&code), "{what}: exit code {code}: {said}");
    assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{what}: {said}");
    assert!(done.stdout.is_empty(), "{what}: {}", String::from_utf8_lossy(&done.stdout));
    // What it noticed on the way is its log.
    let lines: Vec<&str> = said.lines().filter(|line| !line.contains("  WARN ")).collect();
    let [line] = lines.as_slice() else { panic!("{what}: not one line: {said}") };
    assert!(line.starts_with("error: "), "{what}: {line}");
    (*line).to_owned()
}

/// Serving has to fail with these words.
#[track_caller]
fn refuses(what: &str, installation: &Installation, words: &[&str]) {
    let arguments = installation.serving();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = fails(what, installation, &arguments);
    for word in words {
        assert!(line.contains(word), "{what}: `{word}` is not in: {line}");
    }
}

/// The same where the store is opened before what is wrong is found: its engine notes in the
/// database that it was opened, so that rows have to be compared instead (`rows_of`).
#[track_caller]
fn refuses_opened(what: &str, installation: &Installation, words: &[&str]) {
    let arguments = installation.serving();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let database = installation.path(DATABASE);
    let line = fails_but(Some(&database), what, installation, &arguments);
    for word in words {
        assert!(line.contains(word), "{what}: `{word}` is not in: {line}");
    }
}

/// Every row of the store, with its version.
fn rows_of(installation: &Installation) -> Vec<(Vec<u8>, u64, Vec<u8>)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = StoreUrl::Redb(installation.path("store"));
    let store = strongroom_storage::open(&url).unwrap();
    let range = KeyRange::prefix(b"");
    let rows = runtime.block_on(store.scan(&range, strongroom_storage::PAGE_MAX)).unwrap();
    assert!((1..strongroom_storage::PAGE_MAX).contains(&rows.len()));
    let row =
        |(key, row): (RowKey, Row)| (key.as_bytes().to_vec(), row.version, row.value.to_vec());
    rows.into_iter().map(row).collect()
}

fn truncate(path: &Path, bytes: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn flip(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_store_that_another_process_has_open_is_left_to_it() {
    let installation = Installation::make();
    let running = installation.start();
    let said = installation.serving();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let done = installation.run(&said);
    let line = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("in use by another process"), "{line}");
    running.kill();
    installation.start().kill();
}

#[test]
fn a_store_of_another_version_or_engine_is_not_touched() {
    let installation = Installation::make();
    let format = installation.path("store/FORMAT");
    let good = fs::read_to_string(&format).unwrap();
    for (text, words) in [
        (good.replacen(" 1 ", " 2 ", 1), ["format 2", "use the version of the program"]),
        (good.replacen(" 1 ", " 0 ", 1), ["format 0", "use the version of the program"]),
        (good.replacen("redb", "fjall", 1), ["engine", "fjall"]),
        ("something else\n".to_owned(), ["not a Strongroom store", "check the path"]),
        (String::new(), ["not a Strongroom store", "check the path"]),
        ("x".repeat(100_000), ["not a Strongroom store", "check the path"]),
    ] {
        assert_ne!(text, good);
        fs::write(&format, &text).unwrap();
        refuses(&text[..text.len().min(40)], &installation, &words);
    }
    fs::write(&format, [0xff, 0xfe, 0, 1]).unwrap();
    refuses("bytes that are no text", &installation, &["not a Strongroom store"]);
    fs::write(&format, good).unwrap();
    installation.start().kill();
}

#[test]
fn a_place_without_a_store_is_not_made_into_one() {
    let installation = Installation::make();
    let store = installation.path("store");
    fs::rename(&store, installation.path("kept")).unwrap();
    refuses("nothing", &installation, &["no store at", "strongroom init"]);
    fs::create_dir(&store).unwrap();
    refuses("an empty folder", &installation, &["no store at", "strongroom init"]);
    fs::write(store.join("holiday.txt"), "a picture of the sea").unwrap();
    refuses("a foreign folder", &installation, &["not a Strongroom store", "check the path"]);
    fs::remove_dir_all(&store).unwrap();
    fs::write(&store, "a file").unwrap();
    refuses("a file", &installation, &["not a Strongroom store", "check the path"]);
    fs::remove_file(&store).unwrap();
    fs::rename(installation.path("kept"), &store).unwrap();
    installation.start().kill();
}

#[test]
fn a_store_of_which_a_part_is_missing_or_damaged_says_so() {
    let installation = Installation::make();
    let rows = rows_of(&installation);
    let database = installation.path(DATABASE);
    let good = fs::read(&database).unwrap();
    fs::remove_file(&database).unwrap();
    refuses("no database", &installation, &["damaged"]);
    fs::write(&database, "").unwrap();
    refuses("an empty database", &installation, &["damaged"]);
    fs::write(&database, vec![0x2a; good.len()]).unwrap();
    refuses("another file", &installation, &["damaged"]);
    fs::write(&database, &good[..4096]).unwrap();
    refuses("the beginning of the database", &installation, &["damaged"]);
    fs::write(&database, &good).unwrap();
    fs::rename(installation.path("store/journal"), installation.path("journal")).unwrap();
    refuses_opened("no journal", &installation, &["store/journal"]);
    fs::rename(installation.path("journal"), installation.path("store/journal")).unwrap();
    assert!(rows_of(&installation) == rows, "rows were changed");
    installation.start().kill();
}

#[test]
fn a_holder_that_is_missing_foreign_or_damaged_is_named() {
    let installation = Installation::make();
    let rows = rows_of(&installation);
    let other = Installation::make();
    let holder = installation.path("holder");
    let good = fs::read(&holder).unwrap();
    fs::remove_file(&holder).unwrap();
    refuses("no holder", &installation, &["no holder file at"]);
    fs::create_dir(&holder).unwrap();
    refuses("a folder", &installation, &["holder"]);
    fs::remove_dir(&holder).unwrap();
    let put = |bytes: &[u8]| {
        fs::write(&holder, bytes).unwrap();
        fs::set_permissions(&holder, Permissions::from_mode(0o600)).unwrap();
    };
    put(b"");
    refuses("an empty file", &installation, &["holder"]);
    put(&good[..good.len() - 1]);
    refuses("a holder without its last byte", &installation, &["holder"]);
    put(&good[..4096]);
    refuses("the header alone", &installation, &["holder"]);
    put(&vec![7; good.len()]);
    refuses("another file", &installation, &["not a holder file"]);
    put(&fs::read(other.path("holder")).unwrap());
    refuses_opened(
        "another installation's holder",
        &installation,
        &["holder", "another installation"],
    );
    put(&good);
    fs::set_permissions(&holder, Permissions::from_mode(0o644)).unwrap();
    refuses("a holder that others may read", &installation, &["chmod 600"]);
    put(&good);
    flip(&holder, 40);
    refuses("a changed header", &installation, &["holder", "damaged"]);
    put(&good);
    assert!(rows_of(&installation) == rows, "rows were changed");
    installation.start().kill();
}

#[test]
fn a_holder_whose_shares_are_damaged_opens_nothing_and_is_kept() {
    let installation = Installation::make();
    let rows = rows_of(&installation);
    let holder = installation.path("holder");
    let good = fs::read(&holder).unwrap();
    let mut damaged = good.clone();
    // Both slots: whatever stands in either of them.
    for byte in &mut damaged[4096..] {
        *byte ^= 0x55;
    }
    fs::write(&holder, &damaged).unwrap();
    refuses_opened("changed shares", &installation, &["damaged", "/holder`"]);
    truncate(&holder, 5000);
    refuses("a cut share", &installation, &["damaged"]);
    fs::write(&holder, &good).unwrap();
    assert!(rows_of(&installation) == rows, "rows were changed");
    installation.start().kill();
}

#[test]
fn a_wrong_key_file_unlocks_nothing() {
    let installation = Installation::make();
    let rows = rows_of(&installation);
    let other = Installation::make();
    let key = installation.path("seal.key");
    let good = fs::read_to_string(&key).unwrap();
    let put = |text: &str| {
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    };
    put(&fs::read_to_string(other.path("seal.key")).unwrap());
    refuses_opened("another installation's key", &installation, &["key"]);
    put("");
    refuses("an empty key file", &installation, &["seal.key"]);
    put(&good[..good.len() - 5]);
    refuses("a cut key", &installation, &["seal.key"]);
    put(&good.replace('-', "_"));
    refuses("another text", &installation, &["seal.key"]);
    let mut digits = good.clone().into_bytes();
    let place = good.len() - 20;
    digits[place] = if digits[place] == b'0' { b'1' } else { b'0' };
    put(std::str::from_utf8(&digits).unwrap());
    refuses("a mistyped key", &installation, &["seal.key"]);
    fs::remove_file(&key).unwrap();
    refuses("no key file", &installation, &["seal.key"]);
    put(&good);
    assert!(rows_of(&installation) == rows, "rows were changed");
    installation.start().kill();
}

#[test]
fn init_overwrites_nothing() {
    let installation = Installation::make();
    let (store, holder, key) =
        (installation.store_url(), installation.text("holder"), installation.text("seal.key"));
    let (new_store, new_holder, new_key) = (
        format!("redb:{}", installation.text("new_store")),
        installation.text("new_holder"),
        installation.text("new_key"),
    );
    for (what, store, holder, key) in [
        ("the store", &store, &new_holder, &new_key),
        ("the holder", &new_store, &holder, &new_key),
        ("the key", &new_store, &new_holder, &key),
        ("all", &store, &holder, &key),
    ] {
        let arguments = ["init", "--store", store, "--holder", holder, "--seal-key-file", key];
        let line = fails(what, &installation, &arguments);
        assert!(line.contains("exists"), "{what}: {line}");
    }
    fs::write(installation.path("holiday"), "a picture").unwrap();
    let folder = format!("redb:{}", installation.folder().display());
    let arguments =
        ["init", "--store", &folder, "--holder", &new_holder, "--seal-key-file", &new_key];
    assert!(fails("a full folder", &installation, &arguments).contains("not empty"));
    installation.start().kill();
}

#[test]
fn a_server_without_tls_stays_on_its_own_machine() {
    let installation = Installation::make();
    let arguments = installation.serving();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.7:80"] {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|word| if word == "127.0.0.1:0" { address } else { word.as_str() })
            .collect();
        let line = fails(address, &installation, &arguments);
        assert!(line.contains("--behind-proxy"), "{line}");
    }
}
