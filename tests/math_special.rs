//! What the elementary functions make of zeros, infinities, NaN and the ends of the number range,
//! at every level, wherever in a slice the value stands.

mod math;

use core::fmt::Debug;
use lossgrad::Level;

/// What the suite needs of f32 and f64.
trait Real: Copy + PartialEq + Debug {
    fn is_nan(self) -> bool;
    fn bits(self) -> u64;
}

macro_rules! real {
    ($($type:ident)*) => {$(
        impl Real for $type {
            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
        }
    )*};
}

real!(f32 f64);

/// The sign of a zero counts, the payload of a NaN does not.
fn same<T: Real>(a: T, b: T) -> bool {
    a.bits() == b.bits() || a.is_nan() && b.is_nan()
}

/// Longer than two full vectors, with a remainder.
const LONGEST: usize = 37;

fn check<T: Real>(name: &str, function: fn(Level, &mut [T]), guard: T, x: T, want: T) {
    for level in Level::all() {
        for len in 0..=LONGEST {
            let mut values = [guard; LONGEST + 2];
            values[1..=len].fill(x);
            function(level, &mut values[1..=len]);
            for (i, &got) in values.iter().enumerate() {
                let want = if (1..=len).contains(&i) { want } else { guard };
                assert!(
                    same(got, want),
                    "{level}: {name}({x:?}) is {got:?} and not {want:?} at {i} of {len}"
                );
            }
        }
    }
}

macro_rules! special_values {
    ($type:ident, $test:ident) => {
        #[test]
        fn $test() {
            const INF: $type = $type::INFINITY;
            const NAN: $type = $type::NAN;
            const MAX: $type = $type::MAX;
            const NORMAL: $type = $type::MIN_POSITIVE;
            const TINY: $type = $type::from_bits(1);
            const BELOW_NORMAL: $type = $type::from_bits(NORMAL.to_bits() - 1);
            let below_minus_1: $type = (-1.0 as $type).next_down();

            let table: &[(&str, &[($type, $type)])] = &[
                (
                    "exp",
                    &[
                        (0.0, 1.0),
                        (-0.0, 1.0),
                        (TINY, 1.0),
                        (-TINY, 1.0),
                        (INF, INF),
                        (-INF, 0.0),
                        (MAX, INF),
                        (-MAX, 0.0),
                    ],
                ),
                (
                    "exp_nonpos",
                    &[
                        (0.0, 1.0),
                        (-0.0, 1.0),
                        (-TINY, 1.0),
                        (-INF, 0.0),
                        (-MAX, 0.0),
                    ],
                ),
                (
                    "expm1",
                    &[
                        (0.0, 0.0),
                        (-0.0, -0.0),
                        (TINY, TINY),
                        (-TINY, -TINY),
                        (BELOW_NORMAL, BELOW_NORMAL),
                        (-BELOW_NORMAL, -BELOW_NORMAL),
                        (NORMAL, NORMAL),
                        (INF, INF),
                        (-INF, -1.0),
                        (MAX, INF),
                        (-MAX, -1.0),
                    ],
                ),
                (
                    "log",
                    &[
                        (1.0, 0.0),
                        (0.0, -INF),
                        (-0.0, -INF),
                        (INF, INF),
                        (-INF, NAN),
                        (-1.0, NAN),
                        (-TINY, NAN),
                        (-MAX, NAN),
                    ],
                ),
                (
                    "log1p",
                    &[
                        (0.0, 0.0),
                        (-0.0, -0.0),
                        (TINY, TINY),
                        (-TINY, -TINY),
                        (BELOW_NORMAL, BELOW_NORMAL),
                        (-BELOW_NORMAL, -BELOW_NORMAL),
                        (NORMAL, NORMAL),
                        (INF, INF),
                        (-INF, NAN),
                        (-1.0, -INF),
                        (below_minus_1, NAN),
                        (-MAX, NAN),
                    ],
                ),
                (
                    "sigmoid",
                    &[
                        (0.0, 0.5),
                        (-0.0, 0.5),
                        (TINY, 0.5),
                        (-TINY, 0.5),
                        (INF, 1.0),
                        (-INF, 0.0),
                        (MAX, 1.0),
                        (-MAX, 0.0),
                    ],
                ),
                (
                    "softplus",
                    &[(INF, INF), (-INF, 0.0), (MAX, MAX), (-MAX, 0.0)],
                ),
                (
                    "log_sigmoid",
                    &[(INF, -0.0), (-INF, -INF), (MAX, -0.0), (-MAX, -MAX)],
                ),
                (
                    "ln_factorial",
                    &[
                        (0.0, -0.0),
                        (-0.0, 0.0),
                        (1.0, 0.0),
                        (INF, INF),
                        (MAX, INF),
                        (-TINY, NAN),
                        (-1.0, NAN),
                        (-MAX, NAN),
                        (-INF, NAN),
                    ],
                ),
            ];

            for function in math::FUNCTIONS {
                let Some((_, rows)) = table.iter().find(|(name, _)| *name == function.name) else {
                    panic!("no rows for {}", function.name)
                };
                for &(x, want) in *rows {
                    check(function.name, function.$type, 0.25, x, want);
                }
                check(function.name, function.$type, 0.25, NAN, NAN);
                check(function.name, function.$type, 0.25, -NAN, NAN);
            }
        }
    };
}

special_values!(f32, special_values_of_f32);
special_values!(f64, special_values_of_f64);

/// Neighbours do not meet: a lane's result is that of its value alone.
#[test]
fn lanes_are_independent() {
    let values = [-3.5, f32::NAN, 1e-40, -0.0, 0.7, f32::INFINITY, -1.0, 88.0];
    for function in math::FUNCTIONS {
        for level in Level::all() {
            for len in 0..=LONGEST {
                let mut all: Vec<f32> = values.into_iter().cycle().take(len).collect();
                let mut one_by_one = all.clone();
                (function.f32)(level, &mut all);
                for value in &mut one_by_one {
                    (function.f32)(level, core::slice::from_mut(value));
                }
                let equal = all.iter().zip(&one_by_one).all(|(&a, &b)| same(a, b));
                assert!(
                    equal,
                    "{level}: {} of {len}: {all:?} and {one_by_one:?}",
                    function.name
                );
            }
        }
    }
}
