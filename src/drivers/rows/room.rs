use crate::element::Element;

/// Classes that are copied at a time where they are no neighbours in memory.
pub(super) const PIECE: usize = 1024;

/// Memory for pieces of rows whose classes are no neighbours in memory; else empty.
pub(super) struct Room<'r, T> {
    /// Logits, and the label's shares.
    pub(super) pieces: [&'r mut [T]; 2],
}

impl<'r, T: Element> Room<'r, T> {
    pub(super) fn none() -> Self {
        Self {
            pieces: [&mut [], &mut []],
        }
    }

    pub(super) fn of_pieces([logits, shares]: &'r mut [[T; PIECE]; 2]) -> Self {
        Self {
            pieces: [logits, shares],
        }
    }
}
