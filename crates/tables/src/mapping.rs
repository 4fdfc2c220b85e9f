//! Mapping files: which column becomes which field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use strongroom_model::{CollectionName, FieldName, Label};

use crate::Flaw;
use crate::template::Template;

/// What is wrong with a mapping file. It may repeat parts of the mapping file, which names columns
/// and fields and holds no client data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

impl MappingError {
    fn at(field: &str, what: &str) -> Self {
        Self(format!("`{field}`: {what}"))
    }
}

/// How the rows of a file become records of a collection.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The collection.
    pub collection: CollectionName,
    pub(crate) external_id: Template,
    pub(crate) null: Vec<String>,
    pub(crate) subject: Option<Template>,
    pub(crate) source: Option<Given<Label>>,
    pub(crate) collected_at: Option<String>,
    pub(crate) notice: Option<Given<u32>>,
    pub(crate) delimiter: u8,
    /// Whether an apostrophe at the beginning of a cell only keeps it from being a formula.
    pub(crate) formula_safe: bool,
    pub(crate) fields: BTreeMap<FieldName, FieldSource>,
    /// Whether the rows are records as an export has them, which need no mapping.
    pub(crate) exported: bool,
}

/// What is the same for every row, or stands in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// This, for every row.
    Fixed(T),
    /// What this column has.
    Column(String),
}

impl<T> Given<T> {
    fn column(&self) -> Option<&str> {
        match self {
            Self::Fixed(_) => None,
            Self::Column(name) => Some(name),
        }
    }
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FieldSource {
    /// One column's cell, turned into this.
    Column(String, Form),
    /// A text of several columns, with what there is.
    Text(Template),
    /// The record with this external id.
    Reference(Template),
    /// An object of texts and lists of texts.
    Object(BTreeMap<String, Member>),
}

/// What a cell is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// What it is in the file.
    #[serde(skip)]
    AsWritten,
    Text,
    Integer,
    Number,
    Decimal,
    Boolean,
    Json,
    #[serde(skip)]
    DateOf,
    #[serde(skip)]
    TimestampOf,
}

/// What is taken of a cell that holds more than a field wants.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Take {
    Date,
    Timestamp,
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Member {
    /// One column.
    One(String),
    /// Several, as a list.
    Many(Vec<String>),
}

