//! Somebody who may manage users sees to it that the user of an external id is there as the product
//! knows them.

use strongroom_model::{ClassName, Email, ExternalId, Label, ManagedBy};

use crate::snapshot::Versioned;
use crate::users::change::{ChangeUser, change};
use crate::users::invite::{InviteUser, invite};
use crate::users::list::UserView;
use crate::users::lookup::find;
use crate::{Answer, Expected, TenantCtx, Vault, VaultError};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct UpsertUser {
    /// The id that the SaaS product has for them.
    pub external_id: ExternalId,
    /// Their name.
    pub name: Label,
    /// Their e-mail address, used where they are created.
    pub email: Option<Email>,
    /// The classes they are to have.
    pub classes: Vec<ClassName>,
}

/// What became of it.
#[derive(Debug)]
pub enum UpsertedUser {
    /// They were created: active, looked after by a backend.
    Created(Versioned<UserView>),
    /// They were there and have been changed.
    Changed(Versioned<UserView>),
}

/// Creates the user of an external id, looked after by a backend, or gives the one who has it this name
/// and these classes. Where they stand stays: nobody who is suspended comes back by it.
///
/// # Errors
/// As for [`invite`] and [`change`].
pub async fn upsert(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: UpsertUser,
) -> Result<Answer<UpsertedUser>, VaultError> {
    if find(vault, ctx, &wanted.external_id).await?.is_none() {
        let new = InviteUser {
            name: wanted.name.clone(),
            email: wanted.email.clone(),
            external_id: Some(wanted.external_id.clone()),
            classes: wanted.classes.clone(),
            managed_by: Some(ManagedBy::Backend),
            idempotency: None,
        };
        match invite(vault, ctx, new).await {
            // Somebody else created them meanwhile.
            Err(VaultError::WrongState { code: "external_id_taken", .. }) => {}
            made => {
                return made.map(|made| Answer {
                    value: UpsertedUser::Created(made.value.user),
                    lines: made.lines,
                });
            }
        }
    }
    let user = find(vault, ctx, &wanted.external_id).await?.ok_or(VaultError::Conflict)?;
    let wanted = ChangeUser {
        user,
        expected: Expected::Any,
        name: Some(wanted.name),
        classes: Some(wanted.classes),
        state: None,
    };
    let changed = change(vault, ctx, wanted).await?;
    Ok(Answer { value: UpsertedUser::Changed(changed.value), lines: changed.lines })
}
