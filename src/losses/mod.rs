//! One file a loss: its options, what it computes, and the formula.

mod class_label;
mod common;
mod cosine_embedding;
pub(crate) mod ctc;
mod hinge;
mod huber;
mod kl_div;
mod l1;
mod l2;
mod logistic;
mod logit;
mod pointwise;
mod poisson_nll;
mod sdml;
mod sigmoid_bce;
mod sign_label;
mod softmax_ce;
mod squared_hinge;
mod triplet;

pub use class_label::ClassLabel;
pub use common::{Common, FlatInputs, Inputs, Problem};
pub use cosine_embedding::CosineEmbeddingLoss;
pub use ctc::{
    CtcCall, CtcGreedy, CtcInPlaceCall, CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Integer,
};
pub use hinge::HingeLoss;
pub use huber::HuberLoss;
pub use kl_div::KlDivLoss;
pub use l1::L1Loss;
pub use l2::L2Loss;
pub use logistic::{LabelFormat, LogisticLoss};
pub use pointwise::{Labelled, Pointwise};
pub use poisson_nll::{LogFactorial, PoissonNllLoss};
pub use sdml::SdmlLoss;
pub use sigmoid_bce::SigmoidBceLoss;
pub use sign_label::{SignLabel, Signs};
pub use softmax_ce::SoftmaxCeLoss;
pub use squared_hinge::SquaredHingeLoss;
pub use triplet::TripletLoss;
