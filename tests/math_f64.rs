//! The error of the elementary functions in f64 against arithmetic of 160 bits, and the same bits at
//! every level.

mod math;

use lossgrad::Level;
use math::exact::{Exact, error, exact, ln_factorial};
use math::{FLUSHED, FUNCTIONS, Function};

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
    x.extend([1.5, 2.0, 2.5, 2.55e305]);
    // Near 1, where log and ln_factorial change sign.
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
        if function.name == "exp_nonpos" && got.to_bits() == 0 && x < FLUSHED {
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

judge!(exp exp_nonpos expm1 log log1p sigmoid softplus log_sigmoid ln_factorial);

/// The oracle of `ln_factorial` is this suite's own, so mpmath's `loggamma` at 400 digits judges it:
/// `(y, ln(y!))`, rounded to the nearest f64.
#[test]
fn logarithms_of_factorials_by_mpmath() {
    let published = [
        (1e-300, -5.772156649015329e-301),
        (1e-30, -5.772156649015329e-31),
        (1e-16, -5.772156649015328e-17),
        (1e-08, -5.772156566768626e-09),
        (0.001, -0.0005763935982833696),
        (0.1, -0.04987244125983973),
        (0.25, -0.09827183642181316),
        (0.5, -0.12078223763524522),
        (0.75, -0.08440112102048555),
        (0.99, -0.004195529088791668),
        (0.9999999999, -4.2278437004755317e-11),
        (0.9999999999999999, -4.6938490327715585e-17),
        (1.0000000000000002, 9.38769806554312e-17),
        (1.0000000001, 4.2278437011204657e-11),
        (1.01, 0.004260022907098441),
        (1.25, 0.1248717148923966),
        (1.5, 0.2846828704729192),
        (2.0, std::f64::consts::LN_2),
        (2.4999999999999996, 1.2009736023470738),
        (2.5, 1.2009736023470743),
        (3.0, 1.791759469228055),
        (4.5, 3.9578139676187165),
        (7.0, 8.525161361065415),
        (10.0, 15.104412573075516),
        (20.0, 42.335616460753485),
        (33.3, 86.10928097864134),
        (50.0, 148.47776695177302),
        (69.9, 230.01355241085508),
        (70.1, 230.86467656233995),
        (100.0, 363.73937555556347),
        (170.0, 706.5730622457874),
        (1234.5, 7557.6693223866805),
        (1000000.0, 12815518.384658169),
        (10000000000.0, 220258509311.83643),
        (1e20, 4.505170185988091e21),
        (1e100, 2.2925850929940456e102),
        (1e300, 6.897755278982137e302),
        (2.5e305, 1.7555118602376452e308),
    ];
    for (y, published) in published {
        let ours = match ln_factorial(y) {
            Exact::Big(big) => big.to_f64().value(),
            Exact::F64(exact) => exact,
        };
        assert_eq!(ours, published, "ln({y:e}!)");
    }
}
