//! The file of rejects: which rows were not taken, and why.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::Flaw;

/// A row that was not taken.
#[derive(Serialize)]
pub struct Reject {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// What is wrong with which part; never a value.
    pub errors: Vec<Flaw>,
    /// The row itself, if it is to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<Value>,
}

/// The file of rejects, made with the first one and readable by its owner alone.
pub struct Rejects {
    path: PathBuf,
    keep_rows: bool,
    file: Option<BufWriter<File>>,
}

impl Rejects {
    /// Rejects for the import of a file: beside it, with `.rejects.ndjson` behind its name. What an
    /// earlier run left there is removed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn beside(imported: &Path, keep_rows: bool) -> io::Result<Self> {
        let mut name = imported.as_os_str().to_owned();
        name.push(".rejects.ndjson");
        Self::at(PathBuf::from(name), keep_rows)
    }

    /// Rejects in a file of this name. What an earlier run left there is removed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn at(path: PathBuf, keep_rows: bool) -> io::Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        Ok(Self { path, keep_rows, file: None })
    }

    /// Where they go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one down; `row` is asked for only if rows are kept.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn add(
        &mut self,
        line: u64,
        errors: Vec<Flaw>,
        row: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        let reject = Reject { line, errors, row: self.keep_rows.then(row) };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(create(&self.path)?)),
        };
        serde_json::to_writer(&mut *file, &reject)?;
        file.write_all(b"\n")
    }

    /// Makes sure that all of them are in the file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
