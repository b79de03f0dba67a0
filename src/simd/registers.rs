/// The registers that make up 64 bytes: one on AVX-512, two on AVX2, four on NEON, one a lane on
/// the scalar level.
///
/// `R` is a vector, a mask or a vector of bits. Operations go through them by [`unroll!`], and the
/// array dissolves into registers once everything is inlined.
///
/// [`unroll!`]: crate::unroll
pub trait Registers<R: Copy>: Copy {
    /// How many registers there are.
    const COUNT: usize;

    /// The same register in every place.
    fn splat(register: R) -> Self;

    /// The register at `index`.
    fn get(&self, index: usize) -> R;

    /// Replaces the register at `index`.
    fn set(&mut self, index: usize, register: R);
}

macro_rules! registers {
    ($($count:literal: $($register:ident)*;)*) => {$(
        impl<R: Copy> Registers<R> for [R; $count] {
            const COUNT: usize = $count;

            // Written out: of `[register; N]` the compiler makes a loop.
            #[inline(always)]
            fn splat(register: R) -> Self {
                $(let $register = register;)*
                [$($register),*]
            }

            #[inline(always)]
            fn get(&self, index: usize) -> R {
                self[index]
            }

            #[inline(always)]
            fn set(&mut self, index: usize, register: R) {
                self[index] = register;
            }
        }
    )*};
}

registers!(
    1: a;
    2: a b;
    4: a b c d;
    8: a b c d e f g h;
    16: a b c d e f g h i j k l m n o p;
);
