//! A model of a disk that keeps what was synced, and any part of the rest.
//!
//! Bytes and attributes are durable once their file was synced, a name once its folder was. Each name that
//! was not synced may survive or not: file systems promise no order between two folders.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::trace::{ACKNOWLEDGED, Call};

type Number = usize;

/// Bytes and attributes of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Content {
    pub bytes: Vec<u8>,
    pub attributes: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Default)]
struct FileNode {
    now: Content,
    synced: Content,
    /// Inode and modification time (ns) that the recorded process saw with `fstat`.
    seen: Option<(u64, i128)>,
}

#[derive(Debug, Default)]
struct Folder {
    now: BTreeMap<String, Number>,
    synced: BTreeMap<String, Number>,
    /// Changes since the last sync, in order; `None` = removed.
    pending: Vec<(String, Option<Number>)>,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Folder(Folder),
}

/// A file after a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Found {
    pub content: Content,
    pub seen: Option<(u64, i128)>,
}

/// The files and folders (`None`) after a power cut, by path.
pub type Tree = BTreeMap<PathBuf, Option<Found>>;

/// Which names survive that were not synced.
#[derive(Debug, Clone, Copy)]
enum Kept {
    None,
    /// All names and all bytes: a kill in place of a power cut.
    Everything,
    Names,
    Only(usize),
    AllBut(usize),
}

pub struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    open: HashMap<i64, Number>,
    /// Folders whose names are kept or lost all together.
    scratch: fn(&Path) -> bool,
    pub acknowledged: Vec<String>,
}

impl Disk {
    /// An empty disk for the calls of a process below `root`. Names in a `scratch` folder are not tried one
    /// by one.
    pub fn new(root: &Path, scratch: fn(&Path) -> bool) -> Self {
        Self {
            root: root.to_owned(),
            nodes: vec![Node::Folder(Folder::default())],
            open: HashMap::new(),
            scratch,
            acknowledged: Vec::new(),
        }
    }

    /// Applies a call of the process. `true` where a power cut may leave something else now.
    pub fn apply(&mut self, call: &Call) -> bool {
        match call.name.as_str() {
            "open" => self.open(call, "AT_FDCWD", 0),
            "openat" | "openat2" => self.open(call, &call.arguments[0], 1),
            "close" => {
                self.open.remove(&call.number(0));
                false
            }
            "mkdir" => self.make_folder("AT_FDCWD", &call.text(0)),
            "mkdirat" => self.make_folder(&call.arguments[0], &call.text(1)),
            "rename" => self.rename(("AT_FDCWD", call.text(0)), ("AT_FDCWD", call.text(1)), true),
            "renameat" | "renameat2" => self.rename(
                (&call.arguments[0], call.text(1)),
                (&call.arguments[2], call.text(3)),
                true,
            ),
            "link" => self.rename(
                ("AT_FDCWD", call.text(0)),
                ("AT_FDCWD", call.text(1)),
                false,
            ),
            "linkat" => self.rename(
                (&call.arguments[0], call.text(1)),
                (&call.arguments[2], call.text(3)),
                false,
            ),
            "unlink" => self.unlink("AT_FDCWD", &call.text(0)),
            "unlinkat" => self.unlink(&call.arguments[0], &call.text(1)),
            "write" => self.write(call, None),
            "pwrite64" => self.write(call, Some(call.number(3))),
            "ftruncate" => {
                let length = usize::try_from(call.number(1)).unwrap();
                self.change(call, |content| content.bytes.resize(length, 0))
            }
            "fsetxattr" => {
                let (name, value) = (call.text(1), call.bytes(2));
                self.change(call, |content| {
                    content.attributes.insert(name, value);
                })
            }
            "fremovexattr" => {
                let name = call.text(1);
                self.change(call, |content| {
                    content.attributes.remove(&name);
                })
            }
            "fsync" | "fdatasync" => self.sync(call),
            "statx" | "fstat" => {
                self.look(call);
                false
            }
            other => {
                // Must not change a file of the model.
                let file = call.arguments[0].parse().ok();
                let ours = file.is_some_and(|file: i64| self.open.contains_key(&file));
                assert!(!ours, "{other} is not part of the model");
                false
            }
        }
    }

