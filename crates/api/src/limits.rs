//! The bounds of the server: how much, how many, how long.

use std::time::Duration;

/// Most bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of the body of an import.
pub const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of a body on the routes that need no credential.
pub const PUBLIC_BYTES_MAX: usize = 16 * 1024;
/// How deep a body may be nested.
pub const DEPTH_MAX: usize = 32;
/// Items of a page, unless `limit` says otherwise.
pub const PAGE_DEFAULT: usize = 100;
/// Most items of a page.
pub const PAGE_MAX: usize = 1000;
/// Most items of one import.
pub const IMPORT_ITEMS_MAX: usize = 500;
/// Most bytes of a stated reason, decoded.
pub const REASON_BYTES_MAX: usize = 512;
/// Fewest characters of an idempotency key: what 128 random bits need in base64.
pub const IDEMPOTENCY_KEY_LENGTH_MIN: usize = 22;
/// Most characters of an idempotency key.
pub const IDEMPOTENCY_KEY_LENGTH_MAX: usize = 255;
/// Most bytes of a cursor; ours are shorter.
pub(crate) const CURSOR_LENGTH_MAX: usize = 1024;

/// What a connection and a request may take. The defaults are for production; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most connections at a time; further ones wait in the system's queue.
    pub connections_max: usize,
    /// Most requests that are worked on at a time, over all connections; further ones wait.
    pub requests_max: usize,
    /// Most streams of one HTTP/2 connection at a time.
    pub streams_max: u32,
    /// Most bytes of a request's line and headers. A request with more than 100 headers is refused
    /// too, which is the HTTP library's own bound.
    pub header_bytes_max: u32,
    /// How long a client may take from connecting, or from its last request, to the end of the
    /// next request's headers (HTTP/1), and from connecting to its first request (HTTP/2).
    pub header_time: Duration,
    /// How long an HTTP/2 connection may stay open without a request.
    pub idle_time: Duration,
    /// How long a connection may stay open with requests on it, none of which begins or ends.
    pub request_time: Duration,
    /// How long a body may take before its rate counts.
    pub body_grace: Duration,
    /// The slowest rate of a body after that, in bytes per second.
    pub body_rate_min: u32,
    /// How long a body may take in all.
    pub body_time: Duration,
    /// How long a client may leave what we send unread.
    pub write_time: Duration,
    /// How long a stop waits for requests that are under way.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            requests_max: 1024,
            streams_max: 128,
            header_bytes_max: 32 * 1024,
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_mins(1),
            request_time: Duration::from_mins(2),
            body_grace: Duration::from_secs(5),
            body_rate_min: 1024,
            body_time: Duration::from_mins(1),
            write_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(20),
        }
    }
}
