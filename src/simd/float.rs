use super::{Isa, Registers};
use crate::unroll::unroll;
use core::fmt::Debug;

/// A type that kernels compute in: f32 or f64, with one register's operations at every level.
///
/// [`Lanes`](super::Lanes) lifts each operation to 64 bytes; formulas use those and never these.
pub trait Float: Copy + PartialOrd + Debug + Default + Send + Sync + 'static {
    /// Positive zero.
    const ZERO: Self;

    /// How many lanes 64 bytes hold.
    const LANES: usize;

    /// One register of this type.
    type Vector<S: Isa>: Copy;
    /// One register's comparison result.
    type Mask<S: Isa>: Copy;
    /// One register of unsigned integers of this type's width.
    type Word<S: Isa>: Copy;
    /// The registers that make up 64 bytes.
    type Many<S: Isa, R: Copy>: Registers<R>;

    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The value, exactly.
    fn to_f64(self) -> f64;

    fn splat<S: Isa>(simd: S, value: Self) -> Self::Vector<S>;
    fn add<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn sub<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn mul<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn div<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn max<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn min<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn mul_add<S: Isa>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn neg_mul_add<S: Isa>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn neg<S: Isa>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    fn abs<S: Isa>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    fn sqrt<S: Isa>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    fn scale<S: Isa>(simd: S, a: Self::Vector<S>, n: Self::Vector<S>) -> Self::Vector<S>;
    fn largest<S: Isa>(simd: S, a: Self::Vector<S>) -> Self;

    fn less<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Mask<S>;
    fn less_or_equal<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Mask<S>;
    fn equal<S: Isa>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Mask<S>;
    fn select<S: Isa>(
        simd: S,
        mask: Self::Mask<S>,
        yes: Self::Vector<S>,
        no: Self::Vector<S>,
    ) -> Self::Vector<S>;
    fn mask_and<S: Isa>(simd: S, a: Self::Mask<S>, b: Self::Mask<S>) -> Self::Mask<S>;
    fn mask_or<S: Isa>(simd: S, a: Self::Mask<S>, b: Self::Mask<S>) -> Self::Mask<S>;
    fn mask_not<S: Isa>(simd: S, a: Self::Mask<S>) -> Self::Mask<S>;
    fn mask_bits<S: Isa>(simd: S, mask: Self::Mask<S>) -> u32;
    fn first_lanes<S: Isa>(simd: S, count: usize) -> Self::Mask<S>;

    fn word<S: Isa>(simd: S, value: u64) -> Self::Word<S>;
    fn to_word<S: Isa>(simd: S, a: Self::Vector<S>) -> Self::Word<S>;
    fn from_word<S: Isa>(simd: S, a: Self::Word<S>) -> Self::Vector<S>;
    fn word_add<S: Isa>(simd: S, a: Self::Word<S>, b: Self::Word<S>) -> Self::Word<S>;
    fn word_sub<S: Isa>(simd: S, a: Self::Word<S>, b: Self::Word<S>) -> Self::Word<S>;
    fn word_and<S: Isa>(simd: S, a: Self::Word<S>, b: Self::Word<S>) -> Self::Word<S>;
    fn word_or<S: Isa>(simd: S, a: Self::Word<S>, b: Self::Word<S>) -> Self::Word<S>;
    fn word_xor<S: Isa>(simd: S, a: Self::Word<S>, b: Self::Word<S>) -> Self::Word<S>;
    fn word_shl<S: Isa, const N: u32>(simd: S, a: Self::Word<S>) -> Self::Word<S>;
    fn word_shr<S: Isa, const N: u32>(simd: S, a: Self::Word<S>) -> Self::Word<S>;

    /// Adds 64 bytes of lanes to sums held in f64, lane by lane; f32 takes both halves, f64 the
    /// first.
    fn widen_add<S: Isa>(
        simd: S,
        sums: &mut [<f64 as Float>::Many<S, <f64 as Float>::Vector<S>>; 2],
        lanes: Self::Many<S, Self::Vector<S>>,
    );

    /// Adds the products of 64 bytes of lanes to sums held in f64, as [`widen_add`](Self::widen_add)
    /// adds lanes: of f32 exactly, of f64 fused.
    fn widen_mul_add<S: Isa>(
        simd: S,
        sums: &mut [<f64 as Float>::Many<S, <f64 as Float>::Vector<S>>; 2],
        a: Self::Many<S, Self::Vector<S>>,
        b: Self::Many<S, Self::Vector<S>>,
    );

    /// The last lane of `before`, then all lanes but the last.
    fn shift_up<S: Isa>(
        simd: S,
        before: Self::Many<S, Self::Vector<S>>,
        lanes: Self::Many<S, Self::Vector<S>>,
    ) -> Self::Many<S, Self::Vector<S>>;
    /// All lanes but the first, then the first of `after`.
    fn shift_down<S: Isa>(
        simd: S,
        lanes: Self::Many<S, Self::Vector<S>>,
        after: Self::Many<S, Self::Vector<S>>,
    ) -> Self::Many<S, Self::Vector<S>>;

    /// Alternating lanes of `a` and `b`: the lower halves', then the upper halves'.
    fn interleave<S: Isa>(
        simd: S,
        a: Self::Many<S, Self::Vector<S>>,
        b: Self::Many<S, Self::Vector<S>>,
    ) -> [Self::Many<S, Self::Vector<S>>; 2];
    /// `to[i] = table[index[i]]`, where `table` has such entries.
    fn gather<S: Isa>(simd: S, table: &[Self], index: &[u32], to: &mut [Self]);

    /// # Safety
    /// `from` is valid for reading a register.
    unsafe fn load<S: Isa>(simd: S, from: *const Self) -> Self::Vector<S>;
    /// # Safety
    /// `from` is valid for reading the lanes of `mask`.
    unsafe fn load_masked<S: Isa>(
        simd: S,
        mask: Self::Mask<S>,
        from: *const Self,
    ) -> Self::Vector<S>;
    /// # Safety
    /// `to` is valid for writing a register.
    unsafe fn store<S: Isa>(simd: S, to: *mut Self, a: Self::Vector<S>);
    /// # Safety
    /// `to` is valid for writing the lanes of `mask`.
    unsafe fn store_masked<S: Isa>(simd: S, mask: Self::Mask<S>, to: *mut Self, a: Self::Vector<S>);
    /// # Safety
    /// As for [`Isa::stream_f32`].
    unsafe fn stream<S: Isa>(simd: S, to: *mut Self, a: Self::Vector<S>);
}

