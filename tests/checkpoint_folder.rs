//! A folder of checkpoints belongs to one training.

mod format_support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use format_support::container::Container;
use keepnet::format::Limits;
use keepnet::model::{Checkpoint, TrainingState};
use keepnet::train::CallbackError;
use keepnet::train::callbacks::{CheckpointStore, Every};
use keepnet::train::data::mnist;
use keepnet::{
    Activation, CheckpointFolder, Dataset, Doubt, FitOptions, Loss, Model, ModelCheckpoint,
    NewestCheckpoint, Optimizer, Sequential, Shape, TrainError, newest_checkpoint,
    newest_checkpoint_with,
};

fn model(seed: u64) -> Model {
    let net = Sequential::new(Shape::image(28, 28, 1)).flatten().dense(10, Activation::Softmax);
    let mut model = net.build(seed).unwrap();
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy).unwrap();
    model
}

fn data() -> Dataset {
    mnist::embedded().unwrap().train.take(64)
}

/// Eight steps with a checkpoint after every second.
fn train(seed: u64, folder: &Path) -> Result<(), TrainError> {
    let options = FitOptions { batch_size: 16, epochs: 2, ..Default::default() };
    let mut checkpoints =
        ModelCheckpoint::new(CheckpointFolder::new(folder).unwrap(), Every::Steps(2));
    model(seed).fit_with(&data(), &options, &mut checkpoints).map(|_| ())
}

/// The model after each of its eight steps, with the fit under way.
fn after_each_step(folder: &Path) -> Vec<Model> {
    let options = FitOptions { batch_size: 16, epochs: 2, ..Default::default() };
    let store = CheckpointFolder::new(folder).unwrap();
    let mut checkpoints = ModelCheckpoint::new(store, Every::Steps(1)).keep_last(8);
    model(1).fit_with(&data(), &options, &mut checkpoints).unwrap();
    let load = |step| Model::load(folder.join(format!("step-{step:07}.knet"))).unwrap();
    (1..=8).map(load).collect()
}

fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn checkpoints_of_another_training_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    train(1, home.path()).unwrap();
    let before = content(home.path());
    assert_eq!(before.len(), 3, "the last three stay");
    let folder = CheckpointFolder::new(home.path()).unwrap();
    assert!(!folder.belongs_to(&model(2)).unwrap());

    let error = train(2, home.path()).unwrap_err();
    let TrainError::Callback(source) = error else { panic!("{error}") };
    assert!(source.to_string().contains("not of this training"), "{source}");
    let after = content(home.path());
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
}

#[test]
fn only_sound_checkpoints_count_among_the_newest() {
    let home = tempfile::tempdir().unwrap();
    for step in [5, 7] {
        fs::write(home.path().join(format!("step-{step:07}.knet")), "damaged").unwrap();
    }
    train(1, home.path()).unwrap();
    let steps = CheckpointFolder::new(home.path()).unwrap().steps().unwrap();
    assert_eq!(steps, [4, 5, 6, 7, 8]);
}

/// It was sound when it was looked at.
#[test]
fn what_was_damaged_in_its_place_since_stays_and_counts_for_nothing() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    let kept = home.path().join("kept");
    let mut folder = CheckpointFolder::new(&kept).unwrap();
    for (model, step) in models.iter().zip(1..) {
        folder.keep(model, step, 3, None).unwrap();
        folder.finish().unwrap();
        if step == 4 {
            let path = kept.join("step-0000003.knet");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            // The same file, of the same length.
            fs::OpenOptions::new().write(true).open(&path).unwrap().write_all(&bytes).unwrap();
        }
        if step == 5 {
            assert_eq!(folder.steps().unwrap(), [2, 3, 4, 5]);
        }
    }
    assert_eq!(folder.steps().unwrap(), [3, 6, 7, 8]);
}

/// What is known of the checkpoints of one training says nothing to the next.
#[test]
fn a_folder_that_is_used_for_another_training_leaves_the_first_ones_alone() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    let mut others = after_each_step(&home.path().join("others"));
    for other in &mut others {
        let state = other.to_checkpoint().into_owned();
        let training = state.training.clone().map(|training| TrainingState { seed: 2, ..training });
        *other = Model::from_checkpoint(&Checkpoint { training, ..state }).unwrap();
    }
    let mut folder = CheckpointFolder::new(home.path().join("kept")).unwrap();
    let mut keep = |model, step| {
        folder.keep(model, step, 1, None).and_then(|()| folder.finish()).unwrap();
        folder.steps().unwrap()
    };
    assert_eq!(keep(&models[0], 1), [1]);
    assert_eq!(keep(&models[1], 2), [2]);
    assert_eq!(keep(&others[2], 3), [2, 3]);
    assert_eq!(keep(&others[3], 4), [2, 4]);
}

