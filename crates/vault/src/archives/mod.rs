//! Archives: collections of a tenant as one sealed stream, which only its recipients open.

mod begin;
mod page;
mod writer;

pub use begin::{Archive, BeginArchive, begin};
pub use page::{ArchivePage, GivenUp, finish, give_up, page};
/// For whom an archive is sealed.
pub use strongroom_crypto::age::{RECIPIENTS_MAX, Recipient};
pub use writer::{ArchiveWriter, FilesDigest};
