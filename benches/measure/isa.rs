//! On which instruction set a benchmark runs.

use std::io;
use std::process::{Command, exit};

use keepnet::benchable;

/// What names the instruction set to use. keepnet reads it once, before it first computes.
const VARIABLE: &str = "KEEPNET_ISA";

/// Runs on `wish`, else on what the environment asks for, else on the machine's best. For a wish
/// this program runs once more, with the variable set, and ends as that run does.
///
/// # Errors
/// If the machine does not have what was asked for.
pub(crate) fn settle(wish: Option<&str>) -> io::Result<()> {
    let set = std::env::var(VARIABLE).ok();
    match (wish, set) {
        (Some(wish), set) if set.as_deref() != Some(wish) => {
            let mut again = Command::new(std::env::current_exe()?);
            let status = again.args(std::env::args_os().skip(1)).env(VARIABLE, wish).status()?;
            exit(status.code().unwrap_or(1))
        }
        (_, Some(set)) if set != benchable::isa() => {
            Err(io::Error::other(format!("{set} was asked for, but this is {}", benchable::isa())))
        }
        _ => Ok(()),
    }
}
