//! A tenant's first day, through the use cases.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use strongroom_crypto::{Key, SystemRng};
use strongroom_keyring::{Keyring, MemoryHolder};
use strongroom_model::*;
use strongroom_storage::{MemoryStore, Store, StoreUrl};
use strongroom_vault::*;

struct House {
    vault: Vault,
    operator: TenantCtx,
}

fn about() -> About {
    About { request: RequestId::from_bytes([1; 16]), address: None, purpose: None, reason: None }
}

async fn house() -> House {
    house_on(Arc::new(MemoryStore::new())).await
}

async fn house_on(store: Arc<dyn Store>) -> House {
    let rng = Arc::new(SystemRng::new());
    let clock = Arc::new(SystemClock::new());
    let install = InstallId::new(Timestamp::default(), &*rng).unwrap();
    let holder = Arc::new(MemoryHolder::new(strongroom_keyring::HolderId([3; 16]), install, 1));
    let seal = Key::generate(&*rng).unwrap();
    Keyring::create(
        store.clone(),
        vec![holder.clone()],
        &seal,
        install,
        clock.clone(),
        rng.clone(),
    )
    .await
    .unwrap();
    let keyring =
        Keyring::open(store.clone(), vec![holder], clock.clone(), rng.clone()).await.unwrap();
    let vault = Vault::new(store, Arc::new(keyring), clock, rng);
    system::unlock(&vault, &seal).await.unwrap();
    let operator = tenants::Owner { name: "Op".parse().unwrap(), email: None };
    let invitation = system::plant(&vault, operator).await.unwrap();
    let redeemed = invitations::redeem(&vault, invitation.token.expose()).await.unwrap().value;
    let operator = vault.sign_in(redeemed.secret.token.expose(), about()).await.unwrap();
    House { vault, operator }
}

impl House {
    async fn tenant(&self) -> TenantCtx {
        let wanted = tenants::CreateTenant {
            blueprint: None,
            name: "Northwind".parse().unwrap(),
            owner: tenants::Owner { name: "Nancy".parse().unwrap(), email: None },
            idempotency: None,
        };
        let made = tenants::create(&self.vault, &self.operator, wanted).await.unwrap().value;
        let redeemed =
            invitations::redeem(&self.vault, made.invitation.token.expose()).await.unwrap().value;
        self.vault.sign_in(redeemed.secret.token.expose(), about()).await.unwrap()
    }

    async fn key(&self, owner: &TenantCtx, class: &str) -> TenantCtx {
        let wanted = api_keys::CreateApiKey {
            label: "test".parse().unwrap(),
            classes: vec![class.parse().unwrap()],
            expires_at: self.vault.now().plus_seconds(3600),
            acts: ActsAs::Itself,
            idempotency: None,
        };
        let made = api_keys::create(&self.vault, owner, wanted).await.unwrap().value;
        self.vault.sign_in(made.secret.token.expose(), about()).await.unwrap()
    }

    async fn collection(
        &self,
        owner: &TenantCtx,
        name: &str,
        subject: SubjectRule,
        fields: Vec<(&str, FieldType)>,
    ) {
        let fields = fields.into_iter().map(|(name, kind)| collections::NewField {
            name: name.parse().unwrap(),
            label: None,
            kind,
            category: None,
            mask: None,
            required: false,
            scope: false,
        });
        let wanted = collections::CreateCollection {
            name: name.parse().unwrap(),
            label: name.parse().unwrap(),
            purposes: vec!["sales".parse().unwrap()],
            subject,
            forgets_old_versions: false,
            fields: fields.collect(),
            idempotency: None,
        };
        collections::create(&self.vault, owner, wanted).await.unwrap();
    }
}

fn record(external_id: &str, fields: Vec<(&str, ClearValue)>) -> records::NewRecord {
    records::NewRecord {
        external_id: Some(external_id.parse().unwrap()),
        subject: None,
        source: None,
        collected_at: None,
        notice: None,
        purposes: None,
        assignees: Vec::new(),
        fields: fields.into_iter().map(|(name, value)| (name.parse().unwrap(), value)).collect(),
    }
}

fn text(value: &str) -> ClearValue {
    ClearValue::Text(value.to_owned())
}

fn shown(view: &records::RecordView) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (name, value) in &view.fields {
        let mut json = Vec::new();
        value.write_json(&mut json);
        parts.push(format!("{name}={}", String::from_utf8(json).unwrap()));
    }
    parts.extend(view.masked.iter().map(|(name, value)| format!("{name}~{}", value.expose())));
    parts.join(" ")
}

