use crate::Error;
use crate::checks::Shapes;
use crate::drivers::Integers;
use crate::layout::Grid;
use crate::tensor::{Source, Tensor};

/// What the labels of pairs may be: 1 or −1, of any primitive integer type or of the inputs' own.
///
/// The trait is sealed: its methods are the crate's own.
pub trait SignLabel<T>: Copy + Sync + 'static {
    /// Checks the labels' shape and values and lays them out.
    fn check<'a>(
        label: Tensor<'a, Self>,
        shapes: &Shapes<'_>,
        grid: &Grid<'a>,
    ) -> Result<Signs<'a, T>, Error>;
}

/// Labels that are 1 or −1, one a unit.
pub enum Signs<'a, T> {
    /// Of an integer type.
    Integer(Integers<'a>),
    /// Of the inputs' type.
    Float(Source<'a, T>),
}

impl<T: Copy + PartialOrd + Default> Signs<'_, T> {
    /// Whether the label of a unit is 1.
    #[inline]
    pub(super) fn is_one(&self, sample: usize, unit: usize) -> bool {
        match self {
            Self::Integer(labels) => labels.get(sample, unit) == 1,
            Self::Float(labels) => labels.get(sample, unit) > T::default(),
        }
    }
}

/// Labels laid out, every one of them accepted by `is_sign`.
fn lay_out<'a, L: Copy + ToString>(
    label: Tensor<'a, L>,
    shapes: &Shapes<'_>,
    grid: &Grid<'a>,
    is_sign: impl Fn(L) -> bool,
) -> Result<Source<'a, L>, Error> {
    shapes.check_each_loss("label", label.shape)?;
    let labels = Source::of_units(shapes.spread(label), grid);
    if let Some((sample, unit, found)) = labels.first_refused(is_sign) {
        return Err(Error::Sign {
            index: shapes.label_index(grid, sample, unit),
            found: found.to_string(),
        });
    }
    Ok(labels)
}

macro_rules! integer_signs {
    ($($integer:ty)*) => {$(
        impl<T> SignLabel<T> for $integer {
            fn check<'a>(
                label: Tensor<'a, Self>,
                shapes: &Shapes<'_>,
                grid: &Grid<'a>,
            ) -> Result<Signs<'a, T>, Error> {
                let is_sign = |label: Self| matches!(i8::try_from(label), Ok(1 | -1));
                Ok(Signs::Integer(lay_out(label, shapes, grid, is_sign)?.into()))
            }
        }
    )*};
}

integer_signs!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

macro_rules! float_signs {
    ($($float:ty)*) => {$(
        impl SignLabel<$float> for $float {
            fn check<'a>(
                label: Tensor<'a, Self>,
                shapes: &Shapes<'_>,
                grid: &Grid<'a>,
            ) -> Result<Signs<'a, $float>, Error> {
                let is_sign = |label: Self| label.abs() == 1.0;
                Ok(Signs::Float(lay_out(label, shapes, grid, is_sign)?))
            }
        }
    )*};
}

float_signs!(f32 f64);
