//! `strongroom config show`: each setting's value here, and where it comes from.

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_storage::StoreUrl;

use super::catalogue::{Setting, settings};
use crate::exit::Failure;
use crate::screen::Screen;
use crate::server::HOLDER_FILE;
use crate::settings::SettingsFile;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    Flag,
    Environment,
    File,
    Default,
    /// Nobody says it, and there is no default.
    Unset,
}

/// A setting in force.
pub(super) struct Shown {
    path: String,
    table: Option<&'static str>,
    key: String,
    value: Value,
    origin: Origin,
    /// The flag, variable or file, or the default in words.
    source: Option<String>,
}

/// All settings as they are here. `store` is the one in force, because the holder's default
/// depends on it.
pub(super) fn in_force(
    matches: &ArgMatches,
    file: Option<&SettingsFile>,
    store: Option<&str>,
) -> Result<Vec<Shown>, Failure> {
    let table = file.map(SettingsFile::table).transpose()?.unwrap_or_default();
    let one = |setting: &Setting| {
        let (value, origin, source) = if let Some((value, origin)) = typed(matches, setting) {
            let source = match origin {
                Origin::Environment => setting.variable(),
                Origin::Flag | Origin::File | Origin::Default | Origin::Unset => {
                    Some(setting.flag())
                }
            };
            (value, origin, source)
        } else if let Some(value) = written(&table, setting) {
            (value, Origin::File, file.map(|file| file.path.display().to_string()))
        } else {
            match default(setting, store) {
                Fallback::Value(value) => (value, Origin::Default, None),
                Fallback::Words(words) => (Value::Null, Origin::Default, Some(words)),
                Fallback::Nothing => (Value::Null, Origin::Unset, None),
            }
        };
        // A store's URL may have a password, which is not shown.
        let value = match value.as_str() {
            Some(url) if setting.key == "store" => StoreUrl::shown(url).into(),
            _ => value,
        };
        let (path, table, key) = (setting.path(), setting.table, setting.key.clone());
        Shown { path, table, key, value, origin, source }
    };
    Ok(settings().iter().map(one).collect())
}

/// Shows them: as the file would have them, or as a list with their origins.
pub(super) fn print(shown: &[Shown], origin: bool, screen: Screen) -> Result<(), Failure> {
    if !origin {
        return screen.value(&Value::Object(nested(shown)));
    }
    let entry = |shown: &Shown| {
        serde_json::json!({
            "setting": shown.path,
            "value": shown.value,
            "origin": shown.origin,
            "source": shown.source,
        })
    };
    screen.entries(
        &shown.iter().map(entry).collect::<Vec<_>>(),
        &[
            ("SETTING", "/setting"),
            ("VALUE", "/value"),
            ("ORIGIN", "/origin"),
            ("SOURCE", "/source"),
        ],
    )
}

fn nested(shown: &[Shown]) -> Map<String, Value> {
    let mut all = Map::new();
    for one in shown {
        let place = match one.table {
            None => Some(&mut all),
            Some(table) => all.entry(table).or_insert_with(|| Map::new().into()).as_object_mut(),
        };
        if let Some(place) = place {
            place.insert(one.key.clone(), one.value.clone());
        }
    }
    all
}

/// What the command line or the environment says.
fn typed(matches: &ArgMatches, setting: &Setting) -> Option<(Value, Origin)> {
    let origin = match matches.value_source(&setting.key)? {
        ValueSource::CommandLine => Origin::Flag,
        ValueSource::EnvVariable => Origin::Environment,
        _ => return None,
    };
    let mut texts = matches.get_raw(&setting.key)?.map(|text| text.to_string_lossy().into_owned());
    let value = if setting.is_list() {
        texts.collect()
    } else {
        let text = texts.next()?;
        match serde_json::from_str(&text) {
            _ if setting.is_switch() => Value::Bool(text == "true"),
            Ok(Value::Number(number)) if setting.is_number() => Value::Number(number),
            _ => text.into(),
        }
    };
    Some((value, origin))
}

/// What the file says.
fn written(table: &toml::Table, setting: &Setting) -> Option<Value> {
    let table = match setting.table {
        None => table,
        Some(name) => table.get(name)?.as_table()?,
    };
    serde_json::to_value(table.get(&setting.key)?).ok()
}

/// What holds if nobody says anything.
enum Fallback {
    Value(Value),
    /// It depends on something that is seen only when a command runs.
    Words(String),
    Nothing,
}

fn default(setting: &Setting, store: Option<&str>) -> Fallback {
    if setting.key == "holder" {
        let url = store.and_then(|store| StoreUrl::parse(store).ok());
        if let Some(folder) = url.as_ref().and_then(StoreUrl::path) {
            return Fallback::Value(folder.join(HOLDER_FILE).display().to_string().into());
        }
    }
    match setting.default() {
        _ if setting.is_switch() => Fallback::Value(false.into()),
        None if setting.is_list() => Fallback::Value(Value::Array(Vec::new())),
        None => Fallback::Nothing,
        Some(words) if words.contains(' ') => Fallback::Words(words),
        Some(value) if setting.is_number() => {
            Fallback::Value(serde_json::from_str(&value).unwrap_or(Value::Null))
        }
        Some(value) => Fallback::Value(value.into()),
    }
}
