//! Asking before what cannot be undone: the person types what is to be erased.

use std::io::{self, BufRead, IsTerminal};

use crate::exit::Failure;
use crate::screen::say;

/// Has the person type `name`.
///
/// # Errors
/// Where nobody can be asked, or something else is typed.
pub(crate) fn typed(name: &str) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "nobody can be asked here; add `--yes` and `--reason`, or run it on a terminal",
        ));
    }
    say(&format!("there is no way back; to go on, type: {name}"));
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| Failure::local(error.to_string()))?;
    if line.trim() == name {
        Ok(())
    } else {
        Err(Failure::local("something else was typed; nothing was done"))
    }
}
