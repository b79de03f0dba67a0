use super::entries::Entries;
use super::row::{Passes, Whole, folded};
use super::{PairLoss, Pairs};
use crate::drivers::Gathered;
use crate::drivers::unit_scale::UnitScales;
use crate::element::Element;
use crate::simd::{InOut, Isa};
use crate::tensor::Lines;
use core::ops::Range;

/// The most units in a group. Not 8: rows of 512 bytes would be written whole pages behind those that are
/// read, and a load waits for a store whose address differs by whole pages.
const MOST: usize = 7;

/// The fewest units in a group whose gradients are written late; for the same reason not 2, of rows of
/// 2048 bytes.
const FEWEST_LATE: usize = 3;

/// Bytes of each operand in a group of more: few enough for it to be in the first-level cache still when
/// its gradients are written.
const BYTES: usize = 6 << 10;

/// Units whose sums are made one after the other, and then the losses and factors of all of them. From
/// sums to factors is a long chain of divisions and roots; several such chains side by side take hardly
/// longer than one.
///
/// Where gradients are written late, it is while the next group is summed.
struct Group<F, const K: usize, const J: usize> {
    len: usize,
    members: [Member; MOST],
    /// With the exponents of the powers of 2 that the entries were multiplied by.
    sums: [([f64; J], [i32; K]); MOST],
    factors: [Option<F>; MOST],
}

/// A unit, where its rows lie, and what its derivative is multiplied by.
#[derive(Clone, Copy, Default)]
struct Member {
    sample: usize,
    unit: usize,
    line: usize,
    coefficient: f64,
}

impl<F: Copy, const K: usize, const J: usize> Group<F, K, J> {
    fn new() -> Self {
        Self {
            len: 0,
            members: [Member::default(); MOST],
            sums: [([0.0; J], [0; K]); MOST],
            factors: [None; MOST],
        }
    }
}

impl<'i, T, L, const K: usize, const J: usize> Pairs<'i, T, L, K, J>
where
    T: Element,
    L: PairLoss<T, K, J>,
{
    /// The losses of units whose rows lie in lines, in the order of visits, and their gradients.
    #[inline(always)]
    pub(super) fn in_groups<S: Isa>(
        &self,
        simd: S,
        lines: &mut [Lines<'_, T>; K],
        scales: &UnitScales<'_, '_, T>,
        [samples, units]: [&Range<usize>; 2],
        losses: &mut [T],
    ) {
        let fewest = if self.late { FEWEST_LATE } else { 1 };
        let size = (BYTES / size_of::<T>() / self.len.max(1)).clamp(fewest, MOST);
        let units = samples
            .clone()
            .flat_map(|sample| units.clone().map(move |unit| (sample, unit)));
        let mut members = units.enumerate().filter_map(|(line, (sample, unit))| {
            let coefficient = scales.of(sample, unit)?.grad;
            Some(Member {
                sample,
                unit,
                line,
                coefficient,
            })
        });
        let (mut group, mut before) = (Group::new(), Group::new());
        loop {
            group.len = 0;
            for (place, member) in group.members[..size].iter_mut().zip(&mut members) {
                *place = member;
                group.len += 1;
            }
            self.sum_group(simd, lines, &mut group, &before);
            self.finish(&mut group, losses);
            if group.len == 0 {
                break;
            }
            if self.late {
                core::mem::swap(&mut group, &mut before);
            } else {
                self.write_group(simd, lines, &group, 0);
            }
        }
    }

    /// Sums over the rows of a group, while the gradients of the one before, if any, are written.
    #[inline(always)]
    fn sum_group<S: Isa>(
        &self,
        simd: S,
        lines: &mut [Lines<'_, T>; K],
        group: &mut Group<L::Factors, K, J>,
        before: &Group<L::Factors, K, J>,
    ) {
        let (loss, ahead, past_caches) = (self.loss, self.ahead, self.past_caches);
        for k in 0..group.len {
            let line = group.members[k].line;
            let mut sums = [Gathered::zero(simd); J];
            if k < before.len {
                let (mut own, mut others) = two_rows(lines, line, before.members[k].line);
                let factors = before.factors[k];
                own.sum_and_write(
                    simd,
                    loss,
                    ahead,
                    &mut sums,
                    &mut others,
                    factors,
                    past_caches,
                );
            } else {
                rows(lines, line).sum(simd, loss, None, ahead, &mut sums);
            }
            group.sums[k] = self.whole(simd, lines, line).within_range(folded(sums));
        }
        self.write_group(simd, lines, before, group.len);
    }

    /// The losses of a group, and the factors of its gradients.
    #[inline(always)]
    fn finish(&self, group: &mut Group<L::Factors, K, J>, losses: &mut [T]) {
        for k in 0..group.len {
            let Member {
                sample,
                unit,
                line,
                coefficient,
            } = group.members[k];
            let label = L::label(&self.labels, sample, unit);
            let (sums, exponents) = group.sums[k];
            (losses[line], group.factors[k]) =
                self.loss.finish(sums, exponents, label, coefficient);
        }
    }

    /// Writes the gradients of a group's units from `first` on.
    #[inline(always)]
    fn write_group<S: Isa>(
        &self,
        simd: S,
        lines: &mut [Lines<'_, T>; K],
        group: &Group<L::Factors, K, J>,
        first: usize,
    ) {
        for k in first..group.len {
            self.whole(simd, lines, group.members[k].line)
                .write(group.factors[k]);
        }
    }

    #[inline(always)]
    fn whole<'r, S: Isa>(
        &'r self,
        simd: S,
        lines: &'r mut [Lines<'_, T>; K],
        line: usize,
    ) -> Whole<'r, 'i, T, S, L, K, J> {
        Whole {
            simd,
            pairs: self,
            entries: rows(lines, line),
        }
    }
}

/// The rows of a unit.
#[inline(always)]
fn rows<'r, T: Element, const K: usize>(
    lines: &'r mut [Lines<'_, T>; K],
    line: usize,
) -> Entries<'r, T, K> {
    // By loops, here and below: `map` is a call, which leaves the addresses in memory.
    let mut rows = [const { InOut::EMPTY }; K];
    for (row, lines) in rows.iter_mut().zip(lines) {
        *row = lines.line(line);
    }
    Entries(rows)
}

/// The rows of two units.
#[inline(always)]
fn two_rows<'r, T: Element, const K: usize>(
    lines: &'r mut [Lines<'_, T>; K],
    one: usize,
    other: usize,
) -> (Entries<'r, T, K>, Entries<'r, T, K>) {
    let mut rows = [const { InOut::EMPTY }; K];
    let mut others = [const { InOut::EMPTY }; K];
    for ((row, other_row), lines) in rows.iter_mut().zip(&mut others).zip(lines) {
        [*row, *other_row] = lines.two_lines(one, other);
    }
    (Entries(rows), Entries(others))
}
