//! The program `demo` as its users run it: options, output, files, signals, exit status.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use keepnet::format::{self, Inspection};
use keepnet::train::data::mnist;
use keepnet::wire::png::read_png;
use keepnet::{Dataset, Model, SaveOptions};
use serde_json::Value;
use tempfile::TempDir;

/// The program with a terminal's environment and this output folder.
fn demo(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    for name in ["NO_COLOR", "LC_CTYPE", "LANG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color").env("COLORTERM", "truecolor");
    command.arg("--out").arg(out);
    command
}

/// The same on a few images, for one epoch.
fn short(out: &Path, data: &Path) -> Command {
    let mut command = demo(out);
    command.args(["--epochs", "1", "--limit", "200", "--batch-size", "32", "--data"]).arg(data);
    command
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn succeed(command: &mut Command) -> Output {
    let output = run(command);
    assert!(output.status.success(), "{:?}: {}", output.status, text(&output.stderr));
    output
}

/// Runs it, expects that exit status and one line on standard error, and gives that.
fn refused(command: &mut Command, status: i32) -> String {
    let output = run(command);
    let line = text(&output.stderr).to_owned();
    assert_eq!(output.status.code(), Some(status), "{line}");
    assert!(line.starts_with("error: ") && line.lines().count() == 1, "{line}");
    assert!(!text(&output.stdout).contains("Training"), "{}", text(&output.stdout));
    line
}

/// A folder of the MNIST kind: 300 images to train on and 120 to validate, 28×28.
fn data() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let split = mnist::embedded().unwrap();
    write_idx(dir.path(), "train", &split.train.take(300));
    write_idx(dir.path(), "t10k", &split.validation.take(120));
    dir
}

