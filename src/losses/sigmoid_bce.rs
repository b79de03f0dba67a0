use super::common::{applied, common_options};
use super::logit::OfLogit;
use super::pointwise::FlatLabel;
use super::{Common, FlatInputs, Inputs, Problem};
use crate::Error;
use crate::checks::{self, Shapes};
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::drivers::{Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::math::lanes::{log, log1p};
use crate::simd::{Isa, Lanes};
use crate::tensor::{Source, Tensor};
use crate::{Call, InPlaceCall};
use ndarray::{ArrayRef, Dimension};

/// Binary cross entropy of a logit, or of a probability.
///
/// With `p` the weight of positive examples (1 where it is not given):
///
/// | | of a logit `x` (the default) | of a probability `x` ([`from_sigmoid`](Self::from_sigmoid)) |
/// |---|---|---|
/// | loss | `p label softplus(−x) + (1 − label) softplus(x)` | `−p label ln(x + ε) − (1 − label) ln(1 − x + ε)`, ε = 10⁻¹² |
/// | gradient | `(1 − label) σ(x) − p label σ(−x)` | `(1 − label) / (1 − x + ε) − p label / (x + ε)` |
/// | pred | any number; ±∞ too | 0 to 1, else NaN from the logarithm (a little beyond, by ε) |
/// | accuracy | A and G: the larger of both terms' absolute values, as they stand above | the same |
///
/// `label` has pred's shape and lies between 0 and 1; other labels follow the formula. At a logit
/// of 0 the gradient is `½ − label`. A term whose factor is 0 is 0 even where the other factor is
/// infinite: a logit of +∞ costs 0 for the label 1 and +∞ for any other. Confident predictions keep
/// their relative accuracy: the logit −20 costs 2.06·10⁻⁹ for the label 0. A NaN is the loss and
/// gradient of its element; an infinite label or weight makes them ±∞ or NaN.
///
/// ```
/// use lossgrad::SigmoidBceLoss;
/// use ndarray::array;
///
/// let (logits, label) = (array![[0.0f32, 100.0]], array![[1.0, 1.0]]);
/// let (loss, grad) = SigmoidBceLoss::new().loss_and_grad(&logits, &label)?;
/// assert_eq!(loss, array![0.5 * std::f32::consts::LN_2]);
/// assert_eq!(grad[[0, 0]], -0.25);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias(
    "SigmoidBCELoss",
    "SigmoidBinaryCrossEntropyLoss",
    "BCEWithLogitsLoss",
    "BCELoss",
    "BinaryCrossentropy"
))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SigmoidBceLoss {
    common: Common,
    from_sigmoid: bool,
}

impl SigmoidBceLoss {
    common_options!();

    /// Whether pred holds probabilities, the output of a sigmoid, instead of logits. Logits are
    /// more accurate and faster.
    pub fn from_sigmoid(mut self, from_sigmoid: bool) -> Self {
        self.from_sigmoid = from_sigmoid;
        self
    }

    applied!(labels: T, problem: SigmoidBce<'a, T>);
}

/// A [`SigmoidBceLoss`] with its labels.
pub struct SigmoidBce<'a, T> {
    loss: SigmoidBceLoss,
    label: Tensor<'a, T>,
    pos_weight: Option<Tensor<'a, T>>,
}

impl<'a, T> SigmoidBce<'a, T> {
    fn new<E: Dimension>(loss: SigmoidBceLoss, label: &'a ArrayRef<T, E>) -> Self {
        Self {
            loss,
            label: Tensor::new(label),
            pos_weight: None,
        }
    }
}

impl<'a, T: Element, D: Dimension> Call<'a, SigmoidBce<'a, T>, T, D> {
    /// Multiplies the loss of positive examples. It has pred's rank and spreads over pred by
    /// NumPy's rule: of shape (1, C) for one weight a class.
    pub fn pos_weight<E: Dimension>(mut self, pos_weight: &'a ArrayRef<T, E>) -> Self {
        self.problem.pos_weight = Some(Tensor::new(pos_weight));
        self
    }
}

impl<'a, T: Element> InPlaceCall<'a, SigmoidBce<'a, T>, T> {
    /// As [`Call::pos_weight`].
    pub fn pos_weight<E: Dimension>(mut self, pos_weight: &'a ArrayRef<T, E>) -> Self {
        self.problem.pos_weight = Some(Tensor::new(pos_weight));
        self
    }
}

