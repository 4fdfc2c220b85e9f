//! Every label and fixed number that enters a derivation, on one page, so that no two are the same.

/// Domain of the context of sealed messages.
pub(crate) const CONTEXT: &[u8; 4] = b"sr1\0";
/// First bytes of the header of a sealed message.
pub(crate) const HEADER: &[u8; 2] = b"SR";
/// Version of the header's layout.
pub(crate) const HEADER_VERSION: u8 = 1;
/// AES-256-GCM with a key derived for each message.
pub(crate) const SUITE: u8 = 1;
/// Label of stream bodies, as C2SP chunked-encryption v1 defines it for Cobblestone-256.
pub(crate) const STREAM: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
/// Label of record bodies.
pub(crate) const RECORD: &[u8] = b"strongroom/v1/record\0";
/// Domain of the associated data of index entries.
pub(crate) const ENTRY: &[u8; 10] = b"sr1\0entry\0";
/// Label of the root secret.
pub(crate) const ROOT: &[u8] = b"sr1/root\0";
/// Label of a step down the tree below a seed; the step's bit stands before it.
pub(crate) const PRF_STEP: &[u8] = b"sr1/ggm";
/// Label of the key of a number; [`PRF_LEAF_BYTE`] stands before it.
pub(crate) const PRF_LEAF: &[u8] = b"sr1/rec";
/// Neither bit 0 nor bit 1: a leaf's key is never a child's seed.
pub(crate) const PRF_LEAF_BYTE: u8 = 2;
/// Domain of the checksum of a seal key file.
pub(crate) const SEAL_KEY_CHECK: &[u8] = b"strongroom/v1/seal-key-file\0";
