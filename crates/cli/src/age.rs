//! Keys of age in files, and sealed files as files of what is in them.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use strongroom_crypto::age::{Identity, Opener, Recipient};
use zeroize::{Zeroize, Zeroizing};

use crate::exit::Failure;
use crate::files;
use crate::screen::say;

/// A file of identities is at most so long.
const IDENTITIES_BYTES_MAX: u64 = 64 * 1024;
/// Bytes that are opened at a time.
const PART: usize = 64 * 1024;
/// What files begin with that were sealed with a passphrase by age, plain and in armour.
const SEALED: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

/// The identities in a file, one a line, as `age-keygen` writes them.
pub(crate) fn identities(path: &Path) -> Result<Vec<Identity>, Failure> {
    let text = identities_text(path)?;
    if SEALED.iter().any(|begin| text.starts_with(begin)) {
        return Err(Failure::local(format!(
            "`{0}` is sealed with a passphrase, which is not opened here\n  next: `age --decrypt --output \
             identity.txt {0}`, on a disk that forgets, and name that file",
            path.display()
        )));
    }
    let wrong = |line: usize, what: &str| {
        Failure::local(format!("`{}`, line {line}: {what}", path.display()))
    };
    let text = std::str::from_utf8(&text).map_err(|_| wrong(1, "not UTF-8"))?;
    let lines = text.lines().map(str::trim).enumerate();
    let identities = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(place, line)| Identity::parse(line).map_err(|error| wrong(place + 1, error.0)))
        .collect::<Result<Vec<_>, _>>()?;
    if identities.is_empty() {
        return Err(Failure::local(format!("`{}` holds no identity", path.display())));
    }
    Ok(identities)
}

fn identities_text(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: io::Error| Failure::file(path, &error);
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        say(&format!("warning: others may read `{}`; run `chmod 600` on it", path.display()));
    }
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let room = usize::try_from(IDENTITIES_BYTES_MAX + 1).unwrap_or(0);
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    file.take(IDENTITIES_BYTES_MAX + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > IDENTITIES_BYTES_MAX {
        return Err(Failure::local(format!("`{}` is longer than 64 KiB", path.display())));
    }
    Ok(text)
}

/// The recipients in a file, one a line.
pub(crate) fn recipients(path: &Path) -> Result<Vec<String>, Failure> {
    let text = files::text(path)?;
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(place, line)| match line.parse::<Recipient>() {
            Ok(recipient) => Ok(recipient.to_string()),
            Err(error) => {
                let place = place + 1;
                Err(Failure::local(format!("`{}`, line {place}: {}", path.display(), error.0)))
            }
        })
        .collect()
}

/// A sealed file, opened while it is read. Its bytes are authentic; that all of them came is known at
/// its end.
pub(crate) struct OpenedFile {
    sealed: BufReader<File>,
    opener: Option<Opener>,
    ready: Zeroizing<Vec<u8>>,
    taken: usize,
}

impl OpenedFile {
    /// Opens a sealed file with the identities that a file has.
    pub(crate) fn open(path: &Path, identity: &Path) -> io::Result<Self> {
        let identities =
            identities(identity).map_err(|failure| io::Error::other(failure.message))?;
        let sealed = BufReader::with_capacity(PART, File::open(path)?);
        let opener = Some(Opener::new(identities));
        Ok(Self { sealed, opener, ready: Zeroizing::default(), taken: 0 })
    }

    /// Opens what comes next.
    fn advance(&mut self) -> io::Result<()> {
        let Some(mut opener) = self.opener.take() else { return Ok(()) };
        self.ready.zeroize();
        self.taken = 0;
        let mut sealed = vec![0; PART];
        let read = self.sealed.read(&mut sealed)?;
        let has_begun = opener.has_begun();
        let outcome = if read == 0 {
            opener.finish(&mut self.ready)
        } else {
            let came = sealed.get(..read).unwrap_or_default();
            let outcome = opener.push(came, &mut self.ready);
            self.opener = Some(opener);
            outcome
        };
        outcome.map_err(|_| {
            let what = if has_begun {
                "it is damaged or cut off"
            } else {
                "it is no file of age, or not sealed for this identity"
            };
            io::Error::new(io::ErrorKind::InvalidData, what)
        })
    }
}

impl Read for OpenedFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() && self.opener.is_some() {
            self.advance()?;
        }
        let mut ready = self.ready.get(self.taken..).unwrap_or_default();
        let length = ready.read(into)?;
        self.taken += length;
        Ok(length)
    }
}
