use super::common::{common_options, compared};
use super::{Common, Inputs, Problem};
use crate::Error;
use crate::checks::{Shapes, Unit, finite};
use crate::drivers::pairs::{self, PairLoss};
use crate::drivers::{Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::simd::{Isa, Lanes, Sum};

/// How much nearer a prediction is to a positive example than to a negative one:
/// `max(0, ‖positive − pred‖² − ‖negative − pred‖² + margin)`.
///
/// | | |
/// |---|---|
/// | inputs | pred, positive and negative of one shape; a sample is everything but the batch axis |
/// | loss | one per sample, whatever the rank: (N,), also for [`Reduction::None`](crate::Reduction::None) |
/// | gradient | of pred `2 (negative − positive)`, of positive `2 (positive − pred)`, of negative `2 (pred − negative)`; 0 where the loss is 0, at the kink too |
/// | infinities | an infinite distance to the positive example costs +∞, to the negative one 0, with gradient 0; to both NaN. So does a distance whose square is beyond the range of f64 |
/// | NaN | a NaN in any of the three is the sample's loss and its gradients |
/// | accuracy | A: both squared distances and the margin's absolute value; G: the absolute value of the gradient |
///
/// The distances are squared, without root or epsilon, as Gluon's: two equal vectors have the
/// gradient 0. A loss within rounding of 0 may have either gradient.
///
/// ```
/// use lossgrad::TripletLoss;
/// use ndarray::array;
///
/// let pred = array![[1.0f32, 2.0]];
/// let (positive, negative) = (array![[1.5, 2.0]], array![[0.0, 1.5]]);
/// // Exactly as much nearer as the margin asks for.
/// let (loss, _) = TripletLoss::new().loss_and_grads(&pred, &positive, &negative)?;
/// assert_eq!(loss, array![0.0]);
///
/// let wider = TripletLoss::new().margin(2.0)?;
/// let (loss, [pred_grad, ..]) = wider.loss_and_grads(&pred, &positive, &negative)?;
/// assert_eq!(loss, array![1.0]);
/// assert_eq!(pred_grad, array![[-3.0, -1.0]]);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("TripletMarginLoss", "triplet_margin_loss"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletLoss {
    common: Common,
    margin: f64,
}

impl Default for TripletLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            margin: 1.0,
        }
    }
}

impl TripletLoss {
    common_options!();

    /// By how much the negative example is to be farther away, as a squared distance; 1 where it is
    /// not given. An error if it is not finite.
    pub fn margin(mut self, margin: f64) -> Result<Self, Error> {
        self.margin = finite("margin", margin)?;
        Ok(self)
    }

    compared!(3: pred, positive, negative; problem: Triplet);
}

/// A [`TripletLoss`] of its three inputs.
pub struct Triplet {
    loss: TripletLoss,
}

impl Triplet {
    fn new(loss: TripletLoss) -> Self {
        Self { loss }
    }
}

impl<T: Element> Problem<T, 3> for Triplet {
    type Loss = TripletLoss;

    const OPERANDS: [&'static str; 3] = ["pred", "positive", "negative"];
    const GRADS: [&'static str; 3] = ["grad of pred", "grad of positive", "grad of negative"];

    fn loss(&self) -> TripletLoss {
        self.loss
    }

    fn common(&self) -> Common {
        self.loss.common
    }

    fn unit(&self) -> Unit {
        Unit::Sample
    }

    fn check<'c>(
        &'c self,
        _: &Shapes<'_>,
        grid: &Grid<'c>,
    ) -> Result<Inputs<'c, Self, T, 3>, Error> {
        Ok(((), grid.row_len))
    }
}

compiled!(TripletLoss, operands: 3, inputs: ((), usize), run: run);

fn run<T: Element>(loss: TripletLoss, work: Work<'_, '_, T, ((), usize), 3>) {
    let margin = T::from_f64(loss.margin).to_f64();
    pairs::run::<_, _, 3, 2>(Formula { margin }, work);
}

#[derive(Clone, Copy)]
struct Formula {
    margin: f64,
}

impl<T: Element> PairLoss<T, 3, 2> for Formula {
    type Labels<'a> = ();
    type Label = ();
    /// Twice the coefficient.
    type Factors = T;

    const SCALE_INVARIANT: bool = false;

    fn label(_: &(), _: usize, _: usize) {}

    #[inline(always)]
    fn add<S: Isa>(
        self,
        [pred, positive, negative]: [Lanes<T, S>; 3],
        [to_positive, to_negative]: &mut [Sum<S>; 2],
    ) {
        let (near, far) = (positive - pred, negative - pred);
        to_positive.add_product(near, near);
        to_negative.add_product(far, far);
    }

    fn are_reliable(_: [f64; 2]) -> bool {
        true
    }

    #[inline(always)]
    fn finish(
        self,
        [to_positive, to_negative]: [f64; 2],
        _: [i32; 3],
        _: (),
        coefficient: f64,
    ) -> (T, Option<T>) {
        let loss = (to_positive - to_negative) + self.margin;
        if loss <= 0.0 {
            return (T::ZERO, None);
        }
        let coefficient = match loss.is_nan() {
            true => loss,
            false => coefficient,
        };
        (T::from_f64(loss), Some(T::from_f64(2.0 * coefficient)))
    }

    #[inline(always)]
    fn grads<S: Isa>(
        self,
        [pred, positive, negative]: [Lanes<T, S>; 3],
        factor: T,
    ) -> [Lanes<T, S>; 3] {
        let factor = Lanes::splat(pred.simd(), factor);
        [
            (negative - positive) * factor,
            (positive - pred) * factor,
            (pred - negative) * factor,
        ]
    }
}
