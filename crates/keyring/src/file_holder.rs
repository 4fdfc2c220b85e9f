//! A holder in a file: two slots, written over in place, synced, read back, never renamed.
//!
//! Layout: `docs/formats/holder-file.md`. The file is opened anew for every operation, so that it is
//! the file under this path that forgets, and not one that was replaced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_crypto::hash;
use strongroom_crypto::layout::{Reader, Writer};
use strongroom_crypto::seal_key::SealParameters;
use strongroom_model::{InstallId, Rng};

use crate::holder::{Grade, Held, Holder, HolderError, HolderId, Holding, ShareTag};

/// First bytes of every holder file.
const MAGIC: &[u8; 16] = b"strongroom share";
/// The version of the layout that this program reads and writes.
const VERSION: u16 = 1;
/// Bytes of the header and of each slot: a block of most media.
const BLOCK: usize = 4096;
/// Bytes of a block before its checksum.
const CONTENT: usize = BLOCK - 32;
/// Slots: one for the share in force, one for the next or the last.
const SLOTS: u8 = 2;
/// Bytes of the file: the header and the slots.
const FILE_BYTES: usize = 3 * BLOCK;
/// Longest sealed share that fits a slot.
const SHARE_MAX: usize = 1024;

/// How the seal key is had, as the file says, so that unlocking knows what to ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SealMethod {
    /// From a key file.
    KeyFile,
    /// From a passphrase, with these parameters.
    Passphrase(SealParameters),
}

/// A holder in a file.
pub struct FileHolder {
    path: PathBuf,
    header: Arc<Header>,
}

/// Why a holder file was not created or opened. The message names it and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileHolderError {
    /// Creating would overwrite something.
    #[error("`{}` exists; a holder file is never overwritten: choose another path", .0.display())]
    Exists(PathBuf),
    /// There is no such file.
    #[error("no holder file at `{}`; bring it, or the medium it lies on", .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error("`{}` is not a holder file; check the path", .0.display())]
    Foreign(PathBuf),
    /// It has another layout.
    #[error("the holder file `{}` has format {found}, and this program reads format {VERSION}; use the version of the program that wrote it", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u16,
    },
    /// It belongs to another installation.
    #[error("the holder file `{}` belongs to installation {found}, not to {wanted}; check the path", .path.display())]
    OtherInstallation {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: InstallId,
        /// Whose it should be.
        wanted: InstallId,
    },
    /// Its bytes are not what was written.
    #[error("the holder file `{}` is damaged: {what}; nothing was changed: keep it and look for another holder of its class", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// Others than its owner may read it.
    #[error("others may read the holder file `{}`; run `chmod 600` on it", .0.display())]
    Exposed(PathBuf),
    /// The operating system refuses.
    #[error("cannot use the holder file `{}`: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The operating system's random generator failed; nothing was created.
    #[error("the operating system's random generator failed")]
    NoRandomness,
}

/// `magic 16 | version u16 | class u8 | grade u8 | holder 16 | install 16 | seal u8 | parameters`.
#[derive(Clone, PartialEq, Eq)]
struct Header {
    id: HolderId,
    install: InstallId,
    class: u8,
    grade: Grade,
    seal: SealMethod,
}

/// What stands in a slot. A slot that has forgotten still knows the number.
#[derive(Clone, PartialEq, Eq)]
enum Slot {
    Empty { number: u64 },
    Full { number: u64, sealed: Vec<u8> },
}

