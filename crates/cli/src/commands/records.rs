//! `strongroom records`: entries of collections, in the caller's view.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_client::{Answer, IfMatch, ItemWritten, RecordChange, Shown};
use strongroom_model::{CollectionName, ExternalId, FieldName, RecordId};

use crate::arguments::{PageArguments, VersionArguments};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Records {
    /// Make a record
    Create {
        /// The collection
        collection: CollectionName,
        /// A JSON file with `fields` and, if wanted, `external_id`; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Read one record
    Read {
        /// The collection
        collection: CollectionName,
        /// The record's id
        record: RecordId,
        #[command(flatten)]
        shown: ShownArguments,
    },
    /// List the records of a collection
    List {
        /// The collection
        collection: CollectionName,
        #[command(flatten)]
        shown: ShownArguments,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Change a record
    Patch {
        /// The collection
        collection: CollectionName,
        /// The record's id
        record: RecordId,
        /// A JSON file with `fields`, where `null` removes a value; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// What stood there was wrong and is to be erased
        #[arg(long)]
        correction: bool,
        #[command(flatten)]
        version: VersionArguments,
    },
    /// Delete a record: it is hidden at once, its key dies with the next erasure
    Delete {
        /// The collection
        collection: CollectionName,
        /// The record's id
        record: RecordId,
        /// Only if this is still the present version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<u64>,
    },
    /// Read the record that has an external id
    Lookup {
        /// The collection
        collection: CollectionName,
        /// The id that your product has for the record
        #[arg(long)]
        external_id: ExternalId,
        #[command(flatten)]
        shown: ShownArguments,
    },
    /// Make a record, or change the one that has its external id
    Upsert {
        /// The collection
        collection: CollectionName,
        /// A JSON file with `external_id` and `fields`; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Read up to 100 records of any collections
    BatchGet {
        /// A JSON file with `items`, each with `collection` and `id` or `external_id`, and if wanted
        /// `shown`; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Make up to 100 records
    BatchCreate {
        /// The collection
        collection: CollectionName,
        /// A JSON file with `items`, as for `create`, and if wanted `atomic`; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Change up to 100 records
    BatchPatch {
        /// The collection
        collection: CollectionName,
        /// A JSON file with `items`, each with `id` or `external_id`, `if_match` and `fields`, and if
        /// wanted `atomic`; `-` for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Delete up to 100 records
    BatchDelete {
        /// The collection
        collection: CollectionName,
        /// A JSON file with `items`, each with `id` or `external_id`, and if wanted `atomic`; `-` for
        /// standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ShownArguments {
    /// Only these fields, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "FIELDS")]
    fields: Vec<FieldName>,
    /// Show these in the clear where your class may reveal them; it is recorded
    #[arg(long, value_delimiter = ',', value_name = "FIELDS")]
    reveal: Vec<FieldName>,
}

impl ShownArguments {
    pub(crate) fn shown(self) -> Shown {
        Shown { fields: self.fields, reveal: self.reveal }
    }
}

impl Records {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Create { collection, file } => {
                let record = files::client_data(&file)?;
                session.screen.one(&scoped.create_record(&collection, &record).await?)
            }
            Self::Read { collection, record, shown } => {
                session.screen.one(&scoped.record(&collection, record, &shown.shown()).await?)
            }
            Self::List { collection, shown, page } => session.screen.list(
                &scoped.records(&collection, &shown.shown(), &page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("EXTERNAL ID", "/external_id"),
                    ("VERSION", "/version"),
                    ("FIELDS", "/fields"),
                    ("MASKED", "/masked"),
                ],
            ),
            Self::Patch { collection, record, file, correction, version } => {
                let mut change: RecordChange = files::client_data(&file)?;
                change.correction |= correction;
                let version = version.if_match();
                session
                    .screen
                    .one(&scoped.change_record(&collection, record, &change, version).await?)
            }
            Self::Delete { collection, record, if_version } => {
                let version = if_version.map_or(IfMatch::Any, IfMatch::Version);
                let answer = scoped.delete_record(&collection, record, version).await?;
                session.screen.done(&answer, &format!("{record} is deleted"));
                Ok(())
            }
            Self::Lookup { collection, external_id, shown } => session
                .screen
                .one(&scoped.look_up_record(&collection, &external_id, &shown.shown()).await?),
            Self::Upsert { collection, file } => {
                let record = files::client_data(&file)?;
                session.screen.one(&scoped.upsert_record(&collection, &record).await?)
            }
            Self::BatchGet { file } => {
                let batch = files::client_data(&file)?;
                let answer = scoped.batch_get_records(&batch).await?;
                session.screen.one(&answer)?;
                all_done(answer.value.iter().filter(|item| item.problem.is_some()).count())
            }
            Self::BatchCreate { collection, file } => {
                let batch = files::client_data(&file)?;
                written(session, &scoped.batch_create_records(&collection, &batch).await?)
            }
            Self::BatchPatch { collection, file } => {
                let batch = files::client_data(&file)?;
                written(session, &scoped.batch_change_records(&collection, &batch).await?)
            }
            Self::BatchDelete { collection, file } => {
                let batch = files::client_data(&file)?;
                written(session, &scoped.batch_delete_records(&collection, &batch).await?)
            }
        }
    }
}

/// Shows what became of a batch.
fn written(session: &Session, answer: &Answer<Vec<ItemWritten>>) -> Result<(), Failure> {
    session.screen.one(answer)?;
    all_done(answer.value.iter().filter(|item| item.problem.is_some()).count())
}

/// Whether no item of a batch failed.
fn all_done(failed: usize) -> Result<(), Failure> {
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Partly,
        format!("{failed} items were not carried out; see their problems"),
    ))
}
