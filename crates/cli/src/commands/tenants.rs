//! `strongroom tenants`: the provider's clients.

use std::path::PathBuf;

use clap::Subcommand;
use strongroom_client::{NewOwner, NewTenant};
use strongroom_model::{BlueprintName, Email, Label, TenantId};

use crate::arguments::PageArguments;
use crate::commands::{recovery, secret_file, show_with_secret};
use crate::exit::Failure;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Tenants {
    /// Make a tenant; its owner's invitation is shown once
    Create {
        /// The tenant's name
        #[arg(long)]
        name: Label,
        /// The owner's name
        #[arg(long)]
        owner_name: Label,
        /// The owner's e-mail address
        #[arg(long)]
        owner_email: Email,
        /// Make it from this blueprint, in its newest version
        #[arg(long, value_name = "NAME")]
        blueprint: Option<BlueprintName>,
        /// Write the invitation's token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// List the tenants
    List(PageArguments),
    /// Show one tenant
    Show {
        /// The tenant's id
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: TenantId,
    },
    /// Invite the first owner again, where nobody has come in yet; the old invitation ends
    InviteOwner {
        /// The tenant's id
        #[arg(id = "tenant_id", value_name = "TENANT")]
        tenant: TenantId,
        /// Write the invitation's token to this new file instead of showing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
}

impl Tenants {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let client = &session.client;
        match self {
            Self::Create { name, owner_name, owner_email, blueprint, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let owner = NewOwner { name: owner_name, email: owner_email };
                let answer = client.create_tenant(&NewTenant { name, owner, blueprint }).await?;
                let token = answer.value.invitation.token.clone();
                show_with_secret(session, &answer, &token, file, "/invitation/token")
            }
            Self::List(page) => session.screen.list(
                &client.tenants(&page.page()).await?,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("STATE", "/state"),
                    ("CREATED", "/created_at"),
                ],
            ),
            Self::Show { tenant } => {
                let answer = client.tenant(tenant).await?;
                recovery::warn(answer.value.recovery.as_ref());
                session.screen.one(&answer)
            }
            Self::InviteOwner { tenant, secret_file: path } => {
                let file = secret_file(path.as_deref())?;
                let answer = client.invite_owner_again(tenant).await?;
                let token = answer.value.token.clone();
                show_with_secret(session, &answer, &token, file, "/token")
            }
        }
    }
}
