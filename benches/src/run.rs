//! A run: what is measured, in which order, round by round.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::Failure;
use crate::arrangements::{self, ARRANGEMENTS};
use crate::backup;
use crate::cluster::Cluster;
use crate::copy;
use crate::customer::Customer;
use crate::http::request;
use crate::load::{self, Load, Source, count};
use crate::process::{Server, machine_load};
use crate::product;
use crate::program::Installation;
use crate::raw::{Rows, kib_each};
use crate::report::{self, Measured, Turn, median};
use crate::room;
use crate::sizes::Sizes;
use crate::storage;
use crate::time::Start;
use crate::world::{self, Caller, IMPORT_ITEMS, Tenant};

const ECHO: &str = "axum JSON echo";
const READ: &str = "Strongroom: read";
const CREATE: &str = "Strongroom: create";
const CREATE_EXTERNAL: &str = "Strongroom: create with an external id";
const LIST: &str = "Strongroom: list of 100";
/// What the 99th percentile at half load should stay below, in milliseconds.
const AIMS_MS: [(&str, f64); 3] = [(READ, 5.0), (CREATE, 15.0), (LIST, 25.0)];
/// Different customers that are sent by turns.
const CUSTOMERS: u64 = 512;
/// The cases that are looked at over a longer time.
const LASTING: [&str; 3] = [READ, CREATE, LIST];
/// So many turns follow each other without a pause when a case is looked at over a longer time.
const LASTING_TURNS: usize = 5;
/// Connections that fill the peer's tables.
const FILLERS: usize = 32;
/// Connections that read beside those that create.
const READERS: usize = 2;
const READ_BESIDE: &str = "Strongroom: read with 2 connections beside 32 that create";

/// What is wanted of a run.
pub(crate) struct Wanted {
    /// How much is measured.
    pub(crate) sizes: Sizes,
    /// Where the stores are made, on the disk that is to be measured.
    pub(crate) folder: PathBuf,
    /// What is measured; everything, if nothing is named.
    pub(crate) parts: Vec<Part>,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Requests in a closed loop.
    Requests,
    /// Requests at set times, half as many as the closed loop gave.
    HalfLoad,
    /// One case after the other, several turns each without a pause.
    Lasting,
    /// An import against the bare engine.
    Import,
    /// Memory of tenants that do nothing.
    Tenants,
    /// Starting over many records.
    Start,
    /// One backend that serves many tenants.
    Product,
    /// Commits of each engine of the store, and the room that it takes.
    Storage,
    /// redb with and without a journal in front of it.
    Arrangements,
    /// Backups, and what they come back in.
    Backup,
}

impl FromStr for Part {
    type Err = Failure;
    fn from_str(text: &str) -> Result<Self, Failure> {
        Ok(match text {
            "requests" => Self::Requests,
            "half-load" => Self::HalfLoad,
            "lasting" => Self::Lasting,
            "import" => Self::Import,
            "tenants" => Self::Tenants,
            "start" => Self::Start,
            "product" => Self::Product,
            "storage" => Self::Storage,
            "arrangements" => Self::Arrangements,
            "backup" => Self::Backup,
            other => return Err(format!("no part `{other}`").into()),
        })
    }
}

impl Wanted {
    fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// A folder that is gone at the end. The database's user must be able to pass through it.
    fn folder(&self) -> Result<TempDir, Failure> {
        let folder =
            tempfile::Builder::new().prefix("strongroom-bench-").tempdir_in(&self.folder)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        Ok(folder)
    }
}

