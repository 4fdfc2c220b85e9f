//! `strongroom man`: the manual, one page for each command, made from the command line itself.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::arguments::Arguments;
use crate::exit::Failure;
use crate::screen;

/// Prints a page of the manual, or writes all of them.
#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// The command whose page it is, such as `records read` [default: the program itself]
    #[arg(value_name = "COMMAND", conflicts_with = "into")]
    command: Vec<String>,
    /// Write every page into this folder; pages that are there are replaced
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
}

impl Manual {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut whole = Arguments::command();
        whole.build();
        if let Some(folder) = &self.into {
            return write(&whole, folder);
        }
        let mut command = &whole;
        for name in &self.command {
            command = command
                .find_subcommand(name)
                .ok_or_else(|| Failure::usage(format!("there is no command `{name}` here")))?;
        }
        screen::data(page(command)?.trim_end())
    }
}

/// Writes the page of a command and those of all commands within it.
fn write(command: &clap::Command, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(format!("{}.1", name(command)));
    std::fs::write(&path, page(command)?).map_err(|error| Failure::file(&path, &error))?;
    command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .try_for_each(|inner| write(inner, folder))
}

fn page(command: &clap::Command) -> Result<String, Failure> {
    let mut roff = Vec::new();
    let failed = |error: std::io::Error| Failure::local(error.to_string());
    Man::new(command.clone()).title(name(command)).render(&mut roff).map_err(failed)?;
    Ok(String::from_utf8_lossy(&roff).into_owned())
}

/// The page's name: `strongroom-records-read`.
fn name(command: &clap::Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}
