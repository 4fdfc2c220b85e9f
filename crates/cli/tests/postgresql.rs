//! A table is moved out of a real PostgreSQL by the scripts of `examples/postgresql`: odd and broken rows,
//! a table that changes all the time, and everything killed in the middle.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every test needs all of the harness"
)]

mod harness;
#[path = "harness/postgres.rs"]
mod postgres;

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use harness::{Place, Ran, Server, finish};
use postgres::Cluster;

/// The loop is asked to finish so many times before it is given up.
const ROUNDS_MAX: usize = 60;
/// How often the loop is killed.
const ROUNDS: u64 = 6;

/// A database with the shop's table, a server with a tenant, and the folder of the scripts.
struct World {
    cluster: Arc<Cluster>,
    place: Place,
    server: Option<Server>,
    address: String,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/postgresql")
}

impl World {
    /// With the table as `shop.sql` makes it and these rows in place of its own.
    fn new(rows: &str) -> Self {
        let cluster = Arc::new(Cluster::start());
        cluster.file(&scripts().join("shop.sql")).well();
        cluster.sql("delete from customers; alter table customers alter id restart with 1;").well();
        cluster.sql(rows).well();

        let place = Place::new();
        let init = "init --store redb:store --holder holder --seal-key-file seal-key --invitation-file invitation";
        place.run(init).well();
        let server = serve(&place, "127.0.0.1:0");
        let address = server.address();
        let world = Self { cluster, place, server: Some(server), address };
        world.run("login --invitation-file invitation --token-file operator").well();
        let tenant = "tenants create --name Shop --owner-name Olive --secret-file owner.invitation";
        world.run(&format!("{tenant} --owner-email o@example.org --token-file operator")).well();
        world.run("login --invitation-file owner.invitation --token-file owner").well();
        for (noun, file) in [("collections", "customers.toml"), ("classes", "mover.toml")] {
            let file = scripts().join(file);
            world.by("owner", &format!("{noun} create --file {}", file.display())).well();
        }
        let key = "api-keys create --label mover --class mover --secret-file mover";
        world.by("owner", key).well();
        world
    }

    fn run(&self, command: &str) -> Ran {
        self.place.run(&format!("{command} --server {}", self.address))
    }

    fn by(&self, who: &str, command: &str) -> Ran {
        self.run(&format!("{command} --token-file {who}"))
    }

    /// A script that has not been started.
    fn script(&self, name: &str, argument: &str) -> Command {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_strongroom"));
        let mut path = program.parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new(scripts().join(name));
        command
            .args(Some(argument).filter(|argument| !argument.is_empty()))
            .current_dir(self.place.path(""))
            .env("PATH", path)
            .env("STRONGROOM_SERVER", &self.address)
            .env("STRONGROOM_TOKEN_FILE", self.place.path("mover"))
            .envs(self.cluster.variables());
        command
    }

    fn runs(&self, name: &str, argument: &str) -> Ran {
        finish(&mut self.script(name, argument), "")
    }

    fn file(&self, name: &str) -> Ran {
        self.cluster.file(&scripts().join(name))
    }

    /// Carries until nothing waits.
    fn settle(&self) {
        for _ in 0..ROUNDS_MAX {
            let ran = self.runs("follow.sh", "--once");
            if ran.exit == 0 {
                return;
            }
            sleep(Duration::from_millis(200));
        }
        panic!("changes wait and are not carried");
    }

    /// The lines of the comparison that name somebody.
    fn differing(&self) -> BTreeSet<String> {
        let ran = self.runs("verify.sh", "");
        let lines = ran.out.lines().filter_map(|line| line.strip_prefix("differs "));
        let lines: BTreeSet<_> = lines.map(ToOwned::to_owned).collect();
        assert_eq!(ran.exit, i32::from(!lines.is_empty()), "{} {}", ran.out, ran.err);
        lines
    }

    /// Kills the server and starts it again at the same address.
    fn kill_server(&mut self) {
        self.server.take().unwrap().end("KILL");
        self.server = Some(serve(&self.place, self.address.trim_start_matches("http://")));
    }
}

fn serve(place: &Place, address: &str) -> Server {
    place.start(&format!(
        "serve --store redb:store --holder holder --seal-key-file seal-key --no-rate-limits --listen {address}"
    ))
}

