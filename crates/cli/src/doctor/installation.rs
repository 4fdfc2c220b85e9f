//! The store, the holder and the seal key: there, whole, for the right eyes, and in the right places.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_keyring::{
    FileHolder, FileHolderError, Grade, Holder, HolderError, Holding, Keyring,
};
use strongroom_model::{Clock, InstallId, Timestamp};
use strongroom_storage::{DatabaseProblem, OpenError, Store, StoreUrl, keyspace};
use strongroom_vault::SystemClock;
use strongroom_vault::integrity::{self, Age, Rejected};

use crate::findings::{Finding, State, quoted};
use crate::server::head_file::HeadFile;
use crate::server::{FORMAT_FILE, HOLDER_FILE, seal};
use crate::settings::ServeSettings;

/// That file is one short line; more is not read.
const FORMAT_BYTES_MAX: u64 = 256;
/// A clock that is set anew may be so far behind for a moment.
const CLOCK_BEHIND_WARN: Duration = Duration::from_secs(1);
/// A clock that is so far behind is wrong.
const CLOCK_BEHIND_FAIL: Duration = Duration::from_hours(1);

/// What other checks want to know of the installation.
#[derive(Default)]
pub(super) struct Installation {
    /// Whether a process has the store open.
    pub(super) is_in_use: bool,
    /// Whether the store is there and nobody has it open.
    pub(super) is_at_rest: bool,
    /// Whose holder it is.
    pub(super) install: Option<InstallId>,
}

/// Looks at what `strongroom serve` would use.
pub(super) async fn look(settings: &ServeSettings) -> (Vec<Finding>, Installation) {
    let mut installation = Installation::default();
    let Some(named) = &settings.store else {
        let finding = Finding::warn("store", "no store is named: nothing is said about one")
            .mend("strongroom doctor --store redb:FOLDER");
        return (vec![finding], installation);
    };
    // The settings' own check has said so.
    let Ok(url) = StoreUrl::parse(named) else { return (Vec::new(), installation) };
    let folder = url.path().map(Path::to_owned);
    let (mut found, opened) = match (&url, &folder) {
        (StoreUrl::Postgres(_), _) => database(url, &mut installation).await,
        (_, Some(folder)) => store(url, folder, &mut installation).await,
        (_, None) => {
            let finding = Finding::fail("store", "a `memory:` store keeps nothing")
                .mend("strongroom init --store redb:FOLDER");
            return (vec![finding], installation);
        }
    };
    let beside = folder.as_ref().map(|folder| folder.join(HOLDER_FILE));
    found.extend(match settings.holder.clone().or(beside) {
        Some(path) => holder(&path, folder.as_deref(), opened.as_deref(), &mut installation).await,
        None => vec![
            Finding::fail("holder", "a database has no folder for the holder")
                .mend("name the holder's file with `--holder`"),
        ],
    });
    found.push(seal_key(settings.seal_key_file.as_deref(), folder.as_deref()));
    found.extend(settings.tls_key.as_deref().map(tls_key));
    if let Some(store) = &opened {
        found.push(time(&**store).await);
    }
    if installation.is_in_use || installation.is_at_rest {
        found.push(second_home());
    }
    (found, installation)
}

/// Opens a store in a database as the server would.
async fn database(
    url: StoreUrl,
    installation: &mut Installation,
) -> (Vec<Finding>, Option<Arc<dyn Store>>) {
    const CHECK: &str = "store";
    let shown = url.to_string();
    let opened = tokio::task::spawn_blocking(move || strongroom_storage::open(&url)).await;
    let (finding, opened) = match opened {
        Ok(Ok(store)) => {
            installation.is_at_rest = true;
            (Finding::ok(CHECK, format!("`{shown}` opens")), Some(store))
        }
        Ok(Err(OpenError::Database { problem: DatabaseProblem::InUse, .. })) => {
            installation.is_in_use = true;
            let why = format!("`{shown}` is in use by a running server, so its rows are not read");
            (Finding::ok(CHECK, why), None)
        }
        Ok(Err(error)) => (Finding::fail(CHECK, error.to_string()), None),
        Err(_) => (Finding::fail(CHECK, "opening it was cut short"), None),
    };
    (vec![finding], opened)
}

