//! Settings: what may stand in the configuration file, and in flags and the environment before it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use strongroom_api::{Edge, Limits, TlsFiles};
use strongroom_storage::{BlobUrl, BlobUrlMalformed, StoreUrl};
use strongroom_vault::files::LARGEST_FILE_DEFAULT;

use crate::exit::Failure;
use crate::memory;
use crate::screen::Output;

/// The file that is read where none is named.
pub(crate) const DEFAULT_FILE: &str = "strongroom.toml";
/// Where commands look for the server unless something else is said.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7800";
/// Where files lie in the store's folder, unless another place is named.
const FILES_FOLDER: &str = "files";
/// The most that `--largest-file` can be: 1 TiB.
const LARGEST_FILE_MAX: u64 = 1 << 40;
/// Where the server listens unless something else is said.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7800);

/// `strongroom.toml`. Flags come first, then `STRONGROOM_*`, then this. Each key has the name of its
/// flag, with `_` for `-`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) tenant: Option<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) output: Option<Output>,
    #[serde(default)]
    pub(crate) serve: ServeSettings,
    #[serde(default)]
    pub(crate) telemetry: TelemetrySettings,
}

/// `[telemetry]` in `strongroom.toml`, and flags of `strongroom serve` too.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetrySettings {
    /// Send traces to this collector, as OTLP over HTTP: `https://…`, or `http://…` on this machine
    #[arg(long, value_name = "URL", env = "STRONGROOM_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Also trust a collector whose certificate comes from an authority in this file, as PEM
    #[arg(long, value_name = "FILE", env = "STRONGROOM_OTLP_CA_FILE")]
    pub(crate) otlp_ca_file: Option<PathBuf>,
    /// The share of requests that are traced, from 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE", env = "STRONGROOM_TRACE_SHARE")]
    pub(crate) trace_share: Option<f64>,
}

/// `[serve]` in `strongroom.toml`, and the flags of `strongroom serve`: one field is one key and one
/// flag. A new one is also named in [`ServeSettings::or`].
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeSettings {
    /// The store: `redb:FOLDER`, `redb+journal:FOLDER`, `fjall:FOLDER`, `sled:FOLDER` or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "URL", env = "STRONGROOM_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The file that keeps the share of the root secret [default: `holder` in the store's folder]
    #[arg(long, value_name = "FILE", env = "STRONGROOM_HOLDER")]
    pub(crate) holder: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7800]
    #[arg(long, value_name = "ADDRESS", env = "STRONGROOM_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Unlock at once with this seal key; without it the server starts locked
    #[arg(long, value_name = "FILE", env = "STRONGROOM_SEAL_KEY_FILE")]
    pub(crate) seal_key_file: Option<PathBuf>,
    /// Listen to other machines although the server speaks no TLS: a proxy in front of it does
    #[arg(long)]
    #[serde(default)]
    pub(crate) behind_proxy: bool,
    /// Speak TLS with this certificate, followed by those up to its root, as PEM
    #[arg(long, value_name = "FILE", env = "STRONGROOM_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", env = "STRONGROOM_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to show health and metrics, as plain HTTP; nowhere unless it is said
    #[arg(long, value_name = "ADDRESS", env = "STRONGROOM_ADMIN_LISTEN")]
    pub(crate) admin_listen: Option<SocketAddr>,
    /// A name under which the server is asked; any if none is said; may be repeated
    #[arg(long, value_name = "NAME")]
    #[serde(default)]
    pub(crate) host: Vec<String>,
    /// A proxy whose `X-Forwarded-For` is believed, as address or network; may be repeated
    #[arg(long, value_name = "NETWORK")]
    #[serde(default)]
    pub(crate) trusted_proxy: Vec<String>,
    /// A place for backups: its name, and a folder that is there or `s3://BUCKET/PREFIX?…`; may be repeated
    #[arg(long, value_name = "NAME=PLACE")]
    #[serde(default)]
    pub(crate) backup_place: Vec<String>,
    /// Where the sealed bytes of files lie: `folder:FOLDER` [default: `files` in the store's folder]
    #[arg(long, value_name = "URL", env = "STRONGROOM_FILES")]
    pub(crate) files: Option<String>,
    /// The size of the largest file, in bytes or as `500MiB`, `5GiB` [default: 5GiB]
    #[arg(long, value_name = "SIZE", env = "STRONGROOM_LARGEST_FILE")]
    pub(crate) largest_file: Option<String>,
    /// Let everybody ask as often as they can
    #[arg(long)]
    #[serde(default)]
    pub(crate) no_rate_limits: bool,
    /// Let a crash write the memory, with keys and data, to a core dump, and let debuggers in
    #[arg(long)]
    #[serde(default)]
    pub(crate) allow_core_dumps: bool,
    /// Keep all memory out of swap; the server does not start where that is not allowed
    #[arg(long)]
    #[serde(default)]
    pub(crate) lock_memory: bool,
    /// How the log is written [default: text]
    #[arg(long, value_name = "FORM", env = "STRONGROOM_LOG")]
    pub(crate) log: Option<LogFormat>,
}

