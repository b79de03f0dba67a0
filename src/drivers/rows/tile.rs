use super::RowLoss;
use super::row::Row;
use crate::drivers::terms::{GROUP, block, tree};
use crate::element::Element;
use crate::math::lanes::exp_nonpos;
use crate::simd::{Isa, Lanes, Sum};
use core::ops::Range;

/// The most values of rows that are copied side by side: 32 KiB of f32, which fill a first-level cache.
pub(super) const PACKED: usize = 8192;

/// The same where the label is of shares, which take as much room, and the logits once more.
pub(super) const PACKED_WITH_SHARES: usize = 4096;

/// The same of short rows.
pub(super) const TURNED: usize = 1024;

/// The same where a call has but few short rows: room for them has to be cleared.
pub(super) const FEW_TURNED: usize = 256;

/// Rows side by side, class by class: what is computed of their logits, exponentials and then gradients;
/// and where the label is of shares, the logits, which else stand in the same place, and the shares.
pub(super) type Packed<'p, T> = [&'p mut [T]; 3];

/// Rows side by side, one a lane. A vector holds one class of all.
pub(super) struct Tile<'t, 'p, T: Element, S, R, const DENSE: bool> {
    pub(super) simd: S,
    pub(super) loss: R,
    /// Where the classes at hand stand.
    pub(super) packed: &'t mut Packed<'p, T>,
    /// The first of the rows, and how many there are a class.
    pub(super) first: usize,
    pub(super) width: usize,
}

/// What is known of the rows of a tile.
#[derive(Clone, Copy)]
pub(super) struct Known<T: Element, S: Isa> {
    /// The largest logit of each row.
    pub(super) max: Lanes<T, S>,
    /// The class of each row that is left out of its sum, and its logit.
    pub(super) left_out: Lanes<T, S>,
    pub(super) logit: Lanes<T, S>,
}

/// Exponentials, shares and the loss's terms.
type Terms<T, S> = [Lanes<T, S>; 3];

/// The sums over some classes of a tile's rows, for each lane that a class would have as one of
/// neighbours.
pub(super) type LaneSums<S> = [Sum<S>; 16];

impl<T, S, R, const DENSE: bool> Tile<'_, '_, T, S, R, DENSE>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    /// Where the logits stand.
    const LOGITS: usize = if DENSE { 1 } else { 0 };

    #[inline(always)]
    fn load(&self, what: usize, class: usize) -> Lanes<T, S> {
        Lanes::load(
            self.simd,
            &self.packed[what][class * self.width + self.first..],
        )
    }

    #[inline(always)]
    fn store(&mut self, class: usize, lanes: Lanes<T, S>) {
        lanes.store(&mut self.packed[0][class * self.width + self.first..]);
    }

    #[inline(always)]
    fn number(&self, class: usize) -> Lanes<T, S> {
        Lanes::splat(self.simd, T::from_f64(class as f64))
    }

    /// Given the largest logits so far and, for a label of shares, the first classes that have them,
    /// those of the classes at hand too, which are `classes` of all.
    #[inline(always)]
    pub(super) fn largest(
        &self,
        [mut max, mut position]: [Lanes<T, S>; 2],
        classes: Range<usize>,
    ) -> [Lanes<T, S>; 2] {
        for class in classes.clone() {
            let logit = self.load(Self::LOGITS, class - classes.start);
            if DENSE {
                position = logit.gt(max).select(self.number(class), position);
            }
            max = logit.max(max);
        }
        [max, position]
    }

    /// Computes the exponentials of the first `count` classes at hand.
    #[inline(always)]
    pub(super) fn exponentials(&mut self, known: &Known<T, S>, count: usize) {
        let subtracted = known.subtracted();
        for class in 0..count {
            let exponential = exp_nonpos(self.load(Self::LOGITS, class) - subtracted);
            self.store(class, exponential);
        }
    }

    /// Adds the terms of the classes at hand, which are `classes` of all and begin a block: for each
    /// lane as the tree that `sum_terms` adds 16 terms of a lane as.
    #[inline(always)]
    pub(super) fn sum(&self, known: &Known<T, S>, classes: Range<usize>, sums: &mut [LaneSums<S>]) {
        for start in classes.clone().step_by(block::<T>()) {
            let end = classes.end.min(start + block::<T>());
            for lane in 0..T::LANES.min(end - start) {
                let at = start + lane - classes.start;
                let terms = self.sixteen(known, start + lane..end, at);
                for (sums, terms) in sums.iter_mut().zip(terms) {
                    sums[lane].add(terms);
                }
            }
        }
    }

    /// The sum of the terms of at most 16 classes, as many apart as a vector has lanes. Those that
    /// do not exist would be zeros.
    #[inline(always)]
    fn sixteen(&self, known: &Known<T, S>, classes: Range<usize>, at: usize) -> Terms<T, S> {
        let step = GROUP * T::LANES;
        if classes.len() <= step {
            return self.four(known, classes, at);
        }
        let mut groups = [[Lanes::splat(self.simd, T::ZERO); 3]; 4];
        for (q, group) in groups.iter_mut().enumerate() {
            let start = classes.start + q * step;
            if start < classes.end {
                *group = self.four(known, start..classes.end, at + q * step);
            }
        }
        tree(groups)
    }

    #[inline(always)]
    fn four(&self, known: &Known<T, S>, classes: Range<usize>, at: usize) -> Terms<T, S> {
        if classes.len() <= T::LANES {
            return self.term(known, classes.start, at);
        }
        let mut terms = [[Lanes::splat(self.simd, T::ZERO); 3]; GROUP];
        for (k, term) in terms.iter_mut().enumerate() {
            let class = classes.start + k * T::LANES;
            if class < classes.end {
                *term = self.term(known, class, at + k * T::LANES);
            }
        }
        tree(terms)
    }

    #[inline(always)]
    fn term(&self, known: &Known<T, S>, class: usize, at: usize) -> Terms<T, S> {
        let zero = Lanes::splat(self.simd, T::ZERO);
        let mut rest = zero;
        if self.loss.normalises() {
            let left_out = known.left_out.eq(self.number(class));
            rest = left_out.select(zero, self.load(0, at));
        }
        if !DENSE {
            return [rest, zero, zero];
        }
        let share = self.load(2, at);
        let surprise = known.subtracted() - self.load(Self::LOGITS, at);
        let term = self.loss.term(share, surprise);
        [rest, self.loss.share(share), term]
    }

    /// Turns the exponentials of the classes at hand, which are `classes` of all, to gradients;
    /// that of the class which is left out is given.
    #[inline(always)]
    pub(super) fn gradients(
        &mut self,
        known: &Known<T, S>,
        [factor, grad_scale, own]: [Lanes<T, S>; 3],
        classes: Range<usize>,
    ) {
        for class in classes.clone() {
            let at = class - classes.start;
            let mut grad = Lanes::splat(self.simd, T::ZERO);
            if self.loss.normalises() {
                grad = self.load(0, at) * factor;
            }
            if DENSE {
                grad = self.load(2, at).neg_mul_add(grad_scale, grad);
            }
            if self.loss.normalises() || !DENSE {
                let left_out = known.left_out.eq(self.number(class));
                grad = left_out.select(own, grad);
            }
            self.store(at, grad);
        }
    }
}

