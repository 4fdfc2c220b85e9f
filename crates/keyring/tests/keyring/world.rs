//! What the tests of the keyring share: a world that can be reopened, faults, and a history of rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_crypto::Key;
use strongroom_keyring::{
    Grade, Half, Holder, HolderError, HolderId, Holding, Keyring, MemoryHolder, ShareTag,
    ShredOutcome, ShredTarget, Tombstone,
};
use strongroom_model::{Clock, InstallId, NoRandomness, Rng, TenantId, Timestamp};
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{
    Batch, Committed, Description, Expect, KeyRange, Line, LinePosition, LineRange, MemoryStore,
    Row, RowKey, Store, StoreError, Sums,
};
use tokio::sync::Notify;

pub(crate) const INSTALL: InstallId = InstallId::from_bytes([0x11; 16]);

/// A clock that the test moves.
#[derive(Default)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// SplitMix64: the same seed gives the same world.
pub(crate) struct TestRng(Mutex<u64>);

impl TestRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }
}

impl Rng for TestRng {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        for part in into.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes()[..part.len()]);
        }
        Ok(())
    }
}

/// Everything that outlives a keyring.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) holders: Vec<Arc<dyn Holder>>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) rng: Arc<TestRng>,
}

impl World {
    /// A world in memory with one holder for each of these classes.
    pub(crate) fn in_memory(classes: &[u8]) -> Self {
        Self::of(Arc::new(MemoryStore::new()), memory_holders(classes))
    }

    pub(crate) fn of(store: Arc<dyn Store>, holders: Vec<Arc<dyn Holder>>) -> Self {
        let (clock, rng) = (Arc::default(), Arc::new(TestRng::new(1)));
        Self { store, holders, clock, rng }
    }

    pub(crate) async fn create(&self) -> Keyring {
        let (store, holders) = (Arc::clone(&self.store), self.holders.clone());
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        Keyring::create(store, holders, &seal_key(), INSTALL, clock, rng).await.unwrap();
        self.reopen().await
    }

    pub(crate) async fn open(&self) -> Keyring {
        let (store, holders) = (Arc::clone(&self.store), self.holders.clone());
        Keyring::open(store, holders, self.clock.clone(), self.rng.clone()).await.unwrap()
    }

    pub(crate) async fn reopen(&self) -> Keyring {
        let keyring = self.open().await;
        keyring.unlock(&seal_key()).await.unwrap();
        keyring
    }
}

pub(crate) fn memory_holders(classes: &[u8]) -> Vec<Arc<dyn Holder>> {
    let holder = |(id, class): (u8, &u8)| -> Arc<dyn Holder> {
        Arc::new(MemoryHolder::new(HolderId([id; 16]), INSTALL, *class))
    };
    (1u8..).zip(classes).map(holder).collect()
}

pub(crate) fn seal_key() -> Key {
    Key::from_slice(&[0x5e; 32]).unwrap()
}

pub(crate) fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}