fn write_idx(dir: &Path, part: &str, data: &Dataset) {
    let count = data.len() as u32;
    let values = data.inputs()[0].to_array();
    let mut images = idx_header(3, &[count, 28, 28]);
    images.extend(values.iter().map(|value| (value * 255.0).round() as u8));
    fs::write(dir.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
    let mut labels = idx_header(1, &[count]);
    labels.extend(data.classes().unwrap().iter().map(|&class| class as u8));
    fs::write(dir.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
}

fn idx_header(rank: u8, extents: &[u32]) -> Vec<u8> {
    let extents = extents.iter().flat_map(|extent| extent.to_be_bytes());
    [0, 0, 8, rank].into_iter().chain(extents).collect()
}

fn inspect(dir: &Path) -> Inspection {
    format::inspect(&dir.join("mnist.knet")).unwrap()
}

#[test]
fn the_embedded_images_need_no_option_but_patience() {
    let dir = tempfile::tempdir().unwrap();
    let out = Path::new("a/my out");
    let options = ["--epochs", "1", "--limit", "256"];
    let output = succeed(demo(out).args(options).current_dir(dir.path()));
    let out = dir.path().join(out);
    let story = text(&output.stdout);
    assert!(!story.contains('\x1b') && output.stderr.is_empty(), "{story}");
    assert_eq!(story.matches("225,034 of 225,034 parameters identical in every bit").count(), 4);
    assert_eq!(story.matches("2,000 of 2,000 predictions identical in every bit").count(), 4);
    assert_eq!(story.matches("the probe in it is answered to the bit").count(), 4);
    assert_eq!(story.matches("in Keras the optimizer starts anew").count(), 1);
    assert!(story.contains("8,000 images to train on"), "{story}");
    assert!(story.contains("225,034"), "{story}");
    let mut told = story.lines().filter(|line| !line.starts_with("  cargo run "));
    assert!(told.all(|line| line.chars().count() <= 80), "{story}");

    let whole = fs::read(out.join("mnist.knet")).unwrap();
    for form in ["mnist.knet", "mnist_model", "mnist.keras", "mnist.h5"] {
        let model = Model::load(out.join(form)).unwrap();
        assert_eq!((model.steps(), model.history().epochs.len()), (2, 1));
        assert!(model.to_bytes(SaveOptions::default()).unwrap() == whole, "{form}");
    }
    for picture in ["predictions.png", "training.png"] {
        let picture = read_png(&fs::read(out.join(picture)).unwrap(), 1 << 24).unwrap();
        assert!(picture.width() > 600 && picture.height() > 300);
    }
}

#[test]
fn every_form_is_saved_and_proven_if_asked_for() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let out = dir.path();
    // Twice: what is there is replaced.
    for _ in 0..2 {
        let output = succeed(short(out, data.path()).arg("--all-formats"));
        let story = text(&output.stdout);
        assert_eq!(story.matches("the probe in it is answered to the bit").count(), 7, "{story}");
        let rows = story.lines().filter(|line| line.matches(" all ").count() == 3);
        assert_eq!(rows.count(), 7, "{story}");
        let mut table = story.lines().filter(|line| line.contains('│'));
        assert!(table.all(|line| line.chars().count() <= 80), "{story}");
    }
    let whole = fs::read(out.join("mnist.knet")).unwrap();
    for form in ["mnist_savedmodel", "mnist.safetensors", "mnist.onnx"] {
        let model = Model::load(out.join(form)).unwrap();
        assert!(model.to_bytes(SaveOptions::default()).unwrap() == whole, "{form}");
    }
    fs::remove_dir_all(out.join("mnist_savedmodel")).unwrap();
    fs::create_dir(out.join("mnist_savedmodel")).unwrap();
    let output = short(out, data.path()).arg("--all-formats").output().unwrap();
    let error = text(&output.stderr);
    assert!(
        error.contains(
            "mnist_savedmodel: it is no model in that form; choose another folder with --out"
        ),
        "{error}"
    );
}

#[test]
fn json_is_alone_on_standard_output_and_as_the_help_says() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let output = succeed(short(dir.path(), data.path()).arg("--json"));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(text(&output.stderr).contains("identical in every bit"));

    let help = succeed(demo(dir.path()).arg("--help"));
    for member in object.as_object().unwrap().keys() {
        assert!(text(&help.stdout).contains(&format!("\n  {member} ")), "{member}");
    }
    assert_eq!(object["interrupted"], false);
    assert_eq!(object["resume"], Value::Null);
    assert_eq!(object["data"]["train_images"], 300);
    assert_eq!(object["data"]["validation_images"], 120);
    assert_eq!(object["data"]["image_shape"], serde_json::json!([28, 28, 1]));
    assert_eq!(object["network"]["parameters"], 225_034);
    assert_eq!(object["settings"]["seed"], "0");
    assert_eq!(object["settings"]["batch_size"], 32);
    assert_eq!(object["settings"]["schedule"], "constant");
    assert_eq!(object["settings"]["early_stopping"], Value::Null);
    assert_eq!(object["training"]["images"], 200);
    assert_eq!(object["training"]["epochs"][0]["epoch"], 1);
    let evaluation = &object["evaluation"];
    assert_eq!(evaluation["accuracy"], object["training"]["epochs"][0]["val_accuracy"]);
    let counts = evaluation["confusion"]["counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), 120);
    assert_eq!(evaluation["classes"].as_array().unwrap().len(), 10);

    let saved = object["saved"].as_array().unwrap();
    let [file, directory, keras, hdf5] = saved.as_slice() else { panic!() };
    let forms: Vec<_> = saved.iter().map(|form| form["form"].as_str().unwrap()).collect();
    assert_eq!(forms, ["file", "directory", "keras", "hdf5"]);
    for form in saved {
        assert_eq!(
            (&form["parameters"], &form["identical_parameters"]),
            (&225_034.into(), &225_034.into())
        );
        assert_eq!((&form["predictions"], &form["identical"]), (&120.into(), &120.into()));
        assert_eq!(form["proof"], true);
        assert!(form["save_ms"].as_f64().unwrap() > 0.0 && form["load_ms"].as_f64().unwrap() > 0.0);
    }
    let knet = dir.path().join("mnist.knet");
    assert_eq!(file["path"], knet.to_str().unwrap());
    assert_eq!(file["bytes"], fs::metadata(&knet).unwrap().len());
    let sha256sum = Command::new("sha256sum").arg(&knet).output().unwrap();
    assert!(text(&sha256sum.stdout).starts_with(file["sha256"].as_str().unwrap()));
    assert_eq!(keras["hidden"], serde_json::json!([]));
    assert!(hdf5["hidden"][0].as_str().unwrap().starts_with("in Keras the optimizer"));
    let manifest = fs::read_to_string(dir.path().join("mnist_model/manifest.json")).unwrap();
    assert!(manifest.contains(directory["sha256"].as_str().unwrap()));
}

#[test]
fn the_same_seed_gives_the_same_file_with_any_number_of_threads() {
    let data = data();
    let [first, again, alone, crowd, other] = [
        ["--seed", "1", "--threads", "2"],
        ["--seed", "1", "--threads", "2"],
        ["--seed", "1", "--threads", "1"],
        ["--seed", "1", "--threads", "3"],
        ["--seed", "2", "--threads", "2"],
    ]
    .map(|options| {
        let dir = tempfile::tempdir().unwrap();
        let output = succeed(short(dir.path(), data.path()).arg("--quiet").args(options));
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        fs::read(dir.path().join("mnist.knet")).unwrap()
    });
    assert!(first == again && first == alone && first == crowd);
    assert!(first != other);
}

#[test]
fn ascii_where_asked_for_or_nothing_else_can_be_shown() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let mut asked = short(dir.path(), data.path());
    let mut locale = short(dir.path(), data.path());
    for command in [asked.arg("--ascii"), locale.env("LC_ALL", "C")] {
        let output = succeed(command);
        assert!(output.stdout.is_ascii() && !output.stdout.contains(&b'\x1b'));
    }
}

