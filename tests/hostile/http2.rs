//! HTTP/2 (RFC 9113) against its rules: streams that are begun and reset, frames without end, heads
//! that are none.

use std::time::Duration;

use tokio::io::{AsyncWriteExt, split};
use tokio::time::timeout;

use crate::neighbour::beside;
use crate::others_are_served;
use crate::victim::Victim;
use crate::wire::{ATTACKER, LONG, answer_bytes, greet};

/// What a client begins with (3.4), and its settings, which are empty.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// How long to wait for more frames.
const QUIET: Duration = Duration::from_secs(3);
/// How often, and how many times, it is looked whether an answer has come.
const ANSWER_LOOK: Duration = Duration::from_millis(20);
const ANSWER_LOOKS: u32 = 500;
/// How many frames a flood has.
const FLOOD: u32 = 50_000;

/// Types of frames (6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Flags: of DATA and HEADERS, and of HEADERS and CONTINUATION.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame (4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head as literals that are not indexed (RFC 7541, 6.2.2).
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // A length below 127 is one byte, and one below 255 two (5.1).
            match u8::try_from(text.len()).unwrap() {
                short @ 0..127 => block.push(short),
                long => block.extend([127, long - 127]),
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

/// The head of a request for this path.
fn head<'h>(method: &'h str, path: &'h str) -> Vec<(&'h str, &'h str)> {
    vec![(":method", method), (":scheme", "http"), (":path", path), (":authority", "vault.example")]
}

/// What the server sent, frame by frame: type, flags, stream, payload.
fn frames(bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((start, after)) = rest.split_at_checked(9) {
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
        let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
        let Some((payload, after)) = after.split_at_checked(usize::try_from(length).unwrap())
        else {
            break;
        };
        frames.push((start[3], start[4], stream, payload));
        rest = after;
    }
    frames
}

/// What came of frames that were sent.
struct Outcome {
    received: Vec<u8>,
    closed: bool,
    /// How many of them were taken.
    sent: u32,
}

impl Outcome {
    fn of(&self, kind: u8) -> usize {
        frames(&self.received).iter().filter(|frame| frame.0 == kind).count()
    }
}

/// Sends one frame and reads until the server has answered its stream, refused it, or closed.
async fn send_one(victim: &Victim, frame: &[u8]) -> Outcome {
    let mut stream = greet(victim, ATTACKER, "h2").await.unwrap();
    stream.write_all(&[PREFACE, frame].concat()).await.unwrap();
    let mut received = Vec::new();
    let answered = |received: &[u8]| {
        frames(received).iter().any(|it| it.2 == 1 && [HEADERS, RST_STREAM].contains(&it.0))
    };
    for _ in 0..ANSWER_LOOKS {
        let (more, closed) = answer_bytes(&mut stream, ANSWER_LOOK).await;
        received.extend(more);
        if closed || answered(&received) {
            return Outcome { received, closed, sent: 1 };
        }
    }
    panic!("it is neither answered nor refused: {received:?}");
}

/// Sends so many frames and reads what comes.
async fn send(victim: &Victim, count: u32, make: impl Fn(u32) -> Vec<u8>) -> Outcome {
    let stream = greet(victim, ATTACKER, "h2").await.unwrap();
    let (mut reading, mut writing) = split(stream);
    let sending = async {
        let mut sent = 0;
        let mut buffer = PREFACE.to_vec();
        while sent < count {
            buffer.extend(make(sent));
            sent += 1;
            if buffer.len() > 32 * 1024 || sent == count {
                if writing.write_all(&buffer).await.is_err() {
                    break;
                }
                buffer.clear();
            }
        }
        sent
    };
    let (sent, (received, closed)) =
        tokio::join!(timeout(LONG, sending), answer_bytes(&mut reading, QUIET));
    Outcome { received, closed, sent: sent.expect("the server reads or closes") }
}

/// The number of the client's n-th stream (5.1.1).
const fn stream(n: u32) -> u32 {
    2 * n + 1
}

