//! The distance to a positive example against that to a negative one.

use ndarray::{ArrayD, ArrayRefD, Axis, Zip};

use super::maths::sum;
use super::terms::{Terms, resolve_axis};

/// The triplet loss of each sample along `batch_axis`, with the terms of pred, of positive and of
/// negative.
///
/// With P = Σ (positive − pred)² and N = Σ (negative − pred)² over a sample:
///
/// ```text
/// loss                 = max(0, P − N + margin)     magnitude = P + N + |margin|, 0 where the loss is
/// gradient of pred     = 2·(negative − pred) − 2·(positive − pred) = 2·(negative − positive)
/// gradient of positive = 2·(positive − pred)
/// gradient of negative = 2·(pred − negative)        scale     = |gradient|
/// ```
///
/// The gradient is 0 where the loss is 0, at the kink too.
///
/// # Panics
/// Where the shapes differ.
pub fn triplet(
    pred: &ArrayRefD<f64>,
    positive: &ArrayRefD<f64>,
    negative: &ArrayRefD<f64>,
    margin: f64,
    batch_axis: isize,
) -> [Terms; 3] {
    assert_eq!(pred.shape(), positive.shape(), "pred and positive");
    assert_eq!(pred.shape(), negative.shape(), "pred and negative");
    let axis = resolve_axis(batch_axis, pred.ndim());
    let square = |a: &ArrayRefD<f64>, b: &ArrayRefD<f64>| -> Vec<f64> {
        let distance = |sample| {
            let (a, b) = (
                a.index_axis(Axis(axis), sample),
                b.index_axis(Axis(axis), sample),
            );
            sum(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)))
        };
        (0..a.len_of(Axis(axis))).map(distance).collect()
    };
    let (near, far) = (square(positive, pred), square(negative, pred));
    let samples = near.len();
    let loss = ArrayD::from_shape_fn(vec![samples], |i| {
        let loss = near[i[0]] - far[i[0]] + margin;
        if loss <= 0.0 { 0.0 } else { loss }
    });
    let magnitude = ArrayD::from_shape_fn(vec![samples], |i| match loss[&i] {
        0.0 => 0.0,
        _ => near[i[0]] + far[i[0]] + margin.abs(),
    });
    let terms = |plus: &ArrayRefD<f64>, minus: &ArrayRefD<f64>| {
        let mut grad = Zip::from(plus).and(minus).map_collect(|a, b| 2.0 * (a - b));
        for (mut grad, &loss) in grad.axis_iter_mut(Axis(axis)).zip(&loss) {
            if loss == 0.0 {
                grad.fill(0.0);
            } else if loss.is_nan() {
                grad.fill(f64::NAN);
            }
        }
        Terms {
            loss: loss.clone(),
            magnitude: magnitude.clone(),
            loss_slack: ArrayD::zeros(vec![samples]),
            grad_scale: grad.mapv(f64::abs),
            grad_slack: ArrayD::zeros(grad.raw_dim()),
            grad,
            row_axes: (0..pred.ndim()).filter(|&other| other != axis).collect(),
        }
    };
    [
        terms(negative, positive),
        terms(positive, pred),
        terms(pred, negative),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_kink_costs_nothing_and_a_wider_margin_something() {
        let pred = array![[1.0, 2.0]].into_dyn();
        let (positive, negative) = (array![[1.5, 2.0]].into_dyn(), array![[0.0, 1.5]].into_dyn());
        let [at_kink, ..] = triplet(&pred, &positive, &negative, 1.0, 0);
        assert_eq!(at_kink.loss, array![0.0].into_dyn());
        assert_eq!(at_kink.grad, array![[0.0, 0.0]].into_dyn());
        let [of_pred, of_positive, of_negative] = triplet(&pred, &positive, &negative, 2.0, 0);
        assert_eq!(of_pred.loss, array![1.0].into_dyn());
        assert_eq!(of_pred.grad, array![[-3.0, -1.0]].into_dyn());
        assert_eq!(of_positive.grad, array![[1.0, 0.0]].into_dyn());
        assert_eq!(of_negative.grad, array![[2.0, 1.0]].into_dyn());
    }
}
