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
/// How often a log is looked at while a server comes up, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const COMES_UP_IN: Duration = Duration::from_mins(1);

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From starting the process to knowing that it listens.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts this program again, as one of the servers of `servers`: it says its address on its
    /// standard output, and the end of its input stops it. Its log goes into a file.
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
            .stderr(File::create(log)?)
            .spawn()?;
        let mut said = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        Self::come_up(child, said.trim(), begun, log)
    }

    /// Starts another program, which says its address in its log behind these words, and which a
    /// signal stops.
    ///
    /// # Errors
    /// If it does not come up.
    pub(crate) fn start_by_log(
        mut command: Command,
        log: &Path,
        words: &str,
    ) -> Result<Self, Failure> {
        let begun = Start::now();
        let mut child = command.stdout(Stdio::null()).stderr(File::create(log)?).spawn()?;
        loop {
            let said = std::fs::read_to_string(log)?;
            let mut lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let address = lines.find_map(|line| line.strip_prefix(words));
            if let Some(address) = address {
                let address = address.split_whitespace().next().unwrap_or_default();
                return Self::come_up(child, address, begun, log);
            }
            if child.try_wait()?.is_some() || begun.elapsed() > COMES_UP_IN {
                return Self::come_up(child, "", begun, log);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn come_up(mut child: Child, said: &str, begun: Start, log: &Path) -> Result<Self, Failure> {
        let started_in = begun.elapsed();
        let Ok(address) = said.parse() else {
            drop(child.kill());
            drop(child.wait());
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(format!("a server did not come up: {log}").into());
        };
        Ok(Self { child, address, started_in })
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
        memory_bytes(&self.child.id().to_string(), "VmRSS:")
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
        if let Some(input) = self.child.stdin.take() {
            drop(input);
        } else {
            let id = self.child.id().to_string();
            drop(Command::new("kill").args(["-s", "TERM", &id]).status());
        }
        drop(self.child.wait());
    }
}

/// The most memory that this process has had, in bytes.
///
/// # Errors
/// If the system does not tell.
pub(crate) fn most_memory_bytes() -> Result<usize, Failure> {
    memory_bytes("self", "VmHWM:")
}

fn memory_bytes(process: &str, what: &str) -> Result<usize, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix(what)?.split_whitespace().next());
    Ok(kib.ok_or("no resident memory in /proc")?.parse::<usize>()? * 1_024)
}

/// The machine's load over the last minute, as `uptime` shows it.
pub(crate) fn machine_load() -> String {
    let all = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    all.split_whitespace().next().unwrap_or("?").to_owned()
}
