//! The error of the elementary functions over every f32, and the same bits at every level.
//!
//! The judge is the f64 function of the same name. `math_f64` holds it to an error of 4 ULP of f64
//! against arithmetic of 160 bits; that is 2^-27 ULP of f32, nothing beside the bounds checked here.

mod math;

use lossgrad::Level;
use math::f32::{error, is_flushed};
use math::{FUNCTIONS, Function};
use std::thread;

/// Elsewhere than on x86-64 these tests mostly run under emulation, where every f32 takes days.
const EVERY: u64 = if cfg!(target_arch = "x86_64") {
    1
} else {
    4_099
};

/// The scalar level calls a library for each fused multiply-add, so it sees a part of the numbers.
const SCALAR_EVERY: u64 = if cfg!(target_arch = "x86_64") {
    31
} else {
    4_099
};

const BLOCK: u64 = 1 << 14;

/// Where the error is largest, and how large.
#[derive(Clone, Copy, Debug)]
struct Worst {
    error: f64,
    x: f32,
    got: f32,
}

/// Compares the levels with the first of them over every `every`th f32, and that one with the judge;
/// two threads or more share the work.
fn sweep(function: Function, every: u64, levels: &[Level]) -> Worst {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| scope.spawn(move || sweep_part(function, every, levels, part, threads)))
            .collect();
        let worst = parts.into_iter().map(|part| part.join().unwrap());
        worst.max_by(|a, b| a.error.total_cmp(&b.error)).unwrap()
    })
}

fn sweep_part(function: Function, every: u64, levels: &[Level], part: usize, of: usize) -> Worst {
    let mut worst = Worst {
        error: 0.0,
        x: 0.0,
        got: 0.0,
    };
    let count = (1u64 << 32).div_ceil(every);
    let nonpos = function.name == "exp_nonpos";
    for start in (0..count).step_by(BLOCK as usize).skip(part).step_by(of) {
        let x: Vec<f32> = (start..count.min(start + BLOCK))
            .map(|i| f32::from_bits((i * every) as u32))
            .filter(|x| !(nonpos && *x > 0.0))
            .collect();
        let mut got = x.clone();
        (function.f32)(levels[0], &mut got);
        for &level in &levels[1..] {
            let mut other = x.clone();
            (function.f32)(level, &mut other);
            for ((&x, &a), &b) in x.iter().zip(&got).zip(&other) {
                assert!(
                    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
                    "{}({x:e}) is {a:e} on {} and {b:e} on {level}",
                    function.name,
                    levels[0]
                );
            }
        }
        let mut exact: Vec<f64> = x.iter().copied().map(f64::from).collect();
        (function.f64)(levels[0], &mut exact);
        for ((&x, &got), &exact) in x.iter().zip(&got).zip(&exact) {
            if nonpos && is_flushed(got, exact) {
                continue;
            }
            let error = error(got, exact);
            if error > worst.error {
                worst = Worst { error, x, got };
            }
        }
    }
    worst
}

fn judge(function: Function, worst: Worst) {
    let Worst { error, x, got } = worst;
    println!("{:12} {error:.4} ULP: {got:e} of {x:e}", function.name);
    assert!(
        worst.error <= function.max.f32,
        "{}: {worst:?} is more than {} ULP",
        function.name,
        function.max.f32
    );
}

/// The best level first.
fn levels() -> Vec<Level> {
    let mut levels: Vec<Level> = Level::all().collect();
    levels.reverse();
    levels
}

/// The quick version of the tests below.
#[test]
fn some_f32() {
    for &function in FUNCTIONS {
        judge(function, sweep(function, 4_099, &levels()));
    }
}

fn exhaustive(name: &str) {
    let function = math::function(name);
    let mut levels = levels();
    let (best, scalar) = (levels[0], Level::scalar());
    levels.retain(|&level| level == best || level != scalar);
    judge(function, sweep(function, EVERY, &levels));
    if best != scalar {
        judge(function, sweep(function, SCALAR_EVERY, &[best, scalar]));
    }
}

macro_rules! exhaustive {
    ($($function:ident)*) => {
        mod every_f32 {
            $(
                #[test]
                #[ignore = "minutes: run in release with --ignored"]
                fn $function() {
                    super::exhaustive(stringify!($function));
                }
            )*
        }

        #[test]
        fn every_function_has_its_exhaustive_test() {
            let here = [$(stringify!($function)),*];
            assert!(FUNCTIONS.iter().map(|f| f.name).eq(here));
        }
    };
}

exhaustive!(exp exp_nonpos expm1 log log1p sigmoid softplus log_sigmoid ln_factorial);