impl FileHolder {
    /// Makes a new holder file with mode 0600, empty. `grade` is what the operator knows about the
    /// medium.
    ///
    /// # Errors
    /// [`FileHolderError::Exists`], [`FileHolderError::Unreadable`], [`FileHolderError::NoRandomness`].
    pub fn create(
        path: &Path,
        install: InstallId,
        class: u8,
        grade: Grade,
        seal: SealMethod,
        rng: &dyn Rng,
    ) -> Result<Self, FileHolderError> {
        let mut id = [0; 16];
        rng.fill(&mut id).map_err(|_| FileHolderError::NoRandomness)?;
        let header = Header { id: HolderId(id), install, class, grade, seal };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|reason| match reason.kind() {
            io::ErrorKind::AlreadyExists => FileHolderError::Exists(path.to_owned()),
            _ => unreadable(path, reason),
        })?;
        let written = header.write(&file).and_then(|()| sync_folder(path));
        written.map_err(|reason| unreadable(path, reason))?;
        Ok(Self { path: path.to_owned(), header: Arc::new(header) })
    }

    /// Opens a holder file, of `install` if that is known.
    ///
    /// # Errors
    /// What [`FileHolderError`] says; nothing is changed.
    pub fn open(path: &Path, install: Option<InstallId>) -> Result<Self, FileHolderError> {
        let file = open_file(path).map_err(|reason| match reason.kind() {
            io::ErrorKind::NotFound => FileHolderError::Missing(path.to_owned()),
            _ => unreadable(path, reason),
        })?;
        let facts = file.metadata().map_err(|reason| unreadable(path, reason))?;
        if !facts.is_file() {
            return Err(FileHolderError::Foreign(path.to_owned()));
        }
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(FileHolderError::Exposed(path.to_owned()));
        }
        let header = Header::read(path, &file, facts.len())?;
        match install {
            Some(wanted) if wanted != header.install => Err(FileHolderError::OtherInstallation {
                path: path.to_owned(),
                found: header.install,
                wanted,
            }),
            Some(_) | None => Ok(Self { path: path.to_owned(), header: Arc::new(header) }),
        }
    }

    /// How the seal key is had.
    pub fn seal_method(&self) -> &SealMethod {
        &self.header.seal
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something with the file, alone, on a thread that may block.
    async fn with_file<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Slots) -> Result<T, HolderError> + Send + 'static,
    ) -> Result<T, HolderError> {
        let (path, header) = (self.path.clone(), Arc::clone(&self.header));
        let acting = tokio::task::spawn_blocking(move || {
            let file = open_file(&path).map_err(|reason| unavailable(&reason))?;
            file.lock().map_err(|reason| unavailable(&reason))?;
            let length = file.metadata().map_err(|reason| unavailable(&reason))?.len();
            match Header::read(&path, &file, length) {
                Ok(found) if found == *header => act(&Slots { file, id: header.id }),
                Ok(_) => Err(HolderError::Damaged("the file was replaced by another holder's")),
                Err(FileHolderError::Unreadable { reason, .. }) => Err(unavailable(&reason)),
                Err(_) => Err(HolderError::Damaged("the file is no longer this holder's")),
            }
        });
        acting
            .await
            .unwrap_or_else(|_| Err(HolderError::Unavailable("it was cut short".to_owned())))
    }
}

#[async_trait]
impl Holder for FileHolder {
    fn id(&self) -> HolderId {
        self.header.id
    }

    fn installation(&self) -> InstallId {
        self.header.install
    }

    fn class(&self) -> u8 {
        self.header.class
    }

    fn grade(&self) -> Grade {
        self.header.grade
    }

    async fn install(&self, number: u64, sealed: &[u8]) -> Result<(), HolderError> {
        let sealed = sealed.to_vec();
        self.with_file(move |slots| slots.install(number, sealed)).await
    }

    async fn read(&self, number: u64) -> Result<Vec<u8>, HolderError> {
        self.with_file(move |slots| slots.find(number)).await
    }

    async fn list(&self) -> Result<Holding, HolderError> {
        self.with_file(Slots::list).await
    }

    async fn forget(&self, number: u64, tag: ShareTag) -> Result<(), HolderError> {
        self.with_file(move |slots| slots.forget(number, tag)).await
    }

    async fn forget_damaged(&self) -> Result<(), HolderError> {
        self.with_file(Slots::forget_damaged).await
    }
}

/// The slots of an open, locked holder file.
struct Slots {
    file: File,
    id: HolderId,
}

impl Slots {
    fn install(&self, number: u64, sealed: Vec<u8>) -> Result<(), HolderError> {
        if sealed.len() > SHARE_MAX {
            return Err(HolderError::Full);
        }
        let slots = self.all()?;
        let wanted = Slot::Full { number, sealed };
        if slots.iter().any(|(_, slot)| slot.as_ref() == Some(&wanted)) {
            return self.file.sync_all().map_err(|reason| unavailable(&reason));
        }
        let highest = slots.iter().flat_map(|(_, slot)| slot).map(Slot::number).max();
        if highest.is_some_and(|highest| number <= highest) {
            return Err(HolderError::Reused);
        }
        // The slot whose number is the lowest: the other one may hold the highest ever seen.
        let free = slots
            .iter()
            .filter_map(|(index, slot)| match slot {
                Some(Slot::Empty { number }) => Some((*number, *index)),
                Some(Slot::Full { .. }) | None => None,
            })
            .min();
        let (_, index) = free.ok_or(HolderError::Full)?;
        self.write(index, &wanted)
    }

