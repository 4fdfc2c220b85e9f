//! The Python that tests use as an independent implementation of the sealed streams.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, Failure};
use crate::packages::ensure_packages;

/// Where its virtual environment lives, seen from the workspace.
const ENVIRONMENT: &str = "target/test-python";

/// What is installed in it: the first version with C2SP chunked encryption is 50.
const CRYPTOGRAPHY: &str = "cryptography>=50";

/// Ends with success if the interpreter can make a virtual environment and is not too old.
const CAN_MAKE_AN_ENVIRONMENT: &str =
    "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";

/// Ends with success if the package is there and new enough.
const HAS_CRYPTOGRAPHY: &str =
    "import sys, cryptography; sys.exit(int(cryptography.__version__.split('.')[0]) < 50)";

/// The interpreter that tests call, with what they need installed; made on first use.
///
/// # Errors
/// If there is no usable Python and none can be installed, or the package cannot be had.
pub(crate) fn prepared() -> Result<PathBuf, Failure> {
    let environment = command::root().join(ENVIRONMENT);
    let interpreter = environment.join("bin").join("python3");
    if says_yes(&interpreter, HAS_CRYPTOGRAPHY) {
        return Ok(interpreter);
    }
    let system = Path::new("python3");
    if !says_yes(system, CAN_MAKE_AN_ENVIRONMENT) {
        ensure_packages(&["python3", "python3-venv"])?;
    }
    if !says_yes(system, CAN_MAKE_AN_ENVIRONMENT) {
        return Err(Failure::new("the tests need Python 3.9 or newer with its module `venv`"));
    }
    println!("preparing {ENVIRONMENT} with {CRYPTOGRAPHY}");
    command::run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&environment))?;
    command::run(Command::new(&interpreter).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        CRYPTOGRAPHY,
    ]))?;
    if says_yes(&interpreter, HAS_CRYPTOGRAPHY) {
        Ok(interpreter)
    } else {
        Err(Failure::new(format!("{ENVIRONMENT} was made, but `{CRYPTOGRAPHY}` is not in it")))
    }
}

fn says_yes(interpreter: &Path, program: &str) -> bool {
    command::succeeds(Command::new(interpreter).args(["-c", program]))
}
