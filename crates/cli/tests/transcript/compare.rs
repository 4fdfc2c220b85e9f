//! Whether what a program says is what a document shows of it.
//!
//! - `…` in a shown line stands for any text of that line, a line `…` for any number of lines.
//! - An id that is shown stands for the id that is said in its place, from then on and in every
//!   command: a document has ids of its own, and they must agree with each other.
//! - A time stands for any time, and spaces between words for any number of spaces.

use std::collections::BTreeMap;

/// The length of what follows an id's prefix.
const ID_LENGTH: usize = 26;

/// Which id of this run each id of the document stands for.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    real: BTreeMap<String, String>,
}

impl Ids {
    /// The command as it is typed in this run.
    pub fn typed(&self, command: &str) -> String {
        self.real.iter().fold(command.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    /// Lets `shown` stand for `said`, unless it stands for another one, or another one for it.
    fn bind(mut self, shown: &str, said: &str) -> Option<Self> {
        match self.real.get(shown) {
            Some(real) => (real == said).then_some(self),
            None if self.real.values().any(|real| real == said) => None,
            None => {
                self.real.insert(shown.to_owned(), said.to_owned());
                Some(self)
            }
        }
    }

    /// Compares all lines.
    pub fn lines(self, shown: &[&str], said: &[&str]) -> Option<Self> {
        let Some((first, rest)) = shown.split_first() else {
            return said.is_empty().then_some(self);
        };
        if first.trim() == "…" {
            return (0..=said.len()).find_map(|skipped| self.clone().lines(rest, &said[skipped..]));
        }
        let (next, later) = said.split_first()?;
        self.line(first, next)?.lines(rest, later)
    }

    fn line(self, shown: &str, said: &str) -> Option<Self> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        self.text(&words(shown), &words(said))
    }

    fn text(self, shown: &str, said: &str) -> Option<Self> {
        if let Some(rest) = shown.strip_prefix('…') {
            let mut ends = said.char_indices().map(|(place, _)| place).chain([said.len()]);
            return ends.find_map(|end| self.clone().text(rest, &said[end..]));
        }
        if let (Some(shown_id), Some(said_id)) = (id(shown), id(said)) {
            let bound = (shown_id[..4] == said_id[..4]).then_some(self)?.bind(shown_id, said_id)?;
            return bound.text(&shown[shown_id.len()..], &said[said_id.len()..]);
        }
        if let (Some(shown_time), Some(said_time)) = (time(shown), time(said)) {
            return self.text(&shown[shown_time..], &said[said_time..]);
        }
        let (mut shown, mut said) = (shown.chars(), said.chars());
        match (shown.next(), said.next()) {
            (None, None) => Some(self),
            (left, right) if left == right => self.text(shown.as_str(), said.as_str()),
            _ => None,
        }
    }
}

/// The id at the beginning: `rec_` and 26 letters and digits.
fn id(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let (prefix, rest) = bytes.split_at_checked(4)?;
    let well = prefix[..3].iter().all(u8::is_ascii_lowercase) && prefix[3] == b'_';
    let body = rest.get(..ID_LENGTH)?;
    let letters = body.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    (well && letters).then(|| &text[..4 + ID_LENGTH])
}

/// The length of the time at the beginning: `2026-01-31T09:30:00.123Z`.
fn time(text: &str) -> Option<usize> {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd";
    let fits = |(byte, form): (u8, u8)| match form {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let start = text.as_bytes().get(..FORM.len())?;
    if !start.iter().copied().zip(FORM.bytes()).all(fits) {
        return None;
    }
    let rest = &text[FORM.len()..];
    let fraction = rest.find(|it: char| it != '.' && !it.is_ascii_digit())?;
    rest[fraction..].starts_with('Z').then_some(FORM.len() + fraction + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "rec_01m8255qs8f4xbddaq1wwegzky";
    const OTHER: &str = "rec_01m8255qs8f4xbddaq1wwegzkz";

    fn agrees(shown: &[&str], said: &[&str]) -> bool {
        Ids::default().lines(shown, said).is_some()
    }

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        assert!(agrees(&["a … d"], &["a b c d"]));
        assert!(agrees(&["…", "last"], &["first", "last"]));
        assert!(agrees(&["a    b"], &["a  b "]));
        assert!(!agrees(&["a … d"], &["a b c"]));
        assert!(!agrees(&["a"], &["a", "b"]));
        assert!(!agrees(&["a", "b"], &["a"]));
    }

    #[test]
    fn a_time_stands_for_any_time() {
        assert!(agrees(&["at 2026-01-31T09:30:00Z"], &["at 2027-12-01T00:00:00.123456Z"]));
        assert!(!agrees(&["at 2026-01-31T09:30:00Z"], &["at noon"]));
    }

    #[test]
    fn an_id_stands_for_one_id_alone() {
        let real = "rec_0000000000000000000000000a";
        let second = "rec_0000000000000000000000000b";
        assert!(agrees(&[ONE, ONE], &[real, real]));
        assert!(agrees(&[ONE, OTHER], &[real, second]));
        assert!(!agrees(&[ONE, ONE], &[real, second]));
        assert!(!agrees(&[ONE, OTHER], &[real, real]));
        assert!(!agrees(&[ONE], &["sub_0000000000000000000000000a"]));
        let ids = Ids::default().lines(&[ONE], &[real]).unwrap();
        assert_eq!(ids.typed(&format!("read {ONE}")), format!("read {real}"));
    }
}
