//! Reads the dependencies out of a `Cargo.toml`, as far as this repository's own manifests go.
//!
//! One dependency a line, or a table of its own. `cargo deny` sees the real graph; this is here so
//! that a wrong arrow is named in a second, with its reason, before anything is built.

/// A dependency as a manifest names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The package.
    pub(super) name: String,
    /// Whether it takes version and source from the workspace.
    pub(super) inherited: bool,
    /// The line, from 1.
    pub(super) line: usize,
}

/// The dependencies in every table of dependencies of the manifest.
pub(super) fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut table = Table::Other;
    let mut depth = 0_usize;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if depth == 0 {
            if let Some(header) = line.strip_prefix('[') {
                table = Table::of(header.trim_matches(['[', ']']));
                if let Table::One(name) = &table {
                    found.push(dependency(name, "", index + 1));
                }
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                match &table {
                    Table::Many => found.push(dependency(key.trim(), value.trim(), index + 1)),
                    Table::One(_) => {
                        if let Some(last) = found.last_mut() {
                            describe(last, key.trim(), value.trim());
                        }
                    }
                    Table::Other => {}
                }
            }
        }
        let opened = line.matches(['[', '{']).count();
        let closed = line.matches([']', '}']).count();
        depth = (depth + opened).saturating_sub(closed);
    }
    found
}

/// What the lines below a header are.
enum Table {
    /// A dependency each.
    Many,
    /// Parts of one dependency.
    One(String),
    /// Anything else.
    Other,
}

impl Table {
    fn of(header: &str) -> Self {
        const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
        // The condition of a target may hold dots, so the header is read from its end.
        let (rest, last) = header.rsplit_once('.').unwrap_or(("", header));
        let before = rest.rsplit_once('.').map_or(rest, |(_, part)| part);
        if KINDS.contains(&last) {
            Self::Many
        } else if KINDS.contains(&before) {
            Self::One(last.trim_matches('"').to_owned())
        } else {
            Self::Other
        }
    }
}

fn dependency(key: &str, value: &str, line: usize) -> Dependency {
    let (name, rest) = key.split_once('.').unwrap_or((key, ""));
    let name = renamed(value).unwrap_or_else(|| name.trim_matches('"').to_owned());
    let spaceless: String = value.split_whitespace().collect();
    let inherited = rest == "workspace" || spaceless.contains("workspace=true");
    Dependency { name, inherited, line }
}

fn describe(dependency: &mut Dependency, key: &str, value: &str) {
    match key {
        "package" => value.trim_matches('"').clone_into(&mut dependency.name),
        "workspace" => dependency.inherited = value == "true",
        _ => {}
    }
}

/// The real name of a dependency that goes by another.
fn renamed(value: &str) -> Option<String> {
    let (_, after) = value.split_once("package")?;
    let (name, _) =
        after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?.split_once('"')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, expected: &[(&str, bool)]) {
        let found = dependencies(manifest);
        let found: Vec<(&str, bool)> =
            found.iter().map(|it| (it.name.as_str(), it.inherited)).collect();
        assert_eq!(found, expected, "{manifest}");
    }

    #[test]
    fn every_way_of_naming_a_dependency_is_seen() {
        check("[dependencies]\nring.workspace = true", &[("ring", true)]);
        check(
            "[dependencies]\nring = { workspace = true, features = [\"std\"] }",
            &[("ring", true)],
        );
        check("[dev-dependencies]\nsha3 = \"0.11\" # for SHAKE", &[("sha3", false)]);
        check("[build-dependencies]\n\"sha3\" = \"0.11\"", &[("sha3", false)]);
        check("[dependencies.ring]\nworkspace = true", &[("ring", true)]);
        check(
            "[dependencies]\nsecret = { package = \"ring\", version = \"1\" }",
            &[("ring", false)],
        );
        check("[dependencies.secret]\nversion = \"1\"\npackage = \"ring\"", &[("ring", false)]);
        check("[target.'cfg(unix)'.dependencies]\nring = \"1\"", &[("ring", false)]);
        check("[workspace.dependencies]\nring = \"1\"", &[("ring", false)]);
    }

    #[test]
    fn what_is_no_dependency_is_not_taken_for_one() {
        check("[package]\nname = \"ring\"", &[]);
        check("[features]\nring = []", &[]);
        check(
            "[dependencies]\na = { version = \"1\", features = [\n  \"x\",\n] }",
            &[("a", false)],
        );
        check("[dependencies]\n# ring = \"1\"", &[]);
    }
}
