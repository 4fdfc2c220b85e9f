//! Commands that ask a running server, one file for each noun.

pub(crate) mod admissions;
pub(crate) mod api_keys;
pub(crate) mod archive;
pub(crate) mod audit;
pub(crate) mod backends;
pub(crate) mod backup;
pub(crate) mod blueprints;
pub(crate) mod classes;
pub(crate) mod collections;
pub(crate) mod erasures;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod import;
pub(crate) mod jobs;
pub(crate) mod receipts;
pub(crate) mod records;
pub(crate) mod recovery;
pub(crate) mod sessions;
pub(crate) mod subjects;
pub(crate) mod system;
pub(crate) mod tenants;
pub(crate) mod users;

use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use strongroom_client::{Answer, Secret};

use crate::exit::Failure;
use crate::files::SecretFile;
use crate::screen::say;
use crate::session::Session;

/// One thread is enough to ask.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format!("cannot start: {error}")))
}

/// Shows an answer that holds a secret: in a file if one was named, where it then no longer stands
/// in the answer, else on standard output.
fn show_with_secret<T: Serialize>(
    session: &Session,
    answer: &Answer<T>,
    secret: &Secret,
    file: Option<(SecretFile<'_>, &Path)>,
    member: &str,
) -> Result<(), Failure> {
    let Some((file, path)) = file else {
        session.screen.one(answer)?;
        say("the token is shown this once; keep it safe");
        return Ok(());
    };
    file.write(secret.expose())?;
    let mut value = serde_json::to_value(&answer.value)
        .map_err(|_| Failure::local("the answer cannot be written as JSON"))?;
    take_away(&mut value, member);
    session.screen.one(&Answer {
        value,
        version: answer.version,
        audit: answer.audit.clone(),
        request_id: answer.request_id.clone(),
    })?;
    say(&format!("the token stands in `{}`", path.display()));
    Ok(())
}

/// Takes a member out of what is shown (RFC 6901): a row without a value would look as if there were
/// none.
fn take_away(value: &mut Value, member: &str) {
    let Some((parent, name)) = member.rsplit_once('/') else { return };
    if let Some(Value::Object(members)) = value.pointer_mut(parent) {
        members.remove(name);
    }
}

/// The file that a secret is to go to, made before the secret is asked for.
fn secret_file(path: Option<&Path>) -> Result<Option<(SecretFile<'_>, &Path)>, Failure> {
    path.map(|path| SecretFile::create(path).map(|file| (file, path))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_file_has_no_row_of_its_own() {
        let whole =
            || serde_json::json!({"id": "a", "invitation": {"token": "t", "expires_at": "e"}});
        for (member, left) in [
            (
                "/invitation/token",
                serde_json::json!({"id": "a", "invitation": {"expires_at": "e"}}),
            ),
            ("/id", serde_json::json!({"invitation": {"token": "t", "expires_at": "e"}})),
            ("/elsewhere/token", whole()),
        ] {
            let mut value = whole();
            take_away(&mut value, member);
            assert_eq!(value, left, "{member}");
        }
    }
}
