//! The power fails, or the process dies and the power fails later, at any moment while checkpoints
//! are saved and rotated. All checkpoints that are to stay after one save are there, whole, or all
//! that are to stay after the next; what is found to go on from is never older than the last that
//! was saved. What a disk may keep or lose is told in `bytes::fs::simulated::power`.
//!
//! `KEEPNET_LONG=1` tries more disks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::Path;

use rustix::io::Errno;

use super::checkpoints::{Checkpoints, Known};
use super::newest::newest_on;
use super::{CheckpointError, NewestCheckpoint};
use crate::bytes::fs::Fs;
use crate::bytes::fs::simulated::power::Survey;
use crate::bytes::fs::simulated::{Image, SimulatedFs, Trouble};
use crate::format::{self, Format, Limits};
use crate::model::{Activation, Checkpoint, Loss, Optimizer, Sequential};
use crate::nn::Model;
use crate::tensor::{Samples, Shape, Targets};
use crate::train::callbacks::{CheckpointStore, Every, ModelCheckpoint};
use crate::train::{CallbackError, Dataset, FitOptions};

const FOLDER: &str = "checkpoints";
const LAST: usize = 2;
/// The steps of the optimizer, and the best so far at each of them.
const STEPS: [(u64, Option<u64>); 6] =
    [(1, None), (2, Some(2)), (3, Some(2)), (4, Some(2)), (5, Some(5)), (6, Some(5))];

type Trained = BTreeMap<u64, Checkpoint<'static>>;

/// Takes copies of all checkpoints.
struct Copies<'c>(&'c mut Trained);

impl CheckpointStore for Copies<'_> {
    fn keep(
        &mut self,
        model: &Model,
        step: u64,
        _: usize,
        _: Option<u64>,
    ) -> Result<(), CallbackError> {
        self.0.insert(step, model.to_checkpoint().into_owned());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// The checkpoints of a training after each step.
fn train(seed: u64) -> Trained {
    let net = Sequential::new(Shape::from([2])).dense(2, Activation::Softmax);
    let mut model = net.build(seed).unwrap();
    model.compile(Optimizer::sgd(0.1, 0.9), Loss::SparseCategoricalCrossentropy).unwrap();
    let points: Vec<_> = (0..12_u8).map(f32::from).collect();
    let points = Samples::new(6, Shape::from([2]), points).unwrap();
    let data = Dataset::new(points, Targets::Classes(vec![0, 1, 0, 1, 1, 0].into())).unwrap();
    let options = FitOptions { epochs: 1, batch_size: 1, ..FitOptions::default() };
    let mut trained = Trained::new();
    let mut callback = ModelCheckpoint::new(Copies(&mut trained), Every::Steps(1));
    model.fit_with(&data, &options, &mut callback).unwrap();
    assert_eq!(trained.len(), STEPS.len());
    trained
}

/// A save of a checkpoint, its rotation included.
#[derive(Debug)]
struct Save {
    step: u64,
    /// The events before its beginning and before its end.
    events: Range<usize>,
    acknowledged: bool,
    /// The steps that are to stay when it stands.
    stay: BTreeSet<u64>,
}

struct Run {
    fs: SimulatedFs,
    saves: Vec<Save>,
    /// The events before what another training has put there.
    foreign: usize,
}

/// When a process dies.
#[derive(Clone, Copy, Debug)]
struct Death {
    /// It saves this step.
    step: u64,
    /// So many calls of that save it has made.
    call: usize,
    /// It has saved nothing before, and has to look at what stands.
    is_new: bool,
}

struct Trainings {
    ours: Trained,
    other: Trained,
}

impl Trainings {
    fn new() -> Self {
        Self { ours: train(1), other: train(2) }
    }

    /// Saves all steps into a folder that holds a checkpoint of another training. After a death
    /// another process goes on, which saves that step again only if it is the best. Gives how many
    /// calls the save took that was to be cut off, too.
    fn run(&self, block: usize, trouble: Trouble, death: Option<Death>) -> (Run, usize) {
        let fs = SimulatedFs::new(Image::empty(), block, trouble);
        let path = Path::new(FOLDER);
        let mut checkpoints = Checkpoints::create(&fs, path).unwrap();
        let mut known = Known::default();
        let foreign = checkpoints.path_of(0);
        format::save_on(&fs, &self.other[&1], &foreign, Format::File).unwrap();
        let foreign = fs.events();
        let (mut saves, mut calls) = (Vec::new(), 0);
        let mut steps: VecDeque<_> = STEPS.into();
        let mut death = death;
        while let Some((step, best)) = steps.pop_front() {
            let older = standing(&fs).into_iter().filter(|&older| older > 0 && older < step);
            let start = (fs.events(), fs.calls());
            let dies = death.take_if(|death| death.step == step);
            if let Some(Death { call, is_new, .. }) = dies {
                if is_new {
                    known = Known::default();
                }
                let fail = Some((start.1 + call, Errno::IO));
                fs.set_trouble(Trouble { fail, persistent: true, ..trouble });
            }
            let kept = checkpoints.keep(&self.ours[&step], step, LAST, best, &mut known);
            saves.push(Save {
                step,
                events: start.0..fs.events(),
                acknowledged: kept.is_ok(),
                stay: older.rev().take(LAST - 1).chain(best).chain([step]).collect(),
            });
            if dies.is_none() {
                kept.unwrap();
                continue;
            }
            calls = fs.calls() - start.1;
            fs.set_trouble(trouble);
            checkpoints = Checkpoints::create(&fs, path).unwrap();
            known = Known::default();
            assert_eq!(scratch_files(&fs), 0, "{dies:?}");
            if best == Some(step) {
                // Whoever goes on comes to the best once more.
                steps.push_front((step, best));
            }
        }
        drop(checkpoints);
        (Run { fs, saves, foreign }, calls)
    }

    /// What is wrong with a disk that the power leaves after so many events.
    fn fault(&self, run: &Run, number: usize, disk: &Image) -> Option<String> {
        let fs = SimulatedFs::new(disk.clone(), 512, Trouble::default());
        let is_whole = |step: u64, of: &Checkpoint<'_>| {
            let path = Path::new(FOLDER).join(format!("step-{step:07}.knet"));
            let found = format::load_on(&fs, &path, &Limits::default());
            found.is_ok_and(|found| bytes(&found) == bytes(of))
        };
        if number >= run.foreign && !is_whole(0, &self.other[&1]) {
            return Some("the checkpoint of another training is lost".to_owned());
        }
        let begun = || run.saves.iter().filter(|save| save.events.start < number);
        let last = begun().rfind(|save| save.acknowledged && save.events.end <= number);
        let last = last.map_or(0, |save| save.step);
        let whole: BTreeSet<_> = self
            .ours
            .iter()
            .filter(|(step, of)| is_whole(**step, of))
            .map(|(&step, _)| step)
            .collect();
        let stay = || begun().filter(|save| save.step >= last);
        if last > 0 && !stay().any(|save| save.stay.is_subset(&whole)) {
            let stay: Vec<_> = stay().map(|save| &save.stay).collect();
            return Some(format!("{whole:?} are whole, but none of {stay:?}"));
        }
        if last > 0 {
            let newest = newest_on(&fs, Path::new(FOLDER), &Limits::default());
            let Ok(NewestCheckpoint { found: Some((_, model)), .. }) = &newest else {
                return Some(format!("{newest:?} is found after step {last}"));
            };
            let step = model.steps();
            if step < last || bytes(&model.to_checkpoint()) != bytes(&self.ours[&step]) {
                return Some(format!("step {step} is found after step {last}"));
            }
        }
        None
    }

    /// The first disk on which something is wrong.
    fn examine(&self, run: &Run, survey: &mut Survey) -> Result<(), String> {
        let mut wrong = BTreeMap::new();
        survey.examine(&run.fs, |number, disk, _| {
            // Disks that look alike are looked at once in each phase.
            let passed = |at: usize| usize::from(number >= at);
            let bounds = run.saves.iter().flat_map(|save| [save.events.start + 1, save.events.end]);
            let phase: usize = bounds.map(passed).sum::<usize>() + passed(run.foreign);
            let key = (phase, disk.fingerprint(None));
            let fault = wrong.entry(key).or_insert_with(|| self.fault(run, number, &disk));
            match fault {
                None => Ok(()),
                Some(fault) => Err(format!("after event {number}: {fault}")),
            }
        })
    }
}

