//! Decisions: one for one object, one for a list, from the same frame.

use std::collections::BTreeSet;

use strongroom_model::{
    Action, Field, FieldName, FieldNumber, Mask, Purpose, RecordPlace, RowScope, Rule, RuleRef,
    SubjectState, Timestamp, View,
};

use crate::ceilings::{
    outside_networks, stop_bounds, stop_purpose, stop_record, stop_request, stop_subject,
};
use crate::conditions::{Circumstances, PurposeNow, address_fits, unmet};
use crate::facts::{AccessRequest, Actor, Assertion, CeilingKind, Facts, HeldClass, RecordFacts};
use crate::permit::{
    ADMINISTRATIVE_RULE, FieldView, Granted, ListPermit, OWNER_RULE, Permit, Shown,
};
use crate::refusal::{Missing, Openness, Refusal, Side};
use crate::rows::{includes_record, includes_subject};

/// Decides about one object: a record, a subject, or the tenant as a whole for administrative
/// actions. A data action on a collection without a record is allowed only by rules on all records.
///
/// # Errors
/// [`Refusal`] with its reason if a rule is missing or a ceiling takes it away.
pub fn decide(
    facts: &Facts<'_>,
    request: &AccessRequest<'_>,
    now: Timestamp,
) -> Result<Permit, Refusal> {
    Frame::new(facts, request, now)
        .and_then(|frame| frame.object())
        .map_err(|missing| refuse(facts, request, now, missing))
}

/// Decides whether records of a collection may be listed; each of them is decided by
/// [`ListPermit::view_of`].
///
/// # Errors
/// [`Refusal`] if no record could be shown, whatever its head says.
pub fn decide_list<'a>(
    facts: &Facts<'a>,
    request: &AccessRequest<'a>,
    now: Timestamp,
) -> Result<ListPermit<'a>, Refusal> {
    let of_collection = Facts { record: None, subject: None, ..*facts };
    Frame::new(&of_collection, request, now)
        .and_then(Frame::list)
        .map_err(|missing| refuse(&of_collection, request, now, missing))
}

/// The refusal for an object that does not exist: the same answer that somebody gets who may not
/// know about one that does.
pub fn absent(facts: &Facts<'_>, request: &AccessRequest<'_>, now: Timestamp) -> Refusal {
    match stop_request(facts, request, now) {
        Some(missing @ (Missing::Ceiling(CeilingKind::Residency) | Missing::User)) => {
            Refusal { action: request.action, missing, openness: Openness::Reason }
        }
        Some(_) | None => Refusal {
            action: request.action,
            missing: Missing::Object,
            openness: Openness::Nothing,
        },
    }
}

/// The refusal for an object that has been erased: 410 for holders of `erase` or `read_audit`, who
/// may see its receipt, and the answer of absence for everybody else.
pub fn erased(facts: &Facts<'_>, request: &AccessRequest<'_>, now: Timestamp) -> Refusal {
    let refusal = absent(facts, request, now);
    if refusal.openness == Openness::Nothing && may_know_of_erasure(facts, request, now) {
        Refusal { openness: Openness::Erased, ..refusal }
    } else {
        refusal
    }
}

/// Everything about a request that does not depend on the record: what a list decides once.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    facts: Facts<'a>,
    pub(crate) request: AccessRequest<'a>,
    now: Timestamp,
    pub(crate) purpose: Option<Purpose>,
    /// The fields that the request is about, in ascending order of their numbers.
    columns: Vec<&'a Field>,
    /// Everybody who must allow it: the principal first.
    parties: Vec<Party<'a>>,
    /// Whether a condition of the acting user was met only by what the credential asserted.
    pub(crate) asserted: bool,
}

/// Somebody whose classes must allow the request.
#[derive(Debug, Clone)]
struct Party<'a> {
    role: Role,
    actor: Actor<'a>,
    /// What conditions on address and second factor are compared with.
    signed_in: Assertion,
    /// The rules that count, in the order of the classes.
    entries: Vec<Entry<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Side(Side),
    Ceiling(CeilingKind),
}

