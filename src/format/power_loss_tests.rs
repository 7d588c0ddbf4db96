//! The power fails at any moment of a save: whatever of it has reached the disk, the old model or
//! the new one is there, whole; once the save has returned, the new one. What a disk may keep or
//! lose is told in `bytes::fs::simulated::power`.
//!
//! Checkpoints that are rotated are tested in `saving::folder`. `KEEPNET_LONG=1` tries more disks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use rustix::io::Errno;

use super::{Format, FormatError, Limits, load_on, save_on, to_bytes};
use crate::bytes::atomic::{AtomicError, Stands};
use crate::bytes::fs::simulated::power::Survey;
use crate::bytes::fs::simulated::{Image, SimulatedFs, Trouble};
use crate::model::{Activation, Checkpoint, NamedTensor, Sequential};
use crate::tensor::{DType, Shape, Tensor};

/// What somebody does. A model is told by its number.
#[derive(Clone, Copy, Debug)]
enum Act {
    Save(&'static str, u8),
    /// A save whose process dies when the new model stands, before that is flushed.
    Killed(&'static str, u8),
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Model(u8),
    /// Neither nothing nor a model that loads and is as it was saved.
    Broken,
}

#[derive(Clone, Copy, Debug)]
struct Scenario {
    form: Format,
    acts: &'static [Act],
}

const FIRST: &[Act] = &[Act::Save("model", 1)];
const OVERWRITE: &[Act] = &[Act::Save("model", 1), Act::Save("model", 2)];
const OVERWRITE_AFTER_A_CRASH: &[Act] =
    &[Act::Save("model", 1), Act::Killed("model", 2), Act::Save("model", 3)];
const BESIDE_OTHERS: &[Act] = &[Act::Save("a", 1), Act::Save("b", 2), Act::Save("a", 3)];

fn scenarios() -> impl Iterator<Item = Scenario> {
    let forms = [Format::File, Format::Directory];
    let acts = [FIRST, OVERWRITE, OVERWRITE_AFTER_A_CRASH, BESIDE_OTHERS];
    forms.into_iter().flat_map(move |form| acts.map(|acts| Scenario { form, acts }))
}

/// Models of odd and of even numbers differ in size.
fn model(number: u8) -> Checkpoint<'static> {
    let units = 3 + 40 * usize::from(number % 2);
    let graph = Sequential::new(Shape::from([2])).dense(units, Activation::Relu).graph().unwrap();
    let tensor = |shape: &Shape| {
        let bytes = vec![number; 4 * shape.checked_elements().unwrap()];
        Tensor::new(DType::F32, shape.clone(), bytes).unwrap()
    };
    let tensors = (graph.parameters().iter())
        .map(|parameter| NamedTensor::new(graph.tensor_name(parameter), tensor(&parameter.shape)))
        .collect();
    Checkpoint {
        metadata: BTreeMap::from([("number".to_owned(), number.to_string())]),
        ..Checkpoint::new(graph, tensors)
    }
}

/// What was done.
struct Run {
    fs: SimulatedFs,
    /// Each with the events before its beginning and before its end.
    acts: Vec<(Act, Range<usize>)>,
}

impl Scenario {
    fn run(&self, block: usize, trouble: Trouble) -> Run {
        let fs = SimulatedFs::new(Image::empty(), block, trouble);
        let acts = self.acts.iter().map(|&act| {
            let start = fs.events();
            match act {
                Act::Save(path, number) => {
                    save_on(&fs, &model(number), Path::new(path), self.form).unwrap();
                }
                Act::Killed(path, number) => {
                    let save =
                        |fs: &SimulatedFs| save_on(fs, &model(number), Path::new(path), self.form);
                    let last = (0..).find(|call| {
                        let fail = Some((*call, Errno::IO));
                        let trouble = Trouble { fail, persistent: true, skip_sync: None };
                        new_stands(&save(&SimulatedFs::new(fs.image(), block, trouble)))
                    });
                    let fail = last.map(|call| (fs.calls() + call, Errno::IO));
                    fs.set_trouble(Trouble { fail, persistent: true, ..trouble });
                    assert!(new_stands(&save(&fs)));
                    fs.set_trouble(trouble);
                }
            }
            (act, start..fs.events())
        });
        let acts = acts.collect();
        Run { fs, acts }
    }

    fn paths(&self) -> BTreeSet<&'static str> {
        self.acts.iter().map(|act| act.path()).collect()
    }
}

impl Act {
    fn path(self) -> &'static str {
        match self {
            Self::Save(path, _) | Self::Killed(path, _) => path,
        }
    }
}

