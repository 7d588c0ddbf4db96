//! Bilinear up-sampling of images, channels last: a result is a mean of the four pixels around its
//! centre, weighted by nearness; beyond the outermost centres the image goes on as it ends.

use crate::model::BilinearUpSampling2d;

/// For each row and column of the result, what it lies between.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    rows: Vec<Between>,
    columns: Vec<Between>,
    /// Columns of the input.
    width: usize,
    channels: usize,
}

/// Two rows or columns of the input, and how much of the way from one to the other.
#[derive(Clone, Copy, Debug)]
struct Between {
    ends: [u32; 2],
    way: f32,
}

impl Between {
    /// The places along an axis of `size` places which each become `times`.
    #[allow(clippy::cast_possible_truncation, reason = "places are counted in 32 bits")]
    fn along(size: usize, times: usize) -> Vec<Self> {
        let place = |at: usize| {
            // In units of 1 / (2 · times), the centre of cell n of the input is (2n + 1) · times.
            let doubled = 2 * at + 1;
            let (from_first, unit) = (doubled.saturating_sub(times), 2 * times);
            let low = from_first / unit;
            let way = (from_first % unit) as f32 / unit as f32;
            Self { ends: [low as u32, (low + 1).min(size - 1) as u32], way }
        };
        (0..size * times).map(place).collect()
    }
}

impl Geometry {
    /// For images of `[height, width, channels]`.
    pub(crate) fn new(
        settings: BilinearUpSampling2d,
        [height, width, channels]: [usize; 3],
    ) -> Self {
        let [down, across] = settings.size;
        let (rows, columns) = (Between::along(height, down), Between::along(width, across));
        Self { rows, columns, width, channels }
    }

    /// Each pixel of the result: the places of the four around it, and how far down and across it lies.
    fn pixels(&self) -> impl Iterator<Item = ([[usize; 2]; 2], [f32; 2])> {
        self.rows.iter().flat_map(move |row| {
            self.columns.iter().map(move |column| {
                let place = |row: u32, column: u32| {
                    (row as usize * self.width + column as usize) * self.channels
                };
                let around = row.ends.map(|row| column.ends.map(|column| place(row, column)));
                (around, [row.way, column.way])
            })
        })
    }
}

/// `y` of `x`, one sample: first across, as left + (right − left)·way, then so down.
pub(crate) fn forward(y: &mut [f32], x: &[f32], geometry: &Geometry) {
    let channels = geometry.channels;
    for (y, (around, [down, across])) in y.chunks_exact_mut(channels).zip(geometry.pixels()) {
        let [[a, b], [c, d]] = around.map(|row| row.map(|place| &x[place..place + channels]));
        for (channel, y) in y.iter_mut().enumerate() {
            let top = a[channel] + (b[channel] - a[channel]) * across;
            let bottom = c[channel] + (d[channel] - c[channel]) * across;
            *y = top + (bottom - top) * down;
        }
    }
}

/// `dx` of `dy`, one sample: sums from +0.0 on in the order of the result.
pub(crate) fn gradient(dx: &mut [f32], dy: &[f32], geometry: &Geometry) {
    let channels = geometry.channels;
    dx.fill(0.0);
    for (dy, (around, [down, across])) in dy.chunks_exact(channels).zip(geometry.pixels()) {
        for (row, share) in around.into_iter().zip([1.0 - down, down]) {
            for (place, weight) in row.into_iter().zip([share * (1.0 - across), share * across]) {
                let dx = &mut dx[place..place + channels];
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy * weight);
            }
        }
    }
}
