//! A batch, some rows of its matrix of distances at a time.

use super::{Batch, SdmlLoss};
use crate::drivers::all_pairs::{self, Kept, Matrix};
use crate::drivers::rows::{self, RowLabel};
use crate::drivers::{Factor, Operand, Outputs, Plan, Scaling, UnitScale, Work};
use crate::element::Element;
use crate::layout::{AxisSet, Grid, Shelf};
use crate::losses::softmax_ce::CrossEntropy;
use crate::tensor::{Source, Target, Tensor, TensorMut};
use crate::workspace::{Room, bytes_of};
use crate::{Exec, math};
use core::ops::Range;

/// Bytes of the matrix of distances that are kept at a time.
const MATRIX_BYTES: usize = 4 << 20;

/// Rows of the matrix that are kept at least, so that what is read of the other vectors is shared.
const FEWEST_ROWS: usize = 16;

/// The most parts that gradients of x2 are made in where each is rounded; more are added in f64.
const MOST_ROUNDED: usize = 16;

/// What is kept while a call runs.
pub(super) struct Rooms<'r, T> {
    /// Some rows of the matrix: minus the distances, then the derivatives with respect to them.
    matrix: &'r mut [T],
    /// The shares of a row around its partner's, which stands in the middle.
    shares: &'r mut [T],
    /// For each row of the matrix whether it takes part, its coefficient, and its loss.
    takes_part: &'r mut [T],
    coefficients: &'r mut [T],
    losses: &'r mut [T],
    /// The gradient of x2, where it is made in many parts.
    kept: &'r mut [f64],
}

impl<'r, T: Element> Rooms<'r, T> {
    /// How many rows of the matrix there are at a time.
    fn rows(vectors: usize) -> usize {
        let fit = MATRIX_BYTES / size_of::<T>() / vectors.max(1);
        fit.clamp(FEWEST_ROWS, vectors.max(FEWEST_ROWS))
            .min(vectors)
    }

    /// How many entries of x2's gradient are kept in f64 until the last rows were seen.
    fn kept(vectors: usize, len: usize) -> usize {
        let parts = vectors.div_ceil(Self::rows(vectors).max(1));
        match parts > MOST_ROUNDED {
            true => vectors.saturating_mul(len),
            false => 0,
        }
    }

    pub(super) fn bytes(batch: &Batch<'_>, in_place: bool) -> usize {
        let Batch { vectors, len, .. } = *batch;
        let rows = Self::rows(vectors);
        let copies = match in_place {
            true => bytes_of::<T>(vectors.saturating_mul(len)),
            false => 0,
        };
        bytes_of::<T>(rows.saturating_mul(vectors))
            .saturating_add(bytes_of::<T>(vectors.saturating_mul(2)))
            .saturating_add(bytes_of::<T>(rows).saturating_mul(3))
            .saturating_add(bytes_of::<f64>(Self::kept(vectors, len)))
            .saturating_add(copies.saturating_mul(2))
    }

    fn take(room: &mut Room<'r>, vectors: usize, len: usize) -> Self {
        let rows = Self::rows(vectors);
        Self {
            matrix: room.take(rows * vectors),
            shares: room.take(2 * vectors - 1),
            takes_part: room.take(rows),
            coefficients: room.take(rows),
            losses: room.take(rows),
            kept: room.take(Self::kept(vectors, len)),
        }
    }
}

