//! `strongroom classes`: permission classes.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Deserialize;
use strongroom_client::{ClassChange, Collection, NewClass, Page, Scoped};
use strongroom_model::{ClassName, ClassTerms, FieldName, Label, RowScope, Rule};

use crate::arguments::{PageArguments, VersionArguments};
use crate::exit::Failure;
use crate::files;
use crate::screen::{Column, say};
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
    /// Give a class other terms, from a file with `label`, `terms` and, if you like, its `name`
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

/// A class as a file has it, with the name that it was made with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    #[serde(default)]
    name: Option<ClassName>,
    label: Label,
    terms: ClassTerms,
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
                let answer = scoped.create_class(&class).await?;
                warn_of_slips(scoped, &answer.value.terms).await;
                session.screen.one(&answer)
            }
            Self::Replace { class, file, version } => {
                let Replacement { name, label, terms } = files::definition(&file)?;
                if let Some(name) = name.filter(|name| *name != class) {
                    return Err(Failure::usage(format!(
                        "the file is about the class `{name}`; a class keeps its name"
                    )));
                }
                let change = ClassChange { label, terms };
                let answer = scoped.replace_class(&class, &change, version.if_match()).await?;
                warn_of_slips(scoped, &answer.value.terms).await;
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

/// Says which collections and fields the rules name and the tenant does not have. A rule may come before
/// its collection, so it is no error; more often it is a slip of the pen that would just show nothing.
/// Whoever may not list the collections is told nothing.
async fn warn_of_slips(scoped: Scoped<'_>, terms: &ClassTerms) {
    let Ok(listed) = scoped.collections(&Page::default()).await else { return };
    if listed.value.next.is_some() {
        return;
    }
    for rule in &terms.rules {
        for slip in slips(rule, &listed.value.data) {
            say(&format!("warning: a rule names {slip}"));
        }
    }
}

fn slips(rule: &Rule, collections: &[Collection]) -> Vec<String> {
    let Some(name) = &rule.collection else { return Vec::new() };
    let Some(collection) = collections.iter().find(|collection| collection.name == *name) else {
        return vec![format!("the collection `{name}`, which is not there")];
    };
    let field = |name: &FieldName| {
        collection.fields.iter().find(|field| field.name == *name && !field.retired)
    };
    let unknown = rule.fields.iter().filter(|rule| field(&rule.field).is_none());
    let mut slips: Vec<String> = unknown
        .map(|rule| format!("the field `{}` in `{name}`, which is not there", rule.field))
        .collect();
    if let RowScope::Filter(comparisons) = &rule.rows {
        let blind = comparisons.iter().filter(|it| !field(&it.field).is_some_and(|it| it.scope));
        slips.extend(blind.map(|it| {
            format!("rows by `{}` in `{name}`, which is no field with `scope = true`", it.field)
        }));
    }
    slips
}
