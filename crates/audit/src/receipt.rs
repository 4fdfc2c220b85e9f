//! Erasure receipts: what was carried out, signed; `docs/formats/receipt.md` has the bytes.
//!
//! A receipt claims that the protocol was carried out. It never claims that no copy exists.

use data_encoding::BASE64;
use strongroom_crypto::layout::{Reader, Writer};
use strongroom_crypto::sign::{self, SIGNATURE, SigningKey};
use strongroom_model::{
    CollectionNumber, ErasureGround, ErasureId, InstallId, ReceiptId, TenantId, Timestamp,
};

use crate::position::Position;
use crate::{Error, Result};

/// First bytes of every receipt.
const MAGIC: &[u8; 4] = b"SRRC";
/// Version of this layout.
const VERSION: u8 = 1;
/// What stands before the signed bytes, so that a signature of something else is not one of a receipt.
const DOMAIN: &[u8] = b"strongroom/v1/receipt\0";
/// Most holder classes on a receipt.
pub const HOLDERS_MAX: usize = 32;

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The receipt.
    pub id: ReceiptId,
    /// The installation that erased.
    pub install: InstallId,
    /// The tenant whose data it was.
    pub tenant: TenantId,
    /// The erasure that this is the receipt of.
    pub erasure: ErasureId,
    /// What was erased.
    pub scope: Scope,
    /// Why.
    pub ground: ErasureGround,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When access was closed.
    pub fenced_at: Timestamp,
    /// When the last holder that counts had forgotten; none while the state is partial.
    pub forgotten_at: Option<Timestamp>,
    /// The number of the root secret that was forgotten.
    pub number_before: u64,
    /// The number of the root secret in force since.
    pub number_after: u64,
    /// Whether everything that counts has forgotten.
    pub state: ReceiptState,
    /// The holder classes, ascending by class, and how far each has come.
    pub holders: Vec<Holder>,
    /// How many index pages were given new keys because they held entries of the target.
    pub index_pages: u32,
    /// Until when it shows which index pages were touched, if any were.
    pub index_residue_until: Option<Timestamp>,
    /// What is not covered, ascending, each once.
    pub exclusions: Vec<Exclusion>,
    /// The audit line that records the erasure.
    pub audit: Position,
}

/// What was erased, by ids that mean nothing to a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One record: its collection and the 16 bytes of its id.
    Record(CollectionNumber, [u8; 16]),
    /// A person, by the 16 bytes of the subject's id.
    Subject([u8; 16]),
    /// A collection.
    Collection(CollectionNumber),
    /// All data of the tenant.
    Tenant,
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// For every earlier number one holder class has forgotten on all its replicas.
    Erased,
    /// Some replicas have not forgotten yet.
    Partial,
}

/// A holder class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub class: u8,
    /// How well it forgets.
    pub grade: Grade,
    /// How many replicas it has.
    pub replicas: u16,
    /// How many of them have forgotten.
    pub forgotten: u16,
}

/// How well a holder forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// A file on a medium that may keep what was overwritten: an SSD, copy-on-write, a virtual disk.
    Logical,
    /// A file on a dedicated, verified device, overwritten in place.
    Overwritten,
    /// A device that keeps the share inside and destroys it.
    Hardware,
    /// A service that deletes later.
    DelayedUntil(Timestamp),
}

