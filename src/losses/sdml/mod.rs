mod batch;

use super::common::{common_options, compared};
use super::{Common, Inputs, Problem};
use crate::checks::{Shapes, Unit};
use crate::drivers::compiled;
use crate::element::Element;
use crate::layout::Grid;
use crate::workspace::{Room, Workspace};
use crate::{Call, Error, InPlaceCall};
use batch::Rooms;
use core::cell::{RefCell, RefMut};
use ndarray::Dimension;

/// Smoothed deep metric learning: each vector of x1 is to be nearer to its partner in x2 than to
/// every other vector of the batch.
///
/// With the squared distances `d_ij = ‖x1_i − x2_j‖²`, `p_i = softmax(−d_i)` over the batch, and a
/// share of `1 − smoothing` for the partner and `smoothing / (N − 1)` for every other vector:
///
/// | | |
/// |---|---|
/// | inputs | x1 and x2 of one shape; a vector is everything but the batch axis |
/// | loss | one per pair: `Σ_j share_ij (ln share_ij − ln p_ij)`, (N,), also for [`Reduction::None`](crate::Reduction::None) |
/// | gradient | of x1_i `2 Σ_j (share_ij − p_ij) (x1_i − x2_j)`, of x2_j `2 Σ_i (share_ij − p_ij) (x2_j − x1_i)`, each term times the coefficient of loss i |
/// | one pair | costs 0, with gradient 0: there is no other vector to give a share to |
/// | NaN | a NaN in x1_i makes loss i and the gradients of x1_i and of all x2 NaN, one in x2 all losses and gradients |
/// | range, infinities | a squared distance beyond the type's range, an infinite one too, counts as its largest number; a gradient of an infinite vector is infinite or NaN |
/// | in place | the workspace holds a copy of both inputs |
/// | accuracy | A: `Σ share_ij (\|ln share_ij\| + \|ln p_ij\|)`; G: the sum of the absolute values of the gradient's terms, those of the share and of p each. Rounding the differences of entries once comes on top: a relative 2⁻²³ (2⁻⁵²) of d_ij on the term |
///
/// Unlike the other losses, this one depends on its batch by definition. A sample weight of 0 masks
/// its loss, and takes x1_i out of every gradient; x2_i still is a vector that others compare with.
///
/// Distances are sums of squared differences, so that a common offset of all vectors costs no
/// digits. Memory is that of some rows of the matrix of distances: a [`Workspace`], which the call
/// can be [lent](crate::Call::workspace).
///
/// After "Large Scale Question Paraphrase Retrieval with Smoothed Deep Metric Learning" (Bonadiman,
/// Kumar and Mittal, arXiv 1905.12786).
///
/// ```
/// use lossgrad::SdmlLoss;
/// use ndarray::array;
///
/// let (x1, x2) = (array![[0.0f32, 0.0], [1.0, 1.0]], array![[0.0, 0.1], [1.0, 0.9]]);
/// let (loss, [x1_grad, x2_grad]) = SdmlLoss::new().loss_and_grads(&x1, &x2)?;
/// assert!((loss[0] - 0.0821133).abs() < 1e-6);
/// assert_eq!((x1_grad.shape(), x2_grad.shape()), (x1.shape(), x2.shape()));
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("SDMLLoss", "NTXentLoss", "MultipleNegativesRankingLoss", "InfoNCE"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SdmlLoss {
    common: Common,
    smoothing: f64,
}

impl Default for SdmlLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            smoothing: 0.3,
        }
    }
}

impl SdmlLoss {
    common_options!();

    /// The share that is spread over all vectors but the partner; 0.3 where it is not given. An
    /// error unless it is at least 0 and below 1.
    pub fn smoothing_parameter(mut self, smoothing: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&smoothing) {
            return Err(Error::Value {
                option: "smoothing_parameter",
                found: smoothing,
                expected: "a share from 0 to below 1",
            });
        }
        self.smoothing = smoothing;
        Ok(self)
    }

    compared!(2: x1, x2; problem: Sdml<'a>);
}

/// An [`SdmlLoss`] with the workspace that it was lent.
pub struct Sdml<'a> {
    loss: SdmlLoss,
    workspace: Option<RefCell<&'a mut Workspace>>,
}

impl Sdml<'_> {
    fn new(loss: SdmlLoss) -> Self {
        Self {
            loss,
            workspace: None,
        }
    }
}

impl<'a, T: Element, D: Dimension> Call<'a, Sdml<'a>, T, D, 2> {
    /// The memory that the call works in, which makes it allocate nothing once that has grown;
    /// without one, each call makes its own.
    pub fn workspace(mut self, workspace: &'a mut Workspace) -> Self {
        self.problem.workspace = Some(RefCell::new(workspace));
        self
    }
}

impl<'a, T: Element> InPlaceCall<'a, Sdml<'a>, T, 2> {
    /// As [`Call::workspace`]. In place it also holds a copy of both inputs.
    pub fn workspace(mut self, workspace: &'a mut Workspace) -> Self {
        self.problem.workspace = Some(RefCell::new(workspace));
        self
    }
}

/// How large the call is, and its memory.
pub struct Batch<'c> {
    vectors: usize,
    len: usize,
    bytes: usize,
    memory: Memory<'c>,
}

enum Memory<'c> {
    Own(Workspace),
    Lent(RefMut<'c, Workspace>),
}

impl Batch<'_> {
    fn room(&mut self) -> Result<Room<'_>, Error> {
        match &mut self.memory {
            Memory::Own(workspace) => workspace.room(self.bytes),
            Memory::Lent(workspace) => workspace.room(self.bytes),
        }
    }
}

impl<T: Element> Problem<T, 2> for Sdml<'_> {
    type Loss = SdmlLoss;

    const OPERANDS: [&'static str; 2] = ["x1", "x2"];
    const GRADS: [&'static str; 2] = ["grad of x1", "grad of x2"];

    fn loss(&self) -> SdmlLoss {
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
    ) -> Result<Inputs<'c, Self, T, 2>, Error> {
        Ok(Batch {
            vectors: grid.units,
            len: grid.row_len,
            bytes: 0,
            memory: match &self.workspace {
                Some(lent) => Memory::Lent(RefMut::map(lent.borrow_mut(), |lent| &mut **lent)),
                None => Memory::Own(Workspace::new()),
            },
        })
    }

    fn reserve(&self, batch: &mut Inputs<'_, Self, T, 2>, in_place: bool) -> Result<(), Error> {
        batch.bytes = Rooms::<T>::bytes(batch, in_place);
        batch.room().map(drop)
    }
}

compiled!(SdmlLoss, operands: 2, inputs: Batch<'a>, run: batch::run);
