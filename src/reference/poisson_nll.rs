//! The negative log-likelihood of a count.

use ndarray::ArrayRefD;

use super::maths::{ln_factorial, part};
use super::terms::{Element, Terms};
use crate::LogFactorial;

/// The negative log-likelihood of the counts y = label under Poisson distributions with the
/// log-rates, or else the rates, x = pred.
///
/// ```text
/// of log-rates (from_logits)    loss = eˣ − y·x             gradient = eˣ − y
/// of rates                      loss = x − y·log(x + ε)     gradient = 1 − y/(x + ε)
/// ```
///
/// Magnitude is the sum of the terms' absolute values, scale the larger term of the gradient. A
/// label of 0 leaves the first term, whatever the logarithm. A rate below −ε is NaN. Of rates, slack
/// is what rounding ε and x + ε moves: |y|·(1 + ε/(x + ε)).
///
/// What `full` adds to the loss, term by term to the magnitude:
///
/// ```text
/// Stirling    y·log y − y + ½·log(2πy) where y > 1, else 0
/// Exact       log Γ(y + 1), NaN where y < 0
/// ```
///
/// # Panics
/// Where the shapes differ.
pub fn poisson_nll(
    pred: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    from_logits: bool,
    epsilon: f64,
    full: LogFactorial,
) -> Terms {
    Terms::of_pairs(pred, label, |x, y| {
        let mut element = if from_logits {
            of_log_rate(x, y)
        } else {
            of_rate(x, y, epsilon)
        };
        for term in log_factorial(y, full) {
            element.loss += term;
            element.magnitude += term.abs();
        }
        element
    })
}

fn of_log_rate(x: f64, y: f64) -> Element {
    let rate = x.exp();
    element([rate, share(rate, y, x)], 0.0, [rate, -y])
}

fn of_rate(x: f64, y: f64, epsilon: f64) -> Element {
    let shifted = x + epsilon;
    if shifted < 0.0 {
        return element([f64::NAN; 2], f64::NAN, [f64::NAN; 2]);
    }
    let slope = if y == 0.0 && shifted == 0.0 {
        0.0
    } else {
        -y / shifted
    };
    element(
        [x, share(x, y, shifted.ln())],
        if y == 0.0 {
            0.0
        } else {
            y.abs() * (1.0 + epsilon / shifted)
        },
        [1.0, slope],
    )
}

/// −y·log_rate; of an infinite rate, whose logarithm is as nothing beside it, 0.
fn share(rate: f64, y: f64, log_rate: f64) -> f64 {
    if rate == f64::INFINITY && log_rate == f64::INFINITY && y.is_finite() {
        0.0
    } else {
        part(-y, log_rate)
    }
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

fn log_factorial(y: f64, full: LogFactorial) -> Vec<f64> {
    match full {
        LogFactorial::Omitted => vec![],
        LogFactorial::Stirling if y > 1.0 => {
            vec![y * y.ln(), -y, 0.5 * (std::f64::consts::TAU * y).ln()]
        }
        LogFactorial::Stirling => vec![],
        LogFactorial::Exact => vec![ln_factorial(y)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() <= 1e-11 * expected.abs(),
            "{actual} is not {expected}"
        );
    }

    fn mean(x: [f64; 3], y: [f64; 3], full: LogFactorial) -> f64 {
        let (x, y) = (array![x[0], x[1], x[2]], array![y[0], y[1], y[2]]);
        let terms = poisson_nll(&x.into_dyn(), &y.into_dyn(), true, 0.0, full);
        terms.loss.sum() / 3.0
    }

    #[test]
    fn published_values() {
        let (x, y) = ([0.5, -1.0, 2.0], [2.0, 1.0, 0.0]);
        close(mean(x, y, LogFactorial::Omitted), 3.13521893693);
        close(mean(x, y, LogFactorial::Exact), 3.36626799712);
        close(mean(x, y, LogFactorial::Stirling), 3.35248776514);
        let (x, y) = ([3.0; 3], [5.0; 3]);
        close(
            mean(x, y, LogFactorial::Exact) - mean(x, y, LogFactorial::Omitted),
            120f64.ln(),
        );
    }

    #[test]
    fn a_rate_of_zero() {
        let (x, y) = (array![0.0, 0.0].into_dyn(), array![0.0, 2.0].into_dyn());
        let terms = poisson_nll(&x, &y, false, 0.0, LogFactorial::Stirling);
        assert_eq!(terms.loss, array![0.0, f64::INFINITY].into_dyn());
        assert_eq!(terms.grad, array![1.0, f64::NEG_INFINITY].into_dyn());
        let terms = poisson_nll(&x, &y, false, 1e-8, LogFactorial::Omitted);
        close(terms.loss[1], -2.0 * 1e-8f64.ln());
        close(terms.grad[1], 1.0 - 2e8);
    }

    #[test]
    fn an_infinite_rate_costs_everything() {
        let inf = f64::INFINITY;
        let (x, y) = (array![inf, -inf, -inf].into_dyn(), array![3.0, 3.0, 0.0]);
        let y = y.into_dyn();
        let terms = poisson_nll(&x, &y, true, 0.0, LogFactorial::Omitted);
        assert_eq!(terms.loss, array![inf, inf, 0.0].into_dyn());
        assert_eq!(terms.grad, array![inf, -3.0, 0.0].into_dyn());
        let x = array![inf, -1.0, -1.0].into_dyn();
        let terms = poisson_nll(&x, &y, false, 0.0, LogFactorial::Omitted);
        assert_eq!((terms.loss[0], terms.grad[0]), (inf, 1.0));
        assert!(terms.loss[1].is_nan() && terms.grad[1].is_nan());
        assert!(terms.loss[2].is_nan() && terms.grad[2].is_nan());
    }
}
