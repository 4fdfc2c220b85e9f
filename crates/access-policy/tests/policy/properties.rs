//! Properties that hold in every world.

use proptest::prelude::*;
use strongroom_access_policy::{
    Actor, Answer, Facts, FieldView, Granted, Missing, Refusal, Shown, absent, decide, decide_list,
};
use strongroom_model::{FieldNumber, FieldRule, Principal, View};

use crate::worlds::{Dice, RECORDS, World, limit, purposes};

/// The decision about one record of the world.
fn outcome(world: &World, record: usize) -> Result<Granted, Refusal> {
    world.with(Some(record), |facts, request| {
        decide(facts, request, world.now).map(strongroom_access_policy::Permit::spend)
    })
}

/// Whether the first shows no more than the second, and writes the same or less.
fn is_no_more(one: &Granted, other: &Granted) -> bool {
    let shows = |field: &FieldView| {
        other.fields.iter().any(|more| {
            more.number == field.number && (more.shown == field.shown || more.shown == Shown::Clear)
        })
    };
    one.fields.iter().all(shows) && one.writes.iter().all(|field| other.writes.contains(field))
}

/// Where the first allows something, the second must allow at least as much.
fn check_no_more(world: &World, other: &World) -> Result<(), TestCaseError> {
    for record in 0..RECORDS {
        if let Ok(less) = outcome(world, record) {
            match outcome(other, record) {
                Ok(more) => prop_assert!(is_no_more(&less, &more), "{less:?}\n{more:?}"),
                Err(refusal) => prop_assert!(false, "{less:?}\n{refusal:?}"),
            }
        }
    }
    Ok(())
}

/// A world whose request states a purpose.
fn stated(seed: u64) -> World {
    let mut world = World::of(seed);
    world.request.purpose.get_or_insert_with(|| purposes()[0].clone());
    world
}

