//! A finished backup, read: nothing is believed of it before its manifest is proved and every part fits.

use strongroom_keyring::{Half, Service};
use strongroom_model::{InstallId, TenantId};
use strongroom_storage::keyspace;
use strongroom_storage::{Row, RowKey};

use crate::backups::manifest::{self, Manifest, NoManifest};
use crate::backups::part::{self, Digest};
use crate::backups::{BackupPlace, PlaceProblem};
use crate::{Vault, VaultError};

/// Why a backup is not used.
#[derive(Debug, thiserror::Error)]
pub enum BackupProblem {
    /// It has no manifest.
    #[error(
        "it has no manifest: it is no backup, or one that was never finished; name another one"
    )]
    NoBackup,
    /// The manifest is not one.
    #[error("its manifest is not one of a backup; name another one")]
    Foreign,
    /// It is of a version that this program does not know.
    #[error("it is of version {0}, and this program knows version 1: use the program that made it")]
    Version(u32),
    /// It is another installation's.
    #[error("it is a backup of another installation, `{0}`; name one of this installation")]
    Elsewhere(InstallId),
    /// The manifest does not carry the proof of this installation.
    #[error("its manifest was changed, or was not made by this installation; name another one")]
    Changed,
    /// The key state is older than the backup.
    #[error(
        "it was made at number {made_at}, and the keys of this store are at number {live}: the store is \
         an older copy; bring back the newest one first"
    )]
    NewerThanKeys {
        /// The number in force when it was made.
        made_at: u64,
        /// The number in force here.
        live: u64,
    },
    /// A part is missing.
    #[error("its part `{0}` is missing; name another backup")]
    PartMissing(String),
    /// A part is not what was written.
    #[error("its part `{0}` was cut, changed or exchanged; name another backup")]
    PartChanged(String),
    /// A row is of a kind that no backup holds.
    #[error("its part `{0}` holds a row that no backup holds; name another backup")]
    Unexpected(String),
    /// The place does not answer.
    #[error(transparent)]
    Place(PlaceProblem),
}

/// A backup of which every part was read and fits.
pub(super) struct OpenedBackup<'p> {
    at: &'p dyn BackupPlace,
    name: &'p str,
    pub(super) manifest: Manifest,
    digests: Vec<Digest>,
}

/// What is wrong with a backup, or with the vault.
pub(super) enum NotOpened {
    Backup(BackupProblem),
    Vault(VaultError),
}

impl<E: Into<VaultError>> From<E> for NotOpened {
    fn from(error: E) -> Self {
        Self::Vault(error.into())
    }
}

impl<'p> OpenedBackup<'p> {
    /// Reads all of a backup. `progress` is told how many parts of how many have been read.
    pub(super) async fn open(
        vault: &Vault,
        at: &'p dyn BackupPlace,
        name: &'p str,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, NotOpened> {
        let refused = |problem| Err(NotOpened::Backup(problem));
        let bytes = match at.read(name, manifest::FILE).await {
            Ok(bytes) => bytes,
            Err(PlaceProblem::Missing(_)) => return refused(BackupProblem::NoBackup),
            Err(problem) => return refused(BackupProblem::Place(problem)),
        };
        let service = vault.keyring.service(TenantId::PROVIDER, Half::Data, Service::Rows).await?;
        let install = vault.keyring.install();
        let manifest = match Manifest::read(&bytes, install, &service) {
            Ok(manifest) => manifest,
            Err(NoManifest::Foreign) => return refused(BackupProblem::Foreign),
            Err(NoManifest::Version(found)) => return refused(BackupProblem::Version(found)),
            Err(NoManifest::Elsewhere(whose)) => return refused(BackupProblem::Elsewhere(whose)),
            Err(NoManifest::Changed) => return refused(BackupProblem::Changed),
        };
        let live = vault.keyring.number();
        if manifest.number > live {
            return refused(BackupProblem::NewerThanKeys { made_at: manifest.number, live });
        }
        let mut opened = Self { at, name, manifest, digests: Vec::new() };
        opened.read_all(install, progress).await.map_err(NotOpened::Backup)?;
        Ok(opened)
    }

    async fn read_all(
        &mut self,
        install: InstallId,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), BackupProblem> {
        let first = part::first_digest(install, &self.manifest.backup);
        self.digests.push(first);
        let (mut rows, mut bytes) = (0u64, 0u64);
        for number in 1..=self.manifest.parts {
            let (part, length, digest) = self.part(number).await?;
            let strange = part.iter().any(|(key, _)| {
                keyspace::parse(key).is_none_or(|(_, kind, _)| !kind.is_backed_up())
            });
            if strange {
                return Err(BackupProblem::Unexpected(part::file_name(number)));
            }
            rows = rows.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            self.digests.push(digest);
            progress(u64::from(number), u64::from(self.manifest.parts));
        }
        let fits = rows == self.manifest.rows
            && bytes == self.manifest.bytes
            && self.digests.last() == Some(&self.manifest.last);
        if fits {
            Ok(())
        } else {
            Err(BackupProblem::PartChanged(part::file_name(self.manifest.parts)))
        }
    }

    /// How many parts it has.
    pub(super) fn parts(&self) -> u32 {
        self.manifest.parts
    }

    /// The rows of a part, which is still what it was when the backup was opened.
    pub(super) async fn rows(&self, number: u32) -> Result<Vec<(RowKey, Row)>, BackupProblem> {
        let (rows, _, digest) = self.part(number).await?;
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if self.digests.get(at) == Some(&digest) {
            Ok(rows)
        } else {
            Err(BackupProblem::PartChanged(part::file_name(number)))
        }
    }

    async fn part(
        &self,
        number: u32,
    ) -> Result<(Vec<(RowKey, Row)>, usize, Digest), BackupProblem> {
        let file = part::file_name(number);
        let bytes = match self.at.read(self.name, &file).await {
            Ok(bytes) => bytes,
            Err(PlaceProblem::Missing(_)) => return Err(BackupProblem::PartMissing(file)),
            Err(problem) => return Err(BackupProblem::Place(problem)),
        };
        let before = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1).and_then(|before| self.digests.get(before)));
        let rows = before.and_then(|before| part::read(&bytes, number, before));
        let digest = part::digest(&bytes);
        Ok((rows.ok_or(BackupProblem::PartChanged(file))?, bytes.len(), digest))
    }
}
