//! redb, and redb with a journal in front of it, by turns: commits, reads beside them, memory and closing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom_storage::{Batch, RowKey, Store, StoreUrl};
use tokio::task::JoinSet;

use crate::Failure;
use crate::load::{Outcome, count, mixed};
use crate::process;
use crate::report::median;
use crate::storage::{CREATION, WRITERS, key_of, rows_of};
use crate::time::Start;

/// What is compared, as in a store's URL.
pub(crate) const ARRANGEMENTS: [&str; 2] = ["redb", "redb+journal"];
/// How often somebody reads beside the writers.
const READ_EVERY: Duration = Duration::from_millis(2);
/// Columns of the table, which are the numbers that a turn prints.
const COLUMNS: [&str; NUMBERS] = [
    "commits/s",
    "commit p50 ms",
    "p99 ms",
    "longest ms",
    "read p50 ms",
    "p99 ms",
    "longest ms",
    "closing s",
    "most memory MiB",
];
const NUMBERS: usize = 9;

/// What one turn of a store gave, in the order of [`COLUMNS`].
struct Figures([f64; NUMBERS]);

impl Figures {
    fn rate(&self) -> f64 {
        let [rate, ..] = self.0;
        rate
    }

    fn line(&self) -> String {
        self.0.map(|number| format!("{number:.3}")).join(" ")
    }
}

impl FromStr for Figures {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let numbers = line.split_whitespace().map(str::parse);
        let numbers: Vec<f64> = numbers.collect::<Result<_, _>>()?;
        let numbers = numbers.try_into().map_err(|_| format!("no figures: `{line}`"))?;
        Ok(Self(numbers))
    }
}

/// Measures both, each turn in a process of its own and with a new store, and gives a table of medians.
///
/// # Errors
/// If a turn fails.
pub(crate) fn measure(folder: &Path, turn: Duration, rounds: usize) -> Result<String, Failure> {
    let mut lines = Vec::new();
    for writers in WRITERS {
        let mut of_all = ARRANGEMENTS.map(|_| Vec::new());
        for _ in 0..rounds {
            for (arrangement, figures) in ARRANGEMENTS.iter().zip(&mut of_all) {
                figures.push(in_a_process(arrangement, writers, turn, folder)?);
            }
        }
        let [bare, _] = &of_all;
        for (arrangement, figures) in ARRANGEMENTS.iter().zip(&of_all) {
            let pairs = figures.iter().zip(bare);
            let ratio = median(pairs.map(|(own, bare)| own.rate() / bare.rate()).collect());
            let column =
                |at| median(figures.iter().filter_map(|one| one.0.get(at).copied()).collect());
            let columns: Vec<String> =
                (0..NUMBERS).map(|at| format!("{:.3}", column(at))).collect();
            lines.push(format!(
                "| {writers} | {arrangement} | {ratio:.2} | {} |",
                columns.join(" | ")
            ));
        }
    }
    let rule = "---|".repeat(NUMBERS + 3);
    Ok(format!(
        "| writers | store | ratio | {} |\n|{rule}\n{}\n\nTurns of {:.1} s, {rounds} rounds, medians; a commit has \
         five rows. Somebody reads a random row every {} ms meanwhile. Closing is not in the time of the commits.",
        COLUMNS.join(" | "),
        lines.join("\n"),
        turn.as_secs_f64(),
        READ_EVERY.as_millis()
    ))
}

fn in_a_process(
    arrangement: &str,
    writers: usize,
    turn: Duration,
    folder: &Path,
) -> Result<Figures, Failure> {
    let path = folder.join("store");
    let ended = Command::new(std::env::current_exe()?)
        .args(["store", arrangement, &writers.to_string(), &turn.as_millis().to_string()])
        .arg(&path)
        .stderr(Stdio::inherit())
        .output()?;
    std::fs::remove_dir_all(&path)?;
    if !ended.status.success() {
        return Err(format!("a turn of {arrangement} ended with {}", ended.status).into());
    }
    String::from_utf8_lossy(&ended.stdout).parse()
}

/// One turn, in the process that was started for it: prints its figures in one line.
///
/// # Errors
/// Those of the store.
pub(crate) fn turn(
    arrangement: &str,
    writers: usize,
    turn: Duration,
    path: &Path,
) -> Result<(), Failure> {
    let url = StoreUrl::parse(&format!("{arrangement}:{}", path.display()))?;
    let store = strongroom_storage::create(&url)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let numbers = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let begun = Start::now();
    let end = begun.plus(turn);
    let (commits, took, reads) = runtime.block_on(async {
        let reader = tokio::spawn(read_until(store.clone(), numbers.clone(), ended.clone()));
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            tasks.spawn(commit_until(store.clone(), numbers.clone(), end));
        }
        let commits: Result<Vec<_>, _> = tasks.join_all().await.into_iter().collect();
        let took = begun.elapsed();
        ended.store(true, Ordering::Relaxed);
        let reads = reader.await??;
        Ok::<_, Failure>((commits?.concat(), took, reads))
    })?;
    let (commits, reads) = (Outcome::of(commits, took), Outcome::of(reads, took));
    drop(runtime);
    let closing = Start::now();
    drop(store);
    let closing = closing.elapsed().as_secs_f64();
    let mib = count(process::most_memory_bytes()?) / 1_048_576.0;
    let times = |of: &Outcome| [500, 990, 1_000].map(|permille| of.quantile_ms(permille)).to_vec();
    let figures =
        [vec![commits.rate()], times(&commits), times(&reads), vec![closing, mib]].concat();
    let figures = figures.try_into().map_err(|_| "not as many figures as columns")?;
    println!("{}", Figures(figures).line());
    Ok(())
}

/// Commits until the end comes, and gives what each commit took, in nanoseconds.
async fn commit_until(
    store: Arc<dyn Store>,
    numbers: Arc<AtomicU64>,
    end: Start,
) -> Result<Vec<u64>, strongroom_storage::StoreError> {
    let mut samples = Vec::new();
    while !end.has_come() {
        let mut batch = Batch::new();
        for (key, value) in rows_of(numbers.fetch_add(1, Ordering::Relaxed), CREATION) {
            batch.expect_absent(key.clone()).put(key, 1, value);
        }
        let begun = Start::now();
        store.commit(batch).await?;
        samples.push(begun.nanos());
    }
    Ok(samples)
}

/// Reads a row by chance now and then, and gives what each reading took, in nanoseconds.
async fn read_until(
    store: Arc<dyn Store>,
    numbers: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
) -> Result<Vec<u64>, strongroom_storage::StoreError> {
    let (mut samples, mut asked) = (Vec::new(), 0);
    while !ended.load(Ordering::Relaxed) {
        tokio::time::sleep(READ_EVERY).await;
        asked += 1;
        let number = mixed(asked) % numbers.load(Ordering::Relaxed).max(1);
        let key: RowKey = key_of(1, number);
        let begun = Start::now();
        store.get_many(&[key]).await?;
        samples.push(begun.nanos());
    }
    Ok(samples)
}
