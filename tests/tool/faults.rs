//! What the program does with what is wrong: the file, the call, the pipe.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use keepnet::bytes::crc32c;
use keepnet::{Activation, Arrange, LayerSpec, Samples, SaveOptions, Sequential, Shape};

use crate::container::Container;
use crate::place::{Place, Run};

/// Every command that reads a model, on a model of that name, but `verify --json`, which tells of a
/// refusal in JSON too.
fn commands(model: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["summary", model],
        vec!["inspect", model],
        vec!["inspect", model, "--json"],
        vec!["verify", model],
        vec!["predict", model, "x.npy"],
        vec!["evaluate", model],
        vec!["convert", model, "out.knet"],
        vec!["unpack", model, "out"],
    ]
}

#[test]
fn an_instruction_set_that_is_not_there_is_a_wrong_call() {
    let (place, _) = Place::with_digits();
    let output = place.command(&["verify", "digits.knet"]).env("KEEPNET_ISA", "avx1024").output();
    let run = Run::from(output.unwrap());
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("KEEPNET_ISA asks for `avx1024`"), "{}", run.stderr);
}

#[test]
fn other_kinds_of_files_are_told_apart() {
    let place = Place::new();
    place.write("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    place.write("text.knet", "a model, surely");
    place.write("empty.knet", "");
    fs::create_dir(place.path("folder")).unwrap();
    for (name, words) in [
        ("picture.png", "but a PNG image"),
        ("text.knet", "but text"),
        ("empty.knet", "but an empty file"),
        ("folder", "a directory without"),
        ("missing.knet", "No such file"),
    ] {
        for command in commands(name) {
            let status = if name == "missing.knet" { 1 } else { 3 };
            let error = place.fails(status, &command);
            assert!(error.contains(&format!("{name}: ")) && error.contains(words), "{error}");
        }
    }
    assert!(!place.path("out.knet").exists() && !place.path("out").exists());
}

/// An archive of something else: the record that ends one without members.
#[test]
fn not_every_archive_is_a_model() {
    let place = Place::new();
    place.write("archive.zip", [&b"PK\x05\x06"[..], &[0; 18]].concat());
    for command in ["summary", "verify", "doctor"] {
        let error = place.fails(3, &[command, "archive.zip"]);
        assert!(error.contains("archive.zip: ") && error.contains("but a ZIP archive"), "{error}");
    }
}

/// Every 64-byte block of the file is hit, at a place that moves through the block.
#[test]
fn one_flipped_byte_is_corruption_wherever_it_stands() {
    let (place, _) = Place::with_digits();
    let sound = place.read("digits.knet");
    for (number, block) in (0..sound.len()).step_by(64).enumerate().step_by(7) {
        let at = block + number % 64;
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (number % 8);
        place.write("damaged.knet", damaged);
        let error = place.fails(3, &["inspect", "damaged.knet"]);
        let place_named = error.contains("damaged.knet: the model is damaged in ");
        assert!(place_named && error.contains(" at byte "), "byte {at}: {error}");
    }
    let mut damaged = sound;
    let last = damaged.len() - 200;
    damaged[last] ^= 0x10;
    place.write("damaged.knet", damaged);
    for command in commands("damaged.knet") {
        let run = place.run(&command);
        assert_eq!((run.status, run.stdout.as_str()), (3, ""), "{command:?}");
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    }
}

#[test]
fn a_file_cut_short_is_corruption() {
    let (place, _) = Place::with_digits();
    let sound = place.read("digits.knet");
    for length in [5, 63, 64, 100, 1_000, sound.len() / 2, sound.len() - 64, sound.len() - 1] {
        place.write("cut.knet", &sound[..length]);
        let error = place.fails(3, &["verify", "cut.knet"]);
        assert!(error.contains("cut.knet: the model is damaged in "), "{length}: {error}");
    }
    place.write("longer.knet", [sound.as_slice(), b"\n"].concat());
    place.fails(3, &["verify", "longer.knet"]);
}

#[test]
fn a_damaged_directory_is_corruption() {
    let (place, _) = Place::with_digits();
    place.done(&["unpack", "digits.knet", "dir"]);
    place.write("dir/tensors/stray.npy", "");
    let error = place.fails(3, &["verify", "dir"]);
    assert!(error.contains("tensors/stray.npy"), "{error}");
    fs::remove_file(place.path("dir/tensors/stray.npy")).unwrap();
    let name = "dir/tensors/0000-conv2d-kernel.npy";
    let mut kernel = place.read(name);
    *kernel.last_mut().unwrap() ^= 1;
    place.write(name, kernel);
    let error = place.fails(3, &["verify", "dir"]);
    assert!(error.contains("0000-conv2d-kernel.npy"), "{error}");
    let error = place.fails(3, &["pack", "dir", "out.knet"]);
    assert!(error.contains("dir: "), "{error}");
    assert!(!place.path("out.knet").exists());
}

/// The version is the u16 at byte 8; the header's CRC-32C stands in its last four bytes.
#[test]
fn a_future_version_is_refused() {
    let (place, _) = Place::with_digits();
    let mut newer = place.read("digits.knet");
    newer[8..10].copy_from_slice(&7_u16.to_le_bytes());
    let crc = crc32c(&newer[..60]);
    newer[60..64].copy_from_slice(&crc.to_le_bytes());
    place.write("newer.knet", newer);
    for command in commands("newer.knet") {
        let error = place.fails(3, &command);
        assert!(error.contains("version 7 was made by a newer keepnet"), "{error}");
        assert!(error.contains("update it"), "{error}");
    }
    let mut container = Container::take_apart(&place.read("digits.knet"));
    container.section("history").id = "chronicle".to_owned();
    container.section("chronicle").critical = true;
    place.write("critical.knet", container.put_together());
    let error = place.fails(3, &["verify", "critical.knet"]);
    assert!(error.contains("section `chronicle` at byte"), "{error}");
}

/// A few hundred bytes that describe results of 149 GiB.
#[test]
fn a_model_beyond_any_memory_is_not_run() {
    let place = Place::new();
    let huge = Sequential::new(Shape::image(1, 1, 1))
        .layer(LayerSpec::from(Arrange::ZeroPadding2d([25_000; 4])))
        .global_max_pool2d()
        .dense(2, Activation::Softmax)
        .build(1)
        .unwrap();
    let options = SaveOptions { proof: false, ..SaveOptions::default() };
    huge.save_with(place.path("huge.knet"), options).unwrap();
    place.write_npy("x.npy", &Samples::new(1, Shape::image(1, 1, 1), vec![0.0]).unwrap());
    for command in [&["verify", "huge.knet"][..], &["predict", "huge.knet", "x.npy"]] {
        let error = place.fails(1, command);
        assert!(
            error.contains("huge.knet: with layer `zero_padding2d` the network takes"),
            "{error}"
        );
        assert!(error.contains("bytes of activations to run"), "{error}");
    }
    assert!(place.done(&["summary", "huge.knet"]).contains("50001×50001×1"));
}

#[test]
fn wrong_calls_end_with_2() {
    let (place, _) = Place::with_digits();
    for arguments in [
        &[][..],
        &["conjure"],
        &["summary"],
        &["summary", "digits.knet", "extra"],
        &["summary", "digits.knet", "--colour"],
        &["predict", "digits.knet"],
        &["predict", "digits.knet", "x.npy", "--top", "0"],
        &["verify", "digits.knet", "--threads", "0"],
        &["verify", "digits.knet", "--threads", "many"],
        &["convert", "digits.knet"],
        &["convert", "digits.knet", "o.knet", "--without", "architecture"],
        &["convert", "digits.knet", "o.knet", "--weights-only", "--without", "proof"],
    ] {
        let run = place.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains("Usage: ") || run.stderr.contains("--help"), "{}", run.stderr);
    }
}

#[test]
fn help_has_examples() {
    let place = Place::new();
    for command in
        ["summary", "inspect", "verify", "predict", "evaluate", "convert", "pack", "unpack"]
    {
        let help = place.done(&[command, "--help"]);
        assert!(help.contains(&format!("\n  keepnet {command} ")), "{help}");
    }
    assert!(place.done(&["--help"]).contains("3  the model is corrupt"));
    assert!(place.done(&["--version"]).starts_with("keepnet "));
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let (place, _) = Place::with_digits();
    // The JSON is longer than the 64 KiB that a pipe holds.
    place.write_npy("x.npy", &crate::place::images(2_000));
    for arguments in
        [&["inspect", "digits.knet"][..], &["predict", "digits.knet", "x.npy", "--json"]]
    {
        let mut command = place.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        // The reader is dropped with the statement, which closes the pipe.
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let (place, _) = Place::with_digits();
    let output = place.command(&["inspect", "digits.knet"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: cannot write to standard output: "), "{stderr}");
}
