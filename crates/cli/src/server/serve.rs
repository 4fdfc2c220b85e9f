//! `strongroom serve`: the server, until it is told to stop.

use std::error::Error as _;
use std::sync::Arc;

use clap::Args;
use strongroom_api::{Config, RunningServer, Server, StartError};
use strongroom_vault::{integrity, system};
use tokio::signal::unix::{Signal, SignalKind};
use tracing::level_filters::LevelFilter;

use crate::exit::Failure;
use crate::screen::say;
use crate::server::descriptors::fitted;
use crate::server::dev::DevArguments;
use crate::server::stop::{Stopping, hear};
use crate::server::telemetry::{self, Collector, Traces};
use crate::server::unlocker::HolderUnlocker;
use crate::server::{
    Machine, holder_path, logs, open_vault, parse_store, places, rejected, seal, with_holder,
};
use crate::settings::{LogFormat, ServeSettings, Settings, TelemetrySettings};

/// Runs the server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
    #[command(flatten)]
    telemetry: TelemetrySettings,
    #[command(flatten)]
    dev: DevArguments,
}

impl Serve {
    pub(crate) async fn run(self, file: &Settings) -> Result<(), Failure> {
        let settings = self.settings.or(&file.serve);
        let collector = Collector::of(&self.telemetry.or(&file.telemetry))?;
        settings.guard_memory()?;
        if self.dev.is_asked_for() {
            if collector.is_some() {
                return Err(Failure::usage("`--dev` sends no traces; leave `--otlp-endpoint` out"));
            }
            return self.dev.run(&settings).await;
        }
        let store = parse_store(settings.store.clone())?;
        let holder = holder_path(settings.holder.clone(), &store)?;
        let listen = settings.where_to_listen()?;
        let mut edge = settings.edge()?;
        let places = places::named(&settings.backup_place)?;
        let files = settings.place_for_files(&store)?;
        let largest_file = settings.largest_file_bytes()?;
        let scheme = if edge.tls.is_some() { "https" } else { "http" };
        let key = settings.seal_key_file.as_deref().map(seal::from_file).transpose()?;
        let traces = collector.as_ref().map(Collector::begin).transpose()?;
        let layer = traces.as_ref().map(Traces::layer);
        let _log = logs::begin(settings.log.unwrap_or(LogFormat::Text), LevelFilter::INFO, layer)?;
        edge.traces = traces.as_ref().map(|_| telemetry::exported());

        let (stopping, hang_up) = (Stopping::listen()?, hear(SignalKind::hangup())?);
        let machine = Machine::new();
        let (vault, holder, keyring) =
            open_vault(&store, &holder, &machine, traces.is_some()).await?;
        let _age = integrity::check_age(&vault)
            .await
            .map_err(|error| with_holder(rejected(&error), holder.path()))?;
        vault.name_backup_places(places);
        if let Some(files) = files {
            let blobs = files.open().map_err(|error| {
                let cause = error.source().map(ToString::to_string).unwrap_or_default();
                Failure::local(format!("cannot use `{files}` for files: {error}: {cause}"))
            })?;
            vault.keep_files(blobs, largest_file);
        }
        if let Some(key) = key {
            let unlocked = system::unlock(&vault, &key)
                .await
                .map_err(|error| with_holder(rejected(&error), holder.path()))?;
            tracing::info!(number = unlocked.number, "unlocked");
        }
        let unlocker = Arc::new(HolderUnlocker(holder.seal_method().clone()));
        let config = Config { listen, limits: fitted(settings.limits()) };
        let server = Server::start_at(config, edge, vault.clone(), unlocker, machine.rng.clone())
            .await
            .map_err(|error| start_failure(&error))?;
        let working = tokio::spawn({
            let vault = vault.clone();
            async move { vault.work().await }
        });
        let heads = tokio::spawn({
            let vault = vault.clone();
            async move { vault.keep_heads().await }
        });
        let locked = if keyring.is_locked() { ", locked" } else { "" };
        say(&format!("listening on {scheme}://{}{locked}", server.local_addr()));
        if let Some(admin) = server.admin_addr() {
            say(&format!("health and metrics on http://{admin}"));
        }

        until_stopped(&server, stopping, hang_up).await;
        tracing::info!("stopping");
        server.stop().await;
        working.abort();
        heads.abort();
        if let Err(error) = vault.write_heads().await {
            tracing::warn!(error = %error, "the head of the store could not be written");
        }
        keyring.lock();
        if let Some(traces) = traces {
            traces.end().await;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Waits for the signal to stop; SIGHUP reads the certificate anew meanwhile.
async fn until_stopped(server: &RunningServer, mut stopping: Stopping, mut hang_up: Signal) {
    loop {
        tokio::select! {
            () = stopping.asked_for() => return,
            _ = hang_up.recv() => server.reload_certificate(),
        }
    }
}

/// Why the server does not start, with what the system or the TLS library says about it.
fn start_failure(error: &StartError) -> Failure {
    match error.source() {
        Some(source) => Failure::local(format!("{error}: {source}")),
        None => Failure::local(error.to_string()),
    }
}
