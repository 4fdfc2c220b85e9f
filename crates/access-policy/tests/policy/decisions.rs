//! Tables of decisions: what is asked, under which facts, and what must come out.

use strongroom_access_policy::{
    AccessRequest, Actor, Acts, Answer, Ask, Assertion, Bound, Ceiling, CeilingKind, Condition,
    Delegation, Facts, HeldClass, Missing, PurposeFacts, RecordFacts, Refusal, Shown, Side,
    SubjectFacts, absent, decide, decide_list, erased,
};
use strongroom_model::{
    Action, BackendId, ClassId, ClassTerms, Collection, Conditions, Consent, ConsentState,
    FieldNumber, FieldRule, KeyId, Mask, PermissionClass, Principal, Purpose, RecordHead, RecordId,
    RowScope, Rule, SubjectState, TenantState, TimeWindow, Timestamp, View,
};

use crate::worlds::{collection, foreign_purpose, subject, user};

const NAME: FieldNumber = FieldNumber(1);
const EMAIL: FieldNumber = FieldNumber(2);
const REGION: FieldNumber = FieldNumber(3);

/// A Thursday, 12:00 UTC.
fn noon() -> Timestamp {
    "2026-01-29T12:00:00Z".parse().unwrap()
}

fn class(terms: ClassTerms) -> PermissionClass {
    PermissionClass {
        id: ClassId::from_bytes([7; 16]),
        name: "clerk".parse().unwrap(),
        label: "Clerk".parse().unwrap(),
        terms,
    }
}

fn rule(actions: &[Action], view: View) -> Rule {
    Rule {
        actions: actions.to_vec(),
        collection: Some("customers".parse().unwrap()),
        view,
        fields: Vec::new(),
        write: true,
        rows: RowScope::All,
        purposes: vec!["billing".parse().unwrap()],
    }
}

fn terms(rules: Vec<Rule>) -> ClassTerms {
    ClassTerms { rules, ..ClassTerms::default() }
}

fn administrator(actions: &[Action]) -> ClassTerms {
    ClassTerms { administrative: actions.to_vec(), ..ClassTerms::default() }
}

fn head() -> RecordHead {
    RecordHead {
        subject: subject(1),
        external_id: None,
        source: None,
        purposes: vec!["billing".parse().unwrap(), "support".parse().unwrap()],
        notice: None,
        collected_at: noon(),
        created_by: Principal::User(user(2)),
        created_at: noon(),
        changed_at: noon(),
        assignees: vec![],
        scope: vec![],
        files: vec![],
    }
}

/// One user with one class reads one record; each case changes what it is about.
struct Case {
    terms: Vec<ClassTerms>,
    principal: Principal,
    collection: Collection,
    head: RecordHead,
    state: SubjectState,
    consents: Vec<Consent>,
    tenant: TenantState,
    need_consent: Vec<Purpose>,
    open_when_restricted: Vec<Purpose>,
}

impl Case {
    fn new(terms: Vec<ClassTerms>) -> Self {
        Self {
            terms,
            principal: Principal::User(user(1)),
            collection: collection(),
            head: head(),
            state: SubjectState::Active,
            consents: Vec::new(),
            tenant: TenantState::Active,
            need_consent: Vec::new(),
            open_when_restricted: Vec::new(),
        }
    }

    fn reader(view: View) -> Self {
        Self::new(vec![terms(vec![rule(&[Action::Read], view)])])
    }

    fn with<T>(&self, call: impl FnOnce(Facts<'_>) -> T) -> T {
        let classes: Vec<_> = self.terms.iter().cloned().map(class).collect();
        let held: Vec<_> = classes.iter().map(|class| HeldClass { class, version: 3 }).collect();
        let subject =
            SubjectFacts { id: self.head.subject, state: self.state, consents: &self.consents };
        call(Facts {
            tenant: self.tenant,
            principal: Actor {
                principal: self.principal,
                user: Some(user(1)),
                linked_subject: None,
                classes: &held,
            },
            purposes: PurposeFacts {
                need_consent: &self.need_consent,
                open_when_restricted: &self.open_when_restricted,
            },
            collection: Some(&self.collection),
            record: Some(RecordFacts {
                id: RecordId::from_bytes([9; 16]),
                head: &self.head,
                subject,
            }),
            ..Facts::of(Actor::user(user(1), None, &held))
        })
    }

    /// `ok`, or the reason and what the caller is told.
    fn check(&self, request: &AccessRequest<'_>) -> (&'static str, &'static str) {
        self.with(|facts| said(decide(&facts, request, noon())))
    }
}

fn said<T>(decision: Result<T, Refusal>) -> (&'static str, &'static str) {
    match decision {
        Ok(_) => ("ok", "ok"),
        Err(refusal) => (refusal.reason_code(), refusal.answer_code()),
    }
}

const OK: (&str, &str) = ("ok", "ok");

fn asks(action: Action) -> AccessRequest<'static> {
    AccessRequest::new(action)
}

