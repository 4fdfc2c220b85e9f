//! The adversary with nothing but the files of a real server: no recorder, no row keys, no versions.

use std::fs;
use std::path::Path;

use serde_json::json;
use strongroom_adversary::{Evidence, attack, holder_file, seal_key_file};
use strongroom_model::TenantId;
use strongroom_tests::program::Installation;
use strongroom_tests::{Caller, fresh_key};

use crate::campaign::files;
use crate::cast::Marks;

const RECORDS: &str = "/collections/people/records";
/// How many records are made, of which every third is erased.
const RECORDS_MADE: usize = 12;

fn look_through(evidence: &mut Evidence, store: &Path) {
    for file in files(store) {
        evidence.bytes(&fs::read(file).unwrap());
    }
}

/// Makes a record and gives its mark and its id.
async fn made(owner: &Caller, marks: &mut Marks) -> (String, String) {
    let mark = marks.word();
    let body = json!({"external_id": mark, "fields": {"name": "Mira", "note": mark}});
    let made = owner.post(RECORDS, body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    (mark, made.id())
}

#[tokio::test]
async fn of_a_real_server_s_files_the_present_holder_opens_what_lives_and_the_old_one_everything() {
    let installation = Installation::make();
    let server = installation.start();
    let owner = installation.settle(&server).await.owner(&server);
    let (store, holder) = (installation.path("store"), installation.path("holder"));
    let (install, before) = holder_file(&fs::read(&holder).unwrap()).unwrap();
    let tenant: TenantId = owner.home().rsplit('/').next().unwrap().parse().unwrap();
    let mut evidence = Evidence::new(install);
    evidence.tenant(*tenant.as_bytes());

    let mut marks = Marks::new();
    let (mut living, mut erased) = (Vec::new(), Vec::new());
    for number in 0..RECORDS_MADE {
        let (mark, id) = made(&owner, &mut marks).await;
        if number % 3 > 0 {
            living.push(mark);
            continue;
        }
        look_through(&mut evidence, &store);
        let target = json!({"record": {"collection": "people", "id": id}});
        let body = json!({"target": target, "ground": "subject_request"});
        let call = owner.call("POST", "/erasures").header("Idempotency-Key", &fresh_key());
        let done = call.json(&body).send().await;
        assert_eq!(done.json()["state"], "erased", "{}", done.text());
        erased.push(mark);
        look_through(&mut evidence, &store);
    }
    server.stop();
    look_through(&mut evidence, &store);

    let seal = fs::read_to_string(installation.path("seal.key")).unwrap();
    let seal = seal_key_file(&seal).unwrap();
    let (_, now) = holder_file(&fs::read(&holder).unwrap()).unwrap();
    let read = marks.found_in(&attack(&evidence, &now, &seal).text());
    assert!(erased.iter().all(|mark| !read.contains(mark)), "something erased was read");
    assert!(living.iter().all(|mark| read.contains(mark)), "something that lives was not found");
    // The first share reaches what was made before the first erasure; the others came under later ones.
    let read = marks.found_in(&attack(&evidence, &before, &seal).text());
    assert!(read.contains(&erased[0]), "the adversary does not see");
    println!(
        "redb, files alone: 0 of {} erased records read, {} of {} others; {} bytes, {} messages carved",
        erased.len(),
        living.len(),
        living.len(),
        evidence.scanned(),
        evidence.loose(),
    );
}
