use super::entries::{Entries, PastCaches};
use super::scratch::Scratch;
use super::{PairLoss, Pairs};
use crate::drivers::{Gathered, Outputs};
use crate::element::Element;
use crate::math::powers::{exponent, normal_exponent};
use crate::simd::{InOut, Isa};
use core::ops::Range;

/// The passes over the rows of a unit, wherever their entries lie.
pub(super) trait Passes<T: Element, L: PairLoss<T, K, J>, const K: usize, const J: usize> {
    /// The sums over all entries, multiplied by powers of 2 where these are given.
    fn sums(&mut self, exponents: Option<[i32; K]>) -> [f64; J];

    /// The largest absolute value among the entries of each row; NaNs are passed over.
    fn largest(&mut self) -> [T; K];

    /// Writes the gradients of all entries, zeros where there are no factors.
    fn write(&mut self, factors: Option<L::Factors>);

    /// The sums, or where products have left the range of f64 those of entries times powers of 2, whose
    /// exponents are the other half.
    #[inline(always)]
    fn within_range(&mut self, sums: [f64; J]) -> ([f64; J], [i32; K]) {
        if !L::SCALE_INVARIANT || L::are_reliable(sums) {
            return (sums, [0; K]);
        }
        let exponents = exponents_of(self.largest());
        (self.sums(Some(exponents)), exponents)
    }

    /// The loss of the unit; its gradients are written.
    #[inline(always)]
    fn complete(&mut self, loss: L, label: L::Label, coefficient: f64) -> T {
        let sums = self.sums(None);
        let (sums, exponents) = self.within_range(sums);
        let (loss, factors) = loss.finish(sums, exponents, label, coefficient);
        self.write(factors);
        loss
    }
}

/// The powers of 2 that take each row's largest entry near 1.
fn exponents_of<T: Element, const K: usize>(largest: [T; K]) -> [i32; K] {
    largest.map(|largest| match largest.to_f64() {
        0.0 => 0,
        largest => normal_exponent::<T>(-exponent(largest)),
    })
}

/// Whole rows whose entries are neighbours in memory.
pub(super) struct Whole<'r, 'i, T: Element, S, L: PairLoss<T, K, J>, const K: usize, const J: usize>
{
    pub(super) simd: S,
    pub(super) pairs: &'r Pairs<'i, T, L, K, J>,
    pub(super) entries: Entries<'r, T, K>,
}

impl<T, S, L, const K: usize, const J: usize> Passes<T, L, K, J> for Whole<'_, '_, T, S, L, K, J>
where
    T: Element,
    S: Isa,
    L: PairLoss<T, K, J>,
{
    #[inline(always)]
    fn sums(&mut self, exponents: Option<[i32; K]>) -> [f64; J] {
        let Pairs { loss, ahead, .. } = *self.pairs;
        let mut sums = [Gathered::zero(self.simd); J];
        self.entries
            .sum(self.simd, loss, exponents, ahead, &mut sums);
        folded(sums)
    }

    #[inline(always)]
    fn largest(&mut self) -> [T; K] {
        let mut largest = [T::ZERO; K];
        self.entries.largest(self.simd, &mut largest);
        largest
    }

    #[inline(always)]
    fn write(&mut self, factors: Option<L::Factors>) {
        let Pairs {
            loss, past_caches, ..
        } = *self.pairs;
        self.entries.write(self.simd, loss, factors, past_caches);
    }
}

/// Whole rows of one chunk, wherever their entries lie.
pub(super) struct InPieces<
    'r,
    'i,
    'o,
    T: Element,
    S,
    L: PairLoss<T, K, J>,
    const K: usize,
    const J: usize,
> {
    pub(super) simd: S,
    pub(super) pairs: &'r Pairs<'i, T, L, K, J>,
    pub(super) outputs: &'r mut Outputs<'o, T, K>,
    /// The unit's sample and number.
    pub(super) at: (usize, usize),
    pub(super) scratch: Option<&'r mut Scratch<T, K>>,
}

impl<T, S, L, const K: usize, const J: usize> Passes<T, L, K, J>
    for InPieces<'_, '_, '_, T, S, L, K, J>
