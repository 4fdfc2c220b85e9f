//! From a row to the item that is sent.

use std::borrow::Cow;

use serde_json::{Map, Value};
use strongroom_model::{ExternalId, Label, Timestamp};

use crate::mapping::{FieldSource, Form, Given, Mapping, Member};
use crate::{Cell, ExportedRecord, Flaw, ImportItem, NamedSubject, NamedUser, Row};

impl Mapping {
    /// The record that a row is to become.
    ///
    /// # Errors
    /// What is wrong with which part; never a value.
    pub fn item(&self, row: &Row) -> Result<ImportItem, Vec<Flaw>> {
        if self.exported {
            return exported(row);
        }
        let mut flaws = Vec::new();
        let external_id = keep(&mut flaws, "/external_id", self.external_id_of(row));
        let subject = keep(&mut flaws, "/subject", self.subject_of(row)).flatten();
        let source = keep(&mut flaws, "/source", self.source_of(row)).flatten();
        let collected_at = keep(&mut flaws, "/collected_at", self.collected_at_of(row)).flatten();
        let notice = keep(&mut flaws, "/notice", self.notice_of(row)).flatten();
        let mut fields = Map::new();
        for (name, source) in &self.fields {
            let value = self.value(source, row);
            let pointer = format!("/fields/{name}");
            if let Some(value) = keep(&mut flaws, &pointer, value).flatten() {
                fields.insert(name.to_string(), value);
            }
        }
        match external_id {
            Some(external_id) if flaws.is_empty() => Ok(ImportItem {
                external_id,
                subject,
                source,
                collected_at,
                notice,
                purposes: None,
                assignees: Vec::new(),
                fields,
            }),
            Some(_) | None => Err(flaws),
        }
    }

    /// The person whom the row is about, by their external id.
    fn subject_of(&self, row: &Row) -> Result<Option<NamedSubject>, &'static str> {
        let text = self.subject.as_ref().and_then(|subject| subject.complete(row, &self.null));
        let external_id: Option<ExternalId> = text
            .map(|text| text.parse().map_err(|strongroom_model::Malformed(what)| what))
            .transpose()?;
        Ok(external_id.map(|external_id| NamedSubject::External { external_id }))
    }

    fn source_of(&self, row: &Row) -> Result<Option<Label>, &'static str> {
        match &self.source {
            None => Ok(None),
            Some(Given::Fixed(label)) => Ok(Some(label.clone())),
            Some(Given::Column(name)) => {
                let cell = row.present(name, &self.null);
                let parse = |text: Cow<'_, str>| {
                    text.parse().map_err(|strongroom_model::Malformed(what)| what)
                };
                cell.map(|cell| writing(cell).and_then(parse)).transpose()
            }
        }
    }

    fn notice_of(&self, row: &Row) -> Result<Option<u32>, &'static str> {
        match &self.notice {
            None => Ok(None),
            Some(Given::Fixed(version)) => Ok(Some(*version)),
            Some(Given::Column(name)) => {
                let cell = row.present(name, &self.null);
                let parse =
                    |text: Cow<'_, str>| text.trim().parse().map_err(|_| "not a notice's version");
                cell.map(|cell| writing(cell).and_then(parse)).transpose()
            }
        }
    }

    fn external_id_of(&self, row: &Row) -> Result<ExternalId, &'static str> {
        let text = self.external_id.complete(row, &self.null);
        let text = text.ok_or("the row has no value for its external id")?;
        text.parse().map_err(|strongroom_model::Malformed(what)| what)
    }

    fn collected_at_of(&self, row: &Row) -> Result<Option<Timestamp>, &'static str> {
        let cell = self.collected_at.as_deref().and_then(|name| row.present(name, &self.null));
        cell.map(|cell| timestamp(&writing(cell)?)).transpose()
    }

    /// The value of a field, or nothing where its columns have none.
    fn value(&self, source: &FieldSource, row: &Row) -> Result<Option<Value>, &'static str> {
        match source {
            FieldSource::Column(column, form) => {
                row.present(column, &self.null).map(|cell| formed(cell, *form)).transpose()
            }
            FieldSource::Text(template) => Ok(template.partial(row, &self.null).map(Value::String)),
            FieldSource::Reference(template) => {
                let reference = |id| {
                    Value::Object(Map::from_iter([("external_id".to_owned(), Value::String(id))]))
                };
                Ok(template.complete(row, &self.null).map(reference))
            }
            FieldSource::Object(members) => {
                let mut object = Map::new();
                for (name, member) in members {
                    if let Some(value) = self.member(member, row)? {
                        object.insert(name.clone(), value);
                    }
                }
                Ok((!object.is_empty()).then_some(Value::Object(object)))
            }
        }
    }

    fn member(&self, member: &Member, row: &Row) -> Result<Option<Value>, &'static str> {
        let text = |column: &String| {
            let cell = row.present(column, &self.null);
            cell.map(|cell| writing(cell).map(|text| Value::String(text.into_owned()))).transpose()
        };
        match member {
            Member::One(column) => text(column),
            Member::Many(columns) => {
                let items: Vec<_> = columns
                    .iter()
                    .filter_map(|column| text(column).transpose())
                    .collect::<Result<_, _>>()?;
                Ok((!items.is_empty()).then_some(Value::Array(items)))
            }
        }
    }
}

