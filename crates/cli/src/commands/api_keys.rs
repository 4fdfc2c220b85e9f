//! `strongroom api-keys`: credentials for machines.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::NewApiKey;
use strongroom_model::{ClassName, Clock, KeyId, KeyLabel, Timestamp};
use strongroom_vault::SystemClock;

use crate::arguments::PageArguments;
use crate::commands::admissions::Acts;
use crate::commands::{secret_file, show_with_secret};
use crate::exit::Failure;
use crate::session::Session;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeys {
    /// Make a key; its token is shown once
    Create {
        /// What the key is called in lists, such as `web_backend`
        #[arg(long)]
        label: KeyLabel,
        /// A class of the key, one that you have; may be repeated
        #[arg(long = "class", required = true)]
        classes: Vec<ClassName>,
        /// In whose name the key acts
        #[arg(long, value_enum, default_value_t = Acts::Itself)]
        acts: Acts,
        /// When the key ends, such as 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "days")]
        expires_at: Option<Timestamp>,
        /// The key ends after so many days
        #[arg(long, value_name = "COUNT", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..))]
        days: u16,
        /// Write the token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the keys
    List(PageArguments),
    /// Show one key
    Show {
        /// The key's id
        key: KeyId,
    },
    /// Revoke a key at once
    Revoke {
        /// The key's id
        key: KeyId,
    },
}

impl ApiKeys {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Create { label, classes, acts, expires_at, days, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let after = || SystemClock::new().now().plus_seconds(i64::from(days) * DAY);
                let expires_at = expires_at.unwrap_or_else(after);
                let acts = acts.into();
                let new = NewApiKey { label, classes, acts, expires_at };
                let answer = scoped.create_api_key(&new).await?;
                let token = answer.value.token.clone();
                show_with_secret(session, &answer, &token, file, "/token")
            }
            Self::List(page) => session.screen.list(
                &scoped.api_keys(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("LABEL", "/label"),
                    ("CLASSES", "/classes"),
                    ("EXPIRES", "/expires_at"),
                    ("REVOKED", "/revoked"),
                ],
            ),
            Self::Show { key } => session.screen.one(&scoped.api_key(key).await?),
            Self::Revoke { key } => {
                let answer = scoped.revoke_api_key(key).await?;
                session.screen.done(&answer, &format!("{key} is revoked"));
                Ok(())
            }
        }
    }
}
