//! `strongroom subjects`: the people whom records are about.

use clap::Subcommand;
use strongroom_client::NewSubject;
use strongroom_model::{ExternalId, SubjectId};

use crate::arguments::PageArguments;
use crate::exit::Failure;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Subjects {
    /// Make a subject
    Create {
        /// The id that your product has for the person
        #[arg(long)]
        external_id: Option<ExternalId>,
    },
    /// Show a subject
    Show {
        /// The subject's id
        subject: SubjectId,
    },
    /// Show the subject that has an external id
    Lookup {
        /// The id that your product has for the person
        #[arg(long)]
        external_id: ExternalId,
    },
    /// Make the subject of an external id, or show the one who has it
    Upsert {
        /// The id that your product has for the person
        #[arg(long)]
        external_id: ExternalId,
    },
    /// List the records about a subject
    Records {
        /// The subject's id
        subject: SubjectId,
        #[command(flatten)]
        page: PageArguments,
    },
}

impl Subjects {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Create { external_id } => {
                session.screen.one(&scoped.create_subject(&NewSubject { external_id }).await?)
            }
            Self::Show { subject } => session.screen.one(&scoped.subject(subject).await?),
            Self::Lookup { external_id } => {
                session.screen.one(&scoped.look_up_subject(&external_id).await?)
            }
            Self::Upsert { external_id } => {
                session.screen.one(&scoped.upsert_subject(&external_id).await?)
            }
            Self::Records { subject, page } => session.screen.list(
                &scoped.subject_records(subject, &page.page()).await?,
                &[("COLLECTION", "/collection"), ("RECORD", "/record")],
            ),
        }
    }
}