/// How the server writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Deserialize, Serialize)]
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
        SettingsFile::read(named)?.map_or_else(|| Ok(Self::default()), |file| file.settings())
    }
}

impl TelemetrySettings {
    /// What is said here, and else what is said there.
    pub(crate) fn or(self, there: &Self) -> Self {
        Self {
            otlp_endpoint: self.otlp_endpoint.or_else(|| there.otlp_endpoint.clone()),
            otlp_ca_file: self.otlp_ca_file.or_else(|| there.otlp_ca_file.clone()),
            trace_share: self.trace_share.or(there.trace_share),
        }
    }
}

impl ServeSettings {
    /// What is said here, and else what is said there.
    pub(crate) fn or(self, there: &Self) -> Self {
        Self {
            store: self.store.or_else(|| there.store.clone()),
            holder: self.holder.or_else(|| there.holder.clone()),
            listen: self.listen.or(there.listen),
            seal_key_file: self.seal_key_file.or_else(|| there.seal_key_file.clone()),
            behind_proxy: self.behind_proxy || there.behind_proxy,
            tls_cert: self.tls_cert.or_else(|| there.tls_cert.clone()),
            tls_key: self.tls_key.or_else(|| there.tls_key.clone()),
            admin_listen: self.admin_listen.or(there.admin_listen),
            host: if self.host.is_empty() { there.host.clone() } else { self.host },
            trusted_proxy: if self.trusted_proxy.is_empty() {
                there.trusted_proxy.clone()
            } else {
                self.trusted_proxy
            },
            backup_place: if self.backup_place.is_empty() {
                there.backup_place.clone()
            } else {
                self.backup_place
            },
            files: self.files.or_else(|| there.files.clone()),
            largest_file: self.largest_file.or_else(|| there.largest_file.clone()),
            no_rate_limits: self.no_rate_limits || there.no_rate_limits,
            allow_core_dumps: self.allow_core_dumps || there.allow_core_dumps,
            lock_memory: self.lock_memory || there.lock_memory,
            log: self.log.or(there.log),
        }
    }

    /// Keeps the server's memory out of files, as far as it is not said otherwise.
    pub(crate) fn guard_memory(&self) -> Result<(), Failure> {
        if !self.allow_core_dumps {
            memory::without_dumps()?;
        }
        if self.lock_memory {
            memory::locked()?;
        }
        Ok(())
    }