#[test]
fn a_view_decides_what_is_shown_and_reveal_shows_only_what_is_revealable() {
    let initials = Some(Shown::Masked(Mask::Initials));
    let clear = Some(Shown::Clear);
    for (view, reveal, shown, revealed) in [
        (View::Hidden, false, None, false),
        (View::Hidden, true, None, false),
        (View::Masked, false, initials, false),
        (View::Masked, true, initials, false),
        (View::Revealable, false, initials, false),
        (View::Revealable, true, clear, true),
        (View::Clear, false, clear, false),
        (View::Clear, true, clear, false),
    ] {
        let request =
            AccessRequest { reveal: if reveal { &[NAME] } else { &[] }, ..asks(Action::Read) };
        let granted =
            Case::reader(view).with(|facts| decide(&facts, &request, noon()).unwrap().spend());
        let name = granted.fields.iter().find(|field| field.number == NAME);
        assert_eq!(name.map(|field| field.shown), shown, "{view:?} {reveal}");
        assert_eq!(name.is_some_and(|field| field.revealed), revealed, "{view:?} {reveal}");
        // The mask of the region leaves nothing, so it is never masked.
        let region = granted.fields.iter().find(|field| field.number == REGION);
        assert_eq!(region.map(|field| field.shown), clear.filter(|_| view == View::Clear));
    }
}

#[test]
fn a_rule_that_names_a_field_says_all_about_it() {
    let narrow = FieldRule { field: "email".parse().unwrap(), view: View::Hidden, write: false };
    let mut reads = rule(&[Action::Read, Action::Update], View::Clear);
    reads.fields.push(narrow);
    let case = Case::new(vec![terms(vec![reads])]);
    let shown = case.with(|facts| decide(&facts, &asks(Action::Read), noon()).unwrap().spend());
    assert_eq!(shown.fields.iter().map(|f| f.number).collect::<Vec<_>>(), [NAME, REGION]);
    let write = |written| case.check(&AccessRequest { written, ..asks(Action::Update) });
    assert_eq!(write(&[NAME]), OK);
    assert_eq!(write(&[NAME, EMAIL]), ("not_writable", "not_writable"));
    assert_eq!(write(&[FieldNumber(99)]), ("not_writable", "not_writable"));
}

#[test]
fn records_cannot_be_found_by_a_value_that_the_caller_may_not_see() {
    for (view, reveal, found) in [
        (View::Clear, false, true),
        (View::Revealable, true, true),
        (View::Revealable, false, false),
        (View::Masked, true, false),
        (View::Hidden, false, false),
    ] {
        let case = Case::new(vec![terms(vec![rule(&[Action::Search], view)])]);
        let request = AccessRequest {
            by_value: &[EMAIL],
            requested: Some(&[NAME]),
            reveal: if reveal { &[EMAIL] } else { &[] },
            ..asks(Action::Search)
        };
        let expected = if found { "ok" } else { "not_in_clear_view" };
        assert_eq!(case.check(&request).0, expected, "{view:?}");
        let listed = case.with(|facts| said(decide_list(&facts, &request, noon())));
        assert_eq!(listed.0, expected, "{view:?}");
        // What records are found by is not shown for that.
        if found {
            let shown = case.with(|facts| decide(&facts, &request, noon()).unwrap().spend());
            assert!(shown.fields.iter().all(|field| field.number == NAME));
        }
    }
}

