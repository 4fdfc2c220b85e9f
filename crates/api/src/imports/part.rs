//! A part of a file: from its bytes to rows that are to become records, and those that cannot.

use serde_json::Value;
use strongroom_model::{ClearValue, FieldName, NamedUser};
use strongroom_tables::{
    self as tables, Format, ImportItem, Mapping, NamedSubject, ReadRow, Rows, RowsError,
};
use strongroom_vault::imports::{FileRow, PART_ROWS_MAX};
use strongroom_vault::{Flaw, records};

use super::wire;
use crate::extract::PartRead;
use crate::limits::DEPTH_MAX;
use crate::problem::Problem;

/// What was read of a part.
pub(super) struct Read {
    pub(super) rows: Vec<FileRow>,
    /// Lines of what is no row, or becomes no record, and why.
    pub(super) rejected: Vec<(u64, Vec<Flaw>)>,
}

/// Reads a part.
///
/// # Errors
/// 422 where the line of names does not fit the mapping, a row does not end, or there are too many.
pub(super) fn read(kept: &[u8], part: &PartRead) -> Result<Read, Problem> {
    let mapping = wire::mapping(kept)?;
    let mut read = Read { rows: Vec::new(), rejected: Vec::new() };
    let mut rows = Rows::new(part.format, part.bytes.as_slice(), &mapping)
        .map_err(|error| unreadable(&error))?;
    let lines = match part.format {
        // The line of names comes before the first row.
        Format::Csv => part.first_line.saturating_sub(2),
        Format::Ndjson => part.first_line.saturating_sub(1),
    };
    while let Some(row) = rows.read().map_err(|error| unreadable(&error))? {
        if read.rows.len() + read.rejected.len() >= PART_ROWS_MAX {
            let detail = format!("a part has at most {PART_ROWS_MAX} rows: cut the file smaller");
            return Err(Problem::invalid_at("", detail));
        }
        match row {
            ReadRow::Row(line, row) => {
                let line = line.saturating_add(lines);
                match item(&mapping, &row) {
                    Ok(record) => read.rows.push(FileRow { line, record }),
                    Err(flaws) => read.rejected.push((line, flaws)),
                }
            }
            ReadRow::Bad { line, detail, .. } => {
                let flaw = Flaw { pointer: String::new(), detail };
                read.rejected.push((line.saturating_add(lines), vec![flaw]));
            }
        }
    }
    Ok(read)
}

fn item(mapping: &Mapping, row: &strongroom_tables::Row) -> Result<records::NewRecord, Vec<Flaw>> {
    let flaw = |flaw: strongroom_tables::Flaw| Flaw { pointer: flaw.pointer, detail: flaw.detail };
    let item =
        mapping.item(row).map_err(|flaws| flaws.into_iter().map(flaw).collect::<Vec<_>>())?;
    let ImportItem {
        external_id,
        subject,
        source,
        collected_at,
        notice,
        purposes,
        assignees,
        fields,
    } = item;
    let mut values = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        // The name may be the file's own, so it is not repeated where it is none.
        let wrong = |pointer: &str, detail: &str| {
            vec![Flaw { pointer: pointer.to_owned(), detail: detail.to_owned() }]
        };
        let name: FieldName = name.parse().map_err(|_| wrong("/fields", "no name of a field"))?;
        let pointer = format!("/fields/{name}");
        if depth(&value) > DEPTH_MAX {
            return Err(wrong(&pointer, "nested too deeply"));
        }
        let value: ClearValue =
            serde_json::from_value(value).map_err(|_| wrong(&pointer, "no value of a field"))?;
        values.push((name, value));
    }
    Ok(records::NewRecord {
        external_id: Some(external_id),
        subject: subject.map(|named| match named {
            NamedSubject::Id(id) => records::NamedSubject::Id(id),
            NamedSubject::External { external_id } => records::NamedSubject::External(external_id),
        }),
        source,
        collected_at,
        notice,
        purposes,
        assignees: assignees
            .into_iter()
            .map(|named| match named {
                tables::NamedUser::Id(id) => NamedUser::Id(id),
                tables::NamedUser::External { external_id } => NamedUser::External(external_id),
            })
            .collect(),
        fields: values,
    })
}

/// How deep a value is nested. The reader of rows has bounded it before.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return 0,
    };
    deepest.unwrap_or(0) + 1
}

/// Why nothing of a part is taken, without anything that stands in it.
fn unreadable(error: &RowsError) -> Problem {
    let detail = match error {
        RowsError::Unreadable(_) => "the part cannot be read as what it is said to be".to_owned(),
        RowsError::Twice(_) => "a column stands twice in the line of names".to_owned(),
        RowsError::Header(_) | RowsError::Endless(_) => error.to_string(),
    };
    Problem::invalid_at("", detail)
}

#[cfg(test)]
mod tests {
    use strongroom_model::Wiping;

    use super::*;

    fn check(mapping: &str, format: Format, first_line: u64, text: &str) -> Result<Read, Problem> {
        let bytes = Wiping::new(text.as_bytes().to_vec());
        read(mapping.as_bytes(), &PartRead { format, first_line, bytes })
    }

    const MAPPING: &str =
        r#"{"mapping":{"collection":"c","external_id":"id","fields":{"a":"a"}},"exported":null}"#;

    #[test]
    fn lines_are_those_of_the_file_as_the_upload_counts_them() {
        let read = check(MAPPING, Format::Csv, 100, "id,a\n1,x\n\n,y\n3,z,w\n").unwrap();
        assert_eq!(read.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [100]);
        let lines: Vec<u64> = read.rejected.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [102, 103]);
        let read = check(MAPPING, Format::Ndjson, 7, "{\"id\":1,\"a\":2}\nnot json\n").unwrap();
        assert_eq!((read.rows[0].line, read.rejected[0].0), (7, 8));
    }

    #[test]
    fn what_is_refused_repeats_nothing_of_the_file() {
        for (text, wanted) in [
            ("id,secret,secret\n1,2,3\n", "twice"),
            ("secret\n1\n", "`a`"),
            ("\u{feff}secret;id\n", "`a`"),
        ] {
            let refused = check(MAPPING, Format::Csv, 2, text).err().unwrap();
            let flaws = serde_json::to_string(&refused.into_flaws()).unwrap();
            assert!(flaws.contains(wanted) && !flaws.contains("secret"), "{flaws}");
        }
        let exported = r#"{"mapping":null,"exported":"c"}"#;
        let line = r#"{"id":"rec_0rk3c5vrm9w8e2t1y4q6z7x8b9","collection":"c","collected_at":"2020-01-31T00:00:00Z","purposes":[],"version":1,"created_at":"","changed_at":"","fields":{"My Secret":1}}"#;
        let read = check(exported, Format::Ndjson, 1, line).unwrap();
        let said = format!("{:?}", read.rejected);
        assert!(read.rows.is_empty() && !said.contains("Secret"), "{said}");
        let deep = format!("{{\"id\":\"1\",\"a\":{}1{}}}", "[".repeat(60), "]".repeat(60));
        let read = check(MAPPING, Format::Ndjson, 1, &deep).unwrap();
        assert_eq!(read.rejected[0].1[0].detail, "nested too deeply");
    }

    #[test]
    fn one_row_too_many_is_refused_with_the_whole_part() {
        let most = "{}\n".repeat(PART_ROWS_MAX);
        assert_eq!(check(MAPPING, Format::Ndjson, 1, &most).unwrap().rejected.len(), PART_ROWS_MAX);
        assert!(check(MAPPING, Format::Ndjson, 1, &format!("{most}{{}}")).is_err());
    }
}
