use crate::element::Element;

/// Classes that are copied at a time where they are no neighbours in memory.
pub(super) const PIECE: usize = 1024;

/// Memory of a leaf whose rows are taken one by one, empty where it is not needed.
pub(super) struct Room<'r, T> {
    /// For pieces of rows whose classes are no neighbours in memory: logits and the label's shares.
    pub(super) pieces: [&'r mut [T]; 2],
    /// For the exponentials of a row, where the gradient's place cannot keep them.
    pub(super) kept: &'r mut [T],
}

impl<'r, T: Element> Room<'r, T> {
    pub(super) fn none() -> Self {
        Self {
            pieces: [&mut [], &mut []],
            kept: &mut [],
        }
    }

    pub(super) fn of_pieces([logits, shares]: &'r mut [[T; PIECE]; 2]) -> Self {
        Self {
            pieces: [logits, shares],
            ..Self::none()
        }
    }
}
