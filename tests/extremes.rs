//! Inputs at the ends of the range, and sums at the ends of what memory holds.

mod common;

use common::call::{Form, Inputs, LabelView, Request, expected, fused};
use common::cases::{Case, Label, Problem, Unit, case, table};
use common::contract::assert_outcome;
use common::levels::{for_each_level, shrunk};
use common::random::Random;
use common::real::{Real, assert_same_bits};
use lossgrad::{
    Exec, HuberLoss, KlDivLoss, L2Loss, Level, LogFactorial, PoissonNllLoss, Reduction,
    SigmoidBceLoss, SoftmaxCeLoss, Threading,
};
use ndarray::{Array1, Array2, ArrayD, Axis, array};

const LN_2: f64 = std::f64::consts::LN_2;

/// A problem of one row of classes for either kind of label.
fn row<T: Real>(pred: &[f64], label: usize, dense: bool) -> Problem<T> {
    let label = if dense {
        let mut one_hot = ArrayD::from_elem(vec![1, pred.len()], T::of(0.0));
        one_hot[[0, label]] = T::of(1.0);
        Label::Dense(one_hot)
    } else {
        Label::Sparse(array![label as i32].into_dyn())
    };
    let pred = Array1::from_iter(pred.iter().map(|&x| T::of(x)));
    Problem {
        pred: pred.insert_axis(Axis(0)).into_dyn(),
        others: vec![],
        label,
        pos_weight: None,
    }
}

/// Each kind of label through each precision.
fn for_each_row(test: impl Fn(bool)) {
    test(false);
    test(true);
}

fn softmax<T: Real>(dense: bool) -> Case<T> {
    case(if dense {
        "softmax_ce dense"
    } else {
        "softmax_ce sparse"
    })
}

/// Loss and gradient of a row at every level, within the contract.
fn check_row<T: Real>(pred: &[f64], label: usize, dense: bool) -> (T, Vec<T>) {
    let (case, problem) = (softmax::<T>(dense), row::<T>(pred, label, dense));
    let reduced = expected(&case, &problem, &Request::default());
    let mut result = None;
    for_each_level(|exec| {
        let outcome = fused(
            &case,
            &problem,
            &Request {
                exec,
                ..Request::default()
            },
        );
        let what = format!("{} with label {label} at {}", case.name, exec.level);
        assert_outcome(&outcome, &reduced, &what);
        result = Some((outcome.loss[0], outcome.grad().iter().copied().collect()));
    });
    result.expect("a level")
}

#[track_caller]
fn assert_close<T: Real>(actual: T, expected: f64, relative: f64) {
    let (actual, allowed) = (actual.wide(), relative * expected.abs());
    assert!(
        (actual - expected).abs() <= allowed,
        "{actual:e}, expected {expected:e}"
    );
}

#[test]
fn a_common_offset_of_the_logits_cancels() {
    for_each_row(|dense| {
        assert_eq!(check_row::<f32>(&[1e8, 1e8], 0, dense).0, LN_2 as f32);
        assert_eq!(check_row::<f64>(&[1e8, 1e8], 0, dense).0, LN_2);
    });
}

#[test]
fn an_exact_shift_of_the_logits_keeps_every_bit() {
    fn check<T: Real>(dense: bool) {
        let random = &mut Random::new(1);
        for classes in [2, 5, 17, 100, 1000, 9000] {
            // Quarters, so that the shifted logits are exact too.
            let pred: Vec<f64> = (0..classes)
                .map(|_| random.below(64) as f64 * 0.25)
                .collect();
            let label = random.below(classes);
            let case = softmax::<T>(dense);
            for_each_level(|exec| {
                let request = Request {
                    exec,
                    ..Request::default()
                };
                let plain = fused(&case, &row::<T>(&pred, label, dense), &request);
                for shift in [64.0, -4096.0] {
                    let shifted: Vec<f64> = pred.iter().map(|x| x + shift).collect();
                    let shifted = fused(&case, &row::<T>(&shifted, label, dense), &request);
                    assert_same_bits(&shifted.loss, &plain.loss, case.name);
                    assert_same_bits(shifted.grad(), plain.grad(), case.name);
                }
            });
        }
    }
    for_each_row(check::<f32>);
    for_each_row(check::<f64>);
}

#[test]
fn a_masked_class_has_probability_zero_wherever_it_is() {
    fn check<T: Real>(dense: bool) {
        let masked = f64::NEG_INFINITY;
        let random = &mut Random::new(2);
        for classes in [3, 65, 130, 600, 20_000] {
            let longest = classes - 1;
            for at in [0..1, 0..64, 0..256, 1..longest, 0..longest, 5..8200] {
                let at = at.start.min(longest)..at.end.min(longest);
                let mut pred: Vec<f64> = (0..classes).map(|_| random.normal()).collect();
                pred[at.clone()].fill(masked);
                let (loss, grad) = check_row::<T>(&pred, longest, dense);
                assert!(loss.wide().is_finite());
                assert!(
                    grad[at].iter().all(|&g| g.wide() == 0.0),
                    "a masked class has a gradient"
                );
            }
        }
    }
    for_each_row(check::<f32>);
    for_each_row(check::<f64>);
}

/// Wherever it is: at the ends of vectors and chunks, and alone in the last chunk of a long row.
#[test]
fn a_nan_among_the_logits_makes_the_row_nan() {
    fn check<T: Real>(dense: bool) {
        for classes in [1, 10, 33, 100, 4096, 4097, 8193] {
            for at in [0, classes / 2, classes - 1] {
                for label in [0, classes - 1] {
                    let mut pred = vec![0.5; classes];
                    pred[at] = f64::NAN;
                    let (loss, grad) = check_row::<T>(&pred, label, dense);
                    assert!(loss.wide().is_nan());
                    assert!(
                        grad.iter().all(|g| g.wide().is_nan()),
                        "a gradient is a number"
                    );
                }
            }
        }
    }
    for_each_row(check::<f32>);
    for_each_row(check::<f64>);
}

