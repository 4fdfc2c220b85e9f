//! The attacks that go on for minutes, and what comes of a measurement.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::neighbour::Service;
use crate::victim::Victim;
use crate::wire::{answer, connect, connect_from, exchange, is_closed};

/// Sockets of an attack.
const SOCKETS: u32 = 1_000;
/// How long each of them rests before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// Attackers at a time who send as fast as they are read, and how long each rests between two
/// requests: they share the machine's cores with those whom they attack.
const SENDERS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// The priority of attackers, the lowest: outside a measurement they have machines of their own, and
/// what they do to the victim is not that they take its processor.
const NICENESS: i32 = 19;
/// How long to wait for more of an answer.
const QUIET: Duration = Duration::from_secs(2);

/// An attack that goes on until it is ended.
pub(crate) struct Attack {
    /// What it is called in the report.
    pub(crate) name: &'static str,
    /// Begins it.
    pub(crate) begin: fn(&Arc<Victim>) -> Running,
}

/// An attack that goes on, in a thread of its own.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends it.
    pub(crate) fn end(self) {
        self.stop.send(()).expect("the attack goes on");
        self.thread.join().unwrap();
    }
}

/// Every attack.
pub(crate) const ATTACKS: [Attack; 10] = [
    Attack {
        name: "slowhttptest -H: headers that never end, 1,000 sockets",
        begin: |victim| slowhttptest(victim, "/v1/system/health", &["-H", "-i", "5", "-x", "24"]),
    },
    Attack {
        name: "slowhttptest -B: bodies that never end, 1,000 sockets",
        begin: |victim| {
            let path = "/v1/invitations/redeem";
            slowhttptest(victim, path, &["-B", "-i", "5", "-s", "8192", "-t", "POST"])
        },
    },
    Attack {
        name: "slowhttptest -R: thousands of ranges, 1,000 sockets",
        begin: |victim| {
            slowhttptest(victim, "/openapi.json", &["-R", "-a", "10", "-b", "3000", "-t", "HEAD"])
        },
    },
    Attack {
        name: "slowhttptest -X: answers that are hardly read, 1,000 sockets",
        begin: |victim| {
            let reading = ["-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"];
            slowhttptest(victim, "/openapi.json", &reading)
        },
    },
    Attack {
        name: "headers that never end, 1,000 sockets from ten addresses",
        begin: |victim| many(victim, SOCKETS, |victim, n| Box::pin(trickle(victim, n))),
    },
    Attack {
        name: "connections that say nothing, 1,000 sockets from one address",
        begin: |victim| many(victim, SOCKETS, |victim, _| Box::pin(say_nothing(victim))),
    },
    Attack {
        name: "JSON 100,000 levels deep",
        begin: |victim| many(victim, SENDERS, |victim, _| Box::pin(send_deep(victim))),
    },
    Attack {
        name: "chunks without end",
        begin: |victim| many(victim, SENDERS, |victim, _| Box::pin(send_chunks(victim))),
    },
    Attack {
        name: "headers without end, as fast as they are read",
        begin: |victim| many(victim, SENDERS, |victim, _| Box::pin(send_headers(victim))),
    },
    Attack {
        name: "connections that come and go",
        begin: |victim| many(victim, SENDERS, |victim, _| Box::pin(come_and_go(victim))),
    },
];

/// Starts the Debian package's program of that name.
fn slowhttptest(victim: &Victim, path: &str, more: &[&str]) -> Running {
    let mut command = Command::new("nice");
    command.args(["-n", &NICENESS.to_string(), "slowhttptest"]);
    // It ends when all of its connections are closed, and is started again.
    command.args(["-c", &SOCKETS.to_string(), "-r", "200", "-l", "3600", "-p", "3"]);
    command.args(["-u", &format!("http://{}{path}", victim.address)]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("slowhttptest is installed");
    let (stop, mut stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        while stopped.try_recv().is_err() {
            std::thread::sleep(PAUSE);
            if child.try_wait().unwrap().is_some() {
                child = command.spawn().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
    Running { stop, thread }
}

type Step = Pin<Box<dyn Future<Output = ()>>>;

/// Starts a thread in which so many attackers do the same thing again and again.
fn many(victim: &Arc<Victim>, attackers: u32, step: fn(Arc<Victim>, u32) -> Step) -> Running {
    let victim = victim.clone();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        // On Linux the priority is this thread's alone.
        rustix::process::setpriority_process(None, NICENESS).expect("a lower priority is granted");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let attacking = tokio::task::LocalSet::new();
        for n in 0..attackers {
            let victim = victim.clone();
            attacking.spawn_local(async move {
                // Not all in the same moment.
                sleep(Duration::from_millis(u64::from(n) * 2)).await;
                loop {
                    step(victim.clone(), n).await;
                    sleep(PAUSE).await;
                }
            });
        }
        runtime.block_on(attacking.run_until(async { stopped.await.unwrap() }));
    });
    Running { stop, thread }
}

async fn trickle(victim: Arc<Victim>, n: u32) {
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(n % 10).unwrap()));
    let Ok(mut stream) = connect_from(from, victim.address).await else { return };
    let _ = stream.write_all(b"GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n").await;
    while stream.write_all(b"X: y\r\n").await.is_ok() {
        if is_closed(&mut stream, Duration::from_secs(5)).await {
            return;
        }
    }
}

