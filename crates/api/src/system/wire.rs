//! The server itself as JSON.

use serde::{Deserialize, Serialize};
use strongroom_model::InstallId;
use strongroom_vault::system;
use utoipa::ToSchema;

use crate::extract::FromBody;
use crate::limits::PUBLIC_BYTES_MAX;
use crate::problem::Problem;
use crate::unlocker::SealProof;
use crate::wire::SentSecret;

/// What proves that somebody may unlock the server: the passphrase or the key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unlocking {
    /// The passphrase of the holders.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    passphrase: Option<SentSecret>,
    /// The seal key itself.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "strongroom-seal-key-1-…")]
    key: Option<SentSecret>,
}

impl FromBody for Unlocking {
    const BYTES_MAX: usize = PUBLIC_BYTES_MAX;
}

impl Unlocking {
    /// The proof.
    ///
    /// # Errors
    /// 422 if there is none, or more than one.
    pub(crate) fn proof(&self) -> Result<SealProof<'_>, Problem> {
        match (&self.passphrase, &self.key) {
            (Some(passphrase), None) => Ok(SealProof::Passphrase(passphrase.inner())),
            (None, Some(key)) => Ok(SealProof::Key(key.inner())),
            (Some(_), Some(_)) | (None, None) => {
                Err(Problem::invalid_at("", "either `passphrase` or `key` unlocks the server"))
            }
        }
    }
}

/// Whether the server is locked.
#[derive(Serialize, ToSchema)]
pub(crate) struct Locked {
    /// Whether its keys are not loaded.
    pub(crate) locked: bool,
}

/// How the server stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    /// Whether its keys are not loaded.
    locked: bool,
    /// The installation.
    #[schema(value_type = String)]
    install: InstallId,
    /// The version of the server.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The number of the root secret in force; null while locked.
    number: Option<u64>,
}

impl From<system::Status> for Status {
    fn from(status: system::Status) -> Self {
        let system::Status { locked, install, number } = status;
        Self { locked, install, version: env!("CARGO_PKG_VERSION"), number }
    }
}

/// The key with which receipts are verified.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptKey {
    /// `ed25519` (RFC 8032).
    algorithm: &'static str,
    /// The public key: 32 bytes in base64 (RFC 4648).
    public_key: String,
}

impl From<[u8; 32]> for ReceiptKey {
    fn from(key: [u8; 32]) -> Self {
        Self { algorithm: "ed25519", public_key: base64(&key) }
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| {
        let place = usize::try_from(bits & 63).unwrap_or(0);
        char::from(LETTERS.get(place).copied().unwrap_or(b'A'))
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut places = group.iter().map(|byte| u32::from(*byte));
        let mut next = || places.next().unwrap_or(0);
        let bits = (next() << 16) | (next() << 8) | next();
        text.push(letter(bits >> 18));
        text.push(letter(bits >> 12));
        text.push(if group.len() > 1 { letter(bits >> 6) } else { '=' });
        text.push(if group.len() > 2 { letter(bits) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
