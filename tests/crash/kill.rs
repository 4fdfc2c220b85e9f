//! Kill -9 while several callers write: what was acknowledged is there, what was erased stays gone.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_model::Rng as _;
use strongroom_tests::{Caller, Reply, fresh_key};
use tokio::task::JoinSet;

use strongroom_tests::program::{Installation, People, Running};

const RECORDS: &str = "/collections/people/records";
/// Callers that write at the same time.
const WRITERS: usize = 6;
/// How often the server is killed, unless `STRONGROOM_KILLS` says otherwise.
const KILLS: usize = 20;
/// How often a server over another engine than the default is killed.
const KILLS_OF_OTHERS: usize = 10;
/// A server lives for at most so long before it is killed, in milliseconds.
const LIFE_MAX: u64 = 350;
/// Entries of earlier rounds that each round looks at again.
const SAMPLE: usize = 40;

/// What a record is like.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Not there, never or no longer.
    Gone,
    /// There, with this note.
    Noted(String),
}

/// What is known of one record from the answers that came back.
#[derive(Debug, Clone)]
struct Entry {
    external_id: String,
    /// Its id and its subject, once an answer has told them.
    ids: Option<(String, String)>,
    /// What the last answer acknowledged.
    acknowledged: State,
    /// What the request asked for whose answer did not come.
    in_doubt: Option<State>,
    /// Whether it was gone by an acknowledged erasure or deletion.
    erased: bool,
    touched: bool,
}

/// One writer's records; nobody else touches them.
struct Ledger {
    writer: usize,
    entries: Vec<Entry>,
    /// Where acknowledged audit lines stand.
    lines: Vec<String>,
    luck: Luck,
    made: usize,
}

/// Random numbers.
struct Luck(u64);