async fn say_nothing(victim: Arc<Victim>) {
    let mut stream = connect(&victim).await;
    is_closed(&mut stream, Duration::from_secs(60)).await;
    sleep(RETRY).await;
}

fn head(victim: &Victim, more: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n{more}\r\n",
        victim.records, victim.attackers
    )
}

async fn send_deep(victim: Arc<Victim>) {
    let body = format!("{{\"fields\":{{\"note\":{}", "[".repeat(100_000));
    let head = head(&victim, &format!("Content-Length: {}\r\n", body.len()));
    let answer = exchange(&victim, format!("{head}{body}").as_bytes(), QUIET).await;
    assert!(matches!(answer.statuses()[..], [] | [400 | 429]), "{answer:?}");
}

async fn send_chunks(victim: Arc<Victim>) {
    let mut stream = connect(&victim).await;
    let head = head(&victim, "Transfer-Encoding: chunked\r\n");
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    send_until_cut(&mut stream, head.as_bytes(), chunk.as_bytes()).await;
}

async fn send_headers(victim: Arc<Victim>) {
    let mut stream = connect(&victim).await;
    let head = b"GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n";
    send_until_cut(&mut stream, head, "X: yyyyyyyyyyyyyyyyyyyy\r\n".repeat(1000).as_bytes()).await;
}

async fn send_until_cut(stream: &mut tokio::net::TcpStream, head: &[u8], part: &[u8]) {
    let (mut reading, mut writing) = stream.split();
    let sending = async {
        let mut more = writing.write_all(head).await;
        while more.is_ok() {
            more = writing.write_all(part).await;
        }
    };
    // An attacker goes on to the next attempt, whatever comes of this one.
    let _ = tokio::join!(timeout(QUIET, sending), answer(&mut reading, QUIET));
}

async fn come_and_go(victim: Arc<Victim>) {
    for _ in 0..20 {
        let Ok(mut stream) = connect_from(crate::wire::ATTACKER, victim.address).await else {
            return;
        };
        let _ = stream.write_all(b"GET / HT").await;
    }
}

/// What came of the rounds of one attack.
#[derive(Default)]
pub(crate) struct Measured {
    medians: Vec<f64>,
    quiet_ms: Vec<f64>,
    attacked_ms: Vec<f64>,
    ratios: Vec<f64>,
    before_kib: Option<u64>,
    /// How many KiB the server's memory grew by at the most.
    pub(crate) grown_kib: u64,
}

impl Measured {
    /// Adds a round.
    pub(crate) fn add(&mut self, quiet: &Service, attacked: &Service) {
        let milliseconds =
            |service: &Service, permille| service.quantile(permille).as_secs_f64() * 1e3;
        let (without, under) = (milliseconds(quiet, 990), milliseconds(attacked, 990));
        self.medians.push(milliseconds(attacked, 500) / milliseconds(quiet, 500));
        self.quiet_ms.push(without);
        self.attacked_ms.push(under);
        self.ratios.push(under / without);
        let before_kib = *self.before_kib.get_or_insert(quiet.before_kib);
        self.grown_kib = self.grown_kib.max(attacked.peak_kib.saturating_sub(before_kib));
    }

    /// The median of the rounds' ratios.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.ratios)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lowest = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = self.ratios.iter().copied().fold(0.0, f64::max);
        write!(
            f,
            "{:.2} | {:.2} | {:.2} | {:.2} ({lowest:.2}–{highest:.2}) | {}",
            median(&self.medians),
            median(&self.quiet_ms),
            median(&self.attacked_ms),
            self.ratio(),
            self.grown_kib.div_ceil(1024)
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
