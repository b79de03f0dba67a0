//! Every loss against the reference at every length around the edges of blocks. Calls of any shape,
//! layout, weight, reduction and upstream are those of `fuzzed`.

mod common;

use common::call::{Places, REDUCTIONS, Request, assert_every_form, expected, factor, fused};
use common::cases::{Case, Unit, table};
use common::contract::{assert_outcome, report};
use common::layouts::Layout;
use common::levels::{for_each_level, shrunk};
use common::random::Random;
use common::real::Real;
use lossgrad::Reduction;

/// One length, as the only axis, as a sample's extent, and as the batch's.
fn check_length<T: Real>(case: &Case<T>, length: usize, reduction: Reduction, dense_only: bool) {
    let random = &mut Random::new(length as u64);
    let shapes: &[&[usize]] = match (case.unit, dense_only) {
        (Unit::Element, true) => &[&[1, length]],
        (Unit::Element, false) => &[&[length], &[2, length], &[length, 3]],
        (Unit::Sample, true) => &[&[2, length]],
        (Unit::Sample, false) => &[&[2, length], &[3, length, 2], &[length, 3]],
        (Unit::Row | Unit::Class | Unit::LastRow, true) => &[&[1, length], &[1, length, 3]],
        // Long rows, rows side by side with the classes outside, and several rows of few classes.
        (Unit::Row | Unit::Class | Unit::LastRow, false) => {
            &[&[2, length], &[2, 3, length], &[length, 5], &[9, length]]
        }
    };
    let most = if length > 64 { 3 } else { 4 };
    for (number, &shape) in shapes.iter().take(most).enumerate() {
        let class_axis = if case.chooses_axis() && number == 1 && shape.len() == 3 {
            1
        } else {
            shape.len() - 1
        };
        let weighted = !dense_only && random.once_in(2);
        let mut request = Request::<T> {
            reduction,
            class_axis: class_axis as isize,
            ..Request::default()
        };
        if weighted {
            request.sample_weight = Some(factor(&request.units(shape, case), random));
        }
        let problem = (case.draw)(shape, class_axis, random);
        let reduced = expected(case, &problem, &request);
        let losses = request.loss_shape(shape, case).len();
        for_each_level(|exec| {
            let request = request.exec(exec);
            let what = format!(
                "{} of {shape:?} by {reduction:?} at {}",
                case.name, exec.level
            );
            let outcome = fused(case, &problem, &request);
            assert_outcome(&outcome, &reduced, &what);
            let places = Places::from(&problem, losses, Layout::window);
            assert_every_form(case, &problem, &request.views(), &places, &outcome, &what);
        });
    }
}

fn every_short_length<T: Real>() {
    for case in table::<T>() {
        for length in 1..=shrunk(300).max(70) {
            let reduction = REDUCTIONS[length % REDUCTIONS.len()];
            check_length(&case, length, reduction, false);
        }
    }
    report();
}

#[test]
fn every_short_length_in_f32() {
    every_short_length::<f32>();
}

#[test]
fn every_short_length_in_f64() {
    every_short_length::<f64>();
}

/// Blocks, leaves, and the length at which rows change their algorithm, in either type.
const EDGES: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16384, 24576, 32768];

fn around_every_edge<T: Real>() {
    for case in table::<T>() {
        for edge in EDGES {
            for length in edge - 1..=edge + 1 {
                check_length(&case, length, Reduction::SampleMean, true);
            }
        }
    }
    report();
}

#[test]
fn around_every_edge_in_f32() {
    around_every_edge::<f32>();
}

#[test]
fn around_every_edge_in_f64() {
    around_every_edge::<f64>();
}

/// Several leaves a sample, and several samples of several leaves, plain and weighted.
#[test]
fn long_samples_match_the_reference() {
    fn check<T: Real>() {
        for case in table::<T>() {
            for shape in [vec![1, 100_003], vec![3, 40_001], vec![2, 9000, 5]] {
                let random = &mut Random::new(7);
                let class_axis = case.row_axis(&shape, 1);
                let problem = (case.draw)(&shape, class_axis, random);
                for reduction in [Reduction::SampleMean, Reduction::Sum] {
                    let plain = Request::<T> {
                        class_axis: class_axis as isize,
                        ..Request::reduction(reduction)
                    };
                    let losses = plain.loss_shape(&shape, &case);
                    let units = plain.units(&shape, &case);
                    let weighted = Request {
                        weight: -0.7,
                        sample_weight: Some(factor(&units, random)),
                        upstream: Some(factor(&losses, random)),
                        ..plain.clone()
                    };
                    for request in [plain, weighted] {
                        let reduced = expected(&case, &problem, &request);
                        let outcome = fused(&case, &problem, &request);
                        let what = format!("{} of {shape:?} by {reduction:?} at best", case.name);
                        assert_outcome(&outcome, &reduced, &what);
                    }
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
    report();
}

/// Labels of every integer type are the same labels.
#[test]
fn every_integer_type_is_a_label() {
    let pred = ndarray::array![[1.0_f32, 2.0, 0.5], [0.0, -1.0, 3.0]];
    let expected = lossgrad::SoftmaxCeLoss::new().loss_and_grad(&pred, &ndarray::array![2_i32, 1]);
    macro_rules! same {
        ($($int:ty)*) => {$(
            let label = ndarray::array![2 as $int, 1];
            let actual = lossgrad::SoftmaxCeLoss::new().loss_and_grad(&pred, &label);
            assert_eq!(actual, expected, stringify!($int));
        )*};
    }
    same!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
}
