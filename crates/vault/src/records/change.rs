//! Somebody changes a record.

use strongroom_access_policy::{FieldView, Granted, Shown, is_mask_of};
use strongroom_crypto::{Key, scrub_once};
use strongroom_model::{
    Action, ClearValue, Collection, CollectionName, FieldName, FieldNumber, NamedUser, Plaintext,
    RecordHead, RecordId, SubjectHead, Touch, UserId,
};
use strongroom_storage::LinePlaced;

use crate::caller::Who;
use crate::records::SealedRecord;
use crate::records::codec::Opened;
use crate::records::known::{Asked, KnownRecord, record_facts};
use crate::records::read::{person, read_made};
use crate::records::view::{Contents, Known, RecordView, disclose_written, shown_event};
use crate::records::writer::{Checked, Writer};
use crate::rows::damaged;
use crate::snapshot::{Loaded, attempt};
use crate::{Answer, Expected, Flaw, TenantCtx, Vault, VaultError, keyspace};

/// What is wanted; a merge patch (RFC 7396): what is absent stays, `null` removes.
pub struct ChangeRecord {
    /// The collection.
    pub collection: CollectionName,
    /// The record.
    pub record: RecordId,
    /// The version that the change is made against.
    pub expected: Expected,
    /// Fields to be replaced or removed.
    pub fields: Vec<(FieldName, ClearValue)>,
    /// The users to whom it is assigned from now on.
    pub assignees: Option<Vec<NamedUser>>,
    /// Whether what stood there was wrong and is to be erased.
    pub correction: bool,
}

/// Changes a record and gives it as the caller sees it.
///
/// # Errors
/// [`VaultError::VersionRequired`], [`VaultError::VersionStale`]; [`VaultError::Invalid`] with every
/// flaw, among them a value equal to the mask that the caller sees; [`VaultError::Refused`];
/// [`VaultError::NotFound`].
pub async fn change(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ChangeRecord,
) -> Result<Answer<RecordView>, VaultError> {
    match attempt(|| once(vault, ctx, &wanted)).await? {
        (lines, Some(value)) => Ok(Answer { value, lines }),
        (mut lines, None) => {
            let shown = read_made(vault, ctx, &wanted.collection, wanted.record).await?;
            lines.extend(shown.lines);
            Ok(Answer { value: shown.value, lines })
        }
    }
}

/// The change's lines, and the record as the caller sees it, if that went on record with the change.
type Changed = (Vec<LinePlaced>, Option<RecordView>);

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ChangeRecord,
) -> Result<Changed, VaultError> {
    let tenant = ctx.tenant();
    let ticket = vault.admission.enter();
    let code = if wanted.correction { "record.correct" } else { "record.change" };
    let known = vault.know(ctx, &wanted.collection, wanted.record, Action::Update, code).await?;
    let KnownRecord { snapshot, who, collection, subject, sealed, key, attempted } = known;
    let about = snapshot.person();
    let mut writer = Writer::new(snapshot, ctx, collection.clone(), 0);
    let target = Target { record: wanted.record, sealed: &sealed, subject: &subject, key: &key };
    let change = Change {
        expected: wanted.expected,
        fields: &wanted.fields,
        assignees: wanted.assignees.as_deref(),
        correction: wanted.correction,
    };
    let prepared = match prepare(vault, ctx, &who, &mut writer, &target, &change).await {
        Err(VaultError::Refused(refusal)) => {
            return vault.refuse(ctx, writer.snapshot, attempted, refusal).await;
        }
        prepared => prepared?,
    };
    // What the caller sees of it is decided on the same facts, and goes on record in the same commit.
    let facts = record_facts(wanted.record, &prepared.head, &subject);
    let asked = Asked::default();
    let seen = vault.decide_on_record(ctx, &who, &collection, facts, Action::Read, asked).ok();
    let seen = seen.filter(|_| vault.may_show(ctx, &who, person(&subject).as_slice()));

    let (mut batch, _grown) = writer.finish(ctx).await?;
    let row = keyspace::record(tenant, collection.number, wanted.record);
    batch.put(row, prepared.version, prepared.sealed);
    let touches =
        vec![Touch { record: wanted.record, clear: prepared.written, masked: Vec::new() }];
    let object = attempted.object;
    let event = attempted.allowed(&prepared.granted, touches);
    batch.line(vault.line_about(tenant, Some(ctx), about, event).await?);
    if let Some(permit) = &seen {
        let event = shown_event(who.principal, object, permit);
        batch.line(vault.line_about(tenant, Some(ctx), about, event).await?);
    }
    let committed = vault.store.commit(batch).await?;

    let known = Known {
        id: wanted.record,
        version: prepared.version,
        collection: &collection,
        person: person(&subject),
        head: &prepared.head,
        contents: Contents::Written(&prepared.fields),
    };
    let shown = disclose_written(seen, &committed, &ticket, &known)?;
    Ok((committed.places().to_vec(), shown))
}

/// What is to change of one record.
pub(crate) struct Change<'a> {
    pub(crate) expected: Expected,
    pub(crate) fields: &'a [(FieldName, ClearValue)],
    pub(crate) assignees: Option<&'a [NamedUser]>,
    /// Whether what stood there was wrong and is to be erased.
    pub(crate) correction: bool,
}

/// A record that is to be changed.
pub(crate) struct Target<'a> {
    pub(crate) record: RecordId,
    pub(crate) sealed: &'a SealedRecord,
    pub(crate) subject: &'a Loaded<SubjectHead>,
    pub(crate) key: &'a Key,
}

