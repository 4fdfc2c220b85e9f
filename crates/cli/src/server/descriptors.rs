//! File descriptors: as many as the system allows, and enough left for the store when connections
//! have taken theirs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_api::Limits;

/// Descriptors that are never given to connections: the store's and the journal's files, the
/// holder, certificates, the listeners.
const RESERVED: u64 = 128;

/// Takes as many descriptors as the system allows, and fits the bound of connections to them. A
/// store that cannot open its next file would be a worse end than a connection that waits.
pub(super) fn fitted(mut limits: Limits) -> Limits {
    let found = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: found.maximum, ..found });
    let allowed = if raised.is_ok() { found.maximum } else { found.current };
    let connections_max = connections(allowed, limits.connections_max);
    if connections_max < limits.connections_max {
        tracing::warn!(connections_max, "there are few file descriptors: see `ulimit -n`");
    }
    limits.connections_max = connections_max;
    limits
}

/// How many connections so many descriptors are enough for; [`None`] descriptors are no bound.
fn connections(descriptors: Option<u64>, wanted: usize) -> usize {
    let Some(descriptors) = descriptors else { return wanted };
    let left = descriptors.saturating_sub(RESERVED).max(1);
    usize::try_from(left).unwrap_or(wanted).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_store() {
        assert_eq!(connections(None, 1024), 1024);
        assert_eq!(connections(Some(1_000_000), 1024), 1024);
        assert_eq!(connections(Some(1024), 1024), 896);
        assert_eq!(connections(Some(10), 1024), 1);
    }
}
