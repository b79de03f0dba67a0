//! How far a score falls short of a margin, plain and squared.

use ndarray::ArrayRefD;

use super::terms::{Element, Terms};

/// The hinge loss of a margin.
///
/// With m = margin − pred·label, rounded once:
///
/// ```text
/// m > 0     loss = m     gradient = −label
/// m ≤ 0     loss = 0     gradient = 0
/// ```
///
/// Magnitude is the loss, scale the absolute gradient.
///
/// # Panics
/// Where the shapes differ.
pub fn hinge(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>, margin: f64) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let shortfall = shortfall(x, y, margin);
        element(shortfall, if shortfall > 0.0 { -y } else { shortfall })
    })
}

/// The square of the [hinge loss](hinge), r², with the gradient −2·label·r. Magnitude is the loss,
/// scale the absolute gradient.
///
/// # Panics
/// Where the shapes differ.
pub fn squared_hinge(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>, margin: f64) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let shortfall = shortfall(x, y, margin);
        let grad = if shortfall > 0.0 {
            -2.0 * y * shortfall
        } else {
            shortfall
        };
        element(shortfall * shortfall, grad)
    })
}

/// max(0, margin − x·y); of a NaN, a NaN.
fn shortfall(x: f64, y: f64, margin: f64) -> f64 {
    let m = (-x).mul_add(y, margin);
    if m <= 0.0 { 0.0 } else { m }
}

fn element(loss: f64, grad: f64) -> Element {
    Element {
        loss,
        magnitude: loss,
        loss_slack: 0.0,
        grad,
        grad_scale: grad.abs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn above_at_and_below_the_margin() {
        let pred = array![2.0, 0.5, 0.0, -1.0].into_dyn();
        let label = array![1.0, 1.0, -1.0, 1.0].into_dyn();
        let plain = hinge(&pred, &label, 0.5);
        assert_eq!(plain.loss, array![0.0, 0.0, 0.5, 1.5].into_dyn());
        assert_eq!(plain.grad, array![0.0, 0.0, 1.0, -1.0].into_dyn());
        let squared = squared_hinge(&pred, &label, 0.5);
        assert_eq!(squared.loss, array![0.0, 0.0, 0.25, 2.25].into_dyn());
        assert_eq!(squared.grad, array![0.0, 0.0, 1.0, -3.0].into_dyn());
    }

    #[test]
    fn nan_is_no_zero() {
        let (nan, one) = (array![f64::NAN].into_dyn(), array![1.0].into_dyn());
        for terms in [hinge(&nan, &one, 1.0), squared_hinge(&one, &nan, 1.0)] {
            assert!(terms.loss[0].is_nan() && terms.grad[0].is_nan());
        }
    }
}