/// A change that is allowed, and what the record will be.
pub(crate) struct Prepared {
    pub(crate) granted: Granted,
    /// The numbers of the fields that change, ascending.
    pub(crate) written: Vec<FieldNumber>,
    pub(crate) head: RecordHead,
    /// All of its fields in the form in which they are sealed.
    pub(crate) fields: Vec<(FieldNumber, Plaintext<Vec<u8>>)>,
    pub(crate) version: u64,
    /// What its row will hold.
    pub(crate) sealed: Vec<u8>,
}

/// Decides on a change and seals what it makes of the record; nothing is committed or put on record.
///
/// # Errors
/// Those of [`change`]; a refusal as [`VaultError::Refused`].
pub(crate) async fn prepare(
    vault: &Vault,
    ctx: &TenantCtx,
    who: &Who,
    writer: &mut Writer<'_>,
    target: &Target<'_>,
    wanted: &Change<'_>,
) -> Result<Prepared, VaultError> {
    let tenant = ctx.tenant();
    let collection = writer.collection().clone();
    let opened = vault.open_head(target.key, tenant, &collection, target.record, target.sealed)?;
    let (written, unknown) = numbers(&collection, wanted.fields);
    let asked = Asked { written: &written, ..Asked::default() };
    let decide_as = |head: &RecordHead, action, asked| {
        let facts = record_facts(target.record, head, target.subject);
        vault.decide_on_record(ctx, who, &collection, facts, action, asked)
    };

    let granted = decide_as(&opened.head, Action::Update, asked).map_err(VaultError::Refused)?;
    let granted = granted.spend();
    if !unknown.is_empty() {
        return Err(VaultError::Invalid(unknown));
    }
    wanted.expected.check(target.sealed.version)?;
    // What the caller sees of the record when reading it: a mask sent back is told by that.
    let masks = decide_as(&opened.head, Action::Read, Asked::default())
        .map(|permit| permit.spend().fields)
        .unwrap_or_default();
    refuse_masks(&collection, &masks, &opened, wanted.fields)?;

    // The whole record is sealed anew, under fresh salt, so its other fields are opened here too; the
    // caller gets of them what a permit to read the record has.
    let checked = writer.check(ctx, wanted.fields, false).await?;
    let assignees = match wanted.assignees {
        Some(named) => Some(writer.assignees(ctx, named).await?),
        None => None,
    };
    let head = changed_head(vault, &opened, &written, &checked, assignees);
    let mut fields = checked.fields;
    fields.extend(scrub_once(|| kept_fields(&opened, &written))?);
    // What the change makes of the record must be within the caller's rows too.
    if let Err(refusal) = decide_as(&head, Action::Update, asked) {
        return Err(VaultError::Refused(refusal));
    }
    let version = target.sealed.version + 1;
    let slices: Vec<(u32, &[u8])> =
        fields.iter().map(|(number, value)| (number.0, value.expose().as_slice())).collect();
    let moved = writer.renumber(ctx, target, wanted.correction).await?;
    let (place, key) = match &moved {
        Some((place, key)) => (*place, key),
        None => (target.sealed.place, target.key),
    };
    let sealed = vault.seal_record(
        key,
        tenant,
        &collection,
        target.record,
        place,
        version,
        &head,
        &slices,
    )?;
    Ok(Prepared { granted, written, head, fields, version, sealed })
}

/// Fields of a record in the form in which they are sealed.
pub(crate) type StoredFields = Vec<(FieldNumber, Plaintext<Vec<u8>>)>;

/// What a change leaves as it is: all fields but those that are written, opened to be sealed anew.
pub(crate) fn kept_fields(
    opened: &Opened,
    written: &[FieldNumber],
) -> Result<StoredFields, VaultError> {
    let kept = opened.fields().map(FieldNumber).filter(|number| !written.contains(number));
    kept.map(|number| Ok((number, opened.open(number.0)?.ok_or_else(damaged)?))).collect()
}

/// The numbers of the fields that are sent, ascending, and what names no field: whoever may not change
/// the record does not learn that.
fn numbers(
    collection: &Collection,
    sent: &[(FieldName, ClearValue)],
) -> (Vec<FieldNumber>, Vec<Flaw>) {
    let mut flaws = Vec::new();
    let mut numbers = Vec::with_capacity(sent.len());
    for (name, _) in sent {
        match collection.field(name) {
            Some(field) => numbers.push(field.number),
            None => flaws.push(Flaw {
                pointer: format!("/fields/{name}"),
                detail: "the collection has no such field".to_owned(),
            }),
        }
    }
    numbers.sort_unstable();
    (numbers, flaws)
}

/// A caller who sees a mask and sends it back would destroy the value.
fn refuse_masks(
    collection: &Collection,
    seen: &[FieldView],
    opened: &Opened,
    sent: &[(FieldName, ClearValue)],
) -> Result<(), VaultError> {
    for (name, value) in sent {
        let Some(field) = collection.field(name) else { continue };
        let shown = seen.iter().find(|shown| shown.number == field.number);
        let Some(Shown::Masked(by)) = shown.map(|shown| shown.shown) else { continue };
        let Some(stored) = opened.open(field.number.0)? else { continue };
        let present = field.kind.load(stored.expose()).map_err(|_| damaged())?;
        if is_mask_of(by, &field.kind, &present, value) {
            return Err(VaultError::invalid(
                format!("/fields/{name}"),
                "this is the mask of the value, not a value: leave the field out to keep it",
            ));
        }
    }
    Ok(())
}

fn changed_head(
    vault: &Vault,
    opened: &Opened,
    written: &[FieldNumber],
    checked: &Checked,
    assignees: Option<Vec<UserId>>,
) -> RecordHead {
    let mut head = opened.head.clone();
    head.changed_at = vault.now();
    if let Some(assignees) = assignees {
        head.assignees = assignees;
    }
    head.scope.retain(|attribute| !written.contains(&attribute.field));
    head.scope.extend(checked.scope.iter().cloned());
    head
}
