//! What a panic leaves in the log: where it happened, never what it says, which may be a value.

/// Has panics of the whole process logged by their place alone. To be called once, where the
/// process begins; without it the standard library prints what a panic says.
pub fn log_panics_by_place() {
    std::panic::set_hook(Box::new(|panic| {
        let place =
            panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(place, "a panic");
    }));
}
