//! What a model of Keras was compiled with.

mod loss;
mod metric;
mod optimizer;

use serde_json::Value;

use crate::format::report::Notice;
use crate::model::{CompileSettings, Graph};

/// Why settings stay behind, in words.
type Reason = String;

/// The compile settings, as far as keepnet has them: `compile_config` of a `.keras` file,
/// `training_config` of an `.h5` file.
pub(super) fn compile(
    config: &Value,
    graph: &Graph,
    notices: &mut Vec<Notice>,
) -> Option<CompileSettings> {
    // Keras 3 writes an empty object for a model that was never compiled.
    config.as_object().filter(|config| config.values().any(|value| !value.is_null()))?;
    let settings = settings(config, graph, notices);
    let settings = settings.and_then(|settings| match settings.check(graph) {
        Ok(()) => Ok(settings),
        Err(error) => Err(error.to_string()),
    });
    match settings {
        Ok(settings) => Some(settings),
        Err(reason) => {
            notices.push(Notice::NotCompiled { reason });
            None
        }
    }
}

fn settings(
    config: &Value,
    graph: &Graph,
    notices: &mut Vec<Notice>,
) -> Result<CompileSettings, Reason> {
    let optimizer = config.get("optimizer").or_else(|| config.get("optimizer_config"));
    let optimizer = optimizer.ok_or("the file names no optimizer")?;
    let optimizer = optimizer::optimizer(optimizer)?;
    let losses = loss::losses(config, graph)?;
    let metrics = metric::metrics(config, graph, &losses, notices);
    Ok(CompileSettings { optimizer, losses, metrics })
}
