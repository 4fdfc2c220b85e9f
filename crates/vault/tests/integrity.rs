//! Whoever writes the store's disk from below is found: each attack beside what it would do unseen.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_crypto::{Key, SystemRng};
use strongroom_keyring::{HolderId, Keyring, MemoryHolder};
use strongroom_model::*;
use strongroom_storage::keyspace::{self, RowKind};
use strongroom_storage::{Batch, KeyRange, PAGE_MAX, Row, RowKey, Store, StoreUrl};
use strongroom_vault::integrity::{self, Damage, HeadPlace, Rejected, Report};
use strongroom_vault::*;
use tempfile::TempDir;

/// A place for a head that outlives the vaults of a test.
#[derive(Default)]
struct Place(Mutex<Option<Vec<u8>>>);

impl HeadPlace for Place {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn write(&self, head: &[u8]) -> io::Result<()> {
        *self.0.lock().unwrap() = Some(head.to_vec());
        Ok(())
    }
}

/// The machine's clock, set wrong by so many seconds.
struct Shifted(i64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock::new().now().plus_seconds(self.0)
    }

    fn elapsed(&self) -> Duration {
        SystemClock::new().elapsed()
    }
}

/// An installation at rest.
struct World {
    folder: TempDir,
    engine: &'static str,
    holder: Arc<MemoryHolder>,
    head: Arc<Place>,
    seal: Key,
    /// How far the machine's clock is ahead, in seconds.
    ahead: AtomicI64,
    /// Credentials by which somebody comes back after a start.
    owner: String,
    key: String,
    key_id: KeyId,
    tenant: TenantId,
    record: RecordId,
}

fn about() -> About {
    About { request: RequestId::from_bytes([1; 16]), address: None, purpose: None, reason: None }
}

fn text(value: &str) -> ClearValue {
    ClearValue::Text(value.to_owned())
}

fn customers() -> CollectionName {
    "customers".parse().unwrap()
}

