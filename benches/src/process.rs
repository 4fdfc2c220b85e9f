//! Servers in processes of their own, and what the system says about them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::time::Start;

/// Ticks of the processor time in `/proc`, a second; fixed in Linux's interface.
const TICKS: f64 = 100.0;

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From starting the process to its listening.
    pub(crate) started_in: Duration,
    /// What it said about itself when it was ready, after its address.
    pub(crate) remarks: String,
}

impl Server {
    /// Starts this program again, as a server. Its log goes into a file.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start(arguments: &[&str], log: &Path) -> Result<Self, Failure> {
        let begun = Start::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?)
            .spawn()?;
        let mut said = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        let started_in = begun.elapsed();
        let said = said.trim();
        let (address, remarks) = said.split_once(' ').unwrap_or((said, ""));
        let Ok(address) = address.parse() else {
            drop(child.kill());
            drop(child.wait());
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(format!("the server {arguments:?} did not come up: {log}").into());
        };
        Ok(Self { child, address, started_in, remarks: remarks.to_owned() })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn resident_bytes(&self) -> Result<usize, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        Ok(kib.ok_or("no resident memory in /proc")?.parse::<usize>()? * 1_024)
    }

    /// The processor time that it has used so far: by itself, and by the system for it.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(')').ok_or("an unknown form of /proc")?.1;
        let mut ticks = 0.0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<f64>()?;
        }
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input tells it to stop.
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// The machine's load over the last minute, as `uptime` shows it.
pub(crate) fn machine_load() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split_whitespace().next().unwrap_or("?").to_owned()
}
