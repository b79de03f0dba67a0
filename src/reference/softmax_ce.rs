//! Cross-entropy of a softmax, with the label as a class index or as a distribution.

use ndarray::ArrayRefD;

use super::maths::{part, sum};
use super::terms::{Row, Terms, resolve_axis, rows_of};

/// Cross-entropy of the classes along `axis` with integer labels, one per row.
///
/// With m the largest logit of the row, S the sum of exp(pred − m) over the row, pⱼ =
/// exp(predⱼ − m)/S, and y the label:
///
/// ```text
/// loss      = (m − pred_y) + log S      magnitude = loss
/// gradientⱼ = pⱼ − [j = y]              scale     = 1, the largest of p and the one-hot label
/// ```
///
/// Slack, with dⱼ = |predⱼ − m| and D = Σ pⱼ·dⱼ: D for the loss, pⱼ·(dⱼ + D) for gradientⱼ.
/// A logit of −∞ is a class of probability 0. A row of nothing but −∞ has no softmax and is NaN.
///
/// With `from_logits` pred holds log-probabilities (Gluon's word for it): the loss is −pred_y with
/// magnitude |pred_y|, the gradient −1 at the label and 0 elsewhere, exactly.
///
/// # Panics
/// Where the label's shape is not pred's without `axis`, or a label is no class.
pub fn softmax_ce_sparse(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<usize>,
    axis: isize,
    from_logits: bool,
) -> Terms {
    let axis = resolve_axis(axis, pred.ndim());
    let mut units = pred.shape().to_vec();
    units.remove(axis);
    assert_eq!(
        label.shape(),
        units,
        "label and pred without the class axis"
    );
    let row = |(x, &y): (Vec<f64>, &usize)| {
        assert!(y < x.len(), "label {y} of {} classes", x.len());
        if from_logits {
            of_log_probability(&x, y)
        } else {
            sparse_row(&x, y)
        }
    };
    let rows: Vec<_> = rows_of(pred, axis)
        .into_iter()
        .zip(label.iter())
        .map(row)
        .collect();
    Terms::of_rows(pred.shape(), axis, &rows)
}

/// Cross-entropy of the classes along `axis` with a distribution as the label of each row.
///
/// With m, S, pⱼ, dⱼ and D as for [integer labels](softmax_ce_sparse) and Y = Σ labelⱼ:
///
/// ```text
/// loss      = Σ labelⱼ·((m − predⱼ) + log S)      magnitude = Σ |labelⱼ|·((m − predⱼ) + log S)
/// gradientⱼ = pⱼ·Y − labelⱼ                       scale     = the row's largest of pⱼ·Σ|label| and |labelⱼ|
/// ```
///
/// Slack: D·Σ|label| for the loss, pⱼ·(dⱼ + D)·Σ|label| for gradientⱼ. A class whose label is
/// exactly 0 takes no part, even at probability 0.
///
/// With `from_logits` pred holds log-probabilities: the loss is −Σ labelⱼ·predⱼ, the gradient
/// −labelⱼ, exactly.
///
/// # Panics
/// Where the shapes differ.
pub fn softmax_ce_dense(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    axis: isize,
    from_logits: bool,
) -> Terms {
    assert_eq!(pred.shape(), label.shape(), "pred and label");
    let axis = resolve_axis(axis, pred.ndim());
    let formula = if from_logits {
        of_log_probabilities
    } else {
        dense_row
    };
    let rows: Vec<_> = rows_of(pred, axis)
        .iter()
        .zip(&rows_of(label, axis))
        .map(|(x, y)| formula(x, y))
        .collect();
    Terms::of_rows(pred.shape(), axis, &rows)
}

/// A row's softmax in the parts that keep its tails accurate.
pub(super) struct Softmax {
    max: f64,
    /// log S.
    log_sum: f64,
    pub(super) probability: Vec<f64>,
    /// 1 − pⱼ, as the sum of the others where a subtraction would cancel.
    pub(super) complement: Vec<f64>,
    /// dⱼ = |predⱼ − m|, and 0 for a class of probability 0.
    distance: Vec<f64>,
    /// D = Σ pⱼ·dⱼ.
    pub(super) mean_distance: f64,
}

