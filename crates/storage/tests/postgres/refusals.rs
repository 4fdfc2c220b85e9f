//! Places that are not what the URL says: each a refusal that names what and what to do, and no
//! password.

use strongroom_storage::{OpenError, PostgresStore, PostgresUrl, Store};

use crate::cluster::Cluster;
use crate::fixture::{new_database, postgres_url};

/// A password that must not be seen.
const PASSWORD: &str = "hidden-4711";

fn name_of(url: &PostgresUrl) -> String {
    url.to_string().rsplit_once('/').unwrap().1.to_owned()
}

/// Opening, or making, is refused with these words.
fn refused(opened: Result<PostgresStore, OpenError>, said: &str) {
    let error = opened.err().expect(said);
    let error = format!("{error} {error:?}");
    assert!(error.contains(said), "{error}");
    assert!(!error.contains(PASSWORD), "{error}");
}

#[test]
fn a_database_without_a_store_or_with_one_is_named_as_what_it_is() {
    let (_cluster, url) = new_database();
    refused(PostgresStore::open(&url), "run `strongroom init`");
    drop(PostgresStore::create(&url).unwrap());
    // Made and never used: making it again takes nothing from anybody.
    let store = PostgresStore::create(&url).unwrap();
    crate::fixture::run(async { drop(store.commit(crate::fixture::put("a", 1, "x")).await) });
    drop(store);
    refused(PostgresStore::create(&url), "a store is in it already");
    drop(PostgresStore::open(&url).unwrap());
}

#[test]
fn a_creation_that_was_cut_short_is_finished_by_the_next_one() {
    let (cluster, url) = new_database();
    cluster.query(
        &name_of(&url),
        "create schema strongroom; create table strongroom.meta (name text primary key, value bigint not null);",
    );
    refused(PostgresStore::open(&url), "run `strongroom init`");
    drop(PostgresStore::create(&url).unwrap());
}

#[test]
fn tables_of_others_and_of_other_versions_are_left_alone() {
    let (cluster, url) = new_database();
    let name = name_of(&url);
    cluster.query(&name, "create schema strongroom; create table strongroom.rows (id integer);");
    for opened in [PostgresStore::open(&url), PostgresStore::create(&url)] {
        refused(opened, "its schema `strongroom` is not that of a store");
    }
    cluster.query(&name, "drop schema strongroom cascade;");
    drop(PostgresStore::create(&url).unwrap());
    let format = "update strongroom.meta set value = 2 where name = 'format';";
    cluster.query(&name, &format!("{format} alter table strongroom.rows add column more text;"));
    for opened in [PostgresStore::open(&url), PostgresStore::create(&url)] {
        refused(opened, "has format 2, and this program reads format 1");
    }
}

#[test]
fn a_database_that_may_lose_what_it_acknowledged_is_refused() {
    let (cluster, url) = new_database();
    let name = name_of(&url);
    cluster.query(&name, &format!("alter database {name} set synchronous_commit = off;"));
    refused(PostgresStore::create(&url), "its setting `synchronous_commit` is off");
    cluster.query(&name, &format!("alter database {name} reset synchronous_commit;"));
    drop(PostgresStore::create(&url).unwrap());
    let other = Cluster::start_with("fsync = off");
    refused(PostgresStore::create(&postgres_url(&other.url("postgres"))), "`fsync` is off");
}

#[test]
fn wrong_places_and_passwords_are_refused_without_showing_the_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start_with(&format!("listen_addresses = '127.0.0.1'\nport = {port}"));
    std::fs::write(
        cluster.data().join("pg_hba.conf"),
        "local all tester trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    let sockets = cluster.sockets().display().to_string().replace('/', "%2F");
    let by_socket = |database: &str| {
        postgres_url(&format!("postgres://tester:{PASSWORD}@{sockets}:{port}/{database}"))
    };
    cluster.stop("fast");
    refused(PostgresStore::open(&by_socket("postgres")), "nobody answers");
    cluster.start();
    refused(PostgresStore::open(&by_socket("nowhere")), "no such database");
    refused(PostgresStore::open(&by_socket("postgres")), "run `strongroom init`");

    let make = "create role lodger login password 'right'; create database flat; \
                create role guest login password 'right';";
    let psql = std::process::Command::new("psql")
        .args(["-X", "-q", "-p", &port.to_string(), "-c", "create database flat"])
        .args(["-c", make.split_once("create database flat; ").unwrap().0])
        .args(["-c", make.split_once("create database flat; ").unwrap().1])
        .args(["-c", "alter database flat owner to lodger"])
        .envs(cluster.variables())
        .status()
        .unwrap();
    assert!(psql.success());
    let by_network = |user: &str, options: &str| {
        postgres_url(&format!("postgres://{user}@127.0.0.1:{port}/flat?sslmode=disable{options}"))
    };
    let wrong = by_network(&format!("lodger:{PASSWORD}"), "");
    refused(PostgresStore::open(&wrong), "password authentication failed");
    refused(PostgresStore::open(&by_network("lodger", "")), "check user, database and password");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let from_file = by_network("lodger", &format!("&password_file={}", file.display()));
    refused(PostgresStore::open(&from_file), "check `password_file`");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    refused(PostgresStore::open(&from_file), "password authentication failed");
    std::fs::write(&file, "right\n").unwrap();
    drop(PostgresStore::create(&from_file).unwrap());
    refused(PostgresStore::create(&by_network("guest:right", "")), "the owner of the database");

    let elsewhere = postgres_url(&format!("postgres://u:{PASSWORD}@127.0.0.1:1/flat"));
    refused(PostgresStore::open(&elsewhere), "nobody answers");
    let nowhere = postgres_url(&format!("postgres://u:{PASSWORD}@nowhere.invalid/flat"));
    refused(PostgresStore::open(&nowhere), "nobody answers");
    let plain = postgres_url(&format!("postgres://lodger:{PASSWORD}@127.0.0.1:{port}/flat"));
    refused(PostgresStore::open(&plain), "TLS with it fails");
}
