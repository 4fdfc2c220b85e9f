//! An archive brought into a tenant: first all of it is read and found whole, then its records are made,
//! collection after collection.

use std::collections::BTreeSet;
use std::io::{self, Read};

use strongroom_model::CollectionName;

use crate::archive::collections::{create, targets};
use crate::archive::resolve::{CollectionFile, References};
use crate::archive::{ArchiveError, ArchiveReader, Archived, Part, Sha256, verify};
use crate::import::{
    Format, ImportError, Mapping, Rejects, Rows, RowsError, Summary, Verified,
    import as import_rows, verify as verify_rows,
};
use crate::{ClientError, Scoped};

/// Why an archive was not brought in to its end.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveImportError {
    /// The archive is not whole, or cannot be read; nothing of it was made, unless it changed since.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The server does not make a collection.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server does not take a record.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A collection is wanted that the archive does not have.
    #[error("the archive has no collection `{0}`")]
    NoCollection(CollectionName),
    /// It cannot be opened once more.
    #[error("the archive cannot be read again: {0}")]
    Again(io::Error),
}

impl From<RowsError> for ArchiveImportError {
    fn from(error: RowsError) -> Self {
        Self::Import(error.into())
    }
}

/// What is to be brought in, and how.
#[derive(Debug, Clone, Default)]
pub struct ArchiveImport {
    /// These collections; absent: all of the archive.
    pub collections: Option<Vec<CollectionName>>,
    /// Whether collections that are not there are made as the archive describes them.
    pub create_collections: bool,
    /// Whether all records are compared with what the server has afterwards.
    pub verify: bool,
}

impl ArchiveImport {
    fn wants(&self, name: &CollectionName) -> bool {
        self.collections.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// What became of one collection.
#[derive(Debug)]
pub struct Imported {
    /// The collection.
    pub collection: CollectionName,
    /// Whether it was made.
    pub made: bool,
    /// What became of its records.
    pub summary: Summary,
    /// How the comparison went, if there was one.
    pub verified: Option<Verified>,
}

/// Brings an archive in. `open` opens it anew each time, because it is read more than once; `rejects`
/// gives the file of rejects of a collection. Records whose external id is there already are left as they
/// are, so that doing it again is safe. Where collections refer to each other in a ring, they are gone
/// through once more.
///
/// # Errors
/// [`ArchiveImportError`]; what was made stays.
pub async fn import<R: Read>(
    scoped: Scoped<'_>,
    open: impl Fn() -> io::Result<R>,
    sha256: Sha256,
    wanted: &ArchiveImport,
    mut rejects: impl FnMut(&CollectionName) -> io::Result<Rejects>,
    mut progress: impl FnMut(&CollectionName, &Summary),
) -> Result<Vec<Imported>, ArchiveImportError> {
    let archived = verify(open().map_err(ArchiveImportError::Again)?, sha256, |_| ())?;
    let names: BTreeSet<CollectionName> =
        archived.manifest.collections.iter().map(|it| it.name.clone()).collect();
    for name in wanted.collections.iter().flatten() {
        if !names.contains(name) {
            return Err(ArchiveImportError::NoCollection(name.clone()));
        }
    }
    let made = if wanted.create_collections {
        create(scoped, &archived.manifest, |name| wanted.wants(name)).await?
    } else {
        Vec::new()
    };
    let mut run = Run { scoped, open: &open, archived: &archived, names, outcomes: Vec::new() };
    run.import(|name| wanted.wants(name), &mut rejects, &mut progress).await?;
    let ring = run.ring();
    if !ring.is_empty() {
        run.import(|name| ring.contains(name), &mut rejects, &mut progress).await?;
    }
    if wanted.verify {
        run.verify(wanted).await?;
    }
    let mut outcomes = run.outcomes;
    for outcome in &mut outcomes {
        outcome.made = made.contains(&outcome.collection);
    }
    Ok(outcomes)
}

/// One import on its way.
struct Run<'r, O> {
    scoped: Scoped<'r>,
    open: &'r O,
    archived: &'r Archived,
    names: BTreeSet<CollectionName>,
    outcomes: Vec<Imported>,
}

impl<R: Read, O: Fn() -> io::Result<R>> Run<'_, O> {
    /// Goes through the archive once, and makes the records of some of its collections.
    async fn import(
        &mut self,
        wants: impl Fn(&CollectionName) -> bool,
        rejects: &mut impl FnMut(&CollectionName) -> io::Result<Rejects>,
        progress: &mut impl FnMut(&CollectionName, &Summary),
    ) -> Result<(), ArchiveImportError> {
        let (mut reader, mut next) = self.begun()?;
        for collection in &self.archived.manifest.collections {
            let name = &collection.name;
            if !wants(name) {
                skip(&mut reader, &mut next, name)?;
                continue;
            }
            let references = References::of(collection, &self.names, &self.archived.external_ids);
            let mut file = CollectionFile::new(&mut reader, &mut next, name, &references);
            let mapping = Mapping::of_export(name.clone());
            let rows = Rows::new(Format::Ndjson, &mut file, &mapping)?;
            let mut rejects = rejects(name).map_err(ImportError::Rejects)?;
            let shown = |summary: &Summary| progress(name, summary);
            let summary =
                import_rows(self.scoped, &mapping, rows, &mut rejects, None, shown).await?;
            let before = self.outcomes.iter_mut().find(|outcome| outcome.collection == *name);
            if let Some(outcome) = before {
                // What was made the first time is there the second time.
                let created = outcome.summary.created + summary.created;
                let exists = outcome.summary.exists;
                outcome.summary = Summary { created, exists, ..summary };
            } else {
                let collection = name.clone();
                self.outcomes.push(Imported { collection, made: false, summary, verified: None });
            }
        }
        Ok(())
    }

