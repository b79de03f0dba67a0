//! Connectionist temporal classification.

mod backward;
mod call;

mod emission;
mod forward;
mod gradient;
mod greedy;
mod half;
mod integers;
mod job;
mod labels;
mod lattice;
mod meeting;
mod plan;
mod sequence;
mod states;
mod sweep;
#[cfg(test)]
mod tests;

pub use call::{CtcCall, CtcInPlaceCall};
pub use greedy::CtcGreedy;
pub use integers::{Integer, Integers};
pub use job::Job;

use crate::Error;
use crate::checks::finite;
use crate::element::Element;
use ndarray::{Array, Array1, ArrayRef, Dimension};

/// The order of pred's axes: N samples, T frames; the classes come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CtcLayout {
    /// Samples, frames, classes.
    #[default]
    Ntc,
    /// Frames, samples, classes.
    Tnc,
}

impl CtcLayout {
    /// The axes of samples, frames and classes of predictions of a shape.
    fn axes(self, shape: &[usize]) -> Result<[usize; 3], Error> {
        if shape.len() != 3 {
            return Err(Error::Rank {
                argument: "pred",
                found: shape.to_vec(),
                expected: "3",
            });
        }
        if shape[2] == 0 {
            return Err(Error::NoClasses {
                shape: shape.to_vec(),
                axis: 2,
            });
        }
        Ok(match self {
            Self::Ntc => [0, 1, 2],
            Self::Tnc => [1, 0, 2],
        })
    }
}

/// The order of the axes of padded labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CtcLabelLayout {
    /// Samples, labels.
    #[default]
    Nt,
    /// Labels, samples.
    Tn,
}

/// Whether any path through a sample's frames spells its labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CtcStatus {
    /// Some path does, so the loss is finite (or, where the input is, NaN).
    #[default]
    Feasible,
    /// None does: there are fewer frames than labels and blanks between equal neighbours, or a
    /// class that every path needs has probability 0.
    Infeasible,
}

/// Connectionist temporal classification: the cost of labels that belong to a sequence of frames
/// nobody knows where.
///
/// A path names a class for every frame. It spells what is left when equal neighbours are merged
/// and then blanks dropped: `a a _ a b` spells `a a b`. The loss is the negative logarithm of the
/// probability of all paths that spell the label:
///
/// | | of logits `x` (the default) | of log-probabilities `x` ([`log_probs`](Self::log_probs)) |
/// |---|---|---|
/// | probability of class `k` in frame `t` | `p_tk = softmax(x_t)_k` | `e^x_tk` |
/// | loss of a sample | `−ln Σ_paths Π_t p_t,path(t)` | the same |
/// | gradient | `p_tk − γ_tk` | `−γ_tk` |
///
/// where the posterior `γ_tk` is the share of these paths' probability that names class `k` in
/// frame `t`.
///
/// # Shapes
///
/// | | |
/// |---|---|
/// | pred | (N, T, C), or (T, N, C) with [`layout`](Self::layout); `f32` or `f64`, of any strides, a class stride of 1 the fastest |
/// | label, padded | (N, L), or (L, N) with [`label_layout`](Self::label_layout); any primitive integer |
/// | label, concatenated | of one axis: the labels of all samples, one after the other |
/// | [`pred_lengths`](CtcCall::pred_lengths), [`label_lengths`](CtcCall::label_lengths), [`status`](CtcCall::status) | (N,) |
/// | losses | (N,); with [`Reduction::Mean`](crate::Reduction::Mean) and `Sum` one number |
///
/// Without `label_lengths` a padded label ends at its first −1, which unsigned types have not: all
/// their entries count. With it nothing behind a label is read. Frames behind a sample's length
/// are not read, and their gradient is 0.
///
/// # Values
///
/// - A label that no path spells costs +∞ ([`zero_infinity`](Self::zero_infinity): 0) with gradient
///   0: where there are fewer frames than labels and blanks between equal neighbours, or a class of
///   probability 0 (a logit of −∞) that every path names. [`CtcStatus`] tells which samples.
/// - No labels, no frames, or no class but the blank are nothing special: no labels cost
///   `−Σ ln p_blank`, and 0 in no frames.
/// - A NaN or a logit of +∞ makes its own sample NaN, the loss and the gradient of all its frames;
///   so do logits of a frame that are all −∞. A sample with too few frames is not read.
/// - Masks are exact: where a path must name a class of logit −10⁹, it costs 10⁹. A path that costs
///   more than about 10³⁰⁸ is one of probability 0.
/// - The loss of logits is never below 0.
///
/// # Accuracy
///
/// Of `f32` logits, at any length, against [`contract::CTC`](crate::contract::CTC): the loss is
/// within 10⁻⁷ of itself or 2·10⁻⁸ a frame, whichever is more, the gradient within 10⁻⁶.
/// Probabilities are a mantissa times a power of 2 each, so that nothing underflows, and each
/// frame's posteriors are divided by their own sum. Where a loss is below 1 for each of its frames,
/// so that roundings could matter, its path probabilities are summed once more in `f64`. Paths are
/// left out of the gradient where together they hold less than 2⁻³⁹ of the probability of all, once
/// every sixteen frames: 1.2·10⁻⁸ of a posterior in 100,000 frames. Of `f64` it is 2⁻⁶⁸, once every
/// eight, against [`contract::CTC_F64`](crate::contract::CTC_F64).
///
/// The bits of a sample are the same at every [`Level`](crate::Level), on any number of threads,
/// alone and in a batch. Samples are computed at the same time, and both halves of one where there
/// are more threads.
///
/// # Memory
///
/// A call needs scratch memory, which a [`Workspace`](crate::Workspace) keeps for the next call: for
/// each thread O(L + C) for losses alone, and O(L √T + C) for gradients, some megabytes at most for
/// 10,000 frames and 1,500 labels.
///
/// ```
/// use lossgrad::{CtcLoss, CtcStatus};
/// use lossgrad::ndarray::{Array3, array};
///
/// // Two samples of three frames; classes 0 and 1, and the blank.
/// let logits = Array3::<f32>::zeros((2, 3, 3));
/// let labels = array![[0, 1], [0, -1]];
/// let (loss, grad) = CtcLoss::new().loss_and_grad(&logits, &labels)?;
/// assert!((loss[0] - (27f32 / 5.0).ln()).abs() < 1e-6); // 5 of 27 paths spell 0 1
/// assert_eq!(grad.shape(), [2, 3, 3]);
///
/// let mut status = array![CtcStatus::Feasible, CtcStatus::Feasible];
/// let call = CtcLoss::new().zero_infinity(true).on(&logits, &labels);
/// let loss = call.pred_lengths(&array![1, 3]).status(&mut status).loss()?;
/// assert_eq!((loss[[0]], status[0]), (0.0, CtcStatus::Infeasible)); // one frame for two labels
/// # Ok::<(), lossgrad::Error>(())
/// ```
///
/// A. Graves et al., *Connectionist Temporal Classification*, ICML 2006. Values are those of Gluon,
/// whose blank is the last class; unlike there, a label that no path spells does not cost 0.
#[doc(alias("CTCLoss", "CTC"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CtcLoss {
    weight: f64,
    layout: CtcLayout,
    label_layout: CtcLabelLayout,
    blank: Option<usize>,
    log_probs: bool,
    zero_infinity: bool,
    per_label: bool,
}

