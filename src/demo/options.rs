//! What can be asked of the program.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

/// Trains a convolutional network on MNIST, saves it in keepnet's forms and in those of Keras (with
/// --all-formats as SavedModel, safetensors and ONNX too), loads them back, and proves that every parameter and
/// prediction comes back bit for bit.
///
/// Without options it takes the 10,000 images of MNIST that are part of this program, so it needs
/// neither a download nor a folder.
#[derive(Debug, Parser)]
#[command(version, after_long_help = AFTER_HELP)]
pub(crate) struct Options {
    /// Epochs to train in all [default: 12; 4 of more than 20,000 images; with --resume, as before]
    ///
    /// With --resume those that the model has behind it count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) epochs: Option<u64>,

    /// Images per step [default: 128; with --resume, as before]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) batch_size: Option<usize>,

    /// Keys the first parameters and the order of the images [default: 0; with --resume, as before]
    ///
    /// The same seed and data give the same file, byte for byte, with any number of threads.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// What becomes of the learning rate [default: constant; with --resume, as before]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) schedule: Option<LearningRate>,

    /// End when the validation loss has not fallen for N epochs, with the parameters of the best one
    /// [default: all epochs are run; with --resume, as before]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) early_stopping: Option<u64>,

    /// Train on the first N images only [default: all; with --resume, as before]
    #[arg(long, value_name = "N", value_parser = count)]
    pub(crate) limit: Option<usize>,

    /// Take the data from a folder of the four files of MNIST, Fashion-MNIST or the like
    ///
    /// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    /// t10k-labels-idx1-ubyte, packed (.gz) or not. Images may have any size. Debian's package
    /// dataset-fashion-mnist puts such a folder at /usr/share/datasets/fashion-mnist.
    #[arg(long, value_name = "DIR", conflicts_with = "download")]
    pub(crate) data: Option<PathBuf>,

    /// Fetch all of MNIST into this folder first, then take the data from there
    ///
    /// 11 MB over the network, 55 MB on the disk. Files that are there already are kept if their
    /// digests are right.
    #[arg(long, value_name = "DIR")]
    pub(crate) download: Option<PathBuf>,

    /// Where the model and the pictures go
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub(crate) out: PathBuf,

    /// Save the model in every form that keepnet knows: as SavedModel, safetensors and ONNX too
    #[arg(long)]
    pub(crate) all_formats: bool,

    /// Go on training the model at OUT/mnist.knet, in the middle of an epoch if it stopped there
    #[arg(long)]
    pub(crate) resume: bool,

    /// Write checkpoints into this folder while training goes on; the last three and the best stay
    ///
    /// `keepnet resume DIR --out OUT` goes on from the newest, whatever has ended this program. The
    /// model that comes out is the same, byte for byte, with checkpoints and without.
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint_dir: Option<PathBuf>,

    /// Steps from one checkpoint to the next
    #[arg(
        long,
        value_name = "N",
        default_value_t = CHECKPOINT_EVERY,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) checkpoint_every: u64,

    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// Use nothing beyond ASCII, for consoles that cannot show more
    #[arg(long)]
    pub(crate) ascii: bool,

    /// Say nothing but errors
    #[arg(long)]
    pub(crate) quiet: bool,

    /// Write one JSON object with everything measured to standard output, the rest to standard error
    #[arg(long)]
    pub(crate) json: bool,
}

/// What becomes of the learning rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LearningRate {
    /// It stays as it is
    #[default]
    Constant,
    /// It falls to zero over the epochs that the run begins with, along half a wave of a cosine
    Cosine,
}

impl fmt::Display for LearningRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Cosine => "cosine",
        })
    }
}

/// Steps from one checkpoint to the next, unless told otherwise.
pub(crate) const CHECKPOINT_EVERY: u64 = 50;

/// A whole number from 1 on.
fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("1 or more is needed".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

const AFTER_HELP: &str = "\
What it writes:
  OUT/mnist.knet        the model as one file
  OUT/mnist_model/      the same model as a directory of NumPy arrays and a manifest
  OUT/mnist.keras       the same model for Keras 3 and tf-keras
  OUT/mnist.h5          the same model for Keras of any age, as HDF5
  OUT/mnist_savedmodel/, OUT/mnist.safetensors, OUT/mnist.onnx
                        the same model for TensorFlow, for whoever reads safetensors, and for
                        ONNX runtimes, with --all-formats
  OUT/training.png      loss and accuracy over the epochs
  OUT/predictions.png   test images with what the model says, and its most confident mistakes
  DIR/step-0000050.knet the model after 50 steps, and so on, with --checkpoint-dir DIR

Stopping it: Ctrl-C (or SIGTERM) during training finishes the step, saves the model and says how to
go on; a second one leaves at once. What was saved before is never damaged.

The object of --json has these members; sizes are in bytes, times in the unit that the name ends in:
  interrupted  whether training was stopped; then evaluation and pictures are null
  resume       the command that goes on, or null
  data         name, train_images, validation_images, image_shape, classes
  network      name, rows (one per layer: name, kind, output_shape, parameters, macs, ...),
               parameters, trainable, frozen, macs, bytes
  settings     epochs, batch_size, seed (text), schedule, early_stopping (null without), threads
  training     images, seconds, images_per_second (null if there was nothing left to train),
               checkpoints (saved, held_up_seconds; null without --checkpoint-dir),
               epochs (all the model has behind it: epoch, loss, accuracy, val_loss, val_accuracy)
  evaluation   images, loss, accuracy, confusion (classes, counts row by row, one row per true
               class), classes (precision, recall, f1, support)
  saved        for each form: form, path, files, bytes, sha256 (of the file; of the directory, the
               digest its manifest ends in; of a SavedModel, that of keepnet's index in it), save_ms, hidden (what Keras will not see of the
               model), and when loaded back: load_ms, parameters, identical_parameters (those that
               agree in every bit), predictions, identical (predictions that do), proof (whether the
               model answered the probe in its file to the bit)
  pictures     predictions, training

Exit status:
  0    done
  1    failed, or a parameter or prediction did not come back bit for bit
  2    the options are wrong, or not those of the model to resume
  3    the model to resume is damaged
  130  stopped by Ctrl-C or SIGTERM; the model is saved unless a second one followed
  141  the reader of the output went away

NO_COLOR is respected (https://no-color.org).";
