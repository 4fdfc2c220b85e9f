//! Damage to the files of a closed store: a bit that is another, or two blocks in each other's place. It has no
//! effect, or it is told when the store is opened or read, or a check of everything tells: one that adds up all
//! rows and looks up each of them by its key.
//!
//! Rows and lines are sealed here as the vault seals them. What only the seals tell shows what would be served without
//! them, and plain sled must lose rows without a word: otherwise nothing is damaged.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "the child tells its parent what it saw")]

#[path = "../../../tests/src/cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "flips/contents.rs"]
mod contents;
#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod fixture;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Tells the child process what it is to look at.
const SUBJECT: &str = "STRONGROOM_TEST_SUBJECT";
/// Tells the child process where.
const FOLDER: &str = "STRONGROOM_TEST_FOLDER";
/// How often each engine's store is damaged, if not [`FLIPS`].
const FLIPS_ASKED_FOR: &str = "STRONGROOM_FLIPS";
const FLIPS: u64 = 90;
/// Lengths of blocks that change places.
const BLOCKS: [usize; 2] = [512, 4_096];
/// How a child may end: what it saw, or, by the engine or by us, before anything that is wrong was read.
const TOLD: [&str; 7] = ["Whole", "Refused", "Damaged", "Seal", "Sum", "Lookup", ENDED];
const ENDED: &str = "signal: 6 (SIGABRT)";
/// How often it is looked whether the child has ended, and how long it may take.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS_MAX: u32 = 6_000;
/// As many of its last lines a child that ended is quoted with, the last one first.
const LAST_LINES: usize = 4;

/// The child: looks at a store. Without a subject it is no child and does nothing.
#[test]
fn a_child_looks_at_a_damaged_store() {
    let Some(subject) = std::env::var_os(SUBJECT) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    fixture::run(async move {
        println!("seen {:?}.", contents::look(subject.to_str().unwrap(), &folder).await);
    });
}

#[test]
fn damage_to_a_store_of_redb_is_told_at_once_or_by_a_check_of_everything() {
    // redb does not compare its checksums when it reads: the positive control.
    let counts = damage_is_told("redb");
    assert!(counts.contains_key("Seal"), "nothing would be served without seals");
}

#[test]
fn damage_to_a_store_of_fjall_is_told_at_once_or_by_a_check_of_everything() {
    damage_is_told("fjall");
}

#[test]
fn damage_to_a_store_of_sled_is_told_at_once_or_by_a_check_of_everything() {
    damage_is_told("sled");
}

#[test]
fn damage_to_a_journal_before_redb_is_told_at_once_or_by_a_check_of_everything() {
    damage_is_told("redb+journal");
}

#[test]
fn damage_to_a_journal_before_fjall_is_told_at_once_or_by_a_check_of_everything() {
    damage_is_told("fjall+journal");
}

#[test]
fn damage_to_a_journal_before_sled_is_told_at_once_or_by_a_check_of_everything() {
    damage_is_told("sled+journal");
}

/// The positive control for what is missing: sled without the mark beside it.
#[test]
fn damage_to_plain_sled_takes_rows_away_without_a_word() {
    let temporary = tempfile::tempdir().unwrap();
    let whole = temporary.path().join("whole");
    let db = sled::open(&whole).unwrap();
    for n in 0..120u64 {
        db.insert(n.to_be_bytes(), vec![7; 300]).unwrap();
    }
    drop(db);
    let mut lost = 0;
    for seed in 0..30 {
        let copy = temporary.path().join("copy");
        copy_folder(&whole, &copy);
        damage(&copy, &mut Chance(seed));
        let rows = catch_unwind(|| sled::open(&copy).map(|db| db.iter().flatten().count()));
        lost += usize::from(matches!(rows, Ok(Ok(count)) if count < 120));
        fs::remove_dir_all(&copy).unwrap();
    }
    println!("plain sled: of 30 times rows were gone without a word {lost} times");
    assert!(lost > 0, "nothing was lost: nothing is damaged");
}

fn damage_is_told(engine: &str) -> BTreeMap<String, u64> {
    let asked = std::env::var_os(FLIPS_ASKED_FOR);
    let asked = asked.map(|flips| flips.to_str().unwrap().parse().expect("a number of flips"));
    let flips = asked.unwrap_or(FLIPS);
    let temporary = tempfile::tempdir().unwrap();
    let whole = temporary.path().join("whole");
    let filled = whole.clone();
    let kind = engine.to_owned();
    fixture::run(async move { contents::fill(&kind, &filled).await });
    assert_eq!(look(engine, &whole).0, "Whole");
    let (mut counts, mut untold, mut ended) = (BTreeMap::new(), Vec::new(), Vec::new());
    for seed in 0..flips {
        let copy = temporary.path().join("copy");
        copy_folder(&whole, &copy);
        let what = damage(&copy, &mut Chance(seed));
        let (seen, complaint) = look(engine, &copy);
        if seen == ENDED {
            ended.push(format!("seed {seed}, {what}: {complaint}"));
        }
        if !TOLD.contains(&seen.as_str()) {
            untold.push(format!("seed {seed}, {what}: {seen}"));
        }
        *counts.entry(seen).or_default() += 1;
        fs::remove_dir_all(&copy).unwrap();
    }
    println!("{engine}: damaged {flips} times: {counts:?}");
    for how in &ended {
        println!("{engine}: ended by {how}");
    }
    assert_eq!(untold, Vec::<String>::new(), "{engine}");
    counts
}

/// What a child sees of a store, or how it ended; and its last words if it had any.
fn look(engine: &str, folder: &Path) -> (String, String) {
    let complaints = folder.with_extension("complaints");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_looks_at_a_damaged_store", "--nocapture"])
        .env(SUBJECT, engine)
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&complaints).unwrap())
        .spawn()
        .unwrap();
    for _ in 0..LOOKS_MAX {
        if child.try_wait().unwrap().is_some() {
            let ended = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            let seen = said.split_once("seen ").and_then(|(_, rest)| rest.split_once('.'));
            let seen = seen.map_or(format!("{}", ended.status), |(seen, _)| seen.to_owned());
            let complaints = fs::read(&complaints).unwrap();
            let complaints = String::from_utf8_lossy(&complaints);
            let last: Vec<&str> = complaints.lines().rev().take(LAST_LINES).collect();
            return (seen, last.join(" | "));
        }
        thread::sleep(LOOK_EVERY);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    ("hung".to_owned(), String::new())
}

/// Damages one file of the folder, each as likely as any other, and says how.
fn damage(folder: &Path, chance: &mut Chance) -> String {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    loop {
        let path = &files[chance.below(files.len())];
        let mut bytes = fs::read(path).unwrap();
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { continue };
        let name = path.strip_prefix(folder).unwrap().display();
        let what = if chance.below(3) > 0 {
            let (at, bit) = (chance.below(last + 1), chance.below(8));
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} of {name}")
        } else {
            let length = BLOCKS[chance.below(2)];
            let blocks = bytes.len() / length;
            let used = (last / length + 1).min(blocks);
            if used == 0 {
                continue;
            }
            let (one, other) = (chance.below(used) * length, chance.below(blocks) * length);
            if bytes[one..one + length] == bytes[other..other + length] {
                continue;
            }
            for at in 0..length {
                bytes.swap(one + at, other + at);
            }
            format!("{length} bytes from {one} and from {other} of {name}")
        };
        fs::write(path, bytes).unwrap();
        return what;
    }
}

/// Random numbers that come again with the same seed (Steele and others 2014, SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}