/// Opens the store as the server would, unless that could leave files behind which the server's
/// user may not use.
async fn store(
    url: StoreUrl,
    folder: &Path,
    installation: &mut Installation,
) -> (Vec<Finding>, Option<Arc<dyn Store>>) {
    const CHECK: &str = "store";
    let shown = folder.display();
    if let Some(owner) = stranger(folder) {
        let why = format!("`{shown}` belongs to user {owner}, so it is not opened by another one");
        let finding =
            Finding::warn(CHECK, why).mend(format!("sudo -u '#{owner}' strongroom doctor"));
        return (vec![finding], None);
    }
    let named = url.to_string();
    let engine = named.split(':').next().unwrap_or_default();
    let opened = tokio::task::spawn_blocking(move || strongroom_storage::open(&url)).await;
    let Ok(opened) = opened else {
        return (vec![Finding::fail(CHECK, "opening it was cut short")], None);
    };
    match opened {
        Ok(store) => {
            installation.is_at_rest = true;
            (vec![Finding::ok(CHECK, format!("`{shown}` opens")), format(folder)], Some(store))
        }
        Err(OpenError::InUse(_)) => {
            installation.is_in_use = true;
            let why = format!("`{shown}` is in use by a running server, so its rows are not read");
            (vec![Finding::ok(CHECK, why), format(folder)], None)
        }
        Err(error) => (vec![unopened(engine, folder, &error)], None),
    }
}

fn unopened(engine: &str, folder: &Path, error: &OpenError) -> Finding {
    let why = error.to_string();
    let place = quoted(folder);
    match error {
        OpenError::Version { .. } => Finding::fail("store_format", why)
            .mend("run the version of the program that wrote the store"),
        OpenError::Engine { found, .. } => {
            Finding::fail("store_format", why).mend(format!("--store {found}:{place}"))
        }
        OpenError::Missing(_) => {
            Finding::fail("store", why).mend(format!("strongroom init --store {engine}:{place}"))
        }
        OpenError::Unreadable { .. } => {
            Finding::fail("store", why).mend(format!("ls -ld {place}; df {place}"))
        }
        OpenError::Foreign(_) | OpenError::Occupied(_) => {
            Finding::fail("store", why).mend("name the store's own folder with `--store`")
        }
        OpenError::Damaged { .. } => Finding::fail("store", why)
            .mend(format!("copy {place} before anything else, and do not start the server on it")),
        OpenError::Url(_)
        | OpenError::PostgresUrl(_)
        | OpenError::NotKept
        | OpenError::InUse(_)
        | OpenError::TooLarge { .. }
        | OpenError::Database { .. } => Finding::fail("store", why),
    }
}

/// The owner, if that is somebody else than the one who runs this.
fn stranger(folder: &Path) -> Option<u32> {
    let owner = std::fs::metadata(folder).ok()?.uid();
    let me = rustix::process::geteuid().as_raw();
    (owner != me).then_some(owner)
}

/// The format, which opening has found to be one that this program knows.
fn format(folder: &Path) -> Finding {
    const CHECK: &str = "store_format";
    let mut text = String::new();
    let read = std::fs::File::open(folder.join(FORMAT_FILE))
        .and_then(|file| file.take(FORMAT_BYTES_MAX).read_to_string(&mut text));
    match (read, text.split_whitespace().collect::<Vec<_>>().as_slice()) {
        (Ok(_), ["strongroom", "store", version, engine]) => {
            Finding::ok(CHECK, format!("format {version} of the engine `{engine}`"))
        }
        (Ok(_), _) => Finding::fail(CHECK, "the file `FORMAT` is not one of Strongroom"),
        (Err(error), _) => Finding::fail(CHECK, format!("the file `FORMAT`: {error}")),
    }
}

