//! Somebody lists the records of a collection.

use strongroom_access_policy::{
    AccessRequest, Facts, ListPermit, Permit, RecordFacts, SubjectFacts, decide_list,
};
use strongroom_crypto::{Key, scrub_once};
use strongroom_model::{
    Action, AuditEvent, AuditObject, Collection, CollectionName, CollectionNumber, RecordHead,
    RecordId, SubjectHead, SubjectId, SubjectState, TOUCHES_MAX, TenantId,
};
use strongroom_storage::{Committed, KeyRange, RowKey};

use crate::admission::Ticket;
use crate::records::SealedRecord;
use crate::records::codec::Opened;
use crate::records::read::person;
use crate::records::view::{Contents, Known, RecordView, Wanted, disclose};
use crate::snapshot::{Loaded, Snapshot, attempt};
use crate::trail::Attempted;
use crate::{Answer, Listed, Page, TenantCtx, Vault, VaultError, keyspace, spans};

/// Rows looked at for one page, where a row scope leaves out most of them.
const SCANNED_MAX: usize = 2_000;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct ListRecords {
    /// The collection.
    pub collection: CollectionName,
    /// Which part of it.
    pub page: Page,
    /// Which fields.
    pub wanted: Wanted,
}

/// Lists records in the order in which they were created, each in the view that the caller has of
/// it. A page may be shorter than asked for although more follow: then it has a cursor.
///
/// # Errors
/// [`VaultError::Refused`]; [`VaultError::NotFound`] for a collection that is not there;
/// [`VaultError::Invalid`] for more than 1,000 records at once.
pub async fn list(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: ListRecords,
) -> Result<Answer<Listed<RecordView>>, VaultError> {
    let walk = Walk {
        action: Action::Read,
        code: "record.list",
        show: |view: RecordView, _: &Listing<'_>| view,
    };
    let Answer { value, lines } = page(vault, ctx, &wanted, &walk).await?;
    Ok(Answer { value: value.records, lines })
}

/// A way to go through the records of a collection.
pub(crate) struct Walk<S> {
    /// What must be allowed.
    pub(crate) action: Action,
    /// What its lines are called.
    pub(crate) code: &'static str,
    /// What becomes of each record that is shown.
    pub(crate) show: S,
}

/// What is known of a record on a page beside what is shown of it.
pub(crate) struct Listing<'a> {
    pub(crate) head: &'a RecordHead,
    pub(crate) subject: &'a SubjectHead,
}

/// A page of the records of a collection, and the collection as it was decided on.
pub(crate) struct Walked<T> {
    pub(crate) collection: Loaded<Collection>,
    pub(crate) records: Listed<T>,
}

/// A page of the records of a collection, each in the view that the caller has of it.
///
/// # Errors
/// Those of [`list`].
pub(crate) async fn page<T>(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ListRecords,
    walk: &Walk<impl Fn(RecordView, &Listing<'_>) -> T>,
) -> Result<Answer<Walked<T>>, VaultError> {
    if wanted.page.limit == 0 || wanted.page.limit > TOUCHES_MAX {
        return Err(VaultError::invalid("/limit", "a page has 1 to 1000 records"));
    }
    attempt(|| once(vault, ctx, wanted, walk)).await
}

/// Records that are looked for in a collection, in the order in which they were created.
pub(crate) struct Sought<'a> {
    pub(crate) collection: &'a CollectionName,
    pub(crate) wanted: &'a Wanted,
    /// So many at most.
    pub(crate) limit: usize,
    pub(crate) stretch: Stretch<'a>,
    /// What must be allowed.
    pub(crate) action: Action,
    /// What the line is called.
    pub(crate) code: &'static str,
}

/// Where records are looked for.
pub(crate) enum Stretch<'a> {
    /// Where a cursor leads; without one, from the first on.
    Cursor(Option<&'a str>),
    /// In the collection of this number, after a record and, if that is said, up to and with another.
    Between { number: CollectionNumber, after: RecordId, until: Option<RecordId> },
}

/// A page of records that was decided on. Nothing of it is open before it is on record.
pub(crate) struct Decided<'v> {
    /// What the decision rests on.
    pub(crate) snapshot: Snapshot<'v>,
    /// The line that puts it on record.
    pub(crate) event: AuditEvent,
    pub(crate) contents: DecidedContents,
}

/// What is on a page that was decided on.
pub(crate) struct DecidedContents {
    ticket: Ticket,
    pub(crate) collection: Loaded<Collection>,
    entries: Vec<Entry>,
    /// The last record that was looked at, whether it is on the page or not.
    pub(crate) last: Option<RecordId>,
    /// Whether there is nothing after it.
    pub(crate) ended: bool,
}

