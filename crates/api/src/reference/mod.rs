//! The pages of the reference that are made from this crate, and whether the kept ones are fresh.

mod errors;
mod metrics;
mod routes;

use std::path::Path;

/// What every page begins with, so that nobody mends it by hand.
const MADE: &str = "<!-- Made from the code by a test; do not edit it by hand. -->\n";

/// Compares the kept page with the one that the code gives, and writes it first if asked to.
fn kept(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("STRONGROOM_RENEW").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/reference/{name} is stale: renew it, and look at the difference, with\n\
         STRONGROOM_RENEW=1 cargo test --release -p strongroom-api the_page_of"
    );
}

/// A text as a cell of a table: one line without bars.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
