//! The store's folder: `FORMAT`, what the engine keeps, and `journal/`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::engine::Kind;
use crate::OpenError;
use crate::journal::{create_first, sync_folder};

/// The format of everything in the folder.
const FORMAT_VERSION: u32 = 1;
const FORMAT_FILE: &str = "FORMAT";
const JOURNAL_FOLDER: &str = "journal";
/// The mode of the store's folder: for its owner only.
const PRIVATE: u32 = 0o700;
/// A `FORMAT` file is one short line; more than this is not read.
const FORMAT_BYTES_MAX: u64 = 256;

/// Keeps everybody else from opening the store. It is given back explicitly, because a process that
/// is just being started holds a copy of the file for a moment.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Where the journal lies.
pub(super) fn journal_folder(path: &Path) -> PathBuf {
    path.join(JOURNAL_FOLDER)
}

/// Makes a whole store beside `path` and moves it there in one step, so that a crash leaves either
/// no store or a whole one.
pub(super) fn create(kind: &Kind, path: &Path) -> Result<(), OpenError> {
    let unreadable = |reason| OpenError::Unreadable { path: path.to_owned(), reason };
    if !is_vacant(path)? {
        return Err(OpenError::Occupied(path.to_owned()));
    }
    let side = side_folder(path)?;
    clear_side_folder(kind, &side)?;
    make_folders(&parent(path)).map_err(unreadable)?;
    DirBuilder::new().mode(PRIVATE).create(&side).map_err(unreadable)?;
    let format = write_format(kind, &side).map_err(unreadable)?;
    format.try_lock().map_err(|error| lock_error(path, error))?;
    let _lock = Lock(format);
    (kind.create)(&side)?;
    fs::create_dir(journal_folder(&side)).map_err(unreadable)?;
    create_first(&journal_folder(&side)).map_err(unreadable)?;
    sync_folder(&side).map_err(unreadable)?;
    fs::rename(&side, path).map_err(unreadable)?;
    sync_folder(&parent(path)).map_err(unreadable)
}

/// Checks that a store of this format is there and takes it for this process.
pub(super) fn lock(kind: &Kind, path: &Path) -> Result<Lock, OpenError> {
    if is_vacant(path)? {
        return Err(OpenError::Missing(path.to_owned()));
    }
    if !path.is_dir() {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let file = match OpenOptions::new().read(true).write(true).open(path.join(FORMAT_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        Err(reason) => return Err(OpenError::Unreadable { path: path.to_owned(), reason }),
    };
    check_format(kind, path, &file)?;
    file.try_lock().map_err(|error| lock_error(path, error))?;
    Ok(Lock(file))
}

/// Checks that an engine that keeps a folder finds what it would make anew if it were missing: these
/// files, which are never empty.
pub(super) fn check_database(path: &Path, files: &[&str]) -> Result<(), OpenError> {
    let damaged = |what| Err(OpenError::Damaged { path: path.to_owned(), what });
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return damaged("it is no folder".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return damaged("the folder is missing".to_owned());
        }
        Err(reason) => return Err(OpenError::Unreadable { path: path.to_owned(), reason }),
    }
    for file in files {
        if !fs::metadata(path.join(file)).is_ok_and(|found| found.len() > 0) {
            return damaged(format!("its file `{file}` is missing or empty"));
        }
    }
    Ok(())
}

/// Makes every file and every name under a folder durable.
pub(super) fn sync_everything(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_everything(&entry.path())?;
        } else {
            match File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                // The engine's threads tidy up meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    sync_folder(folder)
}

fn lock_error(path: &Path, error: TryLockError) -> OpenError {
    match error {
        TryLockError::WouldBlock => OpenError::InUse(path.to_owned()),
        TryLockError::Error(reason) => OpenError::Unreadable { path: path.to_owned(), reason },
    }
}

/// Whether nothing, or an empty folder, is there.
fn is_vacant(path: &Path) -> Result<bool, OpenError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(reason) => Err(OpenError::Unreadable { path: path.to_owned(), reason }),
    }
}

fn check_format(kind: &Kind, path: &Path, file: &File) -> Result<(), OpenError> {
    let mut text = String::new();
    let foreign = || OpenError::Foreign(path.to_owned());
    file.take(FORMAT_BYTES_MAX).read_to_string(&mut text).map_err(|reason| {
        if reason.kind() == io::ErrorKind::InvalidData {
            foreign()
        } else {
            OpenError::Unreadable { path: path.to_owned(), reason }
        }
    })?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["strongroom", "store", version, engine] = words.as_slice() else {
        return Err(foreign());
    };
    if version.parse() != Ok(FORMAT_VERSION) {
        let (path, found) = (path.to_owned(), (*version).to_owned());
        return Err(OpenError::Version { path, found, known: FORMAT_VERSION });
    }
    if *engine != kind.name {
        return Err(OpenError::Engine { path: path.to_owned(), found: (*engine).to_owned() });
    }
    Ok(())
}

fn write_format(kind: &Kind, folder: &Path) -> io::Result<File> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(folder.join(FORMAT_FILE))?;
    writeln!(file, "strongroom store {FORMAT_VERSION} {}", kind.name)?;
    file.sync_all()?;
    Ok(file)
}

/// `PATH.init`, beside the store.
fn side_folder(path: &Path) -> Result<PathBuf, OpenError> {
    let mut name = path.file_name().ok_or_else(|| OpenError::Foreign(path.to_owned()))?.to_owned();
    name.push(".init");
    Ok(path.with_file_name(name))
}

/// Removes what a crash left of an earlier creation, and nothing else.
fn clear_side_folder(kind: &Kind, side: &Path) -> Result<(), OpenError> {
    let unreadable = |reason| OpenError::Unreadable { path: side.to_owned(), reason };
    let entries = match fs::read_dir(side) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(reason) => return Err(unreadable(reason)),
    };
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let mut known = [FORMAT_FILE, JOURNAL_FOLDER].iter().chain(kind.entries);
        if !known.any(|known| name == *known) {
            return Err(OpenError::Occupied(side.to_owned()));
        }
    }
    if let Ok(format) = File::open(side.join(FORMAT_FILE)) {
        format.try_lock().map_err(|error| lock_error(side, error))?;
        drop(Lock(format));
    }
    fs::remove_dir_all(side).map_err(unreadable)
}

/// Makes a folder and those above it, durably.
fn make_folders(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    make_folders(&parent(path))?;
    fs::create_dir(path)?;
    sync_folder(&parent(path))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
