//! Programs save under `strace`, which kills them or fails a call: every call of the save in turn.
//! The old model or the new one loads then, and the message says which.
//!
//! By default a fixed sample of all cases is tried; `KEEPNET_LONG=1` tries all. Where there is no
//! strace nothing is tried, unless `KEEPNET_NEEDS_STRACE` is set.

mod rotation;
mod save;

use std::process::Command;

/// The calls of a save that touch the file system.
const CALLS: [&str; 16] = [
    "openat",
    "mkdirat",
    "read",
    "pread64",
    "write",
    "fsync",
    "fdatasync",
    "renameat",
    "renameat2",
    "unlinkat",
    "close",
    "flock",
    "fstat",
    "newfstatat",
    "statx",
    "getdents64",
];

const ERRORS: [&str; 4] = ["EIO", "ENOSPC", "EACCES", "EINTR"];

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
enum Injection {
    Kill,
    Error { name: &'static str, persistent: bool },
}

/// The call of that name, counted from 1 over the whole run of a thread, or of what is traced of it.
#[derive(Clone, Debug)]
struct Call {
    name: String,
    number: usize,
}

impl Injection {
    /// Each error, once and from then on.
    fn errors() -> Vec<Self> {
        let both = |name| [false, true].map(|persistent| Self::Error { name, persistent });
        ERRORS.into_iter().flat_map(both).collect()
    }

    /// What tells strace to do that to `call`.
    fn into(self, call: &Call) -> String {
        let Call { name, number } = call;
        let what = match self {
            Self::Kill => format!("signal=KILL:when={number}"),
            // As often as a call is tried again while signals come.
            Self::Error { name: "EINTR", persistent: true } => {
                format!("error=EINTR:when={number}..{}", number + 20)
            }
            Self::Error { name, persistent } => {
                format!("error={name}:when={number}{}", if persistent { "+" } else { "" })
            }
        };
        format!("inject={name}:{what}")
    }
}

/// The call that a line of a trace, without the process, begins with, if it is one of a save.
fn call_of(line: &str) -> Option<&'static str> {
    let (name, _) = line.split_once('(')?;
    CALLS.into_iter().find(|&call| call == name)
}

/// Whether that call touches no file: memory, and what the standard library's own checks ask of a
/// descriptor.
fn is_other(call: &str) -> bool {
    ["mmap", "fcntl", "<...", "+++", "---"].contains(&call)
}

fn is_long() -> bool {
    std::env::var_os("KEEPNET_LONG").is_some()
}

/// Whether calls can be failed here; if not, says why.
fn can_trace() -> bool {
    let needed = std::env::var_os("KEEPNET_NEEDS_STRACE").is_some();
    let reason = match Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    assert!(!needed, "strace cannot be used: {reason}");
    println!("passed over, since strace cannot be used: {reason}");
    false
}
