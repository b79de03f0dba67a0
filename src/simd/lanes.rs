use super::{Float, Isa, Registers};
use crate::unroll::unroll;
use core::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// 64 bytes of lanes and the token that proves their instructions exist.
///
/// There are 16 lanes of f32 and 8 of f64 at every level, whatever the width of its registers: a
/// formula, a sum or a tail has one shape everywhere, and so the same bits.
#[derive(Clone, Copy)]
pub struct Lanes<T: Float, S: Isa> {
    pub(super) simd: S,
    pub(super) registers: T::Many<S, T::Vector<S>>,
}

/// One truth value a lane, from a comparison of [`Lanes`].
#[derive(Clone, Copy)]
pub struct Mask<T: Float, S: Isa> {
    simd: S,
    registers: T::Many<S, T::Mask<S>>,
}

/// The lanes' bits as unsigned integers of the same width; arithmetic wraps.
#[derive(Clone, Copy)]
pub struct Bits<T: Float, S: Isa> {
    simd: S,
    registers: T::Many<S, T::Word<S>>,
}

/// Runs an operation on 64 bytes, `fn(S, A) -> R`: inlined, but on the scalar level as a call.
///
/// Sixteen copies of every operation, inlined, would take the compiler minutes on a level that is
/// for correctness, not for speed. Elsewhere the operation is called by its name: through a
/// function parameter it would be compiled without the level's instructions.
macro_rules! run {
    ($operation:path, $simd:expr, $arguments:expr) => {
        if S::IS_SCALAR {
            crate::simd::lanes::call($operation, $simd, $arguments)
        } else {
            $operation($simd, $arguments)
        }
    };
}

#[inline(never)]
pub(super) fn call<S: Isa, A, R>(operation: impl FnOnce(S, A) -> R, simd: S, arguments: A) -> R {
    operation(simd, arguments)
}

pub(super) use run;

/// Lifts an operation on registers to all of them.
macro_rules! lift {
    ($function:path, $simd:expr, $($argument:expr => $Type:ident),+ => $Out:ident) => {{
        #[inline(always)]
        fn lifted<T: Float, S: Isa>(simd: S, arguments: ($(&$Type<T, S>,)+)) -> $Out<T, S> {
            let first = lift!(@at 0, $function, simd, arguments, $($Type),+);
            let mut registers = Many::<T, S, _>::splat(first);
            unroll!(k in 1..Lanes::<T, S>::REGISTERS => {
                registers.set(k, lift!(@at k, $function, simd, arguments, $($Type),+));
            });
            $Out { simd, registers }
        }

        run!(lifted::<T, S>, $simd, ($(&$argument,)+))
    }};
    (@at $k:expr, $function:path, $simd:ident, $arguments:ident, $A:ident) => {
        $function($simd, $arguments.0.registers.get($k))
    };
    (@at $k:expr, $function:path, $simd:ident, $arguments:ident, $A:ident, $B:ident) => {
        $function($simd, $arguments.0.registers.get($k), $arguments.1.registers.get($k))
    };
    (@at $k:expr, $function:path, $simd:ident, $arguments:ident, $A:ident, $B:ident, $C:ident) => {
        $function(
            $simd,
            $arguments.0.registers.get($k),
            $arguments.1.registers.get($k),
            $arguments.2.registers.get($k),
        )
    };
}

type Many<T, S, R> = <T as Float>::Many<S, R>;

impl<T: Float, S: Isa> Lanes<T, S> {
    /// How many registers the lanes take.
    pub(super) const REGISTERS: usize = <Many<T, S, T::Vector<S>> as Registers<_>>::COUNT;

    /// Whether one register holds all lanes; else there is less room beside them.
    pub(crate) const IN_ONE_REGISTER: bool = Self::REGISTERS == 1;

    /// How many lanes a register has.
    pub(super) const PER_REGISTER: usize = T::LANES / Self::REGISTERS;

