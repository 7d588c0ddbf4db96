//! Saving, loading and verifying: W1 with its whole training state, in keepnet's form and in those of
//! other programs, and a model of 1 GiB beside what its bytes cost anyone: to copy, to read, to digest.
//!
//! ```text
//! cargo bench --bench saving                 a table
//! cargo bench --bench saving -- --json       one JSON object
//! cargo bench --bench saving -- --w1         without the model of 1 GiB
//! cargo bench --bench saving -- --table X    the table of docs/BENCHMARKS.md, of such an object
//! ```
//!
//! Where `KEEPNET_TF_PYTHON` (Keras), `KEEPNET_KERAS_PYTHON` (TensorFlow and both Kerases),
//! `KEEPNET_TORCH_PYTHON` (PyTorch, safetensors) and `KEEPNET_ONNX_PYTHON` (onnxruntime) name interpreters,
//! these save and load W1 too, in turn with keepnet; without one, its figures are null.
//!
//! Every number is the median of several runs. What is compared runs in turn, so that whatever
//! slows the machine for longer than a round slows both; a ratio is the median over the rounds. The
//! most memory that loading takes is that of a process that does nothing else. The files lie under
//! `target` and are removed: 2 GiB must be free there, and 4 GiB of memory.
#![allow(unsafe_code)] // a file is mapped that nobody else knows of

#[path = "measure/figures.rs"]
mod figures;
#[path = "measure/forms.rs"]
mod forms;
#[path = "measure/in_turn.rs"]
mod in_turn;
#[path = "measure/keras_files.rs"]
mod keras_files;
#[path = "measure/median.rs"]
mod median;
#[path = "measure/memory.rs"]
mod memory;
#[allow(dead_code, reason = "one network is measured here, and not how fast it computes")]
#[path = "measure/nets.rs"]
mod nets;
#[path = "measure/onnx_files.rs"]
mod onnx_files;
#[path = "measure/peer.rs"]
mod peer;
#[path = "measure/record_table.rs"]
mod record_table;
#[path = "measure/safetensors_files.rs"]
mod safetensors_files;
#[path = "measure/tensorflow_files.rs"]
mod tensorflow_files;
#[path = "../tests/conversions/without_kept.rs"]
mod without_kept;

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Parser;
use figures::{Figure, object, print, round};
use forms::Forms;
use keepnet::bytes::Digest;
use keepnet::{
    Activation, FitOptions, MappedFile, MappedModel, Model, SaveOptions, Sequential, Shape, verify,
};
use median::median;
use nets::NETS;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where Linux has a file system in memory.
const MEMORY: &str = "/dev/shm";

#[derive(Parser)]
struct Options {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// A small model in the place of the large one, once: only whether the benchmark works
    #[arg(long)]
    quick: bool,
    /// W1 alone
    #[arg(long)]
    w1: bool,
    /// How often the large model is saved and loaded
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure nothing: print a table of this record, which `--json` gave
    #[arg(long)]
    table: Option<PathBuf>,
    /// Only load this model, and print by how many MiB memory rose at most
    #[arg(long, hide = true)]
    peak_of: Option<PathBuf>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(path) = options.peak_of {
        return print_peak(&path);
    }
    if let Some(record) = options.table {
        record_table::print(&serde_json::from_slice(&fs::read(record)?)?);
        return Ok(());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut figures: Vec<Figure> = vec![("threads", json!(rayon::current_num_threads()), "")];
    figures.extend(of_w1(folder.path(), if options.quick { 1 } else { 101 })?);
    if !options.w1 {
        let (units, rounds) = if options.quick { (512, 1) } else { (4096, options.rounds.max(1)) };
        figures.extend(of_large(folder.path(), units, rounds)?);
    }
    if options.json {
        println!("{}", object(figures));
    } else {
        figures.iter().for_each(print);
    }
    Ok(())
}

/// W1 after a few steps, with what Adam remembers and the proof.
fn of_w1(folder: &Path, runs: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    let [w1, ..] = &NETS;
    let mut model = w1.model()?;
    model.fit(&w1.data(512)?, &FitOptions { batch_size: w1.batch, ..Default::default() })?;
    let path = folder.join("w1.knet");
    let unflushed = match tempfile::tempdir_in(MEMORY) {
        Ok(folder) => {
            let path = folder.path().join("w1.knet");
            let seconds = median(runs, || model.save(&path))?;
            round(seconds * 1e3, 2)
        }
        Err(_) => Value::Null,
    };
    let save_fsync = median(runs, || model.save(&path))?;
    let load = median(runs, || Model::load(&path).map(|model| drop(black_box(model))))?;
    let verified = median(runs, || verify(&path).map(black_box))?;
    let bytes = fs::metadata(&path)?.len();
    let mut figures = vec![
        ("bytes", json!(bytes), "bytes: W1 with optimizer, history and proof"),
        ("save_ms", unflushed, "ms, to a file system in memory, where flushing costs nothing"),
        (
            "save_fsync_ms",
            round(save_fsync * 1e3, 2),
            "ms, flushed and put in place: `Model::save`",
        ),
        ("load_ms", round(load * 1e3, 2), "ms, every check included"),
        ("verify_ms", round(verified * 1e3, 2), "ms, loaded and the probe answered"),
    ];
    figures.extend(of_forms(&model, folder, runs.div_ceil(3))?);
    Ok(figures)
}

/// W1 in the forms of other programs, beside these.
fn of_forms(model: &Model, disk: &Path, rounds: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    let memory = tempfile::tempdir_in(MEMORY).ok();
    let forms = Forms::new(model, memory.as_ref().map(TempDir::path), disk);
    let mut figures = keras_files::of_keras(&forms, rounds)?;
    figures.extend(tensorflow_files::of_tensorflow(&forms, rounds)?);
    figures.extend(safetensors_files::of_safetensors(&forms, rounds)?);
    figures.extend(onnx_files::of_onnx(&forms, rounds)?);
    Ok(figures)
}

/// Seconds of one round.
struct Round {
    save: f64,
    copy_digest: f64,
    load: f64,
    read_digest: f64,
    digest: f64,
    open: f64,
    check: f64,
}

/// Sixteen dense layers of so many units; 4,096 make 1 GiB. Weights alone: the proof is W1's affair.
fn of_large(folder: &Path, units: usize, rounds: usize) -> Result<Vec<Figure>, Box<dyn Error>> {
    let layers = (0..16)
        .fold(Sequential::new(Shape::new([units])), |net, _| net.dense(units, Activation::Linear));
    let mut model = layers.build(0)?;
    let (saved, copied) = (folder.join("large.knet"), folder.join("copy"));
    let save = |model: &Model| model.save_with(&saved, SaveOptions::weights_only());

    // The first of each touches memory and disk for the first time; how much memory, is noted.
    let (_, save_memory) = rise(|| save(&model))?;
    let bytes = fs::metadata(&saved)?.len();
    let mut taken = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        // Both write where nothing stands: to free the blocks of an old file may take a second.
        fs::remove_file(&saved)?;
        let (save, _) = timed(|| save(&model))?;
        let (copy, _) = timed(|| copy(&saved, &copied))?;
        fs::remove_file(&copied)?;
        // One model at a time: there may be no memory for two.
        drop(model);
        let (load, loaded) = timed(|| Model::load(&saved))?;
        drop(loaded);
        let (open, mapped) = timed(|| map(&saved))?;
        let (check, _) = timed(|| mapped.verify())?;
        drop(mapped);
        let (read, bytes) = timed(|| fs::read(&saved))?;
        let (digest, _) = timed(|| Ok::<_, Box<dyn Error>>(black_box(Digest::of(&bytes))))?;
        drop(bytes);
        taken.push(Round {
            save,
            copy_digest: copy + digest,
            load,
            read_digest: read + digest,
            digest,
            open,
            check,
        });
        model = Model::load(&saved)?;
    }
    drop(model);
    let load_memory = peak_of_loading(&saved)?;

