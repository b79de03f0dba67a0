//! How far results may be from the exact ones: the constants that the tests use.
//!
//! Let A be a loss's own reduction of the absolute values of its terms, c an element's coefficient
//! (weight · sample weight · upstream / divisor) and G the largest absolute term of that element's
//! derivative; each loss names its A and G. Then a loss is within [`Bound::loss`]` · A` of the exact
//! one, at any length up to 10⁸ elements, and a gradient within [`Bound::grad`]` · |c| · G`. Where a
//! formula subtracts inputs, the effect of rounding that difference once comes on top: a relative
//! [`Bound::epsilon`] of the difference.
//!
//! Sixteen terms at a time are added in the type computed in before they go to `f64`, so terms are
//! to stay below a sixteenth of the type's largest number.

/// The bounds for one element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Of a loss, relative to A.
    pub loss: f64,
    /// Of a gradient, relative to |c| · G.
    pub grad: f64,
    /// The spacing of the type's numbers at 1.
    pub epsilon: f64,
}

/// For `f32`: 10⁻⁶ and 4 · 2⁻²³.
pub const F32: Bound = Bound {
    loss: 1e-6,
    grad: 4.0 * f32::EPSILON as f64,
    epsilon: f32::EPSILON as f64,
};

/// For `f64`: 10⁻¹³ and 4 · 2⁻⁵².
pub const F64: Bound = Bound {
    loss: 1e-13,
    grad: 4.0 * f64::EPSILON,
    epsilon: f64::EPSILON,
};

/// The bounds of [`CtcLoss`](crate::CtcLoss).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CtcBound {
    /// Of a loss, relative to itself; the larger of this and the next counts.
    pub loss: f64,
    /// Of a loss, for each of its frames.
    pub loss_per_frame: f64,
    /// Of a gradient, absolute, for each unit of its sample's coefficient.
    pub grad: f64,
}

/// For `f32` logits at any length: 10⁻⁷, 2 · 10⁻⁸ and 10⁻⁶.
pub const CTC: CtcBound = CtcBound {
    loss: 1e-7,
    loss_per_frame: 2e-8,
    grad: 1e-6,
};

/// For `f64`: 10⁻¹⁴, 10⁻¹⁵ and 10⁻¹³.
pub const CTC_F64: CtcBound = CtcBound {
    loss: 1e-14,
    loss_per_frame: 1e-15,
    grad: 1e-13,
};
