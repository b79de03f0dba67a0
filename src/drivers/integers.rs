use crate::tensor::Source;

macro_rules! integers {
    ($($Variant:ident $integer:ty,)*) => {
        /// Labels of any integer type, one a unit.
        pub enum Integers<'a> {
            $(
                #[doc = concat!("Of type `", stringify!($integer), "`.")]
                $Variant(Source<'a, $integer>),
            )*
        }

        impl Integers<'_> {
            /// The label of a unit, which for a negative one is some large number.
            #[inline]
            pub(crate) fn get(&self, sample: usize, unit: usize) -> usize {
                match self {
                    $(Self::$Variant(labels) => labels.get(sample, unit) as usize,)*
                }
            }
        }

        $(
            impl<'a> From<Source<'a, $integer>> for Integers<'a> {
                fn from(labels: Source<'a, $integer>) -> Self {
                    Self::$Variant(labels)
                }
            }
        )*
    };
}

integers!(
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
