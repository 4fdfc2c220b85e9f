//! Connections that are cut and servers that are restarted while writers commit.

use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{PostgresStore, Store, StoreError};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Cluster;
use crate::fixture::{all_lines, key, line, new_database, postgres_url, put, run, tenant};
use crate::proxy::{Cut, Proxy};
use crate::writers::Writers;

/// Longest time in which a test waits for anything.
const PATIENCE: Duration = Duration::from_mins(1);

fn open(url: &strongroom_storage::PostgresUrl) -> Arc<dyn Store> {
    Arc::new(PostgresStore::create(url).unwrap())
}

async fn until_done(writers: &Writers, count: u64) {
    let more = async {
        while writers.done() < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, more).await.expect("the writers do not go on");
}

#[test]
fn connections_killed_at_random_lose_nothing_acknowledged_and_repeat_nothing() {
    const KILL: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
        where application_name = 'strongroom' and datname = current_database() and random() < 0.6";
    let (cluster, url) = new_database();
    let name = url.to_string().rsplit_once('/').unwrap().1.to_owned();
    run(async move {
        let store = open(&url);
        let writers = Writers::start(&store);
        let mut killed = 0;
        for round in 0..60u64 {
            let before = writers.done();
            let count: u64 = cluster.query(&name, KILL).parse().unwrap();
            killed += count;
            sleep(Duration::from_millis(3 + round % 7 * 9)).await;
            if round % 6 == 0 {
                until_done(&writers, before + 5).await;
            }
        }
        let seen = writers.end(&*store).await;
        println!("{killed} killed, {} commits, {} appends", seen.commits, seen.appends);
        assert!(killed > 30 && seen.commits > 100, "{killed} killed, {} commits", seen.commits);
        assert_eq!(seen.open, 0, "every outcome is found out");
    });
}

#[test]
fn a_server_that_is_restarted_in_the_middle_loses_nothing_acknowledged_and_repeats_nothing() {
    let cluster = Cluster::start_with("");
    let url = postgres_url(&cluster.url("postgres"));
    run(async move {
        let store = open(&url);
        let writers = Writers::start(&store);
        for mode in ["fast", "immediate", "immediate", "fast"] {
            let before = writers.done();
            until_done(&writers, before + 50).await;
            cluster.stop(mode);
            sleep(Duration::from_millis(300)).await;
            cluster.start();
        }
        let before = writers.done();
        until_done(&writers, before + 50).await;
        let seen = writers.end(&*store).await;
        println!("{} commits, {} open", seen.commits, seen.open);
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_out_whether_it_took_place_or_not() {
    let (cluster, url) = new_database();
    let database = url.to_string().rsplit_once('/').unwrap().1.to_owned();
    run(async move {
        let proxy = Proxy::start(cluster.sockets().join(".s.PGSQL.5432")).await;
        let url = postgres_url(&format!(
            "postgres://tester@127.0.0.1:{}/{database}?sslmode=disable",
            proxy.port()
        ));
        let store = tokio::task::spawn_blocking(move || open(&url)).await.unwrap();
        let writers = Writers::start(&store);
        for _ in 0..25 {
            for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
                let (before, cuts) = (writers.done(), proxy.cuts());
                proxy.cut_next(cut);
                let until_cut = async {
                    while proxy.cuts() == cuts {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                timeout(PATIENCE, until_cut).await.expect("nobody commits");
                until_done(&writers, before + 4).await;
            }
        }
        let seen = writers.end(&*store).await;
        println!("{} cuts, {} commits, {} appends", proxy.cuts(), seen.commits, seen.appends);
        assert!(proxy.cuts() >= 50, "only {} cuts", proxy.cuts());
        assert_eq!(seen.open, 0, "every outcome is found out");
    });
}

#[test]
fn a_database_that_is_away_is_said_to_be_and_comes_back() {
    let cluster = Cluster::start_with("");
    let url = postgres_url(&cluster.url("postgres"));
    run(async move {
        let store = open(&url);
        store.commit(put("a", 1, "x")).await.unwrap();
        cluster.stop("fast");
        let began = Instant::now();
        let away = store.commit(put("b", 1, "x")).await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
        let away = store.get_many(&[key("a")]).await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
        let away = store.append(vec![line(tenant(1), "x")], vec![]).await.unwrap_err();
        assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        cluster.start();
        let back = async {
            while store.get_many(&[key("a")]).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, back).await.expect("it does not come back");
        store.commit(put("b", 1, "y")).await.unwrap();
        store.append(vec![line(tenant(1), "x")], vec![]).await.unwrap();
        all_lines(&*store).await;
    });
}

#[test]
fn a_lock_that_is_held_too_long_is_an_answer_and_changes_nothing() {
    let (cluster, url) = new_database();
    let name = url.to_string().rsplit_once('/').unwrap().1.to_owned();
    run(async move {
        let store = open(&url);
        let held = Arc::clone(&cluster);
        let holding = tokio::task::spawn_blocking(move || {
            let hold =
                "begin; select * from strongroom.lanes for update; select pg_sleep(17); rollback;";
            held.query(&name, hold);
        });
        sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        let late = store.commit(put("a", 1, "x")).await.unwrap_err();
        assert!(matches!(late, StoreError::Unavailable(_)), "{late}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(store.get_many(&[key("a")]).await.unwrap(), [None]);
        holding.await.unwrap();
        store.commit(put("a", 1, "x")).await.unwrap();
        drop(cluster);
    });
}
