//! `strongroom recovery`: a new owner for a tenant whose owners cannot come in any more.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::{IfMatch, RecoveredOwner, RecoveryNotice};
use strongroom_model::{Email, Label, TenantId};

use crate::commands::{secret_file, show_with_secret};
use crate::exit::Failure;
use crate::screen::say;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Ask for it, as an operator; everybody of the tenant is told
    Start {
        /// The tenant's id
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: TenantId,
        /// Why, in a line that the tenant reads
        #[arg(long = "because", value_name = "TEXT")]
        why: Label,
    },
    /// Approve it, as another operator than the one who asked; 72 hours begin
    Approve {
        /// The tenant's id
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: TenantId,
        /// Only the version that you have seen
        #[arg(long, value_name = "VERSION")]
        if_version: u64,
    },
    /// Show how the last recovery of the tenant's owner stands
    Show {
        /// The tenant's id; the token's own if it is left out
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: Option<TenantId>,
    },
    /// Invite the new owner, as one of the two operators, when the 72 hours are over
    Redeem {
        /// The tenant's id
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: TenantId,
        /// The new owner's name
        #[arg(long)]
        owner_name: Label,
        /// The new owner's e-mail address, which nobody of the tenant has
        #[arg(long)]
        owner_email: Option<Email>,
        /// Write the invitation's token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Stop it, as somebody of the tenant who may manage users, or as an operator
    Stop {
        /// The tenant's id; the token's own if it is left out
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: Option<TenantId>,
    },
}

impl Recovery {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        match self {
            Self::Start { tenant, why } => {
                session.screen.one(&client.start_recovery(tenant, &why).await?)
            }
            Self::Approve { tenant, if_version } => {
                let version = IfMatch::Version(if_version);
                session.screen.one(&client.approve_recovery(tenant, version).await?)
            }
            Self::Show { tenant } => {
                let tenant = session.tenant(tenant).await?;
                session.screen.one(&client.recovery(tenant).await?)
            }
            Self::Redeem { tenant, owner_name, owner_email, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let owner = RecoveredOwner { name: owner_name, email: owner_email };
                let answer = client.redeem_recovery(tenant, &owner).await?;
                let token = answer.value.invitation.token.clone();
                show_with_secret(session, &answer, &token, file, "/invitation/token")
            }
            Self::Stop { tenant } => {
                let tenant = session.tenant(tenant).await?;
                let answer = client.stop_recovery(tenant).await?;
                session.screen.done(&answer, &format!("the recovery at {tenant} is stopped"));
                Ok(())
            }
        }
    }
}

/// Warns of a recovery that is under way.
pub(crate) fn warn(notice: Option<&RecoveryNotice>) {
    let Some(RecoveryNotice { state, opens_at }) = notice else { return };
    let when = opens_at.as_deref().map_or_else(
        || "when a second operator approves it and 72 hours have passed".to_owned(),
        |opens| format!("from {opens} on"),
    );
    say(&format!(
        "warning: operators want to let a new owner into this tenant (the recovery is `{state}`), {when}; \
         whoever may manage users can stop it with `strongroom recovery stop`"
    ));
}
