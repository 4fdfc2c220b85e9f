//! Ceilings: what takes away, whatever the classes say.

use strongroom_model::{
    Action, ConsentState, Principal, Purpose, RecordHead, RecordId, SubjectId, SubjectState,
    TenantState, Timestamp,
};

use crate::facts::{
    AccessRequest, Acts, Bound, Ceiling, CeilingKind, Facts, PurposeFacts, RecordFacts,
    SubjectFacts,
};
use crate::refusal::Missing;

/// What stops the request before it is asked which object it is about.
pub(crate) fn stop_request(
    facts: &Facts<'_>,
    request: &AccessRequest<'_>,
    now: Timestamp,
) -> Option<Missing> {
    if facts.ceilings.iter().any(|ceiling| ceiling.kind() == CeilingKind::Residency) {
        return Some(Missing::Ceiling(CeilingKind::Residency));
    }
    if principal_stops(facts.principal.principal, request.action) {
        return Some(Missing::Ceiling(CeilingKind::Principal));
    }
    if request.in_person && (facts.principal.user.is_none() || facts.acting_for.is_some()) {
        return Some(Missing::Person);
    }
    if facts.acting_for.is_none() && bounds(facts).any(|(_, bound)| bound.acts == Acts::ForUsers) {
        return Some(Missing::User);
    }
    if tenant_stops(facts.tenant, request)
        || (facts.tenant == TenantState::Suspended && through_backend(facts))
    {
        return Some(Missing::Ceiling(CeilingKind::TenantState));
    }
    if facts.ceilings.iter().any(|ceiling| ceiling.kind() == CeilingKind::DocumentAcceptance) {
        return Some(Missing::Ceiling(CeilingKind::DocumentAcceptance));
    }
    bounds(facts)
        .find(|(_, bound)| ended(bound, now) || outside(bound, request))
        .map(|(kind, _)| Missing::Ceiling(kind))
}

/// What stops one record under a purpose.
pub(crate) fn stop_record(
    facts: &Facts<'_>,
    action: Action,
    record: &RecordFacts<'_>,
    purpose: Option<&Purpose>,
    now: Timestamp,
) -> Option<CeilingKind> {
    let head_purpose_stops = purpose.is_none_or(|purpose| {
        !record.head.purposes.contains(purpose) && !consented(&record.subject, purpose, now)
    });
    stop_bounds(facts, Some(record.id), record.head.subject)
        .or_else(|| mismatched(record.head, &record.subject).then_some(CeilingKind::SubjectState))
        .or_else(|| stop_subject(&facts.purposes, action, &record.subject, purpose, now))
        .or_else(|| head_purpose_stops.then_some(CeilingKind::Purpose))
}

/// What stops a subject as such.
pub(crate) fn stop_subject(
    purposes: &PurposeFacts<'_>,
    action: Action,
    subject: &SubjectFacts<'_>,
    purpose: Option<&Purpose>,
    now: Timestamp,
) -> Option<CeilingKind> {
    if state_stops(purposes, action, subject.state, purpose) {
        return Some(CeilingKind::SubjectState);
    }
    purpose
        .is_some_and(|purpose| consent_stops(purposes, subject, purpose, now))
        .then_some(CeilingKind::Consent)
}

/// The first bound that leaves this record or subject out.
pub(crate) fn stop_bounds(
    facts: &Facts<'_>,
    record: Option<RecordId>,
    subject: SubjectId,
) -> Option<CeilingKind> {
    bounds(facts)
        .find(|(_, bound)| {
            let record_left_out = bound
                .records
                .is_some_and(|records| record.is_none_or(|record| !records.contains(&record)));
            let subject_left_out =
                bound.subjects.is_some_and(|subjects| !subjects.contains(&subject));
            record_left_out || subject_left_out
        })
        .map(|(kind, _)| kind)
}

/// The first bound or the collection that leaves this purpose of a data action out.
pub(crate) fn stop_purpose(
    facts: &Facts<'_>,
    action: Action,
    purpose: &Purpose,
) -> Option<CeilingKind> {
    if !action.is_data() {
        return None;
    }
    let collection_stops =
        facts.collection.is_some_and(|collection| !collection.purposes.contains(purpose));
    if collection_stops {
        return Some(CeilingKind::Purpose);
    }
    bounds(facts)
        .find(|(_, bound)| bound.purposes.is_some_and(|purposes| !purposes.contains(purpose)))
        .map(|(kind, _)| kind)
}

/// Whether the request comes from outside the networks of some bound.
pub(crate) fn outside_networks(facts: &Facts<'_>, request: &AccessRequest<'_>) -> bool {
    bounds(facts).any(|(_, bound)| outside(bound, request))
}

/// Whether the tenant's state stops the action.
fn tenant_stops(state: TenantState, request: &AccessRequest<'_>) -> bool {
    let action = request.action;
    if is_of_provider(action) {
        return false;
    }
    match state {
        TenantState::Active | TenantState::Terminating => false,
        TenantState::Invited => action == Action::ApproveSupport,
        TenantState::Suspended => !request.defends && !goes_on_when_suspended(action),
        TenantState::Frozen => {
            !request.defends && !matches!(action, Action::Export | Action::Terminate)
        }
        // What is left after the erasure are its receipts.
        TenantState::Erased => action != Action::ReadAudit,
    }
}

