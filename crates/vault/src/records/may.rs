//! Whether somebody may do something to records of a collection at all, before anything of the request
//! is looked at: whoever may not does not learn which fields, external ids or jobs there are.

use strongroom_access_policy::{AccessRequest, Facts, decide_list};
use strongroom_model::{Action, AuditEvent, AuditObject, Collection, CollectionName};

use crate::caller::Who;
use crate::records::view::{Columns, Wanted};
use crate::snapshot::{Loaded, Snapshot};
use crate::trail::Attempted;
use crate::{TenantCtx, VaultError};

/// What somebody wants to do to records of a collection.
pub(crate) struct Intent<'a> {
    pub(crate) collection: &'a CollectionName,
    pub(crate) action: Action,
    /// What the line is called.
    pub(crate) code: &'static str,
    /// Which fields, where they are to be shown.
    pub(crate) wanted: Option<&'a Wanted>,
}

impl<'a> Intent<'a> {
    /// To create records.
    pub(crate) const fn to_create(collection: &'a CollectionName, code: &'static str) -> Self {
        Self { collection, action: Action::Create, code, wanted: None }
    }
}

/// That somebody may do it to some records, as it goes on record.
pub(crate) struct May {
    pub(crate) who: Who,
    pub(crate) collection: Loaded<Collection>,
    pub(crate) columns: Columns,
    pub(crate) event: AuditEvent,
}

/// Decides on an intent. Single records are decided on later, each by itself.
///
/// # Errors
/// A refusal, which is on record; [`VaultError::Invalid`] for fields that the collection does not have.
pub(crate) async fn may<'v>(
    ctx: &TenantCtx,
    mut snapshot: Snapshot<'v>,
    intent: &Intent<'_>,
) -> Result<(Snapshot<'v>, May), VaultError> {
    let vault = snapshot.vault;
    let tenant = ctx.tenant();
    let who = snapshot.who(ctx).await?;
    let mut attempted = Attempted {
        principal: who.principal,
        action: intent.action,
        code: intent.code,
        object: AuditObject::Tenant(tenant),
    };
    let Some(collection) = snapshot.collection(tenant, intent.collection).await? else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    attempted.object = AuditObject::Collection(collection.number);
    let columns = intent.wanted.map(|wanted| wanted.columns(&collection)).unwrap_or_default();
    let decision = {
        let held = who.held();
        let facts = Facts { collection: Some(&collection.value), ..held.facts() };
        let request = AccessRequest {
            requested: columns.requested.as_deref(),
            reveal: &columns.reveal,
            purpose: ctx.about().purpose.as_ref(),
            address: ctx.about().address,
            ..AccessRequest::new(intent.action)
        };
        decide_list(&facts, &request, vault.now())
            .map(|permit| (permit.rule(), permit.purpose().map(ToString::to_string)))
    };
    match decision {
        Ok((rule, purpose)) => {
            columns.check()?;
            let purpose = purpose.unwrap_or_default();
            let event = AuditEvent { rule: Some(rule), purpose, ..attempted.done() };
            Ok((snapshot, May { who, collection, columns, event }))
        }
        Err(refusal) => vault.refuse(ctx, snapshot, attempted, refusal).await,
    }
}