/// A rule that counts for the request, on the records of its scope.
#[derive(Debug, Clone)]
struct Entry<'a> {
    reference: RuleRef,
    rows: &'a RowScope,
    /// What it says of each column.
    reach: Vec<Reach>,
}

/// What a rule says about a field: the least that there is by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Reach {
    view: View,
    write: bool,
}

/// Every record: the scope of what an owner class allows.
static EVERY_ROW: RowScope = RowScope::All;

impl Reach {
    const EVERYTHING: Self = Self { view: View::Clear, write: true };

    /// What either allows.
    fn or(self, other: Self) -> Self {
        Self { view: self.view.max(other.view), write: self.write || other.write }
    }

    /// What both allow.
    fn and(self, other: Self) -> Self {
        Self { view: self.view.min(other.view), write: self.write && other.write }
    }
}

impl<'a> Frame<'a> {
    fn new(
        facts: &Facts<'a>,
        request: &AccessRequest<'a>,
        now: Timestamp,
    ) -> Result<Self, Missing> {
        if let Some(missing) = stop_request(facts, request, now) {
            return Err(missing);
        }
        if request.action.is_data() && facts.collection.is_some_and(|collection| collection.erased)
        {
            return Err(Missing::Object);
        }
        let mut frame = Self {
            facts: *facts,
            request: *request,
            now,
            purpose: None,
            columns: columns(facts, request),
            parties: parties(facts, request),
            asserted: false,
        };
        frame.purpose = frame.settle_purpose()?;
        let purpose = frame.purpose.clone();
        if let Some(kind) = purpose.as_ref().and_then(|p| stop_purpose(facts, request.action, p)) {
            return Err(Missing::Ceiling(kind));
        }
        let settled = PurposeNow::Settled(purpose.as_ref());
        let parties = std::mem::take(&mut frame.parties).into_iter();
        frame.parties = parties
            .map(|party| Party { entries: frame.counting_entries(&party, settled), ..party })
            .collect();
        frame.asserted = frame.rests_on_assertion();
        Ok(frame)
    }

    /// The decision about the object that the facts name.
    fn object(&self) -> Result<Permit, Missing> {
        if !self.request.action.is_data() {
            return self.combine(self.place(), |_, _| true);
        }
        match (&self.facts.record, &self.facts.subject, self.facts.collection) {
            (Some(record), _, _) => self.record(record),
            (None, _, Some(_)) => self.combine(None, |_, entry| *entry.rows == RowScope::All),
            (None, subject, None) => {
                if let Some(subject) = subject {
                    let purpose = self.purpose.as_ref();
                    let action = self.request.action;
                    let stopped = stop_bounds(&self.facts, None, subject.id).or_else(|| {
                        stop_subject(&self.facts.purposes, action, subject, purpose, self.now)
                    });
                    if let Some(kind) = stopped {
                        return Err(Missing::Ceiling(kind));
                    }
                }
                self.combine(None, |party, entry| {
                    includes_subject(entry.rows, &party.actor, subject.as_ref())
                })
            }
        }
    }

    /// The decision about one record.
    pub(crate) fn record(&self, record: &RecordFacts<'_>) -> Result<Permit, Missing> {
        let Some(collection) = self.facts.collection else {
            return Err(Missing::Rule(Side::Principal));
        };
        let purpose = self.purpose.as_ref();
        let stopped = stop_record(&self.facts, self.request.action, record, purpose, self.now);
        if let Some(kind) = stopped {
            return Err(Missing::Ceiling(kind));
        }
        let place = RecordPlace::of_record(collection.number, record.id);
        self.combine(Some(place), |party, entry| {
            includes_record(entry.rows, &party.actor, collection, record.head)
        })
    }

