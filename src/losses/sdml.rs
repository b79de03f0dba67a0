use super::common::{common_options, compared};
use super::softmax_ce::CrossEntropy;
use super::{Common, Inputs, Problem};
use crate::checks::{Shapes, Unit};
use crate::drivers::all_pairs::{self, Matrix};
use crate::drivers::rows::{self, RowLabel};
use crate::drivers::{Factor, Operand, Outputs, Plan, UnitScale, Work, compiled};
use crate::element::Element;
use crate::layout::Grid;
use crate::tensor::{Source, Target, Tensor, TensorMut};
use crate::workspace::{Room, Workspace, bytes_of};
use crate::{Call, Error, Exec, InPlaceCall, math};
use core::cell::{RefCell, RefMut};
use core::ops::Range;
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
/// | NaN, infinities | a NaN or infinity in x1_i makes loss i NaN, one in x2 all losses; gradients of x2 take part in every loss |
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

    fn check<'c>(&'c self, shapes: &Shapes, grid: &Grid) -> Result<Inputs<'c, Self, T, 2>, Error> {
        let lent = self.workspace.as_ref();
        Ok(Batch {
            vectors: grid.units,
            len: shapes.classes(),
            bytes: 0,
            memory: match lent.and_then(|workspace| workspace.try_borrow_mut().ok()) {
                Some(lent) => Memory::Lent(RefMut::map(lent, |workspace| &mut **workspace)),
                None => Memory::Own(Workspace::new()),
            },
        })
    }

    fn reserve(&self, batch: &mut Inputs<'_, Self, T, 2>, in_place: bool) -> Result<(), Error> {
        batch.bytes = Kept::<T>::bytes(batch, in_place);
        batch.room().map(drop)
    }
}

compiled!(SdmlLoss, operands: 2, inputs: Batch<'a>, run: run);

/// Bytes of the matrix of distances that are kept at a time.
const MATRIX_BYTES: usize = 4 << 20;

/// The most groups of rows that the matrix is made in: gradients of x2 are rounded once for each.
const MOST_BLOCKS: usize = 64;

/// What is kept while a call runs.
struct Kept<'r, T> {
    /// Some rows of the matrix: minus the distances, then the derivatives with respect to them.
    matrix: &'r mut [T],
    /// The shares of a row around its partner's, which stands in the middle.
    shares: &'r mut [T],
    /// For each row of the matrix whether it takes part, its coefficient, and its loss.
    takes_part: &'r mut [T],
    coefficients: &'r mut [T],
    losses: &'r mut [T],
}

impl<'r, T: Element> Kept<'r, T> {
    /// How many rows of the matrix there are at a time.
    fn rows(vectors: usize) -> usize {
        let fit = MATRIX_BYTES / size_of::<T>() / vectors.max(1);
        let few = vectors.div_ceil(MOST_BLOCKS);
        fit.max(few).clamp(1, vectors.max(1))
    }

    fn bytes(batch: &Batch<'_>, in_place: bool) -> usize {
        let Batch { vectors, len, .. } = *batch;
        let rows = Self::rows(vectors);
        let copies = match in_place {
            true => bytes_of::<T>(vectors.saturating_mul(len)),
            false => 0,
        };
        bytes_of::<T>(rows.saturating_mul(vectors))
            .saturating_add(bytes_of::<T>(vectors.saturating_mul(2)))
            .saturating_add(bytes_of::<T>(rows).saturating_mul(3))
            .saturating_add(copies.saturating_mul(2))
    }

    fn take(room: &mut Room<'r>, vectors: usize) -> Self {
        let rows = Self::rows(vectors);
        Self {
            matrix: room.take(rows * vectors),
            shares: room.take(2 * vectors - 1),
            takes_part: room.take(rows),
            coefficients: room.take(rows),
            losses: room.take(rows),
        }
    }
}

fn run<T: Element>(loss: SdmlLoss, work: Work<'_, T, Batch<'_>, 2>) {
    let Work {
        plan,
        inputs: mut batch,
        outputs,
    } = work;
    let Outputs {
        operands: [x1, x2],
        each,
        totals,
    } = outputs;
    let mut losses = Outputs {
        operands: [],
        each,
        totals,
    };
    let (vectors, len) = (batch.vectors, batch.len);
    if vectors == 0 {
        losses.finish(plan, 0, 0.0);
        return;
    }
    let Ok(mut room) = batch.room() else {
        unreachable!("the room was reserved");
    };
    let mut kept = Kept::take(&mut room, vectors);
    let entropy = spread_shares(plan.exec, loss.smoothing, kept.shares);
    let (x1, mut x1_grad) = split(x1, &mut room, vectors, len);
    let (x2, mut x2_grad) = split(x2, &mut room, vectors, len);
    let wants_gradient = x1_grad.is_some() || x2_grad.is_some();

    let mut sum = 0.0;
    let step = Kept::<T>::rows(vectors);
    for start in (0..vectors).step_by(step) {
        let rows = start..vectors.min(start + step);
        let matrix = &mut kept.matrix[..rows.len() * vectors];
        all_pairs::distances(plan.exec, &x1, rows.clone(), &x2, vectors, len, matrix);
        kept.set_coefficients(plan, &rows);
        kept.cross_entropy(plan.exec, &rows, vectors, wants_gradient);

        let matrix = Matrix {
            values: &kept.matrix[..rows.len() * vectors],
            rows: &rows,
            columns: vectors,
            takes_part: &kept.takes_part[..rows.len()],
        };
        if let Some(grad) = &mut x1_grad {
            let grad = grad.part(rows.clone());
            all_pairs::pull_rows(plan.exec, matrix, [&x1, &x2], len, grad);
        }
        if let Some(grad) = &mut x2_grad {
            let adds = start > 0;
            all_pairs::pull_columns(plan.exec, matrix, [&x2, &x1], len, grad.reborrow(), adds);
        }
        for (row, &cross_entropy) in rows.zip(kept.losses.iter()) {
            match scale_of(plan, row) {
                None => losses.mask(0, row..row + 1),
                Some(scale) => {
                    let loss = cross_entropy.to_f64() + entropy;
                    // Rounding may take a divergence below 0; the comparison keeps a NaN.
                    let loss = if loss < 0.0 { 0.0 } else { loss };
                    sum += scale.emit(&mut losses, 0, row, T::from_f64(loss));
                }
            }
        }
    }
    losses.finish(plan, 0, sum);
}

