//! Power cuts: of what a program did to its files only what it synced survives, and of the rest nothing,
//! some pieces, or all. What it acknowledged is there, whole, and the store opens by itself. Kills, after
//! any call: all survives that was done up to then.
//!
//! A child process makes a store and writes to it under `strace`, which records every call on files with its
//! bytes and the order in which calls began and ended. A model of a disk replays them up to a cut. sled as its
//! own documents say to use it must lose something here: otherwise the model cuts nothing.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

#[path = "../../../tests/src/cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "powercut/disk.rs"]
mod disk;
#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod fixture;
#[path = "powercut/plain.rs"]
mod plain;
#[path = "powercut/stores.rs"]
mod stores;
#[path = "powercut/trace.rs"]
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use disk::{Chance, Disk, Survives};
use trace::Trace;

/// Tells the child process what it is to write with.
const SUBJECT: &str = "STRONGROOM_TEST_SUBJECT";
/// Tells the child process where.
const FOLDER: &str = "STRONGROOM_TEST_FOLDER";
/// How many cuts each engine has to survive, if not [`CUTS`].
const CUTS_ASKED_FOR: &str = "STRONGROOM_CUTS";
const CUTS: usize = 60;
/// Most cuts of one run of the child; more are shared out over several runs.
const CUTS_OF_A_RUN: usize = 400;
/// Asks for a kill after every call; otherwise there are about [`KILLS`], evenly spread.
const EVERY_CALL: &str = "STRONGROOM_EVERY_CALL";
const KILLS: usize = 60;

/// What survived of one cut.
#[derive(Default)]
struct Survived {
    acknowledged: usize,
    /// What was acknowledged and is not there.
    lost: usize,
    /// What is wrong otherwise.
    wrong: Option<String>,
}

/// The child: writes with its subject and says on standard output what was acknowledged. Without a
/// subject it is no child and does nothing.
#[test]
fn a_child_writes_under_the_eyes_of_the_tracer() {
    let Some(subject) = std::env::var_os(SUBJECT) else { return };
    let folder = std::env::var_os(FOLDER).unwrap();
    match subject.to_str().unwrap() {
        "plain" => plain::write(Path::new(&folder)),
        engine => stores::write(engine, Path::new(&folder)),
    }
}

#[test]
fn redb_loses_nothing_to_a_power_cut() {
    nothing_is_lost("redb");
}

#[test]
fn fjall_loses_nothing_to_a_power_cut() {
    nothing_is_lost("fjall");
}

#[test]
fn sled_loses_nothing_to_a_power_cut() {
    nothing_is_lost("sled");
}

#[test]
fn a_journal_before_redb_loses_nothing_to_a_power_cut() {
    nothing_is_lost("redb+journal");
}

#[test]
fn a_journal_before_fjall_loses_nothing_to_a_power_cut() {
    nothing_is_lost("fjall+journal");
}

#[test]
fn a_journal_before_sled_loses_nothing_to_a_power_cut() {
    nothing_is_lost("sled+journal");
}

/// The positive control: sled without our adapter.
#[test]
fn plain_sled_loses_what_it_acknowledged_to_a_power_cut() {
    let (lost, wrong) = cut_often("plain", Survives::Nothing);
    wrong.iter().take(3).for_each(|what| println!("{what}"));
    assert!(lost > 0, "nothing was lost: the harness cuts nothing");
}

#[test]
fn redb_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("redb");
}

#[test]
fn fjall_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("fjall");
}

#[test]
fn sled_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("sled");
}

#[test]
fn a_journal_before_redb_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("redb+journal");
}

#[test]
fn a_journal_before_fjall_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("fjall+journal");
}

#[test]
fn a_journal_before_sled_loses_nothing_to_a_kill_at_any_call() {
    nothing_is_lost_to_a_kill("sled+journal");
}

/// The positive control: what a kill leaves of a snapshot of sled keeps it from opening, and its own
/// documents say nothing of it. All calls are tried, because few of them do this.
#[test]
fn plain_sled_does_not_open_after_a_kill_at_some_call() {
    let killed = kill_at_calls("plain", true);
    println!("plain: {killed}");
    assert!(!killed.wrong.is_empty(), "it always opened: the harness kills nothing");
}

fn nothing_is_lost_to_a_kill(engine: &str) {
    let killed = kill_at_calls(engine, std::env::var_os(EVERY_CALL).is_some());
    println!("{engine}: {killed}");
    assert_eq!((killed.lost, killed.wrong), (0, Vec::new()), "{engine}");
}

/// What came of kills at calls.
#[derive(Default)]
struct Killed {
    kills: usize,
    calls: usize,
    acknowledged: usize,
    lost: usize,
    wrong: Vec<String>,
}

impl std::fmt::Display for Killed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kills, calls, acknowledged, lost, wrong } = self;
        let wrong = wrong.len();
        write!(f, "{kills} kills at {calls} calls: {lost} of {acknowledged} lost, {wrong} wrong")
    }
}