impl Softmax {
    pub(super) fn of(x: &[f64]) -> Self {
        // f64::max would pass over a NaN.
        let larger = |best: usize, j: usize| {
            let keep = x[best].is_nan() || x[best] >= x[j];
            if keep { best } else { j }
        };
        let top = (0..x.len()).reduce(larger).expect("a class");
        let max = x[top];
        let exp: Vec<f64> = x.iter().map(|&xj| (xj - max).exp()).collect();
        // The largest class contributes exactly 1, which log1p adds without rounding the rest.
        let others = sum((0..x.len()).filter(|&j| j != top).map(|j| exp[j]));
        // An infinite maximum leaves no distribution.
        let rest = if max.is_finite() { others } else { f64::NAN };
        let total = 1.0 + rest;
        let probability: Vec<f64> = exp.iter().map(|e| e / total).collect();
        let mut complement: Vec<f64> = probability.iter().map(|p| 1.0 - p).collect();
        complement[top] = rest / total;
        let distance: Vec<f64> = x
            .iter()
            .zip(&probability)
            .map(|(&xj, &p)| if p == 0.0 { 0.0 } else { (xj - max).abs() })
            .collect();
        let mean_distance = sum(probability.iter().zip(&distance).map(|(p, d)| p * d));
        Self {
            max,
            log_sum: rest.ln_1p(),
            probability,
            complement,
            distance,
            mean_distance,
        }
    }

    /// −log pⱼ.
    pub(super) fn cost(&self, xj: f64) -> f64 {
        (self.max - xj) + self.log_sum
    }

    /// The slack of every pⱼ.
    pub(super) fn slack(&self) -> impl Iterator<Item = f64> {
        let classes = self.probability.iter().zip(&self.distance);
        classes.map(|(p, d)| p * (d + self.mean_distance))
    }
}

fn sparse_row(x: &[f64], y: usize) -> Row {
    let softmax = Softmax::of(x);
    let loss = softmax.cost(x[y]);
    let mut grad = softmax.probability.clone();
    grad[y] = -softmax.complement[y];
    Row {
        loss,
        magnitude: loss,
        loss_slack: softmax.mean_distance,
        grad,
        grad_scale: vec![1.0; x.len()],
        grad_slack: softmax.slack().collect(),
    }
}

fn dense_row(x: &[f64], y: &[f64]) -> Row {
    let softmax = Softmax::of(x);
    let total = sum(y.iter().copied());
    let absolute = sum(y.iter().map(|yj| yj.abs()));
    let terms: Vec<f64> = x
        .iter()
        .zip(y)
        .map(|(&xj, &yj)| part(yj, softmax.cost(xj)))
        .collect();
    // pⱼ·Y − labelⱼ, arranged so that a confident row does not cancel.
    let grad = (0..x.len())
        .map(|j| softmax.probability[j] * (total - y[j]) - y[j] * softmax.complement[j])
        .collect();
    let largest = (0..x.len())
        .map(|j| (softmax.probability[j] * absolute).max(y[j].abs()))
        .fold(0.0, f64::max);
    Row {
        loss: sum(terms.iter().copied()),
        magnitude: sum(terms.iter().map(|t| t.abs())),
        loss_slack: softmax.mean_distance * absolute,
        grad,
        grad_scale: vec![largest; x.len()],
        grad_slack: softmax.slack().map(|s| s * absolute).collect(),
    }
}

fn of_log_probability(x: &[f64], y: usize) -> Row {
    // No other class is read, whatever it holds.
    let one_hot: Vec<f64> = (0..x.len()).map(|j| f64::from(u8::from(j == y))).collect();
    Row {
        loss: -x[y],
        magnitude: x[y].abs(),
        loss_slack: 0.0,
        grad: one_hot.iter().map(|share| -share).collect(),
        grad_scale: one_hot,
        grad_slack: vec![0.0; x.len()],
    }
}