impl DecidedContents {
    /// How many records are on the page.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A cursor to what comes after the page, if anything does.
    pub(crate) async fn next(
        &self,
        vault: &Vault,
        ctx: &TenantCtx,
    ) -> Result<Option<String>, VaultError> {
        let Some(last) = self.last.filter(|_| !self.ended) else { return Ok(None) };
        let list = keyspace::records_prefix(ctx.tenant(), self.collection.number);
        let last = keyspace::record(ctx.tenant(), self.collection.number, last);
        Ok(Some(vault.seal_cursor(ctx, list.as_bytes(), last.as_bytes()).await?))
    }

    /// Opens what the caller sees of the records, after that is on record.
    pub(crate) fn disclose<T>(
        self,
        on_record: &Committed,
        show: impl Fn(RecordView, &Listing<'_>) -> T,
    ) -> Result<Vec<T>, VaultError> {
        let Self { ticket, collection, entries, .. } = self;
        let show = |entry: Entry| {
            let known = Known {
                id: entry.id,
                version: entry.version,
                collection: &collection,
                person: person(&entry.subject),
                head: &entry.opened.head,
                contents: Contents::Sealed(&entry.opened),
            };
            let view = disclose(entry.permit, on_record, &ticket, &known)?;
            let listing = Listing { head: &entry.opened.head, subject: &entry.subject };
            Ok::<_, VaultError>(show(view, &listing))
        };
        spans::opening().in_scope(|| {
            scrub_once(|| entries.into_iter().map(show).collect::<Result<Vec<_>, _>>())
        })
    }
}

/// A record that is looked at, with what opens it and whom it is about.
struct Found {
    id: RecordId,
    sealed: SealedRecord,
    key: Key,
    subject: Loaded<SubjectHead>,
}

/// A record on the page, its head open and what the caller may see decided.
struct Entry {
    id: RecordId,
    version: u64,
    opened: Opened,
    permit: Permit,
    subject: Loaded<SubjectHead>,
}

async fn once<T>(
    vault: &Vault,
    ctx: &TenantCtx,
    wanted: &ListRecords,
    walk: &Walk<impl Fn(RecordView, &Listing<'_>) -> T>,
) -> Result<Answer<Walked<T>>, VaultError> {
    let sought = Sought {
        collection: &wanted.collection,
        wanted: &wanted.wanted,
        limit: wanted.page.limit,
        stretch: Stretch::Cursor(wanted.page.cursor.as_deref()),
        action: walk.action,
        code: walk.code,
    };
    let Decided { snapshot, event, contents } =
        decide_page(vault, ctx, Snapshot::new(vault), &sought).await?;
    let committed = vault.put_on_record(ctx, snapshot, event).await?;
    let collection = contents.collection.clone();
    let next = contents.next(vault, ctx).await?;
    let items = contents.disclose(&committed, &walk.show)?;
    let records = Listed { items, next };
    Ok(Answer { value: Walked { collection, records }, lines: committed.places().to_vec() })
}

/// Finds the records of a page and decides what the caller sees of each.
///
/// # Errors
/// Those of [`list`]; refusals are on record.
pub(crate) async fn decide_page<'v>(
    vault: &'v Vault,
    ctx: &TenantCtx,
    mut snapshot: Snapshot<'v>,
    sought: &Sought<'_>,
) -> Result<Decided<'v>, VaultError> {
    let tenant = ctx.tenant();
    let ticket = vault.admission.enter();

    // What is known.
    let who = snapshot.who(ctx).await?;
    let mut attempted = Attempted {
        principal: who.principal,
        action: sought.action,
        code: sought.code,
        object: AuditObject::Tenant(tenant),
    };
    let found = snapshot.collection(tenant, sought.collection).await?;
    let Some(collection) = found.filter(|found| sought.stretch.is_of(found)) else {
        return vault.refuse_absent(ctx, snapshot, who, attempted).await;
    };
    attempted.object = AuditObject::Collection(collection.number);
    let columns = sought.wanted.columns(&collection);

    // The decision: once for the list, then for each record from its head.
    let held = who.held();
    let facts = Facts { collection: Some(&collection.value), ..held.facts() };
    let request = AccessRequest {
        requested: columns.requested.as_deref(),
        reveal: &columns.reveal,
        purpose: ctx.about().purpose.as_ref(),
        address: ctx.about().address,
        ..AccessRequest::new(sought.action)
    };
    let permit = match decide_list(&facts, &request, vault.now()) {
        Ok(permit) => permit,
        Err(refusal) => return vault.refuse(ctx, snapshot, attempted, refusal).await,
    };
    columns.check()?;

