use super::common::{applied, common_options};
use super::{ClassLabel, Common, FlatInputs, Inputs, Problem};
use crate::Error;
use crate::checks::{Shapes, Unit};
use crate::drivers::rows::{self, FlatClasses, RowLabel, RowLoss};
use crate::drivers::{Flat, Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::simd::{Isa, Lanes};
use crate::tensor::Tensor;
use ndarray::{ArrayRef, Dimension};

/// Cross entropy of a softmax along the class axis, for class numbers or for shares of classes.
///
/// | | label of integers: the class `y` | label of floats: a share `y_j` of every class |
/// |---|---|---|
/// | shape of label | pred's without the class axis | pred's |
/// | loss of a row | `ln Σ e^x_j − x_y` | `Σ y_j (ln Σ e^x_k − x_j)` |
/// | gradient | `p_j − 1` for the class, else `p_j` | `p_j Σ y_k − y_j` |
/// | accuracy | A: the loss; G: the largest of p and 1 | A: the terms' absolute values; G: the row's largest of p Σ\|y\| and \|y\| |
///
/// with `p = softmax(x)`. The loss is one per row: [`Reduction::None`](crate::Reduction::None) gives
/// pred's shape without the class axis.
///
/// The type of the label decides which of the two it is (Gluon's `sparse_label`). An integer that
/// names no class is an error, which tells its position. Shares need not add up to 1.
///
/// Of logits (log-probabilities follow the formulas of [`from_logits`](Self::from_logits), with
/// 0 · ∞ = 0):
///
/// - A logit of −∞ is a class of probability 0: its gradient is 0, and a share of 0 of it costs 0.
///   A share of it other than 0, or it being the class, costs +∞.
/// - A row whose logits are all −∞, or with one of +∞ or a NaN, is NaN, loss and gradient; so is a
///   NaN share. An infinite share makes them ±∞ or NaN. Other rows are not touched.
/// - A large offset of all logits changes nothing but the rounding of the logits themselves.
/// - Confident predictions keep their relative accuracy: two classes 20 apart cost 2.06·10⁻⁹.
///
/// ```
/// use lossgrad::SoftmaxCeLoss;
/// use ndarray::array;
///
/// let logits = array![[0.0f32, 0.0], [1000.0, 0.0]];
/// let (loss, grad) = SoftmaxCeLoss::new().loss_and_grad(&logits, &array![1, 0])?;
/// assert_eq!(loss, array![std::f32::consts::LN_2, 0.0]);
/// assert_eq!(grad, array![[0.5, -0.5], [0.0, 0.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias(
    "SoftmaxCELoss",
    "SoftmaxCrossEntropyLoss",
    "CrossEntropyLoss",
    "NLLLoss",
    "CategoricalCrossentropy",
    "SparseCategoricalCrossentropy",
    "log_softmax"
))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftmaxCeLoss {
    common: Common,
    axis: isize,
    from_logits: bool,
}

impl Default for SoftmaxCeLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            axis: -1,
            from_logits: false,
        }
    }
}

impl SoftmaxCeLoss {
    common_options!();

    /// The class axis, counted from the back if negative; −1, the last, where it is not given.
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// Whether pred holds log-probabilities, the output of a log-softmax, which is what Gluon calls
    /// logits here. Then nothing is normalised: the loss of a class is `−x_y` and its gradient −1
    /// for the class, 0 elsewhere; of shares `−Σ y_j x_j` and `−y_j`. That gradient does not depend
    /// on pred, so a log-probability of NaN makes the loss NaN if it takes part, and no gradient.
    #[doc(alias = "from_log_probs")]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    applied!(labels: I: ClassLabel<T>, problem: SoftmaxCe<'a, I>);
}

/// A [`SoftmaxCeLoss`] with its labels.
pub struct SoftmaxCe<'a, I> {
    loss: SoftmaxCeLoss,
    label: Tensor<'a, I>,
}

impl<'a, I> SoftmaxCe<'a, I> {
    fn new<E: Dimension>(loss: SoftmaxCeLoss, label: &'a ArrayRef<I, E>) -> Self {
        Self {
            loss,
            label: Tensor::new(label),
        }
    }
}

impl<T: Element, I: ClassLabel<T>> Problem<T> for SoftmaxCe<'_, I> {
    type Loss = SoftmaxCeLoss;

    const OPERANDS: [&'static str; 1] = ["pred"];
    const GRADS: [&'static str; 1] = ["grad"];

    fn loss(&self) -> SoftmaxCeLoss {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common
    }

    fn unit(&self) -> Unit {
        Unit::Row {
            axis: self.loss.axis,
        }
    }

    fn check<'c>(
        &'c self,
        shapes: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T>, Error> {
        Ok((I::check(self.label, shapes, grid)?, grid.row_len))
    }

    fn flat<'c>(&'c self, shapes: &Shapes<'_>) -> Option<FlatInputs<'c, Self, T>> {
        I::flat(self.label, shapes)
    }
}

compiled!(
    SoftmaxCeLoss, inputs: (RowLabel<'a, T>, usize), run: run,
    flat: FlatClasses, run: run_flat
);

fn run<T: Element>(loss: SoftmaxCeLoss, work: Work<'_, '_, T, (RowLabel<'_, T>, usize)>) {
    let normalise = !loss.from_logits;
    rows::run(CrossEntropy { normalise }, work);
}

fn run_flat<T: Element>(loss: SoftmaxCeLoss, flat: Flat<'_, T, FlatClasses>) {
    let normalise = !loss.from_logits;
    rows::run_flat(CrossEntropy { normalise }, flat);
}

#[derive(Clone, Copy)]
pub(super) struct CrossEntropy {
    pub(super) normalise: bool,
}

impl<T: Element> RowLoss<T> for CrossEntropy {
    #[inline(always)]
    fn normalises(self) -> bool {
        self.normalise
    }

    #[inline(always)]
    fn term<S: Isa>(self, share: Lanes<T, S>, surprise: Lanes<T, S>) -> Lanes<T, S> {
        let (zero, infinity) = (share.splat_like(0.0), share.splat_like(f64::INFINITY));
        let nothing = share.eq(zero) & surprise.abs().eq(infinity);
        nothing.select(zero, share * surprise)
    }
}
