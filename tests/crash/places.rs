//! Places for backups that fail: full, read-only, gone, refused, not answering. The job says so, and the
//! store is unharmed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use strongroom_tests::program::{Installation, Running};

use crate::backup::{Site, report, restore};
use crate::place::{SECRET, Sort, Wrong};

/// Says that file systems may be mounted here; `cargo xtask test` sets it where they may.
const SMALL_DISK: &str = "STRONGROOM_SMALL_DISK";
/// Longest text of a field, so that few records make a backup of several parts.
const TEXT_BYTES: usize = 16 * 1024;
/// So many of them are about 9 MiB, which is two parts at least.
const LONG_RECORDS: usize = 600;
/// How often it is tried to stop a server in the middle of a backup.
const TRIES: u32 = 30;

/// Makes so much that a backup has several parts.
async fn fill(site: &Site, server: &Running) {
    let owner = site.people.owner(server);
    for first in (0..LONG_RECORDS).step_by(30) {
        let items: Vec<_> = (first..first + 30)
            .map(|number| {
                let text = format!("{number} ").repeat(TEXT_BYTES / 4);
                let note = text.get(..TEXT_BYTES).unwrap_or(&text);
                json!({"fields": {"name": format!("Long {number}"), "note": note}})
            })
            .collect();
        let path = "/collections/people/records:batchCreate";
        let made = owner.post(path, json!({"items": items})).await.ok();
        assert!(!made.to_string().contains("\"problem\":{"), "{made}");
    }
}

/// The store is whole, is served, and takes writes.
async fn works_on(site: &Site, server: &Running) {
    let owner = site.people.owner(server);
    let body = json!({"fields": {"name": "Afterwards"}});
    owner.post("/collections/people/records", body).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_refuses_fails_the_job_with_its_reason_and_the_server_works_on() {
    let (site, server) = Site::new("redb", Sort::Bucket).await;
    fill(&site, &server).await;
    server.stop();
    let bucket = site.place.bucket();
    let places = [
        ("nightly", bucket.url("vault-backups", "", "credentials")),
        ("stranger", bucket.url("vault-backups", "", "of-a-stranger")),
        ("forger", bucket.url("vault-backups", "", "of-a-forger")),
        ("nowhere", bucket.url("no-such-bucket", "", "credentials")),
    ];
    let flags: Vec<String> = places
        .iter()
        .flat_map(|(name, url)| ["--backup-place".into(), format!("{name}={url}")])
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = site.installation.start_with(&flags);
    for (place, wrong, word) in [
        ("stranger", Wrong::Nothing, "place_credentials"),
        ("forger", Wrong::Nothing, "place_credentials"),
        ("nowhere", Wrong::Nothing, "place_gone"),
        ("nightly", Wrong::Refuses("AccessDenied", 0), "place_not_writable"),
        ("nightly", Wrong::Refuses("QuotaExceeded", 1), "place_full"),
        ("nightly", Wrong::Refuses("NoSuchBucket", 2), "place_gone"),
        ("nightly", Wrong::Spoils, "place_unreliable"),
    ] {
        bucket.goes_wrong(wrong);
        assert_eq!(site.failing(&server, place).await, word, "{place} {wrong:?}");
    }
    bucket.goes_wrong(Wrong::Nothing);
    bucket.stop();
    assert_eq!(site.failing(&server, "nightly").await, "place_unreachable");
    bucket.resume().await;
    works_on(&site, &server).await;
    let backup = site.back_up(&server).await;
    // What the failed ones had written is gone.
    let folder = site.place.folder(&site.installation);
    let parts = |path: &std::path::Path| fs::read_dir(path).unwrap().count();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(path == backup || parts(&path) == 0, "{} is left", path.display());
    }
    assert!(parts(&backup) >= 3, "a backup of one part shows nothing");
    server.stop();
    let said = String::from_utf8(site.installation.said()).unwrap();
    assert!(said.contains("InvalidAccessKeyId") || said.contains("NotSignedUp"), "{said}");
    assert!(!said.contains("hidden") && !said.contains("AKTESTER"), "{said}");
    site.proven();

    // Bringing it back fails in the same words, and changes nothing.
    let name = backup.file_name().unwrap().to_str().unwrap();
    let of = |bucket_name: &str, file: &str| bucket.url(bucket_name, &format!("/{name}"), file);
    let fails = |from: &str, words: &str| {
        let ran = restore(&site.installation, from, &["--yes"]);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(8), "{said}");
        assert!(said.contains(words) && !said.contains("hidden"), "`{words}`: {said}");
    };
    fails(&of("vault-backups", "of-a-stranger"), "the credentials are refused");
    fails(&of("vault-backups", "of-a-forger"), "the credentials are refused");
    fails(&of("no-such-bucket", "credentials"), "it has no manifest");
    bucket.goes_wrong(Wrong::Spoils);
    fails(&of("vault-backups", "credentials"), "was changed");
    bucket.goes_wrong(Wrong::Nothing);
    bucket.stop();
    fails(&of("vault-backups", "credentials"), "does not answer");
    site.proven();
}