    let prefix = keyspace::records_prefix(tenant, collection.number);
    let list = prefix.as_bytes();
    let mut until = None;
    let mut ended = false;
    let mut range = match &sought.stretch {
        Stretch::Cursor(None) => KeyRange::prefix(list),
        Stretch::Cursor(Some(cursor)) => {
            KeyRange::after(&RowKey::new(vault.open_cursor(ctx, list, cursor).await?), list)
        }
        Stretch::Between { number, after, until: None } => {
            KeyRange::after(&keyspace::record(tenant, *number, *after), list)
        }
        Stretch::Between { number, after, until: Some(last) } => {
            ended = after == last;
            until = Some(*last);
            let after = keyspace::record(tenant, *number, *after);
            KeyRange::between(&next_to(&after), &next_to(&keyspace::record(tenant, *number, *last)))
        }
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut last = None;
    let mut scanned = 0;
    while !ended && scanned < SCANNED_MAX && entries.len() < sought.limit {
        let want = sought.limit - entries.len();
        let rows = vault.store.scan(&range, want).await?;
        ended = rows.len() < want;
        scanned += rows.len();
        let mut sealed = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let Some((_, _, id)) = keyspace::parse_record(&key) else { continue };
            sealed.push((key, id, SealedRecord::parse(row)?));
        }
        let heads: Vec<RowKey> = sealed
            .iter()
            .map(|(_, _, record)| keyspace::subject_head(tenant, record.subject))
            .collect();
        let subjects = snapshot.load_subjects(&heads).await?;
        let mut found = Vec::with_capacity(sealed.len());
        for ((key, id, sealed), subject) in sealed.into_iter().zip(subjects) {
            last = Some((key, id));
            let Some(subject) = subject.filter(|subject| subject.state != SubjectState::Erased)
            else {
                continue;
            };
            match vault.key_of(tenant, &collection, id, &sealed).await {
                Err(VaultError::Erased(_)) => {}
                key => found.push(Found { id, sealed, key: key?, subject }),
            }
        }
        if let Some((key, id)) = &last {
            range = range.continued(key);
            ended = ended || until == Some(*id);
        }
        scrub_once(|| {
            for record in found {
                entries.extend(look_at(vault, tenant, &collection, &permit, record)?);
            }
            Ok::<_, VaultError>(())
        })?;
    }

    // The record of it.
    let persons: Vec<SubjectId> =
        entries.iter().filter_map(|entry| person(&entry.subject)).collect();
    let (snapshot, attempted) =
        vault.count_subjects(ctx, snapshot, &who, attempted, &persons).await?;
    let touches = entries.iter().filter_map(|entry| entry.permit.touch()).collect();
    let event = AuditEvent {
        rule: Some(permit.rule()),
        purpose: permit.purpose().map(ToString::to_string).unwrap_or_default(),
        touches,
        ..attempted.done()
    };
    let last = last.map(|(_, id)| id);
    let contents = DecidedContents { ticket, collection: collection.clone(), entries, last, ended };
    Ok(Decided { snapshot, event, contents })
}

/// The first key after this one.
fn next_to(key: &RowKey) -> RowKey {
    let mut next = key.as_bytes().to_vec();
    next.push(0);
    RowKey::new(next)
}

impl Stretch<'_> {
    /// Whether the collection is the one in which records are looked for.
    fn is_of(&self, collection: &Collection) -> bool {
        match self {
            Self::Cursor(_) => true,
            Self::Between { number, .. } => collection.number == *number,
        }
    }
}

/// Opens a record's head and decides what of it is shown; nothing, where it is not on the list.
fn look_at(
    vault: &Vault,
    tenant: TenantId,
    collection: &Collection,
    permit: &ListPermit<'_>,
    found: Found,
) -> Result<Option<Entry>, VaultError> {
    let Found { id, sealed, key, subject } = found;
    let opened = vault.open_head(&key, tenant, collection, id, &sealed)?;
    let record =
        RecordFacts { id, head: &opened.head, subject: SubjectFacts::from(&*subject.value) };
    let shown = permit.view_of(&record);
    Ok(shown.map(|permit| Entry { id, version: sealed.version, opened, permit, subject }))
}

impl Snapshot<'_> {
    /// Subjects' heads; those whose keys are gone are left out.
    pub(crate) async fn load_subjects(
        &mut self,
        keys: &[RowKey],
    ) -> Result<Vec<Option<Loaded<SubjectHead>>>, VaultError> {
        let mut unique: Vec<RowKey> = keys.to_vec();
        unique.sort_unstable();
        unique.dedup();
        let loaded = match self.load_many::<SubjectHead>(&unique).await {
            Err(VaultError::Erased(_)) => {
                // One of them is being erased: look at them one by one.
                let mut each = Vec::with_capacity(unique.len());
                for key in &unique {
                    each.push(match self.load::<SubjectHead>(key).await {
                        Err(VaultError::Erased(_)) => None,
                        found => found?,
                    });
                }
                each
            }
            loaded => loaded?,
        };
        Ok(keys
            .iter()
            .map(|key| {
                unique
                    .binary_search(key)
                    .ok()
                    .and_then(|place| loaded.get(place).cloned().flatten())
            })
            .collect())
    }
}
