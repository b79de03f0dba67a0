//! Results of any input against the reference.

use crate::common::call::{Outcome, Request, expected};
use crate::common::cases::{Case, Label, Problem};
use crate::common::contract::assert_outcome;
use crate::common::real::Real;
use lossgrad::Reduction;
use lossgrad::reference::Reduced;
use ndarray::{ArrayD, ArrayRefD, Dimension};

/// Fails unless the outcome is what the reference says. Where `special` values went in, they may
/// have left the range in which accuracy is promised.
#[track_caller]
pub fn assert_as_expected<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    request: &Request<T>,
    outcome: &Outcome<T>,
    special: bool,
    what: &str,
) {
    let reduced = expected(case, problem, request);
    if !special {
        assert_outcome(outcome, &reduced, what);
        return;
    }
    let finite = |factor: &Option<ArrayD<T>>| {
        let mut values = factor.iter().flatten();
        values.all(|value| value.wide().is_finite())
    };
    if !finite(&request.sample_weight) || !finite(&request.upstream) {
        // Nothing is said of what such a factor makes of a derivative of 0.
        return;
    }
    if of_shares(case) && !labels_are_finite(problem) {
        // An infinite share of a cost of 0 is whatever order the formula is computed in.
        return;
    }
    let plain = Request {
        weight: 1.0,
        sample_weight: None,
        upstream: None,
        reduction: Reduction::None,
        ..request.clone()
    };
    let mut range = Range::new::<T>(&expected(case, problem, &plain), request);
    if !case.independent && distances_blur(problem) {
        (range.loss, range.grad) = (false, false);
    }
    let bound = T::CONTRACT;
    let loss = &reduced[0];
    let allowance = &loss.magnitude * bound.loss + &loss.loss_slack * bound.epsilon;
    let what = format!("{what}, {}", T::NAME);
    assert_near(
        &outcome.loss,
        [&loss.loss, &loss.magnitude, &allowance],
        (range.loss, range.least),
        &format!("{what} loss"),
    );
    for (grad, of) in outcome.grads.iter().zip(&reduced) {
        let allowance = &of.scale * bound.grad + &of.grad_slack * bound.epsilon;
        assert_near(
            grad,
            [&of.grad, &of.scale, &allowance],
            (range.grad, range.least),
            &format!("{what} gradient"),
        );
    }
}

/// Whether the labels are shares of classes, or of the two of a binary choice.
fn of_shares<T>(case: &Case<T>) -> bool {
    let families = ["sigmoid_bce", "logistic", "kl_div", "softmax_ce"];
    families.iter().any(|family| case.name.starts_with(family))
}

fn labels_are_finite<T: Real>(problem: &Problem<T>) -> bool {
    match &problem.label {
        Label::Dense(label) => !label.iter().any(|y| y.wide().is_infinite()),
        Label::Sparse(_) | Label::None => true,
    }
}

/// Whether rounding a squared distance may move it by so much that what it moves in turn is no
/// longer in proportion, as the reference's slack takes it to be.
fn distances_blur<T: Real>(problem: &Problem<T>) -> bool {
    let values = problem.operands().flatten().map(|value| value.wide().abs());
    let largest = values.fold(0.0, f64::max);
    4.0 * largest * largest * problem.pred.len() as f64 * T::CONTRACT.epsilon > 0.125
}

/// Where accuracy is promised.
struct Range {
    /// Whether every term of a loss, and of a derivative, is within the type's range.
    loss: bool,
    grad: bool,
    /// What may be lost below the normal numbers.
    least: f64,
}

impl Range {
    fn new<T: Real>(plain: &[Reduced], request: &Request<T>) -> Self {
        // Sixteen terms are added before they leave the type.
        let within = |terms: &ArrayD<f64>| {
            let beyond = |term: &f64| *term > T::LARGEST / 16.0;
            !terms.iter().any(beyond)
        };
        let largest = |factor: &Option<ArrayD<T>>| {
            let sizes = factor.iter().flatten().map(|value| value.wide().abs());
            sizes.fold(1.0, f64::max)
        };
        let weight = request.weight.abs().max(1.0) * largest(&request.sample_weight);
        Self {
            loss: within(&plain[0].magnitude),
            grad: plain.iter().all(|of| within(&of.scale)),
            least: 16.0 * T::SMALLEST * weight * largest(&request.upstream),
        }
    }
}

#[track_caller]
fn assert_near<T: Real>(
    actual: &ArrayRefD<T>,
    [expected, size, allowance]: [&ArrayRefD<f64>; 3],
    (within, least): (bool, f64),
    what: &str,
) {
    assert_eq!(actual.shape(), expected.shape(), "{what}: shapes");
    let all = expected.iter().zip(size.iter()).zip(allowance.iter());
    for ((index, &a), ((&e, &size), &allowance)) in actual.indexed_iter().zip(all) {
        let a = a.wide();
        let right = if e.is_nan() || e.is_infinite() {
            !within || a == e || (a.is_nan() && e.is_nan())
        } else {
            let beyond = size > T::LARGEST / 16.0 && !a.is_finite();
            !within || beyond || (a - e).abs() <= allowance + least
        };
        assert!(
            right,
            "{what}: at {:?} {a:e}, expected {e:e}, allowed {:e}",
            index.slice(),
            allowance + least
        );
    }
}