impl World {
    /// A tenant with a collection, two records, and a clerk's API key.
    async fn new(engine: &'static str) -> Self {
        let rng = SystemRng::new();
        let install = InstallId::new(Timestamp::default(), &rng).unwrap();
        let none = TenantId::PROVIDER;
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            engine,
            holder: Arc::new(MemoryHolder::new(HolderId([3; 16]), install, 1)),
            head: Arc::default(),
            seal: Key::generate(&rng).unwrap(),
            ahead: AtomicI64::new(0),
            owner: String::new(),
            key: String::new(),
            key_id: KeyId::from_bytes([0; 16]),
            tenant: none,
            record: RecordId::from_bytes([0; 16]),
        };
        let store = strongroom_storage::create(&world.url()).unwrap();
        let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(rng));
        let holders: Vec<Arc<dyn strongroom_keyring::Holder>> = vec![world.holder.clone()];
        Keyring::create(store, holders, &world.seal, install, clock, rng).await.unwrap();
        let vault = world.start().await.unwrap();
        let operator = tenants::Owner { name: "Op".parse().unwrap(), email: None };
        let invitation = system::plant(&vault, operator).await.unwrap();
        let redeemed = invitations::redeem(&vault, invitation.token.expose()).await.unwrap().value;
        let operator = vault.sign_in(redeemed.secret.token.expose(), about()).await.unwrap();
        let wanted = tenants::CreateTenant {
            blueprint: None,
            name: "Northwind".parse().unwrap(),
            owner: tenants::Owner { name: "Nancy".parse().unwrap(), email: None },
            idempotency: None,
        };
        let made = tenants::create(&vault, &operator, wanted).await.unwrap().value;
        let redeemed =
            invitations::redeem(&vault, made.invitation.token.expose()).await.unwrap().value;
        redeemed.secret.token.expose().clone_into(&mut world.owner);
        let owner = vault.sign_in(&world.owner, about()).await.unwrap();
        world.tenant = owner.tenant();
        let wanted = collections::CreateCollection {
            name: customers(),
            label: "Customers".parse().unwrap(),
            purposes: vec!["sales".parse().unwrap()],
            subject: SubjectRule::Own,
            forgets_old_versions: false,
            fields: vec![collections::NewField {
                name: "name".parse().unwrap(),
                label: None,
                kind: FieldType::Name,
                category: None,
                mask: None,
                required: false,
                scope: false,
            }],
            idempotency: None,
        };
        collections::create(&vault, &owner, wanted).await.unwrap();
        for id in ["C1", "C2"] {
            let record = records::NewRecord {
                external_id: Some(id.parse().unwrap()),
                subject: None,
                source: None,
                collected_at: None,
                notice: None,
                purposes: None,
                assignees: Vec::new(),
                fields: vec![("name".parse().unwrap(), text("Ada Lovelace"))],
            };
            let wanted =
                records::CreateRecord { collection: customers(), record, idempotency: None };
            world.record = records::create(&vault, &owner, &wanted).await.unwrap().value.id;
        }
        let wanted = api_keys::CreateApiKey {
            label: "test".parse().unwrap(),
            classes: vec!["clerk".parse().unwrap()],
            expires_at: vault.now().plus_seconds(3600),
            acts: ActsAs::Itself,
            idempotency: None,
        };
        let made = api_keys::create(&vault, &owner, wanted).await.unwrap().value;
        made.secret.token.expose().clone_into(&mut world.key);
        let key = vault.sign_in(&world.key, about()).await.unwrap();
        let Credential::ApiKey(id) = key.credential() else { panic!("no API key") };
        world.key_id = id;
        vault.write_heads().await.unwrap();
        world
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::parse(&format!("{}:{}", self.engine, self.store_folder().display())).unwrap()
    }

    fn store_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    /// The vault, locked.
    async fn opened(&self, places: Vec<Arc<dyn HeadPlace>>) -> (Vault, Arc<Keyring>) {
        let store = strongroom_storage::open(&self.url()).unwrap();
        let clock = Arc::new(Shifted(self.ahead.load(Ordering::Relaxed)));
        let rng = Arc::new(SystemRng::new());
        let holders: Vec<Arc<dyn strongroom_keyring::Holder>> = vec![self.holder.clone()];
        let keyring = Keyring::open(store.clone(), holders, clock.clone(), rng.clone()).await;
        let keyring = Arc::new(keyring.unwrap());
        (Vault::new(store, keyring.clone(), clock, rng).with_heads(places), keyring)
    }

    /// The server starts.
    async fn start(&self) -> Result<Vault, Rejected> {
        let (vault, _) = self.opened(vec![self.head.clone()]).await;
        system::unlock(&vault, &self.seal).await?;
        Ok(vault)
    }

    /// The server starts as it would without all that is tested here.
    async fn start_without_checks(&self) -> Vault {
        let (vault, keyring) = self.opened(Vec::new()).await;
        keyring.unlock(&self.seal).await.unwrap();
        vault
    }

    async fn rejected(&self) -> Rejected {
        match self.start().await {
            Err(rejected) => rejected,
            Ok(_) => panic!("the server starts"),
        }
    }

    async fn verify(&self) -> Report {
        let (vault, _) = self.opened(vec![self.head.clone()]).await;
        integrity::verify(&vault, &self.seal, &|_| {}).await.unwrap()
    }

    /// The damages that are found when nobody but the attacker has written.
    async fn damages(&self) -> Vec<Damage> {
        self.verify().await.damages
    }

    /// The store as whoever holds the disk sees it.
    fn disk(&self) -> Arc<dyn Store> {
        strongroom_storage::open(&self.url()).unwrap()
    }

    async fn rows(&self, tenant: TenantId, kind: RowKind) -> Vec<(RowKey, Row)> {
        self.disk().scan(&KeyRange::prefix_of(tenant, kind), PAGE_MAX).await.unwrap()
    }

    async fn row(&self, key: &RowKey) -> Row {
        let rows = self.disk().get_many(std::slice::from_ref(key)).await.unwrap();
        rows.into_iter().flatten().next().unwrap()
    }

    /// Removes a row, and puts another in its place, whatever its version.
    async fn overwrite(&self, key: &RowKey, row: Option<&Row>) {
        let disk = self.disk();
        let mut batch = Batch::new();
        batch.delete(key.clone());
        disk.commit(batch).await.unwrap();
        if let Some(row) = row {
            let mut batch = Batch::new();
            batch.put(key.clone(), row.version, row.value.clone());
            disk.commit(batch).await.unwrap();
        }
    }

    fn record_key(&self, rows: &[(RowKey, Row)]) -> (RowKey, Row) {
        let mine = |key: &RowKey| key.as_bytes().ends_with(self.record.as_bytes());
        rows.iter().find(|(key, _)| mine(key)).cloned().unwrap()
    }

    async fn change_the_record(&self) {
        let vault = self.start().await.unwrap();
        let owner = vault.sign_in(&self.owner, about()).await.unwrap();
        let wanted = records::ChangeRecord {
            collection: customers(),
            record: self.record,
            expected: Expected::Any,
            fields: vec![("name".parse().unwrap(), text("Ada King"))],
            assignees: None,
            correction: false,
        };
        records::change(&vault, &owner, wanted).await.unwrap();
        vault.write_heads().await.unwrap();
    }

    async fn read_the_record(&self, vault: &Vault) -> Result<(), VaultError> {
        let owner = vault.sign_in(&self.owner, about()).await?;
        let (collection, record) = (customers(), self.record);
        let wanted = records::ReadRecord { collection, record, wanted: records::Wanted::default() };
        records::read(vault, &owner, wanted).await.map(drop)
    }

    async fn revoke_the_key(&self) {
        let vault = self.start().await.unwrap();
        let owner = vault.sign_in(&self.owner, about()).await.unwrap();
        api_keys::revoke(&vault, &owner, self.key_id).await.unwrap();
        vault.write_heads().await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            copy(&old, &new);
        } else {
            std::fs::copy(&old, &new).unwrap();
        }
    }
}

