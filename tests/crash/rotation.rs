//! A process keeps a checkpoint in a folder in which others stand, the last two and the best one.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keepnet::train::callbacks::{CheckpointStore, Every};
use keepnet::{
    Activation, CheckpointFolder, Dataset, FitOptions, Loss, Model, ModelCheckpoint, Optimizer,
    Samples, SaveOptions, Sequential, Shape, Targets, newest_checkpoint,
};
use tempfile::TempDir;

use super::{CALLS, Call, Injection, call_of, can_trace, is_long, is_other};

const HOME: &str = "KEEPNET_TEST_HOME";
const NUMBER: &str = "KEEPNET_TEST_NUMBER";
const IS_NEW: &str = "KEEPNET_TEST_IS_NEW";

const LAST: usize = 2;
/// The steps of which checkpoints are kept in turn, the best so far at each of them, and what is to stay.
const SAVES: [(u64, Option<u64>, &[u64]); 7] = [
    (1, None, &[1]),
    (2, Some(2), &[1, 2]),
    (3, Some(2), &[2, 3]),
    (4, Some(2), &[2, 3, 4]),
    (5, Some(5), &[4, 5]),
    (6, Some(5), &[5, 6]),
    (6, Some(5), &[5, 6]), // once more
];

/// One of every so many cases is tried in the short form; prime, so that all kinds are met.
const STRIDE: usize = 3;

type Content = BTreeMap<PathBuf, Vec<u8>>;

/// A folder with the checkpoints to keep, in `trained`, and the place where they are kept, `out`.
struct Place {
    home: TempDir,
    socket: UnixDatagram,
    trained: BTreeMap<u64, Vec<u8>>,
    /// What is there before each of the saves.
    before: Vec<Content>,
    /// What nobody may touch.
    foreign: Content,
}

/// How a save ended.
struct Outcome {
    /// What the process said of it, if it could.
    told: Option<String>,
    trace: String,
}

fn checkpoint(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("step-{step:07}.knet"))
}

fn train(seed: u64, folder: &Path) {
    let net = Sequential::new(Shape::from([2])).dense(2, Activation::Softmax);
    let mut model = net.build(seed).unwrap();
    model.compile(Optimizer::adam(0.01), Loss::SparseCategoricalCrossentropy).unwrap();
    let points: Vec<_> = (0..12_u8).map(f32::from).collect();
    let points = Samples::new(6, Shape::from([2]), points).unwrap();
    let data = Dataset::new(points, Targets::Classes(vec![0, 1, 0, 1, 1, 0].into())).unwrap();
    let options = FitOptions { epochs: 1, batch_size: 1, ..FitOptions::default() };
    let checkpoints = CheckpointFolder::new(folder).unwrap();
    let mut callback = ModelCheckpoint::new(checkpoints, Every::Steps(1)).keep_last(usize::MAX);
    model.fit_with(&data, &options, &mut callback).unwrap();
}

