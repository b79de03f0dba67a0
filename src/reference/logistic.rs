//! Logistic regression.

use ndarray::ArrayRefD;

use super::sigmoid_bce::of_logit;
use super::terms::Terms;
use crate::LabelFormat;

/// The [binary cross-entropy](super::sigmoid_bce()) of logits, for labels −1 and 1 (signed) or 0 and 1
/// (binary). The shares of the two classes are (1 + label)/2 and (1 − label)/2 of signed labels,
/// label and 1 − label of binary ones; loss, gradient, magnitude and scale are as there.
///
/// # Panics
/// Where the shapes differ.
pub fn logistic(pred: &ArrayRefD<f64>, label: &ArrayRefD<f64>, format: LabelFormat) -> Terms {
    Terms::of_pairs(pred, label, |x, y| match format {
        LabelFormat::Signed => of_logit(x, 0.5 * (1.0 + y), 0.5 * (1.0 - y)),
        LabelFormat::Binary => of_logit(x, y, 1.0 - y),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn both_formats_say_the_same() {
        let pred = array![-200.0, 0.0, 20.0, 0.5].into_dyn();
        let signed = array![1.0, -1.0, 1.0, 0.5].into_dyn();
        let binary = array![1.0, 0.0, 1.0, 0.75].into_dyn();
        let terms = logistic(&pred, &signed, LabelFormat::Signed);
        assert_eq!(terms, logistic(&pred, &binary, LabelFormat::Binary));
        assert_eq!(terms.loss[0], 200.0);
        assert_eq!(terms.grad[0], -1.0);
        assert_eq!(terms.grad[1], 0.5);
        assert_eq!(terms.loss[2], 2.061153620314381e-9);
    }
}
