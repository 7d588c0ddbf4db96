//! Sharing: a model goes to a colleague without what only training needs, and she checks that it is
//! the one that was sent, and that it still is the model it was.
//!
//! `cargo run --release --example share`

use std::path::Path;

use keepnet::bytes::Digest;
use keepnet::format::{self, Limits};
use keepnet::train::data::{Split, mnist};
use keepnet::{
    Activation, FitOptions, Loss, Model, Optimizer, SaveOptions, Sequential, Shape, Verification,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("keepnet-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let shown = mnist::embedded().map_err(Into::into).and_then(|data| run(&folder, &data));
    std::fs::remove_dir_all(&folder)?;
    Ok(shown?)
}

/// All of it; the file that is shared is in `folder`.
pub(crate) fn run(folder: &Path, data: &Split) -> Result<(), keepnet::Error> {
    let path = folder.join("shared.knet");
    let mine = train(data, 1)?;
    let published = send(&mine, &path)?;

    let theirs = receive(&path, published)?.expect("it arrived as it was sent");
    let images = &data.validation.inputs()[0];
    assert_eq!(theirs.predict(images)?, mine.predict(images)?);
    println!("received: the digest is the published one, and the proof holds");

    // Somebody puts another model in its place. The file is sound, and its proof is its own.
    send(&train(data, 2)?, &path)?;
    assert!(receive(&path, published)?.is_none());
    println!("another model under the same name: refused, its digest is not the published one");
    Ok(())
}

fn train(data: &Split, seed: u64) -> Result<Model, keepnet::Error> {
    let mut model = Sequential::new(Shape::image(28, 28, 1))
        .conv2d(8, 3, Activation::Relu)
        .max_pool2d(2)
        .flatten()
        .dense(10, Activation::Softmax)
        .build(seed)?;
    model.compile(Optimizer::adam(0.001), Loss::SparseCategoricalCrossentropy)?;
    model.fit(&data.train, &FitOptions { batch_size: 64, ..Default::default() })?;
    model.metadata.insert("license".to_owned(), "CC0-1.0".to_owned());
    Ok(model)
}

/// Gives the digest, which goes another way than the file: into a paper, onto a web page.
fn send(model: &Model, path: &Path) -> Result<Digest, keepnet::Error> {
    let options = SaveOptions { proof: true, metadata: true, ..SaveOptions::weights_only() };
    model.save_with(path, options)?;
    let (all, sent) = (model.to_bytes(SaveOptions::default())?, model.to_bytes(options)?);
    println!("sent: {} bytes, with everything it would be {}", sent.len(), all.len());
    // The same as `sha256sum shared.knet` says: the same model always gives the same bytes.
    let digest = Digest::of(&sent);
    println!("sha256: {digest}");
    Ok(digest)
}

/// `None` if this is not what was published.
fn receive(path: &Path, published: Digest) -> Result<Option<Model>, keepnet::Error> {
    // Read once: what is loaded is what was checked.
    let bytes = std::fs::read(path).expect("it was sent");
    if Digest::of(&bytes) != published {
        return Ok(None);
    }
    load_proved(&bytes).map(Some)
}

fn load_proved(bytes: &[u8]) -> Result<Model, keepnet::Error> {
    let checkpoint = format::from_bytes(bytes, &Limits::default())?;
    let model = Model::from_checkpoint_within(&checkpoint, &Limits::default())?;
    let proof = checkpoint.proof.as_ref().expect("it was sent with a proof");
    assert_eq!(model.verify(proof)?, Verification::Identical);
    assert_eq!(model.compiled(), None, "what only training needs stayed at home");
    println!("its licence: {}", model.metadata["license"]);
    Ok(model)
}
