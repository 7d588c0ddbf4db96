//! What a command has to say, and how it is printed: the exit status, standard output, and what
//! goes to standard error beside it.

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use keepnet::report::numbers::grouped;
use keepnet::report::{Charset, Ink, plain, steers};
use serde::{Serialize, Serializer};

use crate::failure::Failure;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Corrupt = 3,
    NotReproduced = 4,
}

/// What a command gives: text for standard output, and how the program ends.
#[derive(Debug)]
pub(crate) struct Outcome {
    text: String,
    exit: Exit,
}

impl Outcome {
    /// Text for people. Whatever in it steers a terminal came out of a file and is replaced.
    pub(crate) fn text(text: &str) -> Self {
        let charset = Charset::of_environment();
        let lines: Vec<_> = text.split('\n').map(|line| plain(line, charset)).collect();
        Self { text: lines.join("\n"), exit: Exit::Done }
    }

    /// JSON for programs. What steers a terminal stands in strings alone, where it is escaped.
    pub(crate) fn json(value: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_string_pretty(value).map_err(Failure::Json)?;
        let mut text = String::with_capacity(json.len() + 1);
        for char in json.chars() {
            if steers(char) && char != '\n' {
                // None of them lies beyond the basic plane, so one escape holds each.
                text += &format!("\\u{:04x}", u32::from(char));
            } else {
                text.push(char);
            }
        }
        text.push('\n');
        Ok(Self { text, exit: Exit::Done })
    }

    pub(crate) fn with_exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// Prints all at once. A reader that has gone away (`keepnet … | head -1`) has what it wanted.
    pub(crate) fn print(self) -> Result<Exit, Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(self.text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
            _ => Ok(self.exit),
        }
    }
}

/// `1 step`, `2,000 steps`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// Tells the user on standard error what was assumed or left out.
pub(crate) fn note(text: &str) {
    to_stderr("note:", text);
}

/// The failure and whatever of its causes its own words do not tell already, on one line; below
/// it, what to do.
pub(crate) fn print_failure(failure: &Failure) {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    let label = match Ink::of_stdout(io::stderr().is_terminal()) {
        Ink::Ascii => "error:",
        _ => "\x1b[1;31merror:\x1b[0m",
    };
    to_stderr(label, &text);
    if let Some(hint) = failure.hint() {
        to_stderr("hint:", hint);
    }
}

fn to_stderr(label: &str, text: &str) {
    // Where standard error cannot be written to, there is nobody to tell.
    let _ = writeln!(io::stderr(), "{label} {}", plain(text, Charset::of_environment()));
}

/// A number in JSON: what is not finite as text, as in the files of keepnet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real<T>(pub(crate) T);

impl<T: Copy + Into<f64> + Serialize> Serialize for Real<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.into() {
            value if value.is_finite() => self.0.serialize(serializer),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            _ => serializer.serialize_str("NaN"),
        }
    }
}
