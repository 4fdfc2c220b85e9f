//! What remains in the memory of the running program of what was erased, and of what was unlocked.

use std::time::Duration;

use strongroom_tests::canaries::Canaries;
use strongroom_tests::life::live;
use strongroom_tests::memory::search_memory;
use strongroom_tests::program::Installation;
use strongroom_tests::{Finding, Needle};

use crate::stage;

fn summary(found: &[Finding]) -> String {
    let mut lines: Vec<String> = found
        .iter()
        .map(|found| format!("{} ({}) in {}", found.needle, found.spelling, found.place))
        .collect();
    lines.sort();
    let mut counted: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match counted.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => counted.push((line, 1)),
        }
    }
    let lines: Vec<String> =
        counted.into_iter().map(|(line, count)| format!("{count} × {line}")).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_is_not_in_the_memory_of_the_server() {
    let installation = Installation::make();
    // Only so may this test, if it is not run by root, look into the server.
    let running = installation.start_with(&["--allow-core-dumps"]);
    let mut canaries = Canaries::default();
    {
        let stage = stage(&installation, &running).await;
        let _life = live(&stage, &mut canaries).await;
    }
    // Connections that nobody uses any more are given up.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (erased, others): (Vec<Needle>, Vec<Needle>) =
        canaries.needles.into_iter().partition(|needle| {
            needle.name().ends_with(" by create") || needle.name().ends_with(" by patch")
        });
    assert!(erased.len() > 30, "{}", erased.len());
    let (found, read) = search_memory(running.id(), &erased);
    println!("read {read}\nerased:\n{}", summary(&found));
    let (living, _) = search_memory(running.id(), &others);
    println!("others:\n{}", summary(&living));
    assert!(read > 10_000_000, "{read} bytes");
    assert!(!living.is_empty(), "the search is blind");
    assert!(found.is_empty());
}
