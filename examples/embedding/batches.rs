//! What is compared with what.

use ndarray::Array1;

use crate::data::CLASSES;

/// The images of each digit, dealt out so that every batch has every digit.
pub(crate) struct Batches {
    rows: [Vec<usize>; CLASSES],
}

/// What an image is in a batch, which holds one of each role for every digit.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Anchor,
    /// Another image of the anchor's digit.
    Positive,
    /// An image of another digit.
    Negative,
}

impl Batches {
    pub(crate) fn new(labels: &Array1<u8>) -> Self {
        let mut rows = [const { Vec::new() }; CLASSES];
        for (row, &label) in labels.iter().enumerate() {
            rows[usize::from(label)].push(row);
        }
        Self { rows }
    }

    /// How many batches there are: each takes two new images of every digit.
    pub(crate) fn len(&self) -> usize {
        let fewest = self.rows.iter().map(Vec::len).min();
        fewest.map_or(0, |images| images / 2)
    }

    /// The images of a batch: for each role one for every digit, in the order of the digits.
    pub(crate) fn rows(&self, batch: usize, roles: &[Role]) -> Vec<usize> {
        let digits = |role: Role| (0..CLASSES).map(move |digit| self.row(batch, role, digit));
        roles.iter().flat_map(|&role| digits(role)).collect()
    }

    fn row(&self, batch: usize, role: Role, digit: usize) -> usize {
        match role {
            Role::Anchor => self.rows[digit][2 * batch],
            Role::Positive => self.rows[digit][2 * batch + 1],
            Role::Negative => {
                // Each batch pairs the digits differently, and none with itself.
                let other = digit + 1 + batch % (CLASSES - 1);
                self.rows[other % CLASSES][2 * batch]
            }
        }
    }
}
