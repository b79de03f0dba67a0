use super::leaf::Rows;
use super::outcome::{First, Second};
use super::room::Room;
use super::row::{self, Forward, Sums, subtracted};
use super::{RowLabel, RowLoss};
use crate::drivers::Outputs;
use crate::element::Element;
use crate::simd::{Isa, Lanes, Sum};
use core::ops::Range;

/// Passes over rows, or chunks of them, whose classes may be copied a piece at a time.
impl<T, R, const DENSE: bool> Rows<'_, T, R, DENSE>
where
    T: Element,
    R: RowLoss<T>,
{
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

    /// The first pass over some classes of a row: the sums over all but one of them.
    #[inline(always)]
    pub(super) fn forward<S: Isa>(
        &self,
        simd: S,
        outputs: &mut Outputs<'_, T>,
        ((sample, unit), classes): ((usize, usize), Range<usize>),
        room: &mut Room<'_, T>,
        pass: First<T>,
    ) -> Sums {
        let [logits, label] = room.pieces.each_mut().map(|piece| &mut **piece);
        let subtracted = Lanes::splat(simd, subtracted(pass.max));
        let ahead = classes.len() * size_of::<T>();
        let mut sums = [Sum::zero(simd); 3];
        for part in parts(&classes, logits.len()) {
            let shares = self.shares((sample, unit), part.clone(), label);
            let (run, _) = outputs.pred().row(sample, unit, part.clone(), logits);
            let mut forward = Forward {
                simd,
                loss: self.loss,
                run,
                shares,
                subtracted,
                keep: pass.keep,
                ahead,
                left_out: pass.left_out as isize - part.start as isize,
                trail: None,
            };
            forward.sum::<DENSE>(&mut sums);
        }
        Sums::of(sums)
    }

    /// The second pass over some classes of a row.
    #[inline(always)]
    pub(super) fn backward<S: Isa>(
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
            let (run, copied) = match pass.kept {
                true => (outputs.pred().grad_row(sample, unit, part.clone()), false),
                false => outputs.pred().row(sample, unit, part.clone(), logits),
            };
            let pass = Second {
                stream: pass.stream && !copied,
                ..pass
            };
            pass.backward(simd, run, shares)
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
