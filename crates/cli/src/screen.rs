//! What is shown: data on standard output, talk on standard error.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use serde_json::Value;
use strongroom_client::{Answer, Listed};

use crate::exit::Failure;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// JSON, as the API gives it.
    Json,
}

/// A column of a table: its title, and where its cells stand in an entry (RFC 6901).
pub(crate) type Column = (&'static str, &'static str);

/// Where everything that is shown goes through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    output: Output,
    verbose: bool,
}

impl Screen {
    /// Without a choice: a table for a terminal, JSON for everything else.
    pub(crate) fn new(output: Option<Output>, verbose: bool) -> Self {
        let fitting = if io::stdout().is_terminal() { Output::Table } else { Output::Json };
        Self { output: output.unwrap_or(fitting), verbose }
    }

    /// Shows one thing.
    pub(crate) fn one<T: Serialize>(self, answer: &Answer<T>) -> Result<(), Failure> {
        self.remarks(answer);
        let mut value = json(&answer.value)?;
        if let (Value::Object(members), Some(version)) = (&mut value, answer.version) {
            members.entry("version").or_insert(version.into());
        }
        self.value(&value)
    }

    /// Shows a page of a list.
    pub(crate) fn list<T: Serialize>(
        self,
        answer: &Answer<Listed<T>>,
        columns: &[Column],
    ) -> Result<(), Failure> {
        self.remarks(answer);
        let value = json(&answer.value)?;
        match self.output {
            Output::Json => data(&pretty(&value)),
            Output::Table => {
                let entries = value.pointer("/data").and_then(Value::as_array);
                table(entries.into_iter().flatten(), columns)?;
                if let Some(next) = &answer.value.next {
                    say(&format!("there are more: add `--cursor {next}`"));
                }
                Ok(())
            }
        }
    }

    /// Shows entries that no server was asked for.
    pub(crate) fn entries(self, entries: &[Value], columns: &[Column]) -> Result<(), Failure> {
        match self.output {
            Output::Json => data(&pretty(&Value::from(entries))),
            Output::Table => table(entries.iter(), columns),
        }
    }

    /// How data is written.
    pub(crate) fn output(self) -> Output {
        self.output
    }

    /// Shows any JSON: an object as a table of its members.
    pub(crate) fn value(self, value: &Value) -> Result<(), Failure> {
        match (self.output, &in_order(value.clone())) {
            (Output::Table, Value::Object(members)) => {
                let mut table = plain();
                for (name, value) in members {
                    match value {
                        // One level down is still readable; deeper things are shown as JSON.
                        Value::Object(inner) if !inner.is_empty() => {
                            for (inner_name, value) in inner {
                                table.add_row([format!("{name}.{inner_name}"), cell(value)]);
                            }
                        }
                        other => {
                            table.add_row([name.clone(), cell(other)]);
                        }
                    }
                }
                data(&trimmed(&table))
            }
            (Output::Table | Output::Json, value) => data(&pretty(value)),
        }
    }

    /// Says that something without a body was done.
    pub(crate) fn done(self, answer: &Answer<()>, what: &str) {
        self.remarks(answer);
        say(what);
    }

    fn remarks<T>(self, answer: &Answer<T>) {
        if self.verbose {
            for (name, value) in [("request", &answer.request_id), ("audit", &answer.audit)] {
                if let Some(value) = value {
                    say(&format!("{name}: {value}"));
                }
            }
        }
    }
}

fn json(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map(in_order)
        .map_err(|_| Failure::local("the answer cannot be written as JSON"))
}

/// The same with the members of every object in alphabetical order, however the program was built.
fn in_order(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<String, Value> =
                members.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(in_order).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn table<'v>(entries: impl Iterator<Item = &'v Value>, columns: &[Column]) -> Result<(), Failure> {
    let mut table = plain();
    table.set_header(columns.iter().map(|(title, _)| *title));
    for entry in entries {
        let cells =
            columns.iter().map(|(_, pointer)| entry.pointer(pointer).map(cell).unwrap_or_default());
        table.add_row(cells);
    }
    data(&trimmed(&table))
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn trimmed(table: &Table) -> String {
    let lines: Vec<_> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// A value in one line of a table. Control characters are shown, not obeyed: data that somebody
/// else wrote must not steer the terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    harmless(&text)
}

/// A text without control characters.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character: char| {
        // Directional marks would let a text pretend to be another one.
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || turns { '\u{fffd}' } else { character }
    };
    text.chars().map(shown).collect()
}

/// Writes data to standard output. A reader that has gone away is not an error.
pub(crate) fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::local(format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Says something to the person at the terminal, on standard error. Who does not hear it is not told.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_steer_the_terminal() {
        let value = Value::from("a\u{1b}[2Jb\u{9b}c\u{202e}d\n");
        assert_eq!(cell(&value), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}");
    }

    #[test]
    fn members_stand_in_alphabetical_order_at_every_depth() {
        let inner: serde_json::Map<_, _> =
            [("z".to_owned(), 1.into()), ("a".to_owned(), 2.into())].into_iter().collect();
        let value = in_order(serde_json::json!({"b": [inner], "a": 3}));
        assert_eq!(value.to_string(), r#"{"a":3,"b":[{"a":2,"z":1}]}"#);
    }

    #[test]
    fn a_cell_is_one_line_whatever_the_value_is() {
        for (value, text) in [
            (serde_json::json!(null), ""),
            (serde_json::json!(["a", "b"]), "a, b"),
            (serde_json::json!([1, {"a": "x\n"}]), "[1,{\"a\":\"x\\n\"}]"),
            (serde_json::json!(true), "true"),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}
