//! What a program did to its files, call by call, as `strace` saw it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// The calls that change files, names of files, or what is durable of them; and those that tell
/// which file a descriptor is.
const CALLS: &str = "openat,open,creat,close,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,\
truncate,fallocate,fsync,fdatasync,syncfs,sync,rename,renameat,renameat2,unlink,unlinkat,mkdir,\
mkdirat,rmdir,dup,dup2,dup3,fcntl,link,linkat,symlink,symlinkat,copy_file_range,sendfile,mmap,\
io_uring_setup,execve";

/// Those of them that change files or their names whenever they succeed.
const CHANGING: [&str; 16] = [
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "pwritev2",
    "ftruncate",
    "fallocate",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "creat",
];

/// A call that has returned.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Its arguments as `strace` writes them, strings taken out of their quotes.
    pub(crate) arguments: Vec<Argument>,
    /// Negative if it failed.
    pub(crate) result: i64,
}

/// One argument.
#[derive(Debug)]
pub(crate) enum Argument {
    /// The bytes of a string, or of all strings of a list.
    Bytes(Vec<u8>),
    /// Anything else, as text.
    Text(String),
}

impl Argument {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Bytes(_) => panic!("an argument is a string"),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => panic!("`{text}` is no string"),
        }
    }
}

/// A call begins, or it has ended; in the order in which the tracer saw it.
#[derive(Debug)]
pub(crate) enum Event {
    Begin(usize),
    End(usize),
}

/// The calls of a program, and the order of their beginnings and ends.
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    pub(crate) events: Vec<Event>,
}

impl Trace {
    /// Whether after this event a file, or what was said, is not what it was before.
    pub(crate) fn changes(&self, event: &Event) -> bool {
        let (number, has_ended) = match event {
            Event::Begin(number) => (*number, false),
            Event::End(number) => (*number, true),
        };
        let call = &self.calls[number];
        match call.name.as_str() {
            // What is said counts from the beginning on.
            "write" if call.arguments[0].text() == "1" => !has_ended,
            _ if !has_ended || call.result < 0 => false,
            "openat" => call.arguments[2].text().contains("O_CREAT"),
            name => CHANGING.contains(&name),
        }
    }
}

/// Runs a program to its end and records its calls.
pub(crate) fn record(program: &mut Command, log: &Path) -> Trace {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-xx", "-s", "100000000", "-e", "signal=none", "--seccomp-bpf"]);
    strace.arg("-e").arg(format!("trace={CALLS}")).arg("-o").arg(log);
    strace.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        strace.env(name, value.unwrap());
    }
    let ended = strace.output().expect("the tests need `strace`; `cargo xtask test` installs it");
    assert!(
        ended.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    parse(&std::fs::read_to_string(log).unwrap())
}

fn parse(log: &str) -> Trace {
    let mut trace = Trace { calls: Vec::new(), events: Vec::new() };
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    for line in log.lines() {
        let (thread, text) = line.split_once(' ').expect("a line begins with its thread");
        let text = text.trim_start();
        if text.starts_with("+++") {
            continue;
        }
        if text.ends_with("= ?") {
            // The process ended meanwhile.
            unfinished.remove(thread);
            continue;
        }
        if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            let number = trace.calls.len();
            trace.calls.push(Call { name: String::new(), arguments: Vec::new(), result: -1 });
            trace.events.push(Event::Begin(number));
            unfinished.insert(thread, (number, begin));
        } else if let Some((_, end)) =
            text.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"))
        {
            let (number, begin) = unfinished.remove(thread).expect("a call that ends has begun");
            trace.calls[number] = parse_call(&format!("{begin}{end}"));
            trace.events.push(Event::End(number));
        } else {
            let number = trace.calls.len();
            trace.calls.push(parse_call(text));
            trace.events.extend([Event::Begin(number), Event::End(number)]);
        }
    }
    trace
}

fn parse_call(text: &str) -> Call {
    let (name, rest) = text.split_once('(').unwrap_or_else(|| panic!("no call: {text:.200}"));
    let close = rest.rfind(") ").unwrap_or_else(|| panic!("no end: {text:.200}"));
    let result = rest[close + 2..].trim_start().strip_prefix("= ").expect("a call has a result");
    let result = result.split_whitespace().next().unwrap();
    let result = match result.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).unwrap_or(i64::MAX),
        None => result.parse().unwrap_or(-1),
    };
    Call { name: name.to_owned(), arguments: parse_arguments(&rest[..close]), result }
}

fn parse_arguments(text: &str) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let (mut start, mut depth, mut quoted) = (0, 0u32, false);
    for (at, letter) in text.bytes().enumerate() {
        match letter {
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            b',' if !quoted && depth == 0 => {
                arguments.push(parse_argument(&text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(parse_argument(&text[start..]));
    arguments
}

/// Strings are written as `"\x68\x69"` throughout, so that no quote stands inside one.
fn parse_argument(text: &str) -> Argument {
    if !text.contains('"') {
        return Argument::Text(text.trim().to_owned());
    }
    assert!(!text.contains("\"..."), "a string was cut short");
    let strings = text.split('"').skip(1).step_by(2);
    let digits: Vec<u8> = strings.flat_map(|string| string.bytes()).collect();
    let digit = |letter: u8| char::from(letter).to_digit(16).expect("a hexadecimal digit");
    let byte = |escape: &[u8]| {
        assert_eq!(&escape[..2], b"\\x");
        u8::try_from(digit(escape[2]) * 16 + digit(escape[3])).unwrap()
    };
    Argument::Bytes(digits.chunks(4).map(byte).collect())
}

#[test]
fn calls_of_two_threads_that_overlap_are_put_together() {
    let log = "7 pwrite64(5, \"\\x61\\x62\", 2, 4096 <unfinished ...>\n\
               8 fsync(5)                          = 0\n\
               7 <... pwrite64 resumed>)           = 2\n\
               8 writev(6, [{iov_base=\"\\x63\", iov_len=1}, {iov_base=\"\\x64\", iov_len=1}], 2) = 2\n\
               8 openat(AT_FDCWD, \"\\x2f\", O_RDONLY) = -1 ENOENT (No such file or directory)\n\
               8 +++ exited with 0 +++\n";
    let trace = parse(log);
    let names: Vec<_> = trace.calls.iter().map(|call| (call.name.as_str(), call.result)).collect();
    assert_eq!(names, [("pwrite64", 2), ("fsync", 0), ("writev", 2), ("openat", -1)]);
    assert_eq!(trace.calls[0].arguments[1].bytes(), b"ab");
    assert_eq!(trace.calls[0].arguments[3].text(), "4096");
    assert_eq!(trace.calls[2].arguments[1].bytes(), b"cd");
    assert!(matches!(trace.events[..3], [Event::Begin(0), Event::Begin(1), Event::End(1)]));
}
