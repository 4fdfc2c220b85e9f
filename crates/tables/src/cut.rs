//! Cutting a file into parts between its rows, without reading them.

use std::io::{BufRead, BufReader, Read};

use crate::rows::ROW_BYTES_MAX;
use crate::{Format, Mapping, RowsError};

/// A part ends with the row that makes it so long.
const PART_BYTES: usize = 1024 * 1024;
/// A part has at most so many rows.
const PART_ROWS: usize = 5_000;

/// A part of a file.
pub struct Part {
    /// The line of the file on which its first row begins, counted from 1.
    pub first_line: u64,
    /// Its bytes; of a CSV file they begin with the line of names.
    pub bytes: Vec<u8>,
}

/// The parts of a file, one after the other. The same file is always cut in the same way.
pub struct Parts<R> {
    file: BufReader<R>,
    format: Format,
    delimiter: u8,
    /// The line of names.
    names: Vec<u8>,
    /// The line on which the next row begins.
    line: u64,
}

/// Where in a row of CSV a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Where a quote opens a cell.
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: it ends the cell, or the next one makes it a quote.
    AfterQuote,
}

impl<R: Read> Parts<R> {
    /// The parts of a file of this format.
    ///
    /// # Errors
    /// [`RowsError`] if the file cannot be read.
    pub fn new(format: Format, file: R, mapping: &Mapping) -> Result<Self, RowsError> {
        let delimiter = mapping.delimiter;
        let file = BufReader::new(file);
        let mut parts = Self { file, format, delimiter, names: Vec::new(), line: 1 };
        if format == Format::Csv {
            let mut names = Vec::new();
            parts.row(&mut names)?;
            if !matches!(names.last(), None | Some(b'\n' | b'\r')) {
                names.push(b'\n');
            }
            parts.names = names;
        }
        Ok(parts)
    }

    /// The next part.
    ///
    /// # Errors
    /// [`RowsError`] if the file cannot be read, or a row does not end.
    pub fn read(&mut self) -> Result<Option<Part>, RowsError> {
        let first_line = self.line;
        let mut bytes = self.names.clone();
        let mut rows = 0;
        while rows < PART_ROWS && bytes.len() < PART_BYTES && self.row(&mut bytes)? {
            rows += 1;
        }
        Ok((rows > 0).then_some(Part { first_line, bytes }))
    }

    /// Appends the next row with its end; says whether there was one.
    fn row(&mut self, into: &mut Vec<u8>) -> Result<bool, RowsError> {
        match self.format {
            Format::Csv => self.csv_row(into),
            Format::Ndjson => self.line_of_json(into),
        }
    }

    fn csv_row(&mut self, into: &mut Vec<u8>) -> Result<bool, RowsError> {
        let line = self.line;
        let before = into.len();
        let mut within = Within::Start;
        loop {
            let Some(byte) = self.byte()? else { return Ok(into.len() > before) };
            into.push(byte);
            if (into.len() - before) as u64 > ROW_BYTES_MAX {
                return Err(RowsError::Endless(line));
            }
            let ends = within != Within::Quoted && matches!(byte, b'\n' | b'\r');
            if ends {
                self.line += 1;
                if byte == b'\r' && self.peek()? == Some(b'\n') {
                    into.extend(self.byte()?);
                }
                return Ok(true);
            }
            self.line += u64::from(byte == b'\n');
            within = match (within, byte) {
                (Within::Quoted, b'"') => Within::AfterQuote,
                (Within::Start | Within::AfterQuote, b'"') | (Within::Quoted, _) => Within::Quoted,
                (_, byte) if byte == self.delimiter => Within::Start,
                (_, _) => Within::Plain,
            };
        }
    }

