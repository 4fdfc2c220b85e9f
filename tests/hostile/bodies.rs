//! Bodies that are deep, endless, shorter or longer than they say, or packed.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::neighbour::beside;
use crate::others_are_served;
use crate::victim::Victim;
use crate::wire::{LONG, answer, connect, exchange};

/// How long to wait for more of an answer.
const QUIET: Duration = Duration::from_secs(10);
/// How long the answer to a body may take that is not looked at further, on a busy machine.
const QUICK: Duration = Duration::from_secs(2);
/// Most bytes of an answer to a body that is refused.
const ANSWER_BYTES: usize = 64 * 1024;
/// How deep the deepest body is nested.
const DEPTH: usize = 100_000;
/// How often each body is sent.
const TIMES: usize = 20;

/// The head of a creation, with more header lines.
fn head(victim: &Victim, more: &str) -> String {
    format!(
        "POST {} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n{more}\r\n",
        victim.records, victim.attackers
    )
}

/// A whole creation.
fn request(victim: &Victim, more: &str, body: &[u8]) -> Vec<u8> {
    let length = format!("{more}Content-Length: {}\r\n", body.len());
    [head(victim, &length).as_bytes(), body].concat()
}

#[tokio::test]
async fn a_body_nested_a_hundred_thousand_deep_is_400_at_once() {
    let victim = Victim::start().await;
    let deep = |open: &str, close: &str| {
        let bodies = [open.repeat(DEPTH) + &close.repeat(DEPTH), open.repeat(DEPTH)];
        bodies.map(|body| format!("{{\"fields\":{{\"note\":{body}}}}}"))
    };
    let bodies = [deep("[", "]"), deep("{\"a\":", "}")].concat();
    let attack = async {
        let mut worst = Duration::ZERO;
        for _ in 0..TIMES {
            for body in &bodies {
                let begun = Instant::now();
                let answer = exchange(&victim, &request(&victim, "", body.as_bytes()), QUIET).await;
                assert_eq!(answer.statuses(), [400], "{}", answer.text);
                assert!(answer.text.contains("invalid_json"), "{}", answer.text);
                worst = worst.max(begun.elapsed());
            }
        }
        worst
    };
    let (worst, service) = beside(&victim, 200, attack).await;
    assert!(worst < QUICK, "{worst:?}");
    others_are_served(&service);
    victim.must_live();
}

#[tokio::test]
async fn a_body_of_a_hundred_thousand_parts_is_refused_at_once_and_in_few_words() {
    let victim = Victim::start().await;
    let names = |value: &str| {
        let names: Vec<String> = (0..70_000).map(|n| format!("\"f{n}\":{value}")).collect();
        names.join(",")
    };
    let items = |item: &str| vec![item; 70_000].join(",");
    let bodies = [
        format!("{{\"fields\":{{{}}}}}", names("1")),
        format!("{{\"fields\":{{\"note\":{{{}}}}}}}", names("1")),
        format!("{{\"fields\":{{\"note\":[{}]}}}}", items("1")),
        format!("{{\"fields\":{{}},\"purposes\":[{}]}}", items("\"a\"")),
        format!("{{\"fields\":{{}},\"assignees\":[{}]}}", items("\"usr_0\"")),
        format!("{{{}}}", names("1")),
        format!("{{\"fields\":{{\"name\":\"{}\"}}}}", "\\u0041".repeat(150_000)),
    ];
    let attack = async {
        for body in &bodies {
            let begun = Instant::now();
            let answer = exchange(&victim, &request(&victim, "", body.as_bytes()), QUIET).await;
            let shown: String = body.chars().take(60).collect();
            assert!(matches!(answer.statuses()[..], [400 | 422]), "{shown}: {}", answer.text);
            assert!(answer.text.len() < ANSWER_BYTES, "{shown}: {} bytes", answer.text.len());
            assert!(begun.elapsed() < QUICK, "{shown}: {:?}", begun.elapsed());
        }
    };
    let ((), service) = beside(&victim, 100, attack).await;
    others_are_served(&service);
}

