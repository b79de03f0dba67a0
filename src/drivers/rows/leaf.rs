use super::beside::{Beside, Place, WIDEST};
use super::direct::{Direct, Trailing};
use super::long::LongRow;
use super::room::{PIECE, Room};
use super::row::{self, Backward, Forward, LeftOut, Row, Sums, first_lane, subtracted};
use super::tile::{PACKED, Packed, TURNED};
use super::{RowLabel, RowLoss};
use crate::drivers::schedule::Leaf;
use crate::drivers::unit_scale::UnitScales;
use crate::drivers::{Operand, Outputs, Plan};
use crate::element::Element;
use crate::simd::{InOut, Isa, Kernel, Lanes, Sum, dispatch};
use core::ops::Range;

/// Elements in a leaf of several rows.
const LEAF_ELEMENTS: usize = 1 << 14;

/// The most rows in a leaf.
const LEAF_ROWS: usize = 1024;

/// Classes up to which a row goes through one chunk, and those of a chunk of a longer one: so many
/// logits and exponentials of f32 fill a first-level cache of 32 KiB.
pub(super) const LONGEST_CHUNK: usize = 4096;

/// The driver of rows with its operands; `DENSE` if the label gives every class a share.
pub(super) struct Rows<'i, T, R, const DENSE: bool> {
    pub(super) loss: R,
    pub(super) label: RowLabel<'i, T>,
    pub(super) classes: usize,
    /// Whether gradients are wanted.
    pub(super) grad: bool,
}

impl<T, R, const DENSE: bool> Leaf<T> for Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    fn units(&self) -> usize {
        (LEAF_ELEMENTS / self.classes).clamp(1, LEAF_ROWS)
    }

    fn cost(&self) -> usize {
        self.classes
    }

    fn run(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        if self.classes > LONGEST_CHUNK {
            return LongRow { rows: self, plan }.run(outputs, samples, units, finish);
        }
        self.run_short(plan, outputs, samples, units, finish)
    }
}

/// The work of one leaf of short rows, or of a run of samples that have one leaf each.
struct Run<'r, 'i, 'a, 'o, T, R, const DENSE: bool> {
    rows: &'r Rows<'i, T, R, DENSE>,
    plan: &'r Plan<'a, T>,
    outputs: &'r mut Outputs<'o, T>,
    samples: Range<usize>,
    units: Range<usize>,
    finish: bool,
    room: Room<'r, T>,
    /// For rows side by side.
    packed: Option<Packed<'r, T>>,
    /// Whether classes are neighbours, and rows lie a stride apart.
    direct: bool,
    /// For such rows whose gradients go past the caches.
    trailing: Option<Trailing<'r, T>>,
}

