//! The Kullback–Leibler divergence of predicted from given distributions, class by class.

use ndarray::{ArrayD, ArrayRefD, Axis};

use super::maths::{part, sum};
use super::reduction::{Reduced, Weighting};
use super::softmax_ce::Softmax;
use super::terms::{Element, Terms, resolve_axis, rows_of};

/// The divergence of log-probabilities, one loss per class.
///
/// ```text
/// loss     = label·(log label − pred)     magnitude = |label·log label| + |label·pred|
/// gradient = −label                       scale     = |label|
/// ```
///
/// A label of 0 takes no part, even at a log-probability of −∞. A negative one is NaN.
///
/// # Panics
/// Where the shapes differ.
pub fn kl_div(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let y = valid(y);
        let (entropy, cost) = (part(y, y.ln()), part(y, -x));
        Element {
            loss: entropy + cost,
            magnitude: entropy.abs() + cost.abs(),
            loss_slack: 0.0,
            grad: -y,
            grad_scale: y.abs(),
        }
    })
}

/// The divergence of the softmax of logits along `axis`, one loss per class, weighted and reduced:
/// every class's derivative depends on the coefficients of its whole row.
///
/// With p, dⱼ and D as for [cross-entropy](super::softmax_ce_sparse), and the coefficients cⱼ of a
/// row's losses as [`Terms::reduce`] has them:
///
/// ```text
/// lossⱼ     = labelⱼ·(log labelⱼ − log pⱼ)       magnitude = |labelⱼ·log labelⱼ| + |labelⱼ·log pⱼ|
/// gradientₖ = pₖ·Σ cⱼ·labelⱼ − cₖ·labelₖ         scale     = the row's largest of pₖ·Σ |cⱼ·labelⱼ| and |cₖ·labelₖ|
/// ```
///
/// Slack: |labelⱼ|·D for lossⱼ, pₖ·(dₖ + D)·Σ |cⱼ·labelⱼ| for gradientₖ. A label of 0 takes no part,
/// even at probability 0; a negative one is NaN. A weight of 0 masks its own class's loss; what is
/// left of the row has its gradient for all classes.
///
/// # Panics
/// Where the shapes differ, or the batch axis is the class axis.
pub fn kl_div_of_logits(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    axis: isize,
    how: &Weighting,
) -> Reduced {
    assert_eq!(pred.shape(), label.shape(), "pred and label");
    let axis = resolve_axis(axis, pred.ndim());
    let batch_axis = resolve_axis(how.batch_axis, pred.ndim());
    assert_ne!(axis, batch_axis, "batch axis = class axis");
    let softmax: Vec<_> = rows_of(pred, axis).iter().map(|x| Softmax::of(x)).collect();

    let losses = losses(pred, label, axis, &softmax);
    let factors = losses.factors(how);
    let weights = rows_of(&factors.weight, axis);
    let coefficients = rows_of(&factors.coefficient, axis);
    let labels = rows_of(label, axis);
    let gradients: Vec<Gradient> = (0..softmax.len())
        .map(|row| {
            gradient(
                &softmax[row],
                &labels[row],
                &weights[row],
                &coefficients[row],
            )
        })
        .collect();
    let collect = |field: fn(&Gradient) -> &Vec<f64>| {
        along(
            axis,
            pred.shape(),
            gradients.iter().map(|g| field(g).as_slice()),
        )
    };
    Reduced {
        grad: collect(|g| &g.grad),
        scale: collect(|g| &g.scale),
        grad_slack: collect(|g| &g.slack),
        ..losses.reduce(how)
    }
}

/// The losses alone, as units without derivatives.
fn losses(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    axis: usize,
    softmax: &[Softmax],
) -> Terms {
    let rows = || rows_of(pred, axis).into_iter().zip(softmax);
    let per_class = |value: fn(f64, &Softmax) -> f64| {
        let rows = rows().map(|(x, softmax)| x.iter().map(|&x| value(x, softmax)).collect());
        let rows: Vec<Vec<f64>> = rows.collect();
        along(axis, pred.shape(), rows.iter().map(Vec::as_slice))
    };
    let cost = per_class(|x, softmax| softmax.cost(x));
    let distance = per_class(|_, softmax| softmax.mean_distance);
    // Of log-probabilities −cost; what rounding the logits moves comes on top.
    let mut terms = kl_div(&-cost, label);
    terms.loss_slack = distance * label.abs();
    terms.grad.fill(0.0);
    terms.grad_scale.fill(0.0);
    terms
}

/// A row's derivatives.
struct Gradient {
    grad: Vec<f64>,
    scale: Vec<f64>,
    slack: Vec<f64>,
}

fn gradient(softmax: &Softmax, label: &[f64], weight: &[f64], coefficient: &[f64]) -> Gradient {
    let classes = label.len();
    if weight.iter().all(|&a| a == 0.0) {
        let zeros = || vec![0.0; classes];
        return Gradient {
            grad: zeros(),
            scale: zeros(),
            slack: zeros(),
        };
    }
    let share = |j: usize| match weight[j] {
        0.0 => 0.0,
        _ => coefficient[j] * valid(label[j]),
    };
    let share: Vec<f64> = (0..classes).map(share).collect();
    let total = sum(share.iter().copied());
    let absolute = sum(share.iter().map(|s| s.abs()));
    let p = &softmax.probability;
    let largest = (0..classes)
        .map(|k| (p[k] * absolute).max(share[k].abs()))
        .fold(0.0, f64::max);
    Gradient {
        // pₖ·Σ − shareₖ, arranged so that a confident row does not cancel.
        grad: (0..classes)
            .map(|k| p[k] * (total - share[k]) - share[k] * softmax.complement[k])
            .collect(),
        scale: vec![largest; classes],
        slack: softmax.slack().map(|s| s * absolute).collect(),
    }
}

