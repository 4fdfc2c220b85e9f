//! Whole imports against a server that answers like ours.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking"
)]

mod fake;

use std::fmt::Write as _;

use fake::{Answered, Asked, Fake, tenant};
use serde_json::{Value, json};
use strongroom_client::import::{Format, ImportError, Mapping, Rejects, Rows, Summary, import};

const MAPPING: &str = r#"
collection = "customers"
external_id = "id"
null = ["NULL"]
[fields]
name = "name"
born = { column = "born", take = "date" }
"#;

const BOSS: &str = "boss = { column = \"boss\", reference = true }\n";

/// What the server says to an item: `exists` and `failed` by name, `whole` refuses the batch.
fn answer(_: usize, asked: &Asked) -> Answered {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let items = body["items"].as_array().unwrap();
    if items.iter().any(|item| item["fields"]["name"] == "whole") {
        return Answered::Problem(422, "invalid", false);
    }
    let results: Vec<Value> = items
        .iter()
        .enumerate()
        .map(|(index, item)| match item["fields"]["name"].as_str() {
            Some("exists") => json!({"index": index, "status": "exists"}),
            Some("failed") => json!({"index": index, "status": "failed",
                "errors": [{"pointer": format!("/items/{index}/fields/name"), "detail": "no"}]}),
            _ => {
                json!({"index": index, "status": "created", "id": "rec_00000000000000000000000001"})
            }
        })
        .collect();
    Answered::Json(200, json!({ "results": results }).to_string())
}

struct Outcome {
    result: Result<Summary, ImportError>,
    rejects: Option<String>,
    mode: u32,
    asked: Vec<Asked>,
}

async fn check(fake: Fake, format: Format, file: &str, keep_rows: bool) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.csv");
    let stale = folder.path().join("people.csv.rejects.ndjson");
    std::fs::write(&stale, "of an earlier run").unwrap();
    let boss = if file.contains("boss") { BOSS } else { "" };
    let mapping = Mapping::parse(&format!("{MAPPING}{boss}")).unwrap();
    let mut rejects = Rejects::beside(&path, keep_rows).unwrap();
    let client = fake.client();
    let rows = Rows::new(format, file.as_bytes(), &mapping).unwrap();
    let result = import(client.at(tenant()), &mapping, rows, &mut rejects, None, |_| ()).await;
    let mode = std::fs::metadata(&stale)
        .map_or(0, |data| std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o777);
    let rejects = std::fs::read_to_string(rejects.path()).ok();
    Outcome { result, rejects, mode, asked: fake.asked() }
}

#[tokio::test]
async fn bad_rows_go_to_the_rejects_with_their_lines_and_the_others_are_imported() {
    let file = "id,name,born\n1,Ana,1948-12-08 00:00:00.000\n2,failed,NULL\n3,exists,NULL\n\
                ,nobody,NULL\n5,Eva,yesterday\n6,short\n7,whole,NULL\n8,Ida,NULL\n";
    let outcome = check(Fake::start(answer), Format::Csv, file, false).await;
    let summary = outcome.result.unwrap();
    assert_eq!((summary.rows, summary.created, summary.exists, summary.rejected), (8, 2, 1, 5));
    assert_eq!(summary.bytes, file.len() as u64);
    let mut lines: Vec<Value> =
        outcome.rejects.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|reject| reject["line"].as_u64());
    let seen: Vec<_> = lines
        .iter()
        .map(|reject| (reject["line"].as_u64().unwrap(), reject["errors"][0]["pointer"].clone()))
        .collect();
    assert_eq!(
        seen,
        [
            (3, json!("/fields/name")),
            (5, json!("/external_id")),
            (6, json!("/fields/born")),
            (7, json!("")),
            (8, json!("")),
        ]
    );
    assert!(lines.iter().all(|reject| reject.get("row").is_none()));
    assert_eq!(outcome.mode, 0o600);
}

