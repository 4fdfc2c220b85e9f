//! The machine: room on the disk, and where memory may end up.

use std::path::Path;

use rustix::fs::statvfs;
use strongroom_storage::StoreUrl;

use crate::findings::{Finding, quoted};

/// With less room than this the store may be full before somebody looks.
const FREE_MIB_WARN: u64 = 1024;
/// With less room than this it is as good as full.
const FREE_MIB_FAIL: u64 = 64;
const MIB: u64 = 1024 * 1024;

/// Looks at the machine that this runs on.
pub(super) fn look(store: Option<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    let url = store.and_then(|store| StoreUrl::parse(store).ok());
    if let Some(folder) = url.as_ref().and_then(StoreUrl::path).filter(|path| path.exists()) {
        found.push(disk(folder));
    }
    let read = |path: &str| std::fs::read_to_string(path).ok();
    if let Some(text) = read("/proc/swaps") {
        found.push(swap(&text));
    }
    if let Some(text) = read("/proc/self/limits") {
        let pattern = read("/proc/sys/kernel/core_pattern").unwrap_or_default();
        found.push(core_dumps(&text, &pattern));
    }
    found
}

fn disk(folder: &Path) -> Finding {
    match statvfs(folder) {
        Ok(facts) => free(folder, facts.f_bavail.saturating_mul(facts.f_frsize)),
        Err(error) => Finding::fail("disk", format!("`{}`: {error}", folder.display())),
    }
}

fn free(folder: &Path, bytes: u64) -> Finding {
    const CHECK: &str = "disk";
    let mib = bytes / MIB;
    let why = format!("{mib} MiB are free where the store lies");
    let mend = || format!("df -h {}; du -sh {0}/*", quoted(folder));
    if mib < FREE_MIB_FAIL {
        Finding::fail(CHECK, why).mend(mend())
    } else if mib < FREE_MIB_WARN {
        Finding::warn(CHECK, why).mend(mend())
    } else {
        Finding::ok(CHECK, why)
    }
}

/// `/proc/swaps`: a line of titles, then one for each place.
fn swap(text: &str) -> Finding {
    // Memory that is swapped to compressed memory stays in memory.
    let is_on_disk = |place: &&str| !place.starts_with("/dev/zram");
    let places: Vec<_> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .filter(is_on_disk)
        .map(|place| format!("`{place}`"))
        .collect();
    if places.is_empty() {
        return Finding::ok("swap", "memory is not written to a disk");
    }
    let why = format!("memory may be written to {}, and with it keys and data", places.join(", "));
    Finding::warn("swap", why).mend("swapoff -a, and take the places out of /etc/fstab")
}

/// `/proc/self/limits`: the line `Max core file size  SOFT  HARD  bytes`.
fn core_dumps(limits: &str, pattern: &str) -> Finding {
    const CHECK: &str = "core_dumps";
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let Some(soft) = line.and_then(|line| line.split_whitespace().next()) else {
        return Finding::warn(CHECK, "the limit of core dumps cannot be read");
    };
    let mend = "ulimit -c 0, or `LimitCORE=0` in the server's unit";
    if soft != "0" {
        let why = "a crash may write the memory of programs that are started from here to a disk";
        return Finding::warn(CHECK, why).mend(mend);
    }
    if let Some(program) = pattern.trim().strip_prefix('|') {
        let program = program.split_whitespace().next().unwrap_or_default();
        let why = format!(
            "switched off for programs that are started from here; `{program}` is handed the memory of \
             programs that crash, and has to keep to that limit itself"
        );
        return Finding::ok(CHECK, why);
    }
    Finding::ok(CHECK, "switched off for programs that are started from here")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::State;

    #[test]
    fn swap_on_a_disk_is_named_and_swap_in_memory_is_not() {
        let titles = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert_eq!(swap(titles).state, State::Ok);
        assert_eq!(swap("").state, State::Ok);
        let zram = format!("{titles}/dev/zram0 partition 8388604 0 100\n");
        assert_eq!(swap(&zram).state, State::Ok);
        let disk = format!("{zram}/swap.img file 4194300 0 -2\n");
        let found = swap(&disk);
        assert!(found.state == State::Warn && found.why.contains("`/swap.img`"), "{}", found.why);
        assert!(!found.why.contains("zram"));
    }

    #[test]
    fn core_dumps_are_off_only_if_the_soft_limit_is_zero() {
        let line = |soft: &str| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\n\
                 Max data size  unlimited  unlimited  bytes\n\
                 Max core file size        {soft}                    unlimited            bytes\n"
            )
        };
        assert_eq!(core_dumps(&line("0"), "core\n").state, State::Ok);
        assert_eq!(core_dumps(&line("unlimited"), "core\n").state, State::Warn);
        assert_eq!(core_dumps(&line("1"), "core\n").state, State::Warn);
        assert_eq!(core_dumps("", "core\n").state, State::Warn);
        let piped = core_dumps(&line("0"), "|/usr/share/apport/apport -p%p\n");
        assert!(piped.why.contains("`/usr/share/apport/apport`"), "{}", piped.why);
    }

    #[test]
    fn little_room_warns_and_no_room_fails() {
        let check = |mib: u64| free(Path::new("/"), mib * MIB).state;
        assert_eq!(check(FREE_MIB_WARN), State::Ok);
        assert_eq!(check(FREE_MIB_WARN - 1), State::Warn);
        assert_eq!(check(FREE_MIB_FAIL), State::Warn);
        assert_eq!(check(FREE_MIB_FAIL - 1), State::Fail);
        assert!(free(Path::new("/a b"), 0).mend.unwrap().contains("'/a b'/*"));
    }
}
