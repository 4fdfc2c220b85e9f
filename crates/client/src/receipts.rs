//! Receipts: signed statements of what was erased.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_model::ReceiptId;

use crate::call::Call;
use crate::{Answer, ClientError, Scoped};

/// A signed statement of what was erased.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// Its id.
    pub id: ReceiptId,
    /// The signed bytes as text; this is what can be verified.
    pub armored: String,
    /// The same, readable; only as good as the server that sent it.
    pub receipt: Value,
}

impl Scoped<'_> {
    /// One receipt.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipt(&self, receipt: ReceiptId) -> Result<Answer<Receipt>, ClientError> {
        Call::get(self.client, self.path(&format!("receipts/{receipt}"))).read().await
    }
}
