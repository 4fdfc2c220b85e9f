//! The bounds of the server: how much, how many, how long.

use std::num::NonZeroU32;
use std::time::Duration;

/// Most bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of the body of an import.
pub const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of a part of a file.
pub(crate) const PART_BYTES_MAX: usize = 4 * 1024 * 1024;
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
    /// Most connections of one address (IPv6: of a network of 64 bits) at a time; further ones are
    /// closed at once. Proxies that are trusted may have any number.
    pub connections_per_address_max: usize,
    /// Most requests that are worked on at a time, over all connections; further ones wait.
    pub requests_max: usize,
    /// Most streams of one HTTP/2 connection at a time.
    pub streams_max: u32,
    /// Most bytes of a request's line and headers. A request with more than 100 headers is refused
    /// too, which is the HTTP library's own bound.
    pub header_bytes_max: u32,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How often the files of the certificate are looked at.
    pub certificate_interval: Duration,
    /// How long a client may take from connecting to the end of its first request's headers, and
    /// (HTTP/1) from the first byte to the end of each further request's.
    pub header_time: Duration,
    /// How long a connection may stay open without a request. While fewer than a quarter of the
    /// connections are left, this, the time for headers and that for handshakes are a fifth.
    pub idle_time: Duration,
    /// How long a connection may stay open with requests on it, none of which begins, ends, or has a
    /// part of a long answer taken.
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
    /// How often somebody may ask; `None` lets everybody ask as often as they can.
    pub rates: Option<Rates>,
}

/// How often somebody may ask, in requests per second; five seconds' worth may come at once. A batch
/// counts as its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// One API key.
    pub api_key: NonZeroU32,
    /// One session of a user.
    pub session: NonZeroU32,
    /// All credentials of one tenant together.
    pub tenant: NonZeroU32,
    /// One address, with requests that show no credential in force.
    pub address: NonZeroU32,
    /// One address, with secrets in the body: redeeming an invitation, unlocking the server.
    pub proof: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_address_max: 256,
            requests_max: 1024,
            streams_max: 128,
            header_bytes_max: 32 * 1024,
            handshake_time: Duration::from_secs(10),
            certificate_interval: Duration::from_mins(1),
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_mins(1),
            request_time: Duration::from_mins(2),
            body_grace: Duration::from_secs(5),
            body_rate_min: 1024,
            body_time: Duration::from_mins(1),
            write_time: Duration::from_secs(30),
            drain_time: Duration::from_secs(20),
            rates: Some(Rates::default()),
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        let per_second = |n: u32| NonZeroU32::MIN.saturating_add(n - 1);
        Self {
            api_key: per_second(200),
            session: per_second(20),
            tenant: per_second(1000),
            address: per_second(20),
            proof: per_second(5),
        }
    }
}
