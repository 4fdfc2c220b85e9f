//! The room that each engine's store takes: after writing, overwriting and erasing; how long it then takes
//! to open it and to read from it, and in how much memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use strongroom_storage::{Batch, RowKey, Store, StoreUrl};

use crate::Failure;
use crate::load::{count, mixed};
use crate::time::Start;

/// Every arrangement of a store in a folder.
const STORES: [&str; 6] =
    ["redb", "fjall", "sled", "redb+journal", "fjall+journal", "sled+journal"];
/// Bytes of a value.
const VALUE_BYTES: usize = 4_096;
/// Rows of a commit.
const ROWS_AT_ONCE: usize = 64;
/// How often each row is written over.
const OVERWRITTEN: u64 = 3;
/// Times that rows are read, and rows of each.
const READS: u64 = 2_000;
const ROWS_OF_A_READ: u64 = 16;
const MIB: f64 = 1_048_576.0;

/// Measures every arrangement with so many bytes of values, and gives a table.
///
/// # Errors
/// Those of the engines.
pub(crate) fn measure(folder: &Path, bytes: usize) -> Result<String, Failure> {
    let rows = u64::try_from(bytes / VALUE_BYTES)?;
    let mut lines = Vec::new();
    for engine in STORES {
        let path = folder.join("room");
        let url = StoreUrl::parse(&format!("{engine}:{}", path.display()))?;
        write(&*strongroom_storage::create(&url)?, rows, 1)?;
        let written = mebibytes(&path)?;
        let looked = Command::new(std::env::current_exe()?)
            .args(["look", &url.to_string(), &rows.to_string()])
            .output()?;
        if !looked.status.success() {
            return Err(String::from_utf8_lossy(&looked.stderr).into_owned().into());
        }
        for version in 2..=OVERWRITTEN + 1 {
            write(&*strongroom_storage::open(&url)?, rows, version)?;
        }
        let overwritten = mebibytes(&path)?;
        erase(&*strongroom_storage::open(&url)?, rows)?;
        let erased = mebibytes(&path)?;
        let looked = String::from_utf8(looked.stdout)?;
        lines.push(format!(
            "| {engine} | {written:.0} | {overwritten:.0} | {erased:.0} | {} |",
            looked.trim()
        ));
        fs::remove_dir_all(&path)?;
    }
    Ok(format!(
        "| engine | MiB after writing | after writing over {OVERWRITTEN} times | after erasing all | opens in ms | resident MiB after that | \
         reads of {ROWS_OF_A_READ} rows: p50 µs | p99 µs | resident MiB after them |\n|---|---|---|---|---|---|---|---|---|\n{}\n\n\
         {:.0} MiB of values of {VALUE_BYTES} bytes under keys by chance, {ROWS_AT_ONCE} in a commit; room is what the files take on the \
         disk, the store closed. Opened and read in a process of its own, the page cache warm.",
        lines.join("\n"),
        count(bytes) / MIB
    ))
}

/// Opens a store with so many rows, reads from it, and gives the columns of a table.
///
/// # Errors
/// Those of the engine.
pub(crate) fn look(url: &str, rows: u64) -> Result<String, Failure> {
    let begun = Start::now();
    let store = strongroom_storage::open(&StoreUrl::parse(url)?)?;
    let opened = begun.elapsed().as_secs_f64() * 1e3;
    let resident_opened = resident()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut times = Vec::new();
    for read in 0..READS {
        let keys: Vec<RowKey> =
            (0..ROWS_OF_A_READ).map(|at| key(mixed(read * ROWS_OF_A_READ + at) % rows)).collect();
        let begun = Start::now();
        let found = runtime.block_on(store.get_many(&keys))?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        if found.iter().any(Option::is_none) {
            return Err("a row is not there".into());
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |permille: usize| times.get(times.len() * permille / 1_000).copied().unwrap_or(0.0);
    Ok(format!(
        "{opened:.0} | {resident_opened:.0} | {:.0} | {:.0} | {:.0}",
        at(500),
        at(990),
        resident()?
    ))
}

fn write(store: &dyn Store, rows: u64, version: u64) -> Result<(), Failure> {
    in_batches(store, rows, |batch, number| {
        batch.put(key(number), version, noise(mixed(number ^ (version << 32))));
    })
}

fn erase(store: &dyn Store, rows: u64) -> Result<(), Failure> {
    in_batches(store, rows, |batch, number| {
        batch.delete(key(number));
    })
}

fn in_batches(
    store: &dyn Store,
    rows: u64,
    change: impl Fn(&mut Batch, u64),
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for first in (0..rows).step_by(ROWS_AT_ONCE) {
        let mut batch = Batch::new();
        for number in first..(first + u64::try_from(ROWS_AT_ONCE)?).min(rows) {
            change(&mut batch, number);
        }
        let _committed = runtime.block_on(store.commit(batch))?;
    }
    Ok(())
}

/// Keys by chance, as ids are.
fn key(number: u64) -> RowKey {
    let halves = [mixed(number), mixed(number ^ 0xA5A5_A5A5)];
    RowKey::new([&[1][..], &halves.map(u64::to_be_bytes).concat()].concat())
}

/// A value that does not get smaller by compressing it, as sealed ones do not.
fn noise(seed: u64) -> Vec<u8> {
    let words = (0..u64::try_from(VALUE_BYTES / 8).unwrap_or(0))
        .map(|at| mixed(seed.wrapping_add(at)).to_be_bytes());
    words.flatten().collect()
}

/// What the files of a folder take on the disk.
fn mebibytes(folder: &Path) -> Result<f64, Failure> {
    let said = Command::new("du").args(["-s", "--block-size=1"]).arg(folder).output()?.stdout;
    let said = String::from_utf8(said)?;
    let bytes: usize = said.split_whitespace().next().ok_or("du says nothing")?.parse()?;
    Ok(count(bytes) / MIB)
}

/// The resident memory of this process, in MiB.
fn resident() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
    Ok(kib.ok_or("no resident memory in /proc")?.parse::<f64>()? / 1_024.0)
}
