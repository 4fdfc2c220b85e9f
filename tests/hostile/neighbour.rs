//! Somebody who behaves: asks for a record at a steady pace from another address, and measures.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::victim::Victim;
use crate::wire::{PART_BYTES, Stream, greet};

/// Where they are.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// How often they ask: a quarter of what an API key may.
const EVERY: Duration = Duration::from_millis(20);
/// Every so many requests they begin a new connection, as new clients do.
const REQUESTS_OF_A_CONNECTION: u32 = 10;
/// How long they wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many requests warm the server up before its memory is looked at.
const WARMING: u32 = 100;

/// How it went.
#[derive(Debug)]
pub(crate) struct Service {
    /// How long each request took, from when it was due, ascending.
    sorted: Vec<Duration>,
    /// How many KiB the server had before, and at the most.
    pub(crate) before_kib: u64,
    pub(crate) peak_kib: u64,
}

impl Service {
    /// What this share of the requests took at most.
    pub(crate) fn quantile(&self, permille: usize) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted[(last * permille).div_ceil(1000)]
    }
}

/// Does something to the server while the neighbour asks, and at least until they have asked so
/// often. Every request of theirs must succeed.
pub(crate) async fn beside<T>(
    victim: &Victim,
    requests_min: usize,
    attack: impl Future<Output = T>,
) -> (T, Service) {
    let mut neighbour = Neighbour::new(victim);
    for _ in 0..WARMING {
        neighbour.ask(victim).await;
    }
    let before = victim.resident_kib();
    let mut service = Service { sorted: Vec::new(), before_kib: before, peak_kib: before };
    let mut pace = interval(EVERY);
    // A request that is late counts from when it was due.
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut attack = pin!(attack);
    let mut outcome = None;
    loop {
        let asking = async {
            let due = pace.tick().await;
            neighbour.ask(victim).await;
            due.elapsed()
        };
        let mut asking = pin!(asking);
        let took = loop {
            tokio::select! {
                took = &mut asking => break took,
                done = &mut attack, if outcome.is_none() => outcome = Some(done),
            }
        };
        service.sorted.push(took);
        service.peak_kib = service.peak_kib.max(victim.resident_kib());
        if service.sorted.len() >= requests_min
            && let Some(outcome) = outcome.take()
        {
            service.sorted.sort_unstable();
            return (outcome, service);
        }
    }
}

/// Whoever asks.
struct Neighbour {
    request: Vec<u8>,
    connection: Option<Box<dyn Stream>>,
    asked: u32,
}

impl Neighbour {
    fn new(victim: &Victim) -> Self {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\r\n",
            victim.record, victim.token
        );
        Self { request: request.into_bytes(), connection: None, asked: 0 }
    }

    async fn ask(&mut self, victim: &Victim) {
        let begun = Instant::now();
        let outcome = timeout(PATIENCE, self.try_ask(victim)).await;
        let status = outcome
            .unwrap_or_else(|_| panic!("others wait for more than {:?}", begun.elapsed()))
            .unwrap_or_else(|error| panic!("others are not served: {error}"));
        assert_eq!(status, 200, "others are not served");
    }

    async fn try_ask(&mut self, victim: &Victim) -> io::Result<u16> {
        self.asked += 1;
        if self.asked.is_multiple_of(REQUESTS_OF_A_CONNECTION) {
            self.connection = None;
        }
        if self.connection.is_none() {
            self.connection = Some(greet(victim, ADDRESS, "http/1.1").await?);
        }
        let stream = self.connection.as_mut().unwrap();
        stream.write_all(&self.request).await?;
        let mut answer = Vec::new();
        let mut part = vec![0; PART_BYTES];
        loop {
            if let Some(status) = complete(&answer) {
                return Ok(status);
            }
            match stream.read(&mut part).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => answer.extend_from_slice(&part[..length]),
            }
        }
    }
}

/// The status of an answer that has come whole.
fn complete(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let length: usize = length.trim().parse().ok()?;
    (body.len() >= length).then(|| head.split(' ').nth(1).unwrap().parse().unwrap())
}
