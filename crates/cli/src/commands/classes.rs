//! `strongroom classes`: permission classes.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::NewClass;
use strongroom_model::{ClassName, Label};

use crate::arguments::{PageArguments, VersionArguments};
use crate::exit::Failure;
use crate::files;
use crate::screen::Column;
use crate::session::Session;

const COLUMNS: &[Column] =
    &[("NAME", "/name"), ("LABEL", "/label"), ("VERSION", "/version"), ("ID", "/id")];

#[derive(Debug, Subcommand)]
pub(crate) enum Classes {
    /// List the classes
    List(PageArguments),
    /// Show one class with its terms
    Show {
        /// The class's name
        class: ClassName,
    },
    /// Make a class from a template, or from a file with `name`, `label` and `terms`
    Create {
        /// The class's name
        #[arg(long, requires = "template", conflicts_with = "file")]
        name: Option<ClassName>,
        /// What people are to call it
        #[arg(long, requires = "template")]
        label: Option<Label>,
        /// The template to make it from
        #[arg(long, requires = "name")]
        template: Option<ClassName>,
        /// A JSON or TOML file, `-` for JSON on standard input
        #[arg(long, value_name = "FILE", required_unless_present = "template")]
        file: Option<PathBuf>,
    },
    /// Give a class other terms, from a file with `label` and `terms`
    Replace {
        /// The class's name
        class: ClassName,
        /// A JSON or TOML file, `-` for JSON on standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        version: VersionArguments,
    },
    /// Delete a class that nobody holds
    Delete {
        /// The class's name
        class: ClassName,
        #[command(flatten)]
        version: VersionArguments,
    },
    /// List the templates that one may begin with
    Templates,
}

impl Classes {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::List(page) => session.screen.list(&scoped.classes(&page.page()).await?, COLUMNS),
            Self::Show { class } => session.screen.one(&scoped.class(&class).await?),
            Self::Create { name, label, template, file } => {
                let class = match (file, name) {
                    (Some(file), _) => files::definition::<NewClass>(&file)?,
                    (None, Some(name)) => NewClass { name, label, template, terms: None },
                    (None, None) => return Err(Failure::usage("name a template or a file")),
                };
                session.screen.one(&scoped.create_class(&class).await?)
            }
            Self::Replace { class, file, version } => {
                let change = files::definition(&file)?;
                let answer = scoped.replace_class(&class, &change, version.if_match()).await?;
                session.screen.one(&answer)
            }
            Self::Delete { class, version } => {
                let answer = scoped.delete_class(&class, version.if_match()).await?;
                session.screen.done(&answer, &format!("the class `{class}` is deleted"));
                Ok(())
            }
            Self::Templates => session
                .screen
                .list(&scoped.class_templates().await?, &[("NAME", "/name"), ("LABEL", "/label")]),
        }
    }
}