#[test]
fn a_needed_class_of_probability_zero_costs_everything() {
    for_each_row(|dense| {
        let (loss, grad) = check_row::<f32>(&[0.0, f64::NEG_INFINITY, 0.0], 1, dense);
        assert_eq!(loss, f32::INFINITY);
        assert_eq!(grad, [0.5, -1.0, 0.5]);
    });
}

/// A row with nothing but masked classes has no softmax; its neighbours have theirs.
#[test]
fn a_row_of_masked_classes_is_nan_and_alone() {
    fn check<T: Real>(dense: bool) {
        for classes in [1, 2, 70, 9000] {
            let mut pred = Array2::from_elem([3, classes], T::of(0.0));
            pred.row_mut(1).fill(T::of(f64::NEG_INFINITY));
            let mut problem = row::<T>(&vec![0.0; classes], 0, dense);
            problem.label = match problem.label {
                Label::Sparse(_) => Label::Sparse(array![0, 0, 0].into_dyn()),
                Label::Dense(one) => {
                    let one = one.broadcast(vec![3, classes]).expect("one row").to_owned();
                    Label::Dense(one)
                }
                Label::None => unreachable!("rows have labels"),
            };
            problem.pred = pred.into_dyn();
            for_each_level(|exec| {
                let request = Request {
                    exec,
                    ..Request::default()
                };
                let outcome = fused(&softmax::<T>(dense), &problem, &request);
                let grads = outcome.grad().axis_iter(Axis(0)).collect::<Vec<_>>();
                for sample in [0, 2] {
                    assert_close(
                        outcome.loss[sample],
                        (classes as f64).ln(),
                        T::CONTRACT.loss,
                    );
                    assert!(grads[sample].iter().all(|g| g.wide().is_finite()));
                }
                assert!(outcome.loss[1].wide().is_nan(), "loss {}", outcome.loss[1]);
                assert!(
                    grads[1].iter().all(|g| g.wide().is_nan()),
                    "gradient {:?}",
                    grads[1]
                );
            });
        }
    }
    for_each_row(check::<f32>);
    for_each_row(check::<f64>);
}

#[test]
fn a_margin_of_twenty_keeps_its_relative_accuracy() {
    fn check<T: Real>(dense: bool) {
        let (loss, grad) = check_row::<T>(&[20.0, 0.0], 0, dense);
        assert_close(loss, 2.061153620314e-9, T::CONTRACT.loss.max(1e-12));
        assert_close(grad[1], 2.061153618190e-9, T::CONTRACT.loss.max(1e-12));
        assert_close(grad[0], -2.061153618190e-9, T::CONTRACT.loss.max(1e-12));
    }
    for_each_row(check::<f32>);
    for_each_row(check::<f64>);
}

#[test]
fn equal_logits_far_below_zero_share_the_probability() {
    for_each_row(|dense| {
        for classes in [2, 3, 17, 257, 10_000] {
            let (loss, grad) = check_row::<f32>(&vec![-1000.0; classes], 0, dense);
            assert_close(loss, (classes as f64).ln(), 1e-6);
            grad[1..]
                .iter()
                .for_each(|&g| assert_close(g, 1.0 / classes as f64, 1e-6));
        }
    });
}

#[test]
fn logits_at_the_ends_of_the_range() {
    for_each_row(|dense| {
        let most = f64::from(f32::MAX);
        assert_eq!(check_row::<f32>(&[most, -most], 0, dense).0, 0.0);
        assert_eq!(check_row::<f32>(&[most, most], 0, dense).0, LN_2 as f32);
        assert_eq!(
            check_row::<f32>(&[-most, -most, -most], 2, dense).0,
            3.0_f32.ln()
        );
        assert_eq!(check_row::<f32>(&[most, -most], 1, dense).0, f32::INFINITY);
        assert_eq!(check_row::<f32>(&[most, 0.0], 1, dense).0, f32::MAX);
    });
}

/// Per element: loss and gradient of predictions and labels, at every level, within the contract.
fn check_elements<T: Real>(
    name: &str,
    cases: &[(f64, f64)],
    pos_weight: Option<f64>,
    number: Option<f64>,
) -> Vec<(T, T)> {
    let case = case::<T>(name);
    // Repeated, so that every element is in a full vector once and in a tail once.
    let count = cases.len();
    let column = |pick: fn(&(f64, f64)) -> f64, times: usize| {
        let values = cases.iter().map(pick).collect::<Vec<_>>().repeat(times);
        Array1::from_iter(values.into_iter().map(T::of)).into_dyn()
    };
    let mut result = Vec::new();
    for times in [1, 200] {
        let problem = Problem {
            pred: column(|c| c.0, times),
            others: vec![],
            label: Label::Dense(column(|c| c.1, times)),
            pos_weight: pos_weight.map(|p| array![T::of(p)].into_dyn()),
        };
        let plain = Request {
            number,
            ..Request::reduction(Reduction::None)
        };
        let reduced = expected(&case, &problem, &plain);
        for_each_level(|exec| {
            let outcome = fused(&case, &problem, &plain.exec(exec));
            let what = format!("{} at {}", case.name, exec.level);
            assert_outcome(&outcome, &reduced, &what);
            let pairs = outcome
                .loss
                .iter()
                .copied()
                .zip(outcome.grad().iter().copied());
            result = pairs.take(count).collect();
        });
    }
    result
}

/// A prediction and a label, and the loss and gradient that they have exactly.
type Value = ((f64, f64), (f64, f64));

/// Checks each row of a table in either type; NaN is NaN.
fn check_values(name: &str, table: &[Value]) {
    check_values_with(name, None, table);
}

