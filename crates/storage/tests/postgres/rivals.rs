//! Two servers that want the same store.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{PostgresStore, Store};
use tokio::time::Instant;

use crate::fixture::{all_lines, key, line, new_database, postgres_url, put, run, tenant};

/// Names the database to the child process.
const DATABASE: &str = "STRONGROOM_TEST_DATABASE";
/// The lines that a child says before something is done to it.
const LINES: usize = 40;
/// More lines than it can say before it has noticed what was done to it.
const LINES_MAX: usize = 10_000;

/// The child: writes rows with lines until it is stopped, and says what was acknowledged, or why not.
/// Without its database it is no child and does nothing.
#[test]
fn a_child_writes_until_it_is_stopped() {
    let Ok(url) =
        std::env::vars_os().find(|(name, _)| name == DATABASE).map(|(_, url)| url).ok_or(())
    else {
        return;
    };
    let store = PostgresStore::open(&postgres_url(url.to_str().unwrap())).unwrap();
    let id = std::process::id();
    run(async move {
        for n in 0u64.. {
            let mut batch = put(&format!("row {id} {n}"), 1, "x");
            batch.line(line(tenant(1), &format!("{id}-{n}")));
            match store.commit(batch).await {
                Ok(_) => println!("ack {id}-{n}"),
                Err(error) => {
                    println!("error {error}");
                    return;
                }
            }
        }
    });
}

/// A child at work.
struct Rival {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    acknowledged: BTreeSet<String>,
}

impl Rival {
    fn start(url: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "rivals::a_child_writes_until_it_is_stopped", "--nocapture"])
            .env(DATABASE, url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said, acknowledged: BTreeSet::new() }
    }

    /// Listens to it: until so many lines, or the end.
    fn hear(&mut self, lines: usize) -> Option<String> {
        for _ in 0..lines {
            let mut text = String::new();
            if self.said.read_line(&mut text).unwrap() == 0 {
                return None;
            }
            if let Some((_, name)) = text.split_once("ack ") {
                self.acknowledged.insert(name.trim().to_owned());
            } else if let Some((_, error)) = text.split_once("error ") {
                return Some(error.trim().to_owned());
            }
        }
        None
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn check(store: &dyn Store, acknowledged: &BTreeSet<String>) {
    let texts: Vec<String> = all_lines(store).await.into_iter().map(|line| line.text).collect();
    let lines: BTreeSet<&String> = texts.iter().collect();
    assert_eq!(texts.len(), lines.len(), "a line stands twice");
    for name in acknowledged {
        assert!(lines.contains(name), "the line of {name} is lost");
        let (id, n) = name.split_once('-').unwrap();
        let rows = store.get_many(&[key(&format!("row {id} {n}"))]).await.unwrap();
        assert!(rows[0].is_some(), "the row of {name} is lost");
    }
}

#[test]
fn a_second_server_is_refused_and_comes_in_when_the_first_has_gone() {
    let (_cluster, url) = new_database();
    let first = PostgresStore::create(&url).unwrap();
    let refused = PostgresStore::open(&url).err().expect("two servers").to_string();
    assert!(refused.contains("another server uses the store"), "{refused}");
    run(async { drop(first.commit(put("a", 1, "x")).await.unwrap()) });
    drop(first);
    let began = Instant::now();
    let second = PostgresStore::open(&url).unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    run(async {
        assert!(second.get_many(&[key("a")]).await.unwrap()[0].is_some());
    });
}

#[test]
fn a_server_that_was_killed_leaves_the_store_to_the_next_one_with_all_that_it_acknowledged() {
    let (_cluster, url) = new_database();
    drop(PostgresStore::create(&url).unwrap());
    let mut acknowledged = BTreeSet::new();
    for _ in 0..2 {
        let mut rival = Rival::start(&url.to_string());
        assert_eq!(rival.hear(LINES), None);
        rival.signal("KILL");
        rival.hear(LINES_MAX);
        assert!(rival.acknowledged.len() > LINES / 2);
        acknowledged.append(&mut rival.acknowledged);
    }
    let began = Instant::now();
    let store = PostgresStore::open(&url).unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    run(async move { check(&store, &acknowledged).await });
}

#[test]
fn a_server_that_stood_still_and_was_replaced_writes_nothing_more() {
    let (_cluster, url) = new_database();
    drop(PostgresStore::create(&url).unwrap());
    let mut rival = Rival::start(&url.to_string());
    assert_eq!(rival.hear(LINES), None);
    rival.signal("STOP");
    let store = Arc::new(PostgresStore::open(&url).unwrap());
    run({
        let store = Arc::clone(&store);
        async move { drop(store.commit(put("mine", 1, "x")).await.unwrap()) }
    });
    rival.signal("CONT");
    let error = rival.hear(LINES_MAX).expect("it goes on");
    assert!(error.contains("another server has taken the database over"), "{error}");
    let acknowledged = std::mem::take(&mut rival.acknowledged);
    run(async move { check(&*store, &acknowledged).await });
}