#[test]
fn a_refusal_tells_its_reason_only_to_those_who_may_know_the_record() {
    let billing: Purpose = "billing".parse().unwrap();
    let marketing = foreign_purpose();
    let own = |actions: &[Action]| {
        let rule = Rule { rows: RowScope::Own, ..rule(actions, View::Clear) };
        Case::new(vec![terms(vec![rule])])
    };
    let delete = asks(Action::Delete);
    assert_eq!(Case::reader(View::Clear).check(&delete), ("no_rule", "no_rule"));
    assert_eq!(own(&[Action::Read]).check(&delete), ("no_rule", "not_found"));
    assert_eq!(own(&[Action::Read]).check(&asks(Action::Read)), ("no_rule", "not_found"));
    assert_eq!(Case::new(vec![]).check(&delete), ("no_rule", "not_found"));
    let mut mine = own(&[Action::Read]);
    mine.head.created_by = Principal::User(user(1));
    assert_eq!(mine.check(&delete), ("no_rule", "no_rule"));
    let stated = |purpose| AccessRequest { purpose: Some(purpose), ..asks(Action::Read) };
    assert_eq!(mine.check(&stated(&billing)), OK);
    assert_eq!(mine.check(&stated(&marketing)), ("ceiling_purpose", "ceiling_purpose"));
    let others = own(&[Action::Read]);
    assert_eq!(others.check(&stated(&marketing)), ("ceiling_purpose", "not_found"));
}

#[test]
fn the_answer_of_absence_is_the_same_whether_the_record_exists() {
    let rule = Rule { rows: RowScope::Assigned, ..rule(&[Action::Read], View::Clear) };
    let case = Case::new(vec![terms(vec![rule])]);
    case.with(|facts| {
        let hidden = decide(&facts, &asks(Action::Read), noon()).unwrap_err();
        let missing = Facts { record: None, ..facts };
        let missing = absent(&missing, &asks(Action::Read), noon());
        assert_eq!(hidden.answer(), Answer::NotFound);
        assert_eq!(hidden.answer(), missing.answer());
        assert_eq!(hidden.answer_code(), missing.answer_code());
        assert_ne!(hidden.reason_code(), missing.reason_code());
    });
}

#[test]
fn a_refusal_says_whom_to_ask() {
    let case = Case::reader(View::Clear);
    case.with(|facts| {
        let refusal = decide(&facts, &asks(Action::Delete), noon()).unwrap_err();
        let missing = Missing::Rule(Side::Principal);
        assert_eq!(
            refusal.answer(),
            Answer::Forbidden { missing: &missing, ask: Ask::HolderOf(Action::ManageClasses) }
        );
        for (action, asked) in [
            (Action::Erase, Action::Erase),
            (Action::ManageUsers, Action::ManageUsers),
            (Action::Create, Action::ManageClasses),
        ] {
            let refusal = decide(&facts, &asks(action), noon()).unwrap_err();
            let missing = Missing::Rule(Side::Principal);
            let ask = Ask::HolderOf(asked);
            assert_eq!(refusal.answer(), Answer::Forbidden { missing: &missing, ask }, "{action}");
        }
        let ceilings = [Ceiling::Key(Bound { until: Some(noon()), ..Bound::default() })];
        let facts = Facts { ceilings: &ceilings, ..facts };
        let refusal = decide(&facts, &asks(Action::Read), noon()).unwrap_err();
        let missing = Missing::Ceiling(CeilingKind::Key);
        assert_eq!(
            refusal.answer(),
            Answer::Forbidden { missing: &missing, ask: Ask::HolderOf(Action::ManageKeys) }
        );
    });
}