/// Runs a flood beside a neighbour, and checks what is always so.
async fn flood(victim: &Victim, count: u32, make: impl Fn(u32) -> Vec<u8>) -> Outcome {
    let (outcome, service) = beside(victim, 100, send(victim, count, make)).await;
    others_are_served(&service);
    victim.must_live();
    outcome
}

/// CVE-2023-44487: requests that are reset as soon as they have begun.
async fn reset_rapidly(victim: &Victim) {
    let block = literals(&head("GET", "/v1/system/health"));
    let outcome = flood(victim, FLOOD, |n| {
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream(n), &block);
        both.extend(frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8]));
        both
    })
    .await;
    assert!(outcome.closed, "it goes on after {} of {FLOOD}", outcome.sent);
}

#[tokio::test]
async fn whoever_resets_stream_after_stream_is_cut() {
    reset_rapidly(&Victim::start().await).await;
}

#[tokio::test]
async fn whoever_resets_stream_after_stream_under_tls_is_cut() {
    reset_rapidly(&Victim::start_with_tls().await).await;
}

/// CVE-2024-27316 and its like: a head that goes on and on.
#[tokio::test]
async fn a_head_that_continues_without_end_is_cut() {
    let victim = Victim::start().await;
    let block = literals(&head("GET", "/v1/system/health"));
    let more = literals(&[("x", &"y".repeat(100))]).repeat(100);
    for more in [&more[..], b""] {
        let outcome = flood(&victim, FLOOD, |n| match n {
            0 => frame(HEADERS, END_STREAM, 1, &block),
            _ => frame(CONTINUATION, 0, 1, more),
        })
        .await;
        assert!(outcome.closed, "it waits for more after {}", outcome.sent);
        // Empty frames may all lie in the sockets' buffers before the connection ends.
        assert!(more.is_empty() || outcome.sent < FLOOD, "{} were taken", outcome.sent);
    }
}

#[tokio::test]
async fn a_head_above_the_bound_is_refused() {
    let victim = Victim::start().await;
    let mut fields = head("GET", "/v1/system/health");
    let long = "y".repeat(200);
    fields.extend(std::iter::repeat_n(("x", long.as_str()), 400));
    let block = literals(&fields);
    let parts: Vec<&[u8]> = block.chunks(16_000).collect();
    let outcome = flood(&victim, u32::try_from(parts.len()).unwrap(), |n| {
        let n = usize::try_from(n).unwrap();
        let flags = if n + 1 == parts.len() { END_HEADERS } else { 0 };
        if n == 0 {
            frame(HEADERS, flags | END_STREAM, 1, parts[n])
        } else {
            frame(CONTINUATION, flags, 1, parts[n])
        }
    })
    .await;
    assert!(!answered_with_success(&outcome));
}

#[tokio::test]
async fn no_more_streams_are_worked_on_than_the_bound_allows() {
    const STREAMS: u32 = 400;
    const BOUND: usize = 128;
    let victim = Victim::start().await;
    let path = victim.records.clone();
    let bearer = format!("Bearer {}", victim.attackers);
    let mut fields = head("POST", &path);
    fields.extend([("authorization", bearer.as_str()), ("content-type", "application/json")]);
    let block = literals(&fields);
    // Their bodies do not come, so that all of them stay open.
    let outcome = flood(&victim, STREAMS, |n| frame(HEADERS, END_HEADERS, stream(n), &block)).await;
    let refused = outcome.of(RST_STREAM);
    assert!(outcome.closed || refused >= 400 - BOUND, "{refused} were refused");
}

#[tokio::test]
async fn frames_that_ask_for_nothing_but_an_answer_take_no_memory() {
    let victim = Victim::start().await;
    let setting = [0, 4, 0, 0, 0xff, 0xff];
    for (kind, payload) in [(SETTINGS, &setting[..]), (PING, b"pingpong"), (SETTINGS, b"")] {
        flood(&victim, FLOOD, |_| frame(kind, 0, 0, payload)).await;
    }
}

