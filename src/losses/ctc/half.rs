//! Half of a sample's lattice, from one end of the sequence to the middle and back.
//!
//! Both halves look the same: the second is the first of the sequence read backward, frames and
//! labels. Each goes forward to where they meet, keeping what it needs to come back; then each
//! takes the other's probabilities at the meeting for the future, and goes backward, writing the
//! gradient of its frames. So there is one recursion in each direction, and two threads for one
//! sample.
//!
//! **Checkpoints.** A half that is too long to keep all its rows keeps one every chunk of frames,
//! and computes the rows of a chunk again when it comes back to it.
//!
//! **Windows.** Backward in time a path only moves to the left, by at most one pair a frame. So all
//! but 2^−40 on either side of the probability of all paths stays, during a group of frames, within
//! the blocks that hold all but 2^−40 of the posterior at the group's end and as many to the left
//! of them as the group has frames. The others are left out, and what is left out of all groups
//! adds up to less than 2^−39 times their number: 6·10⁻⁹ of a posterior for a sequence of 100,000
//! frames.

use super::emission::{self, Before, Normaliser, Table, table_len};
use super::lattice::{self, Band, Emission, Posteriors, block};
use super::sequence::Sequence;
use super::states::State;
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes};
use crate::workspace::{Plain, Room, bytes_of};
use core::ops::Range;

/// What a sample's lattice is shaped by.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) frames: usize,
    pub(super) labels: usize,
    pub(super) classes: usize,
    /// Whether a gradient is wanted, for which the way back is needed.
    pub(super) grad: bool,
}

/// Bytes of rows that a half keeps without checkpoints.
const KEPT: usize = 512 << 10;

/// Bytes of checkpoints beyond which chunks are made longer.
const CHECKPOINTS: usize = 4 << 20;

/// Frames in a chunk.
const CHUNK: usize = 32;

/// Classes beyond which tables hold only those that the labels name, and the blank.
const WIDE: usize = 64;

/// How a half keeps its rows.
#[derive(Clone, Copy)]
struct Plan {
    band: Band,
    /// Frames of this half.
    frames: usize,
    chunk: usize,
    /// How many values a part of a table has.
    table: usize,
    wide: bool,
    grad: bool,
}

impl Plan {
    fn new<W: Element>(extent: Extent, frames: usize) -> Self {
        let band = Band {
            frames: extent.frames,
            labels: extent.labels,
        };
        let wide = extent.classes > WIDE;
        let named = (extent.labels + 1).min(extent.classes);
        let row = band.blocks::<W>() * block::<W>() * size_of::<W>();
        // A frame of many classes costs so much that two more megabytes do not.
        let kept = if wide { 4 * KEPT } else { KEPT };
        let mut chunk = frames.next_multiple_of(CHUNK).max(CHUNK);
        if row.saturating_mul(frames) > kept {
            chunk = CHUNK;
            if row.saturating_mul(frames / CHUNK) > CHECKPOINTS {
                chunk = frames.isqrt().next_multiple_of(CHUNK);
            }
        }
        Self {
            band,
            frames,
            chunk,
            table: table_len::<W>(if wide { named } else { extent.classes }),
            wide,
            grad: extent.grad,
        }
    }

    fn pairs<W: Element>(&self) -> usize {
        self.band.blocks::<W>() * W::LANES
    }

    fn row<W: Element>(&self) -> usize {
        self.band.blocks::<W>() * block::<W>()
    }

    fn chunks(&self) -> usize {
        self.frames.div_ceil(self.chunk).max(1)
    }

    /// How many frames of rows and tables are kept at once.
    fn kept(&self) -> usize {
        if self.grad {
            self.chunk.min(self.frames)
        } else {
            0
        }
    }

    /// The first frame whose row stays until the way back.
    fn first_kept(&self) -> usize {
        if self.grad {
            (self.chunks() - 1) * self.chunk
        } else {
            self.frames
        }
    }
}

