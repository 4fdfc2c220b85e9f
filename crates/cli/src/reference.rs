//! The page of all commands and flags, made from the command line itself.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::arguments::Arguments;

/// What the page begins with.
const OPENING: &str = "\
# Commands

<!-- Made from the code by a test; do not edit it by hand. -->

Every command of `strongroom` with its arguments and flags, as `strongroom help COMMAND` shows them. What all of them have in common (where data goes,
secrets, settings, exit codes) is in [the command line](../cli.md); the flags of `serve` are settings too, and stand in
[configuration](../configuration.md).
";

fn page() -> String {
    let mut whole = Arguments::command();
    whole.build();
    let mut page = OPENING.to_owned();
    page += "\n## Every command\n\n| command | what it does |\n|---|---|\n";
    for command in innermost(&whole) {
        let name = name(command);
        let place = name.replace(' ', "-");
        writeln!(page, "| [`{name}`](#{place}) | {} |", about(command)).unwrap();
    }
    page += "\n## For every command\n\n";
    page += &table(whole.get_arguments().filter(|it| it.is_global_set()));
    for command in innermost(&whole) {
        page += &section(command);
    }
    page
}

/// The commands that do something; those that only hold others are not among them.
fn innermost(command: &Command) -> Vec<&Command> {
    let inner: Vec<&Command> =
        command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
    if inner.is_empty() { vec![command] } else { inner.into_iter().flat_map(innermost).collect() }
}

fn section(command: &Command) -> String {
    let name = name(command);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split_whitespace();
    let usage = usage.collect::<Vec<_>>().join(" ");
    let mut section = format!("\n## {name}\n\n");
    section += &long_about(command);
    writeln!(section, "\n\n```text\n{usage}\n```").unwrap();
    let own: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_global_set() && argument.get_id() != "help")
        .collect();
    if !own.is_empty() {
        section += "\n";
        section += &table(own.into_iter());
    }
    section
}

fn table<'a>(arguments: impl Iterator<Item = &'a Arg>) -> String {
    let mut table = "| argument | | variable | what it is |\n|---|---|---|---|\n".to_owned();
    for argument in arguments {
        let required = if argument.is_required_set() { "required" } else { "" };
        let variable = argument.get_env().map(|it| format!("`{}`", it.to_string_lossy()));
        writeln!(
            table,
            "| `{}` | {required} | {} | {} |",
            typed(argument),
            variable.unwrap_or_default(),
            what(argument),
        )
        .unwrap();
    }
    table
}

/// The argument as one types it.
fn typed(argument: &Arg) -> String {
    let values: Vec<String> = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_string().to_uppercase())
        .collect();
    let values = values.join(" ");
    match (argument.get_short(), argument.get_long()) {
        (_, None) => values,
        (Some(short), Some(long)) => format!("-{short}, --{long} {values}").trim_end().to_owned(),
        (None, Some(long)) => format!("--{long} {values}").trim_end().to_owned(),
    }
}

fn what(argument: &Arg) -> String {
    let mut what = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let hidden = argument.is_hide_possible_values_set();
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|_| !hidden && argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        write!(what, ": {}", values.join(", ")).unwrap();
    }
    if let [default] = argument.get_default_values()
        && argument.get_action().takes_values()
    {
        write!(what, " [default: {}]", default.to_string_lossy()).unwrap();
    }
    cell(&what)
}

fn about(command: &Command) -> String {
    cell(&command.get_about().map(ToString::to_string).unwrap_or_default())
}

fn long_about(command: &Command) -> String {
    let long = command.get_long_about().map(ToString::to_string);
    long.unwrap_or_else(|| about(command)).trim().to_owned()
}

/// A text as a cell of a table: one line without bars.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The command as one types it: `strongroom records read`.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

#[test]
fn the_page_of_commands_is_the_one_that_the_program_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    if std::env::var_os("STRONGROOM_RENEW").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page(),
        "docs/reference/cli.md is stale: renew it, and look at the difference, with\n\
         STRONGROOM_RENEW=1 cargo test --release -p strongroom-cli the_page_of_commands"
    );
}

#[test]
fn every_command_and_every_flag_is_said_to_be_something() {
    let mut whole = Arguments::command();
    whole.build();
    let commands = innermost(&whole);
    assert!(commands.len() > 40);
    for command in commands {
        assert!(!about(command).is_empty(), "{}", name(command));
        for argument in command.get_arguments() {
            assert!(!what(argument).is_empty(), "{} {}", name(command), argument.get_id());
        }
    }
}
