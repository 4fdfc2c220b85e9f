//! What every reader of the product owes to bytes that somebody else has chosen: one function a
//! reader, run by the fuzzer and, over the kept corpus, by an ordinary test.
//!
//! Each target takes any bytes, hands them to a reader, and panics if the reader breaks its word:
//! what it takes must come out again as the same bytes, or mean the same. That a reader itself does
//! not panic, and ends soon with little memory, is watched by whoever runs the target.
//! `docs/fuzzing.md` lists them.

mod archives;
mod copies;
mod imports;
mod log;
mod requests;
mod rows;
mod sealed;
mod secrets;
mod words;

pub use archives::archive;
pub use copies::{backup_manifest, backup_part, journal_frame, store_head};
pub use imports::{import_rows, mapping_file};
pub use log::{audit_line, receipt};
pub use requests::{list_query, request_bodies, request_headers, request_json};
pub use rows::{holder_file, key_state_rows, record_head, row_keys, stored_rows};
pub use sealed::{index_entry, punctured_seed, record_body, sealed_stream, tree_node};
pub use secrets::{cursor, seal_key, token};
pub use words::{addresses, class_terms, field_values, names_and_ids};

use std::sync::Mutex;

use strongroom_crypto::{Context, Key, MessagePurpose};
use strongroom_model::{InstallId, NoRandomness, Rng, TenantId};

/// What a reader made of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took them.
    Read,
    /// It did not.
    Refused,
}

impl Verdict {
    fn of(is_read: bool) -> Self {
        if is_read { Self::Read } else { Self::Refused }
    }
}

/// Bytes with a name that says what must come of them: `read-…` or `refused-…`.
pub type Seed = (&'static str, Vec<u8>);

/// A reader under attack.
pub struct Target {
    /// Its name: that of its function, its program under `fuzz/` and its corpus.
    pub name: &'static str,
    /// The attack with these bytes.
    pub check: fn(&[u8]) -> Verdict,
    /// Real encodings, and ones that are wrong in a single place, from which the fuzzer starts.
    pub seeds: fn() -> Vec<Seed>,
}

macro_rules! targets {
    ($($name:ident: $seeds:path,)*) => {
        /// Every target.
        pub const TARGETS: &[Target] =
            &[$(Target { name: stringify!($name), check: $name, seeds: $seeds },)*];
    };
}

targets! {
    addresses: words::address_seeds,
    archive: archives::archive_seeds,
    audit_line: log::line_seeds,
    backup_manifest: copies::manifest_seeds,
    backup_part: copies::part_seeds,
    class_terms: words::terms_seeds,
    cursor: secrets::cursor_seeds,
    field_values: words::value_seeds,
    holder_file: rows::holder_seeds,
    import_rows: imports::rows_seeds,
    index_entry: sealed::entry_seeds,
    journal_frame: copies::frame_seeds,
    key_state_rows: rows::key_state_seeds,
    list_query: requests::query_seeds,
    mapping_file: imports::mapping_seeds,
    names_and_ids: words::name_seeds,
    punctured_seed: sealed::punctured_seeds,
    receipt: log::receipt_seeds,
    record_body: sealed::record_seeds,
    record_head: rows::head_seeds,
    request_bodies: requests::body_seeds,
    request_headers: requests::header_seeds,
    request_json: requests::json_seeds,
    row_keys: rows::row_key_seeds,
    seal_key: secrets::seal_key_seeds,
    sealed_stream: sealed::stream_seeds,
    store_head: copies::store_head_seeds,
    stored_rows: rows::row_seeds,
    token: secrets::token_seeds,
    tree_node: sealed::node_seeds,
}

/// Randomness that everybody knows: first these bytes, then zeros.
struct KnownRng(Mutex<Vec<u8>>);

impl KnownRng {
    fn of(bytes: &[u8]) -> Self {
        Self(Mutex::new(bytes.to_vec()))
    }
}

impl Rng for KnownRng {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        let mut known = self.0.lock().unwrap();
        let count = into.len().min(known.len());
        into.fill(0);
        for (to, from) in into.iter_mut().zip(known.drain(..count)) {
            *to = from;
        }
        Ok(())
    }
}

/// The key under which targets seal.
fn key() -> Key {
    Key::build(|bytes| bytes.fill(0x5a))
}

/// The place for which targets seal.
fn place(purpose: MessagePurpose) -> Context {
    Context {
        purpose,
        epoch: 1,
        install: InstallId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        subject: [3; 16],
        object: [4; 16],
        collection: 5,
        index: 6,
        number: 17,
        version: 8,
    }
}

/// The bytes with one of them changed; shortened instead where the change is none.
fn damaged(bytes: &[u8], at: u32, change: u8) -> Vec<u8> {
    let at = usize::try_from(at).unwrap() % bytes.len();
    let mut other = bytes.to_vec();
    if change == 0 {
        other.truncate(at);
    } else {
        other[at] ^= change;
    }
    other
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