impl<T: Element, S: Isa> Known<T, S> {
    /// What is subtracted from the logits, as [`subtracted`](super::row::subtracted) says.
    #[inline(always)]
    fn subtracted(&self) -> Lanes<T, S> {
        let (zero, lowest) = (
            self.max.splat_like(0.0),
            self.max.splat_like(f64::NEG_INFINITY),
        );
        self.max.eq(lowest).select(zero, self.max)
    }

    /// The rows, given what their first pass summed, half of the lanes each.
    #[inline(always)]
    pub(super) fn rows<const DENSE: bool>(
        &self,
        sums: &[LaneSums<S>],
        normalise: bool,
    ) -> [Row<S>; 2] {
        let [max, logit] = [self.max.widen(), self.logit.widen()];
        let own = exp_nonpos(self.logit - self.subtracted()).widen();
        let rest = fold(&sums[0]);
        let zero = max[0].splat_like(0.0);
        let mut share = [zero.splat_like(1.0); 2];
        let mut terms = [zero; 2];
        if DENSE {
            (share, terms) = (fold(&sums[1]), fold(&sums[2]));
        } else if !normalise {
            terms = [zero - logit[0], zero - logit[1]];
        }
        if !normalise {
            return [
                Row::of_log_probabilities([share[0], terms[0]]),
                Row::of_log_probabilities([share[1], terms[1]]),
            ];
        }
        [
            Row::new([max[0], logit[0], own[0]], [rest[0], share[0], terms[0]]),
            Row::new([max[1], logit[1], own[1]], [rest[1], share[1], terms[1]]),
        ]
    }
}

/// Folds the sums of the lanes that a row's classes belong to, as [`Sum::fold`] does: row by row.
#[inline(always)]
fn fold<S: Isa>(sums: &LaneSums<S>) -> [Lanes<f64, S>; 2] {
    let mut folded = *sums;
    for lane in 0..8 {
        folded[lane] = sums[lane].plus(sums[lane + 8]);
    }
    let [a, b, c, d, e, f, g, h, ..] = folded;
    let even = a.plus(e).plus(c.plus(g));
    let odd = b.plus(f).plus(d.plus(h));
    even.plus(odd).halves()
}
