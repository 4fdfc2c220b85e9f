//! Which store: the text that names an engine and its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::embedded::{EmbeddedStore, Kind, fjall, front, redb, sled};
use crate::{MemoryStore, OpenError, PostgresStore, PostgresUrl, Store};

/// `redb:FOLDER`, `fjall:FOLDER`, `sled:FOLDER`, each also with a journal in front of it as
/// `redb+journal:FOLDER`, `postgres://USER@HOST/DATABASE` or `memory:`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreUrl {
    /// A folder with a redb database and a journal.
    Redb(PathBuf),
    /// A folder with a fjall database and a journal.
    Fjall(PathBuf),
    /// A folder with a sled database and a journal.
    Sled(PathBuf),
    /// A folder with a database, and in front of it a journal in which everything is durable first.
    Journal(Behind, PathBuf),
    /// Tables in a PostgreSQL database.
    Postgres(Box<PostgresUrl>),
    /// Nothing is kept.
    Memory,
}

/// An engine behind a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behind {
    /// redb.
    Redb,
    /// fjall.
    Fjall,
    /// sled.
    Sled,
}

impl Behind {
    fn kind(self) -> &'static Kind {
        match self {
            Self::Redb => &front::REDB,
            Self::Fjall => &front::FJALL,
            Self::Sled => &front::SLED,
        }
    }

    /// The engine that is so named in a URL, and its folder.
    fn parse(text: &str) -> Option<(Self, PathBuf)> {
        let (name, folder) = text.split_once(':')?;
        let all = [Self::Redb, Self::Fjall, Self::Sled];
        let named = all.into_iter().find(|behind| behind.kind().name == name)?;
        (!folder.is_empty()).then(|| (named, PathBuf::from(folder)))
    }
}

impl StoreUrl {
    /// Reads a store URL.
    ///
    /// # Errors
    /// [`OpenError::Url`] if it names no engine, or an engine without its folder;
    /// [`OpenError::PostgresUrl`] for a database that is not named well.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        if PostgresUrl::is_meant_by(text) {
            return Ok(Self::Postgres(Box::new(PostgresUrl::parse(text)?)));
        }
        if let Some((behind, folder)) = Behind::parse(text) {
            return Ok(Self::Journal(behind, folder));
        }
        match text.split_once(':') {
            Some(("redb", folder)) if !folder.is_empty() => Ok(Self::Redb(PathBuf::from(folder))),
            Some(("fjall", folder)) if !folder.is_empty() => Ok(Self::Fjall(PathBuf::from(folder))),
            Some(("sled", folder)) if !folder.is_empty() => Ok(Self::Sled(PathBuf::from(folder))),
            Some(("memory", "")) => Ok(Self::Memory),
            _ => Err(OpenError::Url(text.to_owned())),
        }
    }

    /// A text that was given as a store's URL, as it may be shown: without a password.
    pub fn shown(text: &str) -> String {
        match Self::parse(text) {
            Ok(url) => url.to_string(),
            Err(_) if PostgresUrl::is_meant_by(text) => "postgres:…".to_owned(),
            Err(_) => text.to_owned(),
        }
    }

    /// The store's folder, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Redb(path) | Self::Fjall(path) | Self::Sled(path) | Self::Journal(_, path) => {
                Some(path)
            }
            Self::Postgres(_) | Self::Memory => None,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        Self::parse(text)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redb(path) => write!(f, "redb:{}", path.display()),
            Self::Fjall(path) => write!(f, "fjall:{}", path.display()),
            Self::Sled(path) => write!(f, "sled:{}", path.display()),
            Self::Journal(behind, path) => write!(f, "{}:{}", behind.kind().name, path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Makes a store where there is none and opens it. It blocks; a crash in between leaves no store.
///
/// # Errors
/// [`OpenError::Occupied`] if something is there already, otherwise as [`open`].
pub fn create(url: &StoreUrl) -> Result<Arc<dyn Store>, OpenError> {
    match url {
        StoreUrl::Redb(path) => Ok(Arc::new(EmbeddedStore::create(&redb::KIND, path)?)),
        StoreUrl::Fjall(path) => Ok(Arc::new(EmbeddedStore::create(&fjall::KIND, path)?)),
        StoreUrl::Sled(path) => Ok(Arc::new(EmbeddedStore::create(&sled::KIND, path)?)),
        StoreUrl::Journal(behind, path) => {
            Ok(Arc::new(EmbeddedStore::create(behind.kind(), path)?))
        }
        StoreUrl::Postgres(url) => Ok(Arc::new(PostgresStore::create(url)?)),
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::new())),
    }
}

/// Opens the store that is there. It blocks, after a crash for as long as recovery takes.
///
/// # Errors
/// [`OpenError`] with the path and what to do.
pub fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, OpenError> {
    match url {
        StoreUrl::Redb(path) => Ok(Arc::new(EmbeddedStore::open(&redb::KIND, path)?)),
        StoreUrl::Fjall(path) => Ok(Arc::new(EmbeddedStore::open(&fjall::KIND, path)?)),
        StoreUrl::Sled(path) => Ok(Arc::new(EmbeddedStore::open(&sled::KIND, path)?)),
        StoreUrl::Journal(behind, path) => Ok(Arc::new(EmbeddedStore::open(behind.kind(), path)?)),
        StoreUrl::Postgres(url) => Ok(Arc::new(PostgresStore::open(url)?)),
        StoreUrl::Memory => Err(OpenError::NotKept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_reads_back_as_it_was_written() {
        for text in [
            "redb:/var/lib/strongroom",
            "redb:data",
            "redb:C:\\data",
            "sled:data",
            "fjall:data",
            "redb+journal:data",
            "fjall+journal:data",
            "sled+journal:data",
            "postgres://u@h/d",
            "memory:",
        ] {
            assert_eq!(StoreUrl::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_shown_of_a_url_has_no_password() {
        assert_eq!(StoreUrl::shown("postgres://u:hidden@h/d"), "postgres://u@h/d");
        assert_eq!(StoreUrl::shown("postgres:u:hidden"), "postgres:…");
        assert_eq!(StoreUrl::shown("redb:here"), "redb:here");
        assert_eq!(StoreUrl::shown("elsewhere"), "elsewhere");
    }

    #[test]
    fn what_names_no_store_is_refused() {
        for text in
            ["", "redb", "redb:", "memory", "memory:x", "sled:", "rocks:data", "/data", ":data"]
        {
            assert!(matches!(StoreUrl::parse(text), Err(OpenError::Url(_))), "{text}");
        }
    }
}