impl<T, R, const DENSE: bool> Kernel for Run<'_, '_, '_, '_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    type Home = R;
    type Output = f64;

    #[inline(always)]
    fn run<S: Isa>(mut self, simd: S) -> f64 {
        if self.units.is_empty() && self.finish {
            for sample in self.samples.clone() {
                self.outputs.finish(self.plan, sample, 0.0);
            }
        }
        let stream = self.plan.stream && self.rows.grad;
        let scales = UnitScales::new(self.plan);
        let direct = Direct {
            simd,
            rows: self.rows,
            scales: &scales,
            samples: self.samples.clone(),
            units: self.units.clone(),
            stream,
        };
        let mut losses = [T::ZERO; WIDEST];
        let mut sum = 0.0;
        let mut rest = self.samples.len() * self.units.len();
        let mut at = Place {
            sample: self.samples.start,
            unit: self.units.start,
        };
        while rest > 0 {
            let mut count = if self.direct { rest.min(WIDEST) } else { 1 };
            // One lane at a time is none the faster for rows side by side.
            if self.packed.is_some() && !S::IS_SCALAR {
                let units = at.unit..self.units.end;
                count = self.rows.beside(self.outputs, at.sample, units, rest);
            }
            rest -= count;
            match &mut self.packed {
                Some(packed) if count > 1 && !S::IS_SCALAR => {
                    let mut beside = Beside {
                        simd,
                        rows: self.rows,
                        plan: self.plan,
                        scales: &scales,
                        outputs: &mut *self.outputs,
                        samples: self.samples.clone(),
                        units: self.units.clone(),
                        packed,
                    };
                    beside.run(at, count, &mut losses);
                }
                _ if self.direct => {
                    let trailing = &mut self.trailing;
                    direct.run(self.outputs, at, count, &mut losses, trailing);
                }
                _ => {
                    let place = (at.sample, at.unit);
                    if let Some(scale) = scales.of(at.sample, at.unit) {
                        let (rows, room) = (self.rows, &mut self.room);
                        losses[0] = rows.row(simd, self.outputs, place, scale.grad, room);
                    }
                }
            }
            for &loss in &losses[..count] {
                let Place { sample, unit } = at;
                match scales.of(sample, unit) {
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
        if let Some(trailing) = &mut self.trailing {
            direct.finish(self.outputs, trailing);
        }
        if stream {
            simd.fence();
        }
        sum
    }
}

impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
    /// Runs a leaf of rows of one chunk. A function of its own, so that long rows, which wait for
    /// other threads, do not carry its room.
    #[inline(never)]
    fn run_short(
        &self,
        plan: &Plan<'_, T>,
        outputs: &mut Outputs<'_, T>,
        samples: Range<usize>,
        units: Range<usize>,
        finish: bool,
    ) -> f64 {
        let in_runs = self.in_runs(outputs);
        let in_lines = in_runs && self.lie_in_lines(outputs, &samples, &units);
        let beside = !in_runs || in_lines && self.go_beside(samples.len() * units.len());
        let (mut pieces, mut trailed, mut turned, mut columns, mut shares);
        let mut room = Room::none();
        if !in_runs {
            pieces = [[T::ZERO; PIECE]; 2];
            room = Room::of_pieces(&mut pieces);
        }
        let mut trailing = None;
        let direct = in_lines && !beside;
        if direct && plan.stream && self.grad && self.loss.normalises() {
            trailed = [[T::ZERO; LONGEST_CHUNK]; 2];
            let [exponentials, gradient] = trailed.each_mut().map(|values| &mut values[..]);
            trailing = Some(Trailing {
                exponentials,
                gradient,
                before: None,
            });
        }
        let mut side_by_side = None;
        if beside && in_runs {
            turned = [[T::ZERO; TURNED]; 3];
            side_by_side = Some(turned.each_mut().map(|values| &mut values[..]));
        } else if beside {
            columns = [[T::ZERO; PACKED]; 2];
            let [logits, grads] = columns.each_mut().map(|values| &mut values[..]);
            let mut of_label = &mut [][..];
            if DENSE {
                shares = [T::ZERO; PACKED];
                of_label = &mut shares;
            }
            side_by_side = Some([logits, grads, of_label]);
        }
        let run = Run {
            rows: self,
            plan,
            outputs,
            samples,
            units,
            finish,
            room,
            packed: side_by_side,
            direct,
            trailing,
        };
        dispatch(plan.exec.level, run)
    }

    /// Whether rows whose classes are neighbours lie a stride apart.
    fn lie_in_lines(
        &self,
        outputs: &mut Outputs<'_, T>,
        samples: &Range<usize>,
        units: &Range<usize>,
    ) -> bool {
        let label = match &self.label {
            RowLabel::Class(_) => true,
            RowLabel::Shares(shares) => shares.rows(samples.clone(), units.clone()).is_some(),
        };
        label
            && outputs
                .pred()
                .rows(samples.clone(), units.clone())
                .is_some()
    }

    /// The loss of a row of one chunk, and its gradient.
    #[inline(always)]
    pub(super) fn row<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        at: (usize, usize),
        grad_scale: f64,
        room: &mut Room<'_, T>,
    ) -> T {
        let all = 0..self.classes;
        let (left_out, sums) = self.whole(simd, outputs, at, room, self.grad);
        let outcome = self.outcome(simd, at, &left_out, sums, grad_scale);
        if self.grad {
            let pass = Second {
                max: left_out.max,
                factor: outcome.factor,
                grad_scale: T::from_f64(grad_scale),
                stream: false,
            };
            self.backward(simd, outputs, at, all, room, pass);
            self.patch(outputs, at, left_out.class, outcome.grad);
        }
        outcome.loss
    }

    /// The first pass over a whole row of one chunk; if `keep`, the exponentials go to the
    /// gradient's place.
    #[inline(always)]
    pub(super) fn whole<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        at: (usize, usize),
        room: &mut Room<'_, T>,
        keep: bool,
    ) -> (LeftOut<T>, Sums) {
        let all = 0..self.classes;
        let class = self.class(at);
        if !self.loss.normalises() {
            let class = class.unwrap_or(0);
            let logit = outputs.pred().class(at.0, at.1, class);
            let sums = if DENSE {
                self.forward(simd, outputs, (at, all), room, (0, T::ZERO), keep)
            } else {
                Sums::of_class(-logit.to_f64())
            };
            return (LeftOut::of_log_probabilities(class, logit), sums);
        }
        let (max, position) = self.largest(simd, outputs, at, all.clone(), room);
        let left_out = match class {
            Some(class) => {
                let logit = outputs.pred().class(at.0, at.1, class);
                LeftOut::new(simd, class, logit, max)
            }
            None => LeftOut::new(simd, position, max, max),
        };
        let sums = self.forward(simd, outputs, (at, all), room, (left_out.class, max), keep);
        (left_out, sums)
    }

    /// A row, given the sums over all its classes.
    #[inline(always)]
    pub(super) fn finished<S: Isa>(&self, simd: S, left_out: &LeftOut<T>, sums: Sums) -> Row<S> {
        let share = if DENSE { sums.share } else { 1.0 };
        let share = Lanes::splat(simd, share);
        let terms = Lanes::splat(simd, sums.terms);
        if !self.loss.normalises() {
            return Row::of_log_probabilities([share, terms]);
        }
        let max = Lanes::splat(simd, left_out.max.to_f64());
        let logit = Lanes::splat(simd, left_out.logit.to_f64());
        let own = Lanes::splat(simd, left_out.own.to_f64());
        let rest = Lanes::splat(simd, sums.rest);
        Row::new([max, logit, own], [rest, share, terms])
    }

    /// What the sums over all classes of a row come to.
    #[inline(always)]
    pub(super) fn outcome<S: Isa>(
        &self,
        simd: S,
        at: (usize, usize),
        left_out: &LeftOut<T>,
        sums: Sums,
        grad_scale: f64,
    ) -> Outcome<T> {
        let row = self.finished(simd, left_out, sums);
        let normalise = self.loss.normalises();
        let (mut factor, mut grad) = (T::ZERO, T::ZERO);
        if self.grad {
            let grad_scale = Lanes::splat(simd, grad_scale);
            let share = Lanes::splat(simd, self.share_of(at, left_out.class));
            let left_out = row.grad_of_left_out(share, grad_scale, normalise);
            factor = T::from_f64(first_lane(row.factor(grad_scale)));
            grad = T::from_f64(first_lane(left_out));
        }
        Outcome {
            loss: T::from_f64(first_lane(row.loss(normalise))),
            factor,
            grad,
        }
    }

    /// Whether the classes of every row are neighbours in memory, in all operands.
    #[inline]
    pub(super) fn in_runs(&self, outputs: &Outputs<'_, T>) -> bool {
        self.in_runs_of(&outputs.operands[0])
    }

    /// Whether the classes of every row are neighbours in memory, in pred and label.
    #[inline]
    pub(super) fn in_runs_of(&self, pred: &Operand<'_, T>) -> bool {
        let label = match &self.label {
            RowLabel::Class(_) => true,
            RowLabel::Shares(shares) => shares.classes_contiguous(),
        };
        label && pred.classes_contiguous()
    }

    /// The label's class, where it is one.
    #[inline]
    pub(super) fn class(&self, (sample, unit): (usize, usize)) -> Option<usize> {
        match &self.label {
            RowLabel::Class(classes) => Some(classes.get(sample, unit)),
            RowLabel::Shares(_) => None,
        }
    }

    /// The share that a class has of the label.
    #[inline]
    pub(super) fn share_of(&self, (sample, unit): (usize, usize), class: usize) -> f64 {
        match &self.label {
            RowLabel::Class(_) => 1.0,
            RowLabel::Shares(shares) => shares.class(sample, unit, class).to_f64(),
        }
    }

    /// Whether a class has a gradient that a scaled exponential, or a share, cannot give.
    pub(super) fn leaves_out(&self) -> bool {
        self.loss.normalises() || !DENSE
    }

    /// Sets the gradient that a scaled exponential cannot give, of the class that was left out.
    #[inline]
    pub(super) fn patch(
        &self,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        class: usize,
        value: T,
    ) {
        if self.leaves_out()
            && let Some(grad) = outputs.pred().grad()
        {
            grad.set_class(sample, unit, class, value);
        }
    }

    /// The largest logit of some classes, or −∞, and the first class that has it, if the label says
    /// nothing about which class is left out.
    #[inline(always)]
    pub(super) fn largest<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        room: &mut Room<'_, T>,
    ) -> (T, usize) {
        let logits = &mut *room.pieces[0];
        let (mut largest, mut position) = (T::from_f64(f64::NEG_INFINITY), classes.start);
        for part in parts(&classes, logits.len()) {
            let (run, _) = outputs.pred().row(sample, unit, part, logits);
            let max = row::max(simd, &run);
            if max > largest {
                largest = max;
            }
        }
        if !DENSE {
            return (largest, position);
        }
        for part in parts(&classes, logits.len()) {
            let (run, _) = outputs.pred().row(sample, unit, part.clone(), logits);
            if let Some(at) = row::position(simd, &run, largest) {
                position = part.start + at;
                break;
            }
        }
        (largest, position)
    }

    /// The sums over some classes of a row but one, given their largest logit.
    #[inline(always)]
    pub(super) fn forward<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        ((sample, unit), classes): ((usize, usize), Range<usize>),
        room: &mut Room<'_, T>,
        (left_out, max): (usize, T),
        keep: bool,
    ) -> Sums {
        let [logits, label] = room.pieces.each_mut().map(|piece| &mut **piece);
        let subtracted = Lanes::splat(simd, subtracted(max));
        let ahead = classes.len() * size_of::<T>();
        let mut sums = [Sum::zero(simd); 3];
        for part in parts(&classes, logits.len()) {
            let shares = self.shares((sample, unit), part.clone(), label);
            let (run, copied) = outputs.pred().row(sample, unit, part.clone(), logits);
            let mut forward = Forward {
                simd,
                loss: self.loss,
                run,
                shares,
                subtracted,
                keep,
                ahead,
                left_out: left_out as isize - part.start as isize,
                trail: None,
            };
            forward.sum::<DENSE>(&mut sums);
            if keep
                && copied
                && self.loss.normalises()
                && let Some(grad) = outputs.pred().grad()
            {
                grad.write_row(sample, unit, part.start, &logits[..part.len()]);
            }
        }
        Sums::of(sums)
    }

    /// The second pass over a row of one chunk, of which the first kept the exponentials.
    #[inline(always)]
    fn backward<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        room: &mut Room<'_, T>,
        pass: Second<T>,
    ) {
        let [exponentials, label] = room.pieces.each_mut().map(|piece| &mut **piece);
        let Some(grad) = outputs.pred().grad() else {
            return;
        };
        for part in parts(&classes, exponentials.len()) {
            let shares = self.shares((sample, unit), part.clone(), label);
            let direct = grad.classes_contiguous();
            let place = if direct {
                grad.row(sample, unit, part.clone())
            } else {
                let place = &mut exponentials[..part.len()];
                grad.as_source().copy_row(sample, unit, part.clone(), place);
                place
            };
            pass.backward(simd, InOut::in_place(place), shares, false)
                .run::<DENSE>(self.loss.normalises());
            if !direct {
                grad.write_row(sample, unit, part.start, &exponentials[..part.len()]);
            }
        }
    }

    /// The second pass over some classes of a row, from the logits.
    #[inline(always)]
    pub(super) fn backward_of_logits<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        room: &mut Room<'_, T>,
        pass: Second<T>,
    ) {
        let [logits, label] = room.pieces.each_mut().map(|piece| &mut **piece);
        for part in parts(&classes, logits.len()) {
            let shares = self.shares((sample, unit), part.clone(), label);
            let (run, copied) = outputs.pred().row(sample, unit, part.clone(), logits);
            let pass = Second {
                stream: pass.stream && !copied,
                ..pass
            };
            pass.backward(simd, run, shares, true)
                .run::<DENSE>(self.loss.normalises());
            if copied && let Some(grad) = outputs.pred().grad() {
                grad.write_row(sample, unit, part.start, &logits[..part.len()]);
            }
        }
    }

    /// The label's shares of some classes; none where the label is a class.
    #[inline(always)]
    fn shares<'s>(
        &'s self,
        (sample, unit): (usize, usize),
        classes: Range<usize>,
        piece: &'s mut [T],
    ) -> &'s [T] {
        match &self.label {
            RowLabel::Class(_) => &[],
            RowLabel::Shares(shares) => shares.row(sample, unit, classes, piece),
        }
    }
}

