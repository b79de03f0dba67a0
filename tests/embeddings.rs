//! Losses of embeddings at the ends of what they are defined for: triplets, pairs by their angle,
//! and batches of pairs.

mod common;

use common::alone::{alone, part};
use common::call::{Places, Request, assert_every_form, expected, fused};
use common::cases::{Label, Problem, case};
use common::contract::assert_outcome;
use common::layouts::Layout;
use common::levels::{for_each_level, shrunk};
use common::random::Random;
use common::real::Real;
use lossgrad::{
    CosineEmbeddingLoss, Element, Error, Exec, Reduction, SdmlLoss, SignLabel, TripletLoss,
    Workspace,
};
use ndarray::{Array1, Array2, Array4, ArrayD, Axis, Zip, array, s};

#[track_caller]
fn assert_close(actual: impl Into<f64>, expected: f64, relative: f64) {
    let actual = actual.into();
    assert!(
        (actual - expected).abs() <= relative * expected.abs(),
        "{actual:e}, expected {expected:e}"
    );
}

/// Values published with the losses' definitions, at every level.
#[test]
fn published_values() {
    for_each_level(|exec| {
        let (pred, positive) = (array![[1.0_f32, 2.0]], array![[1.5, 2.0]]);
        let negative = array![[0.0, 1.5]];
        for (margin, loss) in [(1.0, 0.0), (2.0, 1.0)] {
            let triplet = TripletLoss::new().margin(margin).unwrap();
            let call = triplet.on(&pred, &positive, &negative).exec(exec);
            let (losses, grads) = call.loss_and_grads().unwrap();
            assert_eq!(losses, array![loss].into_dyn());
            let at_kink = grads.iter().flatten().all(|&grad| grad == 0.0);
            assert_eq!(at_kink, loss == 0.0);
        }

        let (input1, input2) = (
            array![[1.0_f32, 2.0], [1.0, 2.0]],
            array![[2.0, 1.0], [2.0, 1.0]],
        );
        let cosine = CosineEmbeddingLoss::new().margin(0.2).unwrap();
        let label = array![1, -1];
        let losses = cosine.on(&input1, &input2, &label).exec(exec).loss();
        let losses = losses.unwrap();
        assert_close(losses[[0]], 0.2, 1e-6);
        assert_close(losses[[1]], 0.6, 1e-6);

        let x1 = array![[0.0, 0.0], [1.0, 1.0], [2.0, 0.0_f64]];
        let x2 = array![[0.0, 0.1], [1.0, 0.9], [1.5, 0.5]];
        let losses = SdmlLoss::new().on(&x1, &x2).exec(exec).loss().unwrap();
        let published = [0.0464011513256, 0.100138656595, 0.166338069792];
        for (&loss, expected) in losses.iter().zip(published) {
            // Published with 10⁻¹² added to the shares inside their logarithms.
            assert_close(loss, expected, 1e-9);
        }
    });
}

/// Two equal vectors have no direction to be pulled in, and no root to divide by.
#[test]
fn equal_vectors_of_a_triplet_have_a_finite_gradient() {
    let same = Array2::<f32>::ones([3, 7]);
    for_each_level(|exec| {
        let call = TripletLoss::new().on(&same, &same, &same).exec(exec);
        let (loss, grads) = call.loss_and_grads().unwrap();
        assert!(loss.iter().all(|&loss| loss == 1.0));
        assert!(grads.iter().flatten().all(|&grad| grad == 0.0));
    });
}

