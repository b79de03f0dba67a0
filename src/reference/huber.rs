//! Squared error near the label, absolute error far from it.

use ndarray::ArrayRefD;

use super::terms::{Element, Terms};

/// Huber's loss with the threshold ρ, divided by ρ as in Gluon.
///
/// With d = pred − label:
///
/// ```text
/// |d| ≤ ρ    loss = d²/(2ρ)       gradient = d/ρ
/// |d| > ρ    loss = |d| − ρ/2     gradient = the sign of d
/// ```
///
/// Magnitude is the loss, scale the absolute gradient.
///
/// # Panics
/// Where the shapes differ.
pub fn huber(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>, rho: f64) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let difference = x - y;
        let (loss, grad) = if difference.abs() > rho {
            (difference.abs() - 0.5 * rho, difference.signum())
        } else {
            let slope = difference / rho;
            (0.5 * slope * difference, slope)
        };
        Element {
            loss,
            magnitude: loss,
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
    fn published_values_with_a_threshold_of_two() {
        let pred = array![0.5, 2.0, 3.0, -3.0].into_dyn();
        let terms = huber(&pred, &array![0.0, 0.0, 0.0, 0.0].into_dyn(), 2.0);
        assert_eq!(terms.loss, array![0.0625, 1.0, 2.0, 2.0].into_dyn());
        assert_eq!(terms.grad, array![0.25, 1.0, 1.0, -1.0].into_dyn());
    }
}
