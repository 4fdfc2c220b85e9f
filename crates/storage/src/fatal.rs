//! The end of the process where going on would acknowledge what may not be durable.

/// Says why, once, and ends the process. After a failed sync the operating system may have dropped
/// what was written, and a later sync would report success: only opening the store again tells
/// what is on the disk.
pub(crate) fn end(what: &'static str, error: &dyn std::fmt::Display) -> ! {
    tracing::error!(%error, "the store's disk failed: {what}; the process ends, start it again");
    std::process::abort()
}