/// An infinite distance costs everything on one side and nothing on the other.
#[test]
fn infinite_distances_of_a_triplet() {
    let (pred, far) = (array![[0.0_f64, 1.0]], array![[f64::INFINITY, 1.0]]);
    for_each_level(|exec| {
        let call = TripletLoss::new().on(&pred, &far, &pred).exec(exec);
        let (loss, [_, of_positive, _]) = call.loss_and_grads().unwrap();
        assert_eq!(loss[[0]], f64::INFINITY);
        assert_eq!(of_positive, array![[f64::INFINITY, 0.0]]);
        let call = TripletLoss::new().on(&pred, &pred, &far).exec(exec);
        let (loss, grads) = call.loss_and_grads().unwrap();
        assert_eq!(loss[[0]], 0.0);
        assert!(grads.iter().flatten().all(|&grad| grad == 0.0));
        let call = TripletLoss::new().on(&pred, &far, &far).exec(exec);
        assert!(call.loss().unwrap()[[0]].is_nan());
    });
}

/// A sample of no entries lies nowhere, and is no farther from anything than from anything else.
#[test]
fn a_sample_of_nothing() {
    let nothing = Array2::<f32>::zeros([3, 0]);
    let triplet = TripletLoss::new().margin(0.5).unwrap();
    let (loss, grads) = triplet
        .loss_and_grads(&nothing, &nothing, &nothing)
        .unwrap();
    assert_eq!(loss, array![0.5, 0.5, 0.5]);
    assert!(grads.iter().all(|grad| grad.shape() == [3, 0]));
    let (loss, _) = SdmlLoss::new().loss_and_grads(&nothing, &nothing).unwrap();
    let expected = (0.7 * (2.1_f64).ln()) + 0.3 * (0.45_f64).ln();
    assert_close(loss[0], expected, 1e-6);
    let none = Array2::<f32>::zeros([0, 5]);
    let sum = SdmlLoss::new().on(&none, &none).reduction(Reduction::Sum);
    assert_eq!(sum.scalar().unwrap(), 0.0);
}

/// One pair, at every level, within the contract.
/// Axes of unlike strides with no entries along the last.
#[test]
fn a_sample_of_nothing_of_many_axes() {
    let all = Array4::<f32>::ones((3, 2, 6, 4));
    let nothing = all.slice(s![.., .., ..4;2, 0..0]);
    for weight in [0.0, 1.0] {
        let triplet = TripletLoss::new().weight(weight).unwrap();
        for_each_level(|exec| {
            let call = triplet.on(&nothing, &nothing, &nothing).exec(exec);
            let mut grads = [(); 3].map(|()| all.clone());
            let mut nowhere = grads
                .each_mut()
                .map(|grad| grad.slice_mut(s![.., .., ..4;2, 0..0]));
            let mut losses = Array1::zeros(3);
            let places = nowhere.each_mut().map(|grad| Some(&mut **grad));
            call.loss_and_grads_into(&mut losses, places).unwrap();
            assert_eq!(losses, Array1::from_elem(3, weight as f32));
            assert!(grads.iter().all(|grad| grad == all));
        });
    }
}

fn cosine_pair<T: Real + Element>(u: &[f64], v: &[f64], same: bool) -> (f64, [Vec<f64>; 2])
where
    i32: SignLabel<T>,
{
    let row = |x: &[f64]| {
        let row: ArrayD<T> = Array1::from_iter(x.iter().map(|&x| T::of(x))).into_dyn();
        row.insert_axis(ndarray::Axis(0))
    };
    let problem = Problem {
        pred: row(u),
        others: vec![row(v)],
        label: Label::Sparse(array![if same { 1 } else { -1 }].into_dyn()),
        pos_weight: None,
    };
    let case = case::<T>("cosine_embedding");
    let mut result = None;
    for_each_level(|exec| {
        let request = Request {
            exec,
            ..Request::default()
        };
        let reduced = expected(&case, &problem, &request);
        let outcome = fused(&case, &problem, &request);
        assert_outcome(
            &outcome,
            &reduced,
            &format!("{u:?} and {v:?} at {}", exec.level),
        );
        let wide = |grad: &ArrayD<T>| grad.iter().map(|g| g.wide()).collect();
        let grads = [wide(&outcome.grads[0]), wide(&outcome.grads[1])];
        result = Some((outcome.loss[[0]].wide(), grads));
    });
    result.expect("a level")
}

