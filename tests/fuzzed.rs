//! The fuzz targets without a fuzzer: their structures made of pseudo-random bytes, and of the bytes
//! in the corpus, which holds what fuzzing found.

mod common;
mod math;
mod scenarios;

use arbitrary::Unstructured;
use common::levels::shrunk;
use common::random::Random;
use scenarios::Scenario;
use std::fs;
use std::path::Path;

/// Checks what a target made of these bytes.
fn check<S: Scenario>(bytes: &[u8], what: &str) {
    let scenario = S::arbitrary_take_rest(Unstructured::new(bytes));
    let scenario = scenario.unwrap_or_else(|error| panic!("{what}: {error}"));
    // Shown where the check fails.
    println!("{what}: {scenario:?}");
    scenario.check();
}

/// The first seeds, and every file of the target's corpus, where the targets are.
fn check_all<S: Scenario>(target: &str, seeds: usize) {
    for seed in 0..shrunk(seeds).max(FEWEST) {
        let mut random = Random::new(seed as u64);
        let bytes: Vec<u8> = (0..BYTES / 8)
            .flat_map(|_| random.bits().to_le_bytes())
            .collect();
        check::<S>(&bytes, &format!("seed {seed}"));
    }
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    // The published package has no fuzz targets.
    if !fuzz.exists() {
        return;
    }
    for file in fs::read_dir(fuzz.join("corpus").join(target)).expect("a corpus") {
        let path = file.expect("a file").path();
        let bytes = fs::read(&path).expect("the file's bytes");
        check::<S>(&bytes, &path.display().to_string());
    }
}

/// More than any scenario takes.
const BYTES: usize = 800;

/// Seeds where the others would take too long.
const FEWEST: usize = 200;

macro_rules! targets {
    ($($target:ident $scenario:ident $seeds:expr;)*) => {$(
        #[test]
        fn $target() {
            check_all::<scenarios::$scenario>(stringify!($target), $seeds);
        }
    )*};
}

targets! {
    elementwise Elementwise 3000;
    rows Rows 2000;
    pairs Pairs 2000;
    ctc Ctc 2000;
    math Math 3000;
    errors Errors 10_000;
}
