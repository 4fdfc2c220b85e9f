//! `strongroom demo`: a server with made-up people, and lines to try it with.

mod people;
mod script;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use strongroom_api::{Config, Limits, RunningServer, Server};
use strongroom_client::{Client, Secret};
use strongroom_keyring::SealMethod;
use strongroom_model::Rng;
use strongroom_storage::{BlobUrl, StoreUrl};
use strongroom_vault::files::LARGEST_FILE_DEFAULT;
use strongroom_vault::{Vault, tenants};
use tracing::level_filters::LevelFilter;

use crate::exit::Failure;
use crate::screen::{data, say};
use crate::server::seal::NewSeal;
use crate::server::stop::Stopping;
use crate::server::unlocker::HolderUnlocker;
use crate::server::{Machine, init, logs, parse_store, quoted_url, words};
use crate::settings::{LogFormat, ServeSettings};

/// Where the demonstration listens if that port is free.
const USUAL_PORT: u16 = 7800;

/// Runs a demonstration.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the store in this new folder
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Make the store in this empty database, `postgres://USER@HOST/DATABASE`, where it stays
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Listen on this port [default: 7800, or another one if it is taken]
    #[arg(long)]
    port: Option<u16>,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let _log = logs::begin(LogFormat::Text, LevelFilter::WARN, None)?;
        let mut stopping = Stopping::listen()?;
        let machine = Machine::new();
        let folder = Folder::new(self.keep, &*machine.rng)?;
        let store = match self.store {
            Some(text) => parse_store(Some(text))?,
            None => StoreUrl::Redb(folder.path.join("store")),
        };
        let seal = NewSeal::generate(Some(folder.path.join("seal-key")), &*machine.rng)?;
        let operator =
            tenants::Owner { name: "Demo Operator".parse().map_err(words)?, email: None };
        let (vault, invitation) =
            init::make(&store, &folder.path.join("holder"), &seal, operator, &machine).await?;
        let files = ServeSettings::default().place_for_files(&store)?;
        let files = files.unwrap_or_else(|| BlobUrl::Folder(folder.path.join("files")));
        let blobs = files.open().map_err(|error| Failure::local(error.to_string()))?;
        vault.keep_files(blobs, LARGEST_FILE_DEFAULT);
        let server = listen(self.port, &vault, &machine).await?;
        let working = tokio::spawn({
            let vault = vault.clone();
            async move { vault.work().await }
        });

        let address = format!("http://{}", server.local_addr());
        let client = Client::new(address.parse()?, None, machine.rng.clone())?;
        let invitation = Secret::new(invitation.token.expose().clone());
        let world = world::fill(&client, &invitation, &machine).await?;
        world.write_tokens(&folder.path)?;
        data(&script::lines(&address, &folder.path, &world, &*machine.rng)?)?;
        say(&if folder.is_kept {
            format!(
                "kept in `{0}`; later: strongroom serve --store {1} --holder {0}/holder \
                 --seal-key-file {0}/seal-key",
                folder.path.display(),
                quoted_url(&store)
            )
        } else if store.path().is_some() {
            "everything is gone when this ends".to_owned()
        } else {
            "the keys are gone when this ends: what stays in the database can never be read again"
                .to_owned()
        });
        say("serving until Ctrl-C");

        stopping.asked_for().await;
        server.stop().await;
        working.abort();
        Ok(())
    }
}

/// Listens on the port that was named, else on the usual one or, if that is taken, on any.
async fn listen(
    port: Option<u16>,
    vault: &Arc<Vault>,
    machine: &Machine,
) -> Result<RunningServer, Failure> {
    let ports = port.map_or_else(|| vec![USUAL_PORT, 0], |port| vec![port]);
    let mut last = None;
    for port in ports {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let unlocker = Arc::new(HolderUnlocker(SealMethod::KeyFile));
        let config = Config { listen, limits: Limits::default() };
        match Server::start(config, vault.clone(), unlocker, machine.rng.clone()).await {
            Ok(server) => return Ok(server),
            Err(error) => {
                last = Some(Failure::local(format!("cannot listen on `{listen}`: {error}")));
            }
        }
    }
    Err(last.unwrap_or_else(|| Failure::local("no port to listen on")))
}

/// The demonstration's folder, which goes away with it unless it is to be kept.
struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    fn new(keep: Option<PathBuf>, rng: &dyn Rng) -> Result<Self, Failure> {
        let is_kept = keep.is_some();
        let path = if let Some(path) = keep {
            path
        } else {
            let mut name = [0; 16];
            rng.fill(&mut name)?;
            let name = data_encoding::HEXLOWER.encode(&name);
            std::env::temp_dir().join(format!("strongroom-demo-{name}"))
        };
        std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                Failure::local(format!("`{}` exists; name a new folder", path.display()))
            } else {
                Failure::file(&path, &error)
            }
        })?;
        let path = absolute(&path);
        Ok(Self { path, is_kept })
    }
}

/// The folder as it is found from everywhere, because lines are pasted elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
