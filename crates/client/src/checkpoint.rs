//! Small files that say how far a long run has come, so that it can go on after it was killed.
//!
//! They hold counts, line numbers and cursors, no client data.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A file of that name with something behind it.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// What a checkpoint says; nothing where there is none.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::InvalidData`] for what is no checkpoint.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the checkpoint cannot be read")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a checkpoint: whoever is killed meanwhile leaves the old one or the new one.
///
/// # Errors
/// What the operating system says.
pub(crate) fn write(path: &Path, checkpoint: &impl Serialize) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    serde_json::to_writer(&mut file, checkpoint)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder_of(path)
}

/// Removes a checkpoint.
///
/// # Errors
/// What the operating system says.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Makes the names in the folder of a file durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        assert_eq!(read::<u32>(&path).unwrap(), None);
        write(&path, &1_u32).unwrap();
        write(&path, &2_u32).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), Some(2));
        // What a run that was killed left half written is not taken for one.
        std::fs::write(beside(&path, ".new"), "{").unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), Some(2));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read::<u32>(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), None);
    }
}
