use super::RowLoss;
use super::leaf::Rows;
use super::outcome::Second;
use super::place::Place;
use super::row::{self, Forward, LeftOut, Sums, subtracted};
use crate::drivers::unit_scale::UnitScales;
use crate::element::Element;
use crate::simd::{InOut, Isa, Kernel, Lanes, Sum, Trail};
use crate::tensor::Lines;
use core::ops::Range;

/// Rows of one chunk whose classes are neighbours, a line each.
pub(super) struct Direct<'r, 'i, 'a, 't, T: Element, R, const DENSE: bool, const TRAIL: bool> {
    pub(super) rows: &'r Rows<'i, T, R, DENSE>,
    pub(super) scales: &'r UnitScales<'r, 'a, T>,
    pub(super) lines: Lines<'r, T>,
    /// The label's shares, where the label is no class.
    pub(super) shares: Option<Lines<'r, T>>,
    /// The first row, and its number among the lines.
    pub(super) at: Place,
    pub(super) number: usize,
    /// The units of every sample.
    pub(super) units: Range<usize>,
    /// Whether gradients go past the caches.
    pub(super) stream: bool,
    /// Room for those that are made of exponentials.
    pub(super) trailing: Option<&'r mut Trailing<'t, T>>,
    /// Whether no rows follow.
    pub(super) last: bool,
    /// A place for the loss of each row; gradients are written, where they are wanted, but the last
    /// that is `trailing`.
    pub(super) losses: &'r mut [T],
}

/// Room for gradients that go past the caches: while the exponentials of a row are computed, the
/// gradient of the one before is on its way.
pub(super) struct Trailing<'r, T> {
    pub(super) exponentials: &'r mut [T],
    pub(super) gradient: &'r mut [T],
    /// The row before, as a number among the lines, if there is one.
    pub(super) before: Option<usize>,
}

impl<T, R, const DENSE: bool, const TRAIL: bool> Kernel
    for Direct<'_, '_, '_, '_, T, R, DENSE, TRAIL>
where
    T: Element,
    R: RowLoss<T>,
{
    type Home = R;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) {
        let mut place = self.at;
        for k in 0..self.losses.len() {
            if let Some(scale) = self.scales.of(place.sample, place.unit) {
                self.losses[k] = self.row(simd, place, self.number + k, scale.grad);
            }
            place = place.next(&self.units);
        }
        if TRAIL
            && self.last
            && let Some(trailing) = &mut self.trailing
            && let Some(before) = trailing.before.take()
        {
            let place = self.lines.written(before);
            Trail::new(simd, &trailing.gradient[..place.len()], place).finish(simd);
        }
    }
}

impl<T, R, const DENSE: bool, const TRAIL: bool> Direct<'_, '_, '_, '_, T, R, DENSE, TRAIL>
where
    T: Element,
    R: RowLoss<T>,
{
    /// The loss of a row, and its gradient.
    #[inline(always)]
    fn row<S: Isa>(&mut self, simd: S, place: Place, number: usize, grad_scale: f64) -> T {
        let rows = self.rows;
        let class = rows.class((place.sample, place.unit));
        let mut shares = &[][..];
        if DENSE && let Some(lines) = &self.shares {
            shares = lines.values(number);
        }
        let mut trail = None;
        let run = match &mut self.trailing {
            Some(trailing) if TRAIL => {
                let before = trailing.before.replace(number);
                let (logits, to) = self
                    .lines
                    .read_and_written(number, before.unwrap_or(number));
                if before.is_some() {
                    trail = Some(Trail::new(simd, &trailing.gradient[..to.len()], to));
                }
                InOut::copy(logits, &mut trailing.exponentials[..logits.len()])
            }
            _ => self.lines.line(number),
        };
        let left_out = left_out::<_, _, _, DENSE>(simd, rows, class, &run);
        let sums = sums::<_, _, _, DENSE>(simd, rows, run, shares, &left_out, trail.as_mut());
        if let Some(trail) = trail {
            trail.finish(simd);
        }
        let share = match DENSE {
            true => shares[left_out.class].to_f64(),
            false => 1.0,
        };
        let outcome = rows.outcome(simd, share, &left_out, sums, grad_scale);
        if !rows.grad {
            return outcome.loss;
        }
        let normalise = rows.loss.normalises();
        let second = Second {
            max: left_out.max,
            factor: outcome.factor,
            grad_scale: T::from_f64(grad_scale),
            kept: true,
            // Where exponentials have just been written, lines are in the cache.
            stream: self.stream && !normalise,
        };
        let gradient = match &mut self.trailing {
            Some(trailing) if TRAIL => {
                let exponentials = &trailing.exponentials[..rows.classes];
                let gradient = &mut trailing.gradient[..rows.classes];
                let run = InOut::copy(exponentials, gradient);
                second.backward(simd, run, shares).run::<DENSE>(true);
                gradient
            }
            _ => {
                let gradient = self.lines.written(number);
                let run = InOut::in_place(gradient);
                let pass = second.backward(simd, run, shares);
                pass.run::<DENSE>(normalise);
                gradient
            }
        };
        if rows.leaves_out() {
            gradient[left_out.class] = outcome.grad;
        }
        outcome.loss
    }
}

/// The largest logit of a row, and the class that is left out of its sum: the label's, if it is one.
#[inline(always)]
fn left_out<T: Element, S: Isa, R: RowLoss<T>, const DENSE: bool>(
    simd: S,
    rows: &Rows<'_, T, R, DENSE>,
    class: Option<usize>,
    run: &InOut<'_, T>,
) -> LeftOut<T> {
    if !rows.loss.normalises() {
        let class = class.unwrap_or(0);
        return LeftOut::of_log_probabilities(class, run.value(class));
    }
    let max = row::max(simd, run);
    match class {
        Some(class) => LeftOut::new(simd, class, run.value(class), max),
        None => {
            let class = row::position(simd, run, max).unwrap_or(0);
            LeftOut::new(simd, class, max, max)
        }
    }
}

/// The sums over the classes of a row; exponentials are written where the run says.
#[inline(always)]
fn sums<T: Element, S: Isa, R: RowLoss<T>, const DENSE: bool>(
    simd: S,
    rows: &Rows<'_, T, R, DENSE>,
    run: InOut<'_, T>,
    shares: &[T],
    left_out: &LeftOut<T>,
    trail: Option<&mut Trail<'_, T>>,
) -> Sums {
    let loss = rows.loss;
    if !DENSE && !loss.normalises() {
        return Sums::of_class(-left_out.logit.to_f64());
    }
    let mut sums = [Sum::zero(simd); 3];
    let mut forward = Forward {
        simd,
        loss,
        shares,
        subtracted: Lanes::splat(simd, subtracted(left_out.max)),
        keep: rows.grad,
        ahead: run.len() * size_of::<T>(),
        left_out: left_out.class as isize,
        trail,
        run,
    };
    forward.sum::<DENSE>(&mut sums);
    Sums::of(sums)
}
