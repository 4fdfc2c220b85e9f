//! `strongroom backup`: the running server copies its store to a place that it knows.

use clap::Args;
use strongroom_model::BackupPlaceName;

use crate::commands::jobs::{report, wait};
use crate::exit::Failure;
use crate::screen::say;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The place, as the server's configuration calls it (`serve --backup-place NAME=PLACE`)
    #[arg(long, value_name = "PLACE")]
    to: BackupPlaceName,
    /// Do not wait until it is made
    #[arg(long)]
    no_wait: bool,
}

impl Backup {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let job = session.client.back_up(&self.to).await?;
        if self.no_wait {
            say(&format!("next: `strongroom jobs wait {}`", job.value.id));
            return session.screen.one(&job);
        }
        let job = wait(session, job.value.id).await?;
        session.screen.one(&job)?;
        report(&job.value)
    }
}
