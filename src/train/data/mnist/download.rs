//! Fetching MNIST. Its mirrors speak plain HTTP, so no TLS is needed: what counts is the SHA-256
//! of each file, which is known.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::Agent;

use super::{DataError, File};
use crate::bytes::atomic::write_file;
use crate::wire::gzip::Unpacked;

const MIRRORS: [&str; 2] = [
    "http://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://storage.googleapis.com/cvdf-datasets/mnist/",
];

const FILES: [Pinned; 4] = [
    Pinned {
        name: super::TRAIN.images,
        length: 47_040_016,
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    Pinned {
        name: super::TRAIN.labels,
        length: 60_008,
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    Pinned {
        name: super::TEST.images,
        length: 7_840_016,
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    Pinned {
        name: super::TEST.labels,
        length: 10_008,
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
];

/// A file that is known; length and digest are those of the unpacked file.
struct Pinned {
    name: &'static str,
    length: u64,
    sha256: &'static str,
}

/// How far the download of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    pub file: &'a str,
    pub mirror: &'a str,
    /// Unpacked bytes received so far.
    pub bytes: u64,
    /// Unpacked bytes of the whole file.
    pub total: u64,
}

/// What was tried for one file, mirror by mirror.
#[derive(Debug)]
pub struct Attempts {
    pub file: &'static str,
    pub failed: Vec<Attempt>,
}

/// A mirror, and why it did not give the file.
#[derive(Debug)]
pub struct Attempt {
    pub mirror: String,
    pub error: FetchError,
}

/// Why a mirror did not give a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    #[error("{0}")]
    Unreachable(ureq::Error),
    #[error("{0}")]
    Http(ureq::Error),
    #[error("the answer broke off: {0}")]
    Body(io::Error),
    #[error("the file has {found} bytes, expected {expected}")]
    TooShort { expected: u64, found: u64 },
    #[error("the file has more than the expected {expected} bytes")]
    TooLong { expected: u64 },
    #[error("the file has SHA-256 {found}, expected {expected}")]
    Digest { expected: &'static str, found: String },
}

/// Fetches MNIST's four files into `dir`, unpacked, for [`from_dir`](super::from_dir). `dir` is
/// made if it is not there.
///
/// A file that is there already, packed or not, is kept if its digest is right and replaced
/// otherwise. A new file appears whole or not at all. `progress` is called as bytes arrive.
pub fn download(
    dir: impl AsRef<Path>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), DataError> {
    let agent = Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(10)))
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_recv_body(Some(Duration::from_secs(15 * 60)))
        .build()
        .new_agent();
    fetch_missing(&agent, dir.as_ref(), &FILES, &MIRRORS, &mut progress)
}

fn fetch_missing(
    agent: &Agent,
    dir: &Path,
    files: &[Pinned],
    mirrors: &[&str],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), DataError> {
    fs::create_dir_all(dir).map_err(|source| DataError::Io { path: dir.to_owned(), source })?;
    for file in files {
        if let Some(there) = File::find(dir, file.name)?
            && file.take_from(there.reader, |_| ()).is_ok()
        {
            continue;
        }
        let content = fetch(agent, file, mirrors, progress)
            .map_err(|attempts| DataError::Download { dir: dir.to_owned(), attempts })?;
        // Unpacked is the spelling that is looked for first, so it also stands before what was
        // found to be broken under another one.
        let path = dir.join(file.name);
        write_file(&path, |out| out.write_all(&content))
            .map_err(|source| DataError::NotWritten { path, source })?;
    }
    Ok(())
}

/// The content of `file`, from the first mirror that has it right.
fn fetch(
    agent: &Agent,
    file: &Pinned,
    mirrors: &[&str],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<u8>, Attempts> {
    let mut failed = Vec::new();
    for &mirror in mirrors {
        let report = |bytes| {
            progress(Progress { file: file.name, mirror, bytes, total: file.length });
        };
        match file.fetch_from(agent, mirror, report) {
            Ok(content) => return Ok(content),
            Err(error) => failed.push(Attempt { mirror: mirror.to_owned(), error }),
        }
    }
    Err(Attempts { file: file.name, failed })
}

impl Pinned {
    fn fetch_from(
        &self,
        agent: &Agent,
        mirror: &str,
        report: impl FnMut(u64),
    ) -> Result<Vec<u8>, FetchError> {
        let answer = agent.get(format!("{mirror}{}.gz", self.name)).call()?;
        // A packed file is never longer than the file by more than a header and block marks.
        let limit = self.length + self.length / 1_000 + 1_024;
        self.take_from(answer.into_body().into_with_config().limit(limit).reader(), report)
    }

    /// Takes the file from what may be packed, no more than its length, and checks it.
    fn take_from(
        &self,
        reader: impl Read,
        mut report: impl FnMut(u64),
    ) -> Result<Vec<u8>, FetchError> {
        let expected = self.length;
        let mut reader = Unpacked::new(reader).map_err(FetchError::Body)?.reader.take(expected + 1);
        let mut content = Vec::with_capacity(expected as usize + 1);
        while reader.by_ref().take(64 * 1024).read_to_end(&mut content).map_err(FetchError::Body)?
            > 0
        {
            report(content.len() as u64);
        }
        let found = content.len() as u64;
        if found > expected {
            return Err(FetchError::TooLong { expected });
        }
        if found < expected {
            return Err(FetchError::TooShort { expected, found });
        }
        let found: String = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect();
        if found != self.sha256 {
            return Err(FetchError::Digest { expected: self.sha256, found });
        }
        Ok(content)
    }
}

impl From<ureq::Error> for FetchError {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error::{ConnectionFailed, HostNotFound, Io, Timeout};
        match error {
            Io(_) | Timeout(_) | HostNotFound | ConnectionFailed => Self::Unreachable(error),
            answered => Self::Http(answered),
        }
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unreachable = |attempt: &Attempt| matches!(attempt.error, FetchError::Unreachable(_));
        if self.failed.iter().all(unreachable) {
            f.write_str("no mirror could be reached")?;
        } else {
            write!(f, "no mirror gave {}", self.file)?;
        }
        for (index, Attempt { mirror, error }) in self.failed.iter().enumerate() {
            write!(f, "{} {mirror}: {error}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