/// Nothing tells what is saved without a training under way from another such: all stay. Nothing is
/// saved under another number than its step.
#[test]
fn what_is_of_no_training_or_another_step_is_neither_removed_nor_replaced() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    let mut folder = CheckpointFolder::new(home.path().join("idle")).unwrap();
    let keep = |folder: &mut CheckpointFolder, model: &Model, step| {
        folder.keep(model, step, 1, None).and_then(|()| folder.finish())
    };
    keep(&mut folder, &model(1), 1).unwrap();
    keep(&mut folder, &model(2), 2).unwrap();
    assert_eq!(folder.steps().unwrap(), [1, 2]);
    keep(&mut folder, &model(1), 2).unwrap_err();

    let mut folder = CheckpointFolder::new(home.path().join("numbers")).unwrap();
    keep(&mut folder, &models[0], 1).unwrap();
    let error = keep(&mut folder, &models[0], 2).unwrap_err();
    assert!(error.to_string().contains("done 1 steps, not the 2"), "{error}");
    keep(&mut folder, &models[1], 2).unwrap();
    keep(&mut folder, &models[0], 2).unwrap_err();
    assert_eq!(newest_checkpoint(home.path().join("numbers")).unwrap().found.unwrap().1.steps(), 2);
}

/// This program cannot go on from them, so they count for nothing; another can, so they stay.
#[test]
fn checkpoints_of_a_newer_keepnet_are_neither_counted_nor_removed_nor_replaced() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    let kept = home.path().join("kept");
    let path = |step: u64| kept.join(format!("step-{step:07}.knet"));
    for id in ["compile", "optimizer", "training", "history"] {
        fs::remove_dir_all(&kept).ok();
        let mut folder = CheckpointFolder::new(&kept).unwrap();
        let mut keep = |step: u64, last| {
            folder.keep(&models[step as usize - 1], step, last, None)?;
            folder.finish()?;
            Ok::<_, CallbackError>(folder.steps().unwrap())
        };
        for step in 1..=5 {
            keep(step, 5).unwrap();
        }
        for step in [4, 5] {
            let mut newer = Container::take_apart(&fs::read(path(step)).unwrap());
            newer.version = [1, 3, 0];
            let later = "\"schema\": 3,\n  \"anything\": [null]";
            fs::write(path(step), newer.replacing(id, "\"schema\": 1", later)).unwrap();
        }
        assert_eq!(keep(6, 3).unwrap(), [2, 3, 4, 5, 6], "{id}");
        keep(5, 3).unwrap_err();
    }
}

/// Whoever is never beaten would hold all later ones back.
#[test]
fn a_best_one_that_is_gone_or_damaged_does_not_stop_the_rotation() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    for damaged in [None, Some("damaged")] {
        let path = home.path().join(damaged.unwrap_or("gone"));
        let best = path.join("step-0000002.knet");
        let mut folder = CheckpointFolder::new(&path).unwrap();
        for (model, step) in models.iter().zip(1..) {
            folder.keep(model, step, 2, (step > 1).then_some(2)).unwrap();
            folder.finish().unwrap();
            if step == 4 {
                assert_eq!(folder.steps().unwrap(), [2, 3, 4]);
                match damaged {
                    Some(words) => fs::write(&best, words).unwrap(),
                    None => fs::remove_file(&best).unwrap(),
                }
            }
        }
        match damaged {
            Some(words) => {
                assert_eq!(folder.steps().unwrap(), [2, 7, 8]);
                assert_eq!(fs::read_to_string(&best).unwrap(), words, "the best is never removed");
            }
            None => assert_eq!(folder.steps().unwrap(), [7, 8]),
        }
    }
}

/// What was to stay before a better one is there until that one is.
#[test]
fn a_best_one_that_is_still_to_be_saved_holds_the_others_back() {
    let home = tempfile::tempdir().unwrap();
    let models = after_each_step(&home.path().join("trained"));
    let mut folder = CheckpointFolder::new(home.path().join("kept")).unwrap();
    let mut keep = |step: u64, best| {
        folder.keep(&models[step as usize - 1], step, 1, best).unwrap();
        folder.finish().unwrap();
        folder.steps().unwrap()
    };
    assert_eq!(keep(2, Some(2)), [2]);
    assert_eq!(keep(3, Some(5)), [2, 3]);
    assert_eq!(keep(4, Some(5)), [2, 3, 4]);
    assert_eq!(keep(5, Some(5)), [5]);
    // Training has gone back: the best is newer, and there.
    assert_eq!(keep(3, Some(5)), [3, 5]);
    assert_eq!(keep(4, Some(5)), [4, 5]);
}

fn scratch(target: &str, end: &str) -> String {
    format!(".keepnet-scratch-{target}-{end}")
}