fn put_back(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_nobody_touched_is_proven_whole_after_changes_erasures_and_a_crash() {
    for engine in ["redb", "fjall", "sled"] {
        let world = World::new(engine).await;
        let report = world.verify().await;
        assert_eq!((report.damage_count, report.has_head), (0, true), "{engine}: {report:?}");
        assert!(report.opened > 10 && report.lines_opened == report.lines, "{engine}: {report:?}");
        world.change_the_record().await;
        let vault = world.start().await.unwrap();
        let owner = vault.sign_in(&world.owner, about()).await.unwrap();
        let target = erasures::TargetRef::Record(customers(), world.record);
        let ground = ErasureGround::SubjectRequest;
        let erase = erasures::EraseRequest { target, ground, dry_run: false, idempotency: None };
        erasures::request(&vault, &owner, erase).await.unwrap();
        vault.run_due_jobs().await.unwrap();
        assert!(world.read_the_record(&vault).await.is_err());
        // The head is not written: what came since the last one is caught up with.
        drop(vault);
        let report = world.verify().await;
        assert_eq!(report.damage_count, 0, "{engine}: {report:?}");
        drop(world.start().await.unwrap());
        let report = world.verify().await;
        assert_eq!(report.damage_count, 0, "{engine}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_removed_altered_put_back_or_moved_is_found_by_verify() {
    let world = World::new("redb").await;
    let before = world.rows(world.tenant, RowKind::Record).await;
    world.change_the_record().await;
    let rows = world.rows(world.tenant, RowKind::Record).await;
    let (at, newest) = world.record_key(&rows);
    let (_, oldest) = world.record_key(&before);
    assert!(oldest.version < newest.version);
    let (other_at, other) = rows.iter().find(|(key, _)| *key != at).cloned().unwrap();
    let damaged = Damage::Row { kind: RowKind::Record, tenant: world.tenant };

    world.overwrite(&at, None).await;
    assert_eq!(world.damages().await, [Damage::Store]);
    // Without the sums nobody could tell that it was ever there.
    let vault = world.start_without_checks().await;
    assert_eq!(world.read_the_record(&vault).await.unwrap_err().code(), "not_found");
    drop(vault);

    world.overwrite(&at, Some(&oldest)).await;
    assert_eq!(world.damages().await, [Damage::Store]);
    // Without the sums the older version passes for the present.
    let vault = world.start_without_checks().await;
    world.read_the_record(&vault).await.unwrap();
    drop(vault);

    for bit in [0, newest.value.len() * 4, newest.value.len() * 8 - 1] {
        let mut value = newest.value.to_vec();
        value[bit / 8] ^= 1 << (bit % 8);
        let altered = Row { version: newest.version, value: value.into() };
        world.overwrite(&at, Some(&altered)).await;
        assert!(world.damages().await.contains(&damaged), "bit {bit}");
    }

    world.overwrite(&at, Some(&Row { version: newest.version, value: other.value.clone() })).await;
    let moved = Row { version: other.version, value: newest.value.clone() };
    world.overwrite(&other_at, Some(&moved)).await;
    assert_eq!(world.damages().await, [damaged, damaged]);

    world.overwrite(&at, Some(&newest)).await;
    world.overwrite(&other_at, Some(&other)).await;
    assert_eq!(world.damages().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_that_was_put_back_does_not_come_in() {
    let world = World::new("redb").await;
    let at = keyspace::api_key(world.tenant, world.key_id);
    let sum_at = keyspace::policy_sum(world.tenant);
    let store_at = keyspace::store_sum();
    let (valid, sum, whole) =
        (world.row(&at).await, world.row(&sum_at).await, world.row(&store_at).await);
    world.revoke_the_key().await;
    let vault = world.start().await.unwrap();
    assert_eq!(vault.sign_in(&world.key, about()).await.unwrap_err().code(), "unauthenticated");
    drop(vault);

    world.overwrite(&at, Some(&valid)).await;
    // Without the sum over the policy the key is good again.
    let vault = world.start_without_checks().await;
    vault.sign_in(&world.key, about()).await.unwrap();
    drop(vault);
    let vault = world.start().await.unwrap();
    assert_eq!(vault.sign_in(&world.key, about()).await.unwrap_err().code(), "damaged");
    assert_eq!(world.read_the_record(&vault).await.unwrap_err().code(), "damaged");
    drop(vault);
    assert!(world.damages().await.contains(&Damage::Policy { tenant: world.tenant }));

    // With the sum of that time put back as well, the server does not unlock.
    world.overwrite(&sum_at, Some(&sum)).await;
    assert!(matches!(world.rejected().await, Rejected::Damaged(_)));
    assert_eq!(world.damages().await, [Damage::Store]);
    // With the sum over the store put back as well, the store is older than its head.
    world.overwrite(&store_at, Some(&whole)).await;
    assert!(matches!(world.rejected().await, Rejected::OlderCopy));
    assert_eq!(world.damages().await, [Damage::Head]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_was_put_back_to_a_wider_version_opens_nothing() {
    let world = World::new("redb").await;
    let before = world.rows(world.tenant, RowKind::Class).await;
    let vault = world.start().await.unwrap();
    let owner = vault.sign_in(&world.owner, about()).await.unwrap();
    let wanted = classes::ReplaceClass {
        name: "clerk".parse().unwrap(),
        expected: Expected::Any,
        label: "Clerk".parse().unwrap(),
        terms: ClassTerms::default(),
    };
    classes::replace(&vault, &owner, wanted).await.unwrap();
    vault.write_heads().await.unwrap();
    drop((vault, owner));
    let after = world.rows(world.tenant, RowKind::Class).await;
    let changed = before.iter().zip(&after).find(|(old, new)| old != new).unwrap();
    let (at, wider) = changed.0;
    let read = async |vault: &Vault| {
        let clerk = vault.sign_in(&world.key, about()).await?;
        let (collection, record) = (customers(), world.record);
        let wanted = records::ReadRecord { collection, record, wanted: records::Wanted::default() };
        records::read(vault, &clerk, wanted).await.map(drop)
    };
    let vault = world.start().await.unwrap();
    assert!(read(&vault).await.is_err());
    drop(vault);

    world.overwrite(at, Some(wider)).await;
    let vault = world.start().await.unwrap();
    assert_eq!(read(&vault).await.unwrap_err().code(), "damaged");
    drop(vault);
    assert!(world.damages().await.contains(&Damage::Policy { tenant: world.tenant }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_whole_store_is_refused_until_somebody_accepts_it() {
    for engine in ["redb", "fjall", "sled"] {
        let world = World::new(engine).await;
        let older = world.folder.path().join("older");
        copy(&world.store_folder(), &older);
        world.revoke_the_key().await;
        put_back(&older, &world.store_folder());
        assert!(matches!(world.rejected().await, Rejected::OlderCopy), "{engine}");
        assert_eq!(world.damages().await, [Damage::Head], "{engine}");
        // Without the head the older copy passes, and with it the revoked key.
        let (vault, _) = world.opened(Vec::new()).await;
        system::unlock(&vault, &world.seal).await.unwrap();
        vault.sign_in(&world.key, about()).await.unwrap();
        drop(vault);
        put_back(&older, &world.store_folder());

        let (vault, _) = world.opened(vec![world.head.clone()]).await;
        integrity::accept(&vault, &world.seal).await.unwrap();
        drop(vault);
        let vault = world.start().await.unwrap();
        world.read_the_record(&vault).await.unwrap();
        drop(vault);
        assert_eq!(world.damages().await, [], "{engine}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_reads_that_were_cut_off_the_end_are_missed() {
    let world = World::new("redb").await;
    let journal = world.store_folder().join("journal");
    let older = world.folder.path().join("older");
    copy(&journal, &older);
    let vault = world.start().await.unwrap();
    for _ in 0..3 {
        world.read_the_record(&vault).await.unwrap();
    }
    vault.write_heads().await.unwrap();
    drop(vault);
    assert_eq!(world.damages().await, []);
    put_back(&older, &journal);
    assert!(matches!(world.rejected().await, Rejected::Damaged(_)));
    assert_eq!(world.damages().await, [Damage::Log]);
    // Without the head nobody misses them.
    let (vault, _) = world.opened(Vec::new()).await;
    system::unlock(&vault, &world.seal).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_missing_damaged_or_of_another_installation_is_refused_for_what_it_is() {
    let world = World::new("redb").await;
    let head = world.head.read().unwrap().unwrap();
    *world.head.0.lock().unwrap() = None;
    assert!(matches!(world.rejected().await, Rejected::NoHead));
    assert_eq!(world.damages().await, [Damage::Head]);
    for byte in 0..head.len() {
        let mut altered = head.clone();
        altered[byte] ^= 1;
        world.head.write(&altered).unwrap();
        let rejected = world.rejected().await;
        let fits = match byte {
            8..24 => matches!(rejected, Rejected::HeadOfAnother),
            // The number comes before the proof: a greater one is an older store.
            24..32 => matches!(rejected, Rejected::OlderCopy | Rejected::HeadDamaged),
            _ => matches!(rejected, Rejected::HeadDamaged),
        };
        assert!(fits, "byte {byte}: {rejected}");
    }
    world.head.write(&head[..100]).unwrap();
    assert!(matches!(world.rejected().await, Rejected::HeadDamaged));
    world.head.write(&head).unwrap();
    drop(world.start().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_ten_minutes_off_at_the_start_brings_nothing_back_that_had_ended() {
    const OFF_S: i64 = 600;
    let world = World::new("redb").await;
    let vault = world.start().await.unwrap();
    let owner = vault.sign_in(&world.owner, about()).await.unwrap();
    let ends = vault.now().plus_seconds(OFF_S / 2);
    let wanted = api_keys::CreateApiKey {
        label: "short".parse().unwrap(),
        classes: vec!["clerk".parse().unwrap()],
        expires_at: ends,
        acts: ActsAs::Itself,
        idempotency: None,
    };
    let made = api_keys::create(&vault, &owner, wanted).await.unwrap().value;
    let short = made.secret.token.expose().to_owned();
    vault.sign_in(&short, about()).await.unwrap();
    drop(vault);

    // Ahead: what ends by that clock has ended.
    world.ahead.store(OFF_S, Ordering::Relaxed);
    let vault = world.start().await.unwrap();
    assert_eq!(vault.sign_in(&short, about()).await.unwrap_err().code(), "unauthenticated");
    vault.run_due_jobs().await.unwrap();
    let seen = vault.now();
    drop(vault);

    // Behind what was stored: time goes on from there, and the key stays what it was.
    world.ahead.store(0, Ordering::Relaxed);
    let vault = world.start().await.unwrap();
    assert!(vault.now() >= seen.plus_seconds(-1) && SystemClock::new().now() < ends);
    assert_eq!(vault.sign_in(&short, about()).await.unwrap_err().code(), "unauthenticated");
    drop(vault);

    // Without the time that was stored it would be good again.
    world.overwrite(&keyspace::clock(), None).await;
    let vault = world.start().await.unwrap();
    vault.sign_in(&short, about()).await.unwrap();
    drop(vault);
    assert_eq!(world.damages().await, [Damage::Store]);
}
