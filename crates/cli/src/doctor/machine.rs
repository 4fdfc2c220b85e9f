//! The machine: room on the disk, and where memory may end up.

use std::path::Path;

use rustix::fs::statvfs;
use strongroom_storage::StoreUrl;

use crate::findings::{Finding, quoted};
use crate::memory;
use crate::settings::ServeSettings;

/// With less room than this the store may be full before somebody looks.
const FREE_MIB_WARN: u64 = 1024;
/// With less room than this it is as good as full.
const FREE_MIB_FAIL: u64 = 64;
const MIB: u64 = 1024 * 1024;

/// Looks at the machine that this runs on.
pub(super) fn look(serve: &ServeSettings) -> Vec<Finding> {
    let mut found = Vec::new();
    let url = serve.store.as_deref().and_then(|store| StoreUrl::parse(store).ok());
    if let Some(folder) = url.as_ref().and_then(StoreUrl::path).filter(|path| path.exists()) {
        found.push(disk(folder));
    }
    if let Ok(text) = std::fs::read_to_string("/proc/swaps") {
        found.push(swap(&text, serve.lock_memory));
    }
    found.push(core_dumps(serve.allow_core_dumps, memory::is_without_dumps()));
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
fn swap(text: &str, is_locked: bool) -> Finding {
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
    let places = places.join(", ");
    if is_locked {
        let why = format!("memory is swapped to {places}, and the server's is locked");
        return Finding::ok("swap", why);
    }
    let why = format!("memory may be written to {places}, and with it keys and data");
    Finding::warn("swap", why).mend(
        "swapoff -a, and take the places out of /etc/fstab; or `--lock-memory`, with \
         `LimitMEMLOCK=infinity` in the server's unit",
    )
}

/// `is_off` is what this process has found out: it has switched its own off, as the server does.
fn core_dumps(are_allowed: bool, is_off: bool) -> Finding {
    const CHECK: &str = "core_dumps";
    if are_allowed {
        let why = "the settings allow them: a crash of the server may write its memory, with keys and \
                   data, to a disk, and programs of its user may read it";
        return Finding::warn(CHECK, why).mend("leave `--allow-core-dumps` out");
    }
    if is_off {
        return Finding::ok(
            CHECK,
            "the program switches them off for itself, and debuggers with them",
        );
    }
    let why = "the program could not switch them off for itself: a crash may write keys and data to a disk";
    Finding::warn(CHECK, why).mend("ulimit -c 0, or `LimitCORE=0` in the server's unit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::State;

    #[test]
    fn swap_on_a_disk_is_named_and_swap_in_memory_is_not() {
        let titles = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert_eq!(swap(titles, false).state, State::Ok);
        assert_eq!(swap("", false).state, State::Ok);
        let zram = format!("{titles}/dev/zram0 partition 8388604 0 100\n");
        assert_eq!(swap(&zram, false).state, State::Ok);
        let disk = format!("{zram}/swap.img file 4194300 0 -2\n");
        let found = swap(&disk, false);
        assert!(found.state == State::Warn && found.why.contains("`/swap.img`"), "{}", found.why);
        assert!(!found.why.contains("zram"));
        assert_eq!(swap(&disk, true).state, State::Ok);
    }

    #[test]
    fn core_dumps_are_off_unless_somebody_allows_them_or_the_system_does_not_obey() {
        assert_eq!(core_dumps(false, true).state, State::Ok);
        assert_eq!(core_dumps(false, false).state, State::Warn);
        for is_off in [true, false] {
            let found = core_dumps(true, is_off);
            assert!(
                found.state == State::Warn && found.mend.unwrap().contains("--allow-core-dumps")
            );
        }
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