/// A half's share of the workspace.
pub(super) struct Half<'w, W> {
    plan: Plan,
    extent: Extent,
    blank: u32,
    /// Each pair's label as a row of the table.
    slots: &'w mut [u32],
    /// The class of each row of the table, where that holds only some.
    classes: &'w mut [u32],
    named: usize,
    /// 1 for the pairs whose label may follow the one before without a blank, else 0.
    skips: &'w mut [W],
    /// What a frame emits, by pair.
    emitted: [&'w mut [W]; 2],
    rows: [&'w mut [W]; 2],
    /// The last frame's row.
    last: &'w mut [W],
    checkpoints: &'w mut [W],
    history: &'w mut [W],
    tables: &'w mut [W],
    sums: &'w mut [f64],
    maxima: &'w mut [W],
    /// Posteriors of a group of frames, by frame and pair.
    posteriors: &'w mut [W],
    /// Posteriors of the blanks of one frame, by pair.
    blanks: &'w mut [W],
    /// Sums of a group's posteriors, by row of the table and frame.
    gathered: &'w mut [W],
    /// The gradient of a group, by frame and row of the table.
    gradient: &'w mut [W],
    /// Logits that do not lie in a row, or are converted.
    converted: &'w mut [W],
    /// Logits of the classes that the table holds.
    compact: &'w mut [W],
    /// Probabilities of two frames of many classes.
    values: [&'w mut [W]; 2],
}

impl<'w, W: Element + Plain> Half<'w, W> {
    /// How many bytes [`new`](Self::new) takes.
    pub(super) fn bytes(extent: Extent, frames: usize) -> usize {
        let plan = Plan::new::<W>(extent, frames);
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let (kept, table) = (plan.kept(), plan.table);
        let (grad, wide) = (usize::from(plan.grad), usize::from(plan.wide));
        let w = |len: usize| bytes_of::<W>(len);
        let parts = [
            bytes_of::<u32>(pairs),
            bytes_of::<u32>(wide * (table + extent.classes)),
            w(pairs),
            2 * w(pairs),
            3 * w(row),
            w((grad * (plan.chunks() - 1)).saturating_mul(row)),
            w(kept.saturating_mul(row)),
            w(kept.max(1).saturating_mul(3 * table)),
            bytes_of::<f64>(kept),
            w(kept),
            w(grad * W::LANES * pairs),
            w(grad * pairs),
            2 * w(grad * W::LANES * table),
            w(extent.classes),
            w(wide * table),
            2 * w(wide * table_len::<W>(extent.classes)),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    pub(super) fn new(extent: Extent, frames: usize, blank: usize, room: &mut Room<'w>) -> Self {
        let plan = Plan::new::<W>(extent, frames);
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let (kept, table) = (plan.kept(), plan.table);
        let (grad, wide) = (usize::from(plan.grad), usize::from(plan.wide));
        let wide_row = wide * table_len::<W>(extent.classes);
        Self {
            plan,
            extent,
            blank: blank as u32,
            slots: room.take(pairs),
            classes: room.take(wide * (table + extent.classes)),
            named: extent.classes,
            skips: room.take(pairs),
            emitted: [room.take(pairs), room.take(pairs)],
            rows: [room.take(row), room.take(row)],
            last: room.take(row),
            checkpoints: room.take(grad * (plan.chunks() - 1) * row),
            history: room.take(kept * row),
            tables: room.take(kept.max(1) * 3 * table),
            sums: room.take(kept),
            maxima: room.take(kept),
            posteriors: room.take(grad * W::LANES * pairs),
            blanks: room.take(grad * pairs),
            gathered: room.take(grad * W::LANES * table),
            gradient: room.take(grad * W::LANES * table),
            converted: room.take(extent.classes),
            compact: room.take(wide * table),
            values: [room.take(wide_row), room.take(wide_row)],
        }
    }

    /// Lays out the labels, in the order in which this half reads them.
    pub(super) fn set_labels(&mut self, labels: impl Iterator<Item = u32> + Clone) {
        self.emitted[0].fill(W::from_f64(1.0));
        self.emitted[1].fill(W::from_f64(f64::NEG_INFINITY));
        self.slots.fill(0);
        self.skips.fill(W::ZERO);
        let mut before = None;
        for ((slot, skip), label) in self.slots.iter_mut().zip(&mut *self.skips).zip(labels) {
            *slot = label;
            *skip = W::from_f64(f64::from(before != Some(label)));
            before = Some(label);
        }
        if self.plan.wide {
            self.name_classes();
        }
    }

    /// Numbers the classes that are named, the blank first, and turns labels into these numbers.
    fn name_classes(&mut self) {
        const NONE: u32 = u32::MAX;
        let (named, numbers) = self.classes.split_at_mut(self.plan.table);
        let slots = &mut self.slots[..self.extent.labels];
        for &label in &*slots {
            numbers[label as usize] = NONE;
        }
        (named[0], numbers[self.blank as usize]) = (self.blank, 0);
        let mut count = 1;
        for slot in slots {
            let number = &mut numbers[*slot as usize];
            if *number == NONE {
                named[count] = *slot;
                *number = count as u32;
                count += 1;
            }
            *slot = *number;
        }
        self.blank = 0;
        self.named = count;
    }

    /// The probability of all paths, from both halves' last frames. `self` goes forward.
    ///
    /// In `f64`, so that few frames of confident predictions cost what they should.
    pub(super) fn meet(&self, other: &Self) -> State {
        let labels = self.extent.labels;
        let pairs = match self.plan.frames.checked_sub(1) {
            Some(last) => self.plan.band.pairs(last),
            None => 0..1,
        };
        let mut total = State::DEAD;
        // What follows a label: itself, or what can be entered from it.
        let mut entered = match pairs.end <= labels {
            true => self.entered(other, pairs.end).0,
            false => State::DEAD,
        };
        for i in pairs.rev() {
            let of_label = self
                .last_state(i, 2)
                .times(other.mirrored(i, 2).plus(entered));
            let either;
            (entered, either) = self.entered(other, i);
            let of_blank = self.last_state(i, 0).times(either);
            total = total.plus(of_blank.plus(of_label));
        }
        total
    }

    /// What can be entered from the label before pair `i`, and from its blank, where the other half
    /// begins.
    #[inline(always)]
    fn entered(&self, other: &Self, i: usize) -> (State, State) {
        let blank = other.mirrored(i, 0);
        let either = blank.plus(other.mirrored(i, 2));
        let entered = if self.skips[i] > W::ZERO {
            either
        } else {
            blank
        };
        (entered, either)
    }

    /// The blank or label of a pair at the half's last frame: `part` is 0 or 2.
    #[inline(always)]
    fn last_state(&self, pair: usize, part: usize) -> State {
        let at = pair / W::LANES * block::<W>() + pair % W::LANES + part * W::LANES;
        State {
            mantissa: self.last[at].to_f64(),
            exponent: self.last[at + W::LANES].to_f64(),
        }
    }

    /// The blank or label that is pair `i`'s as the other half counts, at this half's last frame.
    #[inline(always)]
    fn mirrored(&self, i: usize, part: usize) -> State {
        match self.extent.labels.checked_sub(i + part / 2) {
            Some(mirrored) => self.last_state(mirrored, part),
            None => State::DEAD,
        }
    }

    /// Takes the other half's last frame for the future of this one.
    pub(super) fn take_future(&mut self, other: &Self) {
        let labels = self.extent.labels;
        let lanes = W::LANES;
        let row = &mut *self.rows[0];
        for (k, states) in row.chunks_exact_mut(lanes).enumerate() {
            let dead = if k % 2 == 0 { 1.0 } else { f64::NEG_INFINITY };
            states.fill(W::from_f64(dead));
        }
        let mut copy = |pair: usize, mirrored: usize, part: usize| {
            let to = pair / lanes * block::<W>() + pair % lanes + part * lanes;
            let from = mirrored / lanes * block::<W>() + mirrored % lanes + part * lanes;
            row[to] = other.last[from];
            row[to + lanes] = other.last[from + lanes];
        };
        for pair in 0..=labels {
            copy(pair, labels - pair, 0);
        }
        for pair in 0..labels {
            copy(pair, labels - 1 - pair, 2);
        }
    }

    /// Fills table `at` from a frame.
    #[inline(always)]
    fn tabulate<S: Isa>(
        &mut self,
        simd: S,
        at: usize,
        frame: usize,
        sequence: &dyn Sequence<W>,
    ) -> Normaliser<W> {
        let row = sequence.row(frame, self.converted);
        let max = emission::largest(simd, row);
        let table = table(self.tables, self.plan.table, at);
        if !self.plan.wide {
            return emission::fill(simd, row, max, table);
        }
        let compact = compact(row, &self.classes[..self.named], self.compact);
        emission::fill(simd, compact, max, table);
        Normaliser {
            max,
            sum: emission::scaled(simd, row, max, W::ZERO, &mut []),
        }
    }

    /// Spreads what table `at` says over the labels of some blocks.
    #[inline(always)]
    fn emit<S: Isa>(&mut self, simd: S, at: usize, blocks: Range<usize>) -> (W, W) {
        let table = table(self.tables, self.plan.table, at);
        let end = (blocks.end * W::LANES).min(self.extent.labels);
        let pairs = (blocks.start * W::LANES).min(end)..end;
        let [mantissas, exponents] = &mut self.emitted;
        let slots = &self.slots[pairs.clone()];
        W::gather(simd, table.mantissas, slots, &mut mantissas[pairs.clone()]);
        W::gather(simd, table.exponents, slots, &mut exponents[pairs]);
        let blank = self.blank as usize;
        (table.mantissas[blank], table.exponents[blank])
    }

    /// Computes one row from the one before.
    #[inline(always)]
    fn step<S: Isa>(
        &mut self,
        simd: S,
        from: Place,
        to: Place,
        blocks: Range<usize>,
        floor: usize,
        blank: (W, W),
    ) {
        let row = self.plan.row::<W>();
        let [mantissas, exponents] = &self.emitted;
        let emission = Emission {
            blank,
            mantissas,
            exponents,
        };
        let [first, second] = &mut self.rows;
        let (from, to): (&[W], &mut [W]) = match (from, to) {
            (Place::Row(0), Place::Row(_)) => (first, second),
            (Place::Row(_), Place::Row(_)) => (second, first),
            (Place::Row(k), Place::History(at)) => (
                if k == 0 { first } else { second },
                &mut self.history[at * row..][..row],
            ),
            (Place::Checkpoint(k), Place::History(at)) => (
                &self.checkpoints[k * row..][..row],
                &mut self.history[at * row..][..row],
            ),
            (Place::History(_), Place::History(at)) => {
                let (before, rest) = self.history.split_at_mut(at * row);
                (&before[(at - 1) * row..], &mut rest[..row])
            }
            _ => unreachable!("rows lead to rows or to the history"),
        };
        lattice::forward(simd, from, to, blocks, floor, self.skips, emission);
    }

    #[inline(always)]
    fn place(&mut self, place: Place) -> &mut [W] {
        let row = self.plan.row::<W>();
        match place {
            Place::Row(k) => self.rows[k],
            Place::History(at) => &mut self.history[at * row..][..row],
            Place::Checkpoint(k) => &mut self.checkpoints[k * row..][..row],
        }
    }
}

/// Where a row is.
#[derive(Clone, Copy)]
enum Place {
    Row(usize),
    Checkpoint(usize),
    History(usize),
}

#[inline(always)]
fn table<W>(tables: &mut [W], len: usize, at: usize) -> Table<'_, W> {
    let table = &mut tables[at * 3 * len..][..3 * len];
    let (mantissas, rest) = table.split_at_mut(len);
    let (exponents, values) = rest.split_at_mut(len);
    Table {
        mantissas,
        exponents,
        values,
    }
}

/// The classes that a table holds, out of a row.
#[inline(always)]
fn compact<'c, W: Copy>(row: &[W], classes: &[u32], compact: &'c mut [W]) -> &'c [W] {
    for (value, &class) in compact.iter_mut().zip(classes) {
        *value = row[class as usize];
    }
    &compact[..classes.len()]
}

/// What both directions need to know.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) log_probs: bool,
    /// Whether this half reads the sequence backward.
    pub(super) backward: bool,
    /// The frame that this half begins with.
    pub(super) start: usize,
    /// What the gradient is multiplied by.
    pub(super) scale: f64,
    /// Whether gradients of many classes are written on the way forward, all but the posteriors.
    pub(super) early: bool,
    /// Whether they are written past the caches.
    pub(super) stream: bool,
}

