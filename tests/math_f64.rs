//! The error of the elementary functions in f64 against arithmetic of 160 bits, and the same bits at
//! every level.

mod math;

use dashu_float::{FBig, round::mode::HalfEven};
use lossgrad::Level;
use math::{FUNCTIONS, Function};

type Big = FBig<HalfEven, 2>;

const BITS: usize = 160;

fn big(x: f64) -> Big {
    let big = Big::try_from(x).expect("a finite number");
    big.with_precision(BITS).value()
}

/// `e^x` of a finite number; of 0 too, where the library gives a 1 without a precision.
fn big_exp(x: f64) -> Big {
    big(x).exp().with_precision(BITS).value()
}

/// The exact result to 160 bits, or the f64 that stands for it where it is no finite number.
enum Exact {
    Big(Big),
    F64(f64),
}

/// Far outside the range of f64 the big numbers would only cost time.
fn exp(x: f64) -> Exact {
    if x > 800.0 {
        Exact::F64(f64::INFINITY)
    } else if x < -800.0 {
        Exact::F64(0.0)
    } else {
        Exact::Big(big_exp(x))
    }
}

fn softplus(x: f64) -> Exact {
    if x == f64::INFINITY || x < -800.0 {
        return exp(x);
    }
    let t = big_exp(-x.abs().min(2000.0));
    Exact::Big(big(x.max(0.0)) + t.ln_1p())
}

fn sigmoid(x: f64) -> Exact {
    if x < -800.0 {
        return Exact::F64(0.0);
    }
    let t = big_exp(-x.abs().min(2000.0));
    let near = if x < 0.0 { t.clone() } else { big(1.0) };
    Exact::Big(near / (big(1.0) + t))
}

fn exact(name: &str, x: f64) -> Exact {
    if x.is_nan() {
        return Exact::F64(x);
    }
    match name {
        "exp" | "exp_nonpos" => exp(x),
        "expm1" if x == 0.0 => Exact::F64(x),
        "expm1" if x > 800.0 => Exact::F64(f64::INFINITY),
        "expm1" => Exact::Big(big(x.max(-2000.0)).exp_m1()),
        "log" | "log1p" if x == f64::INFINITY => Exact::F64(x),
        "log" if x < 0.0 => Exact::F64(f64::NAN),
        "log" if x == 0.0 => Exact::F64(f64::NEG_INFINITY),
        "log" if x == 1.0 => Exact::F64(0.0),
        "log" => Exact::Big(big(x).ln()),
        "log1p" if x == 0.0 => Exact::F64(x),
        "log1p" if x < -1.0 => Exact::F64(f64::NAN),
        "log1p" if x == -1.0 => Exact::F64(f64::NEG_INFINITY),
        "log1p" => Exact::Big(big(x).ln_1p()),
        "sigmoid" => sigmoid(x),
        "softplus" => softplus(x),
        "log_sigmoid" => match softplus(-x) {
            Exact::Big(big) => Exact::Big(-big),
            Exact::F64(x) => Exact::F64(-x),
        },
        _ => panic!("no exact {name}"),
    }
}

/// The error of `got` in ULP of the exact result; a zero of the wrong sign is infinitely wrong.
fn error(got: f64, exact: &Exact) -> f64 {
    let exact = match exact {
        Exact::Big(exact) => exact,
        Exact::F64(exact) => {
            let equal = got.to_bits() == exact.to_bits() || got.is_nan() && exact.is_nan();
            return if equal { 0.0 } else { f64::INFINITY };
        }
    };
    let nearest = exact.to_f64().value();
    if got.is_nan() || got.is_sign_negative() != (*exact < Big::ZERO) {
        return f64::INFINITY;
    }
    if got.is_infinite() {
        return if nearest == got { 0.0 } else { f64::INFINITY };
    }
    let exponent = exact.repr().exponent() + exact.repr().digits() as isize - 1;
    let spacing = exponent.clamp(-1022, 1023) - 52;
    let off = (big(got) - exact) >> spacing;
    off.to_f64().value().abs()
}

