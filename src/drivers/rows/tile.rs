use super::RowLoss;
use super::row::{LeftOut, Row, Sums};
use crate::drivers::terms::{GROUP, block, tree};
use crate::element::Element;
use crate::math::lanes::{exp_nonpos, log1p};
use crate::simd::{Isa, Lanes, Sum};
use core::ops::Range;

/// The most values of rows that are copied side by side: 16 KiB of f32, and as much again for their
/// exponentials.
pub(super) const PACKED: usize = 4096;

/// Rows side by side, class by class: their logits, their exponentials and then gradients, and the
/// label's shares.
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

/// The sums over some classes of a tile's rows, for each lane that a class would have as one of
/// neighbours.
pub(super) type LaneSums<S> = [[Sum<S>; 3]; 16];

impl<T, S, R, const DENSE: bool> Tile<'_, '_, T, S, R, DENSE>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    #[inline(always)]
    fn load(&self, what: usize, class: usize) -> Lanes<T, S> {
        Lanes::load(
            self.simd,
            &self.packed[what][class * self.width + self.first..],
        )
    }

    #[inline(always)]
    fn store(&mut self, class: usize, lanes: Lanes<T, S>) {
        lanes.store(&mut self.packed[1][class * self.width + self.first..]);
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
            let logit = self.load(0, class - classes.start);
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
            let exponential = exp_nonpos(self.load(0, class) - subtracted);
            self.store(class, exponential);
        }
    }

    /// Adds the terms of the classes at hand, which are `classes` of all and begin a block.
    #[inline(always)]
    pub(super) fn sum(&self, known: &Known<T, S>, classes: Range<usize>, sums: &mut LaneSums<S>) {
        let zero = [Lanes::splat(self.simd, T::ZERO); 3];
        for start in classes.clone().step_by(block::<T>()) {
            let end = classes.end.min(start + block::<T>());
            for (lane, sums) in sums[..T::LANES.min(end - start)].iter_mut().enumerate() {
                // The tree that `sum_terms` adds 16 terms of a lane as.
                let mut groups = [zero; 4];
                for (q, group) in groups.iter_mut().enumerate() {
                    let mut terms = [zero; GROUP];
                    for (k, term) in terms.iter_mut().enumerate() {
                        let class = start + lane + (q * GROUP + k) * T::LANES;
                        if class < end {
                            *term = self.term(known, class, class - classes.start);
                        }
                    }
                    *group = tree(terms);
                    if start + lane + (q + 1) * GROUP * T::LANES >= end {
                        break;
                    }
                }
                let [rest, share, terms] = tree(groups);
                sums[0].add(rest);
                if DENSE {
                    sums[1].add(share);
                    sums[2].add(terms);
                }
            }
        }
    }

    #[inline(always)]
    fn term(&self, known: &Known<T, S>, class: usize, at: usize) -> [Lanes<T, S>; 3] {
        let zero = Lanes::splat(self.simd, T::ZERO);
        let mut rest = zero;
        if self.loss.normalises() {
            let left_out = known.left_out.eq(self.number(class));
            rest = left_out.select(zero, self.load(1, at));
        }
        if !DENSE {
            return [rest, zero, zero];
        }
        let share = self.load(2, at);
        let surprise = known.subtracted() - self.load(0, at);
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
                grad = self.load(1, at) * factor;
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

    /// The rows, given what their first pass summed.
    #[inline(always)]
    pub(super) fn rows<const DENSE: bool>(&self, sums: &LaneSums<S>, normalise: bool) -> [Row; 16] {
        let mut folded = [[0.0; 16]; 3];
        for (j, folded) in folded.iter_mut().enumerate() {
            if j == 0 || DENSE {
                *folded = fold(sums, j);
            }
        }
        let [mut own, mut logits, mut classes, mut largest] = [[T::ZERO; 16]; 4];
        exp_nonpos(self.logit - self.subtracted()).store(&mut own);
        self.max.store(&mut largest);
        self.logit.store(&mut logits);
        self.left_out.store(&mut classes);
        let mut rows = [Row::NONE; 16];
        for (k, row) in rows.iter_mut().enumerate().take(T::LANES) {
            let [rest, share, terms] = [0, 1, 2].map(|j| folded[j][k]);
            let mut sums = Sums { rest, share, terms };
            if !normalise {
                if !DENSE {
                    sums = Sums::of_class(-logits[k].to_f64());
                }
                *row = Row::of_log_probabilities(sums);
                continue;
            }
            if !DENSE {
                sums.share = 1.0;
            }
            let left_out = LeftOut {
                class: classes[k].to_f64() as usize,
                logit: logits[k],
                max: largest[k],
                own: own[k],
            };
            *row = Row::new(&left_out, sums);
        }
        rows
    }
}

/// The costs of the classes that are left out.
#[inline(always)]
pub(super) fn surprises<S: Isa>(simd: S, rows: &[Row; 16]) -> [f64; 16] {
    let (mut arguments, mut more) = ([0.0; 16], [0.0; 16]);
    for (k, row) in rows.iter().enumerate() {
        let surprise = row.surprise();
        (arguments[k], more[k]) = (surprise.argument, surprise.more);
    }
    for half in arguments.chunks_exact_mut(8) {
        log1p(Lanes::load(simd, half)).store(half);
    }
    for (ln, more) in arguments.iter_mut().zip(more) {
        *ln += more;
    }
    arguments
}

/// Folds one of the sums of the lanes that a row's classes belong to, as [`Sum::fold`] does: row by
/// row.
#[inline(always)]
fn fold<S: Isa>(sums: &LaneSums<S>, j: usize) -> [f64; 16] {
    let [a, b, c, d, e, f, g, h] =
        core::array::from_fn(|lane| sums[lane][j].plus(sums[lane + 8][j]));
    let even = a.plus(e).plus(c.plus(g));
    let odd = b.plus(f).plus(d.plus(h));
    even.plus(odd).to_array()
}
