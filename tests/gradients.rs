//! What must be true of any loss and its gradient, whatever the formula.

mod common;

use common::call::{Form, Outcome, Own, REDUCTIONS, Request, expected, fused};
use common::cases::{Case, Label, Problem, table};
use common::layouts::Layout;
use common::levels::for_each_level;
use common::random::Random;
use common::real::{Real, assert_same_bits, narrow, widen};
use lossgrad::Reduction;
use ndarray::{ArrayD, Axis};

fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(random.within(0.2, 2.0)))
}

/// The sum of upstream times loss, by the library.
fn objective(case: &Case<f64>, problem: &Problem<f64>, request: &Request<f64>) -> f64 {
    let answer = (case.call)(&problem.views(), &request.views(), Form::Loss).unwrap();
    let loss = answer.loss.unwrap();
    let upstream = request.upstream.as_ref().expect("an upstream");
    loss.iter().zip(upstream).map(|(l, u)| l * u).sum()
}

/// Inputs and a call in which everything that scales a gradient takes part.
fn weighted_call(
    case: &Case<f64>,
    reduction: Reduction,
    random: &mut Random,
) -> (Problem<f64>, Request<f64>) {
    let shape = [3, 4, 5];
    let class_axis = case.row_axis(&shape, 1);
    let mut problem = (case.draw)(&shape, class_axis, random);
    for operand in problem.operands_mut() {
        operand.mapv_inplace(|x| (case.smooth)(if x.is_finite() { x } else { 0.0 }));
    }
    let number = case.numbers.get(random.below(1 + case.numbers.len()));
    let own = Own {
        axis: class_axis as isize,
        number: number.copied(),
    };
    if let Label::Dense(label) = &problem.label {
        let away = |x: &mut f64, &y: &f64| *x = away_from_kinks(*x, &(case.kinks)(y, own));
        problem.pred.zip_mut_with(label, away);
    }
    let mut request = Request {
        weight: 0.7,
        class_axis: own.axis,
        number: own.number,
        reduction,
        ..Request::default()
    };
    request.sample_weight = Some(factor(&request.units(&shape, case), random));
    request.upstream = Some(factor(&request.loss_shape(&shape, case), random));
    (problem, request)
}

/// A power of two, so that the points lie where they are said to.
const STEP: f64 = 1.0 / 1024.0;

/// The nearest prediction that has no kink among the points that differences look at.
fn away_from_kinks(x: f64, kinks: &[f64]) -> f64 {
    let near = kinks.iter().find(|&kink| (x - kink).abs() < 4.0 * STEP);
    near.map_or(x, |kink| kink + 8.0 * STEP)
}

#[test]
fn finite_differences_agree() {
    for case in table::<f64>() {
        for reduction in REDUCTIONS {
            let random = &mut Random::new(3);
            for _ in 0..4 {
                let (mut problem, request) = weighted_call(&case, reduction, random);
                let grads = fused(&case, &problem, &request).grads;
                let reduced = expected(&case, &problem, &request);
                let size = objective(&case, &problem, &request).abs();
                for (operand, (grad, reduced)) in grads.iter().zip(&reduced).enumerate() {
                    for (index, &slope) in grad.indexed_iter() {
                        let estimate = difference(&case, &mut problem, &request, operand, &index);
                        // As large as the terms are; differences cannot see anything smaller than
                        // their rounding.
                        let allowed = 1e-8 * reduced.scale[&index] + 1e-12 * size + 1e-12;
                        assert!(
                            (estimate - slope).abs() <= allowed,
                            "{} by {reduction:?}, input {operand} at {:?}: {slope}, differences \
                             say {estimate}",
                            case.name,
                            ndarray::Dimension::slice(&index),
                        );
                    }
                }
            }
        }
    }
}

/// The derivative of the objective by one entry of one input, from differences.
fn difference(
    case: &Case<f64>,
    problem: &mut Problem<f64>,
    request: &Request<f64>,
    operand: usize,
    index: &ndarray::IxDyn,
) -> f64 {
    let mut shifted = |by: f64| {
        let entry = |problem: &mut Problem<f64>, value: Option<f64>| {
            let operand = problem.operands_mut().nth(operand).expect("an input");
            let before = operand[index];
            operand[index] = value.unwrap_or(before);
            before
        };
        let at = entry(problem, None);
        entry(problem, Some(at + by * STEP));
        let value = objective(case, problem, request);
        entry(problem, Some(at));
        value
    };
    let near = shifted(1.0) - shifted(-1.0);
    let far = shifted(2.0) - shifted(-2.0);
    (8.0 * near - far) / (12.0 * STEP)
}