/// A tombstone whose id is made of its target, so that no two are the same by chance.
pub(crate) fn stone(tenant: TenantId, target: ShredTarget) -> Tombstone {
    let (kind, number) = match &target {
        ShredTarget::Leaf { slot, .. } => (RowKind::SubjectHead, *slot),
        ShredTarget::Numbers { slot, .. } => (RowKind::Record, *slot),
        ShredTarget::Tenant { half } => (RowKind::Tenant, u64::from(*half == Half::Data)),
    };
    let half = match &target {
        ShredTarget::Leaf { half, .. }
        | ShredTarget::Numbers { half, .. }
        | ShredTarget::Tenant { half } => u64::from(half.tree().number()),
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&half.to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    Tombstone { tenant, kind, id, part: 0, target }
}

pub(crate) fn leaf_stone(tenant: TenantId, half: Half, slot: u64) -> Tombstone {
    stone(tenant, ShredTarget::Leaf { half, slot })
}

/// Fence, shred, finish: an erasure as a caller does it.
pub(crate) async fn erase(
    keyring: &Keyring,
    store: &dyn Store,
    stones: &[Tombstone],
) -> ShredOutcome {
    fence(keyring, store, stones).await;
    let outcome = keyring.shred(stones).await.unwrap();
    assert!(outcome.complete, "{outcome:?}");
    finish(keyring, store, stones, &outcome).await;
    outcome
}

pub(crate) async fn fence(keyring: &Keyring, store: &dyn Store, stones: &[Tombstone]) {
    let mut batch = Batch::new();
    keyring.fence(&mut batch, stones);
    let _ = store.commit(batch).await.unwrap();
}

pub(crate) async fn finish(
    keyring: &Keyring,
    store: &dyn Store,
    stones: &[Tombstone],
    outcome: &ShredOutcome,
) {
    let mut batch = Batch::new();
    keyring.finish(&mut batch, stones, outcome).unwrap();
    let _ = store.commit(batch).await.unwrap();
}

/// The numbers that the clear rows name: in force, and of the newest batch with its state.
pub(crate) async fn numbers(store: &dyn Store) -> (u64, u64, u8) {
    let keys = [keyspace::committed_number(), keyspace::batch_row()];
    let rows = store.get_many(&keys).await.unwrap();
    let (in_force, batch) = (rows[0].as_ref().unwrap(), rows[1].as_ref().unwrap());
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    (number(&in_force.value[1..9]), number(&batch.value[2..10]), batch.value[1])
}

/// When calls to a store and its holders fail.
#[derive(Default)]
pub(crate) struct Fault {
    armed: AtomicBool,
    calls: AtomicUsize,
    at: AtomicUsize,
    /// The call takes place, but its answer is lost.
    applied: AtomicBool,
    /// All calls after it fail too, as if the process had ended.
    lasting: AtomicBool,
}

/// What a call shall do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    FailsAfterwards,
    Fails,
}

impl Fault {
    pub(crate) fn arm(&self, at: usize, applied: bool, lasting: bool) {
        self.calls.store(0, Ordering::SeqCst);
        self.at.store(at, Ordering::SeqCst);
        self.applied.store(applied, Ordering::SeqCst);
        self.lasting.store(lasting, Ordering::SeqCst);
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Ends the fault; true if a call has failed.
    pub(crate) fn disarm(&self) -> bool {
        self.armed.store(false, Ordering::SeqCst);
        self.calls.load(Ordering::SeqCst) > self.at.load(Ordering::SeqCst)
    }

    fn next(&self) -> Fate {
        if !self.armed.load(Ordering::SeqCst) {
            return Fate::Succeeds;
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let at = self.at.load(Ordering::SeqCst);
        if call == at && self.applied.load(Ordering::SeqCst) {
            Fate::FailsAfterwards
        } else if call == at || (call > at && self.lasting.load(Ordering::SeqCst)) {
            Fate::Fails
        } else {
            Fate::Succeeds
        }
    }
}

pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) fault: Arc<Fault>,
}

