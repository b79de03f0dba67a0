use crate::layout::Extents;
use crate::layout::Grid;
use crate::tensor::{Source, Tensor};
use ndarray::{ArrayRef, Dimension};

/// A type of labels and lengths: any primitive integer.
///
/// The trait is sealed: its methods are the crate's own.
pub trait Integer: Copy + Sync + 'static {
    /// The array, whatever its type.
    fn erase<'a, D: Dimension>(array: &'a ArrayRef<Self, D>) -> Integers<'a>
    where
        Self: Sized;
}

macro_rules! integers {
    ($($Variant:ident $integer:ty),*) => {
        enum Erased<'a> {
            $($Variant(Source<'a, $integer>),)*
        }

        $(
            impl Integer for $integer {
                fn erase<'a, D: Dimension>(array: &'a ArrayRef<$integer, D>) -> Integers<'a> {
                    let tensor = Tensor::new(array);
                    let samples = (!tensor.shape.is_empty()).then_some(0);
                    let grid = Grid::new(&tensor.shape, samples, None);
                    Integers {
                        values: Erased::$Variant(Source::new(&tensor, &grid, None)),
                        shape: tensor.shape,
                    }
                }
            }
        )*

        impl Integers<'_> {
            /// The value at a row and a place in it, if it is not negative.
            pub(super) fn get(&self, row: usize, at: usize) -> Option<usize> {
                match &self.values {
                    $(Erased::$Variant(values) => values.get(row, at).try_into().ok(),)*
                }
            }

            /// Whether the value is −1.
            pub(super) fn is_minus_one(&self, row: usize, at: usize) -> bool {
                match &self.values {
                    $(Erased::$Variant(values) => {
                        // The unsigned types have no such number.
                        <$integer>::MIN != 0 && values.get(row, at) == !0
                    })*
                }
            }

            /// The value as text.
            pub(super) fn text(&self, row: usize, at: usize) -> String {
                match &self.values {
                    $(Erased::$Variant(values) => values.get(row, at).to_string(),)*
                }
            }
        }
    };
}

/// An array of any primitive integer type, of any rank.
///
/// A value is found by its position on the first axis and its place among all that have it.
pub struct Integers<'a> {
    values: Erased<'a>,
    pub(super) shape: Extents,
}

integers!(
    I8 i8, I16 i16, I32 i32, I64 i64, I128 i128, Isize isize,
    U8 u8, U16 u16, U32 u32, U64 u64, U128 u128, Usize usize
);