/// What processes have left that died while they saved checkpoints goes when the folder is used anew,
/// and nothing else.
#[test]
fn scratch_files_of_dead_processes_go_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    train(1, home.path()).unwrap();
    let whole = fs::read(path("step-0000008.knet")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(path(name), bytes).unwrap();
        path(name)
    };
    let step = "step-0000450.knet";
    let gone = [
        write(&scratch(step, "1f-0"), b""),
        write(&scratch(step, "1f-1"), &whole[..5]),
        write(&scratch(step, "1f-2"), &whole[..1000]),
        write(&scratch("step-12345678.knet", "ab-c"), &whole),
        write(&scratch(step, "1f-3"), &[0; 4096]),
    ];
    let stay = [
        write("notes.txt", b"mine"),
        write(&scratch(step, "1f-4"), b"my own words"),
        write(&scratch(step, "1f"), &whole),
        write(&scratch(step, "1f-x"), &whole),
        write(&scratch("step-450.knet", "1f-5"), &whole),
        write(&scratch("model.knet", "1f-6"), &whole),
        write(&scratch("step-0000450", "1f-7"), &whole),
        write(&format!("my{}", scratch(step, "1f-8")), &whole),
    ];
    let [directory, link, hard, held] =
        ["20-0", "20-1", "20-2", "20-3"].map(|end| path(&scratch(step, end)));
    fs::create_dir(&directory).unwrap();
    symlink("step-0000008.knet", &link).unwrap();
    fs::hard_link(path("step-0000008.knet"), &hard).unwrap();
    fs::write(&held, &whole).unwrap();
    let writer = fs::File::open(&held).unwrap();
    writer.lock_shared().unwrap();

    newest_checkpoint(home.path()).unwrap().found.unwrap();
    assert!(gone.iter().all(|path| path.exists()), "looking for the newest changes nothing");
    CheckpointFolder::new(home.path()).unwrap();
    for path in &gone {
        assert!(!path.exists(), "{}", path.display());
    }
    for path in stay.iter().chain([&directory, &link, &hard, &held]) {
        assert!(path.symlink_metadata().is_ok(), "{}", path.display());
    }
    assert_eq!(CheckpointFolder::new(home.path()).unwrap().steps().unwrap(), [4, 6, 8]);

    drop(writer);
    CheckpointFolder::new(home.path()).unwrap();
    assert!(!held.exists(), "its writer is dead now");
}

/// Whoever looks while training goes on finds the last that was saved, or a newer one, though others
/// are rotated away meanwhile.
#[test]
fn the_newest_is_found_while_others_are_rotated_away() {
    let home = tempfile::tempdir().unwrap();
    let trained = home.path().join("trained");
    train(1, &trained).unwrap();
    let steps = CheckpointFolder::new(&trained).unwrap().steps().unwrap();
    let models: Vec<_> = (steps.iter())
        .map(|step| Model::load(trained.join(format!("step-{step:07}.knet"))).unwrap())
        .collect();
    let saved = AtomicU64::new(0);
    thread::scope(|scope| {
        let mut folder = None;
        for round in 0..40 {
            // A folder anew, so that steps begin anew.
            let path = home.path().join(round.to_string());
            let checkpoints = folder.insert(CheckpointFolder::new(&path).unwrap());
            saved.store(0, Ordering::SeqCst);
            let reader = scope.spawn(|| {
                let path = path;
                loop {
                    let last = saved.load(Ordering::SeqCst);
                    let newest = newest_checkpoint(&path).unwrap().found;
                    let step = newest.map_or(0, |(_, model)| model.steps());
                    assert!(step >= last, "step {step} is found after step {last}");
                    if Some(&last) == steps.last() {
                        break;
                    }
                }
            });
            for (model, &step) in models.iter().zip(&steps) {
                checkpoints.keep(model, step, 1, None).unwrap();
                checkpoints.finish().unwrap();
                saved.store(step, Ordering::SeqCst);
            }
            reader.join().unwrap();
        }
    });
}

/// Training could not go on in it, and what a newer keepnet wrote is no damage.
#[test]
fn checkpoints_of_a_newer_keepnet_are_passed_over_by_that_name() {
    let home = tempfile::tempdir().unwrap();
    train(1, home.path()).unwrap();
    let path = home.path().join("step-0000008.knet");
    let bytes = fs::read(&path).unwrap();
    for id in ["compile", "optimizer", "training"] {
        let mut newer = Container::take_apart(&bytes);
        newer.version = [1, 3, 0];
        let later = "\"schema\": 3,\n  \"anything\": [null]";
        fs::write(&path, newer.replacing(id, "\"schema\": 1", later)).unwrap();
        let NewestCheckpoint { found, skipped } = newest_checkpoint(home.path()).unwrap();
        assert_eq!(found.unwrap().1.steps(), 6, "{id}");
        let [(skipped, doubt)] = &skipped[..] else { panic!("{skipped:?}") };
        assert_eq!(skipped, &path);
        assert!(matches!(doubt, Doubt::Newer { sections } if sections.contains(&id.to_owned())));
        assert!(doubt.to_string().contains("update keepnet"), "{id}: {doubt}");
    }
}

#[test]
fn checkpoints_beyond_the_limits_are_passed_over() {
    let home = tempfile::tempdir().unwrap();
    train(1, home.path()).unwrap();
    let limits = Limits { memory: 1_000, ..Limits::default() };
    let newest = newest_checkpoint_with(home.path(), &limits).unwrap();
    assert!(newest.found.is_none());
    assert_eq!(newest.skipped.len(), 3);
    assert!(newest.skipped[0].1.to_string().contains("raise `Limits::memory`"));
    assert!(newest_checkpoint(home.path()).unwrap().found.is_some());
}
