//! Administration: who may give classes to whom, and what no change may do.

use strongroom_model::{
    ClassId, ClassName, ClassTerms, Conditions, FieldName, RowScope, Rule, TimeWindow, User,
    UserState, View,
};

use crate::facts::HeldClass;

/// What goes beyond what is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wider {
    /// It may everything, and nothing permitted does.
    #[error("only an owner may make an owner class")]
    Owner,
    /// The rule at this place is not covered by one permitted rule.
    #[error("rule {0} is not covered by one permitted rule")]
    Rule(usize),
    /// It has an administrative action that is not permitted.
    #[error("an administrative action is not permitted")]
    Administrative,
    /// It administers a class that is not permitted.
    #[error("a class that it administers is not permitted")]
    Administers,
}

/// Whether holders of these classes, all of which count for the request, may assign and edit a class:
/// one of theirs names it, or is an owner class. An owner class is administered by owners alone.
pub fn may_administer(counting: &[HeldClass<'_>], class: &ClassName, terms: &ClassTerms) -> bool {
    counting.iter().any(|held| {
        let own = &held.class.terms;
        own.owner || (!terms.owner && own.administers.contains(class))
    })
}

/// Whether a class allows no more than the permitted ones: each of its rules is covered by one
/// permitted rule with the same row scope or `all`, under conditions that are no weaker.
///
/// # Errors
/// [`Wider`] with the first thing that goes beyond.
pub fn not_wider(asked: &ClassTerms, permitted: &[&ClassTerms]) -> Result<(), Wider> {
    let comparable: Vec<&ClassTerms> = permitted
        .iter()
        .copied()
        .filter(|terms| conditions_cover(&terms.conditions, &asked.conditions))
        .collect();
    if comparable.iter().any(|terms| terms.owner) {
        return Ok(());
    }
    if asked.owner {
        return Err(Wider::Owner);
    }
    let uncovered = asked.rules.iter().position(|rule| {
        !comparable.iter().any(|terms| terms.rules.iter().any(|over| covers(over, rule)))
    });
    if let Some(place) = uncovered {
        return Err(Wider::Rule(place));
    }
    let within = |action| comparable.iter().any(|terms| terms.administrative.contains(action));
    if !asked.administrative.iter().all(within) {
        return Err(Wider::Administrative);
    }
    let within = |class| comparable.iter().any(|terms| terms.administers.contains(class));
    if asked.administers.iter().all(within) { Ok(()) } else { Err(Wider::Administers) }
}

/// Whether every class that an API key is to have allows no more than its creator's classes do.
///
/// # Errors
/// [`Wider`] with the first thing that goes beyond.
pub fn within_creator(of_key: &[HeldClass<'_>], of_creator: &[HeldClass<'_>]) -> Result<(), Wider> {
    let permitted: Vec<&ClassTerms> = of_creator.iter().map(|held| &held.class.terms).collect();
    let has = |id: ClassId| of_creator.iter().any(|held| held.class.id == id);
    of_key
        .iter()
        .filter(|held| !has(held.class.id))
        .try_for_each(|held| not_wider(&held.class.terms, &permitted))
}

/// Whether a change of the editor's own classes, before and after, widens what they may: then a
/// second admin has to agree.
pub fn needs_second_admin(before: &[&ClassTerms], after: &[&ClassTerms]) -> bool {
    after.iter().any(|terms| not_wider(terms, before).is_err())
}

/// Whether somebody who may sign in themselves still holds an owner class after a change.
pub fn keeps_an_owner<'u>(
    users_after: impl IntoIterator<Item = &'u User>,
    owner_classes_after: &[ClassId],
) -> bool {
    users_after.into_iter().any(|user| {
        user.state == UserState::Active
            && user.managed_by.is_none()
            && user.classes.iter().any(|class| owner_classes_after.contains(class))
    })
}

/// Whether one rule allows everything that the other does.
fn covers(over: &Rule, rule: &Rule) -> bool {
    let actions = rule.actions.iter().all(|action| over.actions.contains(action));
    let collection = over.collection.is_none() || over.collection == rule.collection;
    let rows = over.rows == RowScope::All || over.rows == rule.rows;
    let purposes = is_within(&rule.purposes, &over.purposes);
    let others = rule.view <= over.view && (over.write || !rule.write);
    let named = rule.fields.iter().chain(&over.fields).all(|field| {
        let (view, write) = says(rule, &field.field);
        let (view_max, write_max) = says(over, &field.field);
        view <= view_max && (write_max || !write)
    });
    actions && collection && rows && purposes && others && named
}

/// What a rule says of a field: view and write.
fn says(rule: &Rule, name: &FieldName) -> (View, bool) {
    rule.fields
        .iter()
        .filter(|field| field.field == *name)
        .map(|field| (field.view, field.write))
        .reduce(|one, other| (one.0.max(other.0), one.1 || other.1))
        .unwrap_or((rule.view, rule.write))
}

/// Whether a class under the stricter conditions counts only when one under the looser ones does.
fn conditions_cover(looser: &Conditions, stricter: &Conditions) -> bool {
    let window = looser.window.as_ref().is_none_or(|outer| {
        stricter.window.as_ref().is_some_and(|inner| window_within(inner, outer))
    });
    let second_factor = looser.second_factor_seconds_max.is_none_or(|most| {
        stricter.second_factor_seconds_max.is_some_and(|seconds| seconds <= most)
    });
    window
        && second_factor
        && is_within(&stricter.addresses, &looser.addresses)
        && is_within(&stricter.purposes, &looser.purposes)
}

fn window_within(inner: &TimeWindow, outer: &TimeWindow) -> bool {
    inner.zone == outer.zone
        && inner.weekdays.iter().all(|day| outer.weekdays.contains(day))
        && inner.from_minute >= outer.from_minute
        && inner.until_minute <= outer.until_minute
}

/// Whether a list of which an empty one means "any" lies within another such list.
fn is_within<T: PartialEq>(inner: &[T], outer: &[T]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|item| outer.contains(item)))
}
