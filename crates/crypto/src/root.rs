//! The root secret, made of one share of every holder class.

use strongroom_model::InstallId;
use zeroize::Zeroizing;

use crate::wiping::scrub_after_hash;
use crate::{Error, Key, Result, hkdf, labels};

/// `HKDF-SHA-256(salt = install 16, ikm = (class u8 | share 32)*, info = "sr1/root\0" | number u64 |
/// count u8)`, the shares ascending by class: whoever lacks one class has nothing.
///
/// # Errors
/// [`Error::Misuse`] if there is no share, or the classes do not ascend strictly.
pub fn derive(install: InstallId, number: u64, shares: &[(u8, &Key)]) -> Result<Key> {
    let ascending =
        shares.iter().zip(shares.iter().skip(1)).all(|((one, _), (next, _))| one < next);
    if shares.is_empty() || !ascending {
        return Err(Error::Misuse("shares are not one of every class in ascending order"));
    }
    let count = u8::try_from(shares.len()).map_err(|_| Error::TooLong)?;
    let ikm: Vec<&[u8]> = shares
        .iter()
        .flat_map(|(class, share)| [std::slice::from_ref(class), share.expose().as_slice()])
        .collect();
    let info = [labels::ROOT, &number.to_be_bytes(), &[count]];
    Ok(scrub_after_hash(|| {
        let mut prk = Zeroizing::new([0; 32]);
        hkdf::extract_sha256(install.as_bytes(), &ikm, &mut prk);
        Key::build(|root| hkdf::expand_sha256(prk.as_slice(), &info, root))
    }))
}
