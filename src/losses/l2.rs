use super::common::{applied, common_options};
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// Half the squared error: `½ (pred − label)²`.
///
/// | | |
/// |---|---|
/// | label | pred's shape, any real number |
/// | gradient | `pred − label` |
/// | infinities | an infinite difference costs +∞ with an infinite gradient; ∞ − ∞ is NaN |
/// | NaN | a NaN of pred or label is the loss and gradient of its element |
/// | accuracy | A: the loss itself; G: the absolute difference, rounded once |
///
/// The ½ is Gluon's: its weight of 1 stands for it.
///
/// ```
/// use lossgrad::L2Loss;
/// use ndarray::array;
///
/// let pred = array![[1.0f32, 2.0], [3.0, 4.0]];
/// let label = array![[1.0, 0.0], [3.0, 6.0]];
/// let (loss, grad) = L2Loss::new().loss_and_grad(&pred, &label)?;
/// assert_eq!(loss, array![1.0, 1.0]);
/// assert_eq!(grad, array![[0.0, 1.0], [0.0, -1.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("MSELoss", "MeanSquaredError", "squared_error", "HalfSquaredError"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct L2Loss {
    common: Common,
}

impl L2Loss {
    common_options!();
    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for L2Loss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(L2Loss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(_: L2Loss, work: impl Elements<T, 1>) {
    work.run(Formula);
}

#[derive(Clone, Copy)]
struct Formula;

impl<T: Element> Elementwise<T, 1> for Formula {
    const LIGHT: bool = true;

    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let error = pred - label;
        ValueGrad {
            value: pred.splat_like(0.5) * error * error,
            grad: error,
        }
    }
}
