//! Administration: what a change of classes may not do.

use strongroom_access_policy::{AccessRequest, Permit, decide};
use strongroom_access_policy::{
    HeldClass, Wider, keeps_an_owner, may_administer, needs_second_admin, not_wider, within_creator,
};
use strongroom_model::{
    Action, ClassId, ClassTerms, Comparison, Conditions, FieldRule, PermissionClass, RowScope,
    Rule, TimeWindow, Timestamp, User, UserState, View,
};

use crate::worlds::{RECORDS, World, user};

fn rule() -> Rule {
    Rule {
        actions: vec![Action::Read, Action::Update],
        collection: Some("customers".parse().unwrap()),
        view: View::Masked,
        fields: vec![FieldRule {
            field: "email".parse().unwrap(),
            view: View::Revealable,
            write: true,
        }],
        write: false,
        rows: RowScope::Own,
        purposes: vec!["billing".parse().unwrap()],
    }
}

fn terms(rule: Rule) -> ClassTerms {
    ClassTerms { rules: vec![rule], ..ClassTerms::default() }
}

fn owner() -> ClassTerms {
    ClassTerms { owner: true, ..ClassTerms::default() }
}

fn class(number: u8, name: &str, terms: ClassTerms) -> PermissionClass {
    PermissionClass {
        id: ClassId::from_bytes([number; 16]),
        name: name.parse().unwrap(),
        label: name.parse().unwrap(),
        terms,
    }
}

#[test]
fn a_rule_is_covered_only_by_one_rule_that_allows_all_of_it() {
    let check = |change: fn(&mut Rule), covered: bool| {
        let mut asked = rule();
        change(&mut asked);
        let decided = not_wider(&terms(asked.clone()), &[&terms(rule())]);
        assert_eq!(decided.is_ok(), covered, "{asked:?}");
    };
    check(|_| {}, true);
    check(|rule| rule.actions = vec![Action::Read], true);
    check(|rule| rule.actions.push(Action::Export), false);
    check(|rule| rule.collection = None, false);
    check(|rule| rule.collection = Some("orders".parse().unwrap()), false);
    check(|rule| rule.view = View::Hidden, true);
    check(|rule| rule.view = View::Revealable, false);
    check(|rule| rule.write = true, false);
    check(|rule| rule.fields.clear(), true);
    check(|rule| rule.fields[0].view = View::Clear, false);
    check(|rule| rule.fields[0].field = "name".parse().unwrap(), false);
    check(|rule| rule.rows = RowScope::All, false);
    check(|rule| rule.rows = RowScope::Assigned, false);
    check(|rule| rule.purposes.clear(), false);
    check(|rule| rule.purposes = vec!["support".parse().unwrap()], false);
}

#[test]
fn a_permitted_rule_on_all_records_covers_every_row_scope() {
    let permitted = terms(Rule { rows: RowScope::All, ..rule() });
    let field = "region".parse().unwrap();
    let comparison = Comparison { field, any_of: vec!["north".to_owned()] };
    for rows in [RowScope::Own, RowScope::Assigned, RowScope::Filter(vec![comparison])] {
        assert!(not_wider(&terms(Rule { rows, ..rule() }), &[&permitted]).is_ok());
    }
}

#[test]
fn two_rules_together_do_not_cover_what_neither_does_alone() {
    let half = |action| terms(Rule { actions: vec![action], ..rule() });
    let halves = [&half(Action::Read), &half(Action::Update)];
    assert_eq!(not_wider(&terms(rule()), &halves), Err(Wider::Rule(0)));
}

#[test]
fn a_class_without_the_conditions_of_the_permitted_one_is_wider() {
    let window = |from_minute| TimeWindow {
        zone: "UTC".to_owned(),
        weekdays: vec![1, 2],
        from_minute,
        until_minute: 900,
    };
    let conditions = Conditions {
        window: Some(window(540)),
        addresses: vec!["192.0.2.0/24".parse().unwrap()],
        second_factor_seconds_max: Some(60),
        purposes: vec!["billing".parse().unwrap()],
    };
    let under = |conditions| ClassTerms { conditions, ..terms(rule()) };
    let permitted = under(conditions.clone());
    let check = |change: fn(&mut Conditions), covered: bool| {
        let mut asked = conditions.clone();
        change(&mut asked);
        let decided = not_wider(&under(asked.clone()), &[&permitted]);
        assert_eq!(decided.is_ok(), covered, "{asked:?}");
    };
    check(|_| {}, true);
    check(|of| of.window = None, false);
    check(|of| of.window.as_mut().unwrap().from_minute = 600, true);
    check(|of| of.window.as_mut().unwrap().from_minute = 500, false);
    check(|of| of.window.as_mut().unwrap().zone = "Asia/Tokyo".to_owned(), false);
    check(|of| of.addresses.clear(), false);
    check(|of| of.addresses.push("198.51.100.0/24".parse().unwrap()), false);
    check(|of| of.second_factor_seconds_max = Some(30), true);
    check(|of| of.second_factor_seconds_max = Some(61), false);
    check(|of| of.second_factor_seconds_max = None, false);
    check(|of| of.purposes.clear(), false);
}

