//! The way back through pooling: what each input cell gets from the windows over it.

use super::{Cover, Geometry, Share, parts, row_mut, rows};
use crate::kernels::{Isa, Kernel, LANES, Simd};

struct MaxGradient<'a> {
    dx: &'a mut [f32],
    winners: &'a [u16],
    dy: &'a [f32],
    samples: usize,
    geometry: &'a Geometry,
}

/// `dx` of max pooling: zero, and at the place of each maximum the sum of the gradients of the
/// windows it won, in the order of the windows.
pub(crate) fn max_gradient(
    isa: Isa,
    dx: &mut [f32],
    winners: &[u16],
    dy: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    isa.run(MaxGradient { dx, winners, dy, samples, geometry });
}

impl Kernel for MaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { dx, winners, dy, samples, geometry } = self;
        let Geometry { channels, x_length, y_length, .. } = *geometry;
        let vectors = geometry.vectors();
        let mut input = 0;
        for sample in 0..samples {
            let dy = &dy[sample * y_length..];
            let winners = &winners[sample * geometry.winners()..][..geometry.winners()];
            if geometry.apart && channels.is_multiple_of(LANES) {
                let dx = &mut dx[sample * x_length..][..x_length];
                scatter(
                    simd,
                    dx,
                    dy,
                    geometry,
                    |_, dy| dy,
                    |place, dy| simd.select(simd.mask(winners[place]), dy, simd.splat(0.0)),
                );
                continue;
            }
            for covers in parts(&geometry.covers, &geometry.cover_ends) {
                let dx = &mut dx[input..];
                input += channels;
                let done = match covers.len() {
                    0 => whole_max_gradient::<S, 0>(simd, dx, winners, dy, covers, vectors),
                    1 => whole_max_gradient::<S, 1>(simd, dx, winners, dy, covers, vectors),
                    2 => whole_max_gradient::<S, 2>(simd, dx, winners, dy, covers, vectors),
                    4 => whole_max_gradient::<S, 4>(simd, dx, winners, dy, covers, vectors),
                    _ => None,
                };
                if done.is_some() {
                    continue;
                }
                for (vector, channel) in (0..channels).step_by(LANES).enumerate() {
                    let mut sum = simd.splat(0.0);
                    for cover in covers {
                        let won = simd.mask(winners[cover.place as usize * vectors + vector]);
                        let dy = simd.load_partial(&dy[cover.output as usize + channel..]);
                        sum = simd.select(won, simd.add(sum, dy), sum);
                    }
                    simd.store_partial(sum, &mut dx[channel..]);
                }
            }
        }
    }
}

/// One input cell, unless the last vectors would reach beyond the end of `dx` or `dy`.
#[inline(always)]
fn whole_max_gradient<S: Simd, const N: usize>(
    simd: S,
    dx: &mut [f32],
    winners: &[u16],
    dy: &[f32],
    covers: &[Cover],
    vectors: usize,
) -> Option<()> {
    let covers: &[Cover; N] = covers.try_into().ok()?;
    let rows = rows(dy, covers.map(|cover| cover.output), vectors)?;
    let won = covers.map(|cover| &winners[cover.place as usize * vectors..][..vectors]);
    for (vector, dx) in row_mut(dx, vectors)?.iter_mut().enumerate() {
        let mut sum = simd.splat(0.0);
        for (row, won) in rows.iter().zip(won) {
            let grown = simd.add(sum, simd.vector(row[vector]));
            sum = simd.select(simd.mask(won[vector]), grown, sum);
        }
        *dx = simd.to_array(sum);
    }
    Some(())
}

