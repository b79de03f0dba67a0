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

use super::convert::Convert;
use super::emission::{self, Table, table_len};
use super::lattice::{self, Band, Emission, Posteriors, block};
use super::states::State;
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes};
use crate::tensor::Frames;
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

/// How a half keeps its rows.
#[derive(Clone, Copy)]
struct Plan {
    band: Band,
    /// Frames of this half.
    frames: usize,
    chunk: usize,
    table: usize,
    grad: bool,
}

impl Plan {
    fn new<W: Element>(extent: Extent, frames: usize) -> Self {
        let band = Band {
            frames: extent.frames,
            labels: extent.labels,
        };
        let row = band.blocks::<W>() * block::<W>() * size_of::<W>();
        let mut chunk = frames.next_multiple_of(CHUNK).max(CHUNK);
        if row.saturating_mul(frames) > KEPT {
            chunk = CHUNK;
            if row.saturating_mul(frames / CHUNK) > CHECKPOINTS {
                chunk = frames.isqrt().next_multiple_of(CHUNK);
            }
        }
        Self {
            band,
            frames,
            chunk,
            table: table_len::<W>(extent.classes),
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
}

/// A half's share of the workspace.
pub(super) struct Half<'w, T, W> {
    plan: Plan,
    extent: Extent,
    /// Each pair's label as a row of the table.
    slots: &'w mut [u32],
    /// 1 for the pairs whose label may follow the one before without a blank, else 0.
    skips: &'w mut [W],
    emitted: [&'w mut [W]; 2],
    rows: [&'w mut [W]; 2],
    /// The last frame's row.
    last: &'w mut [W],
    checkpoints: &'w mut [W],
    history: &'w mut [W],
    tables: &'w mut [W],
    sums: &'w mut [f64],
    posteriors: &'w mut [W],
    blanks: &'w mut [W],
    gradient: &'w mut [W],
    raw: &'w mut [T],
    converted: &'w mut [W],
}

impl<'w, T: Element + Convert<W> + Plain, W: Element + Plain> Half<'w, T, W> {
    /// How many bytes [`new`](Self::new) takes.
    pub(super) fn bytes(extent: Extent, frames: usize) -> usize {
        let plan = Plan::new::<W>(extent, frames);
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let kept = plan.kept();
        let grad = usize::from(plan.grad);
        let w = |len: usize| bytes_of::<W>(len);
        let parts = [
            bytes_of::<u32>(pairs),
            w(pairs),
            2 * w(pairs),
            3 * w(row),
            w(grad * (plan.chunks() - 1).saturating_mul(row)),
            w(kept.saturating_mul(row)),
            w(kept.max(1).saturating_mul(3 * plan.table)),
            bytes_of::<f64>(kept),
            w(grad * W::LANES * pairs),
            w(grad * pairs),
            w(grad * plan.table),
            bytes_of::<T>(extent.classes),
            w(extent.classes),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    pub(super) fn new(extent: Extent, frames: usize, room: &mut Room<'w>) -> Self {
        let plan = Plan::new::<W>(extent, frames);
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let kept = plan.kept();
        let grad = usize::from(plan.grad);
        Self {
            plan,
            extent,
            slots: room.take(pairs),
            skips: room.take(pairs),
            emitted: [room.take(pairs), room.take(pairs)],
            rows: [room.take(row), room.take(row)],
            last: room.take(row),
            checkpoints: room.take(grad * (plan.chunks() - 1) * row),
            history: room.take(kept * row),
            tables: room.take(kept.max(1) * 3 * plan.table),
            sums: room.take(kept),
            posteriors: room.take(grad * W::LANES * pairs),
            blanks: room.take(grad * pairs),
            gradient: room.take(grad * plan.table),
            raw: room.take(extent.classes),
            converted: room.take(extent.classes),
        }
    }

    /// Lays out the labels, in the order in which this half reads them.
    pub(super) fn set_labels(&mut self, labels: impl Iterator<Item = u32>) {
        self.slots.fill(self.extent.classes as u32);
        self.skips.fill(W::ZERO);
        let mut before = None;
        for ((slot, skip), label) in self.slots.iter_mut().zip(&mut *self.skips).zip(labels) {
            *slot = label;
            *skip = W::from_f64(f64::from(before != Some(label)));
            before = Some(label);
        }
    }

    /// A pair's blank and label at the half's last frame.
    fn pair(&self, pair: usize) -> [State; 2] {
        let lanes = W::LANES;
        let Some(states) = self.last.get(pair / lanes * block::<W>()..) else {
            return [State::DEAD; 2];
        };
        let lane = pair % lanes;
        [0, 2].map(|part| State {
            mantissa: states[part * lanes + lane].to_f64(),
            exponent: states[(part + 1) * lanes + lane].to_f64(),
        })
    }

    /// The probability of all paths, from both halves' last frames. `self` goes forward.
    pub(super) fn meet(&self, other: &Self) -> State {
        let labels = self.extent.labels;
        // What follows, of every blank and label, if the other half's first state is taken.
        let blank = |i: usize| other.pair(labels - i)[0];
        let label = |i: usize| match labels.checked_sub(i + 1) {
            Some(mirrored) => other.pair(mirrored)[1],
            None => State::DEAD,
        };
        let mut total = State::DEAD;
        let pairs = match self.plan.frames.checked_sub(1) {
            Some(last) => self.plan.band.pairs(last),
            None => 0..1,
        };
        for i in pairs {
            let [of_blank, of_label] = self.pair(i);
            let either = blank(i).plus(label(i));
            total = total.plus(of_blank.times(either));
            if i < labels {
                let (slot, next) = (i, i + 1);
                let skip = next < labels && self.slots[slot] != self.slots[next];
                let entered = if skip {
                    blank(next).plus(label(next))
                } else {
                    blank(next)
                };
                total = total.plus(of_label.times(label(i).plus(entered)));
            }
        }
        total
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
        frames: &Frames<'_, T>,
    ) -> emission::Normaliser {
        let row = T::row(frames.row(frame, self.raw), self.converted);
        emission::fill(simd, row, table(self.tables, self.plan.table, at))
    }

    /// Spreads what table `at` says over the labels of some blocks.
    #[inline(always)]
    fn emit(&mut self, at: usize, blocks: Range<usize>, blank: usize) -> (W, W) {
        let table = table(self.tables, self.plan.table, at);
        let pairs = blocks.start * W::LANES..blocks.end * W::LANES;
        let [mantissas, exponents] = &mut self.emitted;
        for ((&slot, mantissa), exponent) in self.slots[pairs.clone()]
            .iter()
            .zip(&mut mantissas[pairs.clone()])
            .zip(&mut exponents[pairs])
        {
            *mantissa = table.mantissas[slot as usize];
            *exponent = table.exponents[slot as usize];
        }
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

/// What both directions need to know.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) blank: usize,
    pub(super) log_probs: bool,
    /// Whether this half reads the sequence backward.
    pub(super) backward: bool,
    /// The frame that this half begins with.
    pub(super) start: usize,
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

/// The way forward.
pub(super) struct Forward<'k, 'w, 'f, T, W> {
    pub(super) half: &'k mut Half<'w, T, W>,
    pub(super) frames: &'k Frames<'f, T>,
    pub(super) setting: Setting,
}

impl<T: Element + Convert<W> + Plain, W: Element + Plain> Kernel for Forward<'_, '_, '_, T, W> {
    type Output = Passed;

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) -> Passed {
        let Self {
            half,
            frames,
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
        let kept = if plan.grad {
            (plan.chunks() - 1) * plan.chunk
        } else {
            plan.frames
        };
        let mut from = Place::Row(0);
        for at in 0..plan.frames {
            let table = if at >= kept { at - kept } else { 0 };
            let normaliser = half.tabulate(simd, table, setting.frame(at), frames);
            if at >= kept {
                half.sums[table] = normaliser.sum;
            }
            passed.add(normaliser, setting.log_probs);
            let blocks = plan.band.range::<W>(at);
            let blank = half.emit(table, blocks.clone(), setting.blank);
            let to = match from {
                _ if at >= kept => Place::History(at - kept),
                Place::Row(0) => Place::Row(1),
                _ => Place::Row(0),
            };
            if plan.grad && at < kept && at % plan.chunk == 0 {
                let row = plan.row::<W>();
                let Place::Row(k) = from else { unreachable!() };
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
        let blocks = match plan.frames.checked_sub(1) {
            Some(at) => plan.band.range::<W>(at),
            None => 0..1,
        };
        let part = blocks.start * block::<W>()..blocks.end * block::<W>();
        let row = plan.row::<W>();
        let from = match from {
            Place::History(at) => &half.history[at * row..][..row],
            Place::Row(k) => &*half.rows[k],
            Place::Checkpoint(_) => unreachable!(),
        };
        half.last[part.clone()].copy_from_slice(&from[part]);
        let limit = largest.splat_like(W::COUNTING / 4.0);
        passed.exact = largest.gt(limit).to_bits() == 0;
        passed
    }
}

impl Passed {
    #[inline(always)]
    fn add(&mut self, normaliser: emission::Normaliser, log_probs: bool) {
        if log_probs {
            self.max += if normaliser.max == f64::NEG_INFINITY {
                0.0
            } else {
                normaliser.max
            };
            self.normaliser += 0.0 * normaliser.sum;
            return;
        }
        // A sum of nothing is the softmax of nothing.
        self.normaliser *= if normaliser.sum == 0.0 {
            f64::NAN
        } else {
            normaliser.sum
        };
        if self.normaliser > 2f64.powi(500) {
            self.normaliser *= 2f64.powi(-500);
            self.shift += 500.0;
        }
    }
}

/// The way back: the gradient.
pub(super) struct Backward<'k, 'w, 'f, T, W> {
    pub(super) half: &'k mut Half<'w, T, W>,
    pub(super) frames: &'k mut Frames<'f, T>,
    pub(super) setting: Setting,
    /// The exponent of the probability of all paths.
    pub(super) exponent: f64,
    /// What the gradient is multiplied by.
    pub(super) scale: f64,
}

impl<T: Element + Convert<W> + Plain, W: Element + Plain> Kernel for Backward<'_, '_, '_, T, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        let Self {
            half,
            frames,
            setting,
            exponent,
            scale,
        } = self;
        let plan = half.plan;
        let exponent = Lanes::splat(simd, W::from_f64(exponent));
        let pairs = plan.pairs::<W>();
        let mut window = 0..plan.band.blocks::<W>();
        let mut sums = [[0.0; 2]; 16];
        for chunk in (0..plan.chunks()).rev() {
            let start = chunk * plan.chunk;
            let end = (start + plan.chunk).min(plan.frames);
            if chunk + 1 != plan.chunks() {
                half.again(simd, chunk, start..end, frames, setting, window.clone());
            }
            let mut group_end = end;
            while group_end > start {
                let group = (group_end - 1) / W::LANES * W::LANES..group_end;
                window.start = window.start.saturating_sub(1);
                let mut blocks = window.clone();
                for at in group.clone().rev() {
                    blocks = within(plan.band.reached::<W>(at), &window);
                    let blank = half.emit(at - start, blocks.clone(), setting.blank);
                    let [mantissas, exponents] = &half.emitted;
                    let row = plan.row::<W>();
                    let [labels, blanks] = lattice::backward(
                        simd,
                        half.rows[0],
                        blocks.clone(),
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
                            labels: &mut half.posteriors[(at - group.start) * pairs..][..pairs],
                            blanks: half.blanks,
                        },
                    );
                    sums[at - group.start] = [fold(labels), fold(blanks)];
                    half.write(
                        simd,
                        at - start,
                        at - group.start,
                        blocks.clone(),
                        sums[at - group.start],
                        frames,
                        setting,
                        at,
                        scale,
                    );
                }
                lattice::normalise(simd, half.rows[0], blocks.clone());
                window = half.narrow(simd, blocks.clone(), sums[0]);
                // The next group may come to read what lies left of it: no path leads there.
                let left_out = blocks.start * block::<W>()..window.start * block::<W>();
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

/// The sum of all lanes.
#[inline(always)]
fn fold<W: Element, S: Isa>(lanes: Lanes<W, S>) -> f64 {
    let mut sum = crate::simd::Sum::zero(lanes.simd());
    sum.add(lanes);
    sum.fold()
}

/// The share of the posterior that a window may leave out on either side.
const LEFT_OUT: f64 = 1.0 / (1u64 << 40) as f64;

impl<T: Element + Convert<W> + Plain, W: Element + Plain> Half<'_, T, W> {
    /// Computes the rows of a chunk again, within a window and what leads to it.
    #[inline(always)]
    fn again<S: Isa>(
        &mut self,
        simd: S,
        chunk: usize,
        frames: Range<usize>,
        source: &Frames<'_, T>,
        setting: Setting,
        window: Range<usize>,
    ) {
        let floor = window.start.saturating_sub(frames.len().div_ceil(W::LANES));
        let window = floor..window.end;
        for at in frames.clone() {
            let local = at - frames.start;
            let normaliser = self.tabulate(simd, local, setting.frame(at), source);
            self.sums[local] = normaliser.sum;
            let blocks = within(self.plan.band.range::<W>(at), &window);
            let blank = self.emit(local, blocks.clone(), setting.blank);
            let from = match local {
                0 => Place::Checkpoint(chunk),
                _ => Place::History(local - 1),
            };
            self.step(
                simd,
                from,
                Place::History(local),
                blocks.clone(),
                floor,
                blank,
            );
            if (at + 1) % W::LANES == 0 {
                lattice::normalise(simd, self.place(Place::History(local)), blocks);
            }
        }
    }

    /// The blocks that hold all but little of the posterior of the first frame of a group.
    #[inline(always)]
    fn narrow<S: Isa>(
        &self,
        simd: S,
        blocks: Range<usize>,
        [labels, blanks]: [f64; 2],
    ) -> Range<usize> {
        let left_out = (labels + blanks) * LEFT_OUT;
        let held = |k: usize| {
            let at = k * W::LANES;
            let sum =
                Lanes::load(simd, &self.posteriors[at..]) + Lanes::load(simd, &self.blanks[at..]);
            fold(sum)
        };
        let Range { mut start, mut end } = blocks;
        let mut sum = held(start);
        while start + 1 < end && sum <= left_out {
            start += 1;
            sum += held(start);
        }
        let mut sum = held(end - 1);
        while start + 1 < end && sum <= left_out {
            end -= 1;
            sum += held(end - 1);
        }
        start..end
    }

    /// Writes the gradient of a frame.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn write<S: Isa>(
        &mut self,
        simd: S,
        local: usize,
        grouped: usize,
        blocks: Range<usize>,
        [labels, blanks]: [f64; 2],
        frames: &mut Frames<'_, T>,
        setting: Setting,
        at: usize,
        scale: f64,
    ) {
        let pairs = self.plan.pairs::<W>();
        let range = blocks.start * W::LANES..blocks.end * W::LANES;
        let posteriors = &self.posteriors[grouped * pairs..][..pairs][range.clone()];
        self.gradient.fill(W::ZERO);
        for (&slot, &posterior) in self.slots[range].iter().zip(posteriors) {
            let sum = &mut self.gradient[slot as usize];
            *sum = W::from_f64(sum.to_f64() + posterior.to_f64());
        }
        let blank = &mut self.gradient[setting.blank];
        *blank = W::from_f64(blank.to_f64() + blanks);
        let table = table(self.tables, self.plan.table, local);
        let of_value = if setting.log_probs {
            0.0
        } else {
            scale / self.sums[local]
        };
        let of_value = Lanes::splat(simd, W::from_f64(of_value));
        let of_posterior = Lanes::splat(simd, W::from_f64(scale / (labels + blanks)));
        for (gradient, value) in self
            .gradient
            .chunks_exact_mut(W::LANES)
            .zip(table.values.chunks_exact(W::LANES))
        {
            let posterior = Lanes::load(simd, gradient) * of_posterior;
            let value = Lanes::load(simd, value) * of_value;
            (value - posterior).store(gradient);
        }
        let frame = setting.frame(at);
        let gradient = self.gradient[..self.extent.classes].iter();
        match frames.place(frame) {
            Some(place) => {
                for (place, &gradient) in place.iter_mut().zip(gradient) {
                    *place = T::narrow(gradient);
                }
            }
            None => frames.write(frame, gradient.map(|&gradient| T::narrow(gradient))),
        }
    }
}
