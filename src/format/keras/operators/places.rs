//! Operators that move values to other places, or take one of many places.

use serde_json::Value;

use super::super::json::count;
use super::super::layers::{Specs, permuted};
use super::Operator;
use crate::model::{
    Arrange, BilinearUpSampling2d, GlobalPool1d, GlobalPool2d, LayerSpec, PoolKind,
};
use crate::tensor::Shape;

impl Operator<'_> {
    /// What only moves values, or takes one of each channel.
    pub(super) fn moved(&self) -> Option<Specs> {
        let dims = self.input.dims();
        let reshaped = |dims: Vec<usize>| Some(vec![LayerSpec::Reshape(Shape::new(dims))]);
        match self.name.as_str() {
            "reshape" => self.reshaped(),
            "transpose" => match self.integers(&["axes", "perm"])?.split_first()? {
                (0, axes) => {
                    let dims = axes.iter().map(|&axis| usize::try_from(axis).ok());
                    Some(vec![Arrange::Permute { dims: dims.collect::<Option<_>>()? }.into()])
                }
                _ => None,
            },
            "expanddims" => {
                let place = from_batch(self.integer(&["axis"])?, dims.len() + 2)?;
                let mut dims = dims.to_vec();
                dims.insert(place - 1, 1);
                reshaped(dims)
            }
            "squeeze" => {
                let places = match self.argument(&["axis"]) {
                    None => {
                        (1..=dims.len()).filter(|place| dims.get(place - 1) == Some(&1)).collect()
                    }
                    Some(_) => self.axes()?,
                };
                let rest = (1..).zip(dims).filter(|(place, _)| !places.contains(place));
                reshaped(rest.map(|(_, &dim)| dim).collect())
            }
            "pad" => self.padded(),
            "resize" => self.resized(),
            "mean" | "reducemean" => self.pooled(PoolKind::Average),
            "max" | "amax" | "reducemax" => self.pooled(PoolKind::Max),
            _ => None,
        }
    }

    fn reshaped(&self) -> Option<Specs> {
        let shape = self.integers(&["newshape", "shape"])?;
        let (&batch, dims) = shape.split_first()?;
        let open = dims.iter().filter(|&&dim| dim == -1).count();
        // Either the batch is what is left, or one of the others is.
        if (batch == -1) != (open == 0) || open > 1 {
            return None;
        }
        let known = |dim: &i64| usize::try_from(*dim).ok();
        let mut known_ones = dims.iter().filter(|&&dim| dim != -1).map(known);
        let product = known_ones.try_fold(1_usize, |product, dim| product.checked_mul(dim?))?;
        let left = self.input.checked_elements()?.checked_div(product)?;
        let dims = dims.iter().map(|dim| if *dim == -1 { Some(left) } else { known(dim) });
        Some(vec![LayerSpec::Reshape(Shape::new(dims.collect::<Option<Vec<_>>>()?))])
    }

    fn padded(&self) -> Option<Specs> {
        let mode =
            self.argument(&["mode"]).map_or("constant", |it| it.as_str().unwrap_or_default());
        let value = self.number(&["constant_values"]).unwrap_or(0.0);
        if !mode.eq_ignore_ascii_case("constant") || value != 0.0 {
            return None;
        }
        let pair = |sides: &Value| <[usize; 2]>::try_from(counts(sides)?).ok();
        let sides = self.argument(&["pad_width", "paddings"])?.as_array()?;
        let sides: Vec<[usize; 2]> = sides.iter().map(pair).collect::<Option<_>>()?;
        let padding = match *sides.as_slice() {
            [[0, 0], steps, [0, 0]] => Arrange::ZeroPadding1d(steps),
            [[0, 0], [top, bottom], [left, right], [0, 0]] => {
                Arrange::ZeroPadding2d([top, bottom, left, right])
            }
            _ => return None,
        };
        Some(vec![padding.into()])
    }

    /// To so many times the height and the width.
    fn resized(&self) -> Option<Specs> {
        let off = |name| self.argument(&[name]).is_none_or(|value| *value == false);
        let is_last = self.argument(&["data_format"]).is_none_or(|it| it == "channels_last");
        if !(["antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio"]
            .into_iter()
            .all(off)
            && is_last)
        {
            return None;
        }
        let (height, width, _) = self.input.as_image()?;
        let wanted = counts(self.argument(&["size"])?)?;
        let &[down, across] = wanted.as_slice() else { return None };
        if !(down.is_multiple_of(height) && across.is_multiple_of(width)) {
            return None;
        }
        let size = [down / height, across / width];
        let method = self.argument(&["interpolation", "method"]);
        match method.map_or(Some("bilinear"), Value::as_str)? {
            "bilinear" => Some(vec![BilinearUpSampling2d { size }.into()]),
            "nearest" => Some(vec![Arrange::UpSampling2d { size }.into()]),
            _ => None,
        }
    }

    /// Over all places of sequences or images whose channels come last, or first.
    fn pooled(&self, kind: PoolKind) -> Option<Specs> {
        if self.argument(&["initial"]).is_some() {
            return None;
        }
        let keep_dims = match self.argument(&["keepdims"]) {
            None => false,
            Some(keep) => keep.as_bool()?,
        };
        let mut axes = self.axes()?;
        axes.sort_unstable();
        let rank = self.input.rank();
        let pool: LayerSpec = match rank {
            2 => GlobalPool1d { kind, keep_dims }.into(),
            3 => GlobalPool2d { kind, keep_dims }.into(),
            _ => return None,
        };
        if axes.iter().copied().eq(1..rank) {
            return Some(vec![pool]);
        }
        let first = axes.iter().copied().eq(2..=rank) && !keep_dims;
        first.then(|| vec![permuted(1, rank), pool])
    }

    /// `axis`, or several: 1 is the first of a sample.
    fn axes(&self) -> Option<Vec<usize>> {
        let axes = self.integers(&["axis"])?;
        axes.into_iter().map(|axis| from_batch(axis, self.input.rank() + 1)).collect()
    }
}

/// An axis of so many, with the batch, counted from the batch; that itself is none.
fn from_batch(axis: i64, axes: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(axes).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| (1..axes).contains(axis))
}

fn counts(value: &Value) -> Option<Vec<usize>> {
    value.as_array()?.iter().map(count).collect()
}
