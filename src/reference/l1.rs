//! The absolute difference.

use ndarray::ArrayRefD;

use super::terms::{Element, Terms};

/// Absolute error.
///
/// ```text
/// loss     = |pred − label|                       magnitude = loss
/// gradient = the sign of pred − label, 0 at 0     scale     = |gradient|
/// ```
///
/// # Panics
/// Where the shapes differ.
pub fn l1(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let difference = x - y;
        // f64::signum of 0 is 1.
        let grad = if difference == 0.0 {
            0.0
        } else {
            difference.signum()
        };
        Element {
            loss: difference.abs(),
            magnitude: difference.abs(),
            loss_slack: 0.0,
            grad,
            grad_scale: grad.abs(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_difference_and_its_sign() {
        let (pred, label) = (array![3.0, -1.0, 2.0], array![1.0, 2.0, 2.0]);
        let terms = l1(&pred.into_dyn(), &label.into_dyn());
        assert_eq!(terms.loss, array![2.0, 3.0, 0.0].into_dyn());
        assert_eq!(terms.grad, array![1.0, -1.0, 0.0].into_dyn());
    }
}
