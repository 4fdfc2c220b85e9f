//! The server itself: locked or not, who is asking, with which key it signs.

use serde::{Deserialize, Serialize};

use strongroom_model::{BackupPlaceName, Timestamp};

use crate::call::Call;
use crate::{Answer, Client, ClientError, Job, Secret, certificate};

/// How the server is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Whether its keys are not loaded.
    pub locked: bool,
    /// The installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// The program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The number of the root secret in force, if the server is unlocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// What unlocks the server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlocking {
    /// The passphrase.
    Passphrase(Secret),
    /// The text of the seal key file.
    Key(Secret),
}

/// The key that receipts are signed with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptKey {
    /// `ed25519`.
    pub algorithm: String,
    /// The public key, base64.
    pub public_key: String,
}

/// Who is asking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Whoami {
    /// Whose credential it is: a tenant's id, or `provider`.
    pub tenant: String,
    /// The principal.
    pub principal: PrincipalShown,
    /// The user, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<serde_json::Value>,
    /// In whose name it acts: `itself` or `for_users`.
    #[serde(default)]
    pub acts: String,
    /// The classes held.
    #[serde(default)]
    pub classes: Vec<SeenClass>,
    /// When the credential ends, RFC 3339.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// That the recovery of an owner of its tenant is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<crate::RecoveryNotice>,
}

/// A principal: what kind, and which.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrincipalShown {
    /// `user`, `api-key`, `operator` and so on.
    pub kind: String,
    /// Its id, if it has one.
    #[serde(default)]
    pub id: Option<String>,
}

/// A class that somebody holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeenClass {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Client {
    /// When the certificate ends that the server shows; nothing if it speaks no TLS, or if the
    /// certificate says no end that can be read.
    ///
    /// # Errors
    /// What [`ClientError`] says.
    pub async fn certificate_ends_at(&self) -> Result<Option<Timestamp>, ClientError> {
        let shown = Call::get(self, "/v1/system/health".to_owned()).certificate().await?;
        Ok(shown.and_then(|der| certificate::ends_at(&der)))
    }

    /// How the server is. Needs no token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<Answer<Status>, ClientError> {
        Call::get(self, "/v1/system/status".to_owned()).read().await
    }

    /// Loads the server's keys. Needs no token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unlock(&self, with: &Unlocking) -> Result<Answer<Status>, ClientError> {
        Call::ask_once(self, "/v1/system/unlock".to_owned()).json(with)?.read().await
    }

    /// Drops the server's keys: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn lock(&self) -> Result<Answer<Status>, ClientError> {
        Call::ask(self, "/v1/system/lock".to_owned()).read().await
    }

    /// Makes a backup at a place that the server's configuration names: for operators.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn back_up(&self, place: &BackupPlaceName) -> Result<Answer<Job>, ClientError> {
        let wanted = serde_json::json!({ "place": place });
        Call::post(self, "/v1/system/backups".to_owned())?.json(&wanted)?.read().await
    }

    /// The key that receipts are signed with. Needs no token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipt_key(&self) -> Result<Answer<ReceiptKey>, ClientError> {
        Call::get(self, "/v1/system/receipt-key".to_owned()).read().await
    }

    /// Whose token the client has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn whoami(&self) -> Result<Answer<Whoami>, ClientError> {
        Call::get(self, "/v1/whoami".to_owned()).read().await
    }
}
