use super::beside::{Beside, LONG_RUN, WIDEST};
use super::direct::{Direct, Trailing};
use super::leaf::{LONGEST_CHUNK, Rows};
use super::place::Place;
use super::room::PIECE;
use super::tile::{FEW_TURNED, PACKED, PACKED_WITH_SHARES, Packed, TURNED};
use super::{RowLabel, RowLoss};
use crate::drivers::unit_scale::UnitScales;
use crate::drivers::{Aligned, Outputs, Plan};
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
        let in_runs = self.rows.in_runs(self.outputs);
        let stream = match in_runs {
            true => self.rows.streams(self.plan),
            false => self.rows.streams_columns(self.plan),
        };
        // One lane at a time is none the faster for rows side by side.
        let sum = if !in_runs {
            match (level.is_scalar(), DENSE) {
                (true, _) => self.one_by_one(),
                (_, true) => self.apart::<PACKED_WITH_SHARES>(),
                (_, false) => self.apart::<PACKED>(),
            }
        } else if self.rows.go_beside(count) && !level.is_scalar() && self.lie_in_lines() {
            match count.next_multiple_of(T::LANES) * self.rows.classes <= FEW_TURNED {
                true => self.turned::<FEW_TURNED>(),
                false => self.turned::<TURNED>(),
            }
        } else if stream && self.rows.loss.normalises() && self.lie_in_lines() {
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
            let mut losses = &mut losses[..count];
            while !losses.is_empty() {
                let Place { sample, unit } = at;
                let end = self.units.end.min(unit + losses.len());
                let (some, others) = losses.split_at_mut(end - unit);
                losses = others;
                self.scales
                    .emit(self.outputs, sample, unit..end, some, &mut sum);
                at.unit = end;
                if end == self.units.end {
                    if self.finish {
                        self.outputs.finish(self.plan, sample, sum);
                    }
                    at = Place {
                        sample: sample + 1,
                        unit: self.units.start,
                    };
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
                // Those of the sample, or else a row.
                let (sample, left) = (at.sample..at.sample + 1, at.unit..units.end);
                (number, count) = (0, left.len().min(WIDEST));
                lines = leaf.rows.lines(leaf.outputs, sample.clone(), left);
                if lines.is_none() {
                    count = 1;
                    lines = leaf.rows.lines(leaf.outputs, sample, at.unit..at.unit + 1);
                }
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
                stream: leaf.rows.streams(leaf.plan),
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
        let mut room = Aligned([[T::ZERO; LONGEST_CHUNK]; 2]);
        let [exponentials, gradient] = room.0.each_mut().map(|values| &mut values[..]);
        self.in_lines::<true>(Some(Trailing {
            exponentials,
            gradient,
            before: None,
        }))
    }

    /// Rows of few classes a stride apart, which are turned to stand side by side.
    #[inline(never)]
    fn turned<const N: usize>(&mut self) -> f64 {
        let width = self.rows.width(N);
        self.side_by_side::<N>(width, |_, _, rest| rest.min(width))
    }

    /// Rows whose classes lie apart: those that are neighbours class by class side by side, others one
    /// by one.
    #[inline(never)]
    fn apart<const N: usize>(&mut self) -> f64 {
        // Half of the room, which leaves the first-level cache to what is copied; all of it where runs
        // would else be short.
        let width = self.rows.width(N).min(LONG_RUN * T::LANES);
        let width = width.max(self.rows.width(N / 2));
        self.side_by_side::<N>(width, |leaf, at, _| {
            let units = at.unit..leaf.units.end;
            leaf.rows.next_beside(leaf.outputs, at.sample, units, width)
        })
    }

    /// Rows side by side, at most `width` at a time, and lone ones whose classes lie apart by themselves.
    /// `next` is given a row and how many there are from it on, and says how many of them are taken.
    #[inline(always)]
    fn side_by_side<const N: usize>(
        &mut self,
        width: usize,
        next: impl Fn(&mut Self, Place, usize) -> usize,
    ) -> f64 {
        let (mut room, mut more);
        room = Aligned([T::ZERO; N]);
        let mut packed: Packed<'_, T> = [&mut room.0, &mut [], &mut []];
        if DENSE {
            more = Aligned([[T::ZERO; N]; 2]);
            [packed[1], packed[2]] = more.0.each_mut().map(|values| &mut values[..]);
        }
        self.groups(|leaf, at, rest, losses| {
            let count = next(leaf, at, rest);
            match count {
                1 if !leaf.rows.in_runs(leaf.outputs) => leaf.copied(at, losses),
                _ => leaf.beside(at, &mut packed, width, &mut losses[..count]),
            }
            count
        })
    }

    /// Rows whose classes lie apart, one by one.
    #[inline(never)]
    fn one_by_one(&mut self) -> f64 {
        self.groups(|leaf, at, _, losses| {
            leaf.copied(at, losses);
            1
        })
    }

    /// Computes rows side by side.
    fn beside(&mut self, at: Place, packed: &mut Packed<'_, T>, width: usize, losses: &mut [T]) {
        let beside = Beside {
            rows: self.rows,
            plan: self.plan,
            scales: &self.scales,
            outputs: &mut *self.outputs,
            samples: self.samples.clone(),
            units: self.units.clone(),
            step: packed[0].len() / width,
            packed,
            width,
            at,
            losses,
        };
        dispatch(self.plan.exec.level, beside);
    }

    /// Computes a row that is copied first, unless it is masked.
    fn copied(&mut self, at: Place, losses: &mut [T]) {
        if self.scales.of(at.sample, at.unit).is_none() {
            return;
        }
        match self.rows.classes <= PIECE {
            true => self.copied_to_room_of::<PIECE>(at, losses),
            false => self.copied_to_room_of::<LONGEST_CHUNK>(at, losses),
        }
    }

    #[inline(never)]
    fn copied_to_room_of<const N: usize>(&mut self, at: Place, losses: &mut [T]) {
        let classes = 0..self.rows.classes;
        let mut room = Aligned([T::ZERO; N]);
        let row = &mut room.0[..classes.end];
        let pred = self.outputs.pred();
        pred.copy_row(at.sample, at.unit, classes.clone(), row);
        let mut label;
        let mut shares = None;
        if DENSE && let RowLabel::Shares(given) = &self.rows.label {
            label = Aligned([T::ZERO; N]);
            let line = given.row(at.sample, at.unit, classes, &mut label.0);
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
            losses: &mut losses[..1],
        };
        dispatch(self.plan.exec.level, direct);
        if let Some(grad) = self.outputs.pred().grad() {
            grad.write_row(at.sample, at.unit, 0, row);
        }
    }

    /// Whether all rows lie a stride apart.
    fn lie_in_lines(&mut self) -> bool {
        let (samples, units) = (self.samples.clone(), self.units.clone());
        self.rows.lines(self.outputs, samples, units).is_some()
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
