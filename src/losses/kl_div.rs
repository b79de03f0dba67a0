use super::common::{applied, common_options};
use super::pointwise::FlatLabel;
use super::{Common, FlatInputs, Inputs, Problem};
use crate::Error;
use crate::checks::{self, Shapes, Unit};
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::drivers::rows::{self, RowLoss};
use crate::drivers::{Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::math::lanes::log;
use crate::simd::{Isa, Lanes};
use crate::tensor::{Source, Tensor};
use ndarray::{ArrayRef, Dimension};

/// The Kullback–Leibler divergence of predicted from given distributions.
///
/// | | of log-probabilities `x` (the default) | of logits `x` ([`from_logits(false)`](Self::from_logits)) |
/// |---|---|---|
/// | loss of a class | `y (ln y − x)` | `y_j (ln y_j − ln p_j)`, `p = softmax(x)` along the class axis |
/// | gradient | `−y` | `p_j Σ c_k y_k − c_j y_j`, with `c` the coefficients of the row's losses |
/// | accuracy | A: `\|y ln y\| + \|y x\|`; G: `\|y\|` | A: `\|y ln y\| + \|y ln p\|`; G: the row's largest of `p Σ \|c y\|` and `\|c y\|` |
///
/// `label` has pred's shape and holds shares of 0 or more, which need not add up to 1. Every class
/// has a loss of its own: [`Reduction::None`](crate::Reduction::None) gives pred's shape, and the
/// default averages over all classes of a sample, as the text of Gluon's documentation does.
/// [`Reduction::SampleSum`](crate::Reduction::SampleSum) is the divergence itself, which MXNet 1.9
/// computes, and what PyTorch calls `batchmean` once it is averaged over the batch.
///
/// - A share of 0 costs 0 and has the gradient 0 of log-probabilities, even of −∞.
/// - A NaN log-probability is the loss of its class; the gradient is `−y` wherever pred is, so it is no
///   NaN. A NaN share is the loss and the gradient of its class.
/// - An infinite share makes the loss and the gradient of its class, or row of logits, ±∞ or NaN.
/// - A negative share makes the loss of its class NaN, and the gradient of its class, or row of
///   logits.
/// - A logit of −∞ is a class of probability 0: a share of it other than 0 costs +∞. A row of logits
///   that are all −∞, or with one of +∞ or a NaN, is NaN, loss and gradient.
/// - Of logits, a weight of 0 masks the loss of its class; the others' gradients still reach its
///   logit. A row whose weights are all 0 has the gradient 0, whatever it holds.
/// - The terms of a divergence have either sign: a class may cost less than 0, and rounding may take
///   the sum of equal distributions there.
///
/// ```
/// use lossgrad::{KlDivLoss, Reduction};
/// use ndarray::array;
///
/// let (logits, label) = (array![[0.1f32, -0.3]], array![[0.2, 0.8]]);
/// let divergence = KlDivLoss::new().from_logits(false);
/// let (loss, _) = divergence.on(&logits, &label).reduction(Reduction::SampleSum).loss_and_grad()?;
/// assert!((loss[[0]] - 0.3326128).abs() < 1e-6);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("KLDivLoss", "KLDivergence", "kl_divergence", "relative_entropy"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlDivLoss {
    common: Common,
    axis: isize,
    from_logits: bool,
}

impl Default for KlDivLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            axis: -1,
            from_logits: true,
        }
    }
}

impl KlDivLoss {
    common_options!();

    /// The class axis, counted from the back if negative; −1, the last, where it is not given. It
    /// has no meaning for log-probabilities.
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// Whether pred holds log-probabilities, which is what Gluon calls logits here; `true` where it
    /// is not given. Else it holds logits in the usual sense, which a softmax turns into
    /// probabilities.
    #[doc(alias = "from_log_probs")]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    applied!(labels: T, problem: KlDiv<'a, T>);
}

/// A [`KlDivLoss`] with its labels.
pub struct KlDiv<'a, T> {
    loss: KlDivLoss,
    label: Tensor<'a, T>,
}

impl<'a, T> KlDiv<'a, T> {
    fn new<E: Dimension>(loss: KlDivLoss, label: &'a ArrayRef<T, E>) -> Self {
        Self {
            loss,
            label: Tensor::new(label),
        }
    }
}

impl<T: Element> Problem<T> for KlDiv<'_, T> {
    type Loss = KlDivLoss;

    const OPERANDS: [&'static str; 1] = ["pred"];
    const GRADS: [&'static str; 1] = ["grad"];

    fn loss(&self) -> KlDivLoss {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common
    }

    fn unit(&self) -> Unit {
        match self.loss.from_logits {
            true => Unit::Element,
            false => Unit::Class {
                axis: self.loss.axis,
            },
        }
    }

    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T>, Error> {
        checks::shape("label", self.label.shape, shapes.pred)?;
        Ok((Source::of_rows(self.label, grid), grid.row_len))
    }

    fn flat<'c>(&'c self, shapes: &Shapes<'_>) -> Option<FlatInputs<'c, Self, T>> {
        match self.loss.from_logits {
            true => Some([shapes.in_order(self.label)?]),
            false => None,
        }
    }
}

compiled!(
    KlDivLoss, inputs: (Source<'a, T>, usize), run: run,
    flat: FlatLabel<'a, T>, run: of_log_probabilities
);

fn run<T: Element>(loss: KlDivLoss, work: Work<'_, '_, T, (Source<'_, T>, usize)>) {
    if !loss.from_logits {
        return rows::run_classes(Divergence, work);
    }
    let Work {
        plan,
        inputs: (label, _),
        outputs,
    } = work;
    let work = Work {
        plan,
        inputs: [label],
        outputs,
    };
    of_log_probabilities(loss, work);
}

fn of_log_probabilities<T: Element>(_: KlDivLoss, work: impl Elements<T, 1>) {
    work.run(Divergence);
}

#[derive(Clone, Copy)]
struct Divergence;

impl<T: Element> RowLoss<T> for Divergence {
    #[inline(always)]
    fn normalises(self) -> bool {
        true
    }

    #[inline(always)]
    fn share<S: Isa>(self, share: Lanes<T, S>) -> Lanes<T, S> {
        let negative = share.lt(share.splat_like(0.0));
        negative.select(share.splat_like(f64::NAN), share)
    }

    #[inline(always)]
    fn term<S: Isa>(self, share: Lanes<T, S>, surprise: Lanes<T, S>) -> Lanes<T, S> {
        let zero = share.splat_like(0.0);
        let nothing = share.eq(zero) & surprise.eq(surprise);
        nothing.select(zero, share * (log(share) + surprise))
    }
}

impl<T: Element> Elementwise<T, 1> for Divergence {
    #[inline(always)]
    fn eval<S: Isa>(self, log_prob: Lanes<T, S>, [share]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        ValueGrad {
            value: self.term(share, -log_prob),
            grad: share.splat_like(0.0) - RowLoss::<T>::share(self, share),
        }
    }
}