fn of_log_probabilities(x: &[f64], y: &[f64]) -> Row {
    let terms: Vec<f64> = x.iter().zip(y).map(|(&xj, &yj)| part(yj, -xj)).collect();
    Row {
        loss: sum(terms.iter().copied()),
        magnitude: sum(terms.iter().map(|t| t.abs())),
        loss_slack: 0.0,
        grad: y.iter().map(|yj| -yj).collect(),
        grad_scale: y.iter().map(|yj| yj.abs()).collect(),
        grad_slack: vec![0.0; x.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() <= 1e-12 * expected.abs(),
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn a_margin_of_twenty_is_not_free() {
        let x = array![[20.0, 0.0]].into_dyn();
        let sparse = softmax_ce_sparse(&x, &array![0].into_dyn(), -1, false);
        let dense = softmax_ce_dense(&x, &array![[1.0, 0.0]].into_dyn(), -1, false);
        for terms in [sparse, dense] {
            close(terms.loss[0], 2.061153620314381e-9);
            close(terms.grad[[0, 0]], -2.061153618190204e-9);
            close(terms.grad[[0, 1]], 2.061153618190204e-9);
        }
    }

    #[test]
    fn masked_classes_have_probability_zero() {
        let masked = f64::NEG_INFINITY;
        let x = array![[masked, 0.0, masked, 0.0]].into_dyn();
        let sparse = softmax_ce_sparse(&x, &array![1].into_dyn(), 1, false);
        let dense = softmax_ce_dense(&x, &array![[0.0, 1.0, 0.0, 0.0]].into_dyn(), 1, false);
        for terms in [sparse, dense] {
            close(terms.loss[0], std::f64::consts::LN_2);
            assert_eq!(terms.grad, array![[0.0, -0.5, 0.0, 0.5]].into_dyn());
            assert_eq!(terms.loss_slack[0], 0.0);
        }
        let needed = softmax_ce_sparse(&x, &array![0].into_dyn(), 1, false);
        assert_eq!(needed.loss[0], f64::INFINITY);
        assert_eq!(needed.grad, array![[-1.0, 0.5, 0.0, 0.5]].into_dyn());
    }

    #[test]
    fn a_row_of_nothing_but_masked_classes_is_nan() {
        let x = array![[f64::NEG_INFINITY; 3], [0.0; 3]].into_dyn();
        let terms = softmax_ce_sparse(&x, &array![1, 1].into_dyn(), 1, false);
        assert!(terms.loss[0].is_nan());
        assert!(terms.grad.row_is_nan(0));
        close(terms.loss[1], 3.0_f64.ln());
    }

    #[test]
    fn nan_reaches_its_whole_row() {
        for at in 0..3 {
            let mut x = array![[1.0, 2.0, 3.0]].into_dyn();
            x[[0, at]] = f64::NAN;
            let terms = softmax_ce_sparse(&x, &array![1].into_dyn(), 1, false);
            assert!(terms.loss[0].is_nan());
            assert!(terms.grad.row_is_nan(0));
        }
    }

    trait RowIsNan {
        fn row_is_nan(&self, row: usize) -> bool;
    }

    impl RowIsNan for ndarray::ArrayD<f64> {
        fn row_is_nan(&self, row: usize) -> bool {
            self.index_axis(ndarray::Axis(0), row)
                .iter()
                .all(|g| g.is_nan())
        }
    }

    #[test]
    fn a_common_offset_changes_nothing() {
        let x = array![[1e8, 1e8]].into_dyn();
        let terms = softmax_ce_sparse(&x, &array![0].into_dyn(), 1, false);
        assert_eq!(terms.loss[0], std::f64::consts::LN_2);
        assert_eq!(terms.grad, array![[-0.5, 0.5]].into_dyn());
    }

    #[test]
    fn labels_that_sum_to_something_else() {
        let x = array![[0.0, 0.0]].into_dyn();
        let terms = softmax_ce_dense(&x, &array![[2.0, 4.0]].into_dyn(), 1, false);
        close(terms.loss[0], 6.0 * std::f64::consts::LN_2);
        assert_eq!(terms.grad, array![[1.0, -1.0]].into_dyn());
        assert_eq!(terms.grad_scale, array![[4.0, 4.0]].into_dyn());
    }

    #[test]
    fn log_probabilities_are_taken_as_they_are() {
        let x = array![[-0.5, f64::NEG_INFINITY], [-3.0, -0.25]].into_dyn();
        let sparse = softmax_ce_sparse(&x, &array![0, 1].into_dyn(), -1, true);
        let label = array![[1.0, 0.0], [0.0, 1.0]].into_dyn();
        let dense = softmax_ce_dense(&x, &label, -1, true);
        for terms in [sparse, dense] {
            assert_eq!(terms.loss, array![0.5, 0.25].into_dyn());
            assert_eq!(terms.grad, -&label);
        }
    }

    #[test]
    fn of_log_probabilities_a_class_is_read_alone() {
        let x = array![[f64::NAN, -0.5, f64::NEG_INFINITY]].into_dyn();
        let terms = softmax_ce_sparse(&x, &array![1].into_dyn(), -1, true);
        assert_eq!(terms.loss, array![0.5].into_dyn());
        assert_eq!(terms.grad, array![[0.0, -1.0, 0.0]].into_dyn());
        let terms = softmax_ce_sparse(&x, &array![0].into_dyn(), -1, true);
        assert!(terms.loss[0].is_nan());
        assert_eq!(terms.grad, array![[-1.0, 0.0, 0.0]].into_dyn());
    }

    #[test]
    fn rows_run_along_any_axis() {
        let x = array![[[0.0, 1.0], [2.0, 3.0], [1.0, -1.0]]].into_dyn();
        let y = array![[2, 0]].into_dyn();
        let terms = softmax_ce_sparse(&x, &y, 1, false);
        assert_eq!(terms.loss.shape(), [1, 2]);
        for (inner, label) in [(0, 2), (1, 0)] {
            let row: Vec<f64> = (0..3).map(|class| x[[0, class, inner]]).collect();
            let lse = row.iter().map(|v| v.exp()).sum::<f64>().ln();
            close(terms.loss[[0, inner]], lse - row[label]);
        }
    }
}
