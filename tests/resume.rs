//! `demo --checkpoint-dir` ended at any moment, and `keepnet resume` to the end: the model is that of
//! a run that was let alone, byte for byte.
//!
//! `KEEPNET_KILLS` is the number of kills (by default 6), `KEEPNET_SEED` chooses the moments.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keepnet::bytes::Digest;
use keepnet::train::data::mnist;
use keepnet::{Dataset, Model};
use tempfile::TempDir;

/// 300 images in 19 steps an epoch, with a rate that falls from step to step. The validation loss rises
/// from the first epoch on, so that the third is the last, and the parameters of the first come back.
const RUN: [&str; 8] =
    ["--epochs", "5", "--batch-size", "16", "--schedule", "cosine", "--early-stopping", "2"];
/// A checkpoint after every second step.
const EVERY: [&str; 2] = ["--checkpoint-every", "2"];

/// A folder with the data, the checkpoints and the output of a run.
struct Place {
    folder: TempDir,
    threads: u32,
}

impl Place {
    fn new(threads: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let split = mnist::embedded().unwrap();
        let place = Self { folder, threads };
        fs::create_dir(place.data()).unwrap();
        write_idx(&place.data(), "train", &split.train.take(300));
        write_idx(&place.data(), "t10k", &mislabelled(&split.validation.take(60)));
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn checkpoints(&self) -> PathBuf {
        self.folder.path().join("checkpoints")
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("out/mnist.knet")
    }

    /// The run from its beginning.
    fn demo(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        command.args(RUN).args(EVERY).args(["--threads", &self.threads.to_string()]);
        command.arg("--data").arg(self.data()).arg("--checkpoint-dir").arg(self.checkpoints());
        self.command(command)
    }

    /// The run from its newest checkpoint.
    fn resume(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keepnet"));
        command.args(["--threads", &self.threads.to_string(), "resume", "--quiet"]);
        command.args(EVERY).arg(self.checkpoints());
        self.command(command)
    }

    fn command(&self, mut command: Command) -> Command {
        command.arg("--out").arg(self.folder.path().join("out"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn digest(&self) -> Digest {
        Digest::of(&fs::read(self.model()).unwrap())
    }

    /// Starts what goes on here: a resumed run, or one from the beginning.
    fn go_on(&self) -> Command {
        let checkpoint =
            |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("step-");
        let entries = fs::read_dir(self.checkpoints());
        match entries.is_ok_and(|mut entries| entries.any(|entry| checkpoint(entry.unwrap()))) {
            true => self.resume(),
            false => self.demo(),
        }
    }

    /// Whether a checkpoint is being written by the process of that number: scratch files that others
    /// have left do not count.
    fn is_saving(&self, process: u32) -> bool {
        let of_process = format!("-{process:x}-");
        let scratch = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with(".keepnet-scratch-") && name.contains(&of_process)
        };
        fs::read_dir(self.checkpoints())
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(scratch)))
    }

    /// To the end, with the model's digest.
    fn finish(&self) -> Digest {
        let output = self.go_on().output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        self.digest()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// With the next class in place of each.
fn mislabelled(data: &Dataset) -> Dataset {
    let classes = data.classes().unwrap().iter().map(|class| (class + 1) % 10);
    Dataset::new(data.inputs()[0].clone(), classes.collect::<Vec<u32>>()).unwrap()
}

fn write_idx(dir: &Path, part: &str, data: &Dataset) {
    let count = data.len() as u32;
    let header = |extents: &[u32]| {
        let extents: Vec<u8> = extents.iter().flat_map(|extent| extent.to_be_bytes()).collect();
        [&[0, 0, 8, extents.len() as u8 / 4], &extents[..]].concat()
    };
    let values = data.inputs()[0].to_array();
    let images = values.iter().map(|value| (value * 255.0).round() as u8);
    let images: Vec<u8> = header(&[count, 28, 28]).into_iter().chain(images).collect();
    fs::write(dir.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
    let labels = data.classes().unwrap().iter().map(|&class| class as u8);
    let labels: Vec<u8> = header(&[count]).into_iter().chain(labels).collect();
    fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn from_environment() -> Self {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed =
            std::env::var("KEEPNET_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
        println!("KEEPNET_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The run that is let alone, and how long it takes.
fn alone() -> (Digest, Duration) {
    let place = Place::new(2);
    let started = Instant::now();
    let digest = place.finish();
    let took = started.elapsed();
    // Checkpoints leave no trace in what is trained.
    let bare = Place::new(1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.args(RUN).arg("--data").arg(bare.data());
    assert!(bare.command(command).status().unwrap().success());
    assert_eq!(bare.digest(), digest, "checkpoints have changed the model");
    // It went as it was meant to: ended early, with the parameters of the best epoch.
    let model = Model::load(place.model()).unwrap();
    let losses: Vec<_> =
        model.history().epochs.iter().map(|epoch| epoch.get("val_loss").unwrap()).collect();
    let data = mislabelled(&mnist::embedded().unwrap().validation.take(60));
    assert!(losses.len() == 3 && losses.is_sorted_by(|a, b| a < b), "{losses:?}");
    assert_eq!(model.evaluate(&data).unwrap().loss(), losses[0]);
    // The last three and perhaps the best stay.
    let kept = fs::read_dir(place.checkpoints()).unwrap().count();
    assert!((3..=4).contains(&kept), "{kept} checkpoints");
    (digest, took)
}

/// Lets it run until the moment comes, and kills it; whether it was still running.
fn kill(child: &mut Child, moment: impl Fn() -> bool) -> bool {
    while child.try_wait().unwrap().is_none() {
        if moment() {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
    }
    false
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_file() {
    let kills = std::env::var("KEEPNET_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let mut random = Random::from_environment();
    let (expected, took) = alone();
    let (mut done, mut in_a_save, mut runs) = (0, 0, 0_u32);
    while done < kills || in_a_save * 4 < kills {
        let place = Place::new([1, 2, 4][runs as usize % 3]);
        runs += 1;
        // Twice on the way to the end.
        for _ in 0..2 {
            let mut child = place.go_on().spawn().unwrap();
            let started = Instant::now();
            let after = Duration::from_micros(random.below(took.as_micros() as u64));
            let aimed = in_a_save * 3 < done + 1;
            let killed = match aimed {
                true => {
                    let process = child.id();
                    kill(&mut child, || started.elapsed() * 2 > after && place.is_saving(process))
                }
                false => kill(&mut child, || {
                    sleep(Duration::from_micros(200));
                    started.elapsed() > after
                }),
            };
            done += u32::from(killed);
            in_a_save += u32::from(killed && aimed);
        }
        assert_eq!(place.finish(), expected, "on {} threads, in run {runs}", place.threads);
    }
    println!("figures: {done} kills, {in_a_save} of them in a save, in {runs} runs, one digest");
}

#[test]
fn stopped_by_a_signal_it_says_how_to_go_on() {
    let (expected, _) = alone();
    for signal in ["-TERM", "-INT"] {
        let place = Place::new(2);
        let mut command = place.demo();
        command.env("LC_ALL", "C.UTF-8");
        let mut child = command.spawn().unwrap();
        let begun =
            || fs::read_dir(place.checkpoints()).is_ok_and(|mut entries| entries.next().is_some());
        while !begun() {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            sleep(Duration::from_millis(1));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let story = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(130), "{story} {}", told(&output));
        let stopped = Model::load(place.model()).unwrap().steps();
        assert!(place.checkpoints().join(format!("step-{stopped:07}.knet")).is_file(), "{story}");

        let resume = story.lines().last().unwrap();
        assert!(resume.contains("keepnet resume "), "{story}");
        let status: ExitStatus = Command::new("sh").args(["-c", resume]).status().unwrap();
        assert!(status.success(), "{resume}");
        assert_eq!(place.digest(), expected, "{signal}");
    }
}

#[test]
fn damaged_checkpoints_are_passed_over() {
    let place = Place::new(2);
    let expected = place.finish();
    let mut newest: Vec<_> =
        fs::read_dir(place.checkpoints()).unwrap().map(|entry| entry.unwrap().path()).collect();
    newest.sort();
    // The newest is cut, the one before it flipped in a bit, and one is another's.
    let [.., flipped, cut] = newest.as_slice() else { panic!("{newest:?}") };
    let bytes = fs::read(cut).unwrap();
    fs::write(cut, &bytes[..bytes.len() / 2]).unwrap();
    let mut bytes = fs::read(flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(flipped, &bytes).unwrap();
    fs::write(place.checkpoints().join("step-9999999.knet"), "mine").unwrap();
    fs::remove_file(place.model()).unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_keepnet"));
    command.arg("resume").arg(place.checkpoints());
    let output = place.command(command).output().unwrap();
    let story = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{story} {}", told(&output));
    assert_eq!(story.matches("Passed over").count(), 3, "{story}");
    assert!(story.contains(&newest[newest.len() - 3].display().to_string()), "{story}");
    assert_eq!(place.digest(), expected);
    // What is not a sound checkpoint of this run is never removed.
    assert_eq!(fs::read(place.checkpoints().join("step-9999999.knet")).unwrap(), b"mine");
}

#[test]
fn what_cannot_be_resumed_is_said() {
    let place = Place::new(1);
    let refused = |command: &mut Command, status: i32, words: &[&str]| {
        let output = command.output().unwrap();
        let line = told(&output);
        assert_eq!(output.status.code(), Some(status), "{line}");
        assert!(
            line.lines().count() == 1 && words.iter().all(|word| line.contains(word)),
            "{line}"
        );
    };
    let words = ["no checkpoint", "before its first", "start it again"];
    refused(&mut place.resume(), 1, &words);
    fs::create_dir(place.checkpoints()).unwrap();
    refused(&mut place.resume(), 1, &words);
    place.finish();
    refused(&mut place.demo(), 2, &["checkpoints of an earlier run", "keepnet resume"]);
    let other = Place::new(1);
    write_idx(&other.data(), "train", &mnist::embedded().unwrap().validation.take(300));
    refused(place.resume().arg("--data").arg(other.data()), 2, &["other data"]);
    fs::remove_dir_all(place.data()).unwrap();
    refused(&mut place.resume(), 2, &["say where it is with --data"]);
    for entry in fs::read_dir(place.checkpoints()).unwrap() {
        fs::write(entry.unwrap().path(), "gone").unwrap();
    }
    refused(&mut place.resume(), 3, &["none of the", "can be believed"]);
}
