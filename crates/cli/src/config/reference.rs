//! `strongroom config reference`: the page `docs/configuration.md`, made from the settings types.

use std::fmt::Write as _;

use super::catalogue::{Setting, settings};

/// The page.
pub(super) fn page() -> String {
    let settings = settings();
    let of = |name: Option<&str>| {
        let of: Vec<_> = settings.iter().filter(|setting| setting.table == name).collect();
        table(&of)
    };
    format!(
        "{OPENING}\n## For every command\n\n{}\n## `[serve]`: the server\n\n{}\n## `[telemetry]`: where the \
         server's traces go\n\n{}",
        of(None),
        of(Some("serve")),
        of(Some("telemetry")),
    )
}

fn table(settings: &[&Setting]) -> String {
    let mut text =
        "| key | value | default | flag | variable | what it is |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for setting in settings {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | `{}` | {} | {} |",
            setting.key,
            value(setting),
            default(setting),
            setting.flag(),
            setting.variable().map_or_else(|| "–".to_owned(), |name| format!("`{name}`")),
            setting.what(),
        );
    }
    text
}

fn value(setting: &Setting) -> String {
    if setting.is_switch() {
        return "`true` or `false`".to_owned();
    }
    let choices = setting.argument.get_possible_values();
    let choices: Vec<_> = choices.iter().map(|choice| format!("`{}`", choice.get_name())).collect();
    if !choices.is_empty() {
        return choices.join(" or ");
    }
    let names = setting.argument.get_value_names().unwrap_or_default();
    let names = names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>().join(" ");
    if setting.is_list() {
        format!("list of texts: {names}")
    } else if setting.is_number() {
        format!("number: {names}")
    } else {
        format!("text: {names}")
    }
}

fn default(setting: &Setting) -> String {
    match setting.default() {
        _ if setting.is_switch() => "`false`".to_owned(),
        None if setting.is_list() => "`[]`".to_owned(),
        None => "–".to_owned(),
        // Words are left as they are, a bare value is shown as code.
        Some(default) if default.contains('`') || default.contains(' ') => default,
        Some(default) => format!("`{default}`"),
    }
}

const OPENING: &str = "\
# Configuration

<!-- Made by `strongroom config reference`; do not edit it by hand. -->

A setting comes from its flag, else from its environment variable, else from the configuration file, else it has its
default. The file is the one that `--config` or `STRONGROOM_CONFIG` names, or `strongroom.toml` in the present folder; it is
TOML, and an unknown key is an error. Secrets are never settings: a setting names the file that holds one.

- `strongroom config show --origin` shows what is in force here, and where each value comes from;
- `strongroom config check` checks the file and the values, and ends with exit code 8 if something is wrong;
- `strongroom doctor` also looks at the machine, the store and the server.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_documents_is_the_one_that_the_types_give() {
        let kept = include_str!("../../../../docs/configuration.md");
        assert!(
            kept == page(),
            "docs/configuration.md is stale; renew it, in the workspace's folder, with\n  \
             cargo run --release -p strongroom-cli -- config reference > docs/configuration.md"
        );
    }

    #[test]
    fn every_setting_has_a_row_with_all_its_cells() {
        let page = page();
        for setting in settings() {
            let start = format!("| `{}` |", setting.key);
            let row = page.lines().find(|line| line.starts_with(&start)).unwrap();
            assert_eq!(row.matches('|').count(), 7, "{row}");
            assert!(row.contains(&setting.flag()), "{row}");
        }
    }
}
