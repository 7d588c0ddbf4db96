//! Normalisation inside a sample, and by numbers that are known: their settings, and what follows from
//! these.

use super::Arrange;
use super::infer::{Rule, axis_of_sample, finite, not_negative};
use crate::tensor::Shape;

/// Normalisation of each row of a sample by its own mean and biased variance, with ε added to the
/// variance; a row goes over the last axes. γ and β have the shape of these axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormalization {
    /// How many axes from the last one on make a row.
    pub trailing_axes: usize,
    pub method: RowMethod,
    pub epsilon: f64,
    /// Whether β is added.
    pub center: bool,
    /// Whether γ is multiplied.
    pub scale: bool,
}

impl Default for LayerNormalization {
    fn default() -> Self {
        let method = RowMethod::Standard;
        Self { trailing_axes: 1, method, epsilon: 0.001, center: true, scale: true }
    }
}

/// How a row is normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowMethod {
    /// (x − mean) / √(variance + ε)
    #[default]
    Standard,
    /// x / √(mean of x² + ε) (Keras: `RMSNormalization`).
    RootMeanSquare,
    /// x / √(variance + ε) (Keras: `LayerNormalization(rms_scaling=True)`, which is not what it says).
    Deviation,
}

impl LayerNormalization {
    pub(super) const fn kind(&self) -> &'static str {
        match self.method {
            RowMethod::Standard | RowMethod::Deviation => "layer_normalization",
            RowMethod::RootMeanSquare => "rms_normalization",
        }
    }

    /// The shape of a row of samples of shape `input`.
    pub(super) fn row(&self, input: &Shape) -> Result<Shape, Rule> {
        let (axes, rank) = (self.trailing_axes, input.rank());
        match rank.checked_sub(axes) {
            Some(first) => Ok(Shape::new(&input.dims()[first..])),
            None => Err(format!("it normalises over {axes} axes, but there are {rank}")),
        }
    }

    pub(super) fn check(&self) -> Result<(), Rule> {
        if self.trailing_axes == 0 {
            return Err("it must normalise over 1 axis or more".to_owned());
        }
        if self.epsilon <= 0.0 || !self.epsilon.is_finite() {
            return Err(format!("epsilon must be above 0, not {}", self.epsilon));
        }
        Ok(())
    }
}

/// Normalisation of each group of channels (last axis) of a sample by its own mean and biased variance, over
/// all cells, with ε added to the variance (Wu and He, 2018). As many groups as channels: instance
/// normalisation. γ and β have a value for each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormalization {
    /// Neighbouring channels make a group.
    pub groups: usize,
    pub epsilon: f64,
    /// Whether β is added.
    pub center: bool,
    /// Whether γ is multiplied.
    pub scale: bool,
}

impl GroupNormalization {
    /// With γ and β.
    pub fn new(groups: usize) -> Self {
        Self { groups, epsilon: 0.001, center: true, scale: true }
    }

    /// What brings the values of samples of shape `input` together group by group: an order of axes, and the
    /// axes, which are the cells, the groups and the channels of a group.
    pub(crate) fn grouping(&self, input: &Shape) -> Result<(Arrange, Shape), Rule> {
        let (&channels, cells) = input.dims().split_last().ok_or("it takes one axis or more")?;
        let groups = self.groups;
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(format!("{channels} channels cannot be split into {groups} groups"));
        }
        let cells = cells.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let cells = cells.ok_or("the input is too large")?;
        let axes = Shape::new(vec![cells, groups, channels / groups]);
        Ok((Arrange::Permute { dims: vec![2, 1, 3] }, axes))
    }

    pub(super) fn check(&self) -> Result<(), Rule> {
        if self.groups == 0 {
            return Err("there must be 1 group or more".to_owned());
        }
        if self.epsilon <= 0.0 || !self.epsilon.is_finite() {
            return Err(format!("epsilon must be above 0, not {}", self.epsilon));
        }
        Ok(())
    }
}

/// (x − mean) / max(√variance, [`LEAST_DEVIATION`](Self::LEAST_DEVIATION)), one mean and variance for
/// each place along `axes`; or the inverse of that. Training changes nothing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// In ascending order, counted as Keras does: 0 is the batch (refused), −1 the last axis. None at
    /// all: one mean and variance for all values.
    pub axes: Vec<i32>,
    pub statistics: NormalizationStatistics,
    /// Gives x·max(√variance, …) + mean instead.
    pub invert: bool,
}

/// Where a [`Normalization`] has its mean and variance from.
#[derive(Clone, Debug, PartialEq)]
pub enum NormalizationStatistics {
    /// From its parameters `mean` and `variance`, which no optimizer changes.
    Stored,
    /// From these, in row-major order over the axes, or one for all.
    Given { mean: Vec<f64>, variance: Vec<f64> },
}

impl Normalization {
    /// No deviation is taken for less (the epsilon of Keras' backend).
    pub const LEAST_DEVIATION: f64 = 1e-7;

    /// For each axis of a sample of shape `input`, whether means differ along it.
    pub(crate) fn own_axes(&self, input: &Shape) -> Result<Vec<bool>, Rule> {
        let mut own = vec![false; input.rank()];
        let mut last = None;
        for &axis in &self.axes {
            let index = axis_of_sample(axis, input.rank())?;
            if last >= Some(index) {
                return Err("its axes must ascend".to_owned());
            }
            (own[index], last) = (true, Some(index));
        }
        Ok(own)
    }

    /// The shape of the mean, and of the variance.
    pub(super) fn shape(&self, input: &Shape) -> Result<Shape, Rule> {
        let own = self.own_axes(input)?;
        let dims = input.dims().iter().zip(own).filter(|(_, own)| *own);
        let shape = Shape::new(dims.map(|(&dim, _)| dim).collect::<Vec<_>>());
        if let NormalizationStatistics::Given { mean, .. } = &self.statistics
            && mean.len() != 1
            && Some(mean.len()) != shape.checked_elements()
        {
            return Err(format!("{} means are given, but its axes are {shape}", mean.len()));
        }
        Ok(shape)
    }

    pub(super) fn check(&self) -> Result<(), Rule> {
        let NormalizationStatistics::Given { mean, variance } = &self.statistics else {
            return Ok(());
        };
        if mean.len() != variance.len() {
            let (means, variances) = (mean.len(), variance.len());
            return Err(format!("{means} means are given, and {variances} variances"));
        }
        mean.iter().try_for_each(|&mean| finite("a mean", mean))?;
        variance.iter().try_for_each(|&variance| {
            not_negative("a variance", variance)?;
            finite("a variance", variance)
        })
    }
}

/// x·`scale` + `offset`, one of each per channel (last axis).
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelRescaling {
    pub scale: Vec<f64>,
    /// As many.
    pub offset: Vec<f64>,
}

impl ChannelRescaling {
    pub(super) fn check(&self) -> Result<(), Rule> {
        if self.scale.len() != self.offset.len() {
            let (scales, offsets) = (self.scale.len(), self.offset.len());
            return Err(format!("{scales} scales are given, and {offsets} offsets"));
        }
        self.scale.iter().try_for_each(|&scale| finite("a scale", scale))?;
        self.offset.iter().try_for_each(|&offset| finite("an offset", offset))
    }
}