#[tokio::test]
async fn rejected_rows_are_kept_only_where_that_is_asked_for() {
    let file = "{\"id\":\"1\",\"name\":\"failed\",\"n\":1.50}\nno JSON\n";
    let outcome = check(Fake::start(answer), Format::Ndjson, file, true).await;
    let rejects = outcome.rejects.unwrap();
    // In which order a row's members stand is no promise.
    let rows: Vec<Value> =
        rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = json!({"id": "1", "name": "failed", "n": 1.5});
    assert!(rows.iter().any(|row| row["row"] == kept), "{rejects}");
    assert!(rejects.contains(r#""row":"no JSON""#), "{rejects}");
}

#[tokio::test]
async fn batches_are_bounded_and_each_has_a_key_of_its_own() {
    let mut file = String::from("id,name,born\n");
    for id in 0..1201 {
        writeln!(file, "{id},Ana,NULL").unwrap();
    }
    let outcome = check(Fake::start(answer), Format::Csv, &file, false).await;
    assert_eq!(outcome.result.unwrap().created, 1201);
    assert!(outcome.rejects.is_none(), "the rejects of an earlier run are gone");
    assert_eq!(outcome.asked.len(), 3);
    let mut keys: Vec<_> =
        outcome.asked.iter().map(|asked| asked.header("idempotency-key").to_owned()).collect();
    assert!(keys.iter().all(|key| {
        key.len() > 22 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }));
    keys.dedup();
    assert_eq!(keys.len(), 3);

    let long = "x".repeat(900 * 1024);
    let mut file = String::new();
    for id in 0..5 {
        writeln!(file, "{}", json!({"id": id.to_string(), "name": long})).unwrap();
    }
    let outcome = check(Fake::start(answer), Format::Ndjson, &file, false).await;
    assert_eq!(outcome.result.unwrap().created, 5);
    assert!(outcome.asked.iter().all(|asked| asked.body.len() < 2_200_000));
    assert_eq!(outcome.asked.len(), 3);
}

#[tokio::test]
async fn rows_that_refer_to_later_rows_are_imported_and_those_that_refer_to_nothing_are_not() {
    let known = std::sync::Mutex::new(std::collections::HashSet::<String>::new());
    let fake = Fake::start(move |_, asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let mut known = known.lock().unwrap();
        let results: Vec<Value> = body["items"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let boss = item["fields"]["boss"]["external_id"].as_str();
                if boss.is_some_and(|boss| !known.contains(boss)) {
                    let pointer = format!("/items/{index}/fields/boss");
                    return json!({"index": index, "status": "failed",
                        "errors": [{"pointer": pointer, "detail": "no such record"}]});
                }
                known.insert(item["external_id"].as_str().unwrap().to_owned());
                json!({"index": index, "status": "created"})
            })
            .collect();
        Answered::Json(200, json!({ "results": results }).to_string())
    });
    let file = "id,name,born,boss\n1,A,NULL,2\n2,B,NULL,3\n3,C,NULL,NULL\n4,D,NULL,9\n";
    let outcome = check(fake, Format::Csv, file, false).await;
    let summary = outcome.result.unwrap();
    assert_eq!((summary.rows, summary.created, summary.rejected), (4, 3, 1));
    assert_eq!(
        outcome.rejects.unwrap(),
        "{\"line\":5,\"errors\":[{\"pointer\":\"/fields/boss\",\"detail\":\"no such record\"}]}\n"
    );
}

#[tokio::test]
async fn one_row_that_spoils_its_batch_is_found_and_the_rest_is_imported() {
    let mut file = String::from("id,name,born\n");
    for id in 0..500 {
        let name = if id == 333 { "whole" } else { "Ana" };
        writeln!(file, "{id},{name},NULL").unwrap();
    }
    let outcome = check(Fake::start(answer), Format::Csv, &file, false).await;
    let summary = outcome.result.unwrap();
    assert_eq!((summary.created, summary.rejected), (499, 1));
    assert!(outcome.rejects.unwrap().contains("\"line\":335"));
    assert!(outcome.asked.len() < 25, "{}", outcome.asked.len());
}

#[tokio::test]
async fn a_refusal_that_is_not_about_rows_stops_the_import() {
    let fake = Fake::start(|_, _| Answered::Problem(403, "forbidden", false));
    let outcome = check(fake, Format::Csv, "id,name,born\n1,Ana,NULL\n2,Eva,NULL\n", false).await;
    assert!(matches!(outcome.result, Err(ImportError::Client(_))));
    assert_eq!(outcome.asked.len(), 1);
    assert!(outcome.rejects.is_none());
}

#[tokio::test]
async fn results_that_do_not_belong_to_the_rows_stop_the_import() {
    for results in [
        "[]",
        r#"[{"index":1,"status":"created"},{"index":0,"status":"created"}]"#,
        r#"[{"index":0,"status":"created"},{"index":0,"status":"created"}]"#,
    ] {
        let fake =
            Fake::start(move |_, _| Answered::Json(200, format!("{{\"results\":{results}}}")));
        let outcome =
            check(fake, Format::Csv, "id,name,born\n1,Ana,NULL\n2,Eva,NULL\n", false).await;
        assert!(matches!(outcome.result, Err(ImportError::Results)), "{results}");
    }
}
