use super::beside::{Beside, WIDEST};
use super::direct::{Direct, Trailing};
use super::leaf::{LONGEST_CHUNK, Rows};
use super::place::Place;
use super::room::PIECE;
use super::tile::{PACKED, Packed, TURNED};
use super::{RowLabel, RowLoss};
use crate::drivers::unit_scale::UnitScales;
use crate::drivers::{Outputs, Plan};
use crate::element::Element;
use crate::simd::{dispatch, fence};
use crate::tensor::Lines;
use core::ops::Range;

/// A leaf of rows of one chunk, or a run of samples that have one leaf each.
pub(super) struct Short<'r, 'i, 'a, 'o, T: Element, R, const DENSE: bool> {
    rows: &'r Rows<'i, T, R, DENSE>,
    plan: &'r Plan<'a, T>,
    scales: UnitScales<'r, 'a, T>,
    outputs: &'r mut Outputs<'o, T>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
}

// Each way to run a leaf is a function of its own, so that none waits until the room of another is
// cleared.
impl<'r, 'i, 'a, 'o, T, R, const DENSE: bool> Short<'r, 'i, 'a, 'o, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    pub(super) fn new(
        rows: &'r Rows<'i, T, R, DENSE>,
        plan: &'r Plan<'a, T>,
        outputs: &'r mut Outputs<'o, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> Self {
        Self {
            rows,
            plan,
            scales: UnitScales::new(plan),
            outputs,
            samples,
            units,
            finish,
        }
    }

    /// Computes all rows, and returns the sum of the last sample's terms.
    pub(super) fn run(mut self) -> f64 {
        let count = self.samples.len() * self.units.len();
        if count == 0 {
            if self.finish {
                for sample in self.samples.clone() {
                    self.outputs.finish(self.plan, sample, 0.0);
                }
            }
            return 0.0;
        }
        let level = self.plan.exec.level;
        let stream = self.plan.stream && self.rows.grad;
        let sum = if !self.rows.in_runs(self.outputs) {
            match self.rows.classes <= PIECE {
                true => self.apart::<PIECE>(),
                false => self.apart::<LONGEST_CHUNK>(),
            }
        } else if self.rows.go_beside(count) && !level.is_scalar() && self.lines().is_some() {
            self.turned()
        } else if stream && self.rows.loss.normalises() && self.lines().is_some() {
            self.trailing()
        } else {
            self.in_lines::<false>(None)
        };
        if stream {
            fence(level);
        }
        sum
    }

    /// Runs `group`, which is given a row, how many there are from it on and room for losses, and says
    /// how many of them it has computed, until all rows are; writes their losses.
    #[inline(always)]
    fn groups(
        &mut self,
        mut group: impl FnMut(&mut Self, Place, usize, &mut [T; WIDEST]) -> usize,
    ) -> f64 {
        let mut losses = [T::ZERO; WIDEST];
        let mut sum = 0.0;
        let mut rest = self.samples.len() * self.units.len();
        let mut at = Place {
            sample: self.samples.start,
            unit: self.units.start,
        };
        while rest > 0 {
            let count = group(self, at, rest, &mut losses);
            rest -= count;
            for &loss in &losses[..count] {
                let Place { sample, unit } = at;
                match self.scales.of(sample, unit) {
                    None => self.outputs.mask(sample, unit..unit + 1),
                    Some(scale) => sum += scale.emit(self.outputs, sample, unit, loss),
                }
                at = at.next(&self.units);
                if at.sample != sample {
                    if self.finish {
                        self.outputs.finish(self.plan, sample, sum);
                    }
                    if at.sample < self.samples.end {
                        sum = 0.0;
                    }
                }
            }
        }
        sum
    }

    /// Rows whose classes are neighbours.
    #[inline(never)]
    fn in_lines<const TRAIL: bool>(&mut self, mut trailing: Option<Trailing<'_, T>>) -> f64 {
        self.groups(|leaf, at, rest, losses| {
            let (samples, units) = (leaf.samples.clone(), leaf.units.clone());
            let mut number = at.number(&samples, &units);
            let mut count = rest.min(WIDEST);
            let mut lines = leaf.rows.lines(leaf.outputs, samples, units.clone());
            if lines.is_none() {
                (number, count) = (0, 1);
                let (sample, unit) = (at.sample, at.unit);
                lines = leaf
                    .rows
                    .lines(leaf.outputs, sample..sample + 1, unit..unit + 1);
            }
            let (lines, shares) = lines.expect("classes that are neighbours");
            let direct = Direct::<_, _, _, TRAIL> {
                rows: leaf.rows,
                scales: &leaf.scales,
                lines,
                shares,
                at,
                number,
                units,
                stream: leaf.plan.stream,
                trailing: trailing.as_mut(),
                last: count == rest,
                losses: &mut losses[..count],
            };
            dispatch(leaf.plan.exec.level, direct);
            count
        })
    }

    /// Rows a stride apart whose gradients are made of exponentials and go past the caches.
    #[inline(never)]
    fn trailing(&mut self) -> f64 {
        let mut room = [[T::ZERO; LONGEST_CHUNK]; 2];
        let [exponentials, gradient] = room.each_mut().map(|values| &mut values[..]);
        self.in_lines::<true>(Some(Trailing {
            exponentials,
            gradient,
            before: None,
        }))
    }

    /// Short rows a stride apart, which are turned to stand side by side.
    #[inline(never)]
    fn turned(&mut self) -> f64 {
        let mut room = [[T::ZERO; TURNED]; 3];
        let mut packed = room.each_mut().map(|values| &mut values[..]);
        self.groups(|leaf, at, rest, losses| {
            let count = rest.min(leaf.rows.width(leaf.outputs));
            leaf.beside(at, &mut packed, &mut losses[..count]);
            count
        })
    }

    /// Rows whose classes lie apart: those that are neighbours class by class side by side, others one
    /// by one, for which there is room of `N`.
    #[inline(never)]
    fn apart<const N: usize>(&mut self) -> f64 {
        let mut room = [[T::ZERO; PACKED]; 2];
        let [logits, grads] = room.each_mut().map(|values| &mut values[..]);
        let (mut room, mut shares) = ([[T::ZERO; N]; 2], [T::ZERO; PACKED]);
        let mut packed = [logits, grads, &mut shares];
        self.groups(|leaf, at, rest, losses| {
            let mut count = 1;
            if !leaf.plan.exec.level.is_scalar() {
                let units = at.unit..leaf.units.end;
                count = leaf.rows.beside(leaf.outputs, at.sample, units, rest);
            }
            match count {
                1 => leaf.copied(at, &mut room, &mut losses[..1]),
                _ => leaf.beside(at, &mut packed, &mut losses[..count]),
            }
            count
        })
    }

    /// Computes rows side by side.
    fn beside(&mut self, at: Place, packed: &mut Packed<'_, T>, losses: &mut [T]) {
        let beside = Beside {
            rows: self.rows,
            plan: self.plan,
            scales: &self.scales,
            outputs: &mut *self.outputs,
            samples: self.samples.clone(),
            units: self.units.clone(),
            packed,
            at,
            losses,
        };
        dispatch(self.plan.exec.level, beside);
    }

    /// Computes a row that is copied first.
    fn copied(&mut self, at: Place, room: &mut [impl AsMut<[T]>; 2], losses: &mut [T]) {
        let classes = 0..self.rows.classes;
        let [row, label] = room
            .each_mut()
            .map(|values| &mut values.as_mut()[..classes.end]);
        let pred = self.outputs.pred();
        pred.copy_row(at.sample, at.unit, classes.clone(), row);
        let mut shares = None;
        if let RowLabel::Shares(label_shares) = &self.rows.label {
            let line = label_shares.row(at.sample, at.unit, classes, label);
            shares = Some(Lines::of_slice(line));
        }
        let direct = Direct::<_, _, _, false> {
            rows: self.rows,
            scales: &self.scales,
            lines: Lines::of_slice_mut(row),
            shares,
            at,
            number: 0,
            units: self.units.clone(),
            stream: false,
            trailing: None,
            last: true,
            losses,
        };
        dispatch(self.plan.exec.level, direct);
        if let Some(grad) = self.outputs.pred().grad() {
            grad.write_row(at.sample, at.unit, 0, row);
        }
    }

    /// The lines of all rows, if they lie a stride apart.
    fn lines(&mut self) -> Option<(Lines<'_, T>, Option<Lines<'_, T>>)> {
        let (samples, units) = (self.samples.clone(), self.units.clone());
        self.rows.lines(self.outputs, samples, units)
    }
}

impl<T: Element, R, const DENSE: bool> Rows<'_, T, R, DENSE> {
    /// The lines of some rows and of the label's shares, if each lie a stride apart.
    fn lines<'l>(
        &'l self,
        outputs: &'l mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
    ) -> Option<(Lines<'l, T>, Option<Lines<'l, T>>)> {
        let shares = match &self.label {
            RowLabel::Class(_) => None,
            RowLabel::Shares(shares) => Some(shares.rows(samples.clone(), units.clone())?),
        };
        Some((outputs.pred().rows(samples, units)?, shares))
    }
}
