//! Erasures: asked for, carried out, shown, with their receipts.
//!
//! An erasure has the id of its target under another prefix: there is at most one per target, and a
//! second request finds the first. Its row and receipt stand with the provider, under opaque ids, so
//! that they can be fetched after a tenant is gone.

mod carry_out;
mod fence;
mod request;
mod show;
mod sweep;

pub(crate) use fence::{Fence, RecordTarget, refuse_held};
pub use request::{EraseRequest, Preview, Requested, TargetRef, request};
pub use show::{ErasureView, ReceiptView, list, receipt, show};
