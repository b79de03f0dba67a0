use super::common::{applied, common_options};
use super::logit::OfLogit;
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// Logistic regression: `ln(1 + e^(−pred · label))` for labels −1 and 1.
///
/// With `y = (label + 1) / 2` for [signed](LabelFormat::Signed) labels and `y = label` for
/// [binary](LabelFormat::Binary) ones, and `softplus(x) = ln(1 + e^x)`:
///
/// | | |
/// |---|---|
/// | label | pred's shape, −1 or 1, or else 0 or 1; other labels follow the formulas of this table |
/// | loss | `y softplus(−pred) + (1 − y) softplus(pred)` |
/// | gradient | `(1 − y) σ(pred) − y σ(−pred)`, which is `σ(pred) − y` |
/// | pred | any number; ±∞ too: it costs 0 for the label that has its sign, +∞ for any other within the domain |
/// | NaN | a NaN of pred or label is the loss and gradient of its element; an infinite label makes them ±∞ or NaN |
/// | accuracy | A and G: the larger of both terms' absolute values, as they stand above |
///
/// It is [`SigmoidBceLoss`](crate::SigmoidBceLoss) of logits, which takes binary labels and weights of
/// positive examples. At a pred of 0 the gradient is `½ − y`. Confident predictions keep their
/// relative accuracy: 20 costs 2.06·10⁻⁹ for the label 1.
///
/// ```
/// use lossgrad::{LabelFormat, LogisticLoss};
/// use ndarray::array;
///
/// let pred = array![[0.0f32, -200.0]];
/// let signed = LogisticLoss::new();
/// let (loss, grad) = signed.loss_and_grad(&pred, &array![[-1.0, 1.0]])?;
/// assert_eq!(loss, array![0.5 * (std::f32::consts::LN_2 + 200.0)]);
/// assert_eq!(grad, array![[0.25, -0.5]]);
///
/// let binary = signed.label_format(LabelFormat::Binary);
/// assert_eq!(binary.loss_and_grad(&pred, &array![[0.0, 1.0]])?, (loss, grad));
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("SoftMarginLoss", "log_loss", "logistic_regression"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogisticLoss {
    common: Common,
    label_format: LabelFormat,
}

/// What the labels of a [`LogisticLoss`] are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LabelFormat {
    /// −1 and 1.
    #[default]
    Signed,
    /// 0 and 1.
    Binary,
}

impl LogisticLoss {
    common_options!();

    /// What the labels are: −1 and 1 where it is not given.
    pub fn label_format(mut self, label_format: LabelFormat) -> Self {
        self.label_format = label_format;
        self
    }

    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for LogisticLoss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(LogisticLoss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(loss: LogisticLoss, work: impl Elements<T, 1>) {
    match loss.label_format {
        LabelFormat::Signed => work.run(Signed),
        LabelFormat::Binary => work.run(OfLogit),
    }
}

#[derive(Clone, Copy)]
struct Signed;

impl<T: Element> Elementwise<T, 1> for Signed {
    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let half = pred.splat_like(0.5);
        let against = pred.gt(pred.splat_like(0.0)).select(-label, label);
        OfLogit::eval(pred, against.mul_add(half, half), pred.splat_like(1.0))
    }
}
