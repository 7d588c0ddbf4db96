//! The Pythons that keepnet is compared with. Tests that need one run where an environment variable names
//! it; without that they say so and pass, or fail where `KEEPNET_NEEDS_PEERS` is set.
#![allow(dead_code)] // each test uses some of it

use std::process::Command;

/// The Python that `variable` names, which must have all of `modules`.
pub(crate) fn python(variable: &str, modules: &[&str]) -> Option<String> {
    let with = modules.join(" and ");
    let Ok(python) = std::env::var(variable) else {
        let is_needed = std::env::var_os("KEEPNET_NEEDS_PEERS").is_some();
        assert!(
            !is_needed,
            "{variable} names no Python with {with}, and KEEPNET_NEEDS_PEERS is set"
        );
        println!("passed over: {variable} names no Python with {with}");
        return None;
    };
    let program = format!(
        "import importlib.util as u; assert all(u.find_spec(name) for name in {modules:?})"
    );
    let output = Command::new(&python).args(["-c", &program]).output();
    let has_all = output.is_ok_and(|output| output.status.success());
    assert!(has_all, "{variable}={python} is no Python with {with}");
    Some(python)
}

/// A Python with both Kerases and TensorFlow.
pub(crate) fn kerases() -> Option<String> {
    python("KEEPNET_KERAS_PYTHON", &["keras", "tf_keras"])
}

/// A Python with PyTorch.
pub(crate) fn pytorch() -> Option<String> {
    python("KEEPNET_TORCH_PYTHON", &["torch", "safetensors"])
}

/// A Python with onnxruntime.
pub(crate) fn onnxruntime() -> Option<String> {
    python("KEEPNET_ONNX_PYTHON", &["onnx", "onnxruntime"])
}
