//! Files that people hand in and get: secrets, bodies, tokens.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::screen::say;

/// A secret is a line; nothing that is longer is one.
const SECRET_BYTES_MAX: u64 = 4096;
/// A body is at most so long.
const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The secret in a file, or on standard input where the path is `-`; without the line's end.
pub(crate) fn secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    if path == Path::new("-") {
        return secret_from(io::stdin().lock(), path);
    }
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    let mode = file.metadata().map_or(0, |facts| facts.permissions().mode());
    if mode & 0o077 != 0 {
        say(&format!("warning: others may read `{}`; run `chmod 600` on it", path.display()));
    }
    secret_from(file, path)
}

fn secret_from(from: impl Read, path: &Path) -> Result<Zeroizing<String>, Failure> {
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let room = usize::try_from(SECRET_BYTES_MAX + 1).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    from.take(SECRET_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file(path, &error))?;
    let wrong = || {
        Failure::local(format!(
            "`{}` holds no secret: it is empty, too long or not UTF-8",
            path.display()
        ))
    };
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(wrong());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() { Err(wrong()) } else { Ok(Zeroizing::new(text.to_owned())) }
}

/// A file that will hold a secret, readable by its owner alone. It is made before the secret is
/// asked for, so that a secret that is shown once has somewhere to go.
pub(crate) struct SecretFile<'p> {
    path: &'p Path,
    file: Option<File>,
}

impl<'p> SecretFile<'p> {
    /// Makes the file; what is there is never overwritten.
    pub(crate) fn create(path: &'p Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::local(format!(
                "`{}` exists and is not overwritten; remove it or name another file",
                path.display()
            )),
            _ => Failure::file(path, &error),
        })?;
        Ok(Self { path, file: Some(file) })
    }

    /// Writes the secret and a line's end, durably.
    pub(crate) fn write(mut self, secret: &str) -> Result<(), Failure> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let line = Zeroizing::new(format!("{}\n", secret.trim_end_matches('\n')));
        file.write_all(line.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| Failure::file(self.path, &error))
    }
}

impl Drop for SecretFile<'_> {
    /// A file that got no secret goes away again.
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

/// The text of a file, or of standard input where the path is `-`.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let read = |from: &mut dyn Read| {
        let mut text = String::new();
        from.take(BODY_BYTES_MAX + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == Path::new("-") {
        read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|error| Failure::file(path, &error))?;
    if text.len() as u64 > BODY_BYTES_MAX {
        return Err(Failure::local(format!("`{}` is longer than 8 MiB", path.display())));
    }
    Ok(text)
}

/// A definition in a file: TOML where its name ends in `.toml`, else JSON.
pub(crate) fn definition<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = text(path)?;
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let read = if is_toml {
        toml::from_str(&text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    read.map_err(|error| Failure::local(format!("`{}`: {error}", path.display())))
}

/// The part of the library's message that is ours: what was expected. What was found may be data.
fn expected(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    match expected {
        Some(known) if message.starts_with("unknown field") => {
            let known = known.trim_start_matches("one of ");
            format!(": an unknown member; known here: {known}")
        }
        Some(other) => format!(": expected {other}"),
        // The name in it is of our own struct.
        None if message.starts_with("missing field") => {
            format!(": {}", message.replacen("field", "member", 1))
        }
        None => String::new(),
    }
}

/// Client data in a JSON file. What is wrong with it is said without its content.
pub(crate) fn client_data<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = Zeroizing::new(text(path)?);
    serde_json::from_str(&text).map_err(|error| {
        let (what, why) = match error.classify() {
            serde_json::error::Category::Data => {
                ("is not what this command takes", expected(&error.to_string()))
            }
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => ("is not JSON", String::new()),
        };
        Failure::local(format!(
            "`{}` {what}, at line {} column {}{why}",
            path.display(),
            error.line(),
            error.column()
        ))
    })
}
