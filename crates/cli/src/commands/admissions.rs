//! `strongroom admissions`: the backends that a tenant lets in.

use clap::{Subcommand, ValueEnum};
use strongroom_client::{AdmissionBounds, IfMatch};
use strongroom_model::{
    ActsAs, BackendId, ClassName, Purpose, SUBJECTS_PER_HOUR_DEFAULT, SUBJECTS_PER_HOUR_MAX,
    Timestamp,
};

use crate::arguments::PageArguments;
use crate::exit::Failure;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Admissions {
    /// List the backends that the tenant admits, or has admitted
    List(PageArguments),
    /// Show how far a backend may go
    Show {
        /// The backend's id
        backend: BackendId,
    },
    /// Admit a backend, or change how far it may go
    Put {
        /// The backend's id
        backend: BackendId,
        /// A class that bounds it, one that you have; may be repeated
        #[arg(long = "class", required = true)]
        classes: Vec<ClassName>,
        /// A purpose that bounds it; may be repeated; without one: those of the classes
        #[arg(long = "for-purpose", value_name = "PURPOSE")]
        purposes: Vec<Purpose>,
        /// In whose name it may act
        #[arg(long, value_enum, default_value_t = Acts::ForUsers)]
        acts: Acts,
        /// About how many persons it may read in an hour
        #[arg(long, value_name = "COUNT", default_value_t = SUBJECTS_PER_HOUR_DEFAULT,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(SUBJECTS_PER_HOUR_MAX)))]
        subjects_per_hour: u32,
        /// When the admission ends by itself, such as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        /// For a change: only if this is still the present version
        #[arg(long, value_name = "VERSION", conflicts_with = "any_version")]
        if_version: Option<u64>,
        /// For a change: whatever the present version is
        #[arg(long)]
        any_version: bool,
    },
    /// Revoke the admission of a backend at once
    Revoke {
        /// The backend's id
        backend: BackendId,
    },
}

/// In whose name a credential acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acts {
    /// Only for a user, whom each request names
    ForUsers,
    /// In its own name
    Itself,
}

impl From<Acts> for ActsAs {
    fn from(acts: Acts) -> Self {
        match acts {
            Acts::ForUsers => Self::ForUsers,
            Acts::Itself => Self::Itself,
        }
    }
}

impl Admissions {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::List(page) => session.screen.list(
                &scoped.admissions(&page.page()).await?,
                &[
                    ("BACKEND", "/backend"),
                    ("NAME", "/name"),
                    ("STATE", "/state"),
                    ("CLASSES", "/classes"),
                    ("ACTS", "/acts"),
                    ("PERSONS/HOUR", "/subjects_per_hour"),
                    ("LAST LIMITED", "/last_limited_at"),
                ],
            ),
            Self::Show { backend } => session.screen.one(&scoped.admission(backend).await?),
            Self::Put {
                backend,
                classes,
                purposes,
                acts,
                subjects_per_hour,
                until,
                if_version,
                any_version,
            } => {
                let bounds = AdmissionBounds {
                    classes,
                    purposes,
                    acts: acts.into(),
                    subjects_per_hour,
                    until,
                };
                let any = any_version.then_some(IfMatch::Any);
                let version = if_version.map(IfMatch::Version).or(any);
                session.screen.one(&scoped.admit_backend(backend, &bounds, version).await?)
            }
            Self::Revoke { backend } => {
                let answer = scoped.revoke_admission(backend).await?;
                session.screen.done(&answer, &format!("{backend} is let in no more"));
                Ok(())
            }
        }
    }
}
