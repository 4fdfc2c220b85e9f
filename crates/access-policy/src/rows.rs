//! Row scopes: which records a rule is about, judged by their heads alone.

use strongroom_model::{Collection, Comparison, Principal, RecordHead, RowScope};

use crate::facts::{Actor, SubjectFacts};

/// Whether the scope includes a record with this head.
pub(crate) fn includes_record(
    scope: &RowScope,
    actor: &Actor<'_>,
    collection: &Collection,
    head: &RecordHead,
) -> bool {
    match scope {
        RowScope::All => true,
        RowScope::Own => {
            created_by(actor, head)
                || actor.linked_subject.is_some_and(|subject| subject == head.subject)
        }
        RowScope::Assigned => actor.user.is_some_and(|user| head.assignees.contains(&user)),
        RowScope::Filter(comparisons) => {
            !comparisons.is_empty()
                && comparisons.iter().all(|comparison| holds(comparison, collection, head))
        }
    }
}

/// Whether the scope includes a subject as such, of whom no record is asked for.
pub(crate) fn includes_subject(
    scope: &RowScope,
    actor: &Actor<'_>,
    subject: Option<&SubjectFacts<'_>>,
) -> bool {
    match scope {
        RowScope::All => true,
        RowScope::Own => {
            subject.is_none_or(|subject| actor.linked_subject.is_some_and(|own| own == subject.id))
        }
        RowScope::Assigned | RowScope::Filter(_) => subject.is_none(),
    }
}

fn created_by(actor: &Actor<'_>, head: &RecordHead) -> bool {
    head.created_by == actor.principal
        || actor.user.is_some_and(|user| head.created_by == Principal::User(user))
}

/// A comparison with a field that is not marked `scope`, is retired or does not exist never holds.
fn holds(comparison: &Comparison, collection: &Collection, head: &RecordHead) -> bool {
    let Some(field) = collection.field(&comparison.field).filter(|field| field.scope) else {
        return false;
    };
    head.scope.iter().any(|attribute| {
        attribute.field == field.number
            && comparison.any_of.iter().any(|value| **value == *attribute.value)
    })
}