impl Setting {
    #[inline(always)]
    fn frame(self, at: usize) -> usize {
        if self.backward {
            self.start - at
        } else {
            self.start + at
        }
    }

    /// What a frame's probabilities are multiplied by in the gradient.
    #[inline(always)]
    fn of_values<W: Element>(self, sum: f64) -> W {
        W::from_f64(if self.log_probs {
            0.0
        } else {
            self.scale / sum
        })
    }
}

impl<W: Element + Plain> Half<'_, W> {
    /// Whether gradients can be written on the way forward: then the logits are not needed again.
    pub(super) fn can_write_early(&self, sequence: &dyn Sequence<W>) -> bool {
        self.plan.grad && self.plan.wide && self.plan.chunks() == 1 && sequence.is_copy()
    }
}

/// What going forward gives, besides the last row.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    /// The product of the normalisers is `normaliser · 2^shift`; NaN where any input was.
    pub(super) normaliser: f64,
    pub(super) shift: f64,
    /// The sum of the frames' largest log-probabilities.
    pub(super) max: f64,
    /// Whether exponents stayed where the type counts in ones.
    pub(super) exact: bool,
}

impl Passed {
    #[inline(always)]
    fn add<W: Element>(&mut self, normaliser: Normaliser<W>, log_probs: bool) {
        if log_probs {
            self.max += normaliser.max.to_f64();
            self.normaliser += 0.0 * normaliser.sum;
            return;
        }
        // A sum of nothing is the softmax of nothing.
        self.normaliser *= if normaliser.sum == 0.0 {
            f64::NAN
        } else {
            normaliser.sum
        };
        const STEP: f64 = (1u128 << 100) as f64;
        if self.normaliser > STEP {
            self.normaliser /= STEP;
            self.shift += 100.0;
        }
    }
}