/// A process that is killed leaves what its calls did up to then: so each kill is the run of the child,
/// replayed up to a call that changes files or tells of a change.
fn kill_at_calls(subject: &str, every: bool) -> Killed {
    let mut killed = Killed::default();
    let moments = |trace: &Trace, _: &mut Chance| {
        let all = trace.events.iter().enumerate();
        let changing = all.filter(|(_, event)| trace.changes(event)).map(|(moment, _)| moment);
        let all: Vec<usize> = changing.collect();
        let step = if every { 1 } else { all.len().div_ceil(KILLS) };
        killed.calls = all.len();
        all.into_iter().step_by(step).collect()
    };
    let found = cut_one_run(subject, Survives::Everything, 1, moments);
    for (moment, survived) in found {
        killed.kills += 1;
        killed.acknowledged += survived.acknowledged;
        killed.lost += survived.lost;
        if let Some(what) = survived.wrong {
            killed.wrong.push(format!("moment {moment}: {what}"));
        }
    }
    killed
}

fn nothing_is_lost(engine: &str) {
    for survives in [Survives::Nothing, Survives::Pieces, Survives::Everything] {
        let (lost, wrong) = cut_often(engine, survives);
        assert_eq!((lost, wrong), (0, Vec::new()), "{engine}, {survives:?} survives");
    }
}

/// Runs the child and cuts at moments by chance; gives how much was lost and what was wrong.
fn cut_often(subject: &str, survives: Survives) -> (usize, Vec<String>) {
    let asked = std::env::var_os(CUTS_ASKED_FOR);
    let asked = asked.map(|cuts| cuts.to_str().unwrap().parse().expect("a number of cuts"));
    let cuts: usize = asked.unwrap_or(CUTS).div_ceil(3);
    let (mut done, mut acknowledged, mut lost) = (0, 0, 0);
    let mut wrong = Vec::new();
    while done < cuts {
        let count = CUTS_OF_A_RUN.min(cuts - done);
        let seed = u64::try_from(done).unwrap() + 1;
        let by_chance = |trace: &Trace, chance: &mut Chance| {
            let events = u64::try_from(trace.events.len()).unwrap();
            (0..count).map(|_| usize::try_from(chance.below(events)).unwrap()).collect()
        };
        for (moment, survived) in cut_one_run(subject, survives, seed, by_chance) {
            done += 1;
            acknowledged += survived.acknowledged;
            lost += survived.lost;
            if survived.lost > 0 || survived.wrong.is_some() {
                let what = survived.wrong.unwrap_or_default();
                wrong.push(format!("seed {seed}, moment {moment}: {} lost; {what}", survived.lost));
            }
        }
    }
    println!(
        "{subject}: {done} power cuts, {survives:?} unsynced survives: {lost} of {acknowledged} lost, \
         {} cuts with something wrong",
        wrong.len()
    );
    (lost, wrong)
}

/// One run of the child, cut at the moments that are chosen.
fn cut_one_run(
    subject: &str,
    survives: Survives,
    seed: u64,
    choose: impl FnOnce(&Trace, &mut Chance) -> BTreeSet<usize>,
) -> Vec<(usize, Survived)> {
    let temporary = tempfile::tempdir().unwrap();
    let base = temporary.path().join("disk");
    fs::create_dir(&base).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_child_writes_under_the_eyes_of_the_tracer", "--nocapture"]);
    child.env(SUBJECT, subject).env(FOLDER, &base);
    let trace = trace::record(&mut child, &temporary.path().join("log"));
    let mut disk = Disk::new(&base);
    let mut chance = Chance(seed);
    let moments = choose(&trace, &mut chance);
    let mut found = Vec::new();
    for (moment, event) in trace.events.iter().enumerate() {
        disk.note(&trace, event);
        if moments.contains(&moment) {
            let copy = temporary.path().join("copy");
            fs::create_dir(&copy).unwrap();
            disk.cut(survives, &mut chance, &copy);
            found.push((moment, check(subject, &copy, &disk.said)));
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    // Whatever the tracer or the model had missed would show here.
    let copy = temporary.path().join("whole");
    fs::create_dir(&copy).unwrap();
    disk.cut(Survives::Everything, &mut chance, &copy);
    assert_eq!(contents(&copy), contents(&base), "the model is not what the disk is");
    found
}

fn check(subject: &str, folder: &Path, said: &str) -> Survived {
    let acknowledged: BTreeSet<&str> =
        said.split("ack ").skip(1).filter_map(|text| Some(text.split_once('.')?.0)).collect();
    match subject {
        "plain" => plain::check(folder, &acknowledged),
        engine => stores::check(engine, folder, &acknowledged),
    }
}

/// Every file below a folder, with a checksum of its bytes.
fn contents(folder: &Path) -> BTreeMap<String, (usize, u32)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = contents(&path).into_iter();
            found.extend(below.map(|(file, what)| (format!("{name}/{file}"), what)));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(name, (bytes.len(), crc32fast::hash(&bytes)));
        }
    }
    found
}
