//! The permission table: what every route demands of whoever comes to it.
//!
//! The decision itself is the vault's; this table says which one it is, stands in the OpenAPI
//! document, and is compared with the router and with the list of public routes by tests.

use strongroom_model::Action;
use strongroom_vault::policy::Gate;

/// A line of the table: a method, a path, and what they demand.
pub(crate) type Entry = (&'static str, &'static str, Gate);

const fn needs(action: Action) -> Gate {
    Gate::Needs(action)
}

/// Every route. Those of users, sessions, keys, classes and the audit log are there twice: for a
/// tenant, and for the provider itself.
pub(crate) const TABLE: &[Entry] = &[
    // The document that describes the rest, and what must work before anybody can have a credential.
    ("GET", "/openapi.json", Gate::Public("the description of the API is the same for everybody")),
    ("GET", "/v1/system/health", Gate::Public("says only that the server answers")),
    ("GET", "/v1/system/status", Gate::Public("whoever unlocks must see that it is locked")),
    ("POST", "/v1/system/unlock", Gate::Public("the passphrase or key in the body proves it")),
    ("GET", "/v1/system/receipt-key", Gate::Public("receipts can be verified by everybody")),
    ("POST", "/v1/invitations/redeem", Gate::Public("the invitation in the body proves it")),
    ("POST", "/v1/system/lock", needs(Action::Operate)),
    ("POST", "/v1/system/backups", needs(Action::Operate)),
    ("GET", "/v1/whoami", Gate::SignedIn),
    // Tenants.
    ("POST", "/v1/tenants", needs(Action::ManageTenants)),
    ("GET", "/v1/tenants", needs(Action::ManageTenants)),
    ("GET", "/v1/tenants/{tenant}", Gate::SignedIn),
    ("POST", "/v1/tenants/{tenant}/owner-invitation", needs(Action::ManageTenants)),
    // Recovery of a lost owner: operators in person. Operators look at it and stop it by
    // `manage_tenants`, the tenant by `manage_users`.
    ("POST", "/v1/tenants/{tenant}/recovery", needs(Action::ManageTenants)),
    ("GET", "/v1/tenants/{tenant}/recovery", needs(Action::ManageUsers)),
    ("DELETE", "/v1/tenants/{tenant}/recovery", needs(Action::ManageUsers)),
    ("POST", "/v1/tenants/{tenant}/recovery/approval", needs(Action::ManageTenants)),
    ("POST", "/v1/tenants/{tenant}/recovery/redemption", needs(Action::ManageTenants)),
    // Users.
    ("POST", "/v1/tenants/{tenant}/users", needs(Action::ManageUsers)),
    ("GET", "/v1/tenants/{tenant}/users", needs(Action::ManageUsers)),
    ("GET", "/v1/tenants/{tenant}/users/{user}", needs(Action::ManageUsers)),
    ("PATCH", "/v1/tenants/{tenant}/users/{user}", needs(Action::ManageUsers)),
    ("POST", "/v1/tenants/{tenant}/users/{user}/invitation", needs(Action::ManageUsers)),
    ("PUT", "/v1/tenants/{tenant}/users:upsert", needs(Action::ManageUsers)),
    ("POST", "/v1/tenants/{tenant}/users:lookup", needs(Action::ManageUsers)),
    ("POST", "/v1/provider/users", needs(Action::ManageUsers)),
    ("GET", "/v1/provider/users", needs(Action::ManageUsers)),
    ("GET", "/v1/provider/users/{user}", needs(Action::ManageUsers)),
    ("PATCH", "/v1/provider/users/{user}", needs(Action::ManageUsers)),
    ("POST", "/v1/provider/users/{user}/invitation", needs(Action::ManageUsers)),
    // Sessions.
    ("DELETE", "/v1/tenants/{tenant}/sessions/current", Gate::SignedIn),
    ("DELETE", "/v1/provider/sessions/current", Gate::SignedIn),
    // API keys.
    ("POST", "/v1/tenants/{tenant}/api-keys", needs(Action::ManageKeys)),
    ("GET", "/v1/tenants/{tenant}/api-keys", needs(Action::ManageKeys)),
    ("GET", "/v1/tenants/{tenant}/api-keys/{key}", needs(Action::ManageKeys)),
    ("DELETE", "/v1/tenants/{tenant}/api-keys/{key}", needs(Action::ManageKeys)),
    ("POST", "/v1/provider/api-keys", needs(Action::ManageKeys)),
    ("GET", "/v1/provider/api-keys", needs(Action::ManageKeys)),
    ("GET", "/v1/provider/api-keys/{key}", needs(Action::ManageKeys)),
    ("DELETE", "/v1/provider/api-keys/{key}", needs(Action::ManageKeys)),
    // Backends: made by the provider, admitted by each tenant.
    ("POST", "/v1/provider/backends", needs(Action::ManageBackends)),
    ("GET", "/v1/provider/backends", needs(Action::ManageBackends)),
    ("GET", "/v1/provider/backends/{backend}", needs(Action::ManageBackends)),
    ("POST", "/v1/provider/backends/{backend}/rotation", needs(Action::ManageBackends)),
    ("DELETE", "/v1/provider/backends/{backend}", needs(Action::ManageBackends)),
    ("GET", "/v1/tenants/{tenant}/backends", needs(Action::ManageConnections)),
    ("GET", "/v1/tenants/{tenant}/backends/{backend}", needs(Action::ManageConnections)),
    ("PUT", "/v1/tenants/{tenant}/backends/{backend}", needs(Action::ManageConnections)),
    ("DELETE", "/v1/tenants/{tenant}/backends/{backend}", needs(Action::ManageConnections)),
    // Blueprints, and the jobs that give them: for whoever makes tenants.
    ("GET", "/v1/provider/blueprints", needs(Action::ManageTenants)),
    ("PUT", "/v1/provider/blueprints/{blueprint}", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/blueprints/{blueprint}", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/blueprints/{blueprint}/versions", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/blueprints/{blueprint}/versions/{version}", needs(Action::ManageTenants)),
    ("POST", "/v1/provider/blueprints/{blueprint}/diff", needs(Action::ManageTenants)),
    ("POST", "/v1/provider/blueprints/{blueprint}/apply", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/jobs", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/jobs/{job}", needs(Action::ManageTenants)),
    ("GET", "/v1/provider/jobs/{job}/items", needs(Action::ManageTenants)),
    ("POST", "/v1/provider/jobs/{job}/cancel", needs(Action::ManageTenants)),
    // Jobs of a tenant: for whoever asked for them, and holders of `manage_settings`.
    ("GET", "/v1/tenants/{tenant}/jobs", Gate::SignedIn),
    ("GET", "/v1/tenants/{tenant}/jobs/{job}", Gate::SignedIn),
    ("POST", "/v1/tenants/{tenant}/jobs/{job}/cancel", Gate::SignedIn),
    ("GET", "/v1/tenants/{tenant}/jobs/{job}/rejects", Gate::SignedIn),
    // Imports as jobs. The rest is for whoever asked.
    ("POST", "/v1/tenants/{tenant}/imports", needs(Action::Create)),
    ("PUT", "/v1/tenants/{tenant}/jobs/{job}/parts/{part}", Gate::SignedIn),
    ("POST", "/v1/tenants/{tenant}/jobs/{job}/start", Gate::SignedIn),
    // Exports as jobs. Their parts are for whoever asked, and each is decided on by itself.
    ("POST", "/v1/tenants/{tenant}/exports", needs(Action::Export)),
    ("GET", "/v1/tenants/{tenant}/jobs/{job}/parts/{part}", needs(Action::Export)),
    // Permission classes. Everybody may see what the tenant's classes allow.
    ("GET", "/v1/tenants/{tenant}/class-templates", Gate::SignedIn),
    ("POST", "/v1/tenants/{tenant}/classes", needs(Action::ManageClasses)),
    ("GET", "/v1/tenants/{tenant}/classes", Gate::SignedIn),
    ("GET", "/v1/tenants/{tenant}/classes/{class}", Gate::SignedIn),
    ("PUT", "/v1/tenants/{tenant}/classes/{class}", needs(Action::ManageClasses)),
    ("DELETE", "/v1/tenants/{tenant}/classes/{class}", needs(Action::ManageClasses)),
    ("GET", "/v1/provider/class-templates", Gate::SignedIn),
    ("POST", "/v1/provider/classes", needs(Action::ManageClasses)),
    ("GET", "/v1/provider/classes", Gate::SignedIn),
    ("GET", "/v1/provider/classes/{class}", Gate::SignedIn),
    ("PUT", "/v1/provider/classes/{class}", needs(Action::ManageClasses)),
    ("DELETE", "/v1/provider/classes/{class}", needs(Action::ManageClasses)),
    // Collections. Everybody may see what the tenant's collections are called and hold.
    ("POST", "/v1/tenants/{tenant}/collections", needs(Action::ManageSchema)),
    ("GET", "/v1/tenants/{tenant}/collections", Gate::SignedIn),
    ("GET", "/v1/tenants/{tenant}/collections/{collection}", Gate::SignedIn),
    ("PATCH", "/v1/tenants/{tenant}/collections/{collection}", needs(Action::ManageSchema)),
    // Records. An upsert that changes needs `update`, and an import only ever creates.
    ("POST", "/v1/tenants/{tenant}/collections/{collection}/records", needs(Action::Create)),
    ("GET", "/v1/tenants/{tenant}/collections/{collection}/records", needs(Action::Read)),
    ("GET", "/v1/tenants/{tenant}/collections/{collection}/records/{record}", needs(Action::Read)),
    (
        "PATCH",
        "/v1/tenants/{tenant}/collections/{collection}/records/{record}",
        needs(Action::Update),
    ),
    (
        "DELETE",
        "/v1/tenants/{tenant}/collections/{collection}/records/{record}",
        needs(Action::Delete),
    ),
    // Files of records.
    (
        "PUT",
        "/v1/tenants/{tenant}/collections/{collection}/records/{record}/files/{field}",
        needs(Action::Update),
    ),
    (
        "GET",
        "/v1/tenants/{tenant}/collections/{collection}/records/{record}/files/{field}",
        needs(Action::Read),
    ),
    (
        "DELETE",
        "/v1/tenants/{tenant}/collections/{collection}/records/{record}/files/{field}",
        needs(Action::Update),
    ),
    ("PUT", "/v1/tenants/{tenant}/collections/{collection}/records:upsert", needs(Action::Create)),
    ("POST", "/v1/tenants/{tenant}/collections/{collection}/records:lookup", needs(Action::Read)),
    ("POST", "/v1/tenants/{tenant}/collections/{collection}/records:import", needs(Action::Create)),
    ("POST", "/v1/tenants/{tenant}/records:batchGet", needs(Action::Read)),
    (
        "POST",
        "/v1/tenants/{tenant}/collections/{collection}/records:batchCreate",
        needs(Action::Create),
    ),
    (
        "POST",
        "/v1/tenants/{tenant}/collections/{collection}/records:batchPatch",
        needs(Action::Update),
    ),
    (
        "POST",
        "/v1/tenants/{tenant}/collections/{collection}/records:batchDelete",
        needs(Action::Delete),
    ),
    ("GET", "/v1/tenants/{tenant}/collections/{collection}/records:export", needs(Action::Export)),
    ("POST", "/v1/tenants/{tenant}/records:archive", needs(Action::Export)),
    // Subjects.
    ("POST", "/v1/tenants/{tenant}/subjects", needs(Action::Create)),
    ("GET", "/v1/tenants/{tenant}/subjects/{subject}", needs(Action::Read)),
    ("GET", "/v1/tenants/{tenant}/subjects/{subject}/records", needs(Action::Read)),
    ("POST", "/v1/tenants/{tenant}/subjects:lookup", needs(Action::Read)),
    ("PUT", "/v1/tenants/{tenant}/subjects:upsert", needs(Action::Create)),
    // Erasures and their receipts. Whoever may read the audit log may look at them too.
    ("POST", "/v1/tenants/{tenant}/erasures", needs(Action::Erase)),
    ("GET", "/v1/tenants/{tenant}/erasures", needs(Action::Erase)),
    ("GET", "/v1/tenants/{tenant}/erasures/{erasure}", needs(Action::Erase)),
    ("GET", "/v1/tenants/{tenant}/receipts/{receipt}", needs(Action::Erase)),
    // The audit log.
    ("GET", "/v1/tenants/{tenant}/audit", needs(Action::ReadAudit)),
    ("GET", "/v1/provider/audit", needs(Action::ReadAudit)),
];

/// What a route demands, if it is in the table.
pub(crate) fn gate(method: &str, path: &str) -> Option<Gate> {
    let found = TABLE.iter().find(|(known, route, _)| *known == method && *route == path);
    found.map(|(_, _, gate)| *gate)
}

/// The word for a gate in the OpenAPI document.
pub(crate) const fn gate_word(gate: Gate) -> &'static str {
    match gate {
        Gate::Public(_) => "public",
        Gate::SignedIn => "signed_in",
        Gate::Operator => "operator",
        Gate::Needs(action) => action.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_in_the_table_once_and_every_line_has_a_route() {
        let routes: BTreeSet<(String, String)> =
            crate::openapi::routes_of(&crate::openapi::document());
        let table: BTreeSet<(String, String)> = TABLE
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        let missing: Vec<_> = routes.difference(&table).collect();
        let idle: Vec<_> = table.difference(&routes).collect();
        assert!(missing.is_empty(), "not in the permission table: {missing:?}");
        assert!(idle.is_empty(), "in the permission table without a route: {idle:?}");
        assert_eq!(table.len(), TABLE.len(), "a route stands in the table twice");
    }

    #[test]
    fn the_list_of_public_routes_is_the_table_s() {
        let listed = include_str!("../../../public-routes.txt");
        let listed: Vec<&str> =
            listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        let public: Vec<String> = TABLE
            .iter()
            .filter_map(|(method, path, gate)| match gate {
                Gate::Public(reason) => Some(format!("{method} {path} — {reason}")),
                Gate::SignedIn | Gate::Operator | Gate::Needs(_) => None,
            })
            .collect();
        assert_eq!(listed, public);
    }

    /// Where the table is kept for people, so that a change of it is seen in review.
    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");

    /// The table as a page.
    fn page() -> String {
        let mut page = String::from(
            "# The permission table\n\n\
             Every route and what it demands. The decision itself is the vault's, from the caller's classes, the record and the time\n\
             ([access-policy.md](access-policy.md)); the table says which decision it is. A route that is not in it lets nobody in. This page is made of the table in\n\
             `crates/api/src/permissions.rs`, and a test fails when the two differ.\n\n\
             | method | path | demands |\n|---|---|---|\n",
        );
        for (method, path, gate) in TABLE {
            let demands = match gate {
                Gate::Public(reason) => format!("nothing: {reason}"),
                Gate::SignedIn => "a credential in force".to_owned(),
                Gate::Operator => "an operator".to_owned(),
                Gate::Needs(action) => format!("`{action}`"),
            };
            page.extend(["| ", method, " | `", path, "` | ", demands.as_str(), " |\n"]);
        }
        page
    }

    #[test]
    fn the_page_of_the_table_is_the_one_that_was_reviewed() {
        if option_env!("STRONGROOM_RENEW").is_some() {
            std::fs::write(KEPT, page()).unwrap();
        }
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        assert!(
            kept == page(),
            "the permission table has changed: look at the difference and keep it with\n\
             STRONGROOM_RENEW=1 cargo test --release -p strongroom-api the_page_of_the_table"
        );
    }
}
