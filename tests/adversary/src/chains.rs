//! The audit log: chains of lines, and the callers' reasons in them (`docs/formats/audit-line.md`).

use std::collections::{BTreeMap, BTreeSet};

use crate::Id;
use crate::message::{MAGIC, ROW, header};
use crate::primitives::{Opener, Secret, TAG};
use crate::rows::{id_at, u32_at, u64_at};

/// Length of a line's clear beginning: tenant, node, count, time.
const PREFIX: usize = 36;

/// A line in the clear.
pub(crate) struct Line {
    pub(crate) tenant: Id,
    pub(crate) bytes: Vec<u8>,
}

/// A caller's reason in a line, sealed.
pub(crate) struct Reason<'a> {
    pub(crate) subject: Id,
    pub(crate) slot: u64,
    pub(crate) number: u32,
    pub(crate) sealed: &'a [u8],
}

/// Opens the lines of a tenant with every key that its log may have had. A line is bound to the one before
/// it, so the tag of that is needed, and is there if no line is missing.
pub(crate) fn open<'k>(
    lines: &BTreeSet<Vec<u8>>,
    keys: impl Fn(Id) -> Vec<&'k Secret>,
) -> Vec<Line> {
    let mut chains: BTreeMap<(Id, u32), BTreeMap<u64, &[u8]>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.len() >= PREFIX + TAG) {
        let place = (id_at(line, 0), u32_at(line, 16), u64_at(line, 20));
        let (Some(tenant), Some(node), Some(n)) = place else { continue };
        chains.entry((tenant, node)).or_default().insert(n, line);
    }
    let mut opened = Vec::new();
    for ((tenant, _), chain) in chains {
        let openers: Vec<Opener> = keys(tenant).into_iter().filter_map(Opener::new).collect();
        for (n, line) in &chain {
            let before = n.checked_sub(1).map(|before| chain.get(&before));
            let tag = match before {
                None => [0; TAG],
                Some(Some(before)) => before.last_chunk().copied().unwrap_or_default(),
                Some(None) => continue,
            };
            let Some((prefix, sealed)) = line.split_first_chunk::<PREFIX>() else { continue };
            let Some(nonce) = prefix.get(16..).and_then(<[u8]>::first_chunk::<12>) else {
                continue;
            };
            let associated = [&prefix[..], &tag].concat();
            let bytes = openers.iter().find_map(|opener| opener.open(*nonce, &associated, sealed));
            opened.extend(bytes.map(|bytes| Line { tenant, bytes }));
        }
    }
    opened
}

/// The reason at the end of a line, if it has one: `subject 16 | slot u64 | length u16 | sealed`.
pub(crate) fn reason(line: &[u8]) -> Option<Reason<'_>> {
    let at = line.array_windows().position(|window: &[u8; 5]| {
        window.strip_prefix(&MAGIC).is_some_and(|purpose| purpose == [ROW])
    })?;
    let (before, sealed) = line.split_at_checked(at)?;
    let owner = before.get(at.checked_sub(16 + 8 + 2)?..)?;
    let (subject, slot) = (id_at(owner, 0)?, u64_at(owner, 16)?);
    Some(Reason { subject, slot, number: header(sealed)?.number, sealed })
}
