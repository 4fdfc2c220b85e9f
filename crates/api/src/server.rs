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
use tokio_rustls::server::TlsStream;

use crate::Limits;
use crate::addresses::{Addresses, Place};
use crate::admin::{self, Inspected};
use crate::connection::{self, Room, Stop};
use crate::door::{Desk, Door, Manner, OpenDesk};
use crate::edge::Edge;
use crate::metrics::Metrics;
use crate::tls::{Tls, TlsError};
use crate::unlocker::Unlocker;

/// How long the accept loop rests when the system has no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What connections and requests may take.
    pub limits: Limits,
}

/// The API over HTTP.
#[derive(Debug)]
pub struct Server;

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on `{0}`")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server that is running. [`RunningServer::stop`] ends it gently, dropping it cuts everybody off.
#[derive(Debug)]
pub struct RunningServer {
    api: Listener,
    admin: Option<Listener>,
    certificate: Option<Certificate>,
    limits: Arc<Limits>,
}

/// One address that is listened on.
#[derive(Debug)]
struct Listener {
    local_addr: SocketAddr,
    stop: watch::Sender<Stop>,
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    accepting: JoinHandle<()>,
}

/// The certificate that is shown, and who counts its changes.
#[derive(Debug, Clone)]
struct Certificate {
    tls: Arc<Tls>,
    metrics: Option<Arc<Metrics>>,
}

impl Server {
    /// Binds the address and begins to answer, over plain HTTP. The randomness is for request ids.
    ///
    /// # Errors
    /// Those of the system, if the address cannot be bound.
    pub async fn start(
        config: Config,
        vault: Arc<Vault>,
        unlocker: Arc<dyn Unlocker>,
        rng: Arc<dyn Rng>,
    ) -> io::Result<RunningServer> {
        let started = Self::start_at(config, Edge::default(), vault, unlocker, rng).await;
        started.map_err(|error| match error {
            StartError::Listen(_, error) => error,
            StartError::Tls(error) => io::Error::other(error),
        })
    }

    /// Binds the addresses and begins to answer. The randomness is for request ids.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_at(
        config: Config,
        edge: Edge,
        vault: Arc<Vault>,
        unlocker: Arc<dyn Unlocker>,
        rng: Arc<dyn Rng>,
    ) -> Result<RunningServer, StartError> {
        let table = crate::routes::table(vault.clone(), unlocker, config.limits.rates);
        Self::start_with(config, edge, table, vault, rng).await
    }

    pub(crate) async fn start_with(
        config: Config,
        edge: Edge,
        desk: Arc<dyn Desk>,
        inspected: Arc<dyn Inspected>,
        rng: Arc<dyn Rng>,
    ) -> Result<RunningServer, StartError> {
        let limits = Arc::new(config.limits);
        let metrics = edge.admin.map(|_| Arc::new(Metrics::default()));
        let certificate = edge
            .tls
            .map(Tls::new)
            .transpose()?
            .map(|tls| Certificate { tls: Arc::new(tls), metrics: metrics.clone() });
        let manner = Manner {
            tls: certificate.is_some(),
            hosts: edge.hosts,
            trusted_proxies: edge.trusted_proxies,
            metrics: metrics.clone(),
            traces: edge.traces,
            quiet: false,
        };
        let plan = Plan { listen: config.listen, desk, manner, rng: rng.clone() };
        let api = plan.open(&limits, certificate.clone()).await?;
        if let Some(certificate) = certificate.clone() {
            let looking = certificate.watch(limits.certificate_interval, api.stop.subscribe());
            tokio::spawn(looking);
        }
        let admin = match edge.admin.zip(metrics) {
            None => None,
            Some((listen, metrics)) => {
                let routes = admin::router(inspected, metrics, api.stop.subscribe());
                let desk = OpenDesk::new(routes);
                let manner = Manner { quiet: true, ..Manner::default() };
                Some(Plan { listen, desk, manner, rng }.open(&limits, None).await?)
            }
        };
        Ok(RunningServer { api, admin, certificate, limits })
    }
}

/// What is to be listened for, and where.
struct Plan {
    listen: SocketAddr,
    desk: Arc<dyn Desk>,
    manner: Manner,
    rng: Arc<dyn Rng>,
}

impl Plan {
    async fn open(
        self,
        limits: &Arc<Limits>,
        certificate: Option<Certificate>,
    ) -> Result<Listener, StartError> {
        let Self { listen, desk, manner, rng } = self;
        let refused = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let connections = Arc::new(Semaphore::new(limits.connections_max));
        let requests = Arc::new(Semaphore::new(limits.requests_max));
        let (stop, stopping) = watch::channel(Stop::No);
        let metrics = manner.metrics.clone();
        let trusted = manner.trusted_proxies.clone();
        let accept = Accept {
            listener,
            door: Arc::new(Door::new(desk, rng, requests.clone(), limits.clone(), manner)),
            tls: certificate.map(|certificate| certificate.tls),
            metrics,
            addresses: Addresses::new(limits.connections_per_address_max, trusted),
            room: Arc::new(Room::new(connections.clone(), limits.connections_max)),
            connections: connections.clone(),
            limits: limits.clone(),
            stopping,
        };
        let accepting = tokio::spawn(accept.run());
        Ok(Listener { local_addr, stop, connections, requests, accepting })
    }
}