fn content(folder: &Path) -> Content {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// What that save keeps.
fn model(home: &Path, number: usize) -> Model {
    Model::load(checkpoint(&home.join("trained"), SAVES[number].0)).unwrap()
}

fn keep(folder: &mut CheckpointFolder, model: &Model, number: usize) -> Result<(), String> {
    let (step, best, _) = SAVES[number];
    let kept = folder.keep(model, step, LAST, best).and_then(|()| folder.finish());
    kept.map_err(|error| error.to_string())
}

/// What the traced process does: when it is told to, it keeps a checkpoint. It talks by calls that
/// are none of a save.
#[test]
#[ignore = "run by the tests beside it"]
fn keep_one() {
    let Some(home) = env::var_os(HOME).map(PathBuf::from) else { return };
    let number: usize = env::var(NUMBER).unwrap().parse().unwrap();
    let socket = UnixDatagram::bind(home.join(format!("{}", std::process::id()))).unwrap();
    let model = model(&home, number);
    // Threads and the like are there from then on.
    model.to_bytes(SaveOptions::default()).unwrap();
    let mut folder = CheckpointFolder::new(home.join("out")).unwrap();
    if env::var_os(IS_NEW).is_none() {
        for before in 0..number {
            keep(&mut folder, &self::model(&home, before), before).unwrap();
        }
    }
    socket.send_to(b"ready", home.join("socket")).unwrap();
    socket.recv_from(&mut [0]).unwrap();
    let told = keep(&mut folder, &model, number).map_or_else(|error| error, |()| "kept".to_owned());
    socket.send_to(told.as_bytes(), home.join("socket")).unwrap();
    std::process::exit(0);
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = |name: &str| home.path().join(name);
        train(1, &path("trained"));
        train(2, &path("other"));
        let trained = (1..=6)
            .map(|step| (step, fs::read(checkpoint(&path("trained"), step)).unwrap()))
            .collect();
        let out = path("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("notes.txt"), "mine").unwrap();
        fs::write(out.join(".keepnet-scratch-step-0000009.knet-1-1"), "mine").unwrap();
        fs::copy(checkpoint(&path("other"), 1), checkpoint(&out, 0)).unwrap();
        let foreign = content(&out);
        let mut folder = CheckpointFolder::new(&out).unwrap();
        let mut before = Vec::new();
        for number in 0..SAVES.len() {
            before.push(content(&out));
            keep(&mut folder, &model(home.path(), number), number).unwrap();
        }
        let socket = UnixDatagram::bind(path("socket")).unwrap();
        // A process that fails does not say so.
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { home, socket, trained, before, foreign }
    }

    fn out(&self) -> PathBuf {
        self.home.path().join("out")
    }

    fn reset(&self, number: usize) {
        fs::remove_dir_all(self.out()).unwrap();
        fs::create_dir(self.out()).unwrap();
        for (path, bytes) in &self.before[number] {
            fs::write(path, bytes).unwrap();
        }
    }

    fn receive(&self) -> io::Result<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message)?;
        Ok(String::from_utf8(message[..length].to_vec()).unwrap())
    }

    /// Makes that save anew, under strace with those options, by a process that has just begun, or by
    /// one that has made all before it. Only the thread that saves makes calls of a save then, so that
    /// they are counted from its beginning.
    fn save(&self, number: usize, is_new: bool, options: &[&str]) -> Outcome {
        self.reset(if is_new { number } else { 0 });
        let mut command = Command::new(env::current_exe().unwrap());
        if is_new {
            command.env(IS_NEW, "");
        }
        command.args(["--exact", "rotation::keep_one", "--ignored", "--nocapture"]);
        command.env(HOME, self.home.path()).env(NUMBER, number.to_string());
        command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        assert_eq!(self.receive().unwrap(), "ready");
        let mut strace = attach(&process, &self.home.path().join("trace"), options);
        let own = self.home.path().join(process.id().to_string());
        self.socket.send_to(b"!", &own).unwrap();
        process.wait().unwrap();
        strace.wait().unwrap();
        fs::remove_file(own).unwrap();
        self.socket.set_nonblocking(true).unwrap();
        let told = self.receive().ok();
        self.socket.set_nonblocking(false).unwrap();
        Outcome { told, trace: fs::read_to_string(self.home.path().join("trace")).unwrap() }
    }

    /// Every call of that save when nothing happens to it.
    fn calls(&self, number: usize, is_new: bool) -> Vec<Call> {
        let Outcome { told, trace } =
            self.save(number, is_new, &["-e", &format!("trace={}", CALLS.join(","))]);
        assert_eq!(told.as_deref(), Some("kept"));
        assert_eq!(self.names(), self.names_of(SAVES[number].2));
        let mut numbers = BTreeMap::<_, usize>::new();
        let mut threads = BTreeSet::new();
        let mut calls = Vec::new();
        for line in trace.lines() {
            let Some((thread, line)) = line.split_once(' ') else { continue };
            let Some(name) = call_of(line.trim_start()) else { continue };
            threads.insert(thread);
            let number = numbers.entry(name).or_default();
            *number += 1;
            calls.push(Call { name: name.to_owned(), number: *number });
        }
        assert!(threads.len() == 1 && calls.len() > 10, "{trace}");
        calls
    }

    fn names(&self) -> BTreeSet<PathBuf> {
        content(&self.out()).into_keys().collect()
    }

    /// Of those steps, and of what is not ours.
    fn names_of(&self, steps: &[u64]) -> BTreeSet<PathBuf> {
        let steps = steps.iter().map(|&step| checkpoint(&self.out(), step));
        steps.chain(self.foreign.keys().cloned()).collect()
    }

    /// Saves while that happens, and looks at what stands.
    fn try_case(&self, number: usize, is_new: bool, call: &Call, injection: Injection) {
        let (name, inject) = (&call.name, injection.into(call));
        let Outcome { told, trace } =
            self.save(number, is_new, &["-e", &format!("trace={name}"), "-e", &inject]);
        let found = content(&self.out());
        let case = format!(
            "save {number} ({is_new}), {inject}: {told:?}, {:?}",
            found.keys().collect::<Vec<_>>()
        );
        assert!(trace.contains("(INJECTED)") || matches!(injection, Injection::Kill), "{case}");

        let untouched = |(path, bytes)| found.get(path) == Some(bytes);
        assert!(self.foreign.iter().all(untouched), "{case}");
        let is_whole =
            |step: &u64| found.get(&checkpoint(&self.out(), *step)) == Some(&self.trained[step]);
        let (step, _, after) = SAVES[number];
        let (last, before) = number
            .checked_sub(1)
            .map_or((None, &[][..]), |last| (Some(SAVES[last].0), SAVES[last].2));
        let newest = newest_checkpoint(self.out()).unwrap().found.map(|(_, model)| model.steps());
        let new = newest == Some(step) && after.iter().all(is_whole);
        let old = newest == last && before.iter().all(is_whole);
        assert!(new || old, "{case}");
        assert!(newest.as_ref().is_none_or(is_whole), "{case}");

        match (injection, told.as_deref()) {
            (Injection::Kill, told) => assert!(told.is_none(), "{case}"),
            (_, Some("kept")) => assert!(new, "{case}"),
            (Injection::Error { name: "EINTR", .. }, _) => panic!("{case}"),
            (Injection::Error { .. }, Some(told)) => {
                assert!(!told.contains('\n'), "{case}");
                let says = |words| told.contains(words);
                if says("the new one stands") || says("is saved, but older ones stay") {
                    assert!(new, "{case}");
                } else {
                    let untouched = ["is untouched", "nothing was saved", "all others stand"];
                    assert!(untouched.into_iter().any(says) && old, "{case}");
                }
            }
            (Injection::Error { .. }, None) => panic!("{case}"),
        }

        // Whoever goes on in the folder removes what was left there, though this step is not saved
        // again.
        CheckpointFolder::new(self.out()).unwrap();
        let of_checkpoints = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == "knet")
                || self.foreign.contains_key(path)
        };
        assert!(self.names().iter().all(of_checkpoints), "{case}, {:?}", self.names());
    }
}