/// The factors of a pair, or `None` where a weight of 0 masks it.
fn scale_of<T: Element>(plan: &Plan<'_, T>, row: usize) -> Option<UnitScale<T>> {
    match plan.is_masked(0) {
        true => None,
        false => UnitScale::of(plan, 0, row),
    }
}

/// Writes the shares of the vectors around a partner, and returns what they contribute to every
/// loss, `Σ share ln share`.
fn spread_shares<T: Element>(exec: Exec, smoothing: f64, shares: &mut [T]) -> f64 {
    let partner = shares.len() / 2;
    let others = partner as f64;
    let [of_partner, of_other] = match partner {
        0 => [1.0, 0.0],
        _ => [1.0 - smoothing, smoothing / others],
    }
    .map(T::from_f64);
    shares.fill(of_other);
    shares[partner] = of_partner;
    let shares = [of_partner.to_f64(), of_other.to_f64()];
    let mut logs = shares;
    math::log(exec.level, &mut logs);
    let mut entropy = shares[0] * logs[0];
    if shares[1] > 0.0 {
        entropy += others * (shares[1] * logs[1]);
    }
    entropy
}

/// An operand's input and the place of its gradient; in place, the input is copied first.
fn split<'r, T: Element>(
    operand: Operand<'r, T>,
    room: &mut Room<'r>,
    vectors: usize,
    len: usize,
) -> (Source<'r, T>, Option<Target<'r, T>>) {
    match operand {
        Operand::Read(input) => (input, None),
        Operand::Copy(input, grad) => (input, Some(grad)),
        Operand::InPlace(grad) => {
            let copy = room.take(vectors * len);
            for row in 0..vectors {
                let place = &mut copy[row * len..][..len];
                grad.as_source().copy_row(0, row, 0..len, place);
            }
            let grid = Grid::new(&[vectors, len], None, &[1]);
            let copy = Source::of_rows(&Tensor::matrix(copy, vectors, len), &grid);
            (copy, Some(grad))
        }
    }
}

impl<T: Element> Kept<'_, T> {
    fn set_coefficients(&mut self, plan: &Plan<'_, T>, rows: &Range<usize>) {
        let places = self.takes_part.iter_mut().zip(self.coefficients.iter_mut());
        for (row, (takes_part, coefficient)) in rows.clone().zip(places) {
            let grad = scale_of(plan, row).map(|scale| scale.grad);
            *takes_part = T::from_f64(f64::from(u8::from(grad.is_some())));
            *coefficient = T::from_f64(grad.unwrap_or(0.0));
        }
    }

    /// The cross entropy of each row of the matrix with the shares of its pair; derivatives take
    /// the matrix's place if they are wanted.
    fn cross_entropy(
        &mut self,
        exec: Exec,
        rows: &Range<usize>,
        vectors: usize,
        wants_gradient: bool,
    ) {
        let count = rows.len();
        let shape = [count, vectors];
        let grid = Grid::new(&shape, None, &[1]);
        let factor = |values| Factor {
            values: Some(Source::of_units(
                &Tensor::of_slice(values).along(&shape, 0),
                &grid,
            )),
            uniform: false,
            by_class: false,
        };
        let plan = Plan {
            exec,
            weight: 1.0,
            divisor: 1.0,
            each_class: false,
            sample_weight: factor(&self.takes_part[..count]),
            upstream: factor(&self.coefficients[..count]),
            stream: false,
            grid: grid.clone(),
        };
        let shares = Tensor::staircase(self.shares, vectors - 1 - rows.start, count, vectors);
        let matrix = &mut self.matrix[..count * vectors];
        let logits = match wants_gradient {
            true => Operand::InPlace(Target::of_rows(
                TensorMut::matrix(matrix, count, vectors),
                &grid,
            )),
            false => Operand::Read(Source::of_rows(
                &Tensor::matrix(matrix, count, vectors),
                &grid,
            )),
        };
        let losses = TensorMut::of_slice(&mut self.losses[..count]).along(2, 0);
        rows::run(
            CrossEntropy::<true>,
            Work {
                plan: &plan,
                inputs: (RowLabel::Shares(Source::of_rows(&shares, &grid)), vectors),
                outputs: Outputs {
                    operands: [logits],
                    each: Some(Target::of_units(losses, &grid)),
                    totals: None,
                },
            },
        );
    }
}
