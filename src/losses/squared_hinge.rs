use super::common::{applied, common_options};
use super::hinge::Margin;
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::Error;
use crate::checks::finite;
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// The square of how far a score falls short of a margin: `max(0, margin − pred · label)²`.
///
/// With `r = max(0, margin − pred · label)`:
///
/// | | |
/// |---|---|
/// | label | pred's shape, −1 or 1; other labels follow the formula |
/// | gradient | `−2 label r`, which is 0 where the loss is |
/// | infinities | `pred · label = +∞` costs 0 with a gradient of 0, `−∞` costs +∞ with an infinite gradient; 0 · ∞ is NaN |
/// | NaN | a NaN of pred or label is the loss and gradient of its element |
/// | accuracy | A: the loss itself; G: the absolute gradient |
///
/// ```
/// use lossgrad::SquaredHingeLoss;
/// use ndarray::array;
///
/// let (pred, label) = (array![[0.5f32, 2.0, 1.0]], array![[1.0, 1.0, -1.0]]);
/// let (loss, grad) = SquaredHingeLoss::new().weight(3.0)?.loss_and_grad(&pred, &label)?;
/// assert_eq!(loss, array![0.25 + 0.0 + 4.0]);
/// assert_eq!(grad, array![[-1.0, 0.0, 4.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("squared_hinge", "SquaredHinge"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredHingeLoss {
    common: Common,
    margin: f64,
}

impl Default for SquaredHingeLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            margin: 1.0,
        }
    }
}

impl SquaredHingeLoss {
    common_options!();

    /// What a score times its label is to reach; 1 where it is not given. It is rounded once to the
    /// type computed in. An error if it is not finite.
    pub fn margin(mut self, margin: f64) -> Result<Self, Error> {
        self.margin = finite("margin", margin)?;
        Ok(self)
    }

    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for SquaredHingeLoss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(SquaredHingeLoss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(loss: SquaredHingeLoss, work: impl Elements<T, 1>) {
    work.run(Formula(Margin::new(loss.margin)));
}

#[derive(Clone, Copy)]
struct Formula<T>(Margin<T>);

impl<T: Element> Elementwise<T, 1> for Formula<T> {
    const LIGHT: bool = true;

    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let shortfall = self.0.shortfall(pred, label);
        let slope = label * shortfall * pred.splat_like(-2.0);
        // An infinite label times nothing would be NaN.
        let active = shortfall.gt(pred.splat_like(0.0));
        ValueGrad {
            value: shortfall * shortfall,
            grad: active.select(slope, shortfall),
        }
    }
}
