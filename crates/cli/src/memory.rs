//! The process's own memory, which holds keys and data, and how it is kept out of files: no core dumps,
//! and no swap if that is asked for.

use std::alloc::System;

use rustix::io::Errno;
use rustix::mm::{MlockAllFlags, mlockall};
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, dumpable_behavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zeroizing_alloc::ZeroAlloc;

use crate::exit::Failure;

/// All memory that is given back is overwritten with zeros first: also what libraries have put there,
/// such as the buffers of requests and answers.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

/// No core dumps for this process, whatever its parent allows: the limit keeps the kernel from
/// writing a file, and "not dumpable" keeps it from handing the memory to a program (`core_pattern`),
/// and other processes of the same user from reading it (`ptrace`, `/proc/PID/mem`).
pub(crate) fn without_dumps() -> Result<(), Failure> {
    let failed =
        |error: Errno| Failure::local(format!("core dumps cannot be switched off: {error}"));
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(failed)?;
    #[cfg(target_os = "linux")]
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)?;
    Ok(())
}

/// Whether this process leaves no core dump.
pub(crate) fn is_without_dumps() -> bool {
    let limited = getrlimit(Resource::Core).current == Some(0);
    #[cfg(target_os = "linux")]
    let limited = limited && dumpable_behavior() == Ok(DumpableBehavior::NotDumpable);
    limited
}

/// Keeps all memory of the process, also what it takes later, out of swap. Pages are locked as they
/// are first used, so that reserved address space costs nothing.
pub(crate) fn locked() -> Result<(), Failure> {
    // Under a limit a later allocation would fail, and that ends a process at any moment.
    let none = Rlimit { current: None, maximum: None };
    let is_limited = getrlimit(Resource::Memlock).current.is_some() && !is_above_limits();
    if is_limited && setrlimit(Resource::Memlock, none).is_err() {
        return Err(Failure::local(
            "memory cannot be locked under a limit: say `LimitMEMLOCK=infinity` in the server's unit, \
             or `ulimit -l unlimited` before it is started, or leave `--lock-memory` out",
        ));
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)
        .map_err(|error| Failure::local(format!("memory cannot be locked: {error}")))
}

/// Whether the limit of locked memory does not count for this process.
fn is_above_limits() -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CapabilitySet, capabilities};
        capabilities(None).is_ok_and(|held| held.effective.contains(CapabilitySet::IPC_LOCK))
    }
    #[cfg(not(target_os = "linux"))]
    false
}
