//! Rows of a CSV or NDJSON file, read one after the other within bounds.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use strongroom_model::ClearValue;

use crate::{Cell, Mapping, Row};

/// A row is at most so long.
pub(crate) const ROW_BYTES_MAX: u64 = 1024 * 1024;

/// What else stands between cells in files that are called CSV.
const DELIMITERS: [char; 4] = [';', '\t', '|', ','];

/// So many remembered bytes are forgotten at once.
const FORGET_BYTES_MIN: usize = 64 * 1024;

/// How a file writes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values (RFC 4180) with a line of names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// The format that a file's name tells: `.csv`; `.ndjson` or `.jsonl`.
    pub fn of_name(name: &std::path::Path) -> Option<Self> {
        let extension = name.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Why no further row can be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The first line of a CSV file does not fit the mapping.
    #[error("{0}")]
    Header(String),
    /// A column stands twice in the first line of a CSV file.
    #[error("the file has the column `{0}` twice")]
    Twice(String),
    /// A row does not end.
    #[error(
        "the row at line {0} is longer than 1 MiB, perhaps for a quote that is never closed; \
         nothing after it can be read"
    )]
    Endless(u64),
}

/// A row, or why it is none.
pub enum ReadRow {
    /// A row and the line on which it begins, counted from 1. A line ends with a line feed, or with
    /// the carriage return that ends a CSV row by itself.
    Row(u64, Row),
    /// What stands on this line is no row.
    Bad {
        /// The line, counted from 1.
        line: u64,
        /// Why, without its content.
        detail: String,
        /// What stands there, as far as it can be told, for those who ask to keep it.
        content: Value,
    },
}

/// The rows of a file.
pub enum Rows<R> {
    /// Of a CSV file.
    Csv(Box<CsvRows<R>>),
    /// Of an NDJSON file.
    Ndjson(NdjsonRows<R>),
}

impl<R: Read> Rows<R> {
    /// The rows in a file of this format.
    ///
    /// # Errors
    /// [`RowsError`]; for CSV also if the mapping names a column that the file has not.
    pub fn new(format: Format, file: R, mapping: &Mapping) -> Result<Self, RowsError> {
        match format {
            Format::Csv => CsvRows::new(file, mapping).map(|rows| Self::Csv(Box::new(rows))),
            Format::Ndjson => Ok(Self::Ndjson(NdjsonRows::new(file))),
        }
    }

    /// The next row.
    ///
    /// # Errors
    /// [`RowsError`] if there can be no further one.
    pub fn read(&mut self) -> Result<Option<ReadRow>, RowsError> {
        match self {
            Self::Csv(rows) => rows.read(),
            Self::Ndjson(rows) => rows.read(),
        }
    }

    /// How many bytes of the file have been taken.
    pub fn bytes_read(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.reader.get_ref().total,
            Self::Ndjson(rows) => rows.reader.get_ref().total,
        }
    }
}

/// Counts what is read, and refuses to go on where a row does not end.
struct Metered<R> {
    file: R,
    total: u64,
    since_row: u64,
    endless: bool,
    /// The last bytes read, if they are remembered, and how many came before them.
    recent: Option<(Vec<u8>, u64)>,
}

/// How many lines end between two rows, by what ends them.
#[derive(Default)]
struct LineEnds {
    feeds: u64,
    returns: u64,
}

impl<R> Metered<R> {
    fn new(file: R) -> Self {
        Self { file, total: 0, since_row: 0, endless: false, recent: None }
    }

    fn remembering(file: R) -> Self {
        Self { recent: Some((Vec::new(), 0)), ..Self::new(file) }
    }

    /// Forgets what came before this byte, once that is worth moving the rest.
    fn forget_before(&mut self, byte: u64) {
        if let Some((bytes, before)) = &mut self.recent {
            let count = usize::try_from(byte.saturating_sub(*before)).unwrap_or(0);
            if count >= FORGET_BYTES_MIN && count <= bytes.len() {
                bytes.drain(..count);
                *before = byte;
            }
        }
    }

