use super::leaf::Rows;
use super::row::{Chunk, Row};
use super::{RowLabel, RowLoss};
use crate::drivers::terms::{GROUP, block, tree};
use crate::drivers::unit_scale::UnitScale;
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::math::lanes::{exp_nonpos, log1p};
use crate::simd::{InOut, Isa, Lanes, Sum};
use crate::tensor::Columns;
use core::ops::Range;

/// Rows side by side, at most one per lane, of one chunk each. A vector holds one class of all.
pub(super) struct Tile<'t, 'i, 'a, T, S, R, const DENSE: bool, const GRAD: bool> {
    pub(super) simd: S,
    pub(super) rows: &'t Rows<'i, T, R, DENSE, GRAD>,
    pub(super) plan: &'t Plan<'a, T>,
    pub(super) sample: usize,
    pub(super) units: Range<usize>,
}

impl<T, S, R, const DENSE: bool, const GRAD: bool> Tile<'_, '_, '_, T, S, R, DENSE, GRAD>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    /// Computes the rows' losses and gradients; adds the losses' terms to `sum` in turn.
    #[inline(always)]
    pub(super) fn run(&self, outputs: &mut Outputs<'_, T>, sum: &mut f64) {
        let (sample, rows) = (self.sample, self.units.len());
        let mut scales: [Option<UnitScale<T>>; 16] = [const { None }; 16];
        let mut labels = [None; 16];
        let mut logits = [0.0; 16];
        for (k, unit) in self.units.clone().enumerate() {
            scales[k] = UnitScale::of(self.plan, sample, unit);
            labels[k] = self.rows.class(sample, unit);
            if let Some(class) = labels[k] {
                logits[k] = outputs.pred().class(sample, unit, class).to_f64();
            }
        }

        let chunks = if rows == T::LANES {
            self.forward::<true>(outputs)
        } else {
            self.forward::<false>(outputs)
        };
        let mut ln_sums = [T::ZERO; 16];
        let mut factors = [T::ZERO; 16];
        let mut grad_scales = [T::ZERO; 16];
        let mut gathered: [Option<Row>; 16] = [const { None }; 16];
        for k in 0..rows {
            let mut row = Row::of_chunk(&chunks[k]);
            self.rows.set_class(&mut row, logits[k]);
            ln_sums[k] = T::from_f64(row.rest);
            if let Some(scale) = &scales[k] {
                factors[k] = row.factor(scale.grad);
                grad_scales[k] = T::from_f64(scale.grad);
            }
            gathered[k] = Some(row);
        }
        if R::NORMALISE {
            log1p(Lanes::load(self.simd, &ln_sums)).store(&mut ln_sums);
        } else {
            ln_sums = [T::ZERO; 16];
        }
        if GRAD {
            if rows == T::LANES {
                self.backward::<true>(outputs, &factors, &grad_scales);
            } else {
                self.backward::<false>(outputs, &factors, &grad_scales);
            }
        }
        for (k, unit) in self.units.clone().enumerate() {
            let (Some(scale), Some(row)) = (&scales[k], &gathered[k]) else {
                outputs.mask(sample, unit..unit + 1);
                continue;
            };
            if GRAD {
                self.rows
                    .patch(outputs, row, sample, unit, labels[k], scale.grad);
            }
            *sum += scale.emit(outputs, sample, unit, row.loss(ln_sums[k]));
        }
    }

    /// The first pass: the exponentials to the gradient's place.
    #[inline(always)]
    fn forward<const FULL: bool>(&self, outputs: &mut Outputs<'_, T>) -> [Chunk<T>; 16] {
        let (simd, classes) = (self.simd, self.rows.classes);
        let mut chunks = [Chunk::new(); 16];
        if !R::NORMALISE && !DENSE {
            return chunks;
        }
        let mut columns = outputs.pred().columns(self.sample, self.units.clone());
        let zero = Lanes::splat(simd, T::ZERO);
        let lowest = Lanes::splat(simd, T::from_f64(f64::NEG_INFINITY));
        let (mut max, mut argmax) = (lowest, zero);
        if R::NORMALISE {
            for class in 0..classes {
                let logit = columns.class(class).load::<S, FULL>(simd, 0);
                // A chunk has few enough classes for their numbers to be exact.
                let number = Lanes::splat(simd, T::from_f64(class as f64));
                argmax = logit.gt(max).select(number, argmax);
                max = logit.max(max);
            }
        }
        // As for a row whose classes are neighbours, the zero is the positive one.
        max = max + zero;
        let shift = if R::NORMALISE {
            max.eq(lowest).select(zero, max)
        } else {
            zero
        };

        let mut pass = ColumnPass::<_, _, _, DENSE, GRAD, FULL> {
            simd,
            loss: self.rows.loss,
            columns,
            shares: match &self.rows.label {
                RowLabel::Class(_) => None,
                RowLabel::Shares(shares) => {
                    Some(Columns::read(shares, self.sample, self.units.clone()))
                }
            },
            classes,
            shift,
            argmax,
        };
        let mut lanes = [[Sum::zero(simd); 3]; 16];
        let mut start = 0;
        while start < classes {
            for (lane, sums) in lanes[..T::LANES].iter_mut().enumerate() {
                if start + lane < classes {
                    let terms = pass.lane(start + lane);
                    for (sum, terms) in sums.iter_mut().zip(terms) {
                        sum.add(terms);
                    }
                }
            }
            start += block::<T>();
        }
        let [rest, share, terms] = fold(&lanes);

        let (mut maxima, mut positions) = ([T::ZERO; 16], [T::ZERO; 16]);
        max.store(&mut maxima);
        argmax.store(&mut positions);
        for (k, chunk) in chunks.iter_mut().enumerate() {
            *chunk = Chunk {
                max: maxima[k],
                argmax: positions[k].to_f64() as usize,
                rest: rest[k],
                share: share[k],
                terms: terms[k],
            };
        }
        chunks
    }

    /// The second pass: exponentials to gradients.
    #[inline(always)]
    fn backward<const FULL: bool>(
        &self,
        outputs: &mut Outputs<'_, T>,
        factors: &[T; 16],
        grad_scales: &[T; 16],
    ) {
        let simd = self.simd;
        let Some(grad) = outputs.pred().grad() else {
            return;
        };
        let mut columns = Columns::in_place(grad, self.sample, self.units.clone());
        let mut shares = match &self.rows.label {
            RowLabel::Class(_) => None,
            RowLabel::Shares(shares) => {
                Some(Columns::read(shares, self.sample, self.units.clone()))
            }
        };
        let factor = Lanes::load(simd, factors);
        let grad_scale = Lanes::load(simd, grad_scales);
        for class in 0..self.rows.classes {
            let mut run = columns.class(class);
            let mut grad = Lanes::splat(simd, T::ZERO);
            if R::NORMALISE {
                grad = run.load::<S, FULL>(simd, 0) * factor;
            }
            if let Some(shares) = &mut shares {
                let share = shares.class(class).load::<S, FULL>(simd, 0);
                grad = share.neg_mul_add(grad_scale, grad);
            }
            run.store::<S, FULL>(0, grad);
        }
    }
}