    /// Collections of which something was rejected, and that refer to collections which come later in
    /// the archive.
    fn ring(&self) -> BTreeSet<CollectionName> {
        let mut ring = BTreeSet::new();
        let mut later = self.names.clone();
        for collection in &self.archived.manifest.collections {
            later.remove(&collection.name);
            let outcome = self.outcomes.iter().find(|it| it.collection == collection.name);
            let rejected = outcome.is_some_and(|outcome| outcome.summary.rejected > 0);
            if rejected && targets(collection).any(|target| later.contains(&target)) {
                ring.insert(collection.name.clone());
            }
        }
        // What was rejected for referring to those may fit now too.
        let rest = self.archived.manifest.collections.iter().filter(|collection| {
            let outcome = self.outcomes.iter().find(|it| it.collection == collection.name);
            outcome.is_some_and(|outcome| outcome.summary.rejected > 0)
        });
        if ring.is_empty() {
            ring
        } else {
            rest.map(|collection| collection.name.clone()).collect()
        }
    }

    /// Goes through the archive once more, and compares its records with what the server has.
    async fn verify(&mut self, wanted: &ArchiveImport) -> Result<(), ArchiveImportError> {
        let (mut reader, mut next) = self.begun()?;
        for collection in &self.archived.manifest.collections {
            let name = &collection.name;
            if !wanted.wants(name) {
                skip(&mut reader, &mut next, name)?;
                continue;
            }
            let references = References::of(collection, &self.names, &self.archived.external_ids);
            let mut file = CollectionFile::new(&mut reader, &mut next, name, &references);
            let mapping = Mapping::of_export(name.clone());
            let rows = Rows::new(Format::Ndjson, &mut file, &mapping)?;
            let verified = verify_rows(self.scoped, &mapping, rows, |_| ()).await?;
            if let Some(outcome) = self.outcomes.iter_mut().find(|it| it.collection == *name) {
                outcome.verified = Some(verified);
            }
        }
        Ok(())
    }

    /// The archive opened anew, behind its manifest.
    fn begun(&self) -> Result<(ArchiveReader<R>, Option<Part>), ArchiveImportError> {
        let mut reader = ArchiveReader::new((self.open)().map_err(ArchiveImportError::Again)?);
        let _manifest = reader.next_part()?;
        let next = reader.next_part()?;
        Ok((reader, next))
    }
}

/// Reads over the records of a collection.
fn skip<R: Read>(
    reader: &mut ArchiveReader<R>,
    next: &mut Option<Part>,
    name: &CollectionName,
) -> Result<(), ArchiveError> {
    while matches!(next, Some(Part::Records { collection, .. }) if collection == name) {
        *next = reader.next_part()?;
    }
    Ok(())
}
