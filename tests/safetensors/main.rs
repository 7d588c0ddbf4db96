//! Models and weights as safetensors: what keepnet saves comes back in every bit, what others have saved is
//! matched with a given network or refused, and PyTorch takes what is saved for it.
//!
//! What needs PyTorch runs where the environment variable `KEEPNET_TORCH_PYTHON` names a Python with torch
//! and safetensors; without it those tests say so and pass.

mod foreign;
#[path = "../format_support/mod.rs"]
mod format_support;
mod kept;
mod lone;
#[path = "../networks/mod.rs"]
mod networks;
#[path = "../peers/mod.rs"]
mod peers;
mod torch;

use std::fs;
use std::path::Path;

use keepnet::Tensor;
use keepnet::bytes::Budget;
use keepnet::wire::safetensors::{File, read};

/// The file at `path`, changed.
fn rewrite(path: &Path, change: impl FnOnce(&mut File<'_>)) {
    let bytes = fs::read(path).unwrap();
    let mut file = read(&bytes, &mut Budget::new(1 << 30)).unwrap();
    change(&mut file);
    let changed = file.to_pieces().unwrap().concat();
    fs::write(path, changed).unwrap();
}

/// Changes names, and leaves out tensors where there is none.
fn rename(file: &mut File<'_>, name: impl Fn(&str) -> Option<String>) {
    let tensors = std::mem::take(&mut file.tensors);
    let renamed = tensors.into_iter().filter_map(|(old, tensor)| Some((name(&old)?, tensor)));
    file.tensors = renamed.collect();
}

fn f32s<const N: usize>(shape: [usize; N], values: &[f32]) -> Tensor<'static> {
    Tensor::from_f32(shape, values).unwrap().into_owned()
}
