//! One file a loss: its options, what it computes, and the formula.

mod class_label;
mod common;
mod cosine_embedding;
mod l2;
mod pointwise;
mod sdml;
mod sigmoid_bce;
mod sign_label;
mod softmax_ce;
mod triplet;

pub use class_label::ClassLabel;
pub use common::{Common, Inputs, Problem};
pub use cosine_embedding::CosineEmbeddingLoss;
pub use l2::L2Loss;
pub use pointwise::{Labelled, Pointwise};
pub use sdml::SdmlLoss;
pub use sigmoid_bce::SigmoidBceLoss;
pub use sign_label::{SignLabel, Signs};
pub use softmax_ce::SoftmaxCeLoss;
pub use triplet::TripletLoss;
