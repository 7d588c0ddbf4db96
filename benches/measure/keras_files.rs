//! W1 in the files of Keras: keepnet beside Keras.

use std::error::Error;

use keepnet::format::{Format, SaveOptions};

use crate::figures::Figure;
use crate::forms::Forms;
use crate::in_turn::{Timing, in_turn};
use crate::peer::Peer;

/// Names an interpreter that has Keras.
const PYTHON: &str = "KEEPNET_TF_PYTHON";

pub(crate) fn of_keras(forms: &Forms<'_>, rounds: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    const ARCHIVE: (Format, &str) = (Format::Keras, "ours.keras");
    const HDF5: (Format, &str) = (Format::Hdf5, "ours.h5");
    let all = SaveOptions::default();
    for (form, ours, bare) in [(ARCHIVE.0, ARCHIVE.1, "bare.keras"), (HDF5.0, HDF5.1, "bare.h5")] {
        forms.put(form, ours, all)?;
        forms.put_bare(form, bare)?;
    }
    let keras = Peer::start(PYTHON, "keras_files.py", forms.folder())?;
    let asked = |work| keras.as_ref().map(|keras| keras.work(work));
    let theirs = |name| keras.as_ref().and_then(|_| forms.load(name));
    let save = |(form, name)| forms.save(form, name, all);
    let save_flushed = |(form, name)| forms.save_flushed(form, name, all);
    let timings = vec![
        Timing::new(
            "keras_save_ms",
            "ms: W1 as `.keras`, to a file system in memory",
            save(ARCHIVE),
        ),
        Timing::new("keras_in_keras_save_ms", "ms, in Keras: `save`", asked("keras_save"))
            .first("keras_in_keras_save_first_ms"),
        Timing::new("keras_save_fsync_ms", "ms, flushed and put in place", save_flushed(ARCHIVE)),
        Timing::new(
            "keras_load_ms",
            "ms, with all that keepnet keeps there, every check included",
            forms.load(ARCHIVE.1),
        ),
        Timing::new(
            "keras_bare_load_ms",
            "ms, without that, as Keras sees the file (goal: 4)",
            forms.load("bare.keras"),
        ),
        Timing::new(
            "keras_theirs_load_ms",
            "ms, a file that Keras wrote (goal: 4)",
            theirs("theirs.keras"),
        ),
        Timing::new(
            "keras_in_keras_load_ms",
            "ms, the same file in Keras: `load_model`",
            asked("keras_load"),
        )
        .first("keras_in_keras_load_first_ms"),
        Timing::new("h5_save_ms", "ms: W1 as `.h5`, to a file system in memory", save(HDF5)),
        Timing::new("h5_in_keras_save_ms", "ms, in Keras: `save`", asked("h5_save"))
            .first("h5_in_keras_save_first_ms"),
        Timing::new("h5_save_fsync_ms", "ms, flushed and put in place", save_flushed(HDF5)),
        Timing::new(
            "h5_load_ms",
            "ms, with all that keepnet keeps there, every check included",
            forms.load(HDF5.1),
        ),
        Timing::new(
            "h5_bare_load_ms",
            "ms, without that, as Keras sees the file (goal: 3)",
            forms.load("bare.h5"),
        ),
        Timing::new(
            "h5_theirs_load_ms",
            "ms, a file that Keras wrote (goal: 3)",
            theirs("theirs.h5"),
        ),
        Timing::new(
            "h5_in_keras_load_ms",
            "ms, the same file in Keras: `load_model`",
            asked("h5_load"),
        )
        .first("h5_in_keras_load_first_ms"),
    ];
    in_turn(rounds, timings)
}