#[test]
fn a_bucket_without_credentials_or_with_a_secret_in_its_address_is_refused_unseen() {
    let installation = Installation::make();
    let file = installation.path("credentials");
    fs::write(&file, format!("aws_access_key_id = AK\naws_secret = {SECRET}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let serving = installation.serving();
    for nameless in ["s3://AK:hidden-4711@vault-backups?region=x", "s3://hidden-4711"] {
        let words = ["--backup-place", nameless];
        let ran = installation
            .run(&[&serving.iter().map(String::as_str).collect::<Vec<_>>(), &words[..]].concat());
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.code() == Some(2) && !said.contains("hidden"), "{said}");
    }
    for (place, exit, words) in [
        ("s3://vault-backups?region=eu-central-1", 2, "no credentials"),
        ("s3://AK:hidden-4711@vault-backups?region=x", 2, "credentials stand in a file"),
        ("s3://vault-backups?secret=hidden-4711", 2, "an option is not known"),
        ("s3://vault-backups?endpoint=http://192.0.2.1:9000", 2, "say `https://`"),
        ("s3://vault-backups?region=x&credentials_file=credentials", 1, "aws_secret_access_key"),
        ("s3://vault-backups?region=x&credentials_file=nowhere", 1, "nowhere"),
        ("s3://x?region=x", 2, "a bucket's name"),
    ] {
        let flag = format!("nightly={place}");
        let arguments: Vec<&str> =
            serving.iter().map(String::as_str).chain(["--backup-place", &flag]).collect();
        let commands = [
            arguments,
            vec![
                "restore",
                "--from",
                place,
                "--store",
                "redb:store",
                "--seal-key-file",
                "seal.key",
            ],
        ];
        for command in commands {
            // A backup in a bucket has a name below it; the address is read before it is missed.
            let from = place.replace("vault-backups", "vault-backups/name");
            let command: Vec<&str> = command
                .iter()
                .map(|word| if *word == place { from.as_str() } else { word })
                .collect();
            let ran = installation.run(&command);
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert_eq!(ran.status.code(), Some(exit), "{place}: {said}");
            assert!(said.contains(words) && !said.contains("hidden"), "{place}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_goes_in_the_middle_of_a_backup_fails_it_and_comes_back() {
    let (site, server) = Site::new("redb", Sort::Folder).await;
    fill(&site, &server).await;
    let operator = site.people.operator(&server);
    let (place, gone) = (site.installation.path("backups"), site.installation.path("gone"));
    let signal = |name: &str| {
        let id = server.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    };
    let unfinished = || {
        fs::read_dir(&place).unwrap().flatten().map(|entry| entry.path()).find(|path| {
            path.extension().is_some_and(|it| it == "unfinished")
                && path.join("00000001.part").exists()
        })
    };
    for turn in 0.. {
        assert!(turn < TRIES, "no backup was stopped in the middle");
        let asked = operator.post_once("/v1/system/backups", json!({"place": "nightly"})).await;
        assert_eq!(asked.status, 202, "{}", asked.text());
        for _ in 0..2_000 {
            if unfinished().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        signal("STOP");
        if unfinished().is_some() {
            // A disk that is not mounted leaves an empty folder.
            fs::rename(&place, &gone).unwrap();
            fs::create_dir(&place).unwrap();
            signal("CONT");
            assert_eq!(site.failed(&server, &asked.id()).await, "place_gone");
            break;
        }
        signal("CONT");
        site.finished(&server, &asked.id()).await;
    }
    works_on(&site, &server).await;
    fs::remove_dir(&place).unwrap();
    fs::rename(&gone, &place).unwrap();
    let backup = site.back_up(&server).await;
    assert!(unfinished().is_none(), "the next backup removes what the failed one left");
    server.stop();
    site.proven();
    let drill = report(&site.restore(&backup, &["--drill"]));
    assert_eq!(drill["records"]["rows"], drill["records"]["opened"], "{drill}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_or_read_only_fails_a_backup_and_says_so() {
    if std::env::var_os(SMALL_DISK).is_none() {
        return;
    }
    let (site, server) = Site::new("redb", Sort::Folder).await;
    fill(&site, &server).await;
    server.stop();
    let flag = format!("nightly={}", site.place.text(&site.installation));
    let flags = ["--backup-place", flag.as_str()];
    for (mount, word) in [
        ("mount -t tmpfs -o size=6m none backups", "place_full"),
        ("mount -t tmpfs -o ro none backups", "place_not_writable"),
    ] {
        let server = site.installation.start_mounted(mount, &flags);
        assert_eq!(site.failing(&server, "nightly").await, word);
        works_on(&site, &server).await;
        // Another one meets the same: the first has left nothing in the way.
        assert_eq!(site.failing(&server, "nightly").await, word);
        server.stop();
        site.proven();
    }
    let server = site.start();
    let backup = site.back_up(&server).await;
    server.stop();
    report(&site.restore(&backup, &["--drill"]));
}
