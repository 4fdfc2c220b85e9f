//! Tables: how the rows of a CSV or NDJSON file become records, as a mapping says.
//!
//! This crate knows files of rows, mappings, and the records that exports write down. It does *not*
//! know collections, the server, the client, or what becomes of a record: the client reads rows with
//! it before it sends them, and the server reads those of files that were sent to it.
//! `docs/import.md` describes mappings.

mod convert;
mod cut;
mod item;
mod mapping;
mod row;
mod rows;
mod template;

pub use cut::{Part, Parts};
pub use item::{ExportedRecord, Flaw, ImportItem, NamedSubject, NamedUser};
pub use mapping::{Mapping, MappingError};
pub use row::{Cell, Row};
pub use rows::{Format, ReadRow, Rows, RowsError};
