//! Overwriting what a library leaves behind, without `unsafe`.

use std::cell::Cell;
use std::hint::black_box;

use zeroize::optimization_barrier;

/// More stack than any use of a cipher, a signature or argon2 in this crate writes secrets to; the
/// test `a_dropped_key_is_nowhere_in_memory` fails from about half of it downwards.
const CIPHER_STACK: usize = 24 * 1024;
/// The same for hashing.
const HASH_STACK: usize = 4 * 1024;
/// The same for a batch of uses, which lie deeper by the frames of whoever uses them.
const BATCH_STACK: usize = CIPHER_STACK + 20 * 1024;

thread_local! {
    /// Whether this thread is within [`scrub_once`], which overwrites the stack when it is done.
    static IN_BATCH: Cell<bool> = const { Cell::new(false) };
}

/// A value of a library that does not wipe its keys, in a box that is overwritten with a blank
/// value of the same type when it is dropped.
///
/// A barrier keeps the compiler from leaving out the overwriting. What the library moved over the
/// stack while it built the value is overwritten by [`scrub_after_cipher`]; copies in registers that the
/// system saved elsewhere are out of reach, so only keys of one message, and the signing key, come here.
pub(crate) struct WipingBox<T> {
    value: Box<T>,
    blank: fn() -> Option<T>,
}

impl<T> WipingBox<T> {
    /// Boxes what `make` makes; `blank` makes a value of the same type without a secret.
    pub(crate) fn build(
        make: impl FnOnce() -> Option<T>,
        blank: fn() -> Option<T>,
    ) -> Option<Self> {
        let value = scrub_after_cipher(|| make().map(Box::new));
        Some(Self { value: value?, blank })
    }

    pub(crate) fn value(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for WipingBox<T> {
    fn drop(&mut self) {
        if let Some(blank) = (self.blank)() {
            *self.value = blank;
            optimization_barrier(&*self.value);
        }
        if !IN_BATCH.get() {
            scrub_stack::<CIPHER_STACK>();
        }
    }
}

/// Does work that uses ciphers many times, and overwrites the stack once: when all of it is done, and
/// before anything else runs on it. Without it every use overwrites the stack for itself.
///
/// The work may have 16 KiB of stack above the ciphers; what it returns should hold its
/// secrets in boxes.
pub fn scrub_once<R>(work: impl FnOnce() -> R) -> R {
    /// Ends the batch, also of work that panics.
    struct Batch;

    impl Drop for Batch {
        fn drop(&mut self) {
            IN_BATCH.set(false);
            scrub_stack::<BATCH_STACK>();
        }
    }

    if IN_BATCH.replace(true) {
        return work();
    }
    let _batch = Batch;
    in_a_frame_below(work)
}

/// Does some work with ciphers or signatures, then overwrites the stack that it used. What it
/// returns should be a box, or nothing secret.
pub(crate) fn scrub_after_cipher<R>(work: impl FnOnce() -> R) -> R {
    scrub_after::<CIPHER_STACK, R>(work)
}

/// The same for work that only hashes.
pub(crate) fn scrub_after_hash<R>(work: impl FnOnce() -> R) -> R {
    scrub_after::<HASH_STACK, R>(work)
}

fn scrub_after<const BYTES: usize, R>(work: impl FnOnce() -> R) -> R {
    if IN_BATCH.get() {
        return work();
    }
    let result = in_a_frame_below(work);
    scrub_stack::<BYTES>();
    result
}

#[inline(never)]
fn in_a_frame_below<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Overwrites the stack below the caller.
#[inline(never)]
fn scrub_stack<const BYTES: usize>() {
    let mut stack = [0_u8; BYTES];
    // Behind a mutable borrow, so that the zeros are written here and not taken from a constant.
    black_box(&mut stack);
}
