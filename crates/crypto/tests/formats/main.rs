//! The sealed formats from outside: known answers, and messages that must not open.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod known_answers;
mod moved;
mod round_trips;
mod tampered;

use strongroom_crypto::{Context, Key, MessagePurpose};
use strongroom_model::{InstallId, NoRandomness, Rng, TenantId};

/// Gives the bytes it was made with, once.
struct Fixed(Vec<u8>);

impl Rng for Fixed {
    fn fill(&self, into: &mut [u8]) -> Result<(), NoRandomness> {
        into.copy_from_slice(&self.0);
        Ok(())
    }
}

/// A generator that fails.
struct Broken;

impl Rng for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
        Err(NoRandomness)
    }
}

fn key(byte: u8) -> Key {
    Key::build(|key| key.fill(byte))
}

/// A place in which no two parts have the same bytes.
fn place(purpose: MessagePurpose) -> Context {
    Context {
        purpose,
        epoch: 0x0102,
        install: InstallId::from_bytes([0x11; 16]),
        tenant: TenantId::from_bytes([0x22; 16]),
        subject: [0x33; 16],
        object: [0x44; 16],
        collection: 0x0506_0708,
        index: 0x090a_0b0c_0d0e_0f10,
        number: 0x1516_1718,
        version: 0x191a_1b1c_1d1e_1f20,
    }
}

const PURPOSES: [MessagePurpose; 6] = [
    MessagePurpose::Record,
    MessagePurpose::File,
    MessagePurpose::Row,
    MessagePurpose::Node,
    MessagePurpose::Slot,
    MessagePurpose::SubjectState,
];
