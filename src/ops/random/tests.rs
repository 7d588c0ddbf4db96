use super::*;

/// From the known answers of the Random123 library 1.14 (`kat_vectors`), the authors' own.
#[test]
fn philox_gives_the_published_answers() {
    let answers = [
        ([0; 4], [0; 2], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]),
        (
            [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
            [0xA409_3822, 0x299F_31D0],
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1],
        ),
    ];
    for (counter, key, expected) in answers {
        assert_eq!(philox4x32(counter, key), expected);
    }
}

/// Computed by the Python program in docs/DETERMINISM.md.
#[test]
fn streams_are_those_of_another_program() {
    let stream = Stream::new(42, Purpose::Dropout, 3, 7, 11);
    let expected = [0xD111_108B, 0x3C16_6FEA, 0x02ED_0C4C, 0x8362_3E0C, 0x1533_04B8, 0x742E_8E20];
    assert_eq!(stream.words().take(6).collect::<Vec<_>>(), expected);

    const SEED: u64 = 0x0123_4567_89AB_CDEF;
    let stream = Stream::new(SEED, Purpose::Initialize, u32::MAX, (1 << 40) + 5, (1 << 33) + 9);
    assert_eq!(stream.word(1 << 35), 0xA6C8_F81E);
    assert_eq!(stream.word((1 << 35) + 1), 0x79D6_1C97);

    assert_eq!(permutation(42, 3, 12), [6, 3, 9, 0, 7, 10, 5, 11, 4, 2, 1, 8]);
    assert_eq!(permutation(SEED, 1 << 40, 7), [3, 0, 4, 6, 5, 1, 2]);
}

#[test]
fn the_order_of_asking_does_not_matter() {
    let stream = Stream::new(1, Purpose::Dropout, 2, 3, 4);
    let forward: Vec<u32> = stream.words().take(1000).collect();
    for position in (0..1000).rev() {
        assert_eq!(stream.word(position), forward[position as usize]);
    }
}

/// 1,000 words of each of many streams whose keys differ in one place only.
#[test]
fn streams_differ_in_every_part_of_their_key() {
    let purposes = [Purpose::Initialize, Purpose::Shuffle, Purpose::Dropout, Purpose::Probe];
    let mut streams: Vec<Stream> = purposes.map(|p| Stream::new(0, p, 0, 0, 0)).to_vec();
    for shift in 0..64 {
        let bit = 1 << shift;
        streams.push(Stream::new(bit, Purpose::Initialize, 0, 0, 0));
        streams.push(Stream::new(0, Purpose::Initialize, 0, bit, 0));
        streams.push(Stream::new(0, Purpose::Initialize, 0, 0, bit));
    }
    streams.extend((0..32).map(|shift| Stream::new(0, Purpose::Initialize, 1 << shift, 0, 0)));
    let mut firsts: Vec<[u32; 2]> = streams.iter().map(|s| [s.word(0), s.word(1)]).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), streams.len());

    // Bits that agree between neighbours: 16,000 of 32,000, standard deviation 89.
    for pair in streams.windows(2) {
        let words = pair[0].words().zip(pair[1].words()).take(1000);
        let agreeing: u32 = words.map(|(a, b)| (a ^ b).count_zeros()).sum();
        assert!(agreeing.abs_diff(16_000) < 450, "{pair:?}: {agreeing}");
    }
}

const SAMPLES: usize = 1 << 20;

fn words() -> impl Iterator<Item = u32> {
    // Many samples of few words each, as layers use them.
    (0..SAMPLES as u64 / 64)
        .flat_map(|sample| Stream::new(5, Purpose::Probe, 0, 0, sample).words().take(64))
}

/// √n times the largest distance between the distribution of `values` and `distribution`
/// (Kolmogorov and Smirnov): above 1.63 once in a hundred.
fn distance(mut values: Vec<f32>, distribution: impl Fn(f64) -> f64) -> f64 {
    values.sort_unstable_by(f32::total_cmp);
    let n = values.len() as f64;
    let distance = values.iter().enumerate().fold(0.0, |largest: f64, (rank, &x)| {
        let here = (distribution(x.into()) - (rank as f64 + 0.5) / n).abs();
        if here > largest { here } else { largest }
    });
    distance * n.sqrt()
}

