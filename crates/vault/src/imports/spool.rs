//! Rows of a file that wait to become records: pages of CBOR under the job's own key.

use minicbor::encode::Write;
use minicbor::{Encode, Encoder};
use strongroom_model::{JobId, TenantId};
use strongroom_storage::{Batch, Row, RowKey};
use zeroize::Zeroizing;

use crate::records::NewRecord;
use crate::rows::OwnerLeaf;
use crate::{Vault, VaultError, keyspace};

/// Most rows of a page: a page becomes records in one commit.
pub(super) const PAGE_ROWS_MAX: usize = 250;
/// Most bytes of a page's rows, but for a single row.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of a row as it waits: what a record holds at the most, and what is known of it beside.
pub const ROW_BYTES_MAX: usize = 128 * 1024;
/// Most bytes of a mapping.
pub const MAPPING_BYTES_MAX: usize = 64 * 1024;

/// A row of a file that was read.
#[derive(minicbor::Encode, minicbor::Decode)]
pub struct FileRow {
    /// The line on which it begins.
    #[n(0)]
    pub line: u64,
    /// The record that it is to become.
    #[n(1)]
    pub record: NewRecord,
}

/// How rows become records.
#[derive(minicbor::Encode, minicbor::Decode)]
pub(super) struct MappingRow {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub(super) mapping: Vec<u8>,
}

/// Rows that were written before, as one CBOR array.
struct Written<'r>(&'r [Zeroizing<Vec<u8>>]);

impl<C> Encode<C> for Written<'_> {
    fn encode<W: Write>(
        &self,
        to: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        to.array(self.0.len() as u64)?;
        for row in self.0 {
            to.writer_mut().write_all(row).map_err(minicbor::encode::Error::write)?;
        }
        Ok(())
    }
}

/// Where pages of waiting rows go.
#[derive(Clone, Copy)]
pub(super) struct Spool {
    pub(super) tenant: TenantId,
    pub(super) job: JobId,
    pub(super) slot: u64,
}

/// A row as it waits.
///
/// # Errors
/// [`VaultError::Invalid`] for one that no record could hold.
pub(super) fn write(row: &FileRow) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let written = minicbor::to_vec(row)
        .map_err(|_| VaultError::Internal("a row that cannot be encoded".into()))?;
    let written = Zeroizing::new(written);
    if written.len() > ROW_BYTES_MAX {
        return Err(VaultError::invalid("", "the record is too long: at most 64 KiB"));
    }
    Ok(written)
}

/// Cuts rows into pages.
pub(super) fn pages(rows: &[Zeroizing<Vec<u8>>]) -> Vec<&[Zeroizing<Vec<u8>>]> {
    let mut pages = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0usize;
        let fits = rest.iter().take(PAGE_ROWS_MAX).take_while(|row| {
            bytes = bytes.saturating_add(row.len());
            bytes <= PAGE_BYTES_MAX
        });
        let (page, after) = rest.split_at(fits.count().max(1));
        pages.push(page);
        rest = after;
    }
    pages
}

impl Spool {
    /// Lets rows wait on a page that there is not yet.
    pub(super) async fn put(
        self,
        vault: &Vault,
        batch: &mut Batch,
        place: (u16, u32, u32),
        rows: &[Zeroizing<Vec<u8>>],
    ) -> Result<(), VaultError> {
        let (round, part, page) = place;
        let key = keyspace::job_spool(self.tenant, self.job, round, part, page);
        let leaf = OwnerLeaf::job(self.job, self.slot);
        let value = vault.seal_row(&key, leaf, 1, &Written(rows)).await?;
        batch.expect_absent(key.clone()).put(key, 1, value);
        Ok(())
    }

    /// The rows of a page. They are not kept decoded.
    pub(super) async fn read(
        vault: &Vault,
        key: &RowKey,
        row: &Row,
    ) -> Result<Vec<FileRow>, VaultError> {
        Ok(vault.open_row::<Vec<FileRow>>(key, row).await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(sizes: &[usize]) -> Vec<Zeroizing<Vec<u8>>> {
        sizes.iter().map(|size| Zeroizing::new(vec![0; *size])).collect()
    }

    #[test]
    fn pages_have_all_rows_in_their_order_and_no_page_is_longer_than_its_bounds() {
        let large = rows(&[ROW_BYTES_MAX, ROW_BYTES_MAX, 1, 1, ROW_BYTES_MAX]);
        let lengths: Vec<usize> = pages(&large).iter().map(|page| page.len()).collect();
        assert_eq!(lengths, [2, 3]);
        let small = rows(&vec![10; PAGE_ROWS_MAX * 2 + 1]);
        let lengths: Vec<usize> = pages(&small).iter().map(|page| page.len()).collect();
        assert_eq!(lengths, [PAGE_ROWS_MAX, PAGE_ROWS_MAX, 1]);
        assert!(pages(&[]).is_empty());
    }
}
