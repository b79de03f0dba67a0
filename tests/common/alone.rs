//! Some samples of a batch as a batch of their own.

use std::ops::Range;

use lossgrad::Reduction;
use ndarray::{ArrayD, Axis};

use super::call::{Outcome, Request};
use super::cases::{Case, Problem, Unit};
use super::real::Real;

/// The call on nothing but the samples of `range`.
pub fn alone<T: Real>(
    case: &Case<T>,
    problem: &Problem<T>,
    request: &Request<T>,
    range: Range<usize>,
) -> (Problem<T>, Request<T>) {
    let rank = problem.pred.ndim();
    let batch = request.batch_axis.rem_euclid(rank as isize) as usize;
    let class = request.class_axis.rem_euclid(rank as isize) as usize;
    let row = (case.classes() && case.unit != Unit::Class).then_some(class);
    let problem = problem.samples(batch, row, range.clone());
    let axis = loss_axis(case, rank, request);
    let cut_factor = |factor: &ArrayD<T>| match factor.ndim() {
        ndim if ndim == rank => match factor.len_of(Axis(batch)) {
            1 => factor.clone(),
            _ => cut(factor, batch, &range),
        },
        0 => factor.clone(),
        // One per sample, or the losses of rows of a matrix.
        1 => cut(factor, 0, &range),
        _ => cut(factor, axis, &range),
    };
    let request = Request {
        sample_weight: request.sample_weight.as_ref().map(cut_factor),
        upstream: request.upstream.as_ref().map(cut_factor),
        ..request.clone()
    };
    (problem, request)
}

/// What the samples of `range` have of a batch's outcome, where each sample has losses of its own.
pub fn part<T: Real>(
    case: &Case<T>,
    shape: &[usize],
    request: &Request<T>,
    whole: &Outcome<T>,
    range: Range<usize>,
) -> Outcome<T> {
    let rank = shape.len();
    let batch = request.batch_axis.rem_euclid(rank as isize) as usize;
    let axis = match request.reduction {
        Reduction::None => loss_axis(case, rank, request),
        _ => 0,
    };
    Outcome {
        loss: cut(&whole.loss, axis, &range),
        grads: (whole.grads.iter())
            .map(|grad| cut(grad, batch, &range))
            .collect(),
    }
}

/// The axis of the unreduced losses that counts samples.
fn loss_axis<T: Real>(case: &Case<T>, rank: usize, request: &Request<T>) -> usize {
    let batch = request.batch_axis.rem_euclid(rank as isize) as usize;
    let class = request.class_axis.rem_euclid(rank as isize) as usize;
    match case.unit {
        Unit::Sample => 0,
        Unit::Row | Unit::LastRow if class < batch => batch - 1,
        _ => batch,
    }
}

fn cut<T: Clone>(array: &ArrayD<T>, axis: usize, range: &Range<usize>) -> ArrayD<T> {
    array
        .slice_axis(Axis(axis), range.clone().into())
        .to_owned()
}
