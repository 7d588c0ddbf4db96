//! Models as other programs see them: without what keepnet keeps beside.

use std::error::Error;
use std::fs;
use std::path::Path;

use keepnet::bytes::Budget;
use keepnet::wire::{hdf5, onnx, safetensors, zip};
use prost::Message;

/// Takes what keepnet keeps out of a `.keras`, `.h5`, safetensors or ONNX file, or out of a SavedModel.
pub(crate) fn strip(path: &Path) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        return Ok(fs::remove_dir_all(path.join("assets.extra"))?);
    }
    let bytes = fs::read(path)?;
    let bare = match path.extension().and_then(|extension| extension.to_str()) {
        Some("keras") => of_archive(&bytes)?,
        Some("h5") => of_hdf5(&bytes)?,
        Some("safetensors") => of_safetensors(&bytes)?,
        Some("onnx") => of_onnx(&bytes)?,
        other => return Err(format!("{other:?} is none of these").into()),
    };
    Ok(fs::write(path, bare)?)
}

fn of_hdf5(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut root = hdf5::read(bytes, &mut Budget::new(1 << 30))?;
    root.members.remove("keepnet");
    Ok(hdf5::write(&root)?.concat())
}

fn of_archive(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    const WEIGHTS: &str = "model.weights.h5";
    let archive = zip::Archive::read(bytes)?;
    let mut members = Vec::new();
    for name in ["metadata.json", "config.json", WEIGHTS] {
        let content = archive.get(name, &mut Budget::new(1 << 30))?.ok_or("a member is missing")?;
        let content = if name == WEIGHTS { of_hdf5(&content)? } else { content.into_owned() };
        members.push((name, content));
    }
    let pieces: Vec<(&str, [&[u8]; 1])> =
        members.iter().map(|(name, content)| (*name, [content.as_slice()])).collect();
    let members: Vec<(&str, &[&[u8]])> =
        pieces.iter().map(|(name, pieces)| (*name, pieces.as_slice())).collect();
    let mut bare = Vec::new();
    zip::write(&members, &mut bare)?;
    Ok(bare)
}

/// What is left are the weights.
fn of_safetensors(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut file = safetensors::read(bytes, &mut Budget::new(1 << 30))?;
    file.metadata.clear();
    let kept = ["optimizer/", "optimizer.", "keepnet/"];
    file.tensors.retain(|name, _| !kept.iter().any(|kept| name.starts_with(kept)));
    Ok(file.to_pieces()?.concat())
}

fn of_onnx(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut model = onnx::Model::decode(bytes)?;
    model.metadata_props.clear();
    model.training_info.clear();
    Ok(model.encode_to_vec())
}
