//! The images: those in the program, or a folder of the MNIST kind.

use std::path::Path;

use crate::report::numbers::{bytes, grouped};
use crate::train::Dataset;
use crate::train::data::{Split, mnist};
use crate::wire::png::Image;
use indicatif::ProgressBar;

use super::failure::Failure;
use super::options::Options;
use super::screen::Screen;

pub(crate) struct Data {
    pub(crate) name: String,
    pub(crate) train: Dataset,
    pub(crate) validation: Dataset,
    /// The names of the classes, in their order.
    pub(crate) classes: Vec<String>,
}

impl Data {
    pub(crate) fn load(options: &Options, screen: &mut Screen) -> Result<Self, Failure> {
        if let Some(dir) = &options.download {
            download(dir, screen)?;
        }
        let (name, Split { train, validation }) =
            match options.data.as_ref().or(options.download.as_ref()) {
                Some(dir) => (dir.display().to_string(), mnist::from_dir(dir)?),
                None => {
                    ("MNIST, the part that this program carries".to_owned(), mnist::embedded()?)
                }
            };
        let classes = match train.class_names() {
            Some(names) => names.to_vec(),
            None => {
                let highest = train.classes()?.iter().chain(validation.classes()?).max();
                (0..=highest.copied().unwrap_or(0)).map(|class| class.to_string()).collect()
            }
        };
        Ok(Self { name, train, validation, classes })
    }

    pub(crate) fn show(&self, screen: &mut Screen) -> Result<(), Failure> {
        let [train, validation] =
            [&self.train, &self.validation].map(|part| grouped(part.len() as u64));
        let (shape, classes) = (self.train.inputs()[0].shape(), self.classes.len());
        screen.line(format_args!("Data: {}", self.name))?;
        screen.line(format_args!(
            "  {train} images to train on, {validation} to validate, each {shape}, {classes} classes"
        ))?;
        Ok(())
    }

    /// The images to validate with, as pictures.
    pub(crate) fn validation_pictures(&self) -> Vec<Image> {
        let samples = &self.validation.inputs()[0];
        let mut values = vec![0.0; samples.shape().elements()];
        let picture = |index| {
            samples.copy_sample(index, &mut values);
            Image::from_sample(samples.shape(), &values).expect("images of one channel")
        };
        (0..samples.count()).map(picture).collect()
    }
}

fn download(dir: &Path, screen: &mut Screen) -> Result<(), Failure> {
    screen.line(format_args!("Fetching MNIST into {}", dir.display()))?;
    let mut bar: Option<(String, ProgressBar)> = None;
    let mut fetched = Vec::new();
    mnist::download(dir, |progress| {
        if bar.as_ref().is_none_or(|(file, _)| file != progress.file) {
            fetched.push(format!("  {}: {}", progress.file, bytes(progress.total)));
            let template = "  {msg} {wide_bar} {bytes} of {total_bytes}  ETA {eta}";
            if let Some(new) = screen.bar(progress.total, template) {
                bar = Some((progress.file.to_owned(), new.with_message(progress.file.to_owned())));
            }
        }
        if let Some((_, bar)) = &bar {
            bar.set_position(progress.bytes);
        }
    })?;
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    fetched.dedup(); // a file that a second mirror had to give
    fetched.into_iter().try_for_each(|line| screen.line(line))?;
    Ok(())
}
