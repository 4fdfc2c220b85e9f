//! Whether an archive is whole: all its files, compared with what its end tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use strongroom_model::{CollectionName, RecordId};

use crate::archive::collections::targets;
use crate::archive::{ArchiveError, ArchiveReader, Manifest, Part, Sha256, Written};

/// So many external ids are remembered, of records that others may refer to: about a gigabyte.
const REMEMBERED_MAX: usize = 10_000_000;

/// An archive that is whole.
pub struct Archived {
    /// What stands first in it.
    pub manifest: Manifest,
    /// What there is of each collection.
    pub collections: Vec<Written>,
    /// The external ids of records that others may refer to.
    pub(crate) external_ids: BTreeMap<RecordId, String>,
}

/// Reads an archive to its end and compares it with what stands there. `progress` is called with the
/// records that have been read.
///
/// # Errors
/// [`ArchiveError`] for an archive that is not whole.
pub fn verify<R: Read>(
    from: R,
    sha256: Sha256,
    mut progress: impl FnMut(u64),
) -> Result<Archived, ArchiveError> {
    let mut reader = ArchiveReader::new(from);
    let Some(Part::Manifest(manifest)) = reader.next_part()? else {
        return Err(ArchiveError::Unknown("it does not begin with a manifest"));
    };
    let targets: BTreeSet<CollectionName> = manifest.collections.iter().flat_map(targets).collect();
    let mut external_ids = BTreeMap::new();
    let mut found: Vec<Found> = manifest.collections.iter().map(|it| Found::of(&it.name)).collect();
    let mut records = 0;
    let mut end = None;
    while let Some(part) = reader.next_part()? {
        match part {
            Part::Manifest(_) => return Err(ArchiveError::Damaged("it has two manifests")),
            Part::End(told) => end = Some(told),
            Part::Records { collection, lines } => {
                let damaged = ArchiveError::Damaged("a file is of no collection");
                let found = found.iter_mut().find(|found| found.name == collection);
                let counted = found.ok_or(damaged)?.add(&lines, sha256);
                records += counted;
                if targets.contains(&collection) {
                    remember(&lines, &mut external_ids)?;
                }
                progress(records);
            }
        }
    }
    let end = end.ok_or(ArchiveError::CutOff)?;
    let collections: Vec<Written> = found.into_iter().map(Found::written).collect();
    if end.collections != collections || end.records != records {
        return Err(ArchiveError::Damaged("its files are not those that its end tells of"));
    }
    Ok(Archived { manifest, collections, external_ids })
}

/// What has been found of a collection.
struct Found {
    name: CollectionName,
    records: u64,
    files: u64,
    digest: [u8; 32],
}

impl Found {
    fn of(name: &CollectionName) -> Self {
        Self { name: name.clone(), records: 0, files: 0, digest: [0; 32] }
    }

    /// Takes a file in, and gives how many records it has.
    fn add(&mut self, lines: &[u8], sha256: Sha256) -> u64 {
        let records =
            lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
        self.records += records;
        self.files += 1;
        self.digest = sha256(&[&self.digest, &sha256(&[lines])]);
        records
    }

    fn written(self) -> Written {
        let Self { name, records, files, digest } = self;
        Written { name, records, files, digest: HEXLOWER.encode(&digest) }
    }
}

/// What is remembered of a record.
#[derive(Deserialize)]
struct Named {
    id: RecordId,
    #[serde(default)]
    external_id: Option<String>,
}

fn remember(
    lines: &[u8],
    external_ids: &mut BTreeMap<RecordId, String>,
) -> Result<(), ArchiveError> {
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let named: Named = serde_json::from_slice(line)
            .map_err(|_| ArchiveError::Damaged("a line is no record"))?;
        if let Some(external_id) = named.external_id {
            if external_ids.len() == REMEMBERED_MAX {
                return Err(ArchiveError::Unknown("it has too many records that others refer to"));
            }
            external_ids.insert(named.id, external_id);
        }
    }
    Ok(())
}
