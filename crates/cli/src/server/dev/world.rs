//! Filling the development server from its seed, with a token that everybody knows for each class.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;
use strongroom_client::{
    Client, ImportItem, NewApiKey, NewCollection, NewOwner, NewTenant, Page, Place, Scoped, Secret,
};
use strongroom_model::{ActsAs, ClassName, CollectionName, KeyLabel, TenantId};

use super::seed::{Seed, SeedRecord, SeedTenant};
use crate::exit::Failure;
use crate::server::guests::{SignedIn, put_in, redeem, with_token};
use crate::server::{Machine, words};

/// Records of one request.
const RECORDS_AT_ONCE: usize = 100;
/// Classes of one tenant; a new one has fewer.
const CLASSES_MAX: u32 = 100;
/// How long a key lives at the most. The server has ended long before.
const LIFE_SECONDS: i64 = 365 * 24 * 60 * 60;
/// The operator's token.
const OPERATOR: &str = "dev-operator";

/// What there is.
pub(super) struct World {
    pub(super) tenants: Vec<DevTenant>,
    /// Known tokens, and the real ones.
    pub(super) tokens: Vec<(String, Secret)>,
}

/// A tenant as it is shown.
#[derive(Serialize)]
pub(super) struct DevTenant {
    short: String,
    id: TenantId,
    /// A token for each class.
    tokens: BTreeMap<String, String>,
    /// How many records each collection has.
    records: BTreeMap<String, usize>,
}

/// Where the server is and who may come in, as JSON.
pub(super) fn shown(address: SocketAddr, tenants: &[DevTenant]) -> String {
    let shown = serde_json::json!({
        "address": format!("http://{address}"),
        "operator": OPERATOR,
        "tenants": tenants,
    });
    format!("{shown:#}")
}

/// Makes everything that the seed names.
pub(super) async fn fill(
    client: &Client,
    invitation: &Secret,
    seed: Seed,
    machine: &Machine,
) -> Result<World, Failure> {
    let operator = redeem(client, invitation, machine).await?;
    let provider = operator.client.at(Place::Provider);
    let class = "operator".parse().map_err(words)?;
    let mut tokens = vec![(OPERATOR.to_owned(), key(&provider, class, machine).await?)];
    let mut tenants = Vec::new();
    for new in seed.tenants {
        tenants.push(tenant(client, &operator, new, &mut tokens, machine).await?);
    }
    Ok(World { tenants, tokens })
}

async fn tenant(
    client: &Client,
    operator: &SignedIn,
    seed: SeedTenant,
    tokens: &mut Vec<(String, Secret)>,
    machine: &Machine,
) -> Result<DevTenant, Failure> {
    let short = seed.short.as_str();
    let owner = NewOwner {
        name: "Olive Owner".parse().map_err(words)?,
        email: format!("owner@{short}.example.org").replace('_', "-").parse().map_err(words)?,
    };
    let new = NewTenant { name: seed.name, owner, blueprint: None };
    let made = operator.client.create_tenant(&new).await?.value;
    let id = made.tenant.id;
    let owner = redeem(client, &made.invitation.token, machine).await?;
    let scoped = owner.client.at(Place::Tenant(id));

    let mut known = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let page = Page { limit: Some(CLASSES_MAX), cursor: None };
    for class in scoped.classes(&page).await?.value.data {
        let token = format!("dev-{short}-{}", class.name);
        let real = key(&scoped, class.name.clone(), machine).await?;
        known.insert(class.name.to_string(), token.clone());
        keys.insert(class.name.to_string(), real.clone());
        tokens.push((token, real));
    }
    let owners = keys.get("owner").ok_or_else(|| Failure::local("there is no class `owner`"))?;
    let filler = with_token(client, owners, machine)?;
    let records =
        fill_collections(&filler.at(Place::Tenant(id)), seed.collections, seed.records, machine)
            .await?;
    Ok(DevTenant { short: seed.short.as_str().to_owned(), id, tokens: known, records })
}

/// A key with one class.
async fn key(scoped: &Scoped<'_>, class: ClassName, machine: &Machine) -> Result<Secret, Failure> {
    let label: KeyLabel = "dev".parse().map_err(words)?;
    let expires_at = machine.clock.now().plus_seconds(LIFE_SECONDS);
    let new = NewApiKey { label, classes: vec![class], acts: ActsAs::Itself, expires_at };
    Ok(scoped.create_api_key(&new).await?.value.token)
}

/// Makes the collections first, all of them, then their records in the same order, because records
/// refer to earlier ones.
async fn fill_collections(
    scoped: &Scoped<'_>,
    collections: Vec<NewCollection>,
    mut records: BTreeMap<CollectionName, Vec<SeedRecord>>,
    machine: &Machine,
) -> Result<BTreeMap<String, usize>, Failure> {
    for collection in &collections {
        scoped.create_collection(collection).await?;
    }
    let mut counts = BTreeMap::new();
    for NewCollection { name, .. } in collections {
        let items = records.remove(&name).unwrap_or_default();
        let items: Vec<_> = items.into_iter().map(ImportItem::from).collect();
        for some in items.chunks(RECORDS_AT_ONCE) {
            put_in(scoped, &name, some, machine).await?;
        }
        counts.insert(name.to_string(), items.len());
    }
    Ok(counts)
}
