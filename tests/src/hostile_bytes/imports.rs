//! Imports: mapping files, and the rows of files that they are applied to.

use std::collections::BTreeSet;

use strongroom_client::import::{Cell, Format, Mapping, ReadRow, Row, Rows};

use super::{Seed, Verdict, text};

/// A mapping that uses every form a column can take.
const MAPPING: &str = r#"
collection = "orders"
external_id = "{id}-{part}"
null = ["NULL", ""]
source = "an export"
collected_at = "when"
[fields]
company = "company"
day = { column = "day", take = "date" }
moment = { column = "day", take = "timestamp" }
customer = { column = "customer", reference = true }
parent = { template = "{id}/{part}", reference = true }
address = { object = { lines = ["street", "street2"], city = "city" } }
name = { template = "{first}  {last}" }
total = { column = "total", as = "decimal" }
count = { column = "count", as = "integer" }
weight = { column = "total", as = "number" }
paid = { column = "paid", as = "boolean" }
note = { column = "note", as = "json" }
code = { column = "count", as = "text" }
"#;

/// A header line of the columns that [`MAPPING`] names.
const HEADER: &str =
    "id,part,when,company,day,customer,street,street2,city,first,last,total,count,paid,note\n";

/// Rows of a file: `format u8 | file`, CSV without its line of names if the format is even.
pub fn import_rows(bytes: &[u8]) -> Verdict {
    let Some((form, file)) = bytes.split_first() else { return Verdict::Refused };
    let (format, file) = match form % 3 {
        0 => (Format::Csv, [HEADER.as_bytes(), file].concat()),
        1 => (Format::Csv, file.to_vec()),
        _ => (Format::Ndjson, file.to_vec()),
    };
    let mapping = Mapping::parse(MAPPING).unwrap();
    let Ok(mut rows) = Rows::new(format, &file[..], &mapping) else { return Verdict::Refused };
    let mut last = 0;
    let mut taken = 0;
    let mut count = 0;
    while let Ok(Some(read)) = rows.read() {
        count += 1;
        assert!(count <= file.len(), "more rows than bytes");
        let line = match read {
            ReadRow::Row(line, row) => {
                taken += usize::from(check_item(&mapping, &row));
                line
            }
            ReadRow::Bad { line, detail, content } => {
                assert!(!detail.is_empty());
                drop(serde_json::to_vec(&content).unwrap());
                line
            }
        };
        // Rows that end with a carriage return alone stand on one line.
        assert!(line >= last.max(1), "line {line} after line {last}");
        last = line;
    }
    assert!(rows.bytes_read() <= file.len() as u64);
    Verdict::of(taken > 0)
}

/// Whether the row becomes an item; if so, it is one that can be sent.
fn check_item(mapping: &Mapping, row: &Row) -> bool {
    match mapping.item(row) {
        Ok(item) => {
            let sent = serde_json::to_vec(&item).unwrap();
            let again: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(again["external_id"], item.external_id.as_str());
            assert_eq!(again["fields"], serde_json::Value::Object(item.fields));
            true
        }
        Err(flaws) => {
            assert!(!flaws.is_empty());
            for flaw in flaws {
                let field = flaw.pointer.strip_prefix("/fields/");
                let known = ["/external_id", "/collected_at"].contains(&&*flaw.pointer);
                assert!(
                    known
                        || field.is_some_and(|name| name
                            .parse::<strongroom_model::FieldName>()
                            .is_ok())
                );
            }
            false
        }
    }
}

/// Mapping files, applied to rows that have whatever columns they name.
pub fn mapping_file(bytes: &[u8]) -> Verdict {
    let Some(Ok(mapping)) = text(bytes).map(Mapping::parse) else { return Verdict::Refused };
    let columns: BTreeSet<&str> = mapping.columns();
    assert!(!columns.is_empty(), "records without an external id");
    let cells = [
        Cell::Text(" 2026-01-31 09:30:00 ".to_owned()),
        Cell::Text("1e5".to_owned()),
        Cell::Text(String::new()),
        Cell::Number("-12.50".to_owned()),
        Cell::Json(serde_json::json!([1, {"a": null}])),
        Cell::Json(serde_json::Value::Null),
    ];
    for cell in cells {
        let row = Row::new(columns.iter().map(|it| ((*it).to_owned(), cell.clone())).collect());
        check_item(&mapping, &row);
    }
    let nothing = mapping.item(&Row::new(Vec::new()));
    assert!(nothing.is_err(), "an item out of nothing");
    Verdict::Read
}

pub(super) fn rows_seeds() -> Vec<Seed> {
    let csv = |rows: &str| [b"\0", rows.as_bytes()].concat();
    let row = "7,a,2026-01-31 09:30:00,Sample Ltd,2026-01-31T09:30:00Z,C-1,1 Way,,Town,Ada,\"Love\n\
        lace\",12.50,3,yes,\"{\"\"a\"\":1}\"\n";
    let ndjson = |lines: &str| [b"\x02", lines.as_bytes()].concat();
    let object = r#"{"id":7,"part":"a","when":null,"company":"Sample Ltd","total":12.50,"count":3,
"paid":true,"note":[1,{"a":2}],"first":"Ada"}"#
        .replace('\n', "");
    vec![
        ("read-csv", csv(&format!("{row}{row}\r\n\n{row}"))),
        ("read-csv-with-names", [b"\x01", HEADER.as_bytes(), row.as_bytes()].concat()),
        ("read-csv-with-a-bad-row", csv(&format!("1,2,3\n{row}"))),
        ("refused-csv-without-names", [b"\x01", row.as_bytes()].concat()),
        ("refused-csv-that-is-not-utf-8", [&csv("\""), &b"\xff\xfe\""[..]].concat()),
        ("refused-csv-without-an-id", csv(&row.replace("7,a", "NULL,a"))),
        ("refused-csv-with-an-open-quote", csv("7,a,\"2026")),
        ("read-ndjson", ndjson(&format!("{object}\n\n{object}"))),
        ("read-ndjson-with-bad-lines", ndjson(&format!("[1]\n{{\"a\":1,\"a\":2}}\n{{\n{object}"))),
        ("refused-ndjson-with-a-bad-number", ndjson(&object.replace("12.50", "1e999"))),
        ("refused-ndjson-cut", [b"\x02", &object.as_bytes()[..20]].concat()),
    ]
}

pub(super) fn mapping_seeds() -> Vec<Seed> {
    let wrong = |from: &str, to: &str| MAPPING.replace(from, to).into_bytes();
    let small =
        "collection = \"c\"\nexternal_id = \"id\"\ndelimiter = \";\"\n[fields]\na = \"x\"\n";
    vec![
        ("read-whole", MAPPING.as_bytes().to_vec()),
        ("read-small", small.as_bytes().to_vec()),
        (
            "refused-without-fields",
            b"collection = \"c\"\nexternal_id = \"id\"\n[fields]\n".to_vec(),
        ),
        ("refused-open-brace", wrong("{part}\"", "{part\"")),
        ("refused-unknown-form", wrong("integer", "roman")),
        ("refused-two-sources", wrong("reference = true", "template = \"{id}\"")),
        ("refused-delimiter", small.replace(';', "é").into_bytes()),
        ("refused-not-toml", b"collection = ".to_vec()),
    ]
}
