//! What one would write without us: customers in PostgreSQL, sealed in the application by AES-256-GCM
//! under one key, or in the database by pgcrypto. No classes, no audit, no erasure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use strongroom_crypto::SystemRng;
use strongroom_model::Rng;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::Failure;
use crate::cluster;
use crate::customer::Customer;
use crate::world::hexadecimal;

/// Connections to the database; more of them were not faster on two cores.
const CLIENTS: usize = 16;
const NONCE_BYTES: usize = 12;
/// The tenant that everything belongs to.
const TENANT: i64 = 1;
/// A random key needs no stretching: this is pgcrypto as its experts tune it.
const PGCRYPTO_OPTIONS: &str = "s2k-mode=1";
const PAGE: i64 = 100;

struct Shared {
    clients: Vec<Prepared>,
    next: AtomicUsize,
    cipher: Aes256Gcm,
    /// The same key as text, for pgcrypto.
    passphrase: String,
    rng: SystemRng,
}

/// A connection with its statements.
struct Prepared {
    client: Client,
    put: Statement,
    get: Statement,
    list: Statement,
    put_pgcrypto: Statement,
    get_pgcrypto: Statement,
}

/// A customer with its id.
#[derive(Serialize)]
struct Stored {
    id: i64,
    fields: Customer,
}

struct Wrong(Failure);

impl<E: Into<Failure>> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

type Handled<T> = Result<T, Wrong>;

/// The routes over a cluster whose sockets lie in this folder.
///
/// # Errors
/// If the database does not let us in.
pub(super) async fn router(sockets: &str) -> Result<Router, Failure> {
    let rng = SystemRng::new();
    let mut key = [0; 32];
    rng.fill(&mut key)?;
    let passphrase = hexadecimal(&key);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (client, connection) =
            tokio_postgres::connect(&cluster::connection_text(sockets), NoTls).await?;
        tokio::spawn(connection);
        if clients.is_empty() {
            make_tables(&client).await?;
        }
        clients.push(prepare(client).await?);
    }
    let cipher = Aes256Gcm::new(&key.into());
    let shared = Shared { clients, next: AtomicUsize::new(0), cipher, passphrase, rng };
    Ok(Router::new()
        .route("/sealed", post(create).get(list))
        .route("/sealed/{id}", get(read))
        .route("/pgcrypto", post(create_pgcrypto))
        .route("/pgcrypto/{id}", get(read_pgcrypto))
        .with_state(Arc::new(shared)))
}

async fn make_tables(client: &Client) -> Result<(), Failure> {
    client
        .batch_execute(
            "create extension if not exists pgcrypto;
             create table sealed (id bigserial primary key, tenant bigint not null, body bytea not null);
             create table pgcrypto (id bigserial primary key, tenant bigint not null, body bytea not null);",
        )
        .await?;
    Ok(())
}

async fn prepare(client: Client) -> Result<Prepared, Failure> {
    let put = client.prepare("insert into sealed (tenant, body) values ($1, $2) returning id");
    let put = put.await?;
    let get = client.prepare("select body from sealed where tenant = $1 and id = $2").await?;
    let list = "select id, body from sealed where tenant = $1 order by id limit $2";
    let list = client.prepare(list).await?;
    let put_pgcrypto = format!(
        "insert into pgcrypto (tenant, body)
         values ($1, pgp_sym_encrypt($2::text, $3::text, '{PGCRYPTO_OPTIONS}')) returning id"
    );
    let put_pgcrypto = client.prepare(&put_pgcrypto).await?;
    let get_pgcrypto =
        "select pgp_sym_decrypt(body, $3::text) from pgcrypto where tenant = $1 and id = $2";
    let get_pgcrypto = client.prepare(get_pgcrypto).await?;
    Ok(Prepared { client, put, get, list, put_pgcrypto, get_pgcrypto })
}

impl Shared {
    fn client(&self) -> Result<&Prepared, Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % CLIENTS;
        Ok(self.clients.get(turn).ok_or("no connection")?)
    }

    fn seal(&self, customer: &Customer) -> Result<Vec<u8>, Failure> {
        let mut nonce = [0; NONCE_BYTES];
        self.rng.fill(&mut nonce)?;
        let clear = serde_json::to_vec(customer)?;
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: &clear, aad: &TENANT.to_be_bytes() })
            .map_err(|_| "not sealed")?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> Result<Customer, Failure> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or("too short")?;
        let clear = self
            .cipher
            .decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: &TENANT.to_be_bytes() })
            .map_err(|_| "not opened")?;
        Ok(serde_json::from_slice(&clear)?)
    }
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Json(fields): Json<Customer>,
) -> Handled<(StatusCode, Json<Stored>)> {
    let with = shared.client()?;
    let row = with.client.query_one(&with.put, &[&TENANT, &shared.seal(&fields)?]).await?;
    Ok((StatusCode::CREATED, Json(Stored { id: row.try_get(0)?, fields })))
}

async fn read(State(shared): State<Arc<Shared>>, Path(id): Path<i64>) -> Handled<Json<Stored>> {
    let with = shared.client()?;
    let row = with.client.query_one(&with.get, &[&TENANT, &id]).await?;
    Ok(Json(Stored { id, fields: shared.open(row.try_get(0)?)? }))
}

async fn list(State(shared): State<Arc<Shared>>) -> Handled<Json<Vec<Stored>>> {
    let with = shared.client()?;
    let rows = with.client.query(&with.list, &[&TENANT, &PAGE]).await?;
    let stored = |row: Row| -> Result<Stored, Failure> {
        Ok(Stored { id: row.try_get(0)?, fields: shared.open(row.try_get(1)?)? })
    };
    Ok(Json(rows.into_iter().map(stored).collect::<Result<_, _>>()?))
}

async fn create_pgcrypto(
    State(shared): State<Arc<Shared>>,
    Json(fields): Json<Customer>,
) -> Handled<(StatusCode, Json<Stored>)> {
    let with = shared.client()?;
    let clear = serde_json::to_string(&fields)?;
    let row =
        with.client.query_one(&with.put_pgcrypto, &[&TENANT, &clear, &shared.passphrase]).await?;
    Ok((StatusCode::CREATED, Json(Stored { id: row.try_get(0)?, fields })))
}

async fn read_pgcrypto(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<i64>,
) -> Handled<Json<Stored>> {
    let with = shared.client()?;
    let row =
        with.client.query_one(&with.get_pgcrypto, &[&TENANT, &id, &shared.passphrase]).await?;
    let clear: &str = row.try_get(0)?;
    Ok(Json(Stored { id, fields: serde_json::from_str(clear)? }))
}
