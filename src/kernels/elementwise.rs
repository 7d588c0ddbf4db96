//! Functions applied element by element. Backward passes are [`Binary`]: the gradient of the input
//! from that of the output and the input or the output.

use super::isa::{Isa, Kernel};
use super::simd::{LANES, Simd};

/// A function of one vector. `apply` is `#[inline(always)]`, as all of a kernel.
pub(crate) trait Unary: Copy {
    fn apply<S: Simd>(self, s: S, x: S::F) -> S::F;
}

/// A function of two vectors. `apply` is `#[inline(always)]`, as all of a kernel.
pub(crate) trait Binary: Copy {
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F;
}

/// +0.0 where 0 ≥ x, else x.
#[inline(always)]
pub(crate) fn relu<S: Simd>(s: S, x: S::F) -> S::F {
    let zero = s.splat(0.0);
    s.select(s.ge(zero, x), zero, x)
}

/// a + b
#[derive(Clone, Copy)]
pub(crate) struct Sum;

impl Binary for Sum {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.add(a, b)
    }
}

/// a·b
#[derive(Clone, Copy)]
pub(crate) struct Product;

impl Binary for Product {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
        s.mul(a, b)
    }
}

/// y = f(x)
///
/// # Panics
/// If the lengths differ.
pub(crate) fn unary(isa: Isa, f: impl Unary, y: &mut [f32], x: &[f32]) {
    struct Loop<'a, F>(F, &'a mut [f32], &'a [f32]);
    impl<F: Unary> Kernel for Loop<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(f, y, x) = self;
            for (y, x) in y.chunks_mut(LANES).zip(x.chunks(LANES)) {
                s.store_partial(f.apply(s, s.load_partial(x)), y);
            }
        }
    }
    assert_eq!(y.len(), x.len(), "lengths of result and argument");
    isa.run(Loop(f, y, x));
}

/// x = f(x)
pub(crate) fn unary_in_place(isa: Isa, f: impl Unary, x: &mut [f32]) {
    struct Loop<'a, F>(F, &'a mut [f32]);
    impl<F: Unary> Kernel for Loop<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(f, x) = self;
            for x in x.chunks_mut(LANES) {
                s.store_partial(f.apply(s, s.load_partial(x)), x);
            }
        }
    }
    isa.run(Loop(f, x));
}

/// y = f(a, b)
///
/// # Panics
/// If the lengths differ.
pub(crate) fn binary(isa: Isa, f: impl Binary, y: &mut [f32], a: &[f32], b: &[f32]) {
    struct Loop<'a, F>(F, &'a mut [f32], &'a [f32], &'a [f32]);
    impl<F: Binary> Kernel for Loop<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(f, y, a, b) = self;
            for (y, (a, b)) in y.chunks_mut(LANES).zip(a.chunks(LANES).zip(b.chunks(LANES))) {
                s.store_partial(f.apply(s, s.load_partial(a), s.load_partial(b)), y);
            }
        }
    }
    assert_eq!([y.len(); 2], [a.len(), b.len()], "lengths of result and arguments");
    isa.run(Loop(f, y, a, b));
}

/// a = f(a, b)
///
/// # Panics
/// If the lengths differ.
pub(crate) fn binary_in_place(isa: Isa, f: impl Binary, a: &mut [f32], b: &[f32]) {
    struct Loop<'a, F>(F, &'a mut [f32], &'a [f32]);
    impl<F: Binary> Kernel for Loop<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Self(f, a, b) = self;
            for (a, b) in a.chunks_mut(LANES).zip(b.chunks(LANES)) {
                s.store_partial(f.apply(s, s.load_partial(a), s.load_partial(b)), a);
            }
        }
    }
    assert_eq!(a.len(), b.len(), "lengths of the arguments");
    isa.run(Loop(f, a, b));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Tripled;
    impl Unary for Tripled {
        #[inline(always)]
        fn apply<S: Simd>(self, s: S, x: S::F) -> S::F {
            s.mul(x, s.splat(3.0))
        }
    }

    #[derive(Clone, Copy)]
    struct Difference;
    impl Binary for Difference {
        #[inline(always)]
        fn apply<S: Simd>(self, s: S, a: S::F, b: S::F) -> S::F {
            s.sub(a, b)
        }
    }

    #[test]
    fn every_length_is_covered_and_nothing_beyond() {
        for isa in Isa::available() {
            for length in (0..=2 * LANES + 1).chain([100, 1023]) {
                let a: Vec<f32> = (0..length).map(|i| i as f32 + 0.5).collect();
                let b: Vec<f32> = (0..length).map(|i| (7 * i) as f32).collect();
                let tripled: Vec<f32> = a.iter().map(|a| a * 3.0).collect();
                let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();

                let mut y = vec![f32::NAN; length];
                unary(isa, Tripled, &mut y, &a);
                assert_eq!(y, tripled, "{isa:?}, {length}");
                y.copy_from_slice(&a);
                unary_in_place(isa, Tripled, &mut y);
                assert_eq!(y, tripled, "{isa:?}, {length}");
                y.fill(f32::NAN);
                binary(isa, Difference, &mut y, &a, &b);
                assert_eq!(y, difference, "{isa:?}, {length}");
                y.copy_from_slice(&a);
                binary_in_place(isa, Difference, &mut y, &b);
                assert_eq!(y, difference, "{isa:?}, {length}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "lengths")]
    fn lengths_that_differ_are_refused() {
        binary_in_place(Isa::current(), Difference, &mut [0.0; 2], &[0.0; 3]);
    }
}
