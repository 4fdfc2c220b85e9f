//! The page of all problems: each code with its statuses, what it means and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use axum::response::Response;
use http_body_util::BodyExt;
use strongroom_model::RequestId;
use strongroom_vault::VaultError;
use strongroom_vault::integrity::Rejected;

use super::{MADE, kept};
use crate::problem::Problem;
use crate::rates::{Bound, TooMany};
use crate::unlocker::UnlockError;

/// A code: its word, its status, what it means, and what to do.
type Code = (&'static str, u16, &'static str, &'static str);

/// Every code. What a refusal is called is the policy's word; what a state is called, the vault's.
const CODES: &[Code] = &[
    // The form of the request.
    (
        "invalid_json",
        400,
        "The body is not the JSON that the route takes: not JSON at all, a member unknown, missing, twice or of another type, or nested too deeply.",
        "Mend the body; `errors` has the places.",
    ),
    (
        "invalid_header",
        400,
        "A header has another form than it should, stands twice, or is not supported.",
        "Mend the header that `detail` names.",
    ),
    (
        "invalid_query",
        400,
        "A member of the query is unknown, stands twice, or has another form than it should.",
        "Mend the query.",
    ),
    (
        "limit_too_large",
        400,
        "A page was to have more entries than a page may have.",
        "Ask for at most 1000, and go on with the cursor.",
    ),
    (
        "idempotency_key_required",
        400,
        "The route carries nothing out that it could not recognise when it is sent again.",
        "Send `Idempotency-Key` with at least 22 random characters, and the same one when you repeat the request.",
    ),
    (
        "purpose_required",
        400,
        "The request has no purpose, and the caller's classes share none or several here.",
        "Send `Strongroom-Purpose` with one of those in `purposes`.",
    ),
    (
        "user_required",
        400,
        "The credential acts only for users, and none is named.",
        "Send `Strongroom-User`.",
    ),
    (
        "body_incomplete",
        400,
        "The connection broke off before the end of the body.",
        "Send the request again.",
    ),
    // Who asks.
    (
        "unauthenticated",
        401,
        "There is no token, or one that is unknown, expired or revoked; also several tokens.",
        "Sign in again, or use a key that is in force.",
    ),
    (
        "wrong_key",
        403,
        "The passphrase or seal key is not the one that opens the root secret.",
        "Unlock with the right one.",
    ),
    // Refusals of the policy.
    (
        "no_rule",
        403,
        "No rule of the caller's classes allows the action here.",
        "Ask a holder of `manage_classes`; for an administrative action such as `erase`, somebody who may do it.",
    ),
    (
        "no_rule_of_user",
        403,
        "No rule of the classes of the user for whom the caller acts allows it.",
        "Ask a holder of `manage_classes`; for an administrative action such as `erase`, somebody who may do it.",
    ),
    (
        "not_writable",
        403,
        "A rule allows the change, but not of these fields.",
        "Leave the fields out, or ask a holder of `manage_classes`.",
    ),
    (
        "not_in_clear_view",
        403,
        "Records can be found only by fields that the caller sees in the clear.",
        "Find them by another field, or ask a holder of `manage_classes`.",
    ),
    (
        "outside_time_window",
        403,
        "The class that would allow it counts only at certain times of the week.",
        "Come back then, or ask a holder of `manage_classes`.",
    ),
    (
        "outside_networks",
        403,
        "The class that would allow it counts only from certain addresses.",
        "Come from one of them, or ask a holder of `manage_classes`.",
    ),
    (
        "second_factor_required",
        403,
        "The class that would allow it counts only shortly after a second factor was shown.",
        "Nothing yet: second factors are not there.",
    ),
    (
        "class_not_for_purpose",
        403,
        "The class that would allow it does not count for this purpose.",
        "State another purpose, or ask a holder of `manage_classes`.",
    ),
    (
        "session_required",
        403,
        "It is for people who have signed in, not for keys.",
        "Sign in as an operator.",
    ),
    (
        "ceiling_principal",
        403,
        "A principal of this kind has no way to clients' data.",
        "Use a credential of the tenant.",
    ),
    (
        "ceiling_key",
        403,
        "The bounds of the API key end before this.",
        "Use another key, or ask a holder of `manage_keys`.",
    ),
    (
        "ceiling_backend",
        403,
        "The bounds under which the tenant admits the backend end before this.",
        "Ask a holder of `manage_connections`.",
    ),
    (
        "ceiling_connection",
        403,
        "The bounds under which the tenant admits the connection end before this.",
        "Ask a holder of `manage_connections`.",
    ),
    (
        "ceiling_grant",
        403,
        "The bounds of the support grant end before this.",
        "Ask a holder of `approve_support`.",
    ),
    (
        "ceiling_subject_state",
        403,
        "The person's data is restricted, closed or erased.",
        "Ask a holder of `handle_rights`.",
    ),
    (
        "ceiling_consent",
        403,
        "The person has not consented to this purpose.",
        "Ask a holder of `handle_rights`.",
    ),
    ("ceiling_tenant_state", 403, "The tenant's state does not allow it.", "Ask the provider."),
    (
        "ceiling_document_acceptance",
        403,
        "A document in force has not been accepted.",
        "Accept it.",
    ),
    (
        "ceiling_purpose",
        403,
        "The collection does not have this purpose, or the data was not collected for it.",
        "State another purpose, or ask a holder of `manage_purposes`.",
    ),
    // What is not there.
    (
        "user_not_allowed",
        403,
        "The credential does not act for the user named in `Strongroom-User`: it acts for nobody, or they are unknown to the tenant, invited and not yet come, suspended or removed.",
        "Name a user who is active, or ask a holder of `manage_users`.",
    ),
    (
        "not_found",
        404,
        "There is nothing here, or nothing that the caller may know of; the bytes are the same.",
        "Check path and credential: a token of another tenant gets this answer too.",
    ),
    (
        "method_not_allowed",
        405,
        "The path is there, the method is not.",
        "Use one of those in the header `Allow`.",
    ),
    ("body_too_slow", 408, "The body came too slowly.", "Send it again, faster."),
    (
        "erased",
        410,
        "It was here and has been erased; `receipt` names the receipt, where there is one.",
        "Forget it. Only holders of `erase` or `read_audit` get this answer, everybody else 404.",
    ),
    // States.
    ("wrong_state", 409, "The state of the thing does not allow it.", "Look at its state."),
    (
        "external_id_taken",
        409,
        "Another record of the collection, subject or user of the tenant has this external id.",
        "Look the other one up, or use `records:upsert`.",
    ),
    (
        "not_repeated",
        409,
        "The item of a batch was not carried out when the batch first came with this `Idempotency-Key`.",
        "Send the item in another batch, under a new key.",
    ),
    (
        "email_taken",
        409,
        "Another user of the tenant has this e-mail address.",
        "Look at the list of users.",
    ),
    (
        "name_taken",
        409,
        "The tenant has another class of this name, or has or had a collection of it.",
        "Choose another name.",
    ),
    (
        "no_place_for_files",
        409,
        "The server was started without a place for files.",
        "Have whoever runs the server name one with `--files`.",
    ),
    (
        "file_given_up",
        409,
        "The file was taken for lost while it was sent, and what had come of it was removed.",
        "Send it again.",
    ),
    (
        "no_purpose",
        409,
        "The collection has no purpose, so it takes no records.",
        "Give the collection a purpose.",
    ),
    (
        "managed_by_backend",
        409,
        "The user is looked after by a backend and does not sign in.",
        "Nothing; a backend can act for them.",
    ),
    ("revoked", 409, "The provider has revoked the backend.", "Use another backend."),
    (
        "too_many_backends",
        409,
        "The provider has as many backends as it can, the revoked ones among them.",
        "Give a present one a new secret.",
    ),
    (
        "too_many_blueprints",
        409,
        "The provider has as many blueprints as it can.",
        "Store another version of a present one.",
    ),
    (
        "too_many_jobs",
        409,
        "As many jobs are kept as can be; those that have ended go after 30 days.",
        "Wait, or name fewer and larger pieces of work.",
    ),
    (
        "recovery_under_way",
        409,
        "A recovery of the tenant's owner is under way.",
        "Look at it; stop it first if another is needed.",
    ),
    (
        "another_operator_needed",
        409,
        "The operator is not the one who may do this: a recovery is approved by another than the one who asked for it, and redeemed by one of these two.",
        "Have the other operator do it.",
    ),
    (
        "operator_too_new",
        409,
        "In the last 72 hours somebody else has let the operator in, or given them their classes: such an account stands for no recovery.",
        "Come in by invitations of your own for 72 hours, or have another operator do it.",
    ),
    (
        "operator_gone",
        409,
        "An operator who stands for the recovery has been suspended or removed.",
        "Stop the recovery and begin anew.",
    ),
    (
        "too_many_open_jobs",
        409,
        "As many jobs of the tenant have not ended as it may have at once.",
        "Wait until one has ended, or stop one.",
    ),
    (
        "part_differs",
        409,
        "A part of this number, with another content, has been sent before.",
        "Number the parts of one file from 1, each once; for another file ask for another import.",
    ),
    (
        "part_out_of_order",
        409,
        "The parts of an export are taken in their order; only the one that was taken last may be taken again.",
        "Take the part that the answer names.",
    ),
    (
        "parts_missing",
        409,
        "Not all parts of the file are there, or there are more than the file is said to have.",
        "Send what is missing, then start the import with the number of parts.",
    ),
    (
        "last_owner",
        409,
        "The tenant must keep an owner who can sign in.",
        "Make somebody else an owner first.",
    ),
    (
        "not_yours_to_change",
        409,
        "The user or class is beyond what the caller may assign or edit.",
        "Ask somebody whose class administers it.",
    ),
    ("owner_required", 409, "Only an owner may erase all of the tenant's data.", "Ask an owner."),
    ("owner_class", 409, "The owner class stays as it is.", "Make another class."),
    ("class_in_use", 409, "A user or an API key has this class.", "Give them another one first."),
    (
        "too_many_classes",
        409,
        "The tenant has as many classes as it may.",
        "Delete one that nobody holds.",
    ),
    ("nothing_to_archive", 409, "The tenant has no collections.", "Make one first."),
    (
        "too_many_collections",
        409,
        "The tenant has as many collections as it may.",
        "Add fields to one that is there.",
    ),
    ("no_collections_here", 409, "The provider is a tenant without collections.", "Name a tenant."),
    (
        "no_session",
        409,
        "The caller came with an API key, which has no session to end.",
        "Revoke the key instead.",
    ),
    (
        "held",
        409,
        "A legal hold blocks the erasure.",
        "Wait for its end; nothing can place one yet.",
    ),
    (
        "secret_already_shown",
        409,
        "The request was carried out before, and its secret was shown then.",
        "Look for the first answer; if it is lost, make another key or invitation.",
    ),
    // Versions.
    (
        "version_stale",
        412,
        "Somebody else was first: the version that is named is not the present one, which stands in `current_version`.",
        "Read the thing again, and decide again.",
    ),
    (
        "version_required",
        428,
        "The change does not say against which version it is made.",
        "Send `If-Match` with the ETag, or `*`.",
    ),
    // Bodies.
    (
        "body_too_large",
        413,
        "The body is above its bound.",
        "Send less at a time; an import takes 8 MiB, everything else 1 MiB or less.",
    ),
    (
        "file_too_large",
        413,
        "The file is above the server's bound, `--largest-file`.",
        "Send a smaller one, or have the bound raised by whoever runs the server.",
    ),
    (
        "range_not_satisfiable",
        416,
        "The range begins after the end of the file; `Content-Range` says how long the file is.",
        "Ask for a range within it.",
    ),
    (
        "unsupported_media_type",
        415,
        "The body is not declared as JSON.",
        "Send `Content-Type: application/json`.",
    ),
    (
        "invalid",
        422,
        "The body can be read, and a part of it means nothing that could be done.",
        "Mend what `errors` names.",
    ),
    (
        "batch_failed",
        422,
        "Items of an atomic batch cannot be carried out, so nothing of it was; `errors` has their places, each with the code and words that the item has by itself.",
        "Mend these items, or send the batch with `atomic` false.",
    ),
    (
        "idempotency_key_reused",
        422,
        "This `Idempotency-Key` was used for another request within 24 hours.",
        "Use a new random key for each thing that is to be done.",
    ),
    // Elsewhere, later.
    (
        "ceiling_residency",
        421,
        "The tenant's keys are not opened on this node.",
        "Ask another node.",
    ),
    (
        "unknown_host",
        421,
        "The server has a list of its names, and `Host` has another.",
        "Use one of its names, or add it with `--host`.",
    ),
    (
        "too_many_subjects",
        429,
        "The backend has read about as many persons in this hour as the tenant lets it.",
        "Wait as long as `Retry-After` says, or ask a holder of `manage_connections` for more.",
    ),
    (
        "too_many_requests",
        429,
        "A credential, a tenant or an address asks more often than it may. Nothing was carried out.",
        "Wait as many seconds as `Retry-After` says.",
    ),
    ("internal", 500, "The server failed.", "Look into its log under `request_id`."),
    (
        "damaged",
        500,
        "Something stored is not what it should be.",
        "Look into the log under `request_id`; stop and look at the disk.",
    ),
    (
        "store_older",
        500,
        "The store is an older copy than its head outside of it has seen. The server stays locked.",
        "Bring the newest store, or accept this one with `strongroom accept-older-store`.",
    ),
    (
        "store_head",
        500,
        "The head of the store is missing, damaged or another installation's. The server stays locked.",
        "Bring it back beside the holder, or accept the store with `strongroom accept-older-store`.",
    ),
    (
        "conflict",
        503,
        "Too many changes of the same thing at the same time.",
        "Send the request again after `Retry-After`.",
    ),
    ("locked", 503, "The server's keys are not loaded.", "Have somebody unlock it."),
    (
        "unlocking",
        503,
        "Somebody else is unlocking the server.",
        "Send the request again after `Retry-After`.",
    ),
    (
        "too_many_uploads",
        503,
        "As many files are being sent as may be at a time: 16, or 4 of the tenant.",
        "Send the request again after `Retry-After`.",
    ),
    (
        "too_many_archives",
        503,
        "As many archives are being made as may be at a time: 16, or 4 of the tenant.",
        "Send the request again after `Retry-After`, or wait for those that are under way.",
    ),
    (
        "unavailable",
        503,
        "The store or a holder cannot be reached or is full, or the server is stopping.",
        "Send the request again after `Retry-After`; look at the disk.",
    ),
];

fn page() -> String {
    let mut page = format!(
        "# Errors\n\n{MADE}\n\
         Every `code` of a problem document (RFC 9457). The form of these documents is in [the API's manners](../api.md#problems). A request whose answer has\n\
         `\"retryable\": true` may be sent again as it is; how to do that safely is in [repeat a request safely](../how-to/repeat-safely.md). 404 is also the answer\n\
         to a request that was refused, where its caller may not know that there is something: the reason is then in the audit log alone.\n"
    );
    let statuses: BTreeSet<u16> = CODES.iter().map(|(_, status, _, _)| *status).collect();
    let titles = titles();
    for status in statuses {
        write!(page, "\n## {status}\n\n").unwrap();
        for title in &titles[&status] {
            write!(page, "*{title}.* ").unwrap();
        }
        page = format!(
            "{}\n\n| code | what it means | what to do |\n|---|---|---|\n",
            page.trim_end()
        );
        for (code, _, meaning, advice) in CODES.iter().filter(|code| code.1 == status) {
            writeln!(page, "| `{code}` | {meaning} | {advice} |").unwrap();
        }
    }
    page += "\n431 has no document: headers too many or too long end the connection.\n";
    page
}

/// One problem of each kind that can be made without a policy's refusal.
fn problems() -> Vec<Problem> {
    let flaws = Vec::new;
    let source = || "a source".into();
    let state = |code| VaultError::WrongState { code, detail: String::new() };
    let mut problems = vec![
        Problem::invalid_json(String::new(), flaws()),
        Problem::too_deep(),
        Problem::invalid_header("a", ""),
        Problem::invalid_query(""),
        Problem::limit_too_large(),
        Problem::idempotency_key_required(),
        Problem::unauthenticated(),
        Problem::not_found(),
        Problem::method_not_allowed("GET"),
        Problem::not_json(),
        Problem::body_too_large(1),
        Problem::body_too_slow(),
        Problem::body_incomplete(),
        Problem::invalid(flaws()),
        Problem::panicked(),
        Problem::stopping(),
        Problem::too_many_requests(TooMany { bound: Bound::Tenant, seconds: 1 }),
        Problem::unknown_host(),
        Problem::unlocking_already(),
        Problem::archiving_already(),
        Problem::uploading_already(),
        Problem::file_too_large(1),
        Problem::range_not_satisfiable(1, &[]),
        UnlockError::WrongKey.into(),
        UnlockError::Rejected(Rejected::OlderCopy).into(),
        UnlockError::Rejected(Rejected::NoHead).into(),
    ];
    let errors = [
        VaultError::UserNotAllowed,
        VaultError::TooManySubjects { seconds: 1 },
        VaultError::Erased(None),
        VaultError::BatchFailed(Vec::new()),
        VaultError::VersionRequired,
        VaultError::VersionStale { current: 1 },
        VaultError::IdempotencyReused,
        VaultError::SecretAlreadyShown,
        VaultError::Conflict,
        VaultError::Locked,
        VaultError::Unavailable(source()),
        VaultError::Damaged(source()),
        VaultError::Internal(source()),
        state("wrong_state"),
        state("last_owner"),
    ];
    problems.extend(errors.map(Problem::from));
    problems
}

async fn document(answer: Response) -> serde_json::Value {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

/// The documents of those problems.
fn documents() -> Vec<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let render = |problem: Problem| problem.render(RequestId::from_bytes([1; 16]));
    let documents = problems().into_iter().map(|problem| document(render(problem)));
    documents.map(|document| runtime.block_on(document)).collect()
}

/// The titles of each status, in the words of the problem documents.
fn titles() -> BTreeMap<u16, BTreeSet<String>> {
    let mut titles: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for document in documents() {
        let status = u16::try_from(document["status"].as_u64().unwrap()).unwrap();
        titles.entry(status).or_default().insert(document["title"].as_str().unwrap().to_owned());
    }
    titles
}

/// The texts of a crate's sources, without the tests at their ends.
fn sources(of: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("reference") {
                    folders.push(path);
                }
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                found.push((path, code));
            }
        }
    }
    found
}

