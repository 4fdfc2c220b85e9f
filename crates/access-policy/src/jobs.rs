//! Whose a job is, and who sends what it is done with.

use strongroom_model::{AskedWith, Asker, Job};

use crate::facts::Facts;

/// Whether the principal has asked for this job, which they then see and stop without any rule: the same
/// principal, acting for the same user. What a person has asked for is not open to a backend or a key
/// that acts for them, whose bounds are narrower than theirs.
pub fn is_own_job(facts: &Facts<'_>, job: &Job) -> bool {
    let acting_for = facts.acting_for.as_ref().and_then(|delegation| delegation.user.user);
    let asked_for = job.asker.as_ref().and_then(|asker| asker.acting_for);
    facts.principal.principal == job.asked_by && acting_for == asked_for
}

/// Whether what is sent for a job comes from where it was asked for: the credential whose rights make
/// something of it, acting for the same user. Otherwise whoever has a lesser credential would use the
/// rights of the greater one. A backend whose secret was changed meanwhile is the same backend.
pub fn may_feed(sender: &Asker, asker: &Asker) -> bool {
    let same = match (sender.credential, asker.credential) {
        (AskedWith::Session(one), AskedWith::Session(other)) => one == other,
        (AskedWith::ApiKey(one), AskedWith::ApiKey(other)) => one == other,
        (AskedWith::Backend(one, _), AskedWith::Backend(other, _)) => one == other,
        (AskedWith::Session(_) | AskedWith::ApiKey(_) | AskedWith::Backend(..), _) => false,
    };
    same && sender.acting_for == asker.acting_for
}
