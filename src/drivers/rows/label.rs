use crate::tensor::Source;

/// What a row is compared with.
pub enum RowLabel<'a, T> {
    /// One class, which has the whole share.
    Class(Classes<'a>),
    /// A share for every class.
    Shares(Source<'a, T>),
}

macro_rules! classes {
    ($($Variant:ident $integer:ty,)*) => {
        /// Class numbers of any integer type, all of them in range.
        pub enum Classes<'a> {
            $(
                #[doc = concat!("Of type `", stringify!($integer), "`.")]
                $Variant(Source<'a, $integer>),
            )*
        }

        impl Classes<'_> {
            /// The class of a row.
            #[inline]
            pub(super) fn get(&self, sample: usize, unit: usize) -> usize {
                match self {
                    $(Self::$Variant(classes) => classes.get(sample, unit) as usize,)*
                }
            }
        }

        $(
            impl<'a> From<Source<'a, $integer>> for Classes<'a> {
                fn from(classes: Source<'a, $integer>) -> Self {
                    Self::$Variant(classes)
                }
            }
        )*
    };
}

classes!(
    I8 i8,
    I16 i16,
    I32 i32,
    I64 i64,
    I128 i128,
    Isize isize,
    U8 u8,
    U16 u16,
    U32 u32,
    U64 u64,
    U128 u128,
    Usize usize,
);
