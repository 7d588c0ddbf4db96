//! Another program beside keepnet: a Python that does what it is asked to.

use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::in_turn::Work;

/// A Python that runs a script of `benches/peers` and serves what that names (`timed.py` there).
pub(crate) struct Peer(RefCell<Pipes>);

struct Pipes {
    child: Child,
    /// Closed, the Python ends.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it says beside.
    log: PathBuf,
}

impl Peer {
    /// Runs `script FOLDER` with the Python that the environment variable names. Says so where there is
    /// none.
    pub(crate) fn start(
        variable: &str,
        script: &str,
        folder: &Path,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let Some(python) = env::var_os(variable) else {
            eprintln!("passed over: {variable} names no Python for benches/peers/{script}");
            return Ok(None);
        };
        let log = folder.join(script).with_extension("log");
        let mut child = Command::new(python)
            .arg("-B")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("the Python has no output")?);
        Ok(Some(Self(RefCell::new(Pipes { child, questions, answers, log }))))
    }

    /// One of its works, which takes as long as it says.
    pub(crate) fn work<'a>(&'a self, name: &'a str) -> Work<'a> {
        Box::new(move || self.ask(name))
    }

    fn ask(&self, name: &str) -> Result<f64, Box<dyn Error>> {
        let Pipes { questions, answers, log, .. } = &mut *self.0.borrow_mut();
        let mut answer = String::new();
        // A Python that has ended says why in its log.
        if let Some(questions) = questions
            && writeln!(questions, "{name}").is_ok()
        {
            answers.read_line(&mut answer)?;
        }
        match answer.trim().parse() {
            Ok(seconds) => Ok(seconds),
            Err(_) => Err(format!("{name}: {}", fs::read_to_string(log)?).into()),
        }
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        self.questions = None;
        let _ = self.child.wait();
    }
}
