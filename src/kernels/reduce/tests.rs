//! Every sum on every instruction set against its plain loop, bit by bit.

use super::super::reference;
use super::*;

/// Around one and two rounds of the lanes.
const COUNTS: [usize; 12] = [0, 1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 97];

#[test]
fn column_sums_of_every_term() {
    for columns in [1, 3, 15, 16, 17, 33] {
        for (samples, rows) in COUNTS.iter().flat_map(|&rows| [1, 2, 5].map(|s| (s, rows))) {
            let count = samples * rows * columns;
            let (a, b) = (reference::values(count, 1), reference::values(count, 2));
            let center = reference::values(columns, 3);
            let twin = |term: &dyn Fn(usize, usize) -> f32| {
                reference::column_sums(samples, rows, columns, term)
            };
            let plain = twin(&|index, _| a[index]);
            let inverse = reference::values(columns, 4);
            let products =
                twin(&|index, column| a[index] * ((b[index] - center[column]) * inverse[column]));
            let squares = twin(&|index, column| {
                let deviation = a[index] - center[column];
                deviation * deviation
            });
            for isa in Isa::available() {
                let case = (isa, samples, rows, columns);
                let mut out = vec![f32::NAN; columns];
                column_sums(isa, &mut out, samples, rows, Plain(&a));
                reference::assert_same_bits(&out, &plain, &(case, "plain"));
                let term = NormalizedProduct { dy: &a, x: &b, mean: &center, inverse: &inverse };
                column_sums(isa, &mut out, samples, rows, term);
                reference::assert_same_bits(&out, &products, &(case, "normalized product"));
                let term = SquaredDeviation { x: &a, center: &center };
                column_sums(isa, &mut out, samples, rows, term);
                reference::assert_same_bits(&out, &squares, &(case, "squared deviation"));
            }
        }
    }
}

#[test]
fn sum_of_one_row() {
    struct Sum<'a>(&'a [f32]);
    impl Kernel for Sum<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            sum_in(simd, self.0)
        }
    }
    for count in COUNTS {
        let values = reference::values(count, 4);
        // One column of one sample: row r in lane r mod 16, as element i in lane i mod 16.
        let expected = reference::column_sums(1, count, 1, |index, _| values[index]);
        for isa in Isa::available() {
            let found = isa.run(Sum(&values));
            reference::assert_same_bits(&[found], &expected, &(isa, count));
        }
    }
}

#[test]
fn sum_of_squares_in_blocks() {
    for count in COUNTS.into_iter().skip(1).chain([4095, 4096, 4097, 9999]) {
        let values = reference::values(count, 5);
        let expected = reference::sum_of_squares(&values);
        for isa in Isa::available() {
            let found = sum_of_squares(isa, &values);
            assert_eq!(found.to_bits(), expected.to_bits(), "{isa:?}, {count}");
        }
    }
}

/// The examples of `docs/DETERMINISM.md`.
#[test]
fn tree_of_a_few_parts() {
    let joined = |count: usize| {
        let mut parts: Vec<String> = (0..count).map(|part| part.to_string()).collect();
        tree(count, |left, right| parts[left] = format!("({}+{})", parts[left], parts[right]));
        parts.into_iter().next()
    };
    assert_eq!(joined(0), None);
    assert_eq!(joined(1).as_deref(), Some("0"));
    assert_eq!(joined(3).as_deref(), Some("((0+1)+2)"));
    assert_eq!(joined(5).as_deref(), Some("(((0+1)+(2+3))+4)"));
    assert_eq!(joined(7).as_deref(), Some("(((0+1)+(2+3))+((4+5)+6))"));
    assert_eq!(joined(8).as_deref(), Some("(((0+1)+(2+3))+((4+5)+(6+7)))"));
}

#[test]
fn tree_sum_and_tree_agree_with_the_definition() {
    for count in (0..=17).chain([33]) {
        // Around a block and around a task.
        for length in [1, 511, 512, 513, 16 * 1024 + 3] {
            let parts: Vec<Vec<f32>> =
                (0..count).map(|part| reference::values(length, 10 + part)).collect();
            let slices: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
            let expected: Vec<f32> =
                (0..length).map(|element| reference::tree_sum(&slices, element)).collect();
            for isa in Isa::available() {
                let mut out = vec![f32::NAN; length];
                tree_sum(isa, &mut out, count as usize, |part| slices[part]);
                reference::assert_same_bits(&out, &expected, &(isa, count, length));
            }
            let mut joined = parts;
            tree(joined.len(), |left, right| {
                let addend = joined[right].clone();
                joined[left].iter_mut().zip(addend).for_each(|(sum, value)| *sum += value);
            });
            if let Some(joined) = joined.first() {
                reference::assert_same_bits(joined, &expected, &("pairs", count, length));
            }
        }
    }
}
