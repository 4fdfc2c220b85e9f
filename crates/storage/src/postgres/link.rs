//! A connection to the database: making one, and sending statements over it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::address::PostgresUrl;
use super::problem::{DatabaseProblem, LinkError};
use super::sql::Sql;
use super::tls::Tls;

/// Longest time to make a connection, over all addresses.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time for the answer to one statement, or to several that are sent together.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// A password file is one line; more than this is not read.
const PASSWORD_BYTES_MAX: usize = 4_096;

/// A value of a statement's parameter.
pub(super) type Parameter<'p> = &'p (dyn ToSql + Sync);

/// Makes connections. The password file is read for each, so that a new password needs no restart.
pub(super) struct Connector {
    url: PostgresUrl,
    tls: Option<Tls>,
    /// Whose tasks carry the bytes, whoever asks for a connection.
    runtime: Handle,
}

impl Connector {
    pub(super) fn new(url: PostgresUrl, runtime: Handle) -> Result<Self, DatabaseProblem> {
        let tls = url.is_encrypted().then(|| Tls::new(url.authority_file())).transpose();
        let tls = tls.map_err(|reason| match url.authority_file() {
            Some(path) => {
                DatabaseProblem::File { option: "sslrootcert", path: path.to_owned(), reason }
            }
            None => DatabaseProblem::Tls(reason.to_string()),
        })?;
        Ok(Self { url, tls, runtime })
    }

    /// A new connection that knows these statements.
    pub(super) async fn connect(&self, statements: &[&'static Sql]) -> Result<Link, LinkError> {
        let connecting = timeout(CONNECT_TIME_MAX, self.connect_at_leisure(statements));
        connecting.await.unwrap_or(Err(LinkError::Late))
    }

    async fn connect_at_leisure(&self, statements: &[&'static Sql]) -> Result<Link, LinkError> {
        let mut config = self.url.config().clone();
        if let Some(password) = self.password()? {
            config.password(password);
        }
        let tls = self.tls.clone();
        let runtime = self.runtime.clone();
        let connecting = self.runtime.spawn(async move {
            if let Some(tls) = tls {
                let (client, connection) = config.connect(tls).await?;
                return Ok::<_, tokio_postgres::Error>((client, runtime.spawn(connection)));
            }
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, runtime.spawn(connection)))
        });
        let (client, task) = connecting.await.map_err(|_| LinkError::Late)??;
        let mut link = Link { client, named: HashMap::new(), task: task.abort_handle() };
        if self.url.has_named_statements() {
            for sql in statements {
                let statement = link.client.prepare_typed(sql.text, sql.types).await?;
                link.named.insert(sql.text, statement);
            }
        }
        Ok(link)
    }

    fn password(&self) -> Result<Option<Vec<u8>>, LinkError> {
        let Some(path) = self.url.password_file() else { return Ok(None) };
        let unusable = |reason| {
            let path = path.to_owned();
            LinkError::Problem(DatabaseProblem::File { option: "password_file", path, reason })
        };
        let mut text = std::fs::read(path).map_err(unusable)?;
        let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        text.truncate(end.unwrap_or(text.len()));
        if text.is_empty() || text.len() > PASSWORD_BYTES_MAX {
            let reason = "its first line is empty or too long";
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        Ok(Some(text))
    }
}

/// A connection. What is sent over it at the same time is answered in the order of sending. When it
/// goes, the connection is cut; what was under way the database ends by itself.
pub(super) struct Link {
    client: Client,
    named: HashMap<&'static str, Statement>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Sends a statement and gives its rows.
    pub(super) async fn query(
        &self,
        sql: &'static Sql,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        match self.named.get(sql.text) {
            Some(statement) => self.client.query(statement, parameters).await,
            None => self.client.query_typed(sql.text, &typed(sql, parameters)).await,
        }
    }

    /// Sends a statement and gives the number of rows that it has changed.
    pub(super) async fn execute(
        &self,
        sql: &'static Sql,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, tokio_postgres::Error> {
        match self.named.get(sql.text) {
            Some(statement) => self.client.execute(statement, parameters).await,
            None => self.client.execute_typed(sql.text, &typed(sql, parameters)).await,
        }
    }

    /// Sends statements that have no parameters and give no rows.
    pub(super) async fn run(&self, text: &'static str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(text).await
    }
}

fn typed<'p>(sql: &Sql, parameters: &[Parameter<'p>]) -> Vec<(Parameter<'p>, Type)> {
    parameters.iter().copied().zip(sql.types.iter().cloned()).collect()
}

/// The outcome of what is sent, if it comes in time.
pub(super) async fn in_time<T>(
    sent: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LinkError> {
    match timeout(ANSWER_TIME_MAX, sent).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LinkError::Late),
    }
}
