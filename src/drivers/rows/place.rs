use core::ops::Range;

/// A unit of a sample.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) sample: usize,
    pub(super) unit: usize,
}

impl Place {
    /// How many places there are before, where `samples` have `units` each.
    #[inline(always)]
    pub(super) fn number(self, samples: &Range<usize>, units: &Range<usize>) -> usize {
        (self.sample - samples.start) * units.len() + self.unit - units.start
    }

    /// The next place, where each sample has `units`.
    #[inline(always)]
    pub(super) fn next(self, units: &Range<usize>) -> Self {
        let unit = self.unit + 1;
        if unit < units.end {
            Self { unit, ..self }
        } else {
            Self {
                sample: self.sample + 1,
                unit: units.start,
            }
        }
    }
}