/// The text literals that follow `start`, with nothing but a constant and a comma in between.
fn literals(source: &str, start: &str) -> BTreeSet<String> {
    let calls = source.split(start).skip(1);
    let first = calls.filter_map(|rest| {
        let rest = rest.trim_start();
        let rest = rest.trim_start_matches(|it: char| it.is_ascii_uppercase() || it == '_');
        let rest = rest.trim_start_matches(',').trim_start();
        rest.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(word, _)| word)
    });
    first.map(str::to_owned).collect()
}

#[test]
fn the_page_of_errors_is_the_one_that_the_code_gives() {
    kept("errors.md", &page());
}

#[test]
fn every_code_of_the_sources_has_its_row_and_every_row_is_of_a_code() {
    let known: BTreeSet<String> = CODES.iter().map(|code| code.0.to_owned()).collect();
    assert_eq!(known.len(), CODES.len(), "a code stands there twice");
    let mut used = BTreeSet::new();
    let mut all = String::new();
    for (room, starts) in [
        ("api", ["Self::new(", "Problem::new("].as_slice()),
        ("vault", &["wrong_state("]),
        ("access-policy", &["=> "]),
    ] {
        for (path, source) in sources(room) {
            let is_about_refusals = room != "access-policy" || path.ends_with("refusal.rs");
            if is_about_refusals {
                used.extend(starts.iter().flat_map(|start| literals(&source, start)));
            }
            all.push_str(&source);
        }
    }
    assert!(used.len() > 40, "the scan finds too little: {used:?}");
    let without: Vec<_> = used.difference(&known).collect();
    assert!(without.is_empty(), "codes without a row in the table: {without:?}");
    let idle: Vec<_> = known.iter().filter(|code| !all.contains(&format!("\"{code}\""))).collect();
    assert!(idle.is_empty(), "rows of codes that nothing uses: {idle:?}");
}

#[test]
fn every_problem_has_the_status_of_its_row() {
    for document in documents() {
        let row = CODES.iter().find(|code| code.0 == document["code"]).unwrap();
        assert_eq!(document["status"], row.1, "{document}");
    }
}