    /// How the server meets the network.
    pub(crate) fn edge(&self) -> Result<Edge, Failure> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: certificate.clone(), key: key.clone() })
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(Failure::usage("`--tls-cert` and `--tls-key` go together"));
            }
        };
        let wrong = |text: &str, error| Failure::usage(format!("`{text}`: {error}"));
        let hosts = self.host.iter().map(|text| text.parse().map_err(|error| wrong(text, error)));
        let proxies =
            self.trusted_proxy.iter().map(|text| text.parse().map_err(|error| wrong(text, error)));
        Ok(Edge {
            admin: self.admin_listen,
            tls,
            hosts: hosts.collect::<Result<_, _>>()?,
            trusted_proxies: proxies.collect::<Result<_, _>>()?,
            traces: None,
        })
    }

    /// Where the bytes of files lie: as it is said, or beside the store; nowhere for a store that has no
    /// folder.
    pub(crate) fn place_for_files(&self, store: &StoreUrl) -> Result<Option<BlobUrl>, Failure> {
        let Some(text) = &self.files else {
            return Ok(store.path().map(|folder| BlobUrl::Folder(folder.join(FILES_FOLDER))));
        };
        let url = text.parse().map_err(|error: BlobUrlMalformed| {
            Failure::usage(format!("`--files {text}`: {error}"))
        });
        url.map(Some)
    }

    /// How many bytes a file may have.
    pub(crate) fn largest_file_bytes(&self) -> Result<u64, Failure> {
        let Some(text) = &self.largest_file else { return Ok(LARGEST_FILE_DEFAULT) };
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("", 0)];
        let mut sizes = units.iter().filter_map(|(unit, bits)| {
            let digits = text.strip_suffix(unit)?;
            let digits = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)?;
            digits.parse::<u64>().ok()?.checked_mul(1 << bits)
        });
        sizes.next().filter(|size| *size <= LARGEST_FILE_MAX).ok_or_else(|| {
            let how =
                "a size is a number of bytes, or one with `KiB`, `MiB`, `GiB` or `TiB`, up to 1TiB";
            Failure::usage(format!("`--largest-file {text}`: {how}"))
        })
    }

    /// What connections and requests may take.
    pub(crate) fn limits(&self) -> Limits {
        let limits = Limits::default();
        if self.no_rate_limits { Limits { rates: None, ..limits } } else { limits }
    }

    /// Where to listen: on a loopback address, unless there is TLS here or in front.
    pub(crate) fn where_to_listen(&self) -> Result<SocketAddr, Failure> {
        let listen = self.listen.unwrap_or(DEFAULT_LISTEN);
        if listen.ip().is_loopback() || self.behind_proxy || self.tls_cert.is_some() {
            return Ok(listen);
        }
        Err(Failure::usage(format!(
            "the server speaks no TLS, and `{listen}` is not a loopback address: whoever listens \
             on the way would read tokens and data. Listen on 127.0.0.1, or say `--tls-cert` and \
             `--tls-key`, or put a proxy with TLS in front and say `--behind-proxy`"
        )))
    }
}

/// The configuration file as it was read.
pub(crate) struct SettingsFile {
    pub(crate) path: PathBuf,
    text: String,
}

