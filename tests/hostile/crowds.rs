//! Many connections that do as little as they can: they say nothing, begin and never end, trickle,
//! do not read, come and go.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::neighbour::beside;
use crate::others_are_served;
use crate::victim::{CONNECTIONS_PER_ADDRESS, Victim};
use crate::wire::{ATTACKER, LONG, connect, connect_from, is_closed};

/// How many connections of a kind are opened at once.
const CROWD: usize = 100;
/// How often a byte comes on those that trickle.
const TRICKLE: Duration = Duration::from_millis(500);
/// How long headers may take, and how much later at most a connection is closed for it.
const HEADER_TIME: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_secs(5);
/// How many connections come and go.
const QUICK: usize = 5_000;

/// Opens a crowd of connections, sends each this, then a byte of `trickle` again and again, and
/// waits until all are closed. Gives how long the last one lasted, and what the first of them read.
async fn crowd(victim: &Victim, begin: &[u8], trickle: &'static [u8]) -> (Duration, String) {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CROWD {
        let mut stream = connect(victim).await;
        // The server may have had enough already.
        let _ = stream.write_all(begin).await;
        tasks.spawn(async move {
            let (mut reading, mut writing) = stream.split();
            let mut read = Vec::new();
            let trickling = async {
                loop {
                    sleep(TRICKLE).await;
                    if !trickle.is_empty() && writing.write_all(trickle).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                () = trickling => {}
                _ = reading.read_to_end(&mut read) => {}
            }
            String::from_utf8_lossy(&read).into_owned()
        });
    }
    let mut first = None;
    while let Some(read) = tasks.join_next().await {
        first.get_or_insert(read.unwrap());
    }
    (begun.elapsed(), first.unwrap())
}

#[tokio::test]
async fn connections_that_never_end_their_headers_are_cut_and_others_are_served() {
    let victim = Victim::start().await;
    for (begin, trickle) in [
        (&b""[..], &b""[..]),
        (b"GET /v1/whoami HTTP/1.1\r\nHost: vault.example\r\n", b"X: y\r\n"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b""),
    ] {
        let attack = crowd(&victim, begin, trickle);
        let ((took, _), service) = beside(&victim, 200, attack).await;
        assert!(took < HEADER_TIME + LATE, "they were cut after {took:?}");
        others_are_served(&service);
    }
    victim.must_live();
}

#[tokio::test]
async fn bodies_that_trickle_are_refused_and_others_are_served() {
    let victim = Victim::start().await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{",
        victim.records, victim.attackers
    );
    let attack = crowd(&victim, head.as_bytes(), b" ");
    let ((took, read), service) = beside(&victim, 200, attack).await;
    assert!(read.contains("HTTP/1.1 408 ") && read.contains("body_too_slow"), "{read}");
    assert!(took < HEADER_TIME + LATE, "they were cut after {took:?}");
    others_are_served(&service);
    victim.must_live();
}

/// Asks for much on every connection and does not read it.
async fn unread(victim: &Victim) -> Vec<TcpStream> {
    let path = format!("{}?limit=1000", victim.records);
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\r\n",
        victim.attackers
    );
    let mut streams = Vec::new();
    for _ in 0..CROWD {
        let mut stream = connect(victim).await;
        let _ = stream.write_all(ask.repeat(8).as_bytes()).await;
        streams.push(stream);
    }
    sleep(Duration::from_secs(3)).await;
    streams
}

