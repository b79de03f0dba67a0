use crate::Error;
use crate::checks::{self, Shapes};
use crate::drivers::rows::{FlatClasses, RowLabel};
use crate::layout::Grid;
use crate::tensor::{Source, Tensor};

/// What the labels of a classification may be: any primitive integer, for the class (pred's shape
/// without the class axis), or pred's own type, for a share of every class (pred's shape).
///
/// The trait is sealed: its methods are the crate's own.
pub trait ClassLabel<T>: Copy + Sync + 'static {
    /// Checks the labels' shape and values and lays them out.
    fn check<'a>(
        label: Tensor<'a, Self>,
        shapes: &Shapes<'_>,
        grid: &Grid<'a>,
    ) -> Result<RowLabel<'a, T>, Error>;

    /// The classes of a flat call, if the labels are some few that lie in order and name classes.
    fn flat(_label: Tensor<'_, Self>, _shapes: &Shapes<'_>) -> Option<FlatClasses> {
        None
    }
}

/// The class that a label names, if it is one of so many.
#[inline]
fn named(label: impl TryInto<usize>, classes: usize) -> Option<usize> {
    label.try_into().ok().filter(|&class| class < classes)
}

macro_rules! integer_labels {
    ($($integer:ty)*) => {$(
        impl<T> ClassLabel<T> for $integer {
            fn check<'a>(
                label: Tensor<'a, Self>,
                shapes: &Shapes<'_>,
                grid: &Grid<'a>,
            ) -> Result<RowLabel<'a, T>, Error> {
                shapes.check_each_loss("label", label.shape)?;
                let label = Source::of_units(shapes.spread(label), grid);
                let classes = grid.row_len;
                let fits = |label| named(label, classes).is_some();
                if let Some((sample, unit, class)) = label.first_refused(fits) {
                    return Err(Error::Label {
                        index: shapes.label_index(grid, sample, unit),
                        found: class.to_string(),
                        classes,
                    });
                }
                Ok(RowLabel::Class(label.into()))
            }

            fn flat(label: Tensor<'_, Self>, shapes: &Shapes<'_>) -> Option<FlatClasses> {
                let labels = shapes.each_loss_in_order(label)?;
                let mut classes = FlatClasses::default();
                let places = classes.get_mut(..labels.len())?;
                for (place, &label) in places.iter_mut().zip(labels) {
                    *place = named(label, shapes.classes())?;
                }
                Some(classes)
            }
        }
    )*};
}

integer_labels!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

macro_rules! share_labels {
    ($($float:ty)*) => {$(
        impl ClassLabel<$float> for $float {
            fn check<'a>(
                label: Tensor<'a, Self>,
                shapes: &Shapes<'_>,
                grid: &Grid<'a>,
            ) -> Result<RowLabel<'a, $float>, Error> {
                checks::shape("label", label.shape, shapes.pred)?;
                Ok(RowLabel::Shares(Source::of_rows(label, grid)))
            }
        }
    )*};
}

share_labels!(f32 f64);
