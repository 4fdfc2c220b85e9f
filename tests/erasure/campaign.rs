//! A campaign: a server is filled, erases in rounds while it goes on being used, and is then attacked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use strongroom_adversary::{Evidence, Opened, Secret, Share, attack, holder_file, seal_key_file};
use strongroom_storage::StoreUrl;
use strongroom_tests::cluster::Cluster;
use strongroom_tests::{Server, fresh_key, search_bytes};
use tempfile::TempDir;

use crate::cast::{Fate, House, Ledger, Marks};

/// Tenants that stay; another one is erased with all that it has.
const HOUSES: usize = 3;
/// How often something is erased, and everything on the disk looked through.
const ROUNDS: usize = 5;
/// People who come after each round, and stay.
const NEWCOMERS: usize = 10;
/// Records that are erased for each person on the first day, over all tenants, from below.
const ERASED_FOR_EACH: usize = 8;
/// Longest time that a backup may take, in hundredths of a second.
const PATIENCE: u32 = 12_000;

/// Where a server has its store.
pub(crate) struct Site {
    engine: &'static str,
    folder: TempDir,
    url: StoreUrl,
    cluster: Option<Cluster>,
}

impl Site {
    /// On an engine that keeps its store in a folder.
    pub(crate) fn folder(engine: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("{engine}:{}", folder.path().join("store").display());
        Self { engine, url: StoreUrl::parse(&url).unwrap(), folder, cluster: None }
    }

    /// In a database of a cluster of its own.
    pub(crate) fn postgresql() -> Self {
        let cluster = Cluster::start_with("");
        cluster.query("postgres", "create database strongroom");
        let url = StoreUrl::parse(&cluster.url("strongroom")).unwrap();
        Self { engine: "postgresql", folder: TempDir::new().unwrap(), url, cluster: Some(cluster) }
    }
}

/// What a campaign counts.
#[derive(Default)]
struct Figures {
    rounds: usize,
    bytes: u64,
    backups: usize,
    /// Files that were looked through, with their length and when they last changed.
    seen: BTreeMap<PathBuf, (u64, SystemTime)>,
}

/// A backup, and which marked words of records it must give.
struct Backup {
    folder: PathBuf,
    there: BTreeSet<String>,
}

/// Runs a campaign in which at least so many records are erased.
pub(crate) async fn run(site: Site, erased: usize) {
    let Site { engine, folder, url, cluster } = site;
    let server = Server::recorded(folder, url).await;
    let disks: Vec<PathBuf> = match &cluster {
        Some(cluster) => vec![cluster.data(), server.folder().join("backups")],
        None => vec![server.folder().join("store"), server.folder().join("backups")],
    };
    let (mut marks, mut ledger, mut figures) = (Marks::new(), Ledger::new(), Figures::default());
    let people = erased / ERASED_FOR_EACH + 1;
    let mut houses = Vec::new();
    for _ in 0..=HOUSES {
        houses.push(House::open(&server, &mut marks, &mut ledger, people).await);
    }
    let doomed = houses.pop().unwrap();
    let before = shares(server.folder());
    let mut backups = vec![back_up(&server, &ledger).await];
    for round in 0..ROUNDS {
        for house in &mut houses {
            house.erase(&mut ledger, round, ROUNDS, people).await;
            house.welcome(&mut marks, &mut ledger, NEWCOMERS).await;
        }
        if round == 2 {
            for house in &houses {
                house.burn_papers(&mut ledger).await;
            }
            backups.push(back_up(&server, &ledger).await);
        }
        if round == 3 {
            doomed.close(&mut ledger).await;
        }
        server.run_due_jobs().await;
        look_through(&server, &disks, &marks, &mut figures);
        figures.rounds += 1;
    }
    let evidence = server.evidence().await;
    figures.backups = backups.len();
    let trial = Trial { evidence, marks, ledger, seal: seal_key_file(server.seal_key()).unwrap() };
    trial.check(engine, &before, &shares(server.folder()), &backups, &figures);
}

/// The adversary has everything it may have.
struct Trial {
    evidence: Evidence,
    marks: Marks,
    ledger: Ledger,
    seal: Secret,
}

