//! `strongroom serve --dev`: a server for developing against, whose tokens are always the same and
//! which keeps nothing.

mod door;
mod seed;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use strongroom_api::{Config, Server};
use strongroom_client::{Client, Secret};
use strongroom_keyring::{Holder, HolderId, Keyring, MemoryHolder, SealMethod};
use strongroom_model::InstallId;
use strongroom_storage::{MemoryBlobs, StoreUrl};
use strongroom_vault::{Vault, system, tenants};
use tokio::net::TcpListener;
use tracing::level_filters::LevelFilter;

use self::door::Door;
use self::seed::Seed;
use crate::exit::Failure;
use crate::screen::{data, say};
use crate::server::seal::NewSeal;
use crate::server::stop::Stopping;
use crate::server::unlocker::HolderUnlocker;
use crate::server::{
    FIRST_HOLDER_CLASS, Machine, key_failure, logs, parse_store, rejected, vault_over, words,
};
use crate::settings::{LogFormat, ServeSettings};

/// For developers.
#[derive(Debug, Args)]
pub(super) struct DevArguments {
    /// For development only: nothing is kept, and everybody knows the tokens. Takes `--store
    /// memory:` and a loopback address, by default with a port that is free
    #[arg(long)]
    dev: bool,
    /// Begin with the tenants, collections and records in this JSON or TOML file
    #[arg(long, value_name = "FILE", requires = "dev")]
    seed: Option<PathBuf>,
}

impl DevArguments {
    /// Whether a development server is asked for.
    pub(super) const fn is_asked_for(&self) -> bool {
        self.dev
    }

    /// Serves until it is told to stop.
    pub(super) async fn run(self, settings: &ServeSettings) -> Result<(), Failure> {
        let listen = allowed(settings)?;
        let seed = self.seed.as_deref().map(Seed::read).transpose()?.unwrap_or_default();
        let _log = logs::begin(settings.log.unwrap_or(LogFormat::Text), LevelFilter::INFO, None)?;
        let mut stopping = Stopping::listen()?;
        let machine = Machine::new();
        let cannot = |error| Failure::local(format!("cannot listen on `{listen}`: {error}"));
        let outer = TcpListener::bind(listen).await.map_err(cannot)?;
        let address = outer.local_addr().map_err(cannot)?;
        let (vault, invitation) = make(&machine).await?;
        vault.keep_files(Arc::new(MemoryBlobs::default()), settings.largest_file_bytes()?);
        let unlocker = Arc::new(HolderUnlocker(SealMethod::KeyFile));
        let inner = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config { listen: inner, limits: settings.limits() };
        let server = Server::start(config, vault.clone(), unlocker, machine.rng.clone())
            .await
            .map_err(|error| Failure::local(format!("cannot listen on `{inner}`: {error}")))?;
        let working = tokio::spawn(async move { vault.work().await });

        let inner = server.local_addr();
        let client = Client::new(format!("http://{inner}").parse()?, None, machine.rng.clone())?;
        let world = world::fill(&client, &invitation, seed, &machine).await?;
        let door = tokio::spawn(Arc::new(Door::new(inner, world.tokens)?).serve(outer));
        say(BANNER);
        data(&world::shown(address, &world.tenants))?;
        say(&format!("listening on http://{address}"));

        stopping.asked_for().await;
        door.abort();
        server.stop().await;
        working.abort();
        Ok(())
    }
}

