//! Every operation at every level of this CPU against the same operation on single numbers.

use super::{Bits, Float, InOut, Isa, Kernel, Lanes, Level, Mask, Sum, Trail, dispatch};

/// Numbers of every kind, as many as the lanes of two vectors of f32.
const A: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    3.25,
    f32::MAX,
    f32::MIN_POSITIVE,
    1e-42,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    2.0,
    7.5,
    -1e30,
    0.1,
    16777217.0,
];
const B: [f32; 16] = [
    -0.0,
    0.0,
    1.0,
    2.5,
    f32::NAN,
    f32::MAX,
    -3.0,
    1e-42,
    f32::INFINITY,
    1.0,
    1.0,
    0.0,
    -7.5,
    1e-30,
    0.3,
    3.0,
];
const C: [f32; 16] = [
    1.0,
    2.0,
    -1.0,
    0.5,
    1.0,
    f32::MAX,
    1e-38,
    -1e-42,
    0.0,
    5.0,
    2.0,
    f32::INFINITY,
    56.25,
    1.0,
    -0.03,
    1e9,
];

trait Number: Float + PartialEq {
    fn of(value: f32) -> Self;
    fn same(self, other: Self) -> bool;
    fn arithmetic(a: Self, b: Self, c: Self) -> [Self; 12];
}

macro_rules! number {
    ($float:ty) => {
        impl Number for $float {
            fn of(value: f32) -> Self {
                value.into()
            }

            fn same(self, other: Self) -> bool {
                self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
            }

            fn arithmetic(a: Self, b: Self, c: Self) -> [Self; 12] {
                [
                    a + b,
                    a - b,
                    a * b,
                    a / b,
                    -a,
                    a.abs(),
                    a.sqrt(),
                    a.mul_add(b, c),
                    (-a).mul_add(b, c),
                    if a > b { a } else { b },
                    if a < b { a } else { b },
                    a.copysign(b),
                ]
            }
        }
    };
}

number!(f32);
number!(f64);

fn inputs<T: Number>() -> [Vec<T>; 3] {
    [A, B, C].map(|values| {
        values[..T::LANES]
            .iter()
            .map(|&value| T::of(value))
            .collect()
    })
}

/// Runs a test of one level at all of them.
fn at_every_level<K: Kernel<Output = ()> + Copy>(test: K) {
    for level in Level::all() {
        println!("at {level}");
        dispatch(level, test);
    }
}

fn to_vec<T: Number, S: Isa>(lanes: Lanes<T, S>) -> Vec<T> {
    let mut values = vec![T::ZERO; T::LANES];
    lanes.store(&mut values);
    values
}

#[track_caller]
fn assert_same<T: Number>(found: &[T], expected: &[T], what: &str) {
    for (lane, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.same(expected),
            "{what}, lane {lane}: {found:?}, expected {expected:?}"
        );
    }
}

#[derive(Clone, Copy)]
struct Arithmetic<T>(T);

impl<T: Number> Kernel for Arithmetic<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let [a, b, c] = inputs::<T>();
        let (x, y, z) = (
            Lanes::load(simd, &a),
            Lanes::load(simd, &b),
            Lanes::load(simd, &c),
        );
        let found: [Lanes<T, S>; 12] = [
            x + y,
            x - y,
            x * y,
            x / y,
            -x,
            x.abs(),
            x.sqrt(),
            x.mul_add(y, z),
            x.neg_mul_add(y, z),
            x.max(y),
            x.min(y),
            x.copysign(y),
        ];
        for (operation, found) in found.into_iter().enumerate() {
            let expected: Vec<T> = (0..T::LANES)
                .map(|k| T::arithmetic(a[k], b[k], c[k])[operation])
                .collect();
            assert_same(&to_vec(found), &expected, &format!("operation {operation}"));
        }
    }
}

#[derive(Clone, Copy)]
struct Masks<T>(T);