#[test]
fn the_cosine_with_a_vector_of_zeros_is_zero() {
    for (u, v) in [
        ([0.0, 0.0], [1.0, 2.0]),
        ([3.0, 1.0], [0.0, 0.0]),
        ([0.0; 2], [0.0; 2]),
    ] {
        for (same, loss) in [(true, 1.0), (false, 0.0)] {
            let (found, grads) = cosine_pair::<f32>(&u, &v, same);
            assert_eq!(found, loss);
            assert!(grads.iter().flatten().all(|&grad| grad == 0.0));
            let (found, grads) = cosine_pair::<f64>(&u, &v, same);
            assert_eq!(found, loss);
            assert!(grads.iter().flatten().all(|&grad| grad == 0.0));
        }
    }
    // Not a number is not nothing.
    let (loss, grads) = cosine_pair::<f32>(&[0.0, 0.0], &[1.0, f64::NAN], true);
    assert!(loss.is_nan() && grads.iter().flatten().all(|grad| grad.is_nan()));
    let (loss, _) = cosine_pair::<f32>(&[0.0, 1.0], &[1.0, f64::INFINITY], true);
    assert!(loss.is_nan());
}

#[test]
fn no_vector_is_too_short_or_too_long_for_its_angle() {
    let (u, v) = ([3.0, 4.0, 0.0], [4.0, 3.0, 0.0]);
    let scaled = |x: [f64; 3], by: f64| x.map(|x| x * by);
    for by in [1e-30, 1e-36, 1e30, 1e37, 1.0] {
        for other in [1e-30, 1e30, 1.0] {
            let (loss, _) = cosine_pair::<f32>(&scaled(u, by), &scaled(v, other), true);
            assert_close(loss, 0.04, 1e-5);
            cosine_pair::<f32>(&scaled(u, by), &scaled(v, other), false);
        }
    }
    for by in [1e-300, 1e-200, 1e-160, 1e200, 1e307, 1.0] {
        for other in [1e-290, 1e-170, 1e170, 1e300, 1.0] {
            let (loss, _) = cosine_pair::<f64>(&scaled(u, by), &scaled(v, other), true);
            assert_close(loss, 0.04, 1e-14);
            cosine_pair::<f64>(&scaled(u, by), &scaled(v, other), false);
        }
    }
    // The smallest numbers there are keep their direction.
    let (loss, _) = cosine_pair::<f64>(&[5e-324, 0.0], &[1.0, 0.0], true);
    assert_eq!(loss, 0.0);
    let (loss, _) = cosine_pair::<f32>(&[1e-45, 0.0], &[0.0, 1e38], true);
    assert_eq!(loss, 1.0);
}

/// More units than are run at once, of vectors that are added by groups, a single one and a part of one;
/// units whose gradients are written right after they are summed; long ones, of which fewer go together;
/// and pairs that are several of a sample.
const SHAPES: [&[usize]; 6] = [
    &[70, 84],
    &[23, 40],
    &[17, 260],
    &[17, 384],
    &[13, 520],
    &[5, 9, 84],
];

