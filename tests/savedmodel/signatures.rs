//! Which of the signatures of TensorFlow is read, and what is told where none can be.

use keepnet::*;

use crate::peers::kerases;
use crate::read;
use crate::runtime::run;

#[test]
fn a_lone_signature_is_read_and_the_others_are_told_apart() {
    let Some(python) = kerases() else { return };
    let home = tempfile::tempdir().unwrap();
    run(&python, "make_signatures.py", home.path());
    // TensorFlow has put a signature of its own beside it.
    let model = Model::load(home.path().join("one")).unwrap();
    let answers = model.predict(&Samples::new(1, [4], vec![0.0, 0.0, 1.0, 0.0]).unwrap()).unwrap();
    assert_eq!(answers.into_iter().collect::<Vec<f32>>(), [6.0, 7.0, 8.0]);
    for (name, says) in [
        ("several", "it has 2 signatures, `again`, `predict`, and none of them is"),
        ("none", "it has no signature to serve, so that nothing tells what it predicts; save it"),
        ("parts", "`kernel` is stored in parts, which keepnet does not put together; save it"),
    ] {
        let error = read(&home.path().join(name)).unwrap_err();
        assert!(error.to_string().contains(says) && !error.is_corrupt(), "{name}: {error}");
    }
}
