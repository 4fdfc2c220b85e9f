//! `strongroom login` and `logout`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use strongroom_client::{ClientError, ProblemCode, Secret};

use crate::exit::{Exit, Failure};
use crate::files::{self, SecretFile};
use crate::screen::say;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The file with the invitation's token, `-` for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    invitation_file: PathBuf,
}

impl Login {
    /// Trades the invitation for a session, whose token goes to the file `out`.
    pub(crate) async fn run(self, session: &Session, out: Option<&Path>) -> Result<(), Failure> {
        let out = out.ok_or_else(|| {
            Failure::usage("name the new file for the session's token with `--token-file`")
        })?;
        let file = SecretFile::create(out)?;
        let asks = self.invitation_file == Path::new("-") && std::io::stdin().is_terminal();
        let invitation = if asks {
            rpassword::prompt_password("invitation: ")
                .map(zeroize::Zeroizing::new)
                .map_err(|error| Failure::local(format!("cannot ask: {error}")))?
        } else {
            files::secret(&self.invitation_file)?
        };
        let invitation = Secret::new(invitation.trim().to_owned());
        let answer = session.client.redeem(&invitation).await.map_err(not_redeemed)?;
        file.write(answer.value.session.token.expose())?;
        let redeemed = serde_json::json!({
            "tenant": answer.value.tenant,
            "user": answer.value.user,
            "session": answer.value.session.id,
            "expires_at": answer.value.session.expires_at,
            "token_file": out,
        });
        session.screen.one(&answer.map(|_| redeemed))?;
        say(&format!("signed in; the token stands in `{}`", out.display()));
        Ok(())
    }
}

/// The server's words are about tokens in headers; here it is the invitation that is no good.
fn not_redeemed(error: ClientError) -> Failure {
    let refused = error.problem().is_some_and(|it| it.code == ProblemCode::Unauthenticated);
    if !refused {
        return error.into();
    }
    Failure::new(
        Exit::Denied,
        "the invitation is unknown, has been used, or has ended\n  next: ask for a fresh one: \
         `strongroom users reinvite` makes it",
    )
}

/// Ends the session.
pub(crate) async fn logout(session: &Session) -> Result<(), Failure> {
    let answer = session.scoped().await?.sign_out().await?;
    session.screen.done(&answer, "signed out; the token is worth nothing now");
    Ok(())
}
