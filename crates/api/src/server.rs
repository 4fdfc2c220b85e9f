//! The server: accepts connections, bounds them, and stops without cutting anybody off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use strongroom_model::Rng;
use strongroom_vault::Vault;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::Limits;
use crate::connection::{self, Stop};
use crate::door::Door;
use crate::unlocker::Unlocker;

/// How long the accept loop rests when the system has no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens. It speaks HTTP without TLS.
    pub listen: SocketAddr,
    /// What connections and requests may take.
    pub limits: Limits,
}

/// The API over HTTP.
#[derive(Debug)]
pub struct Server;

/// A server that is running. [`RunningServer::stop`] ends it gently, dropping it cuts everybody off.
#[derive(Debug)]
pub struct RunningServer {
    local_addr: SocketAddr,
    stop: watch::Sender<Stop>,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    limits: Arc<Limits>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds the address and begins to answer. The randomness is for request ids.
    ///
    /// # Errors
    /// Those of the system, if the address cannot be bound.
    pub async fn start(
        config: Config,
        vault: Arc<Vault>,
        unlocker: Arc<dyn Unlocker>,
        rng: Arc<dyn Rng>,
    ) -> io::Result<RunningServer> {
        Self::start_with(config, crate::routes::router(vault, unlocker), rng).await
    }

    pub(crate) async fn start_with(
        config: Config,
        router: axum::Router,
        rng: Arc<dyn Rng>,
    ) -> io::Result<RunningServer> {
        let listener = TcpListener::bind(config.listen).await?;
        let local_addr = listener.local_addr()?;
        let limits = Arc::new(config.limits);
        let connections = Arc::new(Semaphore::new(limits.connections_max));
        let requests = Arc::new(Semaphore::new(limits.requests_max));
        let (stop, stopping) = watch::channel(Stop::No);
        let accept = Accept {
            listener,
            door: Arc::new(Door::new(router, rng, requests.clone(), limits.clone())),
            connections: connections.clone(),
            limits: limits.clone(),
            stopping,
        };
        let accepting = tokio::spawn(accept.run());
        Ok(RunningServer { local_addr, stop, connections, requests, limits, accepting })
    }
}

impl RunningServer {
    /// The address that it listens on, with the port that the system chose if none was named.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: accepts nothing more, lets requests that are under way finish, and cuts what has not
    /// finished within the drain time. Returns when no connection is left.
    pub async fn stop(self) {
        self.stop.send_replace(Stop::Drain);
        // Its only error is that the loop has panicked; it is over then too.
        let _ = self.accepting.await;
        let all = |bound: usize| u32::try_from(bound).unwrap_or(u32::MAX);
        let connections = all(self.limits.connections_max);
        let requests = all(self.limits.requests_max);
        let drained = self.connections.acquire_many(connections);
        if tokio::time::timeout(self.limits.drain_time, drained).await.is_err() {
            self.stop.send_replace(Stop::Cut);
            drop(self.connections.acquire_many(connections).await);
        }
        // A use case that has begun is finished although its caller has gone.
        let finished = self.requests.acquire_many(requests);
        if tokio::time::timeout(self.limits.drain_time, finished).await.is_err() {
            tracing::warn!("stopped while requests were still being worked on");
        }
    }
}

/// The accept loop.
struct Accept {
    listener: TcpListener,
    door: Arc<Door>,
    connections: Arc<Semaphore>,
    limits: Arc<Limits>,
    stopping: watch::Receiver<Stop>,
}

impl Accept {
    async fn run(mut self) {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stop| *stop != Stop::No) => return,
                next = next(&self.listener, &self.connections) => next,
            };
            match next {
                Ok((stream, peer, permit)) => self.begin(stream, peer, permit),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own. A TLS handshake belongs between here and
    /// [`connection::serve`], which takes any stream of bytes; the time that the client has until
    /// its first request must cover it.
    fn begin(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let (door, limits, stopping) =
            (self.door.clone(), self.limits.clone(), self.stopping.clone());
        tokio::spawn(async move {
            // Without it answers are slower, and nothing else.
            let _ = stream.set_nodelay(true);
            connection::serve(stream, peer, door, limits, stopping).await;
            drop(permit);
        });
    }
}

/// Waits for room first: while there is none, nothing is accepted.
async fn next(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// Whether accepting failed because that one client has gone.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