// Of pulp's operations only those are used that every level defines itself: the ones that the trait
// derives from others are not always inlined, and then compiled without the level's instructions.
macro_rules! float {
    (
        $float:ty, $uint:ty, lanes $lanes:literal, $many:ident,
        $vectors:ident $masks:ident $words:ident,
        splat $splat:ident $splat_word:ident,
        arithmetic $add:ident $sub:ident $mul:ident $div:ident $max:ident $min:ident
            $mul_add:ident $neg_mul_add:ident $sqrt:ident $scale:ident $largest:ident,
        compare $lt:ident $le:ident $equal:ident $select:ident,
        masks $and:ident $or:ident $not:ident $mask_bits:ident $between:ident,
        words $word_add:ident $word_sub:ident
            $word_and:ident $word_or:ident $word_xor:ident $shl:ident $shr:ident,
        memory $load:ident $store:ident $stream:ident,
        moves $shift_up:ident $shift_down:ident $interleave:ident $gather:ident,
        $($conversions:item)*
    ) => {
        impl Float for $float {
            const ZERO: Self = 0.0;
            const LANES: usize = $lanes;

            type Vector<S: Isa> = S::$vectors;
            type Mask<S: Isa> = S::$masks;
            type Word<S: Isa> = S::$words;
            type Many<S: Isa, R: Copy> = S::$many<R>;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn splat<S: Isa>(simd: S, value: Self) -> S::$vectors {
                simd.$splat(value)
            }
            #[inline(always)]
            fn add<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn sub<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn div<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                simd.$div(a, b)
            }
            #[inline(always)]
            fn max<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                Isa::$max(simd, a, b)
            }
            #[inline(always)]
            fn min<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$vectors {
                Isa::$min(simd, a, b)
            }
            #[inline(always)]
            fn mul_add<S: Isa>(
                simd: S,
                a: S::$vectors,
                b: S::$vectors,
                c: S::$vectors,
            ) -> S::$vectors {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn neg_mul_add<S: Isa>(
                simd: S,
                a: S::$vectors,
                b: S::$vectors,
                c: S::$vectors,
            ) -> S::$vectors {
                simd.$neg_mul_add(a, b, c)
            }
            #[inline(always)]
            fn neg<S: Isa>(simd: S, a: S::$vectors) -> S::$vectors {
                let sign = Self::word(simd, 1 << (<$uint>::BITS - 1));
                pulp::cast(simd.$word_xor(pulp::cast(a), sign))
            }
            #[inline(always)]
            fn abs<S: Isa>(simd: S, a: S::$vectors) -> S::$vectors {
                let magnitude = Self::word(simd, (1 << (<$uint>::BITS - 1)) - 1);
                pulp::cast(simd.$word_and(pulp::cast(a), magnitude))
            }
            #[inline(always)]
            fn sqrt<S: Isa>(simd: S, a: S::$vectors) -> S::$vectors {
                simd.$sqrt(a)
            }
            #[inline(always)]
            fn scale<S: Isa>(simd: S, a: S::$vectors, n: S::$vectors) -> S::$vectors {
                simd.$scale(a, n)
            }
            #[inline(always)]
            fn largest<S: Isa>(simd: S, a: S::$vectors) -> Self {
                simd.$largest(a)
            }

            #[inline(always)]
            fn less<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$masks {
                simd.$lt(a, b)
            }
            #[inline(always)]
            fn less_or_equal<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$masks {
                simd.$le(a, b)
            }
            #[inline(always)]
            fn equal<S: Isa>(simd: S, a: S::$vectors, b: S::$vectors) -> S::$masks {
                simd.$equal(a, b)
            }
            #[inline(always)]
            fn select<S: Isa>(
                simd: S,
                mask: S::$masks,
                yes: S::$vectors,
                no: S::$vectors,
            ) -> S::$vectors {
                pulp::cast(simd.$select(mask, pulp::cast(yes), pulp::cast(no)))
            }
            #[inline(always)]
            fn mask_and<S: Isa>(simd: S, a: S::$masks, b: S::$masks) -> S::$masks {
                simd.$and(a, b)
            }
            #[inline(always)]
            fn mask_or<S: Isa>(simd: S, a: S::$masks, b: S::$masks) -> S::$masks {
                simd.$or(a, b)
            }
            #[inline(always)]
            fn mask_not<S: Isa>(simd: S, a: S::$masks) -> S::$masks {
                simd.$not(a)
            }
            #[inline(always)]
            fn mask_bits<S: Isa>(simd: S, mask: S::$masks) -> u32 {
                simd.$mask_bits(mask)
            }
            #[inline(always)]
            fn first_lanes<S: Isa>(simd: S, count: usize) -> S::$masks {
                // The plain mask: pulp's memory mask would jump into a table of assembly.
                simd.$between(0, count as $uint).mask()
            }

            #[inline(always)]
            fn word<S: Isa>(simd: S, value: u64) -> S::$words {
                simd.$splat_word(value as $uint)
            }
            #[inline(always)]
            fn to_word<S: Isa>(_: S, a: S::$vectors) -> S::$words {
                pulp::cast(a)
            }
            #[inline(always)]
            fn from_word<S: Isa>(_: S, a: S::$words) -> S::$vectors {
                pulp::cast(a)
            }
            #[inline(always)]
            fn word_add<S: Isa>(simd: S, a: S::$words, b: S::$words) -> S::$words {
                simd.$word_add(a, b)
            }
            #[inline(always)]
            fn word_sub<S: Isa>(simd: S, a: S::$words, b: S::$words) -> S::$words {
                simd.$word_sub(a, b)
            }
            #[inline(always)]
            fn word_and<S: Isa>(simd: S, a: S::$words, b: S::$words) -> S::$words {
                simd.$word_and(a, b)
            }
            #[inline(always)]
            fn word_or<S: Isa>(simd: S, a: S::$words, b: S::$words) -> S::$words {
                simd.$word_or(a, b)
            }
            #[inline(always)]
            fn word_xor<S: Isa>(simd: S, a: S::$words, b: S::$words) -> S::$words {
                simd.$word_xor(a, b)
            }
            #[inline(always)]
            fn word_shl<S: Isa, const N: u32>(simd: S, a: S::$words) -> S::$words {
                simd.$shl::<N>(a)
            }
            #[inline(always)]
            fn word_shr<S: Isa, const N: u32>(simd: S, a: S::$words) -> S::$words {
                simd.$shr::<N>(a)
            }

            #[inline(always)]
            fn shift_up<S: Isa>(
                simd: S,
                before: S::$many<S::$vectors>,
                lanes: S::$many<S::$vectors>,
            ) -> S::$many<S::$vectors> {
                simd.$shift_up(before, lanes)
            }
            #[inline(always)]
            fn shift_down<S: Isa>(
                simd: S,
                lanes: S::$many<S::$vectors>,
                after: S::$many<S::$vectors>,
            ) -> S::$many<S::$vectors> {
                simd.$shift_down(lanes, after)
            }
            #[inline(always)]
            fn interleave<S: Isa>(
                simd: S,
                a: S::$many<S::$vectors>,
                b: S::$many<S::$vectors>,
            ) -> [S::$many<S::$vectors>; 2] {
                simd.$interleave(a, b)
            }
            #[inline(always)]
            fn gather<S: Isa>(simd: S, table: &[$float], index: &[u32], to: &mut [$float]) {
                simd.$gather(table, index, to);
            }

            #[inline(always)]
            unsafe fn load<S: Isa>(_: S, from: *const Self) -> S::$vectors {
                // SAFETY: the caller promises a readable register; any bits are a vector.
                unsafe { from.cast::<S::$vectors>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load_masked<S: Isa>(
                simd: S,
                mask: S::$masks,
                from: *const Self,
            ) -> S::$vectors {
                // SAFETY: the caller promises that the lanes of the mask are readable.
                unsafe { simd.$load(mask.into(), from) }
            }
            #[inline(always)]
            unsafe fn store<S: Isa>(_: S, to: *mut Self, a: S::$vectors) {
                // SAFETY: the caller promises a writable register.
                unsafe { to.cast::<S::$vectors>().write_unaligned(a) }
            }
            #[inline(always)]
            unsafe fn store_masked<S: Isa>(
                simd: S,
                mask: S::$masks,
                to: *mut Self,
                a: S::$vectors,
            ) {
                // SAFETY: the caller promises that the lanes of the mask are writable.
                unsafe { simd.$store(mask.into(), to, a) }
            }
            #[inline(always)]
            unsafe fn stream<S: Isa>(simd: S, to: *mut Self, a: S::$vectors) {
                // SAFETY: the caller promises a writable register, aligned to 16 bytes.
                unsafe { simd.$stream(to, a) }
            }

            $($conversions)*
        }
    };
}

float!(
    f32, u32, lanes 16, Registers32,
    f32s m32s u32s,
    splat splat_f32s splat_u32s,
    arithmetic add_f32s sub_f32s mul_f32s div_f32s max_f32 min_f32
        mul_add_f32s negate_mul_add_f32s sqrt_f32s scale_f32 reduce_max_f32s,
    compare less_than_f32s less_than_or_equal_f32s equal_f32s select_u32s,
    masks and_m32s or_m32s not_m32s mask_bits_32 mask_between_m32s,
    words add_u32s sub_u32s
        and_u32s or_u32s xor_u32s shl_u32 shr_u32,
    memory mask_load_ptr_f32s mask_store_ptr_f32s stream_f32,
    moves shift_up_32 shift_down_32 interleave_32 gather_f32,

    #[inline(always)]
    fn widen_add<S: Isa>(
        simd: S,
        sums: &mut [S::Registers64<S::f64s>; 2],
        lanes: S::Registers32<S::f32s>,
    ) {
        let halves = simd.widen(lanes);
        unroll!(half in 0..2 => {
            unroll!(k in 0..<S::Registers64<S::f64s>>::COUNT => {
                let sum = simd.add_f64s(sums[half].get(k), halves[half].get(k));
                sums[half].set(k, sum);
            });
        });
    }

    #[inline(always)]
    fn widen_mul_add<S: Isa>(
        simd: S,
        sums: &mut [S::Registers64<S::f64s>; 2],
        a: S::Registers32<S::f32s>,
        b: S::Registers32<S::f32s>,
    ) {
        let (a, b) = (simd.widen(a), simd.widen(b));
        unroll!(half in 0..2 => {
            unroll!(k in 0..<S::Registers64<S::f64s>>::COUNT => {
                let (a, b) = (a[half].get(k), b[half].get(k));
                sums[half].set(k, simd.mul_add_f64s(a, b, sums[half].get(k)));
            });
        });
    }
);

float!(
    f64, u64, lanes 8, Registers64,
    f64s m64s u64s,
    splat splat_f64s splat_u64s,
    arithmetic add_f64s sub_f64s mul_f64s div_f64s max_f64 min_f64
        mul_add_f64s negate_mul_add_f64s sqrt_f64s scale_f64 reduce_max_f64s,
    compare less_than_f64s less_than_or_equal_f64s equal_f64s select_u64s,
    masks and_m64s or_m64s not_m64s mask_bits_64 mask_between_m64s,
    words add_u64s sub_u64s
        and_u64s or_u64s xor_u64s shl_u64 shr_u64,
    memory mask_load_ptr_f64s mask_store_ptr_f64s stream_f64,
    moves shift_up_64 shift_down_64 interleave_64 gather_f64,

    #[inline(always)]
    fn widen_add<S: Isa>(
        simd: S,
        sums: &mut [S::Registers64<S::f64s>; 2],
        lanes: S::Registers64<S::f64s>,
    ) {
        unroll!(k in 0..<S::Registers64<S::f64s>>::COUNT => {
            let sum = simd.add_f64s(sums[0].get(k), lanes.get(k));
            sums[0].set(k, sum);
        });
    }

    #[inline(always)]
    fn widen_mul_add<S: Isa>(
        simd: S,
        sums: &mut [S::Registers64<S::f64s>; 2],
        a: S::Registers64<S::f64s>,
        b: S::Registers64<S::f64s>,
    ) {
        unroll!(k in 0..<S::Registers64<S::f64s>>::COUNT => {
            sums[0].set(k, simd.mul_add_f64s(a.get(k), b.get(k), sums[0].get(k)));
        });
    }
);
