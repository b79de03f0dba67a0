//! Every loss again, in plain scalar `f64`: the formulas as one would write them on paper.
//!
//! This module is for reading and for checking. Nothing here is fast, nothing here knows about
//! instruction sets, blocks or threads; each file states its loss, the derivative, and the two
//! yardsticks by which the fast code is judged:
//!
//! * the **magnitude** A of a loss: the sum of the absolute values of the terms it adds up. Where
//!   every term is positive, A is the loss itself.
//! * the **scale** G of a derivative: the largest absolute term in it. Where terms cancel, a
//!   derivative cannot be more accurate than its largest term.
//!
//! Some formulas subtract one input from another, or add a constant, before they go on. That
//! difference, or that constant, is rounded once, whatever comes after it, and the **slack** says
//! how far a relative error of 1 in each would move the result. All three belong to one unit (an
//! element, or a row of classes); [`Terms::reduce`] carries them through weights and reductions to
//! the numbers that the library returns. The library then promises, with `u` the spacing of its numbers at 1
//! (2⁻²³ for `f32`, 2⁻⁵² for `f64`) and `r` = 10⁻⁶ for `f32`, 10⁻¹³ for `f64`:
//!
//! ```text
//! |loss     − reference| ≤ r · magnitude  + u · loss_slack
//! |gradient − reference| ≤ 4 · u · scale  + u · grad_slack
//! ```
//!
//! Arguments are not checked politely here: a shape that does not fit panics.
//!
//! ```
//! use lossgrad::reference::{self, Weighting};
//! use ndarray::array;
//!
//! let pred = array![[1.0, 2.0], [3.0, 5.0]].into_dyn();
//! let label = array![[1.0, 1.0], [1.0, 1.0]].into_dyn();
//! let result = reference::l2(&pred, &label).reduce(&Weighting::default());
//! assert_eq!(result.loss, array![0.25, 5.0].into_dyn());
//! assert_eq!(result.grad, array![[0.0, 0.5], [1.0, 2.0]].into_dyn());
//! ```
#![forbid(unsafe_code)]

mod cosine_embedding;
mod ctc;
mod hinge;
mod huber;
mod kl_div;
mod l1;
mod l2;
mod logistic;
mod maths;
mod poisson_nll;
mod reduction;
mod sdml;
mod sigmoid_bce;
mod softmax_ce;
mod terms;
mod triplet;

pub use cosine_embedding::cosine_embedding;
pub use ctc::{Ctc, ctc};
pub use hinge::{hinge, squared_hinge};
pub use huber::huber;
pub use kl_div::{kl_div, kl_div_of_logits};
pub use l1::l1;
pub use l2::l2;
pub use logistic::logistic;
pub use poisson_nll::poisson_nll;
pub use reduction::{Reduced, Weighting};
pub use sdml::sdml;
pub use sigmoid_bce::{FROM_SIGMOID_EPSILON, sigmoid_bce};
pub use softmax_ce::{softmax_ce_dense, softmax_ce_sparse};
pub use terms::Terms;
pub use triplet::triplet;
