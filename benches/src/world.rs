//! What Strongroom has to know before it can be measured: a tenant, a collection, a key, records.

use std::net::SocketAddr;

use serde_json::{Value, json};
use strongroom_crypto::SystemRng;
use strongroom_model::Rng;
use tokio::runtime::Runtime;

use crate::Failure;
use crate::customer::{COLLECTION, Customer, collection};
use crate::http::{Connection, request};
use crate::process::Server;
use crate::program::Installation;

/// Records of one import request: as many as the server takes.
pub(crate) const IMPORT_ITEMS: usize = 500;

/// Somebody with a connection and a token.
pub(crate) struct Caller {
    runtime: Runtime,
    connection: Connection,
    /// The credential.
    pub(crate) token: String,
}

impl Caller {
    /// Redeems an invitation.
    pub(crate) fn come_in(server: &Server, invitation: &str) -> Result<Self, Failure> {
        let mut caller = Self::with(server, "")?;
        let body = json!({"token": invitation});
        let made = caller.post("/v1/invitations/redeem", &body)?;
        caller.token = text(&made, "/session/token")?;
        Ok(caller)
    }

    /// With a token that is known.
    pub(crate) fn with(server: &Server, token: &str) -> Result<Self, Failure> {
        Self::at(server.address, token)
    }

    /// With a token that is known, at an address.
    pub(crate) fn at(address: SocketAddr, token: &str) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(Connection::open(address))?;
        Ok(Self { runtime, connection, token: token.to_owned() })
    }

    /// Sends and gives the answer.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        more: &str,
        body: &str,
    ) -> Result<Value, Failure> {
        let token = (!self.token.is_empty()).then_some(self.token.as_str());
        let request = request(method, path, token, more, body);
        let answer = self.runtime.block_on(self.connection.exchange(&request))?;
        answer.json().map_err(|failure| format!("{method} {path}: {failure}").into())
    }

    /// Sends JSON and gives the answer.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call("POST", path, "", &body.to_string())
    }
}

/// The first operator of a new server.
pub(crate) fn operator(server: &Server, installation: &Installation) -> Result<Caller, Failure> {
    Caller::come_in(server, &installation.invitation()?)
}

/// A tenant whose owner has not come in.
pub(crate) struct Invited {
    id: String,
    invitation: String,
}

/// Makes a tenant.
pub(crate) fn invite(operator: &mut Caller, name: &str) -> Result<Invited, Failure> {
    let made = operator.post("/v1/tenants", &json!({"name": name, "owner": {"name": "Owner"}}))?;
    Ok(Invited { id: text(&made, "/id")?, invitation: text(&made, "/invitation/token")? })
}

/// A tenant with the collection of customers.
pub(crate) struct Tenant {
    /// An API key's token that may everything.
    pub(crate) token: String,
    /// The path of the collection's records.
    pub(crate) records: String,
}

impl Tenant {
    /// Lets the owner in, who declares the collection and makes an API key.
    pub(crate) fn open(server: &Server, invited: &Invited) -> Result<Self, Failure> {
        let mut owner = Caller::come_in(server, &invited.invitation)?;
        let home = format!("/v1/tenants/{}", invited.id);
        owner.post(&format!("{home}/collections"), &collection())?;
        // The longest life that a key may have is counted from now, which the session's end tells.
        let me = owner.call("GET", "/v1/whoami", "", "")?;
        let key = json!({
            "label": "bench", "classes": ["owner"], "expires_at": text(&me, "/expires_at")?,
        });
        let key = owner.post(&format!("{home}/api-keys"), &key)?;
        Ok(Self {
            token: text(&key, "/token")?,
            records: format!("{home}/collections/{COLLECTION}/records"),
        })
    }

    /// Imports customers of these numbers, and gives the ids of their records.
    pub(crate) fn import(
        &self,
        server: &Server,
        numbers: std::ops::Range<usize>,
    ) -> Result<Vec<String>, Failure> {
        let mut caller = Caller::with(server, &self.token)?;
        let path = format!("{}:import", self.records);
        let mut ids = Vec::with_capacity(numbers.len());
        for body in import_bodies(numbers) {
            let once = format!("Idempotency-Key: {}\r\n", fresh_key()?);
            let outcome = caller.call("POST", &path, &once, &body)?;
            let results = outcome.pointer("/results").and_then(Value::as_array);
            for result in results.ok_or("an import without results")? {
                ids.push(text(result, "/id").map_err(|_| format!("not imported: {result}"))?);
            }
        }
        Ok(ids)
    }
}

/// The bodies of the requests that import customers of these numbers.
pub(crate) fn import_bodies(numbers: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    let end = numbers.end;
    numbers.step_by(IMPORT_ITEMS).map(move |first| {
        let last = (first + IMPORT_ITEMS).min(end);
        let items: Vec<String> = (first..last)
            .map(|number| {
                let customer = Customer::numbered(u64::try_from(number).unwrap_or(0)).json();
                format!(r#"{{"external_id":"I-{number}","fields":{customer}}}"#)
            })
            .collect();
        format!(r#"{{"items":[{}]}}"#, items.join(","))
    })
}

/// A random idempotency key.
pub(crate) fn fresh_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemRng::new().fill(&mut bytes)?;
    Ok(hexadecimal(&bytes))
}

/// Bytes as digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The text at a place of an answer.
pub(crate) fn text(answer: &Value, pointer: &str) -> Result<String, Failure> {
    let found = answer.pointer(pointer).and_then(Value::as_str);
    Ok(found.ok_or_else(|| format!("an answer without `{pointer}`"))?.to_owned())
}
