//! Settings that only matter when a layer is trained, or starts anew.

use serde_json::Value;

use super::Lowering;
use crate::format::keras::json::{Settings, brief, real};
use crate::format::report::Notice;
use crate::model::Initializer;

impl Lowering {
    pub(super) fn initializer(&mut self, settings: Settings<'_>, setting: &str) -> Initializer {
        let default = match setting {
            "kernel_initializer" => Initializer::GlorotUniform,
            _ => Initializer::Zeros,
        };
        let Some(value) = settings.get(setting) else { return default };
        let class = value.as_str().or_else(|| value.get("class_name")?.as_str());
        match class.unwrap_or_default() {
            "GlorotUniform" | "glorot_uniform" => Initializer::GlorotUniform,
            "GlorotNormal" | "glorot_normal" => Initializer::GlorotNormal,
            "HeUniform" | "he_uniform" => Initializer::HeUniform,
            "HeNormal" | "he_normal" => Initializer::HeNormal,
            "Zeros" | "zeros" => Initializer::Zeros,
            "Ones" | "ones" => Initializer::Ones,
            // What Keras up to 2.2 wrote for the two of Glorot and of He.
            "VarianceScaling" => variance_scaling(value).unwrap_or(default),
            _ => {
                self.not_carried(settings, setting);
                default
            }
        }
    }

    /// The factor of an L2 regulariser. Others are told of.
    pub(super) fn l2(&mut self, settings: Settings<'_>, setting: &str) -> f64 {
        for other in
            ["bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint"]
        {
            self.not_carried(settings, other);
        }
        let Some(value) = settings.get(setting) else { return 0.0 };
        let factor = |name| value.pointer("/config")?.get(name).and_then(real);
        match (factor("l1").unwrap_or(0.0), factor("l2")) {
            (0.0, Some(l2)) if l2 >= 0.0 && l2.is_finite() => l2,
            _ => {
                self.not_carried(settings, setting);
                0.0
            }
        }
    }

    pub(super) fn not_carried(&mut self, settings: Settings<'_>, setting: &str) {
        if let Some(found) = settings.get(setting) {
            let (owner, found) = (settings.owner(), brief(found));
            self.notices.push(Notice::NotCarried { owner, setting: setting.to_owned(), found });
        }
    }
}

fn variance_scaling(value: &Value) -> Option<Initializer> {
    let config = value.get("config")?;
    let (scale, mode) = (config.get("scale").and_then(real)?, config.get("mode")?.as_str()?);
    let uniform = config.get("distribution")?.as_str()? == "uniform";
    match (mode, scale, uniform) {
        ("fan_avg", 1.0, true) => Some(Initializer::GlorotUniform),
        ("fan_avg", 1.0, false) => Some(Initializer::GlorotNormal),
        ("fan_in", 2.0, true) => Some(Initializer::HeUniform),
        ("fan_in", 2.0, false) => Some(Initializer::HeNormal),
        _ => None,
    }
}
