//! Where the halves of a lattice meet.

use super::half::Half;
use super::lattice::block;
use super::states::State;
use crate::element::Element;
use crate::workspace::Plain;

impl<W: Element + Plain> Half<'_, W> {
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
}
