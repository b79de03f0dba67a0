//! The gradient of a group of frames, from their posteriors.

use super::backward::Sums;
use super::half::{Half, Setting, table};
use super::sequence::Sequence;
use super::sweep::{self, Before};
use crate::element::Element;
use crate::simd::{Isa, Lanes, prefetch};
use crate::workspace::Plain;
use core::ops::Range;

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
    /// Writes the gradient of a group of frames, and returns the sum of the first one's posteriors.
    ///
    /// Posteriors are exchanged to frames in lanes, so that labels of the same class add up as
    /// whole vectors, in their order; and back.
    #[inline(always)]
    #[allow(
        clippy::too_many_arguments,
        reason = "a group of frames and all that belongs to it"
    )]
    pub(super) fn write<S: Isa>(
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

    /// Asks for the memory of a frame's gradient that [`write`](Self::write) will write to.
    #[inline(always)]
    pub(super) fn ask_for<S: Isa>(&self, simd: S, frame: usize, sequence: &mut dyn Sequence<W>) {
        if let Some(place) = sequence.place(frame) {
            for &class in &self.classes[..self.named] {
                prefetch(simd, place, class as usize * size_of::<W>());
            }
        }
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
        let reference = self.reference(local);
        let row = sequence.row(frame, self.converted);
        let values = &mut self.values[0];
        let before = Before::nothing();
        sweep::sweep::<W, S, false>(simd, before, row, reference, values, row);
        let scale = Lanes::splat(simd, setting.of_values(self.sums[local]));
        for values in values.chunks_exact_mut(W::LANES) {
            (Lanes::load(simd, values) * scale).store(values);
        }
        let values = &mut values[..self.extent.classes];
        for (&gradient, &class) in named {
            values[class as usize] = gradient;
        }
        sequence.write(frame, values);
    }
}