    /// What ends lines before the row at this byte: the line feeds from here on, and the carriage
    /// returns without one, that of the row before included.
    fn line_ends_at(&self, byte: u64) -> LineEnds {
        let mut ends = LineEnds::default();
        let Some((bytes, before)) = &self.recent else { return ends };
        let start = usize::try_from(byte.saturating_sub(*before)).unwrap_or(usize::MAX);
        let previous = start.checked_sub(1).and_then(|place| bytes.get(place));
        let mut after_return = previous == Some(&b'\r');
        for byte in bytes.get(start..).unwrap_or_default() {
            if *byte == b'\n' {
                ends.feeds += 1;
            } else {
                ends.returns += u64::from(after_return);
            }
            after_return = *byte == b'\r';
            if !matches!(byte, b'\r' | b'\n') {
                break;
            }
        }
        ends
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.since_row > ROW_BYTES_MAX {
            self.endless = true;
            return Err(io::Error::other("a row is too long"));
        }
        let count = self.file.read(into)?;
        self.total += count as u64;
        self.since_row += count as u64;
        if let Some((bytes, _)) = &mut self.recent {
            bytes.extend_from_slice(into.get(..count).unwrap_or_default());
        }
        Ok(count)
    }
}

/// The rows of a CSV file.
pub struct CsvRows<R> {
    reader: csv::Reader<Metered<R>>,
    names: Arc<[String]>,
    /// Carriage returns that have ended rows by themselves; the reader counts line feeds alone.
    returns: u64,
    formula_safe: bool,
}

impl<R: Read> CsvRows<R> {
    fn new(file: R, mapping: &Mapping) -> Result<Self, RowsError> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(false)
            .delimiter(mapping.delimiter)
            .from_reader(Metered::remembering(file));
        let header = match reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(stopped(error, reader.get_ref(), 1)),
        };
        let header = csv::StringRecord::from_byte_record(header)
            .map_err(|_| RowsError::Header("the line of names is not UTF-8".to_owned()))?;
        let names: Arc<[String]> = header.iter().map(ToOwned::to_owned).collect();
        check_names(&names, mapping)?;
        Ok(Self { reader, names, returns: 0, formula_safe: mapping.formula_safe })
    }

    fn read(&mut self) -> Result<Option<ReadRow>, RowsError> {
        let start = self.reader.position().clone();
        self.reader.get_mut().since_row = 0;
        // The byte before it tells how the row before has ended.
        self.reader.get_mut().forget_before(start.byte().saturating_sub(1));
        let mut record = csv::ByteRecord::new();
        let outcome = self.reader.read_byte_record(&mut record);
        // The line ends before a row, its predecessor's and empty lines, are read with the row.
        let ends = self.reader.get_ref().line_ends_at(start.byte());
        self.returns += ends.returns;
        let line = start.line() + ends.feeds + self.returns;
        match outcome {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(self.row(line, record))),
            Err(error) => match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    Ok(Some(ReadRow::Bad {
                        line,
                        detail: format!("the row has {len} cells instead of {expected_len}"),
                        content: lossy(&record),
                    }))
                }
                _ => Err(stopped(error, self.reader.get_ref(), line)),
            },
        }
    }

    fn row(&self, line: u64, record: csv::ByteRecord) -> ReadRow {
        match csv::StringRecord::from_byte_record(record) {
            Ok(record) => {
                let plain = |cell| {
                    let guarded =
                        if self.formula_safe { str::strip_prefix(cell, '\'') } else { None };
                    guarded.unwrap_or(cell)
                };
                let cells = record.iter().map(|cell| Cell::Text(plain(cell).to_owned())).collect();
                ReadRow::Row(line, Row::named(self.names.clone(), cells))
            }
            Err(error) => ReadRow::Bad {
                line,
                detail: format!("cell {} is not UTF-8", error.utf8_error().field() + 1),
                content: lossy(&error.into_byte_record()),
            },
        }
    }
}

fn check_names(names: &[String], mapping: &Mapping) -> Result<(), RowsError> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(RowsError::Twice((*twice).clone()));
    }
    let needed = mapping.columns();
    let missing: Vec<_> = needed.difference(&seen).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        let missing = missing.join(", ");
        let mut said = format!("the mapping names columns that the file has not: {missing}");
        if let [only] = names
            && let Some(found) = DELIMITERS.iter().find(|it| only.contains(**it))
        {
            // Writing to a string does not fail.
            let _ = write!(
                said,
                "; it has one column with `{}` in its name: say `delimiter` in the mapping",
                found.escape_default()
            );
        }
        Err(RowsError::Header(said))
    }
}

fn stopped<R>(error: csv::Error, file: &Metered<R>, line: u64) -> RowsError {
    if file.endless {
        return RowsError::Endless(line);
    }
    match error.into_kind() {
        csv::ErrorKind::Io(error) => RowsError::Unreadable(error),
        _ => RowsError::Unreadable(io::Error::other("the file is not CSV")),
    }
}

fn lossy(record: &csv::ByteRecord) -> Value {
    record.iter().map(|cell| Value::from(String::from_utf8_lossy(cell))).collect()
}

/// The rows of an NDJSON file.
pub struct NdjsonRows<R> {
    reader: BufReader<Metered<R>>,
    line: u64,
}

