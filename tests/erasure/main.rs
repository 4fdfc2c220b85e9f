//! The adversary of erasure against a whole server: everything that it ever wrote, its present holder and its
//! seal key. Nothing erased is read; everything else is, also from every backup; with the share from before,
//! all that was erased.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and a campaign shows its figures"
)]

mod campaign;
mod carved;
mod cast;

use campaign::Site;

/// How many records are erased, unless `STRONGROOM_ERASED` says otherwise: enough for an index whose pages
/// are split before.
const ERASED: usize = 1_300;

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn erased() -> usize {
    std::env::var("STRONGROOM_ERASED").map_or(ERASED, |text| text.parse().unwrap())
}

#[tokio::test]
async fn nothing_erased_is_read_from_redb() {
    campaign::run(Site::folder("redb"), erased()).await;
}

#[tokio::test]
async fn nothing_erased_is_read_from_redb_behind_a_journal() {
    campaign::run(Site::folder("redb+journal"), erased()).await;
}

#[tokio::test]
async fn nothing_erased_is_read_from_fjall() {
    campaign::run(Site::folder("fjall"), erased()).await;
}

#[tokio::test]
async fn nothing_erased_is_read_from_sled() {
    campaign::run(Site::folder("sled"), erased()).await;
}

#[tokio::test]
async fn nothing_erased_is_read_from_postgresql() {
    campaign::run(Site::postgresql(), erased()).await;
}
