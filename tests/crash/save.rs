//! `keepnet convert` saves a model.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use keepnet::format::{self, Format, Limits};
use keepnet::{Activation, Model, SaveOptions, Sequential, Shape};
use tempfile::TempDir;

use super::{CALLS, Call, Injection, call_of, can_trace, is_long, is_other};

/// One of every so many cases is tried in the short form; prime, so that all kinds are met.
const STRIDE: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Old,
}

/// A folder with the input `new.knet` and, in `out`, the target.
struct Place {
    home: TempDir,
    form: Format,
    before: Before,
    old: Model,
    new: Model,
}

fn small(seed: u64) -> Model {
    let network = Sequential::new(Shape::from([2])).dense(3, Activation::Softmax);
    network.build(seed).unwrap()
}

fn bytes(model: &Model) -> Vec<u8> {
    model.to_bytes(SaveOptions::default()).unwrap()
}

impl Place {
    fn new(form: Format, before: Before) -> Self {
        // In memory if it can be: thousands of flushes would take long on a disk.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let (old, new) = (small(1), small(2));
        new.save(home.path().join("new.knet")).unwrap();
        Self { home, form, before, old, new }
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    fn target(&self) -> PathBuf {
        self.out().join(match self.form {
            Format::File => "model.knet",
            _ => "model",
        })
    }

    fn reset(&self) {
        let _ = fs::remove_dir_all(self.out());
        fs::create_dir(self.out()).unwrap();
        if self.before == Before::Old {
            self.old.save(self.target()).unwrap();
        }
    }

    /// Runs the program under strace with those options.
    fn strace(&self, options: &[&str]) -> (ExitStatus, String) {
        let mut command = Command::new("strace");
        command.args(["-f", "-o"]).arg(self.home.path().join("trace")).args(options);
        command.arg(env!("CARGO_BIN_EXE_keepnet")).arg("convert");
        command.arg(self.home.path().join("new.knet")).arg(self.target());
        let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
        (output.status, String::from_utf8(output.stderr).unwrap())
    }

    /// Every call of a save that nothing happens to: from the opening of the folder to the message
    /// that all is done.
    fn calls(&self) -> Vec<Call> {
        self.reset();
        let (status, stderr) = self.strace(&["-e", &format!("trace={}", CALLS.join(","))]);
        assert!(status.success(), "{stderr}");
        let trace = fs::read_to_string(self.home.path().join("trace")).unwrap();
        let main = trace.split_whitespace().next().unwrap();
        let folder = format!("openat(AT_FDCWD, \"{}\", O_RDONLY", self.out().display());
        let mut numbers = BTreeMap::<_, usize>::new();
        let mut calls = Vec::new();
        let mut saving = false;
        for line in trace.lines() {
            let Some(line) = line.strip_prefix(main).map(str::trim_start) else { continue };
            let Some(name) = call_of(line) else { continue };
            let number = numbers.entry(name).or_default();
            *number += 1;
            saving = (saving || line.starts_with(&folder)) && !line.starts_with("write(1,");
            if saving {
                calls.push(Call { name: name.to_owned(), number: *number });
            }
        }
        assert!(calls.len() > 10, "{trace}");
        calls
    }

    /// What stands at the target: bytes of the file form.
    fn standing(&self) -> Option<Vec<u8>> {
        let exists = self.target().symlink_metadata().is_ok();
        exists.then(|| {
            let model = format::load(&self.target(), &Limits::default()).expect("neither loads");
            format::to_bytes(&model).unwrap()
        })
    }

    /// Saves while that happens, and looks at what stands.
    fn try_case(&self, call: &Call, injection: Injection) {
        self.reset();
        let (name, inject) = (&call.name, injection.into(call));
        let (status, stderr) = self.strace(&["-e", &format!("trace={name}"), "-e", &inject]);
        let case = format!("{:?} over {:?}, {inject}: {status}, {stderr}", self.form, self.before);

        let trace = fs::read_to_string(self.home.path().join("trace")).unwrap();
        assert!(trace.contains("(INJECTED)") || matches!(injection, Injection::Kill), "{case}");
        let found = self.standing();
        let new = found.as_deref() == Some(&bytes(&self.new));
        let before = match self.before {
            Before::Nothing => found.is_none(),
            Before::Old => found.as_deref() == Some(&bytes(&self.old)),
        };
        assert!(new || before, "{case}");
        match injection {
            Injection::Kill => assert!(!status.success(), "{case}"),
            Injection::Error { name: "EINTR", .. } => assert!(status.success(), "{case}"),
            // The message cannot be written either.
            Injection::Error { persistent: true, .. } if name == "write" => {
                assert!(!status.success() && before, "{case}");
            }
            Injection::Error { .. } if status.success() => assert!(new, "{case}"),
            Injection::Error { .. } => {
                let says = |words| stderr.contains(words);
                assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{case}");
                if says("the new one stands") {
                    assert!(new, "{case}");
                } else {
                    assert!(says("is untouched") || says("nothing was saved"), "{case}");
                    assert!(before, "{case}");
                }
            }
        }

        // Threads of what was killed may still be dying, and hold its locks until they have.
        let cleaned = (0..100).any(|_| {
            self.new.save(self.target()).unwrap();
            let names = fs::read_dir(self.out()).unwrap().map(|entry| entry.unwrap().path());
            let cleaned = names.eq([self.target()]);
            if !cleaned {
                thread::sleep(Duration::from_millis(10));
            }
            cleaned
        });
        assert!(cleaned, "strays stay: {case}");
    }
}

fn places() -> impl Iterator<Item = Place> {
    let forms = [Format::File, Format::Directory];
    forms
        .into_iter()
        .flat_map(|form| [Before::Nothing, Before::Old].map(|before| Place::new(form, before)))
}

/// Tries all cases, or a sample of them; `injections` are tried on every call.
fn try_cases(what: &str, injections: &[Injection]) {
    if !can_trace() {
        return;
    }
    let stride = if is_long() { 1 } else { STRIDE };
    let (mut all, mut tried, mut calls) = (0, 0, 0);
    for place in places() {
        for call in place.calls() {
            calls += 1;
            for &injection in injections {
                if all % stride == 0 {
                    place.try_case(&call, injection);
                    tried += 1;
                }
                all += 1;
            }
        }
    }
    println!("figures: {what}: {calls} calls, {tried} of {all} cases, 0 without a whole model");
}

#[test]
fn killed_at_any_call_of_a_save_it_leaves_the_old_or_the_new_model() {
    try_cases("kills", &[Injection::Kill]);
}

#[test]
fn when_any_call_of_a_save_fails_it_says_which_model_stands() {
    try_cases("errors", &Injection::errors());
}

/// Nothing in the trace escapes the list: a call that is not on it would not be tried.
#[test]
fn the_list_of_calls_is_complete() {
    if !can_trace() {
        return;
    }
    for place in places() {
        place.reset();
        let (_, stderr) = place.strace(&["-e", "trace=%file,%desc"]);
        let trace = fs::read_to_string(place.home.path().join("trace")).unwrap();
        assert!(trace.contains("fsync"), "{stderr}");
        let saving = trace.split_once(&format!("\"{}\", O_RDONLY", place.out().display()));
        for line in saving.unwrap().1.lines().skip(1) {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let name = call.split('(').next().unwrap();
            assert!(CALLS.contains(&name) || is_other(name), "{line}");
        }
    }
}

#[test]
fn a_target_that_cannot_be_had_is_told_in_one_line() {
    let place = Place::new(Format::File, Before::Old);
    place.reset();
    let out = place.out();
    std::os::unix::fs::symlink(place.target(), out.join("link.knet")).unwrap();
    let run = |target: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepnet"));
        command.arg("convert").arg(place.home.path().join("new.knet")).arg(target);
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        stderr
    };
    for (target, words) in [
        (out.join("link.knet"), "a symbolic link stands here"),
        (out.join("missing/model.knet"), "does not exist; create it first"),
        (out.join("model.knet/model.knet"), "Not a directory"),
        ("/proc/model.knet".into(), "nothing was saved"),
        (out.clone(), "which is no part of a saved model and would be lost"),
    ] {
        let stderr = run(&target);
        assert!(stderr.contains(words), "{stderr}");
    }
    let mut permissions = fs::metadata(place.target()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(place.target(), permissions).unwrap();
    assert!(run(&place.target()).contains("is read-only; make it writable or save elsewhere"));
    assert_eq!(place.standing().unwrap(), bytes(&place.old));
}