#[tokio::test]
async fn those_who_do_not_read_take_no_memory_and_others_are_served() {
    let victim = Victim::start().await;
    let (streams, service) = beside(&victim, 200, unread(&victim)).await;
    assert_eq!(streams.len(), CROWD);
    others_are_served(&service);
    victim.must_live();
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let victim = Victim::start().await;
    let before = victim.sockets();
    let attack = async {
        for n in 0..QUICK {
            let Ok(mut stream) = connect_from(ATTACKER, victim.address).await else { continue };
            match n % 4 {
                0 => {}
                1 => drop(stream.write_all(b"GET / HT").await),
                2 => drop(stream.shutdown().await),
                _ => stream.set_zero_linger().unwrap(),
            }
        }
    };
    let ((), service) = beside(&victim, 200, attack).await;
    others_are_served(&service);
    for _ in 0..100 {
        if victim.sockets() <= before + 1 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(victim.sockets() <= before + 1, "{} sockets, {before} before", victim.sockets());
    victim.must_live();
}

#[tokio::test]
async fn a_half_open_connection_is_closed() {
    let victim = Victim::start().await;
    for begun in ["", "GET /v1/who", "POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"]
    {
        let mut stream = connect(&victim).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(is_closed(&mut stream, HEADER_TIME + LATE).await, "{begun}");
    }
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let victim = Victim::start().await;
    let attack = async {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS_PER_ADDRESS * 4 + 200 {
            streams.push(connect(&victim).await);
        }
        streams
    };
    let (streams, service) = beside(&victim, 100, attack).await;
    assert!(victim.sockets() < CONNECTIONS_PER_ADDRESS + 50, "{} sockets", victim.sockets());
    others_are_served(&service);
    // Those beyond the bound were closed at once.
    let mut last = streams.into_iter().next_back().unwrap();
    assert!(is_closed(&mut last, Duration::from_secs(1)).await);
    victim.must_live();
}

#[tokio::test]
async fn when_connections_run_short_those_that_do_nothing_go_first() {
    let victim = Victim::start().await;
    let attack = async {
        let mut streams = Vec::new();
        let mut refused = 0;
        for n in 0..1_100_usize {
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 10).unwrap());
            match connect_from(IpAddr::V4(from), victim.address).await {
                Ok(stream) => streams.push(stream),
                Err(_) => refused += 1,
            }
        }
        let begun = Instant::now();
        let first = streams.first_mut().unwrap();
        assert!(is_closed(first, LONG).await);
        (begun.elapsed(), refused)
    };
    let ((took, refused), service) = beside(&victim, 200, attack).await;
    assert_eq!(refused, 0);
    assert!(took < HEADER_TIME / 2, "it was cut after {took:?}");
    assert!(service.quantile(1000) < HEADER_TIME, "{service:?}");
    victim.must_live();
}

#[tokio::test]
async fn connections_do_not_take_the_store_s_file_descriptors() {
    let victim = Victim::start_with_descriptors(300).await;
    let attack = async {
        let mut streams = Vec::new();
        for n in 0..400_u32 {
            let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 5).unwrap());
            streams.push(connect_from(IpAddr::V4(from), victim.address).await);
        }
        sleep(Duration::from_secs(1)).await;
        streams
    };
    let (streams, service) = beside(&victim, 100, attack).await;
    assert!(streams.iter().all(Result::is_ok));
    assert!(victim.sockets() < 200, "{} sockets", victim.sockets());
    assert!(service.quantile(1000) < HEADER_TIME, "{service:?}");
    assert!(!victim.log().contains("cannot accept"), "{}", victim.log());
    victim.must_live();
}

#[tokio::test]
async fn handshakes_that_never_finish_are_cut_and_others_shake_hands() {
    let victim = Victim::start_with_tls().await;
    // A record of the type `handshake` that announces more than comes, and what is no record.
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n"]
    {
        let attack = crowd(&victim, begun, b"");
        let ((took, _), service) = beside(&victim, 200, attack).await;
        assert!(took < HEADER_TIME + LATE, "they were cut after {took:?}");
        others_are_served(&service);
    }
    victim.must_live();
}

#[tokio::test]
async fn handshakes_that_are_broken_off_leave_nothing_behind() {
    let victim = Victim::start_with_tls().await;
    let attack = async {
        let mut failed = 0;
        for _ in 0..200 {
            let outcome: io::Result<_> =
                crate::wire::greet(&victim, ATTACKER, "no-such-protocol").await;
            failed += usize::from(outcome.is_err());
        }
        failed
    };
    let (failed, service) = beside(&victim, 100, attack).await;
    assert_eq!(failed, 200);
    others_are_served(&service);
    victim.must_live();
}
