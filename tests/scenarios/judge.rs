//! Results of any input against the reference.

use crate::common::call::{Outcome, Request, expected};
use crate::common::cases::{Case, Label, Problem, Unit};
use crate::common::contract::{assert_outcome, gradient_allowance};
use crate::common::real::Real;
use lossgrad::Reduction;
use lossgrad::reference::Reduced;
use ndarray::{ArrayD, ArrayRefD, Axis, Dimension, Slice};

/// Fails unless the outcome is what the reference says. Where `special` values went in, a result is
/// passed over if what it is made of leaves the range in which accuracy is promised, without being
/// infinite to begin with.
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
    let rules = Rules::new(case, problem, request);
    let sizes = Sizes::new(case, problem, request, &reduced);
    let bound = T::CONTRACT;
    let of = &reduced[0];
    let allowance = &of.magnitude * bound.loss + &of.loss_slack * bound.epsilon;
    let what = format!("{what}, {}", T::NAME);
    rules.assert_near(
        &outcome.loss,
        [&of.loss, &sizes.loss, &allowance],
        &format!("{what} loss"),
    );
    for ((grad, of), size) in outcome.grads.iter().zip(&reduced).zip(&sizes.grads) {
        let allowance = gradient_allowance::<T>(of);
        rules.assert_near(
            grad,
            [&of.grad, size, &allowance],
            &format!("{what} gradient"),
        );
    }
}

/// How large the largest finite term is that goes into each result.
struct Sizes {
    loss: ArrayD<f64>,
    grads: Vec<ArrayD<f64>>,
}

impl Sizes {
    fn new<T: Real>(
        case: &Case<T>,
        problem: &Problem<T>,
        request: &Request<T>,
        reduced: &[Reduced],
    ) -> Self {
        let weighted = Request {
            upstream: None,
            reduction: Reduction::None,
            ..request.clone()
        };
        let plain = Request {
            weight: 1.0,
            sample_weight: None,
            ..weighted.clone()
        };
        let plain = expected(case, problem, &plain);
        let weighted = expected(case, problem, &weighted);
        let mut units = larger(&plain[0].magnitude, &weighted[0].magnitude)
            .into_shape_with_order(request.units(problem.pred.shape(), case))
            .expect("one loss a unit");
        let scales = plain.iter().zip(reduced);
        let mut grads: Vec<_> = scales
            .map(|(plain, reduced)| larger(&plain.scale, &reduced.scale))
            .collect();
        if matches!(case.unit, Unit::LastRow | Unit::Sample) {
            // A derivative depends on distances, which are of the loss's size.
            grads = grads.iter().map(|grad| larger(grad, &units)).collect();
        }
        let batch = Axis(request.batch_axis.rem_euclid(units.ndim() as isize) as usize);
        if !case.independent {
            // Every sample goes into every result.
            let all = grads.iter().chain([&units]).flatten().copied();
            let all = all.fold(0.0, f64::max);
            units.fill(all);
            grads.iter_mut().for_each(|grad| grad.fill(all));
        }
        if case.unit == Unit::Sample {
            let together = if case.independent {
                1
            } else {
                units.len().max(1)
            };
            let mut arrays: Vec<_> = grads.iter_mut().chain([&mut units]).collect();
            let samples = problem.pred.shape()[batch.index()];
            for first in (0..samples).step_by(together) {
                let part = Slice::from(first..samples.min(first + together));
                let values = problem.operands();
                let values = values.flat_map(|values| values.slice_axis(batch, part).into_iter());
                if distances_blur::<T>(values) {
                    for array in &mut arrays {
                        array.slice_axis_mut(batch, part).fill(f64::MAX);
                    }
                }
            }
        }
        let largest = |of: &ArrayRefD<f64>| of.iter().copied().fold(0.0, f64::max);
        let loss = match request.reduction {
            Reduction::None => units
                .into_shape_with_order(reduced[0].loss.raw_dim())
                .expect("one loss a unit"),
            Reduction::SampleMean | Reduction::SampleSum => {
                let samples = units.axis_iter(batch);
                ArrayD::from_shape_vec(
                    reduced[0].loss.raw_dim(),
                    samples.map(|sample| largest(&sample)).collect(),
                )
                .expect("one loss a sample")
            }
            _ => ArrayD::from_elem(reduced[0].loss.raw_dim(), largest(&units)),
        };
        Self { loss, grads }
    }
}

