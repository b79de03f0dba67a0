//! The way back: the posteriors, window by window.
//!
//! Backward in time a path only moves to the left, by at most one pair a frame. So all but a share
//! on either side of the probability of all paths stays, during a group of frames, within the
//! blocks that hold all but that share of the posterior at the group's end and as many to the left
//! of them as the group has frames. The others are left out, and what is left out of all groups
//! adds up to less than twice the share times their number. The share is 2⁻¹⁷ units of the last
//! place of 1: 2⁻⁴⁰ in `f32`, 2⁻⁶⁹ in `f64`, and for a sequence of 100,000 frames 1.2·10⁻⁸ of a
//! posterior in `f32`, 4.3·10⁻¹⁷ in `f64`.

use super::half::{Half, Place, Setting};
use super::lattice::{self, Emission, Posteriors, block};
use super::sequence::Sequence;
use crate::element::Element;
use crate::simd::{Isa, Kernel, Lanes, Sum};
use crate::workspace::Plain;
use core::ops::Range;

/// The way back: the gradient.
pub(super) struct Backward<'k, 'w, W> {
    pub(super) half: &'k mut Half<'w, W>,
    pub(super) sequence: &'k mut dyn Sequence<W>,
    pub(super) setting: Setting,
    /// The exponent of the probability of all paths.
    pub(super) exponent: f64,
}

/// Sums of a group's posteriors over the pairs of each frame, lane by lane.
pub(super) struct Sums<W> {
    pub(super) labels: [[W; 16]; 16],
    pub(super) blanks: [[W; 16]; 16],
}

impl<W: Element + Plain> Kernel for Backward<'_, '_, W> {
    type Home = Self;
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
                    if setting.early {
                        half.ask_for(simd, setting.frame(at), sequence);
                    }
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
fn left_out<W: Element>() -> f64 {
    f64::from_bits(((1023 - 17 - W::FRACTION) as u64) << 52)
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
            let normaliser = self.tabulate(simd, local, setting.frame(at), sequence, setting);
            self.keep(local, normaliser);
            let blocks = within(self.plan.band.range::<W>(at), &window);
            let blank = self.emit(simd, local, blocks.clone());
            let from = match local {
                0 => Place::Checkpoint(chunk),
                _ => Place::History(local - 1),
            };
            let to = Place::History(local);
            let floor = floor.max(self.plan.band.floor::<W>(at));
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
        let limit = total.to_f64() * left_out::<W>();
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
        let mut sum = Sum::zero(simd);
        sum.add(Lanes::load(simd, &self.posteriors[at..]));
        sum.add(Lanes::load(simd, &self.blanks[at..]));
        sum.fold()
    }
}
