//! A store of any engine that can be opened again, and lines that show where they were sealed.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use strongroom_model::TenantId;
use strongroom_storage::{
    Batch, Line, LinePlace, LinePosition, LineRange, MemoryStore, PAGE_MAX, PostgresStore,
    PostgresUrl, RowKey, Store, StoreUrl,
};
use tempfile::TempDir;

use crate::cluster::Cluster;

/// A store that can be opened again.
pub(crate) enum Fixture {
    Memory(Arc<MemoryStore>),
    /// The folder goes last: a store that is closed may still write to it.
    Embedded(Arc<dyn Store>, StoreUrl, TempDir),
    Postgres(Arc<Cluster>, Box<PostgresUrl>, Option<Arc<PostgresStore>>),
}

impl Fixture {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryStore::new()))
    }

    /// A new store of an embedded engine.
    pub(crate) fn embedded(engine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{engine}:{}", folder.path().join("store").display());
        let url = StoreUrl::parse(&url).unwrap();
        let store = strongroom_storage::create(&url).unwrap();
        Self::Embedded(store, url, folder)
    }

    pub(crate) fn postgres() -> Self {
        let (cluster, url) = new_database();
        let store = PostgresStore::create(&url).unwrap();
        Self::Postgres(cluster, Box::new(url), Some(Arc::new(store)))
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Embedded(store, ..) => Arc::clone(store),
            Self::Postgres(_, _, store) => Arc::clone(store.as_ref().unwrap()) as Arc<dyn Store>,
        }
    }

    /// Closes the store, which nobody may hold any more, and opens it again.
    pub(crate) fn reopened(self) -> Self {
        match self {
            Self::Memory(store) => {
                let store = Arc::try_unwrap(store).ok().expect("nobody holds the store");
                Self::Memory(Arc::new(store.reopened()))
            }
            Self::Embedded(store, url, folder) => {
                assert_eq!(Arc::strong_count(&store), 1, "nobody holds the store");
                drop(store);
                let store = strongroom_storage::open(&url).unwrap();
                Self::Embedded(store, url, folder)
            }
            Self::Postgres(cluster, url, store) => {
                drop(Arc::try_unwrap(store.unwrap()).ok().expect("nobody holds the store"));
                let store = PostgresStore::open(&url).unwrap();
                Self::Postgres(cluster, url, Some(Arc::new(store)))
            }
        }
    }
}

/// The cluster that tests share as long as one of them uses it.
static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
/// Counts the databases of the shared cluster.
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// A new database in the shared cluster.
pub(crate) fn new_database() -> (Arc<Cluster>, PostgresUrl) {
    let mut shared = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = shared.upgrade().unwrap_or_else(|| Arc::new(Cluster::start_with("")));
    *shared = Arc::downgrade(&cluster);
    drop(shared);
    let name = format!("test{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    cluster.query("postgres", &format!("create database {name};"));
    let url = postgres_url(&cluster.url(&name));
    (cluster, url)
}

pub(crate) fn postgres_url(text: &str) -> PostgresUrl {
    match StoreUrl::parse(text).unwrap() {
        StoreUrl::Postgres(url) => *url,
        other => panic!("{other} is no database"),
    }
}

/// Runs a test on several threads.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

pub(crate) fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}

pub(crate) fn key(text: &str) -> RowKey {
    RowKey::new(text.as_bytes())
}

/// A batch that writes one row without asking.
pub(crate) fn put(text: &str, version: u64, value: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(text), version, value.as_bytes().to_vec());
    batch
}

/// A line that is not sealed: `tenant | node | n | previous tag | text | tag`.
pub(crate) struct PlainLine {
    pub(crate) tenant: TenantId,
    pub(crate) text: Vec<u8>,
}

pub(crate) fn line(tenant: TenantId, text: &str) -> Box<dyn Line> {
    Box::new(PlainLine { tenant, text: text.as_bytes().to_vec() })
}

impl Line for PlainLine {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn seal(&self, place: &LinePlace) -> Bytes {
        let mut bytes = self.tenant.as_bytes().to_vec();
        bytes.extend(place.node.to_be_bytes());
        bytes.extend(place.n.to_be_bytes());
        bytes.extend(place.previous_tag);
        bytes.extend(&self.text);
        let tag = tag(&bytes);
        bytes.extend(tag);
        bytes.into()
    }
}

/// FNV-1a of 128 bits: stands in for an authentication tag.
fn tag(bytes: &[u8]) -> [u8; 16] {
    let fold = |hash: u128, byte: &u8| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    };
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, fold).to_be_bytes()
}

/// A line read back, its tag checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReadLine {
    pub(crate) tenant: TenantId,
    pub(crate) node: u32,
    pub(crate) n: u64,
    pub(crate) previous_tag: [u8; 16],
    pub(crate) text: String,
    pub(crate) tag: [u8; 16],
}

pub(crate) fn parse(line: &Bytes) -> ReadLine {
    let (body, end) = line.split_at(line.len() - 16);
    assert_eq!(tag(body), end, "the line is not what was sealed");
    ReadLine {
        tenant: TenantId::from_bytes(body[..16].try_into().unwrap()),
        node: u32::from_be_bytes(body[16..20].try_into().unwrap()),
        n: u64::from_be_bytes(body[20..28].try_into().unwrap()),
        previous_tag: body[28..44].try_into().unwrap(),
        text: String::from_utf8_lossy(&body[44..]).into_owned(),
        tag: end.try_into().unwrap(),
    }
}

/// All lines of the store, with every chain checked: it begins at 0, has no gap, and each line
/// carries the tag of the one before.
pub(crate) async fn all_lines(store: &dyn Store) -> Vec<ReadLine> {
    let mut lines = Vec::new();
    let mut position = LinePosition::START;
    loop {
        let page = store.read_lines(&LineRange::all(position, PAGE_MAX)).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        position = *last;
        lines.extend(page.iter().map(|(_, line)| parse(line)));
    }
    check_chains(&lines);
    lines
}

pub(crate) fn check_chains(lines: &[ReadLine]) {
    let mut ends = std::collections::HashMap::new();
    for line in lines {
        let (next, previous_tag) =
            ends.entry((line.node, line.tenant)).or_insert((0u64, [0u8; 16]));
        assert_eq!((line.n, line.previous_tag), (*next, *previous_tag), "a gap before {line:?}");
        (*next, *previous_tag) = (line.n + 1, line.tag);
    }
}