impl<T: Number> Kernel for Masks<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let [a, b, _] = inputs::<T>();
        let (x, y) = (Lanes::load(simd, &a), Lanes::load(simd, &b));
        let bits = |test: &dyn Fn(T, T) -> bool| {
            (0..T::LANES).fold(0, |bits, k| bits | u32::from(test(a[k], b[k])) << k)
        };
        #[allow(
            clippy::eq_op,
            clippy::double_comparisons,
            reason = "a NaN differs from itself and compares with nothing"
        )]
        let expected = [
            (x.lt(y), bits(&|a, b| a < b)),
            (x.le(y), bits(&|a, b| a <= b)),
            (x.gt(y), bits(&|a, b| a > b)),
            (x.ge(y), bits(&|a, b| a >= b)),
            (x.eq(y), bits(&|a, b| a == b)),
            (x.is_nan(), bits(&|a, _| a != a)),
            (!x.eq(y), bits(&|a, b| a != b)),
            (x.le(y) & x.ge(y), bits(&|a, b| a <= b && a >= b)),
            (x.lt(y) | x.gt(y), bits(&|a, b| a < b || a > b)),
        ];
        for (k, (mask, expected)) in expected.into_iter().enumerate() {
            assert_eq!(mask.to_bits(), expected, "comparison {k}");
            let chosen: Vec<T> = (0..T::LANES)
                .map(|k| if expected >> k & 1 == 1 { a[k] } else { b[k] })
                .collect();
            assert_same(&to_vec(mask.select(x, y)), &chosen, "select");
        }
        for count in 0..=T::LANES + 3 {
            let bits = (1u64 << count.min(T::LANES)) - 1;
            assert_eq!(u64::from(Mask::<T, S>::first(simd, count).to_bits()), bits);
        }
    }
}

#[derive(Clone, Copy)]
struct Words;

impl Kernel for Words {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let [a, b, _] = inputs::<f32>();
        let (x, y) = (
            Lanes::load(simd, &a).to_bits(),
            Lanes::load(simd, &b).to_bits(),
        );
        let expected = |operation: fn(u32, u32) -> u32| -> Vec<f32> {
            a.iter()
                .zip(&b)
                .map(|(a, b)| f32::from_bits(operation(a.to_bits(), b.to_bits())))
                .collect()
        };
        assert_same(
            &to_vec((x + y).to_float()),
            &expected(u32::wrapping_add),
            "add",
        );
        assert_same(
            &to_vec((x - y).to_float()),
            &expected(u32::wrapping_sub),
            "subtract",
        );
        assert_same(&to_vec((x & y).to_float()), &expected(|a, b| a & b), "and");
        assert_same(&to_vec((x | y).to_float()), &expected(|a, b| a | b), "or");
        assert_same(&to_vec((x ^ y).to_float()), &expected(|a, b| a ^ b), "xor");
        assert_same(
            &to_vec(x.shl::<7>().to_float()),
            &expected(|a, _| a << 7),
            "left",
        );
        assert_same(
            &to_vec(x.shr::<9>().to_float()),
            &expected(|a, _| a >> 9),
            "right",
        );

        let wide = Bits::<f64, S>::splat(simd, 0x8123_4567_89ab_cdef);
        let shifted = |bits: u64| vec![f64::from_bits(bits); 8];
        let left = shifted(0x8123_4567_89ab_cdef << 12);
        assert_same(&to_vec(wide.shl::<12>().to_float()), &left, "left");
        let right = shifted(0x8123_4567_89ab_cdef >> 12);
        assert_same(&to_vec(wide.shr::<12>().to_float()), &right, "right");
    }
}

#[derive(Clone, Copy)]
struct Memory<T>(T);