impl Run {
    /// What may stand at `path` after a loss of power at that moment.
    fn allowed(&self, path: &str, moment: usize) -> BTreeSet<Found> {
        let mut allowed = BTreeSet::from([Found::Nothing]);
        for (act, events) in self.acts.iter().filter(|(act, _)| act.path() == path) {
            match *act {
                _ if moment <= events.start => break,
                Act::Save(_, number) if events.end <= moment => {
                    allowed = BTreeSet::from([Found::Model(number)]);
                }
                Act::Save(_, number) | Act::Killed(_, number) => {
                    allowed.insert(Found::Model(number));
                }
            }
        }
        allowed
    }
}

/// Looks at disks, and remembers what it has seen.
#[derive(Default)]
struct Examiner {
    saved_again: usize,
    models: HashMap<u64, Found>,
}

impl Examiner {
    fn found(&mut self, disk: &Image, path: &str) -> Found {
        let Some(print) = disk.fingerprint(Some(path)) else { return Found::Nothing };
        *self.models.entry(print).or_insert_with(|| {
            let fs = SimulatedFs::new(disk.clone(), 1, Trouble::default());
            load(&fs, path).map_or(Found::Broken, Found::Model)
        })
    }

    /// The first disk that a loss of power can leave on which something is wrong.
    fn examine(
        &mut self,
        scenario: &Scenario,
        run: &Run,
        survey: &mut Survey,
    ) -> Result<(), String> {
        let mut seen = 0;
        survey.examine(&run.fs, |number, disk, new| {
            for path in scenario.paths() {
                let (allowed, found) = (run.allowed(path, number), self.found(&disk, path));
                if !allowed.contains(&found) {
                    return Err(format!(
                        "{scenario:?}, after event {number}: {found:?} stands at {path}, \
                         not one of {allowed:?}"
                    ));
                }
            }
            seen += usize::from(new);
            if new && seen.is_multiple_of(16) {
                self.save_again(scenario, disk);
            }
            Ok(())
        })
    }

    /// After the next saves there are the models and nothing else.
    fn save_again(&mut self, scenario: &Scenario, disk: Image) {
        self.saved_again += 1;
        let fs = SimulatedFs::new(disk, 512, Trouble::default());
        for path in scenario.paths() {
            save_on(&fs, &model(9), Path::new(path), scenario.form).unwrap();
            assert_eq!(load(&fs, path), Some(9));
        }
        let names: BTreeSet<_> =
            fs.image().names().map(|name| name.to_str().unwrap().to_owned()).collect();
        assert_eq!(names, scenario.paths().into_iter().map(str::to_owned).collect());
    }
}

fn new_stands<T>(result: &Result<T, FormatError>) -> bool {
    let cause = result.as_ref().map_err(FormatError::cause);
    matches!(cause, Err(FormatError::NotSaved(AtomicError::Io { stands: Stands::New, .. })))
}

/// The number of the model at `path`, if it is in every bit as it was saved.
fn load(fs: &SimulatedFs, path: &str) -> Option<u8> {
    let checkpoint = load_on(fs, Path::new(path), &Limits::default()).ok()?;
    let number = checkpoint.metadata["number"].parse().unwrap();
    (to_bytes(&checkpoint).unwrap() == to_bytes(&model(number)).unwrap()).then_some(number)
}

#[test]
fn a_loss_of_power_leaves_the_old_or_the_new_model() {
    let long = std::env::var_os("KEEPNET_LONG").is_some();
    let (blocks, limit): (&[usize], _) = if long { (&[512, 64], 2_000) } else { (&[64], 64) };
    let (mut examiner, mut survey) = (Examiner::default(), Survey::new(limit));
    for scenario in scenarios() {
        for &block in blocks {
            let run = scenario.run(block, Trouble::default());
            examiner.examine(&scenario, &run, &mut survey).unwrap();
        }
    }
    let (Survey { moments, disks, .. }, distinct) = (&survey, survey.distinct());
    println!(
        "figures: power loss in a save: {moments} moments, {disks} disks, {distinct} distinct, {} \
         saved to again, 0 without a whole model",
        examiner.saved_again
    );
    assert!(distinct > if long { 100_000 } else { 2_000 }, "{distinct}");
}

/// So none is there for nothing, and the test above can fail.
#[test]
fn without_any_one_flush_a_model_can_be_lost() {
    let mut skipped = 0;
    for scenario in scenarios() {
        for sync in 0..scenario.run(512, Trouble::default()).fs.syncs() {
            let trouble = Trouble { skip_sync: Some(sync), ..Trouble::default() };
            let run = scenario.run(512, trouble);
            let lost = Examiner::default().examine(&scenario, &run, &mut Survey::new(64));
            assert!(lost.is_err(), "{scenario:?} does not need flush {sync}");
            skipped += 1;
        }
    }
    println!("figures: power loss in a save: {skipped} flushes left out, each found");
    assert!(skipped > 40, "{skipped}");
}
