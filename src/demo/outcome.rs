//! Everything measured, as one JSON object. The help text promises its members.

use std::io::{self, Write};

use crate::model::EpochRecord;
use crate::nn::Model;
use crate::report::summary;
use serde_json::{Map, Value, json};

use super::data::Data;
use super::kept::{Kept, Out};
use super::recipe::Recipe;
use super::scores::Scores;
use super::training::Trained;

/// What there is to tell in the end.
pub(crate) struct Outcome<'a> {
    pub(crate) data: &'a Data,
    pub(crate) recipe: &'a Recipe,
    pub(crate) model: &'a Model,
    pub(crate) trained: &'a Trained,
    pub(crate) kept: &'a [Kept],
    pub(crate) out: &'a Out,
    pub(crate) ending: &'a Ending,
}

/// How it ended.
pub(crate) enum Ending {
    Done(Scores),
    /// With the command that goes on.
    Interrupted {
        resume: String,
    },
}

impl Outcome<'_> {
    pub(crate) fn write_json(&self, mut to: impl Write) -> io::Result<()> {
        let Self { data, recipe, model, trained, kept, out, ending } = self;
        let (scores, resume) = match ending {
            Ending::Done(scores) => (Some(scores), None),
            Ending::Interrupted { resume } => (None, Some(resume)),
        };
        let object = json!({
            "interrupted": resume.is_some(),
            "resume": resume,
            "data": {
                "name": data.name,
                "train_images": data.train.len(),
                "validation_images": data.validation.len(),
                "image_shape": data.train.inputs()[0].shape().dims(),
                "classes": data.classes.len(),
            },
            "network": summary(model.graph()),
            "settings": {
                "epochs": recipe.epochs,
                "batch_size": recipe.batch_size,
                "seed": recipe.seed.to_string(),
                "schedule": recipe.schedule,
                "early_stopping": recipe.early_stopping,
                "threads": rayon::current_num_threads(),
            },
            "training": {
                "images": trained.images,
                "seconds": trained.time.as_secs_f64(),
                "images_per_second": trained.images_per_second(),
                "checkpoints": trained.checkpoints.as_ref().map(|checkpoints| json!({
                    "saved": checkpoints.saved,
                    "held_up_seconds": checkpoints.held_up.as_secs_f64(),
                })),
                "epochs": model.history().epochs.iter().map(epoch).collect::<Vec<_>>(),
            },
            "evaluation": scores.map(Scores::figures),
            "saved": kept,
            "pictures": scores.map(|_| json!({
                "predictions": out.predictions.to_string_lossy(),
                "training": out.training.to_string_lossy(),
            })),
        });
        writeln!(to, "{object}")?;
        to.flush()
    }
}

fn epoch(record: &EpochRecord) -> Value {
    let figures = record.values.iter().map(|(name, value)| (name.clone(), json!(value)));
    let number = ("epoch".to_owned(), json!(record.epoch + 1));
    Value::Object(Map::from_iter(std::iter::once(number).chain(figures)))
}