/// Every number worth trying: the ends and special numbers, both sides of every place where one of
/// the functions changes course, and `count` numbers spread evenly over the bit patterns and over
/// the arguments where the functions live.
fn arguments(count: u64) -> Vec<f64> {
    let mut x = vec![
        0.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE.next_down(),
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
        709.782_712_893_384,
        710.0,
        708.396_418_532_264_1,
        708.049_9,
        744.440_071_921_381_2,
        745.133_219_101_941_2,
        746.0,
        36.7,
        37.43,
        40.0,
        2f64.powi(-53),
        2f64.powi(-54),
        2f64.powi(-55),
        2f64.powi(52),
        2f64.powi(53),
    ];
    // Halfway between two multiples of ln 2, and at them.
    let halves = (0..=2155).filter(|half| *half < 200 || half % 17 == 0 || *half > 2030);
    x.extend(halves.map(|half| f64::from(half) * 0.5 * core::f64::consts::LN_2));
    // Where the exponent of a logarithm's argument changes, for log and for log1p.
    for k in (-1074..=1023).filter(|k| (-60..=60).contains(k) || k % 19 == 0) {
        for m in [2.0 / 3.0, 1.0, 4.0 / 3.0] {
            let edge = m * 2f64.powi(k);
            x.extend([edge, edge - 1.0]);
        }
    }
    // Near 1, where log changes sign.
    x.extend((0..200).map(|i| 1.0 + (f64::from(i) - 100.0) * f64::EPSILON));
    let mut all = Vec::new();
    for x in x.into_iter().filter(|x| x.is_finite()) {
        all.extend([x, x.next_up(), x.next_down()]);
    }
    all.extend([f64::INFINITY, f64::NAN]);
    let step = (u64::MAX / 2 / count) | 1;
    all.extend((0..count).map(|i| f64::from_bits(i * step)));
    // Between 2^-60 and 2^11 the functions do most of what they do.
    let (from, to) = (2f64.powi(-60).to_bits(), 2f64.powi(11).to_bits());
    let step = ((to - from) / count) | 1;
    all.extend((0..count).map(|i| f64::from_bits(from + i * step)));
    // The polynomials' intervals, evenly.
    all.extend((0..count).map(|i| 1.5 * (i as f64 + 0.3) / count as f64));
    let negative: Vec<f64> = all.iter().map(|&x| -x).collect();
    all.extend(negative);
    all
}

fn judge(function: Function, count: u64) {
    let x: Vec<f64> = arguments(count)
        .into_iter()
        .filter(|x| !(function.name == "exp_nonpos" && *x > 0.0))
        .collect();
    let mut got = x.clone();
    (function.f64)(Level::best(), &mut got);
    for level in Level::all() {
        let mut other = x.clone();
        (function.f64)(level, &mut other);
        for ((&x, &a), &b) in x.iter().zip(&got).zip(&other) {
            assert!(
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
                "{}({x:e}) is {a:e} on {} and {b:e} on {level}",
                function.name,
                Level::best()
            );
        }
    }
    let mut worst = (0.0, 0.0, 0.0);
    for (&x, &got) in x.iter().zip(&got) {
        // Results below 1.42 times the smallest normal number are 0 by contract.
        let flushed = -1021.499 * core::f64::consts::LN_2;
        if function.name == "exp_nonpos" && got.to_bits() == 0 && x < flushed {
            continue;
        }
        let error = error(got, &exact(function.name, x));
        if error > worst.0 {
            worst = (error, x, got);
        }
    }
    let (error, x, got) = worst;
    println!("{:12} {error:.4} ULP: {got:e} for {x:e}", function.name);
    assert!(
        error <= function.max.f64,
        "{}({x:e}): {got:e} is {error} ULP off, more than {}",
        function.name,
        function.max.f64
    );
}

macro_rules! judge {
    ($($function:ident)*) => {
        mod quick {
            $(
                #[test]
                fn $function() {
                    super::judge(super::math::function(stringify!($function)), 2_000);
                }
            )*
        }

        /// The same with more numbers.
        mod long {
            $(
                #[test]
                #[ignore = "minutes: run in release with --ignored"]
                fn $function() {
                    super::judge(super::math::function(stringify!($function)), 60_000);
                }
            )*
        }

        #[test]
        fn every_function_is_judged() {
            let here = [$(stringify!($function)),*];
            assert!(FUNCTIONS.iter().map(|f| f.name).eq(here));
        }
    };
}

judge!(exp exp_nonpos expm1 log log1p sigmoid softplus log_sigmoid);
