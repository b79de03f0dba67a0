use crate::tensor::Source;
use core::ops::Range;

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

            /// Copies the labels of a unit of several samples, as [`get`](Self::get) gives them.
            pub(crate) fn copy_samples(
                &self,
                samples: Range<usize>,
                unit: usize,
                to: &mut [usize],
            ) {
                match self {
                    $(Self::$Variant(labels) => {
                        let mut to = to.iter_mut();
                        labels.for_each_sample(samples, unit, |label| {
                            if let Some(to) = to.next() {
                                *to = label as usize;
                            }
                        });
                    })*
                }
            }

            /// Copies the labels of a stretch of units, as [`get`](Self::get) gives them.
            pub(crate) fn copy(&self, sample: usize, units: Range<usize>, to: &mut [usize]) {
                match self {
                    $(Self::$Variant(labels) => {
                        let mut to = to.iter_mut();
                        labels.for_each(sample, units, |label| {
                            if let Some(to) = to.next() {
                                *to = label as usize;
                            }
                        });
                    })*
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
