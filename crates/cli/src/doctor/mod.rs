//! `strongroom doctor`: looks at the settings, the machine, the store and the server, and says what
//! mends what is not as it should be.

mod installation;
mod machine;
mod server;

use clap::Args;

use crate::arguments::Common;
use crate::config::check;
use crate::exit::Failure;
use crate::findings;
use crate::screen::Screen;
use crate::settings::{ServeSettings, TelemetrySettings};

/// Looks at everything.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    serve: ServeSettings,
    #[command(flatten)]
    telemetry: TelemetrySettings,
}

impl Doctor {
    pub(crate) async fn run(self, common: &Common) -> Result<(), Failure> {
        let (mut found, settings) = check::findings(common, &self.serve, &self.telemetry);
        let (looked_at, installation) = installation::look(&settings.serve).await;
        found.extend(looked_at);
        found.extend(server::look(common, &settings, &installation).await);
        found.extend(machine::look(&settings.serve));
        let screen = Screen::new(common.output.or(settings.output), common.verbose);
        findings::show(&found, screen)
    }
}