#[tokio::test]
async fn frames_that_say_nothing_take_no_memory() {
    let victim = Victim::start().await;
    let path = victim.records.clone();
    let bearer = format!("Bearer {}", victim.attackers);
    let mut fields = head("POST", &path);
    fields.extend([("authorization", bearer.as_str()), ("content-type", "application/json")]);
    let block = literals(&fields);
    flood(&victim, FLOOD, |n| match n {
        0 => frame(HEADERS, END_HEADERS, 1, &block),
        _ => frame(DATA, 0, 1, b""),
    })
    .await;
    flood(&victim, FLOOD, |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1])).await;
    flood(&victim, FLOOD, |_| frame(0xee, 0, 0, b"unknown")).await;
    flood(&victim, FLOOD, |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
}

#[tokio::test]
async fn frames_against_the_rules_end_the_connection() {
    let victim = Victim::start().await;
    for wrong in [
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 0]),
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff]),
        frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
        frame(SETTINGS, 0, 1, b""),
        frame(PING, 0, 0, b"short"),
        frame(DATA, 0, 0, b"x"),
        frame(DATA, 0, 1, b"x"),
        frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        frame(CONTINUATION, END_HEADERS, 1, b""),
        frame(HEADERS, END_HEADERS, 2, &literals(&head("GET", "/"))),
        frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        frame(DATA, 0, 1, &vec![0; 20_000]),
    ] {
        let outcome = flood(&victim, 1, |_| wrong.clone()).await;
        let shown = &wrong[..wrong.len().min(20)];
        assert!(outcome.closed && outcome.of(GOAWAY) == 1, "{shown:?}");
    }
}

fn answered_with_success(outcome: &Outcome) -> bool {
    // `:status: 200`, `204` and `206` of the static table (RFC 7541, appendix A).
    frames(&outcome.received)
        .iter()
        .any(|frame| frame.0 == HEADERS && matches!(frame.3.first(), Some(0x88..=0x8a)))
}

#[tokio::test]
async fn a_head_that_is_none_is_refused() {
    let victim = Victim::start().await;
    let path = "/v1/system/health";
    let and = |more: &[(&'static str, &'static str)]| [&head("GET", path)[..], more].concat();
    let request =
        |fields: &[(&str, &str)]| frame(HEADERS, END_STREAM | END_HEADERS, 1, &literals(fields));
    let good = send_one(&victim, &request(&and(&[("x", "y")]))).await;
    assert!(answered_with_success(&good), "what is right is answered");
    for fields in [
        vec![(":scheme", "http"), (":path", path), (":authority", "vault.example")],
        vec![(":method", "GET"), (":path", path), (":authority", "vault.example")],
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "vault.example")],
        vec![("x", "y"), (":method", "GET"), (":scheme", "http"), (":path", path)],
        head("GET", ""),
        head("GET", "/v1/system/health HTTP/1.1\r\nX: y"),
        head("GET", "/v1/system /health"),
        head("GET", "/v1/system/\0health"),
        head("GET\r\nX: y", path),
        head("GE T", path),
        and(&[(":path", path)]),
        and(&[(":method", "GET")]),
        and(&[(":authority", "other.example")]),
        and(&[(":status", "200")]),
        and(&[(":unknown", "y")]),
        and(&[("X", "y")]),
        and(&[("x y", "z")]),
        and(&[("x:", "y")]),
        and(&[("x\r\nz", "y")]),
        and(&[("x", "y\r\nz: a")]),
        and(&[("x", "y\nz: a")]),
        and(&[("x", "y\0z")]),
        and(&[("", "y")]),
        and(&[("connection", "close")]),
        and(&[("transfer-encoding", "chunked")]),
        and(&[("keep-alive", "timeout=5")]),
        and(&[("proxy-connection", "close")]),
        and(&[("upgrade", "websocket")]),
        and(&[("te", "gzip")]),
        and(&[("content-length", "5")]),
        and(&[("content-length", "0"), ("content-length", "1")]),
        and(&[("host", "other.example")]),
    ] {
        let outcome = send_one(&victim, &request(&fields)).await;
        assert!(!answered_with_success(&outcome), "{fields:?}");
    }
}
