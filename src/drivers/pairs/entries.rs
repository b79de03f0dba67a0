use super::{AHEAD, PairLoss};
use crate::drivers::Gathered;
use crate::drivers::terms::{GROUP, SUM_BLOCK};
use crate::element::Element;
use crate::math::powers::power_of_two;
use crate::simd::{InOut, Isa, Lanes, Sum};

/// Some entries of a unit's rows, each row's neighbours in memory.
pub(super) struct Entries<'r, T, const K: usize>(pub(super) [InOut<'r, T>; K]);

/// Which gradients go past the caches, where all of a unit are wanted.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum PastCaches {
    Nothing,
    /// Those that begin and end with cache lines.
    WholeLines,
    /// All that can.
    Everything,
}

/// What memory is asked for ahead of the entries that are summed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ahead {
    Nothing,
    /// What is to be read.
    Sources,
    /// What is to be read, and where gradients are to be written.
    SourcesAndTargets,
}

impl<T: Element, const K: usize> Entries<'_, T, K> {
    /// How many entries there are.
    #[inline(always)]
    fn len(&self) -> usize {
        self.0[0].len()
    }

    /// Some of the entries, in a value of their own. Other than those behind a reference, its addresses
    /// stay in registers, and the compiler knows how many they are if `len` is a constant.
    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Entries<'_, T, K> {
        let mut part = [const { InOut::EMPTY }; K];
        for (part, row) in part.iter_mut().zip(&mut self.0) {
            *part = row.part(at, len);
        }
        Entries(part)
    }

    /// Whether the gradients of all operands are wanted.
    #[inline(always)]
    fn are_writable(&self) -> bool {
        self.0.iter().all(InOut::is_writable)
    }

    /// Whether all gradients go past the caches. What is left of a line that was written by way of them
    /// takes many times as long, so that none do unless all can.
    #[inline(always)]
    fn are_streamed(&self, past_caches: PastCaches) -> bool {
        match past_caches {
            PastCaches::Nothing => false,
            PastCaches::WholeLines => self.0.iter().all(InOut::is_made_of_lines),
            PastCaches::Everything => self.0.iter().all(InOut::is_streamable_to_its_end),
        }
    }

    #[inline(always)]
    fn load<S: Isa, const FULL: bool>(&self, simd: S, at: usize) -> [Lanes<T, S>; K] {
        let mut entries = [Lanes::splat(simd, T::ZERO); K];
        for (entries, row) in entries.iter_mut().zip(&self.0) {
            *entries = row.load::<S, FULL>(simd, at);
        }
        entries
    }

    /// Adds what the entries, multiplied by powers of 2 where these are given, contribute to sums, and
    /// asks for memory `ahead`.
    #[inline(always)]
    pub(super) fn sum<S: Isa, L: PairLoss<T, K, J>, const J: usize>(
        &mut self,
        simd: S,
        loss: L,
        exponents: Option<[i32; K]>,
        ahead: Ahead,
        sums: &mut [Gathered<S>; J],
    ) {
        let mut nothing = Entries([const { InOut::EMPTY }; K]);
        self.sum_beside::<S, L, J, false, false>(
            simd,
            (loss, exponents),
            ahead,
            sums,
            &mut nothing,
            None,
        );
    }

    /// The same, while all gradients of as many entries of another unit are written: memory is read and
    /// written at once, not in turns.
    #[expect(clippy::too_many_arguments, reason = "of two units")]
    #[inline(always)]
    pub(super) fn sum_and_write<S: Isa, L: PairLoss<T, K, J>, const J: usize>(
        &mut self,
        simd: S,
        loss: L,
        ahead: Ahead,
        sums: &mut [Gathered<S>; J],
        other: &mut Entries<'_, T, K>,
        factors: Option<L::Factors>,
        past_caches: PastCaches,
    ) {
        let what = (loss, None);
        if other.are_streamed(past_caches) {
            self.sum_beside::<S, L, J, true, true>(simd, what, ahead, sums, other, factors);
        } else {
            self.sum_beside::<S, L, J, true, false>(simd, what, ahead, sums, other, factors);
        }
    }

    #[inline(always)]
    fn sum_beside<
        S: Isa,
        L: PairLoss<T, K, J>,
        const J: usize,
        const WRITE: bool,
        const STREAM: bool,
    >(
        &mut self,
        simd: S,
        what: (L, Option<[i32; K]>),
        ahead: Ahead,
        sums: &mut [Gathered<S>; J],
        other: &mut Entries<'_, T, K>,
        factors: Option<L::Factors>,
    ) {
        let (loss, len) = (what.0, self.len());
        let mut at = 0;
        while at < len {
            let end = len.min(at + SUM_BLOCK * T::LANES);
            let mut block = [Sum::zero(simd); J];
            while end - at >= GROUP * T::LANES {
                let part = self.part(at, GROUP * T::LANES);
                part.ask_for_what_follows(simd, ahead);
                if WRITE {
                    let mut other = other.part(at, GROUP * T::LANES);
                    for k in 0..GROUP {
                        let at = k * T::LANES;
                        part.add::<S, L, J, true>(simd, what, at, &mut block);
                        other.write_vector::<S, L, J, STREAM, true>(simd, loss, factors, at);
                    }
                } else {
                    for k in 0..GROUP {
                        part.add::<S, L, J, true>(simd, what, k * T::LANES, &mut block);
                    }
                }
                at += GROUP * T::LANES;
            }
            while end - at >= T::LANES {
                let part = self.part(at, T::LANES);
                part.ask_for_what_follows(simd, ahead);
                part.add::<S, L, J, true>(simd, what, 0, &mut block);
                if WRITE {
                    let mut other = other.part(at, T::LANES);
                    other.write_vector::<S, L, J, STREAM, true>(simd, loss, factors, 0);
                }
                at += T::LANES;
            }
            if at < end {
                self.add::<S, L, J, false>(simd, what, at, &mut block);
                if WRITE {
                    other.write_vector::<S, L, J, STREAM, false>(simd, loss, factors, at);
                }
                at = end;
            }
            for (sum, block) in sums.iter_mut().zip(block) {
                sum.gather(block);
            }
        }
    }

    /// Adds what a vector of entries, multiplied by powers of 2 where these are given, contributes to
    /// sums.
    #[inline(always)]
    fn add<S: Isa, L: PairLoss<T, K, J>, const J: usize, const FULL: bool>(
        &self,
        simd: S,
        (loss, exponents): (L, Option<[i32; K]>),
        at: usize,
        sums: &mut [Sum<S>; J],
    ) {
        let mut entries = self.load::<S, FULL>(simd, at);
        if let Some(exponents) = exponents {
            for (entries, exponent) in entries.iter_mut().zip(exponents) {
                *entries = *entries * Lanes::splat(simd, power_of_two(exponent));
            }
        }
        loss.add(entries, sums);
    }

    /// Asks for memory ahead of every vector.
    #[inline(always)]
    fn ask_for_what_follows<S: Isa>(&self, simd: S, ahead: Ahead) {
        if ahead == Ahead::Nothing {
            return;
        }
        for at in (0..self.len()).step_by(T::LANES) {
            for row in &self.0 {
                row.prefetch(simd, at, AHEAD);
                if ahead == Ahead::SourcesAndTargets {
                    row.prefetch_target(simd, at, AHEAD);
                }
            }
        }
    }

    /// Raises `largest` to the largest absolute value among the entries of each row; NaNs are passed
    /// over.
    #[inline(always)]
    pub(super) fn largest<S: Isa>(&self, simd: S, largest: &mut [T; K]) {
        for (largest, row) in largest.iter_mut().zip(&self.0) {
            let mut lanes = Lanes::splat(simd, *largest);
            for at in (0..row.len()).step_by(T::LANES) {
                lanes = row.load::<S, false>(simd, at).abs().max(lanes);
            }
            *largest = lanes.largest();
        }
    }

    /// Writes the gradients that are wanted, zeros where there are no factors.
    #[inline(always)]
    pub(super) fn write<S: Isa, L: PairLoss<T, K, J>, const J: usize>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
        past_caches: PastCaches,
    ) {
        if self.are_streamed(past_caches) {
            self.write_all::<S, L, J, true>(simd, loss, factors);
        } else if self.are_writable() {
            self.write_all::<S, L, J, false>(simd, loss, factors);
        } else if self.0.iter().any(InOut::is_writable) {
            let len = self.len();
            let mut at = 0;
            while len - at >= T::LANES {
                self.write_some_of_vector::<S, L, J, true>(simd, loss, factors, at);
                at += T::LANES;
            }
            if at < len {
                self.write_some_of_vector::<S, L, J, false>(simd, loss, factors, at);
            }
        }
    }

    /// Writes all gradients, past the caches if `STREAM`.
    #[inline(always)]
    fn write_all<S: Isa, L: PairLoss<T, K, J>, const J: usize, const STREAM: bool>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
    ) {
        let len = self.len();
        let mut at = 0;
        while len - at >= T::LANES {
            let mut part = self.part(at, T::LANES);
            part.write_vector::<S, L, J, STREAM, true>(simd, loss, factors, 0);
            at += T::LANES;
        }
        if at < len {
            self.write_vector::<S, L, J, STREAM, false>(simd, loss, factors, at);
        }
    }

    /// Writes all gradients of a vector of entries, past the caches if `STREAM`.
    #[inline(always)]
    fn write_vector<
        S: Isa,
        L: PairLoss<T, K, J>,
        const J: usize,
        const STREAM: bool,
        const FULL: bool,
    >(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
        at: usize,
    ) {
        let grads = self.grads::<S, L, J, FULL>(simd, loss, factors, at);
        for (row, grad) in self.0.iter_mut().zip(grads) {
            match (STREAM, FULL) {
                (true, true) => row.stream(at, grad),
                (true, false) => row.stream_some(at, grad),
                (false, _) => row.store::<S, FULL>(at, grad),
            }
        }
    }

    /// Writes those gradients of a vector of entries that are wanted.
    #[inline(always)]
    fn write_some_of_vector<S: Isa, L: PairLoss<T, K, J>, const J: usize, const FULL: bool>(
        &mut self,
        simd: S,
        loss: L,
        factors: Option<L::Factors>,
        at: usize,
    ) {
        let grads = self.grads::<S, L, J, FULL>(simd, loss, factors, at);
        for (row, grad) in self.0.iter_mut().zip(grads) {
            if row.is_writable() {
                row.store::<S, FULL>(at, grad);
            }
        }
    }

    /// The gradients of a vector of entries.
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