/// Folds the sums of the lanes that a row's classes belong to, as [`Sum::fold`] does: row by row.
#[inline(always)]
fn fold<S: Isa>(lanes: &[[Sum<S>; 3]; 16]) -> [[f64; 16]; 3] {
    let mut folded = [[0.0; 16]; 3];
    for (j, folded) in folded.iter_mut().enumerate() {
        let [a, b, c, d, e, f, g, h] =
            core::array::from_fn(|lane| lanes[lane][j].plus(lanes[lane + 8][j]));
        let even = a.plus(e).plus(c.plus(g));
        let odd = b.plus(f).plus(d.plus(h));
        *folded = even.plus(odd).to_array();
    }
    folded
}

/// The first pass over rows side by side.
struct ColumnPass<'c, T: Element, S: Isa, R, const DENSE: bool, const GRAD: bool, const FULL: bool>
{
    simd: S,
    loss: R,
    columns: Columns<'c, T>,
    shares: Option<Columns<'c, T>>,
    classes: usize,
    shift: Lanes<T, S>,
    argmax: Lanes<T, S>,
}

impl<T, S, R, const DENSE: bool, const GRAD: bool, const FULL: bool>
    ColumnPass<'_, T, S, R, DENSE, GRAD, FULL>
where
    T: Element,
    S: Isa,
    R: RowLoss<T>,
{
    /// The sums over the classes that would share a lane of a block if they were neighbours, from
    /// `first` on: the same tree of 16 terms.
    #[inline(always)]
    fn lane(&mut self, first: usize) -> [Lanes<T, S>; 3] {
        let zero = [Lanes::splat(self.simd, T::ZERO); 3];
        let mut groups = [zero; 4];
        for (q, group) in groups.iter_mut().enumerate() {
            let mut terms = [zero; GROUP];
            for (k, term) in terms.iter_mut().enumerate() {
                let class = first + (q * GROUP + k) * T::LANES;
                if class < self.classes {
                    *term = self.term(class);
                }
            }
            *group = tree(terms);
        }
        tree(groups)
    }

    #[inline(always)]
    fn term(&mut self, class: usize) -> [Lanes<T, S>; 3] {
        let simd = self.simd;
        let zero = Lanes::splat(simd, T::ZERO);
        let mut run: InOut<'_, T> = self.columns.class(class);
        let surprise = self.shift - run.load::<S, FULL>(simd, 0);
        let mut exponential = zero;
        if R::NORMALISE {
            exponential = exp_nonpos(-surprise);
            if GRAD {
                run.store::<S, FULL>(0, exponential);
            }
            let number = Lanes::splat(simd, T::from_f64(class as f64));
            exponential = self.argmax.eq(number).select(zero, exponential);
        }
        match &mut self.shares {
            Some(shares) if DENSE => {
                let share = shares.class(class).load::<S, FULL>(simd, 0);
                let term = self.loss.term(share, surprise);
                [exponential, self.loss.share(share), term]
            }
            _ => [exponential, zero, zero],
        }
    }
}
