//! How large a sled database may be: it keeps a table of its pages in memory, which grows with it, and one
//! that has outgrown the machine would be killed while it recovers, again and again.

use std::fs;
use std::path::Path;

/// Bytes of memory that one byte of the database may need.
const MEMORY_FOR_A_BYTE: u64 = 2;
/// Where Linux says how much memory the machine has.
const MACHINE: &str = "/proc/meminfo";
/// Where it says which group of processes this one belongs to, and where the groups' bounds are.
const GROUP: &str = "/proc/self/cgroup";
const GROUPS: &str = "/sys/fs/cgroup";

/// The memory that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) struct Memory {
    bytes: u64,
}

impl Memory {
    /// That of the machine, or of the group of processes if that has less. Where the system does not say,
    /// there is no bound.
    pub(in crate::embedded) fn of_this_process() -> Self {
        let machine = fs::read_to_string(MACHINE).ok().and_then(|text| total(&text));
        let bytes = machine.into_iter().chain(groups()).min().unwrap_or(u64::MAX);
        Self { bytes }
    }

    #[cfg(test)]
    pub(in crate::embedded) const fn of(bytes: u64) -> Self {
        Self { bytes }
    }

    pub(super) const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Whether it is enough for a database of as many bytes.
    pub(super) const fn is_enough_for(self, database: u64) -> bool {
        database.saturating_mul(MEMORY_FOR_A_BYTE) <= self.bytes
    }
}

/// `MemTotal` in bytes.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The bounds of the group of this process and of those around it. A group without one says `max`.
fn groups() -> Vec<u64> {
    let text = fs::read_to_string(GROUP).unwrap_or_default();
    let group = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let around = Path::new(group).ancestors();
    let files = around.map(|group| Path::new(GROUPS).join(group).join("memory.max"));
    files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_more_than_half_of_the_memory_is_too_large() {
        assert!(Memory::of(200).is_enough_for(100));
        assert!(!Memory::of(200).is_enough_for(101));
        assert!(!Memory::of(u64::MAX - 1).is_enough_for(u64::MAX));
    }

    #[test]
    fn the_memory_of_the_machine_is_read_in_its_own_unit() {
        assert_eq!(total("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(Memory::of_this_process().bytes() > 16 * 1024 * 1024);
    }
}