impl<T: Number> Kernel for Memory<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let source: Vec<T> = (1..=40).map(|value| T::of(value as f32)).collect();
        for len in 0..=T::LANES {
            for offset in 0..5 {
                let from = &source[offset..offset + len];
                let loaded = to_vec(Lanes::load_partial(simd, from));
                assert_same(&loaded[..len], from, "partial load");
                assert_same(
                    &loaded[len..],
                    &vec![T::ZERO; T::LANES - len],
                    "behind the end",
                );

                let mut target = [T::of(-1.0); 40];
                let all = Lanes::load(simd, &source);
                all.store_partial(&mut target[offset..offset + len]);
                assert_same(
                    &target[offset..offset + len],
                    &source[..len],
                    "partial store",
                );
                let outside = target[..offset].iter().chain(&target[offset + len..]);
                assert!(
                    outside.into_iter().all(|&value| value == T::of(-1.0)),
                    "guard zones"
                );
            }
        }
        // From anywhere in a line, to its end and past it.
        for start in 0..20 {
            for len in [0, 1, 6, 12, 15, 40] {
                // All at the end, some lines before, more lines than there are.
                let assert_copied = |target: &[T]| {
                    simd.fence();
                    assert_same(&target[start..start + len], &source[..len], "copied");
                    let outside = target[..start].iter().chain(&target[start + len..]);
                    assert!(
                        outside.into_iter().all(|&value| value == T::of(-1.0)),
                        "guard zones"
                    );
                };
                for lines in [0, 1, 10] {
                    let mut target = [T::of(-1.0); 60];
                    let place = &mut target[start..start + len];
                    let mut trail = Trail::new(simd, &source[..len], place);
                    for _ in 0..lines {
                        trail.line(simd);
                    }
                    trail.finish(simd);
                    assert_copied(&target);
                }
                let mut target = [T::of(-1.0); 60];
                let mut run = InOut::copy(&source[..len], &mut target[start..start + len]);
                for at in (0..len).step_by(T::LANES) {
                    let lanes = run.load::<S, false>(simd, at);
                    run.stream_some(at, lanes);
                }
                assert_copied(&target);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sums<T>(T);

impl<T: Number> Kernel for Sums<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        // Powers of two, of which f64 holds every sum exactly: each lane must be counted once.
        let powers: Vec<T> = (0..T::LANES).map(|k| T::of((1u32 << k) as f32)).collect();
        let mut sum = Sum::zero(simd);
        sum.add(Lanes::load(simd, &powers));
        sum.add(Lanes::load(simd, &powers));
        assert_eq!(sum.fold(), 2.0 * f64::from((1u32 << T::LANES) - 1));
        let lanes = sum.plus(sum).to_array();
        for (lane, &power) in powers.iter().enumerate() {
            assert_eq!(lanes[lane], 4.0 * power.to_f64(), "lane {lane}");
        }
    }
}

#[test]
fn arithmetic_is_that_of_single_numbers() {
    at_every_level(Arithmetic(0f32));
    at_every_level(Arithmetic(0f64));
}

#[test]
fn masks_compare_and_select() {
    at_every_level(Masks(0f32));
    at_every_level(Masks(0f64));
}

#[test]
fn words_wrap_and_shift() {
    at_every_level(Words);
}

#[test]
fn memory_outside_a_run_is_not_touched() {
    at_every_level(Memory(0f32));
    at_every_level(Memory(0f64));
}

#[derive(Clone, Copy)]
struct Moves<T>(T);

impl<T: Number> Kernel for Moves<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let numbers: Vec<T> = (0..2 * T::LANES).map(|k| T::of(k as f32)).collect();
        let (first, second) = numbers.split_at(T::LANES);
        let (x, y) = (Lanes::load(simd, first), Lanes::load(simd, second));
        let up = to_vec(y.shift_up(x));
        assert_same(&up, &numbers[T::LANES - 1..2 * T::LANES - 1], "shift up");
        assert_same(
            &to_vec(x.shift_down(y)),
            &numbers[1..=T::LANES],
            "shift down",
        );

        let [low, high] = x.interleave(y);
        let alternating: Vec<T> = (0..T::LANES).flat_map(|k| [first[k], second[k]]).collect();
        assert_same(&to_vec(low), &alternating[..T::LANES], "interleave, low");
        assert_same(&to_vec(high), &alternating[T::LANES..], "interleave, high");

        let square: Vec<T> = (0..16 * T::LANES).map(|k| T::of(k as f32)).collect();
        let rows = core::array::from_fn(|row| Lanes::load(simd, &square[row * T::LANES..]));
        let columns = Lanes::transpose(rows);
        for (column, lanes) in columns[..T::LANES].iter().enumerate() {
            let expected: Vec<T> = (0..T::LANES)
                .map(|row| square[row * T::LANES + column])
                .collect();
            assert_same(&to_vec(*lanes), &expected, "transpose");
        }

        let exponents: Vec<T> = (0..T::LANES).map(|k| T::of(6.0 - 7.0 * k as f32)).collect();
        let expected: Vec<T> = (0..T::LANES)
            .map(|k| T::of((k as f32 + 1.5) * 2f32.powi(6 - 7 * k as i32)))
            .collect();
        let halves = x + x.splat_like(1.5);
        let scaled = halves.scale(Lanes::load(simd, &exponents));
        assert_same(&to_vec(scaled), &expected, "scale");

        for len in [1, 8, 16, 24, 32, 48, 64, 80, 1000] {
            let table: Vec<T> = (0..len).map(|k| T::of(k as f32)).collect();
            let index: Vec<u32> = (0..53).map(|k| (k * 37 % len) as u32).collect();
            let mut found = vec![T::ZERO; 53];
            T::gather(simd, &table, &index, &mut found);
            let expected: Vec<T> = index.iter().map(|&k| table[k as usize]).collect();
            assert_same(&found, &expected, "gather");
        }
    }
}