#[tokio::test]
async fn two_classes_see_one_record_differently_and_an_erased_person_is_gone() {
    let house = house().await;
    let owner = house.tenant().await;
    house
        .collection(
            &owner,
            "customers",
            SubjectRule::Own,
            vec![("name", FieldType::Name), ("phone", FieldType::Phone), ("note", FieldType::Text)],
        )
        .await;
    house
        .collection(
            &owner,
            "orders",
            SubjectRule::Through("customer".parse().unwrap()),
            vec![
                ("customer", FieldType::Reference("customers".parse().unwrap())),
                ("total", FieldType::Decimal),
            ],
        )
        .await;
    let clerk = house.key(&owner, "clerk").await;
    let customers: CollectionName = "customers".parse().unwrap();
    let orders: CollectionName = "orders".parse().unwrap();
    let wanted = records::CreateRecord {
        collection: customers.clone(),
        record: record(
            "C1",
            vec![
                ("name", text("Ada Lovelace")),
                ("phone", text("+44 20 7946 0958")),
                ("note", text("likes numbers")),
            ],
        ),
        idempotency: None,
    };
    let made = records::create(&house.vault, &owner, &wanted).await.unwrap().value;
    assert_eq!(
        shown(&made),
        r#"name="Ada Lovelace" phone="+44 20 7946 0958" note="likes numbers""#
    );
    let again = records::create(&house.vault, &owner, &wanted).await;
    assert_eq!(again.unwrap_err().code(), "external_id_taken");

    let read = |ctx, collection: &CollectionName, id| {
        let wanted = records::ReadRecord {
            collection: collection.clone(),
            record: id,
            wanted: records::Wanted::default(),
        };
        records::read(&house.vault, ctx, wanted)
    };
    let masked = read(&clerk, &customers, made.id).await.unwrap().value;
    assert_eq!(shown(&masked), "name~A. L. phone~••• 0958");

    let mut reference = ClearValue::Object(vec![]);
    if let ClearValue::Object(members) = &mut reference {
        members.push(clear_value::Member { name: "external_id".into(), value: text("C1") });
    }
    let order = records::CreateRecord {
        collection: orders.clone(),
        record: record("O1", vec![("customer", reference), ("total", text("12.50"))]),
        idempotency: None,
    };
    let order = records::create(&house.vault, &owner, &order).await.unwrap().value;
    assert_eq!(order.subject, made.subject);

    let listed = records::list(
        &house.vault,
        &clerk,
        records::ListRecords {
            collection: customers.clone(),
            page: Page { limit: 10, cursor: None },
            wanted: records::Wanted::default(),
        },
    )
    .await
    .unwrap()
    .value;
    assert_eq!(listed.items.len(), 1);

    let erase = erasures::EraseRequest {
        target: erasures::TargetRef::Subject(made.subject.unwrap()),
        ground: ErasureGround::SubjectRequest,
        dry_run: false,
        idempotency: None,
    };
    let done = erasures::request(&house.vault, &owner, erase).await.unwrap().value;
    let erasures::Requested::Erasure(done) = done else { panic!("a preview") };
    assert_eq!(done.erasure.state, ErasureState::Erased);
    for (collection, id) in [(&customers, made.id), (&orders, order.id)] {
        let gone = read(&owner, collection, id).await.unwrap_err();
        assert!(matches!(gone.code(), "not_found" | "erased"), "{}", gone.code());
    }
    let receipt =
        erasures::receipt(&house.vault, &owner, done.erasure.receipt.unwrap()).await.unwrap().value;
    assert!(receipt.armoured.starts_with("-----BEGIN STRONGROOM RECEIPT-----"));
    house.vault.run_due_jobs().await.unwrap();
    // The external id is free again.
    records::create(&house.vault, &owner, &wanted).await.unwrap();

    let log =
        strongroom_vault::audit::list(&house.vault, &owner, Page { limit: 500, cursor: None })
            .await
            .unwrap()
            .value;
    assert!(log.items.iter().any(|entry| entry.event.code == "erasure.done"));
}

