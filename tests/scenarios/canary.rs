//! A marked value through every door: afterwards it is nowhere on the disk, nowhere in the log, in no
//! metric, and in no answer to somebody else.

use data_encoding::HEXLOWER;
use strongroom_tests::canaries::Canaries;
use strongroom_tests::life::{Stage, live};
use strongroom_tests::sweep::{routes_without_requests, sweep, trespass};
use strongroom_tests::{Finding, Logs, Server, search_bytes, search_folder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marked_value_is_found_nowhere_on_disk_and_in_no_log() {
    let logs = Logs::keep();
    let mut server = Server::redb().await;
    let mut canaries = Canaries::default();
    let stage = Stage::of(&server);
    let life = live(&stage, &mut canaries).await;
    let document = stage.nobody.get("/openapi.json").await.ok();
    sweep(&stage, &life, &document, &mut canaries).await;
    let metrics = server.metrics().await;
    assert_eq!(routes_without_requests(&document, &metrics), Vec::<String>::new());
    server.run_due_jobs().await;
    let mut needles = canaries.needles;
    assert!(needles.len() > 400, "{} needles", needles.len());
    let found = search_bytes("the metrics", metrics.as_bytes(), &needles);
    assert!(found.is_empty(), "{found:#?}");

    // The search is able to find: once on the disk, once in the log, and under another spelling.
    let mut control = Canaries::default();
    let (on_disk, in_log) = (control.word("on disk"), control.word("in the log"));
    needles.extend(control.needles);
    tracing::trace!(target: "strongroom_tests", text = %in_log, "control");
    let folder = server.folder().to_owned();
    std::fs::write(folder.join("store").join("control"), format!("..{on_disk}..")).unwrap();
    let hidden = HEXLOWER.encode(on_disk.as_bytes());
    std::fs::write(folder.join("control"), hidden).unwrap();
    let check = |what: &str, findings: Vec<Finding>, controls: usize| {
        let (control, leaks): (Vec<_>, Vec<_>) = findings
            .into_iter()
            .partition(|found| found.needle == "on disk" || found.needle == "in the log");
        assert_eq!(control.len(), controls, "{what}: the search is blind: {control:?}");
        assert!(leaks.is_empty(), "{what}: {} findings: {leaks:#?}", leaks.len());
    };

    // While it runs, after a restart, and when it has stopped.
    let look = || {
        let (findings, bytes) = search_folder(&folder, &needles);
        assert!(bytes > 100_000, "{bytes} bytes on disk");
        findings
    };
    check("the disk of a running server", look(), 2);
    server.restart().await;
    server.run_due_jobs().await;
    check("the disk after a restart", look(), 2);
    server.stop().await;
    check("the disk of a stopped server", look(), 2);
    let log = logs.so_far();
    let text = String::from_utf8_lossy(&log);
    for heard in ["/collections/{collection}/records:import", "hyper", "control"] {
        assert!(text.contains(heard), "nothing of {heard} in {} bytes of log", log.len());
    }
    check("the log", search_bytes("the log", &log, &needles), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_answered_with_a_marked_value() {
    let server = Server::memory().await;
    let mut canaries = Canaries::default();
    let stage = Stage::of(&server);
    let life = live(&stage, &mut canaries).await;
    let document = stage.nobody.get("/openapi.json").await.ok();
    let stranger = server.tenant("Strangers").await;
    let key = stranger.key(&server, &["owner"]).await;
    let nobody = key.nobody();
    let mut answers = 0;
    for other in [&stranger.owner, &key, &nobody, &stage.operator] {
        for (asked, answer) in trespass(other, &life, &document).await {
            let mut said = answer.bytes.clone();
            for (name, value) in &answer.headers {
                said.extend_from_slice(name.as_str().as_bytes());
                said.extend_from_slice(value.as_bytes());
            }
            let found = search_bytes(&asked, &said, &canaries.needles);
            assert!(found.is_empty(), "{found:#?}");
            answers += 1;
        }
    }
    assert!(answers > 100, "{answers} answers");
    // The search finds what the tenant's own people are answered.
    let own = life.owner.get("/users").await;
    assert!(!search_bytes("users", &own.bytes, &canaries.needles).is_empty());
}
