//! W1 as a SavedModel: keepnet beside TensorFlow, tf-keras and Keras 3.

use std::error::Error;

use keepnet::format::{Format, SaveOptions};

use crate::figures::Figure;
use crate::forms::Forms;
use crate::in_turn::{Timing, in_turn};
use crate::peer::Peer;

/// Names an interpreter that has TensorFlow and both Kerases.
const PYTHON: &str = "KEEPNET_KERAS_PYTHON";

pub(crate) fn of_tensorflow(
    forms: &Forms<'_>,
    rounds: usize,
) -> Result<Vec<Figure>, Box<dyn Error>> {
    const FORM: Format = Format::SavedModel;
    let all = SaveOptions::default();
    forms.put(FORM, "ours", all)?;
    forms.put_bare(FORM, "bare")?;
    let tensorflow = Peer::start(PYTHON, "tensorflow_files.py", forms.folder())?;
    let asked = |work| tensorflow.as_ref().map(|tensorflow| tensorflow.work(work));
    let theirs = |name| tensorflow.as_ref().and_then(|_| forms.load(name));
    let timings = vec![
        Timing::new(
            "savedmodel_save_ms",
            "ms: W1 as a SavedModel, to a file system in memory",
            forms.save(FORM, "ours", all),
        ),
        Timing::new(
            "savedmodel_save_fsync_ms",
            "ms, flushed and put in place",
            forms.save_flushed(FORM, "ours", all),
        ),
        Timing::new(
            "savedmodel_load_ms",
            "ms, with all that keepnet keeps there, every check included",
            forms.load("ours"),
        ),
        Timing::new(
            "savedmodel_bare_load_ms",
            "ms, without that, by its operations",
            forms.load("bare"),
        ),
        Timing::new(
            "savedmodel_in_tf_load_ms",
            "ms, keepnet's in TensorFlow: `tf.saved_model.load`",
            asked("load"),
        )
        .first("savedmodel_in_tf_load_first_ms"),
        Timing::new(
            "savedmodel_in_tf_save_ms",
            "ms, that saved again: `tf.saved_model.save`",
            asked("save"),
        )
        .first("savedmodel_in_tf_save_first_ms"),
        Timing::new(
            "tf_keras_in_tf_keras_save_ms",
            "ms, in tf-keras, with Adam: `save`",
            asked("tf_keras_save"),
        )
        .first("tf_keras_in_tf_keras_save_first_ms"),
        Timing::new("tf_keras_load_ms", "ms, that in keepnet, Adam included", theirs("tf_keras")),
        Timing::new(
            "tf_keras_in_tf_keras_load_ms",
            "ms, that in tf-keras: `load_model`",
            asked("tf_keras_load"),
        )
        .first("tf_keras_in_tf_keras_load_first_ms"),
        Timing::new("keras_export_in_keras_save_ms", "ms, in Keras 3: `export`", asked("export"))
            .first("keras_export_in_keras_save_first_ms"),
        Timing::new(
            "keras_export_load_ms",
            "ms, that in keepnet, by its operations",
            theirs("exported"),
        ),
        Timing::new(
            "keras_export_in_tf_load_ms",
            "ms, that in TensorFlow: `tf.saved_model.load`",
            asked("exported_load"),
        )
        .first("keras_export_in_tf_load_first_ms"),
    ];
    in_turn(rounds, timings)
}