#[test]
fn lanes_move_across_registers() {
    at_every_level(Moves(0f32));
    at_every_level(Moves(0f64));
}

#[derive(Clone, Copy)]
struct Widen<T>(T);

impl<T: Number> Kernel for Widen<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let values: Vec<T> = (0..T::LANES).map(|k| T::of(0.5 + k as f32)).collect();
        let lanes = Lanes::load(simd, &values);
        let [low, high] = lanes.widen();
        let mut wide = [-1.0; 16];
        low.store(&mut wide[..8]);
        high.store(&mut wide[8..]);
        for (k, &wide) in wide.iter().enumerate() {
            let expected = if k < T::LANES { 0.5 + k as f64 } else { 0.0 };
            assert_eq!(wide, expected, "lane {k} in f64");
        }
        let mut back = vec![T::ZERO; T::LANES];
        Lanes::<T, S>::narrow([low, high]).store(&mut back);
        assert_same(&back, &values, "lanes of f64");
    }
}

#[test]
fn sums_count_every_lane_once() {
    at_every_level(Sums(0f32));
    at_every_level(Sums(0f64));
}

#[test]
fn lanes_are_widened_and_narrowed() {
    at_every_level(Widen(0f32));
    at_every_level(Widen(0f64));
}

#[test]
fn levels_have_names_and_are_equal_to_themselves() {
    for level in Level::all() {
        assert_eq!(level, level);
        assert_eq!(format!("{level:?}"), format!("Level({level})"));
    }
    assert_eq!(Level::default(), Level::best());
    assert!(Level::all().any(|level| level == Level::scalar()));
}

#[derive(Clone, Copy)]
struct Largest<T>(T);

impl<T: Number> Kernel for Largest<T> {
    type Home = Self;
    type Output = ();

    fn run<S: Isa>(self, simd: S) {
        let zeros: Vec<T> = (0..T::LANES)
            .map(|lane| T::of(if lane % 3 == 0 { 0.0 } else { -0.0 }))
            .collect();
        for zeros in [zeros, vec![T::of(-0.0); T::LANES]] {
            assert_same(&[Lanes::load(simd, &zeros).largest()], &[T::ZERO], "zeros");
        }
        for position in 0..T::LANES {
            let mut values = vec![T::of(f32::NEG_INFINITY); T::LANES];
            assert_same(
                &[Lanes::load(simd, &values).largest()],
                &[T::of(f32::NEG_INFINITY)],
                "nothing larger",
            );
            for (lane, value) in values.iter_mut().enumerate() {
                *value = T::of(lane as f32 - 20.0);
            }
            values[position] = T::of(3.5);
            assert_same(
                &[Lanes::load(simd, &values).largest()],
                &[T::of(3.5)],
                &format!("the largest in lane {position}"),
            );
        }
    }
}

#[test]
fn the_largest_lane_is_found_wherever_it_is() {
    at_every_level(Largest(0.0_f32));
    at_every_level(Largest(0.0_f64));
}