    /// The decision that some records may be listed.
    fn list(self) -> Result<ListPermit<'a>, Missing> {
        if !self.request.action.is_data() || self.facts.collection.is_none() {
            return Err(Missing::Rule(Side::Principal));
        }
        let reach = self.reach(|_, _| true)?;
        self.check_by_value(&reach)?;
        let rule = self.rule(|_, _| true)?;
        Ok(ListPermit { frame: self, rule })
    }

    /// What all parties allow together, by the rules that are included.
    fn combine(
        &self,
        place: Option<RecordPlace>,
        includes: impl Fn(&Party<'a>, &Entry<'a>) -> bool,
    ) -> Result<Permit, Missing> {
        let reach = self.reach(&includes)?;
        let rule = self.rule(&includes)?;
        self.check_written(&reach)?;
        self.check_by_value(&reach)?;
        let granted = Granted {
            action: self.request.action,
            purpose: self.purpose.clone(),
            place,
            fields: self.shown(&reach),
            writes: self.written(),
            rule,
            asserted: self.asserted,
        };
        Ok(Permit { granted })
    }

    /// Per column the least of what the parties allow, each of which allows the most that one of
    /// its included rules does.
    fn reach(
        &self,
        includes: impl Fn(&Party<'a>, &Entry<'a>) -> bool,
    ) -> Result<Vec<Reach>, Missing> {
        let mut least = vec![Reach::EVERYTHING; self.columns.len()];
        for party in &self.parties {
            let mut most = vec![Reach::default(); self.columns.len()];
            let mut allowed = false;
            for entry in party.entries.iter().filter(|entry| includes(party, entry)) {
                allowed = true;
                for (most, reach) in most.iter_mut().zip(&entry.reach) {
                    *most = most.or(*reach);
                }
            }
            if !allowed {
                return Err(self.lacking(party, &includes));
            }
            for (least, most) in least.iter_mut().zip(most) {
                *least = least.and(most);
            }
        }
        Ok(least)
    }

    /// The first included rule of the principal.
    fn rule(&self, includes: impl Fn(&Party<'a>, &Entry<'a>) -> bool) -> Result<RuleRef, Missing> {
        self.parties
            .first()
            .and_then(|party| party.entries.iter().find(|entry| includes(party, entry)))
            .map(|entry| entry.reference)
            .ok_or(Missing::Rule(Side::Principal))
    }

    /// Why a party does not allow it: a class that does not count now, or no class at all.
    fn lacking(
        &self,
        party: &Party<'a>,
        includes: impl Fn(&Party<'a>, &Entry<'a>) -> bool,
    ) -> Missing {
        let side = match party.role {
            Role::Ceiling(kind) => return Missing::Ceiling(kind),
            Role::Side(side) => side,
        };
        let settled = PurposeNow::Settled(self.purpose.as_ref());
        let would_allow = party
            .actor
            .classes
            .iter()
            .filter(|held| self.entries_of(held).iter().any(|entry| includes(party, entry)));
        would_allow
            .filter_map(|held| self.unmet(party, held, settled))
            .map(|condition| Missing::Condition(side, condition))
            .next()
            .unwrap_or(Missing::Rule(side))
    }

    fn check_written(&self, reach: &[Reach]) -> Result<(), Missing> {
        let refused: Vec<_> = self
            .written()
            .into_iter()
            .filter(|number| !self.reach_of(*number, reach).write)
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(Missing::Write(refused)) }
    }

    fn check_by_value(&self, reach: &[Reach]) -> Result<(), Missing> {
        let refused: Vec<_> = self
            .request
            .by_value
            .iter()
            .copied()
            .filter(|number| !self.is_clear(*number, self.reach_of(*number, reach)))
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(Missing::ClearView(refused)) }
    }

    fn is_clear(&self, number: FieldNumber, reach: Reach) -> bool {
        match reach.view {
            View::Clear => true,
            View::Revealable => self.request.reveal.contains(&number),
            View::Masked | View::Hidden => false,
        }
    }

    fn reach_of(&self, number: FieldNumber, reach: &[Reach]) -> Reach {
        self.columns
            .iter()
            .zip(reach)
            .find(|(field, _)| field.number == number)
            .map_or_else(Reach::default, |(_, reach)| *reach)
    }

    fn written(&self) -> Vec<FieldNumber> {
        let mut written = self.request.written.to_vec();
        written.sort_unstable();
        written.dedup();
        written
    }

    fn shown(&self, reach: &[Reach]) -> Vec<FieldView> {
        self.columns
            .iter()
            .zip(reach)
            .filter(|(field, _)| is_requested(field, &self.request))
            .filter_map(|(field, reach)| self.show(field, reach.view))
            .collect()
    }

    fn show(&self, field: &Field, view: View) -> Option<FieldView> {
        let number = field.number;
        let clear = |revealed| Some(FieldView { number, shown: Shown::Clear, revealed });
        let masked = || {
            let shown = Shown::Masked(field.mask);
            let leaves_something = field.mask != Mask::Hidden && field.kind.takes(field.mask);
            leaves_something.then_some(FieldView { number, shown, revealed: false })
        };
        match view {
            View::Hidden => None,
            View::Revealable if self.request.reveal.contains(&number) => clear(true),
            View::Masked | View::Revealable => masked(),
            View::Clear => clear(false),
        }
    }

    fn place(&self) -> Option<RecordPlace> {
        let collection = self.facts.collection?.number;
        Some(RecordPlace::of_record(collection, self.facts.record?.id))
    }

    /// The purpose that is stated, else the one that the classes of the principal and of the user
    /// for whom it acts share. Ceilings have no part in it, so that none can change it.
    fn settle_purpose(&self) -> Result<Option<Purpose>, Missing> {
        if let Some(stated) = self.request.purpose {
            return Ok(Some(stated.clone()));
        }
        let (true, Some(collection)) = (self.request.action.is_data(), self.facts.collection)
        else {
            return Ok(None);
        };
        let mut shared: BTreeSet<&Purpose> = collection.purposes.iter().collect();
        let mut among = shared.clone();
        for party in self.parties.iter().filter(|party| matches!(party.role, Role::Side(_))) {
            let of_classes = self.purposes_of_classes(party, &collection.purposes);
            if of_classes.is_empty() {
                return Err(self.lacking(party, |_, _| true));
            }
            for purposes in &of_classes {
                shared.retain(|purpose| purposes.contains(purpose));
            }
            among.retain(|purpose| of_classes.iter().any(|purposes| purposes.contains(purpose)));
        }
        match shared.iter().next() {
            Some(only) if shared.len() == 1 => Ok(Some((*only).clone())),
            Some(_) | None => Err(Missing::Purpose(among.into_iter().cloned().collect())),
        }
    }

    /// For each class that counts and allows the action here: the purposes for which it does.
    fn purposes_of_classes(
        &self,
        party: &Party<'a>,
        every: &'a [Purpose],
    ) -> Vec<BTreeSet<&'a Purpose>> {
        let counting = party
            .actor
            .classes
            .iter()
            .filter(|held| self.unmet(party, held, PurposeNow::Open).is_none());
        counting
            .map(|held| {
                let terms = &held.class.terms;
                let by_rule = |purpose: &Purpose| {
                    terms.owner || self.rules_of(held).any(|(_, rule)| names(rule, purpose))
                };
                let by_condition = |purpose: &Purpose| {
                    terms.conditions.purposes.is_empty()
                        || terms.conditions.purposes.contains(purpose)
                };
                every.iter().filter(|purpose| by_rule(purpose) && by_condition(purpose)).collect()
            })
            .filter(|purposes: &BTreeSet<_>| !purposes.is_empty())
            .collect()
    }

    fn counting_entries(&self, party: &Party<'a>, purpose: PurposeNow<'_>) -> Vec<Entry<'a>> {
        let classes = party.actor.classes.iter();
        classes
            .filter(|held| self.unmet(party, held, purpose).is_none())
            .flat_map(|held| self.entries_of(held))
            .collect()
    }

    fn unmet(
        &self,
        party: &Party<'a>,
        held: &HeldClass<'a>,
        purpose: PurposeNow<'_>,
    ) -> Option<crate::Condition> {
        let of_subject = self.request.action.is_data() && self.facts.collection.is_none();
        let purpose =
            if of_subject && self.request.purpose.is_none() { PurposeNow::Open } else { purpose };
        let circumstances = Circumstances {
            now: self.now,
            address: party.signed_in.address,
            second_factor_at: party.signed_in.second_factor_at,
            purpose,
        };
        unmet(&held.class.terms.conditions, &circumstances)
    }

    /// What a class allows for this request, whether it counts or not.
    fn entries_of(&self, held: &HeldClass<'a>) -> Vec<Entry<'a>> {
        let terms = &held.class.terms;
        let entry = |rule, rows, reach| Entry {
            reference: RuleRef { class: held.class.id, version: held.version, rule },
            rows,
            reach,
        };
        if terms.owner {
            return vec![entry(
                OWNER_RULE,
                &EVERY_ROW,
                vec![Reach::EVERYTHING; self.columns.len()],
            )];
        }
        if !self.request.action.is_data() {
            let allowed = terms.administrative.contains(&self.request.action);
            let entry = entry(ADMINISTRATIVE_RULE, &EVERY_ROW, Vec::new());
            return if allowed { vec![entry] } else { Vec::new() };
        }
        self.rules_of(held)
            .filter(|(_, rule)| self.purpose.as_ref().is_none_or(|purpose| names(rule, purpose)))
            .map(|(place, rule)| {
                let reach = self.columns.iter().map(|field| reach_in(rule, &field.name)).collect();
                entry(place, &rule.rows, reach)
            })
            .collect()
    }

    /// The rules of a class on this action and collection, with their places.
    fn rules_of(&self, held: &HeldClass<'a>) -> impl Iterator<Item = (u16, &'a Rule)> {
        let action = self.request.action;
        let collection = self.facts.collection;
        let rules = held.class.terms.rules.iter().enumerate();
        rules
            .filter(move |(_, rule)| {
                let on_collection = collection.is_none_or(|collection| {
                    rule.collection.as_ref().is_none_or(|name| *name == collection.name)
                });
                on_collection && rule.actions.contains(&action)
            })
            .map(|(place, rule)| (u16::try_from(place).unwrap_or(ADMINISTRATIVE_RULE - 1), rule))
    }

    fn rests_on_assertion(&self) -> bool {
        let asserted = self.facts.acting_for.is_some_and(|user| user.asserted.is_some());
        asserted
            && self
                .parties
                .iter()
                .filter(|party| party.role == Role::Side(Side::ActingUser))
                .flat_map(|party| {
                    party.actor.classes.iter().filter(|held| {
                        party.entries.iter().any(|entry| entry.reference.class == held.class.id)
                    })
                })
                .any(|held| {
                    let conditions = &held.class.terms.conditions;
                    !conditions.addresses.is_empty()
                        || conditions.second_factor_seconds_max.is_some()
                })
    }
}

