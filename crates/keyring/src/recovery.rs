//! Ending a batch that a crash, or a coordinator that fell silent, has left.

use strongroom_storage::Batch;

use crate::holders::Shares;
use crate::keyring::Keyring;
use crate::outcome::{HolderReport, Recovery};
use crate::rows::{BatchRecord, BatchState, Versioned};
use crate::secrets::Secrets;
use crate::{KeyError, Result};

impl Keyring {
    /// Ends a batch that had not ended and brings every holder to the number in force. The batch row
    /// is taken over by commit before a holder is touched, so that no two coordinators do it; the
    /// caller holds the batch gate.
    pub(crate) async fn recover(&self, secrets: &Secrets) -> Result<(Recovery, Vec<HolderReport>)> {
        let (in_force, record) = self.protocol_rows().await?;
        let number = in_force.value.number;
        if record.value.number > number && record.value.state == BatchState::Forgetting {
            return Err(KeyError::Damaged("a batch was committed without its number"));
        }
        let taken = self.take_over(&record).await?;
        let shares = self.load_shares(&secrets.seal, number).await?;
        self.use_root(secrets, number, &shares)?;
        let holders = self.settle(&secrets.seal, &shares, number, record.value.number).await;
        let recovery = match record.value.state {
            BatchState::Open => Recovery::Aborted(record.value.number),
            BatchState::Forgetting => {
                self.close_taken(&taken).await?;
                Recovery::Completed(number)
            }
            BatchState::Done | BatchState::Aborted => Recovery::Nothing,
        };
        Ok((recovery, holders))
    }

    /// Makes an unfinished batch this coordinator's, in one commit. One whose nodes were not
    /// committed is aborted by the same commit: from then on they cannot be, and only then may its
    /// new shares be forgotten.
    async fn take_over(&self, record: &Versioned<BatchRecord>) -> Result<Versioned<BatchRecord>> {
        let state = match record.value.state {
            BatchState::Open => BatchState::Aborted,
            BatchState::Forgetting => BatchState::Forgetting,
            BatchState::Done | BatchState::Aborted => {
                return Ok(Versioned { value: record.value, version: record.version });
            }
        };
        let value = BatchRecord {
            state,
            coordinator: self.new_coordinator()?,
            token: record.value.token.saturating_add(1),
            ..record.value
        };
        let version = self.advance(record.version, value, Batch::new()).await?;
        Ok(Versioned { value, version })
    }

    async fn close_taken(&self, taken: &Versioned<BatchRecord>) -> Result<()> {
        let record = BatchRecord { state: BatchState::Done, ..taken.value };
        self.advance(taken.version, record, Batch::new()).await.map(drop)
    }

    /// Keeps the root secret in force, and no other, in memory.
    fn use_root(&self, secrets: &Secrets, number: u64, shares: &Shares) -> Result<()> {
        if secrets.root(number).is_none() {
            secrets.add_root(number, self.root_of(number, shares)?.into());
        }
        secrets.keep_root(number);
        self.core.number.store(number, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}