#[test]
fn a_request_without_a_purpose_has_the_one_that_its_classes_share() {
    let of = |purposes: &[&str]| {
        let purposes = purposes.iter().map(|purpose| purpose.parse().unwrap()).collect();
        terms(vec![Rule { purposes, ..rule(&[Action::Read], View::Clear) }])
    };
    let owner = ClassTerms { owner: true, ..ClassTerms::default() };
    for (classes, purpose) in [
        (vec![of(&["billing"])], Ok("billing")),
        (vec![of(&["billing"]), of(&["billing"])], Ok("billing")),
        (vec![of(&["billing"]), of(&[])], Ok("billing")),
        (vec![of(&["support", "billing"]), of(&["support"])], Ok("support")),
        (vec![of(&["support", "marketing"])], Ok("support")),
        (vec![of(&[])], Err("purpose_required")),
        (vec![of(&["billing"]), of(&["support"])], Err("purpose_required")),
        (vec![of(&["marketing"])], Err("no_rule")),
        (vec![administrator(&[Action::Erase]), of(&["billing"])], Ok("billing")),
        (vec![owner.clone()], Err("purpose_required")),
        (vec![owner, of(&["billing"])], Ok("billing")),
    ] {
        let decided = Case::new(classes.clone()).with(|facts| {
            decide(&facts, &asks(Action::Read), noon())
                .map(|permit| permit.spend().purpose.unwrap().to_string())
                .map_err(|refusal| refusal.reason_code())
        });
        assert_eq!(decided.as_deref().map_err(|code| *code), purpose, "{classes:?}");
    }
    let case = Case::new(vec![of(&["billing"]), of(&["support"])]);
    case.with(|facts| {
        let refusal = decide(&facts, &asks(Action::Read), noon()).unwrap_err();
        let among = ["billing".parse().unwrap(), "support".parse().unwrap()];
        assert_eq!(refusal.answer(), Answer::PurposeRequired { among: &among });
    });
}

#[test]
fn a_class_counts_only_under_its_conditions_and_the_refusal_says_which() {
    let under = |conditions| {
        let terms = terms(vec![rule(&[Action::Read], View::Clear)]);
        Case::new(vec![ClassTerms { conditions, ..terms }])
    };
    let window = |zone: &str, weekdays: &[u8]| Conditions {
        window: Some(TimeWindow {
            zone: zone.to_owned(),
            weekdays: weekdays.to_vec(),
            from_minute: 9 * 60,
            until_minute: 17 * 60,
        }),
        ..Conditions::default()
    };
    let networks =
        Conditions { addresses: vec!["192.0.2.0/24".parse().unwrap()], ..Conditions::default() };
    let factor = Conditions { second_factor_seconds_max: Some(300), ..Conditions::default() };
    let from = |address: &str| AccessRequest {
        address: Some(address.parse().unwrap()),
        ..asks(Action::Read)
    };
    let shown = |ago: i64| AccessRequest {
        second_factor_at: Some(noon().plus_seconds(-ago)),
        ..asks(Action::Read)
    };
    let plain = asks(Action::Read);
    for (conditions, request, said) in [
        (window("UTC", &[4]), plain, OK),
        (window("UTC", &[1, 2, 3]), plain, ("outside_time_window", "outside_time_window")),
        (window("Asia/Tokyo", &[4]), plain, ("outside_time_window", "outside_time_window")),
        (networks.clone(), from("192.0.2.9"), OK),
        // From elsewhere nobody is told that the record exists.
        (networks.clone(), from("192.0.3.9"), ("outside_networks", "not_found")),
        (networks, plain, ("outside_networks", "not_found")),
        (factor.clone(), shown(300), OK),
        (factor.clone(), shown(301), ("second_factor_required", "second_factor_required")),
        (factor.clone(), shown(-1), ("second_factor_required", "second_factor_required")),
        (factor, plain, ("second_factor_required", "second_factor_required")),
    ] {
        assert_eq!(under(conditions.clone()).check(&request), said, "{conditions:?}");
    }
}

#[test]
fn a_key_for_a_user_meets_the_users_conditions_only_by_what_it_may_assert() {
    let clear = || terms(vec![rule(&[Action::Read], View::Clear)]);
    let conditions = Conditions {
        addresses: vec!["192.0.2.0/24".parse().unwrap()],
        second_factor_seconds_max: Some(300),
        ..Conditions::default()
    };
    let of_user = class(ClassTerms { conditions, ..clear() });
    let user_classes = [HeldClass { class: &of_user, version: 1 }];
    let mut case = Case::new(vec![clear()]);
    case.principal = Principal::ApiKey(KeyId::from_bytes([1; 16]));
    let good =
        Assertion { address: Some("192.0.2.1".parse().unwrap()), second_factor_at: Some(noon()) };
    // The key's own address and factor say nothing about the user.
    let request = AccessRequest {
        address: good.address,
        second_factor_at: good.second_factor_at,
        ..asks(Action::Read)
    };
    for (asserted, allowed) in [
        (None, false),
        (Some(Assertion::default()), false),
        (Some(Assertion { second_factor_at: None, ..good }), false),
        (Some(good), true),
    ] {
        case.with(|facts| {
            let user = Actor::user(user(1), None, &user_classes);
            let facts = Facts { acting_for: Some(Delegation { user, asserted }), ..facts };
            match decide(&facts, &request, noon()) {
                Ok(permit) => assert!(allowed && permit.spend().asserted),
                Err(refusal) => {
                    assert!(!allowed);
                    let condition = if asserted.is_some_and(|a| a.address.is_some()) {
                        Condition::SecondFactor
                    } else {
                        Condition::Address
                    };
                    let missing = Missing::Condition(Side::ActingUser, condition);
                    assert_eq!(*refusal.missing(), missing);
                }
            }
        });
    }
}

