//! Calls that fail: each call of a process on its files in turn fails or writes nothing. What
//! was acknowledged is there afterwards, what was refused is not, and after a sync that failed
//! nothing is acknowledged any more.
//!
//! `strace` lets the calls fail, counted for each thread of a child process that does a fixed piece of work.
//! sled as its own documents say to use it must go on after a failed sync: otherwise no call fails.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "the child tells its parent what was acknowledged")]

#[path = "../../../tests/src/cluster.rs"]
#[expect(dead_code, unreachable_pub, reason = "shared with others, who use all of it")]
mod cluster;
#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "shared with the conformance suite, which uses all of it")]
mod fixture;
#[path = "faults/small.rs"]
mod small;
#[path = "faults/work.rs"]
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells the child process what it is to work with.
const SUBJECT: &str = "STRONGROOM_TEST_SUBJECT";
/// Tells the child process where.
const FOLDER: &str = "STRONGROOM_TEST_FOLDER";
/// Asks for file systems that are really full.
const SMALL_DISK: &str = "STRONGROOM_SMALL_DISK";
/// Stands before the name of an engine whose disk is small.
const SMALL: &str = "small ";
/// The engines whose disk is filled.
const SMALL_ENGINES: [&str; 6] =
    ["redb", "fjall", "sled", "redb+journal", "fjall+journal", "sled+journal"];
/// sled as its own documents say to use it, for comparison.
const PLAIN: &str = "plain";
/// Asks for a fault in every call; otherwise ever fewer of the later ones are tried.
const EVERY_CALL: &str = "STRONGROOM_EVERY_CALL";
/// No child makes as many calls of a kind in one thread.
const CALLS_MAX: usize = 5_000;
/// A campaign ends when as much was wrong.
const WRONG_MAX: usize = 20;
/// The signal of a process that ended itself.
const ABORTED: i32 = 6;

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    /// The disk does not do it.
    Fails,
    /// The disk has no room.
    Full,
    /// A write writes nothing of what it was given, and says so.
    Short,
    /// This call and all of its kind that follow fail: what has to be the end of the process.
    SyncFails,
}

impl Fault {
    /// As `strace` is told, for the n-th call.
    fn injected(self, n: usize) -> String {
        match self {
            Self::Fails => format!("error=EIO:when={n}"),
            Self::Full => format!("error=ENOSPC:when={n}"),
            Self::Short => format!("retval=0:when={n}"),
            Self::SyncFails => format!("error=EIO:when={n}+"),
        }
    }
}

/// Which calls suffer what. `write` is also how the child tells what was acknowledged; one that cannot
/// tell ends.
const FAULTS: [(&str, &[Fault]); 14] = [
    ("pwrite64", &[Fault::Fails, Fault::Full, Fault::Short]),
    ("write", &[Fault::Fails, Fault::Full, Fault::Short]),
    ("fdatasync", &[Fault::SyncFails]),
    ("fsync", &[Fault::SyncFails]),
    ("sync_file_range", &[Fault::Fails, Fault::Full]),
    ("ftruncate", &[Fault::Fails, Fault::Full]),
    ("fallocate", &[Fault::Fails, Fault::Full]),
    ("openat", &[Fault::Fails, Fault::Full]),
    ("rename", &[Fault::Fails, Fault::Full]),
    ("mkdir", &[Fault::Fails, Fault::Full]),
    ("unlink", &[Fault::Fails]),
    ("pread64", &[Fault::Fails]),
    ("read", &[Fault::Fails]),
    ("statx", &[Fault::Fails]),
];

/// How children ended.
#[derive(Default)]
struct Campaign {
    ends: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.ends.values().sum();
        write!(f, "{all} faults, {} wrong", self.wrong.len())?;
        self.ends.iter().try_for_each(|(end, count)| write!(f, "; {end}: {count}"))
    }
}

/// A store that was worked on without faults, and what was said then.
struct Old {
    folder: PathBuf,
    said: String,
}

/// A child whose call failed.
struct Child {
    /// Whether there was such a call.
    is_struck: bool,
    /// What was acknowledged after that.
    acknowledged_after: usize,
    said: String,
    complained: String,
    code: Option<i32>,
    signal: Option<i32>,
}

/// The child. Without a subject it is no child and does nothing.
#[test]
fn a_child_works_while_its_calls_fail() {
    let Some(subject) = std::env::var_os(SUBJECT) else { return };
    let folder = std::env::var_os(FOLDER).unwrap();
    match subject.to_str().unwrap() {
        PLAIN => work::plain(Path::new(&folder)),
        subject => match subject.strip_prefix(SMALL) {
            Some(engine) => small::fill(engine, Path::new(&folder)),
            None => work::work(subject, Path::new(&folder)),
        },
    }
}

/// A file system of some megabytes that is really full. It needs a user namespace of its own, which not
/// every machine allows, so that it is asked for.
#[test]
fn a_disk_that_is_full_refuses_writes_and_goes_on_reading_and_then_writes_again() {
    if std::env::var_os(SMALL_DISK).is_none() {
        return;
    }
    for engine in SMALL_ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let ended = Command::new("unshare")
            .args(["-rm", "sh", "-c", small::MOUNTED])
            .arg(folder.path())
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_works_while_its_calls_fail", "--nocapture"])
            .env(SUBJECT, format!("{SMALL}{engine}"))
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        let complained = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("survived: "), "{engine}: {said}\n{complained}");
        let what = said.split_once("survived: ").unwrap().1.lines().next().unwrap();
        println!("{engine}: {what}");
    }
}

