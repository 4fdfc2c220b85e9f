//! `strongroom blueprints`: what tenants begin with, from files to the server and on to the tenants.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use strongroom_client::{
    BLUEPRINT_FILES_MAX, BlueprintApplication, BlueprintChange, read_blueprint,
};
use strongroom_model::{BlueprintContent, BlueprintName, TenantId};

use crate::arguments::PageArguments;
use crate::commands::jobs::{report, wait};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::screen::{Column, Output, say};
use crate::session::Session;

const CHANGES: &[Column] = &[("WHERE", "/place"), ("WHAT", "/what")];

#[derive(Debug, Subcommand)]
pub(crate) enum Blueprints {
    /// Store a blueprint and give it to the tenants that have an earlier version
    Apply {
        /// A TOML file, or a folder of them
        path: PathBuf,
        /// Only to this tenant; may be repeated. One that has no blueprint yet gets this one
        #[arg(long, value_name = "TENANT")]
        only: Vec<TenantId>,
        /// Store it and give it to nobody yet
        #[arg(long, conflicts_with = "only")]
        store_only: bool,
        /// Do not wait until the tenants have it
        #[arg(long, conflicts_with = "store_only")]
        no_wait: bool,
    },
    /// Say what applying it would change, and change nothing
    Diff {
        /// A TOML file, or a folder of them
        path: PathBuf,
        /// End with exit code 8 if there is a difference
        #[arg(long)]
        check: bool,
    },
    /// List the blueprints
    List(PageArguments),
    /// Show a blueprint, or what one of its versions holds
    Show {
        /// The blueprint's name
        blueprint: BlueprintName,
        /// The number of the version
        #[arg(long, value_name = "NUMBER")]
        number: Option<u32>,
    },
    /// List the versions of a blueprint
    Versions {
        /// The blueprint's name
        blueprint: BlueprintName,
        #[command(flatten)]
        page: PageArguments,
    },
}

impl Blueprints {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        match self {
            Self::Apply { path, only, store_only, no_wait } => {
                let (name, content) = read(&path)?;
                let stored = client.put_blueprint(&name, &content).await?;
                let what = if stored.value.new { "is stored" } else { "was there already" };
                say(&format!("version {} of `{name}` {what}", stored.value.version));
                stored.value.changes.iter().for_each(say_change);
                if store_only {
                    return session.screen.one(&stored);
                }
                let application = BlueprintApplication {
                    version: Some(stored.value.version),
                    tenants: (!only.is_empty()).then_some(only),
                };
                let job = client.apply_blueprint(&name, &application).await?;
                if no_wait {
                    say(&format!("next: `strongroom jobs wait {}`", job.value.id));
                    return session.screen.one(&job);
                }
                let job = wait(session, job.value.id).await?;
                session.screen.one(&job)?;
                report(&job.value)
            }
            Self::Diff { path, check } => diff(session, &path, check).await,
            Self::List(page) => session.screen.list(
                &client.blueprints(&page.page()).await?,
                &[
                    ("NAME", "/name"),
                    ("NEWEST", "/newest"),
                    ("CHANGED", "/changed_at"),
                    ("ID", "/id"),
                ],
            ),
            Self::Show { blueprint, number: None } => {
                session.screen.one(&client.blueprint(&blueprint).await?)
            }
            Self::Show { blueprint, number: Some(number) } => {
                session.screen.one(&client.blueprint_version(&blueprint, number).await?)
            }
            Self::Versions { blueprint, page } => session.screen.list(
                &client.blueprint_versions(&blueprint, &page.page()).await?,
                &[
                    ("VERSION", "/version"),
                    ("STORED", "/stored_at"),
                    ("COLLECTIONS", "/collections"),
                    ("CLASSES", "/classes"),
                ],
            ),
        }
    }
}

async fn diff(session: &Session, path: &Path, check: bool) -> Result<(), Failure> {
    let (name, content) = read(path)?;
    let answer = session.client.diff_blueprint(&name, &content).await?;
    let changes = &answer.value.changes;
    let differs = answer.value.newest.is_none() || !changes.is_empty();
    match answer.value.newest {
        Some(newest) if changes.is_empty() => {
            say(&format!("the same as version {newest} of `{name}`"));
        }
        Some(newest) => say(&format!("compared with version {newest} of `{name}`:")),
        None => say(&format!("there is no blueprint `{name}` yet; all of it is new:")),
    }
    match session.screen.output() {
        Output::Json => session.screen.one(&answer)?,
        Output::Table => {
            let entries: Result<Vec<_>, _> = changes.iter().map(serde_json::to_value).collect();
            let entries =
                entries.map_err(|_| Failure::local("the answer cannot be written as JSON"))?;
            session.screen.entries(&entries, CHANGES)?;
        }
    }
    if check && differs {
        return Err(Failure::new(
            Exit::CheckFailed,
            format!("the server's blueprint `{name}` is not that of `{}`", path.display()),
        ));
    }
    Ok(())
}

fn say_change(change: &BlueprintChange) {
    say(&format!("  {} {}", change.what, change.place));
}

/// A blueprint from a file, or from the TOML files of a folder.
fn read(path: &Path) -> Result<(BlueprintName, BlueprintContent), Failure> {
    let texts = if path.is_dir() {
        folder(path)?
    } else {
        vec![(path.display().to_string(), files::text(path)?)]
    };
    read_blueprint(&texts).map_err(|error| Failure::local(error.to_string()))
}

fn folder(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let failed = |error| Failure::file(path, &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        if entry.extension().is_some_and(|extension| extension == "toml") {
            paths.push(entry);
        }
        if paths.len() > BLUEPRINT_FILES_MAX {
            return Err(Failure::local(format!(
                "`{}` has more than {BLUEPRINT_FILES_MAX} TOML files",
                path.display()
            )));
        }
    }
    if paths.is_empty() {
        return Err(Failure::local(format!("`{}` has no TOML file", path.display())));
    }
    paths.sort();
    paths.into_iter().map(|path| Ok((path.display().to_string(), files::text(&path)?))).collect()
}