impl Default for CtcLoss {
    fn default() -> Self {
        Self {
            weight: 1.0,
            layout: CtcLayout::Ntc,
            label_layout: CtcLabelLayout::Nt,
            blank: None,
            log_probs: false,
            zero_infinity: false,
            per_label: false,
        }
    }
}

impl CtcLoss {
    /// The loss with its default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Multiplies every loss and gradient; 1 where it is not given. It is rounded once to the type
    /// of pred. An error if it is not finite.
    pub fn weight(mut self, weight: f64) -> Result<Self, Error> {
        self.weight = finite("weight", weight)?;
        Ok(self)
    }

    /// The order of pred's axes; [`CtcLayout::Ntc`] where it is not given.
    pub fn layout(mut self, layout: CtcLayout) -> Self {
        self.layout = layout;
        self
    }

    /// The order of the axes of padded labels; [`CtcLabelLayout::Nt`] where it is not given.
    pub fn label_layout(mut self, layout: CtcLabelLayout) -> Self {
        self.label_layout = layout;
        self
    }

    /// The class that stands for no label; the last where it is not given, as in Gluon. A call
    /// whose classes it is not one of is an error.
    pub fn blank(mut self, class: usize) -> Self {
        self.blank = Some(class);
        self
    }

    /// Whether pred holds log-probabilities, the output of a log-softmax, instead of logits. Then
    /// nothing is normalised, and the gradient is that with respect to them: the posterior alone.
    /// Logits are more accurate and cost less.
    pub fn log_probs(mut self, log_probs: bool) -> Self {
        self.log_probs = log_probs;
        self
    }

    /// Whether a sample that no path spells costs 0 instead of +∞. Its gradient is 0 either way.
    pub fn zero_infinity(mut self, zero: bool) -> Self {
        self.zero_infinity = zero;
        self
    }

    /// Whether each loss is divided by its number of labels, or by 1 where there is none. With
    /// [`Reduction::Mean`](crate::Reduction::Mean) this is PyTorch's mean.
    pub fn per_label(mut self, per_label: bool) -> Self {
        self.per_label = per_label;
        self
    }

    /// Applies the loss to predictions and labels; the call can be set up further.
    pub fn on<'a, T: Element, I: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &'a ArrayRef<T, D>,
        label: &'a ArrayRef<I, E>,
    ) -> CtcCall<'a, T, D> {
        CtcCall::new(self, pred, I::erase(label))
    }

    /// As [`on`](Self::on), the gradient taking the place of the predictions.
    pub fn in_place<'a, T: Element, I: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &'a mut ArrayRef<T, D>,
        label: &'a ArrayRef<I, E>,
    ) -> CtcInPlaceCall<'a, T> {
        CtcInPlaceCall::new(self, pred, I::erase(label))
    }

    /// Each sample's loss, as a new array.
    pub fn loss<T: Element, I: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
        label: &ArrayRef<I, E>,
    ) -> Result<Array1<T>, Error> {
        self.on(pred, label).sample_loss()
    }

    /// The gradient of the sum of the samples' losses, as a new array.
    pub fn grad<T: Element, I: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
        label: &ArrayRef<I, E>,
    ) -> Result<Array<T, D>, Error> {
        self.on(pred, label).grad()
    }

    /// Each sample's loss and the gradient of their sum, as new arrays.
    pub fn loss_and_grad<T: Element, I: Integer, D: Dimension, E: Dimension>(
        self,
        pred: &ArrayRef<T, D>,
        label: &ArrayRef<I, E>,
    ) -> Result<(Array1<T>, Array<T, D>), Error> {
        self.on(pred, label).sample_loss_and_grad()
    }
}
