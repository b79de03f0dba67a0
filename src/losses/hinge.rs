use super::common::{applied, common_options};
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::Error;
use crate::checks::finite;
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::simd::{Isa, Lanes};

/// How far a score falls short of a margin: `max(0, margin − pred · label)`.
///
/// | | |
/// |---|---|
/// | label | pred's shape, −1 or 1; other labels follow the formula |
/// | gradient | `−label` where the loss is above 0, else 0 |
/// | kink | at `pred · label = margin` the gradient is 0 |
/// | infinities | `pred · label = +∞` costs 0 with a gradient of 0, `−∞` costs +∞ with `−label`; 0 · ∞ is NaN |
/// | NaN | a NaN of pred or label is the loss and gradient of its element |
/// | accuracy | A: the loss itself, rounded once; the gradient is exact |
///
/// ```
/// use lossgrad::HingeLoss;
/// use ndarray::array;
///
/// let (pred, label) = (array![[0.5f32, 2.0, 0.25]], array![[1.0, 1.0, -1.0]]);
/// let (loss, grad) = HingeLoss::new().weight(3.0)?.loss_and_grad(&pred, &label)?;
/// assert_eq!(loss, array![0.5 + 0.0 + 1.25]);
/// assert_eq!(grad, array![[-1.0, 0.0, 1.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("hinge_loss", "Hinge"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HingeLoss {
    common: Common,
    margin: f64,
}

impl Default for HingeLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            margin: 1.0,
        }
    }
}

impl HingeLoss {
    common_options!();

    /// What a score times its label is to reach; 1 where it is not given. It is rounded once to the
    /// type computed in. An error if it is not finite.
    pub fn margin(mut self, margin: f64) -> Result<Self, Error> {
        self.margin = finite("margin", margin)?;
        Ok(self)
    }

    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for HingeLoss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(HingeLoss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(loss: HingeLoss, work: impl Elements<T, 1>) {
    work.run(Formula(Margin::new(loss.margin)));
}

/// A margin, rounded to the type computed in.
#[derive(Clone, Copy)]
pub(super) struct Margin<T>(T);

impl<T: Element> Margin<T> {
    pub(super) fn new(margin: f64) -> Self {
        Self(T::from_f64(margin))
    }

    /// `max(0, margin − pred · label)`, rounded once: it is above 0 exactly where the score is below
    /// the margin. What is not above 0 is 0 or NaN.
    #[inline(always)]
    pub(super) fn shortfall<S: Isa>(self, pred: Lanes<T, S>, label: Lanes<T, S>) -> Lanes<T, S> {
        let margin = Lanes::splat(pred.simd(), self.0);
        // The constant first, which keeps a NaN.
        pred.splat_like(0.0).max(pred.neg_mul_add(label, margin))
    }
}

#[derive(Clone, Copy)]
struct Formula<T>(Margin<T>);

impl<T: Element> Elementwise<T, 1> for Formula<T> {
    const LIGHT: bool = true;

    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let shortfall = self.0.shortfall(pred, label);
        let active = shortfall.gt(pred.splat_like(0.0));
        ValueGrad {
            value: shortfall,
            grad: active.select(-label, shortfall),
        }
    }
}
