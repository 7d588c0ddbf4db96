//! A file system in memory that fails where it is told to, and knows what a loss of power at any
//! moment could leave of it: see [`power`].

pub(crate) mod power;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;
use std::io::{self, Read, Write};
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use super::{Fs, Kind, Lock, Rename, Stat};
use power::{Change, Event};

/// Number of a file or directory, in [`Image`].
type Node = usize;

const ROOT: Node = 0;

/// All files and directories, reachable by a name or not.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    nodes: Vec<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<OsString, Node>),
}

#[derive(Debug)]
pub(crate) struct SimulatedFs(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    /// What processes see.
    image: Image,
    /// What is on the disk for certain when the log begins.
    start: Image,
    log: Vec<Event>,
    /// Of each open file: which node, and what lock.
    open: BTreeMap<u64, (Node, Option<Lock>)>,
    opened: u64,
    /// A write that fails is reported at the first try; bytes are lost or kept in such pieces.
    block: usize,
    calls: usize,
    syncs: usize,
    trouble: Trouble,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// This call, counted from 0, fails with that error.
    pub(crate) fail: Option<(usize, Errno)>,
    /// So do all after it.
    pub(crate) persistent: bool,
    /// This flush, counted from 0, does nothing.
    pub(crate) skip_sync: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    number: u64,
    position: usize,
}

impl Image {
    pub(crate) fn empty() -> Self {
        Self { nodes: vec![Content::Directory(BTreeMap::new())] }
    }

    fn entries(&self, directory: Node) -> io::Result<&BTreeMap<OsString, Node>> {
        match &self.nodes[directory] {
            Content::Directory(entries) => Ok(entries),
            Content::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, directory: Node, name: &OsStr) -> io::Result<Node> {
        let found = self.entries(directory)?.get(name);
        Ok(*found.ok_or(io::ErrorKind::NotFound)?)
    }

    /// The names in the root.
    pub(crate) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.entries(ROOT).into_iter().flatten().map(|(name, _)| name.as_os_str())
    }

    /// A hash of what can be reached from that name in the root; of all without one. Names that
    /// end in a number after a `-`, and begin with a dot, count as one.
    pub(crate) fn fingerprint(&self, name: Option<&str>) -> Option<u64> {
        use std::hash::{DefaultHasher, Hasher};
        let node = name.map_or(Ok(ROOT), |name| self.find(ROOT, name.as_ref())).ok()?;
        let mut hasher = DefaultHasher::new();
        self.hash_node(node, &mut hasher);
        Some(hasher.finish())
    }

    fn hash_node(&self, node: Node, hasher: &mut impl std::hash::Hasher) {
        match &self.nodes[node] {
            Content::File(bytes) => (0_u8, bytes).hash(hasher),
            Content::Directory(entries) => {
                (1_u8, entries.len()).hash(hasher);
                for (name, &node) in entries {
                    let name = name.to_str().unwrap();
                    let numbered = name.rsplit_once('-').filter(|_| name.starts_with('.'));
                    numbered.map_or(name, |(name, _)| name).hash(hasher);
                    self.hash_node(node, hasher);
                }
            }
        }
    }

    fn links(&self, node: Node) -> usize {
        let entries = (0..self.nodes.len()).filter_map(|node| self.entries(node).ok());
        entries.flat_map(BTreeMap::values).filter(|&&found| found == node).count()
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Names { directory, names } => {
                let Content::Directory(entries) = &mut self.nodes[*directory] else {
                    unreachable!("names stand in directories")
                };
                for (name, node) in names {
                    match node {
                        Some(node) => entries.insert(name.clone(), *node),
                        None => entries.remove(name),
                    };
                }
            }
            Change::Length { file, length } => {
                let bytes = self.bytes(*file);
                bytes.resize(bytes.len().max(*length), 0);
            }
            Change::Block { file, offset, bytes: block } => {
                let bytes = self.bytes(*file);
                let end = offset + block.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(block);
            }
        }
    }

    fn bytes(&mut self, file: Node) -> &mut Vec<u8> {
        match &mut self.nodes[file] {
            Content::File(bytes) => bytes,
            Content::Directory(_) => unreachable!("bytes stand in files"),
        }
    }
}

