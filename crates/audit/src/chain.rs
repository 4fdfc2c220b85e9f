//! Verifies, offline, the chain of lines that one node wrote for one tenant.

use strongroom_crypto::line::{LineKey, NO_PREVIOUS, Prefix};
use strongroom_crypto::{Key, line as sealed_line};
use strongroom_model::TenantId;

use crate::line::{self, DecodedEvent};
use crate::position::Position;

/// What is wrong with a chain, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {n}: {fault}")]
pub struct ChainError {
    /// The place of the line that was expected.
    pub n: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a line of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is too short to be a line.
    #[error("too short to be a line")]
    TooShort,
    /// It belongs to another tenant or another node.
    #[error("belongs to another tenant or node")]
    Foreign,
    /// Lines are missing before it, or it was repeated.
    #[error("not the next line: one is missing, repeated or out of order")]
    Gap,
    /// It was changed, or does not follow the line before it, or the key is another.
    #[error("cannot be opened: changed, not in this chain, or under another key")]
    Damaged,
    /// It opens, and does not say anything that this version can read.
    #[error("opens, but is not in a format of this version")]
    Unreadable,
}

/// Verifies lines one after the other. That lines were cut off the end does not show here: hold the
/// [`head`](Self::head) against a position that was promised elsewhere.
pub struct ChainVerifier {
    key: LineKey,
    tenant: TenantId,
    node: u32,
    next: u64,
    previous_tag: [u8; 16],
}

impl ChainVerifier {
    /// Begins with a node's first line for a tenant.
    pub fn new(audit_key: &Key, tenant: TenantId, node: u32) -> Self {
        let key = LineKey::new(audit_key);
        Self { key, tenant, node, next: 0, previous_tag: NO_PREVIOUS }
    }

    /// Goes on after a line that was verified before. `None` after the last possible line.
    pub fn after(audit_key: &Key, tenant: TenantId, position: Position) -> Option<Self> {
        Some(Self {
            next: position.n.checked_add(1)?,
            previous_tag: position.tag,
            ..Self::new(audit_key, tenant, position.node)
        })
    }

    /// Verifies the next line and says what stands in it. After an error the chain stands where it
    /// stood before.
    ///
    /// # Errors
    /// [`ChainError`] with the place of the line that was expected.
    pub fn push(&mut self, sealed: &[u8]) -> Result<(Prefix, DecodedEvent), ChainError> {
        self.verify(sealed).map_err(|fault| ChainError { n: self.next, fault })
    }

    /// The position of the last line that was verified; `None` before the first.
    pub const fn head(&self) -> Option<Position> {
        match self.next.checked_sub(1) {
            Some(n) => Some(Position { node: self.node, n, tag: self.previous_tag }),
            None => None,
        }
    }

    fn verify(&mut self, sealed: &[u8]) -> Result<(Prefix, DecodedEvent), Fault> {
        let prefix = Prefix::parse(sealed).ok_or(Fault::TooShort)?;
        if (prefix.tenant, prefix.node) != (self.tenant, self.node) {
            return Err(Fault::Foreign);
        }
        if prefix.n != self.next {
            return Err(Fault::Gap);
        }
        let (prefix, clear) =
            self.key.open(&self.previous_tag, sealed).map_err(|_| Fault::Damaged)?;
        let event = line::decode(clear.expose()).map_err(|_| Fault::Unreadable)?;
        let next = self.next.checked_add(1).ok_or(Fault::Gap)?;
        self.previous_tag = sealed_line::tag(sealed).map_err(|_| Fault::TooShort)?;
        self.next = next;
        Ok((prefix, event))
    }
}

/// Verifies the whole chain of a node's lines for a tenant and returns what they say.
///
/// # Errors
/// [`ChainError`] at the first line that is not the next of the chain.
pub fn verify<'a>(
    audit_key: &Key,
    tenant: TenantId,
    node: u32,
    lines: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<(Prefix, DecodedEvent)>, ChainError> {
    let mut verifier = ChainVerifier::new(audit_key, tenant, node);
    lines.into_iter().map(|sealed| verifier.push(sealed)).collect()
}
