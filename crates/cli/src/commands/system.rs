//! `strongroom unlock`, `lock`, `status` and `whoami`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_client::{ClientError, ProblemCode, Secret, Unlocking};

use crate::exit::{Exit, Failure};
use crate::files;
use crate::session::Session;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Unlock {
    /// The seal key's file
    #[arg(long, value_name = "FILE")]
    seal_key_file: Option<PathBuf>,
    /// A file with the passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Read the passphrase from standard input
    #[arg(long)]
    passphrase_stdin: bool,
}

impl Unlock {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let with = match (self.seal_key_file, self.passphrase_file) {
            (Some(path), _) => Unlocking::Key(Secret::new(files::secret(&path)?.to_string())),
            (None, Some(path)) => passphrase(&path)?,
            (None, None) if self.passphrase_stdin => passphrase(Path::new("-"))?,
            (None, None) if std::io::stdin().is_terminal() => {
                let typed = rpassword::prompt_password("passphrase: ")
                    .map_err(|error| Failure::local(format!("cannot ask: {error}")))?;
                Unlocking::Passphrase(Secret::new(typed))
            }
            (None, None) => {
                return Err(Failure::usage(
                    "name `--seal-key-file`, `--passphrase-file` or `--passphrase-stdin`",
                ));
            }
        };
        session.screen.one(&session.client.unlock(&with).await.map_err(not_unlocked)?)
    }
}

/// Waiting does not bring a holder back.
fn not_unlocked(error: ClientError) -> Failure {
    let Some(problem) = error.problem().filter(|it| it.code == ProblemCode::Unavailable) else {
        return error.into();
    };
    let request = problem.request_id.as_deref().unwrap_or_default();
    Failure::new(
        Exit::Unreachable,
        format!(
            "{problem}\n  next: see that the holder's medium is there; `strongroom doctor`, where the \
             server runs, says what is missing\n  request: {request}"
        ),
    )
}

fn passphrase(path: &Path) -> Result<Unlocking, Failure> {
    Ok(Unlocking::Passphrase(Secret::new(files::secret(path)?.to_string())))
}

/// Drops the server's keys.
pub(crate) async fn lock(session: &Session) -> Result<(), Failure> {
    session.screen.one(&session.client.lock().await?)
}

/// How the server is.
pub(crate) async fn status(session: &Session) -> Result<(), Failure> {
    session.screen.one(&session.client.status().await?)
}

/// Whose token this is.
pub(crate) async fn whoami(session: &Session) -> Result<(), Failure> {
    let answer = session.client.whoami().await?;
    crate::commands::recovery::warn(answer.value.recovery.as_ref());
    session.screen.one(&answer)
}
