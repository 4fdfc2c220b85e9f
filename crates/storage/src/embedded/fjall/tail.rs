//! The end of fjall's journal after a power cut: of the last batch some sectors may be missing although its
//! end is there. fjall calls this damage and does not open; the batch was never acknowledged, so it is cut off.
//! That nothing acknowledged goes with it is for the mark to say.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What each batch in the journal ends with.
const TRAILER: &[u8] = b"FJL\x03";
/// The ending of a journal's name; before it stands its number.
const ENDING: &str = "jnl";

/// The last batch of a journal, cut off and kept until the database has opened without it.
pub(super) struct Tail {
    file: File,
    at: u64,
    bytes: Vec<u8>,
}

impl Tail {
    /// Cuts the last batch off the newest journal; none if it has no batch before that.
    pub(super) fn cut(database: &Path) -> io::Result<Option<Self>> {
        let Some(path) = newest_journal(database)? else { return Ok(None) };
        let whole = fs::read(&path)?;
        let Some(last) = last_trailer(&whole) else { return Ok(None) };
        let before = whole.get(..last).and_then(last_trailer);
        let Some(end) = before.map(|before| before + TRAILER.len()) else { return Ok(None) };
        let bytes = whole.get(end..).unwrap_or_default().to_vec();
        let file = OpenOptions::new().write(true).open(&path)?;
        let at = u64::try_from(end).unwrap_or(u64::MAX);
        file.set_len(at)?;
        file.sync_all()?;
        Ok(Some(Self { file, at, bytes }))
    }

    /// Puts it back: it was not what kept the database from opening.
    pub(super) fn put_back(self) -> io::Result<()> {
        self.file.write_all_at(&self.bytes, self.at)?;
        self.file.sync_all()
    }
}

fn last_trailer(bytes: &[u8]) -> Option<usize> {
    bytes.windows(TRAILER.len()).rposition(|window| window == TRAILER)
}

fn newest_journal(database: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|ending| ending == ENDING);
        let number = path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| is_journal) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}