/// What a rule says about a field: what it says of it by name, else what it says of all others.
fn reach_in(rule: &Rule, name: &FieldName) -> Reach {
    rule.fields
        .iter()
        .filter(|field| field.field == *name)
        .map(|field| Reach { view: field.view, write: field.write })
        .reduce(Reach::or)
        .unwrap_or(Reach { view: rule.view, write: rule.write })
}

/// Whether a rule is for a purpose: one that it names, or any if it names none.
fn names(rule: &Rule, purpose: &Purpose) -> bool {
    rule.purposes.is_empty() || rule.purposes.contains(purpose)
}

fn is_requested(field: &Field, request: &AccessRequest<'_>) -> bool {
    request.requested.is_none_or(|requested| requested.contains(&field.number))
}

fn columns<'a>(facts: &Facts<'a>, request: &AccessRequest<'_>) -> Vec<&'a Field> {
    let concerns = |field: &&Field| {
        is_requested(field, request)
            || request.written.contains(&field.number)
            || request.by_value.contains(&field.number)
    };
    let fields = facts.collection.map_or(&[][..], |collection| &collection.fields);
    let mut columns: Vec<_> =
        fields.iter().filter(|field| !field.retired).filter(concerns).collect();
    columns.sort_unstable_by_key(|field| field.number);
    columns
}

