//! What is left in memory after keys are dropped: this process searches its own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use strongroom_model::{InstallId, TenantId};

use crate::gcm::{BulkGcm, Gcm, WipedGcm};
use crate::mac::Hmac256;
use crate::prf::Cover;
use crate::seal_key::SealParameters;
use crate::sign::SigningKey;
use crate::wiping::{scrub_after_cipher, scrub_once};
use crate::{Context, Key, MessagePurpose, SystemRng, line, record, root, seal_key, stream};

/// Bytes read at once: so many that the buffer lies in a mapping of its own.
const WINDOW: usize = 1 << 20;

/// How often a secret is found in this process's writable memory. It is given inverted, so that
/// the search does not find its own needle.
fn found(inverted: &[u8]) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut window = vec![0_u8; WINDOW];
    let own = window.as_ptr().addr() as u64..(window.as_ptr().addr() + WINDOW) as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (start, end) = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap()).into();
        // The mapping without the window itself.
        for (mut at, end) in [(start, end.min(own.start)), (start.max(own.end), end)] {
            while at < end {
                let length = usize::try_from((end - at).min(WINDOW as u64)).unwrap();
                if memory.read_exact_at(&mut window[..length], at).is_ok() {
                    found += window[..length]
                        .windows(inverted.len())
                        .filter(|place| place.iter().zip(inverted).all(|(one, two)| *one == !*two))
                        .count();
                }
                at += if length == WINDOW {
                    (WINDOW - inverted.len() + 1) as u64
                } else {
                    length as u64
                };
            }
        }
    }
    found
}

fn place(purpose: MessagePurpose) -> Context {
    Context {
        purpose,
        epoch: 0,
        install: InstallId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        subject: [3; 16],
        object: [4; 16],
        collection: 5,
        index: 6,
        number: 16,
        version: 1,
    }
}

/// A way to use a key, with its name.
type Use = (&'static str, fn(&Key));

/// Everything that takes a key.
const USES: [Use; 14] = [
    ("a copy", |key| drop(key.duplicate())),
    ("a row", |key| open_stream(key, MessagePurpose::Row, 100)),
    ("a file of many chunks", |key| open_stream(key, MessagePurpose::File, 100_000)),
    ("a record", read_a_record),
    ("a batch", |key| scrub_once(|| read_a_record(key))),
    ("a batch that works deep down", |key| {
        scrub_once(|| {
            read_a_record(key);
            far_below(read_a_record, key);
        });
    }),
    ("an audit line", |key| {
        let prefix = line::Prefix { tenant: TenantId::PROVIDER, node: 1, n: 0, time_us: 0 };
        let sealed = line::seal(key, &prefix, &line::NO_PREVIOUS, b"line").unwrap();
        line::open(key, &line::NO_PREVIOUS, &sealed).unwrap();
    }),
    ("the wiped cipher", |key| {
        scrub_after_cipher(|| {
            WipedGcm::new(key.expose()).seal(&[0; 12], &[], &mut [0; 5000]).unwrap()
        });
    }),
    ("the bulk cipher", |key| {
        scrub_after_cipher(|| {
            BulkGcm::new(key.expose()).unwrap().seal(&[0; 12], &[], &mut [0; 5000]).unwrap()
        });
    }),
    ("a signature", |key| {
        SigningKey::from_seed(key.duplicate()).unwrap().sign(b"receipt");
    }),
    ("a key of a number", |key| {
        let mut cover = Cover::from_seed(key.duplicate());
        drop(cover.key(22, Some(key)).unwrap());
        drop(cover.encode());
        cover.puncture(21);
    }),
    ("a passphrase", |key| {
        let parameters = SealParameters::floor(&SystemRng::new()).unwrap();
        drop(parameters.derive(key.expose()).unwrap());
    }),
    ("a key file", |key| {
        let text = seal_key::write_file(key);
        drop(seal_key::parse_file(text.expose()).unwrap());
    }),
    ("a root", |key| {
        drop(root::derive(InstallId::from_bytes([1; 16]), 1, &[(1, key)]).unwrap());
    }),
];

fn open_stream(key: &Key, purpose: MessagePurpose, length: usize) {
    let place = place(purpose);
    let sealed = stream::seal(key, &place, &vec![7; length], &SystemRng::new()).unwrap();
    drop(stream::open(key, &place, &sealed).unwrap());
}

fn read_a_record(key: &Key) {
    let place = place(MessagePurpose::Record);
    let sealed = record::seal(key, &place, &[(1, b"Ada"), (2, b"Augusta")], &SystemRng::new());
    let open = record::open(key, &place, sealed.unwrap()).unwrap();
    drop(open.open_field(1).unwrap().unwrap());
    drop(open.open_field(2).unwrap().unwrap());
}

/// Uses a key below a frame as large as the work of a batch may have.
#[inline(never)]
fn far_below(use_it: fn(&Key), key: &Key) {
    let mut frame = [0_u8; 16 * 1024];
    black_box(&mut frame);
    use_it(key);
    black_box(&mut frame);
}

/// In a frame of its own, so that its locals are gone when it returns.
#[inline(never)]
fn apply(use_it: fn(&Key), key: &Key) {
    use_it(key);
}

/// The key's halves, and what is as good as the key: the states of an HMAC after the padded key.
fn needles(key: &Key) -> Vec<(&'static str, Vec<u8>)> {
    scrub_after_cipher(|| {
        let hmac = Hmac256::new(key.expose());
        let words = |state: [u32; 8]| state.iter().flat_map(|word| (!word).to_ne_bytes()).collect();
        let bytes = |half: &[u8]| half.iter().map(|byte| !byte).collect();
        vec![
            ("its first half", bytes(&key.expose()[..16])),
            ("its second half", bytes(&key.expose()[16..])),
            ("its first half, padded", bytes(&key.expose().map(|byte| byte ^ 0x36)[..16])),
            ("its first half, padded again", bytes(&key.expose().map(|byte| byte ^ 0x5c)[..16])),
            ("the state inside", words(hmac.inner)),
            ("the state outside", words(hmac.outer)),
        ]
    })
}

#[test]
fn a_dropped_key_is_nowhere_in_memory() {
    for (name, use_it) in USES {
        let key = Key::generate(&SystemRng::new()).unwrap();
        let needles = needles(&key);
        assert!(found(&needles[0].1) > 0, "{name}: the search finds a key that is alive");
        apply(use_it, &key);
        drop(key);
        for (what, needle) in needles {
            assert_eq!(found(&needle), 0, "{name}: {what}");
        }
    }
}

#[test]
fn a_batch_that_panics_is_over() {
    let key = Key::generate(&SystemRng::new()).unwrap();
    let needles = needles(&key);
    let work = || {
        scrub_once(|| {
            read_a_record(&key);
            // Without the words of a panic, which this test is not about.
            std::panic::resume_unwind(Box::new(()));
        });
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
    apply(read_a_record, &key);
    drop(key);
    for (what, needle) in needles {
        assert_eq!(found(&needle), 0, "{what}");
    }
}
