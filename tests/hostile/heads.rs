//! Heads of requests that are too many, too long, or never end.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::neighbour::beside;
use crate::others_are_served;
use crate::victim::Victim;
use crate::wire::{LONG, answer, connect, exchange};

/// How long to wait for more of an answer.
const QUIET: Duration = Duration::from_secs(5);
/// More of a head than any server should take.
const FLOOD_BYTES: usize = 64 * 1024 * 1024;
/// How many at once.
const FLOODS: usize = 20;

const BEGINNING: &str = "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n";

#[tokio::test]
async fn heads_beyond_the_bounds_are_431_and_the_connection_is_closed() {
    let victim = Victim::start().await;
    let many = |count: usize| format!("{BEGINNING}{}\r\n", "X: y\r\n".repeat(count));
    let long = |bytes: usize| format!("{BEGINNING}X: {}\r\n\r\n", "y".repeat(bytes));
    for (head, expected) in [
        (many(99), 200),
        (many(100), 431),
        (many(10_000), 431),
        (long(20 * 1024), 200),
        (long(40 * 1024), 431),
        (long(1024 * 1024), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(40 * 1024)), 431),
    ] {
        let answer = exchange(&victim, head.as_bytes(), QUIET / 5).await;
        let shown: String = head.chars().take(60).collect();
        // Who is still sending may be cut before the answer is read.
        let statuses = answer.statuses();
        let cut = answer.closed && statuses.is_empty() && head.len() > 64 * 1024;
        assert!(cut || statuses == [expected], "{shown}: {statuses:?}");
        assert_eq!(answer.closed, expected != 200, "{shown}");
    }
}

/// Sends a beginning and then the same again and again, until the server has had enough. Gives how
/// many bytes it took.
async fn flood(victim: &Victim, begin: &[u8], part: &[u8]) -> usize {
    let mut stream = connect(victim).await;
    let (mut reading, mut writing) = stream.split();
    let part = part.repeat(64 * 1024 / part.len());
    let sending = async {
        let mut sent = begin.len();
        if writing.write_all(begin).await.is_err() {
            return sent;
        }
        while sent < FLOOD_BYTES && writing.write_all(&part).await.is_ok() {
            sent += part.len();
        }
        sent
    };
    let (sent, answer) = tokio::join!(timeout(LONG, sending), answer(&mut reading, QUIET));
    assert!(answer.closed, "it was not closed");
    assert!(answer.statuses().iter().all(|status| *status >= 400), "{answer:?}");
    sent.expect("the server reads or closes")
}

#[tokio::test]
async fn heads_without_end_are_cut_and_others_are_served() {
    let victim = Victim::start().await;
    let endless = format!("{BEGINNING}X: ");
    let attack = async {
        let mut most = 0;
        for _ in 0..FLOODS {
            let (lines, line, target, junk) = tokio::join!(
                flood(&victim, BEGINNING.as_bytes(), b"X: yyyyyyyyyyyyyyyyyyyy\r\n"),
                flood(&victim, endless.as_bytes(), b"y"),
                flood(&victim, b"GET /", b"y"),
                flood(&victim, b"", b"\0"),
            );
            most = most.max(lines).max(line).max(target).max(junk);
        }
        most
    };
    let (most, service) = beside(&victim, 200, attack).await;
    assert!(most < FLOOD_BYTES, "somebody was never cut");
    others_are_served(&service);
    victim.must_live();
}

#[tokio::test]
async fn a_range_of_thousands_of_ranges_is_not_looked_at() {
    let victim = Victim::start().await;
    let ranges: Vec<String> = (0..2_000).map(|n| format!("5-{n}")).collect();
    let request = format!(
        "GET /openapi.json HTTP/1.1\r\nHost: vault.example\r\nConnection: close\r\n\
         Range: bytes=0-,{}\r\n\r\n",
        ranges.join(",")
    );
    let answer = exchange(&victim, request.as_bytes(), QUIET).await;
    assert_eq!(answer.statuses(), [200]);
    assert!(answer.text.ends_with('}') && answer.text.matches("\"openapi\"").count() == 1);
}
