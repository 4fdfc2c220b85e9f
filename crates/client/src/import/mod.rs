//! Imports: rows of a CSV or NDJSON file become records, as a mapping file says.
//!
//! A row that cannot be read, or that the server does not take, goes to the file of rejects and the
//! import goes on. Running it again is safe: what has its external id in the collection is left as
//! it is. `docs/import.md` describes mapping files.

mod job;
mod rejects;
mod run;
mod verify;

pub use job::{NewImportJob, Sending, UploadedPart, send};
pub use rejects::{Reject, Rejects};
pub use run::{Checkpoints, ImportError, Summary, check, import};
pub use strongroom_tables::{
    Cell, Format, Mapping, MappingError, Part, Parts, ReadRow, Row, Rows, RowsError,
};
pub use verify::{Verified, verify};
