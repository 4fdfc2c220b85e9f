//! The files of an archive, one after the other, within bounds.

use std::io::{self, Read};

use strongroom_model::CollectionName;
use tar::Header;

use crate::archive::{End, Manifest};

/// A file is at most so long: 250 records of 64 KiB, each byte of which may be written as six.
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What tar writes in pieces of.
const BLOCK: usize = 512;
/// The version of the format that is read here.
const VERSION: u32 = 1;

/// SHA-256 of parts, one after the other; it is handed in, because there are no ciphers and hashes here.
pub type Sha256 = fn(&[&[u8]]) -> [u8; 32];

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read further: the file, or what opens it, says why.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It ends before its end.
    #[error("the archive was cut off")]
    CutOff,
    /// It is no archive of the version that is known here.
    #[error("this is no archive of a version that is known here: {0}")]
    Unknown(&'static str),
    /// Its files are not those that its end tells of.
    #[error("the archive is damaged: {0}")]
    Damaged(&'static str),
}

/// A part of an archive.
pub enum Part {
    /// What stands first.
    Manifest(Manifest),
    /// A file of records.
    Records {
        /// Their collection.
        collection: CollectionName,
        /// NDJSON, as an export writes it.
        lines: Vec<u8>,
    },
    /// What stands last.
    End(End),
}

/// Reads an archive that has been opened.
pub struct ArchiveReader<R> {
    from: R,
    place: Place,
    /// The manifest's collections that have not been begun, the next one last.
    waiting: Vec<CollectionName>,
    /// The collection that is read, and the number of its last file.
    current: Option<(CollectionName, u64)>,
}

/// How far a reader has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Begin,
    Records,
    End,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads what `from` gives.
    pub const fn new(from: R) -> Self {
        Self { from, place: Place::Begin, waiting: Vec::new(), current: None }
    }

    /// The next part; nothing after the last.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing can be read after it.
    pub fn next_part(&mut self) -> Result<Option<Part>, ArchiveError> {
        let Some((name, length)) = self.head()? else { return self.end() };
        let part = match (self.place, name.as_str()) {
            (Place::Begin, "manifest.json") => {
                let manifest: Manifest = self.json(length)?;
                self.begin(&manifest)?;
                Part::Manifest(manifest)
            }
            (Place::Begin, _) => {
                return Err(ArchiveError::Unknown("it does not begin with a manifest"));
            }
            (Place::Records, "end.json") => {
                let end = self.json(length)?;
                self.place = Place::End;
                Part::End(end)
            }
            (Place::Records, name) => {
                let collection = self.collection_of(name)?;
                Part::Records { collection, lines: self.contents(length)? }
            }
            (Place::End, _) => return Err(ArchiveError::Damaged("something stands after its end")),
        };
        Ok(Some(part))
    }

    fn begin(&mut self, manifest: &Manifest) -> Result<(), ArchiveError> {
        if manifest.format != "strongroom-archive" || manifest.version != VERSION {
            return Err(ArchiveError::Unknown("it has another format or version"));
        }
        self.place = Place::Records;
        self.waiting =
            manifest.collections.iter().rev().map(|collection| collection.name.clone()).collect();
        Ok(())
    }

    /// The collection of a file, which is the one that has to come now.
    fn collection_of(&mut self, name: &str) -> Result<CollectionName, ArchiveError> {
        let wrong = || ArchiveError::Damaged("a file is not where it belongs");
        let parts = name.strip_prefix("records/").and_then(|rest| rest.split_once('/'));
        let (collection, file) = parts.ok_or_else(wrong)?;
        let number = file.strip_suffix(".ndjson").and_then(|number| number.parse::<u64>().ok());
        let number = number.ok_or_else(wrong)?;
        let before = match &self.current {
            Some((current, before)) if current.as_str() == collection => *before,
            Some(_) | None => {
                // Collections without records have no files.
                let begun = std::iter::from_fn(|| self.waiting.pop());
                let mut begun = begun.skip_while(|waiting| waiting.as_str() != collection);
                self.current = Some((begun.next().ok_or_else(wrong)?, 0));
                0
            }
        };
        match &mut self.current {
            Some((current, last)) if number == before + 1 => {
                *last = number;
                Ok(current.clone())
            }
            Some(_) | None => Err(wrong()),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, length: u64) -> Result<T, ArchiveError> {
        let bytes = self.contents(length)?;
        serde_json::from_slice(&bytes)
            .map_err(|_| ArchiveError::Unknown("its manifest or its end cannot be read"))
    }

    /// What a file holds, without what fills up its last block.
    fn contents(&mut self, length: u64) -> Result<Vec<u8>, ArchiveError> {
        if length > FILE_BYTES_MAX {
            return Err(ArchiveError::Damaged("a file is longer than files are"));
        }
        let filled = length.next_multiple_of(BLOCK as u64);
        let mut bytes = Vec::new();
        (&mut self.from).take(filled).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != filled {
            return Err(ArchiveError::CutOff);
        }
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// Name and length of the next file; nothing where the archive's last blocks stand.
    fn head(&mut self) -> Result<Option<(String, u64)>, ArchiveError> {
        let block = self.block()?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let wrong = || ArchiveError::Damaged("a file has no head");
        let head = Header::from_byte_slice(&block);
        let mut summed = head.clone();
        summed.set_cksum();
        let sums = (summed.cksum().ok(), head.cksum().ok());
        if sums.0 != sums.1 || head.as_ustar().is_none() {
            return Err(wrong());
        }
        let name = head.path_bytes();
        let name = std::str::from_utf8(&name).map_err(|_| wrong())?;
        let length = head.entry_size().map_err(|_| wrong())?;
        Ok(Some((name.to_owned(), length)))
    }

    fn block(&mut self) -> Result<[u8; BLOCK], ArchiveError> {
        let mut block = [0; BLOCK];
        self.from.read_exact(&mut block).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::CutOff,
            _ => ArchiveError::Unreadable(error),
        })?;
        Ok(block)
    }

    /// After the first of the last two blocks.
    fn end(&mut self) -> Result<Option<Part>, ArchiveError> {
        if self.place != Place::End {
            return Err(ArchiveError::CutOff);
        }
        let last = self.block()?;
        let nothing = self.from.read(&mut [0])? == 0;
        if nothing && last.iter().all(|byte| *byte == 0) {
            Ok(None)
        } else {
            Err(ArchiveError::Damaged("something stands after its end"))
        }
    }
}
