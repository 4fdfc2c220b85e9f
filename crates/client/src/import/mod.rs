//! Imports: rows of a CSV or NDJSON file become records, as a mapping file says.
//!
//! A row that cannot be read, or that the server does not take, goes to the file of rejects and the
//! import goes on. Running it again is safe: what has its external id in the collection is left as
//! it is. `docs/import.md` describes mapping files.

mod convert;
mod mapping;
mod rejects;
mod row;
mod rows;
mod run;
mod template;
mod verify;

pub use mapping::{Mapping, MappingError};
pub use rejects::{Reject, Rejects};
pub use row::{Cell, Row};
pub use rows::{Format, ReadRow, Rows, RowsError};
pub use run::{Checkpoints, ImportError, Summary, check, import};
pub use verify::{Verified, verify};
