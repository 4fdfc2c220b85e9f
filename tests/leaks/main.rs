//! The program as it is built, and what leaves it: log, metrics, traces, files, and its memory.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../../crates/cli/tests/harness/collector.rs"]
#[expect(dead_code, unreachable_pub, reason = "not every test needs all of it")]
mod collector;
mod exports;
mod jobs;
mod remains;

use strongroom_tests::Caller;
use strongroom_tests::life::Stage;
use strongroom_tests::program::{Installation, Running, redeem};

/// The stage that a running program is.
async fn stage(installation: &Installation, running: &Running) -> Stage {
    let nobody = Caller::of(&running.address, "/v1/provider", None);
    let token = redeem(&nobody, installation.invitation()).await;
    let operator = nobody.with_token(&token);
    let mine = operator.get("/v1/whoami").await.ok();
    Stage {
        ends: mine["expires_at"].as_str().unwrap().to_owned(),
        seal_key: std::fs::read_to_string(installation.path("seal.key")).unwrap().trim().to_owned(),
        nobody,
        operator,
    }
}
