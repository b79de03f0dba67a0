use super::Registers;

/// One instruction set: pulp's operations and the ones it lacks.
///
/// Every method is exact or correctly rounded, so it gives the same bits at every level; NaN
/// payloads excepted.
pub trait Isa: pulp::Simd {
    /// As many registers as 16 lanes of 32 bits take.
    type Registers32<R: Copy>: Registers<R>;

    /// As many registers as 8 lanes of 64 bits take.
    type Registers64<R: Copy>: Registers<R>;

    /// `a > b ? a : b`: a NaN in either gives `b`.
    fn max_f32(self, a: Self::f32s, b: Self::f32s) -> Self::f32s;
    /// `a > b ? a : b`: a NaN in either gives `b`.
    fn max_f64(self, a: Self::f64s, b: Self::f64s) -> Self::f64s;
    /// `a < b ? a : b`: a NaN in either gives `b`.
    fn min_f32(self, a: Self::f32s, b: Self::f32s) -> Self::f32s;
    /// `a < b ? a : b`: a NaN in either gives `b`.
    fn min_f64(self, a: Self::f64s, b: Self::f64s) -> Self::f64s;

    /// `a · 2^n` for integers `n` from −126, where neither factor nor product leaves the normal
    /// numbers.
    #[inline(always)]
    fn scale_f32(self, a: Self::f32s, n: Self::f32s) -> Self::f32s {
        let counting = self.splat_f32s(1.5 * 8_388_608.0 + 127.0);
        let exponent: Self::u32s = pulp::cast(self.add_f32s(n, counting));
        self.mul_f32s(a, pulp::cast(self.shl_u32::<23>(exponent)))
    }
    /// `a · 2^n` for integers `n` from −1022, where neither factor nor product leaves the normal
    /// numbers.
    #[inline(always)]
    fn scale_f64(self, a: Self::f64s, n: Self::f64s) -> Self::f64s {
        let counting = self.splat_f64s(1.5 * 4_503_599_627_370_496.0 + 1023.0);
        let exponent: Self::u64s = pulp::cast(self.add_f64s(n, counting));
        self.mul_f64s(a, pulp::cast(self.shl_u64::<52>(exponent)))
    }

    /// Shifts every lane to the left by `N` bits.
    fn shl_u32<const N: u32>(self, a: Self::u32s) -> Self::u32s;
    /// Shifts every lane to the right by `N` bits, filling with zeros.
    fn shr_u32<const N: u32>(self, a: Self::u32s) -> Self::u32s;
    /// Shifts every lane to the left by `N` bits.
    fn shl_u64<const N: u32>(self, a: Self::u64s) -> Self::u64s;
    /// Shifts every lane to the right by `N` bits, filling with zeros.
    fn shr_u64<const N: u32>(self, a: Self::u64s) -> Self::u64s;

    /// One bit a lane, lane 0 the lowest.
    fn mask_bits_32(self, mask: Self::m32s) -> u32;
    /// One bit a lane, lane 0 the lowest.
    fn mask_bits_64(self, mask: Self::m64s) -> u32;

    /// The last 32-bit lane of `before`, then all of `lanes` but the last.
    fn shift_up_32(
        self,
        before: Self::Registers32<Self::f32s>,
        lanes: Self::Registers32<Self::f32s>,
    ) -> Self::Registers32<Self::f32s>;
    /// The last 64-bit lane of `before`, then all of `lanes` but the last.
    fn shift_up_64(
        self,
        before: Self::Registers64<Self::f64s>,
        lanes: Self::Registers64<Self::f64s>,
    ) -> Self::Registers64<Self::f64s>;
    /// All 32-bit lanes of `lanes` but the first, then the first of `after`.
    fn shift_down_32(
        self,
        lanes: Self::Registers32<Self::f32s>,
        after: Self::Registers32<Self::f32s>,
    ) -> Self::Registers32<Self::f32s>;
    /// All 64-bit lanes of `lanes` but the first, then the first of `after`.
    fn shift_down_64(
        self,
        lanes: Self::Registers64<Self::f64s>,
        after: Self::Registers64<Self::f64s>,
    ) -> Self::Registers64<Self::f64s>;

    /// The first lane of `a`, the first of `b`, the second of `a` and so on: the lower half of both,
    /// then the upper half.
    fn interleave_32(
        self,
        a: Self::Registers32<Self::f32s>,
        b: Self::Registers32<Self::f32s>,
    ) -> [Self::Registers32<Self::f32s>; 2];
    /// The first lane of `a`, the first of `b`, the second of `a` and so on: the lower half of both,
    /// then the upper half.
    fn interleave_64(
        self,
        a: Self::Registers64<Self::f64s>,
        b: Self::Registers64<Self::f64s>,
    ) -> [Self::Registers64<Self::f64s>; 2];

    /// `to[i] = table[index[i]]`. Panics, or writes anything, where there is no such entry.
    #[inline(always)]
    fn gather_f32(self, table: &[f32], index: &[u32], to: &mut [f32]) {
        gather(table, index, to);
    }
    /// `to[i] = table[index[i]]`. Panics, or writes anything, where there is no such entry.
    #[inline(always)]
    fn gather_f64(self, table: &[f64], index: &[u32], to: &mut [f64]) {
        gather(table, index, to);
    }

    /// Lanes 0 to 7 and lanes 8 to 15 as f64.
    fn widen(self, lanes: Self::Registers32<Self::f32s>) -> [Self::Registers64<Self::f64s>; 2];

    /// Writes a register past the caches where the instruction set can, else plainly: 16 bytes at a
    /// time, to which all allocators align.
    ///
    /// # Safety
    /// `to` is valid for writing a whole register and aligned to 16 bytes; a [`fence`](Self::fence)
    /// must follow before the memory is handed to another thread.
    unsafe fn stream_f32(self, to: *mut f32, register: Self::f32s);

    /// Writes a register past the caches where the instruction set can, else plainly.
    ///
    /// # Safety
    /// As for [`stream_f32`](Self::stream_f32).
    unsafe fn stream_f64(self, to: *mut f64, register: Self::f64s);

    /// Copies 16 bytes past the caches where the instruction set can, else plainly.
    ///
    /// # Safety
    /// 16 bytes are readable at `from` and writable at `to`, which is a multiple of 16 and shares none of
    /// them; a [`fence`](Self::fence) must follow before the memory is handed to another thread.
    #[inline(always)]
    unsafe fn stream_piece(self, to: *mut u8, from: *const u8) {
        // SAFETY: the caller promises 16 bytes in two places.
        unsafe { to.copy_from_nonoverlapping(from, 16) }
    }

    /// Orders streamed writes before everything that follows.
    fn fence(self);

    /// Asks for a cache line that will be read soon, where the instruction set can. It may lie
    /// anywhere.
    #[inline(always)]
    fn prefetch(self, _: *const u8) {}
}

/// `to[i] = table[index[i]]`, one by one.
#[inline(always)]
pub(super) fn gather<T: Copy>(table: &[T], index: &[u32], to: &mut [T]) {
    for (to, &index) in to.iter_mut().zip(index) {
        *to = table[index as usize];
    }
}
