//! `strongroom users`: people who sign in.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::{IfMatch, Invitation, NewUser, NewUserAnswer, UserChange, UserUpsert};
use strongroom_model::{ClassName, Email, ExternalId, Label, UserId};

use crate::arguments::{PageArguments, VersionArguments};
use crate::commands::{secret_file, show_with_secret};
use crate::exit::Failure;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Invite a user; the invitation is shown once
    Invite {
        /// The user's name
        #[arg(long)]
        name: Label,
        /// The user's e-mail address
        #[arg(long)]
        email: Option<Email>,
        /// The id that your product has for the user
        #[arg(long)]
        external_id: Option<ExternalId>,
        /// A class of the user; may be repeated
        #[arg(long = "class", required = true)]
        classes: Vec<ClassName>,
        /// Write the invitation's token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// See to it that the user of an external id is there, with this name and these classes; one who is
    /// new is looked after by a backend and gets no invitation
    Upsert {
        /// The id that your product has for the user
        #[arg(long)]
        external_id: ExternalId,
        /// The user's name
        #[arg(long)]
        name: Label,
        /// The user's e-mail address, if they are new
        #[arg(long)]
        email: Option<Email>,
        /// A class of the user; may be repeated
        #[arg(long = "class", required = true)]
        classes: Vec<ClassName>,
    },
    /// Show the user that has an external id
    Lookup {
        /// The id that your product has for the user
        #[arg(long)]
        external_id: ExternalId,
    },
    /// Make a fresh invitation for a user
    Reinvite {
        /// The user's id
        user: UserId,
        /// Write the invitation's token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the users
    List(PageArguments),
    /// Show one user
    Show {
        /// The user's id
        user: UserId,
    },
    /// Change a user's name or classes
    Set {
        /// The user's id
        user: UserId,
        /// Another name
        #[arg(long)]
        name: Option<Label>,
        /// A class of the user from now on, in place of all others; may be repeated
        #[arg(long = "class")]
        classes: Vec<ClassName>,
        #[command(flatten)]
        version: VersionArguments,
    },
    /// Suspend a user at once, or let them in again
    Suspend {
        /// The user's id
        user: UserId,
        /// Let the user in again
        #[arg(long)]
        lift: bool,
    },
    /// Remove a user
    Remove {
        /// The user's id
        user: UserId,
    },
}

fn invited(answer: &NewUserAnswer) -> Result<&Invitation, Failure> {
    let invitation = answer.invitation.as_ref();
    invitation.ok_or_else(|| Failure::local("the answer has no invitation"))
}

impl Users {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let scoped = session.scoped().await?;
        match self {
            Self::Invite { name, email, external_id, classes, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let user = NewUser { name, email, external_id, classes };
                let answer = scoped.invite_user(&user).await?;
                let token = invited(&answer.value)?.token.clone();
                show_with_secret(session, &answer, &token, file, "/invitation/token")
            }
            Self::Upsert { external_id, name, email, classes } => {
                let user = UserUpsert { external_id, name, email, classes };
                session.screen.one(&scoped.upsert_user(&user).await?)
            }
            Self::Lookup { external_id } => {
                session.screen.one(&scoped.look_up_user(&external_id).await?)
            }
            Self::Reinvite { user, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let answer = scoped.invite_again(user).await?;
                let token = answer.value.token.clone();
                show_with_secret(session, &answer, &token, file, "/token")
            }
            Self::List(page) => session.screen.list(
                &scoped.users(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("E-MAIL", "/email"),
                    ("CLASSES", "/classes"),
                    ("STATE", "/state"),
                ],
            ),
            Self::Show { user } => session.screen.one(&scoped.user(user).await?),
            Self::Set { user, name, classes, version } => {
                if name.is_none() && classes.is_empty() {
                    return Err(Failure::usage("name what is to change: `--name` or `--class`"));
                }
                let classes = (!classes.is_empty()).then_some(classes);
                let change = UserChange { name, classes, state: None };
                let answer = scoped.change_user(user, &change, version.if_match()).await?;
                session.screen.one(&answer)
            }
            // Closing a door does not wait for who else has changed something.
            Self::Suspend { user, lift } => {
                let state = if lift { "active" } else { "suspended" };
                let change = UserChange { state: Some(state.to_owned()), ..UserChange::default() };
                session.screen.one(&scoped.change_user(user, &change, IfMatch::Any).await?)
            }
            Self::Remove { user } => {
                let change =
                    UserChange { state: Some("removed".to_owned()), ..UserChange::default() };
                session.screen.one(&scoped.change_user(user, &change, IfMatch::Any).await?)
            }
        }
    }
}
