//! Connectionist temporal classification.

mod call;

mod emission;
mod greedy;
mod half;
mod integers;
mod job;
mod labels;
mod lattice;
mod sequence;
mod states;
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

/// Connectionist temporal classification: the negative log-likelihood of labels under all the ways
/// to spread them over the frames of a sequence.
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