/// Measures and prints the report.
///
/// # Errors
/// If a server does not come up or answers with anything but success.
pub(crate) fn run(wanted: &Wanted) -> Result<(), Failure> {
    let (begun, load_before) = (Start::now(), machine_load());
    let sizes = wanted.sizes;
    println!("## Figures of a {} run\n", sizes.name);
    if wanted.has(Part::Requests) || wanted.has(Part::HalfLoad) {
        let folder = wanted.folder()?;
        let world = World::make(folder.path(), sizes)?;
        let closed = closed_loop(&world, sizes)?;
        println!("### As many requests as are answered\n\n{}\n", report::requests(&closed, ECHO));
        if wanted.has(Part::HalfLoad) {
            let half = half_load(&world, &closed, sizes)?;
            println!("### Half as many\n\n{}\n", report::half_load(&half, &AIMS_MS));
        }
    }
    if wanted.has(Part::Lasting) {
        println!("### Turn after turn\n\n{}\n", lasting(wanted)?);
    }
    if wanted.has(Part::Import) {
        println!("### Import\n\n{}\n", import(wanted)?);
    }
    if wanted.has(Part::Tenants) {
        println!("### Memory of tenants that do nothing\n\n{}\n", tenants(wanted)?);
    }
    if wanted.has(Part::Start) {
        println!("### Start\n\n{}\n", start(wanted)?);
    }
    if wanted.has(Part::Product) {
        println!("### One product, many tenants\n\n{}\n", product(wanted)?);
    }
    if wanted.has(Part::Storage) {
        let folder = wanted.folder()?;
        let table = storage::measure(folder.path(), sizes.turn, sizes.rounds)?;
        println!("### Commits of the store\n\n{table}\n");
        let table = room::measure(folder.path(), sizes.room)?;
        println!("### Room, opening and reading\n\n{table}\n");
    }
    if wanted.has(Part::Backup) {
        let folder = wanted.folder()?;
        say(&format!("backups of {} records, load {}", sizes.population, machine_load()));
        let table = backup::measure(folder.path(), sizes.population, sizes.rounds)?;
        println!("### Backup and restore\n\n{table}\n");
    }
    if wanted.has(Part::Arrangements) {
        println!("### A journal in front of redb\n\n{}\n", arrangements(wanted)?);
    }
    println!(
        "Took {:.0} s. The machine's load over a minute was {load_before} before and {} after.",
        begun.elapsed().as_secs_f64(),
        machine_load()
    );
    Ok(())
}

/// Makes load of one kind, for a profiler beside it.
///
/// # Errors
/// As [`run`].
pub(crate) fn load_alone(
    name: &str,
    connections: usize,
    seconds: u64,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let folder = wanted.folder()?;
    let world = World::without_peer(&Installation::make(folder.path())?, wanted.sizes)?;
    let name = match name {
        "echo" => ECHO,
        "read" => READ,
        "create" => CREATE,
        "create-external" => CREATE_EXTERNAL,
        "list" => LIST,
        other => return Err(format!("no case `{other}`").into()),
    };
    let case = world.case(name)?;
    eprintln!("process {}", world.servers.get(case.server).map_or(0, Server::id));
    let sizes = Sizes { turn: Duration::from_secs(seconds), ..wanted.sizes };
    let turn = world.turn(case, connections, sizes, None)?;
    println!(
        "{:.0} requests/s, p50 {:.2} ms, p99 {:.2} ms, {:.1} µs of the server's processor time each",
        turn.outcome.rate(),
        turn.outcome.quantile_ms(500),
        turn.outcome.quantile_ms(990),
        turn.processor_us
    );
    Ok(())
}

/// The servers with their data, and what is asked of them.
struct World {
    servers: Vec<Server>,
    cases: Vec<Case>,
    /// Ends after the servers.
    cluster: Option<Cluster>,
}

/// Something that is asked again and again.
struct Case {
    name: &'static str,
    server: usize,
    source: Source,
    numbers: Arc<AtomicU64>,
    /// With how many connections.
    connections: &'static [usize],
}

impl Case {
    fn new(
        name: &'static str,
        server: usize,
        connections: &'static [usize],
        source: impl Fn(u64, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        let numbers = Arc::new(AtomicU64::new(1));
        Self { name, server, source: Arc::new(source), numbers, connections }
    }
}

const BOTH: &[usize] = &[32, 64];
const FEW: &[usize] = &[32];

impl World {
    fn make(folder: &Path, sizes: Sizes) -> Result<Self, Failure> {
        let mut world = Self::without_peer(&Installation::make(folder)?, sizes)?;
        match Cluster::start(folder)? {
            Some(cluster) => world.add_peer(folder, cluster, sizes)?,
            None => println!("PostgreSQL is not installed here: its cases are left out.\n"),
        }
        Ok(world)
    }

