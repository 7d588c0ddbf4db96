//! Configurations of Keras: any JSON becomes a network or is refused. With numbers of its own a network
//! runs, and comes back from what is written in both forms.
#![no_main]

use keepnet::Model;
use keepnet::format::keras::read_config;
use keepnet_fuzz::{NARROW, assert_kept_for_keras, json};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|text: &[u8]| {
    for is_keras2 in [false, true] {
        let Ok((graph, compile)) = read_config(text, is_keras2, &NARROW) else { continue };
        let parameters = graph.parameters().iter();
        if parameters.map(|parameter| parameter.shape.elements()).sum::<usize>() > 1 << 16
            || NARROW.check_network(&graph, 16, true).is_err()
        {
            continue;
        }
        let mut model = Model::new(graph, 1);
        if let Some(compile) = compile {
            // A loss may ask for outputs of another shape.
            let _ = model.compile_with(compile);
        }
        assert_kept_for_keras(&model);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    json::mutate(data, size, max_size, seed)
});
