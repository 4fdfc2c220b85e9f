//! `strongroom backends`: the provider's software products.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::NewBackend;
use strongroom_model::{BackendId, Label};

use crate::arguments::PageArguments;
use crate::commands::{secret_file, show_with_secret};
use crate::exit::Failure;
use crate::session::Session;

/// Seconds of an hour.
const HOUR: i64 = 60 * 60;

#[derive(Debug, Subcommand)]
pub(crate) enum Backends {
    /// Make a backend; its token is shown once
    Create {
        /// Its name, which the tenants that admit it see
        #[arg(long)]
        name: Label,
        /// Write the token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the backends, each with the number of tenants that admit it
    List(PageArguments),
    /// Show one backend
    Show {
        /// The backend's id
        backend: BackendId,
    },
    /// Give a backend a new secret; the old one ends at once, or later
    Rotate {
        /// The backend's id
        backend: BackendId,
        /// The old secret ends after so many hours, at most seven days
        #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=168))]
        overlap_hours: u8,
        /// Write the token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Revoke a backend at once, at every tenant
    Revoke {
        /// The backend's id
        backend: BackendId,
    },
}

impl Backends {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        match self {
            Self::Create { name, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let answer = client.create_backend(&NewBackend { name }).await?;
                let token = answer.value.token.clone();
                show_with_secret(session, &answer, &token, file, "/token")
            }
            Self::List(page) => session.screen.list(
                &client.backends(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("TENANTS", "/tenants"),
                    ("CREATED", "/created_at"),
                    ("REVOKED", "/revoked"),
                ],
            ),
            Self::Show { backend } => session.screen.one(&client.backend(backend).await?),
            Self::Rotate { backend, overlap_hours, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let seconds = i64::from(overlap_hours) * HOUR;
                let answer = client.rotate_backend(backend, seconds).await?;
                let token = answer.value.token.clone();
                show_with_secret(session, &answer, &token, file, "/token")
            }
            Self::Revoke { backend } => {
                let answer = client.revoke_backend(backend).await?;
                session.screen.done(&answer, &format!("{backend} is revoked at every tenant"));
                Ok(())
            }
        }
    }
}
