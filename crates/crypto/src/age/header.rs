//! The header of an age file: the file key, wrapped for each recipient.

use data_encoding::BASE64_NOPAD;
use strongroom_model::{Rng, Wiping};

use super::keys::{Identity, Recipient, public, shared};
use super::payload::Chacha;
use crate::wiping::scrub_after_hash;
use crate::{Error, Key, Result, hkdf, mac};

/// The secret of one file, from which its keys are derived.
pub(super) type FileKey = Wiping<[u8; FILE_KEY]>;

/// Length of a file key.
const FILE_KEY: usize = 16;
/// Length of a wrapped file key: with its tag.
const WRAPPED: usize = FILE_KEY + Chacha::TAG;
/// The first line of every file of this version.
const VERSION_LINE: &str = "age-encryption.org/v1";
/// What a stanza begins with.
const STANZA: &str = "-> ";
/// The type of the stanzas that are written and understood here.
const X25519: &str = "X25519";
/// What the last line begins with; the code that authenticates the header covers it.
const MAC_LINE: &str = "---";
/// Columns of a stanza's body: a line that is shorter ends it.
const COLUMNS: usize = 64;
/// Where the wrapping key of a stanza comes from.
const WRAP_INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// Where the key comes from that authenticates the header.
const MAC_INFO: &[u8] = b"header";

/// A new file key and the header that wraps it for these recipients.
pub(super) fn write(recipients: &[Recipient], rng: &dyn Rng, out: &mut Vec<u8>) -> Result<FileKey> {
    if recipients.is_empty() || recipients.len() > super::RECIPIENTS_MAX {
        return Err(Error::Misuse("an age file has 1 to 20 recipients"));
    }
    let mut file_key = FileKey::new([0; FILE_KEY]);
    rng.fill(&mut *file_key)?;
    let begin = out.len();
    out.extend_from_slice(VERSION_LINE.as_bytes());
    out.push(b'\n');
    for recipient in recipients {
        let ephemeral = Key::generate(rng)?;
        let share = public(&ephemeral);
        let shared = shared(&ephemeral, &recipient.0)
            .ok_or(Error::Misuse("a recipient is a key of small order"))?;
        let mut wrapped = file_key.to_vec();
        let wrapping = Chacha::new(&wrapping_key(&shared, &share, &recipient.0))?;
        wrapping.seal(&[0; Chacha::NONCE], &mut wrapped)?;
        for part in [STANZA, X25519, " ", &BASE64_NOPAD.encode(&share), "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        // 43 columns: it ends with its first line.
        out.extend_from_slice(BASE64_NOPAD.encode(&wrapped).as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(MAC_LINE.as_bytes());
    let code = authenticate(&file_key, out.get(begin..).unwrap_or_default());
    out.push(b' ');
    out.extend_from_slice(BASE64_NOPAD.encode(&code).as_bytes());
    out.push(b'\n');
    Ok(file_key)
}

/// Whether a header ends with the last of these bytes.
pub(super) fn has_ended(bytes: &[u8]) -> bool {
    let Some(lines) = bytes.strip_suffix(b"\n") else { return false };
    let last = lines.rsplit(|byte| *byte == b'\n').next();
    last.is_some_and(|line| line.starts_with(MAC_LINE.as_bytes()))
}

/// The file key that a header wraps for one of these identities.
///
/// # Errors
/// [`Error::Damaged`] for what is no header, or wraps nothing for any of them.
pub(super) fn open(header: &[u8], identities: &[Identity]) -> Result<FileKey> {
    let text = std::str::from_utf8(header).map_err(|_| Error::Damaged)?;
    let text = text.strip_suffix('\n').ok_or(Error::Damaged)?;
    let (covered, code) = text.rsplit_once(' ').ok_or(Error::Damaged)?;
    let code = exactly::<32>(code).ok_or(Error::Damaged)?;
    let mut lines = covered.split('\n');
    if lines.next() != Some(VERSION_LINE) {
        return Err(Error::Damaged);
    }
    let mut opened = None;
    loop {
        let line = lines.next().ok_or(Error::Damaged)?;
        if line == MAC_LINE {
            break;
        }
        let arguments = line.strip_prefix(STANZA).ok_or(Error::Damaged)?;
        let body = body(&mut lines)?;
        if !arguments.split(' ').all(is_argument) {
            return Err(Error::Damaged);
        }
        let mut arguments = arguments.split(' ');
        if arguments.next() != Some(X25519) {
            continue;
        }
        let (Some(share), None) = (arguments.next(), arguments.next()) else {
            return Err(Error::Damaged);
        };
        let share = exactly::<32>(share).ok_or(Error::Damaged)?;
        let wrapped: [u8; WRAPPED] = body.try_into().map_err(|_| Error::Damaged)?;
        for identity in identities {
            let found = unwrap(identity, &share, &wrapped)?;
            opened = opened.or(found);
        }
    }
    if lines.next().is_some() {
        return Err(Error::Damaged);
    }
    let file_key = opened.ok_or(Error::Damaged)?;
    if mac::verify(&authenticate(&file_key, covered.as_bytes()), &code) {
        Ok(file_key)
    } else {
        Err(Error::Damaged)
    }
}

/// The body of a stanza: lines of 64 columns, and one that is shorter.
fn body<'h>(lines: &mut impl Iterator<Item = &'h str>) -> Result<Vec<u8>> {
    let mut text = String::new();
    loop {
        let line = lines.next().ok_or(Error::Damaged)?;
        if line.len() > COLUMNS {
            return Err(Error::Damaged);
        }
        text.push_str(line);
        if line.len() < COLUMNS {
            return BASE64_NOPAD.decode(text.as_bytes()).map_err(|_| Error::Damaged);
        }
    }
}

fn is_argument(argument: &str) -> bool {
    !argument.is_empty() && argument.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Base64 of exactly so many bytes.
fn exactly<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// The file key, if it is wrapped for this identity.
///
/// # Errors
/// [`Error::Damaged`] for a share that no sender makes.
fn unwrap(
    identity: &Identity,
    share: &[u8; 32],
    wrapped: &[u8; WRAPPED],
) -> Result<Option<FileKey>> {
    let shared = shared(&identity.0, share).ok_or(Error::Damaged)?;
    let recipient = identity.recipient();
    let wrapping = Chacha::new(&wrapping_key(&shared, share, &recipient.0))?;
    let mut opened = Wiping::new(wrapped.to_vec());
    if wrapping.open(&[0; Chacha::NONCE], &mut opened).is_err() {
        return Ok(None);
    }
    let mut file_key = FileKey::new([0; FILE_KEY]);
    file_key.iter_mut().zip(opened.iter()).for_each(|(to, from)| *to = *from);
    Ok(Some(file_key))
}

fn wrapping_key(shared: &Key, share: &[u8; 32], recipient: &[u8; 32]) -> Key {
    derive(shared.expose(), &[*share, *recipient].concat(), WRAP_INFO)
}

/// `HMAC-SHA-256(HKDF(file key, "", "header"), header up to and with "---")`.
fn authenticate(file_key: &FileKey, covered: &[u8]) -> [u8; 32] {
    mac::hmac_sha256(&derive(&**file_key, &[], MAC_INFO), &[covered])
}

/// `HKDF-SHA-256(secret, salt, info)`, 32 bytes.
pub(super) fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Key {
    Key::build(|key| {
        scrub_after_hash(|| {
            let mut extracted = Wiping::new([0; 32]);
            hkdf::extract_sha256(salt, &[secret], &mut extracted);
            hkdf::expand_sha256(&*extracted, &[info], key);
        });
    })
}