/// Traces a process that is there already.
fn attach(process: &Child, trace: &Path, options: &[&str]) -> Child {
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(trace).args(options).args(["-p", &process.id().to_string()]);
    let mut strace = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(strace.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("attached"), "{said}");
    // It may say more, and is not to wait for a reader.
    std::thread::spawn(move || stderr.lines().for_each(drop));
    strace
}

/// Tries all cases, or a sample of them; `injections` are tried on every call.
fn try_cases(what: &str, injections: &[Injection]) {
    if !can_trace() {
        return;
    }
    let stride = if is_long() { 1 } else { STRIDE };
    let place = Place::new();
    let (mut all, mut tried, mut calls) = (0, 0, 0);
    let saves = (0..SAVES.len()).flat_map(|number| [(number, true), (number, false)]);
    for (number, is_new) in saves.clone() {
        for call in place.calls(number, is_new) {
            calls += 1;
            for &injection in injections {
                if all % stride == 0 {
                    place.try_case(number, is_new, &call, injection);
                    tried += 1;
                }
                all += 1;
            }
        }
    }
    println!(
        "figures: rotation, {what}: {calls} calls of {} saves, {tried} of {all} cases, 0 without the \
         newest and the best",
        saves.count()
    );
}

#[test]
fn killed_at_any_call_of_a_rotation_it_leaves_the_old_or_the_new_checkpoint() {
    try_cases("kills", &[Injection::Kill]);
}

#[test]
fn when_any_call_of_a_rotation_fails_it_says_which_checkpoints_stand() {
    try_cases("errors", &Injection::errors());
}

/// Nothing in the trace escapes the list: a call that is not on it would not be tried.
#[test]
fn the_list_of_calls_of_a_rotation_is_complete() {
    if !can_trace() {
        return;
    }
    let place = Place::new();
    for (number, is_new) in (0..SAVES.len()).flat_map(|number| [(number, true), (number, false)]) {
        let Outcome { trace, .. } = place.save(number, is_new, &["-e", "trace=%file,%desc"]);
        assert!(trace.contains("fsync"), "{trace}");
        for line in trace.lines() {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let name = call.split('(').next().unwrap();
            assert!(CALLS.contains(&name) || is_other(name), "{line}");
        }
    }
}
