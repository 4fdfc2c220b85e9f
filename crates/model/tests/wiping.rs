//! What is left in memory after client data is dropped: this process searches its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::File;
use std::os::unix::fs::FileExt;

use strongroom_model::clear_value::Member;
use strongroom_model::{ClearValue, Plaintext, Wipe, Wiping};

/// Bytes read at once: so many that the buffer lies in a mapping of its own.
const WINDOW: usize = 1 << 20;
/// What the secrets here repeat. It is kept inverted, so that the search does not find itself.
const INVERTED: [u8; 16] = [
    !b'c', !b'a', !b'n', !b'a', !b'r', !b'y', !b'-', !b'7', !b'3', !b'1', !b'9', !b'-', !b'q',
    !b'z', !b'x', !b'w',
];

/// How often the canary is found in this process's writable memory.
fn found() -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut window = vec![0_u8; WINDOW];
    let own = window.as_ptr().addr() as u64..(window.as_ptr().addr() + WINDOW) as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        // The mapping without the window itself.
        for (mut at, end) in [(start, end.min(own.start)), (start.max(own.end), end)] {
            while at + (INVERTED.len() as u64) <= end {
                let length = usize::try_from((end - at).min(WINDOW as u64)).unwrap();
                if memory.read_exact_at(&mut window[..length], at).is_ok() {
                    found += window[..length]
                        .windows(INVERTED.len())
                        .filter(|place| place.iter().zip(&INVERTED).all(|(one, two)| *one == !*two))
                        .count();
                }
                at += (length - INVERTED.len() + 1) as u64;
            }
        }
    }
    found
}

/// A text that repeats the canary, made where it stays: its room is never outgrown.
fn text() -> String {
    let mut text = String::with_capacity(64 * INVERTED.len());
    for _ in 0..40 {
        for byte in INVERTED {
            text.push(char::from(!byte));
        }
    }
    text
}

/// The same, of which only the beginning counts: the rest is in the spare room.
fn shortened() -> String {
    let mut text = text();
    text.truncate(3);
    text
}

/// In a frame of its own, so that what it makes is dropped when it returns.
#[inline(never)]
fn drop_one(make: fn()) {
    make();
}

#[test]
fn what_was_wiped_is_nowhere_in_memory_and_what_was_not_is_found() {
    let uses: [(&str, fn()); 7] = [
        ("a text", || drop(Plaintext::new(text()))),
        ("bytes", || drop(Plaintext::new(text().into_bytes()))),
        ("spare room", || drop(Plaintext::new(shortened()))),
        ("a buffer", || drop(Wiping::new(text().into_bytes()))),
        ("a value", || drop(ClearValue::Text(text()))),
        ("a name and a list", || {
            let value = ClearValue::List(vec![ClearValue::Null, ClearValue::Text(text())]);
            drop(ClearValue::Object(vec![Member { name: text(), value }]));
        }),
        ("a text that is used again", || {
            let mut again = text();
            again.wipe();
            assert!(again.is_empty());
        }),
    ];
    for (name, make) in uses {
        drop_one(make);
        assert_eq!(found(), 0, "{name}");
    }
    drop_one(|| drop(text()));
    assert!(found() > 0, "the search finds a text that was dropped as it is");
}
