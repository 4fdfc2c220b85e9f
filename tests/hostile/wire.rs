//! Bytes on a connection, as they are: what is sent, what comes back, and when it is closed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::victim::Victim;

/// Longer than every bound of the server that these tests wait for, and shorter than anybody's
/// patience.
pub(crate) const LONG: Duration = Duration::from_secs(45);
/// The address of whoever attacks.
pub(crate) const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How many bytes are read at once.
pub(crate) const PART_BYTES: usize = 16 * 1024;
/// Most bytes of an answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Any connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// All of it.
    pub(crate) text: String,
    /// Whether the server closed the connection.
    pub(crate) closed: bool,
}

impl Answer {
    /// The statuses of the answers in it, in their order; those of 1xx are left out.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let heads = self.text.split("HTTP/1.1 ").skip(1);
        let statuses = heads.map(|head| head.split(' ').next().unwrap().parse().unwrap());
        statuses.filter(|status| *status >= 200).collect()
    }
}

/// A connection from an address of this machine.
pub(crate) async fn connect_from(from: IpAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    let stream = timeout(LONG, socket.connect(to)).await.map_err(io::Error::other)??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The attacker's connection, plain.
pub(crate) async fn connect(victim: &Victim) -> TcpStream {
    connect_from(ATTACKER, victim.address).await.unwrap()
}

/// A connection as the server wants it: with TLS if it speaks that.
pub(crate) async fn greet(
    victim: &Victim,
    from: IpAddr,
    protocol: &str,
) -> io::Result<Box<dyn Stream>> {
    let stream = connect_from(from, victim.address).await?;
    let Some(tls) = victim.tls(protocol) else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from("vault.example").unwrap();
    Ok(Box::new(timeout(LONG, tls.connect(name, stream)).await.map_err(io::Error::other)??))
}

/// Sends, and reads until the server closes or says nothing more for this long.
pub(crate) async fn exchange(victim: &Victim, bytes: &[u8], quiet: Duration) -> Answer {
    let mut stream = connect(victim).await;
    // A server that has had enough closes before all is sent.
    let _ = timeout(LONG, stream.write_all(bytes)).await;
    answer(&mut stream, quiet).await
}

/// Reads until the server closes or says nothing more for this long.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin), quiet: Duration) -> Answer {
    let (bytes, closed) = answer_bytes(stream, quiet).await;
    Answer { text: String::from_utf8_lossy(&bytes).into_owned(), closed }
}

/// The same as bytes, and whether the server closed.
pub(crate) async fn answer_bytes(
    stream: &mut (impl AsyncRead + Unpin),
    quiet: Duration,
) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut part = vec![0; PART_BYTES];
    while bytes.len() < ANSWER_BYTES_MAX {
        match timeout(quiet, stream.read(&mut part)).await {
            Ok(Ok(0) | Err(_)) => return (bytes, true),
            Ok(Ok(length)) => bytes.extend_from_slice(&part[..length]),
            Err(_) => break,
        }
    }
    (bytes, false)
}

/// Waits until the server closes, whatever it says; false if it does not within this time.
pub(crate) async fn is_closed(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> bool {
    let mut part = vec![0; PART_BYTES];
    let closing = async { while matches!(stream.read(&mut part).await, Ok(1..)) {} };
    timeout(within, closing).await.is_ok()
}
