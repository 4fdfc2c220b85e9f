//! Admissions: a tenant lets a backend of the provider in, bounds it, and shows it the door.

mod admit;
mod list;
mod revoke;
mod subjects;

pub use admit::{AdmitBackend, Bounds, ClassRef, admit};
pub use list::{AdmissionState, AdmissionView, list, show};
pub use revoke::revoke;
pub(crate) use subjects::SubjectCounts;
