use super::leaf::Rows;
use super::outcome::First;
use super::pieces::parts;
use super::room::{PIECE, Room};
use super::row::{LeftOut, first_lane, subtracted};
use super::{RowLabel, RowLoss};
use crate::drivers::schedule::Leaf;
use crate::drivers::terms::SUM_BLOCK;
use crate::drivers::{Aligned, Outputs, Plan};
use crate::element::Element;
use crate::math::lanes::exp_nonpos;
use crate::simd::{InOut, Isa, Kernel, Lanes, Mask, Sum, dispatch};
use core::ops::Range;

/// Rows of logits whose classes each have a loss, which is wanted or has a factor of its own.
///
/// Where a row's classes share their factors and only the sum of their losses is wanted, the row is
/// the unit, and this is not needed.
pub(super) struct Classes<'i, T, R> {
    pub(super) rows: Rows<'i, T, R, true>,
}

impl<T: Element, R: RowLoss<T>> Leaf<T> for Classes<'_, T, R> {
    fn units(&self) -> usize {
        self.rows.units()
    }

    fn cost(&self) -> usize {
        self.rows.cost()
    }

    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let run = Run {
            rows: &self.rows,
            plan,
            outputs,
            samples,
            units,
            finish,
        };
        dispatch(plan.exec.level, run)
    }
}

/// The work of one leaf, or of a run of samples that have one leaf each.
struct Run<'r, 'i, 'a, 'o, T, R> {
    rows: &'r Rows<'i, T, R, true>,
    plan: &'r Plan<'a, T>,
    outputs: &'r mut Outputs<'o, T>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
}

/// Room for a piece of a row and everything that belongs to its classes.
#[repr(align(64))]
struct Pieces<T> {
    logits: [T; PIECE],
    shares: [T; PIECE],
    losses: [T; PIECE],
    /// Each class's weight, and what its loss and its derivative are multiplied by.
    factors: [[T; PIECE]; 3],
}

impl<T: Element, R: RowLoss<T>> Kernel for Run<'_, '_, '_, '_, T, R> {
    type Home = R;
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> f64 {
        let zeros = [T::ZERO; PIECE];
        let mut room = Aligned([zeros; 2]);
        let mut room = Room::of_pieces(&mut room.0);
        let mut pieces = Pieces {
            logits: zeros,
            shares: zeros,
            losses: zeros,
            factors: [zeros; 3],
        };
        let mut sum = 0.0;
        for sample in self.samples.clone() {
            sum = 0.0;
            for unit in self.units.clone() {
                if self.plan.is_masked(sample) {
                    self.outputs.mask(sample, unit..unit + 1);
                } else {
                    sum += self.row(simd, (sample, unit), &mut room, &mut pieces);
                }
            }
            if self.finish {
                self.outputs.finish(self.plan, sample, sum);
            }
        }
        sum
    }
}

impl<T: Element, R: RowLoss<T>> Run<'_, '_, '_, '_, T, R> {
    /// Computes a row's losses and gradient, and returns the sum of its terms.
    #[inline(always)]
    fn row<S: Isa>(
        &mut self,
        simd: S,
        at: (usize, usize),
        room: &mut Room<'_, T>,
        pieces: &mut Pieces<T>,
    ) -> f64 {
        let all = 0..self.rows.classes;
        let Some(share) = self.weighted_share(simd, at, all.clone(), pieces) else {
            self.outputs.mask(at.0, at.1..at.1 + 1);
            return 0.0;
        };
        let (max, class) = self.rows.largest(simd, self.outputs, at, all.clone(), room);
        let left_out = LeftOut::new(simd, class, max, max);
        let (row, outputs) = ((at, all.clone()), &mut *self.outputs);
        let first = First {
            left_out: class,
            max,
            keep: false,
        };
        let sums = self.rows.forward(simd, outputs, row, room, first);
        let row = self.rows.finished(simd, &left_out, sums);
        let surprise = T::from_f64(first_lane(row.surprise()));
        let probability = T::from_f64(first_lane(row.probability()));
        let mut pass = Pass {
            simd,
            loss: self.rows.loss,
            subtracted: Lanes::splat(simd, subtracted(left_out.max)),
            surprise: Lanes::splat(simd, surprise),
            probability: Lanes::splat(simd, probability),
            share: Lanes::splat(simd, T::from_f64(share)),
            sum: Sum::zero(simd),
        };
        for part in parts(&all, PIECE) {
            self.load(at, part.clone(), pieces);
            let len = part.len();
            let logits = &mut pieces.logits[..len];
            let run = Piece {
                run: InOut::in_place(logits),
                shares: &pieces.shares[..len],
                losses: &mut pieces.losses[..len],
                factors: pieces.factors.each_ref().map(|factor| &factor[..len]),
            };
            pass.run(run);
            if self.rows.grad
                && let Some(grad) = self.outputs.pred().grad()
            {
                grad.write_row(at.0, at.1, part.start, &pieces.logits[..len]);
            }
            if let Some(each) = &mut self.outputs.each {
                each.write_row(at.0, at.1, part.start, &pieces.losses[..len]);
            }
        }
        pass.sum.fold()
    }

