//! Files that both Kerases wrote (`tests/golden_keras_files`, by `make.py --golden` and
//! `golden_older.py` of `tests/keras`) give Keras' predictions, and their optimizers remember what Keras' do.

mod keras_support;

use std::path::Path;

use keras_support::Case;

fn golden() -> Vec<Case> {
    Case::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_keras_files"))
}

#[test]
fn golden_files_answer_as_keras_does() {
    let mut compared = 0;
    for case in golden().iter().filter(|case| case.refuse().is_none()) {
        for file in case.files() {
            let name = file.display();
            let loaded = case.load(&file);
            let (model, report) = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
            let apart = case.compare(&model).unwrap_or_else(|error| panic!("{name}: {error}"));
            if let Some((optimizer, iterations)) = case.compiled() {
                assert_eq!(report.optimizer_steps, Some(iterations), "{name}: {optimizer}");
                let moments = case.compare_moments(&model.to_checkpoint());
                moments.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            println!("{name}: {apart:e}");
            compared += 1;
        }
    }
    assert!(compared >= 25, "{compared} files were compared");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let mut refused = 0;
    for case in golden() {
        let Some(reason) = case.refuse() else { continue };
        for file in case.files() {
            let error = case.load(&file).map(drop).unwrap_err();
            // Such as `mine>Scaling is a class of the user's own`.
            let class =
                reason.split([' ', '>']).find(|word| case.classes().contains(word)).unwrap();
            // Some containers name the package before the class.
            let layer = format!("layer `{}` (", class.to_lowercase());
            assert!(error.contains(&layer) && error.contains(&format!("{class})")), "{error}");
            assert!(error.contains("replace it in Keras"), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
}