#[tokio::test]
async fn chunks_without_end_are_cut_and_others_are_served() {
    let victim = Victim::start().await;
    let head = head(&victim, "Transfer-Encoding: chunked\r\n");
    let large = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    let tiny = "1\r\n \r\n".repeat(10_000);
    let extended = format!("1;{}\r\n \r\n", "x".repeat(8_000)).repeat(4);
    let zeros = "0".repeat(64 * 1024);
    let attack = async {
        for chunk in [&large, &tiny, &extended, &zeros] {
            for _ in 0..2 {
                let mut stream = connect(&victim).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                let (mut reading, mut writing) = stream.split();
                let sending = async {
                    let mut sent = 0;
                    while writing.write_all(chunk.as_bytes()).await.is_ok() {
                        sent += chunk.len();
                        assert!(sent < 1024 * 1024 * 1024, "it was never cut");
                    }
                };
                let (cut, answer) =
                    tokio::join!(timeout(LONG, sending), answer(&mut reading, QUIET));
                cut.expect("it is cut");
                let statuses = answer.statuses();
                assert!(matches!(statuses[..], [] | [400 | 408 | 413]), "{statuses:?}");
            }
        }
    };
    let ((), service) = beside(&victim, 200, attack).await;
    others_are_served(&service);
    victim.must_live();
}

#[tokio::test]
async fn a_length_that_lies_is_believed_no_further_than_the_bounds() {
    let victim = Victim::start().await;
    let body = "{\"fields\":{\"name\":\"Sandra\"}}";
    for (more, sent, expected) in [
        // Far more than a body may have: refused before any of it comes.
        ("Content-Length: 99999999999999\r\n", body, &[413][..]),
        // More than any number that can be counted with.
        ("Content-Length: 99999999999999999999999999\r\n", body, &[400]),
        // More than comes, and then nothing.
        ("Content-Length: 5000\r\n", body, &[408]),
        // Less than comes: what is too much is no second request.
        ("Content-Length: 10\r\n", body, &[400]),
        ("Content-Length: 0\r\n", body, &[400]),
        ("Content-Length: -1\r\n", body, &[400]),
        ("Content-Length: +28\r\n", body, &[400]),
        ("Content-Length: 0x1c\r\n", body, &[400]),
        ("Content-Length: 28, 29\r\n", body, &[400]),
        ("Content-Length: 28\r\nContent-Length: 29\r\n", body, &[400]),
    ] {
        let bytes = [head(&victim, more).as_bytes(), sent.as_bytes()].concat();
        let answer = exchange(&victim, &bytes, QUIET).await;
        assert_eq!(answer.statuses(), expected, "{more}: {}", answer.text);
        assert!(answer.closed, "{more}");
    }
}

#[tokio::test]
async fn a_packed_body_is_refused_and_never_unpacked() {
    let victim = Victim::start().await;
    // 10 GiB of zeros pack into about 10 MiB; what is inside does not matter to who does not look.
    let bomb = [b"\x1f\x8b\x08\0\0\0\0\0\x02\xff".as_slice(), &vec![0; 10 * 1024 * 1024]].concat();
    let small = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff\x03\0\0\0\0\0\0\0\0\0";
    let attack = async {
        for coding in ["gzip", "br", "zstd", "deflate", "gzip, gzip", "x-gzip"] {
            let more = format!("Content-Encoding: {coding}\r\n");
            for body in [&bomb[..], small] {
                let answer = exchange(&victim, &request(&victim, &more, body), QUIET).await;
                let statuses = answer.statuses();
                // Who still sends ten mebibytes may be cut before the answer is read.
                let cut = statuses.is_empty() && body.len() > 1024 * 1024;
                assert!(cut || statuses == [415], "{coding}: {statuses:?}");
            }
        }
    };
    let ((), service) = beside(&victim, 200, attack).await;
    let answer = exchange(
        &victim,
        &request(&victim, "Content-Encoding: identity\r\n", b"{\"fields\":{\"name\":\"Sandra\"}}"),
        QUIET,
    )
    .await;
    assert_eq!(answer.statuses(), [201], "{}", answer.text);
    others_are_served(&service);
    victim.must_live();
}