/// The gradients of a unit are written while another is summed: whatever that is, each unit is what it is
/// alone, in place and elsewhere.
fn units_are_what_they_are_alone<T: Real>(largest: f64, shape: &[usize]) {
    let exists = |&unit: &usize| unit < shape[0];
    for name in ["triplet", "cosine_embedding"] {
        let case = case::<T>(name);
        let mut problem = (case.draw)(shape, shape.len() - 1, &mut Random::new(5));
        if let [near, far] = &mut problem.others[..] {
            // Examples that are drawn cost next to nothing. Of every three units two are to cost more.
            for (unit, (near, far)) in near.outer_iter_mut().zip(far.outer_iter_mut()).enumerate() {
                if unit % 3 != 0 {
                    Zip::from(near).and(far).for_each(std::mem::swap);
                }
            }
        }
        let strange = [
            (3, 0.0),
            (5, f64::NAN),
            (9, largest.recip()),
            (10, largest),
            (40, f64::INFINITY),
            (62, largest),
            (64, 0.0),
        ];
        for (unit, factor) in strange.into_iter().filter(|(unit, _)| exists(unit)) {
            problem
                .pred
                .index_axis_mut(Axis(0), unit)
                .mapv_inplace(|x| T::of(x.wide() * factor));
        }
        let weights = (0..shape[0]).map(|unit| T::of(0.7 + unit as f64 / 64.0));
        let mut weights = Array1::from_iter(weights).into_dyn();
        for masked in [1, 6, 7, 41, 63, 69].into_iter().filter(exists) {
            weights[masked] = T::of(0.0);
        }
        for_each_level(|exec| {
            let request = Request::<T> {
                sample_weight: Some(weights.clone()),
                exec,
                ..Request::default()
            };
            let what = format!("{name} at {}", exec.level);
            let whole = fused(&case, &problem, &request);
            for unit in 0..shape[0] {
                let (problem, request) = alone(&case, &problem, &request, unit..unit + 1);
                let expected = part(&case, shape, &request, &whole, unit..unit + 1);
                fused(&case, &problem, &request).assert_same(&expected, &what);
            }
            let places = Places::from(&problem, 1, Layout::contiguous);
            assert_every_form(&case, &problem, &request.views(), &places, &whole, &what);
        });
    }
}

#[test]
fn units_are_what_they_are_alone_in_f32() {
    for shape in SHAPES {
        units_are_what_they_are_alone::<f32>(1e30, shape);
    }
}

#[test]
fn units_are_what_they_are_alone_in_f64() {
    for shape in SHAPES {
        units_are_what_they_are_alone::<f64>(1e200, shape);
    }
}

/// A vector costs nothing beside itself, and no rounding makes it less.
#[test]
fn parallel_vectors_cost_nothing_and_never_less() {
    let random = &mut Random::new(21);
    for len in [1, 2, 3, 17, 64, 300] {
        for _ in 0..20 {
            let u: Vec<f64> = (0..len)
                .map(|_| f64::from(random.normal() as f32))
                .collect();
            let (loss, _) = cosine_pair::<f32>(&u, &u, true);
            assert_eq!(loss, 0.0);
            let factor = 1.0 + random.unit();
            let longer: Vec<f64> = u.iter().map(|x| f64::from((x * factor) as f32)).collect();
            let (loss, _) = cosine_pair::<f32>(&u, &longer, true);
            assert!((0.0..1e-6).contains(&loss), "{loss:e}");
        }
    }
}

#[test]
fn labels_of_pairs_are_signs() {
    let input = Array2::<f32>::ones([4, 3]);
    let loss = CosineEmbeddingLoss::new();
    for label in [0, 2, -2, i32::MIN] {
        let labels = array![1, -1, label, 5];
        let error = loss.loss(&input, &input, &labels).unwrap_err();
        assert_eq!(
            error,
            Error::Sign {
                index: vec![2],
                found: label.to_string()
            }
        );
        let message = format!("label at [2] is {label}, expected 1 or -1");
        assert_eq!(error.to_string(), message);
    }
    for label in [0.0_f32, 0.5, -1.5, f32::NAN, f32::INFINITY] {
        let labels = array![1.0, -1.0, 1.0, label];
        let error = loss.loss(&input, &input, &labels).unwrap_err();
        assert!(
            matches!(error, Error::Sign { ref index, .. } if *index == [3]),
            "{error}"
        );
    }
    let error = loss
        .loss(&input, &input, &array![255_u8, 1, 1, 1])
        .unwrap_err();
    assert!(
        matches!(error, Error::Sign { ref index, .. } if *index == [0]),
        "{error}"
    );
    let error = loss
        .loss(&input, &input, &array![[1], [1], [1], [1]])
        .unwrap_err();
    assert_eq!(error.to_string(), "label has shape [4, 1], expected [4]");

    // Of whatever type, the same labels.
    let (input1, input2) = (
        array![[1.0_f32, 2.0], [3.0, 1.0]],
        array![[0.5, 1.0], [-1.0, 2.0]],
    );
    let expected = loss
        .loss_and_grads(&input1, &input2, &array![1, -1])
        .unwrap();
    macro_rules! same {
        ($($number:ty)*) => {$(
            let label = array![1 as $number, -1 as $number];
            let actual = loss.loss_and_grads(&input1, &input2, &label).unwrap();
            assert_eq!(actual, expected, stringify!($number));
        )*};
    }
    same!(i8 i16 i32 i64 i128 isize f32);
}