/// The larger of what is finite in the first and, broadcast to its shape, the second.
fn larger(a: &ArrayRefD<f64>, b: &ArrayRefD<f64>) -> ArrayD<f64> {
    let finite = |x: f64| if x.is_finite() { x.abs() } else { 0.0 };
    let mut larger = a.mapv(finite);
    larger.zip_mut_with(b, |a, &b| *a = a.max(finite(b)));
    larger
}

/// Whether rounding the squared distances between vectors of these entries may move them by so much
/// that what they move in turn is no longer in proportion, as the reference's slack takes it to be.
fn distances_blur<'a, T: Real>(entries: impl Iterator<Item = &'a T>) -> bool {
    let sizes = entries.map(|entry| entry.wide().abs());
    let (mut largest, mut count) = (0.0_f64, 0);
    for size in sizes.filter(|size| size.is_finite()) {
        largest = largest.max(size);
        count += 1;
    }
    2.0 * largest * largest * f64::from(count) * T::CONTRACT.epsilon > 0.125
}

/// Whether the labels are shares of classes, or of the two of a binary choice, or counts: factors of
/// terms that may be 0 or infinite themselves.
fn has_shares<T>(case: &Case<T>) -> bool {
    let families = [
        "sigmoid_bce",
        "logistic",
        "kl_div",
        "softmax_ce",
        "poisson_nll",
    ];
    families.iter().any(|family| case.name.starts_with(family))
}

/// What holds for every result of a call.
struct Rules {
    /// Whether a factor is not a number or infinite. Nothing is said of what such a factor makes of a
    /// loss or a derivative of 0.
    wild_factor: bool,
    /// Whether a share, a count or a vector of a batch is infinite, or will be times another factor:
    /// what that is part of is not finite, in one way or another.
    infinite_part: bool,
    /// Whether what is not finite may only be beyond the reference's own range.
    beyond_reference: bool,
    /// What may be lost below the normal numbers, in their smallest.
    least: f64,
}

impl Rules {
    fn new<T: Real>(case: &Case<T>, problem: &Problem<T>, request: &Request<T>) -> Self {
        let factors = || [&request.sample_weight, &request.upstream];
        let mut values = factors().into_iter().flatten().flatten();
        let largest = |factor: &Option<ArrayD<T>>| {
            let sizes = factor.iter().flatten().map(|value| value.wide().abs());
            sizes.filter(|size| size.is_finite()).fold(1.0, f64::max)
        };
        let least: f64 = factors().into_iter().map(largest).product();
        let label = match &problem.label {
            Label::Dense(label) => Some(label),
            Label::Sparse(_) | Label::None => None,
        };
        let mut parts: Vec<&ArrayD<T>> = vec![];
        if has_shares(case) {
            parts.extend(label.into_iter().chain(&problem.pos_weight));
        }
        if !case.independent {
            parts.extend(problem.operands());
        }
        let mut parts = parts.into_iter().flatten();
        Self {
            wild_factor: values.any(|value| !value.wide().is_finite()),
            infinite_part: parts.any(|x| x.wide().abs() > T::LARGEST / 1024.0),
            beyond_reference: problem.operands().chain(label).flatten().any(|x| {
                let size = x.wide().abs();
                size.is_finite() && size > 1e150
            }),
            least: 16.0 * least * request.weight.abs().max(1.0),
        }
    }

    fn allow(&self, actual: f64, expected: f64, allowance: f64) -> bool {
        let zero_or_wild = |x: f64| x == 0.0 || !x.is_finite();
        if self.wild_factor && zero_or_wild(actual) && zero_or_wild(expected) {
            return true;
        }
        if self.beyond_reference && !expected.is_finite() {
            return true;
        }
        if self.infinite_part && !expected.is_finite() {
            return !actual.is_finite();
        }
        if expected.is_nan() {
            return actual.is_nan();
        }
        actual == expected || (expected.is_finite() && (actual - expected).abs() <= allowance)
    }

    #[track_caller]
    fn assert_near<T: Real>(
        &self,
        actual: &ArrayRefD<T>,
        [expected, size, allowance]: [&ArrayRefD<f64>; 3],
        what: &str,
    ) {
        assert_eq!(actual.shape(), expected.shape(), "{what}: shapes");
        let all = expected.iter().zip(size.iter()).zip(allowance.iter());
        for ((index, &a), ((&e, &size), &allowance)) in actual.indexed_iter().zip(all) {
            let a = a.wide();
            let allowance = allowance + self.least * T::SMALLEST;
            // Sixteen terms are added before they leave the type.
            let right = size > T::LARGEST / 16.0 || self.allow(a, e, allowance);
            assert!(
                right,
                "{what}: at {:?} {a:e}, expected {e:e}, allowed {allowance:e}",
                index.slice()
            );
        }
    }
}
