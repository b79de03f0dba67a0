/// A tensor's type beside the one that its lattice is computed in: the same, or `f64` for the few
/// samples whose exponents `f32` cannot count.
pub(crate) trait Convert<W>: Copy {
    /// The row itself, or its values in `buffer`.
    fn row<'b>(row: &'b [Self], buffer: &'b mut [W]) -> &'b [W];

    /// The nearest value.
    fn narrow(value: W) -> Self;
}

macro_rules! itself {
    ($($float:ty)*) => {$(
        impl Convert<$float> for $float {
            #[inline(always)]
            fn row<'b>(row: &'b [$float], _: &'b mut [$float]) -> &'b [$float] {
                row
            }

            #[inline(always)]
            fn narrow(value: $float) -> $float {
                value
            }
        }
    )*};
}

itself!(f32 f64);

impl Convert<f64> for f32 {
    #[inline(always)]
    fn row<'b>(row: &'b [f32], buffer: &'b mut [f64]) -> &'b [f64] {
        for (wide, &value) in buffer.iter_mut().zip(row) {
            *wide = f64::from(value);
        }
        &buffer[..row.len()]
    }

    #[inline(always)]
    fn narrow(value: f64) -> f32 {
        value as f32
    }
}
