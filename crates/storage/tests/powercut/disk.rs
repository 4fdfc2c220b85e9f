//! A disk as a power cut leaves it: what was synced, and of the rest nothing, some, or all.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use crate::trace::{Argument, Call, Event, Trace};

/// What a disk writes at once.
const SECTOR_BYTES: usize = 512;

/// What survives of that which was not synced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Survives {
    /// Nothing: no byte, no length, no name.
    Nothing,
    /// Any sectors of any write, any change of a length, and the names up to some moment.
    Pieces,
    /// All, as after the end of a process.
    Everything,
}

/// Random numbers that come again with the same seed (Steele and others 2014, SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Files and folders by number; 0 is the folder that was there before.
type Number = usize;
type Names = HashMap<Number, BTreeMap<String, Number>>;

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Default)]
struct File {
    length: usize,
    durable: Vec<u8>,
    /// Since the last sync, each with the moment in which it was made.
    pending: Vec<(usize, Change)>,
}

enum Node {
    File(File),
    Folder,
}

/// Names that change in one step.
#[derive(Clone)]
struct Rename {
    moment: usize,
    changes: Vec<(Number, String, Option<Number>)>,
}

/// An open file.
struct Open {
    node: Number,
    position: usize,
    appends: bool,
}

/// The disk, and what the operating system knows of it.
pub(crate) struct Disk {
    base: PathBuf,
    nodes: Vec<Node>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<Rename>,
    open: HashMap<i64, usize>,
    opened: Vec<Open>,
    /// How far a sync that has begun reaches.
    syncs: HashMap<usize, usize>,
    moment: usize,
    /// What the program said on its standard output.
    pub(crate) said: String,
}

