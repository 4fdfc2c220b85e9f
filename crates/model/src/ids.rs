//! One id type per kind of thing, so that a record's id cannot stand in a tenant's place.
//!
//! An id is 128 random or time-ordered bits. In text it is a prefix that names its kind and 26
//! characters of lower-case Crockford base32, the form of the TypeID specification 0.3.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Malformed, NoRandomness, Rng, Timestamp};

/// Lower-case Crockford base32: no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Characters of 128 bits in base32; the first one carries three bits only.
const ENCODED: usize = 26;

fn encode(id: u128) -> [u8; ENCODED] {
    let mut left = id;
    let mut text = [0; ENCODED];
    for character in text.iter_mut().rev() {
        let digit = usize::try_from(left & 31).unwrap_or(0);
        *character = ALPHABET.get(digit).copied().unwrap_or(b'0');
        left >>= 5;
    }
    text
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != ENCODED || text.as_bytes().first().is_some_and(|first| *first > b'7') {
        return None;
    }
    text.bytes().try_fold(0u128, |id, byte| Some((id << 5) | u128::from(digit(byte)?)))
}

/// The place of a character in the alphabet.
const fn digit(character: u8) -> Option<u8> {
    Some(match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'h' => character - b'a' + 10,
        b'j' | b'k' => character - b'j' + 18,
        b'm' | b'n' => character - b'm' + 20,
        b'p'..=b't' => character - b'p' + 22,
        b'v'..=b'z' => character - b'v' + 27,
        _ => return None,
    })
}

/// A version 7 id (RFC 9562): 48 bits of milliseconds, then randomness, so that rows made together
/// lie together.
fn time_ordered(now: Timestamp, rng: &dyn Rng) -> Result<Uuid, NoRandomness> {
    let mut random = [0; 10];
    rng.fill(&mut random)?;
    let micros = u64::try_from(now.as_micros()).unwrap_or(0);
    // Method 3 of RFC 9562, 6.2: the 12 bits after the milliseconds are a fraction of one, so that
    // what one request makes keeps its order.
    let [_, _, _, _, _, _, high, low] = (micros % 1000 * 4096 / 1000).to_be_bytes();
    if let Some(fraction) = random.first_chunk_mut::<2>() {
        *fraction = [high, low];
    }
    let milliseconds = micros / 1000;
    Ok(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
}

/// A version 4 id: nothing but randomness, for what must not show when it came to be.
fn random(rng: &dyn Rng) -> Result<Uuid, NoRandomness> {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $make:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What its text begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id.
            ///
            /// # Errors
            /// [`NoRandomness`] if the random generator fails.
            pub fn new(now: Timestamp, rng: &dyn Rng) -> Result<Self, NoRandomness> {
                let _ = now;
                id!(@make $make, now, rng).map(Self)
            }

            /// The id with these 16 bytes, as they stand in row keys and contexts.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(str::from_utf8(&encode(self.0.as_u128())).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                text.strip_prefix($prefix)
                    .and_then(decode)
                    .map(|id| Self(Uuid::from_u128(id)))
                    .ok_or(Malformed(concat!("not an id of the form `", $prefix, "` and 26 characters")))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self, to: &mut minicbor::Encoder<W>, _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                to.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(from: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                from.bytes()?
                    .try_into()
                    .map(Self::from_bytes)
                    .map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "[0-7][0-9a-hjkmnp-tv-z]{25}$")))
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
    (@make time_ordered, $now:ident, $rng:ident) => { time_ordered($now, $rng) };
    (@make random, $now:ident, $rng:ident) => { random($rng) };
}

id!(/** One installation: every sealed message is bound to it. */ InstallId, "ins_", random);
id!(/** One client of the provider. */ TenantId, "ten_", random);
id!(/** A person who signs in. */ UserId, "usr_", random);
id!(/** A person whom records are about; random, so that it says nothing about when or who. */ SubjectId, "sub_", random);
id!(/** One entry of a collection. */ RecordId, "rec_", time_ordered);
id!(/** A file of a record: its bytes lie under this id. Random, so that it says nothing about when or whose. */ FileId, "fil_", random);
id!(/** An API key. */ KeyId, "key_", time_ordered);
id!(/** A signed-in user's session. */ SessionId, "ses_", time_ordered);
id!(/** A one-time invitation. */ InvitationId, "inv_", time_ordered);
id!(/** A permission class. */ ClassId, "cls_", time_ordered);
id!(/** A collection. */ CollectionId, "col_", time_ordered);
id!(/** An erasure: asked for, under way or done. */ ErasureId, "ers_", random);
id!(/** A signed receipt. */ ReceiptId, "rcp_", random);
id!(/** A support grant. */ GrantId, "grt_", time_ordered);
id!(/** A backend of the provider. */ BackendId, "bck_", time_ordered);
id!(/** A blueprint of the provider. */ BlueprintId, "bpr_", time_ordered);
id!(/** A third party admitted by a tenant. */ ConnectionId, "con_", time_ordered);
id!(/** A long-running piece of work. */ JobId, "job_", time_ordered);
id!(/** One HTTP request, as logs and problem documents name it. */ RequestId, "req_", random);

impl TenantId {
    /// The provider: a tenant without collections, whose trees hold the keys of provider rows.
    pub const PROVIDER: Self = Self(Uuid::nil());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the "valid" vectors of the TypeID specification.
    #[test]
    fn ids_read_and_write_the_typeid_vectors() {
        for (uuid, suffix) in [
            ("00000000-0000-0000-0000-000000000000", "00000000000000000000000000"),
            ("00000000-0000-0000-0000-000000000001", "00000000000000000000000001"),
            ("00000000-0000-0000-0000-00000000000a", "0000000000000000000000000a"),
            ("00000000-0000-0000-0000-000000000020", "00000000000000000000000010"),
            ("ffffffff-ffff-ffff-ffff-ffffffffffff", "7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("01890a5d-ac96-774b-bcce-b302099a8057", "01h455vb4pex5vsknk084sn02q"),
        ] {
            let id = RecordId(uuid.parse().unwrap());
            assert_eq!(id.to_string(), format!("rec_{suffix}"));
            assert_eq!(format!("rec_{suffix}").parse(), Ok(id));
        }
    }

    #[test]
    fn every_character_of_the_alphabet_is_its_own_digit_and_no_other_is_one() {
        for byte in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|known| *known == byte);
            assert_eq!(digit(byte).map(usize::from), place, "{byte}");
        }
    }

    #[test]
    fn what_is_no_id_of_this_kind_is_refused() {
        for wrong in [
            "",
            "rec_",
            "01h455vb4pex5vsknk084sn02q",
            "usr_01h455vb4pex5vsknk084sn02q",
            "rec_81h455vb4pex5vsknk084sn02q",
            "rec_01H455VB4PEX5VSKNK084SN02Q",
            "rec_01h455vb4pex5vsknk084sn02",
            "rec_01h455vb4pex5vsknk084sn02qq",
            "rec_01h455vb4pex5vsknk084sn02i",
            "rec_01h455vb4pex5vsknk084sn0é",
        ] {
            assert!(wrong.parse::<RecordId>().is_err(), "{wrong}");
        }
    }
}
