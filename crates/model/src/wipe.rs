//! Overwriting client data where it lies, at once and not byte by byte.

use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

/// What can be overwritten so that nothing of it is left. For bytes and texts it does what
/// [`Zeroize`] does, which overwrites vectors byte by byte, in one stroke.
pub trait Wipe {
    /// Overwrites it with zeros, spare room included, and leaves it empty or zero.
    fn wipe(&mut self);
}

impl Wipe for Vec<u8> {
    fn wipe(&mut self) {
        self.as_mut_slice().zeroize();
        self.spare_capacity_mut().zeroize();
        self.clear();
    }
}

impl Wipe for String {
    fn wipe(&mut self) {
        std::mem::take(self).into_bytes().wipe();
    }
}

impl<const BYTES: usize> Wipe for [u8; BYTES] {
    fn wipe(&mut self) {
        self.as_mut_slice().zeroize();
    }
}

macro_rules! wipe_number {
    ($($number:ty),*) => {
        $(impl Wipe for $number {
            fn wipe(&mut self) {
                self.zeroize();
            }
        })*
    };
}

wipe_number!(bool, u64, i64, f64);

/// Something that is wiped when it is dropped and may otherwise be used as what it is: for buffers on
/// their way. What is kept or handed about is [`Plaintext`](crate::Plaintext).
pub struct Wiping<T: Wipe>(T);

impl<T: Wipe> Wiping<T> {
    /// Takes a value in.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T: Wipe> Deref for Wiping<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe> DerefMut for Wiping<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl AsRef<[u8]> for Wiping<Vec<u8>> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Wipe> Drop for Wiping<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}