#[test]
fn administrative_rights_and_owner_classes_are_not_given_by_those_who_lack_them() {
    let erases = ClassTerms { administrative: vec![Action::Erase], ..ClassTerms::default() };
    let assigns =
        ClassTerms { administers: vec!["clerk".parse().unwrap()], ..ClassTerms::default() };
    assert_eq!(not_wider(&erases, &[&assigns]), Err(Wider::Administrative));
    assert_eq!(not_wider(&assigns, &[&erases]), Err(Wider::Administers));
    assert_eq!(not_wider(&owner(), &[&erases]), Err(Wider::Owner));
    for asked in [&erases, &assigns, &owner(), &terms(rule())] {
        assert_eq!(not_wider(asked, &[&owner()]), Ok(()));
    }
    assert_eq!(not_wider(&ClassTerms::default(), &[]), Ok(()));
}

#[test]
fn a_class_administers_those_that_it_names_and_owners_all() {
    let admin = ClassTerms {
        administers: vec!["clerk".parse().unwrap(), "boss".parse().unwrap()],
        ..ClassTerms::default()
    };
    let admin = class(1, "admin", admin);
    let admin = [HeldClass { class: &admin, version: 1 }];
    let of_owner = class(2, "boss", owner());
    let of_owner = [HeldClass { class: &of_owner, version: 1 }];
    let clerk = "clerk".parse().unwrap();
    let boss = "boss".parse().unwrap();
    assert!(may_administer(&admin, &clerk, &terms(rule())));
    assert!(!may_administer(&admin, &"manager".parse().unwrap(), &terms(rule())));
    assert!(!may_administer(&admin, &boss, &owner()), "an owner class is for owners alone");
    assert!(may_administer(&of_owner, &boss, &owner()));
    assert!(may_administer(&of_owner, &clerk, &terms(rule())));
    assert!(!may_administer(&[], &clerk, &terms(rule())));
}

#[test]
fn a_key_has_no_more_than_its_creator() {
    let clerk = class(1, "clerk", terms(rule()));
    let same_terms = class(2, "robot", terms(rule()));
    let wider = class(3, "wide", terms(Rule { rows: RowScope::All, ..rule() }));
    let of_creator = [HeldClass { class: &clerk, version: 1 }];
    let key = |class| within_creator(&[HeldClass { class, version: 1 }], &of_creator);
    assert_eq!(key(&clerk), Ok(()));
    assert_eq!(key(&same_terms), Ok(()));
    assert_eq!(key(&wider), Err(Wider::Rule(0)));
}

#[test]
fn widening_ones_own_view_needs_a_second_admin() {
    let before = terms(rule());
    let narrower = terms(Rule { view: View::Hidden, ..rule() });
    let wider = terms(Rule { view: View::Clear, ..rule() });
    assert!(!needs_second_admin(&[&before], &[&before]));
    assert!(!needs_second_admin(&[&before], &[&narrower]));
    assert!(!needs_second_admin(&[&before], &[]));
    assert!(needs_second_admin(&[&before], &[&wider]));
    assert!(needs_second_admin(&[&before], &[&before, &owner()]));
}

#[test]
fn the_last_owner_who_can_sign_in_stays() {
    let owners = ClassId::from_bytes([1; 16]);
    let clerks = ClassId::from_bytes([2; 16]);
    let person = |number, state, classes: &[ClassId]| User {
        id: user(number),
        name: "Somebody".parse().unwrap(),
        email: None,
        external_id: None,
        classes: classes.to_vec(),
        state,
        managed_by: None,
        created_at: Timestamp::default(),
        let_in_at: None,
    };
    let check = |users: &[User]| keeps_an_owner(users, &[owners]);
    assert!(check(&[person(1, UserState::Active, &[clerks, owners])]));
    assert!(!check(&[person(1, UserState::Active, &[clerks])]));
    for state in [UserState::Invited, UserState::Suspended, UserState::Removed] {
        assert!(!check(&[person(1, state, &[owners]), person(2, UserState::Active, &[])]));
    }
    assert!(!check(&[]));
}

/// What is not wider must not show more: compared by deciding with either class alone.
#[test]
fn a_class_that_is_not_wider_shows_nothing_more_in_random_worlds() {
    let mut compared = 0;
    for seed in 0..20_000 {
        let mut world = World::of(seed);
        let permitted = world.classes[0].terms.clone();
        // A class that is often a little narrower than the permitted one.
        let mut asked = permitted.clone();
        let other = &world.classes[1].terms;
        if let (Some(rule), Some(like)) = (asked.rules.first_mut(), other.rules.first()) {
            match seed % 4 {
                0 => rule.rows = like.rows.clone(),
                1 => rule.view = like.view,
                2 => rule.fields.clone_from(&like.fields),
                _ => rule.purposes.clone_from(&like.purposes),
            }
        }
        if asked == permitted || not_wider(&asked, &[&permitted]).is_err() {
            continue;
        }
        world.classes[1].terms = asked;
        world.acting_for = None;
        world.request.purpose = Some("billing".parse().unwrap());
        for record in 0..RECORDS {
            let mut decided_with = |class: usize| {
                world.caller.classes = vec![class];
                world.with(Some(record), |facts, request: &AccessRequest<'_>| {
                    decide(facts, request, world.now).map(Permit::spend)
                })
            };
            let (Ok(asked), permitted) = (decided_with(1), decided_with(0)) else { continue };
            let permitted = permitted.unwrap();
            compared += 1;
            for field in &asked.fields {
                let shown = permitted.fields.iter().find(|more| more.number == field.number);
                let shown = shown.unwrap().shown;
                assert!(
                    shown == field.shown || shown == strongroom_access_policy::Shown::Clear,
                    "world {seed}"
                );
            }
        }
    }
    assert!(compared > 100, "only {compared} classes were compared");
}