#[test]
fn a_credential_that_acts_only_for_users_needs_one() {
    let case = Case::reader(View::Clear);
    case.with(|facts| {
        let ceilings = [Ceiling::Backend(Bound { acts: Acts::ForUsers, ..Bound::default() })];
        let alone = Facts { ceilings: &ceilings, ..facts };
        let refusal = decide(&alone, &asks(Action::Read), noon()).unwrap_err();
        assert_eq!(refusal.answer(), Answer::UserRequired);
        // It is the same for a record that does not exist.
        let missing = absent(&Facts { record: None, ..alone }, &asks(Action::Read), noon());
        assert_eq!(missing.answer(), Answer::UserRequired);
        let user = Delegation { user: facts.principal, asserted: None };
        let acting = Facts { acting_for: Some(user), ..alone };
        assert_eq!(said(decide(&acting, &asks(Action::Read), noon())), OK);
    });
}

#[test]
fn the_tenants_state_stops_what_its_table_says() {
    let every = Action::ALL.iter().filter(|action| !action.is_data()).copied();
    let administrator = administrator(&every.collect::<Vec<_>>());
    let data: Vec<_> = Action::ALL.iter().filter(|action| action.is_data()).copied().collect();
    let mut case = Case::new(vec![terms(vec![rule(&data, View::Clear)]), administrator]);
    let suspended = [
        "read",
        "delete",
        "search",
        "export",
        "aggregate",
        "handle_rights",
        "erase",
        "read_audit",
        "terminate",
    ];
    for action in Action::ALL.iter().copied() {
        let provider = is_of_provider(action);
        for (state, goes_on) in [
            (TenantState::Invited, action != Action::ApproveSupport),
            (TenantState::Active, true),
            (TenantState::Suspended, suspended.contains(&action.as_str())),
            (TenantState::Terminating, true),
            (TenantState::Frozen, matches!(action, Action::Export | Action::Terminate)),
            (TenantState::Erased, action == Action::ReadAudit),
        ] {
            case.tenant = state;
            let said = case.check(&asks(action));
            assert_eq!(said == OK, goes_on && !provider, "{state:?} {action} {said:?}");
        }
    }
    case.tenant = TenantState::Suspended;
    case.with(|facts| {
        let ceilings = [Ceiling::Backend(Bound::default())];
        let through_backend = Facts { ceilings: &ceilings, ..facts };
        let refused = said(decide(&through_backend, &asks(Action::Export), noon()));
        assert_eq!(refused.0, "ceiling_tenant_state");
    });
}

#[test]
fn what_only_defends_the_tenant_is_stopped_by_its_end_alone_and_never_given() {
    let mut case = Case::new(vec![administrator(&[Action::ManageUsers])]);
    let defends = AccessRequest { defends: true, ..asks(Action::ManageUsers) };
    for (state, goes_on) in [
        (TenantState::Active, true),
        (TenantState::Suspended, true),
        (TenantState::Terminating, true),
        (TenantState::Frozen, true),
        (TenantState::Erased, false),
    ] {
        case.tenant = state;
        assert_eq!(case.check(&defends) == OK, goes_on, "{state:?}");
    }
    let nothing = Case::reader(View::Clear);
    assert_eq!(nothing.check(&defends).0, "no_rule");
}

