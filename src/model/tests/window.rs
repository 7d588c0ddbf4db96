//! Windows on their way over images.

use proptest::prelude::*;

use crate::model::*;

fn window(size: usize, kernel: usize, stride: usize, padding: Padding) -> (usize, usize) {
    let both = [size; 2];
    let window = Window2d::new(both, [kernel; 2], [stride; 2], padding, [1; 2]).expect("it fits");
    assert_eq!((window.before[0], window.output[0]), (window.before[1], window.output[1]));
    (window.before[0], window.output[0])
}

/// The examples of "Notes on padding" in TensorFlow's `tf.nn` page and of its picture at
/// <https://stackoverflow.com/a/37675359>: (padding before, cells of the output).
#[test]
fn same_padding_as_tensorflow() {
    assert_eq!(window(13, 6, 5, Padding::Same), (1, 3)); // 1 before, 2 after
    assert_eq!(window(13, 6, 5, Padding::Valid), (0, 2)); // the last 2 are dropped
    assert_eq!(window(8, 6, 1, Padding::Same), (2, 8)); // 5 in all: 2 before, 3 after
    assert_eq!(window(28, 3, 1, Padding::Same), (1, 28));
    assert_eq!(window(28, 3, 2, Padding::Same), (0, 14)); // 1 in all: it goes after
    assert_eq!(window(5, 1, 3, Padding::Same), (0, 2)); // stride above kernel: none
    assert_eq!(window(1, 5, 1, Padding::Same), (2, 1));
}

#[test]
fn sources_of_a_window() {
    let window = Window2d::new([5, 5], [3, 3], [2, 1], Padding::Same, [1, 2]).expect("it fits");
    assert_eq!((window.before, window.output), ([1, 2], [3, 5]));
    let row: Vec<_> = (0..3).map(|tap| window.source(0, 2, tap)).collect();
    assert_eq!(row, [Some(3), Some(4), None]);
    let column: Vec<_> = (0..3).map(|tap| window.source(1, 1, tap)).collect();
    assert_eq!(column, [None, Some(1), Some(3)]);
}

proptest! {
    /// TensorFlow states the padding by the remainder of size / stride ("Notes on padding").
    #[test]
    fn same_padding_by_the_remainder(
        size in 1..40_usize, kernel in 1..9_usize, stride in 1..9_usize, dilation in 1..4_usize,
    ) {
        let padding = Padding::Same;
        let window =
            Window2d::new([size, 1], [kernel, 1], [stride, 1], padding, [dilation, 1]).expect("it fits");
        let extent = (kernel - 1) * dilation + 1;
        let taken = if size % stride == 0 { stride } else { size % stride };
        prop_assert_eq!(window.before[0], extent.saturating_sub(taken) / 2);
        prop_assert_eq!(window.output[0], size.div_ceil(stride));
    }

    /// All that [`Window2d::source`] gives for the taps in turn.
    #[test]
    fn sources_are_those_of_the_taps(
        size in 1..12_usize, kernel in 1..9_usize, stride in 1..9_usize, dilation in 1..4_usize,
        padding in prop_oneof![
            Just(Padding::Valid),
            Just(Padding::Same),
            (0..9_usize, 0..9_usize).prop_map(|(top, bottom)| {
                Padding::Explicit { top, bottom, left: 0, right: 0 }
            }),
        ],
    ) {
        let window = Window2d::new([size, 1], [kernel, 1], [stride, 1], padding, [dilation, 1]);
        if let Ok(window) = window {
            for output in 0..window.output[0] {
                let all = (0..kernel).filter_map(|tap| window.source(0, output, tap));
                prop_assert!(window.sources(0, output).eq(all), "{:?} at {}", window, output);
            }
        }
    }

    /// A window with explicit or no padding starts inside and its last tap ends inside; one more
    /// would not.
    #[test]
    fn windows_fill_the_padded_image(
        size in 1..40_usize, kernel in 1..9_usize, stride in 1..9_usize, dilation in 1..4_usize,
        before in 0..5_usize, after in 0..5_usize,
    ) {
        let padding = Padding::Explicit { top: before, bottom: after, left: 0, right: 0 };
        let window = Window2d::new([size, 1], [kernel, 1], [stride, 1], padding, [dilation, 1]);
        let (padded, extent) = (size + before + after, (kernel - 1) * dilation + 1);
        match window {
            Ok(window) => {
                let last = (window.output[0] - 1) * stride + extent;
                prop_assert!(last <= padded && last + stride > padded);
                prop_assert_eq!(window.before[0], before);
            }
            Err(_) => prop_assert!(extent > padded),
        }
    }
}