#[tokio::test]
async fn an_import_keeps_its_records_apart_and_a_tenant_erased_is_gone() {
    let house = house().await;
    let owner = house.tenant().await;
    house.collection(&owner, "customers", SubjectRule::Own, vec![("name", FieldType::Name)]).await;
    house.collection(&owner, "notes", SubjectRule::Nobody, vec![("text", FieldType::Text)]).await;
    for collection in ["customers", "notes"] {
        for round in 0..3 {
            let field = if collection == "customers" { "name" } else { "text" };
            let items = (0..300)
                .map(|n| record(&format!("X{round}-{n}"), vec![(field, text("A B"))]))
                .collect();
            let wanted = records::ImportRecords {
                collection: collection.parse().unwrap(),
                items,
                idempotency: None,
            };
            let done = records::import(&house.vault, &owner, wanted).await.unwrap().value;
            assert!(
                done.iter().all(|item| matches!(item, records::Imported::Created(_))),
                "{:?}",
                done.first()
            );
        }
        let items = vec![record("X1-7", vec![])];
        let wanted = records::ImportRecords {
            collection: collection.parse().unwrap(),
            items,
            idempotency: None,
        };
        let done = records::import(&house.vault, &owner, wanted).await.unwrap().value;
        assert!(matches!(done.first(), Some(records::Imported::Exists(_))));
    }
    let mut seen = 0;
    let mut cursor = None;
    loop {
        let page = Page { limit: 250, cursor };
        let wanted = records::ListRecords {
            collection: "notes".parse().unwrap(),
            page,
            wanted: records::Wanted::default(),
        };
        let listed = records::list(&house.vault, &owner, wanted).await.unwrap().value;
        seen += listed.items.len();
        cursor = listed.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, 900);
    let erase = |target| erasures::EraseRequest {
        target,
        ground: ErasureGround::TenantRequest,
        dry_run: false,
        idempotency: None,
    };
    let target = erasures::TargetRef::Collection("notes".parse().unwrap());
    let erasures::Requested::Erasure(done) =
        erasures::request(&house.vault, &owner, erase(target)).await.unwrap().value
    else {
        panic!()
    };
    assert_eq!(done.erasure.state, ErasureState::Erased);
    let target = erasures::TargetRef::Tenant(owner.tenant());
    let erasures::Requested::Erasure(done) =
        erasures::request(&house.vault, &owner, erase(target)).await.unwrap().value
    else {
        panic!()
    };
    assert_eq!(done.erasure.state, ErasureState::Erased);
    erasures::receipt(&house.vault, &house.operator, done.erasure.receipt.unwrap()).await.unwrap();
    house.vault.run_due_jobs().await.unwrap();
    let wanted = records::ListRecords {
        collection: "customers".parse().unwrap(),
        page: Page { limit: 5, cursor: None },
        wanted: records::Wanted::default(),
    };
    let gone = records::list(&house.vault, &owner, wanted).await;
    assert!(gone.is_err());
}

#[tokio::test]
async fn an_import_of_people_takes_their_leaves_in_one_commit_and_not_in_one_for_each_node() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let house = house_on(Arc::clone(&store)).await;
    let owner = house.tenant().await;
    house.collection(&owner, "customers", SubjectRule::Own, vec![("name", FieldType::Name)]).await;
    let mut commits = Vec::new();
    for round in 0..3 {
        let before = store.describe().commit_groups;
        let items = (0..400).map(|n| record(&format!("X{round}-{n}"), vec![])).collect();
        let wanted = records::ImportRecords {
            collection: "customers".parse().unwrap(),
            items,
            idempotency: None,
        };
        let done = records::import(&house.vault, &owner, wanted).await.unwrap().value;
        assert!(done.iter().all(|item| matches!(item, records::Imported::Created(_))));
        commits.push(store.describe().commit_groups - before);
    }
    // Leaves, the records, and once in a while a larger index; 400 people are seven nodes of leaves.
    assert!(commits.iter().all(|commits| (1..=4).contains(commits)), "{commits:?}");
}

