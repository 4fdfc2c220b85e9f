//! Credentials: API keys and sessions.

use crate::{ActsAs, ClassId, KeyId, KeyLabel, Principal, SessionId, Timestamp, UserId};

/// A credential of a tenant for a machine.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct ApiKey {
    /// Its id.
    #[n(0)]
    pub id: KeyId,
    /// What it is called in lists.
    #[n(1)]
    pub label: KeyLabel,
    /// The permission classes it has; each of them one that its creator had.
    #[n(2)]
    pub classes: Vec<ClassId>,
    /// Who made it.
    #[n(3)]
    pub created_by: Principal,
    /// When it was made.
    #[n(4)]
    pub created_at: Timestamp,
    /// When it ends; every key ends.
    #[n(5)]
    pub expires_at: Timestamp,
    /// Whether it has been revoked.
    #[n(6)]
    pub revoked: bool,
    /// The keyed hash of its secret.
    #[n(7)]
    #[cbor(with = "minicbor::bytes")]
    pub secret_hash: [u8; 32],
    /// In whose name it acts; absent: in its own.
    #[n(8)]
    pub acts: Option<ActsAs>,
}

impl ApiKey {
    /// In whose name it acts.
    pub fn acts(&self) -> ActsAs {
        self.acts.unwrap_or(ActsAs::Itself)
    }

    /// Whether it can be used at this moment.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.revoked && now < self.expires_at
    }
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Session {
    /// Its id.
    #[n(0)]
    pub id: SessionId,
    /// Whose it is.
    #[n(1)]
    pub user: UserId,
    /// When it began.
    #[n(2)]
    pub created_at: Timestamp,
    /// When it ends at the latest.
    #[n(3)]
    pub expires_at: Timestamp,
    /// Whether it has been ended.
    #[n(4)]
    pub ended: bool,
    /// The keyed hash of its secret.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub secret_hash: [u8; 32],
}

impl Session {
    /// Whether it can be used at this moment.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.ended && now < self.expires_at
    }
}
