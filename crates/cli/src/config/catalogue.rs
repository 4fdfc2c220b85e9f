//! Every setting once: its key from the settings types, the rest from its flag.

use std::any::TypeId;

use clap::{Arg, ArgAction, Args, Command};

use crate::arguments::Common;
use crate::settings::{ServeSettings, Settings, TelemetrySettings};

/// A setting.
pub(super) struct Setting {
    /// The table it stands in, if it is not at the top of the file.
    pub(super) table: Option<&'static str>,
    /// Its key there.
    pub(super) key: String,
    /// Its flag and its variable.
    pub(super) argument: Arg,
}

impl Setting {
    /// The key with its table.
    pub(super) fn path(&self) -> String {
        self.table.map_or_else(|| self.key.clone(), |table| format!("{table}.{}", self.key))
    }

    /// The flag.
    pub(super) fn flag(&self) -> String {
        self.argument.get_long().map(|long| format!("--{long}")).unwrap_or_default()
    }

    /// The variable.
    pub(super) fn variable(&self) -> Option<String> {
        self.argument.get_env().map(|name| name.to_string_lossy().into_owned())
    }

    /// Whether it is switched on or off.
    pub(super) fn is_switch(&self) -> bool {
        !self.argument.get_action().takes_values()
    }

    /// Whether it is a number.
    pub(super) fn is_number(&self) -> bool {
        self.argument.get_value_parser().type_id() == TypeId::of::<f64>()
    }

    /// Whether it is a list: a flag that may be repeated.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.argument.get_action(), ArgAction::Append)
    }

    /// What it does.
    pub(super) fn what(&self) -> String {
        self.help().0
    }

    /// What it is if nobody says it, in words.
    pub(super) fn default(&self) -> Option<String> {
        self.help().1
    }

    fn help(&self) -> (String, Option<String>) {
        let help = self.argument.get_help().map(ToString::to_string).unwrap_or_default();
        match help.split_once(" [default: ") {
            Some((what, default)) => {
                (what.to_owned(), default.strip_suffix(']').map(ToOwned::to_owned))
            }
            None => (help, None),
        }
    }
}

/// All settings, in the order of the help pages.
pub(super) fn settings() -> Vec<Setting> {
    let keys = serde_json::to_value(Settings::default()).unwrap_or_default();
    let common = Common::augment_args(Command::new("common"));
    let serve = ServeSettings::augment_args(Command::new("serve"));
    let top = of(None, &keys, &common);
    let telemetry = TelemetrySettings::augment_args(Command::new("telemetry"));
    let inner = [("serve", serve), ("telemetry", telemetry)];
    let inner = inner
        .iter()
        .filter_map(|(table, command)| keys.get(table).map(|keys| of(Some(table), keys, command)));
    top.into_iter().chain(inner.flatten()).collect()
}

fn of(table: Option<&'static str>, keys: &serde_json::Value, command: &Command) -> Vec<Setting> {
    let of_argument = |argument: &Arg| {
        let key = argument.get_id().as_str();
        let is_key = keys.get(key).is_some_and(|value| !value.is_object());
        is_key.then(|| Setting { table, key: key.to_owned(), argument: argument.clone() })
    };
    command.get_arguments().filter_map(of_argument).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{DEFAULT_LISTEN, DEFAULT_SERVER};

    #[test]
    fn every_key_has_a_flag_of_the_same_name() {
        let known: Vec<_> = settings().iter().map(Setting::path).collect();
        let keys = serde_json::to_value(Settings::default()).unwrap();
        let mut count = 0;
        for (key, value) in keys.as_object().unwrap() {
            let inner = value.as_object().map(|inner| inner.keys().cloned().collect::<Vec<_>>());
            let paths = inner.map_or_else(
                || vec![key.clone()],
                |inner| inner.iter().map(|inner| format!("{key}.{inner}")).collect(),
            );
            for path in paths {
                assert!(known.contains(&path), "`{path}` has no flag");
                count += 1;
            }
        }
        assert_eq!(known.len(), count);
        for setting in settings() {
            assert_eq!(setting.flag(), format!("--{}", setting.key.replace('_', "-")));
            assert!(!setting.what().is_empty() && !setting.what().contains('|'));
        }
    }

    #[test]
    fn the_defaults_that_are_told_are_the_defaults() {
        let default = |path: &str| {
            settings().iter().find(|setting| setting.path() == path).and_then(Setting::default)
        };
        assert_eq!(default("server").as_deref(), Some(DEFAULT_SERVER));
        assert_eq!(default("serve.listen"), Some(DEFAULT_LISTEN.to_string()));
        assert_eq!(default("serve.log").as_deref(), Some("text"));
        assert_eq!(default("serve.store"), None);
    }
}