impl SettingsFile {
    /// Reads the file that is named, or `strongroom.toml` in this folder if it is there.
    pub(crate) fn read(named: Option<&Path>) -> Result<Option<Self>, Failure> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self { path: path.to_owned(), text })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Ok(None)
            }
            Err(error) => Err(Failure::file(path, &error)),
        }
    }

    /// What it says.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        toml::from_str(&self.text).map_err(|error| self.wrong(&error))
    }

    /// What it says, key by key.
    pub(crate) fn table(&self) -> Result<toml::Table, Failure> {
        toml::from_str(&self.text).map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &toml::de::Error) -> Failure {
        Failure::usage(format!("`{}`: {error}", self.path.display()))
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

    #[test]
    fn tls_lets_the_server_listen_to_others_and_needs_both_files() {
        let mut settings =
            ServeSettings { listen: "0.0.0.0:1".parse().ok(), ..ServeSettings::default() };
        assert!(settings.where_to_listen().is_err());
        settings.tls_cert = Some("a".into());
        assert!(settings.where_to_listen().is_ok() && settings.edge().is_err());
        settings.tls_key = Some("b".into());
        assert!(settings.edge().unwrap().tls.is_some());
    }

    #[test]
    fn hosts_and_proxies_that_cannot_be_read_are_refused() {
        for (host, proxy, good) in [
            ("vault.example", "10.0.0.0/8", true),
            ("https://vault.example", "10.0.0.0/8", false),
            ("vault.example", "10.0.0.0/33", false),
        ] {
            let settings = ServeSettings {
                host: vec![host.to_owned()],
                trusted_proxy: vec![proxy.to_owned()],
                ..ServeSettings::default()
            };
            assert_eq!(settings.edge().is_ok(), good, "{host} {proxy}");
        }
    }

    #[test]
    fn the_largest_file_is_said_in_bytes_or_with_a_unit() {
        for (text, bytes) in [
            (None, Some(5 << 30)),
            (Some("0"), Some(0)),
            (Some("1048576"), Some(1 << 20)),
            (Some("500MiB"), Some(500 << 20)),
            (Some("1TiB"), Some(1 << 40)),
            (Some("1025GiB"), None),
            (Some("18446744073709551615KiB"), None),
            (Some("-1"), None),
            (Some("1GB"), None),
            (Some("GiB"), None),
            (Some(""), None),
        ] {
            let largest_file = text.map(str::to_owned);
            let settings = ServeSettings { largest_file, ..ServeSettings::default() };
            assert_eq!(settings.largest_file_bytes().ok(), bytes, "{text:?}");
        }
    }

    #[test]
    fn files_lie_beside_the_store_unless_it_is_said() {
        let place = |files: Option<&str>, store: &str| {
            let files = files.map(str::to_owned);
            let settings = ServeSettings { files, ..ServeSettings::default() };
            let place = settings.place_for_files(&StoreUrl::parse(store).unwrap()).ok()?;
            Some(place.map_or_else(|| "nowhere".to_owned(), |place| place.to_string()))
        };
        assert_eq!(place(None, "redb:a").as_deref(), Some("folder:a/files"));
        assert_eq!(place(Some("folder:/b"), "redb:a").as_deref(), Some("folder:/b"));
        assert_eq!(place(None, "postgres://u@h/d").as_deref(), Some("nowhere"));
        assert_eq!(place(Some("/b"), "redb:a"), None);
    }

    #[test]
    fn rates_are_limited_unless_somebody_says_otherwise() {
        assert!(ServeSettings::default().limits().rates.is_some());
        let off = ServeSettings { no_rate_limits: true, ..ServeSettings::default() };
        assert!(off.limits().rates.is_none());
    }

    #[test]
    fn every_setting_of_the_server_is_taken_from_the_file_if_no_flag_says_it() {
        let file = ServeSettings {
            store: Some("redb:a".to_owned()),
            holder: Some("b".into()),
            listen: Some(DEFAULT_LISTEN),
            seal_key_file: Some("c".into()),
            behind_proxy: true,
            tls_cert: Some("d".into()),
            tls_key: Some("e".into()),
            admin_listen: Some(DEFAULT_LISTEN),
            host: vec!["f".to_owned()],
            trusted_proxy: vec!["g".to_owned()],
            backup_place: vec!["h=i".to_owned()],
            files: Some("folder:j".to_owned()),
            largest_file: Some("1GiB".to_owned()),
            no_rate_limits: true,
            allow_core_dumps: true,
            lock_memory: true,
            log: Some(LogFormat::Json),
        };
        let merged = serde_json::to_value(ServeSettings::default().or(&file)).unwrap();
        assert_eq!(merged, serde_json::to_value(&file).unwrap());
        let flags = ServeSettings { store: Some("redb:z".to_owned()), ..ServeSettings::default() };
        assert_eq!(flags.or(&file).store.as_deref(), Some("redb:z"));
    }
}