#[test]
fn uniform_numbers_are_uniform() {
    assert_eq!(uniform(0), 0.0);
    assert_eq!(uniform(u32::MAX), 1.0 - f32::EPSILON / 2.0);
    let distance = distance(words().map(uniform).collect(), |x| x);
    assert!(distance < 1.63, "{distance}");
}

#[test]
fn truncated_normals_have_their_distribution() {
    // By √2·erfinv((2·(word + ½)/2³² − 1)·erf √2) in mpmath 1.3
    let answers = [
        (0, -1.999_999_997_941_91),
        (0x4000_0000, -0.639_111_910_529_63),
        (0x7FFF_FFFF, -2.785_325_081_373_12e-10),
        (0xDEAD_BEEF, 1.049_434_448_911_79),
        (u32::MAX, 1.999_999_997_941_91),
    ];
    for (word, expected) in answers {
        let error = f64::from(truncated_normal(word)) / expected - 1.0;
        assert!(
            error.abs() < 2.0_f64.recip() * f64::from(f32::EPSILON) * 1.1,
            "{word:#x}: {error}"
        );
    }

    let mut last = -2.0;
    for word in (0..=u32::MAX).step_by(4099) {
        let z = truncated_normal(word);
        assert!(last <= z && z <= 2.0, "{word:#x}: {z}");
        assert_eq!(truncated_normal(!word), -z);
        last = z;
    }

    let values: Vec<f64> = words().map(|word| truncated_normal(word).into()).collect();
    let n = SAMPLES as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|z| z * z).sum::<f64>() / n).sqrt();
    assert!(mean.abs() < 4.0 * TRUNCATED_NORMAL_DEVIATION / n.sqrt(), "{mean}");
    assert!((deviation / TRUNCATED_NORMAL_DEVIATION - 1.0).abs() < 3e-3, "{deviation}");
}

#[test]
fn bounded_numbers_are_even() {
    for n in [1, 2, 3, 10, 1000] {
        let stream = Stream::new(9, Purpose::Shuffle, 0, 0, n);
        let draws = 1000 * n;
        let mut counts = vec![0.0; n as usize];
        for position in 0..draws {
            counts[stream.bounded(position, n) as usize] += 1.0;
        }
        // χ² has mean n − 1 and variance 2(n − 1).
        let chi: f64 =
            counts.iter().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
        let degrees = (n - 1) as f64;
        assert!((chi - degrees).abs() <= 4.0 * (2.0 * degrees).sqrt(), "{n}: {chi}");
    }
    let stream = Stream::new(9, Purpose::Shuffle, 0, 0, 0);
    assert!((0..1000).all(|position| stream.bounded(position, 1 << 63) < 1 << 63));
}

#[test]
fn permutations_are_permutations_and_even() {
    for n in [0, 1, 2, 1000] {
        let mut order = permutation(3, 4, n);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..n));
    }
    assert_ne!(permutation(3, 4, 1000), permutation(3, 5, 1000));
    assert_ne!(permutation(3, 4, 1000), permutation(4, 4, 1000));

    let mut counts = std::collections::BTreeMap::new();
    for epoch in 0..24_000 {
        *counts.entry(permutation(7, epoch, 4)).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 24);
    // χ² of 23 degrees is above 49.7 once in a thousand.
    let chi: f64 =
        counts.values().map(|count: &f64| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
    assert!(chi < 49.7, "{chi}");
}

#[test]
fn normals_have_their_moments() {
    // The ends: u next to 0 gives the largest, v = ½ the middle.
    assert!(normal(u32::MAX, 5).abs() < 1e-4);
    let largest = normal(0, 0);
    assert!((6.76..6.77).contains(&largest), "{largest}");
    assert_eq!(normal(0, u32::MAX), -largest);
    let words: Vec<u32> = words().collect();
    let values: Vec<f64> = words.chunks_exact(2).map(|w| normal(w[0], w[1]).into()).collect();
    let n = values.len() as f64;
    let power = |z: f64, power: usize| (0..power).map(|_| z).product::<f64>();
    let moment = |of| values.iter().map(|&z: &f64| power(z, of)).sum::<f64>() / n;
    // Of the standard normal distribution, and the variance of each power.
    for (power, expected, variance) in
        [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)]
    {
        let error: f64 = moment(power) - expected;
        assert!(error.abs() < 4.0 * (variance / n).sqrt(), "moment {power} is off by {error}");
    }
}