    /// The same value in every lane.
    #[inline(always)]
    pub fn splat(simd: S, value: T) -> Self {
        #[inline(always)]
        fn splat<T: Float, S: Isa>(simd: S, value: T) -> Lanes<T, S> {
            let registers = Many::<T, S, _>::splat(T::splat(simd, value));
            Lanes { simd, registers }
        }
        run!(splat::<T, S>, simd, value)
    }

    /// A constant, rounded to `T`, beside lanes that exist already.
    #[inline(always)]
    pub fn splat_like(self, value: f64) -> Self {
        Self::splat(self.simd, T::from_f64(value))
    }

    /// The token that the lanes carry.
    #[inline(always)]
    pub fn simd(self) -> S {
        self.simd
    }

    /// The largest lane, none of them being NaN; a zero is the positive one.
    #[inline(always)]
    pub fn largest(self) -> T {
        #[inline(always)]
        fn largest<T: Float, S: Isa>(simd: S, lanes: &Lanes<T, S>) -> T {
            let mut most = lanes.registers.get(0);
            unroll!(k in 1..Lanes::<T, S>::REGISTERS => {
                most = T::max(simd, lanes.registers.get(k), most);
            });
            // Instruction sets differ in which zero is the larger.
            T::largest(simd, T::add(simd, most, T::splat(simd, T::ZERO)))
        }
        run!(largest::<T, S>, self.simd, &self)
    }

    /// `self * b + c`, rounded once.
    #[inline(always)]
    pub fn mul_add(self, b: Self, c: Self) -> Self {
        lift!(T::mul_add, self.simd, self => Lanes, b => Lanes, c => Lanes => Lanes)
    }

    /// `c - self * b`, rounded once.
    #[inline(always)]
    pub fn neg_mul_add(self, b: Self, c: Self) -> Self {
        lift!(T::neg_mul_add, self.simd, self => Lanes, b => Lanes, c => Lanes => Lanes)
    }

    /// `self > b ? self : b`: a NaN in either gives `b`, so `constant.max(x)` keeps a NaN of `x`.
    #[inline(always)]
    pub fn max(self, b: Self) -> Self {
        lift!(T::max, self.simd, self => Lanes, b => Lanes => Lanes)
    }

    /// `self < b ? self : b`: a NaN in either gives `b`.
    #[inline(always)]
    pub fn min(self, b: Self) -> Self {
        lift!(T::min, self.simd, self => Lanes, b => Lanes => Lanes)
    }

    /// The absolute value; of a NaN, a NaN.
    #[inline(always)]
    pub fn abs(self) -> Self {
        lift!(T::abs, self.simd, self => Lanes => Lanes)
    }

