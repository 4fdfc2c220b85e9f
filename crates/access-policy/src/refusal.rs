//! Refusals: what was missing, whom to ask, and how much of that the caller may hear.

use strongroom_model::{Action, FieldNumber, Purpose};

use crate::conditions::Condition;
use crate::facts::CeilingKind;

/// That something is not allowed, and why.
///
/// The reason is for the audit log; the caller gets [`Refusal::answer`], which keeps it from those
/// who may not know that the object exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", self.reason_code())]
pub struct Refusal {
    /// What was to be done.
    pub(crate) action: Action,
    pub(crate) missing: Missing,
    pub(crate) openness: Openness,
}

/// How much a caller may hear of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Openness {
    /// The reason.
    Reason,
    /// Nothing: the object might as well not exist.
    Nothing,
    /// That the object was there and has been erased.
    Erased,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The answer of absence, 404: the caller may not know about the object.
    NotFound,
    /// 403, with what is missing and whom to ask.
    Forbidden {
        /// What is missing.
        missing: &'a Missing,
        /// Whom to ask for it.
        ask: Ask,
    },
    /// 400 `purpose_required`: the caller must state one of these purposes.
    PurposeRequired {
        /// The purposes that the caller's classes have here.
        among: &'a [Purpose],
    },
    /// 400 `user_required`: the credential acts only for users, and none is named.
    UserRequired,
    /// 410: it has been erased, and the caller may know that.
    Erased,
    /// 421: another node has to be asked.
    Elsewhere,
}

/// What was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// No rule of a class allows it.
    Rule(Side),
    /// No rule lets these fields be written.
    Write(Vec<FieldNumber>),
    /// These fields are not in the caller's clear view, so records cannot be found by them.
    ClearView(Vec<FieldNumber>),
    /// A class allows it, but does not count now.
    Condition(Side, Condition),
    /// A ceiling takes it away.
    Ceiling(CeilingKind),
    /// A purpose: the classes share none, or more than one.
    Purpose(Vec<Purpose>),
    /// The user for whom the credential acts.
    User,
    /// A person: it is not for keys.
    Person,
    /// The object: it does not exist.
    Object,
}

/// Whose rule was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The principal's.
    Principal,
    /// The user's for whom it acts.
    ActingUser,
}

/// Whom to ask for what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Somebody of the tenant whose class allows this action.
    HolderOf(Action),
    /// The provider.
    Provider,
    /// The caller can do something about it: show a second factor, accept a document.
    Yourself,
}

impl Refusal {
    /// Why it was refused, whatever the caller may hear of it; for the audit log.
    pub const fn missing(&self) -> &Missing {
        &self.missing
    }

    /// What the caller is told.
    pub fn answer(&self) -> Answer<'_> {
        match self.openness {
            Openness::Nothing => Answer::NotFound,
            Openness::Erased => Answer::Erased,
            Openness::Reason => match &self.missing {
                Missing::Purpose(among) => Answer::PurposeRequired { among },
                Missing::User => Answer::UserRequired,
                Missing::Object => Answer::NotFound,
                Missing::Ceiling(CeilingKind::Residency) => Answer::Elsewhere,
                Missing::Rule(_)
                | Missing::Write(_)
                | Missing::ClearView(_)
                | Missing::Condition(..)
                | Missing::Person
                | Missing::Ceiling(_) => {
                    Answer::Forbidden { missing: &self.missing, ask: self.ask() }
                }
            },
        }
    }

    /// Whom to ask. Where a rule for an administrative action is missing that is somebody who has
    /// it and can do it; data a caller uses themselves, so their classes have to be changed.
    const fn ask(&self) -> Ask {
        if matches!(self.missing, Missing::Rule(_)) && self.action.is_of_tenants_admins() {
            Ask::HolderOf(self.action)
        } else {
            self.missing.ask()
        }
    }

    /// The stable word for what the caller is told.
    pub fn answer_code(&self) -> &'static str {
        match self.answer() {
            Answer::NotFound => "not_found",
            Answer::Erased => "erased",
            Answer::Forbidden { .. }
            | Answer::PurposeRequired { .. }
            | Answer::UserRequired
            | Answer::Elsewhere => self.reason_code(),
        }
    }

    /// The stable word for the reason; for the audit log.
    pub const fn reason_code(&self) -> &'static str {
        self.missing.code()
    }
}

impl Missing {
    /// Its stable word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rule(Side::Principal) => "no_rule",
            Self::Rule(Side::ActingUser) => "no_rule_of_user",
            Self::Write(_) => "not_writable",
            Self::ClearView(_) => "not_in_clear_view",
            Self::Condition(_, Condition::Window) => "outside_time_window",
            Self::Condition(_, Condition::Address) => "outside_networks",
            Self::Condition(_, Condition::SecondFactor) => "second_factor_required",
            Self::Condition(_, Condition::Purpose) => "class_not_for_purpose",
            Self::Ceiling(kind) => kind.code(),
            Self::Purpose(_) => "purpose_required",
            Self::User => "user_required",
            Self::Person => "session_required",
            Self::Object => "not_found",
        }
    }

    /// Whom to ask for it, whatever was to be done.
    const fn ask(&self) -> Ask {
        match self {
            Self::Condition(_, Condition::SecondFactor)
            | Self::Purpose(_)
            | Self::User
            | Self::Person
            | Self::Object => Ask::Yourself,
            Self::Rule(_)
            | Self::Write(_)
            | Self::ClearView(_)
            | Self::Condition(_, Condition::Window | Condition::Address | Condition::Purpose) => {
                Ask::HolderOf(Action::ManageClasses)
            }
            Self::Ceiling(kind) => kind.ask(),
        }
    }
}

impl CeilingKind {
    /// Its stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Principal => "ceiling_principal",
            Self::Key => "ceiling_key",
            Self::Backend => "ceiling_backend",
            Self::Connection => "ceiling_connection",
            Self::Grant => "ceiling_grant",
            Self::SubjectState => "ceiling_subject_state",
            Self::Consent => "ceiling_consent",
            Self::TenantState => "ceiling_tenant_state",
            Self::DocumentAcceptance => "ceiling_document_acceptance",
            Self::Residency => "ceiling_residency",
            Self::Purpose => "ceiling_purpose",
        }
    }

    /// Who can raise it.
    pub const fn ask(self) -> Ask {
        match self {
            Self::Principal | Self::Grant => Ask::HolderOf(Action::ApproveSupport),
            Self::Key => Ask::HolderOf(Action::ManageKeys),
            Self::Backend | Self::Connection => Ask::HolderOf(Action::ManageConnections),
            Self::SubjectState | Self::Consent => Ask::HolderOf(Action::HandleRights),
            Self::TenantState | Self::Residency => Ask::Provider,
            Self::DocumentAcceptance => Ask::Yourself,
            Self::Purpose => Ask::HolderOf(Action::ManagePurposes),
        }
    }
}