impl RunningServer {
    /// The address that it listens on, with the port that the system chose if none was named.
    pub const fn local_addr(&self) -> SocketAddr {
        self.api.local_addr
    }

    /// The address on which health and metrics are shown, if they are.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.local_addr)
    }

    /// Reads the certificate and key anew, for connections that begin from now on. What cannot be
    /// used leaves them as they are, and is logged.
    pub fn reload_certificate(&self) {
        if let Some(certificate) = &self.certificate {
            certificate.reload();
        }
    }

    /// Stops: accepts nothing more, lets requests that are under way finish, and cuts what has not
    /// finished within the drain time. Returns when no connection is left. Until then health and
    /// metrics are shown, and say that it is not ready.
    pub async fn stop(self) {
        self.api.stop(&self.limits, self.limits.drain_time).await;
        if let Some(admin) = self.admin {
            admin.stop(&self.limits, Duration::ZERO).await;
        }
    }
}

impl Listener {
    async fn stop(self, limits: &Limits, patience: Duration) {
        self.stop.send_replace(Stop::Drain);
        // Its only error is that the loop has panicked; it is over then too.
        let _ = self.accepting.await;
        let all = |bound: usize| u32::try_from(bound).unwrap_or(u32::MAX);
        let connections = all(limits.connections_max);
        let requests = all(limits.requests_max);
        let drained = self.connections.acquire_many(connections);
        if tokio::time::timeout(patience, drained).await.is_err() {
            self.stop.send_replace(Stop::Cut);
            drop(self.connections.acquire_many(connections).await);
        }
        // A use case that has begun is finished although its caller has gone.
        let finished = self.requests.acquire_many(requests);
        if tokio::time::timeout(patience, finished).await.is_err() {
            tracing::warn!("stopped while requests were still being worked on");
        }
    }
}

impl Certificate {
    /// Looks from time to time whether the files have changed, until the server stops.
    async fn watch(self, interval: Duration, mut stopping: watch::Receiver<Stop>) {
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop != Stop::No) => return,
                () = tokio::time::sleep(interval) => {}
            }
            let certificate = self.clone();
            let look = move || {
                if certificate.tls.has_changed() {
                    certificate.reload();
                }
            };
            // Its only error is a panic, which is logged; the next look may go better.
            let _ = tokio::task::spawn_blocking(look).await;
        }
    }

    fn reload(&self) {
        let outcome = self.tls.reload();
        if let Some(metrics) = &self.metrics {
            metrics.certificate_changed(outcome.is_ok());
        }
        match outcome {
            Ok(()) => tracing::info!("the certificate was read anew"),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the certificate stays as it was");
            }
        }
    }
}

/// The accept loop.
struct Accept {
    listener: TcpListener,
    door: Arc<Door>,
    tls: Option<Arc<Tls>>,
    metrics: Option<Arc<Metrics>>,
    addresses: Arc<Addresses>,
    room: Arc<Room>,
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
                Ok((stream, peer, permit)) => match self.addresses.admit(peer.ip()) {
                    Some(place) => self.begin(stream, peer, (permit, place)),
                    // It is closed; whoever has so many others can do without an answer.
                    None => {
                        if let Some(metrics) = &self.metrics {
                            metrics.connection_refused();
                        }
                    }
                },
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own.
    fn begin(&self, stream: TcpStream, peer: SocketAddr, held: (OwnedSemaphorePermit, Place)) {
        let (door, limits, stopping) =
            (self.door.clone(), self.limits.clone(), self.stopping.clone());
        let (tls, metrics, room) = (self.tls.clone(), self.metrics.clone(), self.room.clone());
        tokio::spawn(async move {
            let open = metrics.as_ref().map(Metrics::connection);
            // Without it answers are slower, and nothing else.
            let _ = stream.set_nodelay(true);
            let time = room.patience(limits.handshake_time);
            match tls {
                None => connection::serve(stream, peer, door, limits, room, stopping).await,
                Some(tls) => match shake_hands(&tls, stream, time, stopping.clone()).await {
                    Some(stream) => {
                        connection::serve(stream, peer, door, limits, room, stopping).await;
                    }
                    None => {
                        if let Some(metrics) = &metrics {
                            metrics.handshake_failed();
                        }
                    }
                },
            }
            drop(open);
            drop(held);
        });
    }
}

/// Shakes hands with a client that does its part in time.
async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    time: Duration,
    mut stopping: watch::Receiver<Stop>,
) -> Option<TlsStream<TcpStream>> {
    let shaken = tokio::select! {
        _ = stopping.wait_for(|stop| *stop != Stop::No) => return None,
        shaken = tokio::time::timeout(time, tls.accept(stream)) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
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
