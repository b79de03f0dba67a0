use crate::tensor::Tensor;
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
            $($Variant(Tensor<'a, $integer>),)*
        }

        $(
            impl Integer for $integer {
                fn erase<'a, D: Dimension>(array: &'a ArrayRef<$integer, D>) -> Integers<'a> {
                    let tensor = Tensor::new(array);
                    Integers {
                        shape: tensor.shape,
                        values: Erased::$Variant(tensor),
                    }
                }
            }
        )*

        impl Integers<'_> {
            /// The value at a row and a place in it, if it is not negative.
            pub(super) fn get(&self, row: usize, at: usize) -> Option<usize> {
                match &self.values {
                    $(Erased::$Variant(values) => values.at(row, at).try_into().ok(),)*
                }
            }

            /// Whether the value is −1.
            pub(super) fn is_minus_one(&self, row: usize, at: usize) -> bool {
                match &self.values {
                    $(Erased::$Variant(values) => {
                        // The unsigned types have no such number.
                        <$integer>::MIN != 0 && values.at(row, at) == !0
                    })*
                }
            }

            /// The value as text.
            pub(super) fn text(&self, row: usize, at: usize) -> String {
                match &self.values {
                    $(Erased::$Variant(values) => values.at(row, at).to_string(),)*
                }
            }
        }
    };
}

/// An array of any primitive integer type. Values are read where it has one axis or two.
pub struct Integers<'a> {
    values: Erased<'a>,
    pub(super) shape: &'a [usize],
}

integers!(
    I8 i8, I16 i16, I32 i32, I64 i64, I128 i128, Isize isize,
    U8 u8, U16 u16, U32 u32, U64 u64, U128 u128, Usize usize
);
