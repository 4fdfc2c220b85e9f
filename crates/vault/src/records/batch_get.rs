//! Somebody reads up to 100 records of any collections at once.

use std::collections::BTreeMap;

use strongroom_access_policy::Permit;
use strongroom_model::{
    Action, AuditObject, Collection, CollectionName, RecordId, SubjectHead, SubjectId, SubjectState,
};
use strongroom_storage::{Expect, RowKey};

use crate::caller::Who;
use crate::records::SealedRecord;
use crate::records::batch::{BatchLines, NamedRecord, Outcomes, check_count};
use crate::records::codec::Opened;
use crate::records::known::{Asked, record_facts};
use crate::records::read::person;
use crate::records::view::{Columns, Contents, Known, RecordView, Wanted, disclose};
use crate::snapshot::{Gone, Loaded, Snapshot, attempt};
use crate::trail::{Attempted, answered};
use crate::{Answer, TenantCtx, Vault, VaultError, keyspace, spans};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct BatchGet {
    /// The records, each with the name of its collection.
    pub items: Vec<(CollectionName, NamedRecord)>,
    /// Which fields of the records of a collection; all that the caller may see, where it has none.
    pub wanted: BTreeMap<CollectionName, Wanted>,
}

/// What the lines of such a batch are called.
const CODE: &str = "record.batch_get";

/// Reads records, each in the view that the caller has of it. What is not there and what the caller
/// may not know about have the same outcome.
///
/// # Errors
/// [`VaultError::Invalid`] for no items or more than [`crate::records::BATCH_ITEMS_MAX`], and for
/// fields that a collection does not have; what is wrong with single items is in their outcome.
pub async fn batch_get(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: BatchGet,
) -> Result<Answer<Outcomes<RecordView>>, VaultError> {
    check_count(wanted.items.len())?;
    attempt(|| once(vault, ctx, &wanted)).await
}

/// A collection that items name, with the fields that are wanted of its records.
struct Named {
    collection: Loaded<Collection>,
    columns: Columns,
}

/// The collections that items name. Of those that are not there it is known whether they have been
/// erased.
type Collections = BTreeMap<CollectionName, Result<Named, Option<Gone>>>;

impl Named {
    /// What the line of an item that is refused is about, as far as that is known.
    fn object(&self, record: Option<RecordId>) -> AuditObject {
        match record {
            Some(id) => AuditObject::Record(self.collection.number, id),
            None => AuditObject::Collection(self.collection.number),
        }
    }
}

/// A record that is there.
struct Found {
    id: RecordId,
    sealed: SealedRecord,
    opened: Opened,
    subject: Loaded<SubjectHead>,
}

/// A record that is not there.
#[derive(Default)]
struct Missing {
    /// Its id, if it is known.
    record: Option<RecordId>,
    /// The id of what may have been erased: the record, or the person whom it was about.
    erased: Option<[u8; 16]>,
}

/// A record of which the caller may see something.
struct Allowed<'a> {
    named: &'a Named,
    found: Found,
    permit: Permit,
}

async fn once(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &BatchGet,
) -> Result<Answer<Outcomes<RecordView>>, VaultError> {
    let ticket = vault.admission.enter();

    // What is known.
    let mut snapshot = Snapshot::new(vault);
    let who = snapshot.who(ctx).await?;
    let collections = name(ctx, &mut snapshot, wanted).await?;
    let found = find(vault, ctx, &mut snapshot, &collections, wanted).await?;

    // The decisions.
    let mut lines = BatchLines::new(ctx, who.principal, Action::Read, CODE);
    let mut decided = Vec::with_capacity(found.len());
    for ((collection, _), found) in wanted.items.iter().zip(found) {
        decided.push(match (collections.get(collection), found) {
            (Some(Ok(named)), Ok(found)) => decide(vault, ctx, &who, named, found, &mut lines),
            (Some(Ok(named)), Err(missing)) => {
                let mut aside = Snapshot::new(vault);
                if let Some(erased) = missing.erased {
                    aside.look_for_erasure(ctx.tenant(), erased).await?;
                }
                let gone = aside.gone();
                snapshot.learn(aside);
                let refusal = vault.absence(ctx, &who, Action::Read, gone);
                lines.refuse(named.object(missing.record), &refusal);
                Err(answered(refusal, gone))
            }
            (Some(Err(_)) | None, _) => {
                let gone = collections.get(collection).and_then(|named| *named.as_ref().err()?);
                let refusal = vault.absence(ctx, &who, Action::Read, gone);
                lines.refuse(AuditObject::Tenant(ctx.tenant()), &refusal);
                Err(answered(refusal, gone))
            }
        });
    }

    // Whoever may see something of a collection learns which fields it does not have.
    let mut checked = decided.iter().flatten().map(|allowed| allowed.named.columns.check());
    if let Err(error) = checked.try_for_each(|columns| columns) {
        drop(checked);
        return vault.fail_with_refusals(ctx, snapshot, lines, error).await;
    }

    // The record of them.
    let persons: Vec<SubjectId> =
        decided.iter().flatten().filter_map(|allowed| person(&allowed.found.subject)).collect();
    let attempted = Attempted {
        principal: who.principal,
        action: Action::Read,
        code: CODE,
        object: AuditObject::Tenant(ctx.tenant()),
    };
    let (snapshot, _) = vault.count_subjects(ctx, snapshot, &who, attempted, &persons).await?;
    let lines = lines.seal(vault, ctx).await?;
    let committed = vault.store.append(lines, snapshot.into_facts()).await?;

    // The effect.
    let show = |allowed: Allowed<'_>| {
        let Allowed { named, found, permit } = allowed;
        let known = Known {
            id: found.id,
            version: found.sealed.version,
            collection: &named.collection,
            person: person(&found.subject),
            head: &found.opened.head,
            contents: Contents::Sealed(&found.opened),
        };
        disclose(permit, &committed, &ticket, &known)
    };
    let mut outcomes = Vec::with_capacity(decided.len());
    for item in decided {
        outcomes.push(match item {
            Ok(allowed) => Ok(spans::opening().in_scope(|| show(allowed))?),
            Err(refused) => Err(refused),
        });
    }
    Ok(Answer { value: outcomes, lines: committed.places().to_vec() })
}