    fn without_peer(installation: &Installation, sizes: Sizes) -> Result<Self, Failure> {
        let echo = Server::start(&["echo"], &installation.log_of("echo"))?;
        let sent = requests_of_customers("POST", "/echo", None, |json| json);
        let mut cases = vec![Case::new(ECHO, 0, BOTH, by_turns(sent))];

        let (strongroom, tenant) = open_tenant(installation)?;
        say(&format!("importing {} records", sizes.population));
        let ids = tenant.import(&strongroom, 0..sizes.population)?;
        let token = tenant.token.clone();
        let records = tenant.records;
        let read = |id: &String| request("GET", &format!("{records}/{id}"), Some(&token), "", "");
        cases.push(Case::new(READ, 1, BOTH, at_random(ids.iter().map(read).collect())));
        let create = requests_of_customers("POST", &records, Some(&token), |json| {
            format!(r#"{{"fields":{json}}}"#)
        });
        cases.push(Case::new(CREATE, 1, BOTH, by_turns(create)));
        let customers = customers();
        let (path, key) = (records.clone(), token.clone());
        cases.push(Case::new(CREATE_EXTERNAL, 1, FEW, move |number, into| {
            let customer = of(&customers, number).map(String::as_str).unwrap_or_default();
            let body = format!(r#"{{"external_id":"L-{number}","fields":{customer}}}"#);
            into.extend(request("POST", &path, Some(&key), "", &body));
        }));
        let list = request("GET", &format!("{records}?limit=100"), Some(&token), "", "");
        cases.push(Case::new(LIST, 1, FEW, by_turns(vec![list])));
        Ok(Self { servers: vec![echo, strongroom], cases, cluster: None })
    }

    /// Adds the handler over PostgreSQL, with as many records.
    fn add_peer(&mut self, folder: &Path, cluster: Cluster, sizes: Sizes) -> Result<(), Failure> {
        println!("The peer is {}.\n", cluster.version());
        let peer = Server::start(&["postgres", &cluster.sockets()], &folder.join("peer.log"))?;
        let server = self.servers.len();
        self.servers.push(peer);
        self.cluster = Some(cluster);
        let names = [
            (
                "/sealed",
                "PostgreSQL, sealed in the application: create",
                "PostgreSQL, sealed in the application: read",
            ),
            ("/pgcrypto", "PostgreSQL, pgcrypto: create", "PostgreSQL, pgcrypto: read"),
        ];
        for (path, create_name, read_name) in names {
            let sent = requests_of_customers("POST", path, None, |json| json);
            let create = Case::new(create_name, server, BOTH, by_turns(sent));
            say(&format!("filling {path}"));
            let population = u64::try_from(sizes.population)?;
            while create.numbers.load(Ordering::Relaxed) <= population {
                let turn = Duration::from_secs(1);
                self.turn(&create, FILLERS, Sizes { turn, warm: Duration::ZERO, ..sizes }, None)?;
            }
            // The database counts from one, without gaps as long as nothing fails.
            let read = |id| request("GET", &format!("{path}/{id}"), None, "", "");
            let read = at_random((1..=population).map(read).collect());
            self.cases.push(Case::new(read_name, server, BOTH, read));
            self.cases.push(create);
        }
        let list = vec![request("GET", "/sealed", None, "", "")];
        let name = "PostgreSQL, sealed in the application: list of 100";
        self.cases.push(Case::new(name, server, FEW, by_turns(list)));
        Ok(())
    }

    /// What is asked of Strongroom under this name.
    fn case(&self, name: &str) -> Result<&Case, Failure> {
        Ok(self.cases.iter().find(|case| case.name == name).ok_or("no such case")?)
    }

    /// A turn of reads, a few at a time, while many create.
    fn read_beside_creations(&self, sizes: Sizes) -> Result<Turn, Failure> {
        let (create, read) = (self.case(CREATE)?, self.case(READ)?);
        std::thread::scope(|scope| {
            let creations = scope.spawn(|| self.turn(create, FILLERS, sizes, None));
            let reads = self.turn(read, READERS, sizes, None);
            creations.join().map_err(|_| "the thread of the creations panicked")??;
            reads
        })
    }

    /// One turn of one case.
    fn turn(
        &self,
        case: &Case,
        connections: usize,
        sizes: Sizes,
        pace: Option<f64>,
    ) -> Result<Turn, Failure> {
        let server = self.servers.get(case.server).ok_or("no such server")?;
        let sent_before = case.numbers.load(Ordering::Relaxed);
        let processor_before = server.processor_time()?;
        let load = Load {
            address: server.address,
            connections,
            turn: sizes.turn,
            warm: sizes.warm,
            pace,
            source: case.source.clone(),
            numbers: case.numbers.clone(),
        };
        let outcome = load::make(&load)
            .map_err(|failure| format!("{} at {connections}: {failure}", case.name))?;
        if outcome.requests() == 0 {
            return Err(format!("{}: nothing was answered", case.name).into());
        }
        let used = server.processor_time()?.saturating_sub(processor_before);
        let sent = case.numbers.load(Ordering::Relaxed).saturating_sub(sent_before);
        let sent = count(usize::try_from(sent)?);
        Ok(Turn { outcome, processor_us: used.as_secs_f64() * 1e6 / sent })
    }
}

/// Every case with all its numbers of connections, round after round.
fn closed_loop(world: &World, sizes: Sizes) -> Result<Vec<Measured>, Failure> {
    let mut measured: Vec<(&Case, Measured)> = world
        .cases
        .iter()
        .flat_map(|case| case.connections.iter().map(move |connections| (case, *connections)))
        .map(|(case, connections)| {
            (case, Measured { name: case.name, connections, turns: Vec::new() })
        })
        .collect();
    measured.sort_by_key(|(_, measured)| measured.connections);
    for round in 1..=sizes.rounds {
        say(&format!("round {round} of {}, load {}", sizes.rounds, machine_load()));
        for (case, measured) in &mut measured {
            let turn = world.turn(case, measured.connections, sizes, None)?;
            measured.turns.push(turn);
        }
    }
    Ok(measured.into_iter().map(|(_, measured)| measured).collect())
}

/// Our own cases again, at half of the rate that the closed loop gave.
fn half_load(world: &World, closed: &[Measured], sizes: Sizes) -> Result<Vec<Measured>, Failure> {
    let mut half = Vec::new();
    for (name, _) in AIMS_MS {
        let case = world.case(name)?;
        let full = closed.iter().find(|it| it.name == name).ok_or("no such case")?;
        half.push((case, full.rate() / 2.0, Measured { turns: Vec::new(), ..full.clone() }));
    }
    for round in 1..=sizes.rounds {
        say(&format!("half load, round {round} of {}, load {}", sizes.rounds, machine_load()));
        for (case, pace, measured) in &mut half {
            let turn = world.turn(case, measured.connections, sizes, Some(*pace))?;
            measured.turns.push(turn);
        }
    }
    Ok(half.into_iter().map(|(_, _, measured)| measured).collect())
}

/// Our own cases, turn after turn without a pause, with a turn of the echo before each.
fn lasting(wanted: &Wanted) -> Result<String, Failure> {
    let folder = wanted.folder()?;
    let world = World::without_peer(&Installation::make(folder.path())?, wanted.sizes)?;
    let find = |name: &str| world.cases.iter().find(|case| case.name == name).ok_or("no such case");
    let echo = find(ECHO)?;
    let mut lines = Vec::new();
    for name in LASTING {
        let case = find(name)?;
        let connections = *case.connections.first().ok_or("a case without connections")?;
        let server = world.servers.get(case.server).ok_or("no such server")?;
        let echoed = world.turn(echo, connections, wanted.sizes, None)?;
        let resident_before = server.resident_bytes()?;
        let mut turns = Vec::new();
        for number in 1..=LASTING_TURNS {
            say(&format!("{name}, turn {number} of {LASTING_TURNS}, load {}", machine_load()));
            turns.push(world.turn(case, connections, wanted.sizes, None)?);
        }
        let measured = Measured { name, connections, turns };
        let resident = [resident_before, server.resident_bytes()?];
        lines.push(report::lasting(&measured, &echoed, resident));
    }
    Ok(format!(
        "Turns of {} s, {LASTING_TURNS} of them without a pause.\n\n{}\n{}",
        wanted.sizes.turn.as_secs(),
        report::LASTING_HEAD,
        lines.join("\n")
    ))
}

/// An import over HTTP, and the same rows into the bare engine, by turns.
fn import(wanted: &Wanted) -> Result<String, Failure> {
    let records = wanted.sizes.import;
    let commits = records.div_ceil(IMPORT_ITEMS);
    let (mut ratios, mut imports, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    let (mut copies, mut to_copies) = (Vec::new(), Vec::new());
    let mut size = String::new();
    for round in 1..=wanted.sizes.rounds {
        say(&format!("import, round {round} of {}, load {}", wanted.sizes.rounds, machine_load()));
        let folder = wanted.folder()?;
        let installation = Installation::make(folder.path())?;
        let (server, tenant) = open_tenant(&installation)?;
        let begun = Start::now();
        tenant.import(&server, 0..records)?;
        let imported = begun.elapsed().as_secs_f64();
        drop(server);
        let rows = Rows::of(&installation.store())?;
        let loaded = rows.load(&folder.path().join("raw"), commits)?.as_secs_f64();
        size = format!(
            "{} rows, {:.2} KiB of keys and values for each record",
            rows.count(),
            kib_each(rows.bytes(), records)
        );
        ratios.push(loaded / imported);
        imports.push(count(records) / imported);
        loads.push(count(records) / loaded);
        if let Some(copied) = copy::import(folder.path(), records, IMPORT_ITEMS)? {
            let copied = copied.as_secs_f64();
            to_copies.push(copied / imported);
            copies.push(count(records) / copied);
        }
    }
    let beside_copy = if copies.is_empty() {
        "PostgreSQL is not installed: no `COPY` to compare with.".to_owned()
    } else {
        format!(
            "The same customers sealed in the application and sent by PostgreSQL's `COPY`, {IMPORT_ITEMS} in a commit: \
             {:.0} records/s; the import's ratio to that is {:.3}.",
            median(copies),
            median(to_copies)
        )
    };
    Ok(format!(
        "| | ratio to the bare engine | records/s |\n|---|---|---|\n\
         | import of {records} records, {IMPORT_ITEMS} in a request, one after the other | {:.3} | {:.0} |\n\
         | the same rows into redb, in {commits} commits | 1 | {:.0} |\n\n{size}.\n\n{beside_copy}",
        median(ratios),
        median(imports),
        median(loads)
    ))
}

/// Resident memory before and after making tenants, and after starting again.
fn tenants(wanted: &Wanted) -> Result<String, Failure> {
    let number = wanted.sizes.tenants;
    let folder = wanted.folder()?;
    let installation = Installation::make(folder.path())?;
    let server = installation.serve()?;
    let mut operator = world::operator(&server, &installation)?;
    let empty = server.resident_bytes()?;
    say(&format!("making {number} tenants, load {}", machine_load()));
    let begun = Start::now();
    for index in 0..number {
        world::invite(&mut operator, &format!("Tenant {index}"))?;
    }
    let took = begun.elapsed();
    let full = server.resident_bytes()?;
    let token = operator.token.clone();
    drop(server);
    let server = installation.serve()?;
    Caller::with(&server, &token)?.call("GET", "/v1/whoami", "", "")?;
    let again = server.resident_bytes()?;
    let line = |what: &str, bytes: usize| {
        let each = kib_each(bytes.saturating_sub(empty), number);
        format!("| {what} | {:.1} | {each:.2} |", count(bytes) / 1_048_576.0)
    };
    Ok(format!(
        "| server | resident MiB | KiB for each tenant |\n|---|---|---|\n{}\n{}\n{}\n\nMaking them took {:.1} ms each.",
        format_args!("| without tenants | {:.1} | |", count(empty) / 1_048_576.0),
        line(&format!("with {number} tenants, just made"), full),
        line("the same, started again", again),
        took.as_secs_f64() * 1e3 / count(number)
    ))
}

/// How long a server with many records takes from its process's start to its first answer.
fn start(wanted: &Wanted) -> Result<String, Failure> {
    let number = wanted.sizes.start;
    let folder = wanted.folder()?;
    let installation = Installation::make(folder.path())?;
    let (server, tenant) = open_tenant(&installation)?;
    say(&format!("importing {number} records for the start, load {}", machine_load()));
    let begun = Start::now();
    let ids = tenant.import(&server, 0..number)?;
    let imported = begun.elapsed();
    let path = format!("{}/{}", tenant.records, ids.first().ok_or("nothing was imported")?);
    drop(server);
    let (mut listening, mut first) = (Vec::new(), Vec::new());
    let mut resident = 0;
    for _ in 0..wanted.sizes.rounds {
        let server = installation.serve()?;
        listening.push(server.started_in.as_secs_f64() * 1e3);
        let begun = Start::now();
        Caller::with(&server, &tenant.token)?.call("GET", &path, "", "")?;
        first.push(begun.elapsed().as_secs_f64() * 1e3);
        resident = server.resident_bytes()?;
    }
    Ok(format!(
        "With {number} records ({:.0} records/s while importing them), the page cache warm: from the process's \
         start to listening, unlocked, {:.0} ms; the first read then {:.1} ms; resident {:.0} MiB.",
        count(number) / imported.as_secs_f64(),
        median(listening),
        median(first),
        count(resident) / 1_048_576.0
    ))
}

/// One backend that serves many tenants.
fn product(wanted: &Wanted) -> Result<String, Failure> {
    let Sizes { shops, turn, rounds, .. } = wanted.sizes;
    let folder = wanted.folder()?;
    let installation = Installation::make(folder.path())?;
    let server = installation.serve()?;
    let mut operator = world::operator(&server, &installation)?;
    say(&format!("one backend over {shops} tenants, load {}", machine_load()));
    product::measure(&server, &mut operator, shops, turn, rounds)
}

/// The store alone and over HTTP, with and without a journal in front of redb.
fn arrangements(wanted: &Wanted) -> Result<String, Failure> {
    let Sizes { turn, rounds, .. } = wanted.sizes;
    let folder = wanted.folder()?;
    let alone = arrangements::measure(folder.path(), turn, rounds)?;
    let mut worlds = Vec::new();
    for arrangement in ARRANGEMENTS {
        let folder = folder.path().join(arrangement);
        std::fs::create_dir(&folder)?;
        let installation = Installation::make_of(&folder, arrangement.into())?;
        worlds.push((arrangement, World::without_peer(&installation, wanted.sizes)?));
    }
    let mut lines = Vec::new();
    for name in [CREATE, READ] {
        let mut turns = ARRANGEMENTS.map(|_| Vec::new());
        for _ in 0..rounds {
            for ((_, world), turns) in worlds.iter().zip(&mut turns) {
                turns.push(world.turn(world.case(name)?, FILLERS, wanted.sizes, None)?);
            }
        }
        let [bare, _] = &turns;
        for ((arrangement, _), turns) in worlds.iter().zip(&turns) {
            lines.push(report::beside(name, arrangement, turns, bare));
        }
    }
    let mut turns = ARRANGEMENTS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, world), turns) in worlds.iter().zip(&mut turns) {
            turns.push(world.read_beside_creations(wanted.sizes)?);
        }
    }
    let [bare, _] = &turns;
    for ((arrangement, _), turns) in worlds.iter().zip(&turns) {
        lines.push(report::beside(READ_BESIDE, arrangement, turns, bare));
    }
    Ok(format!(
        "{alone}\n\nOver HTTP, {FILLERS} connections, the same turns; where reads go on beside creations the processor's time is that of both:\n\n{}\n{}",
        report::BESIDE,
        lines.join("\n")
    ))
}

/// A new server with one tenant.
fn open_tenant(installation: &Installation) -> Result<(Server, Tenant), Failure> {
    let server = installation.serve()?;
    let mut operator = world::operator(&server, installation)?;
    let invited = world::invite(&mut operator, "Bench")?;
    let tenant = Tenant::open(&server, &invited)?;
    Ok((server, tenant))
}

fn customers() -> Vec<String> {
    (0..CUSTOMERS).map(|number| Customer::numbered(number).json()).collect()
}

fn requests_of_customers(
    method: &str,
    path: &str,
    token: Option<&str>,
    body: impl Fn(String) -> String,
) -> Vec<Vec<u8>> {
    customers().into_iter().map(|json| request(method, path, token, "", &body(json))).collect()
}

/// One after the other.
fn by_turns(requests: Vec<Vec<u8>>) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync {
    move |number, into| into.extend_from_slice(of(&requests, number).map_or(&[], Vec::as_slice))
}

/// Any of them, but the same in every run.
fn at_random(requests: Vec<Vec<u8>>) -> impl Fn(u64, &mut Vec<u8>) + Send + Sync {
    move |number, into| {
        into.extend_from_slice(of(&requests, load::mixed(number)).map_or(&[], Vec::as_slice));
    }
}

fn of<T>(all: &[T], number: u64) -> Option<&T> {
    let length = u64::try_from(all.len()).ok().filter(|length| *length > 0)?;
    all.get(usize::try_from(number % length).ok()?)
}

/// Progress, for whoever waits.
fn say(what: &str) {
    eprintln!("{what}");
}
