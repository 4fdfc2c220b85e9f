//! Imports as jobs: a file is sent in parts, its rows wait under the job's own key, and the server makes
//! records of them.

mod begin;
mod own;
mod rejects;
mod spool;
mod start;
mod upload;
mod work;

pub use begin::{BeginImport, begin};
pub use rejects::rejects;
pub use spool::{FileRow, MAPPING_BYTES_MAX, ROW_BYTES_MAX};
pub use start::start;
pub use upload::{
    PART_ROWS_MAX, PARTS_MAX, PartSent, Prepared, ROWS_MAX, Uploaded, prepare, upload,
};
