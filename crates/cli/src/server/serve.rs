//! `strongroom serve`: the server, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use strongroom_api::{Config, Limits, Server};
use strongroom_vault::system;
use tracing::level_filters::LevelFilter;

use crate::exit::Failure;
use crate::screen::say;
use crate::server::unlocker::HolderUnlocker;
use crate::server::{Machine, holder_path, key_failure, logs, open_vault, parse_store, seal, stop};
use crate::settings::{LogFormat, ServeSettings};

/// Where the server listens unless something else is said.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7800);

/// Runs the server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The store: `redb:FOLDER`
    #[arg(long, value_name = "URL", env = "STRONGROOM_STORE")]
    store: Option<String>,
    /// The file that keeps the share of the root secret [default: `holder` in the store's folder]
    #[arg(long, value_name = "FILE", env = "STRONGROOM_HOLDER")]
    holder: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7800]
    #[arg(long, value_name = "ADDRESS", env = "STRONGROOM_LISTEN")]
    listen: Option<SocketAddr>,
    /// Unlock at once with this seal key; without it the server starts locked
    #[arg(long, value_name = "FILE", env = "STRONGROOM_SEAL_KEY_FILE")]
    seal_key_file: Option<PathBuf>,
    /// Listen to other machines although the server speaks no TLS: a proxy in front of it does
    #[arg(long)]
    behind_proxy: bool,
    /// How the log is written [default: text]
    #[arg(long, value_name = "FORM", env = "STRONGROOM_LOG")]
    log: Option<LogFormat>,
}

impl Serve {
    pub(crate) async fn run(self, settings: &ServeSettings) -> Result<(), Failure> {
        let store = parse_store(self.store.or_else(|| settings.store.clone()))?;
        let holder = holder_path(self.holder.or_else(|| settings.holder.clone()), &store)?;
        let listen = self.listen.or(settings.listen).unwrap_or(DEFAULT_LISTEN);
        if !listen.ip().is_loopback() && !self.behind_proxy && !settings.behind_proxy {
            return Err(Failure::usage(format!(
                "the server speaks no TLS, and `{listen}` is not a loopback address: whoever listens \
                 on the way would read tokens and data. Listen on 127.0.0.1, or put a proxy with TLS \
                 in front and say `--behind-proxy`"
            )));
        }
        let key_file = self.seal_key_file.or_else(|| settings.seal_key_file.clone());
        let key = key_file.as_deref().map(seal::from_file).transpose()?;
        logs::begin(self.log.or(settings.log).unwrap_or(LogFormat::Text), LevelFilter::INFO);

        let machine = Machine::new();
        let (vault, holder, keyring) = open_vault(&store, &holder, &machine).await?;
        if let Some(key) = key {
            let unlocked =
                system::unlock(&vault, &key).await.map_err(|error| key_failure(&error))?;
            tracing::info!(number = unlocked.number, "unlocked");
        }
        let unlocker = Arc::new(HolderUnlocker(holder.seal_method().clone()));
        let config = Config { listen, limits: Limits::default() };
        let server = Server::start(config, vault.clone(), unlocker, machine.rng.clone())
            .await
            .map_err(|error| Failure::local(format!("cannot listen on `{listen}`: {error}")))?;
        let working = tokio::spawn({
            let vault = vault.clone();
            async move { vault.work().await }
        });
        let locked = if keyring.is_locked() { ", locked" } else { "" };
        say(&format!("listening on http://{}{locked}", server.local_addr()));

        stop::asked_for().await?;
        tracing::info!("stopping");
        server.stop().await;
        working.abort();
        keyring.lock();
        tracing::info!("stopped");
        Ok(())
    }
}