/// The record that a line of an export is to become again.
fn exported(row: &Row) -> Result<ImportItem, Vec<Flaw>> {
    let whole: Result<ExportedRecord, _> = serde_json::from_value(row.to_json());
    let flaw = |pointer: &str, detail: &str| {
        vec![Flaw { pointer: pointer.to_owned(), detail: detail.to_owned() }]
    };
    let record = whole.map_err(|_| flaw("", "not a record as exports have them"))?;
    let malformed =
        |pointer: &'static str| move |error: strongroom_model::Malformed| flaw(pointer, error.0);
    let external_id = record.external_id.unwrap_or_else(|| record.id.to_string());
    let subject = record.subject_external_id.map(|external_id| external_id.parse());
    let subject = subject.transpose().map_err(malformed("/subject_external_id"))?;
    let purposes = record.purposes.iter().map(|purpose| purpose.parse());
    Ok(ImportItem {
        external_id: external_id.parse().map_err(malformed("/external_id"))?,
        subject: subject.map(|external_id| NamedSubject::External { external_id }),
        source: record
            .source
            .map(|source| source.parse())
            .transpose()
            .map_err(malformed("/source"))?,
        collected_at: Some(
            timestamp(&record.collected_at).map_err(|what| flaw("/collected_at", what))?,
        ),
        notice: record.notice,
        purposes: Some(purposes.collect::<Result<_, _>>().map_err(malformed("/purposes"))?),
        // Ids of users belong to the server that made the file.
        assignees: record.assignees.into_iter().filter(NamedUser::is_external).collect(),
        fields: record.fields,
    })
}

fn keep<T>(flaws: &mut Vec<Flaw>, pointer: &str, result: Result<T, &'static str>) -> Option<T> {
    result
        .map_err(|detail| {
            flaws.push(Flaw { pointer: pointer.to_owned(), detail: detail.to_owned() });
        })
        .ok()
}

fn writing(cell: &Cell) -> Result<Cow<'_, str>, &'static str> {
    cell.text().ok_or("expected a text or a number, not a list or an object")
}

fn formed(cell: &Cell, form: Form) -> Result<Value, &'static str> {
    match form {
        Form::AsWritten => as_written(cell),
        Form::Text => Ok(Value::String(writing(cell)?.into_owned())),
        Form::Integer => {
            let text = writing(cell)?;
            let number = text.trim().parse::<i64>();
            number.map(Value::from).map_err(|_| "not a whole number of 64 bits")
        }
        Form::Number => number(writing(cell)?.trim()),
        Form::Decimal => decimal(writing(cell)?.trim()),
        Form::Boolean => boolean(writing(cell)?.trim()),
        Form::Json => json(cell),
        Form::DateOf => date(&writing(cell)?),
        Form::TimestampOf => timestamp(&writing(cell)?).map(|time| Value::String(time.to_string())),
    }
}

fn as_written(cell: &Cell) -> Result<Value, &'static str> {
    match cell {
        Cell::Text(text) => Ok(Value::String(text.clone())),
        Cell::Number(digits) => number(digits),
        Cell::Json(value) => Ok(value.clone()),
    }
}

/// A JSON number that the server reads as the same number.
fn number(text: &str) -> Result<Value, &'static str> {
    const WRONG: &str = "not a number that 64 bits hold; use `as = \"decimal\"` or `as = \"text\"`";
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(Value::from(whole));
    }
    let is_whole = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    let spelled = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let float = text.parse::<f64>().ok().filter(|float| float.is_finite() && spelled && !is_whole);
    float.map(Value::from).ok_or(WRONG)
}

