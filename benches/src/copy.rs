//! What one would write without us to bring many customers in: each sealed in the application, and
//! sent to PostgreSQL by `COPY`. No classes, no audit, no erasure.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use strongroom_crypto::SystemRng;
use strongroom_model::Rng;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::Failure;
use crate::cluster::{self, Cluster};
use crate::customer::Customer;
use crate::time::Start;

const NONCE_BYTES: usize = 12;
const TABLE: &str = "drop table if exists copied;
    create table copied (number text primary key, body bytea not null)";

/// Imports customers in so many to a commit. Gives how long it took; nothing, if PostgreSQL is not
/// installed.
///
/// # Errors
/// If the cluster does not come up or refuses something.
pub(crate) fn import(
    folder: &Path,
    records: usize,
    in_a_commit: usize,
) -> Result<Option<Duration>, Failure> {
    let Some(cluster) = Cluster::start(folder)? else { return Ok(None) };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let took = runtime.block_on(copy(&cluster.sockets(), records, in_a_commit.max(1)))?;
    Ok(Some(took))
}

async fn copy(sockets: &str, records: usize, in_a_commit: usize) -> Result<Duration, Failure> {
    let (client, connection) =
        tokio_postgres::connect(&cluster::connection_text(sockets), NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(TABLE).await?;
    let rng = SystemRng::new();
    let mut key = [0; 32];
    rng.fill(&mut key)?;
    let cipher = Aes256Gcm::new(&key.into());
    let begun = Start::now();
    for first in (0..records).step_by(in_a_commit) {
        let last = first.saturating_add(in_a_commit).min(records);
        commit(&client, &cipher, &rng, first..last).await?;
    }
    Ok(begun.elapsed())
}

/// One `COPY`, durable when it has been answered.
async fn commit(
    client: &Client,
    cipher: &Aes256Gcm,
    rng: &SystemRng,
    numbers: std::ops::Range<usize>,
) -> Result<(), Failure> {
    let sink = client.copy_in("copy copied (number, body) from stdin (format binary)").await?;
    let mut rows = pin!(BinaryCopyInWriter::new(sink, &[Type::TEXT, Type::BYTEA]));
    for number in numbers {
        let name = format!("I-{number}");
        let clear = Customer::numbered(u64::try_from(number)?).json();
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce)?;
        let payload = Payload { msg: clear.as_bytes(), aad: name.as_bytes() };
        let sealed = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| "not sealed")?;
        let body = [&nonce[..], &sealed].concat();
        rows.as_mut().write(&[&name, &body]).await?;
    }
    rows.finish().await?;
    Ok(())
}