/// Upstream is a factor of the gradient, and of nothing else.
#[test]
fn upstream_leaves_the_losses_alone() {
    for case in table::<f64>() {
        for reduction in REDUCTIONS {
            let (problem, request) = weighted_call(&case, reduction, &mut Random::new(4));
            for_each_level(|exec| {
                let with = fused(&case, &problem, &request.exec(exec));
                let without = Request {
                    upstream: None,
                    ..request.exec(exec)
                };
                let without = fused(&case, &problem, &without);
                assert_same_bits(&with.loss, &without.loss, case.name);
            });
        }
    }
}

/// Losses and gradients are linear in the sample weight.
#[test]
fn weights_are_linear() {
    fn check<T: Real>() {
        for case in table::<T>() {
            let random = &mut Random::new(5);
            let shape = [6, 7, 30];
            let class_axis = case.row_axis(&shape, 1);
            let problem = (case.draw)(&shape, class_axis, random);
            let plain = Request::<T> {
                class_axis: class_axis as isize,
                ..Request::default()
            };
            let units = plain.units(&shape, &case);
            let (one, other) = (factor::<T>(&units, random), factor::<T>(&units, random));
            // Rounded, so the reference below is told the sum that the library is given.
            let both: ArrayD<T> = narrow(&(widen(&one) + widen(&other) * 3.0));
            let result = |weight: &ArrayD<T>| {
                let request = Request {
                    sample_weight: Some(weight.clone()),
                    ..plain.clone()
                };
                let reduced = expected(&case, &problem, &request);
                (fused(&case, &problem, &request), reduced)
            };
            let ((a, _), (b, _), (sum, bound)) = (result(&one), result(&other), result(&both));
            let loss = widen(&a.loss) + widen(&b.loss) * 3.0;
            let near = |actual: &ArrayD<T>, wanted: &ArrayD<f64>, allowed: ArrayD<f64>| {
                common::contract::assert_near(actual, wanted, &allowed, case.name);
            };
            // Twice the contract: both sides are rounded.
            let first = &bound[0];
            let slack = &first.loss_slack * T::CONTRACT.epsilon;
            let allowed = (&first.magnitude * T::CONTRACT.loss + slack) * 2.0;
            near(&sum.loss, &loss, allowed);
            for (number, bound) in bound.iter().enumerate() {
                let grad = widen(&a.grads[number]) + widen(&b.grads[number]) * 3.0;
                let slack = &bound.grad_slack * T::CONTRACT.epsilon;
                let allowed = (&bound.scale * T::CONTRACT.grad + slack) * 2.0;
                near(&sum.grads[number], &grad, allowed);
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// A power of two scales without rounding, wherever it comes in.
#[test]
fn powers_of_two_scale_exactly() {
    fn check<T: Real>() {
        for case in table::<T>() {
            let shape = [6, 7, 30];
            let class_axis = case.row_axis(&shape, 1);
            let problem = (case.draw)(&shape, class_axis, &mut Random::new(6));
            let plain = Request::<T> {
                class_axis: class_axis as isize,
                ..Request::default()
            };
            let expected = fused(&case, &problem, &plain);
            let double = |array: &ArrayD<T>| array.mapv(|v| T::of(2.0 * v.wide()));
            let doubled = Outcome {
                loss: double(&expected.loss),
                grads: expected.grads.iter().map(double).collect(),
            };
            let twice = ArrayD::from_elem(vec![6], T::of(2.0));
            let weight = Request {
                weight: 2.0,
                ..plain.clone()
            };
            let sample_weight = Request {
                sample_weight: Some(twice.clone()),
                ..plain.clone()
            };
            let upstream = Request {
                upstream: Some(twice),
                ..plain.clone()
            };
            for_each_level(|exec| {
                for request in [&weight, &sample_weight] {
                    let actual = fused(&case, &problem, &request.exec(exec));
                    actual.assert_same(&doubled, case.name);
                }
                let actual = fused(&case, &problem, &upstream.exec(exec));
                let only_gradients = Outcome {
                    loss: expected.loss.clone(),
                    ..doubled.clone()
                };
                actual.assert_same(&only_gradients, case.name);
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

/// A softmax only moves probability between classes: each row of its gradient sums to 0.
#[test]
fn softmax_gradients_sum_to_zero() {
    fn check<T: Real>() {
        for case in table::<T>()
            .into_iter()
            .filter(|case| case.chooses_axis() && case.curved)
        {
            for (shape, axis) in [([5, 40, 3], 1), ([7, 4, 33], 2), ([300, 2, 2], 0)] {
                let problem = (case.draw)(&shape, axis, &mut Random::new(8));
                let request = Request::<T> {
                    class_axis: axis as isize,
                    batch_axis: 1 - isize::from(axis == 1),
                    reduction: Reduction::None,
                    ..Request::default()
                };
                let reduced = &expected(&case, &problem, &request)[0];
                for_each_level(|exec| {
                    let outcome = fused(&case, &problem, &request.exec(exec));
                    let sums = widen(outcome.grad()).sum_axis(Axis(axis));
                    // A dense label that does not quite sum to 1 in this type is no error: the
                    // reference's own sum says what is exact. One rounding a class, no more.
                    let exact = reduced.grad.sum_axis(Axis(axis));
                    let rounding = reduced.grad.map(|g| g.abs()).sum_axis(Axis(axis));
                    let slack = reduced.grad_slack.sum_axis(Axis(axis));
                    let allowed = (rounding * 4.0 + slack) * T::CONTRACT.epsilon;
                    for ((sum, exact), allowed) in sums.iter().zip(&exact).zip(&allowed) {
                        assert!(
                            (sum - exact).abs() <= allowed + T::SMALLEST * 16.0,
                            "{} at {}: a row sums to {sum:e}, allowed {allowed:e}",
                            case.name,
                            exec.level,
                        );
                    }
                });
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn no_loss_is_below_its_least() {
    fn check<T: Real>() {
        for case in table::<T>() {
            let random = &mut Random::new(9);
            for round in 0..60 {
                let shape = [4, 1 + round % 7, 1 + 5 * round % 61];
                let class_axis = case.row_axis(&shape, 1);
                let problem = (case.draw)(&shape, class_axis, random);
                let request = Request::<T> {
                    class_axis: class_axis as isize,
                    ..Request::reduction(Reduction::None)
                };
                for_each_level(|exec| {
                    for &loss in &fused(&case, &problem, &request.exec(exec)).loss {
                        assert!(
                            loss.wide() >= case.least,
                            "{} at {}: {loss}",
                            case.name,
                            exec.level,
                        );
                    }
                });
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// A confident prediction has a loss next to 0, never below it.
#[test]
fn confident_rows_cost_little_and_never_less_than_nothing() {
    fn check<T: Real>() {
        for case in table::<T>()
            .into_iter()
            .filter(|case| case.chooses_axis() && case.curved)
        {
            let random = &mut Random::new(10);
            let mut problem = (case.draw)(&[400, 12], 1, random);
            for (mut row, margin) in problem.pred.rows_mut_dyn().into_iter().zip(0..) {
                row.mapv_inplace(|_| T::of(random.normal()));
                row[5] = T::of(f64::from(margin) * 0.25);
            }
            problem.label = match problem.label {
                Label::Sparse(label) => Label::Sparse(label.mapv(|_| 5)),
                Label::Dense(mut label) => {
                    label.fill(T::of(0.0));
                    label.index_axis_mut(Axis(1), 5).fill(T::of(1.0));
                    Label::Dense(label)
                }
                Label::None => unreachable!("rows have labels"),
            };
            let request = Request::<T>::reduction(Reduction::None);
            let reduced = expected(&case, &problem, &request);
            for_each_level(|exec| {
                let outcome = fused(&case, &problem, &request.exec(exec));
                assert!(
                    outcome.loss.iter().all(|loss| loss.wide() >= 0.0),
                    "{}",
                    case.name
                );
                let what = format!("confident {} at {}", case.name, exec.level);
                common::contract::assert_outcome(&outcome, &reduced, &what);
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

trait RowsMutDyn<T> {
    fn rows_mut_dyn(&mut self) -> Vec<ndarray::ArrayViewMut1<'_, T>>;
}

impl<T> RowsMutDyn<T> for ArrayD<T> {
    fn rows_mut_dyn(&mut self) -> Vec<ndarray::ArrayViewMut1<'_, T>> {
        self.lanes_mut(Axis(1)).into_iter().collect()
    }
}

/// Layouts exist for every rank; this keeps the list honest.
#[test]
fn layouts_describe_the_same_values() {
    for rank in 1..5 {
        let shape: Vec<usize> = (2..2 + rank).collect();
        let array = ArrayD::from_shape_fn(shape, |index| {
            ndarray::Dimension::slice(&index)
                .iter()
                .fold(1.0, |sum, &i| sum * 10.0 + i as f64)
        });
        for layout in Layout::all(rank) {
            let laid = common::layouts::Laid::new(&array, &layout, f64::NAN);
            assert_eq!(laid.view(), array);
            assert!(laid.margins_hold(|a, b| a.to_bits() == b.to_bits()));
        }
    }
}
