//! Training allocates nothing after its first step.
//!
//! The whole process is counted: what keepnet asks for and what rayon does. The steps run inside of a
//! pool, as those of `fit` do. Rayon allocates there once per thread, when the thread first looks into
//! another's queue (2.3 KiB, for crossbeam's epochs), and when a thread ends: so the test lets all
//! threads look before it counts, and ends none. A thread from outside that enters a pool leaves a
//! job in the pool's injector, which allocates a block (1.5 KiB) for every 63 of them: `fit` enters
//! once, `fit_with` once per step.
#![allow(unsafe_code)] // a global allocator is unsafe to write

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keepnet::model::Clipping;
use keepnet::train::data::{Dataset, mnist};
use keepnet::{
    Activation, BatchNormalization, Callback, CallbackError, Conv2d, FitOptions, GlobalPool2d,
    GraphBuilder, Loss, Merge, Model, Optimizer, Padding, PoolKind, Sequential, Shape, StepReport,
};

/// The system's allocator, and how often it was asked for memory.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller vouches for `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller vouches for `layout`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller vouches for the block and its new size.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches for the block.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What was allocated between the end of the first step and the end of the last.
#[derive(Default)]
struct AfterFirst {
    steps: u64,
    before: u64,
    allocations: u64,
}

impl Callback for AfterFirst {
    fn on_step_end(
        &mut self,
        _: &Model,
        report: &StepReport,
    ) -> Result<ControlFlow<()>, CallbackError> {
        assert!(report.values[0].1.is_finite(), "{report:?}");
        let now = ALLOCATIONS.load(Ordering::Relaxed);
        if report.step == 1 {
            self.before = now;
        }
        (self.steps, self.allocations) = (report.step, now - self.before);
        Ok(ControlFlow::Continue(()))
    }
}

fn chain() -> Model {
    let chain = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(8, 3, Activation::Relu)
        .max_pool2d(2)
        .conv2d(16, 3, Activation::Gelu)
        .max_pool2d(2)
        .flatten()
        .dense(32, Activation::Relu)
        .dropout(0.25)
        .dense(10, Activation::Softmax);
    let mut model = chain.build(1).expect("a chain that fits");
    model.compile(Optimizer::adam(0.001), LOSS).expect("one output");
    model
}

/// With the layer at which shards wait for each other, sums of gradients, and weight decay.
fn residual() -> Model {
    let mut b = GraphBuilder::new();
    let image = b.input("image", [28, 28, 1]);
    let conv = |strides: usize| Conv2d {
        strides: [strides; 2],
        padding: Padding::Same,
        kernel_l2: 1e-4,
        ..Conv2d::new(8, 3)
    };
    let x = b.add(conv(2), &[image]);
    let x = b.add(BatchNormalization::default(), &[x]);
    let skipped = b.add(Activation::Relu, &[x]);
    let x = b.add(conv(1), &[skipped]);
    let x = b.add(BatchNormalization::default(), &[x]);
    let x = b.add(Merge::Add, &[x, skipped]);
    let x = b.add(GlobalPool2d { kind: PoolKind::Average, keep_dims: false }, &[x]);
    let x =
        b.add(keepnet::Dense { activation: Activation::Softmax, ..keepnet::Dense::new(10) }, &[x]);
    b.output("digit", x);
    let mut model = Model::new(b.build("residual").expect("sound"), 1);
    let mut optimizer = Optimizer::adam(0.001);
    optimizer.clipping = Clipping::GlobalNorm(1.0);
    model.compile(optimizer, LOSS).expect("one output");
    model
}

const LOSS: Loss = Loss::SparseCategoricalCrossentropy;

fn digits(count: usize) -> Dataset {
    mnist::embedded().expect("part of the crate").train.take(count)
}

#[test]
fn steps_after_the_first_allocate_nothing() {
    let data = digits(300); // nine steps and a shorter one
    let options = FitOptions { batch_size: 32, ..FitOptions::default() };
    let pools = [1, 2].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.broadcast(|_| ());
        pool
    });
    // By then each thread has looked for more to do, and sleeps.
    std::thread::sleep(Duration::from_millis(100));
    for pool in &pools {
        for (name, build) in [("chain", chain as fn() -> Model), ("residual", residual)] {
            let mut model = build();
            let found = pool.install(|| {
                let mut counted = AfterFirst::default();
                model.fit_with(&data, &options, &mut counted).expect("data that fits");
                counted
            });
            assert_eq!(found.steps, 10);
            assert_eq!(found.allocations, 0, "{name}, {} threads", pool.current_num_threads());
        }
    }
}