impl SimulatedFs {
    /// After a start of the machine with that on its disk, which keeps or loses `block` bytes at a
    /// time.
    pub(crate) fn new(image: Image, block: usize, trouble: Trouble) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            start: image.clone(),
            image,
            log: Vec::new(),
            open: BTreeMap::new(),
            opened: 0,
            block,
            calls: 0,
            syncs: 0,
            trouble,
        })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// What processes see now.
    pub(crate) fn image(&self) -> Image {
        self.disk().image.clone()
    }

    /// From now on that goes wrong. Calls and flushes are counted from the beginning.
    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        self.disk().trouble = trouble;
    }

    pub(crate) fn calls(&self) -> usize {
        self.disk().calls
    }

    pub(crate) fn syncs(&self) -> usize {
        self.disk().syncs
    }

    fn handle(&self, disk: &mut Disk, node: Node) -> SimulatedFile {
        let number = disk.opened;
        disk.opened += 1;
        disk.open.insert(number, (node, None));
        SimulatedFile { disk: Arc::clone(&self.0), number, position: 0 }
    }
}

impl Disk {
    /// Counts a call, which may be the one to fail.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.trouble.fail {
            Some((at, error)) if call == at || call > at && self.trouble.persistent => {
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    fn node(&self, file: &SimulatedFile) -> Node {
        self.open[&file.number].0
    }

    fn change(&mut self, change: Change) {
        self.image.apply(&change);
        self.log.push(Event::Change(change));
    }

    fn name(&mut self, directory: Node, names: Vec<(OsString, Option<Node>)>) {
        self.change(Change::Names { directory, names });
    }

    fn create(&mut self, directory: Node, name: &OsStr, content: Content) -> io::Result<Node> {
        if self.image.find(directory, name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = self.image.nodes.len();
        self.image.nodes.push(content.clone());
        self.log.push(Event::New(content));
        self.name(directory, vec![(name.to_owned(), Some(node))]);
        Ok(node)
    }

    fn stat(&self, node: Node) -> Stat {
        let (kind, length) = match &self.image.nodes[node] {
            Content::File(bytes) => (Kind::File, bytes.len() as u64),
            Content::Directory(_) => (Kind::Directory, 0),
        };
        let links = self.image.links(node) as u64;
        let concerns = |event: &_| matches!(event, Event::Change(change) if change.concerns(node));
        let changed = self.log.iter().rposition(concerns).map_or(0, |event| event as i64 + 1);
        let changed = (changed, 0);
        Stat { kind, length, links, read_only: false, identity: (0, node as u64), changed }
    }
}

impl Fs for SimulatedFs {
    type File = SimulatedFile;

    fn open_path(&self, path: &Path) -> io::Result<SimulatedFile> {
        let disk = &mut *self.disk();
        disk.call()?;
        let mut node = ROOT;
        for component in path.components() {
            if let Component::Normal(name) = component {
                node = disk.image.find(node, name)?;
            }
        }
        Ok(self.handle(disk, node))
    }

    fn open(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<SimulatedFile> {
        let disk = &mut *self.disk();
        disk.call()?;
        let node = disk.image.find(disk.node(directory), name)?;
        Ok(self.handle(disk, node))
    }

    fn read_exact_at(&self, file: &SimulatedFile, into: &mut [u8], offset: u64) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let Content::File(bytes) = &disk.image.nodes[disk.node(file)] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let found = rest.get(..into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(found);
        Ok(())
    }

    fn create_file(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<SimulatedFile> {
        let disk = &mut *self.disk();
        disk.call()?;
        let node = disk.create(disk.node(directory), name, Content::File(Vec::new()))?;
        Ok(self.handle(disk, node))
    }

    fn create_directory(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let content = Content::Directory(BTreeMap::new());
        disk.create(disk.node(directory), name, content).map(drop)
    }

    fn rename(
        &self,
        directory: &SimulatedFile,
        from: &OsStr,
        to: &OsStr,
        how: Rename,
    ) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let directory = disk.node(directory);
        let moved = disk.image.find(directory, from)?;
        let taken = disk.image.find(directory, to).ok();
        let given = match how {
            Rename::New if taken.is_some() => return Err(io::ErrorKind::AlreadyExists.into()),
            Rename::New | Rename::Replace => None,
            Rename::Exchange => Some(taken.ok_or(io::ErrorKind::NotFound)?),
        };
        let names = [(to.to_owned(), Some(moved)), (from.to_owned(), given)];
        match disk.image.nodes[moved] {
            // The one new name may reach the disk without the other; a file can have both.
            Content::File(_) => {
                names.map(|name| disk.name(directory, vec![name])).into_iter().collect()
            }
            Content::Directory(_) => disk.name(directory, names.into()),
        }
        Ok(())
    }

    fn remove_file(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let directory = disk.node(directory);
        let node = disk.image.find(directory, name)?;
        if disk.image.entries(node).is_ok() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        disk.name(directory, vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn remove_directory(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let directory = disk.node(directory);
        let node = disk.image.find(directory, name)?;
        if !disk.image.entries(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        disk.name(directory, vec![(name.to_owned(), None)]);
        Ok(())
    }

    fn names(
        &self,
        directory: &SimulatedFile,
    ) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
        let disk = &mut *self.disk();
        disk.call()?;
        let entries = disk.image.entries(disk.node(directory))?;
        let names: Vec<_> = entries.keys().cloned().map(Ok).collect();
        Ok(names.into_iter())
    }

    fn stat(&self, file: &SimulatedFile) -> io::Result<Stat> {
        let disk = &mut *self.disk();
        disk.call()?;
        Ok(disk.stat(disk.node(file)))
    }

    fn stat_name(&self, directory: &SimulatedFile, name: &OsStr) -> io::Result<Stat> {
        let disk = &mut *self.disk();
        disk.call()?;
        Ok(disk.stat(disk.image.find(disk.node(directory), name)?))
    }

    fn sync(&self, file: &SimulatedFile) -> io::Result<()> {
        let disk = &mut *self.disk();
        disk.call()?;
        let sync = disk.syncs;
        disk.syncs += 1;
        if disk.trouble.skip_sync != Some(sync) {
            let node = disk.node(file);
            disk.log.push(Event::Sync(node));
        }
        Ok(())
    }

    fn try_lock(&self, file: &SimulatedFile, lock: Lock) -> io::Result<bool> {
        let disk = &mut *self.disk();
        disk.call()?;
        let node = disk.node(file);
        let free = disk.open.iter().all(|(&number, &(other, held))| match held {
            Some(held) if other == node && number != file.number => {
                held == Lock::Shared && lock == Lock::Shared
            }
            _ => true,
        });
        if free {
            disk.open.insert(file.number, (node, Some(lock)));
        }
        Ok(free)
    }
}

impl Read for SimulatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = &mut *self.disk.lock().unwrap();
        disk.call()?;
        let Content::File(bytes) = &disk.image.nodes[disk.open[&self.number].0] else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let rest = bytes.get(self.position..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
}

impl Write for SimulatedFile {
    /// Writes all but, where it is to fail, half of it.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let disk = &mut *self.disk.lock().unwrap();
        let result = disk.call();
        let length = if result.is_ok() { buffer.len() } else { buffer.len() / 2 };
        let file = disk.open[&self.number].0;
        disk.change(Change::Length { file, length: self.position + length });
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let offset = self.position;
            let (block, after) = rest.split_at(rest.len().min(disk.block - offset % disk.block));
            disk.change(Change::Block { file, offset, bytes: block.to_owned() });
            self.position += block.len();
            rest = after;
        }
        result.map(|()| length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if let Ok(mut disk) = self.disk.lock() {
            disk.open.remove(&self.number);
        }
    }
}