#[test]
fn what_cannot_work_is_refused_before_training() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let line = refused(&mut short(dir.path(), dir.path()), 1);
    assert!(line.contains("there is no train-images-idx3-ubyte"), "{line}");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let line = refused(&mut short(&file.join("out"), data.path()), 1);
    assert!(line.contains("cannot write to") && line.contains("file/out"), "{line}");
    let line = refused(&mut short(Path::new("/proc"), data.path()), 1);
    assert!(line.contains("cannot write to /proc"), "{line}");

    fs::create_dir(dir.path().join("mnist.knet")).unwrap();
    let line = refused(&mut short(dir.path(), data.path()), 1);
    assert!(line.contains("mnist.knet: it is a directory"), "{line}");
    fs::remove_dir(dir.path().join("mnist.knet")).unwrap();
    fs::create_dir_all(dir.path().join("mnist_model/precious")).unwrap();
    let line = refused(&mut short(dir.path(), data.path()), 1);
    assert!(
        line.contains("mnist_model: it is no model in that form; choose another folder with --out"),
        "{line}"
    );

    for wrong in [["--epochs", "0"], ["--limit", "0"], ["--threads", "no"], ["--download", "x"]] {
        let output = run(short(dir.path(), data.path()).args(wrong));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let message = refused(demo(out.path()).env("KEEPNET_ISA", "avx1024"), 2);
    assert!(message.contains("KEEPNET_ISA asks for `avx1024`"), "{message}");
}