impl FaultyStore {
    async fn through<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.fault.next() {
            Fate::Succeeds => call.await,
            Fate::Fails => Err(StoreError::Unavailable("a fault")),
            Fate::FailsAfterwards => {
                let _ = call.await;
                Err(StoreError::Unavailable("a lost answer"))
            }
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        self.through(self.inner.get_many(keys)).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        self.through(self.inner.scan(range, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.through(self.inner.commit(batch)).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        self.through(self.inner.append(lines, facts)).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        self.through(self.inner.read_lines(range)).await
    }

    fn sums(&self) -> &Sums {
        self.inner.sums()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}

/// A holder that may fail, may be away, and watches that the protocol is kept: no number is installed
/// twice with other bytes, and nothing is forgotten without the commit that made it final.
pub(crate) struct WatchedHolder {
    inner: MemoryHolder,
    store: Arc<dyn Store>,
    fault: Arc<Fault>,
    pub(crate) away: AtomicBool,
    /// It never answers.
    pub(crate) silent: AtomicBool,
    /// It takes a millisecond for everything.
    pub(crate) slow: AtomicBool,
    seen: Mutex<HashMap<u64, Vec<u8>>>,
    pub(crate) violations: Mutex<Vec<String>>,
}

impl WatchedHolder {
    pub(crate) fn new(id: u8, class: u8, store: Arc<dyn Store>, fault: Arc<Fault>) -> Self {
        Self {
            inner: MemoryHolder::new(HolderId([id; 16]), INSTALL, class),
            store,
            fault,
            away: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            seen: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    async fn through<T>(
        &self,
        call: impl Future<Output = Result<T, HolderError>>,
    ) -> Result<T, HolderError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(HolderError::Unavailable("it is away".to_owned()));
        }
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        match self.fault.next() {
            Fate::Succeeds => call.await,
            Fate::Fails => Err(HolderError::Unavailable("a fault".to_owned())),
            Fate::FailsAfterwards => {
                let _ = call.await;
                Err(HolderError::Unavailable("a lost answer".to_owned()))
            }
        }
    }

    fn violation(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    async fn watched_forget(&self, number: u64, tag: ShareTag) -> Result<(), HolderError> {
        let (in_force, newest, state) = numbers(self.store.as_ref()).await;
        let is_aborted = number > in_force && (newest > number || (newest == number && state == 3));
        if number == in_force || (number > in_force && !is_aborted) {
            self.violation(format!(
                "{number} forgotten while {in_force} in force, {newest} newest"
            ));
        }
        self.inner.forget(number, tag).await
    }
}

#[async_trait]
impl Holder for WatchedHolder {
    fn id(&self) -> HolderId {
        self.inner.id()
    }

    fn installation(&self) -> InstallId {
        self.inner.installation()
    }

    fn class(&self) -> u8 {
        self.inner.class()
    }

    fn grade(&self) -> Grade {
        self.inner.grade()
    }

    async fn install(&self, number: u64, sealed: &[u8]) -> Result<(), HolderError> {
        self.through(async {
            self.inner.install(number, sealed).await?;
            let before = self.seen.lock().unwrap().insert(number, sealed.to_vec());
            if before.is_some_and(|before| before != sealed) {
                self.violation(format!("{number} was installed twice"));
            }
            Ok(())
        })
        .await
    }

    async fn read(&self, number: u64) -> Result<Vec<u8>, HolderError> {
        self.through(self.inner.read(number)).await
    }

    async fn list(&self) -> Result<Holding, HolderError> {
        self.through(self.inner.list()).await
    }

    async fn forget(&self, number: u64, tag: ShareTag) -> Result<(), HolderError> {
        self.through(self.watched_forget(number, tag)).await
    }

    async fn forget_damaged(&self) -> Result<(), HolderError> {
        self.through(self.inner.forget_damaged()).await
    }
}

/// A store that can hold back the answer to a read while others go on.
pub(crate) struct StallingStore {
    inner: Arc<dyn Store>,
    /// Reads until the one whose answer is held back; negative if none is.
    countdown: AtomicI64,
    /// The same for scans.
    scans: AtomicI64,
    pub(crate) reached: Notify,
    pub(crate) release: Notify,
}

impl StallingStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        let (countdown, scans) = (AtomicI64::new(-1), AtomicI64::new(-1));
        Self { inner, countdown, scans, reached: Notify::new(), release: Notify::new() }
    }

    /// Holds back the answer to a read: the next one for 0.
    pub(crate) fn stall_after(&self, reads: i64) {
        self.countdown.store(reads, Ordering::SeqCst);
    }

    /// Holds back the answer to the next scan.
    pub(crate) fn stall_scan(&self) {
        self.scans.store(0, Ordering::SeqCst);
    }

    async fn hold_back(&self, countdown: &AtomicI64) {
        if countdown.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.reached.notify_one();
            self.release.notified().await;
        }
    }
}

#[async_trait]
impl Store for StallingStore {
    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Row>>, StoreError> {
        let rows = self.inner.get_many(keys).await;
        self.hold_back(&self.countdown).await;
        rows
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(RowKey, Row)>, StoreError> {
        let rows = self.inner.scan(range, limit).await;
        self.hold_back(&self.scans).await;
        rows
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, StoreError> {
        self.inner.commit(batch).await
    }

    async fn append(
        &self,
        lines: Vec<Box<dyn Line>>,
        facts: Vec<Expect>,
    ) -> Result<Committed, StoreError> {
        self.inner.append(lines, facts).await
    }

    async fn read_lines(
        &self,
        range: &LineRange,
    ) -> Result<Vec<(LinePosition, Bytes)>, StoreError> {
        self.inner.read_lines(range).await
    }

    fn sums(&self) -> &Sums {
        self.inner.sums()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}
