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

use super::emission::{self, Normaliser, Reference, Table};
use super::lattice::{self, Emission};
use super::plan::{Extent, Plan};
use super::sequence::Sequence;
use super::sweep::{Before, Frame, kept_len};
use crate::element::Element;
use crate::simd::Isa;
use crate::workspace::{Plain, Room, bytes_of};
use core::ops::Range;

/// A half's share of the workspace.
pub(super) struct Half<'w, W> {
    pub(super) plan: Plan,
    pub(super) extent: Extent,
    pub(super) blank: u32,
    /// Each pair's label as a row of the table.
    pub(super) slots: &'w mut [u32],
    /// The class of each row of the table, where that holds only some.
    pub(super) classes: &'w mut [u32],
    pub(super) named: usize,
    /// 1 for the pairs whose label may follow the one before without a blank, else 0.
    pub(super) skips: &'w mut [W],
    /// What a frame emits, by pair.
    pub(super) emitted: [&'w mut [W]; 2],
    pub(super) rows: [&'w mut [W]; 2],
    /// The last frame's row.
    pub(super) last: &'w mut [W],
    pub(super) checkpoints: &'w mut [W],
    pub(super) history: &'w mut [W],
    pub(super) tables: &'w mut [W],
    /// Normalisers, frame by frame: sums, and the two parts of references.
    pub(super) sums: &'w mut [f64],
    pub(super) references: [&'w mut [W]; 2],
    /// Posteriors of a group of frames, by frame and pair.
    pub(super) posteriors: &'w mut [W],
    /// Posteriors of the blanks of one frame, by pair.
    pub(super) blanks: &'w mut [W],
    /// Sums of a group's posteriors, by row of the table and frame.
    pub(super) gathered: &'w mut [W],
    /// The gradient of a group, by frame and row of the table.
    pub(super) gradient: &'w mut [W],
    /// Logits that do not lie in a row, or are converted.
    pub(super) converted: &'w mut [W],
    /// Logits of the classes that the table holds.
    pub(super) compact: &'w mut [W],
    /// Probabilities of two frames of many classes.
    pub(super) values: [&'w mut [W]; 2],
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
            w(pairs).saturating_mul(2),
            w(row).saturating_mul(3),
            w((grad * (plan.chunks() - 1)).saturating_mul(row)),
            w(kept.saturating_mul(row)),
            w(kept.max(1).saturating_mul(3 * table)),
            bytes_of::<f64>(kept),
            w(kept).saturating_mul(2),
            w(grad * W::LANES * pairs),
            w(grad * pairs),
            w(grad * W::LANES * table).saturating_mul(2),
            w(extent.classes),
            w(wide * table),
            w(wide * kept_len::<W>(extent.classes)).saturating_mul(2),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    pub(super) fn new(extent: Extent, frames: usize, blank: usize, room: &mut Room<'w>) -> Self {
        let plan = Plan::new::<W>(extent, frames);
        let (pairs, row) = (plan.pairs::<W>(), plan.row::<W>());
        let (kept, table) = (plan.kept(), plan.table);
        let (grad, wide) = (usize::from(plan.grad), usize::from(plan.wide));
        let wide_row = wide * kept_len::<W>(extent.classes);
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
            references: [room.take(kept), room.take(kept)],
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
        // Behind the classes that are named the table says that nothing has a probability.
        self.slots[self.extent.labels..].fill(count as u32);
        named[count..].fill(self.blank);
        self.blank = 0;
        self.named = count;
    }

    /// Fills table `at` from a frame.
    #[inline(always)]
    pub(super) fn tabulate<S: Isa>(
        &mut self,
        simd: S,
        at: usize,
        frame: usize,
        sequence: &dyn Sequence<W>,
        setting: Setting,
    ) -> Normaliser<W> {
        let row = sequence.row(frame, self.converted);
        let table = table(self.tables, self.plan.table, at);
        if !self.plan.wide {
            let reference = Reference::exact(emission::largest(simd, row));
            return emission::fill(simd, row, row.len(), reference, table);
        }
        let values = &mut self.values[0];
        let frame = Frame {
            row,
            next: row,
            blank: setting.blank,
        };
        let normaliser = frame.sweep::<S, false>(simd, Before::nothing(), values, setting);
        W::gather(simd, row, &self.classes[..self.plan.table], self.compact);
        emission::fill(simd, self.compact, self.named, normaliser.reference, table);
        normaliser
    }

    /// Keeps the normaliser of frame `at`.
    pub(super) fn keep(&mut self, at: usize, normaliser: Normaliser<W>) {
        self.sums[at] = normaliser.sum;
        let [subtracted, powers] = &mut self.references;
        subtracted[at] = normaliser.reference.subtracted;
        powers[at] = normaliser.reference.power;
    }

    /// The reference of frame `at`.
    pub(super) fn reference(&self, at: usize) -> Reference<W> {
        let [subtracted, powers] = &self.references;
        Reference {
            subtracted: subtracted[at],
            power: powers[at],
        }
    }

    /// Spreads what table `at` says over the labels of some blocks.
    #[inline(always)]
    pub(super) fn emit<S: Isa>(&mut self, simd: S, at: usize, blocks: Range<usize>) -> (W, W) {
        let table = table(self.tables, self.plan.table, at);
        let end = match self.plan.wide {
            // Pairs without a label have a slot too.
            true => blocks.end * W::LANES,
            false => (blocks.end * W::LANES).min(self.extent.labels),
        };
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
    pub(super) fn step<S: Isa>(
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
    pub(super) fn place(&mut self, place: Place) -> &mut [W] {
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
pub(super) enum Place {
    Row(usize),
    Checkpoint(usize),
    History(usize),
}

#[inline(always)]
pub(super) fn table<W>(tables: &mut [W], len: usize, at: usize) -> Table<'_, W> {
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
    pub(super) log_probs: bool,
    /// The blank's class.
    pub(super) blank: usize,
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
    pub(super) fn frame(self, at: usize) -> usize {
        if self.backward {
            self.start - at
        } else {
            self.start + at
        }
    }

    /// What a frame's probabilities are multiplied by in the gradient.
    #[inline(always)]
    pub(super) fn of_values<W: Element>(self, sum: f64) -> W {
        W::from_f64(if self.log_probs {
            0.0
        } else {
            self.scale / sum
        })
    }
}
