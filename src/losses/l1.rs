use super::common::{applied, common_options};
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// The absolute error: `|pred − label|`.
///
/// | | |
/// |---|---|
/// | label | pred's shape, any real number |
/// | gradient | the sign of `pred − label`: −1 or 1 |
/// | kink | at `pred = label` the gradient is 0 |
/// | infinities | an infinite difference costs +∞ with a gradient of ±1; ∞ − ∞ is NaN |
/// | NaN | a NaN of pred or label is the loss and gradient of its element |
/// | accuracy | A: the loss itself, rounded once; the gradient is exact |
///
/// ```
/// use lossgrad::L1Loss;
/// use ndarray::array;
///
/// let pred = array![[1.0f32, 2.0], [3.0, 4.0]];
/// let label = array![[1.0, 0.0], [3.0, 6.0]];
/// let (loss, grad) = L1Loss::new().loss_and_grad(&pred, &label)?;
/// assert_eq!(loss, array![1.0, 1.0]);
/// assert_eq!(grad, array![[0.0, 0.5], [0.0, -0.5]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("MeanAbsoluteError", "absolute_error", "mae"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct L1Loss {
    common: Common,
}

impl L1Loss {
    common_options!();
    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for L1Loss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(L1Loss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(_: L1Loss, work: impl Elements<T, 1>) {
    work.run(Formula);
}

#[derive(Clone, Copy)]
struct Formula;

impl<T: Element> Elementwise<T, 1> for Formula {
    const LIGHT: bool = true;

    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let (zero, one) = (pred.splat_like(0.0), pred.splat_like(1.0));
        let error = pred - label;
        // What is neither above nor below 0 is its own sign: 0, or NaN.
        let sign = error.lt(zero).select(-one, error);
        ValueGrad {
            value: error.abs(),
            grad: error.gt(zero).select(one, sign),
        }
    }
}