/// The way forward.
pub(super) struct Forward<'k, 'w, W> {
    pub(super) half: &'k mut Half<'w, W>,
    pub(super) sequence: &'k mut dyn Sequence<W>,
    pub(super) setting: Setting,
}

impl<W: Element + Plain> Kernel for Forward<'_, '_, W> {
    type Output = Passed;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> Passed {
        let Self {
            half,
            sequence,
            setting,
        } = self;
        let plan = half.plan;
        lattice::clear(simd, half.rows[0]);
        lattice::clear(simd, half.rows[1]);
        lattice::clear(simd, half.last);
        half.rows[0][W::LANES] = W::ZERO;
        let mut passed = Passed {
            normaliser: 1.0,
            shift: 0.0,
            max: 0.0,
            exact: true,
        };
        let mut largest = Lanes::splat(simd, W::ZERO);
        let kept = plan.first_kept();
        let mut from = Place::Row(0);
        let mut next_max = W::ZERO;
        for at in 0..plan.frames {
            let table = at.saturating_sub(kept);
            let normaliser = if setting.early {
                half.tabulate_and_write(simd, at, &mut next_max, sequence, setting)
            } else {
                half.tabulate(simd, table, setting.frame(at), sequence)
            };
            if at >= kept {
                half.sums[table] = normaliser.sum;
                half.maxima[table] = normaliser.max;
            }
            passed.add(normaliser, setting.log_probs);
            let blocks = plan.band.range::<W>(at);
            let blank = half.emit(simd, table, blocks.clone());
            let to = match from {
                _ if at >= kept => Place::History(at - kept),
                Place::Row(0) => Place::Row(1),
                _ => Place::Row(0),
            };
            if let Place::Row(k) = from
                && plan.grad
                && at < kept
                && at % plan.chunk == 0
            {
                let row = plan.row::<W>();
                let checkpoint = &mut half.checkpoints[at / plan.chunk * row..][..row];
                checkpoint.copy_from_slice(half.rows[k]);
            }
            half.step(simd, from, to, blocks.clone(), 0, blank);
            if (at + 1) % W::LANES == 0 || at + 1 == plan.frames {
                let row = half.place(to);
                largest = largest.max(lattice::normalise(simd, row, blocks));
            }
            from = to;
        }
        if setting.early && plan.frames > 0 {
            half.write_last(simd, sequence, setting);
        }
        let blocks = match plan.frames.checked_sub(1) {
            Some(at) => plan.band.range::<W>(at),
            None => 0..1,
        };
        let part = blocks.start * block::<W>()..blocks.end * block::<W>();
        let row = plan.row::<W>();
        let from = match from {
            Place::History(at) => &half.history[at * row..][..row],
            Place::Row(k) => &*half.rows[k],
            Place::Checkpoint(k) => &half.checkpoints[k * row..][..row],
        };
        half.last[part.clone()].copy_from_slice(&from[part]);
        let limit = largest.splat_like(W::COUNTING / 4.0);
        passed.exact = largest.gt(limit).to_bits() == 0;
        passed
    }
}

