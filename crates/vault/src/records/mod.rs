//! Records: created, read, listed, changed, deleted, imported.

mod change;
mod codec;
mod create;
mod delete;
mod import;
mod known;
mod list;
mod lookup;
mod numbers;
mod read;
mod upsert;
mod view;
mod writer;

pub use change::{ChangeRecord, change};
pub(crate) use codec::{Place, SealedRecord};
pub use create::{CreateRecord, NewRecord, create};
pub use delete::{DeleteRecord, delete};
pub use import::{IMPORT_ITEMS_MAX, ImportRecords, Imported, import};
pub use list::{ListRecords, list};
pub use lookup::{LookUpRecord, look_up};
pub(crate) use numbers::Creations;
pub(crate) use read::person;
pub use read::{ReadRecord, read};
pub use upsert::{Upserted, upsert};
pub use view::{RecordView, Wanted};
