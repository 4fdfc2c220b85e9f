//! The classes that a tenant is born with, and may make more of.

use strongroom_model::{
    Action, ClassId, ClassName, ClassTerms, Label, PermissionClass, RowScope, Rule, TenantId, View,
};
use strongroom_storage::Batch;

use crate::classes::ClassList;
use crate::rows::OwnerLeaf;
use crate::{Vault, VaultError, keyspace};

/// A class as it begins.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// Its name, and that of the class made of it unless another is given.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it allows.
    pub terms: fn() -> ClassTerms,
}

/// Every template.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "owner",
        label: "Owner",
        about: "May everything in the tenant.",
        terms: owner,
    },
    Template {
        name: "manager",
        label: "Manager",
        about: "Sees and changes every record in the clear; manages clerks.",
        terms: manager,
    },
    Template {
        name: "clerk",
        label: "Clerk",
        about: "Works with records, sees personal fields masked and may enter new ones.",
        terms: clerk,
    },
    Template {
        name: "privacy_officer",
        label: "Privacy officer",
        about: "Handles the requests of data subjects, erases, reads the audit log; sees records masked.",
        terms: privacy_officer,
    },
    Template {
        name: "auditor",
        label: "Auditor",
        about: "Reads the audit log and no records.",
        terms: auditor,
    },
];

/// The classes that the provider is born with, for its own people.
pub const PROVIDER_TEMPLATES: &[Template] = &[
    Template {
        name: "operator",
        label: "Operator",
        about: "Runs the server: makes tenants and backends, manages the provider's people.",
        terms: operator,
    },
    Template {
        name: "support_agent",
        label: "Support agent",
        about: "Will ask tenants for support grants; may nothing else.",
        terms: support_agent,
    },
    Template {
        name: "privacy_officer",
        label: "Privacy officer",
        about: "Reads the provider's audit log.",
        terms: auditor,
    },
];

impl Template {
    /// The template of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TEMPLATES.iter().find(|template| template.name == name)
    }
}

const RECORDS: [Action; 5] =
    [Action::Read, Action::Create, Action::Update, Action::Delete, Action::Search];

fn everywhere(actions: &[Action], view: View, write: bool) -> Rule {
    Rule {
        actions: actions.to_vec(),
        collection: None,
        view,
        fields: Vec::new(),
        write,
        rows: RowScope::All,
        purposes: Vec::new(),
    }
}

fn names(names: &[&str]) -> Vec<ClassName> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

fn owner() -> ClassTerms {
    ClassTerms { owner: true, ..ClassTerms::default() }
}

fn manager() -> ClassTerms {
    ClassTerms {
        rules: vec![everywhere(&RECORDS, View::Clear, true)],
        administrative: vec![Action::ManageUsers],
        administers: names(&["clerk"]),
        ..ClassTerms::default()
    }
}

fn clerk() -> ClassTerms {
    ClassTerms {
        rules: vec![everywhere(
            &[Action::Read, Action::Create, Action::Update, Action::Search],
            View::Masked,
            true,
        )],
        ..ClassTerms::default()
    }
}

fn privacy_officer() -> ClassTerms {
    ClassTerms {
        rules: vec![everywhere(&[Action::Read, Action::Search], View::Masked, false)],
        administrative: vec![
            Action::HandleRights,
            Action::Erase,
            Action::PlaceHold,
            Action::ManageRetention,
            Action::ManagePurposes,
            Action::ManageDocuments,
            Action::ManageIncidents,
            Action::ReadAudit,
        ],
        ..ClassTerms::default()
    }
}

fn auditor() -> ClassTerms {
    ClassTerms { administrative: vec![Action::ReadAudit], ..ClassTerms::default() }
}

/// Writes a new tenant's classes, one of each template, and gives the owner class.
pub(crate) async fn plant(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
) -> Result<ClassId, VaultError> {
    let mut wanted = Vec::with_capacity(TEMPLATES.len());
    for template in TEMPLATES {
        wanted.push((template.name.parse()?, template.label.parse()?, (template.terms)()));
    }
    let owner = wanted.iter().position(|(_, _, terms): &(_, _, ClassTerms)| terms.owner);
    let made = plant_these(vault, batch, tenant, wanted).await?;
    let owner = owner.and_then(|place| made.get(place)).map(|(_, id)| *id);
    owner.ok_or_else(|| VaultError::Internal("no owner class among the templates".into()))
}

/// The class that every tenant has, whatever it is made from.
pub(crate) fn owner_class() -> Result<(ClassName, Label, ClassTerms), VaultError> {
    Ok(("owner".parse()?, "Owner".parse()?, owner()))
}

/// Writes the classes of a new tenant, and gives their names and ids in the same order.
pub(crate) async fn plant_these(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    wanted: Vec<(ClassName, Label, ClassTerms)>,
) -> Result<Vec<(ClassName, ClassId)>, VaultError> {
    let mut list = ClassList::default();
    for (name, label, terms) in wanted {
        let id = ClassId::new(vault.now(), &*vault.rng)?;
        let class = PermissionClass { id, name: name.clone(), label, terms };
        put(vault, batch, tenant, &class).await?;
        list.classes.push((name, id));
    }
    put_list(vault, batch, tenant, &list).await?;
    Ok(list.classes)
}

/// Writes the provider's classes, one of each of its templates, and gives that of the operators. None
/// of them has client data: the policy keeps it from people of the provider whatever a class says.
pub(crate) async fn plant_provider(
    vault: &Vault,
    batch: &mut Batch,
) -> Result<ClassId, VaultError> {
    let mut operators = None;
    let mut list = ClassList::default();
    for template in PROVIDER_TEMPLATES {
        let id = ClassId::new(vault.now(), &*vault.rng)?;
        let name: ClassName = template.name.parse()?;
        let class = PermissionClass {
            id,
            name: name.clone(),
            label: template.label.parse::<Label>()?,
            terms: (template.terms)(),
        };
        put(vault, batch, TenantId::PROVIDER, &class).await?;
        list.classes.push((name, id));
        if class.terms.administrative.contains(&Action::Operate) {
            operators = Some(id);
        }
    }
    put_list(vault, batch, TenantId::PROVIDER, &list).await?;
    operators.ok_or_else(|| VaultError::Internal("no operator class among the templates".into()))
}

fn operator() -> ClassTerms {
    ClassTerms {
        administrative: vec![
            Action::ManageTenants,
            Action::Operate,
            Action::ManageBackends,
            Action::ManageUsers,
            Action::ManageKeys,
            Action::ReadAudit,
        ],
        administers: names(&["operator", "support_agent", "privacy_officer"]),
        ..ClassTerms::default()
    }
}

fn support_agent() -> ClassTerms {
    ClassTerms::default()
}

async fn put(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    class: &PermissionClass,
) -> Result<(), VaultError> {
    let key = keyspace::class(tenant, class.id);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, class).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(())
}

async fn put_list(
    vault: &Vault,
    batch: &mut Batch,
    tenant: TenantId,
    list: &ClassList,
) -> Result<(), VaultError> {
    let key = keyspace::class_list(tenant);
    let value = vault.seal_row(&key, OwnerLeaf::NOBODY, 1, list).await?;
    batch.expect_absent(key.clone()).put(key, 1, value);
    Ok(())
}
