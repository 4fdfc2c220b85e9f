//! The campaign `kills`: a server under load is killed a thousand times, and started again.

use crate::command::{self, Failure};
use crate::nightly::Effort;

/// How often it is killed.
const KILLS: &str = "1000";

/// Builds the program and runs the crash tests with more kills than a change has to survive.
///
/// # Errors
/// If something cannot be built, or an acknowledged write was lost.
pub(crate) fn run(_: Effort) -> Result<Vec<String>, Failure> {
    command::run(&mut command::program())?;
    let mut tests = command::cargo(["test", "--release", "--workspace"]);
    tests.args(["--test", "crash"]).env("STRONGROOM_KILLS", KILLS);
    command::run(&mut tests)?;
    Ok(vec![format!("{KILLS} kills, nothing lost")])
}