    /// The square root, correctly rounded.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        lift!(T::sqrt, self.simd, self => Lanes => Lanes)
    }

    /// The magnitude of `self` with the sign of `sign`.
    #[inline(always)]
    pub fn copysign(self, sign: Self) -> Self {
        let sign_bit = self.splat_like(-0.0).to_bits();
        (self.abs().to_bits() | (sign.to_bits() & sign_bit)).to_float()
    }

    /// `self · 2^n` for integers `n` not below the smallest normal exponent, where neither factor
    /// nor product leaves the normal numbers: exact.
    #[inline(always)]
    pub fn scale(self, n: Self) -> Self {
        lift!(T::scale, self.simd, self => Lanes, n => Lanes => Lanes)
    }

    /// Where `self < b`; false for a NaN.
    #[inline(always)]
    pub fn lt(self, b: Self) -> Mask<T, S> {
        lift!(T::less, self.simd, self => Lanes, b => Lanes => Mask)
    }

    /// Where `self <= b`; false for a NaN.
    #[inline(always)]
    pub fn le(self, b: Self) -> Mask<T, S> {
        lift!(T::less_or_equal, self.simd, self => Lanes, b => Lanes => Mask)
    }

    /// Where `self > b`; false for a NaN.
    #[inline(always)]
    pub fn gt(self, b: Self) -> Mask<T, S> {
        b.lt(self)
    }

    /// Where `self >= b`; false for a NaN.
    #[inline(always)]
    pub fn ge(self, b: Self) -> Mask<T, S> {
        b.le(self)
    }

    /// Where `self == b`; false for a NaN.
    #[inline(always)]
    pub fn eq(self, b: Self) -> Mask<T, S> {
        lift!(T::equal, self.simd, self => Lanes, b => Lanes => Mask)
    }

    /// Where `self` is a NaN.
    #[inline(always)]
    pub fn is_nan(self) -> Mask<T, S> {
        !self.eq(self)
    }

    /// The last lane of `before`, then all lanes but the last: element `i - 1` in place of `i`.
    #[inline(always)]
    pub fn shift_up(self, before: Self) -> Self {
        #[inline(always)]
        fn shift<T: Float, S: Isa>(
            simd: S,
            (before, lanes): (&Lanes<T, S>, &Lanes<T, S>),
        ) -> Lanes<T, S> {
            let registers = T::shift_up(simd, before.registers, lanes.registers);
            Lanes { simd, registers }
        }
        run!(shift::<T, S>, self.simd, (&before, &self))
    }

    /// All lanes but the first, then the first of `after`: element `i + 1` in place of `i`.
    #[inline(always)]
    pub fn shift_down(self, after: Self) -> Self {
        #[inline(always)]
        fn shift<T: Float, S: Isa>(
            simd: S,
            (lanes, after): (&Lanes<T, S>, &Lanes<T, S>),
        ) -> Lanes<T, S> {
            let registers = T::shift_down(simd, lanes.registers, after.registers);
            Lanes { simd, registers }
        }
        run!(shift::<T, S>, self.simd, (&self, &after))
    }

    /// Alternating lanes of `self` and `other`: the lower halves', then the upper halves'.
    #[inline(always)]
    pub fn interleave(self, other: Self) -> [Self; 2] {
        #[inline(always)]
        fn interleave<T: Float, S: Isa>(
            simd: S,
            (a, b): (&Lanes<T, S>, &Lanes<T, S>),
        ) -> [Lanes<T, S>; 2] {
            let [low, high] = T::interleave(simd, a.registers, b.registers);
            [
                Lanes {
                    simd,
                    registers: low,
                },
                Lanes {
                    simd,
                    registers: high,
                },
            ]
        }
        run!(interleave::<T, S>, self.simd, (&self, &other))
    }

    /// Exchanges rows and columns of the first [`Float::LANES`] rows.
    ///
    /// Interleaving rows a half apart moves one bit of the row's number to the lane's; after as
    /// many rounds as these numbers have bits, all have moved.
    #[inline(always)]
    pub fn transpose(rows: [Self; 16]) -> [Self; 16] {
        let mut rows = rows;
        for _ in 0..T::LANES.ilog2() {
            let mut next = rows;
            for k in 0..T::LANES / 2 {
                let [low, high] = rows[k].interleave(rows[k + T::LANES / 2]);
                (next[2 * k], next[2 * k + 1]) = (low, high);
            }
            rows = next;
        }
        rows
    }

    /// The lanes' bits.
    #[inline(always)]
    pub fn to_bits(self) -> Bits<T, S> {
        lift!(T::to_word, self.simd, self => Lanes => Bits)
    }
}

