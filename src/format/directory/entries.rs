//! Opening what a directory holds without ever leaving it.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use crate::bytes::Budget;
use crate::bytes::fs::{self, Fs, Kind, Stat};
use crate::format::error::Fault;
use crate::format::{FormatError, whole};

/// An open directory. What is opened in it is opened by a single name, never through a link.
/// Who saves leaves it whole while it is open.
pub(in crate::format) struct Directory<'f, F: Fs> {
    fs: &'f F,
    handle: F::File,
    /// As messages call it, with a final slash if it is not the root.
    prefix: String,
}

impl<'f, F: Fs> Directory<'f, F> {
    pub(in crate::format) fn open(fs: &'f F, path: &Path) -> Result<Self, FormatError> {
        let handle = fs::open_directory(fs, || fs.open_path(path));
        let handle = handle.map_err(|error| io_error("open the directory", error))?;
        Ok(Self { fs, handle, prefix: String::new() })
    }

    /// The directory of that name in this one.
    pub(in crate::format) fn sub(&self, name: &str) -> Result<Self, FormatError> {
        self.sub_if_one(name)?.ok_or_else(|| self.stray(name, "it is no directory"))
    }

    /// The directory of that name in this one, or nothing if it is a file.
    pub(in crate::format) fn sub_if_one(&self, name: &str) -> Result<Option<Self>, FormatError> {
        let (handle, stat) = self.open_inside(name)?;
        let prefix = format!("{}{name}/", self.prefix);
        Ok((stat.kind == Kind::Directory).then_some(Self { fs: self.fs, handle, prefix }))
    }

    fn open_inside(&self, name: &str) -> Result<(F::File, Stat), FormatError> {
        let opened = self.fs.open(&self.handle, name.as_ref());
        let opened = opened.and_then(|file| self.fs.stat(&file).map(|stat| (file, stat)));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.fault(name, Fault::Missing),
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                self.stray(name, "it is a symbolic link; copy the model with what that leads to")
            }
            _ => io_error("open a file of it", error),
        })
    }

    fn fault(&self, name: &str, fault: Fault) -> FormatError {
        FormatError::damaged(format!("{}{name}", self.prefix), 0, fault)
    }

    fn stray(&self, name: &str, rule: &'static str) -> FormatError {
        FormatError::Entry { part: format!("{}{name}", self.prefix), rule }
    }

    /// Opens a regular file that has no other name, and gives its length.
    pub(in crate::format) fn file(&self, name: &str) -> Result<(F::File, u64), FormatError> {
        let (file, stat) = self.open_inside(name)?;
        let rule = if stat.kind != Kind::File {
            "it is no regular file"
        } else if stat.links > 1 {
            "it is a hard link, so that something else may change it; copy the model"
        } else {
            return Ok((file, stat.length));
        };
        Err(self.stray(name, rule))
    }

    /// All of a file, for which there is room in `budget`.
    pub(in crate::format) fn content(
        &self,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, FormatError> {
        let (file, _) = self.file(name)?;
        whole::read(self.fs, file, budget)
    }

    /// The names of what stands in it, those that are no text left out.
    pub(in crate::format) fn names(&self) -> Result<Vec<String>, FormatError> {
        let list = |error| io_error("list the directory", error);
        let names = self.fs.names(&self.handle).map_err(list)?;
        let names = names.map(|name| name.map(|name| name.into_string().ok()));
        let names: Vec<_> = names.collect::<io::Result<_>>().map_err(list)?;
        Ok(names.into_iter().flatten().collect())
    }

    /// The bytes of a file that is exactly `length` long, after `start`, which they must equal.
    pub(super) fn read(
        &self,
        name: &str,
        start: &[u8],
        length: u64,
    ) -> Result<Vec<u8>, FormatError> {
        let (mut file, found) = self.file(name)?;
        let expected = length.saturating_add(start.len() as u64);
        if found < expected {
            let what = "the file";
            return Err(self.fault(name, Fault::CutShort { what, expected, found }));
        }
        if found > expected {
            let (what, found) = ("the file", found - expected);
            return Err(self.fault(name, Fault::Extended { what, found }));
        }
        let reading = |error| io_error("read a file of it", error);
        let mut header = vec![0; start.len()];
        file.read_exact(&mut header).map_err(reading)?;
        if header != start {
            let what = "the header of the array";
            let (expected, found) =
                (start.escape_ascii().to_string(), header.escape_ascii().to_string());
            return Err(self.fault(name, Fault::Value { what, expected, found }));
        }
        let mut bytes = Budget::new(length).vec(length, "a file of the directory")?;
        file.take(length).read_to_end(&mut bytes).map_err(reading)?;
        if bytes.len() as u64 != length {
            let (what, found) = ("the file", (bytes.len() + start.len()) as u64);
            return Err(self.fault(name, Fault::CutShort { what, expected, found }));
        }
        Ok(bytes)
    }

    /// Refuses whatever is not called for. What is missing shows when it is opened.
    pub(super) fn check_names(&self, allowed: &BTreeSet<&str>) -> Result<(), FormatError> {
        let list = |error| io_error("list the directory", error);
        for name in self.fs.names(&self.handle).map_err(list)? {
            let name = name.map_err(list)?;
            if !name.to_str().is_some_and(|name| allowed.contains(name)) {
                let rule = "the manifest does not name it; move it elsewhere";
                let name = name.as_encoded_bytes().escape_ascii().to_string();
                return Err(self.stray(&name, rule));
            }
        }
        Ok(())
    }
}

fn io_error(action: &'static str, source: io::Error) -> FormatError {
    FormatError::Io { action, source }
}
