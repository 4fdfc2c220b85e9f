//! The audit log: who did what, and what they saw.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::{Answer, ClientError, Listed, Page, Scoped};

/// One line of the log. It has ids and commitments, never values.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditLine {
    /// When, RFC 3339.
    pub time: String,
    /// The chain it stands in.
    pub node: u64,
    /// Its place in that chain.
    pub n: u64,
    /// Its tag, hexadecimal.
    pub tag: String,
    /// Who.
    #[serde(default)]
    pub principal: Value,
    /// For which user, where somebody acted for one.
    #[serde(default)]
    pub acting_for: Value,
    /// Through what it came in, where that is not its own tenant.
    #[serde(default)]
    pub through: Value,
    /// What.
    #[serde(default)]
    pub action: Value,
    /// Whether it was allowed.
    #[serde(default)]
    pub outcome: Value,
    /// The case, where it was refused.
    #[serde(default)]
    pub code: Value,
    /// For which purpose.
    #[serde(default)]
    pub purpose: Value,
    /// On what.
    #[serde(default)]
    pub object: Value,
    /// Which fields of which records were seen.
    #[serde(default)]
    pub touches: Vec<Touch>,
}

/// Which fields of a record somebody saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Touch {
    /// The record.
    pub record: String,
    /// Numbers of the fields seen in the clear.
    #[serde(default)]
    pub clear: Vec<u32>,
    /// Numbers of the fields seen masked.
    #[serde(default)]
    pub masked: Vec<u32>,
}

impl Scoped<'_> {
    /// The log, newest lines as the server orders them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(&self, page: &Page) -> Result<Answer<Listed<AuditLine>>, ClientError> {
        Call::get(self.client, self.path("audit")).query(page.query()).read().await
    }
}