fn decimal(text: &str) -> Result<Value, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let filled = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if filled(whole) && filled(fraction) {
        Ok(Value::String(text.to_owned()))
    } else {
        Err("not a decimal number such as `12.50`")
    }
}

fn boolean(text: &str) -> Result<Value, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(Value::Bool(true)),
        "false" | "no" | "0" => Ok(Value::Bool(false)),
        _ => Err("none of `true`, `false`, `yes`, `no`, `1` and `0`"),
    }
}

fn json(cell: &Cell) -> Result<Value, &'static str> {
    match cell {
        Cell::Text(text) => {
            // The model's values refuse a key that stands twice; the other would be lost.
            let checked = serde_json::from_str::<strongroom_model::ClearValue>(text);
            checked.map_err(|_| "not JSON, or JSON with a key twice")?;
            serde_json::from_str(text).map_err(|_| "not JSON")
        }
        Cell::Number(_) | Cell::Json(_) => as_written(cell),
    }
}

/// The day at the start of a date or a date with a time.
fn date(text: &str) -> Result<Value, &'static str> {
    const WRONG: &str = "does not begin with a day of the form 2026-01-31";
    let (day, rest) = text.trim().split_at_checked(10).ok_or(WRONG)?;
    let ends_there = rest.is_empty() || rest.starts_with([' ', 'T', 't']);
    let dashes = day.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if ends_there && dashes && day.parse::<jiff::civil::Date>().is_ok() {
        Ok(Value::String(day.to_owned()))
    } else {
        Err(WRONG)
    }
}

