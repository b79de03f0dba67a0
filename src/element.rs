use crate::math::Functions;

/// What tensors hold: `f32` or `f64`. Kernels compute in the same type and sum in `f64`.
///
/// The trait is sealed: its methods are the crate's own.
pub trait Element: Functions {}

impl Element for f32 {}
impl Element for f64 {}
