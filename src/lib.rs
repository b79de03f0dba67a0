//! Loss and gradient, in one pass over memory, on any CPU.
//!
//! Given predictions and labels that already lie in memory, a call writes each sample's loss and
//! the gradient of the predictions, without an autograd graph and without copies. AVX2, AVX-512 or
//! NEON are chosen at run time, rayon spreads the work over the batch, and the bits are the same
//! whatever the instruction set or the number of threads.
//!
//! ```
//! use lossgrad::SoftmaxCeLoss;
//! use lossgrad::ndarray::{ArrayView1, ArrayView2};
//!
//! let logits: &[f32] = &[2.0, 0.5, -1.0, 0.1, 0.2, 3.0];
//! let pred = ArrayView2::from_shape((2, 3), logits)?; // two samples of three classes
//! let label = ArrayView1::from(&[0_u8, 2]); // the class of each
//! let (loss, grad) = SoftmaxCeLoss::new().loss_and_grad(&pred, &label)?;
//! assert!((loss[0] - 0.2413).abs() < 1e-4);
//! assert_eq!(grad.shape(), [2, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One call for every loss
//!
//! A loss is a value with options. `on` applies it to predictions and labels and gives a [`Call`],
//! which takes weights, a [`Reduction`], an upstream derivative and an [`Exec`], and then computes
//! the loss, the gradient or both, into new arrays or into yours. `in_place` puts the gradient in
//! the predictions' place.
//!
//! ```
//! use lossgrad::ndarray::{Array2, array};
//! use lossgrad::{L2Loss, Reduction};
//!
//! let (pred, label) = (array![[1.0f32, 2.0], [3.0, 4.0]], array![[0.0, 2.0], [3.0, 2.0]]);
//! let weights = array![1.0, 0.0]; // one per sample: the second is masked
//! let mut grad = Array2::zeros((2, 2));
//! let call = L2Loss::new().on(&pred, &label).sample_weight(&weights).reduction(Reduction::Sum);
//! assert_eq!(call.scalar_and_grad_into(&mut grad)?, 0.5);
//! assert_eq!(grad, array![[1.0, 0.0], [0.0, 0.0]]);
//! # Ok::<(), lossgrad::Error>(())
//! ```
//!
//! [`coming_from_gluon`] and [`coming_from_pytorch`] say, call by call, which loss and options here
//! equal theirs.
//!
//! # Promises
//!
//! - **Accuracy**: the bounds of [`contract`], against the plain `f64` of [`mod@reference`].
//! - **The same bits** at every [`Level`], on any number of threads, for a sample alone or in a
//!   batch, for any strides. A sample's order of summation depends on its own logical shape alone.
//!   NaN payloads and hosts that flush subnormal numbers to zero are excepted.
//! - **Memory**: the `_into` and in-place calls allocate nothing up to rank 4. [`CtcLoss`] and
//!   [`SdmlLoss`] take a [`Workspace`], which grows once.
//! - **Errors**: everything is checked before the first write; no input panics.
//! - **NaN** reaches the loss and gradient of its own sample and of no other, whole-batch sums
//!   excepted. A weight of exactly 0 masks even that.
//!
//! [`SdmlLoss`] compares the samples of a batch with each other: its results depend on all of them
//! by definition.

#![deny(unsafe_code)]

pub mod coming_from_gluon;
pub mod coming_from_pytorch;
pub mod contract;
pub mod math;
pub mod reference;

mod call;
mod checks;
mod drivers;
mod element;
mod error;
mod exec;
mod layout;
mod losses;
mod parallel;
mod reduction;
#[allow(
    unsafe_code,
    reason = "loads, stores and instructions; each block has its argument"
)]
mod simd;
#[allow(
    unsafe_code,
    reason = "disjoint parts of an output; each block has its argument"
)]
mod tensor;
mod unroll;
#[allow(unsafe_code, reason = "bytes as numbers; each block has its argument")]
mod workspace;

pub use ndarray;

pub use call::{Call, InPlaceCall};
pub use element::Element;
pub use error::Error;
pub use exec::{Exec, Stores, Threading};
pub use losses::{
    ClassLabel, CosineEmbeddingLoss, CtcCall, CtcGreedy, CtcInPlaceCall, CtcLabelLayout, CtcLayout,
    CtcLoss, CtcStatus, HingeLoss, HuberLoss, Integer, KlDivLoss, L1Loss, L2Loss, LabelFormat,
    LogFactorial, LogisticLoss, PoissonNllLoss, SdmlLoss, SigmoidBceLoss, SignLabel, SoftmaxCeLoss,
    SquaredHingeLoss, TripletLoss,
};
pub use reduction::Reduction;
pub use simd::Level;
pub use workspace::Workspace;

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