where
    T: Element,
    S: Isa,
    L: PairLoss<T, K, J>,
{
    #[inline(always)]
    fn sums(&mut self, exponents: Option<[i32; K]>) -> [f64; J] {
        let (all, scratch) = (0..self.pairs.len, &mut self.scratch);
        let outputs = &*self.outputs;
        self.pairs
            .sums(self.simd, outputs, self.at, all, exponents, scratch)
    }

    #[inline(always)]
    fn largest(&mut self) -> [T; K] {
        let (all, scratch) = (0..self.pairs.len, &mut self.scratch);
        self.pairs
            .largest(self.simd, &*self.outputs, self.at, all, scratch)
    }

    #[inline(always)]
    fn write(&mut self, factors: Option<L::Factors>) {
        let (all, scratch) = (0..self.pairs.len, &mut self.scratch);
        self.pairs
            .write(self.simd, self.outputs, self.at, all, factors, scratch);
    }
}

impl<T, L, const K: usize, const J: usize> Pairs<'_, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// The sums over some entries of a unit's rows, multiplied by powers of 2 where these are given.
    #[inline(always)]
    pub(super) fn sums<S: Isa>(
        &self,
        simd: S,
        outputs: &Outputs<'_, T, K>,
        at: (usize, usize),
        entries: Range<usize>,
        exponents: Option<[i32; K]>,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) -> [f64; J] {
        let mut sums = [Gathered::zero(simd); J];
        for piece in Scratch::pieces(scratch, &entries) {
            let mut entries = self.read(outputs, at, piece, Scratch::rooms(scratch));
            entries.sum(simd, self.loss, exponents, self.ahead, &mut sums);
        }
        folded(sums)
    }

    /// The largest absolute value among some entries of each row.
    #[inline(always)]
    pub(super) fn largest<S: Isa>(
        &self,
        simd: S,
        outputs: &Outputs<'_, T, K>,
        at: (usize, usize),
        entries: Range<usize>,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) -> [T; K] {
        let mut largest = [T::ZERO; K];
        for piece in Scratch::pieces(scratch, &entries) {
            let entries = self.read(outputs, at, piece, Scratch::rooms(scratch));
            entries.largest(simd, &mut largest);
        }
        largest
    }

    /// Entries to read.
    #[inline(always)]
    fn read<'r>(
        &self,
        outputs: &'r Outputs<'_, T, K>,
        (sample, unit): (usize, usize),
        piece: Range<usize>,
        rooms: [&'r mut [T]; K],
    ) -> Entries<'r, T, K> {
        let mut rooms = rooms.into_iter();
        Entries(outputs.operands.each_ref().map(|operand| {
            let room = rooms.next().expect("a room for each operand");
            InOut::read(operand.read_row(sample, unit, piece.clone(), room))
        }))
    }

    /// Writes the gradients of some entries of a unit's rows, zeros where there are no factors.
    #[inline(always)]
    pub(super) fn write<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T, K>,
        (sample, unit): (usize, usize),
        entries: Range<usize>,
        factors: Option<L::Factors>,
        scratch: &mut Option<&mut Scratch<T, K>>,
    ) {
        if !outputs.wants_gradient() {
            return;
        }
        for piece in Scratch::pieces(scratch, &entries) {
            let mut rooms = Scratch::rooms(scratch).into_iter();
            let mut copied = [false; K];
            let mut flags = copied.iter_mut();
            let rows = outputs.operands.each_mut().map(|operand| {
                let room = rooms.next().expect("a room for each operand");
                let (run, is_copied) = operand.row(sample, unit, piece.clone(), room);
                if let Some(flag) = flags.next() {
                    *flag = is_copied;
                }
                run
            });
            let mut entries = Entries(rows);
            drop(rooms);
            entries.write(simd, self.loss, factors, PastCaches::Nothing);
            let rooms = Scratch::rooms(scratch);
            for ((operand, room), copied) in outputs.operands.iter_mut().zip(rooms).zip(copied) {
                if copied && let Some(grad) = operand.grad() {
                    grad.write_row(sample, unit, piece.start, &room[..piece.len()]);
                }
            }
        }
    }
}

/// The sums of all lanes.
#[inline(always)]
pub(super) fn folded<S: Isa, const J: usize>(sums: [Gathered<S>; J]) -> [f64; J] {
    let mut folded = [0.0; J];
    for (folded, sum) in folded.iter_mut().zip(sums) {
        *folded = sum.total().fold();
    }
    folded
}
