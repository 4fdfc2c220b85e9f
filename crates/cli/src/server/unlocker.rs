//! Unlocking over HTTP: from the passphrase or key that came to the key that seals the root secret.

use async_trait::async_trait;
use strongroom_api::{SealProof, UnlockError, Unlocker};
use strongroom_crypto::{Key, seal_key};
use strongroom_keyring::SealMethod;
use strongroom_vault::{Vault, system};
use zeroize::Zeroizing;

/// Unlocks as the holder's file says.
pub(super) struct HolderUnlocker(pub(super) SealMethod);

#[async_trait]
impl Unlocker for HolderUnlocker {
    async fn unlock(&self, vault: &Vault, proof: SealProof<'_>) -> Result<(), UnlockError> {
        let key = match (proof, &self.0) {
            (SealProof::Key(text), _) => {
                seal_key::parse_file(text.expose()).map_err(|_| UnlockError::WrongKey)?
            }
            (SealProof::Passphrase(text), SealMethod::Passphrase(parameters)) => {
                let (parameters, passphrase) =
                    (*parameters, Zeroizing::new(text.expose().as_bytes().to_vec()));
                derived(move || parameters.derive(&passphrase)).await?
            }
            (SealProof::Passphrase(_), SealMethod::KeyFile) => return Err(UnlockError::WrongKey),
        };
        match system::unlock(vault, &key).await {
            Ok(unlocked) => {
                tracing::info!(number = unlocked.number, "unlocked");
                Ok(())
            }
            Err(rejected) => {
                if !rejected.is_wrong_key() {
                    tracing::error!(error = %rejected, "not unlocked");
                }
                Err(rejected.into())
            }
        }
    }
}

/// Derives on a thread that may be busy for a second.
async fn derived(
    derive: impl FnOnce() -> strongroom_crypto::Result<Key> + Send + 'static,
) -> Result<Key, UnlockError> {
    match tokio::task::spawn_blocking(derive).await {
        Ok(Ok(key)) => Ok(key),
        // A passphrase of a length that no passphrase has.
        Ok(Err(strongroom_crypto::Error::TooLong)) => Err(UnlockError::WrongKey),
        Ok(Err(error)) => Err(UnlockError::Unavailable(Box::new(error))),
        Err(error) => Err(UnlockError::Unavailable(Box::new(error))),
    }
}