    fn folder(&mut self, number: Number) -> &mut Folder {
        match &mut self.nodes[number] {
            Node::Folder(folder) => folder,
            Node::File(_) => panic!("a file in place of a folder"),
        }
    }

    /// The folder that a path starts in, and the names from there; `None` outside of the model.
    fn begin(&self, at: &str, path: &str) -> Option<(Number, Vec<String>)> {
        let path = Path::new(path);
        let (begin, names) = if path.is_absolute() {
            (0, path.strip_prefix(&self.root).ok()?)
        } else {
            (*self.open.get(&at.parse().ok()?)?, path)
        };
        let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
        Some((begin, names.filter(|name| name != ".").collect()))
    }

    fn find(&self, begin: Number, names: &[String]) -> Option<Number> {
        names
            .iter()
            .try_fold(begin, |number, name| match &self.nodes[number] {
                Node::Folder(folder) => folder.now.get(name).copied(),
                Node::File(_) => None,
            })
    }

    /// The folder of a path, and its last name.
    fn parent(&self, at: &str, path: &str) -> Option<(Number, String)> {
        let (begin, mut names) = self.begin(at, path)?;
        let last = names.pop()?;
        Some((self.find(begin, &names)?, last))
    }

    fn set(&mut self, folder: Number, name: &str, to: Option<Number>) {
        let folder = self.folder(folder);
        match to {
            Some(number) => folder.now.insert(name.to_owned(), number),
            None => folder.now.remove(name),
        };
        folder.pending.push((name.to_owned(), to));
    }

    /// The flags follow the path, which is the argument `path`.
    fn open(&mut self, call: &Call, at: &str, path: usize) -> bool {
        let (path, flags) = (call.text(path), &call.arguments[path + 1]);
        self.open.remove(&call.result);
        let Some((begin, names)) = self.begin(at, &path) else {
            return false;
        };
        let mut changed = false;
        let number = match self.find(begin, &names) {
            Some(number) => number,
            None => {
                assert!(flags.contains("O_CREAT"), "unknown to the model: {path}");
                let (folder, name) = self.parent(at, &path).unwrap();
                let number = self.nodes.len();
                self.nodes.push(Node::File(FileNode::default()));
                self.set(folder, &name, Some(number));
                changed = true;
                number
            }
        };
        if flags.contains("O_TRUNC")
            && let Node::File(file) = &mut self.nodes[number]
        {
            file.now.bytes.clear();
            changed = true;
        }
        self.open.insert(call.result, number);
        changed
    }

    fn make_folder(&mut self, at: &str, path: &str) -> bool {
        let Some((folder, name)) = self.parent(at, path) else {
            return false;
        };
        let number = self.nodes.len();
        self.nodes.push(Node::Folder(Folder::default()));
        self.set(folder, &name, Some(number));
        true
    }

    fn rename(&mut self, from: (&str, String), to: (&str, String), moves: bool) -> bool {
        let Some((source, old)) = self.parent(from.0, &from.1) else {
            return false;
        };
        let (target, new) = self.parent(to.0, &to.1).unwrap();
        let number = self.folder(source).now[&old];
        self.set(target, &new, Some(number));
        if moves {
            self.set(source, &old, None);
        }
        true
    }

    fn unlink(&mut self, at: &str, path: &str) -> bool {
        let Some((folder, name)) = self.parent(at, path) else {
            return false;
        };
        self.set(folder, &name, None);
        true
    }

    fn write(&mut self, call: &Call, offset: Option<i64>) -> bool {
        // A write to standard error, or to a file.
        if call.arguments[0] == "2" {
            let text = String::from_utf8_lossy(&call.bytes(1)).into_owned();
            if let Some(what) = text.trim_end().strip_prefix(ACKNOWLEDGED) {
                self.acknowledged.push(what.to_owned());
                return true;
            }
            return false;
        }
        if !self.open.contains_key(&call.number(0)) {
            return false;
        }
        let written = call.bytes(1);
        let length = usize::try_from(call.result).unwrap();
        self.change(call, |content| {
            let at = offset.map_or(content.bytes.len(), |at| usize::try_from(at).unwrap());
            let end = content.bytes.len().max(at + length);
            content.bytes.resize(end, 0);
            content.bytes[at..at + length].copy_from_slice(&written[..length]);
        })
    }