fn is(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const ODD: &str = r#"insert into customers (id, name, email, born, national_id) values
    (1, 'Quote "Q" O''Hara, the "third"', 'Q@Example.ORG', '1815-12-10', 'a,b;c"d'),
    (2, E'Line\nend', null, null, E'tab\there'),
    (3, E'Line\r\nend', ' blank@example.org ', '0001-01-01', ''),
    (4, E'back\\slash \\N \\. $$', '', '9999-12-31', E'\x01\x02'),
    (5, '  Żółć 李 🦀 ', 'ö@example.org', '2000-02-29', 'null'),
    (6, E'\\.', null, '1970-01-01', '=1+1'),
    (7, repeat('x', 16384), null, null, null),
    (11, E'\\N', null, null, null),
    (12, 'Broken mail', 'nobody at home', null, null),
    (13, 'Broken day', null, 'infinity', null),
    (14, 'Broken age', null, '0044-03-15 BC', null),
    (15, repeat('y', 16385), null, null, null),
    (16, 'Null alike', null, null, E'\\N');"#;

#[test]
fn odd_values_arrive_as_they_are_and_broken_rows_are_named_and_kept_back() {
    let world = World::new(ODD);
    world.file("begin.sql").well();
    world.runs("copy.sh", "").fails(7, "13 rows: 8 created, 0 there already, 5 rejected");
    let rejects = std::fs::read_to_string(world.place.path("customers.rejects.ndjson")).unwrap();
    assert_eq!(rejects.lines().count(), 5);
    for value in ["nobody at home", "infinity", "0044", "yyy"] {
        assert!(!rejects.contains(value), "{rejects}");
    }
    assert_eq!(
        world.differing(),
        is(&[
            "11: is not in Strongroom",
            "12: is not in Strongroom",
            "13: is not in Strongroom",
            "14: is not in Strongroom",
            "15: is not in Strongroom",
            // A text that looks like the copy's NULL.
            "16: national_id",
        ])
    );

    // What is noted is carried, whatever it looks like; what is broken waits with its reason.
    world.cluster.sql("insert into moving.outbox (customer) select id from customers;").well();
    let ran = world.runs("follow.sh", "--once").well();
    assert!(!ran.err.contains("nobody at home") && !ran.err.contains("infinity"), "{}", ran.err);
    let refused = "select customer, refused like '/fields/%' from moving.outbox order by 1, 2";
    assert_eq!(world.cluster.sql(refused).well().out, "12|t\n13|t\n14|t\n15|t\n");
    assert_eq!(world.differing().len(), 4);
    world.file("freeze.sql").fails(3, "changes wait");
    let mend = "update customers set email = null where id = 12;
        update customers set born = null where id in (13, 14);
        delete from customers where id = 15;";
    world.cluster.sql(mend).well();
    world.settle();
    assert_eq!(world.differing(), is(&[]));
    assert_eq!(world.cluster.sql("select count(*) from moving.outbox").well().out, "0\n");
    let ran = world.runs("verify.sh", "").well();
    assert!(
        ran.out.contains("12 compared: 12 equal, 0 on the way, 0 differ; 12 persons"),
        "{}",
        ran.out
    );
    let kept = world.by("mover", "records lookup customers --external-id 4").well().json();
    assert_eq!(kept["fields"]["name"], "back\\slash \\N \\. $$");
    assert_eq!(kept["fields"]["national_id"], "\u{1}\u{2}");
    let kept = world.by("mover", "records lookup customers --external-id 3").well().json();
    assert_eq!(kept["fields"]["name"], "Line\r\nend");
    assert_eq!(kept["fields"]["email"], "blank@example.org");
    world.cluster.sql("truncate customers;").fails(3, "do not truncate");
}

#[test]
fn the_comparison_finds_what_came_behind_the_outbox_s_back_on_either_side() {
    let world = World::new(
        "insert into customers (name, email) select 'C ' || n, 'c' || n || '@example.org'
             from generate_series(1, 1200) n;",
    );
    world.file("begin.sql").well();
    let ran = world.runs("copy.sh", "").well();
    assert!(ran.err.contains("1200 rows: 1200 created"), "{}", ran.err);
    assert_eq!(world.differing(), is(&[]));
    let silently = "set session_replication_role = replica;
        update customers set email = null where id = 3;
        update customers set name = 'D', born = '2001-01-01' where id = 1100;
        delete from customers where id = 7;
        insert into customers (id, name) values (5000, 'N');";
    world.cluster.sql(silently).well();
    let stray = r#"{"external_id": "not-ours", "fields": {"name": "Stray"}}"#;
    let upsert = format!("records upsert customers --server {} --token-file mover", world.address);
    world.place.run_with(&upsert, stray).well();
    let expected = is(&[
        "3: email",
        "7: is not in the table",
        "1100: birth_date, name",
        "5000: is not in Strongroom",
        "not-ours: is not in the table",
    ]);
    assert_eq!(world.differing(), expected);
    let ran = world.runs("verify.sh", "20");
    assert!(ran.out.starts_with("20 compared: "), "{}", ran.out);
    // Where it cannot be compared, it does not say that all is well.
    let mut script = world.script("verify.sh", "");
    let ran = finish(script.env("STRONGROOM_TOKEN_FILE", world.place.path("nowhere")), "");
    assert!(ran.exit == 2 && !ran.out.contains("equal"), "{} {}", ran.exit, ran.out);
    // A copy that breaks off is not one that has ended.
    let mut script = world.script("copy.sh", "");
    finish(script.env("PGDATABASE", "nowhere"), "").fails(1, "run it again");
}

/// Changes rows until it is told to stop; gives how many statements it has run.
fn disturb(cluster: &Cluster, stop: &AtomicBool) -> u64 {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let statements = format!(
            "update customers set email = 'u{count}@example.org' where id % 41 = {count} % 41;
             update customers set name = name || '\n{count}', born = date '1950-01-01' + {count}
                 where id = 1 + {count} % 20;
             insert into customers (name, national_id) values ('New {count}', 'N-{count}');
             delete from customers where id = 21 + {count} * 7 % 600;
             update customers set id = id + 100000 where id = 700 + {count} % 50;
             begin; update customers set name = 'never' where id = 5; rollback;"
        );
        cluster.sql(&statements).well();
        sleep(Duration::from_millis(60));
    }
    count
}

