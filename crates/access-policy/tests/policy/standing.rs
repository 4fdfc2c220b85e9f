//! Who stands for something: for a job, or for the recovery of an owner.

use strongroom_access_policy::{
    Actor, Delegation, Facts, WrongOperator, is_own_job, may_approve, may_ask, may_feed,
    may_invite_owner,
};
use strongroom_model::{
    AskedWith, Asker, BackendId, Import, Job, JobId, JobKind, KeyId, Principal, Recovery,
    SessionId, Timestamp, User, UserState,
};

use crate::worlds::user;

fn asker(credential: AskedWith, acting_for: Option<u8>) -> Asker {
    Asker { credential, acting_for: acting_for.map(user), purpose: None, address: None }
}

fn job(asked_by: Principal, asker: Asker) -> Job {
    let kind = JobKind::Import(Import::new("people".parse().unwrap(), false));
    let new = Job::new(JobId::from_bytes([1; 16]), kind, asked_by, Timestamp::default());
    Job { asker: Some(asker), ..new }
}

#[test]
fn a_job_is_its_principals_own_only_where_it_was_asked_for_the_same_user() {
    let backend = Principal::Backend(BackendId::from_bytes([7; 16]));
    let session = AskedWith::Session(SessionId::from_bytes([8; 16]));
    let through = AskedWith::Backend(BackendId::from_bytes([7; 16]), 1);
    let of_person = job(Principal::User(user(1)), asker(session, None));
    let of_backend = job(backend, asker(through, Some(1)));
    let acting = |for_whom: u8| Facts {
        acting_for: Some(Delegation {
            user: Actor::user(user(for_whom), None, &[]),
            asserted: None,
        }),
        ..Facts::of(Actor::other(backend, &[]))
    };
    let person = Facts::of(Actor::user(user(1), None, &[]));
    assert!(is_own_job(&person, &of_person));
    assert!(is_own_job(&acting(1), &of_backend));
    // The same user, through something else; the same backend, for somebody else or for nobody.
    assert!(!is_own_job(&person, &of_backend));
    assert!(!is_own_job(&acting(1), &of_person));
    assert!(!is_own_job(&acting(2), &of_backend));
    assert!(!is_own_job(&Facts::of(Actor::other(backend, &[])), &of_backend));
    assert!(!is_own_job(&Facts::of(Actor::user(user(2), None, &[])), &of_person));
}

#[test]
fn a_job_is_fed_by_the_credential_that_asked_for_it_and_by_no_other() {
    let session = |number| AskedWith::Session(SessionId::from_bytes([number; 16]));
    let key = |number| AskedWith::ApiKey(KeyId::from_bytes([number; 16]));
    let backend = |number, secret| AskedWith::Backend(BackendId::from_bytes([number; 16]), secret);
    let all = [session(1), session(2), key(1), key(2), backend(1, 1), backend(2, 1)];
    for (place, one) in all.into_iter().enumerate() {
        for (other_place, other) in all.into_iter().enumerate() {
            let feeds = may_feed(&asker(one, Some(1)), &asker(other, Some(1)));
            assert_eq!(feeds, place == other_place, "{one:?} {other:?}");
            assert!(!may_feed(&asker(one, Some(1)), &asker(other, Some(2))));
            assert!(!may_feed(&asker(one, None), &asker(other, Some(1))));
        }
    }
    assert!(may_feed(&asker(backend(1, 2), None), &asker(backend(1, 1), None)));
}

fn at(hours: i64) -> Timestamp {
    Timestamp::default().plus_seconds(hours * 60 * 60)
}

fn operator(number: u8, let_in_at: Option<Timestamp>) -> User {
    User {
        id: user(number),
        name: "Somebody".parse().unwrap(),
        email: None,
        external_id: None,
        classes: Vec::new(),
        state: UserState::Active,
        managed_by: None,
        created_at: Timestamp::default(),
        let_in_at,
    }
}

#[test]
fn an_operator_stands_for_a_recovery_only_when_their_account_has_been_their_own_for_72_hours() {
    assert_eq!(may_ask(&operator(1, None), at(72)), Ok(()));
    let early = Timestamp::from_micros(at(72).as_micros() - 1);
    assert_eq!(may_ask(&operator(1, None), early), Err(WrongOperator::TooNew));
    assert_eq!(may_ask(&operator(1, Some(at(100))), at(171)), Err(WrongOperator::TooNew));
    assert_eq!(may_ask(&operator(1, Some(at(100))), at(172)), Ok(()));
}

#[test]
fn two_operators_stand_for_a_recovery_and_either_of_them_invites_the_owner() {
    let asked = Recovery::requested("all owners have left".parse().unwrap(), user(1), at(72));
    let old = |number| operator(number, None);
    assert_eq!(may_approve(&asked, &old(1), at(80)), Err(WrongOperator::Asked));
    assert_eq!(may_approve(&asked, &old(2), at(80)), Ok(()));
    assert_eq!(may_approve(&asked, &operator(2, Some(at(79))), at(80)), Err(WrongOperator::TooNew));
    let approved = Recovery { approved_by: Some(user(2)), ..asked };
    for (number, may) in [(1, Ok(())), (2, Ok(())), (3, Err(WrongOperator::Bystander))] {
        assert_eq!(may_invite_owner(&approved, &old(number), at(200)), may, "{number}");
    }
    let taken_over = operator(2, Some(at(199)));
    assert_eq!(may_invite_owner(&approved, &taken_over, at(200)), Err(WrongOperator::TooNew));
}
