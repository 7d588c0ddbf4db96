//! Convolutions and pooling as operations of TensorFlow.

use super::layers::Parameters;
use super::nodes::{Nodes, Ref, count, kind, window, word};
use crate::model::{Conv2d, Conv2dTranspose, Padding, Pool2d, PoolKind, Window2d};
use crate::tensor::Shape;
use crate::wire::tensorflow::DataType;

/// Along which axis images have their channels.
const CHANNELS: i32 = 3;

impl Nodes {
    /// A convolution of images of shape `input`, without its activation.
    pub(super) fn convolve(
        &mut self,
        conv: &Conv2d,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        let (_, _, channels) = input.as_image()?;
        let [height, width] = conv.kernel;
        let kernel = parameters.take()?;
        let is_depthwise = conv.groups > 1 && conv.groups == channels;
        // The kernel for depthwise convolutions of TensorFlow takes neighbouring steps of one length.
        let is_native = is_depthwise && conv.strides[0] == conv.strides[1];
        let wanted = match is_native {
            true => [height, width, channels, conv.filters / channels],
            false => [height, width, channels / conv.groups, conv.filters],
        };
        let kernel = match kernel.shape.dims() == wanted {
            true => kernel.value,
            false => self.reshape_whole(&kernel.value, &wanted),
        };
        let (x, padding) = self.padded(conv.padding, x, 0.0);
        let y = if is_native {
            // Nor has it gaps between the cells under the kernel.
            let kernel = self.spread(&kernel, wanted, conv.dilation);
            self.convolution("DepthwiseConv2dNative", [&x, &kernel], conv, [1, 1], padding)
        } else if conv.groups == 1 {
            self.convolution("Conv2D", [&x, &kernel], conv, conv.dilation, padding)
        } else {
            let images = self.split(&x, conv.groups, CHANNELS);
            let kernels = self.split(&kernel, conv.groups, CHANNELS);
            let of_group = |(x, kernel): (Ref, Ref)| {
                self.convolution("Conv2D", [&x, &kernel], conv, conv.dilation, padding)
            };
            let groups: Vec<_> = images.into_iter().zip(kernels).map(of_group).collect();
            self.concat(&groups, CHANNELS)
        };
        self.biased(y, conv.use_bias, parameters)
    }

    fn convolution(
        &mut self,
        op: &str,
        inputs: [&str; 2],
        conv: &Conv2d,
        dilation: [usize; 2],
        padding: &str,
    ) -> Ref {
        let attributes = vec![
            ("T", kind(DataType::Float)),
            ("strides", window(conv.strides)),
            ("padding", word(padding)),
            ("dilations", window(dilation)),
            ("data_format", word("NHWC")),
        ];
        self.add(op, &inputs, attributes)
    }

    /// `y` and the bias, if there is one.
    pub(super) fn biased(
        &mut self,
        y: Ref,
        use_bias: bool,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        if !use_bias {
            return Some(y);
        }
        let bias = parameters.take()?;
        Some(self.apply("BiasAdd", &[&y, &bias.value]))
    }

    /// Padding as TensorFlow has a word for it, and `x` with that for which it has none.
    fn padded(&mut self, padding: Padding, x: &str, value: f64) -> (Ref, &'static str) {
        match padding {
            Padding::Valid => (x.to_owned(), "VALID"),
            Padding::Same => (x.to_owned(), "SAME"),
            Padding::Explicit { top, bottom, left, right } => {
                (self.pad(x, &[[top, bottom], [left, right], [0, 0]], value), "VALID")
            }
        }
    }

    /// A kernel with zeros between its cells, as many as a dilation leaves out.
    fn spread(&mut self, kernel: &str, shape: [usize; 4], dilation: [usize; 2]) -> Ref {
        if dilation == [1, 1] {
            return kernel.to_owned();
        }
        let ([height, width, inner, outer], [down, across]) = (shape, dilation);
        let cells = self.reshape(kernel, &[height, 1, width, 1, inner, outer]);
        let (rows, columns) = ([0, down - 1], [0, across - 1]);
        let spread = self.pad(&cells, &[[0, 0], rows, [0, 0], columns, [0, 0], [0, 0]], 0.0);
        let spread = self.reshape(&spread, &[height * down, width * across, inner, outer]);
        let sizes = [(height - 1) * down + 1, (width - 1) * across + 1, inner, outer];
        let kept = self.slice(&spread, &[0; 4], &sizes);
        self.reshape_whole(&kept, &sizes)
    }

