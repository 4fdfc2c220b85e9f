//! A proxy that cuts a connection at a commit: before the database hears of it, or before its answer is
//! heard.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What ends a transaction, as it stands in the protocol.
const COMMIT: &[u8] = b"COMMIT\0";
/// More than a group of the writers' batches comes to.
const READ_BYTES: usize = 256 * 1024;

/// Where to cut.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    BeforeCommit = 1,
    AfterCommit = 2,
}

pub(crate) struct Proxy {
    port: u16,
    orders: Arc<Orders>,
}

#[derive(Default)]
struct Orders {
    next: AtomicU8,
    cuts: AtomicU64,
}

impl Proxy {
    /// Listens on loopback and carries to this socket.
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let orders = Arc::<Orders>::default();
        let given = Arc::clone(&orders);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, orders) = (socket.clone(), Arc::clone(&given));
                tokio::spawn(async move {
                    if let Ok(server) = UnixStream::connect(&socket).await {
                        carry(client, server, &orders).await;
                    }
                });
            }
        });
        Self { port, orders }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts at the next commit that anybody sends.
    pub(crate) fn cut_next(&self, cut: Cut) {
        self.orders.next.store(cut as u8, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.orders.cuts.load(Ordering::SeqCst)
    }
}

/// Carries bytes until one end hangs up, or until the order to cut.
async fn carry(mut client: TcpStream, mut server: UnixStream, orders: &Orders) {
    let (mut up, mut down) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    loop {
        tokio::select! {
            count = client.read(&mut up) => {
                let Ok(count @ 1..) = count else { return };
                let is_commit = up[..count].windows(COMMIT.len()).any(|bytes| bytes == COMMIT);
                let order = if is_commit { orders.next.swap(0, Ordering::SeqCst) } else { 0 };
                if order != 0 {
                    orders.cuts.fetch_add(1, Ordering::SeqCst);
                }
                if order == Cut::BeforeCommit as u8 {
                    return;
                }
                if server.write_all(&up[..count]).await.is_err() {
                    return;
                }
                if order == Cut::AfterCommit as u8 {
                    // The database has carried it out when it says so.
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
            count = server.read(&mut down) => {
                let Ok(count @ 1..) = count else { return };
                if client.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
