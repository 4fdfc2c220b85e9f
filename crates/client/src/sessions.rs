//! Sessions: signing out.

use crate::call::Call;
use crate::{Answer, ClientError, Scoped};

impl Scoped<'_> {
    /// Ends the session whose token the client has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_out(&self) -> Result<Answer<()>, ClientError> {
        Call::delete(self.client, self.path("sessions/current")).done().await
    }
}
