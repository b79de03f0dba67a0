use super::scratch::Scratch;
use super::{PairLoss, Pairs};
use crate::drivers::terms::SUM_BLOCK;
use crate::drivers::{Gathered, Outputs};
use crate::element::Element;
use crate::math::powers::{exponent, normal_exponent, power_of_two};
use crate::simd::{InOut, Isa, Lanes, Sum, prefetch};
use core::ops::Range;

/// How many bytes ahead memory is asked for where operands do not fit the caches: a page.
const AHEAD: usize = 4096;

impl<T, L, const K: usize, const J: usize> Pairs<'_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// The loss of a row of one chunk, and its gradients.
    #[inline(always)]
    pub(super) fn row<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T, K>,
        at: (usize, usize),
        coefficient: f64,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) -> T {
        let all = 0..self.len;
        let mut exponents = [0; K];
        let mut sums = self.sums::<S, false>(simd, outputs, at, all.clone(), exponents, scratch);
        if L::SCALE_INVARIANT && !L::are_reliable(sums) {
            exponents = exponents_of(Self::largest(simd, outputs, at, all.clone(), scratch));
            sums = self.sums::<S, true>(simd, outputs, at, all.clone(), exponents, scratch);
        }
        let label = L::label(&self.labels, at.0, at.1);
        let (loss, factors) = self.loss.finish(sums, exponents, label, coefficient);
        self.grads(simd, outputs, at, all, factors, scratch);
        loss
    }

    /// The sums over some entries of a row, multiplied by powers of 2 before where `SCALED`.
    #[inline(always)]
    pub(super) fn sums<S: Isa, const SCALED: bool>(
        &self,
        simd: S,
        outputs: &Outputs<'_, T, K>,
        (sample, unit): (usize, usize),
        entries: Range<usize>,
        exponents: [i32; K],
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) -> [f64; J] {
        let scales = exponents.map(|exponent| Lanes::splat(simd, power_of_two::<T>(exponent)));
        let mut sums = [Gathered::zero(simd); J];
        for piece in Scratch::pieces(scratch, &entries) {
            let mut rooms = Scratch::rooms(scratch).into_iter();
            let rows = outputs.operands.each_ref().map(|operand| {
                let room = rooms.next().expect("a room for each operand");
                operand.read_row(sample, unit, piece.clone(), room)
            });
            let mut at = 0;
            while at < piece.len() {
                let mut block = [Sum::zero(simd); J];
                for _ in 0..SUM_BLOCK {
                    if at >= piece.len() {
                        break;
                    }
                    let mut lanes = [scales[0]; K];
                    for (lanes, row) in lanes.iter_mut().zip(rows) {
                        if self.large {
                            prefetch(simd, &row[at..], AHEAD);
                        }
                        *lanes = if piece.len() - at >= T::LANES {
                            Lanes::load(simd, &row[at..])
                        } else {
                            Lanes::load_partial(simd, &row[at..])
                        };
                    }
                    if SCALED {
                        for (lanes, scale) in lanes.iter_mut().zip(scales) {
                            *lanes = *lanes * scale;
                        }
                    }
                    self.loss.add(lanes, &mut block);
                    at += T::LANES;
                }
                for (sum, block) in sums.iter_mut().zip(block) {
                    sum.gather(block);
                }
            }
        }
        let mut folded = [0.0; J];
        for (folded, sum) in folded.iter_mut().zip(sums) {
            *folded = sum.total().fold();
        }
        folded
    }

    /// The largest absolute value among some entries of each operand's row; NaNs are passed over.
    #[inline(always)]
    pub(super) fn largest<S: Isa>(
        simd: S,
        outputs: &Outputs<'_, T, K>,
        (sample, unit): (usize, usize),
        entries: Range<usize>,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) -> [T; K] {
        let mut largest = [T::ZERO; K];
        for piece in Scratch::pieces(scratch, &entries) {
            let rooms = Scratch::rooms(scratch);
            for ((largest, operand), room) in largest.iter_mut().zip(&outputs.operands).zip(rooms) {
                let row = operand.read_row(sample, unit, piece.clone(), room);
                let mut lanes = Lanes::splat(simd, *largest);
                let mut chunks = row.chunks_exact(T::LANES);
                for chunk in &mut chunks {
                    lanes = Lanes::load(simd, chunk).abs().max(lanes);
                }
                let rest = Lanes::load_partial(simd, chunks.remainder());
                lanes = rest.abs().max(lanes);
                let mut values = [T::ZERO; 16];
                lanes.store(&mut values);
                for &value in &values[..T::LANES] {
                    if value > *largest {
                        *largest = value;
                    }
                }
            }
        }
        largest
    }

    /// Writes the gradients of some entries of a row.
    #[inline(always)]
    pub(super) fn grads<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T, K>,
        (sample, unit): (usize, usize),
        entries: Range<usize>,
        factors: Option<L::Factors>,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) {
        let wanted = outputs
            .operands
            .each_mut()
            .map(|operand| operand.grad().is_some());
        if !wanted.contains(&true) {
            return;
        }
        let Some(factors) = factors else {
            for operand in &mut outputs.operands {
                if let Some(grad) = operand.grad() {
                    grad.fill(sample, unit..unit + 1, T::ZERO);
                }
            }
            return;
        };
        for piece in Scratch::pieces(scratch, &entries) {
            let mut rooms = Scratch::rooms(scratch).into_iter();
            let mut copied = [false; K];
            let mut flags = copied.iter_mut();
            let runs = outputs.operands.each_mut().map(|operand| {
                let room = rooms.next().expect("a room for each operand");
                let (run, is_copied) = operand.row(sample, unit, piece.clone(), room);
                if let Some(flag) = flags.next() {
                    *flag = is_copied;
                }
                run
            });
            drop(rooms);
            let mut pass = GradPass {
                simd,
                loss: self.loss,
                runs,
                wanted,
                factors,
            };
            pass.run(piece.len());
            let rooms = Scratch::rooms(scratch);
            for ((operand, room), copied) in outputs.operands.iter_mut().zip(rooms).zip(copied) {
                if copied && let Some(grad) = operand.grad() {
                    grad.write_row(sample, unit, piece.start, &room[..piece.len()]);
                }
            }
        }
    }
}

