use super::common::{applied, common_options};
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::Error;
use crate::checks::positive;
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// Squared error near the label, absolute error beyond a threshold ρ of it.
///
/// With `d = pred − label`:
///
/// | | `\|d\| ≤ ρ` | `\|d\| ≥ ρ` |
/// |---|---|---|
/// | loss | `d² / (2ρ)` | `\|d\| − ρ/2` |
/// | gradient | `d / ρ` | −1 or 1 |
///
/// | | |
/// |---|---|
/// | label | pred's shape, any real number |
/// | threshold | at `\|d\| = ρ` both columns say the same |
/// | infinities | an infinite difference costs +∞ with a gradient of ±1; ∞ − ∞ is NaN |
/// | NaN | a NaN of pred or label is the loss and gradient of its element |
/// | accuracy | A: the loss itself; G: the absolute gradient |
///
/// As in Gluon the whole is divided by ρ, so that the gradient is at most 1: PyTorch calls that
/// `SmoothL1Loss` with `beta = ρ`. The `HuberLoss` of PyTorch and of Keras with `delta = ρ` is ρ times
/// it, for which there is [`weight`](Self::weight).
///
/// ```
/// use lossgrad::HuberLoss;
/// use ndarray::array;
///
/// let (pred, label) = (array![[0.5f32, 1.0, 5.0]], array![[0.0, 0.0, 1.0]]);
/// let (loss, grad) = HuberLoss::new(1.0)?.weight(3.0)?.loss_and_grad(&pred, &label)?;
/// assert_eq!(loss, array![0.125 + 0.5 + 3.5]);
/// assert_eq!(grad, array![[0.5, 1.0, 1.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("SmoothL1Loss", "SmoothedL1", "smooth_l1_loss", "Huber"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HuberLoss {
    common: Common,
    rho: f64,
}

/// ρ = 1.
impl Default for HuberLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            rho: 1.0,
        }
    }
}

impl HuberLoss {
    /// The loss with the threshold ρ. It is rounded once to the type computed in; beyond the
    /// smallest normal number and its reciprocal it counts as that. An error unless it is finite and
    /// above 0.
    pub fn new(rho: f64) -> Result<Self, Error> {
        Ok(Self {
            rho: positive("rho", rho)?,
            ..Self::default()
        })
    }

    common_options!(but new);
    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for HuberLoss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(HuberLoss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(loss: HuberLoss, work: impl Elements<T, 1>) {
    work.run(Formula::<T>::new(loss.rho));
}

#[derive(Clone, Copy)]
struct Formula<T> {
    half_rho: T,
    inverse_rho: T,
}

impl<T: Element> Formula<T> {
    fn new(rho: f64) -> Self {
        let smallest = T::SMALLEST_NORMAL;
        // Within these bounds ρ has a reciprocal.
        let rho = T::from_f64(rho).to_f64().clamp(smallest, 1.0 / smallest);
        Self {
            half_rho: T::from_f64(0.5 * rho),
            inverse_rho: T::from_f64(1.0 / rho),
        }
    }
}

impl<T: Element> Elementwise<T, 1> for Formula<T> {
    const LIGHT: bool = true;

    /// With the gradient `g = d / ρ`, cut off at −1 and 1, the loss is `g (d − g ρ/2)` on either side
    /// of the threshold: nothing is computed that is not used.
    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let one = pred.splat_like(1.0);
        let half_rho = Lanes::splat(pred.simd(), self.half_rho);
        let inverse_rho = Lanes::splat(pred.simd(), self.inverse_rho);
        let error = pred - label;
        // The constant first, which keeps a NaN.
        let grad = one.min((-one).max(error * inverse_rho));
        ValueGrad {
            value: grad * grad.neg_mul_add(half_rho, error),
            grad,
        }
    }
}