impl<W: Element + Plain> Half<'_, W> {
    /// Fills table `at` from a frame of many classes, and writes the probabilities of the one before
    /// to its gradient. `max` is the frame's largest logit and becomes the next one's.
    #[inline(always)]
    fn tabulate_and_write<S: Isa>(
        &mut self,
        simd: S,
        at: usize,
        max: &mut W,
        sequence: &mut dyn Sequence<W>,
        setting: Setting,
    ) -> Normaliser<W> {
        let next = (at + 1).min(self.plan.frames - 1);
        let frames = [at, next].map(|at| setting.frame(at));
        let place = setting.frame(at.saturating_sub(1));
        let ([row, next], place) = sequence.rows_and_place(frames, place);
        if at == 0 {
            *max = emission::largest(simd, row);
        }
        let compact = compact(row, &self.classes[..self.named], self.compact);
        emission::fill(simd, compact, *max, table(self.tables, self.plan.table, at));
        let [a, b] = &mut self.values;
        let (values, before) = if at % 2 == 0 { (a, b) } else { (b, a) };
        let before = Before {
            values: before,
            scale: match at {
                0 => W::ZERO,
                _ => setting.of_values(self.sums[at - 1]),
            },
            place,
            stream: setting.stream,
        };
        let (normaliser, next_max) = if at == 0 {
            emission::sweep::<W, S, false>(simd, before, row, *max, values, next)
        } else {
            emission::sweep::<W, S, true>(simd, before, row, *max, values, next)
        };
        *max = next_max;
        normaliser
    }

    /// Writes the probabilities of the last frame to its gradient.
    #[inline(always)]
    fn write_last<S: Isa>(&mut self, simd: S, sequence: &mut dyn Sequence<W>, setting: Setting) {
        let last = self.plan.frames - 1;
        let scale = Lanes::splat(simd, setting.of_values(self.sums[last]));
        let values = &mut self.values[last % 2];
        for values in values.chunks_exact_mut(W::LANES) {
            (Lanes::load(simd, values) * scale).store(values);
        }
        sequence.write(setting.frame(last), &values[..self.extent.classes]);
        // What was written past the caches is to be seen by whoever goes back.
        simd.fence();
    }
}