#[test]
fn what_is_done_in_person_is_done_by_nobody_who_is_not_there() {
    let class = class(administrator(&[Action::ManageTenants]));
    let classes = [HeldClass { class: &class, version: 3 }];
    let operator = Principal::Operator(user(1));
    let request = AccessRequest { in_person: true, ..asks(Action::ManageTenants) };
    let decided = |principal: Actor<'_>, acting_for| {
        let facts = Facts { acting_for, ..Facts::of(principal) };
        decide(&facts, &request, noon()).map(drop).map_err(|refusal| refusal.reason_code())
    };
    let present = Actor { principal: operator, ..Actor::user(user(1), None, &classes) };
    let key = Actor::other(operator, &classes);
    let for_another = || {
        let user = Actor { principal: operator, ..Actor::user(user(2), None, &classes) };
        Some(Delegation { user, asserted: None })
    };
    assert_eq!(decided(present, None), Ok(()));
    assert_eq!(decided(key, None), Err("session_required"));
    assert_eq!(decided(key, for_another()), Err("session_required"));
    assert_eq!(decided(present, for_another()), Err("session_required"));
    // A tenant's people do not even learn what was missing.
    let tenant = Actor::user(user(1), None, &classes);
    assert_eq!(decided(tenant, None), Err("ceiling_principal"));
}

#[test]
fn an_owner_may_everything_but_run_the_server() {
    let case = Case::new(vec![ClassTerms { owner: true, ..ClassTerms::default() }]);
    let billing = "billing".parse().unwrap();
    for action in Action::ALL.iter().copied() {
        let request =
            AccessRequest { purpose: Some(&billing), written: &[NAME, EMAIL], ..asks(action) };
        let expected = if is_of_provider(action) { ("ceiling_principal", "not_found") } else { OK };
        // Administrative actions write no fields.
        let request = if action.is_data() { request } else { asks(action) };
        assert_eq!(case.check(&request), expected, "{action}");
    }
}

fn is_of_provider(action: Action) -> bool {
    matches!(action, Action::ManageTenants | Action::Operate | Action::ManageBackends)
}

#[test]
fn a_backend_makes_no_credentials_whatever_bounds_it() {
    let mut case = Case::new(vec![ClassTerms { owner: true, ..ClassTerms::default() }]);
    case.principal = Principal::Backend(BackendId::from_bytes([1; 16]));
    let billing = "billing".parse().unwrap();
    for action in Action::ALL.iter().copied() {
        let request = AccessRequest { purpose: Some(&billing), ..asks(action) };
        let makes = matches!(action, Action::ManageKeys | Action::ManageConnections);
        let stopped = is_of_provider(action) || makes;
        let expected = if stopped { ("ceiling_principal", "not_found") } else { OK };
        assert_eq!(case.check(&request), expected, "{action}");
    }
}

#[test]
fn an_operator_runs_the_server_and_never_has_client_data() {
    let mut case = Case::new(vec![ClassTerms { owner: true, ..ClassTerms::default() }]);
    case.principal = Principal::Operator(user(1));
    let billing = "billing".parse().unwrap();
    for action in Action::ALL.iter().copied() {
        let request = AccessRequest { purpose: Some(&billing), ..asks(action) };
        let expected = if action.is_data() { ("ceiling_principal", "not_found") } else { OK };
        assert_eq!(case.check(&request), expected, "{action}");
    }
}

#[test]
fn a_restricted_subject_is_stored_only_but_for_what_the_law_leaves_open() {
    let mut case = Case::new(vec![
        terms(vec![rule(&[Action::Read, Action::Update, Action::Delete], View::Clear)]),
        administrator(&[Action::Erase, Action::HandleRights]),
    ]);
    let stopped = ("ceiling_subject_state", "ceiling_subject_state");
    for state in [SubjectState::Restricted, SubjectState::Closed] {
        case.state = state;
        case.open_when_restricted = vec!["support".parse().unwrap()];
        assert_eq!(case.check(&asks(Action::Read)), stopped);
        assert_eq!(case.check(&asks(Action::Update)), stopped);
        assert_eq!(case.check(&asks(Action::Delete)), stopped);
        assert_eq!(case.check(&asks(Action::Erase)), OK);
        assert_eq!(case.check(&asks(Action::HandleRights)), OK);
        case.open_when_restricted = vec!["billing".parse().unwrap()];
        assert_eq!(case.check(&asks(Action::Read)), OK);
        assert_eq!(case.check(&asks(Action::Update)), stopped);
    }
}