#[test]
fn only_the_run_that_was_begun_is_resumed() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let resume = |options: &[&str]| {
        let mut command = demo(dir.path());
        command.args(["--resume", "--data"]).arg(data.path()).args(options);
        command
    };
    let line = refused(&mut resume(&[]), 1);
    assert!(line.contains("there is no") && line.contains("to resume"), "{line}");

    succeed(&mut short(dir.path(), data.path()));
    let knet = dir.path().join("mnist.knet");
    let trained = fs::read(&knet).unwrap();
    let output = succeed(&mut resume(&[]));
    assert!(text(&output.stdout).contains("Epochs behind the model: 1;"));
    assert_eq!(fs::read(&knet).unwrap(), trained);

    for (options, word) in [
        (["--batch-size", "64"], "--batch-size 32, not 64"),
        (["--seed", "5"], "--seed 0, not 5"),
        (["--limit", "100"], "--limit 200, not 100"),
        (["--schedule", "cosine"], "--schedule constant, not cosine"),
        (["--early-stopping", "3"], "--early-stopping off, not 3"),
    ] {
        let line = refused(&mut resume(&options), 2);
        assert!(line.contains(word), "{line}");
    }
    let other = tempfile::tempdir().unwrap();
    let split = mnist::embedded().unwrap();
    write_idx(other.path(), "train", &split.validation);
    write_idx(other.path(), "t10k", &split.validation.take(9));
    let line = refused(demo(dir.path()).arg("--resume").arg("--data").arg(other.path()), 2);
    assert!(line.contains("other data"), "{line}");

    // An epoch more is the same as two from the beginning.
    let other = tempfile::tempdir().unwrap();
    succeed(&mut resume(&["--epochs", "2"]));
    let options = ["--epochs", "2", "--limit", "200", "--batch-size", "32", "--data"];
    succeed(demo(other.path()).args(options).arg(data.path()));
    let two = fs::read(other.path().join("mnist.knet")).unwrap();
    assert!(fs::read(&knet).unwrap() == two);

    let mut damaged = trained;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&knet, damaged).unwrap();
    let line = refused(&mut resume(&[]), 3);
    assert!(line.contains("damaged"), "{line}");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let (dir, data) = (tempfile::tempdir().unwrap(), data());
    let mut child = short(dir.path(), data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("Data: "), "{first}");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""));

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run_into(&mut short(dir.path(), data.path()), full);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: cannot write the output: "));
}

#[cfg(unix)]
fn run_into(command: &mut Command, out: fs::File) -> Output {
    command.stdout(out).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

/// Into the same file, byte for byte.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let whole = tempfile::tempdir().unwrap();
    let settings = ["--epochs", "2", "--limit", "1500", "--batch-size", "16", "--seed", "3"];
    succeed(demo(whole.path()).args(settings).arg("--quiet"));
    let expected = fs::read(whole.path().join("mnist.knet")).unwrap();

    for signal in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let output = stopped_by(demo(dir.path()).args(settings), &[signal]);
        let story = text(&output.stdout);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(130), ""), "{story}");
        let stopped = inspect(dir.path()).training.unwrap();
        assert_eq!(stopped.epoch, 0);
        assert!((1..94).contains(&stopped.step_in_epoch), "{stopped:?}");
        assert_eq!(
            Model::load(dir.path().join("mnist_model")).unwrap().steps(),
            stopped.step_in_epoch
        );

        // The last line is the command that goes on, for a shell to run.
        let resume = story.lines().last().unwrap();
        let output = run(Command::new("sh").args(["-c", resume]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(fs::read(dir.path().join("mnist.knet")).unwrap() == expected, "{signal}");
    }
}

/// A step of 8,000 images on one thread takes long enough for a second signal.
#[cfg(unix)]
#[test]
fn a_second_signal_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--batch-size", "8000", "--threads", "1"];
    let output = stopped_by(demo(dir.path()).args(options), &["-INT", "-INT"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(130), ""));
    assert!(text(&output.stdout).trim_end().ends_with("time"), "{}", text(&output.stdout));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Waits until it trains, sends the signals one after the other, and gives everything it printed.
#[cfg(unix)]
fn stopped_by(command: &mut Command, signals: &[&str]) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut story = Vec::new();
    for line in lines.by_ref() {
        writeln!(story, "{line}").unwrap();
        if line.contains("images/s") {
            break;
        }
    }
    let id = child.id().to_string();
    for (index, signal) in signals.iter().enumerate() {
        if index > 0 {
            // Two at the same moment would be one.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(Command::new("kill").args([signal, id.as_str()]).status().unwrap().success());
    }
    lines.for_each(|line| writeln!(story, "{line}").unwrap());
    Output { stdout: story, ..child.wait_with_output().unwrap() }
}