    fn change(&mut self, call: &Call, change: impl FnOnce(&mut Content)) -> bool {
        let Some(number) = self.open.get(&call.number(0)) else {
            return false;
        };
        if let Node::File(file) = &mut self.nodes[*number] {
            change(&mut file.now);
        }
        true
    }

    fn sync(&mut self, call: &Call) -> bool {
        let Some(number) = self.open.get(&call.number(0)) else {
            return false;
        };
        match &mut self.nodes[*number] {
            Node::File(file) => file.synced = file.now.clone(),
            Node::Folder(folder) => {
                folder.synced = folder.now.clone();
                folder.pending.clear();
            }
        }
        true
    }

    /// Keeps the inode and time of a file that the process has queried by its handle.
    fn look(&mut self, call: &Call) {
        let Some(number) = call.arguments[0]
            .parse()
            .ok()
            .and_then(|file: i64| self.open.get(&file).copied())
        else {
            return;
        };
        let text = call.arguments.join(",");
        let field = |name: &str| -> Option<i128> {
            let (_, rest) = text.split_once(name)?;
            let digits = rest.trim_start_matches(['=', '{']);
            let end = digits.find(|c: char| !c.is_ascii_digit())?;
            digits[..end].parse().ok()
        };
        let time = text.split_once("stx_mtime=").map(|(_, rest)| rest);
        let part = |name: &str| -> Option<i128> {
            let (_, rest) = time?.split_once(name)?;
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest[..end].parse().ok()
        };
        if let (Some(inode), Some(seconds), Some(nanoseconds)) =
            (field("stx_ino"), part("tv_sec="), part("tv_nsec="))
            && let Node::File(file) = &mut self.nodes[number]
        {
            let time = seconds * 1_000_000_000 + nanoseconds;
            file.seen = Some((u64::try_from(inode).unwrap(), time));
        }
    }

    /// All trees that a power cut at this moment may leave.
    pub fn after_power_cuts(&self) -> Vec<Tree> {
        let mut singles = 0;
        self.walk(Kept::Everything, &mut |path, folder| {
            if !(self.scratch)(path) {
                singles += folder.pending.len();
            }
        });
        let mut kept = vec![Kept::None, Kept::Names, Kept::Everything];
        for index in 0..singles {
            kept.extend([Kept::Only(index), Kept::AllBut(index)]);
        }
        kept.into_iter().map(|kept| self.tree(kept)).collect()
    }

    /// Calls `each` with every folder that can be reached with `kept`.
    fn walk(&self, kept: Kept, each: &mut dyn FnMut(&Path, &Folder)) {
        let mut next = 0;
        self.descend(Path::new(""), 0, kept, &mut next, &mut |path, node| {
            if let Node::Folder(folder) = node {
                each(path, folder);
            }
        });
    }

    fn tree(&self, kept: Kept) -> Tree {
        let mut tree = Tree::new();
        let mut next = 0;
        self.descend(Path::new(""), 0, kept, &mut next, &mut |path, node| {
            let found = match node {
                Node::Folder(_) => None,
                Node::File(file) => Some(Found {
                    content: match kept {
                        Kept::Everything => file.now.clone(),
                        Kept::None | Kept::Names | Kept::Only(_) | Kept::AllBut(_) => {
                            file.synced.clone()
                        }
                    },
                    seen: file.seen,
                }),
            };
            tree.insert(path.to_owned(), found);
        });
        tree
    }

    /// `next` numbers the names that are tried one by one, in the order in which they are reached.
    fn descend(
        &self,
        path: &Path,
        number: Number,
        kept: Kept,
        next: &mut usize,
        each: &mut dyn FnMut(&Path, &Node),
    ) {
        each(path, &self.nodes[number]);
        let Node::Folder(folder) = &self.nodes[number] else {
            return;
        };
        let mut names = folder.synced.clone();
        for (name, to) in &folder.pending {
            let index = if (self.scratch)(path) {
                usize::MAX
            } else {
                *next += 1;
                *next - 1
            };
            let survives = match kept {
                Kept::None => false,
                Kept::Names | Kept::Everything => true,
                Kept::Only(only) => index == only,
                Kept::AllBut(but) => index != but,
            };
            if survives {
                match to {
                    Some(number) => names.insert(name.clone(), *number),
                    None => names.remove(name),
                };
            }
        }
        for (name, number) in names {
            self.descend(&path.join(name), number, kept, next, each);
        }
    }
}