#[test]
fn inputs_of_different_shapes() {
    let (a, b) = (Array2::<f32>::ones([4, 3]), Array2::<f32>::ones([4, 2]));
    let error = TripletLoss::new().loss(&a, &a, &b).unwrap_err();
    assert_eq!(
        error.to_string(),
        "negative has shape [4, 2], expected [4, 3]"
    );
    let error = CosineEmbeddingLoss::new()
        .loss(&a, &b, &array![1, 1, 1, 1])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "input2 has shape [4, 2], expected [4, 3]"
    );
    let error = SdmlLoss::new().loss(&a, &b).unwrap_err();
    assert_eq!(error.to_string(), "x2 has shape [4, 2], expected [4, 3]");

    let (mut loss, mut right) = (Array1::from_elem(4, 7.0), Array2::from_elem([4, 3], 7.0));
    let mut wrong = Array2::from_elem([3, 4], 7.0);
    let call = TripletLoss::new();
    let call = call.on(&a, &a, &a);
    let grads = [Some(&mut *right), None, Some(&mut *wrong)];
    let error = call.loss_and_grads_into(&mut loss, grads).unwrap_err();
    assert_eq!(
        error.to_string(),
        "grad of negative has shape [3, 4], expected [4, 3]"
    );
    assert!(loss.iter().chain(&right).chain(&wrong).all(|&x| x == 7.0));
}

