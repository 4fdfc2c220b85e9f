//! `strongroom collections`: typed sets of records.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_model::CollectionName;

use crate::arguments::{PageArguments, VersionArguments};
use crate::exit::Failure;
use crate::files;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Collections {
    /// Make a collection from a definition
    Create {
        /// A JSON or TOML file, `-` for JSON on standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List the collections
    List(PageArguments),
    /// Show one collection with its fields
    Show {
        /// The collection's name
        collection: CollectionName,
    },
    /// Change a collection: label, purposes, added and retired fields, masks
    Change {
        /// The collection's name
        collection: CollectionName,
        /// A JSON or TOML file, `-` for JSON on standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        version: VersionArguments,
    },
}

impl Collections {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Create { file } => {
                let collection = files::definition(&file)?;
                session.screen.one(&scoped.create_collection(&collection).await?)
            }
            Self::List(page) => session.screen.list(
                &scoped.collections(&page.page()).await?,
                &[
                    ("NAME", "/name"),
                    ("LABEL", "/label"),
                    ("PURPOSES", "/purposes"),
                    ("VERSION", "/version"),
                    ("ID", "/id"),
                ],
            ),
            Self::Show { collection } => session.screen.one(&scoped.collection(&collection).await?),
            Self::Change { collection, file, version } => {
                let change = files::definition(&file)?;
                let answer =
                    scoped.change_collection(&collection, &change, version.if_match()).await?;
                session.screen.one(&answer)
            }
        }
    }
}
