//! `strongroom config`: which settings there are, what they are here, and whether they make sense.

mod catalogue;
pub(crate) mod check;
mod reference;
mod show;

use clap::{ArgMatches, Subcommand};

use crate::arguments::Common;
use crate::exit::Failure;
use crate::findings;
use crate::screen::{self, Screen};
use crate::settings::{ServeSettings, SettingsFile, TelemetrySettings};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show the settings in force
    ///
    /// It takes the flags of `strongroom serve`, and shows what that would use.
    Show {
        /// Also say where each value comes from: flag, environment, file or default
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        serve: ServeSettings,
        #[command(flatten)]
        telemetry: TelemetrySettings,
    },
    /// Check the configuration file and all settings; exit code 8 if something is wrong
    Check {
        #[command(flatten)]
        serve: ServeSettings,
        #[command(flatten)]
        telemetry: TelemetrySettings,
    },
    /// Print the page that describes every setting, in Markdown
    Reference,
}

impl Config {
    pub(crate) fn run(self, common: &Common, matches: &ArgMatches) -> Result<(), Failure> {
        match self {
            Self::Show { origin, serve, telemetry: _ } => {
                let file = SettingsFile::read(common.config.as_deref())?;
                let settings = file.as_ref().map(SettingsFile::settings).transpose()?;
                let settings = settings.unwrap_or_default();
                let screen = Screen::new(common.output.or(settings.output), common.verbose);
                let store = serve.or(&settings.serve).store;
                let shown =
                    show::in_force(&matches_of_command(matches), file.as_ref(), store.as_deref())?;
                show::print(&shown, origin, screen)
            }
            Self::Check { serve, telemetry } => {
                let (found, settings) = check::findings(common, &serve, &telemetry);
                let screen = Screen::new(common.output.or(settings.output), common.verbose);
                findings::show(&found, screen)
            }
            Self::Reference => screen::data(reference::page().trim_end()),
        }
    }
}

/// What was typed for the innermost command, which knows the common flags too.
fn matches_of_command(matches: &ArgMatches) -> ArgMatches {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    innermost.clone()
}