/// The way back: the gradient.
pub(super) struct Backward<'k, 'w, W> {
    pub(super) half: &'k mut Half<'w, W>,
    pub(super) sequence: &'k mut dyn Sequence<W>,
    pub(super) setting: Setting,
    /// The exponent of the probability of all paths.
    pub(super) exponent: f64,
}

/// Sums of a group's posteriors over the pairs of each frame, lane by lane.
struct Sums<W> {
    labels: [[W; 16]; 16],
    blanks: [[W; 16]; 16],
}

impl<W: Element + Plain> Kernel for Backward<'_, '_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        let Self {
            half,
            sequence,
            setting,
            exponent,
        } = self;
        let plan = half.plan;
        let exponent = Lanes::splat(simd, W::from_f64(exponent));
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let mut window = 0..plan.band.blocks::<W>();
        let mut sums = Sums {
            labels: [[W::ZERO; 16]; 16],
            blanks: [[W::ZERO; 16]; 16],
        };
        for chunk in (0..plan.chunks()).rev() {
            let start = chunk * plan.chunk;
            let end = (start + plan.chunk).min(plan.frames);
            if chunk + 1 != plan.chunks() {
                half.again(simd, chunk, start..end, sequence, setting, window.clone());
            }
            let mut group_end = end;
            while group_end > start {
                let group = (group_end - 1) / W::LANES * W::LANES..group_end;
                window.start = window.start.saturating_sub(1);
                let first = within(plan.band.reached::<W>(group.start), &window);
                let last = within(plan.band.reached::<W>(group.end - 1), &window);
                let reached = first.start..last.end;
                for at in group.clone().rev() {
                    let blocks = within(plan.band.reached::<W>(at), &window);
                    let blank = half.emit(simd, at - start, blocks.clone());
                    let [mantissas, exponents] = &half.emitted;
                    let of_frame = at - group.start;
                    let labels = &mut half.posteriors[of_frame * pairs..][..pairs];
                    labels[reached.start * W::LANES..blocks.start * W::LANES].fill(W::ZERO);
                    labels[blocks.end * W::LANES..reached.end * W::LANES].fill(W::ZERO);
                    let [labels, blanks] = lattice::backward(
                        simd,
                        half.rows[0],
                        blocks,
                        window.end,
                        half.skips,
                        Emission {
                            blank,
                            mantissas,
                            exponents,
                        },
                        Posteriors {
                            alpha: &half.history[(at - start) * row..][..row],
                            exponent,
                            labels,
                            blanks: half.blanks,
                        },
                    );
                    labels.store(&mut sums.labels[of_frame]);
                    blanks.store(&mut sums.blanks[of_frame]);
                }
                let total = half.write(
                    simd,
                    group.clone(),
                    start,
                    reached,
                    &sums,
                    sequence,
                    setting,
                );
                lattice::normalise(simd, half.rows[0], first.clone());
                window = half.narrow(simd, first.clone(), total);
                // The next group may come to read what lies left of it: no path leads there.
                let left_out = first.start * block::<W>()..window.start * block::<W>();
                lattice::clear(simd, &mut half.rows[0][left_out]);
                group_end = group.start;
            }
        }
    }
}

