//! Filling the demonstration, through the same door as everybody: over HTTP with the client.

use std::path::Path;

use serde_json::{Map, Value};
use strongroom_client::{Client, ImportItem, NewOwner, NewTenant, NewUser, Place, Scoped, Secret};
use strongroom_model::{ClassName, CollectionName, RecordId, TenantId};

use crate::exit::Failure;
use crate::files::SecretFile;
use crate::server::demo::people::{COMPANIES, Company};
use crate::server::guests::{SignedIn, put_in, redeem};
use crate::server::{Machine, words};

/// What there is to try.
pub(super) struct World {
    pub(super) operator: Secret,
    pub(super) tenants: Vec<DemoTenant>,
}

/// A tenant with one user of each class.
pub(super) struct DemoTenant {
    pub(super) id: TenantId,
    pub(super) name: &'static str,
    pub(super) short: &'static str,
    pub(super) owner: Secret,
    pub(super) manager: Secret,
    pub(super) clerk: Secret,
    /// The first customer, and whom they are.
    pub(super) customer: RecordId,
    pub(super) subject: String,
    pub(super) people: usize,
}

impl World {
    /// Writes each token to a file of its own, for the lines that use the command line.
    pub(super) fn write_tokens(&self, folder: &Path) -> Result<(), Failure> {
        SecretFile::create(&folder.join("operator.token"))?.write(self.operator.expose())?;
        for tenant in &self.tenants {
            for (class, token) in
                [("owner", &tenant.owner), ("manager", &tenant.manager), ("clerk", &tenant.clerk)]
            {
                let path = folder.join(format!("{}-{class}.token", tenant.short));
                SecretFile::create(&path)?.write(token.expose())?;
            }
        }
        Ok(())
    }
}

/// Makes both tenants, their users, collections and records.
pub(super) async fn fill(
    client: &Client,
    invitation: &Secret,
    machine: &Machine,
) -> Result<World, Failure> {
    let operator = redeem(client, invitation, machine).await?;
    let mut tenants = Vec::new();
    for company in &COMPANIES {
        tenants.push(tenant(client, &operator, company, machine).await?);
    }
    Ok(World { operator: operator.token, tenants })
}

async fn tenant(
    client: &Client,
    operator: &SignedIn,
    company: &'static Company,
    machine: &Machine,
) -> Result<DemoTenant, Failure> {
    let new = NewTenant {
        blueprint: None,
        name: company.name.parse().map_err(words)?,
        owner: NewOwner {
            name: "Olive Owner".parse().map_err(words)?,
            email: format!("owner@{}.example.org", company.short).parse().map_err(words)?,
        },
    };
    let created = operator.client.create_tenant(&new).await?.value;
    let owner = redeem(client, &created.invitation.token, machine).await?;
    let id = created.tenant.id;
    let scoped = owner.client.at(Place::Tenant(id));
    let manager = invited(client, &scoped, "Maxine Manager", "manager", machine).await?;
    let clerk = invited(client, &scoped, "Cleo Clerk", "clerk", machine).await?;

    for definition in [Company::customers(), Company::orders()] {
        let definition = serde_json::from_value(definition)
            .map_err(|error| Failure::local(error.to_string()))?;
        scoped.create_collection(&definition).await?;
    }
    let customers: CollectionName = "customers".parse().map_err(words)?;
    let people = company.people();
    let count = people.len();
    let made = put_in(&scoped, &customers, &items(people)?, machine).await?;
    put_in(&scoped, &"orders".parse().map_err(words)?, &items(company.order_lines())?, machine)
        .await?;
    let customer = *made.first().ok_or_else(|| Failure::local("no customer was made"))?;
    let shown = strongroom_client::Shown::default();
    let record = scoped.record(&customers, customer, &shown).await?.value;
    Ok(DemoTenant {
        id,
        name: company.name,
        short: company.short,
        owner: owner.token,
        manager,
        clerk,
        customer,
        subject: record.subject.ok_or_else(|| Failure::local("the customer has no subject"))?,
        people: count,
    })
}

async fn invited(
    client: &Client,
    scoped: &Scoped<'_>,
    name: &str,
    class: &str,
    machine: &Machine,
) -> Result<Secret, Failure> {
    let class: ClassName = class.parse().map_err(words)?;
    let new = NewUser {
        name: name.parse().map_err(words)?,
        email: None,
        external_id: None,
        classes: vec![class],
    };
    let invitation = scoped.invite_user(&new).await?.value.invitation;
    let invitation = invitation.ok_or_else(|| Failure::local("the answer has no invitation"))?;
    Ok(redeem(client, &invitation.token, machine).await?.token)
}

fn items(records: Vec<(String, Map<String, Value>)>) -> Result<Vec<ImportItem>, Failure> {
    let item = |(external_id, fields): (String, Map<String, Value>)| {
        let external_id = external_id.parse().map_err(words)?;
        Ok(ImportItem {
            external_id,
            subject: None,
            source: None,
            collected_at: None,
            notice: None,
            purposes: None,
            assignees: Vec::new(),
            fields,
        })
    };
    records.into_iter().map(item).collect()
}