#[test]
fn options_out_of_range() {
    for margin in [f64::NAN, f64::INFINITY] {
        let error = TripletLoss::new().margin(margin).unwrap_err();
        assert!(matches!(
            error,
            Error::Value {
                option: "margin",
                ..
            }
        ));
        let error = CosineEmbeddingLoss::new().margin(margin).unwrap_err();
        assert!(matches!(
            error,
            Error::Value {
                option: "margin",
                ..
            }
        ));
    }
    for share in [-0.1, 1.0, 2.0, f64::NAN] {
        let error = SdmlLoss::new().smoothing_parameter(share).unwrap_err();
        let message = format!("smoothing_parameter is {share}, expected a share from 0 to below 1");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn one_pair_of_a_batch_costs_nothing() {
    let (x1, x2) = (array![[1.0_f32, 2.0, 3.0]], array![[-4.0, 0.0, 1e3]]);
    for_each_level(|exec| {
        for smoothing in [0.0, 0.3] {
            let sdml = SdmlLoss::new().smoothing_parameter(smoothing).unwrap();
            let (loss, grads) = sdml.on(&x1, &x2).exec(exec).loss_and_grads().unwrap();
            assert_eq!(loss[[0]], 0.0);
            assert!(grads.iter().flatten().all(|&grad| grad == 0.0));
        }
    });
}

/// A common offset of all vectors changes no distance, and no digit of one is lost to it.
#[test]
fn an_offset_of_all_vectors_keeps_every_bit() {
    let random = &mut Random::new(22);
    // Multiples of 2^-10, so that adding the offset is exact.
    let mut draw = || {
        Array2::from_shape_simple_fn([9, 40], || {
            (random.normal() * 200.0).round() as f32 / 1024.0
        })
    };
    let (x1, x2) = (draw(), draw());
    let plain = SdmlLoss::new().loss_and_grads(&x1, &x2).unwrap();
    let shifted = SdmlLoss::new()
        .loss_and_grads(&(&x1 + 4096.0), &(&x2 + 4096.0))
        .unwrap();
    assert_eq!(plain, shifted);
}

/// A masked pair is no loss and pulls on nobody, whatever it holds; its vector of x2 is still one
/// that others compare with.
#[test]
fn a_masked_pair_of_a_batch() {
    let random = &mut Random::new(23);
    let mut draw = || Array2::from_shape_simple_fn([5, 7], || random.normal() as f32);
    let (mut x1, x2) = (draw(), draw());
    let weight = array![1.0, 1.0, 0.0, 1.0, 0.5];
    let run = |x1: &Array2<f32>, exec: Exec| {
        let call = SdmlLoss::new();
        let call = call.on(x1, &x2).sample_weight(&weight).exec(exec);
        call.loss_and_grads().unwrap()
    };
    for_each_level(|exec| {
        let clean = run(&x1, exec);
        assert_eq!(clean.0[[2]], 0.0);
        assert!(clean.1[0].row(2).iter().all(|&grad| grad == 0.0));
        assert!(clean.1[1].row(2).iter().any(|&grad| grad != 0.0));
        let mut dirty = x1.clone();
        dirty.row_mut(2).fill(f32::NAN);
        assert_eq!(run(&dirty, exec), clean);
    });
    // Without the mask a NaN of x1 is its own pair's loss, and in every gradient of x2.
    x1[[2, 3]] = f32::NAN;
    let (loss, [of_x1, of_x2]) = SdmlLoss::new().loss_and_grads(&x1, &x2).unwrap();
    for (pair, loss) in loss.iter().enumerate() {
        assert_eq!(loss.is_nan(), pair == 2);
        assert_eq!(of_x1.row(pair).iter().any(|grad| grad.is_nan()), pair == 2);
    }
    assert!(of_x2.iter().all(|grad| grad.is_nan()));
}

/// One workspace for calls of any size and type, in place and not: the same bits as without.
#[test]
fn a_workspace_is_lent_again_and_again() {
    let mut workspace = Workspace::new();
    let random = &mut Random::new(24);
    let mut most = 0;
    for (vectors, len) in [(40, 30), (3, 5), (70, 200), (40, 30)] {
        let mut draw = || Array2::from_shape_simple_fn([vectors, len], || random.normal() * 0.3);
        let (mut x1, mut x2) = (draw(), draw());
        let expected = SdmlLoss::new().loss_and_grads(&x1, &x2).unwrap();
        let call = SdmlLoss::new().on(&x1, &x2).workspace(&mut workspace);
        let (loss, grads) = call.loss_and_grads().unwrap();
        assert_eq!((loss, &grads), (expected.0.clone().into_dyn(), &expected.1));
        let mut loss = Array1::zeros(vectors);
        let in_place = SdmlLoss::new().in_place(&mut x1, &mut x2);
        in_place
            .workspace(&mut workspace)
            .loss_into(&mut loss)
            .unwrap();
        assert_eq!((loss, [x1, x2]), expected);
        assert!(workspace.bytes() >= most);
        most = workspace.bytes();

        let (y1, y2) = (grads[0].mapv(|x| x as f32), grads[1].mapv(|x| x as f32));
        let call = SdmlLoss::new().on(&y1, &y2).workspace(&mut workspace);
        let expected = SdmlLoss::new().loss(&y1, &y2).unwrap().into_dyn();
        assert_eq!(call.loss().unwrap(), expected);
    }
}

/// More vectors than one group of rows of the matrix: gradients of x2 are gathered from several.
#[test]
fn a_batch_of_several_groups_of_rows() {
    fn check<T: Real>(vectors: usize) {
        let case = case::<T>("sdml");
        let problem = (case.draw)(&[vectors, 3], 0, &mut Random::new(25));
        let request = Request::<T>::default();
        let reduced = expected(&case, &problem, &request);
        let outcome = fused(&case, &problem, &request);
        assert_outcome(&outcome, &reduced, "several groups at best");
    }
    check::<f32>(1100);
    check::<f64>(800);
}

/// Moving all vectors together changes nothing, so all gradients cancel: of a matrix that is kept
/// whole, and of one that is made in a few and in many parts.
#[test]
fn gradients_of_a_whole_batch_cancel() {
    for vectors in [300, 2000, 4500].map(shrunk) {
        let random = &mut Random::new(26);
        let mut draw = || Array2::from_shape_simple_fn([vectors, 3], || random.normal() as f32);
        let (x1, x2) = (draw(), draw());
        let (_, [of_x1, of_x2]) = SdmlLoss::new().loss_and_grads(&x1, &x2).unwrap();
        for axis in 0..3 {
            let all = || of_x1.column(axis).into_iter().chain(of_x2.column(axis));
            let sum: f64 = all().map(|&g| f64::from(g)).sum();
            let size: f64 = all().map(|&g| f64::from(g.abs())).sum();
            assert!(
                sum.abs() <= 1e-6 * size,
                "{vectors} vectors: {sum:e} of {size:e}"
            );
        }
    }
}

/// Squares of many entries, in a type that has nothing wider to add them in.
#[test]
fn distances_of_long_vectors() {
    let len = 65_536;
    let case = case::<f64>("sdml");
    let rows = |values: [f64; 2]| {
        let matrix = Array2::from_shape_fn([2, len], |(row, _)| values[row]);
        matrix.into_dyn()
    };
    let problem = Problem {
        pred: rows([0.0, 0.0]),
        others: vec![rows([0.1, 0.1000001])],
        label: Label::None,
        pos_weight: None,
    };
    for_each_level(|exec| {
        let request = Request::default().exec(exec);
        let reduced = expected(&case, &problem, &request);
        let outcome = fused(&case, &problem, &request);
        assert_outcome(
            &outcome,
            &reduced,
            &format!("long vectors at {}", exec.level),
        );
    });
}

/// Products of many entries, which a long running sum would round too often: vectors that show it.
#[test]
fn angles_of_long_vectors() {
    let case = case::<f64>("cosine_embedding");
    for seed in [263, 855, 1186, 1529] {
        let random = &mut Random::new(seed);
        let shape = [1, 16_384];
        let input1 = ArrayD::from_shape_simple_fn(&shape[..], || random.normal());
        let input2 = input1.mapv(|x| 3.0 * x + random.normal());
        let problem = Problem {
            pred: input1,
            others: vec![input2],
            label: Label::Sparse(array![1].into_dyn()),
            pos_weight: None,
        };
        for_each_level(|exec| {
            let request = Request::default().exec(exec);
            let reduced = expected(&case, &problem, &request);
            let outcome = fused(&case, &problem, &request);
            let what = format!("vectors of seed {seed} at {}", exec.level);
            assert_outcome(&outcome, &reduced, &what);
        });
    }
}

/// Distances beyond the type count as its largest number: no finite vector is a masked one.
#[test]
fn distances_beyond_the_range() {
    let (x1, x2) = (array![[1e20_f32], [0.0]], array![[0.0_f32], [3e20]]);
    for_each_level(|exec| {
        let sdml = SdmlLoss::new();
        let (loss, grads) = sdml.on(&x1, &x2).exec(exec).loss_and_grads().unwrap();
        assert!(loss.iter().all(|loss| loss.is_finite()), "{loss}");
        assert!(grads.iter().flatten().all(|grad| !grad.is_nan()));
        let one = SdmlLoss::new()
            .loss(&array![[1e20_f32]], &array![[-1e20]])
            .unwrap();
        assert_eq!(one, array![0.0]);
    });
}
