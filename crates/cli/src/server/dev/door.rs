//! The door of the development server: exchanges the tokens that everybody knows for real ones and
//! hands everything else on as it is.
//!
//! The vault never learns a token that everybody knows: those exist in this door alone, and no other
//! server takes them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use strongroom_client::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};

use crate::exit::Failure;

/// Most connections at a time; whoever comes then waits.
const CONNECTIONS_MAX: usize = 256;
/// How long to rest when the system has no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The door.
pub(super) struct Door {
    server: SocketAddr,
    real: HashMap<String, HeaderValue>,
}

impl Door {
    /// A door to this server, with the real token behind each known one.
    pub(super) fn new(server: SocketAddr, tokens: Vec<(String, Secret)>) -> Result<Self, Failure> {
        let real = tokens.into_iter().map(|(known, real)| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", real.expose()))
                .map_err(|_| Failure::local("a token cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok((known, value))
        });
        Ok(Self { server, real: real.collect::<Result<_, Failure>>()? })
    }

    /// Lets in whoever comes.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(permit) = room.clone().acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let door = self.clone();
            tokio::spawn(async move {
                if let Err(error) = door.pass(stream).await {
                    tracing::debug!(%error, "a connection broke off");
                }
                drop(permit);
            });
        }
    }

    /// Hands on what comes over one connection, over one connection to the server. When the server
    /// ends its own, the other one ends too, so that nobody sends into nothing.
    async fn pass(&self, stream: TcpStream) -> Result<(), Fault> {
        let onward = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        onward.set_nodelay(true)?;
        let (sender, onward) = client::handshake(TokioIo::new(onward)).await?;
        let sender = Mutex::new(sender);
        let service = service_fn(async |mut request: hyper::Request<Incoming>| {
            self.exchange(request.headers_mut());
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request).await
        });
        let inward = server::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::pin!(inward, onward);
        tokio::select! {
            ended = &mut inward => return Ok(ended?),
            ended = &mut onward => ended?,
        }
        inward.as_mut().graceful_shutdown();
        Ok(inward.await?)
    }

    /// Puts the real token in the place of a known one. A page that has lured a browser here under
    /// a name of its own gets nothing for it.
    fn exchange(&self, headers: &mut HeaderMap) {
        if !headers.get(HOST).is_some_and(names_this_machine) {
            return;
        }
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.split_once(' ')).and_then(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        if let Some(real) = token.and_then(|token| self.real.get(token)) {
            headers.insert(AUTHORIZATION, real.clone());
        }
    }
}

/// Whether a host is `localhost` or a loopback address.
fn names_this_machine(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let is_port = |text: &str| text.chars().all(|character| character.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) | None => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, authorization: &str) -> String {
        let real = Secret::new("srk_real".to_owned());
        let tokens = vec![("dev-operator".to_owned(), real)];
        let door = Door::new(SocketAddr::from(([127, 0, 0, 1], 1)), tokens).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());
        door.exchange(&mut headers);
        headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_known_token_becomes_the_real_one_and_others_stay() {
        assert_eq!(check("127.0.0.1:1", "Bearer dev-operator"), "Bearer srk_real");
        assert_eq!(check("localhost", "bearer dev-operator"), "Bearer srk_real");
        assert_eq!(check("[::1]:7800", "Bearer dev-operator"), "Bearer srk_real");
        for other in
            ["Bearer dev-operators", "Bearer srk_other", "Basic dev-operator", "dev-operator"]
        {
            assert_eq!(check("127.0.0.1:1", other), other);
        }
    }

    #[test]
    fn a_known_token_is_worth_nothing_under_a_strange_name() {
        for host in ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil", "192.0.2.1", ""]
        {
            assert_eq!(check(host, "Bearer dev-operator"), "Bearer dev-operator", "{host}");
        }
    }
}