/// Everybody whose classes must allow it: the principal, the user for whom it acts, and the bounds
/// that are given as classes. Bounds are judged for whomever it is done.
fn parties<'a>(facts: &Facts<'a>, request: &AccessRequest<'_>) -> Vec<Party<'a>> {
    let own = Assertion { address: request.address, second_factor_at: request.second_factor_at };
    let party = |role, actor, signed_in| Party { role, actor, signed_in, entries: Vec::new() };
    let mut parties = vec![party(Role::Side(Side::Principal), facts.principal, own)];
    if let Some(delegation) = &facts.acting_for {
        let asserted = delegation.asserted.unwrap_or_default();
        parties.push(party(Role::Side(Side::ActingUser), delegation.user, asserted));
    }
    let whom = facts.acting_for.map_or(facts.principal, |delegation| delegation.user);
    for ceiling in facts.ceilings {
        if let Some(classes) = ceiling.bound().and_then(|bound| bound.classes) {
            parties.push(party(Role::Ceiling(ceiling.kind()), Actor { classes, ..whom }, own));
        }
    }
    parties
}

fn refuse(
    facts: &Facts<'_>,
    request: &AccessRequest<'_>,
    now: Timestamp,
    missing: Missing,
) -> Refusal {
    let is_erased = is_erased(facts);
    let openness = if matches!(missing, Missing::Ceiling(CeilingKind::Residency) | Missing::User) {
        Openness::Reason
    } else if missing == Missing::Ceiling(CeilingKind::Principal) {
        Openness::Nothing
    } else if is_erased && may_know_of_erasure(facts, request, now) {
        Openness::Erased
    } else if !is_erased && may_know_of_object(facts, request) {
        Openness::Reason
    } else {
        Openness::Nothing
    };
    Refusal { action: request.action, missing, openness }
}