impl Luck {
    fn new() -> Self {
        let mut bytes = [0; 8];
        strongroom_crypto::SystemRng::new().fill(&mut bytes).unwrap();
        Self(u64::from_le_bytes(bytes) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

impl Ledger {
    fn new(writer: usize) -> Self {
        Self { writer, entries: Vec::new(), lines: Vec::new(), luck: Luck::new(), made: 0 }
    }

    /// Writes until the server is gone.
    async fn write(mut self, owner: Caller) -> Self {
        loop {
            let alive: Vec<usize> = (0..self.entries.len())
                .filter(|place| self.entries[*place].acknowledged != State::Gone)
                .collect();
            let chance = self.luck.below(100);
            let done = if alive.is_empty() || chance < 45 {
                self.create(&owner).await
            } else {
                let place = alive[self.luck.place(alive.len())];
                match chance {
                    45..70 => self.change(&owner, place).await,
                    70..80 => self.upsert(&owner, place).await,
                    80..88 => self.delete(&owner, place).await,
                    88..94 => self.erase(&owner, place, true).await,
                    _ => self.erase(&owner, place, false).await,
                }
            };
            if !done {
                return self;
            }
        }
    }

    /// Keeps what an answer acknowledges. False: the server is gone, and the request in doubt.
    fn take(&mut self, place: usize, answer: Result<Reply, reqwest::Error>) -> bool {
        let Ok(answer) = answer else { return false };
        let entry = &mut self.entries[place];
        let wanted = entry.in_doubt.take().unwrap();
        if answer.status == 503 && answer.code() == "conflict" {
            // It says that nothing was changed.
            return true;
        }
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
        self.lines.extend(answer.lines());
        if answer.status == 201 && entry.ids.is_none() {
            let made = answer.json();
            let id = |name: &str| made[name].as_str().unwrap().to_owned();
            entry.ids = Some((id("id"), id("subject")));
        }
        if wanted == State::Gone {
            entry.erased = true;
        }
        entry.acknowledged = wanted;
        true
    }

    fn ask(&mut self, place: usize, wanted: State) -> String {
        let entry = &mut self.entries[place];
        entry.touched = true;
        entry.in_doubt = Some(wanted);
        entry.ids.as_ref().map(|(id, _)| format!("{RECORDS}/{id}")).unwrap_or_default()
    }

    fn note(&mut self) -> String {
        self.made += 1;
        format!(
            "note {} of writer {} {}",
            self.made,
            self.writer,
            "long ".repeat(self.luck.place(60))
        )
    }

    async fn create(&mut self, owner: &Caller) -> bool {
        let note = self.note();
        let external_id = format!("{}-{}", self.writer, self.made);
        let body =
            json!({"external_id": external_id, "fields": {"name": "Wilma Writer", "note": note}});
        self.entries.push(Entry {
            external_id,
            ids: None,
            acknowledged: State::Gone,
            in_doubt: None,
            erased: false,
            touched: true,
        });
        let place = self.entries.len() - 1;
        self.ask(place, State::Noted(note));
        let call = owner.call("POST", RECORDS).header("Idempotency-Key", &fresh_key());
        let answer = call.json(&body).try_send().await;
        self.take(place, answer)
    }

    async fn change(&mut self, owner: &Caller, place: usize) -> bool {
        let note = self.note();
        let body = json!({"fields": {"note": note}});
        let path = self.ask(place, State::Noted(note));
        let call = owner.call("PATCH", &path).header("If-Match", "*").json(&body);
        let answer = call.try_send().await;
        self.take(place, answer)
    }

    async fn upsert(&mut self, owner: &Caller, place: usize) -> bool {
        let note = self.note();
        let external_id = self.entries[place].external_id.clone();
        let body =
            json!({"external_id": external_id, "fields": {"name": "Wilma Again", "note": note}});
        self.ask(place, State::Noted(note));
        let answer = owner.call("PUT", &format!("{RECORDS}:upsert")).json(&body).try_send().await;
        self.take(place, answer)
    }

    async fn delete(&mut self, owner: &Caller, place: usize) -> bool {
        let path = self.ask(place, State::Gone);
        let answer = owner.call("DELETE", &path).try_send().await;
        self.take(place, answer)
    }

    async fn erase(&mut self, owner: &Caller, place: usize, person: bool) -> bool {
        self.ask(place, State::Gone);
        let (id, subject) = self.entries[place].ids.clone().unwrap();
        let target = if person {
            json!({"subject": subject})
        } else {
            json!({"record": {"collection": "people", "id": id}})
        };
        let body = json!({"target": target, "ground": "subject_request"});
        let call = owner.call("POST", "/erasures").header("Idempotency-Key", &fresh_key());
        let answer = call.json(&body).try_send().await;
        if let Ok(answer) = &answer
            && answer.status == 201
        {
            let erasure = answer.json();
            assert_eq!(erasure["state"], "erased", "{erasure}");
            assert!(erasure["receipt"].is_string(), "{erasure}");
        }
        self.take(place, answer)
    }

    /// Compares the server with what it acknowledged, and settles what was in doubt. Gives how many
    /// records it looked at, and what was not as it should be.
    async fn check(&mut self, owner: &Caller) -> (usize, Vec<String>) {
        let mut faults = Vec::new();
        let mut places: BTreeSet<usize> =
            (0..self.entries.len()).filter(|place| self.entries[*place].touched).collect();
        for _ in 0..SAMPLE.min(self.entries.len()) {
            places.insert(self.luck.place(self.entries.len()));
        }
        for place in &places {
            let entry = &mut self.entries[*place];
            let found = match look(owner, entry).await {
                Ok(found) => found,
                Err(fault) => {
                    faults.push(format!("{fault}: {entry:?}"));
                    continue;
                }
            };
            if found != entry.acknowledged && Some(&found) != entry.in_doubt.as_ref() {
                faults.push(format!("found {found:?} instead of {entry:?}"));
            }
            entry.acknowledged = found;
            entry.in_doubt = None;
            entry.touched = false;
        }
        (places.len(), faults)
    }
}

async fn check_all(ledgers: &mut [Ledger], owner: &Caller) -> (usize, Vec<String>) {
    let (mut looked_at, mut all) = (0, Vec::new());
    for ledger in ledgers {
        let (looked, faults) = ledger.check(owner).await;
        looked_at += looked;
        all.extend(faults);
    }
    (looked_at, all)
}

/// What the server has of an entry: by its external id, and by its id if that is known.
async fn look(owner: &Caller, entry: &mut Entry) -> Result<State, &'static str> {
    let lookup = json!({"external_id": entry.external_id});
    let by_name = owner.post(&format!("{RECORDS}:lookup"), lookup).await;
    // Between its fence and the batch that takes it out of the index, an erased record's name still
    // leads to the answer that it is erased.
    let by_name = (!matches!(by_name.status, 404 | 410)).then(|| by_name.ok());
    let Some((id, _)) = &entry.ids else {
        return Ok(by_name.map_or(State::Gone, |record| {
            let id = |name: &str| record[name].as_str().unwrap().to_owned();
            entry.ids = Some((id("id"), id("subject")));
            noted(&record)
        }));
    };
    let by_id = owner.get(&format!("{RECORDS}/{id}")).await;
    match (by_id.status, by_name) {
        (404 | 410, None) => Ok(State::Gone),
        (404 | 410, Some(_)) => Err("its name is left of what is gone"),
        (_, Some(record)) if by_id.ok() == record => Ok(noted(&record)),
        (_, _) => Err("its name leads elsewhere"),
    }
}

fn noted(record: &Value) -> State {
    State::Noted(record["fields"]["note"].as_str().unwrap().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn kills() -> usize {
    std::env::var("STRONGROOM_KILLS").map_or(KILLS, |text| text.parse().expect("a number"))
}

/// The engine of the server that is killed most, unless `STRONGROOM_ENGINE` says otherwise.
#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn engine() -> String {
    std::env::var("STRONGROOM_ENGINE").unwrap_or_else(|_| "redb".to_owned())
}

/// One life of a server: written to, killed, and started again, sometimes at the second try.
async fn round(
    installation: &Installation,
    people: &People,
    server: Running,
    ledgers: Vec<Ledger>,
    luck: &mut Luck,
) -> (Running, Vec<Ledger>) {
    let owner = people.owner(&server);
    let mut writing = JoinSet::new();
    for ledger in ledgers {
        writing.spawn(ledger.write(owner.clone()));
    }
    tokio::time::sleep(Duration::from_millis(luck.below(LIFE_MAX))).await;
    server.kill();
    let mut ledgers = writing.join_all().await;
    ledgers.sort_by_key(|ledger| ledger.writer);
    // Coming back can be cut short too.
    while luck.below(3) == 0 {
        let mut child = installation.begin();
        tokio::time::sleep(Duration::from_millis(luck.below(60))).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    (installation.start(), ledgers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_and_no_erased_record_comes_back() {
    survive_kills(&engine(), kills()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_over_sled_loses_nothing_either() {
    survive_kills("sled", KILLS_OF_OTHERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_over_fjall_loses_nothing_either() {
    survive_kills("fjall", KILLS_OF_OTHERS).await;
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs it")]
async fn survive_kills(engine: &str, kills: usize) {
    let installation = Installation::make_on(engine);
    let mut server = installation.start();
    let people = installation.settle(&server).await;
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(Ledger::new).collect();
    let mut luck = Luck::new();
    let mut looked_at = 0;
    for number in 1..=kills {
        (server, ledgers) = round(&installation, &people, server, ledgers, &mut luck).await;
        let owner = people.owner(&server);
        let (looked, faults) = check_all(&mut ledgers, &owner).await;
        assert!(faults.is_empty(), "after {number} kills: {faults:#?}");
        looked_at += looked;
        if number % 50 == 0 {
            eprintln!("{number} kills");
        }
    }

    // The whole: every record of the ledgers and no other.
    let owner = people.owner(&server);
    let listed = owner.all(RECORDS, 1000).await;
    let mut found: Vec<(String, State)> = listed
        .iter()
        .map(|record| (record["external_id"].as_str().unwrap().to_owned(), noted(record)))
        .collect();
    let mut known: Vec<(String, State)> = ledgers
        .iter()
        .flat_map(|ledger| &ledger.entries)
        .filter(|entry| entry.acknowledged != State::Gone)
        .map(|entry| (entry.external_id.clone(), entry.acknowledged.clone()))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    known.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found.len(), known.len());
    assert_eq!(found, known);

    // Every erasure has ended with its receipt, also those that were cut short.
    let erasures = owner.all("/erasures", 1000).await;
    for erasure in &erasures {
        assert_eq!(erasure["state"], "erased", "{erasure}");
    }
    let erased = ledgers.iter().flat_map(|ledger| &ledger.entries).filter(|entry| entry.erased);
    let erased = erased.count();
    assert!(erasures.len() >= erased, "{} erasures of {erased}", erasures.len());

    // Every line that an answer promised is in the log.
    let log: BTreeSet<String> = owner
        .all("/audit", 1000)
        .await
        .iter()
        .map(|entry| format!("{}.{}.{}", entry["node"], entry["n"], entry["tag"].as_str().unwrap()))
        .collect();
    let promised = ledgers.iter().flat_map(|ledger| &ledger.lines);
    let broken: Vec<&String> = promised.filter(|line| !log.contains(*line)).collect();
    assert!(broken.is_empty(), "{} promised lines are missing: {:?}", broken.len(), broken.first());

    let lines: usize = ledgers.iter().map(|ledger| ledger.lines.len()).sum();
    eprintln!(
        "{engine}: {kills} kills, {lines} acknowledged writes, {erased} of them erasures, {} records left, \
         {looked_at} looks",
        found.len()
    );
    assert!(lines > kills, "nothing was written between the kills");
}

/// These checks are able to fail: a store that is put back by a life is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_put_back_is_found_out() {
    let installation = Installation::make();
    let server = installation.start();
    let people = installation.settle(&server).await;
    let mut luck = Luck::new();
    let ledgers = (0..WRITERS).map(Ledger::new).collect();
    let (server, mut ledgers) = round(&installation, &people, server, ledgers, &mut luck).await;
    assert_eq!(check_all(&mut ledgers, &people.owner(&server)).await.1, Vec::<String>::new());
    server.kill();
    installation.copy_to("before");
    let mut server = installation.start();
    let lines = |ledgers: &[Ledger]| ledgers.iter().map(|ledger| ledger.lines.len()).sum::<usize>();
    let before = lines(&ledgers);
    while lines(&ledgers) < before + 50 {
        (server, ledgers) = round(&installation, &people, server, ledgers, &mut luck).await;
        let touched =
            ledgers.iter().flat_map(|ledger| &ledger.entries).filter(|entry| entry.touched);
        let touched: BTreeSet<String> = touched.map(|entry| entry.external_id.clone()).collect();
        assert_eq!(check_all(&mut ledgers, &people.owner(&server)).await.1, Vec::<String>::new());
        for entry in ledgers.iter_mut().flat_map(|ledger| &mut ledger.entries) {
            entry.touched = touched.contains(&entry.external_id);
        }
    }
    server.kill();
    installation.put_back("before");
    // The server would not start: the head beside the holder has seen more.
    assert_eq!(installation.run_at_rest("verify", &[]).status.code(), Some(8));
    let accepted = installation.run_at_rest("accept-older-store", &["--yes"]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    // And where somebody has accepted that, these checks find what is lost.
    let server = installation.start();
    assert_ne!(check_all(&mut ledgers, &people.owner(&server)).await.1, Vec::<String>::new());
}