/// What a row comes to.
pub(super) struct Outcome<T> {
    pub(super) loss: T,
    /// What the exponentials are multiplied by.
    pub(super) factor: T,
    /// The gradient of the class that is left out.
    pub(super) grad: T,
}

/// What the second pass over a row is told.
#[derive(Clone, Copy)]
pub(super) struct Second<T> {
    /// The largest logit.
    pub(super) max: T,
    pub(super) factor: T,
    pub(super) grad_scale: T,
    pub(super) stream: bool,
}

impl<T: Element> Second<T> {
    #[inline(always)]
    pub(super) fn backward<'b, S: Isa>(
        self,
        simd: S,
        run: InOut<'b, T>,
        shares: &'b [T],
        logits: bool,
    ) -> Backward<'b, T, S> {
        Backward {
            simd,
            stream: self.stream,
            run,
            shares,
            logits,
            subtracted: Lanes::splat(simd, subtracted(self.max)),
            factor: Lanes::splat(simd, self.factor),
            grad_scale: Lanes::splat(simd, self.grad_scale),
        }
    }
}

/// Cuts classes into pieces of at most `room`; one piece where no room is needed.
#[inline(always)]
pub(super) fn parts(
    classes: &Range<usize>,
    room: usize,
) -> impl Iterator<Item = Range<usize>> + use<> {
    let Range { start, end } = *classes;
    let step = if room == 0 { end - start } else { room };
    (start..end)
        .step_by(step)
        .map(move |at| at..end.min(at + step))
}