/// Finds the collections that items name.
async fn name(
    ctx: &TenantCtx,
    snapshot: &mut Snapshot<'_>,
    wanted: &BatchGet,
) -> Result<Collections, VaultError> {
    if let Some(idle) =
        wanted.wanted.keys().find(|name| !wanted.items.iter().any(|(of, _)| of == *name))
    {
        return Err(VaultError::invalid(format!("/shown/{idle}"), "no item is of this collection"));
    }
    let mut collections = Collections::new();
    for (name, _) in &wanted.items {
        if collections.contains_key(name) {
            continue;
        }
        // Aside, so that the erasure of one collection is not taken for that of all.
        let mut aside = Snapshot::new(snapshot.vault);
        let named = match aside.collection(ctx.tenant(), name).await? {
            Some(collection) => Ok(Named {
                columns: columns(name, wanted.wanted.get(name), &collection),
                collection,
            }),
            None => Err(aside.gone()),
        };
        snapshot.learn(aside);
        collections.insert(name.clone(), named);
    }
    Ok(collections)
}

fn columns(name: &CollectionName, wanted: Option<&Wanted>, collection: &Collection) -> Columns {
    let mut columns = wanted.map(|wanted| wanted.columns(collection)).unwrap_or_default();
    for flaw in &mut columns.unknown {
        flaw.pointer.insert_str(0, &format!("/shown/{name}"));
    }
    columns
}

/// The records, the heads of those that are there open. What was read of them becomes facts.
async fn find(
    vault: &Vault,
    ctx: &TenantCtx,
    snapshot: &mut Snapshot<'_>,
    collections: &Collections,
    wanted: &BatchGet,
) -> Result<Vec<Result<Found, Missing>>, VaultError> {
    let tenant = ctx.tenant();
    let mut places = Vec::with_capacity(wanted.items.len());
    for (name, record) in &wanted.items {
        places.push(match collections.get(name) {
            Some(Ok(named)) => vault
                .named(ctx, &named.collection, record)
                .await?
                .map(|id| (named, id, keyspace::record(tenant, named.collection.number, id))),
            Some(Err(_)) | None => None,
        });
    }
    let keys: Vec<RowKey> = places.iter().flatten().map(|(_, _, key)| key.clone()).collect();
    let mut rows = vault.store.get_many(&keys).await?.into_iter();
    let mut sealed = Vec::with_capacity(places.len());
    for place in places {
        let Some((named, id, key)) = place else {
            sealed.push(Err(Missing::default()));
            continue;
        };
        sealed.push(if let Some(row) = rows.next().flatten() {
            snapshot.fact(Expect::Version(key, row.version));
            Ok((named, id, SealedRecord::parse(row)?))
        } else {
            snapshot.fact(Expect::Absent(key));
            Err(Missing { record: Some(id), erased: Some(*id.as_bytes()) })
        });
    }
    let heads: Vec<RowKey> = sealed
        .iter()
        .flatten()
        .map(|(_, _, sealed)| keyspace::subject_head(tenant, sealed.subject))
        .collect();
    let mut subjects = snapshot.load_subjects(&heads).await?.into_iter();
    let mut found = Vec::with_capacity(sealed.len());
    for record in sealed {
        let (named, id, sealed) = match record {
            Ok(record) => record,
            Err(missing) => {
                found.push(Err(missing));
                continue;
            }
        };
        let subject = subjects.next().flatten();
        let subject = subject.filter(|subject| subject.state != SubjectState::Erased);
        let key = match vault.key_of(tenant, &named.collection, id, &sealed).await {
            Err(VaultError::Conflict) => return Err(VaultError::Conflict),
            key => key,
        };
        found.push(match (subject, key) {
            (None, _) | (Some(_), Err(VaultError::Erased(_))) => {
                Err(Missing { record: Some(id), erased: Some(*sealed.subject.as_bytes()) })
            }
            (Some(subject), key) => {
                let opened = vault.open_head(&key?, tenant, &named.collection, id, &sealed)?;
                Ok(Found { id, sealed, opened, subject })
            }
        });
    }
    Ok(found)
}

fn decide<'a>(
    vault: &Vault,
    ctx: &TenantCtx,
    who: &Who,
    named: &'a Named,
    found: Found,
    lines: &mut BatchLines,
) -> Result<Allowed<'a>, VaultError> {
    let asked = Asked {
        requested: named.columns.requested.as_deref(),
        reveal: &named.columns.reveal,
        ..Asked::default()
    };
    let facts = record_facts(found.id, &found.opened.head, &found.subject);
    let decision = vault.decide_on_record(ctx, who, &named.collection, facts, Action::Read, asked);
    match decision {
        Ok(permit) => {
            lines.allow(named.collection.number, permit.granted(), permit.touch());
            Ok(Allowed { named, found, permit })
        }
        Err(refusal) => {
            lines.refuse(named.object(Some(found.id)), &refusal);
            Err(answered(refusal, None))
        }
    }
}
