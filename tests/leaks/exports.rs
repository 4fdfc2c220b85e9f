//! What the program tells those who run it, after a life of marked values and a visit to every route.

use strongroom_tests::canaries::Canaries;
use strongroom_tests::life::live;
use strongroom_tests::program::Installation;
use strongroom_tests::sweep::{routes_without_requests, sweep};
use strongroom_tests::{Logs, Needle, search_bytes, search_folder};

use crate::collector::{Collector, Manner};
use crate::stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marked_value_is_in_no_log_metric_trace_or_file_of_the_program() {
    let collector = Collector::new(Manner::Takes);
    let installation = Installation::make();
    let url = collector.url();
    let flags = ["--admin-listen", "127.0.0.1:0", "--otlp-endpoint", &url];
    let running = installation.start_with(&flags);
    let admin = running.admin(&installation);
    let stage = stage(&installation, &running).await;
    let mut canaries = Canaries::default();
    let life = live(&stage, &mut canaries).await;
    let document = stage.nobody.get("/openapi.json").await.ok();
    sweep(&stage, &life, &document, &mut canaries).await;
    let metrics = metrics(&admin).await;
    running.stop();

    assert_eq!(routes_without_requests(&document, &metrics), Vec::<String>::new());
    assert!(canaries.needles.len() > 400);
    let traces: Vec<u8> = collector
        .taken()
        .into_iter()
        .flat_map(|(head, body)| [head.into_bytes(), body].concat())
        .collect();
    assert!(collector.spans().len() > 1000, "{} spans", collector.spans().len());
    let log = installation.said();
    for (place, bytes, known) in [
        ("the metrics", metrics.as_bytes(), "http_server_request_duration_seconds"),
        ("the traces", &traces, "strongroom.request_id"),
        ("the log", &log, "a request ended"),
    ] {
        // The search finds what is there.
        let control = [Needle::new("control", known.as_bytes())];
        assert!(!search_bytes(place, bytes, &control).is_empty(), "{place} has nothing of {known}");
        let found = search_bytes(place, bytes, &canaries.needles);
        assert!(found.is_empty(), "{} findings: {:#?}", found.len(), &found[..found.len().min(9)]);
    }
    std::fs::remove_file(installation.path("seal.key")).unwrap();
    let (found, _) = search_folder(installation.folder(), &canaries.needles);
    assert!(found.is_empty(), "{} findings: {:#?}", found.len(), &found[..found.len().min(9)]);
}

#[test]
fn what_a_panic_says_is_not_logged() {
    let logs = Logs::keep();
    // The hook is the whole process's: other tests get theirs back.
    let before = std::panic::take_hook();
    strongroom_api::log_panics_by_place();
    let mut canaries = Canaries::default();
    let word = canaries.word("what a panic says");
    let said = word.clone();
    let panicked = std::thread::spawn(move || {
        if !said.is_empty() {
            std::panic::panic_any(said);
        }
    });
    assert!(panicked.join().is_err());
    let panicked = std::thread::spawn(move || assert_eq!(word, "", "{word}"));
    assert!(panicked.join().is_err());
    std::panic::set_hook(before);
    let log = logs.so_far();
    let text = String::from_utf8_lossy(&log);
    assert!(text.matches("a panic place=").count() >= 2, "{text}");
    assert!(text.contains("exports.rs"), "the place is logged");
    assert!(search_bytes("the log", &log, &canaries.needles).is_empty());
}

async fn metrics(admin: &str) -> String {
    let answer = strongroom_tests::plain_http().get(format!("{admin}/metrics")).send().await;
    answer.unwrap().text().await.unwrap()
}
