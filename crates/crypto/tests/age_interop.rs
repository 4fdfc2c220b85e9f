//! The tool `age` opens what is sealed here, and what it seals is opened here.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use strongroom_crypto::age::{Identity, Opener, Recipient, Sealer};
use strongroom_crypto::{Error, SystemRng};
use strongroom_model::Rng;

/// Lengths around the edges of chunks.
const LENGTHS: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 131_072, 300_001];

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("`age` is installed; `cargo xtask test` sees to it");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Whoever refuses does not read to the end.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output.status.success().then_some(output.stdout)
}

fn key_file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn some_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SystemRng::new().fill(&mut bytes).unwrap();
    bytes
}

fn open(sealed: &[u8], identity: &str) -> Result<Vec<u8>, Error> {
    let mut opener = Opener::new(vec![Identity::parse(identity).unwrap()]);
    let mut plain = Vec::new();
    for part in sealed.chunks(10_007) {
        opener.push(part, &mut plain)?;
    }
    opener.finish(&mut plain)?;
    Ok(plain)
}

#[test]
fn the_tool_opens_what_is_sealed_here_for_each_recipient() {
    let folder = tempfile::tempdir().unwrap();
    let rng = SystemRng::new();
    let identities = [Identity::generate(&rng).unwrap(), Identity::generate(&rng).unwrap()];
    let recipients: Vec<Recipient> = identities.iter().map(Identity::recipient).collect();
    for length in LENGTHS {
        let plain = some_bytes(length);
        let mut sealed = Vec::new();
        let mut sealer = Sealer::begin(&recipients, &rng, &mut sealed).unwrap();
        sealer.push(&plain, &mut sealed).unwrap();
        sealer.finish(&mut sealed).unwrap();
        for (number, identity) in identities.iter().enumerate() {
            let name = format!("{number}.txt");
            let file = key_file(folder.path(), &name, identity.write().expose());
            let opened = run("age", &["--decrypt", "--identity", &file], &sealed);
            assert_eq!(opened.as_ref(), Some(&plain), "{length} bytes");
        }
        let cut = sealed.get(..sealed.len() - 1).unwrap();
        let file = folder.path().join("0.txt").display().to_string();
        assert_eq!(run("age", &["--decrypt", "--identity", &file], cut), None);
    }
}

#[test]
fn what_the_tool_seals_is_opened_here_and_its_keys_are_read() {
    let keys = String::from_utf8(run("age-keygen", &[], b"").unwrap()).unwrap();
    let identity = keys.lines().find(|line| !line.starts_with('#')).unwrap();
    let told = keys.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let ours = Identity::parse(identity).unwrap();
    assert_eq!(ours.recipient().to_string(), told);
    assert_eq!(ours.write().expose(), identity);
    let other = Identity::generate(&SystemRng::new()).unwrap();
    for length in LENGTHS {
        let plain = some_bytes(length);
        let other = other.recipient().to_string();
        let sealed = run("age", &["--recipient", &other, "--recipient", told], &plain).unwrap();
        assert_eq!(open(&sealed, identity).unwrap(), plain, "{length} bytes");
        let stranger = Identity::generate(&SystemRng::new()).unwrap();
        assert_eq!(open(&sealed, stranger.write().expose()), Err(Error::Damaged));
    }
    // A passphrase is nobody's identity.
    assert!(run("age", &["--decrypt"], b"age-encryption.org/v1\n").is_none());
}