/// The same, given the number that is an option of the loss.
fn check_values_with(name: &str, number: Option<f64>, table: &[Value]) {
    fn check<T: Real>(name: &str, number: Option<f64>, table: &[Value]) {
        let cases: Vec<_> = table.iter().map(|row| row.0).collect();
        let results = check_elements::<T>(name, &cases, None, number);
        for ((loss, grad), &(input, wanted)) in results.into_iter().zip(table) {
            let same =
                |a: T, b: f64| a.wide() == T::of(b).wide() || (a.wide().is_nan() && b.is_nan());
            assert!(
                same(loss, wanted.0) && same(grad, wanted.1),
                "{name} of {input:?} in {}: {loss} and {grad}, expected {wanted:?}",
                T::NAME,
            );
        }
    }
    check::<f32>(name, number, table);
    check::<f64>(name, number, table);
}

fn check_bce<T: Real>(cases: &[(f64, f64)], pos_weight: Option<f64>) -> Vec<(T, T)> {
    let name = match pos_weight {
        Some(_) => "sigmoid_bce pos_weight",
        None => "sigmoid_bce",
    };
    check_elements(name, cases, pos_weight, None)
}

fn each_binary_call<T: Real>(cases: &[(f64, f64)], mut test: impl FnMut(&[(T, T)])) {
    test(&check_bce::<T>(cases, None));
    test(&check_bce::<T>(cases, Some(1.0)));
}