/// The file that keeps the share: whose, where, and how well it forgets.
async fn holder(
    path: &Path,
    store: Option<&Path>,
    opened: Option<&dyn Store>,
    installation: &mut Installation,
) -> Vec<Finding> {
    const CHECK: &str = "holder";
    let file = match FileHolder::open(path, None) {
        Ok(file) => file,
        Err(error) => return vec![without_holder(path, &error)],
    };
    let install = file.installation();
    installation.install = Some(install);
    let shown = path.display();
    let wanted = match opened {
        Some(store) => Keyring::installation(store).await,
        None => Ok(install),
    };
    let whose = match wanted {
        Ok(wanted) if wanted == install => {
            Finding::ok(CHECK, format!("`{shown}` is there, for its owner alone"))
        }
        Ok(wanted) => Finding::fail(
            CHECK,
            format!("`{shown}` belongs to installation {install}, the store to {wanted}"),
        )
        .mend("name the store's own holder with `--holder`"),
        Err(error) => {
            Finding::fail(CHECK, format!("whether `{shown}` belongs to the store: {error}"))
        }
    };
    let head = match (whose.state, opened) {
        (State::Ok, Some(store)) => Some(head(path, store, install).await),
        (State::Ok | State::Warn | State::Fail, _) => None,
    };
    let mut found = vec![whose];
    found.extend(head);
    found.extend(store.map(|store| place(path, store)));
    found.push(grade(file.grade()));
    found.extend(shares(path, file.list().await));
    found
}

/// Whether the store is as new as its head beside the holder has seen it.
async fn head(holder: &Path, store: &dyn Store, install: InstallId) -> Finding {
    const CHECK: &str = "head";
    let file = HeadFile::beside(holder);
    let shown = file.path().display().to_string();
    let place = quoted(file.path());
    let accept = "or go on with this store: strongroom accept-older-store";
    match integrity::age(store, install, &[Arc::new(file)]).await {
        Ok(Age { store: 0, .. }) => {
            Finding::ok(CHECK, "the store was never unlocked, so that there is nothing to compare")
        }
        Ok(Age { store, head: Some(head) }) if head < store => {
            let why = format!(
                "`{shown}` is {} groups of commits behind the store: the server did not end by itself. \
                 What came after it is not compared with anything",
                store - head
            );
            Finding::warn(CHECK, why).mend("strongroom verify; the next unlocking writes it anew")
        }
        Ok(_) => Finding::ok(CHECK, format!("`{shown}` has seen the store as it is")),
        Err(Rejected::OlderCopy) => {
            let why = format!("the store is an older copy: `{shown}` has seen a later one");
            Finding::fail(CHECK, why).mend(format!("bring the newest store, {accept}"))
        }
        Err(Rejected::NoHead) => {
            let why = format!("`{shown}` is missing: the server does not start");
            Finding::fail(CHECK, why).mend(format!("bring it back to {place}, {accept}"))
        }
        Err(Rejected::HeadDamaged) => {
            let why = format!("`{shown}` is damaged: the server does not start");
            Finding::fail(CHECK, why).mend(format!("bring an intact copy to {place}, {accept}"))
        }
        Err(Rejected::HeadOfAnother) => {
            let why =
                format!("`{shown}` belongs to another installation: the server does not start");
            Finding::fail(CHECK, why).mend(format!("bring the right one to {place}, {accept}"))
        }
        Err(error @ (Rejected::Damaged(_) | Rejected::Store(_) | Rejected::Keys(_))) => {
            Finding::fail(CHECK, error.to_string())
        }
    }
}

/// Whether what the holder keeps can be read.
fn shares(path: &Path, holding: Result<Holding, HolderError>) -> Option<Finding> {
    const CHECK: &str = "holder_shares";
    let shown = path.display();
    match holding {
        Ok(holding) if holding.damaged == 0 => None,
        Ok(holding) if holding.shares.is_empty() => {
            let why = format!("`{shown}` is damaged: no share in it can be read");
            Some(Finding::fail(CHECK, why).mend("keep the file, and bring an intact copy of it"))
        }
        Ok(_) => {
            let why = format!("a place in `{shown}` is damaged, and a share can still be read");
            Some(Finding::warn(CHECK, why).mend("the next unlocking writes the place anew"))
        }
        Err(error) => Some(Finding::fail(CHECK, format!("`{shown}`: {error}"))),
    }
}

