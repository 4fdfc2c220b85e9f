//! A PostgreSQL cluster of a test's own, and what its statements come to.

#[path = "../../../../tests/src/cluster.rs"]
mod cluster;

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use crate::harness::{Ran, finish};

/// It is thrown away, so nothing need survive a power cut.
const SETTINGS: &str = "fsync = off";

/// A running cluster.
pub struct Cluster(cluster::Cluster);

impl Deref for Cluster {
    type Target = cluster::Cluster;

    fn deref(&self) -> &cluster::Cluster {
        &self.0
    }
}

impl Cluster {
    /// Makes one and starts it.
    pub fn start() -> Self {
        Self(cluster::Cluster::start_with(SETTINGS))
    }

    /// One on which a store may rest: what it has acknowledged survives a power cut.
    pub fn start_durable() -> Self {
        Self(cluster::Cluster::start_with(""))
    }

    /// Runs statements; what they give comes without alignment.
    pub fn sql(&self, statements: &str) -> Ran {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).envs(self.variables());
        finish(&mut command, statements)
    }

    /// Runs a file of statements.
    pub fn file(&self, path: &Path) -> Ran {
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-f"]).arg(path).envs(self.variables());
        finish(&mut command, "")
    }
}