#[inline(always)]
fn within(blocks: Range<usize>, window: &Range<usize>) -> Range<usize> {
    let start = blocks.start.max(window.start);
    start..blocks.end.min(window.end).max(start)
}

/// The share of the posterior that a window may leave out on either side.
const LEFT_OUT: f64 = 1.0 / (1u64 << 40) as f64;

/// The sum of every row, one a lane.
#[inline(always)]
fn sum_rows<W: Element, S: Isa>(simd: S, rows: &[[W; 16]; 16]) -> Lanes<W, S> {
    let mut columns = [Lanes::splat(simd, W::ZERO); 16];
    for (column, row) in columns.iter_mut().zip(rows).take(W::LANES) {
        *column = Lanes::load(simd, row);
    }
    let mut columns = Lanes::transpose(columns);
    let mut half = W::LANES / 2;
    while half > 0 {
        for k in 0..half {
            columns[k] = columns[k] + columns[k + half];
        }
        half /= 2;
    }
    columns[0]
}

impl<W: Element + Plain> Half<'_, W> {
    /// Computes the rows of a chunk again, within a window and what leads to it.
    #[inline(always)]
    fn again<S: Isa>(
        &mut self,
        simd: S,
        chunk: usize,
        frames: Range<usize>,
        sequence: &dyn Sequence<W>,
        setting: Setting,
        window: Range<usize>,
    ) {
        let floor = window.start.saturating_sub(frames.len().div_ceil(W::LANES));
        let window = floor..window.end;
        for at in frames.clone() {
            let local = at - frames.start;
            let normaliser = self.tabulate(simd, local, setting.frame(at), sequence);
            self.sums[local] = normaliser.sum;
            self.maxima[local] = normaliser.max;
            let blocks = within(self.plan.band.range::<W>(at), &window);
            let blank = self.emit(simd, local, blocks.clone());
            let from = match local {
                0 => Place::Checkpoint(chunk),
                _ => Place::History(local - 1),
            };
            let to = Place::History(local);
            self.step(simd, from, to, blocks.clone(), floor, blank);
            if (at + 1) % W::LANES == 0 {
                lattice::normalise(simd, self.place(to), blocks);
            }
        }
    }

    /// The blocks that hold all but little of the posterior of the first frame of a group, which is
    /// `total` in all.
    #[inline(always)]
    fn narrow<S: Isa>(&self, simd: S, blocks: Range<usize>, total: W) -> Range<usize> {
        let limit = total.to_f64() * LEFT_OUT;
        let Range { mut start, mut end } = blocks;
        let mut sum = self.held(simd, start);
        while start + 1 < end && sum <= limit {
            start += 1;
            sum += self.held(simd, start);
        }
        let mut sum = self.held(simd, end - 1);
        while start + 1 < end && sum <= limit {
            end -= 1;
            sum += self.held(simd, end - 1);
        }
        start..end
    }

    /// The posterior of a block in the first frame of a group.
    #[inline(always)]
    fn held<S: Isa>(&self, simd: S, block: usize) -> f64 {
        let at = block * W::LANES;
        let mut sum = crate::simd::Sum::zero(simd);
        sum.add(Lanes::load(simd, &self.posteriors[at..]));
        sum.add(Lanes::load(simd, &self.blanks[at..]));
        sum.fold()
    }

    /// Writes the gradient of a group of frames, and returns the sum of the first one's posteriors.
    ///
    /// Posteriors are exchanged to frames in lanes, so that labels of the same class add up as
    /// whole vectors, in their order; and back.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn write<S: Isa>(
        &mut self,
        simd: S,
        group: Range<usize>,
        start: usize,
        blocks: Range<usize>,
        sums: &Sums<W>,
        sequence: &mut dyn Sequence<W>,
        setting: Setting,
    ) -> W {
        let (lanes, pairs, table_len) = (W::LANES, self.plan.pairs::<W>(), self.plan.table);
        let zero = Lanes::splat(simd, W::ZERO);
        for sum in self.gathered.chunks_exact_mut(lanes) {
            zero.store(sum);
        }
        for block in blocks {
            let mut columns = [zero; 16];
            for (frame, column) in columns.iter_mut().enumerate().take(lanes) {
                *column = Lanes::load(simd, &self.posteriors[frame * pairs + block * lanes..]);
            }
            let columns = Lanes::transpose(columns);
            let slots = self.slots[block * lanes..].iter();
            for (&slot, column) in slots.zip(columns).take(lanes) {
                let sum = &mut self.gathered[slot as usize * lanes..][..lanes];
                (Lanes::load(simd, sum) + column).store(sum);
            }
        }
        let blanks = sum_rows(simd, &sums.blanks);
        let sum = &mut self.gathered[self.blank as usize * lanes..][..lanes];
        (Lanes::load(simd, sum) + blanks).store(sum);
        let total = sum_rows(simd, &sums.labels) + blanks;
        let of_posteriors = Lanes::splat(simd, W::from_f64(setting.scale)) / total;

        for (block, sums) in self.gathered.chunks_exact(lanes * lanes).enumerate() {
            let mut rows = [zero; 16];
            for (row, sum) in rows.iter_mut().zip(sums.chunks_exact(lanes)) {
                *row = Lanes::load(simd, sum) * of_posteriors;
            }
            let rows = Lanes::transpose(rows);
            for (at, posterior) in group.clone().zip(rows) {
                let table = table(self.tables, table_len, at - start);
                let of_values = Lanes::splat(simd, setting.of_values(self.sums[at - start]));
                let value = Lanes::load(simd, &table.values[block * lanes..]) * of_values;
                let gradient = &mut self.gradient[(at - group.start) * table_len..];
                (value - posterior).store(&mut gradient[block * lanes..]);
            }
        }
        for at in group.clone() {
            let gradient = &self.gradient[(at - group.start) * table_len..][..table_len];
            let frame = setting.frame(at);
            if self.plan.wide {
                self.write_named(simd, at - group.start, at - start, frame, sequence, setting);
            } else if let Some(place) = sequence.place(frame) {
                let mut parts = place.chunks_exact_mut(lanes);
                let mut gradients = gradient.chunks_exact(lanes);
                for (place, gradient) in (&mut parts).zip(&mut gradients) {
                    Lanes::load(simd, gradient).store(place);
                }
                if let Some(gradient) = gradients.next() {
                    Lanes::load(simd, gradient).store_partial(parts.into_remainder());
                }
            } else {
                sequence.write(frame, &gradient[..self.extent.classes]);
            }
        }
        let mut first = [W::ZERO; 16];
        total.store(&mut first);
        first[0]
    }

    /// Writes the gradient of a frame of many classes: that of the classes that the table holds,
    /// and unless it was written on the way forward that of the others.
    #[inline(always)]
    fn write_named<S: Isa>(
        &mut self,
        simd: S,
        grouped: usize,
        local: usize,
        frame: usize,
        sequence: &mut dyn Sequence<W>,
        setting: Setting,
    ) {
        let gradient = &self.gradient[grouped * self.plan.table..][..self.named];
        let named = gradient.iter().zip(&*self.classes);
        if setting.early
            && let Some(place) = sequence.place(frame)
        {
            for (&gradient, &class) in named {
                place[class as usize] = gradient;
            }
            return;
        }
        let values = &mut self.values[0][..self.extent.classes];
        let row = sequence.row(frame, self.converted);
        let scale = setting.of_values(self.sums[local]);
        emission::scaled(simd, row, self.maxima[local], scale, values);
        for (&gradient, &class) in named {
            values[class as usize] = gradient;
        }
        sequence.write(frame, values);
    }
}
