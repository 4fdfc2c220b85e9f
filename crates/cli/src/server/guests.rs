//! What the demonstration and the development server do as everybody does: over HTTP, with the client.

use strongroom_client::{Client, ImportItem, ImportStatus, Scoped, Secret};
use strongroom_model::{CollectionName, RecordId};

use crate::exit::Failure;
use crate::server::Machine;

/// A person who has signed in.
pub(super) struct SignedIn {
    pub(super) client: Client,
    pub(super) token: Secret,
}

/// Trades an invitation for a session.
pub(super) async fn redeem(
    client: &Client,
    invitation: &Secret,
    machine: &Machine,
) -> Result<SignedIn, Failure> {
    let token = client.redeem(invitation).await?.value.session.token;
    let client = with_token(client, &token, machine)?;
    Ok(SignedIn { client, token })
}

/// The same server, asked with this token.
pub(super) fn with_token(
    client: &Client,
    token: &Secret,
    machine: &Machine,
) -> Result<Client, Failure> {
    Ok(Client::new(client.address().clone(), Some(token.expose()), machine.rng.clone())?)
}

/// Makes records, as many as fit one request; each must be made.
pub(super) async fn put_in(
    scoped: &Scoped<'_>,
    collection: &CollectionName,
    items: &[ImportItem],
    machine: &Machine,
) -> Result<Vec<RecordId>, Failure> {
    let mut key = [0; 16];
    machine.rng.fill(&mut key)?;
    let key = data_encoding::BASE64URL_NOPAD.encode(&key);
    let results = scoped.import_records(collection, items, &key).await?.value;
    let made = results.into_iter().map(|result| {
        if let (ImportStatus::Created, Some(id)) = (result.status, result.id) {
            return Ok(id);
        }
        let why = match result.status {
            ImportStatus::Exists => "its external id is there already".to_owned(),
            ImportStatus::Created | ImportStatus::Failed => {
                let flaws = result.errors.iter();
                let flaws = flaws.map(|flaw| format!("{}: {}", flaw.pointer, flaw.detail));
                flaws.collect::<Vec<_>>().join("; ")
            }
        };
        let which = items.get(result.index).map(|item| item.external_id.as_str());
        Err(Failure::local(format!(
            "the record `{}` of `{collection}` was not made: {why}",
            which.unwrap_or_default()
        )))
    });
    made.collect()
}