pub(super) fn run<T: Element>(loss: SdmlLoss, work: Work<'_, '_, T, Batch<'_>, 2>) {
    let Work {
        plan,
        inputs: mut batch,
        outputs,
    } = work;
    let Outputs {
        operands: [x1, x2],
        each,
        totals,
    } = outputs.reborrow();
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
    let mut rooms = Rooms::take(&mut room, vectors, len);
    let entropy = spread_shares(plan.exec, loss.smoothing, rooms.shares);
    let rows_apart = ([vectors, len], [len as isize, 1]);
    let (x1, mut x1_grad) = split(x1, &mut room, &rows_apart, plan.grid.shelf);
    let (x2, mut x2_grad) = split(x2, &mut room, &rows_apart, plan.grid.shelf);
    let wants_gradient = x1_grad.is_some() || x2_grad.is_some();

    let mut sum = 0.0;
    let step = Rooms::<T>::rows(vectors);
    for start in (0..vectors).step_by(step) {
        let rows = start..vectors.min(start + step);
        let matrix = &mut rooms.matrix[..rows.len() * vectors];
        all_pairs::distances(plan.exec, &x1, rows.clone(), &x2, vectors, len, matrix);
        rooms.set_coefficients(plan, &rows);
        rooms.cross_entropy(plan.exec, &rows, vectors, wants_gradient);

        let matrix = Matrix {
            values: &rooms.matrix[..rows.len() * vectors],
            rows: &rows,
            columns: vectors,
            takes_part: &rooms.takes_part[..rows.len()],
        };
        if let Some(grad) = &mut x1_grad {
            let grad = grad.part(rows.clone());
            all_pairs::pull_rows(plan.exec, matrix, [&x1, &x2], len, grad);
        }
        if let Some(grad) = &mut x2_grad {
            let kept = match rooms.kept.is_empty() {
                true => Kept::InPlace { adds: start > 0 },
                false => Kept::Apart {
                    values: rooms.kept,
                    is_first: start == 0,
                    is_last: rows.end == vectors,
                },
            };
            all_pairs::pull_columns(plan.exec, matrix, [&x2, &x1], len, grad.reborrow(), kept);
        }
        for (row, &cross_entropy) in rows.zip(rooms.losses.iter()) {
            match UnitScale::of(plan, 0, row) {
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

/// An operand's input and the place of its gradient; in place, the input is copied first, to rows of the
/// given shape and strides.
fn split<'r, T: Element>(
    operand: Operand<'r, T>,
    room: &mut Room<'r>,
    (shape, strides): &'r ([usize; 2], [isize; 2]),
    shelf: &'r Shelf,
) -> (Source<'r, T>, Option<Target<'r, T>>) {
    match operand {
        Operand::Read(input) => (input, None),
        Operand::Copy(input, grad) => (input, Some(grad)),
        Operand::InPlace(grad) => {
            let &[vectors, len] = shape;
            let copy = room.take(vectors * len);
            for row in 0..vectors {
                let place = &mut copy[row * len..][..len];
                grad.as_source().copy_row(0, row, 0..len, place);
            }
            let copy = Tensor::of_slice(copy, 0, (shape, strides));
            let grid = Grid::new(shape, None, AxisSet::One(1), shelf);
            (Source::of_rows(copy, &grid), Some(grad))
        }
    }
}

impl<T: Element> Rooms<'_, T> {
    fn set_coefficients(&mut self, plan: &Plan<'_, T>, rows: &Range<usize>) {
        let places = self.takes_part.iter_mut().zip(self.coefficients.iter_mut());
        for (row, (takes_part, coefficient)) in rows.clone().zip(places) {
            let grad = UnitScale::of(plan, 0, row).map(|scale| scale.grad);
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
        let shelf = Shelf::new();
        let grid = Grid::new(&shape, None, AxisSet::One(1), &shelf);
        let rows_apart: (&[usize], &[isize]) = (&shape, &[vectors as isize, 1]);
        // One value for each row.
        let column: (&[usize], &[isize]) = (&shape[..1], &[1]);
        let factor = |values| {
            let values = Tensor::of_slice(values, 0, column).lacking(AxisSet::One(1));
            Factor {
                values: Some(Source::of_units(values, &grid)),
                uniform: false,
                by_class: false,
            }
        };
        let plan = Plan {
            exec,
            scaling: Scaling {
                weight: 1.0,
                divisor: 1.0,
            },
            each_class: false,
            sample_weight: factor(&self.takes_part[..count]),
            upstream: factor(&self.coefficients[..count]),
            may_stream: false,
            grid,
        };
        // Each row is a window of the same values, an entry earlier than that of the row before.
        let first = vectors - 1 - rows.start;
        let shares = Tensor::of_slice(self.shares, first, (&shape, &[-1, 1]));
        let matrix = &mut self.matrix[..count * vectors];
        let logits = if wants_gradient {
            let matrix = TensorMut::of_slice(matrix, rows_apart);
            Operand::InPlace(Target::of_rows(matrix, &grid))
        } else {
            let matrix = Tensor::of_slice(matrix, 0, rows_apart);
            Operand::Read(Source::of_rows(matrix, &grid))
        };
        let losses = TensorMut::of_slice(&mut self.losses[..count], column);
        let losses = losses.lacking(AxisSet::One(1));
        let mut outputs = Outputs {
            operands: [logits],
            each: Some(Target::of_units(losses, &grid)),
            totals: None,
        };
        rows::run(
            CrossEntropy { normalise: true },
            Work {
                plan: &plan,
                inputs: (RowLabel::Shares(Source::of_rows(shares, &grid)), vectors),
                outputs: &mut outputs,
            },
        );
    }
}
