//! Strongroom as `strongroom serve` runs it: redb with fsync, the audit log, a file holder, the log
//! of requests on standard error.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_api::{Config, Limits, LogLines, SealProof, UnlockError, Unlocker};
use strongroom_crypto::{Key, SystemRng, seal_key};
use strongroom_keyring::{FileHolder, Grade, Holder, Keyring, SealMethod};
use strongroom_model::{Clock, InstallId, Plaintext, Rng};
use strongroom_storage::{Store, StoreUrl};
use strongroom_vault::{SystemClock, Vault, system, tenants};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{input_ended, say_ready};
use crate::Failure;
use crate::time::Start;

/// In the server's folder: the store.
pub(crate) const STORE_FOLDER: &str = "store";
/// In the server's folder: the first operator's invitation, as long as nobody has redeemed it.
pub(crate) const INVITATION_FILE: &str = "invitation";
const HOLDER_FILE: &str = "holder";
const KEY_FILE: &str = "seal-key";

/// Nobody unlocks over HTTP here.
struct Never;

#[async_trait]
impl Unlocker for Never {
    async fn unlock(&self, _: &Vault, _: SealProof<'_>) -> Result<(), UnlockError> {
        Err(UnlockError::WrongKey)
    }
}

/// Opens what is in the folder, or makes it, unlocks it and serves. When it is ready it says how
/// many milliseconds opening and unlocking took.
///
/// # Errors
/// If it does not come up.
pub(super) async fn serve(folder: &Path) -> Result<(), Failure> {
    let _log = begin_log()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let made = folder.join(HOLDER_FILE).exists();
    if !made {
        make(folder, &clock, &rng).await?;
    }
    let begun = Start::now();
    let store = open(folder).await?;
    let holder: Arc<dyn Holder> = Arc::new(FileHolder::open(&folder.join(HOLDER_FILE), None)?);
    let keyring = Keyring::open(store.clone(), vec![holder], clock.clone(), rng.clone()).await?;
    let keyring = Arc::new(keyring);
    let vault = Arc::new(Vault::new(store, keyring.clone(), clock, rng.clone()));
    let opened_in = begun.elapsed();
    let begun = Start::now();
    let text = Plaintext::new(std::fs::read_to_string(folder.join(KEY_FILE))?);
    system::unlock(&vault, &seal_key::parse_file(text.expose())?).await?;
    let unlocked_in = begun.elapsed();
    if !made {
        let operator = tenants::Owner { name: "Operator".parse()?, email: None };
        let invitation = system::plant(&vault, operator).await?;
        std::fs::write(folder.join(INVITATION_FILE), invitation.token.expose())?;
    }
    // One key asks for everything here, so that the bounds on how often somebody may ask are off.
    let limits = Limits { rates: None, ..Limits::default() };
    let config = Config { listen: ([127, 0, 0, 1], 0).into(), limits };
    let server = strongroom_api::Server::start(config, vault.clone(), Arc::new(Never), rng).await?;
    let working = tokio::spawn(async move { vault.work().await });
    let milliseconds = |it: std::time::Duration| it.as_secs_f64() * 1e3;
    let remarks = format!("{:.1} {:.1}", milliseconds(opened_in), milliseconds(unlocked_in));
    say_ready(server.local_addr(), &remarks);

    input_ended().await;
    server.stop().await;
    working.abort();
    keyring.lock();
    Ok(())
}

async fn open(folder: &Path) -> Result<Arc<dyn Store>, Failure> {
    let url = StoreUrl::Redb(folder.join(STORE_FOLDER));
    Ok(tokio::task::spawn_blocking(move || strongroom_storage::open(&url)).await??)
}

async fn make(folder: &Path, clock: &Arc<dyn Clock>, rng: &Arc<dyn Rng>) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let url = StoreUrl::Redb(folder.join(STORE_FOLDER));
    let store = tokio::task::spawn_blocking(move || strongroom_storage::create(&url)).await??;
    let install = InstallId::new(clock.now(), &**rng)?;
    let path = folder.join(HOLDER_FILE);
    let holder =
        FileHolder::create(&path, install, 1, Grade::Logical, SealMethod::KeyFile, &**rng)?;
    let seal = Key::generate(&**rng)?;
    std::fs::write(folder.join(KEY_FILE), seal_key::write_file(&seal).expose())?;
    let holders: Vec<Arc<dyn Holder>> = vec![Arc::new(holder)];
    Keyring::create(store, holders, &seal, install, clock.clone(), rng.clone()).await?;
    Ok(())
}

/// As the command line does it: our own events from `info` on, as text, on standard error.
fn begin_log() -> Result<LogLines, Failure> {
    let own = ["strongroom_api", "strongroom_vault", "strongroom_keyring", "strongroom_storage"];
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_targets(own.map(|room| (room, LevelFilter::INFO)));
    let lines = LogLines::begin(std::io::stderr())?;
    let (queued, urgent) = (lines.writer(), lines.urgent());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(
            (move || urgent.clone()).with_max_level(Level::ERROR).or_else(move || queued.clone()),
        )
        .with_ansi(false)
        .with_target(false);
    // The only error is that a log has been set up already.
    drop(tracing_subscriber::registry().with(layer.with_filter(targets)).try_init());
    Ok(lines)
}
