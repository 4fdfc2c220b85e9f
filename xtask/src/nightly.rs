//! `cargo xtask nightly`: what takes too long for every change, as a list of campaigns.

use std::ffi::OsString;

use crate::command::Failure;
use crate::{adversary, crash, fuzz, kills, network, people, schemathesis};

/// What a campaign may take, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Minutes for each part of a campaign that has no end of its own.
    pub(crate) minutes: u32,
}

/// Something that goes on for long. What it gives back is one line a part, for the summary.
struct Campaign {
    name: &'static str,
    run: fn(Effort) -> Result<Vec<String>, Failure>,
}

/// Every campaign, in the order in which they run. A new one is a line here.
const CAMPAIGNS: [Campaign; 7] = [
    Campaign { name: "fuzz", run: fuzz::run },
    Campaign { name: "crash", run: crash::campaign },
    Campaign { name: "kills", run: kills::run },
    Campaign { name: "adversary", run: adversary::campaign },
    Campaign { name: "people", run: people::run },
    Campaign { name: "network", run: attack_the_network },
    Campaign { name: "schemathesis", run: ask_beside_the_document },
];

/// Minutes, unless `--minutes` says otherwise.
const MINUTES: u32 = 1;

/// Runs the campaigns, also after one has failed, and ends with a summary.
///
/// # Errors
/// If the arguments cannot be read, or a campaign failed; the text names it.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let (effort, wanted) = parse(arguments)?;
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for Campaign { name, run } in CAMPAIGNS.iter().filter(|it| wanted.contains(&it.name)) {
        println!("\n== {name}");
        match run(effort) {
            Ok(lines) => summary.extend(lines.into_iter().map(|line| format!("{name}: {line}"))),
            Err(failure) => {
                eprintln!("{name}: {failure}");
                summary.push(format!("{name}: FAILED\n{failure}"));
                failed.push(*name);
            }
        }
    }
    println!("\n{}", summary.join("\n"));
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("failed: {}", failed.join(", "))))
    }
}

/// `cargo xtask network`, at its own length.
fn attack_the_network(_: Effort) -> Result<Vec<String>, Failure> {
    network::run(&[])?;
    Ok(vec!["others were served while somebody attacked".to_owned()])
}

/// `cargo xtask schemathesis`, with its own number of cases.
fn ask_beside_the_document(_: Effort) -> Result<Vec<String>, Failure> {
    schemathesis::run(&[])?;
    Ok(vec!["every answer was as the document says".to_owned()])
}

/// What `--minutes N` and any number of `--only CAMPAIGN` ask for.
fn parse(arguments: &[OsString]) -> Result<(Effort, Vec<&'static str>), Failure> {
    let mut effort = Effort { minutes: MINUTES };
    let mut wanted = Vec::new();
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(option) = rest.next() {
        let value = rest.next().unwrap_or_default();
        match &*option {
            "--minutes" => {
                let minutes = value.parse().ok().filter(|minutes| *minutes > 0);
                let wrong = || Failure::new("`--minutes` takes a whole number from 1");
                effort.minutes = minutes.ok_or_else(wrong)?;
            }
            "--only" => {
                let campaign = CAMPAIGNS.iter().find(|campaign| campaign.name == value);
                let names = CAMPAIGNS.map(|campaign| campaign.name).join(", ");
                let wrong = || Failure::new(format!("`--only` takes one of: {names}"));
                wanted.push(campaign.ok_or_else(wrong)?.name);
            }
            _ => {
                return Err(Failure::new(
                    "`cargo xtask nightly` takes `--minutes N` and `--only CAMPAIGN`",
                ));
            }
        }
    }
    if wanted.is_empty() {
        wanted = CAMPAIGNS.iter().map(|campaign| campaign.name).collect();
    }
    Ok((effort, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Option<(u32, Vec<&'static str>)> {
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&arguments).ok().map(|(effort, wanted)| (effort.minutes, wanted))
    }

    #[test]
    fn every_campaign_runs_unless_some_are_named() {
        assert_eq!(
            parsed(&[]),
            Some((
                MINUTES,
                vec!["fuzz", "crash", "kills", "adversary", "people", "network", "schemathesis"]
            ))
        );
        assert_eq!(parsed(&["--only", "kills", "--minutes", "9"]), Some((9, vec!["kills"])));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for wrong in [
            &["--only"][..],
            &["--only", "naps"],
            &["--minutes", "0"],
            &["--minutes", "-1"],
            &["--minutes"],
            &["--hours", "1"],
            &["fuzz"],
        ] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }
}