    fn find(&self, number: u64) -> Result<Vec<u8>, HolderError> {
        let slots = self.all()?;
        let damaged = slots.iter().any(|(_, slot)| slot.is_none());
        for (_, slot) in slots {
            match slot {
                Some(Slot::Full { number: kept, sealed }) if kept == number => return Ok(sealed),
                Some(Slot::Full { .. } | Slot::Empty { .. }) | None => {}
            }
        }
        Err(if damaged {
            HolderError::Damaged("a slot's checksum is wrong")
        } else {
            HolderError::Missing
        })
    }

    fn list(&self) -> Result<Holding, HolderError> {
        let mut holding = Holding::default();
        for (_, slot) in self.all()? {
            match slot {
                Some(Slot::Full { number, sealed }) => {
                    holding.shares.push(Held { number, tag: ShareTag::of(&sealed) });
                }
                Some(Slot::Empty { .. }) => {}
                None => holding.damaged += 1,
            }
        }
        Ok(holding)
    }

    fn forget(&self, forgotten: u64, tag: ShareTag) -> Result<(), HolderError> {
        for (index, slot) in self.all()? {
            match slot {
                Some(Slot::Full { number, sealed }) if number == forgotten => {
                    if ShareTag::of(&sealed) != tag {
                        return Err(HolderError::Missing);
                    }
                    return self.write(index, &Slot::Empty { number });
                }
                Some(Slot::Full { .. } | Slot::Empty { .. }) | None => {}
            }
        }
        Ok(())
    }

    fn forget_damaged(&self) -> Result<(), HolderError> {
        for (index, slot) in self.all()? {
            if slot.is_none() {
                self.write(index, &Slot::Empty { number: 0 })?;
            }
        }
        Ok(())
    }

    /// Every slot; none where its bytes are not a slot's.
    fn all(&self) -> Result<Vec<(u8, Option<Slot>)>, HolderError> {
        (0..SLOTS)
            .map(|index| {
                let block = read_block(&self.file, slot_offset(index))
                    .map_err(|reason| unavailable(&reason))?;
                Ok((index, Slot::decode(self.id, index, &block)))
            })
            .collect()
    }

    /// Writes over a slot in place and returns when the bytes are durable and read back.
    fn write(&self, index: u8, slot: &Slot) -> Result<(), HolderError> {
        let block = slot.encode(self.id, index);
        self.file
            .write_all_at(&block, slot_offset(index))
            .map_err(|reason| unavailable(&reason))?;
        self.file.sync_all().map_err(|reason| unavailable(&reason))?;
        let again =
            read_block(&self.file, slot_offset(index)).map_err(|reason| unavailable(&reason))?;
        if again == block {
            Ok(())
        } else {
            Err(HolderError::Damaged("a slot did not take what was written"))
        }
    }
}

impl Slot {
    fn number(&self) -> u64 {
        match self {
            Self::Empty { number } | Self::Full { number, .. } => *number,
        }
    }

    /// `index u8 | full u8 | number u64 | length u16 | sealed share | zeros`, and the checksum.
    fn encode(&self, id: HolderId, index: u8) -> Vec<u8> {
        let (full, number, sealed): (u8, u64, &[u8]) = match self {
            Self::Empty { number } => (0, *number, &[]),
            Self::Full { number, sealed } => (1, *number, sealed),
        };
        let mut writer = Writer::with_capacity(BLOCK);
        writer.u8(index).u8(full).u64(number);
        writer.u16(u16::try_from(sealed.len()).unwrap_or(u16::MAX)).bytes(sealed);
        close_block(writer.finish(), id)
    }

    fn decode(id: HolderId, index: u8, block: &[u8]) -> Option<Self> {
        let content = open_block(block, id)?;
        let mut reader = Reader::new(content);
        if reader.u8()? != index {
            return None;
        }
        let (full, number) = (reader.u8()?, reader.u64()?);
        let length = usize::from(reader.u16()?);
        let sealed = reader.slice(length)?.to_vec();
        if !is_blank(reader.rest()) {
            return None;
        }
        match (full, length) {
            (0, 0) => Some(Self::Empty { number }),
            (1, 1..=SHARE_MAX) => Some(Self::Full { number, sealed }),
            _ => None,
        }
    }
}