    /// A transposed convolution, without its activation.
    pub(super) fn convolve_transposed(
        &mut self,
        layer: &Conv2dTranspose,
        input: &Shape,
        x: &str,
        parameters: &mut Parameters<'_>,
    ) -> Option<Ref> {
        let (conv, output) = layer.transposed(input).ok()?;
        let reached = conv.window(&output).ok()?;
        let (height, width, filters) = output.as_image()?;
        let [kernel_rows, kernel_columns] = layer.kernel;
        let (_, _, channels) = input.as_image()?;
        let kernel = parameters.take()?.value;
        // The gradient on which this stands has no gaps between the cells under the kernel either.
        let kernel =
            self.spread(&kernel, [kernel_rows, kernel_columns, filters, channels], layer.dilation);
        // What the windows reach over, the padding cut off, and what no window reaches filled up.
        let ([rows, columns], [top, left]) = (reached.extent(), reached.before);
        let sizes = self.batch_and(x, [rows, columns, filters]);
        let attributes = vec![
            ("T", kind(DataType::Float)),
            ("strides", window(layer.strides)),
            ("padding", word("VALID")),
            ("data_format", word("NHWC")),
        ];
        let mut y = self.add("Conv2DBackpropInput", &[&sizes, &kernel, x], attributes);
        let [below, right] =
            [(top + height).saturating_sub(rows), (left + width).saturating_sub(columns)];
        if [below, right] != [0, 0] {
            y = self.pad(&y, &[[0, below], [0, right], [0, 0]], 0.0);
        }
        if [rows + below, columns + right] != [height, width] {
            y = self.slice(&y, &[top, left, 0], &[height, width, filters]);
        }
        self.biased(y, layer.use_bias, parameters)
    }

    /// The number of samples in `x`, and these sizes behind it.
    fn batch_and(&mut self, x: &str, sizes: [usize; 3]) -> Ref {
        let attributes = vec![("T", kind(DataType::Float)), ("out_type", kind(DataType::Int32))];
        let shape = self.add("Shape", &[x], attributes);
        let (begin, one) = (self.list(&[0]), self.list(&[1]));
        let attributes = vec![("T", kind(DataType::Int32)), ("Index", kind(DataType::Int32))];
        let batch = self.add("Slice", &[&shape, &begin, &one], attributes);
        let sizes: Vec<_> =
            sizes.iter().map(|&size| i32::try_from(size).unwrap_or(i32::MAX)).collect();
        let (sizes, axis) = (self.list(&sizes), self.wholes(&[], &[0]));
        let attributes =
            vec![("N", count(2)), ("T", kind(DataType::Int32)), ("Tidx", kind(DataType::Int32))];
        self.add("ConcatV2", &[&batch, &sizes, &axis], attributes)
    }

    /// Pooling of images of shape `input`.
    pub(super) fn pool(&mut self, pool: &Pool2d, input: &Shape, x: &str) -> Option<Ref> {
        let (op, outside) = match pool.kind {
            PoolKind::Max => ("MaxPool", f64::NEG_INFINITY),
            PoolKind::Average => ("AvgPool", 0.0),
        };
        let (x, padding) = self.padded(pool.padding, x, outside);
        let attributes = vec![
            ("T", kind(DataType::Float)),
            ("ksize", window(pool.pool)),
            ("strides", window(pool.strides)),
            ("padding", word(padding)),
            ("data_format", word("NHWC")),
        ];
        let y = self.add(op, &[&x], attributes);
        match (pool.kind, pool.padding) {
            (PoolKind::Average, Padding::Explicit { .. }) => {
                let shares = shares(&pool.window(input).ok()?);
                let [rows, columns] = pool.window(input).ok()?.output;
                let shares = self.numbers(&[1, rows, columns, 1], &shares);
                Some(self.apply("Mul", &[&y, &shares]))
            }
            _ => Some(y),
        }
    }
}

/// For each window: its cells, over those that are no padding.
fn shares(window: &Window2d) -> Vec<f64> {
    let real = |axis: usize, size: usize| -> Vec<usize> {
        (0..size).map(|output| window.sources(axis, output).count()).collect()
    };
    let [rows, columns] = window.output;
    let (rows, columns) = (real(0, rows), real(1, columns));
    let cells = (window.kernel[0] * window.kernel[1]) as f64;
    let share = |&rows: &usize, columns: &usize| cells / (rows * columns).max(1) as f64;
    rows.iter().flat_map(|rows| columns.iter().map(move |columns| share(rows, columns))).collect()
}