#[test]
fn large_logits_cost_what_they_say() {
    fn check<T: Real>() {
        let sizes = [
            20.0,
            88.0,
            89.0,
            104.0,
            120.0,
            750.0,
            1e4,
            f64::from(f32::MAX),
        ];
        for size in sizes {
            let right = [(size, 1.0), (-size, 0.0)];
            let wrong = [(size, 0.0), (-size, 1.0)];
            each_binary_call::<T>(&right, |results| {
                for &(loss, grad) in results {
                    assert!(loss.wide() >= 0.0 && loss.wide() < 3e-9, "{loss}");
                    assert!(grad.wide().abs() < 3e-9, "{grad}");
                }
            });
            each_binary_call::<T>(&wrong, |results| {
                for (&(loss, grad), sign) in results.iter().zip([1.0, -1.0]) {
                    let tail = (-size).exp();
                    assert_close(loss, size + tail.ln_1p(), T::CONTRACT.loss);
                    assert_close(grad, sign / (1.0 + tail), T::CONTRACT.loss);
                }
            });
        }
        // Half of each class: half the logit, half the slope.
        each_binary_call::<T>(&[(1e30, 0.5), (-1e30, 0.5)], |results| {
            for (&(loss, grad), sign) in results.iter().zip([1.0, -1.0]) {
                assert_close(loss, 5e29, T::CONTRACT.loss);
                assert_close(grad, sign * 0.5, T::CONTRACT.loss);
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn infinite_logits_are_certain() {
    fn check<T: Real>() {
        let inf = f64::INFINITY;
        let cases = [
            (inf, 1.0),
            (-inf, 0.0),
            (inf, 0.0),
            (-inf, 1.0),
            (inf, 0.25),
            (-inf, 0.25),
        ];
        let expected = [
            (0.0, 0.0),
            (0.0, 0.0),
            (inf, 1.0),
            (inf, -1.0),
            (inf, 0.75),
            (inf, -0.25),
        ];
        each_binary_call::<T>(&cases, |results| {
            for (&(loss, grad), wanted) in results.iter().zip(expected) {
                assert_eq!((loss.wide(), grad.wide()), wanted);
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn the_gradient_at_zero_is_half_less_the_label() {
    fn check<T: Real>() {
        let cases = [
            (0.0, 0.0),
            (0.0, 1.0),
            (-0.0, 0.0),
            (-0.0, 1.0),
            (0.0, 0.25),
            (0.0, 0.5),
        ];
        each_binary_call::<T>(&cases, |results| {
            for (&(loss, grad), (_, label)) in results.iter().zip(cases) {
                assert_eq!(loss.wide(), T::of(LN_2).wide());
                assert_eq!(grad.wide(), 0.5 - label);
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_confident_logit_keeps_its_relative_accuracy() {
    fn check<T: Real>() {
        let exact = T::CONTRACT.loss.max(1e-12);
        each_binary_call::<T>(&[(-20.0, 0.0), (20.0, 1.0)], |results| {
            for (&(loss, grad), sign) in results.iter().zip([1.0, -1.0]) {
                assert_close(loss, 2.061153620314e-9, exact);
                assert_close(grad, sign * 2.061153618190e-9, exact);
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn a_logit_of_minus_a_thousand_with_label_one() {
    fn check<T: Real>() {
        each_binary_call::<T>(&[(-1e3, 1.0)], |results| {
            assert_eq!((results[0].0.wide(), results[0].1.wide()), (1e3, -1.0));
        });
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn published_values_with_a_positive_weight_of_three() {
    fn check<T: Real>() {
        let cases = [
            (0.5, 1.0),
            (-2.0, 0.0),
            (0.0, 0.5),
            (100.0, 0.0),
            (-100.0, 1.0),
        ];
        let published = [
            (1.42223095254, -1.13262200639),
            (0.126928011043, 0.119202922022),
            (1.38629436112, -0.5),
            (100.0, 1.0),
            (300.0, -3.0),
        ];
        let results = check_bce::<T>(&cases, Some(3.0));
        for ((loss, grad), wanted) in results.into_iter().zip(published) {
            assert_close(loss, wanted.0, T::CONTRACT.loss.max(1e-11));
            assert_close(grad, wanted.1, T::CONTRACT.loss.max(1e-11));
        }
    }
    check::<f32>();
    check::<f64>();
}

/// Every bit pattern of probabilities near the ends would be slow; these are the neighbours.
#[test]
fn probabilities_next_to_zero_and_one() {
    fn check<T: Real>() {
        let case = case::<T>("sigmoid_bce from_sigmoid");
        let step = T::CONTRACT.epsilon / 2.0;
        let near = [
            0.0,
            T::SMALLEST,
            1e-30,
            1e-13,
            1e-12,
            1e-11,
            1e-7,
            1e-3,
            0.25,
        ];
        let mut pred: Vec<f64> = near.to_vec();
        pred.extend((0..40).map(|k| 1.0 - f64::from(k) * step));
        pred.extend([0.5 - step, 0.5, 0.5 + step]);
        for label in [0.0, 1.0, 0.5, 1e-6] {
            let problem = Problem {
                pred: Array1::from_iter(pred.iter().map(|&x| T::of(x))).into_dyn(),
                others: vec![],
                label: Label::Dense(ArrayD::from_elem(vec![pred.len()], T::of(label))),
                pos_weight: None,
            };
            let plain = Request::reduction(Reduction::None);
            let reduced = expected(&case, &problem, &plain);
            for_each_level(|exec| {
                let outcome = fused(&case, &problem, &plain.exec(exec));
                let what = format!("{} with label {label} at {}", case.name, exec.level);
                assert_outcome(&outcome, &reduced, &what);
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

/// A label that leaves the logarithm of a negative number out does not make a probability of it.
#[test]
fn probabilities_outside_their_range_cost_nan() {
    fn check<T: Real>() {
        let beyond = [-1.0, 2.0, -1e-3, 1.001, f64::NEG_INFINITY, f64::INFINITY];
        for label in [0.0, 1.0, 0.5] {
            let cases: Vec<_> = beyond.iter().map(|&pred| (pred, label)).collect();
            for pos_weight in [None, Some(3.0)] {
                let name = match pos_weight {
                    Some(_) => "sigmoid_bce from_sigmoid pos_weight",
                    None => "sigmoid_bce from_sigmoid",
                };
                let results = check_elements::<T>(name, &cases, pos_weight, None);
                for ((loss, _), pred) in results.into_iter().zip(beyond) {
                    assert!(loss.wide().is_nan(), "{pred} costs {loss} for {label}");
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn differences_at_the_ends_of_the_range() {
    let inf = f32::INFINITY;
    let pred = array![inf, -inf, inf, 1e19, 1e-30, 0.0];
    let label = array![0.0, 0.0, inf, -1e19, 0.0, 0.0];
    for_each_level(|exec| {
        let call = L2Loss::new()
            .on(&pred, &label)
            .reduction(Reduction::None)
            .exec(exec);
        let (loss, grad) = call.loss_and_grad().unwrap();
        assert_eq!(loss.as_slice().unwrap()[..2], [inf, inf]);
        assert!(loss[2].is_nan() && grad[2].is_nan());
        assert_eq!(loss[3], 2e38);
        assert_eq!(grad.as_slice().unwrap()[3..], [2e19, 1e-30, 0.0]);
        assert_eq!(grad.as_slice().unwrap()[..2], [inf, -inf]);
        assert_eq!(loss.as_slice().unwrap()[4..], [0.0, 0.0]);
    });
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn absolute_errors_at_the_tie_and_at_the_ends() {
    check_values(
        "l1",
        &[
            ((1.5, 1.5), (0.0, 0.0)),
            ((-0.0, 0.0), (0.0, 0.0)),
            ((1e-30, 0.0), (1e-30, 1.0)),
            ((0.0, 1e-30), (1e-30, -1.0)),
            ((INF, 0.0), (INF, 1.0)),
            ((-INF, 0.0), (INF, -1.0)),
            ((0.0, INF), (INF, -1.0)),
            ((INF, INF), (NAN, NAN)),
            ((NAN, 0.0), (NAN, NAN)),
            ((0.0, -NAN), (NAN, NAN)),
        ],
    );
}

#[test]
fn huber_at_its_threshold_and_at_the_ends() {
    check_values_with(
        "huber",
        Some(2.5),
        &[
            ((0.0, 0.0), (0.0, 0.0)),
            ((2.5, 0.0), (1.25, 1.0)),
            ((0.0, 2.5), (1.25, -1.0)),
            ((3.5, 0.0), (2.25, 1.0)),
            ((INF, 0.0), (INF, 1.0)),
            ((-INF, 0.0), (INF, -1.0)),
            ((0.0, INF), (INF, -1.0)),
            ((INF, INF), (NAN, NAN)),
            ((NAN, 0.0), (NAN, NAN)),
            ((0.0, -NAN), (NAN, NAN)),
        ],
    );
    // The published values for a threshold of 2, and thresholds that f32 takes for the smallest
    // normal number and its reciprocal.
    let (pred, label) = (array![[0.5_f32, 2.0, 3.0, 1e30]], Array2::zeros([1, 4]));
    for (rho, losses, slopes) in [
        (2.0, [0.0625, 1.0, 2.0, 1e30], [0.25, 1.0, 1.0, 1.0]),
        (1e-300, [0.5, 2.0, 3.0, 1e30], [1.0; 4]),
        (
            1e300,
            [0.0, 2.350989e-38, 5.289725e-38, 5.8774717e21],
            [0.0, 0.0, 0.0, 1.1754943e-8],
        ),
    ] {
        for_each_level(|exec| {
            let huber = HuberLoss::new(rho).unwrap();
            let call = huber
                .on(&pred, &label)
                .reduction(Reduction::None)
                .exec(exec);
            let (loss, grad) = call.loss_and_grad().unwrap();
            for (at, (loss, grad)) in loss.iter().zip(&grad).enumerate() {
                assert_near_to(*loss, losses[at]);
                assert_near_to(*grad, slopes[at]);
            }
        });
    }
}

/// Within what f32 holds; numbers below the normal ones are as good as 0.
#[track_caller]
fn assert_near_to(actual: f32, expected: f32) {
    let allowed = 1e-6 * expected.abs() + 4.0 * f32::MIN_POSITIVE;
    assert!(
        (actual - expected).abs() <= allowed,
        "{actual:e}, expected {expected:e}"
    );
}

#[test]
fn hinges_at_their_kink_and_at_the_ends() {
    let rows = [
        // Prediction, label, what is missing to a margin of 1, and whether that has a gradient.
        (1.0, 1.0, 0.0, false),
        (-1.0, -1.0, 0.0, false),
        (2.0, 0.5, 0.0, false),
        (0.0, 1.0, 1.0, true),
        (0.25, -1.0, 1.25, true),
        (3.0, 0.0, 1.0, true),
        (INF, 1.0, 0.0, false),
        (-INF, -1.0, 0.0, false),
        (1.0, INF, 0.0, false),
        (-INF, 1.0, INF, true),
        (INF, -1.0, INF, true),
        (INF, 0.0, NAN, true),
        (NAN, 1.0, NAN, true),
        (-NAN, -1.0, NAN, true),
        (1.0, NAN, NAN, true),
    ];
    let table = |value: fn(f64) -> f64, slope: fn(f64, f64) -> f64| {
        let row = |&(x, y, missing, active): &(f64, f64, f64, bool)| {
            let slope = if active { slope(y, missing) } else { 0.0 };
            ((x, y), (value(missing), slope))
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    check_values(
        "hinge",
        &table(|m| m, |y, m| if m.is_nan() { NAN } else { -y }),
    );
    check_values(
        "squared_hinge",
        &table(
            |m| m * m,
            |y, m| if m.is_nan() { NAN } else { -2.0 * y * m },
        ),
    );
}

/// `ln(1 + e^200)` overflows `f32` as it stands.
#[test]
fn logistic_losses_of_confident_scores() {
    let tail = 2.061153620314381e-9;
    check_values(
        "logistic",
        &[
            ((-200.0, 1.0), (200.0, -1.0)),
            ((200.0, -1.0), (200.0, 1.0)),
            ((0.0, 1.0), (LN_2, -0.5)),
            ((-0.0, -1.0), (LN_2, 0.5)),
            ((0.0, 0.0), (LN_2, 0.0)),
            ((0.0, 3.0), (LN_2, -1.5)),
            ((INF, 1.0), (0.0, 0.0)),
            ((-INF, -1.0), (0.0, 0.0)),
            ((INF, -1.0), (INF, 1.0)),
            ((-INF, 1.0), (INF, -1.0)),
            ((INF, 0.5), (INF, 0.25)),
            ((NAN, 1.0), (NAN, NAN)),
            ((0.0, NAN), (NAN, NAN)),
        ],
    );
    check_values(
        "logistic binary",
        &[
            ((-200.0, 1.0), (200.0, -1.0)),
            ((0.0, 0.0), (LN_2, 0.5)),
            ((INF, 0.0), (INF, 1.0)),
        ],
    );
    fn check<T: Real>(tail: f64) {
        let exact = T::CONTRACT.loss.max(1e-12);
        let results = check_elements::<T>("logistic", &[(20.0, 1.0), (-20.0, -1.0)], None, None);
        for ((loss, grad), sign) in results.into_iter().zip([-1.0, 1.0]) {
            assert_close(loss, tail, exact);
            assert_close(grad, sign * 2.061153618190e-9, exact);
        }
    }
    check::<f32>(tail);
    check::<f64>(tail);
}

#[test]
fn counts_at_the_ends() {
    check_values(
        "poisson_nll",
        &[
            ((0.0, 0.0), (1.0, 1.0)),
            ((0.0, 1.0), (1.0, 0.0)),
            ((-INF, 0.0), (0.0, 0.0)),
            ((-INF, 3.0), (INF, -3.0)),
            ((-INF, -3.0), (-INF, 3.0)),
            ((INF, 0.0), (INF, INF)),
            ((INF, 3.0), (INF, INF)),
            ((INF, -3.0), (INF, INF)),
            ((1e30, 3.0), (INF, INF)),
            ((-2.0, INF), (INF, -INF)),
            ((2.0, INF), (-INF, -INF)),
            ((INF, INF), (NAN, NAN)),
            ((NAN, 0.0), (NAN, NAN)),
            ((0.0, NAN), (NAN, NAN)),
        ],
    );
    check_values(
        "poisson_nll rate",
        &[
            ((1.0, 0.0), (1.0, 1.0)),
            ((0.0, 0.0), (0.0, 1.0)),
            ((INF, 0.0), (INF, 1.0)),
            ((INF, 3.0), (INF, 1.0)),
            ((-1.0, 0.0), (NAN, NAN)),
            ((-1.0, 3.0), (NAN, NAN)),
            ((-INF, 0.0), (NAN, NAN)),
            ((2.0, INF), (-INF, -INF)),
            ((NAN, 0.0), (NAN, NAN)),
            ((1.0, NAN), (NAN, NAN)),
        ],
    );
    // A label of 0 never had a factorial to approximate.
    for name in ["poisson_nll stirling", "poisson_nll exact"] {
        check_values(
            name,
            &[
                ((0.0, 0.0), (1.0, 1.0)),
                ((0.0, 1.0), (1.0, 0.0)),
                ((INF, 3.0), (INF, INF)),
                ((-INF, 0.0), (0.0, 0.0)),
                ((NAN, 2.0), (NAN, NAN)),
                ((0.0, NAN), (NAN, NAN)),
            ],
        );
    }
    check_values("poisson_nll stirling", &[((0.0, -2.0), (1.0, 3.0))]);
    check_values("poisson_nll exact", &[((0.0, -2.0), (NAN, 3.0))]);
}

#[test]
fn published_counts() {
    fn check<T: Real>() {
        let exact = T::CONTRACT.loss.max(1e-10);
        // A rate of 3 for 5 events: the logarithm of the factorial, and Stirling's.
        for (name, full) in [
            ("poisson_nll rate exact", 2.2944302994),
            ("poisson_nll rate stirling", 2.2777856083),
        ] {
            let loss = check_elements::<T>(name, &[(3.0, 5.0)], None, None)[0]
                .0
                .wide();
            // They were computed without ε. The terms are some 5 times as large as their sum.
            let full = full - 5.0 * 1e-8 / 3.0;
            assert!((loss - full).abs() <= 5.0 * exact * full, "{name}: {loss}");
        }
        // A rate of 0 with ε.
        let (loss, grad) = check_elements::<T>("poisson_nll rate", &[(0.0, 2.0)], None, None)[0];
        assert_close(loss, -2.0 * 1e-8_f64.ln(), exact);
        assert_close(grad, 1.0 - 2e8, 1e-6);
    }
    check::<f32>();
    check::<f64>();
}

/// Without ε a rate of 0 is an ordinary input too.
#[test]
fn a_rate_of_zero_without_epsilon() {
    let loss = PoissonNllLoss::new()
        .from_logits(false)
        .epsilon(0.0)
        .unwrap();
    let (pred, label) = (array![0.0_f32, 0.0, -0.0], array![0.0, 2.0, 0.0]);
    for full in [
        LogFactorial::Omitted,
        LogFactorial::Stirling,
        LogFactorial::Exact,
    ] {
        for_each_level(|exec| {
            let call = loss.compute_full(full).on(&pred, &label);
            let call = call.reduction(Reduction::None).exec(exec);
            let (loss, grad) = call.loss_and_grad().unwrap();
            assert_eq!(loss, array![0.0, f32::INFINITY, 0.0].into_dyn());
            assert_eq!(grad, array![1.0, f32::NEG_INFINITY, 1.0]);
        });
    }
}

/// NaN in one prediction or label: the loss and gradient of its unit, and of nothing else.
#[test]
fn nan_reaches_its_own_unit_and_no_other() {
    fn check<T: Real>() {
        for case in table::<T>().into_iter().filter(|case| case.independent) {
            let random = &mut Random::new(11);
            let shape = [3, 5, 38];
            let clean = (case.draw)(&shape, 2, random);
            for position in 0..38 {
                let at = [1, 3, position];
                for operand in 0..1 + clean.others.len() {
                    let mut problem = clean.clone();
                    problem.operands_mut().nth(operand).expect("an input")[at] = T::NAN;
                    let mut expected_clean = clean.clone();
                    // The log-probability of a class that is not the label is never read.
                    if !case.curved {
                        for problem in [&mut problem, &mut expected_clean] {
                            if let Label::Sparse(label) = &mut problem.label {
                                label[[1, 3]] = position as i32;
                            }
                        }
                    }
                    check_nan(&case, &problem, &expected_clean, at, false);
                }
                let mut problem = clean.clone();
                if let Label::Dense(label) = &mut problem.label {
                    label[at] = T::NAN;
                    check_nan(&case, &problem, &clean, at, true);
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

fn check_nan<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    clean: &Problem<T>,
    at: [usize; 3],
    in_label: bool,
) {
    // How many axes a loss, or a derivative, shares with the NaN that reaches it.
    let [losses, grads] = match case.unit {
        Unit::Element => [3, 3],
        // A class's own share makes its own loss.
        Unit::Class => [if in_label { 3 } else { 2 }, 2],
        Unit::Row | Unit::LastRow => [2, 2],
        Unit::Sample => [1, 1],
    };
    for_each_level(|exec| {
        for reduction in [Reduction::None, Reduction::SampleMean] {
            let request = Request {
                exec,
                ..Request::<T>::reduction(reduction)
            };
            let what = format!(
                "{} by {reduction:?} at {}, NaN at {at:?}",
                case.name, exec.level
            );
            let (dirty, clean) = (fused(case, problem, &request), fused(case, clean, &request));
            for ((index, &value), &was) in dirty.loss.indexed_iter().zip(&clean.loss) {
                let index = ndarray::Dimension::slice(&index);
                let hit = match reduction {
                    Reduction::None => {
                        let shared = losses.min(index.len());
                        index[..shared] == at[..shared]
                    }
                    _ => index[0] == at[0],
                };
                if hit {
                    assert!(value.wide().is_nan(), "{what}: loss {value} at {index:?}");
                } else {
                    assert_eq!(value.bits(), was.bits(), "{what}: loss at {index:?}");
                }
            }
            for (dirty, clean) in dirty.grads.iter().zip(&clean.grads) {
                for ((index, &value), &was) in dirty.indexed_iter().zip(clean) {
                    let index = ndarray::Dimension::slice(&index);
                    if index[..grads] != at[..grads] {
                        assert_eq!(value.bits(), was.bits(), "{what}: gradient at {index:?}");
                    } else if case.curved || (in_label && index == at) {
                        // A straight line has the same slope everywhere, NaN or not.
                        assert!(
                            value.wide().is_nan(),
                            "{what}: gradient {value} at {index:?}"
                        );
                    }
                }
            }
        }
    });
}

/// A weight of 0 masks whatever is behind it.
#[test]
fn a_weight_of_zero_masks_nan_and_infinity() {
    fn check<T: Real>() {
        for case in table::<T>().into_iter().filter(|case| case.independent) {
            let shape = [6, 3, 35];
            let clean = (case.draw)(&shape, 2, &mut Random::new(12));
            let mut problem = clean.clone();
            for (sample, value) in [(1, T::NAN), (4, T::INFINITY)] {
                for operand in problem.operands_mut() {
                    operand.index_axis_mut(Axis(0), sample).fill(value);
                }
                if let Label::Dense(label) = &mut problem.label {
                    label.index_axis_mut(Axis(0), sample).fill(value);
                }
            }
            let zero_at_masked =
                |index: &ndarray::IxDyn| T::of(if [1, 4].contains(&index[0]) { 0.0 } else { 0.5 });
            let units = Request::<T>::default().units(&shape, &case);
            let forms = [
                ArrayD::from_shape_fn(vec![6], |index| zero_at_masked(&index)),
                ArrayD::from_shape_fn(units, |index| zero_at_masked(&index)),
            ];
            for weight in forms {
                for reduction in [
                    Reduction::None,
                    Reduction::SampleMean,
                    Reduction::SampleSum,
                    Reduction::Mean,
                    Reduction::Sum,
                ] {
                    for_each_level(|exec| {
                        let request = Request {
                            exec,
                            sample_weight: Some(weight.clone()),
                            ..Request::<T>::reduction(reduction)
                        };
                        let masked = fused(&case, &problem, &request);
                        let expected = fused(&case, &clean, &request);
                        let what = format!("{} by {reduction:?} at {}", case.name, exec.level);
                        for outcome in [&masked, &expected] {
                            for sample in [1, 4] {
                                for grad in &outcome.grads {
                                    let grad = grad.index_axis(Axis(0), sample);
                                    assert!(
                                        grad.iter().all(|g| g.wide() == 0.0),
                                        "{what}: gradient"
                                    );
                                }
                                if !request.is_scalar() {
                                    let loss = outcome.loss.index_axis(Axis(0), sample);
                                    assert!(loss.iter().all(|l| l.wide() == 0.0), "{what}: loss");
                                }
                            }
                        }
                        assert_same_values(&masked.loss, &expected.loss, &what);
                        for (masked, expected) in masked.grads.iter().zip(&expected.grads) {
                            assert_same_values(masked, expected, &what);
                        }
                    });
                }
            }
            // The loss's own weight masks everything.
            for_each_level(|exec| {
                let request = Request {
                    exec,
                    weight: 0.0,
                    ..Request::default()
                };
                let outcome = fused(&case, &problem, &request);
                assert!(
                    outcome.loss.iter().all(|l| l.wide() == 0.0),
                    "{}",
                    case.name
                );
                assert!(
                    outcome.grads.iter().flatten().all(|g| g.wide() == 0.0),
                    "{}",
                    case.name
                );
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

/// As bits, but for the sign of zero.
#[track_caller]
fn assert_same_values<T: Real>(actual: &ArrayD<T>, expected: &ArrayD<T>, what: &str) {
    let positive = |array: &ArrayD<T>| array.mapv(|v| if v.wide() == 0.0 { T::of(0.0) } else { v });
    assert_same_bits(&positive(actual), &positive(expected), what);
}

/// Loss alone, with an upstream per row, is what it is with the gradient.
#[test]
fn upstream_per_row_reaches_its_row() {
    fn check<T: Real>() {
        for case in table::<T>().into_iter().filter(|case| case.classes()) {
            let problem = (case.draw)(&[4, 9], 1, &mut Random::new(13));
            let upstream: [f64; 4] = [1.0, 0.0, -2.0, 0.25];
            for_each_level(|exec| {
                let plain = Request {
                    exec,
                    ..Request::<T>::reduction(Reduction::None)
                };
                let with = Request {
                    upstream: Some(Array1::from_iter(upstream.map(T::of)).into_dyn()),
                    ..plain.clone()
                };
                let (base, scaled) = (
                    fused(&case, &problem, &plain),
                    fused(&case, &problem, &with),
                );
                assert_same_bits(&scaled.loss, &base.loss, case.name);
                let alone = (case.call)(&problem.views(), &with.views(), Form::Loss).unwrap();
                assert_same_bits(&alone.loss.unwrap(), &base.loss, case.name);
                for (row, factor) in upstream.into_iter().enumerate() {
                    for (base, scaled) in base.grads.iter().zip(&scaled.grads) {
                        let wanted = base.index_axis(Axis(0), row);
                        let wanted = wanted.mapv(|g| T::of(g.wide() * factor));
                        let actual = scaled.index_axis(Axis(0), row).to_owned();
                        assert_same_values(&actual, &wanted, case.name);
                    }
                }
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

/// How many losses the largest sums have: more than f32 can count.
fn many() -> usize {
    shrunk((1 << 24) + 1)
}

/// The sum in f64, with its rounding errors carried along.
fn exact_sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0, 0.0);
    for value in values {
        let next: f64 = total + value;
        lost += (total - next) + value;
        total = next;
    }
    total + lost
}

/// Scalar lanes are some sixty times slower than vectors and add in the same order.
fn fast_levels() -> Vec<Exec> {
    let levels =
        Level::all().filter(|&level| level != Level::scalar() || Level::all().count() == 1);
    let mut execs: Vec<Exec> = levels
        .map(|level| Exec::new(level, Threading::Serial))
        .collect();
    execs.push(Exec::default());
    execs
}

#[test]
fn the_mean_of_many_equal_losses() {
    let count = many();
    let (pred, label) = (
        Array2::from_elem([1, count], 1.0_f32),
        Array2::zeros([1, count]),
    );
    for loss in [0.1_f32, 0.3, 1.7] {
        // ½ · 1² · weight is the loss exactly.
        let l2 = L2Loss::new().weight(2.0 * f64::from(loss)).unwrap();
        for exec in fast_levels() {
            let call = l2.on(&pred, &label).exec(exec);
            let means = [
                call.loss().unwrap()[0],
                l2.on(&pred, &label)
                    .exec(exec)
                    .reduction(Reduction::Mean)
                    .scalar()
                    .unwrap(),
                // Every sample of one element.
                l2.batch_axis(1)
                    .on(&pred, &label)
                    .exec(exec)
                    .reduction(Reduction::Mean)
                    .scalar()
                    .unwrap(),
            ];
            means
                .iter()
                .for_each(|&mean| assert_close(mean, f64::from(loss), 1e-7));
            let sum = l2
                .on(&pred, &label)
                .exec(exec)
                .reduction(Reduction::Sum)
                .scalar()
                .unwrap();
            assert_close(sum, f64::from(loss) * count as f64, 1e-7);
        }
    }
}

#[test]
fn the_mean_of_many_equal_rows() {
    let count = many();
    let label = Array1::<u8>::zeros(count);
    for loss in [0.1_f32, 0.3, 1.7] {
        let pred = Array2::from_elem([count, 1], -loss);
        let call = SoftmaxCeLoss::new().from_logits(true);
        let mean = call
            .on(&pred, &label)
            .reduction(Reduction::Mean)
            .scalar()
            .unwrap();
        assert_close(mean, f64::from(loss), 1e-7);
    }
}

#[test]
fn the_mean_of_many_exponential_losses() {
    let count = many();
    let random = &mut Random::new(14);
    let losses = Array2::from_shape_simple_fn([1, count], || random.exponential() as f32);
    let exact = exact_sum(losses.iter().map(|&l| f64::from(l))) / count as f64;
    let (pred, label) = (
        Array2::from_elem([1, count], 1.0_f32),
        Array2::zeros([1, count]),
    );
    let l2 = L2Loss::new().weight(2.0).unwrap();
    for exec in fast_levels() {
        let call = l2.on(&pred, &label).sample_weight(&losses).exec(exec);
        assert_close(call.loss().unwrap()[0], exact, 1e-7);
        let mean = l2.on(&pred, &label).sample_weight(&losses).exec(exec);
        assert_close(
            mean.reduction(Reduction::Mean).scalar().unwrap(),
            exact,
            1e-7,
        );
    }
    let rows = losses
        .mapv(|l| -l)
        .into_shape_with_order([count, 1])
        .unwrap();
    let classes = Array1::<u8>::zeros(count);
    let call = SoftmaxCeLoss::new().from_logits(true);
    let mean = call
        .on(&rows, &classes)
        .reduction(Reduction::Mean)
        .scalar()
        .unwrap();
    assert_close(mean, exact, 1e-7);
}

/// More elements than 31 bits count, by views that repeat one row. Nothing but the losses fits
/// into memory.
#[test]
fn more_elements_than_a_signed_32_bit_number_counts() {
    let (rows, length) = (shrunk(65_537), 32_771);
    let random = &mut Random::new(15);
    let row = Array1::from_shape_simple_fn(length, || random.normal() as f32);
    let pred = row.broadcast([rows, length]).expect("one row");
    let zeros = Array1::<f32>::zeros(length);
    let label = zeros.broadcast([rows, length]).expect("one row");
    assert!(pred.len() > shrunk(1 << 31));

    let one = L2Loss::new().loss(
        &row.view().insert_axis(Axis(0)),
        &zeros.view().insert_axis(Axis(0)),
    );
    let one = one.unwrap()[0];
    let loss = L2Loss::new().loss(&pred, &label).unwrap();
    assert_eq!(loss, Array1::from_elem(rows, one));
    let mean = L2Loss::new()
        .on(&pred, &label)
        .reduction(Reduction::Mean)
        .scalar()
        .unwrap();
    assert_close(mean, f64::from(one), 1e-6);
}

#[test]
fn more_logits_than_a_signed_32_bit_number_counts() {
    let (rows, length) = (shrunk(65_537), 32_771);
    let random = &mut Random::new(16);
    let row = Array1::from_shape_simple_fn(length, || random.normal() as f32);
    let pred = row.broadcast([rows, length]).expect("one row");
    // A label of its own for each row: its place must not be confused.
    let label = Array1::from_shape_fn(rows, |i| (i * 7 % length) as u32);
    let loss = SoftmaxCeLoss::new().loss(&pred, &label).unwrap();
    let first = f64::from(loss[0]) + f64::from(row[0]);
    for i in (0..rows).step_by(997).chain([rows - 1]) {
        let expected = first - f64::from(row[label[i] as usize]);
        assert_close(loss[i], expected, 1e-6);
    }
}

/// An array of one value is its own maximum, whatever the value.
#[test]
fn one_class_costs_nothing() {
    for_each_row(|dense| {
        for logit in [0.0, -1000.0, 1e30, -1e30] {
            let (loss, grad) = check_row::<f32>(&[logit], 0, dense);
            assert_eq!((loss, grad[0]), (0.0, 0.0));
        }
    });
}

/// Views of the inputs alone decide; the type of the pieces in memory around them does not matter.
#[test]
fn inputs_may_share_their_memory() {
    let values = Array2::from_shape_fn([7, 40], |(i, j)| 0.01 * (i * 40 + j) as f32);
    let case = case::<f32>("sigmoid_bce");
    let inputs = Inputs {
        pred: values.view().into_dyn(),
        others: vec![],
        label: LabelView::Dense(values.view().into_dyn()),
        pos_weight: None,
    };
    let request = Request::<f32>::default();
    let shared = (case.call)(&inputs, &request.views(), Form::Loss)
        .unwrap()
        .loss
        .unwrap();
    let apart = SigmoidBceLoss::new()
        .loss(&values, &values.clone())
        .unwrap();
    assert_same_bits(&shared, &apart.into_dyn(), "shared memory");
}

/// A class that a weight of 0 masks takes no part in its row's gradient, whatever its share is.
#[test]
fn a_masked_class_of_a_divergence_is_no_share() {
    let logits = array![[0.1_f32, 0.2, -0.4]];
    let weight = array![[0.0_f32, 1.0, 0.5]];
    let divergence = KlDivLoss::new().from_logits(false);
    let run = |share: f32, exec: Exec| {
        let label = array![[share, 0.5, 0.2]];
        let call = divergence.on(&logits, &label).sample_weight(&weight);
        call.exec(exec).loss_and_grad().unwrap()
    };
    for_each_level(|exec| {
        let clean = run(0.0, exec);
        assert!(clean.1.iter().all(|grad| grad.is_finite()));
        for share in [f32::NAN, f32::INFINITY, -1.0] {
            assert_eq!(run(share, exec), clean);
        }
    });
}