impl Disk {
    /// An empty folder.
    pub(crate) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            nodes: vec![Node::Folder],
            names: HashMap::from([(0, BTreeMap::new())]),
            durable_names: HashMap::from([(0, BTreeMap::new())]),
            pending_names: Vec::new(),
            open: HashMap::new(),
            opened: Vec::new(),
            syncs: HashMap::new(),
            moment: 0,
            said: String::new(),
        }
    }

    /// Takes note of one event. Descriptors are closed and syncs reach as far as when they began;
    /// everything else happens when it has ended.
    pub(crate) fn note(&mut self, trace: &Trace, event: &Event) {
        self.moment += 1;
        match event {
            Event::Begin(number) => {
                let call = &trace.calls[*number];
                match call.name.as_str() {
                    "close" => drop(self.open.remove(&descriptor(call, 0))),
                    "fsync" | "fdatasync" | "syncfs" | "sync" => {
                        self.syncs.insert(*number, self.moment);
                    }
                    // What was said counts as soon as somebody may have heard it.
                    "write" if descriptor(call, 0) == 1 => {
                        self.said += &String::from_utf8_lossy(call.arguments[1].bytes());
                    }
                    _ => {}
                }
            }
            Event::End(number) => {
                let call = &trace.calls[*number];
                if call.result >= 0 {
                    self.end(*number, call);
                }
            }
        }
    }

    fn end(&mut self, number: usize, call: &Call) {
        match call.name.as_str() {
            "openat" => self.open_file(call, 1, call.arguments[2].text()),
            "open" => self.open_file(call, 0, call.arguments[1].text()),
            "creat" => self.open_file(call, 0, "O_WRONLY|O_CREAT|O_TRUNC"),
            "dup" | "dup2" | "dup3" => self.duplicate(call),
            "fcntl" if call.arguments[1].text().starts_with("F_DUPFD") => self.duplicate(call),
            "write" | "writev" => self.write(call, None),
            "pwrite64" | "pwritev" | "pwritev2" => self.write(call, Some(natural(call, 3))),
            "lseek" => {
                if let Some(open) = self.opened_by(descriptor(call, 0)) {
                    open.position = usize::try_from(call.result).unwrap();
                }
            }
            "ftruncate" => self.set_length(descriptor(call, 0), natural(call, 1)),
            "fallocate" => self.allocate(call),
            "fsync" | "fdatasync" => {
                let node = self.opened_by(descriptor(call, 0)).map(|open| open.node);
                self.sync(node, self.syncs[&number]);
            }
            "mkdir" => self.make_folder(call, 0),
            "mkdirat" => self.make_folder(call, 1),
            "unlink" | "rmdir" => self.remove(call, 0),
            "unlinkat" => self.remove(call, 1),
            "rename" => self.rename(call, 0, 1),
            "renameat" | "renameat2" => self.rename(call, 1, 3),
            "mmap" => {
                let shared = call.arguments[3].text().contains("MAP_SHARED");
                let writes = call.arguments[2].text().contains("PROT_WRITE");
                let ours = call.arguments[4].text().parse().ok().and_then(|fd| self.opened_by(fd));
                assert!(!(shared && writes && ours.is_some()), "writing by memory is not modelled");
            }
            "close" | "fcntl" | "execve" => {}
            other => {
                let paths = call.arguments.iter().any(|argument| match argument {
                    Argument::Bytes(bytes) => {
                        bytes.starts_with(self.base.as_os_str().as_encoded_bytes())
                    }
                    Argument::Text(text) => {
                        text.parse().is_ok_and(|fd| self.open.contains_key(&fd))
                    }
                });
                assert!(!paths, "`{other}` is not modelled");
            }
        }
    }

    fn open_file(&mut self, call: &Call, path: usize, flags: &str) {
        let Some((folder, name)) = self.place(call, path) else { return };
        let found = match name.as_str() {
            "" => Some(folder),
            name => self.names[&folder].get(name).copied(),
        };
        let node = found.unwrap_or_else(|| {
            self.nodes.push(Node::File(File::default()));
            let node = self.nodes.len() - 1;
            self.change_names(vec![(folder, name, Some(node))]);
            node
        });
        let open = Open { node, position: 0, appends: flags.contains("O_APPEND") };
        self.opened.push(open);
        self.open.insert(call.result, self.opened.len() - 1);
        if flags.contains("O_TRUNC") {
            self.set_length(call.result, 0);
        }
    }

    fn duplicate(&mut self, call: &Call) {
        if let Some(open) = self.open.get(&descriptor(call, 0)).copied() {
            self.open.insert(call.result, open);
        }
    }

    fn write(&mut self, call: &Call, at: Option<usize>) {
        let Some(open) = self.open.get(&descriptor(call, 0)).copied() else { return };
        let written = usize::try_from(call.result).unwrap();
        let bytes = call.arguments[1].bytes()[..written].to_vec();
        let open = &mut self.opened[open];
        let Node::File(file) = &mut self.nodes[open.node] else { return };
        let at = at.unwrap_or_else(|| {
            let at = if open.appends { file.length } else { open.position };
            open.position = at + written;
            at
        });
        file.length = file.length.max(at + written);
        file.pending.push((self.moment, Change::Write(at, bytes)));
    }

    fn set_length(&mut self, descriptor: i64, length: usize) {
        let Some(node) = self.opened_by(descriptor).map(|open| open.node) else { return };
        let Node::File(file) = &mut self.nodes[node] else { return };
        file.length = length;
        file.pending.push((self.moment, Change::Length(length)));
    }

    fn allocate(&mut self, call: &Call) {
        let Some(node) = self.opened_by(descriptor(call, 0)).map(|open| open.node) else { return };
        let mode = call.arguments[1].text();
        let (at, count) = (natural(call, 2), natural(call, 3));
        let Node::File(file) = &mut self.nodes[node] else { return };
        if mode.contains("PUNCH_HOLE") || mode.contains("ZERO_RANGE") {
            let count = count.min(file.length.saturating_sub(at));
            file.pending.push((self.moment, Change::Write(at, vec![0; count])));
        } else if mode == "0" && at + count > file.length {
            file.length = at + count;
            file.pending.push((self.moment, Change::Length(file.length)));
        } else {
            assert!(mode == "0" || mode == "FALLOC_FL_KEEP_SIZE", "`{mode}` is not modelled");
        }
    }

    fn sync(&mut self, node: Option<Number>, until: usize) {
        let Some(node) = node else { return };
        match &mut self.nodes[node] {
            Node::File(file) => {
                let (reached, later): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut file.pending).into_iter().partition(|(at, _)| *at <= until);
                file.pending = later;
                for (_, change) in reached {
                    apply(&mut file.durable, &change);
                }
            }
            Node::Folder => {
                let touches = |rename: &Rename| {
                    rename.moment <= until
                        && rename.changes.iter().any(|(folder, ..)| *folder == node)
                };
                let (reached, later): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.pending_names).into_iter().partition(touches);
                self.pending_names = later;
                for rename in &reached {
                    rename_in(&mut self.durable_names, rename);
                }
            }
        }
    }

    fn make_folder(&mut self, call: &Call, path: usize) {
        let Some((folder, name)) = self.place(call, path) else { return };
        self.nodes.push(Node::Folder);
        let node = self.nodes.len() - 1;
        self.names.insert(node, BTreeMap::new());
        self.durable_names.insert(node, BTreeMap::new());
        self.change_names(vec![(folder, name, Some(node))]);
    }

    fn remove(&mut self, call: &Call, path: usize) {
        let Some((folder, name)) = self.place(call, path) else { return };
        self.change_names(vec![(folder, name, None)]);
    }

    fn rename(&mut self, call: &Call, from: usize, to: usize) {
        let (Some(from), Some(to)) = (self.place(call, from), self.place(call, to)) else { return };
        let node = self.names[&from.0][&from.1];
        self.change_names(vec![(from.0, from.1, None), (to.0, to.1, Some(node))]);
    }

    fn change_names(&mut self, changes: Vec<(Number, String, Option<Number>)>) {
        let rename = Rename { moment: self.moment, changes };
        rename_in(&mut self.names, &rename);
        self.pending_names.push(rename);
    }

    /// The folder and the name of a path in an argument; none if it lies elsewhere.
    fn place(&self, call: &Call, path: usize) -> Option<(Number, String)> {
        let path = PathBuf::from(String::from_utf8(call.arguments[path].bytes().to_vec()).unwrap());
        let (mut folder, rest) = if path.is_absolute() {
            (0, path.strip_prefix(&self.base).ok()?.to_owned())
        } else {
            let beside = call.arguments.first()?.text().parse().ok()?;
            (self.opened[*self.open.get(&beside)?].node, path)
        };
        let parts: Vec<String> = rest
            .components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        let (name, folders) = parts
            .split_last()
            .map_or((String::new(), &[][..]), |(name, rest)| (name.clone(), rest));
        for part in folders {
            folder = *self.names.get(&folder)?.get(part)?;
        }
        self.names.contains_key(&folder).then_some((folder, name))
    }

    fn opened_by(&mut self, descriptor: i64) -> Option<&mut Open> {
        self.opened.get_mut(*self.open.get(&descriptor)?)
    }

    /// Writes what a power cut leaves now into an empty folder.
    pub(crate) fn cut(&self, survives: Survives, chance: &mut Chance, to: &Path) {
        let mut names = self.durable_names.clone();
        let kept = match survives {
            Survives::Nothing => 0,
            Survives::Pieces => {
                let count = u64::try_from(self.pending_names.len()).unwrap();
                usize::try_from(chance.below(count + 1)).unwrap()
            }
            Survives::Everything => self.pending_names.len(),
        };
        for rename in &self.pending_names[..kept] {
            rename_in(&mut names, rename);
        }
        self.lay_out(&names, 0, survives, chance, to);
    }

    fn lay_out(
        &self,
        names: &Names,
        folder: Number,
        survives: Survives,
        chance: &mut Chance,
        to: &Path,
    ) {
        for (name, node) in &names[&folder] {
            let path = to.join(name);
            match &self.nodes[*node] {
                Node::Folder => {
                    fs::create_dir(&path).unwrap();
                    self.lay_out(names, *node, survives, chance, &path);
                }
                Node::File(file) => write_sparsely(&path, &file.after(survives, chance)),
            }
        }
    }
}

