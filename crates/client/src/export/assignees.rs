//! The users to whom exported records are assigned, from ids to external ids: ids belong to one server,
//! external ids to the SaaS product.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value, json};
use strongroom_model::UserId;

use crate::export::ExportError;
use crate::{ClientError, ProblemCode, Scoped};

/// What is known of the users of a tenant.
#[derive(Default)]
pub(crate) struct Assignees {
    /// Their external ids; nothing for those who have none, or are gone.
    known: BTreeMap<UserId, Option<String>>,
}

impl Assignees {
    /// Names the users of these records by their external ids, as far as they have any; the others stay
    /// ids and are counted.
    pub(crate) async fn resolve(
        &mut self,
        scoped: Scoped<'_>,
        records: &mut [Map<String, Value>],
        unresolved: &mut u64,
    ) -> Result<(), ExportError> {
        for record in records {
            let Some(Value::Array(assignees)) = record.get_mut("assignees") else { continue };
            for assignee in assignees {
                let id = assignee.as_str().and_then(|id| id.parse().ok());
                let id = id.ok_or(ExportError::Unintelligible)?;
                match self.external_id(scoped, id).await? {
                    Some(external_id) => *assignee = json!({ "external_id": external_id }),
                    None => *unresolved += 1,
                }
            }
        }
        Ok(())
    }

    async fn external_id(
        &mut self,
        scoped: Scoped<'_>,
        id: UserId,
    ) -> Result<Option<&str>, ClientError> {
        let known = match self.known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(external_id(scoped, id).await?),
        };
        Ok(known.as_deref())
    }
}

/// The external id of a user who is there and has one.
async fn external_id(scoped: Scoped<'_>, id: UserId) -> Result<Option<String>, ClientError> {
    match scoped.user(id).await {
        Ok(user) => Ok(user.value.external_id),
        Err(error) => match error.problem().map(|problem| &problem.code) {
            Some(ProblemCode::NotFound) => Ok(None),
            Some(_) | None => Err(error),
        },
    }
}