    /// Copies a piece of a row and all that belongs to it.
    fn load(&mut self, (sample, unit): (usize, usize), part: Range<usize>, to: &mut Pieces<T>) {
        let len = part.len();
        self.outputs
            .pred()
            .copy_row(sample, unit, part.clone(), &mut to.logits[..len]);
        self.load_label(sample, unit, part, to);
    }

    fn load_label(&self, sample: usize, unit: usize, part: Range<usize>, to: &mut Pieces<T>) {
        if let RowLabel::Shares(shares) = &self.rows.label {
            shares.copy_row(sample, unit, part.clone(), &mut to.shares[..part.len()]);
        }
        let factors = to.factors.each_mut().map(|factor| &mut factor[..]);
        self.plan.class_factors(sample, unit, part, factors);
    }

    /// The sum of the label's shares times the coefficients of their classes' derivatives, or
    /// nothing where a weight of 0 masks every class.
    #[inline(always)]
    fn weighted_share<S: Isa>(
        &self,
        simd: S,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        pieces: &mut Pieces<T>,
    ) -> Option<f64> {
        let mut sum = Sum::zero(simd);
        let mut any = false;
        for part in parts(&classes, PIECE) {
            let len = part.len();
            self.load_label(sample, unit, part, pieces);
            let [weights, _, coefficients] = &pieces.factors;
            any |= weights[..len].iter().any(|&weight| weight != T::ZERO);
            let mut at = 0;
            while at < len {
                let mut block = Sum::zero(simd);
                for _ in 0..SUM_BLOCK {
                    if at >= len {
                        break;
                    }
                    let lanes = at..len.min(at + T::LANES);
                    let weight = Lanes::load_partial(simd, &weights[lanes.clone()]);
                    let share = Lanes::load_partial(simd, &pieces.shares[lanes.clone()]);
                    let coefficient = Lanes::load_partial(simd, &coefficients[lanes]);
                    let [share, coefficient] = unmasked(weight, [share, coefficient]);
                    block.add_product(self.rows.loss.share(share), coefficient);
                    at += T::LANES;
                }
                sum = sum.plus(block);
            }
        }
        any.then(|| sum.fold())
    }
}

/// Values of classes, 0 where a weight of 0 masks them.
#[inline(always)]
fn unmasked<T: Element, S: Isa>(weight: Lanes<T, S>, values: [Lanes<T, S>; 2]) -> [Lanes<T, S>; 2] {
    let zero = weight.splat_like(0.0);
    let masked = weight.eq(zero);
    [
        masked.select(zero, values[0]),
        masked.select(zero, values[1]),
    ]
}

/// A piece of a row with everything that belongs to its classes.
struct Piece<'p, T> {
    run: InOut<'p, T>,
    shares: &'p [T],
    losses: &'p mut [T],
    factors: [&'p [T]; 3],
}

/// The last pass over a row, given what the first passes found.
struct Pass<T: Element, S: Isa, R> {
    simd: S,
    loss: R,
    /// What is subtracted from the logits.
    subtracted: Lanes<T, S>,
    /// What the likeliest class costs.
    surprise: Lanes<T, S>,
    /// What an exponential is multiplied by to become a probability.
    probability: Lanes<T, S>,
    /// The sum of the shares times their coefficients.
    share: Lanes<T, S>,
    sum: Sum<S>,
}

impl<T: Element, S: Isa, R: RowLoss<T>> Pass<T, S, R> {
    #[inline(always)]
    fn run(&mut self, mut piece: Piece<'_, T>) {
        let len = piece.run.len();
        let mut at = 0;
        while at < len {
            let mut block = Sum::zero(self.simd);
            for _ in 0..SUM_BLOCK {
                if at >= len {
                    break;
                }
                block.add(self.step(&mut piece, at));
                at += T::LANES;
            }
            self.sum = self.sum.plus(block);
        }
    }

    /// Writes the losses and derivatives of a vector of classes, and returns its terms.
    #[inline(always)]
    fn step(&self, piece: &mut Piece<'_, T>, at: usize) -> Lanes<T, S> {
        let simd = self.simd;
        let zero = Lanes::splat(simd, T::ZERO);
        let len = piece.run.len();
        let to = len.min(at + T::LANES);
        let logit = piece.run.load::<S, false>(simd, at);
        let share = Lanes::load_partial(simd, &piece.shares[at..to]);
        let mut factors = [zero; 3];
        for (lanes, factor) in factors.iter_mut().zip(piece.factors) {
            *lanes = Lanes::load_partial(simd, &factor[at..to]);
        }
        let [weight, loss_scale, coefficient] = factors;
        let [counted, coefficient] = unmasked(weight, [share, coefficient]);
        let distance = self.subtracted - logit;
        let value = self.loss.term(share, distance + self.surprise);
        let masked = weight.eq(zero);
        let loss = masked.select(zero, loss_scale * value);
        loss.store_partial(&mut piece.losses[at..to]);
        let probability = exp_nonpos(-distance) * self.probability;
        let grad = coefficient.neg_mul_add(counted, probability * self.share);
        piece.run.store::<S, false>(at, grad);
        let inside = Mask::first(simd, len - at);
        inside.select(masked.select(zero, weight * value), zero)
    }
}
