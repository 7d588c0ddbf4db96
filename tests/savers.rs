//! Two savers and eight readers at one path: whoever reads finds a whole model, and nothing but the
//! model stays.
//!
//! `KEEPNET_LONG=1` reads more often.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keepnet::format::{self, Format, Limits};
use keepnet::{Activation, Model, SaveOptions, Sequential, Shape};

const READERS: usize = 8;
const SAVERS: u64 = 2;
const PATH: &str = "KEEPNET_TEST_PATH";
const ROLE: &str = "KEEPNET_TEST_ROLE";

/// How often each reader reads.
fn reads() -> usize {
    if env::var_os("KEEPNET_LONG").is_some() { 2_500 } else { 300 }
}

/// Models of different seeds differ in every weight.
fn model(seed: u64) -> Model {
    let network = Sequential::new(Shape::from([4])).dense(16, Activation::Relu);
    network.dense(3, Activation::Softmax).build(seed).unwrap()
}

/// Saves one of the models again and again; gives how often.
fn save(path: &Path, seed: u64, done: impl Fn() -> bool) -> usize {
    let model = model(seed);
    let mut saves = 0;
    while !done() {
        model.save(path).unwrap();
        saves += 1;
    }
    saves
}

/// Reads; gives how often it was another model than the time before.
fn read(path: &Path) -> usize {
    let whole = [0, 1].map(|seed| model(seed).to_bytes(SaveOptions::default()).unwrap());
    let mut last = 0;
    let mut changes = 0;
    let mut reads_done = 0;
    // On, if need be, until the savers have been seen at work.
    while reads_done < reads() || changes < 2 {
        reads_done += 1;
        let found = format::to_bytes(&format::load(path, &Limits::default()).unwrap()).unwrap();
        let seed = whole.iter().position(|whole| *whole == found).expect("a whole model");
        changes += usize::from(seed != last);
        last = seed;
    }
    changes
}

fn run(everyone: impl Fn(&Path) -> [usize; 2]) {
    for form in [Format::File, Format::Directory] {
        let home = tempfile::tempdir().unwrap();
        let path = match form {
            Format::File => home.path().join("model.knet"),
            _ => home.path().join("model"),
        };
        model(0).save(&path).unwrap();
        let [saves, changes] = everyone(&path);
        println!(
            "figures: {form} form: at least {} reads by {READERS} readers, {saves} saves by {SAVERS} savers, {changes} \
             times another model than before, 0 not whole",
            READERS * reads()
        );
        // What was being read or written when the last save ended is removed by the next.
        model(0).save(&path).unwrap();
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [path.as_path()]);
    }
}

#[test]
fn threads_find_whole_models() {
    run(|path| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let savers = [0, 1].map(|seed| {
                let done = &done;
                scope.spawn(move || save(path, seed, || done.load(Ordering::Relaxed)))
            });
            let readers = [(); READERS].map(|()| scope.spawn(|| read(path)));
            let changes = readers.map(|reader| reader.join());
            done.store(true, Ordering::Relaxed);
            let saves = savers.map(|saver| saver.join().unwrap());
            [saves.iter().sum(), changes.into_iter().map(|changes| changes.unwrap()).sum()]
        })
    });
}

#[test]
fn processes_find_whole_models() {
    run(|path| {
        let spawn = |role: &str| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "one_of_the_processes", "--nocapture"]);
            command.env(PATH, path).env(ROLE, role).env("RAYON_NUM_THREADS", "1");
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        let savers = ["0", "1"].map(spawn);
        let readers = [(); READERS].map(|()| spawn("read"));
        let count = |child: std::process::Child| -> usize {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{text}");
            let count = text.lines().find_map(|line| line.split_once("count: ")).unwrap().1;
            count.parse().unwrap()
        };
        let changes = readers.map(count).iter().sum();
        fs::write(done_file(path), "").unwrap();
        let saves = savers.map(count).iter().sum();
        fs::remove_file(done_file(path)).unwrap();
        [saves, changes]
    });
}

/// Beside the folder of the model.
fn done_file(path: &Path) -> PathBuf {
    path.parent().unwrap().with_extension("done")
}

/// What `processes_find_whole_models` starts.
#[test]
fn one_of_the_processes() {
    let (Ok(role), Some(path)) = (env::var(ROLE), env::var_os(PATH)) else { return };
    let path = PathBuf::from(path);
    let count = match role.parse() {
        Ok(seed) => save(&path, seed, || done_file(&path).exists()),
        Err(_) => read(&path),
    };
    println!("\ncount: {count}");
}
