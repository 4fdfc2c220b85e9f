//! What checks have found: for each what it looked at, how that stands, why, and what mends it.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::screen::{Output, Screen, data, harmless};

/// How what was looked at stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should.
    Ok,
    /// It works, and somebody should know.
    Warn,
    /// It does not work, or must not stay so.
    Fail,
}

/// What one check has found.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at; scripts may rely on it.
    pub(crate) check: &'static str,
    /// How it stands.
    pub(crate) state: State,
    /// Why.
    pub(crate) why: String,
    /// What mends it: a command, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::Ok, why: why.into(), mend: None }
    }

    pub(crate) fn warn(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::Warn, why: why.into(), mend: None }
    }

    pub(crate) fn fail(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::Fail, why: why.into(), mend: None }
    }

    /// With what mends it.
    pub(crate) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

#[derive(Serialize)]
struct Report<'f> {
    state: State,
    checks: &'f [Finding],
}

/// Shows what was found.
///
/// # Errors
/// Exit code 8 if something fails.
pub(crate) fn show(findings: &[Finding], screen: Screen) -> Result<(), Failure> {
    let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    match screen.output() {
        Output::Table => data(&lines(findings))?,
        Output::Json => {
            let report = serde_json::to_string_pretty(&Report { state, checks: findings })
                .map_err(|error| Failure::local(error.to_string()))?;
            data(&report)?;
        }
    }
    let failed = findings.iter().filter(|finding| finding.state == State::Fail).count();
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::CheckFailed, "a check failed")),
        more => Err(Failure::new(Exit::CheckFailed, format!("{more} checks failed"))),
    }
}

fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        };
        let why = finding.why.lines().map(harmless).collect::<Vec<_>>().join("\n      ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "{state:<4}  {}: {why}", finding.check);
        if let Some(mend) = &finding.mend {
            let _ = writeln!(text, "      mend: {}", harmless(mend));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// A path as a shell reads it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+,@%".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_of_the_shell() {
        for (path, shown) in [
            ("/var/lib/a", "/var/lib/a"),
            ("a b", "'a b'"),
            ("a'; reboot", r"'a'\''; reboot'"),
            ("~/a", "'~/a'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }

    #[test]
    fn what_was_found_cannot_steer_the_terminal() {
        let finding = Finding::warn("store", "a\u{1b}[2J\nb").mend("rm \u{1b}c");
        assert_eq!(
            lines(&[finding]),
            "warn  store: a\u{fffd}[2J\n      b\n      mend: rm \u{fffd}c"
        );
    }

    #[test]
    fn one_failure_among_warnings_ends_with_eight() {
        let screen = Screen::new(Some(Output::Json), false);
        let warned = [Finding::ok("a", ""), Finding::warn("b", "")];
        assert!(show(&warned, screen).is_ok());
        let failed = [Finding::fail("a", ""), Finding::warn("b", "")];
        assert_eq!(show(&failed, screen).unwrap_err().exit, Exit::CheckFailed);
    }
}
