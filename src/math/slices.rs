use super::{Functions, lanes};
use crate::Element;
use crate::simd::{Isa, Kernel, Lanes, Level, dispatch};
use core::marker::PhantomData;

/// A function of one argument.
trait Function<T: Functions> {
    fn eval<S: Isa>(x: Lanes<T, S>) -> Lanes<T, S>;
}

struct Map<'a, T, F> {
    values: &'a mut [T],
    function: PhantomData<F>,
}

impl<T: Functions, F: Function<T>> Kernel for Map<'_, T, F> {
    type Home = F;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, simd: S) {
        let mut chunks = self.values.chunks_exact_mut(T::LANES);
        for chunk in &mut chunks {
            F::eval(Lanes::load(simd, chunk)).store(chunk);
        }
        let rest = chunks.into_remainder();
        F::eval(Lanes::load_partial(simd, rest)).store_partial(rest);
    }
}

macro_rules! slice_functions {
    ($($(#[$doc:meta])* $function:ident $name:ident)*) => {$(
        struct $name;

        impl<T: Functions> Function<T> for $name {
            #[inline(always)]
            fn eval<S: Isa>(x: Lanes<T, S>) -> Lanes<T, S> {
                lanes::$function(x)
            }
        }

        $(#[$doc])*
        pub fn $function<T: Element>(level: Level, values: &mut [T]) {
            dispatch(level, Map::<T, $name> { values, function: PhantomData });
        }
    )*};
}

slice_functions! {
    /// Replaces each value by `e^x`. Largest error: [`accuracy::EXP`](super::accuracy::EXP).
    exp Exp

    /// Replaces each value, which is at most 0 or NaN, by `e^x`; results that would be subnormal or
    /// nearly so become 0. Largest error of the others:
    /// [`accuracy::EXP_NONPOS`](super::accuracy::EXP_NONPOS). The result of a positive value is
    /// unspecified.
    exp_nonpos ExpNonpos

    /// Replaces each value by `e^x - 1`. Largest error: [`accuracy::EXPM1`](super::accuracy::EXPM1).
    expm1 Expm1

    /// Replaces each value by its natural logarithm: of either zero -inf, below it NaN. Largest
    /// error: [`accuracy::LOG`](super::accuracy::LOG).
    log Log

    /// Replaces each value by `ln(1 + x)`. Largest error: [`accuracy::LOG1P`](super::accuracy::LOG1P).
    log1p Log1p

    /// Replaces each value by `1 / (1 + e^-x)`. Largest error:
    /// [`accuracy::SIGMOID`](super::accuracy::SIGMOID).
    sigmoid Sigmoid

    /// Replaces each value by `ln(1 + e^x)`. Largest error:
    /// [`accuracy::SOFTPLUS`](super::accuracy::SOFTPLUS).
    softplus Softplus

    /// Replaces each value by `ln(1 / (1 + e^-x))`. Largest error:
    /// [`accuracy::SOFTPLUS`](super::accuracy::SOFTPLUS).
    log_sigmoid LogSigmoid

    /// Replaces each value `y`, a whole number or not, by the logarithm of its factorial,
    /// `ln(gamma(y + 1))`: below 0 NaN. Largest error:
    /// [`accuracy::LN_FACTORIAL`](super::accuracy::LN_FACTORIAL).
    ln_factorial LnFactorial
}