fn without_holder(path: &Path, error: &FileHolderError) -> Finding {
    let why = error.to_string();
    match error {
        FileHolderError::Exposed(_) => {
            Finding::fail("holder", why).mend(format!("chmod 600 {}", quoted(path)))
        }
        FileHolderError::Missing(_) | FileHolderError::Foreign(_) => {
            Finding::fail("holder", why).mend("name the holder's file with `--holder`")
        }
        FileHolderError::Version { .. } => {
            Finding::fail("holder", why).mend("run the version of the program that wrote it")
        }
        FileHolderError::Unreadable { .. } => {
            Finding::fail("holder", why).mend(format!("ls -l {}", quoted(path)))
        }
        FileHolderError::Exists(_)
        | FileHolderError::OtherInstallation { .. }
        | FileHolderError::Damaged { .. }
        | FileHolderError::NoRandomness => Finding::fail("holder", why),
    }
}

/// A copy that holds store and holder can be read after an erasure too.
fn place(holder: &Path, store: &Path) -> Finding {
    const CHECK: &str = "holder_place";
    let move_it = || {
        format!(
            "with the server stopped: cp -p {0} /OTHER/MEDIUM/holder && shred -u {0} && mv {1} \
             /OTHER/MEDIUM/holder.head, then `--holder /OTHER/MEDIUM/holder`",
            quoted(holder),
            quoted(HeadFile::beside(holder).path())
        )
    };
    if is_within(holder, store) {
        let why = "the holder lies in the store's folder: a copy of the folder is a copy of both, and \
                   an erasure does not reach copies";
        return Finding::warn(CHECK, why).mend(move_it());
    }
    let device = |path: &Path| std::fs::metadata(path).ok().as_ref().map(Metadata::dev);
    if device(holder).is_some() && device(holder) == device(store) {
        let why = "the holder lies on the store's file system: a snapshot or an image of it is a copy \
                   of both, and an erasure does not reach copies";
        return Finding::warn(CHECK, why).mend(move_it());
    }
    Finding::ok(CHECK, "the holder lies on another file system than the store")
}

fn is_within(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| -> io::Result<PathBuf> { path.canonicalize() };
    match (real(path), real(folder)) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => path.starts_with(folder),
    }
}

fn grade(grade: Grade) -> Finding {
    let why = match grade {
        Grade::Logical => {
            "logical: what it forgets is gone for who reads the file, and its medium may keep old \
             contents; receipts say so"
        }
        Grade::Delayed => "delayed: what it forgets is gone at a later date; receipts name it",
        Grade::Overwritten => "overwritten: what it forgets is written over on its own device",
        Grade::Hardware => "hardware: it keeps no old contents",
    };
    Finding::ok("holder_grade", why)
}

fn seal_key(path: Option<&Path>, store: Option<&Path>) -> Finding {
    const CHECK: &str = "seal_key_file";
    let Some(path) = path else {
        return Finding::ok(CHECK, "none is named: the server starts locked");
    };
    let shown = path.display();
    let facts = match std::fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) => {
            return Finding::fail(CHECK, format!("`{shown}`: {error}"))
                .mend("name the seal key's file with `--seal-key-file`");
        }
    };
    let mode = facts.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("others may use `{shown}`: its mode is {mode:03o}");
        return Finding::fail(CHECK, why).mend(format!("chmod 600 {}", quoted(path)));
    }
    if let Err(failure) = seal::from_file(path) {
        return Finding::fail(CHECK, failure.message)
            .mend("name the seal key's file with `--seal-key-file`");
    }
    if store.is_some_and(|store| is_within(path, store)) {
        let why = "the seal key lies in the store's folder: a copy of the folder holds the key too";
        return Finding::warn(CHECK, why).mend(format!(
            "mv {} /ANOTHER/PLACE/seal-key, then `--seal-key-file /ANOTHER/PLACE/seal-key`",
            quoted(path)
        ));
    }
    Finding::ok(CHECK, format!("`{shown}` holds a seal key, for its owner alone"))
}

