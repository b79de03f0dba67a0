//! Half the squared difference.

use ndarray::ArrayRefD;

use super::terms::{Element, Terms};

/// Squared error, halved so that the derivative is the plain difference.
///
/// ```text
/// loss     = ½ · (pred − label)²        magnitude = loss
/// gradient = pred − label               scale     = |pred − label|
/// ```
///
/// # Panics
/// Where the shapes differ.
pub fn l2(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let difference = x - y;
        let loss = 0.5 * difference * difference;
        Element {
            loss,
            magnitude: loss,
            loss_slack: 0.0,
            grad: difference,
            grad_scale: difference.abs(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn half_the_square_and_the_difference() {
        let terms = l2(&array![3.0, -1.0].into_dyn(), &array![1.0, 2.0].into_dyn());
        assert_eq!(terms.loss, array![2.0, 4.5].into_dyn());
        assert_eq!(terms.grad, array![2.0, -3.0].into_dyn());
        assert_eq!(terms.grad_scale, array![2.0, 3.0].into_dyn());
    }
}
