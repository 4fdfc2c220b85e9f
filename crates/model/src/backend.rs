//! Backends: the provider's software products, and the admissions by which tenants let them in.

use crate::{BackendId, ClassId, Label, Principal, Purpose, Timestamp, UserId};

/// A software product of the provider, with one credential for all tenants that admit it.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Backend {
    /// Its id.
    #[n(0)]
    pub id: BackendId,
    /// Its name, which the tenants that admit it see.
    #[n(1)]
    pub name: Label,
    /// The secrets that prove it, ascending by number; at most [`BACKEND_SECRETS_MAX`].
    #[n(2)]
    pub secrets: Vec<BackendSecret>,
    /// The number of the next secret.
    #[n(3)]
    pub next_secret: u32,
    /// Who made it.
    #[n(4)]
    pub created_by: Principal,
    /// When it was made.
    #[n(5)]
    pub created_at: Timestamp,
    /// Whether it has been revoked: everywhere and for good.
    #[n(6)]
    pub revoked: bool,
}

/// Most secrets of a backend that can be in force at once: the newest, and the one before it for as
/// long as the rotation lets it.
pub const BACKEND_SECRETS_MAX: usize = 2;

/// Longest time for which the old secret stays in force beside a new one: seven days.
pub const BACKEND_OVERLAP_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

/// A secret of a backend.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct BackendSecret {
    /// Its number under the backend, from 1, never given again.
    #[n(0)]
    pub number: u32,
    /// When it was made.
    #[n(1)]
    pub created_at: Timestamp,
    /// When it ends, if a newer one has followed it.
    #[n(2)]
    pub ends_at: Option<Timestamp>,
    /// Its keyed hash.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub secret_hash: [u8; 32],
}

impl Backend {
    /// The secrets that can be used at this moment.
    pub fn in_force(&self, now: Timestamp) -> impl Iterator<Item = &BackendSecret> {
        let revoked = self.revoked;
        self.secrets
            .iter()
            .filter(move |secret| !revoked && secret.ends_at.is_none_or(|ends| now < ends))
    }

    /// The backend with a new secret. The one before it ends after the overlap, older ones at once.
    #[must_use]
    pub fn rotated(&self, secret_hash: [u8; 32], now: Timestamp, overlap_seconds: i64) -> Self {
        let until = now.plus_seconds(overlap_seconds);
        let last = self.in_force(now).max_by_key(|secret| secret.number).filter(|_| until > now);
        let mut secrets: Vec<BackendSecret> = last.cloned().into_iter().collect();
        for secret in &mut secrets {
            secret.ends_at = Some(secret.ends_at.map_or(until, |ends| ends.min(until)));
        }
        let number = self.next_secret;
        secrets.push(BackendSecret { number, created_at: now, ends_at: None, secret_hash });
        Self { secrets, next_secret: number.saturating_add(1), ..self.clone() }
    }
}

/// That a tenant admits a backend, and how far.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Admission {
    /// The backend.
    #[n(0)]
    pub backend: BackendId,
    /// The permission classes that bound it.
    #[n(1)]
    pub classes: Vec<ClassId>,
    /// The purposes that bound it; empty: those of the classes.
    #[n(2)]
    pub purposes: Vec<Purpose>,
    /// In whose name it may act.
    #[n(3)]
    pub acts: ActsAs,
    /// About how many persons it may read in an hour.
    #[n(4)]
    pub subjects_per_hour: u32,
    /// When the admission ends by itself.
    #[n(5)]
    pub until: Option<Timestamp>,
    /// Whether the tenant has revoked it.
    #[n(6)]
    pub revoked: bool,
    /// Who admitted it, or changed the bounds last.
    #[n(7)]
    pub admitted_by: Principal,
    /// When it was first admitted.
    #[n(8)]
    pub admitted_at: Timestamp,
    /// When the bounds were changed last.
    #[n(9)]
    pub changed_at: Timestamp,
    /// When it last ran into the bound on persons.
    #[n(10)]
    pub limited_at: Option<Timestamp>,
}

/// Most persons in an hour that an admission can allow.
pub const SUBJECTS_PER_HOUR_MAX: u32 = 1_000_000;

/// How many persons in an hour it is where an admission does not say.
pub const SUBJECTS_PER_HOUR_DEFAULT: u32 = 1_000;

impl Admission {
    /// Whether the backend is let in at this moment.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        !self.revoked && self.until.is_none_or(|until| now < until)
    }
}

/// In whose name a credential acts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ActsAs {
    /// Only for a user, whom each request names.
    #[default]
    #[n(0)]
    ForUsers,
    /// In its own name.
    #[n(1)]
    Itself,
}

/// A user as requests name them: for whom one is made, or to whom a record is assigned.
#[derive(Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum NamedUser {
    /// By their id.
    #[n(0)]
    Id(#[n(0)] UserId),
    /// By the id that the SaaS product has for them.
    #[n(1)]
    External(#[n(0)] crate::ExternalId),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> Backend {
        Backend {
            id: BackendId::from_bytes([1; 16]),
            name: "Shop".parse().unwrap(),
            secrets: Vec::new(),
            next_secret: 1,
            created_by: Principal::Anonymous,
            created_at: Timestamp::default(),
            revoked: false,
        }
    }

    fn numbers(backend: &Backend, now: Timestamp) -> Vec<u32> {
        backend.in_force(now).map(|secret| secret.number).collect()
    }

    #[test]
    fn at_most_two_secrets_are_ever_in_force() {
        let at = |seconds| Timestamp::default().plus_seconds(seconds);
        let first = backend().rotated([1; 32], at(0), BACKEND_OVERLAP_SECONDS_MAX);
        assert_eq!(numbers(&first, at(0)), [1]);
        let second = first.rotated([2; 32], at(10), 100);
        assert_eq!(numbers(&second, at(10)), [1, 2]);
        assert_eq!(numbers(&second, at(109)), [1, 2]);
        assert_eq!(numbers(&second, at(110)), [2]);
        let third = second.rotated([3; 32], at(20), 100);
        assert_eq!(numbers(&third, at(20)), [2, 3], "the first ends when a third comes");
        assert!(third.secrets.len() <= BACKEND_SECRETS_MAX);
        let at_once = third.rotated([4; 32], at(30), 0);
        assert_eq!(numbers(&at_once, at(30)), [4]);
        let revoked = Backend { revoked: true, ..third };
        assert_eq!(numbers(&revoked, at(20)), [0; 0]);
    }

    #[test]
    fn a_later_rotation_does_not_lengthen_the_life_of_an_ending_secret() {
        let at = |seconds| Timestamp::default().plus_seconds(seconds);
        let two = backend().rotated([1; 32], at(0), 0).rotated([2; 32], at(0), 50);
        let three = two.rotated([3; 32], at(10), 1_000);
        assert_eq!(numbers(&three, at(1_009)), [2, 3]);
        assert_eq!(numbers(&three, at(1_010)), [3]);
    }
}
