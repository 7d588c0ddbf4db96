//! `predict`

use keepnet::wire::npy;
use keepnet::wire::png::{Image, write_png};
use keepnet::{Samples, Shape};
use ndarray::ArrayD;

use crate::place::{Place, images, pair};

fn bits(array: &ArrayD<f32>) -> (Vec<usize>, Vec<u32>) {
    (array.shape().to_vec(), array.iter().map(|value| value.to_bits()).collect())
}

/// An npy file whose values are those bytes.
fn raw_npy(descr: &str, order: Order, shape: &str, values: &[u8]) -> Vec<u8> {
    let fortran = match order {
        Order::C => "False",
        Order::Fortran => "True",
    };
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), text.as_bytes(), values].concat()
}

enum Order {
    C,
    Fortran,
}

/// 37 samples are three shards, one of them ragged.
#[test]
fn arrays_give_the_bits_of_the_library() {
    let (place, model) = Place::with_digits();
    place.write_npy("x.npy", &images(37));
    let expected = model.predict(&images(37)).unwrap();
    for threads in ["1", "3"] {
        let arguments =
            ["predict", "digits.knet", "-i", "x.npy", "-o", "y.npy", "--threads", threads];
        let text = place.done(&arguments);
        assert_eq!(text, "output `dense`: 37 samples of 10, float32, written to y.npy\n");
        assert_eq!(bits(&npy::read(&place.read("y.npy")).unwrap()), bits(&expected));
    }
    let transposed = images(3).to_array().reversed_axes();
    let values: Vec<u8> = transposed.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
    place.write("f.npy", raw_npy("<f8", Order::Fortran, "(3, 28, 28, 1)", &values));
    let run = place.run(&["predict", "digits.knet", "f.npy", "-o", "y.npy"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    assert!(run.stderr.contains("f.npy holds float64"), "{}", run.stderr);
    let expected = model.predict(&images(3)).unwrap();
    assert_eq!(bits(&npy::read(&place.read("y.npy")).unwrap()), bits(&expected));
}

#[test]
fn the_largest_values_are_printed() {
    let (place, model) = Place::with_digits();
    place.write_npy("x.npy", &images(2));
    let expected = model.predict(&images(2)).unwrap();
    let json = place.json(&["predict", "digits.knet", "x.npy", "--top", "10"]);
    assert_eq!(json["samples"], 2);
    let output = &json["outputs"][0];
    assert_eq!((&output["name"], &output["shape"]), (&"dense".into(), &[10].as_slice().into()));
    for (sample, row) in expected.outer_iter().enumerate() {
        let prediction = &output["predictions"][sample];
        assert_eq!(prediction["sample"], sample.to_string());
        let top = prediction["top"].as_array().unwrap();
        assert_eq!(top.len(), 10);
        let mut last = f32::INFINITY;
        for ranked in top {
            let index = ranked["index"][0].as_u64().unwrap() as usize;
            let value: f32 = ranked["value"].to_string().parse().unwrap();
            assert_eq!(value.to_bits(), row[index].to_bits());
            assert!(value <= last);
            last = value;
        }
    }
    let text = place.done(&["predict", "digits.knet", "x.npy", "--top", "1"]);
    assert!(text.starts_with("output `dense`: 2 samples of 10\n┌"), "{text}");
    assert!(text.contains(" %"), "softmax is shown in percent: {text}");
    assert!(text.contains("Top 1") && !text.contains("Top 2"), "{text}");
}

#[test]
fn no_sample_is_no_trouble() {
    let (place, _) = Place::with_digits();
    place.write_npy("x.npy", &images(0));
    let text = place.done(&["predict", "digits.knet", "x.npy"]);
    assert_eq!(text, "output `dense`: 0 samples of 10\n");
    place.done(&["predict", "digits.knet", "x.npy", "-o", "y.npy"]);
    assert_eq!(npy::read(&place.read("y.npy")).unwrap().shape(), [0, 10]);
}

#[test]
fn pictures_are_prepared_as_told() {
    let (place, model) = Place::with_digits();
    let gray: Vec<u8> = (0..784).map(|i| (i % 251) as u8).collect();
    let rgb: Vec<u8> =
        gray.iter().flat_map(|&v| [v, v / 2, 255 - v]).cycle().take(56 * 56 * 3).collect();
    let gray = Image::new(28, 28, 1, gray).unwrap();
    let rgb = Image::new(56, 56, 3, rgb).unwrap();
    place.write("gray.png", write_png(&gray));
    place.write("rgb.png", write_png(&rgb));
    let shape = Shape::image(28, 28, 1);
    for invert in [false, true] {
        let mut arguments = vec!["predict", "digits.knet", "gray.png", "rgb.png", "-o", "y.npy"];
        arguments.extend(invert.then_some("--invert"));
        let run = place.run(&arguments);
        assert_eq!(run.status, 0, "{}", run.stderr);
        let told = if invert { "black and white swapped" } else { "not inverted" };
        assert!(
            run.stderr.contains(told) && run.stderr.contains("divided by 255"),
            "{}",
            run.stderr
        );
        let found = npy::read(&place.read("y.npy")).unwrap();
        for (image, row) in [&gray, &rgb].into_iter().zip(found.outer_iter()) {
            let expected = model.predict(&image.to_samples(&shape, invert).unwrap()).unwrap();
            assert!(row.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
    let run = place.run(&["predict", "digits.knet", "--input", "rgb.png", "--json"]);
    assert_eq!(run.json()["outputs"][0]["predictions"][0]["sample"], "rgb.png");
}

#[test]
fn several_inputs_and_outputs_go_by_name() {
    let (place, model) = (Place::new(), pair());
    model.save(place.path("pair.knet")).unwrap();
    let input = |scale: f32| {
        let values: Vec<f32> = (0..24).map(|i| i as f32 * scale).collect();
        Samples::new(2, Shape::image(2, 2, 3), values).unwrap()
    };
    place.write_npy("l.npy", &input(0.5));
    place.write_npy("r=1.npy", &input(-0.25));
    let expected = model.predict_all(&[input(0.5), input(-0.25)]).unwrap();
    let inputs = ["predict", "pair.knet", "--input", "right=r=1.npy", "--input", "left=l.npy"];

    let outputs = ["--output", "map=m.npy", "-o", "class=c.npy", "--json"];
    let run = place.run(&[&inputs[..], &outputs].concat());
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    assert_eq!(run.json()["outputs"][1]["file"], "m.npy");
    for (name, expected) in ["c.npy", "m.npy"].into_iter().zip(&expected) {
        assert_eq!(bits(&npy::read(&place.read(name)).unwrap()), bits(expected));
    }
    let json = place.json(&inputs);
    let index = json["outputs"][1]["predictions"][0]["top"][0]["index"].clone();
    let index: Vec<usize> = serde_json::from_value(index).unwrap();
    let sample = expected[1].outer_iter().next().unwrap();
    assert!(sample.iter().all(|value| *value <= sample[index.as_slice()]));

    for (wrong, words) in [
        (&["l.npy"][..], "left, right"),
        (&["-i", "left=l.npy"], "input `right` of the model is given nothing"),
        (&["-i", "left=l.npy", "-i", "right=l.npy", "-o", "y.npy"], "class, map"),
        (
            &["-i", "left=l.npy", "-i", "right=l.npy", "-o", "map=y.npy", "-o", "map=z.npy"],
            "output `map` is asked for twice",
        ),
        (
            &["-i", "left=l.npy", "-i", "right=l.npy", "-o", "map=n.npy", "-o", "class=./n.npy"],
            "another output",
        ),
        (&["-i", "left=l.npy", "-i", "left=l.npy", "-i", "right=l.npy"], "`left` is given an .npy"),
    ] {
        let error = place.fails(2, &[&["predict", "pair.knet"], wrong].concat());
        assert!(error.contains(words), "{error}");
    }
    assert!(!place.path("y.npy").exists());
    place.write_npy("three.npy", &input(1.0).select(&[0, 1, 0]));
    let other = ["predict", "pair.knet", "-i", "left=l.npy", "-i", "right=three.npy"];
    let error = place.fails(1, &other);
    assert!(error.contains("input `right` has 3 samples"), "{error}");
}

#[test]
fn unfit_inputs_are_refused_with_words() {
    let (place, _) = Place::with_digits();
    place.write_npy("x.npy", &images(1));
    place.write("flat.npy", raw_npy("<f4", Order::C, "(1, 784)", &[0; 784 * 4]));
    place.write("scalar.npy", raw_npy("<f4", Order::C, "()", &[0; 4]));
    place.write("half.npy", raw_npy("<f2", Order::C, "(1, 28, 28, 1)", &[0; 784 * 2]));
    place.write("objects.npy", raw_npy("|O", Order::C, "(1, 28, 28, 1)", &[0; 784]));
    place.write("odd.npy", raw_npy("<i8", Order::C, "(1, 28, 28, 1)", &[1; 784 * 8]));
    place.write("short.npy", raw_npy("<f4", Order::C, "(1, 28, 28, 1)", &[0; 783 * 4]));
    place.write("bad.png", b"\x89PNG\r\n\x1a\nno more");
    place.write("words.txt", "not an array");
    for (file, words) in [
        ("flat.npy", "an array of shape 1×784, but input `input` takes N×28×28×1"),
        ("scalar.npy", "an array of shape (), but"),
        ("half.npy", "an array of float16 does not convert to float32, save it as float32"),
        ("objects.npy", "arrays of type |O are not supported"),
        ("odd.npy", "has no equal float32"),
        ("short.npy", "the file ends at offset"),
        ("bad.png", "not a sound PNG picture"),
        ("words.txt", "neither a NumPy array nor a PNG picture"),
        ("missing.npy", "cannot read it: No such file"),
        (".", "cannot read it: Is a directory"),
    ] {
        let error = place.fails(1, &["predict", "digits.knet", file, "-o", "y.npy"]);
        assert!(error.starts_with(&format!("error: {file}: ")) && error.contains(words), "{error}");
        assert!(!place.path("y.npy").exists());
    }
    let error = place.fails(2, &["predict", "digits.knet", "x.npy", "--invert"]);
    assert!(error.contains("--invert is for pictures"), "{error}");
    for output in ["digits.knet", "./x.npy"] {
        let error = place.fails(2, &["predict", "digits.knet", "x.npy", "-o", output]);
        assert!(error.contains("which would be lost"), "{error}");
    }
    let error = place.fails(1, &["predict", "digits.knet", "x.npy", "-o", "no/such/y.npy"]);
    assert!(error.contains("no/such/y.npy: cannot write it: "), "{error}");
}