fn bytes(checkpoint: &Checkpoint<'_>) -> Vec<u8> {
    format::to_bytes(checkpoint).unwrap()
}

/// The steps of the checkpoints that there are by name.
fn standing(fs: &SimulatedFs) -> Vec<u64> {
    let fs = SimulatedFs::new(fs.image(), 512, Trouble::default());
    Checkpoints::open(&fs, Path::new(FOLDER)).unwrap().steps().unwrap()
}

fn scratch_files(fs: &SimulatedFs) -> usize {
    let fs = SimulatedFs::new(fs.image(), 512, Trouble::default());
    let folder = fs.open_path(Path::new(FOLDER)).unwrap();
    let names = fs.names(&folder).unwrap().map(Result::unwrap);
    names.filter(|name| name.to_str().unwrap().starts_with('.')).count()
}

/// How many calls a save makes that is not cut off.
fn calls(trainings: &Trainings, step: u64, is_new: bool) -> usize {
    let never = Death { step, call: usize::MAX - 1_000_000, is_new };
    trainings.run(512, Trouble::default(), Some(never)).1
}

#[test]
fn a_loss_of_power_leaves_the_checkpoints_of_one_save_or_of_the_next() {
    let long = std::env::var_os("KEEPNET_LONG").is_some();
    let (limit, stride) = if long { (1_000, 1) } else { (32, 5) };
    let trainings = Trainings::new();
    let mut deaths = vec![None];
    // Whoever knows what he has saved does not read it again.
    assert!(calls(&trainings, 5, true) > calls(&trainings, 5, false));
    // The fourth save removes an old one, the fifth the best as well.
    for (step, is_new) in [(4, true), (4, false), (5, true), (5, false)] {
        let calls = (0..calls(&trainings, step, is_new)).step_by(stride);
        deaths.extend(calls.map(|call| Some(Death { step, call, is_new })));
    }
    let mut survey = Survey::new(limit);
    for &death in &deaths {
        let block = if death.is_none() { 64 } else { 512 };
        survey.limit = if death.is_none() { limit } else { 32 };
        let (run, _) = trainings.run(block, Trouble::default(), death);
        trainings.examine(&run, &mut survey).unwrap_or_else(|fault| panic!("{death:?}, {fault}"));
        let stay = run.saves.last().unwrap().stay.iter().copied();
        assert_eq!(standing(&run.fs), [0].into_iter().chain(stay).collect::<Vec<_>>());
    }
    let Survey { moments, disks, .. } = survey;
    println!(
        "figures: power loss in a rotation: {} deaths, {moments} moments, {disks} disks, {} distinct, \
         0 without the newest and the best",
        deaths.len() - 1,
        survey.distinct()
    );
    assert!(survey.distinct() > if long { 100_000 } else { 2_000 }, "{}", survey.distinct());
}

