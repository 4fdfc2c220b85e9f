//! Backups: how fast a server makes one, how fast it is proved and comes back, against `cp` of the same
//! bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_storage::keyspace;
use strongroom_storage::{Batch, KeyRange, PAGE_MAX, StoreUrl};

use crate::Failure;
use crate::load::count;
use crate::process::Server;
use crate::program::Installation;
use crate::report::median;
use crate::time::Start;
use crate::world::{self, Caller, Tenant, fresh_key, text};

/// The place, as the server is told it.
const PLACE: &str = "bench";
/// How often it is asked how far a backup is.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// Rows that are removed in one commit.
const REMOVED_AT_ONCE: usize = 500;

/// Times backups of so many records, round by round, and gives the part of the report.
///
/// # Errors
/// If a server or a command fails.
pub(crate) fn measure(folder: &Path, records: usize, rounds: usize) -> Result<String, Failure> {
    let installation = Installation::make(folder)?;
    let place = folder.join("place");
    fs::create_dir(&place)?;
    let server =
        installation.serve_with(&["--backup-place", &format!("{PLACE}={}", place.display())])?;
    let mut operator = world::operator(&server, &installation)?;
    let invited = world::invite(&mut operator, "Bench")?;
    Tenant::open(&server, &invited)?.import(&server, 0..records)?;

    let mut turns = Turns::default();
    let mut backup = PathBuf::new();
    for _ in 0..rounds {
        let (seconds, name) = back_up(&server, &mut operator)?;
        backup = place.join(name);
        turns.backups.push(seconds);
        turns.copies.push(copy(&backup, &folder.join("copy"))?);
    }
    drop(server);
    let bytes = files(&backup)?.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let from = backup.display().to_string();
    for _ in 0..rounds {
        turns.drills.push(restore(&installation, &["--from", &from, "--drill"])?);
        lose_rows(&installation)?;
        turns.restores.push(restore(&installation, &["--from", &from, "--yes"])?);
    }
    Ok(turns.table(records, bytes))
}

/// Seconds that each took, round by round.
#[derive(Default)]
struct Turns {
    backups: Vec<f64>,
    copies: Vec<f64>,
    drills: Vec<f64>,
    restores: Vec<f64>,
}

impl Turns {
    fn table(&self, records: usize, bytes: u64) -> String {
        let mebibytes = count(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1_048_576.0;
        let line = |what: &str, turns: &[f64]| {
            let ratios = self.copies.iter().zip(turns).map(|(copy, turn)| copy / turn).collect();
            format!(
                "| {what} | {:.3} | {:.1} |",
                median(ratios),
                mebibytes / median(turns.to_vec())
            )
        };
        format!(
            "| | ratio to `cp` | MiB/s |\n|---|---|---|\n{}\n{}\n{}\n{}\n\n{records} records, {mebibytes:.1} MiB of backup, \
             each part synced and read back. `cp -r`, and `sync` of its files. Drill and restore are whole commands, with \
             the opening of store and keys; all rows but the key state were lost before each restore.",
            line("backup", &self.backups),
            line("drill", &self.drills),
            line("restore", &self.restores),
            line("cp", &self.copies),
        )
    }
}

/// Makes a backup, and gives how long it took and its name.
fn back_up(server: &Server, operator: &mut Caller) -> Result<(f64, String), Failure> {
    let mut caller = Caller::with(server, &operator.token)?;
    let begun = Start::now();
    let once = format!("Idempotency-Key: {}\r\n", fresh_key()?);
    let body = json!({"place": PLACE}).to_string();
    let job = text(&caller.call("POST", "/v1/system/backups", &once, &body)?, "/id")?;
    loop {
        let job = caller.call("GET", &format!("/v1/provider/jobs/{job}"), "", "")?;
        match job.pointer("/state").and_then(Value::as_str) {
            Some("done") => {
                return Ok((begun.elapsed().as_secs_f64(), text(&job, "/backup/name")?));
            }
            Some("queued" | "running") => thread::sleep(ASK_EVERY),
            _ => return Err(format!("the backup has failed: {job}").into()),
        }
    }
}

/// Copies a backup as `cp` does, durably.
fn copy(backup: &Path, to: &Path) -> Result<f64, Failure> {
    let begun = Start::now();
    run(Command::new("cp").arg("-r").arg(backup).arg(to))?;
    let copied = files(to)?;
    run(Command::new("sync").args(copied.iter().map(|(path, _)| path)))?;
    let seconds = begun.elapsed().as_secs_f64();
    fs::remove_dir_all(to)?;
    Ok(seconds)
}

fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.path(), entry.metadata()?.len()));
    }
    Ok(files)
}

fn restore(installation: &Installation, words: &[&str]) -> Result<f64, Failure> {
    let begun = Start::now();
    run(&mut installation.at_rest("restore", words)?)?;
    Ok(begun.elapsed().as_secs_f64())
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{} ended with {}: {said}", command.get_program().display(), done.status).into())
}

/// Removes every row but the key state, as if the disk with the data were gone.
fn lose_rows(installation: &Installation) -> Result<(), Failure> {
    let store = strongroom_storage::open(&StoreUrl::parse(&installation.store_url())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut range = KeyRange::prefix(&[]);
        loop {
            let page = store.scan(&range, PAGE_MAX).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = range.continued(last);
            for some in page.chunks(REMOVED_AT_ONCE) {
                let mut batch = Batch::new();
                for (key, _) in some {
                    if keyspace::parse(key).is_none_or(|(_, kind, _)| !kind.is_key_state()) {
                        batch.delete(key.clone());
                    }
                }
                if !batch.is_empty() {
                    let _committed = store.commit(batch).await?;
                }
            }
        }
    })
}
