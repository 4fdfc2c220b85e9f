//! pgbouncer in transaction mode between the store and the database.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use strongroom_storage::{PostgresStore, Store};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::fixture::{postgres_url, run};
use crate::writers::Writers;

/// Where Debian puts it.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

/// A pooler of a test's own.
struct Pooler {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pooler {
    fn start(cluster: &Cluster) -> Self {
        let program = PROGRAMS.iter().map(PathBuf::from).find(|path| path.exists());
        let Some(program) = program else {
            panic!("pgbouncer is not installed: `cargo xtask test` installs it, or says how")
        };
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n* = host={} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 5\nserver_idle_timeout = 1\n\
             [users]\n",
            cluster.sockets().display()
        )
        .replace("* = host", "postgres = user=tester host");
        let path = folder.path().join("pgbouncer.ini");
        std::fs::write(&path, settings).unwrap();
        let mut command = Command::new(program);
        command.arg(&path).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = cluster.owner() {
            for path in [folder.path(), &path] {
                chown(path, Some(user), Some(group)).unwrap();
            }
            command.uid(user).gid(group);
        }
        let pooler = Self { child: command.spawn().unwrap(), port, _folder: folder };
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "the pooler does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        pooler
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pooler_in_transaction_mode_loses_nothing_also_while_its_connections_are_killed() {
    const KILL: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
        where backend_type = 'client backend' and pid <> pg_backend_pid() and random() < 0.8";
    let cluster = Cluster::start_with("");
    let pooler = Pooler::start(&cluster);
    let url = postgres_url(&format!(
        "postgres://tester@127.0.0.1:{}/postgres?sslmode=disable&statements=unnamed",
        pooler.port
    ));
    run(async move {
        let opening = tokio::task::spawn_blocking(move || PostgresStore::create(&url));
        let store: Arc<dyn Store> = Arc::new(opening.await.unwrap().unwrap());
        let writers = Writers::start(&store);
        let mut killed = 0;
        for _ in 0..20 {
            let before = writers.done();
            let began = Instant::now();
            while writers.done() < before + 10 {
                assert!(began.elapsed() < Duration::from_mins(1), "the writers do not go on");
                sleep(Duration::from_millis(5)).await;
            }
            killed += cluster.query("postgres", KILL).parse::<u64>().unwrap();
        }
        let seen = writers.end(&*store).await;
        println!("{killed} killed, {} commits, {} open", seen.commits, seen.open);
        assert!(killed >= 20, "only {killed} killed");
    });
}