#[test]
fn what_is_erased_is_gone_and_only_holders_of_its_receipt_are_told() {
    let reads = || terms(vec![rule(&[Action::Read], View::Clear)]);
    for (classes, answer) in [
        (vec![reads()], "not_found"),
        (vec![reads(), administrator(&[Action::ManageClasses])], "not_found"),
        (vec![reads(), administrator(&[Action::Erase])], "erased"),
        (vec![administrator(&[Action::ReadAudit])], "erased"),
    ] {
        let mut case = Case::new(classes);
        case.with(|facts| {
            let gone = Facts { record: None, ..facts };
            assert_eq!(erased(&gone, &asks(Action::Read), noon()).answer_code(), answer);
            assert_eq!(absent(&gone, &asks(Action::Read), noon()).answer_code(), "not_found");
        });
        if case.terms.len() == 2 {
            case.state = SubjectState::Erased;
            assert_eq!(case.check(&asks(Action::Read)), ("ceiling_subject_state", answer));
            case.state = SubjectState::Active;
            case.collection.erased = true;
            assert_eq!(case.check(&asks(Action::Read)).1, answer);
        }
    }
}

#[test]
fn consent_is_asked_of_the_newest_word_and_a_no_always_counts() {
    use ConsentState::{Expired, Given, Refused, Withdrawn};

    let word = |state, since, until: Option<i64>| Consent {
        purpose: "billing".parse().unwrap(),
        state,
        since: noon().plus_seconds(since),
        until: until.map(|seconds| noon().plus_seconds(seconds)),
    };
    let stopped = ("ceiling_consent", "ceiling_consent");
    for (words, needed, not_needed) in [
        (vec![], stopped, OK),
        (vec![word(Given, -9, None)], OK, OK),
        (vec![word(Given, -9, Some(1))], OK, OK),
        (vec![word(Given, -9, Some(0))], stopped, OK),
        (vec![word(Given, 1, None)], stopped, OK),
        (vec![word(Expired, -9, None)], stopped, OK),
        (vec![word(Refused, -9, None)], stopped, stopped),
        (vec![word(Given, -9, None), word(Withdrawn, -1, None)], stopped, stopped),
        (vec![word(Withdrawn, -1, None), word(Given, -9, None)], stopped, stopped),
        (vec![word(Refused, -9, None), word(Given, -1, None)], OK, OK),
    ] {
        let mut case = Case::reader(View::Clear);
        case.consents.clone_from(&words);
        assert_eq!(case.check(&asks(Action::Read)), not_needed, "{words:?}");
        case.need_consent = vec!["billing".parse().unwrap()];
        assert_eq!(case.check(&asks(Action::Read)), needed, "{words:?}");
    }
}

#[test]
fn a_record_is_used_for_other_purposes_only_with_consent() {
    let mut case = Case::reader(View::Clear);
    case.head.purposes = vec!["support".parse().unwrap()];
    let stopped = ("ceiling_purpose", "ceiling_purpose");
    assert_eq!(case.check(&asks(Action::Read)), stopped);
    case.head.purposes.clear();
    assert_eq!(case.check(&asks(Action::Read)), stopped);
    case.consents = vec![Consent {
        purpose: "billing".parse().unwrap(),
        state: ConsentState::Given,
        since: noon(),
        until: None,
    }];
    assert_eq!(case.check(&asks(Action::Read)), OK);
}

#[test]
fn facts_about_another_subject_prove_nothing() {
    let case = Case::reader(View::Clear);
    case.with(|facts| {
        let mut record = facts.record.unwrap();
        record.subject.id = subject(2);
        let facts = Facts { record: Some(record), ..facts };
        assert_ne!(said(decide(&facts, &asks(Action::Read), noon())), OK);
    });
}