/// Readers use a right without a pause; from the moment in which its end is acknowledged none of
/// them gets anything, whatever is kept in memory to make reading fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_reads_on_after_the_end_of_a_right_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Redb(folder.path().join("store"));
    let house = Arc::new(house_on(strongroom_storage::create(&url).unwrap()).await);
    let owner = house.tenant().await;
    let fields = vec![("name", FieldType::Name)];
    house.collection(&owner, "customers", SubjectRule::Own, fields).await;
    let customers: CollectionName = "customers".parse().unwrap();
    for (round, end) in ["key", "record", "person"].into_iter().cycle().take(12).enumerate() {
        let reader = house.key(&owner, "owner").await;
        let wanted = records::CreateRecord {
            collection: customers.clone(),
            record: record(&format!("C{round}"), vec![("name", text("Ada Lovelace"))]),
            idempotency: None,
        };
        let made = records::create(&house.vault, &owner, &wanted).await.unwrap().value;
        let (ended, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let readers: Vec<_> = (0..6)
            .map(|_| {
                let (house, reader) = (Arc::clone(&house), reader.clone());
                let (ended, reads) = (Arc::clone(&ended), Arc::clone(&reads));
                let wanted = records::ReadRecord {
                    collection: customers.clone(),
                    record: made.id,
                    wanted: records::Wanted::default(),
                };
                tokio::spawn(async move {
                    loop {
                        let was_over = ended.load(Ordering::SeqCst);
                        match records::read(&house.vault, &reader, wanted.clone()).await {
                            Ok(_) if was_over => return Err("read after the end"),
                            Ok(_) => reads.fetch_add(1, Ordering::SeqCst),
                            Err(_) if was_over => return Ok(()),
                            Err(_) => 0,
                        };
                        tokio::task::yield_now().await; // a refusal waits for nothing
                    }
                })
            })
            .collect();
        while reads.load(Ordering::SeqCst) < 20 {
            tokio::task::yield_now().await;
        }
        let erase = |target| erasures::EraseRequest {
            target,
            ground: ErasureGround::SubjectRequest,
            dry_run: false,
            idempotency: None,
        };
        let target = match (end, reader.credential()) {
            ("key", Credential::ApiKey(id)) => {
                api_keys::revoke(&house.vault, &owner, id).await.unwrap();
                None
            }
            ("record", _) => Some(erasures::TargetRef::Record(customers.clone(), made.id)),
            _ => Some(erasures::TargetRef::Subject(made.subject.unwrap())),
        };
        if let Some(target) = target {
            erasures::request(&house.vault, &owner, erase(target)).await.unwrap();
        }
        ended.store(true, Ordering::SeqCst);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), Ok(()), "round {round}: {end}");
        }
    }
}

#[tokio::test]
async fn what_was_just_written_is_shown_as_it_is_read_and_both_are_on_record() {
    let house = house().await;
    let owner = house.tenant().await;
    let fields = vec![("name", FieldType::Name), ("note", FieldType::Text)];
    house.collection(&owner, "customers", SubjectRule::Own, fields).await;
    house.collection(&owner, "notes", SubjectRule::Nobody, vec![("text", FieldType::Text)]).await;
    let wanted = |collection: &str, fields| records::CreateRecord {
        collection: collection.parse().unwrap(),
        record: record("X", fields),
        idempotency: None,
    };
    let fields = vec![("note", text("likes numbers")), ("name", text("Ada Lovelace"))];
    let customer = wanted("customers", fields);
    let note = wanted("notes", vec![("text", text("about nobody"))]);
    let whole = |view: &records::RecordView| {
        let (id, person, external_id) = (view.id, view.subject, view.external_id.clone());
        (id, person, external_id, view.version, view.created_at, view.changed_at, shown(view))
    };
    for wanted in [customer, note] {
        let made = records::create(&house.vault, &owner, &wanted).await.unwrap();
        assert_eq!(made.lines.len(), 2, "its creation and its reading");
        let (collection, id) = (wanted.collection.clone(), made.value.id);
        let read = || async {
            let wanted = records::Wanted::default();
            let wanted = records::ReadRecord { collection: collection.clone(), record: id, wanted };
            records::read(&house.vault, &owner, wanted).await.unwrap().value
        };
        assert_eq!(whole(&made.value), whole(&read().await));
        let (field, value) = if made.value.subject.is_some() {
            ("note", ClearValue::Null)
        } else {
            ("text", text("still about nobody"))
        };
        let change = records::ChangeRecord {
            collection: collection.clone(),
            record: id,
            expected: Expected::Version(1),
            fields: vec![(field.parse().unwrap(), value)],
            assignees: None,
            correction: false,
        };
        let changed = records::change(&house.vault, &owner, change).await.unwrap();
        assert_eq!((changed.lines.len(), changed.value.version), (2, 2));
        assert_eq!(whole(&changed.value), whole(&read().await));
        assert_ne!(shown(&changed.value), shown(&made.value));
    }
    let page = Page { limit: 500, cursor: None };
    let log = strongroom_vault::audit::list(&house.vault, &owner, page).await.unwrap().value;
    let count = |code: &str| log.items.iter().filter(|entry| entry.event.code == code).count();
    assert_eq!((count("record.create"), count("record.change"), count("record.read")), (2, 2, 8));
}
