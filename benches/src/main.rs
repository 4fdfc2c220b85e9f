//! Benchmarks: what the server can do, beside servers that do less.
fn main() {}
