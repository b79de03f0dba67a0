use crate::drivers::Outputs;
use crate::element::Element;
use core::ops::Range;

/// Entries that are copied at a time where they are no neighbours in memory: a whole number of
/// blocks of every type.
pub(super) const PIECE: usize = 1024;

/// Room for pieces of rows whose entries are no neighbours in memory.
#[repr(align(64))]
pub(super) struct Scratch<T, const K: usize> {
    rows: [[T; PIECE]; K],
}

impl<T: Element, const K: usize> Scratch<T, K> {
    /// The room that some outputs' rows need; none where all their entries are neighbours.
    pub(super) fn for_rows_of(outputs: &Outputs<'_, T, K>) -> Option<Self> {
        let contiguous = outputs
            .operands
            .iter()
            .all(|operand| operand.classes_contiguous());
        (!contiguous).then_some(Self {
            rows: [[T::ZERO; PIECE]; K],
        })
    }

    /// The room for each operand, empty where none is needed.
    #[inline]
    pub(super) fn rooms<'s>(scratch: &'s mut Option<&mut Self>) -> [&'s mut [T]; K] {
        match scratch {
            Some(scratch) => scratch.rows.each_mut().map(|row| &mut row[..]),
            None => core::array::from_fn(|_| &mut [][..]),
        }
    }

    /// Cuts entries into pieces that there is room for; one piece where no room is needed.
    #[inline]
    pub(super) fn pieces(
        scratch: &Option<&mut Self>,
        entries: &Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<T, K> {
        let Range { start, end } = *entries;
        let step = match scratch {
            Some(_) => PIECE,
            None => (end - start).max(1),
        };
        (start..end)
            .step_by(step)
            .map(move |at| at..end.min(at + step))
    }
}
