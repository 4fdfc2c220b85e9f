//! Users: people who sign in.

use serde::{Deserialize, Serialize};
use strongroom_model::{ClassName, Email, ExternalId, Label, UserId};

use crate::call::Call;
use crate::{Answer, ClientError, IfMatch, Invitation, Listed, Page, Scoped};

/// A person who signs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The id that the SaaS product has for them.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The names of their classes.
    pub classes: Vec<String>,
    /// Where they stand: `invited`, `active`, `suspended`, `removed`.
    pub state: String,
    /// By whom they are looked after instead of signing in: `backend`.
    #[serde(default)]
    pub managed_by: Option<String>,
    /// When they were invited, RFC 3339.
    pub created_at: String,
    /// For people of the provider: when somebody else last let them in, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_in_at: Option<String>,
}

/// A user to be invited.
#[derive(Debug, Clone, Serialize)]
pub struct NewUser {
    /// Their name.
    pub name: Label,
    /// Their e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The id that the SaaS product has for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// Their classes.
    pub classes: Vec<ClassName>,
}

/// A user who was invited, with the invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewUserAnswer {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The invitation; shown this once. None for a user who is looked after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
}

/// A user as the product knows them.
#[derive(Debug, Clone, Serialize)]
pub struct UserUpsert {
    /// The id that the SaaS product has for them.
    pub external_id: ExternalId,
    /// Their name.
    pub name: Label,
    /// Their e-mail address, where they are created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Their classes.
    pub classes: Vec<ClassName>,
}

/// What is to change about a user; what is absent stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UserChange {
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
    /// Other classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<ClassName>>,
    /// Another state: `active`, `suspended` or `removed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Scoped<'_> {
    /// Invites a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite_user(&self, user: &NewUser) -> Result<Answer<NewUserAnswer>, ClientError> {
        Call::post(self.client, self.path("users"))?.json(user)?.read().await
    }

    /// Creates the user of an external id, looked after by a backend, or gives the one who has it this
    /// name and these classes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upsert_user(&self, user: &UserUpsert) -> Result<Answer<User>, ClientError> {
        Call::put(self.client, self.path("users:upsert")).json(user)?.read().await
    }

    /// The users.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn users(&self, page: &Page) -> Result<Answer<Listed<User>>, ClientError> {
        Call::get(self.client, self.path("users")).query(page.query()).read().await
    }

    /// One user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn user(&self, user: UserId) -> Result<Answer<User>, ClientError> {
        Call::get(self.client, self.path(&format!("users/{user}"))).read().await
    }

    /// The user that has this external id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn look_up_user(
        &self,
        external_id: &ExternalId,
    ) -> Result<Answer<User>, ClientError> {
        #[derive(Serialize)]
        struct Body<'b> {
            external_id: &'b ExternalId,
        }
        let path = self.path("users:lookup");
        Call::look(self.client, path).json(&Body { external_id })?.read().await
    }

    /// Changes a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_user(
        &self,
        user: UserId,
        change: &UserChange,
        version: IfMatch,
    ) -> Result<Answer<User>, ClientError> {
        let path = self.path(&format!("users/{user}"));
        Call::patch(self.client, path).if_match(version).json(change)?.read().await
    }
}
