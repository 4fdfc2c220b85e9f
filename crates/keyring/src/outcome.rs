//! What unlocking and shredding report.

use crate::holder::Grade;

/// What unlocking did besides loading the root secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unlocked {
    /// The number in force.
    pub number: u64,
    /// What became of a batch that had not ended.
    pub recovery: Recovery,
    /// How the holders stand now.
    pub holders: Vec<HolderReport>,
}

/// What became of a batch that had not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovery {
    /// The last batch had ended.
    Nothing,
    /// The batch of this number had changed no node: it was aborted, its shares forgotten.
    Aborted(u64),
    /// The batch of this number had committed its nodes: the old shares were forgotten.
    Completed(u64),
}

/// How the holders of one class stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HolderReport {
    /// The class.
    pub class: u8,
    /// The weakest grade among its holders that answered.
    pub grade: Grade,
    /// How many holders of this class the installation has.
    pub replicas: usize,
    /// How many keep nothing but the share in force.
    pub forgotten: usize,
    /// How many did not answer, failed, or are not here; they may keep old shares.
    pub behind: usize,
}

impl HolderReport {
    /// Whether no holder of the class keeps an old share.
    pub const fn has_forgotten(&self) -> bool {
        self.forgotten == self.replicas && self.replicas > 0
    }
}

/// What a shred did.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "an erasure that is not complete must not be called one"]
pub struct ShredOutcome {
    /// The number in force before the targets' keys were dropped.
    pub number_before: u64,
    /// The number in force now.
    pub number_after: u64,
    /// How the holders stand, ascending by class.
    pub holders: Vec<HolderReport>,
    /// Whether the old root secrets are gone: some class has forgotten them on all its holders.
    pub complete: bool,
    /// Nodes that got new keys.
    pub nodes_rekeyed: usize,
}

/// Whether some class has forgotten every old share on all its holders; without it no old root
/// secret can be made.
pub(crate) fn is_complete(holders: &[HolderReport]) -> bool {
    holders.iter().any(HolderReport::has_forgotten)
}
