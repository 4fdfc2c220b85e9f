//! Where a line stands: what the header `Strongroom-Audit` and a receipt name.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use strongroom_crypto::line::Prefix;
use strongroom_model::Malformed;

/// A line's place and its tag; in text `node.n.tag`, the numbers decimal, the tag in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which run of which server wrote it.
    pub node: u32,
    /// Its place among that node's lines of the tenant, from 0.
    pub n: u64,
    /// The last 16 bytes of the sealed line.
    pub tag: [u8; 16],
}

impl Position {
    /// The position of a sealed line; `None` if it is too short to be one.
    pub fn of(sealed: &[u8]) -> Option<Self> {
        let prefix = Prefix::parse(sealed)?;
        let tag = strongroom_crypto::line::tag(sealed).ok()?;
        Some(Self { node: prefix.node, n: prefix.n, tag })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.node, self.n, HEXLOWER.encode(&self.tag))
    }
}

impl FromStr for Position {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let position = read(text).filter(|position| position.to_string() == text);
        position.ok_or(Malformed("not a place in the audit log of the form `node.n.tag`"))
    }
}

fn read(text: &str) -> Option<Position> {
    let (node, rest) = text.split_once('.')?;
    let (n, tag) = rest.split_once('.')?;
    let tag = HEXLOWER.decode(tag.as_bytes()).ok()?.try_into().ok()?;
    Some(Position { node: node.parse().ok()?, n: n.parse().ok()?, tag })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_only_as_it_is_written() {
        let position = Position { node: 3, n: 17, tag: [0xab; 16] };
        let text = position.to_string();
        assert_eq!(text, format!("3.17.{}", "ab".repeat(16)));
        assert_eq!(text.parse(), Ok(position));
        for wrong in [
            "",
            "3.17",
            "3.17.ab",
            "03.17.",
            "+3.17.",
            ".17.",
            "3.17.ABABABABABABABABABABABABABABABAB",
            &format!("03.17.{}", "ab".repeat(16)),
            &format!("3.+17.{}", "ab".repeat(16)),
            &format!("3.17.{}", "ab".repeat(17)),
            &format!("3.17.{} ", "ab".repeat(16)),
            &format!("4294967296.17.{}", "ab".repeat(16)),
        ] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
