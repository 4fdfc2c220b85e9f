//! `strongroom jobs`: long-running work of the server.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use strongroom_client::{Answer, Job, Page};
use strongroom_model::JobId;
use tokio::time::Instant;

use crate::arguments::PageArguments;
use crate::exit::{Exit, Failure};
use crate::screen::say;
use crate::session::Session;

/// The first pause between two looks at a job; each further one takes a half longer.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Where nobody looks at a bar, a line is said so often.
const LINE_SECONDS: u64 = 10;
/// Rejects that are asked for at once.
const REJECTS_AT_ONCE: u32 = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List the jobs
    List(PageArguments),
    /// Show one job
    Show {
        /// The job's id
        job: JobId,
    },
    /// List what became of the items of a job
    Items {
        /// The job's id
        job: JobId,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Write the rejects of an import to standard output, one JSON object a line
    Rejects {
        /// The job's id
        job: JobId,
    },
    /// Wait until a job has ended
    Wait {
        /// The job's id
        job: JobId,
    },
    /// Stop a job; what it has done stays
    Cancel {
        /// The job's id
        job: JobId,
    },
}

impl Jobs {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::List(page) => session.screen.list(
                &scoped.jobs(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("KIND", "/kind"),
                    ("STATE", "/state"),
                    ("DONE", "/progress/done"),
                    ("TOTAL", "/progress/total"),
                    ("FAILED", "/outcomes/failed"),
                    ("REJECTED", "/outcomes/rejected"),
                    ("ASKED", "/asked_at"),
                ],
            ),
            Self::Show { job } => session.screen.one(&scoped.job(job).await?),
            Self::Items { job, page } => session.screen.list(
                &scoped.job_items(job, &page.page()).await?,
                &[
                    ("TENANT", "/tenant"),
                    ("OUTCOME", "/outcome"),
                    ("KEPT", "/kept"),
                    ("PROBLEM", "/problem"),
                ],
            ),
            Self::Rejects { job } => {
                let mut page = Page { limit: Some(REJECTS_AT_ONCE), cursor: None };
                loop {
                    let (lines, next) = scoped.import_rejects(job, &page).await?.value;
                    std::io::stdout()
                        .write_all(&lines)
                        .map_err(|error| Failure::local(format!("standard output: {error}")))?;
                    if next.is_none() {
                        return Ok(());
                    }
                    page.cursor = next;
                }
            }
            Self::Wait { job } => {
                let job = wait(session, job).await?;
                session.screen.one(&job)?;
                report(&job.value)
            }
            Self::Cancel { job } => session.screen.one(&scoped.cancel_job(job).await?),
        }
    }
}

/// Waits until a job has ended, and shows how far it is.
pub(crate) async fn wait(session: &Session, job: JobId) -> Result<Answer<Job>, Failure> {
    let scoped = session.scoped().await?;
    let mut progress = Progress::new();
    let mut pause = PAUSE;
    loop {
        let answer = scoped.job(job).await?;
        if answer.value.has_ended() {
            progress.end();
            return Ok(answer);
        }
        progress.show(&answer.value);
        tokio::time::sleep(pause).await;
        pause = pause.mul_f32(1.5).min(PAUSE_MAX);
    }
}

/// Says how a job has ended; one that did not do everything is a failure.
///
/// # Errors
/// Exit code 7 for a job that was stopped, or in which something failed.
pub(crate) fn report(job: &Job) -> Result<(), Failure> {
    say(&line(job));
    if job.outcomes.kept > 0 {
        say(&format!("own edits were kept; see `strongroom jobs items {}`", job.id));
    }
    let problem = job.problem.as_ref().map(|problem| format!(": {problem}"));
    if job.state != "done" {
        let problem = problem.unwrap_or_default();
        return Err(Failure::new(Exit::Partly, format!("the job is {}{problem}", job.state)));
    }
    if job.outcomes.rejected > 0 {
        return Err(Failure::new(
            Exit::Partly,
            format!(
                "{} rows were rejected; see `strongroom jobs rejects {}`",
                job.outcomes.rejected, job.id
            ),
        ));
    }
    if job.outcomes.failed > 0 {
        return Err(Failure::new(
            Exit::Partly,
            format!("{} failed; see `strongroom jobs items {}`", job.outcomes.failed, job.id),
        ));
    }
    Ok(())
}

fn line(job: &Job) -> String {
    let outcomes = &job.outcomes;
    if job.import.is_some() {
        return format!(
            "{} of {} rows: {} created, {} there already, {} rejected",
            job.progress.done,
            job.progress.total,
            outcomes.created,
            outcomes.exists,
            outcomes.rejected
        );
    }
    if let Some(export) = &job.export {
        let names: Vec<_> = export.collections.iter().map(ToString::to_string).collect();
        return format!("{} records of {} taken out", job.progress.done, names.join(", "));
    }
    if let Some(backup) = &job.backup {
        let place = &backup.place;
        return format!(
            "{} rows, {} bytes copied to `{}` at `{place}`",
            job.progress.done, backup.bytes, backup.name
        );
    }
    format!(
        "{} of {}: {} applied, {} with own edits kept, {} unchanged, {} not there, {} failed",
        job.progress.done,
        job.progress.total,
        outcomes.applied,
        outcomes.kept,
        outcomes.unchanged,
        outcomes.skipped,
        outcomes.failed
    )
}

/// A bar on a terminal, else a line now and then.
struct Progress {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Progress {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {percent}% {eta} left  {msg}");
            let bar = ProgressBar::new(0);
            if let Ok(style) = style { bar.with_style(style) } else { bar }
        });
        Self { bar, last: Instant::now() }
    }

    fn show(&mut self, job: &Job) {
        if let Some(bar) = &self.bar {
            bar.set_length(job.progress.total);
            bar.set_position(job.progress.done);
            bar.set_message(line(job));
        } else if self.last.elapsed() >= Duration::from_secs(LINE_SECONDS) {
            say(&line(job));
            self.last = Instant::now();
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
