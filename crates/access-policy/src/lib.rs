//! Who may see what: pure functions from facts, a request and the time to a decision with its reasons.
//!
//! This crate knows the rules of permission classes, when a class counts, what ceilings take away,
//! and how the views of several classes combine; `docs/access-policy.md` has them in words. It does
//! *not* know where facts come from, what a record contains beyond its head, HTTP, keys, the audit
//! log or what time it is. It performs no input or output and waits for nothing.

#![deny(clippy::wildcard_enum_match_arm)]

mod administration;
mod ceilings;
mod conditions;
mod decision;
mod facts;
mod jobs;
mod masks;
mod permissions;
mod permit;
mod recovery;
mod refusal;
mod rows;

pub use administration::{
    Wider, keeps_an_owner, may_administer, needs_second_admin, not_wider, within_creator,
};
pub use conditions::{Condition, window_contains};
pub use decision::{absent, decide, decide_list, erased};
pub use facts::{
    AccessRequest, Actor, Acts, Assertion, Bound, Ceiling, CeilingKind, Delegation, Facts,
    HeldClass, PurposeFacts, RecordFacts, SubjectFacts,
};
pub use jobs::{is_own_job, may_feed};
pub use masks::{BULLETS, is_mask_of, mask};
pub use permissions::Gate;
pub use permit::{ADMINISTRATIVE_RULE, FieldView, Granted, ListPermit, OWNER_RULE, Permit, Shown};
pub use recovery::{WrongOperator, may_approve, may_ask, may_invite_owner};
pub use refusal::{Answer, Ask, Missing, Refusal, Side};