impl Header {
    fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&close_block(self.encode(), HolderId([0; 16])), 0)?;
        for index in 0..SLOTS {
            let empty = Slot::Empty { number: 0 }.encode(self.id, index);
            file.write_all_at(&empty, slot_offset(index))?;
        }
        file.sync_all()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(BLOCK);
        writer.bytes(MAGIC).u16(VERSION).u8(self.class).u8(self.grade.number());
        writer.bytes(&self.id.0).bytes(self.install.as_bytes());
        match &self.seal {
            SealMethod::KeyFile => writer.u8(0).u16(0),
            SealMethod::Passphrase(parameters) => {
                let bytes = parameters.encode();
                writer.u8(1).u16(u16::try_from(bytes.len()).unwrap_or(0)).bytes(&bytes)
            }
        };
        writer.finish()
    }

    fn read(path: &Path, file: &File, length: u64) -> Result<Self, FileHolderError> {
        let damaged = |what| FileHolderError::Damaged { path: path.to_owned(), what };
        let mut start = [0; MAGIC.len() + 2];
        let Some((magic, [high, low])) =
            file.read_exact_at(&mut start, 0).ok().and_then(|()| start.split_first_chunk::<16>())
        else {
            return Err(FileHolderError::Foreign(path.to_owned()));
        };
        if magic != MAGIC {
            return Err(FileHolderError::Foreign(path.to_owned()));
        }
        let found = u16::from_be_bytes([*high, *low]);
        if found != VERSION {
            return Err(FileHolderError::Version { path: path.to_owned(), found });
        }
        if length != FILE_BYTES as u64 {
            return Err(damaged("its length is wrong"));
        }
        let block = read_block(file, 0).map_err(|reason| unreadable(path, reason))?;
        let content = open_block(&block, HolderId([0; 16]))
            .ok_or_else(|| damaged("its header's checksum is wrong"))?;
        Self::decode(content).ok_or_else(|| damaged("its header says nothing that is known"))
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        reader.slice(MAGIC.len() + 2)?;
        let class = reader.u8()?;
        let grade = Grade::from_number(reader.u8()?)?;
        let id = HolderId(reader.array()?);
        let install = InstallId::from_bytes(reader.array()?);
        let method = reader.u8()?;
        let length = usize::from(reader.u16()?);
        let parameters = reader.slice(length)?;
        if !is_blank(reader.rest()) {
            return None;
        }
        let seal = match (method, length) {
            (0, 0) => SealMethod::KeyFile,
            (1, _) => SealMethod::Passphrase(SealParameters::decode(parameters).ok()?),
            _ => return None,
        };
        Some(Self { id, install, class, grade, seal })
    }
}

/// The block of a header with this content, read and written again; `None` if it is refused.
pub(crate) fn reread_header(content: &[u8]) -> Option<Vec<u8>> {
    let block = close_block(content.to_vec(), HolderId([0; 16]));
    let rest = block.strip_prefix(MAGIC)?.strip_prefix(&VERSION.to_be_bytes());
    let header = rest.and_then(|_| Header::decode(open_block(&block, HolderId([0; 16]))?))?;
    Some(close_block(header.encode(), HolderId([0; 16])))
}

/// The block of a slot with this content, read and written again; `None` if it is refused.
pub(crate) fn reread_slot(index: u8, content: &[u8]) -> Option<Vec<u8>> {
    let id = HolderId([7; 16]);
    Some(Slot::decode(id, index, &close_block(content.to_vec(), id))?.encode(id, index))
}

/// Fills a block with zeros and puts `SHA-256(holder 16 | content)` at its end.
fn close_block(mut content: Vec<u8>, id: HolderId) -> Vec<u8> {
    content.resize(CONTENT, 0);
    let checksum = hash::sha256(&[&id.0, &content]);
    content.extend_from_slice(&checksum);
    content
}

fn open_block(block: &[u8], id: HolderId) -> Option<&[u8]> {
    let (content, checksum) = block.split_at_checked(CONTENT)?;
    (hash::sha256(&[&id.0, content]) == checksum).then_some(content)
}

/// Whether nothing but zeros fills a block behind what it says.
fn is_blank(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0)
}

fn slot_offset(index: u8) -> u64 {
    BLOCK as u64 * (u64::from(index) + 1)
}

fn read_block(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut block = vec![0; BLOCK];
    file.read_exact_at(&mut block, offset)?;
    Ok(block)
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Makes a new file's name durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn unreadable(path: &Path, reason: io::Error) -> FileHolderError {
    FileHolderError::Unreadable { path: path.to_owned(), reason }
}

fn unavailable(reason: &io::Error) -> HolderError {
    HolderError::Unavailable(reason.to_string())
}
