/// What becomes of the losses of the single elements (of the rows, where a loss is one per row).
///
/// Means divide by the number of elements, never by the sum of weights.
///
/// | | losses | shape |
/// |---|---|---|
/// | `None` | each one | pred's; without the class axis where a row of classes has one loss; (N,) where a sample has |
/// | `SampleMean` | the mean over every axis but the batch axis | (N,) |
/// | `SampleSum` | the sum over every axis but the batch axis | (N,) |
/// | `Mean` | the mean over everything | () |
/// | `Sum` | the sum over everything | () |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reduction {
    /// One loss per element or row.
    None,
    /// One mean per sample, as Gluon does.
    #[default]
    SampleMean,
    /// One sum per sample.
    SampleSum,
    /// One mean of the whole batch.
    Mean,
    /// One sum of the whole batch.
    Sum,
}

impl Reduction {
    /// Whether one number is left.
    pub(crate) fn is_scalar(self) -> bool {
        matches!(self, Self::Mean | Self::Sum)
    }

    /// Whether losses are gathered sample by sample.
    pub(crate) fn per_sample(self) -> bool {
        matches!(self, Self::SampleMean | Self::SampleSum)
    }
}
