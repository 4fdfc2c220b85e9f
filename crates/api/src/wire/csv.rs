//! Exported records as comma-separated values (RFC 4180), of which no cell becomes a formula.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line end for a formula,
//! and runs what whoever filled in a form wrote there (OWASP, CSV Injection). Such a text gets an
//! apostrophe before it, and so does one that begins with an apostrophe: whoever takes one apostrophe
//! away from each cell that begins with one has the values again. Numbers stay as they are.

use std::fmt::Display;
use std::io::Write as _;

use strongroom_model::{ClearValue, FieldName, Wiping};
use strongroom_vault::records::{ExportPage, Exported};

use super::{ITEM_CAPACITY, ITEM_USUAL};
use crate::body::make_room;

/// What is known of a record beside its fields. No field's name begins with `_`.
const COLUMNS: [&str; 11] = [
    "_id",
    "_external_id",
    "_subject",
    "_subject_external_id",
    "_source",
    "_collected_at",
    "_notice",
    "_purposes",
    "_created_at",
    "_changed_at",
    "_version",
];

/// A page of an export; the first begins with the line of names. Of masked fields there is nothing:
/// what a mask leaves would be taken for a value where the file is read again.
pub(crate) fn write_csv(page: &ExportPage, with_names: bool) -> Wiping<Vec<u8>> {
    let items = &page.records.items;
    let room = ITEM_CAPACITY + ITEM_USUAL.saturating_mul(items.len() + 1);
    let mut out = Wiping::new(Vec::with_capacity(room));
    if with_names {
        out.extend_from_slice(COLUMNS.join(",").as_bytes());
        for name in &page.columns {
            out.push(b',');
            out.extend_from_slice(name.as_str().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
    for record in items {
        make_room(&mut out, ITEM_CAPACITY);
        write_row(record, &page.columns, &mut out);
    }
    out
}

fn write_row(record: &Exported, columns: &[FieldName], out: &mut Vec<u8>) {
    let view = &record.view;
    write_shown(Some(&view.id), out);
    out.push(b',');
    write_shown(view.external_id.as_ref(), out);
    out.push(b',');
    write_shown(view.subject.as_ref(), out);
    out.push(b',');
    write_shown(record.subject_external_id.as_ref(), out);
    out.push(b',');
    write_shown(record.source.as_ref(), out);
    out.push(b',');
    write_shown(Some(&record.collected_at), out);
    out.push(b',');
    write_shown(record.notice.as_ref(), out);
    out.push(b',');
    let purposes: Vec<String> = record.purposes.iter().map(ToString::to_string).collect();
    write_shown(Some(&purposes.join(" ")), out);
    out.push(b',');
    write_shown(Some(&view.created_at), out);
    out.push(b',');
    write_shown(Some(&view.changed_at), out);
    out.push(b',');
    write_shown(Some(&view.version), out);
    for column in columns {
        out.push(b',');
        let value = view.fields.iter().find(|(name, _)| name == column);
        if let Some((_, value)) = value {
            write_value(value, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_shown(value: Option<&impl Display>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        write_text(&value.to_string(), out);
    }
}

fn write_value(value: &ClearValue, out: &mut Vec<u8>) {
    match value {
        ClearValue::Null => {}
        ClearValue::Boolean(true) => out.extend_from_slice(b"true"),
        ClearValue::Boolean(false) => out.extend_from_slice(b"false"),
        // Writing to memory does not fail.
        ClearValue::Integer(number) => drop(write!(out, "{number}")),
        ClearValue::Float(number) => drop(write!(out, "{number:?}")),
        ClearValue::Text(text) => write_text(text, out),
        ClearValue::List(_) | ClearValue::Object(_) => {
            let mut json = Wiping::new(Vec::with_capacity(ITEM_CAPACITY));
            value.write_json(&mut json);
            write_text(&String::from_utf8_lossy(&json), out);
        }
    }
}

/// Writes a text as one cell.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let guarded = is_formula(text);
    let special = |character| matches!(character, ',' | ';' | '"' | '\r' | '\n' | '\t');
    let quoted = guarded
        || text.is_empty()
        || text.contains(special)
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace);
    if !quoted {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if guarded {
        out.push(b'\'');
    }
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Whether a spreadsheet might take a text for a formula, or an apostrophe before it for ours.
fn is_formula(text: &str) -> bool {
    if text.starts_with(['\'', '\t', '\r', '\n']) {
        return true;
    }
    // Some skip blanks before they look; the wide forms are those of Chinese and Japanese keyboards.
    let first = text.trim_start().chars().next();
    let begins = first.is_some_and(|first| {
        matches!(first, '=' | '+' | '-' | '@' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}')
    });
    begins && !is_number(text)
}

/// Whether a text is a number and nothing else, as decimals are.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    are_digits(whole) && are_digits(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        write_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_cell_begins_like_a_formula() {
        for formula in [
            "=1+1",
            "=cmd|' /C calc'!A0",
            "+49 30 5550100",
            "-2+3+cmd|' /C calc'!A0",
            "@SUM(1+1)*cmd|' /C calc'!A0",
            "\t=1+1",
            "\r=1+1",
            "\n=1+1",
            "  =1+1",
            "\u{a0}=1+1",
            "\u{ff1d}1+1",
            "-1-1",
            "--1",
            "-",
            "-.5",
        ] {
            let cell = cell(formula);
            assert!(cell.starts_with("\"'"), "{formula:?} became {cell}");
        }
    }

    #[test]
    fn what_is_no_formula_stays_as_it_is() {
        for plain in ["Ana", "-1", "-12.50", "1e3", "2026-01-31", "a=b", "x+1", "{}", "ü"] {
            assert_eq!(cell(plain), plain);
        }
    }

    #[test]
    fn cells_are_read_again_as_they_were() {
        for text in
            ["", "a,b", "a\"b", "\"", "a\r\nb", "'a'", "''", "=\"a\",b", " a ", "a;b", "\t", "x\n"]
        {
            let written = format!("{},end\r\n", cell(text));
            let cells = read(&written);
            assert_eq!(cells.len(), 2, "{text:?} became {written:?}");
            let again = cells[0].strip_prefix('\'').unwrap_or(&cells[0]);
            assert_eq!(again, text, "{written:?}");
        }
    }

    /// The cells of a line, after RFC 4180.
    fn read(line: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut quoted = false;
        let mut rest = line.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(next) = rest.next() {
            let last = cells.last_mut().unwrap();
            match next {
                '"' if quoted && rest.peek() == Some(&'"') => last.extend(rest.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                other => last.push(other),
            }
        }
        assert!(!quoted, "{line:?}");
        cells
    }
}