impl File {
    fn after(&self, survives: Survives, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        // Of one cut most survives, of another little.
        let odds = 1 + chance.below(9);
        for (_, change) in &self.pending {
            match (survives, change) {
                (Survives::Nothing, _) => {}
                (Survives::Everything, change) => apply(&mut bytes, change),
                (Survives::Pieces, Change::Length(_)) => {
                    if chance.below(10) < odds {
                        apply(&mut bytes, change);
                    }
                }
                (Survives::Pieces, Change::Write(at, data)) => {
                    let mut begin = 0;
                    while begin < data.len() {
                        let room = SECTOR_BYTES - (at + begin) % SECTOR_BYTES;
                        let end = data.len().min(begin + room);
                        if chance.below(10) < odds {
                            let piece = Change::Write(at + begin, data[begin..end].to_vec());
                            apply(&mut bytes, &piece);
                        }
                        begin = end;
                    }
                }
            }
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length, 0),
        Change::Write(at, data) => {
            let end = at + data.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(data);
        }
    }
}

fn rename_in(names: &mut Names, rename: &Rename) {
    for (folder, name, node) in &rename.changes {
        let entries = names.entry(*folder).or_default();
        match node {
            Some(node) => drop(entries.insert(name.clone(), *node)),
            None => drop(entries.remove(name)),
        }
    }
}

fn write_sparsely(path: &Path, bytes: &[u8]) {
    const BLOCK_BYTES: usize = 64 * 1024;
    let file = fs::File::create(path).unwrap();
    file.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, u64::try_from(number * BLOCK_BYTES).unwrap()).unwrap();
        }
    }
}

fn descriptor(call: &Call, argument: usize) -> i64 {
    call.arguments[argument].text().parse().unwrap()
}

fn natural(call: &Call, argument: usize) -> usize {
    let text = call.arguments[argument].text();
    match text.strip_prefix("0x") {
        Some(hex) => usize::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}
