//! What a holder is: a medium that keeps a share of the root secret and can forget it.

use async_trait::async_trait;
use strongroom_crypto::hash;
use strongroom_model::InstallId;

/// Names one holder; random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HolderId(pub [u8; 16]);

/// Names the bytes of one sealed share: the first 16 bytes of their SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ShareTag(pub [u8; 16]);

impl ShareTag {
    /// The tag of a sealed share.
    pub fn of(sealed: &[u8]) -> Self {
        Self(hash::sha256(&[sealed]).first_chunk::<16>().copied().unwrap_or_default())
    }
}

/// How well a holder forgets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grade {
    /// Nobody can read it through the medium any more, but the medium may keep old contents: a file
    /// on an SSD, a copy-on-write file system, a virtual disk.
    Logical,
    /// It will be forgotten later, at a date that the medium names.
    Delayed,
    /// The bytes themselves were written over: a file on a dedicated, verified device.
    Overwritten,
    /// Hardware that keeps no old contents.
    Hardware,
}

impl Grade {
    /// Its number in formats.
    pub const fn number(self) -> u8 {
        match self {
            Self::Logical => 0,
            Self::Overwritten => 1,
            Self::Hardware => 2,
            Self::Delayed => 3,
        }
    }

    /// The grade with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Logical),
            1 => Some(Self::Overwritten),
            2 => Some(Self::Hardware),
            3 => Some(Self::Delayed),
            _ => None,
        }
    }
}

/// A share that a holder keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Of which batch.
    pub number: u64,
    /// Which bytes.
    pub tag: ShareTag,
}

/// Everything that a holder keeps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Shares that can be read.
    pub shares: Vec<Held>,
    /// Places whose content is neither a share nor nothing: a write was cut short, or worse.
    pub damaged: usize,
}

/// Why a holder did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// It does not answer, or its medium fails, at the moment.
    #[error("the holder is not available: {0}")]
    Unavailable(String),
    /// What it keeps is not what was written, or it is another holder's.
    #[error("the holder is damaged: {0}")]
    Damaged(&'static str),
    /// It keeps no share of this number, or one with another tag.
    #[error("the holder does not keep this share")]
    Missing,
    /// It has no place left; something has to be forgotten first.
    #[error("the holder is full")]
    Full,
    /// It has seen this number, or a later one, before: numbers are never used twice.
    #[error("the holder has already seen this number or a later one")]
    Reused,
}

/// A medium that keeps a share of the root secret and can forget it. It never decides what to
/// forget; it keeps two shares, the old one and the new one.
#[async_trait]
pub trait Holder: Send + Sync + 'static {
    /// Which one it is.
    fn id(&self) -> HolderId;

    /// The installation that it belongs to.
    fn installation(&self) -> InstallId;

    /// Its class. All holders of a class keep the same share; the root secret takes one of each class.
    fn class(&self) -> u8;

    /// How well it forgets.
    fn grade(&self) -> Grade;

    /// Keeps a sealed share beside what it keeps. Returns when it is durable. The same share once
    /// more is no error.
    ///
    /// # Errors
    /// [`HolderError::Reused`] if the number is not greater than all it has ever kept;
    /// [`HolderError::Full`] if it has no place; otherwise as [`Holder::list`].
    async fn install(&self, number: u64, sealed: &[u8]) -> Result<(), HolderError>;

    /// The sealed share of a number.
    ///
    /// # Errors
    /// [`HolderError::Missing`] if it keeps none; otherwise as [`Holder::list`].
    async fn read(&self, number: u64) -> Result<Vec<u8>, HolderError>;

    /// Everything that it keeps.
    ///
    /// # Errors
    /// [`HolderError::Unavailable`] or [`HolderError::Damaged`] if it cannot tell.
    async fn list(&self) -> Result<Holding, HolderError>;

    /// Forgets the share with this number and tag, and returns when that is durable and was read
    /// back. A share that it does not keep is no error, one with another tag is.
    ///
    /// # Errors
    /// [`HolderError::Missing`] if the number's share has another tag; otherwise as [`Holder::list`].
    async fn forget(&self, number: u64, tag: ShareTag) -> Result<(), HolderError>;

    /// Forgets the contents of damaged places.
    ///
    /// # Errors
    /// As [`Holder::list`].
    async fn forget_damaged(&self) -> Result<(), HolderError>;
}
