//! One file a loss: its options, what it computes, and the formula.

mod class_label;
mod common;
pub(crate) mod ctc;
mod l2;
mod pointwise;
mod sigmoid_bce;
mod softmax_ce;

pub use class_label::ClassLabel;
pub use common::{Common, Inputs, Problem};
pub use ctc::{
    CtcCall, CtcGreedy, CtcInPlaceCall, CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Integer,
};
pub use l2::L2Loss;
pub use pointwise::{Labelled, Pointwise};
pub use sigmoid_bce::SigmoidBceLoss;
pub use softmax_ce::SoftmaxCeLoss;
