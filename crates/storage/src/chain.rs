//! The chains of one lane: every line's place in its node and tenant, without gaps.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use strongroom_model::TenantId;

use crate::batch::refuse_if;
use crate::{LINE_BYTES_MAX, Line, LinePlace, LinePlaced, StoreError};

/// Bytes of the tag that a sealed line ends with.
const TAG_BYTES: usize = 16;
/// Bytes that a sealed line begins with: `tenant 16 | node u32 | n u64`.
const PLACE_BYTES: usize = 28;

/// The end of one tenant's chain.
#[derive(Clone, Copy, Default)]
struct End {
    /// The number of the next line.
    next: u64,
    previous_tag: [u8; 16],
}

/// The chains of one node: the lane of commits or the lane of appends. If what was sealed does not
/// become durable, the chains are given up and a new node begins, because a place may be sealed
/// once only.
pub(crate) struct Chain {
    node: u32,
    ends: HashMap<TenantId, End>,
}

/// Lines with their places.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) lines: Vec<Bytes>,
    pub(crate) places: Vec<LinePlaced>,
    /// Bytes of all lines together.
    pub(crate) bytes: usize,
}

impl Chain {
    /// Chains of a node that has not written yet.
    pub(crate) fn new(node: u32) -> Self {
        Self { node, ends: HashMap::new() }
    }

    /// Seals the lines of one batch at the ends of their chains, to at most `bytes_max` together.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a line is not well formed; no number is taken then. Its place may
    /// be given again: what was sealed for it never leaves this function.
    pub(crate) fn seal(
        &mut self,
        lines: &[Box<dyn Line>],
        bytes_max: usize,
    ) -> Result<Sealed, StoreError> {
        let mut ends: HashMap<TenantId, End> = HashMap::new();
        let mut sealed = Sealed::default();
        for line in lines {
            let tenant = line.tenant();
            let end = ends.get(&tenant).copied().unwrap_or_else(|| self.end(tenant));
            let place = LinePlace { node: self.node, n: end.next, previous_tag: end.previous_tag };
            let bytes = catch_unwind(AssertUnwindSafe(|| line.seal(&place)))
                .map_err(|_| StoreError::Refused("a line could not be sealed"))?;
            let tag = check_line(&bytes, tenant, &place)?;
            ends.insert(tenant, End { next: end.next + 1, previous_tag: tag });
            sealed.places.push(LinePlaced { node: self.node, n: end.next, tag });
            sealed.bytes = sealed.bytes.saturating_add(bytes.len());
            refuse_if(sealed.bytes > bytes_max, "the lines are too long together")?;
            sealed.lines.push(bytes);
        }
        self.ends.extend(ends);
        Ok(sealed)
    }

    fn end(&self, tenant: TenantId) -> End {
        self.ends.get(&tenant).copied().unwrap_or_default()
    }
}

/// A line that does not begin with its place could not be found or opened again.
fn check_line(line: &[u8], tenant: TenantId, place: &LinePlace) -> Result<[u8; 16], StoreError> {
    refuse_if(line.len() > LINE_BYTES_MAX, "a line is too long")?;
    let mut begins = Vec::with_capacity(PLACE_BYTES);
    begins.extend_from_slice(tenant.as_bytes());
    begins.extend_from_slice(&place.node.to_be_bytes());
    begins.extend_from_slice(&place.n.to_be_bytes());
    let rest = line
        .strip_prefix(begins.as_slice())
        .ok_or(StoreError::Refused("a sealed line does not begin with its place"))?;
    rest.last_chunk::<TAG_BYTES>().copied().ok_or(StoreError::Refused("a sealed line has no tag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(Option<&'static str>);

    impl Line for Plain {
        fn tenant(&self) -> TenantId {
            TenantId::from_bytes([1; 16])
        }

        fn seal(&self, place: &LinePlace) -> Bytes {
            let text = self.0.unwrap();
            let mut line = [1; 16].to_vec();
            line.extend(place.node.to_be_bytes());
            line.extend(place.n.to_be_bytes());
            line.extend(text.bytes());
            line.into()
        }
    }

    fn line(text: &'static str) -> Box<dyn Line> {
        Box::new(Plain(Some(text)))
    }

    #[test]
    fn lines_follow_one_another_and_carry_the_tag_before() {
        let mut chain = Chain::new(3);
        let first =
            chain.seal(&[line("aaaaaaaaaaaaaaaa"), line("bbbbbbbbbbbbbbbb")], 100_000).unwrap();
        let second = chain.seal(&[line("cccccccccccccccc")], 100_000).unwrap();
        let places: Vec<_> = first.places.iter().chain(&second.places).collect();
        assert_eq!(places.iter().map(|place| place.n).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(places[1].tag, *b"bbbbbbbbbbbbbbbb");
    }

    #[test]
    fn a_batch_with_a_bad_line_takes_no_number() {
        let mut chain = Chain::new(3);
        for bad in [line("short"), Box::new(Plain(None)) as Box<dyn Line>] {
            let refused = chain.seal(&[line("aaaaaaaaaaaaaaaa"), bad], 100_000);
            assert!(matches!(refused, Err(StoreError::Refused(_))));
        }
        assert_eq!(chain.seal(&[line("aaaaaaaaaaaaaaaa")], 100_000).unwrap().places[0].n, 0);
    }
}