/// Whoever would put something real behind tokens that everybody knows is refused.
fn allowed(settings: &ServeSettings) -> Result<SocketAddr, Failure> {
    let ServeSettings {
        store,
        holder,
        listen,
        seal_key_file,
        behind_proxy,
        tls_cert,
        tls_key,
        admin_listen,
        host,
        trusted_proxy,
        backup_place,
        files,
        largest_file: _,
        no_rate_limits: _,
        allow_core_dumps: _,
        lock_memory: _,
        log: _,
    } = settings;
    let store = store.clone().unwrap_or_else(|| StoreUrl::Memory.to_string());
    if parse_store(Some(store.clone()))? != StoreUrl::Memory {
        return Err(Failure::usage(format!(
            "everybody knows the tokens of `--dev`, so it serves no store that is kept: `{}` is \
             refused; say `--store memory:`, or leave `--dev` out",
            StoreUrl::shown(&store)
        )));
    }
    if holder.is_some() || seal_key_file.is_some() {
        return Err(Failure::usage(
            "`--dev` makes keys of its own and forgets them; it takes no holder and no seal key file",
        ));
    }
    if !backup_place.is_empty() || files.is_some() {
        return Err(Failure::usage(
            "`--dev` keeps nothing; it takes no `--backup-place` and no `--files`",
        ));
    }
    let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if !listen.ip().is_loopback() || *behind_proxy || !trusted_proxy.is_empty() {
        return Err(Failure::usage(
            "everybody knows the tokens of `--dev`, so it listens on loopback addresses only, and not \
             behind a proxy",
        ));
    }
    if tls_cert.is_some() || tls_key.is_some() || admin_listen.is_some() || !host.is_empty() {
        return Err(Failure::usage(
            "`--dev` speaks plain HTTP on one address; it takes no `--tls-cert`, `--tls-key`, \
             `--admin-listen` or `--host`",
        ));
    }
    Ok(listen)
}

/// An installation in memory, unlocked, and the first operator's invitation.
async fn make(machine: &Machine) -> Result<(Arc<Vault>, Secret), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::local(error.to_string());
    let store = strongroom_storage::create(&StoreUrl::Memory).map_err(|error| failed(&error))?;
    let seal = NewSeal::generate(None, &*machine.rng)?;
    let install = InstallId::new(machine.clock.now(), &*machine.rng)?;
    let mut id = [0; 16];
    machine.rng.fill(&mut id)?;
    let holder: Arc<dyn Holder> =
        Arc::new(MemoryHolder::new(HolderId(id), install, FIRST_HOLDER_CLASS));
    let (clock, rng) = (machine.clock.clone(), machine.rng.clone());
    Keyring::create(store.clone(), vec![holder.clone()], &seal.key, install, clock, rng)
        .await
        .map_err(|error| key_failure(&error))?;
    let (vault, _) = vault_over(store, holder, Vec::new(), machine).await?;
    system::unlock(&vault, &seal.key).await.map_err(|error| rejected(&error))?;
    let operator = tenants::Owner { name: "Dev Operator".parse().map_err(words)?, email: None };
    let invitation = system::plant(&vault, operator).await.map_err(|error| failed(&error))?;
    Ok((vault, Secret::new(invitation.token.expose().clone())))
}

const BANNER: &str = "\
==========================================================================
 STRONGROOM FOR DEVELOPMENT: NOT FOR REAL DATA
 Everybody knows these tokens, every program on this machine can use them,
 and everything is gone when this ends. Never put a real person's data in.
==========================================================================";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_on_loopback_is_allowed() {
        let plain = ServeSettings::default;
        assert!(allowed(&plain()).is_ok());
        assert_eq!(allowed(&plain()).unwrap().port(), 0);
        let named = ServeSettings { store: Some("memory:".to_owned()), ..plain() };
        assert!(allowed(&named).is_ok());
        let listening = ServeSettings { listen: "[::1]:0".parse().ok(), ..plain() };
        assert!(allowed(&listening).is_ok());
        for refused in [
            ServeSettings { store: Some("redb:a".to_owned()), ..plain() },
            ServeSettings { store: Some("sled:a".to_owned()), ..plain() },
            ServeSettings { listen: "0.0.0.0:0".parse().ok(), ..plain() },
            ServeSettings { listen: "[::]:0".parse().ok(), ..plain() },
            ServeSettings { listen: "192.0.2.1:0".parse().ok(), ..plain() },
            ServeSettings { behind_proxy: true, ..plain() },
            ServeSettings { trusted_proxy: vec!["127.0.0.1".to_owned()], ..plain() },
            ServeSettings { tls_cert: Some("a".into()), ..plain() },
            ServeSettings { tls_key: Some("a".into()), ..plain() },
            ServeSettings { admin_listen: "127.0.0.1:0".parse().ok(), ..plain() },
            ServeSettings { host: vec!["a".to_owned()], ..plain() },
            ServeSettings { holder: Some("a".into()), ..plain() },
            ServeSettings { seal_key_file: Some("a".into()), ..plain() },
        ] {
            assert!(allowed(&refused).is_err(), "{refused:?}");
        }
    }
}
