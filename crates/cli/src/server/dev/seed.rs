//! The seed file: the tenants, collections and records that a development server begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use strongroom_client::{ImportItem, NewCollection};
use strongroom_model::{CollectionName, ExternalId, Label, Timestamp};

use crate::exit::Failure;
use crate::files;

/// Most tenants of a seed.
const TENANTS_MAX: usize = 100;
/// Longest short name of a tenant.
const SHORT_LENGTH_MAX: usize = 32;

/// What the server begins with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seed {
    pub(super) tenants: Vec<SeedTenant>,
}

/// A tenant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedTenant {
    /// What people call it.
    pub(super) name: Label,
    /// What stands for it in the tokens.
    pub(super) short: Short,
    /// Its collections; those that others refer to come first.
    #[serde(default)]
    pub(super) collections: Vec<NewCollection>,
    /// The records of each.
    #[serde(default)]
    pub(super) records: BTreeMap<CollectionName, Vec<SeedRecord>>,
}

/// A record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedRecord {
    external_id: ExternalId,
    source: Option<Label>,
    collected_at: Option<Timestamp>,
    fields: Map<String, Value>,
}

impl From<SeedRecord> for ImportItem {
    fn from(record: SeedRecord) -> Self {
        let SeedRecord { external_id, source, collected_at, fields } = record;
        Self {
            external_id,
            subject: None,
            source,
            collected_at,
            notice: None,
            purposes: None,
            assignees: Vec::new(),
            fields,
        }
    }
}

/// A tenant's name in tokens: small letters, digits and `_`, so that `-` ends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Short(String);

impl Short {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Short {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if (1..=SHORT_LENGTH_MAX).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err("a tenant's `short` has 1 to 32 small letters, digits and `_`")
        }
    }
}

impl Default for Seed {
    /// One tenant that has nothing.
    fn default() -> Self {
        let sample = "Sample".parse().ok().map(|name| SeedTenant {
            name,
            short: Short("sample".to_owned()),
            collections: Vec::new(),
            records: BTreeMap::new(),
        });
        Self { tenants: sample.into_iter().collect() }
    }
}

impl Seed {
    /// Reads a seed: TOML where the file's name ends in `.toml`, else JSON.
    ///
    /// # Errors
    /// Before anything is made, with the place in the file where that can be told.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::local(format!("`{}`: {what}", path.display()));
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        let seed = if is_toml {
            from_toml(&files::text(path)?).map_err(wrong)?
        } else {
            files::definition(path)?
        };
        seed.check().map_err(wrong)?;
        Ok(seed)
    }

    fn check(&self) -> Result<(), String> {
        if self.tenants.len() > TENANTS_MAX {
            return Err(format!("a seed has at most {TENANTS_MAX} tenants"));
        }
        let mut seen = BTreeSet::new();
        for tenant in &self.tenants {
            let short = tenant.short.as_str();
            if !seen.insert(short) {
                return Err(format!("two tenants are called `{short}`"));
            }
            let is_made = |name: &CollectionName| {
                tenant.collections.iter().any(|collection| collection.name == *name)
            };
            if let Some(name) = tenant.records.keys().find(|name| !is_made(name)) {
                return Err(format!(
                    "tenant `{short}` has records of `{name}`, and no such collection"
                ));
            }
        }
        Ok(())
    }
}

/// Dates and times of TOML become the texts that fields take.
fn from_toml(text: &str) -> Result<Seed, String> {
    // Read as a seed first, because that tells the place of a mistake.
    let _: Seed = toml::from_str(text).map_err(|error| error.to_string())?;
    let table: toml::Value = toml::from_str(text).map_err(|error| error.to_string())?;
    serde_json::from_value(json(table)).map_err(|error| error.to_string())
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(members) => {
            members.into_iter().map(|(name, value)| (name, json(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Seed, String> {
        let seed = from_toml(text)?;
        seed.check().map(|()| seed)
    }

    const TENANT: &str = "[[tenants]]\nname = \"A\"\nshort = \"a\"\n";
    const PEOPLE: &str = "[[tenants.collections]]\nname = \"people\"\nlabel = \"People\"\n\
                          purposes = [\"service\"]\nfields = [{ name = \"born\", type = \"date\" }]\n";

    #[test]
    fn a_date_of_toml_is_the_text_that_a_field_takes() {
        let records =
            "[[tenants.records.people]]\nexternal_id = \"1\"\nfields = { born = 1990-02-03 }\n";
        let seed = check(&format!("{TENANT}{PEOPLE}{records}")).unwrap();
        let record = &seed.tenants[0].records.values().next().unwrap()[0];
        assert_eq!(record.fields["born"], "1990-02-03");
    }

    #[test]
    fn what_is_no_seed_is_refused_before_anything_is_made() {
        assert!(check(TENANT).is_ok());
        for (wrong, said) in [
            ("", "tenants"),
            ("tenants = []\nmore = 1", "unknown field `more`"),
            ("[[tenants]]\nname = \"A\"\nshort = \"a-b\"", "short"),
            ("[[tenants]]\nname = \"A\"\nshort = \"\"", "short"),
            (&format!("{TENANT}{TENANT}"), "two tenants"),
            (
                &format!("{TENANT}[[tenants.records.people]]\nexternal_id = \"1\"\nfields = {{}}"),
                "no such collection",
            ),
            (
                &format!(
                    "{TENANT}{PEOPLE}[[tenants.records.people]]\nexternal = \"1\"\nfields = {{}}"
                ),
                "unknown field `external`",
            ),
        ] {
            let error = check(wrong).err().unwrap();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }

    #[test]
    fn without_a_file_there_is_one_tenant() {
        assert_eq!(Seed::default().tenants.len(), 1);
    }
}
