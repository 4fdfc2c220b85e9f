//! Strongroom itself: the program that users run, in an installation of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failure;
use crate::process::Server;

/// The program's file name, beside this one.
const NAME: &str = "strongroom";
/// Names the engine of its store to these benchmarks, as in a store's URL.
const ENGINE: &str = "STRONGROOM_BENCH_ENGINE";
/// The engine if none is named.
const DEFAULT_ENGINE: &str = "redb";
/// How its log tells that it listens.
const LISTENING: &str = "listening on http://";

/// A store, a holder and a seal key in a folder.
pub(crate) struct Installation {
    folder: PathBuf,
    engine: OsString,
}

impl Installation {
    /// Makes one in a new folder with `strongroom init`.
    ///
    /// # Errors
    /// If the program is not there, or refuses.
    pub(crate) fn make(within: &Path) -> Result<Self, Failure> {
        let engine = std::env::var_os(ENGINE).unwrap_or_else(|| DEFAULT_ENGINE.into());
        Self::make_of(within, engine)
    }

    /// As [`Installation::make`], with a store of this engine.
    ///
    /// # Errors
    /// As [`Installation::make`].
    pub(crate) fn make_of(within: &Path, engine: OsString) -> Result<Self, Failure> {
        let made = Self { folder: within.join(NAME), engine };
        std::fs::create_dir(&made.folder)?;
        let mut init = made.command("init")?;
        init.arg("--invitation-file").arg(made.folder.join("invitation"));
        let done = init.stdout(Stdio::null()).output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(format!("`strongroom init` ended with {}: {said}", done.status).into());
        }
        Ok(made)
    }

    /// Serves it, unlocked. One key asks for everything here, so that the bounds on how often
    /// somebody may ask are off; everything else is as it comes.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn serve(&self) -> Result<Server, Failure> {
        self.serve_with(&[])
    }

    /// The same, told more.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn serve_with(&self, flags: &[&str]) -> Result<Server, Failure> {
        let mut serve = self.command("serve")?;
        serve.args(flags);
        serve.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        serve.arg("--no-rate-limits");
        Server::start_by_log(serve, &self.folder.join("log"), LISTENING)
    }

    /// The first operator's invitation.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn invitation(&self) -> Result<String, Failure> {
        Ok(std::fs::read_to_string(self.folder.join("invitation"))?.trim().to_owned())
    }

    /// Where another server beside it may write its log.
    pub(crate) fn log_of(&self, other: &str) -> PathBuf {
        self.folder.join(format!("{other}.log"))
    }

    /// The folder of the store, for when nobody serves it.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The same as a URL.
    pub(crate) fn store_url(&self) -> String {
        format!("{}:{}", self.engine.display(), self.store().display())
    }

    /// A command on the store, whose server does not run.
    ///
    /// # Errors
    /// If the program is not there.
    pub(crate) fn at_rest(&self, verb: &str, flags: &[&str]) -> Result<Command, Failure> {
        let mut command = self.command(verb)?;
        command.args(flags);
        Ok(command)
    }

    fn command(&self, verb: &str) -> Result<Command, Failure> {
        let own = std::env::current_exe()?;
        let program = own.parent().ok_or("a program without a folder")?.join(NAME);
        if !program.is_file() {
            let program = program.display();
            return Err(format!("`{program}` is not built; `cargo xtask bench` builds it").into());
        }
        let mut command = Command::new(program);
        // Nothing of the tester's own settings.
        command.env_clear().current_dir(&self.folder).stdin(Stdio::null()).arg(verb);
        command.arg("--store").arg(self.store_url());
        command.arg("--holder").arg(self.folder.join("holder"));
        command.arg("--seal-key-file").arg(self.folder.join("seal.key"));
        Ok(command)
    }
}
