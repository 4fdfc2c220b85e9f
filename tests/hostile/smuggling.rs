//! Requests that two readers may end in different places: one of them must never hide another.

use std::time::Duration;

use crate::victim::Victim;
use crate::wire::{answer, connect, exchange};

/// How long to wait for more of an answer.
const QUIET: Duration = Duration::from_secs(2);

/// A request that must not be carried out, because it is within another.
const HIDDEN: &str = "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n\r\n";

/// What stands between the request line and the end of the head, and what follows the head.
const CORPUS: &[(&str, &str)] = &[
    // Lengths that do not agree.
    ("Content-Length: 0\r\nContent-Length: 200", ""),
    ("Content-Length: 0, 200", ""),
    // Codings of which one is obscure.
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n"),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked;a=b", "0\r\n\r\n"),
    ("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("Transfer-Encoding:\x0bchunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\x0b", "0\r\n\r\n"),
    ("Transfer-Encoding : chunked", "0\r\n\r\n"),
    // Lines that are folded, broken, or no headers.
    (" Transfer-Encoding: chunked", "0\r\n\r\n"),
    ("X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
    ("X: y\r\n\tTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
    ("Transfer\0-Encoding: chunked", "0\r\n\r\n"),
    ("X: y\0z", ""),
    ("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("X y", ""),
    (": y", ""),
    ("X\x7f: y", ""),
    // More names than one.
    ("Host: other.example", ""),
    ("Host: vault.example", ""),
];

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let victim = Victim::start().await;
    let mut wrong = Vec::new();
    for (headers, after) in CORPUS {
        // Without these headers it would be answered with 200.
        let request = format!(
            "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n{headers}\r\n\r\n\
             {after}{HIDDEN}"
        );
        let answer = exchange(&victim, request.as_bytes(), QUIET).await;
        let statuses = answer.statuses();
        let refused = matches!(statuses[..], [] | [400..=499 | 501 | 505]);
        if !refused || !answer.closed {
            let closed = if answer.closed { "closed" } else { "open" };
            wrong.push(format!("{headers:?} {after:?}: {statuses:?}, {closed}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CORPUS.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_request_line_that_is_none_is_refused_and_the_connection_closed() {
    let victim = Victim::start().await;
    let mut wrong = Vec::new();
    for line in [
        "GET /v1/system/health",
        "GET /v1/system/health HTTP/1.2",
        "GET /v1/system/health HTTP/0.9",
        "GET /v1/system/health HTTP/3.0",
        "GET /v1/system/health HTTP/1.1 x",
        "GET  /v1/system/health HTTP/1.1",
        "GET /v1/system health HTTP/1.1",
        "GET /v1/system\0/health HTTP/1.1",
        "GET v1/system/health HTTP/1.1",
        "GET \\v1\\system HTTP/1.1",
        "get /v1/system/health http/1.1",
        "CONNECT other.example:443 HTTP/1.1",
        "GET ://x HTTP/1.1",
        "\x16\x03\x01\x02",
        "PRI * HTTP/2.0\r\n\r\nXX",
    ] {
        let request = format!("{line}\r\nHost: vault.example\r\n\r\n");
        let answer = exchange(&victim, request.as_bytes(), QUIET).await;
        let statuses = answer.statuses();
        if !matches!(statuses[..], [] | [400..=499 | 501 | 505]) {
            wrong.push(format!("{line:?}: {statuses:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn chunks_that_are_none_are_refused_and_the_connection_closed() {
    let victim = Victim::start().await;
    for chunks in [
        "-1\r\n\r\n0\r\n\r\n",
        "0x0\r\n\r\n",
        "10000000000000000000\r\n",
        "1\r\nZZ0\r\n\r\n",
        "g\r\n",
        "0\n\n",
        "1;\nx\r\n\r\n0\r\n\r\n",
        "1\r\n{\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
    ] {
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: vault.example\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}",
            victim.records, victim.token
        );
        let answer = exchange(&victim, request.as_bytes(), QUIET).await;
        assert!(matches!(answer.statuses()[..], [] | [400]), "{chunks:?}: {}", answer.text);
        assert!(answer.closed, "{chunks:?}");
    }
}

/// RFC 9112, 6.3: chunks come before a length, and nothing that follows them is read.
#[tokio::test]
async fn of_a_length_and_chunks_the_chunks_are_read_and_nothing_after_them() {
    let victim = Victim::start().await;
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 500\r\nTransfer-Encoding: CHUNKED",
    ] {
        let request = format!(
            "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\n{headers}\r\n\r\n\
             0\r\n\r\n{HIDDEN}"
        );
        let answer = exchange(&victim, request.as_bytes(), QUIET).await;
        assert!(answer.statuses().len() <= 1 && answer.closed, "{headers}: {}", answer.text);
    }
}

/// RFC 9112, 2.2, lets a line end with a line feed alone.
#[tokio::test]
async fn lines_that_end_with_a_line_feed_alone_hide_nothing() {
    let victim = Victim::start().await;
    for head in [
        "GET /v1/system/health HTTP/1.1\nHost: vault.example\nContent-Length: LENGTH\n\n",
        "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\nContent-Length: LENGTH\r\n\r\n",
        "GET /v1/system/health HTTP/1.1\r\nHost: vault.example\r\nContent-Length: LENGTH\r\n\n",
    ] {
        let head = head.replace("LENGTH", &HIDDEN.len().to_string());
        let answer = exchange(&victim, format!("{head}{HIDDEN}").as_bytes(), QUIET).await;
        assert_eq!(answer.statuses().len(), 1, "{head:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_connection_on_which_a_body_came_in_chunks_is_not_used_again() {
    let victim = Victim::start().await;
    let request = format!(
        "POST /v1/nowhere HTTP/1.1\r\nHost: vault.example\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n{HIDDEN}"
    );
    let answer = exchange(&victim, request.as_bytes(), QUIET).await;
    assert_eq!(answer.statuses(), [404], "{}", answer.text);
    assert!(answer.closed && answer.text.contains("connection: close"), "{}", answer.text);
}

#[tokio::test]
async fn requests_that_follow_each_other_cleanly_are_all_answered() {
    let victim = Victim::start().await;
    let mut stream = connect(&victim).await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, HIDDEN.repeat(3).as_bytes()).await.unwrap();
    let answer = answer(&mut stream, QUIET).await;
    assert_eq!(answer.statuses(), [200, 200, 200]);
    assert!(!answer.closed);
}