/// A moment; what names no zone is UTC.
fn timestamp(text: &str) -> Result<Timestamp, &'static str> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok();
    let moment = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok());
    moment
        .map(|moment| Timestamp::from(moment.timestamp()))
        .ok_or("not a time of the form 2026-01-31 09:30:00 or 2026-01-31T09:30:00Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, cell: Cell) -> Result<Option<String>, Vec<Flaw>> {
        let text = format!(
            "collection = \"c\"\nexternal_id = \"id\"\nnull = [\"NULL\", \"\"]\n[fields]\nf = {field}"
        );
        let row =
            Row::new(vec![("id".to_owned(), Cell::Text("1".to_owned())), ("x".to_owned(), cell)]);
        let item = Mapping::parse(&text).unwrap().item(&row)?;
        Ok(item.fields.get("f").map(ToString::to_string))
    }

    fn text(field: &str, cell: &str) -> Option<String> {
        check(field, Cell::Text(cell.to_owned())).ok().flatten()
    }

    fn number_cell(field: &str, digits: &str) -> Option<String> {
        check(field, Cell::Number(digits.to_owned())).ok().flatten()
    }

    #[test]
    fn cells_become_values_of_the_form_asked_for() {
        let is = |value: &str| Some(value.to_owned());
        assert_eq!(text("\"x\"", " Ana "), is("\" Ana \""));
        assert_eq!(number_cell("\"x\"", "3"), is("3"));
        assert_eq!(number_cell("\"x\"", "1.50"), is("1.5"));
        assert_eq!(number_cell("{ column = \"x\", as = \"text\" }", "007"), is("\"007\""));
        assert_eq!(number_cell("{ column = \"x\", as = \"decimal\" }", "1.50"), is("\"1.50\""));
        let many = "12345678901234567890.123456789";
        assert_eq!(
            number_cell("{ column = \"x\", as = \"decimal\" }", many),
            is(&format!("\"{many}\""))
        );
        assert_eq!(text("{ column = \"x\", as = \"decimal\" }", "-0.10"), is("\"-0.10\""));
        assert_eq!(text("{ column = \"x\", as = \"integer\" }", "-12"), is("-12"));
        assert_eq!(text("{ column = \"x\", as = \"number\" }", "1e3"), is("1000.0"));
        assert_eq!(text("{ column = \"x\", as = \"boolean\" }", "Yes"), is("true"));
        assert_eq!(text("{ column = \"x\", as = \"json\" }", "[1,{}]"), is("[1,{}]"));
        let day = "{ column = \"x\", take = \"date\" }";
        assert_eq!(text(day, "1948-12-08 00:00:00.000"), is("\"1948-12-08\""));
        assert_eq!(text(day, "1962-02-18T00:00:00"), is("\"1962-02-18\""));
        assert_eq!(text(day, "1962-02-18"), is("\"1962-02-18\""));
        let moment = "{ column = \"x\", take = \"timestamp\" }";
        assert_eq!(text(moment, "1996-07-04 10:00:00.000"), is("\"1996-07-04T10:00:00Z\""));
        assert_eq!(text(moment, "1996-07-04T10:00:00+02:00"), is("\"1996-07-04T08:00:00Z\""));
        assert_eq!(
            text("{ column = \"x\", reference = true }", "A"),
            is("{\"external_id\":\"A\"}")
        );
        assert_eq!(
            number_cell("{ column = \"x\", reference = true }", "7"),
            is("{\"external_id\":\"7\"}")
        );
        assert_eq!(
            text("{ object = { lines = [\"x\", \"y\"], city = \"y\" } }", "Street 1"),
            is("{\"lines\":[\"Street 1\"]}")
        );
    }

    #[test]
    fn what_stands_for_no_value_is_left_out() {
        for field in [
            "\"x\"",
            "{ column = \"x\", as = \"integer\" }",
            "{ column = \"x\", take = \"date\" }",
            "{ column = \"x\", reference = true }",
            "{ template = \"{x} {y}\" }",
            "{ object = { lines = [\"x\"], city = \"y\" } }",
        ] {
            for cell in
                [Cell::Text("NULL".to_owned()), Cell::Text(String::new()), Cell::Json(Value::Null)]
            {
                assert_eq!(check(field, cell).unwrap(), None, "{field}");
            }
        }
    }

    #[test]
    fn a_cell_of_another_form_is_a_flaw_that_does_not_repeat_it() {
        for (field, cell) in [
            ("{ column = \"x\", as = \"integer\" }", "1.5"),
            ("{ column = \"x\", as = \"integer\" }", "9223372036854775808"),
            ("{ column = \"x\", as = \"number\" }", "inf"),
            ("{ column = \"x\", as = \"number\" }", "NaN"),
            ("{ column = \"x\", as = \"number\" }", "9223372036854775808"),
            ("{ column = \"x\", as = \"decimal\" }", "1e3"),
            ("{ column = \"x\", as = \"decimal\" }", ".5"),
            ("{ column = \"x\", as = \"decimal\" }", "5."),
            ("{ column = \"x\", as = \"decimal\" }", "+5"),
            ("{ column = \"x\", as = \"boolean\" }", "maybe"),
            ("{ column = \"x\", as = \"json\" }", "{\"a\":1,\"a\":2}"),
            ("{ column = \"x\", as = \"json\" }", "{"),
            ("{ column = \"x\", take = \"date\" }", "08.12.1948"),
            ("{ column = \"x\", take = \"date\" }", "1948-13-08"),
            ("{ column = \"x\", take = \"date\" }", "1948-12-081"),
            ("{ column = \"x\", take = \"date\" }", "1948-12-0é"),
            ("{ column = \"x\", take = \"timestamp\" }", "yesterday"),
        ] {
            let flaws = check(field, Cell::Text(cell.to_owned())).err();
            let flaws = flaws.unwrap_or_else(|| panic!("{field} took {cell}"));
            assert_eq!(flaws.len(), 1);
            assert_eq!(flaws[0].pointer, "/fields/f");
            assert!(!flaws[0].detail.contains(cell) || cell.len() < 3, "{}", flaws[0].detail);
        }
        let list = check("{ column = \"x\", as = \"text\" }", Cell::Json(serde_json::json!([1])));
        assert!(list.is_err());
    }

    #[test]
    fn a_row_without_external_id_is_a_flaw() {
        let mapping =
            Mapping::parse("collection = \"c\"\nexternal_id = \"{a}-{b}\"\n[fields]\nf = \"a\"")
                .unwrap();
        let row = Row::new(vec![("a".to_owned(), Cell::Text("1".to_owned()))]);
        let flaws = mapping.item(&row).err().unwrap();
        assert_eq!(flaws[0].pointer, "/external_id");
        let long = Row::new(vec![
            ("a".to_owned(), Cell::Text("1".to_owned())),
            ("b".to_owned(), Cell::Text("x".repeat(300))),
        ]);
        assert_eq!(mapping.item(&long).err().unwrap()[0].pointer, "/external_id");
    }
}
