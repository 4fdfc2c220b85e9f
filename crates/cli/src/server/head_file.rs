//! The head of the store in a file beside the holder, replaced as a whole (`docs/formats/integrity.md`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use strongroom_vault::integrity::HeadPlace;

/// A head is far shorter; more is not read.
const HEAD_BYTES_MAX: u64 = 4_096;

/// The head in a file.
pub(crate) struct HeadFile(PathBuf);

impl HeadFile {
    /// The file beside this holder: its name with `.head`.
    pub(crate) fn beside(holder: &Path) -> Self {
        let mut name = holder.as_os_str().to_owned();
        name.push(".head");
        Self(name.into())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl HeadPlace for HeadFile {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(HEAD_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&self, head: &[u8]) -> io::Result<()> {
        let mut new = self.0.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(head)?;
        file.sync_all()?;
        fs::rename(&new, &self.0)?;
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_as_it_was_last_written() {
        let folder = tempfile::tempdir().unwrap();
        let head = HeadFile::beside(&folder.path().join("holder"));
        assert_eq!(head.read().unwrap(), None);
        for bytes in [&b"a longer head"[..], b"a head"] {
            head.write(bytes).unwrap();
            assert_eq!(head.read().unwrap().as_deref(), Some(bytes));
        }
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(names.len(), 1, "something else was left beside the head");
    }
}
