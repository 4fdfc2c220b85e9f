//! Exports as jobs: the records of a collection are taken out in parts, one after the other, by whoever
//! asked. Nothing of the records is kept for it: a part is made when it is taken.

mod begin;
mod part;

pub use begin::{BeginExport, begin};
pub use part::{TakenPart, take};
