//! The campaign `people`: a million people imported while importer and server are killed, exported,
//! imported into another server, and compared.

use crate::command::{self, Failure};
use crate::nightly::Effort;

/// How many people move.
const PEOPLE: &str = "1000000";

/// Builds the program and runs the crash test with more people than a change has to move.
///
/// # Errors
/// If something cannot be built, or somebody was lost or changed on the way.
pub(crate) fn run(_: Effort) -> Result<Vec<String>, Failure> {
    command::run(&mut command::program())?;
    let mut tests = command::cargo(["test", "--release", "--workspace", "--test", "crash"]);
    tests.args(["everybody", "--", "--nocapture"]).env("STRONGROOM_PEOPLE", PEOPLE);
    command::run(&mut tests)?;
    Ok(vec![format!("{PEOPLE} people moved to another server")])
}
