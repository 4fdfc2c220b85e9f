//! The configuration file: what neither the command line nor the environment says.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exit::Failure;
use crate::screen::Output;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "strongroom.toml";

/// `strongroom.toml`. Flags come first, then `STRONGROOM_*`, then this.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) tenant: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) output: Option<Output>,
    #[serde(default)]
    pub(crate) serve: ServeSettings,
}

/// `[serve]` in `strongroom.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeSettings {
    pub(crate) store: Option<String>,
    pub(crate) holder: Option<PathBuf>,
    pub(crate) listen: Option<std::net::SocketAddr>,
    pub(crate) seal_key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) behind_proxy: bool,
    pub(crate) log: Option<LogFormat>,
}

/// How the server writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Settings {
    /// Reads the file that is named, or `strongroom.toml` in this folder if it is there.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, Failure> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Failure::file(path, &error)),
        };
        let read = toml::from_str(&text);
        read.map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Settings>("server = \"x\"\n[serve]\nlog = \"json\"").is_ok());
        for wrong in [
            "sever = \"x\"",
            "[serve]\nstor = \"x\"",
            "[server]\n",
            "serve = 1",
            "output = \"xml\"",
        ] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
    }
}