/// Whether what it is about has been erased, so that nobody may hear of it as if it existed.
fn is_erased(facts: &Facts<'_>) -> bool {
    let subject = facts.record.map(|record| record.subject).or(facts.subject);
    facts.collection.is_some_and(|collection| collection.erased)
        || subject.is_some_and(|subject| subject.state == SubjectState::Erased)
}

/// Whether the caller may know that the object exists: the rules of every party include it, for some
/// action and purpose. Conditions on time, second factor and purpose are left aside, so that
/// somebody can be told about them; those on addresses are not.
fn may_know_of_object(facts: &Facts<'_>, request: &AccessRequest<'_>) -> bool {
    let erased = facts.tenant == strongroom_model::TenantState::Erased;
    let subject = facts
        .record
        .map(|record| (Some(record.id), record.head.subject))
        .or(facts.subject.map(|subject| (None, subject.id)));
    let left_out =
        subject.is_some_and(|(record, subject)| stop_bounds(facts, record, subject).is_some());
    if erased || left_out || outside_networks(facts, request) {
        return false;
    }
    if facts.collection.is_none() && facts.record.is_none() && facts.subject.is_none() {
        return true;
    }
    parties(facts, request).iter().all(|party| {
        party.actor.classes.iter().any(|held| {
            let terms = &held.class.terms;
            address_fits(&terms.conditions, party.signed_in.address)
                && (terms.owner
                    || terms.rules.iter().any(|rule| is_about_object(rule, party, facts)))
        })
    })
}

fn is_about_object(rule: &Rule, party: &Party<'_>, facts: &Facts<'_>) -> bool {
    let on_collection = facts.collection.is_none_or(|collection| {
        rule.collection.as_ref().is_none_or(|name| *name == collection.name)
    });
    let on_object = match (&facts.record, facts.collection) {
        (Some(record), Some(collection)) => {
            includes_record(&rule.rows, &party.actor, collection, record.head)
        }
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) => includes_subject(&rule.rows, &party.actor, facts.subject.as_ref()),
    };
    on_collection && on_object && !rule.actions.is_empty()
}

/// Whether every party holds `erase` or `read_audit` now.
fn may_know_of_erasure(facts: &Facts<'_>, request: &AccessRequest<'_>, now: Timestamp) -> bool {
    [Action::Erase, Action::ReadAudit].into_iter().any(|action| {
        let administrative = AccessRequest { action, written: &[], by_value: &[], ..*request };
        Frame::new(facts, &administrative, now).and_then(|frame| frame.object()).is_ok()
    })
}