impl Trial {
    fn check(
        &self,
        engine: &str,
        before: &[Share],
        now: &[Share],
        backups: &[Backup],
        figures: &Figures,
    ) {
        let present = attack(&self.evidence, now, &self.seal);
        let read = self.marks.found_in(&present.text());
        let (living, erased) = (self.words(Fate::Lives), self.words(Fate::Erased));
        assert_eq!(count(&read, &erased), 0, "{engine}: something erased was read");
        assert_eq!(
            count(&read, &living),
            living.len(),
            "{engine}: something that lives was not read"
        );
        let told = self.indexed(&present, Fate::Erased);
        assert!(
            told.values().all(|(found, _)| *found == 0),
            "{engine}: an index tells of {told:?}"
        );
        let told = self.indexed(&present, Fate::Lives);
        assert!(told.values().all(|(found, all)| found == all), "{engine}: of {told:?}");

        // With the share from before, everything.
        let past = attack(&self.evidence, before, &self.seal);
        let read_before = self.marks.found_in(&past.text());
        assert_eq!(count(&read_before, &erased), erased.len(), "{engine}: the adversary is blind");
        let told = self.indexed(&past, Fate::Erased);
        assert!(
            told.values().all(|(found, all)| found == all),
            "{engine}: it is blind to {told:?}"
        );

        for backup in backups {
            let mut evidence = self.evidence.keys_alone();
            let parts = files(&backup.folder);
            let rows: usize =
                parts.iter().map(|part| evidence.backup_part(&fs::read(part).unwrap())).sum();
            assert!(rows > backup.there.len(), "{engine}: the backup has {rows} rows");
            let read = self.marks.found_in(&attack(&evidence, now, &self.seal).text());
            let there: BTreeSet<&String> =
                backup.there.iter().filter(|word| living.contains(word)).collect();
            assert_eq!(count(&read, &erased), 0, "{engine}: a backup tells of what is gone");
            assert_eq!(count(&read, &there), there.len(), "{engine}: a backup lost what lives");
        }

        let records = |fate| {
            let of_records = self.ledger.values().filter(|marked| marked.of_record);
            of_records.filter(|marked| marked.fate == fate).count()
        };
        println!(
            "{engine}: 0 of {} erased records read with the present secrets, all of them with the old \
             share; {} of {} others read, from {} backups too; {} rounds, {} bytes of files looked \
             through, {} rows as written, {} loose messages, {} keys tried, {} nodes, {} index \
             entries, {} lines opened",
            records(Fate::Erased),
            records(Fate::Lives),
            records(Fate::Lives),
            figures.backups,
            figures.rounds,
            figures.bytes,
            self.evidence.writes(),
            self.evidence.loose(),
            present.tried + past.tried,
            present.nodes,
            present.entries(),
            present.lines,
        );
    }

    fn words(&self, fate: Fate) -> BTreeSet<&String> {
        let words = self.ledger.iter().filter(|(_, marked)| marked.fate == fate);
        words.map(|(word, _)| word).collect()
    }

    /// By what has them, how many external ids an index tells of, and how many there are.
    fn indexed(&self, opened: &Opened, fate: Fate) -> BTreeMap<&str, (usize, usize)> {
        let mut told: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (word, marked) in self.ledger.iter().filter(|(_, marked)| marked.fate == fate) {
            let Some(tenant) = marked.indexed else { continue };
            let (found, all) = told.entry(&marked.of).or_default();
            *found += usize::from(opened.finds(*tenant.as_bytes(), word.as_bytes()));
            *all += 1;
        }
        told
    }
}

fn count(read: &BTreeSet<String>, words: &BTreeSet<&String>) -> usize {
    words.iter().filter(|word| read.contains(**word)).count()
}

/// What the holder keeps now.
fn shares(folder: &Path) -> Vec<Share> {
    holder_file(&fs::read(folder.join("holder")).unwrap()).unwrap().1
}

/// Looks through all files that have changed, for messages that the recorder does not know and for anything
/// in the clear.
fn look_through(server: &Server, disks: &[PathBuf], marks: &Marks, figures: &mut Figures) {
    let mut together = Vec::new();
    for file in disks.iter().flat_map(|disk| files(disk)) {
        // An engine may have removed it since.
        let Ok(known) = fs::metadata(&file) else { continue };
        let state = (known.len(), known.modified().unwrap());
        if figures.seen.insert(file.clone(), state) != Some(state) {
            together.extend(fs::read(&file).unwrap_or_default());
        }
    }
    figures.bytes += together.len() as u64;
    server.look_through(&together);
    let found = search_bytes("its files", &together, &[marks.needle()]);
    assert_eq!(found, [], "something stands in the clear");
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Has a backup made; it must give every record that lives.
async fn back_up(server: &Server, ledger: &Ledger) -> Backup {
    let operator = server.operator();
    let call = operator.call("POST", "/v1/system/backups").header("Idempotency-Key", &fresh_key());
    let asked = call.json(&json!({"place": "nightly"})).send().await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    for _ in 0..PATIENCE {
        server.run_due_jobs().await;
        let job = operator.get(&format!("/jobs/{}", asked.id())).await.ok();
        match job["state"].as_str().unwrap() {
            "done" => {
                let name = job["backup"]["name"].as_str().unwrap();
                let of_records = ledger.iter().filter(|(_, marked)| marked.of_record);
                let living = of_records.filter(|(_, marked)| marked.fate == Fate::Lives);
                let there = living.map(|(word, _)| word.clone()).collect();
                return Backup { folder: server.folder().join("backups").join(name), there };
            }
            "queued" | "running" => tokio::time::sleep(Duration::from_millis(10)).await,
            other => panic!("the backup is {other}: {job}"),
        }
    }
    panic!("the backup takes too long");
}
