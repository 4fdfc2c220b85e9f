//! Bearer tokens: opaque, random, with a prefix that names their kind and a checksum, so that
//! scanners for secrets find them (`docs/formats/tokens.md`).

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use strongroom_crypto::{Key, mac};
use strongroom_model::{NoRandomness, Plaintext, Rng, TenantId, Timestamp};
use zeroize::Zeroizing;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A signed-in user.
    Session,
    /// An API key.
    ApiKey,
    /// A one-time invitation.
    Invitation,
    /// A backend of the provider.
    Backend,
}

impl TokenKind {
    /// What the token begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "srs_",
            Self::ApiKey => "srk_",
            Self::Invitation => "sri_",
            Self::Backend => "srb_",
        }
    }
}

/// A secret that is shown once.
pub struct Secret {
    /// The token.
    pub token: Plaintext<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a secret until {}", self.expires_at)
    }
}

const SECRET_BYTES: usize = 24;
const TOKEN_BYTES: usize = 16 + 16 + SECRET_BYTES + 4;

/// A parsed token: whose it is, and the secret that proves it.
pub struct Token {
    /// Its kind.
    pub kind: TokenKind,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The id of the session, key, invitation or backend.
    pub id: [u8; 16],
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token of kind {:?}", self.kind)
    }
}

impl Token {
    /// A new token.
    pub(crate) fn new(
        kind: TokenKind,
        tenant: TenantId,
        id: [u8; 16],
        rng: &dyn Rng,
    ) -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill(secret.as_mut())?;
        Ok(Self { kind, tenant, id, secret })
    }

    /// Reads a token. `None` for whatever is not one, without saying why.
    pub fn parse(text: &str) -> Option<Self> {
        let kinds =
            [TokenKind::Session, TokenKind::ApiKey, TokenKind::Invitation, TokenKind::Backend];
        let (kind, body) =
            kinds.into_iter().find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)))?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(body.as_bytes()).ok()?);
        let bytes: &[u8; TOKEN_BYTES] = bytes.as_slice().try_into().ok()?;
        let (tenant, rest) = bytes.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (secret, sum) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let token = Self {
            kind,
            tenant: TenantId::from_bytes(*tenant),
            id: *id,
            secret: Zeroizing::new(*secret),
        };
        (token.checksum() == sum).then_some(token)
    }

    /// The token as text, to be shown once.
    pub(crate) fn reveal(&self) -> Plaintext<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(TOKEN_BYTES));
        bytes.extend_from_slice(self.tenant.as_bytes());
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(self.secret.as_ref());
        bytes.extend_from_slice(&self.checksum());
        let mut text = String::with_capacity(4 + BASE64URL_NOPAD.encode_len(TOKEN_BYTES));
        text.push_str(self.kind.prefix());
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        Plaintext::new(text)
    }

    /// What is stored of it: an HMAC of the secret under a service key of the tenant.
    pub(crate) fn hash(&self, key: &Key) -> [u8; 32] {
        mac::hmac_sha256(key, &[self.kind.prefix().as_bytes(), &self.id, self.secret.as_ref()])
    }

    /// Whether this is the token that the stored hash was made of; compared in constant time.
    pub(crate) fn matches(&self, key: &Key, stored: &[u8; 32]) -> bool {
        mac::verify(&self.hash(key), stored)
    }

    fn checksum(&self) -> [u8; 4] {
        let mut crc = crc32fast::Hasher::new();
        for part in
            [self.kind.prefix().as_bytes(), self.tenant.as_bytes(), &self.id, self.secret.as_ref()]
        {
            crc.update(part);
        }
        crc.finalize().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_crypto::SystemRng;

    #[test]
    fn a_token_reads_back_and_a_mistyped_one_does_not() {
        let tenant = TenantId::from_bytes([7; 16]);
        let token = Token::new(TokenKind::ApiKey, tenant, [9; 16], &SystemRng::new()).unwrap();
        let text = token.reveal();
        let key = Key::generate(&SystemRng::new()).unwrap();
        let back = Token::parse(text.expose()).unwrap();
        assert_eq!((back.kind, back.tenant, back.id), (TokenKind::ApiKey, tenant, [9; 16]));
        assert!(back.matches(&key, &token.hash(&key)));
        for place in 0..text.expose().len() {
            let mut wrong = text.expose().clone().into_bytes();
            wrong[place] = if wrong[place] == b'A' { b'B' } else { b'A' };
            assert!(Token::parse(std::str::from_utf8(&wrong).unwrap()).is_none(), "{place}");
        }
    }
}