/// The label, or NaN for a negative one.
fn valid(y: f64) -> f64 {
    if y < 0.0 { f64::NAN } else { y }
}

/// An array from its rows along `axis`.
fn along<'r>(axis: usize, shape: &[usize], rows: impl Iterator<Item = &'r [f64]>) -> ArrayD<f64> {
    let mut array = ArrayD::zeros(shape);
    for (mut lane, row) in array.lanes_mut(Axis(axis)).into_iter().zip(rows) {
        lane.iter_mut().zip(row).for_each(|(to, from)| *to = *from);
    }
    array
}

#[cfg(test)]
mod tests {
    use super::super::softmax_ce_dense;
    use super::*;
    use crate::Reduction;
    use ndarray::array;

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() <= 1e-11 * expected.abs(),
            "{actual} is not {expected}"
        );
    }

    fn by(reduction: Reduction) -> Weighting {
        Weighting {
            reduction,
            ..Weighting::default()
        }
    }

    #[test]
    fn published_value() {
        let (x, y) = (
            array![[0.1, -0.3]].into_dyn(),
            array![[0.2, 0.8]].into_dyn(),
        );
        let reduced = kl_div_of_logits(&x, &y, -1, &by(Reduction::SampleSum));
        close(reduced.loss[0], 0.332612828864);
        let log_sum = (0.1_f64.exp() + (-0.3_f64).exp()).ln();
        let terms = kl_div(&(&x - log_sum), &y);
        close(terms.loss.sum(), 0.332612828864);
        assert_eq!(terms.grad, -&y);
    }

    #[test]
    fn nothing_of_a_class_costs_nothing() {
        let inf = f64::INFINITY;
        let x = array![-inf, inf, -inf, 0.0].into_dyn();
        let terms = kl_div(&x, &array![0.0, 0.0, 0.5, 1.0].into_dyn());
        assert_eq!(terms.loss, array![0.0, 0.0, inf, 0.0].into_dyn());
        assert_eq!(terms.magnitude[0], 0.0);
        let x = array![f64::NAN, 0.0].into_dyn();
        let terms = kl_div(&x, &array![0.0, -0.5].into_dyn());
        assert!(terms.loss[0].is_nan() && terms.loss[1].is_nan() && terms.grad[1].is_nan());
    }

    /// Σ label·(log label − log p) is the cross-entropy less the label's own entropy.
    #[test]
    fn differs_from_cross_entropy_by_a_constant() {
        let x = array![[0.5, -1.0, 3.0], [2.0, 2.0, f64::NEG_INFINITY]].into_dyn();
        let y = array![[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]].into_dyn();
        let how = by(Reduction::SampleSum);
        let divergence = kl_div_of_logits(&x, &y, 1, &how);
        let cross = softmax_ce_dense(&x, &y, 1, false).reduce(&how);
        let negative_entropy: f64 = y.iter().take(3).map(|&y| y * f64::ln(y)).sum();
        close(divergence.loss[0], cross.loss[0] + negative_entropy);
        close(divergence.loss[1], cross.loss[1]);
        for (&a, &b) in divergence.grad.iter().zip(&cross.grad) {
            close(a, b);
        }
        assert_eq!(divergence.scale, cross.scale);
        assert_eq!(divergence.grad_slack, cross.grad_slack);
    }

    /// Weights and upstream of single classes, against differences of the weighted sum.
    #[test]
    fn every_class_has_a_coefficient_of_its_own() {
        let x = array![[[0.5, -1.0], [3.0, 0.1]], [[0.2, 1.5], [-0.7, 0.4]]].into_dyn();
        let y = array![[[0.2, 0.5], [0.9, 1.0]], [[0.3, 0.0], [0.1, 2.0]]].into_dyn();
        let how = Weighting {
            weight: 0.7,
            sample_weight: Some(
                array![[[1.0, 0.0], [0.5, 2.0]], [[0.3, 1.1], [0.9, 0.4]]].into_dyn(),
            ),
            upstream: Some(array![[[-1.0, 2.0], [0.5, 0.25]], [[1.5, 1.0], [0.0, 3.0]]].into_dyn()),
            ..by(Reduction::None)
        };
        let objective = |x: &ArrayD<f64>| {
            let loss = kl_div_of_logits(x, &y, 1, &how).loss;
            (loss * how.upstream.as_ref().unwrap()).sum()
        };
        let reduced = kl_div_of_logits(&x, &y, 1, &how);
        for (at, &slope) in reduced.grad.indexed_iter() {
            let step = 1e-4;
            let (mut above, mut below) = (x.clone(), x.clone());
            above[&at] += step;
            below[&at] -= step;
            let estimate = (objective(&above) - objective(&below)) / (2.0 * step);
            assert!((estimate - slope).abs() < 1e-7, "{slope}, not {estimate}");
        }
    }

    #[test]
    fn a_row_of_weights_of_zero_is_masked() {
        let (mut x, y) = (
            ArrayD::zeros(vec![2, 2]),
            ArrayD::from_elem(vec![2, 2], 0.5),
        );
        x[[0, 1]] = f64::NAN;
        let how = Weighting {
            sample_weight: Some(array![0.0, 1.0].into_dyn()),
            ..by(Reduction::SampleSum)
        };
        let reduced = kl_div_of_logits(&x, &y, 1, &how);
        assert_eq!(reduced.loss, array![0.0, 0.0].into_dyn());
        assert_eq!(reduced.grad, ArrayD::zeros(vec![2, 2]));
    }
}