fn follow(world: &World) -> Child {
    let mut command = world.script("follow.sh", "");
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn kill(child: &mut Child, whole_group: bool) {
    let target = format!("{}{}", if whole_group { "-" } else { "" }, child.id());
    let killed = Command::new("kill").args(["-s", "KILL", "--", &target]).status().unwrap();
    assert!(killed.success());
    child.wait().unwrap();
}

#[test]
fn nothing_is_lost_while_rows_change_and_loop_and_server_are_killed() {
    let mut world = World::new(
        "insert into customers (name, email, born, national_id)
             select 'C ' || n, 'c' || n || '@example.org', date '1960-01-01' + n::integer, 'I-' || n
             from generate_series(1, 900) n;",
    );
    world.file("begin.sql").well();
    let stop = Arc::new(AtomicBool::new(false));
    let (cluster, until) = (world.cluster.clone(), stop.clone());
    let writer = std::thread::spawn(move || disturb(&cluster, &until));

    // The copy is killed in the middle, too, and made again while rows change.
    let mut copy = world.script("copy.sh", "");
    copy.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    let mut copy = copy.spawn().unwrap();
    sleep(Duration::from_millis(150));
    kill(&mut copy, true);
    world.runs("copy.sh", "").well();

    for round in 0..ROUNDS {
        // Two at once, as when a new one is started before the old one has ended.
        let (mut one, mut other) = (follow(&world), follow(&world));
        sleep(Duration::from_millis(400 + 150 * round));
        if round % 2 == 0 {
            world.kill_server();
            sleep(Duration::from_millis(300));
        }
        kill(&mut one, round % 3 == 0);
        kill(&mut other, round % 3 == 1);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(writer.join().unwrap() > ROUNDS, "the table has hardly changed");
    world.settle();
    assert_eq!(world.differing(), is(&[]));
    let count = world.cluster.sql("select count(*) from customers").well().out;
    let ran = world.runs("verify.sh", "").well();
    let count = count.trim();
    let all = format!("{count} compared: {count} equal, 0 on the way, 0 differ; {count} persons");
    assert!(ran.out.contains(&all), "{} instead of {all}", ran.out);
}

/// Whether a file of the database holds these bytes.
fn on_disk(cluster: &Cluster, needle: &str) -> bool {
    let mut folders = vec![cluster.data().join("base")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
            {
                return true;
            }
        }
    }
    false
}

#[test]
fn after_the_switch_nobody_writes_the_columns_and_there_is_a_way_back_until_and_after_they_go() {
    let world = World::new(
        "insert into customers (name, email, born, national_id) values
             ('Ada Sample', 'Ada@example.org', '1990-02-03', 'canary-4711-0001'),
             ('Bo Sample', 'bo@example.org', '1991-02-03', 'canary-4711-0002'),
             ('Cy Sample', null, null, null);",
    );
    world.file("begin.sql").well();
    world.runs("copy.sh", "").well();
    world.cluster.sql("update customers set name = 'Cy Other' where id = 3;").well();
    world.file("freeze.sql").fails(3, "changes wait");
    world.settle();
    world.file("freeze.sql").well();
    for refused in [
        "update customers set email = 'x@example.org' where id = 3;",
        "update customers set born = '1990-02-04' where id = 1;",
        "insert into customers (name) values ('Forgotten');",
    ] {
        world.cluster.sql(refused).fails(3, "are kept in Strongroom");
    }
    world.cluster.sql("insert into customers (id, newsletter) values (4, true);").well();
    world.cluster.sql("update customers set newsletter = true, name = name where id = 1;").well();

    // Strongroom goes on: one changes, one is new, one is erased.
    let upsert = format!("records upsert customers --server {} --token-file mover", world.address);
    let changed = r#"{"external_id": "1", "fields": {"birth_date": "1990-02-04"}}"#;
    world.place.run_with(&upsert, changed).well();
    let new = r#"{"external_id": "4", "fields": {"name": "Di Sample", "email": "di@example.org"}}"#;
    world.place.run_with(&upsert, new).well();
    let found = world.by("mover", "records lookup customers --external-id 2").well().json();
    let erase = format!(
        "erasures create --subject {} --ground subject-request --yes --reason asked",
        found["subject"].as_str().unwrap()
    );
    world.by("owner", &erase).well();

    let back = |expected: &str| {
        let ran = world.runs("back-out.sh", "").well();
        assert_eq!(ran.out, "4 customers, 1 of them without a name\n");
        let rows = "select id, name, email, to_char(born, 'YYYY-MM-DD'), national_id from customers order by id;";
        assert_eq!(world.cluster.sql(rows).well().out, expected);
        let left = "select count(*) from pg_trigger where not tgisinternal;
            select count(*) from pg_namespace where nspname = 'moving';";
        assert_eq!(world.cluster.sql(left).well().out, "0\n0\n");
    };
    // An address that differs in capitals alone is left as it was written.
    back(
        "1|Ada Sample|Ada@example.org|1990-02-04|canary-4711-0001\n2||||\n3|Cy Other|||\n\
         4|Di Sample|di@example.org||\n",
    );

    // And on again, to the end: who has been erased is not carried back.
    world.cluster.sql("delete from customers where id = 2;").well();
    world.file("begin.sql").well();
    world.runs("copy.sh", "").well();
    world.settle();
    assert_eq!(world.differing(), is(&[]));
    world.file("freeze.sql").well();
    // What the planner knows of the values is of no use to anybody afterwards.
    world.cluster.sql("analyze customers; checkpoint;").well();
    assert!(on_disk(&world.cluster, "canary-4711-0001"));
    world.file("finish.sql").well();
    world.cluster.sql("checkpoint;").well();
    assert!(
        !on_disk(&world.cluster, "canary-4711"),
        "a dropped column is still in the table's file"
    );

    // A list that breaks off changes nothing.
    let mut script = world.script("back-out.sh", "");
    let ran = finish(script.env("STRONGROOM_TOKEN_FILE", world.place.path("nowhere")), "");
    assert_ne!(ran.exit, 0);
    world.cluster.sql("select name from customers;").fails(3, "name");
    world.runs("back-out.sh", "").well();
    let rows = "select id, name, email, to_char(born, 'YYYY-MM-DD'), national_id from customers order by id;";
    assert_eq!(
        world.cluster.sql(rows).well().out,
        "1|Ada Sample|ada@example.org|1990-02-04|canary-4711-0001\n3|Cy Other|||\n4|Di Sample|di@example.org||\n"
    );
}

#[test]
fn a_move_that_is_abandoned_leaves_the_table_as_it_was() {
    let world = World::new("insert into customers (name) values ('Ada Sample');");
    let shape = "select column_name, is_nullable from information_schema.columns
        where table_name = 'customers' order by 1;
        select count(*) from pg_trigger where not tgisinternal;
        select count(*) from pg_namespace where nspname = 'moving';";
    let before = world.cluster.sql(shape).well().out;
    world.file("begin.sql").well();
    assert_ne!(world.cluster.sql(shape).well().out, before);
    world.file("abandon.sql").well();
    assert_eq!(world.cluster.sql(shape).well().out, before);
    world.cluster.sql("truncate customers;").well();
}
