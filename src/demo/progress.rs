//! Tells how training goes: a bar that moves on a terminal, plain lines in a pipe, and a row for
//! each epoch in both.

use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use crate::model::EpochRecord;
use crate::nn::Model;
use crate::report::numbers::{duration, grouped, percent};
use crate::train::{Callback, CallbackError, StepReport, Stop};
use indicatif::ProgressBar;

use super::interrupt;
use super::screen::Screen;
use super::training::Trained;

/// In a pipe a long epoch says so often how it goes, at most this many times.
const SILENCE: Duration = Duration::from_secs(5);
const LINES_PER_EPOCH: u64 = 4;

const BAR: &str = "{prefix} {wide_bar} {msg}";

pub(crate) struct Progress<'a> {
    screen: &'a mut Screen,
    /// Epochs in all, and images in each.
    epochs: u64,
    images: u64,
    /// Images that training will go through, and has.
    planned: u64,
    done: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    epoch: Epoch,
    last_line: Instant,
    /// Writing has failed: training stops.
    failed: Option<io::Error>,
}

/// What is counted of the epoch that runs.
struct Epoch {
    started: Instant,
    /// Up to the last step, without validation.
    trained_for: Duration,
    /// From the beginning of the epoch, of which so many were an earlier run's.
    samples: u64,
    earlier: u64,
}

impl Epoch {
    fn new(earlier: u64) -> Self {
        let (started, trained_for) = (Instant::now(), Duration::ZERO);
        Self { started, trained_for, samples: earlier, earlier }
    }

    /// Images per second.
    fn rate(&self) -> u64 {
        ((self.samples - self.earlier) as f64 / self.trained_for.as_secs_f64()) as u64
    }
}

impl<'a> Progress<'a> {
    /// For training up to so many `epochs` of so many `images`, `planned` images from now on, and
    /// `earlier` ones of the first epoch behind it.
    pub(crate) fn new(
        screen: &'a mut Screen,
        epochs: u64,
        images: u64,
        planned: u64,
        earlier: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            screen,
            epochs,
            images,
            planned,
            done: 0,
            bar: None,
            started: now,
            epoch: Epoch::new(earlier),
            last_line: now,
            failed: None,
        }
    }

    /// The heading of the rows.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        self.screen.line(row([
            "epoch",
            "loss",
            "accuracy",
            "val. loss",
            "val. acc.",
            "images/s",
            "time",
        ]))
    }

    /// Ends the bar; an error if something could not be written.
    pub(crate) fn end(mut self) -> io::Result<Trained> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        match self.failed {
            Some(error) => Err(error),
            None => {
                let (images, time) = (self.done, self.started.elapsed());
                Ok(Trained { images, time, checkpoints: None })
            }
        }
    }

    fn show_step(&mut self, report: &StepReport) -> io::Result<()> {
        let left = self.planned.saturating_sub(self.done) as f64;
        let seconds = self.started.elapsed().as_secs_f64() * left / self.done as f64;
        let eta = match seconds.ceil() as u64 {
            seconds @ ..60 => format!("{seconds} s"),
            seconds => duration(Duration::from_secs(seconds)),
        };
        let value =
            |name| report.values.iter().find(|(key, _)| key == name).map(|&(_, value)| value);
        let message = format!(
            "loss {}  accuracy {}  {} images/s  ETA {eta}",
            loss(value("loss")),
            share(value("accuracy"), 1),
            grouped(self.epoch.rate()),
        );
        let position = self.images.min(self.images * report.step / report.steps);
        if self.bar.is_none() {
            let prefix = format!("{:>7}", self.number(report.epoch));
            self.bar = self.screen.bar(self.images, BAR).map(|bar| bar.with_prefix(prefix));
        }
        if let Some(bar) = &self.bar {
            bar.set_message(message);
            bar.set_position(position);
            return Ok(());
        }
        let part = |step| step * LINES_PER_EPOCH / report.steps;
        let passed = part(report.step) > part(report.step - 1) && report.step < report.steps;
        if passed && self.last_line.elapsed() >= SILENCE {
            self.last_line = Instant::now();
            let done = percent(report.step as f64 / report.steps as f64, 0);
            self.screen
                .line(format_args!("{:>7}  {done:>5}  {message}", self.number(report.epoch)))?;
        }
        Ok(())
    }

    fn show_epoch(&mut self, record: &EpochRecord) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = Instant::now();
        let cells = [
            self.number(record.epoch),
            loss(record.get("loss")),
            share(record.get("accuracy"), 2),
            loss(record.get("val_loss")),
            share(record.get("val_accuracy"), 2),
            grouped(self.epoch.rate()),
            duration(self.epoch.started.elapsed()),
        ];
        self.screen.line(row(cells.each_ref().map(String::as_str)))
    }

    /// `2/5`, for the epoch counted from 0.
    fn number(&self, epoch: u64) -> String {
        format!("{}/{}", epoch + 1, self.epochs)
    }

    /// Whether to go on, after something was written or not.
    fn go_on(&mut self, written: io::Result<()>) -> ControlFlow<Stop> {
        match written {
            Ok(()) if interrupt::requested() => Break(Stop::Interrupt),
            Ok(()) => Continue(()),
            Err(error) => {
                self.failed = Some(error);
                Break(Stop::Interrupt)
            }
        }
    }
}

impl Callback for Progress<'_> {
    fn on_step_end(
        &mut self,
        _: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        self.done += report.samples.saturating_sub(self.epoch.samples);
        self.epoch.samples = report.samples;
        self.epoch.trained_for = self.epoch.started.elapsed();
        let written = self.show_step(report);
        Ok(match self.go_on(written) {
            // The epoch has all its steps: let it end with its validation.
            Break(_) if self.failed.is_none() && report.step == report.steps => Continue(()),
            Break(_) => Break(()),
            Continue(()) => Continue(()),
        })
    }

    fn on_epoch_end(
        &mut self,
        _: &mut Model,
        record: &EpochRecord,
    ) -> Result<ControlFlow<Stop>, CallbackError> {
        let written = self.show_epoch(record);
        self.epoch = Epoch::new(0);
        Ok(self.go_on(written))
    }
}

fn row([epoch, loss, accuracy, val_loss, val_accuracy, rate, time]: [&str; 7]) -> String {
    format!(
        "{epoch:>7}  {loss:>8}  {accuracy:>9}  {val_loss:>9}  {val_accuracy:>9}  {rate:>9}  {time:>10}"
    )
}

fn loss(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.4}"))
}

fn share(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(String::new, |value| percent(value, decimals))
}
