//! From the files a user names to the samples a model takes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use keepnet::model::Graph;
use keepnet::wire::npy::{self, Header};
use keepnet::wire::png::read_png;
use keepnet::{DType, Samples, Shape};

use crate::failure::Failure;
use crate::outcome::note;
use crate::paths::read;

/// What a picture may take in memory, decoded.
const PICTURE: usize = 256 << 20;

/// What a model is fed with, and what each sample is called.
pub(crate) struct Inputs {
    /// In the order of the graph.
    pub(crate) samples: Vec<Samples>,
    /// A picture's path, an array's index: those of the first input.
    pub(crate) labels: Vec<String>,
    /// All that was read.
    pub(crate) files: Vec<PathBuf>,
}

/// Reads what `arguments`, each `FILE` or `NAME=FILE`, give to the inputs of `graph`.
pub(crate) fn read_inputs(
    graph: &Graph,
    arguments: &[OsString],
    invert: bool,
) -> Result<Inputs, Failure> {
    let nodes = graph.inputs();
    let names: Vec<&str> = nodes.iter().map(|&node| graph.layer_of(node).name.as_str()).collect();
    let mut given: Vec<Vec<PathBuf>> = vec![Vec::new(); names.len()];
    for argument in arguments {
        let (index, path) = split_name("input", argument, &names)?;
        given[index].push(path);
    }
    let mut samples = Vec::new();
    let mut labels = None;
    for ((&node, name), files) in nodes.iter().zip(names).zip(&given) {
        let input = Input { name, shape: graph.shape(node), invert };
        let (found, called) = input.read(files)?;
        samples.push(found);
        labels.get_or_insert(called);
    }
    let (labels, files) = (labels.unwrap_or_default(), given.concat());
    Ok(Inputs { samples, labels, files })
}

/// Which of `names` an argument is for, and its path. Without a name it is for the only one.
pub(crate) fn split_name(
    what: &'static str,
    argument: &OsStr,
    names: &[&str],
) -> Result<(usize, PathBuf), Failure> {
    let named = names.iter().enumerate().find_map(|(index, name)| {
        let path = argument.to_str()?.strip_prefix(name)?.strip_prefix('=')?;
        Some((index, PathBuf::from(path)))
    });
    match (named, names) {
        (Some(named), _) => Ok(named),
        (None, [_]) => Ok((0, PathBuf::from(argument))),
        (None, _) => Err(Failure::NoName {
            what,
            argument: argument.display().to_string(),
            known: names.join(", "),
        }),
    }
}

/// One input of a model.
struct Input<'a> {
    name: &'a str,
    /// Of one sample.
    shape: &'a Shape,
    invert: bool,
}

impl Input<'_> {
    fn read(&self, files: &[PathBuf]) -> Result<(Samples, Vec<String>), Failure> {
        let input = || self.name.to_owned();
        let mut pictures = Vec::new();
        for path in files {
            let bytes = read(path)?;
            if bytes.starts_with(b"\x89PNG") {
                pictures.extend(self.picture(path, &bytes)?);
            } else if !bytes.starts_with(b"\x93NUMPY") {
                return Err(Failure::InputKind { path: path.clone() });
            } else if files.len() > 1 {
                return Err(Failure::Mixed { input: input() });
            } else {
                let samples = self.array(path, &bytes)?;
                let labels = (0..samples.count()).map(|index| index.to_string()).collect();
                return Ok((samples, labels));
            }
        }
        if files.is_empty() {
            return Err(Failure::NoInput { input: input() });
        }
        self.note_preparation();
        let samples = Samples::new(files.len(), self.shape.clone(), pictures);
        let labels = files.iter().map(|path| path.display().to_string()).collect();
        Ok((samples.expect("each picture fills the shape"), labels))
    }

    /// The values of one sample.
    fn picture(&self, path: &Path, bytes: &[u8]) -> Result<Vec<f32>, Failure> {
        let png = |source| Failure::Png { path: path.to_owned(), source };
        let sample = read_png(bytes, PICTURE).map_err(png)?.to_samples(self.shape, self.invert);
        let sample = sample.map_err(|source| {
            let (path, input) = (path.to_owned(), self.name.to_owned());
            Failure::NoPicture { path, input, source }
        })?;
        Ok(sample.to_array().into_iter().collect())
    }

    /// Any number of samples along the first dimension.
    fn array(&self, path: &Path, bytes: &[u8]) -> Result<Samples, Failure> {
        if self.invert {
            return Err(Failure::Invert { path: path.to_owned() });
        }
        let npy = |source| Failure::Npy { path: path.to_owned(), source };
        let (header, _) = Header::parse(bytes).map_err(npy)?;
        if header.shape.dims().split_first().map(|(_, sample)| sample) != Some(self.shape.dims()) {
            let dims = self.shape.dims().iter().map(|dim| format!("×{dim}"));
            return Err(Failure::ArrayShape {
                path: path.to_owned(),
                input: self.name.to_owned(),
                expected: format!("N{}", dims.collect::<String>()),
                found: header.shape,
            });
        }
        if header.dtype != DType::F32 {
            let (path, dtype) = (path.display(), header.dtype);
            note(&format!("{path} holds {dtype}; its values are taken as they are, not scaled"));
        }
        Ok(Samples::from(npy::read(bytes).map_err(npy)?))
    }

    fn note_preparation(&self) {
        let (size, channels) = match *self.shape.dims() {
            [height, width, channels] => (format!("{height}×{width}"), channels),
            [height, width] => (format!("{height}×{width}"), 1),
            [length] => (format!("{0}×{0}", length.isqrt()), 1),
            _ => return,
        };
        let colors = if channels == 1 { "gray" } else { "RGB" };
        let inverted = if self.invert {
            "black and white swapped"
        } else {
            "not inverted (--invert for ink on paper)"
        };
        note(&format!(
            "pictures for `{}`: {colors}, each value the mean of its area at {size}, divided by \
             255, {inverted}",
            self.name
        ));
    }
}