/// The positive control: sled without our adapter.
#[test]
fn plain_sled_acknowledges_what_it_writes_after_a_failed_sync() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("disk");
    fs::create_dir(&folder).unwrap();
    let child = run_child(PLAIN, &folder, "fsync", &Fault::SyncFails.injected(1));
    let (end, wrong) = judge(Fault::SyncFails, &child);
    println!("plain: {end}; {wrong:?}");
    assert!(child.acknowledged_after > 0, "no call failed: {}", child.said);
    assert!(wrong.is_some());
}

#[test]
fn redb_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("redb");
}

#[test]
fn fjall_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("fjall");
}

#[test]
fn sled_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("sled");
}

#[test]
fn a_journal_before_redb_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("redb+journal");
}

#[test]
fn a_journal_before_fjall_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("fjall+journal");
}

#[test]
fn a_journal_before_sled_loses_nothing_and_hides_nothing_when_any_call_fails() {
    nothing_is_lost("sled+journal");
}

fn nothing_is_lost(engine: &str) {
    let mut campaign = Campaign::default();
    let temporary = tempfile::tempdir().unwrap();
    let old = temporary.path().join("old");
    fs::create_dir(&old).unwrap();
    let said = run_child(engine, &old, "write", &Fault::Fails.injected(CALLS_MAX)).said;
    assert!(said.contains("done.\n"), "{said}");
    let old = Old { folder: old, said };
    // What our adapter has read sled finds in memory, so that its own reading does not fail.
    let is_possible = |call: &str| !(engine.starts_with("sled") && call == "pread64");
    for (call, faults) in FAULTS.into_iter().filter(|(call, _)| is_possible(call)) {
        for fault in faults {
            for is_new in [true, false] {
                strike(engine, call, *fault, (!is_new).then_some(&old), &mut campaign);
            }
        }
    }
    println!("{engine}: {campaign}");
    assert_eq!(campaign.wrong, Vec::<String>::new(), "{engine}");
    assert!(campaign.ends.len() > 3, "{engine}: {campaign}");
}

/// Lets one call after the other fail, until there is none any more.
fn strike(engine: &str, call: &str, fault: Fault, old: Option<&Old>, campaign: &mut Campaign) {
    let every = std::env::var_os(EVERY_CALL).is_some();
    let mut n = if every || old.is_none() { 1 } else { 2 };
    while n < CALLS_MAX && campaign.wrong.len() < WRONG_MAX {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("disk");
        match old {
            Some(old) => copy(&old.folder, &folder),
            None => fs::create_dir(&folder).unwrap(),
        }
        let child = run_child(engine, &folder, call, &fault.injected(n));
        if !child.is_struck {
            return;
        }
        let (end, wrong) = judge(fault, &child);
        *campaign.ends.entry(end).or_default() += 1;
        let before = old.map(|old| work::said(&old.said, "ack ")).unwrap_or_default();
        let acknowledged = &work::said(&child.said, "ack ") | &before;
        let lost = work::check(engine, &folder, &acknowledged);
        for what in wrong.into_iter().chain(lost.err()) {
            let age = if old.is_some() { "old" } else { "new" };
            let Child { said, complained, .. } = &child;
            campaign
                .wrong
                .push(format!("{call} {fault:?} {n}, {age} store: {what}\n{said}\n{complained}"));
        }
        n = if every { n + 1 } else { 3 * n };
    }
}

/// How a child ended, and what was wrong with that.
fn judge(fault: Fault, child: &Child) -> (&'static str, Option<String>) {
    let wrong = match fault {
        Fault::SyncFails if child.acknowledged_after > 0 => {
            Some(format!("{} acknowledged after a failed sync", child.acknowledged_after))
        }
        Fault::Fails | Fault::Full | Fault::Short if child.said.contains("stuck.") => {
            Some("it does not recover".to_owned())
        }
        Fault::SyncFails | Fault::Fails | Fault::Full | Fault::Short => None,
    };
    let end = match (child.code, child.signal) {
        (_, Some(ABORTED)) => "ended itself",
        (Some(0), _) if child.said.contains("refused: ") => "refused to open",
        (Some(0), _) if child.said.contains("full ") => "said full and went on",
        (Some(0), _)
            if ["unread", "unavailable ", "damaged "]
                .iter()
                .any(|word| child.said.contains(word)) =>
        {
            "said so"
        }
        (Some(0), _) => "not harmed",
        (Some(work::HANGS), _) => "hung",
        (Some(101), _) if child.complained.contains("panicked") => "panicked",
        _ => "before the work began or mute",
    };
    (end, wrong.or_else(|| ["panicked", "hung"].contains(&end).then(|| format!("it {end}"))))
}

fn run_child(subject: &str, folder: &Path, call: &str, injected: &str) -> Child {
    let log = folder.with_extension("log");
    let ended = Command::new("strace")
        .args(["-f", "-qq", "-s", "64", "-e", "signal=none", "--seccomp-bpf"])
        .args(["-e", &format!("trace={call},write"), "-o"])
        .arg(&log)
        .args(["-e", &format!("inject={call}:{injected}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_works_while_its_calls_fail", "--nocapture"])
        .env(SUBJECT, subject)
        .env(FOLDER, folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the tests need `strace`; `cargo xtask test` installs it");
    let log = fs::read_to_string(&log).unwrap();
    let mut later = log.lines().skip_while(|line| !line.contains("(INJECTED)"));
    let is_struck = later.next().is_some();
    Child {
        is_struck,
        acknowledged_after: later.filter(|line| line.contains("write(1, \"ack ")).count(),
        said: String::from_utf8_lossy(&ended.stdout).into_owned(),
        complained: String::from_utf8_lossy(&ended.stderr).into_owned(),
        code: ended.status.code(),
        signal: ended.status.signal(),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let beside = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &beside);
        } else {
            fs::copy(&path, &beside).unwrap();
        }
    }
}
