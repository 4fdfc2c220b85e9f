//! `strongroom audit`: who did what, and what they saw.

use clap::Subcommand;

use crate::arguments::PageArguments;
use crate::exit::Failure;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List the lines of the log
    List(PageArguments),
}

impl Audit {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(page) => session.screen.list(
                &session.scoped().await?.audit(&page.page()).await?,
                &[
                    ("TIME", "/time"),
                    ("PRINCIPAL", "/principal"),
                    ("FOR USER", "/acting_for"),
                    ("ACTION", "/action"),
                    ("OUTCOME", "/outcome"),
                    ("CODE", "/code"),
                    ("PURPOSE", "/purpose"),
                    ("OBJECT", "/object"),
                ],
            ),
        }
    }
}
