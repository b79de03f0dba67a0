//! Binary cross-entropy, of logits or of probabilities.

use ndarray::{ArrayRefD, CowArray, IxDyn};

use super::maths::{part, sigmoid, softplus};
use super::terms::{Element, Terms};

/// What is added inside both logarithms when predictions are probabilities: a certain and wrong
/// prediction then costs 27.6, not infinity.
pub const FROM_SIGMOID_EPSILON: f64 = 1e-12;

/// Binary cross-entropy; `pos_weight` p (1 where absent) broadcasts to pred's shape and
/// multiplies the share of the positive class.
///
/// Of logits, with softplus(x) = log(1 + eˣ) and σ(x) = 1 / (1 + e⁻ˣ):
///
/// ```text
/// loss     = p·label·softplus(−pred) + (1 − label)·softplus(pred)
/// gradient = (1 − label)·σ(pred) − p·label·σ(−pred)
/// ```
///
/// which is σ(pred) − label where p = 1, at pred = 0 too. Of probabilities (`from_sigmoid`),
/// with ε = [`FROM_SIGMOID_EPSILON`]:
///
/// ```text
/// loss     = −p·label·log(pred + ε) − (1 − label)·log(1 − pred + ε)
/// gradient = −p·label/(pred + ε) + (1 − label)/(1 − pred + ε)
/// ```
///
/// Each line has two terms: magnitude is the sum of their absolute values, scale the larger one.
/// Of probabilities, slack is what rounding ε moves: (|p·label|/(pred + ε) + |1 − label|/(1 − pred +
/// ε))·ε, which counts where pred is about ε away from a certain and right prediction.
///
/// A class whose share is exactly 0 takes no part, however infinite its logarithm.
///
/// # Panics
/// Where the shapes differ, or `pos_weight` does not broadcast to pred's.
pub fn sigmoid_bce(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    pos_weight: Option<&ArrayRefD<f64>>,
    from_sigmoid: bool,
) -> Terms {
    assert_eq!(pred.shape(), label.shape(), "pred and label");
    let pos_weight: CowArray<'_, f64, IxDyn> = match pos_weight {
        Some(p) => p
            .broadcast(pred.raw_dim())
            .expect("pos_weight broadcasts")
            .into(),
        None => ndarray::ArrayD::ones(pred.raw_dim()).into(),
    };
    let formula = if from_sigmoid {
        of_probability
    } else {
        of_logit
    };
    let elements: Vec<_> = pred
        .iter()
        .zip(label.iter())
        .zip(pos_weight.iter())
        .map(|((&x, &y), &p)| formula(x, p * y, 1.0 - y))
        .collect();
    Terms::of_elements(pred.shape(), &elements)
}

/// `positive` and `negative` are the shares of the two classes: p·label and 1 − label.
pub(super) fn of_logit(x: f64, positive: f64, negative: f64) -> Element {
    element(
        [part(positive, softplus(-x)), part(negative, softplus(x))],
        0.0,
        [part(positive, -sigmoid(-x)), part(negative, sigmoid(x))],
    )
}

fn of_probability(x: f64, positive: f64, negative: f64) -> Element {
    let epsilon = FROM_SIGMOID_EPSILON;
    // Next to 1 a logarithm is as small as its argument's distance from 1, so that distance is
    // what has to be exact.
    let (log_positive, log_negative) = if x < 0.5 {
        ((x + epsilon).ln(), (epsilon - x).ln_1p())
    } else {
        (((x - 1.0) + epsilon).ln_1p(), ((1.0 - x) + epsilon).ln())
    };
    let slopes = [
        part(positive, -1.0 / (x + epsilon)),
        part(negative, 1.0 / ((1.0 - x) + epsilon)),
    ];
    element(
        [part(positive, -log_positive), part(negative, -log_negative)],
        (slopes[0].abs() + slopes[1].abs()) * epsilon,
        slopes,
    )
}

fn element(loss: [f64; 2], loss_slack: f64, grad: [f64; 2]) -> Element {
    Element {
        loss: loss[0] + loss[1],
        magnitude: loss[0].abs() + loss[1].abs(),
        loss_slack,
        grad: grad[0] + grad[1],
        grad_scale: grad[0].abs().max(grad[1].abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, array};

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() <= 1e-11 * expected.abs(),
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn published_values_with_a_positive_weight_of_three() {
        let cases = [
            (0.5, 1.0, 1.42223095254, -1.13262200639),
            (-2.0, 0.0, 0.126928011043, 0.119202922022),
            (0.0, 0.5, 1.38629436112, -0.5),
            (100.0, 0.0, 100.0, 1.0),
            (-100.0, 1.0, 300.0, -3.0),
        ];
        for (x, y, loss, grad) in cases {
            let (x, y) = (array![x].into_dyn(), array![y].into_dyn());
            let terms = sigmoid_bce(&x, &y, Some(&array![3.0].into_dyn()), false);
            close(terms.loss[0], loss);
            close(terms.grad[0], grad);
        }
    }

    #[test]
    fn infinite_logits_cost_nothing_or_everything() {
        let inf = f64::INFINITY;
        let x = array![inf, -inf, inf, -inf].into_dyn();
        let y = array![1.0, 0.0, 0.0, 1.0].into_dyn();
        let terms = sigmoid_bce(&x, &y, None, false);
        assert_eq!(terms.loss, array![0.0, 0.0, inf, inf].into_dyn());
        assert_eq!(terms.grad, array![0.0, 0.0, 1.0, -1.0].into_dyn());
    }

    #[test]
    fn probabilities_next_to_the_ends() {
        let x: Array1<f64> = array![0.0, 1.0, 1e-9, 1.0 - 1e-9];
        let terms = sigmoid_bce(
            &x.into_dyn(),
            &array![1.0, 0.0, 0.0, 1.0].into_dyn(),
            None,
            true,
        );
        close(terms.loss[0], 27.631021115928547);
        close(terms.loss[1], 27.631021115928547);
        // −log(1 − (10⁻⁹ − 10⁻¹²)); 1 − 10⁻⁹ is itself rounded, so only about as good as that.
        close(terms.loss[2], 9.99000000499000e-10);
        assert!((terms.loss[3] - 9.99e-10).abs() < 1e-16);
        close(terms.grad[0], -1e12);
    }
}
