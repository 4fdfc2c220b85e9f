//! What the adversary has to understand of rows that it has opened: where the keys are to which they lead.

use minicbor::Decoder;

use crate::Id;

/// The slot of a collection's key: element 6.
pub(crate) fn slot_of_collection(plaintext: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(plaintext);
    decoder.array().ok()?;
    for _ in 0..6 {
        decoder.skip().ok()?;
    }
    decoder.u64().ok()
}

/// The id and the slot of an index page: elements 0 and 1.
pub(crate) fn id_and_slot_of_page(plaintext: &[u8]) -> Option<(Id, u64)> {
    let mut decoder = Decoder::new(plaintext);
    decoder.array().ok()?;
    let id = decoder.bytes().ok()?.try_into().ok()?;
    Some((id, decoder.u64().ok()?))
}