/// `dx` of one sample where windows lie apart and vectors are whole. `dy` is what a window `gives` of
/// its gradient, given how many cells it has; a cell, by its place among all cells and vectors, `takes`
/// its part of that.
#[inline(always)]
fn scatter<S: Simd>(
    simd: S,
    dx: &mut [f32],
    dy: &[f32],
    geometry: &Geometry,
    gives: impl Fn(usize, S::F) -> S::F,
    takes: impl Fn(usize, S::F) -> S::F,
) {
    let (vectors, zero) = (geometry.vectors(), simd.splat(0.0));
    let (dx, dy) = (dx.as_chunks_mut().0, dy.as_chunks().0);
    for (cell, covers) in parts(&geometry.covers, &geometry.cover_ends).enumerate() {
        if covers.is_empty() {
            dx[cell * vectors..][..vectors].fill([0.0; LANES]);
        }
    }
    let mut place = 0;
    for (cells, dy) in geometry.windows().zip(dy.chunks_exact(vectors)) {
        for (vector, dy) in dy.iter().enumerate() {
            // Added to zero, −0.0 becomes +0.0 as in any sum.
            let dy = simd.add(zero, gives(cells.len(), simd.vector(*dy)));
            for (tap, &cell) in cells.iter().enumerate() {
                let dx = &mut dx[cell as usize / LANES + vector];
                *dx = simd.to_array(takes(place + tap * vectors + vector, dy));
            }
        }
        place += cells.len() * vectors;
    }
}

struct AverageGradient<'a> {
    dx: &'a mut [f32],
    shares: &'a mut [f32],
    dy: &'a [f32],
    samples: usize,
    geometry: &'a Geometry,
}

/// `dx` of average pooling: the sum of gradient / real cells of the windows over each cell, in the
/// order of the windows. `shares` (one sample's outputs) is overwritten.
pub(crate) fn average_gradient(
    isa: Isa,
    dx: &mut [f32],
    shares: &mut [f32],
    dy: &[f32],
    samples: usize,
    geometry: &Geometry,
) {
    isa.run(AverageGradient { dx, shares, dy, samples, geometry });
}

impl Kernel for AverageGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { dx, shares, dy, samples, geometry } = self;
        let Geometry { channels, x_length, y_length, .. } = *geometry;
        let vectors = geometry.vectors();
        let mut input = 0;
        for (sample, dy) in dy.chunks_exact(y_length).take(samples).enumerate() {
            if geometry.apart && channels.is_multiple_of(LANES) {
                let dx = &mut dx[sample * x_length..][..x_length];
                let share = |count, dy| Share::of(simd, count).apply(simd, dy);
                scatter(simd, dx, dy, geometry, share, |_, share| share);
                continue;
            }
            for (window, cells) in geometry.windows().enumerate() {
                let share = Share::of(simd, cells.len());
                for channel in (window * channels..(window + 1) * channels).step_by(LANES) {
                    let dy = simd.load_partial(&dy[channel..]);
                    simd.store_partial(share.apply(simd, dy), &mut shares[channel..]);
                }
            }
            let shares = &*shares;
            for covers in parts(&geometry.covers, &geometry.cover_ends) {
                let dx = &mut dx[input..];
                input += channels;
                let done = match covers.len() {
                    0 => whole_sum::<S, 0>(simd, dx, shares, covers, vectors),
                    1 => whole_sum::<S, 1>(simd, dx, shares, covers, vectors),
                    2 => whole_sum::<S, 2>(simd, dx, shares, covers, vectors),
                    4 => whole_sum::<S, 4>(simd, dx, shares, covers, vectors),
                    _ => None,
                };
                if done.is_some() {
                    continue;
                }
                for channel in (0..channels).step_by(LANES) {
                    let mut sum = simd.splat(0.0);
                    for cover in covers {
                        let share = &shares[cover.output as usize + channel..];
                        sum = simd.add(sum, simd.load_partial(share));
                    }
                    simd.store_partial(sum, &mut dx[channel..]);
                }
            }
        }
    }
}

/// One input cell, unless the last vectors would reach beyond the end of `dx` or `shares`.
#[inline(always)]
fn whole_sum<S: Simd, const N: usize>(
    simd: S,
    dx: &mut [f32],
    shares: &[f32],
    covers: &[Cover],
    vectors: usize,
) -> Option<()> {
    let covers: &[Cover; N] = covers.try_into().ok()?;
    let rows = rows(shares, covers.map(|cover| cover.output), vectors)?;
    for (vector, dx) in row_mut(dx, vectors)?.iter_mut().enumerate() {
        let mut sum = simd.splat(0.0);
        for row in &rows {
            sum = simd.add(sum, simd.vector(row[vector]));
        }
        *dx = simd.to_array(sum);
    }
    Some(())
}