impl<T: Element> Problem<T> for SigmoidBce<'_, T> {
    type Loss = SigmoidBceLoss;

    const OPERANDS: [&'static str; 1] = ["pred"];
    const GRADS: [&'static str; 1] = ["grad"];

    fn loss(&self) -> SigmoidBceLoss {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common
    }

    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T>, Error> {
        checks::shape("label", self.label.shape, shapes.pred)?;
        let pos_weight = match self.pos_weight {
            Some(pos_weight) => {
                shapes.check_broadcast("pos_weight", pos_weight)?;
                Some(Source::of_units(pos_weight, grid))
            }
            None => None,
        };
        Ok((Source::of_units(self.label, grid), pos_weight))
    }

    fn flat<'c>(&'c self, shapes: &Shapes<'_>) -> Option<FlatInputs<'c, Self, T>> {
        match self.pos_weight {
            Some(_) => None,
            None => Some([shapes.in_order(self.label)?]),
        }
    }
}

/// The labels, and the weights of positive examples.
type LabelAndWeight<'a, T> = (Source<'a, T>, Option<Source<'a, T>>);

compiled!(
    SigmoidBceLoss, inputs: LabelAndWeight<'a, T>, run: run,
    flat: FlatLabel<'a, T>, run: run_form
);

fn run<T: Element>(loss: SigmoidBceLoss, work: Work<'_, '_, T, LabelAndWeight<'_, T>>) {
    let Work {
        plan,
        inputs,
        outputs,
    } = work;
    match inputs {
        (label, None) => {
            let inputs = [label];
            run_form(
                loss,
                Work {
                    plan,
                    inputs,
                    outputs,
                },
            );
        }
        (label, Some(weight)) => {
            let inputs = [label, weight];
            run_form(
                loss,
                Work {
                    plan,
                    inputs,
                    outputs,
                },
            );
        }
    }
}

/// Runs the formula for what pred holds, with a pos_weight or without.
fn run_form<T: Element, const K: usize>(loss: SigmoidBceLoss, work: impl Elements<T, K>)
where
    OfLogit: Elementwise<T, K>,
    OfProbability: Elementwise<T, K>,
{
    match loss.from_sigmoid {
        false => work.run(OfLogit),
        true => work.run(OfProbability),
    }
}

/// What is added to a probability before its logarithm is taken: Gluon's.
const EPSILON: f64 = 1e-12;

#[derive(Clone, Copy)]
struct OfProbability;

impl OfProbability {
    /// Of `x` and `1 − x`, the smaller one's logarithm is taken directly and the larger one's
    /// through `log1p` of the smaller, so that neither loses its relative accuracy.
    #[inline(always)]
    fn eval<T: Element, S: Isa>(
        x: Lanes<T, S>,
        positive: Lanes<T, S>,
        negative: Lanes<T, S>,
    ) -> ValueGrad<T, S> {
        let (zero, one) = (x.splat_like(0.0), x.splat_like(1.0));
        let epsilon = x.splat_like(EPSILON);
        let low = x.lt(x.splat_like(0.5));
        let smaller = low.select(x, one - x);
        let (of_smaller, of_larger) = (log(smaller + epsilon), log1p(epsilon - smaller));
        let ln_x = low.select(of_smaller, of_larger);
        let ln_rest = low.select(of_larger, of_smaller);
        let to_positive = positive / (x + epsilon);
        let to_negative = negative / ((one - x) + epsilon);
        // A label of 0 or 1 leaves one term, however infinite the other's logarithm is. Outside of
        // the domain one of them is NaN.
        let (none_positive, none_negative) = (positive.eq(zero), negative.eq(zero));
        let valid = of_smaller.eq(of_smaller);
        let of_positive = (none_positive & valid).select(zero, positive * ln_x);
        let of_negative = (none_negative & valid).select(zero, negative * ln_rest);
        let to_positive = (none_positive & valid).select(zero, to_positive);
        let to_negative = (none_negative & valid).select(zero, to_negative);
        ValueGrad {
            value: -(of_positive + of_negative),
            grad: to_negative - to_positive,
        }
    }
}

impl<T: Element> Elementwise<T, 1> for OfProbability {
    #[inline(always)]
    fn eval<S: Isa>(self, x: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        Self::eval(x, label, x.splat_like(1.0) - label)
    }
}

impl<T: Element> Elementwise<T, 2> for OfProbability {
    #[inline(always)]
    fn eval<S: Isa>(
        self,
        x: Lanes<T, S>,
        [label, pos_weight]: [Lanes<T, S>; 2],
    ) -> ValueGrad<T, S> {
        Self::eval(x, pos_weight * label, x.splat_like(1.0) - label)
    }
}