impl<R: Read> NdjsonRows<R> {
    fn new(file: R) -> Self {
        Self { reader: BufReader::new(Metered::new(file)), line: 0 }
    }

    fn read(&mut self) -> Result<Option<ReadRow>, RowsError> {
        loop {
            let mut bytes = Vec::new();
            self.reader.get_mut().since_row = 0;
            (&mut self.reader).take(ROW_BYTES_MAX + 1).read_until(b'\n', &mut bytes)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            if bytes.last() != Some(&b'\n') && bytes.len() as u64 > ROW_BYTES_MAX {
                self.skip_line()?;
                return Ok(Some(self.bad("the line is longer than 1 MiB".to_owned(), Value::Null)));
            }
            if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(self.row(&bytes)));
        }
    }

    fn row(&self, bytes: &[u8]) -> ReadRow {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let content = String::from_utf8_lossy(bytes.trim_ascii_end());
            return self.bad("the line is not UTF-8".to_owned(), Value::from(content));
        };
        match serde_json::from_str::<Object>(text) {
            Ok(Object(cells)) => ReadRow::Row(self.line, Row::new(cells)),
            // The error's own words may quote the line.
            Err(error) => {
                let detail = match error.classify() {
                    serde_json::error::Category::Data => {
                        "the line is not one JSON object whose keys stand once each".to_owned()
                    }
                    serde_json::error::Category::Io
                    | serde_json::error::Category::Syntax
                    | serde_json::error::Category::Eof => {
                        format!("the line is not JSON at column {}", error.column())
                    }
                };
                self.bad(detail, Value::from(text.trim_end()))
            }
        }
    }

    fn bad(&self, detail: String, content: Value) -> ReadRow {
        ReadRow::Bad { line: self.line, detail, content }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            self.reader.get_mut().since_row = 0;
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(buffer.len(), |place| place + 1);
            self.reader.consume(count);
            if end.is_some() || count == 0 {
                return Ok(());
            }
        }
    }
}

/// A JSON object whose numbers keep their digits.
struct Object(Vec<(String, Cell)>);

impl<'de> de::Deserialize<'de> for Object {
    fn deserialize<D: de::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
                let mut seen = BTreeSet::new();
                let mut cells = Vec::new();
                while let Some(name) = members.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(de::Error::custom("a key stands twice"));
                    }
                    let raw = members.next_value::<Box<RawValue>>()?;
                    cells.push((name, cell(raw.get()).map_err(de::Error::custom)?));
                }
                Ok(Object(cells))
            }
        }
        from.deserialize_map(Members)
    }
}

