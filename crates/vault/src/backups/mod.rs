//! Backups: the sealed rows of the store copied to another place while the server works, and brought
//! back onto the live keys.
//!
//! `docs/formats/backup.md` has the bytes, and what a backup that was taken while others were writing
//! means.

mod begin;
mod bucket;
mod folder;
mod indexes;
mod manifest;
mod opened;
mod part;
mod places;
mod reapply;
mod restore;
mod take;
mod walk;

pub use begin::{BeginBackup, begin};
pub use bucket::BucketPlace;
pub use folder::FolderPlace;
pub use opened::BackupProblem;
pub use places::{BackupPlace, Cause, PlaceProblem, Places};
pub use restore::{Counts, Mode, Report, RestoreProblem, restore, unfinished_restore};
pub(crate) use {manifest::reread as reread_manifest, part::reread as reread_part};
