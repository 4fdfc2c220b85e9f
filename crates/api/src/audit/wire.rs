//! Lines of the audit log as JSON: ids and numbers, never values.

use serde::Serialize;
use strongroom_model::{
    Action, BackendId, ClassId, ConnectionId, FieldNumber, GrantId, JobId, Outcome, RecordId,
    RuleRef, SubjectId, Through, Timestamp, Touch, UserId,
};
use strongroom_vault::audit::Entry;
use strongroom_vault::log::line::DecodedObject;
use utoipa::ToSchema;

use crate::reply::hexadecimal;
use crate::whoami::PrincipalShown;
use crate::wire::Shown;

/// A line of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntry<'a> {
    /// When it was written.
    time: Timestamp,
    /// Which run of which server wrote it.
    node: u32,
    /// Its place among that node's lines of the tenant, from 0.
    n: u64,
    /// Its tag, in hexadecimal.
    tag: String,
    /// Who acted.
    principal: PrincipalShown,
    /// For which user, where somebody acted for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    acting_for: Option<UserId>,
    /// Through what it came in, where that is not its own tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    through: Option<CameThrough>,
    /// What was asked.
    action: Action,
    /// `allowed` or `refused`.
    outcome: &'static str,
    /// A stable word for what was done, or for why it was refused.
    code: String,
    /// Under which purpose; null where the action has none.
    purpose: Option<String>,
    /// The rule that allowed it.
    rule: Option<Rule>,
    /// What it was about.
    object: About,
    /// Which records and fields were touched.
    touches: Vec<Touched>,
    /// The reason that the caller gave; null if it gave none, or the person whom it was about has
    /// been erased.
    #[schema(value_type = Option<String>)]
    reason: Option<Shown<'a>>,
}

/// Through what somebody came in.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditThrough)]
pub(crate) struct CameThrough {
    /// `backend`, `connection`, `grant` or `job`.
    kind: &'static str,
    /// Its id.
    id: String,
}

/// A rule of a version of a class.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditRule)]
pub(crate) struct Rule {
    #[schema(value_type = String)]
    class: ClassId,
    /// The class's version.
    version: u64,
    /// The rule's place in it, from 0.
    place: u16,
}

/// What a line is about.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditObject)]
pub(crate) struct About {
    /// `tenant`, `collection`, `record`, `subject`, or `other`.
    kind: &'static str,
    /// Its id; absent for a collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<String>,
    /// The number of the collection, for a collection or a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    collection: Option<u32>,
}

/// A record that was touched, and which of its fields, by their numbers.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditTouch)]
pub(crate) struct Touched {
    #[schema(value_type = String)]
    record: RecordId,
    /// Fields shown in the clear, or written.
    clear: Vec<FieldNumber>,
    /// Fields shown masked.
    masked: Vec<FieldNumber>,
}

impl<'a> From<&'a Entry> for AuditEntry<'a> {
    fn from(entry: &'a Entry) -> Self {
        let event = &entry.event;
        Self {
            time: entry.time,
            node: entry.place.node,
            n: entry.place.n,
            tag: hexadecimal(&entry.place.tag),
            principal: event.principal.into(),
            acting_for: event.acting_for,
            through: event.through.map(CameThrough::from),
            action: event.action,
            outcome: match event.outcome {
                Outcome::Allowed => "allowed",
                Outcome::Refused => "refused",
            },
            code: event.code.clone(),
            purpose: (!event.purpose.is_empty()).then(|| event.purpose.clone()),
            rule: event.rule.map(Rule::from),
            object: About::from(&event.object),
            touches: event.touches.iter().map(Touched::from).collect(),
            reason: entry.reason.as_ref().map(Shown),
        }
    }
}

impl From<(Through, [u8; 16])> for CameThrough {
    fn from((kind, id): (Through, [u8; 16])) -> Self {
        let (kind, id) = match kind {
            Through::Backend => ("backend", BackendId::from_bytes(id).to_string()),
            Through::Connection => ("connection", ConnectionId::from_bytes(id).to_string()),
            Through::Grant => ("grant", GrantId::from_bytes(id).to_string()),
            Through::Job => ("job", JobId::from_bytes(id).to_string()),
        };
        Self { kind, id }
    }
}

impl From<RuleRef> for Rule {
    fn from(rule: RuleRef) -> Self {
        let RuleRef { class, version, rule: place } = rule;
        Self { class, version, place }
    }
}

impl From<&DecodedObject> for About {
    fn from(object: &DecodedObject) -> Self {
        match object {
            DecodedObject::Tenant(id) => Self::of("tenant", id.to_string()),
            DecodedObject::Collection(number) => {
                Self { kind: "collection", id: None, collection: Some(number.0) }
            }
            DecodedObject::Record(number, id) => {
                Self { collection: Some(number.0), ..Self::of("record", id.to_string()) }
            }
            DecodedObject::Subject(id) => Self::of("subject", id.to_string()),
            DecodedObject::Other(prefix, id) => Self::of("other", with_prefix(prefix, *id)),
        }
    }
}

impl About {
    const fn of(kind: &'static str, id: String) -> Self {
        Self { kind, id: Some(id), collection: None }
    }
}

/// An id of a kind that is known by its prefix only: all kinds are written alike after it.
fn with_prefix(prefix: &str, id: [u8; 16]) -> String {
    SubjectId::from_bytes(id).to_string().replacen(SubjectId::PREFIX, prefix, 1)
}

impl From<&Touch> for Touched {
    fn from(touch: &Touch) -> Self {
        let Touch { record, clear, masked } = touch.clone();
        Self { record, clear, masked }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_model::TenantId;

    use super::*;

    #[test]
    fn an_id_known_by_its_prefix_reads_as_that_kind() {
        let id = UserId::from_bytes([7; 16]);
        assert_eq!(with_prefix(UserId::PREFIX, [7; 16]), id.to_string());
        assert_eq!(
            with_prefix(TenantId::PREFIX, [7; 16]),
            TenantId::from_bytes([7; 16]).to_string()
        );
    }
}