#[test]
fn ceilings_that_are_not_in_order_stop_everything() {
    let case = Case::reader(View::Clear);
    for (ceiling, said_is) in [
        (Ceiling::DocumentAcceptance, "ceiling_document_acceptance"),
        (Ceiling::Residency, "ceiling_residency"),
        (Ceiling::Grant(Bound { until: Some(noon()), ..Bound::default() }), "ceiling_grant"),
        (
            Ceiling::Connection(Bound { records: Some(&[]), ..Bound::default() }),
            "ceiling_connection",
        ),
        (Ceiling::Key(Bound { subjects: Some(&[]), ..Bound::default() }), "ceiling_key"),
        (Ceiling::Backend(Bound { purposes: Some(&[]), ..Bound::default() }), "ceiling_backend"),
        (Ceiling::Backend(Bound { classes: Some(&[]), ..Bound::default() }), "ceiling_backend"),
    ] {
        case.with(|facts| {
            let ceilings = [ceiling];
            let facts = Facts { ceilings: &ceilings, ..facts };
            let refusal = decide(&facts, &asks(Action::Read), noon()).unwrap_err();
            assert_eq!(refusal.reason_code(), said_is);
            let elsewhere = refusal.answer() == Answer::Elsewhere;
            assert_eq!(elsewhere, said_is == "ceiling_residency");
        });
    }
}

#[test]
fn without_a_record_only_rules_on_all_records_count() {
    for (rows, said_is) in [
        (RowScope::All, "ok"),
        (RowScope::Own, "no_rule"),
        (RowScope::Assigned, "no_rule"),
        (RowScope::Filter(vec![]), "no_rule"),
    ] {
        let rule = Rule { rows, ..rule(&[Action::Read], View::Clear) };
        Case::new(vec![terms(vec![rule])]).with(|facts| {
            let facts = Facts { record: None, ..facts };
            assert_eq!(said(decide(&facts, &asks(Action::Read), noon())).0, said_is);
            // A list is allowed, and shows the records of the scope alone.
            assert!(decide_list(&facts, &asks(Action::Read), noon()).is_ok());
        });
    }
}

#[test]
fn subjects_are_reached_by_rules_on_any_collection() {
    let own = Rule { rows: RowScope::Own, ..rule(&[Action::Read, Action::Create], View::Clear) };
    for (rows, linked, read) in [
        (RowScope::All, None, "ok"),
        (RowScope::Own, Some(subject(1)), "ok"),
        (RowScope::Own, Some(subject(2)), "not_found"),
        (RowScope::Own, None, "not_found"),
        (RowScope::Assigned, Some(subject(1)), "not_found"),
    ] {
        let classes = class(terms(vec![Rule { rows, ..own.clone() }]));
        let held = [HeldClass { class: &classes, version: 1 }];
        let person = SubjectFacts { id: subject(1), state: SubjectState::Active, consents: &[] };
        let facts =
            Facts { subject: Some(person), ..Facts::of(Actor::user(user(1), linked, &held)) };
        assert_eq!(said(decide(&facts, &asks(Action::Read), noon())).1, read);
        let anew = Facts { subject: None, ..facts };
        assert_eq!(said(decide(&anew, &asks(Action::Create), noon())), OK);
        assert_eq!(said(decide(&anew, &asks(Action::Delete), noon())).1, "no_rule");
    }
}

#[test]
fn a_retired_field_is_neither_shown_nor_written() {
    let mut case = Case::new(vec![terms(vec![rule(&[Action::Read, Action::Update], View::Clear)])]);
    case.collection.fields[1].retired = true;
    let shown = case.with(|facts| decide(&facts, &asks(Action::Read), noon()).unwrap().spend());
    assert!(shown.fields.iter().all(|field| field.number != EMAIL));
    let written = AccessRequest { written: &[EMAIL], ..asks(Action::Update) };
    assert_eq!(case.check(&written).0, "not_writable");
}

#[test]
fn a_permit_says_what_is_touched_and_by_which_rule() {
    let mut reads = rule(&[Action::Update], View::Masked);
    let field = "email".parse().unwrap();
    reads.fields.push(FieldRule { field, view: View::Clear, write: true });
    let other = terms(vec![rule(&[Action::Delete], View::Clear), reads]);
    let case = Case::new(vec![other]);
    let request = AccessRequest { written: &[REGION, REGION], ..asks(Action::Update) };
    case.with(|facts| {
        let permit = decide(&facts, &request, noon()).unwrap();
        let touch = permit.touch().unwrap();
        assert_eq!((touch.clear, touch.masked), (vec![EMAIL, REGION], vec![NAME]));
        let granted = permit.spend();
        assert_eq!((granted.rule.rule, granted.rule.version), (1, 3));
        assert_eq!(granted.writes, [REGION]);
        assert_eq!(granted.place.unwrap().record, RecordId::from_bytes([9; 16]));
    });
}