    let middle = |of: fn(&Round) -> f64| {
        let mut values: Vec<f64> = taken.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let gib = bytes as f64 / (1_u64 << 30) as f64;
    let seconds = |of: fn(&Round) -> f64| round(middle(of), 2);
    let memory = |mib: Option<f64>| mib.map_or(Value::Null, |mib| round(mib / 1024.0 / gib, 2));
    let copying = "s, the file copied and flushed, and one SHA-256 of it";
    Ok(vec![
        ("gib_bytes", json!(bytes), "bytes: the large model, weights alone"),
        ("gib_save_s", seconds(|round| round.save), "s, flushed and put in place"),
        ("gib_cp_digest_s", seconds(|round| round.copy_digest), copying),
        ("gib_save_ratio", seconds(|round| round.save / round.copy_digest), "of the two"),
        ("gib_load_s", seconds(|round| round.load), "s, every check included"),
        ("gib_read_digest_s", seconds(|round| round.read_digest), "s, read, and one SHA-256 of it"),
        ("gib_load_ratio", seconds(|round| round.load / round.read_digest), "of the two"),
        ("gib_digest_s", seconds(|round| round.digest), "s, one SHA-256 on one thread"),
        ("gib_save_memory", memory(save_memory), "× the file, beside the model"),
        ("gib_load_memory", memory(load_memory), "× the file, the model included: `peak`"),
        ("peak", round(load_memory.unwrap_or(f64::NAN), 1), "MiB, by which memory rises at most"),
        ("mmap_open_ms", round(middle(|round| round.open) * 1e3, 2), "ms, mapped and opened"),
        ("mmap_verify_s", seconds(|round| round.check), "s, all of the mapped file checked"),
    ])
}

fn map(path: &Path) -> Result<MappedModel, keepnet::Error> {
    // SAFETY: the file lies in a folder of this process's own, which removes it but never writes
    // into it again.
    MappedModel::new(unsafe { MappedFile::open(path) }?)
}

/// By how many MiB memory rises at most in a process that loads the model at `path`, where the
/// system tells.
fn peak_of_loading(path: &Path) -> Result<Option<f64>, Box<dyn Error>> {
    let child = Command::new(std::env::current_exe()?).arg("--peak-of").arg(path).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into());
    }
    Ok(String::from_utf8(child.stdout)?.trim().parse().ok())
}

/// The child's part of [`peak_of_loading`].
fn print_peak(path: &Path) -> Result<(), Box<dyn Error>> {
    // The threads are no part of the model.
    rayon::broadcast(|_| ());
    let (model, risen) = rise(|| Model::load(path))?;
    drop(black_box(model));
    if let Some(mib) = risen {
        println!("{mib}");
    }
    Ok(())
}

/// Copies through a buffer as `cp` does, so that no file system only pretends to, and flushes.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return to.sync_all(),
            length => to.write_all(&buffer[..length])?,
        }
    }
}

/// Seconds, and what came of it.
fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(f64, T), E> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed().as_secs_f64(), result))
}

/// What came of it, and by how many MiB memory rose at most meanwhile, where the system tells.
/// (Linux: `proc_pid_clear_refs(5)`; 5 forgets the peak so far.)
fn rise<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Option<f64>), E> {
    let reset = fs::write("/proc/self/clear_refs", "5");
    let before = reset.ok().and_then(|()| memory::peak_rss_mib());
    let result = work()?;
    let risen = before.and_then(|before| Some(memory::peak_rss_mib()? - before));
    Ok((result, risen))
}