    /// A line that is longer than a row may be is cut; it stays too long, and is told so.
    fn line_of_json(&mut self, into: &mut Vec<u8>) -> Result<bool, RowsError> {
        let before = into.len();
        (&mut self.file).take(ROW_BYTES_MAX + 2).read_until(b'\n', into)?;
        if into.len() == before {
            return Ok(false);
        }
        self.line += 1;
        if into.last() != Some(&b'\n') {
            let mut rest = Vec::new();
            loop {
                rest.clear();
                (&mut self.file).take(ROW_BYTES_MAX).read_until(b'\n', &mut rest)?;
                if matches!(rest.last(), None | Some(b'\n')) {
                    break;
                }
            }
            into.push(b'\n');
        }
        Ok(true)
    }

    fn peek(&mut self) -> Result<Option<u8>, RowsError> {
        Ok(self.file.fill_buf()?.first().copied())
    }

    fn byte(&mut self) -> Result<Option<u8>, RowsError> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.file.consume(1);
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadRow, Rows};

    fn mapping() -> Mapping {
        Mapping::parse("collection = \"c\"\nexternal_id = \"id\"\n[fields]\na = \"a\"").unwrap()
    }

    /// Every row with its line, as the reader of rows tells them.
    fn rows(format: Format, bytes: &[u8], more: u64) -> Vec<(u64, String)> {
        let mut rows = Rows::new(format, bytes, &mapping()).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.read().unwrap() {
            found.push(match row {
                ReadRow::Row(line, row) => (line + more, row.to_json().to_string()),
                ReadRow::Bad { line, detail, .. } => (line + more, detail),
            });
        }
        found
    }

    /// The same rows, with the same lines, come from the parts as from the whole file.
    fn check(format: Format, text: &str) -> usize {
        let whole = rows(format, text.as_bytes(), 0);
        let mut parts = Parts::new(format, text.as_bytes(), &mapping()).unwrap();
        let mut found = Vec::new();
        let mut count = 0;
        while let Some(part) = parts.read().unwrap() {
            let before = if format == Format::Csv { 2 } else { 1 };
            found.extend(rows(format, &part.bytes, part.first_line - before));
            count += 1;
        }
        assert!(found == whole, "{text:.200}\n{found:.400?}\n{whole:.400?}");
        count
    }

    #[test]
    fn the_rows_of_the_parts_are_those_of_the_file_on_their_lines() {
        let many: Vec<_> = (0..PART_ROWS * 2 + 3).map(|n| format!("{n},x\n")).collect();
        let many = many.concat();
        assert_eq!(check(Format::Csv, &format!("id,a\n{many}")), 3);
        let odd = "1,\"a\nb\"\n2,\"say \"\"x\"\"\ny\"\n3,5\" pipe\n\n4,e\r\n5,\"q\"w\n6\n7,last";
        let odd = format!("{odd}\n").repeat(PART_ROWS);
        assert!(check(Format::Csv, &format!("id,a\r\n{odd}")) > 3);
        let lines: Vec<_> = (0..=PART_ROWS).map(|n| format!("{{\"id\":{n}}}\n")).collect();
        let lines = lines.concat();
        assert_eq!(check(Format::Ndjson, &lines), 2);
        assert_eq!(check(Format::Ndjson, "{\"id\":1}"), 1);
        assert_eq!(check(Format::Csv, "id,a"), 0);
    }

    #[test]
    fn a_row_without_end_is_refused_and_a_line_too_long_stays_too_long() {
        let endless = format!("id,a\n1,\"{}", "x\n".repeat(1024 * 1024));
        let mut parts = Parts::new(Format::Csv, endless.as_bytes(), &mapping()).unwrap();
        assert!(matches!(parts.read(), Err(RowsError::Endless(2))));
        let long = format!("{{\"id\":\"{}\"}}\n{{\"id\":1}}\n", "x".repeat(10 * 1024 * 1024));
        let mut parts = Parts::new(Format::Ndjson, long.as_bytes(), &mapping()).unwrap();
        let mut found = Vec::new();
        while let Some(part) = parts.read().unwrap() {
            assert!(part.bytes.len() < 3 * 1024 * 1024);
            found.extend(rows(Format::Ndjson, &part.bytes, part.first_line - 1));
        }
        assert_eq!(found.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 2]);
        assert!(found[0].1.contains("longer than 1 MiB"));
    }
}
