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
    written: u64,
}

impl Rejects {
    /// Rejects for the import of a file: beside it, with `.rejects.ndjson` behind its name. What an
    /// earlier run left there is removed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn beside(imported: &Path, keep_rows: bool) -> io::Result<Self> {
        Self::at(Self::name_beside(imported), keep_rows)
    }

    /// The name of the file of rejects beside an imported file.
    pub fn name_beside(imported: &Path) -> PathBuf {
        let mut name = imported.as_os_str().to_owned();
        name.push(".rejects.ndjson");
        PathBuf::from(name)
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
        Ok(Self { path, keep_rows, file: None, written: 0 })
    }

    /// Goes on in the file that a run left which was killed: what came after these bytes comes again.
    pub(crate) fn cut_to(&mut self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Err(_) | Ok(()) => Ok(()),
            };
        }
        let file = OpenOptions::new().append(true).open(&self.path)?;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file of rejects is cut"));
        }
        file.set_len(bytes)?;
        self.written = bytes;
        self.file = Some(BufWriter::new(file));
        Ok(())
    }

    /// Rejects that go on in the file of an earlier run, once it is known how much of it stays.
    pub fn again(path: PathBuf, keep_rows: bool) -> Self {
        Self { path, keep_rows, file: None, written: 0 }
    }

    /// How many bytes have been written.
    pub(crate) fn written(&self) -> u64 {
        self.written
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
        let mut line = serde_json::to_vec(&reject)?;
        line.push(b'\n');
        file.write_all(&line)?;
        self.written += line.len() as u64;
        Ok(())
    }

    /// Makes sure that all of them are in the file.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Makes sure that all of them survive a power cut.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.as_ref().map_or(Ok(()), |file| file.get_ref().sync_data())
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
