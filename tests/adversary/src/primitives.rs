//! The functions under the formats, from another library than the product's where there is one.

use ring::{aead, digest, hkdf, hmac};

/// A key, a seed or a share.
pub type Secret = [u8; 32];

/// Length of what is derived for one message: message key, nonce, commitment.
pub(crate) const OKM: usize = 76;
/// Length of the tag of AES-256-GCM.
pub(crate) const TAG: usize = 16;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

pub(crate) fn hmac_sha256(key: &Secret, parts: &[&[u8]]) -> Secret {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// HKDF-Expand with SHA-512 for streams, with SHA-256 for record bodies.
pub(crate) fn expand(algorithm: hkdf::Algorithm, key: &Secret, info: &[&[u8]]) -> [u8; OKM] {
    let mut okm = [0; OKM];
    let prk = hkdf::Prk::new_less_safe(algorithm, key);
    let filled = prk.expand(info, Length(OKM)).and_then(|out| out.fill(&mut okm));
    // 76 bytes are never too many.
    debug_assert!(filled.is_ok());
    okm
}

/// The root secret of a number, from one share of each class, ascending by class.
pub(crate) fn root(install: &[u8; 16], number: u64, shares: &[(u8, Secret)]) -> Option<Secret> {
    let material: Vec<u8> =
        shares.iter().flat_map(|(class, share)| [&[*class][..], share].concat()).collect();
    let count = u8::try_from(shares.len()).ok()?;
    let info: [&[u8]; 3] = [b"sr1/root\0", &number.to_be_bytes(), &[count]];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, install).extract(&material);
    let mut root = [0; 32];
    prk.expand(&info, Length(32)).ok()?.fill(&mut root).ok()?;
    Some(root)
}

/// AES-256-GCM, opening only.
pub(crate) struct Opener(aead::LessSafeKey);

impl Opener {
    pub(crate) fn new(key: &Secret) -> Option<Self> {
        aead::UnboundKey::new(&aead::AES_256_GCM, key).ok().map(aead::LessSafeKey::new).map(Self)
    }

    /// The plaintext of `sealed`, a ciphertext with its tag.
    pub(crate) fn open(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        sealed: &[u8],
    ) -> Option<Vec<u8>> {
        let mut buffer = sealed.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let length =
            self.0.open_in_place(nonce, aead::Aad::from(associated), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }
}