impl Member {
    fn columns(&self) -> &[String] {
        match self {
            Self::One(column) => std::slice::from_ref(column),
            Self::Many(columns) => columns,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    collection: CollectionName,
    external_id: String,
    #[serde(default)]
    null: Vec<String>,
    subject: Option<String>,
    source: Option<Value>,
    collected_at: Option<String>,
    notice: Option<Value>,
    delimiter: Option<char>,
    #[serde(default)]
    formula_safe: bool,
    fields: BTreeMap<FieldName, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldTable {
    column: Option<String>,
    template: Option<String>,
    object: Option<BTreeMap<String, Member>>,
    take: Option<Take>,
    #[serde(rename = "as")]
    form: Option<Form>,
    #[serde(default)]
    reference: bool,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`] with the place and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        toml::from_str(text).map_err(|error| MappingError(error.to_string())).and_then(Self::of)
    }

    /// What a mapping file says, as JSON.
    ///
    /// # Errors
    /// As for [`Mapping::parse`].
    pub fn file_to_json(text: &str) -> Result<Value, MappingError> {
        Self::parse(text)?;
        toml::from_str(text).map_err(|error| MappingError(error.to_string()))
    }

    /// Reads a mapping that is JSON, with the same members as a mapping file.
    ///
    /// # Errors
    /// As for [`Mapping::parse`].
    pub fn from_json(value: Value) -> Result<Self, MappingError> {
        serde_json::from_value(value)
            .map_err(|error| MappingError(error.to_string()))
            .and_then(Self::of)
    }

    fn of(file: MappingFile) -> Result<Self, MappingError> {
        let external_id = column_or_template("external_id", &file.external_id)?;
        let subject =
            file.subject.map(|subject| column_or_template("subject", &subject)).transpose()?;
        let delimiter = u8::try_from(file.delimiter.unwrap_or(','))
            .ok()
            .filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n'))
            .ok_or_else(|| MappingError::at("delimiter", "use one ASCII character such as `;`"))?;
        if file.fields.is_empty() {
            return Err(MappingError::at("fields", "a mapping has at least one field"));
        }
        let fields = file
            .fields
            .into_iter()
            .map(|(name, value)| {
                let source = field(value).map_err(|what| MappingError::at(name.as_str(), &what))?;
                Ok((name, source))
            })
            .collect::<Result<_, MappingError>>()?;
        Ok(Self {
            collection: file.collection,
            external_id,
            null: file.null,
            subject,
            source: file.source.map(source).transpose()?,
            collected_at: file.collected_at,
            notice: file.notice.map(notice).transpose()?,
            delimiter,
            formula_safe: file.formula_safe,
            fields,
            exported: false,
        })
    }

    /// Takes records as an NDJSON export has them. One without external id keeps the id that it had as
    /// its external id.
    pub fn of_export(collection: CollectionName) -> Self {
        Self {
            collection,
            external_id: Template::column("id"),
            null: Vec::new(),
            subject: None,
            source: None,
            collected_at: None,
            notice: None,
            delimiter: b',',
            formula_safe: false,
            fields: BTreeMap::new(),
            exported: true,
        }
    }

    /// Whether all that is wrong with a row concerns records that it refers to.
    pub fn are_about_references(&self, flaws: &[Flaw]) -> bool {
        let refers = |flaw: &Flaw| {
            let field = flaw.pointer.strip_prefix("/fields/");
            let name = field.and_then(|rest| rest.split('/').next()).unwrap_or_default();
            // Which fields of an export refer to others its mapping does not know.
            self.exported && !name.is_empty()
                || self.fields.iter().any(|(field, source)| {
                    field.as_str() == name && matches!(source, FieldSource::Reference(_))
                })
        };
        !flaws.is_empty() && flaws.iter().all(refers)
    }

    /// The columns it needs.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns: BTreeSet<_> = self.external_id.columns().collect();
        columns.extend(self.subject.iter().flat_map(Template::columns));
        columns.extend(self.source.as_ref().and_then(Given::column));
        columns.extend(self.notice.as_ref().and_then(Given::column));
        columns.extend(self.collected_at.as_deref());
        for source in self.fields.values() {
            match source {
                FieldSource::Column(column, _) => {
                    columns.insert(column);
                }
                FieldSource::Text(template) | FieldSource::Reference(template) => {
                    columns.extend(template.columns());
                }
                FieldSource::Object(members) => {
                    let named = members.values().flat_map(Member::columns);
                    columns.extend(named.map(String::as_str));
                }
            }
        }
        columns
    }
}

/// The cell of a column, or a text of several.
fn column_or_template(place: &str, text: &str) -> Result<Template, MappingError> {
    if text.contains(['{', '}']) {
        Template::parse(text).map_err(|what| MappingError::at(place, what))
    } else {
        Ok(Template::column(text))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnTable {
    column: String,
}

fn source(value: Value) -> Result<Given<Label>, MappingError> {
    if let Value::String(text) = value {
        let label = text
            .parse()
            .map_err(|error: strongroom_model::Malformed| MappingError::at("source", error.0))?;
        return Ok(Given::Fixed(label));
    }
    let table: Result<ColumnTable, _> = serde_json::from_value(value);
    table
        .map(|table| Given::Column(table.column))
        .map_err(|_| MappingError::at("source", "expected a text or `{ column = \"…\" }`"))
}

fn notice(value: Value) -> Result<Given<u32>, MappingError> {
    if let Value::Number(version) = &value {
        let version = version.as_u64().and_then(|version| u32::try_from(version).ok());
        let out_of_range = || MappingError::at("notice", "out of range");
        return version.map(Given::Fixed).ok_or_else(out_of_range);
    }
    let table: Result<ColumnTable, _> = serde_json::from_value(value);
    table
        .map(|table| Given::Column(table.column))
        .map_err(|_| MappingError::at("notice", "expected a version or `{ column = \"…\" }`"))
}

fn field(value: Value) -> Result<FieldSource, String> {
    if let Value::String(column) = value {
        return Ok(FieldSource::Column(column, Form::AsWritten));
    }
    let table: FieldTable = serde_json::from_value(value)
        .map_err(|error| format!("expected a column's name or a table: {error}"))?;
    let form = match (table.take, table.form) {
        (None, None) => Form::AsWritten,
        (None, Some(form)) => form,
        (Some(Take::Date), None) => Form::DateOf,
        (Some(Take::Timestamp), None) => Form::TimestampOf,
        (Some(_), Some(_)) => return Err("`take` and `as` exclude each other".to_owned()),
    };
    let plain = form == Form::AsWritten;
    match (table.column, table.template, table.object, table.reference) {
        (Some(column), None, None, false) => Ok(FieldSource::Column(column, form)),
        (Some(column), None, None, true) if plain => {
            Ok(FieldSource::Reference(Template::column(&column)))
        }
        (None, Some(template), None, false) if plain => {
            Ok(FieldSource::Text(Template::parse(&template)?))
        }
        (None, Some(template), None, true) if plain => {
            Ok(FieldSource::Reference(Template::parse(&template)?))
        }
        (None, None, Some(members), false) if plain && !members.is_empty() => {
            Ok(FieldSource::Object(members))
        }
        _ => Err("a field has exactly one of `column`, `template` and `object`; `take` and `as` \
                  go with `column` alone, `reference` with `column` or `template`"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const WHOLE: &str = r#"
        collection = "customers"
        external_id = "{a}-{b}"
        null = ["NULL", ""]
        source = "an export"
        collected_at = "when"
        subject = "person-{p}"
        notice = { column = "terms" }
        delimiter = ";"
        [fields]
        company = "companyName"
        birth_date = { column = "birthDate", take = "date" }
        customer = { column = "customerID", reference = true }
        order = { template = "{a}/{b}", reference = true }
        address = { object = { lines = ["street"], city = "city" } }
        name = { template = "{first} {last}" }
        total = { column = "Total", as = "decimal" }
    "#;

    #[test]
    fn a_mapping_names_the_columns_it_needs() {
        let mapping = Mapping::parse(WHOLE).unwrap();
        assert_eq!(mapping.collection.as_str(), "customers");
        assert_eq!(
            mapping.columns().into_iter().collect::<Vec<_>>(),
            [
                "Total",
                "a",
                "b",
                "birthDate",
                "city",
                "companyName",
                "customerID",
                "first",
                "last",
                "p",
                "street",
                "terms",
                "when"
            ]
        );
        assert_eq!(mapping.delimiter, b';');
    }

    #[test]
    fn a_mapping_as_json_is_the_one_of_the_file() {
        let json: Value = toml::from_str(WHOLE).unwrap();
        let (file, json) = (Mapping::parse(WHOLE).unwrap(), Mapping::from_json(json).unwrap());
        assert_eq!(format!("{file:?}"), format!("{json:?}"));
        let twice = serde_json::json!({"collection": "c", "external_id": "id", "fields": {}});
        assert!(Mapping::from_json(twice).unwrap_err().to_string().contains("fields"));
    }

    #[test]
    fn a_wrong_mapping_is_refused_with_its_place() {
        let check = |fields: &str, named: &str| {
            let text = format!("collection = \"c\"\nexternal_id = \"id\"\n[fields]\n{fields}");
            let error = Mapping::parse(&text).unwrap_err().to_string();
            assert!(error.contains(named), "{fields}: {error}");
        };
        check("", "fields");
        check("Bad = \"x\"", "name begins with");
        check("a = 1", "`a`");
        check("a = {}", "exactly one");
        check("a = { column = \"x\", template = \"{y}\" }", "exactly one");
        check("a = { column = \"x\", take = \"date\", as = \"text\" }", "exclude");
        check("a = { column = \"x\", take = \"century\" }", "century");
        check("a = { column = \"x\", as = \"date\" }", "date");
        check("a = { column = \"x\", to = \"date\" }", "to");
        check("a = { column = \"x\", reference = true, as = \"text\" }", "exactly one");
        check("a = { template = \"{x\" }", "without");
        check("a = { object = {} }", "exactly one");
        check("a = { object = { city = 1 } }", "`a`");
        check("a = \"x\"\n[more]\nb = 1", "more");
        let check_head = |head: &str, named: &str| {
            let text =
                format!("collection = \"c\"\nexternal_id = \"id\"\n{head}\n[fields]\na = \"x\"");
            let error = Mapping::parse(&text).unwrap_err().to_string();
            assert!(error.contains(named), "{head}: {error}");
        };
        check_head("source = 1", "`source`");
        check_head("source = { row = \"x\" }", "`source`");
        check_head("notice = -1", "`notice`");
        check_head("notice = \"x\"", "`notice`");
        check_head("subject = \"{x\"", "`subject`");
        check_head("formula_safe = 1", "formula_safe");
        let error = Mapping::parse("external_id = \"id\"\n[fields]\na = \"x\"").unwrap_err();
        assert!(error.to_string().contains("collection"));
    }
}