fn cell(raw: &str) -> Result<Cell, &'static str> {
    let wrong = |_| "a key stands twice";
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Cell::Text).map_err(wrong),
        Some(b'0'..=b'9' | b'-') => Ok(Cell::Number(raw.to_owned())),
        _ => {
            serde_json::from_str::<ClearValue>(raw).map_err(wrong)?;
            serde_json::from_str(raw).map(Cell::Json).map_err(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = "collection = \"c\"\nexternal_id = \"a\"\n[fields]\nf = \"b\"";

    /// Each row as `line:cells` or `line!detail`.
    fn check(format: Format, file: &[u8]) -> Result<Vec<String>, RowsError> {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let mut rows = Rows::new(format, file, &mapping)?;
        let mut seen = Vec::new();
        while let Some(row) = rows.read()? {
            seen.push(match row {
                ReadRow::Row(line, row) => format!("{line}:{}", row.to_json()),
                ReadRow::Bad { line, detail, .. } => format!("{line}!{detail}"),
            });
        }
        Ok(seen)
    }

    #[test]
    fn csv_rows_come_with_their_lines() {
        let file = "\u{feff}a,b\n1,\"x, \"\"y\"\"\nz\"\n2,é\r\n3\n4,a,b\n5,\n";
        assert_eq!(
            check(Format::Csv, file.as_bytes()).unwrap(),
            [
                r#"2:{"a":"1","b":"x, \"y\"\nz"}"#,
                r#"4:{"a":"2","b":"é"}"#,
                "5!the row has 1 cells instead of 2",
                "6!the row has 3 cells instead of 2",
                r#"7:{"a":"5","b":""}"#,
            ]
        );
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let mut file = b"a,b\r\n1,x\r\n\r\n\n2,y\n\n3\r\n".to_vec();
        file.extend_from_slice("4,z\r\n".repeat(50_000).as_bytes());
        file.extend_from_slice(b"5");
        let seen = check(Format::Csv, &file).unwrap();
        let starts: Vec<_> = seen.iter().map(|row| row.split([':', '!']).next().unwrap()).collect();
        assert_eq!(starts[..4], ["2", "5", "7", "8"]);
        assert_eq!(starts.last(), Some(&"50008"));
    }

    #[test]
    fn rows_that_end_in_carriage_returns_have_lines_of_their_own() {
        for (file, lines) in [
            ("a,b\r1,x\r2,y\r3\r4,z", "2345"),
            ("a,b\r1,x\r\r\r2,y\r", "25"),
            ("a,b\r\n1,\"x\ry\"\r\n2,y\r\n", "23"),
            ("a,b\n1,x\r2,y\n\r3,z\n", "235"),
        ] {
            let seen = check(Format::Csv, file.as_bytes()).unwrap();
            let starts: String =
                seen.iter().map(|row| row.split([':', '!']).next().unwrap()).collect();
            assert_eq!(starts, lines, "{file:?}");
        }
        let many = format!("a,b\r{}", "4,z\r".repeat(50_000));
        let seen = check(Format::Csv, many.as_bytes()).unwrap();
        assert!(seen.last().unwrap().starts_with("50001:"), "{:?}", seen.last());
    }

    #[test]
    fn a_csv_row_that_is_not_utf8_does_not_end_the_file() {
        assert_eq!(
            check(Format::Csv, b"a,b\n1,\xff\n2,x\n").unwrap(),
            ["2!cell 2 is not UTF-8", r#"3:{"a":"2","b":"x"}"#]
        );
    }

    #[test]
    fn a_header_that_does_not_fit_is_refused_before_the_first_row() {
        for (file, named) in [("a,c\n1,2\n", "`b`"), ("", "`a`, `b`"), ("a,b,a\n", "twice")] {
            let error = check(Format::Csv, file.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        for (file, named) in [("a;b\n", "`;`"), ("a\tb\n", "`\\t`")] {
            let error = check(Format::Csv, file.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("`delimiter`"), "{error}");
        }
        assert!(check(Format::Csv, b"a,b\xff\n").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
        let mut file = b"a,b\n1,2\n3,\"".to_vec();
        file.resize(64 * 1024 * 1024, b'x');
        let error = check(Format::Csv, &file).unwrap_err();
        assert!(matches!(error, RowsError::Endless(3)), "{error}");
    }

    #[test]
    fn ndjson_rows_keep_the_digits_of_numbers() {
        let file = "\u{feff}{\"a\": 1.50, \"b\": \"é\"}\n\n  \n{\"a\":null,\"b\":[true]}";
        let mapping = Mapping::parse(MAPPING).unwrap();
        let mut rows = Rows::new(Format::Ndjson, file.as_bytes(), &mapping).unwrap();
        let Some(ReadRow::Row(1, row)) = rows.read().unwrap() else { panic!("no row") };
        assert!(row.cell("a") == Some(&Cell::Number("1.50".to_owned())));
        let Some(ReadRow::Row(4, row)) = rows.read().unwrap() else { panic!("no row") };
        assert!(row.cell("b") == Some(&Cell::Json(serde_json::json!([true]))));
        assert!(rows.read().unwrap().is_none());
        assert_eq!(rows.bytes_read(), file.len() as u64);
    }

    #[test]
    fn lines_that_are_no_objects_are_bad_and_are_not_quoted() {
        let mut file = b"{\"a\":1}\n".to_vec();
        for line in [
            "[1]",
            "\"secret\"",
            "{\"secret\":1,\"secret\":2}",
            "{\"x\":{\"secret\":1,\"secret\":2}}",
            "{\"secret\"",
            "secret",
            "{\"a\":1}{\"a\":secret}",
            "{\"a\":tru}",
        ] {
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
        }
        file.extend_from_slice(b"{\"a\":\"\xff\"}\n{\"a\":2}\n");
        let seen = check(Format::Ndjson, &file).unwrap();
        assert_eq!(seen.len(), 11);
        assert_eq!(seen.iter().filter(|row| row.contains('!')).count(), 9, "{seen:?}");
        assert!(seen.iter().all(|row| !row.contains("secret")), "{seen:?}");
        assert_eq!(seen[10], r#"11:{"a":2}"#);
    }

    #[test]
    fn an_endless_line_is_bad_and_the_next_one_is_read() {
        let mut file = b"{\"a\":\"".to_vec();
        file.resize(5 * 1024 * 1024, b'x');
        file.extend_from_slice(b"\n{\"a\":2}\n");
        assert_eq!(
            check(Format::Ndjson, &file).unwrap(),
            ["1!the line is longer than 1 MiB", r#"2:{"a":2}"#]
        );
    }
}
