use super::{AHEAD, PairLoss};
use crate::drivers::Gathered;
use crate::drivers::terms::SUM_BLOCK;
use crate::element::Element;
use crate::math::powers::power_of_two;
use crate::simd::{InOut, Isa, Lanes, Sum};

/// Some entries of a unit's rows, each row's neighbours in memory.
pub(super) struct Entries<'r, T, const K: usize> {
    pub(super) rows: [InOut<'r, T>; K],
    /// Whether memory is asked for ahead.
    pub(super) ask_ahead: bool,
    /// Whether gradients go past the caches, if all are wanted.
    pub(super) stream: bool,
}

impl<T: Element, const K: usize> Entries<'_, T, K> {
    /// How many entries there are.
    #[inline(always)]
    fn len(&self) -> usize {
        self.rows[0].len()
    }

    #[inline(always)]
    fn load<S: Isa, const FULL: bool>(&self, simd: S, at: usize) -> [Lanes<T, S>; K] {
        let mut entries = [Lanes::splat(simd, T::ZERO); K];
        for (entries, row) in entries.iter_mut().zip(&self.rows) {
            *entries = row.load::<S, FULL>(simd, at);
        }
        entries
    }

    /// Adds what the entries, multiplied by powers of 2 where these are given, contribute to sums.
    #[inline(always)]
    pub(super) fn sum<S: Isa, L: PairLoss<T, K, J>, const J: usize>(
        &self,
        simd: S,
        loss: L,
        exponents: Option<[i32; K]>,
        sums: &mut [Gathered<S>; J],
    ) {
        let len = self.len();
        // Checked once here, not at every vector.
        assert!(self.rows.iter().all(|row| row.len() == len));
        let mut at = 0;
        while at < len {
            let mut block = [Sum::zero(simd); J];
            for _ in 0..SUM_BLOCK {
                if at >= len {
                    break;
                }
                let mut entries = if len - at >= T::LANES {
                    if self.ask_ahead {
                        for row in &self.rows {
                            row.prefetch(simd, at, AHEAD);
                            if !self.stream {
                                row.prefetch_target(simd, at, AHEAD);
                            }
                        }
                    }
                    self.load::<S, true>(simd, at)
                } else {
                    self.load::<S, false>(simd, at)
                };
                if let Some(exponents) = exponents {
                    for (entries, exponent) in entries.iter_mut().zip(exponents) {
                        *entries = *entries * Lanes::splat(simd, power_of_two(exponent));
                    }
                }
                loss.add(entries, &mut block);
                at += T::LANES;
            }
            for (sum, block) in sums.iter_mut().zip(block) {
                sum.gather(block);
            }
        }
    }

    /// Raises `largest` to the largest absolute value among the entries of each row; NaNs are passed
    /// over.
    #[inline(always)]
    pub(super) fn largest<S: Isa>(&self, simd: S, largest: &mut [T; K]) {
        for (largest, row) in largest.iter_mut().zip(&self.rows) {
            let mut lanes = Lanes::splat(simd, *largest);
            for at in (0..row.len()).step_by(T::LANES) {
                lanes = row.load::<S, false>(simd, at).abs().max(lanes);
            }
            *largest = lanes.largest();
        }
    }

    /// Writes the gradients of the entries, zeros where there are no factors.
    #[inline(always)]
    pub(super) fn write<S: Isa, L: PairLoss<T, K, J>, const J: usize>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
    ) {
        let len = self.len();
        let mut at = 0;
        // What is left of a line that was written by way of the caches takes many times as long.
        if self.stream && self.rows.iter().all(InOut::is_streamable_to_its_end) {
            at = self.vectors::<S, L, J, true>(simd, loss, factors);
            let grads = self.grads::<S, L, J, false>(simd, loss, factors, at);
            for (row, grad) in self.rows.iter_mut().zip(grads) {
                row.stream_some(at, grad);
            }
            return;
        }
        if self.rows.iter().all(InOut::is_writable) {
            at = self.vectors::<S, L, J, false>(simd, loss, factors);
        } else if self.rows.iter().any(InOut::is_writable) {
            while len - at >= T::LANES {
                self.step::<S, L, J, true>(simd, loss, factors, at);
                at += T::LANES;
            }
        } else {
            return;
        }
        if at < len {
            self.step::<S, L, J, false>(simd, loss, factors, at);
        }
    }

    /// Writes the gradients of whole vectors of all rows, and returns how many entries these have.
    #[inline(always)]
    fn vectors<S: Isa, L: PairLoss<T, K, J>, const J: usize, const STREAM: bool>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
    ) -> usize {
        let len = self.len();
        // Checked once here, not at every vector.
        assert!(
            self.rows
                .iter()
                .all(|row| row.len() == len && row.is_writable())
        );
        let mut at = 0;
        while len - at >= T::LANES {
            let grads = self.grads::<S, L, J, true>(simd, loss, factors, at);
            for (row, grad) in self.rows.iter_mut().zip(grads) {
                match STREAM {
                    true => row.stream(at, grad),
                    false => row.store::<S, true>(at, grad),
                }
            }
            at += T::LANES;
        }
        at
    }

    #[inline(always)]
    fn step<S: Isa, L: PairLoss<T, K, J>, const J: usize, const FULL: bool>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
        at: usize,
    ) {
        let grads = self.grads::<S, L, J, FULL>(simd, loss, factors, at);
        for (row, grad) in self.rows.iter_mut().zip(grads) {
            if row.is_writable() {
                row.store::<S, FULL>(at, grad);
            }
        }
    }

    #[inline(always)]
    fn grads<S: Isa, L: PairLoss<T, K, J>, const J: usize, const FULL: bool>(
        &self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
        at: usize,
    ) -> [Lanes<T, S>; K] {
        match factors {
            Some(factors) => loss.grads(self.load::<S, FULL>(simd, at), factors),
            None => [Lanes::splat(simd, T::ZERO); K],
        }
    }
}
