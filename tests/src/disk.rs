//! What somebody sees who reads every byte on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::{BASE32_NOPAD, BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// Something that must not be found, in every spelling that a program might give it.
#[derive(Debug, Clone)]
pub struct Needle {
    name: String,
    spellings: Vec<(&'static str, Vec<u8>)>,
}

/// Where a needle was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The needle's name.
    pub needle: String,
    /// How it was spelled there.
    pub spelling: &'static str,
    /// The file, or what else was searched.
    pub place: String,
    /// From which byte on.
    pub offset: usize,
}

impl Needle {
    /// A needle with a name that may be shown: as it is, turned round, in upper and lower case, in
    /// hexadecimal, in base64 and base32 at each alignment, and in UTF-16.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 12, "a short needle is found by accident");
        let mut spellings = vec![
            ("raw", bytes.to_vec()),
            ("backwards", bytes.iter().rev().copied().collect()),
            ("upper case", bytes.to_ascii_uppercase()),
            ("lower case", bytes.to_ascii_lowercase()),
            ("hexadecimal", HEXLOWER.encode(bytes).into_bytes()),
            ("upper hexadecimal", HEXUPPER.encode(bytes).into_bytes()),
            ("bytes in decimal", in_decimal(bytes)),
            ("UTF-16LE", bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
            ("UTF-16BE", bytes.iter().flat_map(|byte| [0, *byte]).collect()),
        ];
        // In the middle of a longer text the letters of base64 depend on what stands before.
        for skipped in 0..3 {
            let whole = bytes.get(skipped..).unwrap_or_default();
            let whole = whole.get(..whole.len() / 3 * 3).unwrap_or_default();
            spellings.push(("base64", BASE64_NOPAD.encode(whole).into_bytes()));
            spellings.push(("base64url", BASE64URL_NOPAD.encode(whole).into_bytes()));
        }
        for skipped in 0..5 {
            let whole = bytes.get(skipped..).unwrap_or_default();
            let whole = whole.get(..whole.len() / 5 * 5).unwrap_or_default();
            if whole.len() >= 10 {
                let text = BASE32_NOPAD.encode(whole);
                spellings.push(("base32", text.to_ascii_lowercase().into_bytes()));
                spellings.push(("base32", text.into_bytes()));
            }
        }
        let doubled = BASE64.encode(HEXLOWER.encode(bytes).as_bytes());
        spellings.push(("base64 of hexadecimal", doubled.into_bytes()));
        spellings.sort();
        spellings.dedup_by(|one, other| one.1 == other.1);
        Self { name: name.into(), spellings }
    }
}

impl Needle {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn in_decimal(bytes: &[u8]) -> Vec<u8> {
    let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    numbers.join(", ").into_bytes()
}

/// Searches some bytes for all needles.
pub fn search_bytes(place: &str, hay: &[u8], needles: &[Needle]) -> Vec<Finding> {
    // Spellings by their first two bytes: most places of the hay begin none of them.
    let mut begins: Vec<Vec<(&Needle, &'static str, &[u8])>> = vec![Vec::new(); 1 << 16];
    for needle in needles {
        for (spelling, bytes) in &needle.spellings {
            begins[pair(bytes[0], bytes[1])].push((needle, *spelling, bytes));
        }
    }
    let mut findings = Vec::new();
    for (offset, two) in hay.windows(2).enumerate() {
        for (needle, spelling, bytes) in &begins[pair(two[0], two[1])] {
            if hay[offset..].starts_with(bytes) {
                let needle = needle.name.clone();
                findings.push(Finding { needle, spelling, place: place.to_owned(), offset });
            }
        }
    }
    findings
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Searches every file of a folder, and every file's name. Gives also how many bytes were read.
pub fn search_folder(folder: &Path, needles: &[Needle]) -> (Vec<Finding>, usize) {
    let mut findings = Vec::new();
    let mut read = 0;
    for file in files(folder) {
        let name = file.strip_prefix(folder).unwrap().display().to_string();
        findings.extend(search_bytes(&format!("the name of {name}"), name.as_bytes(), needles));
        let bytes = fs::read(&file).unwrap();
        read += bytes.len();
        findings.extend(search_bytes(&name, &bytes, needles));
    }
    (findings, read)
}

/// Every file of a folder with its bytes, to see whether anything was changed.
#[derive(PartialEq, Eq)]
pub struct Footprint(Vec<(PathBuf, Vec<u8>)>);

impl Footprint {
    /// What a folder holds now.
    pub fn of(folder: &Path) -> Self {
        Self(
            files(folder).into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect(),
        )
    }

    /// The files that differ.
    pub fn difference(&self, other: &Self) -> Vec<PathBuf> {
        let one = self.0.iter().filter(|file| !other.0.contains(file));
        let two = other.0.iter().filter(|file| !self.0.contains(file));
        one.chain(two).map(|(path, _)| path.clone()).collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_in_each_spelling_and_at_each_alignment() {
        let secret = b"needle-0123456789-xyz";
        let needles = [Needle::new("it", secret)];
        let find = |hay: &[u8]| !search_bytes("hay", hay, &needles).is_empty();
        assert!(!find(b"there is nothing in this hay but hay"));
        for before in 0..6 {
            let mut long = vec![b'#'; before];
            long.extend_from_slice(secret);
            long.extend_from_slice(b"###");
            assert!(find(&long), "{before}");
            assert!(find(BASE64.encode(&long).as_bytes()), "{before}");
            assert!(find(BASE64URL_NOPAD.encode(&long).as_bytes()), "{before}");
            assert!(find(BASE32_NOPAD.encode(&long).as_bytes()), "{before}");
            assert!(find(HEXLOWER.encode(&long).as_bytes()), "{before}");
            assert!(find(HEXUPPER.encode(&long).as_bytes()), "{before}");
            assert!(find(format!("{long:?}").as_bytes()), "{before}");
            let wide: Vec<u8> = String::from_utf8(long.clone())
                .unwrap()
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            assert!(find(&wide), "{before}");
        }
    }
}
