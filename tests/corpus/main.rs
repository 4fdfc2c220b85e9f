//! The kept corpus, replayed: every input that the fuzzer starts from or that has mattered once.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use strongroom_tests::hostile_bytes::{TARGETS, Target, Verdict};

/// Most bytes of the whole corpus: it is read by people too.
const CORPUS_BYTES_MAX: usize = 256 * 1024;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("fuzz")
}

/// The inputs of a target by the names of their files.
fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(target.name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())
        })
        .collect()
}

#[test]
fn every_input_of_the_corpus_ends_as_its_name_says() {
    let mut bytes = 0;
    let mut wrong = Vec::new();
    for target in TARGETS {
        for (name, input) in corpus(target) {
            bytes += input.len();
            let verdict = (target.check)(&input);
            let expected = match name.split_once('-').map(|(kind, _)| kind) {
                Some("read") => Verdict::Read,
                Some("refused") => Verdict::Refused,
                // What a fuzzer has found: that it ended at all is what matters.
                Some("found") => verdict,
                _ => panic!("{name}: the name begins with `read-`, `refused-` or `found-`"),
            };
            if verdict != expected {
                wrong.push(format!("{}/{name}: {verdict:?}", target.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn the_seeds_are_those_that_the_targets_make() {
    for target in TARGETS {
        let folder = fuzz_folder().join("corpus").join(target.name);
        let seeds: BTreeMap<String, Vec<u8>> =
            (target.seeds)().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        if option_env!("STRONGROOM_RENEW").is_some() {
            fs::create_dir_all(&folder).unwrap();
            for stale in corpus(target).keys().filter(|name| !name.starts_with("found-")) {
                fs::remove_file(folder.join(stale)).unwrap();
            }
            for (name, bytes) in &seeds {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let mut kept = corpus(target);
        kept.retain(|name, _| !name.starts_with("found-"));
        let named = |inputs: &BTreeMap<String, Vec<u8>>| inputs.keys().cloned().collect::<Vec<_>>();
        assert!(
            kept == seeds,
            "{}: kept {:?}, made {:?}; if a format was meant to change: \
             STRONGROOM_RENEW=1 cargo test --release -p strongroom-tests --test corpus the_seeds",
            target.name,
            named(&kept),
            named(&seeds)
        );
    }
}

#[test]
fn every_target_has_seeds_that_are_read_and_seeds_that_are_refused() {
    for target in TARGETS {
        for kind in ["read-", "refused-"] {
            let seeds = (target.seeds)();
            assert!(seeds.iter().any(|(name, _)| name.starts_with(kind)), "{} {kind}", target.name);
        }
    }
}

#[test]
fn every_target_has_its_program_for_the_fuzzer_and_every_program_its_target() {
    let targets: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(targets.len(), TARGETS.len());
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    let programs: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\""))
        .collect();
    assert_eq!(programs, targets, "fuzz/Cargo.toml");
    let folders = fs::read_dir(fuzz_folder().join("corpus")).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(targets.contains(&*name), "fuzz/corpus/{name} is of no target");
    }
    for target in targets {
        let text = fs::read_to_string(fuzz_folder().join(format!("targets/{target}.rs"))).unwrap();
        let call = format!("strongroom_tests::hostile_bytes::{target}(bytes)");
        assert!(text.contains(&call), "fuzz/targets/{target}.rs does not run its target");
    }
}
