//! The rooms and the arrows between them: who may use whom, and why nobody else.

use super::repository::Repository;
use super::{Finding, manifest};

/// A crate of the workspace and what it may use.
struct Room {
    /// Its folder.
    folder: &'static str,
    /// The rooms that it may name in its manifest.
    may_use: &'static [&'static str],
    /// Why it may not name others.
    because: &'static str,
}

/// How the packages of the rooms are called: this, then the name of the room.
const PREFIX: &str = "strongroom-";

/// The whole house, from the bottom up. `deny.toml` keeps the same arrows over the real graph.
const ROOMS: &[Room] = &[
    Room { folder: "crates/model", may_use: &[], because: "the words know nobody" },
    Room {
        folder: "crates/crypto",
        may_use: &["model"],
        because: "primitives and formats are pure: no store, no policy, no domain",
    },
    Room {
        folder: "crates/storage",
        may_use: &["model"],
        because: "a store sees sealed bytes and must not be able to open them",
    },
    Room {
        folder: "crates/access-policy",
        may_use: &["model"],
        because: "decisions are pure functions of facts: nothing is fetched, nothing is opened",
    },
    Room {
        folder: "crates/tables",
        may_use: &["model"],
        because: "rows become records by their mapping alone; both ends of the wire read them alike",
    },
    Room {
        folder: "crates/audit",
        may_use: &["model", "crypto"],
        because: "the verifier must work offline, without the server and without its store",
    },
    Room {
        folder: "tests/adversary",
        may_use: &[],
        because: "the adversary reads the formats by their pages, with nothing of the product's",
    },
    Room {
        folder: "crates/keyring",
        // Its tests bring the adversary before it.
        may_use: &["model", "crypto", "storage", "adversary"],
        because: "keys know neither what they protect nor who asks",
    },
    Room {
        folder: "crates/vault",
        may_use: &["model", "crypto", "storage", "access-policy", "audit", "keyring"],
        because: "the domain does not know how it is spoken to",
    },
    Room {
        folder: "crates/api",
        may_use: &["model", "tables", "vault"],
        because: "a door translates; keys, rows and decisions are reached through the vault alone",
    },
    Room {
        folder: "crates/console",
        may_use: &["model", "vault"],
        because: "a door translates; keys, rows and decisions are reached through the vault alone",
    },
    Room {
        folder: "crates/client",
        may_use: &["model", "tables"],
        because: "a client knows the words and the wire, and shares no code with the server but how \
                  files are read",
    },
    Room {
        folder: "crates/cli",
        // Storage, keyring and crypto are named for wiring: the top hands the parts to each other.
        may_use: &[
            "model", "crypto", "storage", "audit", "keyring", "vault", "api", "console", "client",
        ],
        because: "the command line wires the rooms together and decides nothing",
    },
    Room {
        folder: "tests",
        may_use: &[
            "model",
            "crypto",
            "storage",
            "audit",
            "keyring",
            "vault",
            "api",
            "console",
            "client",
            "adversary",
        ],
        because: "tests come through the doors, or as the adversary who has the disk and the keys",
    },
    Room {
        folder: "benches",
        may_use: &["model", "crypto", "storage", "keyring", "vault", "api"],
        because: "benchmarks assemble a server like the command line, and talk to it over a socket",
    },
    Room { folder: "xtask", may_use: &[], because: "the workshop is built before the house" },
];

/// Every arrow that a manifest draws is one of the table, and every crate is a room of it.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repository.files().filter(|file| file.name() == "Cargo.toml") {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { continue };
        match ROOMS.iter().find(|room| room.folder == folder) {
            Some(room) => findings.extend(wrong_arrows(room, &file.path, &file.text)),
            None if folder.starts_with("crates/") => findings.push(Finding::in_file(
                &file.path,
                "this crate is no room of `xtask/src/tidy/rooms.rs`; a new room or arrow has a \
                 page in docs/decisions",
            )),
            None => {}
        }
    }
    findings
}

fn wrong_arrows(room: &Room, path: &str, text: &str) -> Vec<Finding> {
    let own = room.folder.rsplit('/').next().unwrap_or(room.folder);
    manifest::dependencies(text)
        .into_iter()
        .filter_map(|dependency| {
            let used = dependency.name.strip_prefix(PREFIX)?;
            (!room.may_use.contains(&used)).then(|| {
                let what = format!("`{own}` may not use `{used}`: {}", room.because);
                Finding::at(path, dependency.line, what)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_arrow(folder: &str, used: &str, allowed: bool) {
        let manifest = format!("[dependencies]\nstrongroom-{used}.workspace = true");
        let path = format!("{folder}/Cargo.toml");
        let findings = check(&Repository::of(&[(&path, &manifest)]));
        assert_eq!(findings.is_empty(), allowed, "{folder} → {used}: {findings:?}");
    }

    #[test]
    fn an_arrow_upwards_or_past_the_vault_is_refused() {
        check_arrow("crates/vault", "keyring", true);
        check_arrow("crates/api", "vault", true);
        check_arrow("crates/audit", "crypto", true);
        check_arrow("crates/api", "crypto", false);
        check_arrow("crates/api", "storage", false);
        check_arrow("crates/storage", "crypto", false);
        check_arrow("crates/audit", "storage", false);
        check_arrow("crates/audit", "vault", false);
        check_arrow("crates/keyring", "access-policy", false);
        check_arrow("crates/model", "crypto", false);
        check_arrow("crates/client", "vault", false);
        check_arrow("crates/vault", "api", false);
        check_arrow("xtask", "model", false);
        check_arrow("tests/adversary", "crypto", false);
        check_arrow("crates/cli", "adversary", false);
    }

    #[test]
    fn an_arrow_that_only_tests_need_is_an_arrow() {
        let manifest = "[dev-dependencies]\nstrongroom-vault.workspace = true";
        let findings = check(&Repository::of(&[("crates/storage/Cargo.toml", manifest)]));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, Some(2));
    }

    #[test]
    fn a_refusal_says_why() {
        let manifest = "[dependencies]\nstrongroom-crypto.workspace = true";
        let findings = check(&Repository::of(&[("crates/storage/Cargo.toml", manifest)]));
        assert!(findings[0].what.contains("must not be able to open them"), "{findings:?}");
    }

    #[test]
    fn a_crate_without_a_room_is_named() {
        let findings = check(&Repository::of(&[("crates/helpers/Cargo.toml", "[package]")]));
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn no_arrow_of_the_table_points_up() {
        for (index, room) in ROOMS.iter().enumerate() {
            for used in room.may_use {
                let below = ROOMS.iter().position(|it| it.folder.rsplit('/').next() == Some(used));
                assert!(below.is_some_and(|below| below < index), "{} → {used}", room.folder);
            }
        }
    }
}
