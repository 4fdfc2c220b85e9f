//! What a store holds before it is damaged, and what is still seen of it.

use std::collections::BTreeMap;
use std::path::Path;

use strongroom_storage::{
    Batch, KeyRange, LinePosition, LineRange, PAGE_MAX, RowKey, Store, StoreError, StoreUrl,
};

use crate::fixture::{key, line, tenant};

/// Rows of the store; each tenth is removed again and each third is changed once.
const ROWS: u64 = 120;
/// Lines of reads.
const READS: u64 = 40;
/// Length of the seal behind each value: it binds key, version and value, as the tag of a sealed row does.
const SEAL_BYTES: usize = 16;

type Rows = BTreeMap<RowKey, (u64, Vec<u8>)>;

/// What came of looking at a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Seen {
    /// It is as it was.
    Whole,
    /// It does not open.
    Refused,
    /// The engine or the journal says that it is damaged.
    Damaged,
    /// The seal of a row or of a line does not fit. Without seals this would be served.
    Seal,
    /// Rows or lines are missing, or older, and all that is there is sealed well: a sum over all of them tells.
    Sum,
    /// All rows are there in their order, and one of them is not found by its key: a check that looks up every row
    /// that it meets tells.
    Lookup,
}

pub(crate) fn url(engine: &str, folder: &Path) -> StoreUrl {
    StoreUrl::parse(&format!("{engine}:{}", folder.display())).unwrap()
}

fn name(n: u64) -> RowKey {
    key(&format!("row {n:04}"))
}

fn sealed(key: &RowKey, version: u64, n: u64) -> Vec<u8> {
    let length = if n.is_multiple_of(17) { 9_000 } else { 300 };
    let mut value: Vec<u8> = (0..length)
        .map(|at| u8::try_from((n * 31 + version * 7 + at * at) % 251).unwrap())
        .collect();
    let seal = seal(key, version, &value);
    value.extend(seal);
    value
}

/// FNV-1a of 128 bits: stands in for an authentication tag.
fn seal(key: &RowKey, version: u64, value: &[u8]) -> [u8; SEAL_BYTES] {
    let version = version.to_be_bytes();
    let bytes = key.as_bytes().iter().chain(&version).chain(value);
    let fold = |hash: u128, byte: &u8| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    };
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, fold).to_be_bytes()
}

/// The rows as they stand at the end.
fn rows() -> Rows {
    let version = |n: u64| if n.is_multiple_of(3) { 2 } else { 1 };
    let kept = (0..ROWS).filter(|n| !n.is_multiple_of(10));
    kept.map(|n| (name(n), (version(n), sealed(&name(n), version(n), n)))).collect()
}

/// Makes a store with these rows and lines, and closes it; the engine has been opened twice.
pub(crate) async fn fill(engine: &str, folder: &Path) {
    let mut store = strongroom_storage::create(&url(engine, folder)).unwrap();
    for n in 0..ROWS {
        let mut batch = Batch::new();
        batch.put(name(n), 1, sealed(&name(n), 1, n)).line(line(tenant(1), &format!("w{n}")));
        store.commit(batch).await.unwrap();
        if n == ROWS / 2 {
            drop(store);
            store = strongroom_storage::open(&url(engine, folder)).unwrap();
        }
    }
    let mut batch = Batch::new();
    for n in (0..ROWS).filter(|n| n.is_multiple_of(3) && !n.is_multiple_of(10)) {
        batch.put(name(n), 2, sealed(&name(n), 2, n));
    }
    for n in (0..ROWS).filter(|n| n.is_multiple_of(10)) {
        batch.delete(name(n));
    }
    batch.line(line(tenant(1), "changes"));
    store.commit(batch).await.unwrap();
    for n in 0..READS {
        store.append(vec![line(tenant(2), &format!("r{n}"))], vec![]).await.unwrap();
    }
}

/// Opens the store and reads everything, in each way that there is.
pub(crate) async fn look(engine: &str, folder: &Path) -> Seen {
    match strongroom_storage::open(&url(engine, folder)) {
        Err(_) => Seen::Refused,
        Ok(store) => match read(&*store).await {
            Ok(seen) => seen,
            Err(StoreError::Damaged(_)) => Seen::Damaged,
            Err(error) => panic!("{error}"),
        },
    }
}

async fn read(store: &dyn Store) -> Result<Seen, StoreError> {
    let expected = rows();
    let up = store.scan(&KeyRange::prefix(&[]), PAGE_MAX).await?;
    let mut down = store.scan(&KeyRange::prefix(&[]).descending(), PAGE_MAX).await?;
    down.reverse();
    let mut by_key = Rows::new();
    for n in 0..ROWS {
        if let Some(row) = store.get_many(&[name(n)]).await?.remove(0) {
            by_key.insert(name(n), (row.version, row.value.to_vec()));
        }
    }
    let rows = |page: Vec<(RowKey, strongroom_storage::Row)>| -> Rows {
        page.into_iter().map(|(key, row)| (key, (row.version, row.value.to_vec()))).collect()
    };
    let (up, down) = (rows(up), rows(down));
    let lines = lines(store).await?;
    if [&up, &down, &by_key].into_iter().all(|seen| *seen == expected) && lines == Seen::Whole {
        return Ok(Seen::Whole);
    }
    let all = up.iter().chain(&down).chain(&by_key);
    let is_sealed = |(key, (version, value)): (&RowKey, &(u64, Vec<u8>))| {
        let (value, found) = value.split_at(value.len().saturating_sub(SEAL_BYTES));
        found == seal(key, *version, value)
    };
    if lines == Seen::Seal || !all.into_iter().all(is_sealed) {
        return Ok(Seen::Seal);
    }
    let differ = up == expected && (down != up || by_key != up);
    Ok(if differ { Seen::Lookup } else { Seen::Sum })
}

/// Lines have their tag at their end, and the tag of the line before in them.
async fn lines(store: &dyn Store) -> Result<Seen, StoreError> {
    let page = store.read_lines(&LineRange::all(LinePosition::START, PAGE_MAX)).await?;
    let lines = std::panic::catch_unwind(|| {
        let lines: Vec<_> = page.iter().map(|(_, line)| crate::fixture::parse(line)).collect();
        crate::fixture::check_chains(&lines);
        lines.len()
    });
    let all = usize::try_from(ROWS + 1 + READS).unwrap();
    Ok(match lines {
        Ok(count) if count == all => Seen::Whole,
        Ok(_) => Seen::Sum,
        Err(_) => Seen::Seal,
    })
}
