//! Somebody creates a record.

use strongroom_access_policy::RecordFacts;
use strongroom_model::{
    Action, AuditObject, ClearValue, CollectionName, ExternalId, FieldName, Label, NamedUser,
    Purpose, RecordId, SubjectId, Timestamp,
};
use strongroom_storage::LinePlaced;
use tracing::Instrument;

use crate::idempotency::Before;
use crate::index::Index;
use crate::records::known::Asked;
use crate::records::may::{Intent, May, may};
use crate::records::read::read_made;
use crate::records::view::{Contents, Known, RecordView, disclose_written, shown_event};
use crate::records::writer::{Writer, make_room};
use crate::snapshot::{Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, spans};

/// What the line of a creation is called.
const CODE: &str = "record.create";

/// What is wanted.
pub struct CreateRecord {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: NewRecord,
    /// So that a repeated request makes one record.
    pub idempotency: Option<Idempotency>,
}

/// A record as a caller sends it; rows of a file that wait to become records are kept as it.
#[derive(minicbor::Encode, minicbor::Decode)]
pub struct NewRecord {
    /// The id that the SaaS product has for it, which no other record of the collection has.
    #[n(0)]
    pub external_id: Option<ExternalId>,
    /// Whom it is about; by the collection's rule, where absent.
    #[n(1)]
    pub subject: Option<NamedSubject>,
    /// Who gave the data.
    #[n(2)]
    pub source: Option<Label>,
    /// When it was collected; now, where absent.
    #[n(3)]
    pub collected_at: Option<Timestamp>,
    /// The version of the notice that was in force when it was collected.
    #[n(4)]
    pub notice: Option<u32>,
    /// For what it may be used; for everything that the collection may, where absent.
    #[n(5)]
    pub purposes: Option<Vec<Purpose>>,
    /// The users to whom it is assigned.
    #[n(6)]
    pub assignees: Vec<NamedUser>,
    /// Its fields.
    #[n(7)]
    pub fields: Vec<(FieldName, ClearValue)>,
}

/// By what a record names the person whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub enum NamedSubject {
    /// A subject that there is.
    #[n(0)]
    Id(#[n(0)] SubjectId),
    /// The subject with this external id, who is made with the record if there is none.
    #[n(1)]
    External(#[n(0)] ExternalId),
}

/// Creates a record and gives it as the caller sees it.
///
/// # Errors
/// [`VaultError::Invalid`] with every flaw of the fields; `external_id_taken`; `no_purpose`;
/// [`VaultError::Refused`]; [`VaultError::NotFound`].
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateRecord,
) -> Result<Answer<RecordView>, VaultError> {
    match attempt(|| once(vault, ctx, wanted)).await? {
        Made { shown: Some(value), lines, .. } => Ok(Answer { value, lines }),
        Made { id, mut lines, shown: None } => {
            let shown = read_made(vault, ctx, &wanted.collection, id).await?;
            lines.extend(shown.lines);
            Ok(Answer { value: shown.value, lines })
        }
    }
}

/// A record that has been created.
struct Made {
    id: RecordId,
    lines: Vec<LinePlaced>,
    /// As the caller sees it, if that went on record with its creation.
    shown: Option<RecordView>,
}

async fn once(vault: &Vault, ctx: &TenantCtx, wanted: &CreateRecord) -> Result<Made, VaultError> {
    let tenant = ctx.tenant();
    let ticket = vault.admission.enter();
    // Whether they may create anything here: whoever may not learns nothing of fields and ids.
    let intent = Intent::to_create(&wanted.collection, CODE);
    let (mut snapshot, May { who, collection, .. }) =
        may(ctx, Snapshot::new(vault), &intent).await?;
    let attempted =
        |object| Attempted { principal: who.principal, action: Action::Create, code: CODE, object };
    let in_collection = AuditObject::Collection(collection.number);
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await {
        Ok(Before::Never(slot)) => slot,
        Ok(Before::Made(id)) => {
            return Ok(Made { id: RecordId::from_bytes(id), lines: Vec::new(), shown: None });
        }
        // What the request made has been erased, and with it all that is known of the request.
        Err(VaultError::Erased(_)) => {
            snapshot.presume_erased();
            let attempted = attempted(in_collection);
            return vault.refuse_absent(ctx, snapshot, who, attempted).await;
        }
        Err(error) => return Err(error),
    };
    let index = Index::of_records(tenant, &collection);
    make_room(&mut snapshot, index, std::slice::from_ref(&wanted.record)).await?;
    let mut writer = Writer::new(snapshot, ctx, collection.clone(), 1);
    let planned = match writer.plan(ctx, &who, &wanted.record).instrument(spans::deciding()).await {
        Err(VaultError::Refused(refusal)) => {
            let attempted = attempted(in_collection);
            return vault.refuse(ctx, writer.snapshot, attempted, refusal).await;
        }
        planned => planned?,
    };
    let object = AuditObject::Record(collection.number, planned.id);
    let event = attempted(object).allowed(&planned.granted, vec![planned.touch()]);
    // What the caller sees of it is decided on the same facts, and goes on record in the same commit.
    let subject = writer.subject_facts(planned.head.subject);
    let facts = RecordFacts { id: planned.id, head: &planned.head, subject };
    let asked = Asked::default();
    let seen = vault.decide_on_record(ctx, &who, &collection, facts, Action::Read, asked).ok();
    let person = writer.person(planned.head.subject);
    let (mut batch, grown) = writer.finish(ctx).await?;
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, planned.leaf, *planned.id.as_bytes()).await?;
    }
    let about = Some((planned.head.subject, planned.leaf.slot));
    batch.line(vault.line_about(tenant, Some(ctx), about, event).await?);
    if let Some(permit) = &seen {
        let event = shown_event(who.principal, object, permit);
        batch.line(vault.line_about(tenant, Some(ctx), about, event).await?);
    }
    let committed = vault.store.commit(batch).await?;
    grown.keep(vault);

    let known = Known {
        id: planned.id,
        version: 1,
        collection: &collection,
        person,
        head: &planned.head,
        contents: Contents::Written(&planned.fields),
    };
    Ok(Made {
        id: planned.id,
        lines: committed.places().to_vec(),
        shown: disclose_written(seen, &committed, &ticket, &known)?,
    })
}