/// The second pass over neighbouring entries.
struct GradPass<'g, T: Element, S: Isa, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    simd: S,
    loss: L,
    runs: [InOut<'g, T>; K],
    /// Which gradients are wanted.
    wanted: [bool; K],
    factors: L::Factors,
}

impl<T, S, L, const K: usize, const J: usize> GradPass<'_, T, S, L, K, J>
where
    T: Element,
    S: Isa,
    L: PairLoss<T, K, J>,
{
    #[inline(always)]
    fn run(&mut self, len: usize) {
        let mut at = 0;
        while len - at >= T::LANES {
            self.step::<true>(at);
            at += T::LANES;
        }
        if at < len {
            self.step::<false>(at);
        }
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) {
        let mut entries = [Lanes::splat(self.simd, T::ZERO); K];
        for (entries, run) in entries.iter_mut().zip(&self.runs) {
            *entries = run.load::<S, FULL>(self.simd, at);
        }
        let grads = self.loss.grads(entries, self.factors);
        for ((run, grad), wanted) in self.runs.iter_mut().zip(grads).zip(self.wanted) {
            if wanted {
                run.store::<S, FULL>(at, grad);
            }
        }
    }
}

/// The powers of 2 that take each row's largest entry near 1.
pub(super) fn exponents_of<T: Element, const K: usize>(largest: [T; K]) -> [i32; K] {
    largest.map(|largest| match largest.to_f64() {
        0.0 => 0,
        largest => normal_exponent::<T>(-exponent(largest)),
    })
}