/// Suspension stops writes, never looking, exports, the requests of subjects, erasures or the way out.
fn goes_on_when_suspended(action: Action) -> bool {
    match action {
        Action::Read
        | Action::Search
        | Action::Export
        | Action::Aggregate
        | Action::Delete
        | Action::HandleRights
        | Action::Erase
        | Action::ReadAudit
        | Action::Terminate
        | Action::ManageTenants
        | Action::Operate
        | Action::ManageBackends => true,
        Action::Create
        | Action::Update
        | Action::ManageUsers
        | Action::ManageClasses
        | Action::ManageKeys
        | Action::ManageConnections
        | Action::ManageSchema
        | Action::ManagePurposes
        | Action::ManageRetention
        | Action::ManageSettings
        | Action::ManageDocuments
        | Action::ManageIncidents
        | Action::ApproveSupport
        | Action::ApproveTransfer
        | Action::PlaceHold => false,
    }
}

/// People of the provider never have client data by role, a tenant's never run the server even if
/// they hold an owner class, a backend makes no credentials, and nobody has nothing.
fn principal_stops(principal: Principal, action: Action) -> bool {
    match principal {
        Principal::User(_) | Principal::ApiKey(_) | Principal::Job(_) => is_of_provider(action),
        Principal::Operator(_) => action.is_data(),
        Principal::Backend(_) => is_of_provider(action) || makes_credentials(action),
        Principal::Anonymous => true,
    }
}

/// Whether the action is about the server and its tenants, whatever state those are in.
const fn is_of_provider(action: Action) -> bool {
    matches!(action, Action::ManageTenants | Action::Operate | Action::ManageBackends)
}

/// Whether the action makes credentials or admits others. A backend never does: what it made would
/// outlive its admission, and it could widen its own bounds.
const fn makes_credentials(action: Action) -> bool {
    matches!(action, Action::ManageKeys | Action::ManageConnections)
}

/// Restricted and closed subjects are stored only, but for looking at them under the purposes that
/// the law leaves open.
fn state_stops(
    purposes: &PurposeFacts<'_>,
    action: Action,
    state: SubjectState,
    purpose: Option<&Purpose>,
) -> bool {
    let looks =
        matches!(action, Action::Read | Action::Search | Action::Export | Action::Aggregate);
    match state {
        SubjectState::Active => false,
        SubjectState::Restricted | SubjectState::Closed => {
            let open = purpose.is_some_and(|p| purposes.open_when_restricted.contains(p));
            !(looks && open)
        }
        SubjectState::Erased => true,
    }
}

/// What a subject's newest word about a purpose amounts to now.
enum Word {
    Yes,
    No,
    Nothing,
}

fn word(subject: &SubjectFacts<'_>, purpose: &Purpose, now: Timestamp) -> Word {
    let newest = subject
        .consents
        .iter()
        .filter(|consent| consent.purpose == *purpose && consent.since <= now)
        .max_by_key(|consent| consent.since);
    let Some(newest) = newest else { return Word::Nothing };
    match newest.state {
        ConsentState::Given if newest.until.is_none_or(|until| now < until) => Word::Yes,
        ConsentState::Given | ConsentState::Expired => Word::Nothing,
        ConsentState::Refused | ConsentState::Withdrawn => Word::No,
    }
}

fn consented(subject: &SubjectFacts<'_>, purpose: &Purpose, now: Timestamp) -> bool {
    matches!(word(subject, purpose, now), Word::Yes)
}

fn consent_stops(
    purposes: &PurposeFacts<'_>,
    subject: &SubjectFacts<'_>,
    purpose: &Purpose,
    now: Timestamp,
) -> bool {
    match word(subject, purpose, now) {
        Word::Yes => false,
        Word::No => true,
        Word::Nothing => purposes.need_consent.contains(purpose),
    }
}

/// Facts about another subject than the one whose record it is prove nothing.
fn mismatched(head: &RecordHead, subject: &SubjectFacts<'_>) -> bool {
    head.subject != subject.id
}

fn bounds<'f>(facts: &'f Facts<'_>) -> impl Iterator<Item = (CeilingKind, &'f Bound<'f>)> {
    facts.ceilings.iter().filter_map(|ceiling| Some((ceiling.kind(), ceiling.bound()?)))
}

fn ended(bound: &Bound<'_>, now: Timestamp) -> bool {
    bound.until.is_some_and(|until| until <= now)
}

fn outside(bound: &Bound<'_>, request: &AccessRequest<'_>) -> bool {
    !bound.networks.is_empty()
        && !request
            .address
            .is_some_and(|address| bound.networks.iter().any(|network| network.contains(address)))
}

fn through_backend(facts: &Facts<'_>) -> bool {
    facts.ceilings.iter().any(|ceiling| matches!(ceiling, Ceiling::Backend(_)))
}