impl<T: Float, S: Isa> Mask<T, S> {
    /// The first `count` lanes; all of them from [`Float::LANES`] on.
    #[inline(always)]
    pub fn first(simd: S, count: usize) -> Self {
        #[inline(always)]
        fn first<T: Float, S: Isa>(simd: S, count: usize) -> Mask<T, S> {
            let mut registers = Many::<T, S, _>::splat(T::first_lanes(simd, 0));
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                let width = Lanes::<T, S>::PER_REGISTER;
                let count = count.saturating_sub(k * width).min(width);
                registers.set(k, T::first_lanes(simd, count));
            });
            Mask { simd, registers }
        }
        run!(first::<T, S>, simd, count)
    }

    /// `yes` where the mask is set, `no` elsewhere.
    #[inline(always)]
    pub fn select(self, yes: Lanes<T, S>, no: Lanes<T, S>) -> Lanes<T, S> {
        lift!(T::select, self.simd, self => Mask, yes => Lanes, no => Lanes => Lanes)
    }

    /// One bit a lane, lane 0 the lowest.
    #[inline(always)]
    pub fn to_bits(self) -> u32 {
        #[inline(always)]
        fn bits<T: Float, S: Isa>(simd: S, mask: &Mask<T, S>) -> u32 {
            let mut bits = 0;
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                let register = T::mask_bits(simd, mask.registers.get(k));
                bits |= register << (k * Lanes::<T, S>::PER_REGISTER);
            });
            bits
        }
        run!(bits::<T, S>, self.simd, &self)
    }

    #[inline(always)]
    pub(super) fn register(&self, index: usize) -> T::Mask<S> {
        self.registers.get(index)
    }
}

impl<T: Float, S: Isa> Bits<T, S> {
    /// The low bits of `value` in every lane.
    #[inline(always)]
    pub fn splat(simd: S, value: u64) -> Self {
        #[inline(always)]
        fn splat<T: Float, S: Isa>(simd: S, value: u64) -> Bits<T, S> {
            let registers = Many::<T, S, _>::splat(T::word(simd, value));
            Bits { simd, registers }
        }
        run!(splat::<T, S>, simd, value)
    }

    /// Shifts to the left by `N` bits.
    #[inline(always)]
    pub fn shl<const N: u32>(self) -> Self {
        #[inline(always)]
        fn shift<T: Float, S: Isa, const N: u32>(simd: S, bits: &Bits<T, S>) -> Bits<T, S> {
            let mut out = *bits;
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                out.registers
                    .set(k, T::word_shl::<S, N>(simd, bits.registers.get(k)));
            });
            out
        }
        run!(shift::<T, S, N>, self.simd, &self)
    }

    /// Shifts to the right by `N` bits, filling with zeros.
    #[inline(always)]
    pub fn shr<const N: u32>(self) -> Self {
        #[inline(always)]
        fn shift<T: Float, S: Isa, const N: u32>(simd: S, bits: &Bits<T, S>) -> Bits<T, S> {
            let mut out = *bits;
            unroll!(k in 0..Lanes::<T, S>::REGISTERS => {
                out.registers
                    .set(k, T::word_shr::<S, N>(simd, bits.registers.get(k)));
            });
            out
        }
        run!(shift::<T, S, N>, self.simd, &self)
    }

    /// The floats that have these bits.
    #[inline(always)]
    pub fn to_float(self) -> Lanes<T, S> {
        lift!(T::from_word, self.simd, self => Bits => Lanes)
    }
}

macro_rules! operators {
    ($($Type:ident $Operator:ident $method:ident $function:path;)*) => {$(
        impl<T: Float, S: Isa> $Operator for $Type<T, S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                lift!($function, self.simd, self => $Type, other => $Type => $Type)
            }
        }
    )*};
}

operators!(
    Lanes Add add T::add;
    Lanes Sub sub T::sub;
    Lanes Mul mul T::mul;
    Lanes Div div T::div;
    Mask BitAnd bitand T::mask_and;
    Mask BitOr bitor T::mask_or;
    Bits Add add T::word_add;
    Bits Sub sub T::word_sub;
    Bits BitAnd bitand T::word_and;
    Bits BitOr bitor T::word_or;
    Bits BitXor bitxor T::word_xor;
);

impl<T: Float, S: Isa> Neg for Lanes<T, S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        lift!(T::neg, self.simd, self => Lanes => Lanes)
    }
}

impl<T: Float, S: Isa> Not for Mask<T, S> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        lift!(T::mask_not, self.simd, self => Mask => Mask)
    }
}