/// The next such world in which a key acts for a user.
fn acting(seed: u64) -> World {
    (0..1000).map(|step| stated(seed.wrapping_add(step))).find(|w| w.acting_for.is_some()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_class_never_hides_anything(seed: u64, class in 0..4_usize) {
        let world = stated(seed);
        let mut with_class = world.clone();
        with_class.caller.classes.push(class);
        if let Some(user) = &mut with_class.acting_for {
            user.classes.push((class + 1) % 4);
        }
        for limit in &mut with_class.ceilings {
            use crate::worlds::Limit;
            match limit {
                Limit::Key(reach)
                | Limit::Backend(reach)
                | Limit::Connection(reach)
                | Limit::Grant(reach) => {
                    if let Some(classes) = &mut reach.classes {
                        classes.push((class + 2) % 4);
                    }
                }
                Limit::Documents | Limit::Residency => {}
            }
        }
        check_no_more(&world, &with_class)?;
    }

    #[test]
    fn adding_a_ceiling_never_reveals_anything(seed: u64, of_ceiling: u64) {
        let world = World::of(seed);
        let mut with_ceiling = world.clone();
        with_ceiling.ceilings.push(limit(&mut Dice(of_ceiling), world.now));
        check_no_more(&with_ceiling, &world)?;
        // It does not even tell of an object that the caller could not hear of before.
        for record in 0..RECORDS {
            let hears = |world: &World| match outcome(world, record) {
                Ok(_) => true,
                Err(refusal) => match refusal.answer() {
                    Answer::NotFound | Answer::UserRequired | Answer::Elsewhere => false,
                    Answer::Forbidden { .. } | Answer::PurposeRequired { .. } | Answer::Erased => {
                        true
                    }
                },
            };
            prop_assert!(hears(&world) || !hears(&with_ceiling));
        }
    }

    #[test]
    fn without_a_class_nothing_is_allowed_or_known(seed: u64) {
        let mut world = World::of(seed);
        world.caller.classes.clear();
        for record in 0..RECORDS {
            let refusal = outcome(&world, record).unwrap_err();
            match refusal.answer() {
                Answer::NotFound | Answer::UserRequired | Answer::Elsewhere => {}
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let listed = world.with(None, |facts, request| {
            decide_list(facts, request, world.now).is_ok()
        });
        prop_assert!(!listed);
    }

    #[test]
    fn without_a_class_of_the_user_for_whom_it_acts_nothing_is_allowed(seed: u64) {
        let mut world = acting(seed);
        world.acting_for.as_mut().unwrap().classes.clear();
        for record in 0..RECORDS {
            prop_assert!(outcome(&world, record).is_err());
        }
    }

    #[test]
    fn a_list_shows_of_each_record_what_a_read_shows(seed: u64) {
        let world = World::of(seed);
        let reads: Vec<_> = (0..RECORDS).map(|record| outcome(&world, record).ok()).collect();
        let listed: Vec<_> = world.with(None, |facts, request| {
            let list = decide_list(facts, request, world.now).ok();
            let view = |record: usize| {
                let permit = list.as_ref()?.view_of(&world.records[record].facts());
                permit.map(strongroom_access_policy::Permit::spend)
            };
            (0..RECORDS).map(view).collect()
        });
        prop_assert_eq!(reads, listed);
    }

    #[test]
    fn naming_fields_takes_away_the_others_and_nothing_else(seed: u64, named in 0..8_u32) {
        let mut world = World::of(seed);
        world.request.requested = None;
        let fields: Vec<_> =
            (1..=3).filter(|number| named & (1 << (number - 1)) != 0).map(FieldNumber).collect();
        let mut narrowed = world.clone();
        narrowed.request.requested = Some(fields.clone());
        for record in 0..RECORDS {
            match (outcome(&world, record), outcome(&narrowed, record)) {
                (Ok(mut every), Ok(some)) => {
                    every.fields.retain(|field| fields.contains(&field.number));
                    prop_assert_eq!(every, some);
                }
                (every, some) => prop_assert_eq!(every, some),
            }
        }
    }

    #[test]
    fn a_field_that_every_class_hides_is_in_no_permit(seed: u64, number in 1..=3_u32) {
        let mut world = World::of(seed);
        let name = world.collection.field_of(FieldNumber(number)).unwrap().name.clone();
        for class in &mut world.classes {
            class.terms.owner = false;
            for rule in &mut class.terms.rules {
                rule.fields.retain(|field| field.field != name);
                let field = name.clone();
                rule.fields.push(FieldRule { field, view: View::Hidden, write: true });
            }
        }
        for record in 0..RECORDS {
            if let Ok(granted) = outcome(&world, record) {
                let numbers: Vec<_> = granted.fields.iter().map(|field| field.number).collect();
                prop_assert!(!numbers.contains(&FieldNumber(number)));
            }
        }
    }

    #[test]
    fn acting_for_a_user_gives_the_lesser_of_both(seed: u64) {
        let mut world = acting(seed);
        world.ceilings.clear();
        let user = world.acting_for.clone().unwrap();
        // Nobody's own records but the user's, so that both sides mean the same records.
        let mut key_alone = world.clone();
        key_alone.acting_for = None;
        key_alone.asserted = None;
        check_no_more(&world, &key_alone)?;
        let mut user_alone = key_alone;
        user_alone.caller = user;
        let asserted = world.asserted.unwrap_or_default();
        user_alone.request.address = asserted.address;
        user_alone.request.second_factor_at = asserted.second_factor_at;
        check_no_more(&world, &user_alone)?;
    }

    #[test]
    fn what_no_rule_includes_is_answered_like_what_does_not_exist(seed: u64) {
        let mut world = World::of(seed);
        for class in &mut world.classes {
            class.terms.owner = false;
            for rule in &mut class.terms.rules {
                rule.rows = strongroom_model::RowScope::Assigned;
            }
        }
        for record in &mut world.records {
            record.head.assignees.clear();
        }
        for record in 0..RECORDS {
            let refusal = outcome(&world, record).unwrap_err();
            let (answer, code) = world.with(None, |facts, request| {
                let refusal = absent(facts, request, world.now);
                (format!("{:?}", refusal.answer()), refusal.answer_code())
            });
            let erased = matches!(refusal.answer(), Answer::Erased);
            if !erased {
                prop_assert_eq!(format!("{:?}", refusal.answer()), answer);
                prop_assert_eq!(refusal.answer_code(), code);
            }
        }
    }

    #[test]
    fn the_decision_is_the_same_every_time(seed: u64) {
        let world = World::of(seed);
        for record in 0..RECORDS {
            prop_assert_eq!(outcome(&world, record), outcome(&world, record));
        }
    }

    #[test]
    fn a_purpose_that_was_not_stated_is_the_one_that_would_have_been_allowed_stated(seed: u64) {
        let mut world = World::of(seed);
        world.request.purpose = None;
        for record in 0..RECORDS {
            match outcome(&world, record) {
                Ok(granted) => {
                    let mut world = world.clone();
                    world.request.purpose.clone_from(&granted.purpose);
                    prop_assert_eq!(outcome(&world, record), Ok(granted));
                }
                Err(refusal) => {
                    if let Missing::Purpose(among) = refusal.missing() {
                        prop_assert!(among.iter().all(|p| world.collection.purposes.contains(p)));
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_and_operators_have_no_client_data_whatever_their_classes(seed: u64) {
        let world = World::of(seed);
        for principal in [Principal::Anonymous, Principal::Operator(crate::worlds::user(1))] {
            for record in 0..RECORDS {
                let answered = world.with(Some(record), |facts, request| {
                    let principal = Actor { principal, ..facts.principal };
                    let facts = Facts { principal, ..*facts };
                    decide(&facts, request, world.now).unwrap_err().answer_code()
                });
                prop_assert!(["not_found", "ceiling_residency"].contains(&answered), "{answered}");
            }
        }
    }
}
