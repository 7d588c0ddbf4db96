//! Opening what a directory holds without ever leaving it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};

use crate::bytes::Budget;
use crate::format::FormatError;
use crate::format::error::Fault;

/// An open directory. What is opened in it is opened by a single name, never through a link.
pub(super) struct Directory {
    handle: File,
    /// As messages call it, with a final slash if it is not the root.
    prefix: &'static str,
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, FormatError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, path, flags, Mode::empty());
        let handle = handle.map_err(|error| io_error("open the directory", error.into()))?;
        Ok(Self { handle: handle.into(), prefix: "" })
    }

    /// The directory of that name in this one; `prefix` is the name and a slash.
    pub(super) fn sub(&self, name: &str, prefix: &'static str) -> Result<Self, FormatError> {
        let handle = self.open_inside(name, OFlags::DIRECTORY)?;
        Ok(Self { handle, prefix })
    }

    fn open_inside(&self, name: &str, flags: OFlags) -> Result<File, FormatError> {
        // A pipe must not make the open wait for a writer.
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        openat(&self.handle, name, flags, Mode::empty()).map(File::from).map_err(|error| {
            match io::Error::from(error) {
                error if error.kind() == io::ErrorKind::NotFound => {
                    self.fault(name, Fault::Missing)
                }
                error if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                    self.fault(name, Fault::Entry { rule: "it is a symbolic link" })
                }
                error if error.kind() == io::ErrorKind::NotADirectory => {
                    self.fault(name, Fault::Entry { rule: "it is no directory" })
                }
                error => io_error("open a file of it", error),
            }
        })
    }

    fn fault(&self, name: &str, fault: Fault) -> FormatError {
        FormatError::damaged(format!("{}{name}", self.prefix), 0, fault)
    }

    /// Opens a regular file that has no other name, and gives its length.
    pub(super) fn file(&self, name: &str) -> Result<(File, u64), FormatError> {
        let file = self.open_inside(name, OFlags::empty())?;
        let metadata = file.metadata().map_err(|error| io_error("look at a file of it", error))?;
        let rule = if !metadata.is_file() {
            "it is no regular file"
        } else if metadata.nlink() != 1 {
            "it is a hard link, so that something else may change it"
        } else {
            return Ok((file, metadata.len()));
        };
        Err(self.fault(name, Fault::Entry { rule }))
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
        let list = |error: rustix::io::Errno| io_error("list the directory", error.into());
        for entry in Dir::read_from(&self.handle).map_err(list)? {
            let entry = entry.map_err(list)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if !std::str::from_utf8(name).is_ok_and(|name| allowed.contains(name)) {
                let rule = "the manifest does not name it";
                return Err(self.fault(&name.escape_ascii().to_string(), Fault::Entry { rule }));
            }
        }
        Ok(())
    }
}

fn io_error(action: &'static str, source: io::Error) -> FormatError {
    FormatError::Io { action, source }
}
