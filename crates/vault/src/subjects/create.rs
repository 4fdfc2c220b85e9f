//! Somebody who may create records makes a subject before there is a record about them.

use strongroom_keyring::Half;
use strongroom_model::{
    Action, AuditObject, ExternalId, FIRST_RECORD_NUMBER, RecordId, SubjectHead, SubjectId,
    SubjectKind, SubjectState, Timestamp,
};
use strongroom_storage::Batch;

use crate::idempotency::Before;
use crate::index::{Additions, Grown, Hit, Index};
use crate::rows::OwnerLeaf;
use crate::snapshot::{Snapshot, Versioned, attempt};
use crate::{Answer, Idempotency, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct CreateSubject {
    /// The id that the SaaS product has for the person, which no other subject of the tenant has.
    pub external_id: Option<ExternalId>,
    /// So that a repeated request makes one subject.
    pub idempotency: Option<Idempotency>,
}

/// A new subject's head.
pub(crate) fn new_head(
    id: SubjectId,
    kind: SubjectKind,
    external_id: Option<ExternalId>,
    now: Timestamp,
) -> SubjectHead {
    SubjectHead {
        id,
        kind,
        state: SubjectState::Active,
        epoch: 0,
        next_number: FIRST_RECORD_NUMBER,
        external_id,
        consents: Vec::new(),
        holds: Vec::new(),
        created_at: now,
    }
}

/// Makes a subject.
///
/// # Errors
/// [`VaultError::Refused`] for whoever may not create records anywhere; `external_id_taken`.
pub async fn create(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: CreateSubject,
) -> Result<Answer<Versioned<SubjectHead>>, VaultError> {
    attempt(|| once(vault, ctx, &wanted)).await
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &CreateSubject,
) -> Result<Answer<Versioned<SubjectHead>>, VaultError> {
    let tenant = ctx.tenant();
    let id = SubjectId::new(vault.now(), &*vault.rng)?;
    let object = AuditObject::Subject(id);
    let (mut snapshot, allowed) = vault
        .with_subjects(ctx, Snapshot::new(vault), Action::Create, "subject.create", object)
        .await?;
    let slot = match snapshot.before(ctx, wanted.idempotency.as_ref()).await? {
        Before::Never(slot) => slot,
        Before::Made(id) => {
            let made = snapshot.subject(tenant, SubjectId::from_bytes(id)).await?;
            let committed = vault.put_on_record(ctx, snapshot, allowed.event).await?;
            let made = made.ok_or(VaultError::NotFound)?;
            let value = Versioned { version: made.version, value: (*made.value).clone() };
            return Ok(Answer { value, lines: committed.places().to_vec() });
        }
    };
    let (mut batch, mut grown) = (Batch::new(), Grown::default());
    if let Some(external_id) = &wanted.external_id {
        let index = Index::of_subjects(tenant);
        snapshot.make_room(index, &[external_id.as_str()]).await?;
        let mut additions = Additions::new(index);
        let hit = Hit { subject: id, record: RecordId::from_bytes([0; 16]) };
        if !additions.add(&mut snapshot, &mut batch, external_id.as_str(), hit).await? {
            return Err(VaultError::wrong_state(
                "external_id_taken",
                "another subject of the tenant has it",
            ));
        }
        grown = additions.finish(vault, &mut batch).await?;
    }
    let slots = vault.keyring.take_slots(tenant, Half::Data, 1).await?;
    let leaf =
        OwnerLeaf::subject(id, slots.first().copied().ok_or_else(crate::rows::damaged)?, 0, 0);
    let head = new_head(id, SubjectKind::Person, wanted.external_id.clone(), vault.now());
    snapshot.expect_in(&mut batch);
    let key = keyspace::subject_head(tenant, id);
    let value = vault.seal_row(&key, leaf, 1, &head).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    if let Some(slot) = slot {
        slot.fill(vault, &mut batch, tenant, leaf, *id.as_bytes()).await?;
    }
    batch.line(vault.line(tenant, Some(ctx), allowed.event).await?);
    let committed = vault.store.commit(batch).await?;
    grown.keep(vault);
    Ok(Answer { value: Versioned { version: 1, value: head }, lines: committed.places().to_vec() })
}
