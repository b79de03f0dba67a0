//! scaffold
#![allow(dead_code)]
mod call;
mod checks;
mod drivers;
mod element;
mod error;
mod exec;
mod layout;
mod losses;
pub mod math;
mod reduction;
pub mod reference;
mod simd;
mod tensor;
pub use call::{Call, InPlaceCall};
pub use element::Element;
pub use error::Error;
pub use exec::{Exec, Threading};
pub use losses::{ClassLabel, L2Loss, SigmoidBceLoss, SoftmaxCeLoss};
pub use reduction::Reduction;
pub use simd::Level;