/// So none is there for nothing, and the test above can fail.
#[test]
fn without_any_one_flush_a_checkpoint_can_be_lost() {
    let trainings = Trainings::new();
    let (whole, _) = trainings.run(512, Trouble::default(), None);
    for sync in 0..whole.fs.syncs() {
        let trouble = Trouble { skip_sync: Some(sync), ..Trouble::default() };
        let (run, _) = trainings.run(512, trouble, None);
        let lost = trainings.examine(&run, &mut Survey::new(64));
        assert!(lost.is_err(), "flush {sync} is not needed");
    }
    println!(
        "figures: power loss in a rotation: {} flushes left out, each found",
        whole.fs.syncs()
    );
    assert_eq!(whole.fs.syncs(), 1 + 2 + 2 * STEPS.len());
}

/// Each call of a save fails in turn, alone. Nothing foreign goes, and the error says what stands.
#[test]
fn when_a_call_fails_the_error_says_what_stands() {
    let trainings = Trainings::new();
    let path = Path::new(FOLDER);
    // Whoever has just begun looks at more.
    for (is_new, at_least) in [(true, 30), (false, 20)] {
        for call in 0.. {
            let fs = SimulatedFs::new(Image::empty(), 512, Trouble::default());
            let checkpoints = Checkpoints::create(&fs, path).unwrap();
            let foreign = checkpoints.path_of(0);
            format::save_on(&fs, &trainings.other[&1], &foreign, Format::File).unwrap();
            let mut known = Known::default();
            for (step, best) in STEPS.into_iter().take(3) {
                checkpoints.keep(&trainings.ours[&step], step, LAST, best, &mut known).unwrap();
            }
            if is_new {
                known = Known::default();
            }
            let failing = fs.calls() + call;
            fs.set_trouble(Trouble { fail: Some((failing, Errno::IO)), ..Trouble::default() });
            let kept = checkpoints.keep(&trainings.ours[&4], 4, LAST, Some(2), &mut known);
            let untroubled = fs.calls() <= failing;
            let case = format!("call {call}: {kept:?}");
            let steps = standing(&fs);
            assert!(steps.starts_with(&[0]) && steps.contains(&2) && steps.contains(&3), "{case}");
            let new = match kept {
                Ok(()) | Err(CheckpointError::NotRotated { .. }) => true,
                Err(CheckpointError::NotSaved { .. }) => false,
                Err(CheckpointError::Model(error)) => {
                    error.to_string().contains("the new one stands")
                }
                Err(error) => panic!("{case}: {error}"),
            };
            assert_eq!(steps.contains(&4), new, "{case}");
            if untroubled {
                assert!(call > at_least, "only {call} calls");
                break;
            }
        }
    }
}

/// A sound checkpoint of another training that cannot be read is not taken for a damaged one.
#[test]
fn what_cannot_be_read_is_not_replaced() {
    let trainings = Trainings::new();
    let path = Path::new(FOLDER);
    let before = SimulatedFs::new(Image::empty(), 512, Trouble::default());
    let checkpoints = Checkpoints::create(&before, path).unwrap();
    format::save_on(&before, &trainings.other[&1], &checkpoints.path_of(1), Format::File).unwrap();
    for call in 0..100 {
        let fs = SimulatedFs::new(before.image(), 512, Trouble::default());
        let checkpoints = Checkpoints::open(&fs, path).unwrap();
        let fail = Some((fs.calls() + call, Errno::IO));
        fs.set_trouble(Trouble { fail, ..Trouble::default() });
        checkpoints.keep(&trainings.ours[&1], 1, LAST, None, &mut Known::default()).unwrap_err();
        fs.set_trouble(Trouble::default());
        let standing = checkpoints.path_of(1);
        let found = format::load_on(&fs, &standing, &Limits::default()).unwrap();
        assert!(bytes(&found) == bytes(&trainings.other[&1]), "{call}");
    }
}
