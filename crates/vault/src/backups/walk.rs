//! The order in which the rows of the store are read for a backup, some at a time.
//!
//! What points to something is read before what it points to, so that what a row of the backup needs is
//! in the backup too, although others write meanwhile: records before their manifest, both before
//! collections and users, and all of them before the heads of subjects, whose next numbers are then
//! above the number of every record that was read.

use strongroom_model::TenantId;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{KeyRange, Row, RowKey, Store, StoreError};

/// Rows that are read at a time.
const ROWS_AT_ONCE: usize = 128;

/// Where reading goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub(super) struct Place {
    /// The tenant whose rows are read, as its id; zeros before the first, whose rows come last.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    tenant: [u8; 16],
    /// Whether the provider's own rows are read now.
    #[n(1)]
    own: bool,
    /// Which of [`STEPS`].
    #[n(2)]
    step: u8,
    /// The row that was read last in this step; empty before the first.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    after: Vec<u8>,
    /// Whether there is nothing more.
    #[n(4)]
    pub(super) ended: bool,
}

/// The kinds that are read one after the other, from the first to the last of each pair.
const STEPS: [(RowKind, RowKind); 10] = [
    (RowKind::Idempotency, RowKind::Idempotency),
    (RowKind::Record, RowKind::Record),
    (RowKind::File, RowKind::File),
    (RowKind::ManifestEntry, RowKind::ManifestEntry),
    (RowKind::ClassList, RowKind::ClassList),
    (RowKind::BlueprintList, RowKind::BlueprintList),
    (RowKind::CollectionList, RowKind::CollectionList),
    (RowKind::Tenant, RowKind::Collection),
    (RowKind::Erasure, RowKind::Receipt),
    (RowKind::SubjectHead, RowKind::SubjectHead),
];

/// Lists, which are read before what they list, and so not once more with it.
const LISTS: [RowKind; 3] = [RowKind::ClassList, RowKind::BlueprintList, RowKind::CollectionList];

/// The next rows that a backup holds, and the place after them. There may be none although more follow.
pub(super) async fn next(
    store: &dyn Store,
    mut place: Place,
) -> Result<(Vec<(RowKey, Row)>, Place), StoreError> {
    let tenant = TenantId::from_bytes(place.tenant);
    if tenant == TenantId::PROVIDER && !place.own {
        let (row, place) = next_tenant(store, place).await?;
        return Ok((row.into_iter().collect(), place));
    }
    let Some((first, last)) = STEPS.get(usize::from(place.step)) else {
        if place.own {
            place.ended = true;
            return Ok((Vec::new(), place));
        }
        let (row, place) = next_tenant(store, place).await?;
        return Ok((row.into_iter().collect(), place));
    };
    let whole = range(tenant, *first, *last);
    let page = match place.after.as_slice() {
        [] => whole,
        after => whole.continued(&RowKey::new(after)),
    };
    let mut rows = store.scan(&page, ROWS_AT_ONCE).await?;
    match rows.last() {
        Some((key, _)) if rows.len() == ROWS_AT_ONCE => place.after = key.as_bytes().to_vec(),
        Some(_) | None => {
            place.after = Vec::new();
            place.step += 1;
        }
    }
    let is_wanted =
        |kind: RowKind| kind.is_backed_up() && (first == last || !LISTS.contains(&kind));
    rows.retain(|(key, _)| keyspace::parse(key).is_some_and(|(_, kind, _)| is_wanted(kind)));
    Ok((rows, place))
}

/// The row that says that there is another tenant, and the place where its rows begin; the provider's
/// own come after the last. That row is written in one commit with the tenant's first rows, so it is
/// read before them.
async fn next_tenant(
    store: &dyn Store,
    place: Place,
) -> Result<(Option<(RowKey, Row)>, Place), StoreError> {
    let known = KeyRange::prefix_of(TenantId::PROVIDER, RowKind::KnownTenant);
    let after = keyspace::known_tenant(TenantId::from_bytes(place.tenant));
    let found = store.scan(&known.continued(&after), 1).await?.pop();
    let id = found.as_ref().and_then(|(key, _)| keyspace::parse_id(key)).map(|(_, _, id)| id);
    let place = match id {
        Some(tenant) => Place { tenant, ..Place::default() },
        None => Place { own: true, ..Place::default() },
    };
    Ok((found, place))
}

fn range(tenant: TenantId, first: RowKind, last: RowKind) -> KeyRange {
    let of = |number: u8| RowKey::new([tenant.as_bytes().as_slice(), &[number]].concat());
    KeyRange::between(&of(first.number()), &of(last.number().saturating_add(1)))
}
