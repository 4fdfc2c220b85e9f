//! Permits: what a decision allows, used up by value.

use strongroom_model::{Action, FieldNumber, Mask, Purpose, RecordPlace, RuleRef, Touch};

use crate::decision::Frame;
use crate::facts::RecordFacts;

/// The place that a [`RuleRef`] gives for what an owner class allows beyond its rules.
pub const OWNER_RULE: u16 = u16::MAX;
/// The place that a [`RuleRef`] gives for a class's list of administrative actions.
pub const ADMINISTRATIVE_RULE: u16 = u16::MAX - 1;

/// That one thing is allowed, once. Only [`decide`](crate::decide) and
/// [`ListPermit::view_of`] make one; it cannot be copied and ends by being spent.
#[derive(Debug)]
#[must_use = "a permit allows something only when it is spent"]
pub struct Permit {
    pub(crate) granted: Granted,
}

/// What a spent permit allowed.
#[derive(Debug, PartialEq, Eq)]
pub struct Granted {
    /// What may be done.
    pub action: Action,
    /// For which purpose; absent where the action has none.
    pub purpose: Option<Purpose>,
    /// On which record; absent where it is about none.
    pub place: Option<RecordPlace>,
    /// What may be shown, in ascending order of field numbers. Hidden fields are not in it.
    pub fields: Vec<FieldView>,
    /// The fields that may be written: those that the request named.
    pub writes: Vec<FieldNumber>,
    /// The first rule of the principal that allowed it.
    pub rule: RuleRef,
    /// Whether a condition of the acting user was met only by what the credential asserted.
    pub asserted: bool,
}

/// How one field may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldView {
    /// The field.
    pub number: FieldNumber,
    /// What of it.
    pub shown: Shown,
    /// Whether it is in the clear only because the request named it in `reveal`.
    pub revealed: bool,
}

/// What is shown of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The value.
    Clear,
    /// What this mask leaves of it.
    Masked(Mask),
}

impl Permit {
    /// Uses it up.
    pub fn spend(self) -> Granted {
        self.granted
    }

    /// What it allows, to be put on record before it is used.
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }

    /// What the audit line says was touched: fields written or shown in the clear, and masked ones.
    /// Absent where it is about no record.
    pub fn touch(&self) -> Option<Touch> {
        let place = self.granted.place?;
        let mut clear = self.granted.writes.clone();
        let mut masked = Vec::new();
        for field in &self.granted.fields {
            match field.shown {
                Shown::Clear => clear.push(field.number),
                Shown::Masked(_) => masked.push(field.number),
            }
        }
        clear.sort_unstable();
        clear.dedup();
        Some(Touch { record: place.record, clear, masked })
    }
}

/// That records of a collection may be listed. It shows nothing by itself: each record is decided
/// from its own head by [`ListPermit::view_of`].
#[derive(Debug)]
#[must_use = "a list permit allows something only record by record"]
pub struct ListPermit<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) rule: RuleRef,
}

impl ListPermit<'_> {
    /// What is allowed on this record: the same as [`decide`](crate::decide) would say; nothing
    /// where it would refuse.
    pub fn view_of(&self, record: &RecordFacts<'_>) -> Option<Permit> {
        self.frame.record(record).ok()
    }

    /// What may be done.
    pub const fn action(&self) -> Action {
        self.frame.request.action
    }

    /// For which purpose.
    pub const fn purpose(&self) -> Option<&Purpose> {
        self.frame.purpose.as_ref()
    }

    /// The first rule of the principal that allows it on some records.
    pub const fn rule(&self) -> RuleRef {
        self.rule
    }

    /// Whether a condition of the acting user was met only by what the credential asserted.
    pub const fn asserted(&self) -> bool {
        self.frame.asserted
    }
}