macro_rules! exclusions {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// Something that an erasure does not reach.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Exclusion {
            $($(#[$doc])* $name,)*
        }

        impl Exclusion {
            /// Every exclusion.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number in receipts.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number),* }
            }

            /// The exclusion with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

exclusions! {
    /// What was exported or printed before.
    Exports = 1;
    /// What was disclosed to recipients, who keep their own copies.
    Recipients = 2;
    /// Free text elsewhere that names the target without a reference to it.
    FreeText = 3;
    /// Images of the machine, its memory included.
    MachineImages = 4;
    /// Keys that somebody copied before the erasure.
    CopiedKeys = 5;
    /// Index pages: which ones were touched, until the residue date.
    IndexResidue = 6;
    /// Values of fields indexed as weak.
    WeakIndexes = 7;
    /// Mail that was sent.
    SentMail = 8;
    /// Ids, sizes and times of writing, which stand in the clear.
    Metadata = 9;
    /// Records kept because a named ground retains them.
    Retained = 10;
}

/// Signs a receipt.
///
/// # Errors
/// [`Error::Misuse`] if it claims what cannot be: erased although no class has forgotten on all its
/// replicas or no time of forgetting is known, numbers or times that do not ascend, lists that are
/// not ascending.
pub fn sign(receipt: &Receipt, key: &SigningKey) -> Result<Vec<u8>> {
    check(receipt).map_err(Error::Misuse)?;
    let mut bytes = encode(receipt, &key.public());
    let signature = key.sign(&signed(&bytes));
    bytes.extend_from_slice(&signature);
    Ok(bytes)
}

/// Verifies a receipt and says what stands in it. `public` is the key that the installation has
/// published, not the one in the receipt.
///
/// # Errors
/// [`Error::NotGenuine`] if this key did not sign these bytes; [`Error::Malformed`] if it did, and
/// they are not a receipt of this version.
pub fn verify(public: &[u8; 32], receipt: &[u8]) -> Result<Receipt> {
    let (body, signature) = receipt.split_last_chunk::<SIGNATURE>().ok_or(Error::NotGenuine)?;
    sign::verify(public, &signed(body), signature).map_err(|_| Error::NotGenuine)?;
    let (receipt, signer) = read(body).ok_or(Error::Malformed)?;
    let same = signer == *public && check(&receipt).is_ok() && encode(&receipt, &signer) == body;
    if same { Ok(receipt) } else { Err(Error::Malformed) }
}

/// The public key that a receipt says it was signed by: to find out which of several published keys
/// to verify it with, not to verify it with.
///
/// # Errors
/// [`Error::Malformed`] if it is too short to be a receipt.
pub fn claimed_signer(receipt: &[u8]) -> Result<[u8; 32]> {
    let (body, _) = receipt.split_last_chunk::<SIGNATURE>().ok_or(Error::Malformed)?;
    body.last_chunk().copied().ok_or(Error::Malformed)
}

const BEGIN: &str = "-----BEGIN STRONGROOM RECEIPT-----\n";
const END: &str = "-----END STRONGROOM RECEIPT-----\n";
/// Characters on a line of armour.
const LINE: usize = 64;

/// A signed receipt as text: base64 in lines of 64 characters between two fixed lines.
pub fn armour(receipt: &[u8]) -> String {
    let encoded = BASE64.encode(receipt);
    let mut text = String::from(BEGIN);
    for (place, character) in encoded.chars().enumerate() {
        if place > 0 && place % LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
    text.push_str(END);
    text
}

/// The signed receipt in a text. It is not verified.
///
/// # Errors
/// [`Error::Malformed`] if the text is not, byte for byte, what [`armour`] writes.
pub fn unarmour(text: &str) -> Result<Vec<u8>> {
    let lines =
        text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(Error::Malformed)?;
    let encoded: String = lines.split('\n').collect();
    let receipt = BASE64.decode(encoded.as_bytes()).map_err(|_| Error::Malformed)?;
    if armour(&receipt) == text { Ok(receipt) } else { Err(Error::Malformed) }
}

/// Whether a receipt claims nothing that cannot be.
fn check(receipt: &Receipt) -> std::result::Result<(), &'static str> {
    let classes = receipt.holders.iter().map(|holder| u16::from(holder.class));
    let exclusions = receipt.exclusions.iter().map(|exclusion| exclusion.number());
    let one_class_forgot = receipt.holders.iter().any(|holder| has_forgotten(holder, receipt));
    let erased = receipt.state == ReceiptState::Erased;
    if !ascending(classes) || !ascending(exclusions) {
        return Err("holders or exclusions of a receipt do not ascend");
    }
    if receipt.holders.len() > HOLDERS_MAX {
        return Err("more holders than a receipt can name");
    }
    if receipt.holders.iter().any(|holder| holder.forgotten > holder.replicas) {
        return Err("more replicas have forgotten than there are");
    }
    if receipt.number_before >= receipt.number_after {
        return Err("the number of the root secret did not grow");
    }
    if receipt.requested_at > receipt.fenced_at
        || receipt.forgotten_at.is_some_and(|at| at < receipt.fenced_at)
    {
        return Err("the times of a receipt do not ascend");
    }
    if erased && !one_class_forgot {
        return Err("erased, although no holder class has forgotten on all its replicas");
    }
    if erased != receipt.forgotten_at.is_some() {
        return Err("a time of forgetting and the state `erased` go together");
    }
    Ok(())
}

/// Whether a class has forgotten on all its replicas by the time that the receipt names.
fn has_forgotten(holder: &Holder, receipt: &Receipt) -> bool {
    let in_time = match holder.grade {
        Grade::Logical | Grade::Overwritten | Grade::Hardware => true,
        Grade::DelayedUntil(until) => receipt.forgotten_at.is_some_and(|at| at >= until),
    };
    in_time && holder.replicas > 0 && holder.forgotten == holder.replicas
}

fn ascending(mut numbers: impl Iterator<Item = u16>) -> bool {
    let mut last = None;
    numbers.all(|number| last.replace(number).is_none_or(|last| last < number))
}

/// What is signed.
fn signed(body: &[u8]) -> Vec<u8> {
    [DOMAIN, body].concat()
}

/// Everything but the signature.
fn encode(receipt: &Receipt, signer: &[u8; 32]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(512);
    writer.bytes(MAGIC).u8(VERSION);
    writer.bytes(receipt.id.as_bytes()).bytes(receipt.install.as_bytes());
    writer.bytes(receipt.tenant.as_bytes()).bytes(receipt.erasure.as_bytes());
    let (scope, collection, target) = match receipt.scope {
        Scope::Record(collection, record) => (1, collection.0, record),
        Scope::Subject(subject) => (2, 0, subject),
        Scope::Collection(collection) => (3, collection.0, [0; 16]),
        Scope::Tenant => (4, 0, [0; 16]),
    };
    writer.u8(scope).u32(collection).bytes(&target).u8(ground_number(receipt.ground));
    writer.i64(receipt.requested_at.as_micros()).i64(receipt.fenced_at.as_micros());
    write_time(&mut writer, receipt.forgotten_at);
    writer.u64(receipt.number_before).u64(receipt.number_after);
    writer.u8(match receipt.state {
        ReceiptState::Erased => 1,
        ReceiptState::Partial => 2,
    });
    writer.u8(u8::try_from(receipt.holders.len()).unwrap_or(u8::MAX));
    for holder in &receipt.holders {
        let (grade, until) = match holder.grade {
            Grade::Logical => (1, None),
            Grade::Overwritten => (2, None),
            Grade::Hardware => (3, None),
            Grade::DelayedUntil(until) => (4, Some(until)),
        };
        writer.u8(holder.class).u8(grade);
        write_time(&mut writer, until);
        writer.u16(holder.replicas).u16(holder.forgotten);
    }
    writer.u32(receipt.index_pages);
    write_time(&mut writer, receipt.index_residue_until);
    writer.u8(u8::try_from(receipt.exclusions.len()).unwrap_or(u8::MAX));
    for exclusion in &receipt.exclusions {
        writer.u16(exclusion.number());
    }
    writer.u32(receipt.audit.node).u64(receipt.audit.n).bytes(&receipt.audit.tag);
    writer.bytes(signer);
    writer.finish()
}

fn read(body: &[u8]) -> Option<(Receipt, [u8; 32])> {
    let mut reader = Reader::new(body);
    if reader.array()? != *MAGIC || reader.u8()? != VERSION {
        return None;
    }
    let receipt = Receipt {
        id: ReceiptId::from_bytes(reader.array()?),
        install: InstallId::from_bytes(reader.array()?),
        tenant: TenantId::from_bytes(reader.array()?),
        erasure: ErasureId::from_bytes(reader.array()?),
        scope: read_scope(&mut reader)?,
        ground: ground_of(reader.u8()?)?,
        requested_at: Timestamp::from_micros(reader.i64()?),
        fenced_at: Timestamp::from_micros(reader.i64()?),
        forgotten_at: read_time(&mut reader).ok()?,
        number_before: reader.u64()?,
        number_after: reader.u64()?,
        state: match reader.u8()? {
            1 => ReceiptState::Erased,
            2 => ReceiptState::Partial,
            _ => return None,
        },
        holders: (0..reader.u8()?).map(|_| read_holder(&mut reader)).collect::<Option<_>>()?,
        index_pages: reader.u32()?,
        index_residue_until: read_time(&mut reader).ok()?,
        exclusions: (0..reader.u8()?)
            .map(|_| Exclusion::from_number(reader.u16()?))
            .collect::<Option<_>>()?,
        audit: Position { node: reader.u32()?, n: reader.u64()?, tag: reader.array()? },
    };
    let signer = reader.array()?;
    reader.end()?;
    Some((receipt, signer))
}

fn read_scope(reader: &mut Reader<'_>) -> Option<Scope> {
    let kind = reader.u8()?;
    let collection = CollectionNumber(reader.u32()?);
    let target = reader.array()?;
    Some(match kind {
        1 => Scope::Record(collection, target),
        2 => Scope::Subject(target),
        3 => Scope::Collection(collection),
        4 => Scope::Tenant,
        _ => return None,
    })
}

fn read_holder(reader: &mut Reader<'_>) -> Option<Holder> {
    let (class, grade, until) = (reader.u8()?, reader.u8()?, read_time(reader).ok()?);
    let grade = match (grade, until) {
        (1, None) => Grade::Logical,
        (2, None) => Grade::Overwritten,
        (3, None) => Grade::Hardware,
        (4, Some(until)) => Grade::DelayedUntil(until),
        _ => return None,
    };
    Some(Holder { class, grade, replicas: reader.u16()?, forgotten: reader.u16()? })
}

/// `present u8 | microseconds since 1970 i64`; zeros where there is none.
fn write_time(writer: &mut Writer, time: Option<Timestamp>) {
    writer.u8(u8::from(time.is_some())).i64(time.map_or(0, Timestamp::as_micros));
}

fn read_time(reader: &mut Reader<'_>) -> Result<Option<Timestamp>> {
    match (reader.u8(), reader.i64()) {
        (Some(0), Some(0)) => Ok(None),
        (Some(1), Some(micros)) => Ok(Some(Timestamp::from_micros(micros))),
        _ => Err(Error::Malformed),
    }
}

const fn ground_number(ground: ErasureGround) -> u8 {
    match ground {
        ErasureGround::SubjectRequest => 1,
        ErasureGround::TenantRequest => 2,
        ErasureGround::ConsentWithdrawn => 3,
        ErasureGround::NoLongerNeeded => 4,
        ErasureGround::UnlawfullyCollected => 5,
        ErasureGround::ContractEnded => 6,
    }
}

const fn ground_of(number: u8) -> Option<ErasureGround> {
    match number {
        1 => Some(ErasureGround::SubjectRequest),
        2 => Some(ErasureGround::TenantRequest),
        3 => Some(ErasureGround::ConsentWithdrawn),
        4 => Some(ErasureGround::NoLongerNeeded),
        5 => Some(ErasureGround::UnlawfullyCollected),
        6 => Some(ErasureGround::ContractEnded),
        _ => None,
    }
}