/// The server itself does not look at who else may read the key.
fn tls_key(path: &Path) -> Finding {
    const CHECK: &str = "tls_key";
    let shown = path.display();
    match std::fs::metadata(path).map(|facts| facts.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o077 != 0 => {
            let why = format!("others may use `{shown}`: its mode is {mode:03o}");
            Finding::fail(CHECK, why).mend(format!("chmod 600 {}", quoted(path)))
        }
        Ok(_) => Finding::ok(CHECK, format!("`{shown}` is there, for its owner alone")),
        Err(error) => Finding::fail(CHECK, format!("`{shown}`: {error}"))
            .mend("name the key's file with `--tls-key`"),
    }
}

/// The machine's clock against the latest time that the server has seen.
async fn time(store: &dyn Store) -> Finding {
    let row = match store.get_many(&[keyspace::clock()]).await {
        Ok(rows) => rows.into_iter().flatten().next(),
        Err(error) => return Finding::fail("clock", error.to_string()),
    };
    let Some(row) = row else {
        return Finding::ok("clock", "the server has not stored a time yet");
    };
    match <[u8; 8]>::try_from(&*row.value) {
        Ok(micros) => {
            let mark = Timestamp::from_micros(i64::from_be_bytes(micros));
            clock(SystemClock::new().now(), mark)
        }
        Err(_) => Finding::fail("clock", "the time that the server has stored is damaged"),
    }
}

fn clock(now: Timestamp, mark: Timestamp) -> Finding {
    const CHECK: &str = "clock";
    let behind = mark.as_micros().saturating_sub(now.as_micros());
    let behind = Duration::from_micros(u64::try_from(behind).unwrap_or(0));
    let why = || {
        format!(
            "the machine's clock is {} seconds behind {mark}, the latest time that the server has \
             seen; for the server, time does not go back",
            behind.as_secs()
        )
    };
    if behind >= CLOCK_BEHIND_FAIL {
        Finding::fail(CHECK, why()).mend("timedatectl set-ntp true; timedatectl status")
    } else if behind >= CLOCK_BEHIND_WARN {
        Finding::warn(CHECK, why()).mend("timedatectl status")
    } else {
        Finding::ok(CHECK, format!("not behind {mark}, the latest time that the server has seen"))
    }
}

/// This version keeps the key state in the store alone, and one holder of one class.
fn second_home() -> Finding {
    let why = "the key state and the holder have no second home: losing all replicas of the key state \
               or of a holder class loses everything";
    Finding::warn("second_home", why).mend(
        "keep the store and the holder each on mirrored disks (RAID 1); this version keeps no \
         replicas itself",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::State;

    fn check(behind_seconds: i64) -> State {
        let mark = Timestamp::from_micros(1_800_000_000_000_000);
        clock(mark.plus_seconds(-behind_seconds), mark).state
    }

    #[test]
    fn a_clock_is_wrong_when_it_is_behind_the_mark_and_not_when_it_is_ahead() {
        assert_eq!(check(0), State::Ok);
        assert_eq!(check(-90 * 24 * 3600), State::Ok, "the server was switched off");
        assert_eq!(check(2), State::Warn);
        assert_eq!(check(3600), State::Fail);
        let far = clock(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        assert_eq!(far.state, State::Fail);
    }

    #[test]
    fn a_link_into_the_stores_folder_is_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        std::fs::create_dir(&store).unwrap();
        std::fs::write(store.join("holder"), "").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(store.join("holder"), &link).unwrap();
        assert!(place(&link, &store).why.contains("in the store's folder"));
        std::fs::write(folder.path().join("beside"), "").unwrap();
        let beside = place(&folder.path().join("beside"), &store);
        assert!(beside.state == State::Warn && beside.why.contains("file system"));
    }
}
