//! Where a sealed message belongs: everything that its key is bound to besides the secret.

use strongroom_model::{InstallId, TenantId};

use crate::labels;

/// What kind of thing a sealed message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessagePurpose {
    /// A record's fields.
    Record = 1,
    /// A file's chunks.
    File = 2,
    /// Any other row of the store.
    Row = 3,
    /// A node of the shred tree.
    Node = 4,
    /// A holder's slot.
    Slot = 5,
    /// What is left of a subject's seed.
    SubjectState = 6,
}

impl MessagePurpose {
    /// Its byte in headers and contexts.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The place of a sealed message, computed by the reader from where it found the message, never
/// from the message itself. A message opens only in the place it was sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// What kind of thing it is.
    pub purpose: MessagePurpose,
    /// The epoch of the subject's seed; 0 where there is none.
    pub epoch: u16,
    /// The installation.
    pub install: InstallId,
    /// The tenant; [`TenantId::PROVIDER`] for the provider's own messages.
    pub tenant: TenantId,
    /// The subject's id; zeros where there is none.
    pub subject: [u8; 16],
    /// The record, file, tree or holder; for other rows the first 16 bytes of SHA-256 of the row key.
    pub object: [u8; 16],
    /// The collection's number, or the level of a tree's node.
    pub collection: u32,
    /// The row kind, the node's index, or the holder's class.
    pub index: u64,
    /// The number under the subject's seed.
    pub number: u32,
    /// The version of the row, or the number of the batch.
    pub version: u64,
}

impl Context {
    /// Length of [`Context::ctx96`].
    pub const BYTES: usize = 96;
    /// Length of [`Context::header16`].
    pub const HEADER_BYTES: usize = 16;

    /// `"sr1\0" | purpose u8 | suite u8 | epoch u16 | install 16 | tenant 16 | subject 16 | object 16
    /// | collection u32 | index u64 | number u32 | version u64`: what enters the key derivation.
    pub fn ctx96(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(labels::CONTEXT);
        bytes[4] = self.purpose.number();
        bytes[5] = labels::SUITE;
        bytes[6..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..24].copy_from_slice(self.install.as_bytes());
        bytes[24..40].copy_from_slice(self.tenant.as_bytes());
        bytes[40..56].copy_from_slice(&self.subject);
        bytes[56..72].copy_from_slice(&self.object);
        bytes[72..76].copy_from_slice(&self.collection.to_be_bytes());
        bytes[76..84].copy_from_slice(&self.index.to_be_bytes());
        bytes[84..88].copy_from_slice(&self.number.to_be_bytes());
        bytes[88..96].copy_from_slice(&self.version.to_be_bytes());
        bytes
    }

    /// `"SR" | version=1 u8 | suite=1 u8 | purpose u8 | flags=0 u8 | epoch u16 | number u32 | 0 u32`:
    /// what stands before a sealed body.
    pub fn header16(&self) -> [u8; Self::HEADER_BYTES] {
        let mut bytes = [0; Self::HEADER_BYTES];
        bytes[..2].copy_from_slice(labels::HEADER);
        bytes[2] = labels::HEADER_VERSION;
        bytes[3] = labels::SUITE;
        bytes[4] = self.purpose.number();
        bytes[6..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// `ctx96 | header16`: the context of the derivation.
    pub fn ctx_and_header(&self) -> [u8; Self::BYTES + Self::HEADER_BYTES] {
        let mut bytes = [0; Self::BYTES + Self::HEADER_BYTES];
        bytes[..Self::BYTES].copy_from_slice(&self.ctx96());
        bytes[Self::BYTES..].copy_from_slice(&self.header16());
        bytes
    }

    /// The epoch and number that a sealed message's header names, so that a reader can find the key;
    /// `None` if it is not a header of this version. Nothing is trusted by this: opening compares
    /// the whole header.
    pub fn peek(sealed: &[u8]) -> Option<(u16, u32)> {
        let header = sealed.first_chunk::<{ Self::HEADER_BYTES }>()?;
        let known = header[..2] == labels::HEADER[..]
            && header[2] == labels::HEADER_VERSION
            && header[3] == labels::SUITE;
        let epoch = u16::from_be_bytes([header[6], header[7]]);
        let number = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        known.then_some((epoch, number))
    }
}
