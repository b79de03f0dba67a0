use super::Isa;
use super::isa::gather;
use crate::unroll::unroll;
use core::arch::x86_64::{
    __m128, __m256, __m256d, __m256i, __m512, __m512d, __m512i, _MM_HINT_T0, _mm_prefetch,
};
use pulp::x86::{V3, V4};
use pulp::{b8, b16, cast, f32x8, f32x16, f64x4, f64x8, m32x8, m64x4, u32x8, u32x16, u64x4, u64x8};

impl Isa for V3 {
    type Registers32<R: Copy> = [R; 2];
    type Registers64<R: Copy> = [R; 2];

    #[inline(always)]
    fn max_f32(self, a: f32x8, b: f32x8) -> f32x8 {
        cast(self.avx._mm256_max_ps(cast(a), cast(b)))
    }

    #[inline(always)]
    fn max_f64(self, a: f64x4, b: f64x4) -> f64x4 {
        cast(self.avx._mm256_max_pd(cast(a), cast(b)))
    }

    #[inline(always)]
    fn min_f32(self, a: f32x8, b: f32x8) -> f32x8 {
        cast(self.avx._mm256_min_ps(cast(a), cast(b)))
    }

    #[inline(always)]
    fn min_f64(self, a: f64x4, b: f64x4) -> f64x4 {
        cast(self.avx._mm256_min_pd(cast(a), cast(b)))
    }

    // The count of these shifts is taken from a register here: the compiler turns the constant
    // into the immediate form, which a `u32` parameter cannot name.
    #[inline(always)]
    fn shl_u32<const N: u32>(self, a: u32x8) -> u32x8 {
        let count = self.sse2._mm_cvtsi32_si128(N as i32);
        cast::<__m256i, _>(self.avx2._mm256_sll_epi32(cast(a), count))
    }

    #[inline(always)]
    fn shr_u32<const N: u32>(self, a: u32x8) -> u32x8 {
        let count = self.sse2._mm_cvtsi32_si128(N as i32);
        cast::<__m256i, _>(self.avx2._mm256_srl_epi32(cast(a), count))
    }

    #[inline(always)]
    fn shl_u64<const N: u32>(self, a: u64x4) -> u64x4 {
        let count = self.sse2._mm_cvtsi32_si128(N as i32);
        cast::<__m256i, _>(self.avx2._mm256_sll_epi64(cast(a), count))
    }

    #[inline(always)]
    fn shr_u64<const N: u32>(self, a: u64x4) -> u64x4 {
        let count = self.sse2._mm_cvtsi32_si128(N as i32);
        cast::<__m256i, _>(self.avx2._mm256_srl_epi64(cast(a), count))
    }

    #[inline(always)]
    fn mask_bits_32(self, mask: m32x8) -> u32 {
        self.avx._mm256_movemask_ps(cast(mask)) as u32
    }

    #[inline(always)]
    fn mask_bits_64(self, mask: m64x4) -> u32 {
        self.avx._mm256_movemask_pd(cast(mask)) as u32
    }

    #[inline(always)]
    fn shift_up_32(self, before: [f32x8; 2], lanes: [f32x8; 2]) -> [f32x8; 2] {
        cast(shift_up_v3::<12>(self, cast(before), cast(lanes)))
    }

    #[inline(always)]
    fn shift_up_64(self, before: [f64x4; 2], lanes: [f64x4; 2]) -> [f64x4; 2] {
        cast(shift_up_v3::<8>(self, cast(before), cast(lanes)))
    }

    #[inline(always)]
    fn shift_down_32(self, lanes: [f32x8; 2], after: [f32x8; 2]) -> [f32x8; 2] {
        cast(shift_down_v3::<4>(self, cast(lanes), cast(after)))
    }

    #[inline(always)]
    fn shift_down_64(self, lanes: [f64x4; 2], after: [f64x4; 2]) -> [f64x4; 2] {
        cast(shift_down_v3::<8>(self, cast(lanes), cast(after)))
    }

    #[inline(always)]
    fn interleave_32(self, a: [f32x8; 2], b: [f32x8; 2]) -> [[f32x8; 2]; 2] {
        let mut halves = [a; 2];
        unroll!(k in 0..2 => {
            let (a, b): (__m256, __m256) = (cast(a[k]), cast(b[k]));
            let low = self.avx._mm256_unpacklo_ps(a, b);
            let high = self.avx._mm256_unpackhi_ps(a, b);
            halves[k] = [
                cast(self.avx._mm256_permute2f128_ps::<0x20>(low, high)),
                cast(self.avx._mm256_permute2f128_ps::<0x31>(low, high)),
            ];
        });
        halves
    }

    #[inline(always)]
    fn interleave_64(self, a: [f64x4; 2], b: [f64x4; 2]) -> [[f64x4; 2]; 2] {
        let mut halves = [a; 2];
        unroll!(k in 0..2 => {
            let (a, b): (__m256d, __m256d) = (cast(a[k]), cast(b[k]));
            let low = self.avx._mm256_unpacklo_pd(a, b);
            let high = self.avx._mm256_unpackhi_pd(a, b);
            halves[k] = [
                cast(self.avx._mm256_permute2f128_pd::<0x20>(low, high)),
                cast(self.avx._mm256_permute2f128_pd::<0x31>(low, high)),
            ];
        });
        halves
    }

    #[inline(always)]
    fn gather_f32(self, table: &[f32], index: &[u32], to: &mut [f32]) {
        // Four registers of the table, of which two bits of the index choose one.
        let Ok(table): Result<[f32x8; 4], _> = registers(table) else {
            return gather(table, index, to);
        };
        let (indices, rest) = index.as_chunks::<8>();
        let (places, places_rest) = to.as_chunks_mut::<8>();
        for (index, place) in indices.iter().zip(places) {
            let index: __m256i = cast(*index);
            let entry = table.map(|part| self.avx2._mm256_permutevar8x32_ps(cast(part), index));
            let bit_3: __m256 = cast(self.avx2._mm256_slli_epi32::<28>(index));
            let bit_4: __m256 = cast(self.avx2._mm256_slli_epi32::<27>(index));
            let low = self.avx._mm256_blendv_ps(entry[0], entry[1], bit_3);
            let high = self.avx._mm256_blendv_ps(entry[2], entry[3], bit_3);
            *place = cast(self.avx._mm256_blendv_ps(low, high, bit_4));
        }
        if rest.is_empty() {
            return;
        }
        let table: [f32; 32] = cast(table);
        gather(&table, rest, places_rest);
    }

    #[inline(always)]
    fn widen(self, lanes: [f32x8; 2]) -> [[f64x4; 2]; 2] {
        let mut halves = [[f64x4(0.0, 0.0, 0.0, 0.0); 2]; 2];
        unroll!(k in 0..2 => {
            let [low, high]: [__m128; 2] = cast(lanes[k]);
            halves[k] = [
                cast::<__m256d, _>(self.avx._mm256_cvtps_pd(low)),
                cast::<__m256d, _>(self.avx._mm256_cvtps_pd(high)),
            ];
        });
        halves
    }

    #[inline(always)]
    unsafe fn stream_f32(self, to: *mut f32, register: f32x8) {
        let quarter = self.avx._mm256_castps256_ps128(cast(register));
        let next = self.avx._mm256_extractf128_ps::<1>(cast(register));
        // SAFETY: the caller promises a writable register, aligned to 16 bytes.
        unsafe { self.sse._mm_stream_ps(to, quarter) };
        // SAFETY: as above.
        unsafe { self.sse._mm_stream_ps(to.wrapping_add(4), next) };
    }

    #[inline(always)]
    unsafe fn stream_f64(self, to: *mut f64, register: f64x4) {
        // SAFETY: as the caller promises.
        unsafe { self.stream_f32(to.cast(), cast(register)) }
    }

    #[inline(always)]
    unsafe fn stream_piece(self, to: *mut u8, from: *const u8) {
        // SAFETY: the caller promises 16 bytes.
        let piece = unsafe { self.sse._mm_loadu_ps(from.cast()) };
        // SAFETY: the caller promises 16 bytes, aligned to as many.
        unsafe { self.sse._mm_stream_ps(to.cast(), piece) }
    }

    #[inline(always)]
    fn fence(self) {
        self.sse._mm_sfence();
    }

    #[inline(always)]
    fn prefetch(self, line: *const u8) {
        // SAFETY: every x86-64 has the instruction, and it touches nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
}

/// A table that fills exactly `N` registers.
#[inline(always)]
fn registers<R: Copy, const N: usize>(table: &[f32]) -> Result<[R; N], ()> {
    if size_of_val(table) != size_of::<[R; N]>() {
        return Err(());
    }
    // SAFETY: registers are plain bits, of which the table has as many.
    Ok(unsafe { table.as_ptr().cast::<[R; N]>().read_unaligned() })
}

/// Shifts 64 bytes up by one lane, of which `KEPT` is what 16 bytes less a lane leave.
#[inline(always)]
fn shift_up_v3<const KEPT: i32>(
    simd: V3,
    before: [__m256i; 2],
    lanes: [__m256i; 2],
) -> [__m256i; 2] {
    let before = [before[1], lanes[0]];
    let mut shifted = lanes;
    unroll!(k in 0..2 => {
        let across = simd
            .avx2
            ._mm256_permute2x128_si256::<0x21>(before[k], lanes[k]);
        shifted[k] = simd.avx2._mm256_alignr_epi8::<KEPT>(lanes[k], across);
    });
    shifted
}

/// Shifts 64 bytes down by one lane of `LANE` bytes.
#[inline(always)]
fn shift_down_v3<const LANE: i32>(
    simd: V3,
    lanes: [__m256i; 2],
    after: [__m256i; 2],
) -> [__m256i; 2] {
    let after = [lanes[1], after[0]];
    let mut shifted = lanes;
    unroll!(k in 0..2 => {
        let across = simd
            .avx2
            ._mm256_permute2x128_si256::<0x21>(lanes[k], after[k]);
        shifted[k] = simd.avx2._mm256_alignr_epi8::<LANE>(across, lanes[k]);
    });
    shifted
}

impl Isa for V4 {
    type Registers32<R: Copy> = [R; 1];
    type Registers64<R: Copy> = [R; 1];

    #[inline(always)]
    fn max_f32(self, a: f32x16, b: f32x16) -> f32x16 {
        cast(self.avx512f._mm512_max_ps(cast(a), cast(b)))
    }

    #[inline(always)]
    fn max_f64(self, a: f64x8, b: f64x8) -> f64x8 {
        cast(self.avx512f._mm512_max_pd(cast(a), cast(b)))
    }

    #[inline(always)]
    fn min_f32(self, a: f32x16, b: f32x16) -> f32x16 {
        cast(self.avx512f._mm512_min_ps(cast(a), cast(b)))
    }

    #[inline(always)]
    fn min_f64(self, a: f64x8, b: f64x8) -> f64x8 {
        cast(self.avx512f._mm512_min_pd(cast(a), cast(b)))
    }

    #[inline(always)]
    fn scale_f32(self, a: f32x16, n: f32x16) -> f32x16 {
        cast(self.avx512f._mm512_scalef_ps(cast(a), cast(n)))
    }

    #[inline(always)]
    fn scale_f64(self, a: f64x8, n: f64x8) -> f64x8 {
        cast(self.avx512f._mm512_scalef_pd(cast(a), cast(n)))
    }

    #[inline(always)]
    fn shl_u32<const N: u32>(self, a: u32x16) -> u32x16 {
        cast::<__m512i, _>(self.avx512f._mm512_slli_epi32::<N>(cast(a)))
    }

    #[inline(always)]
    fn shr_u32<const N: u32>(self, a: u32x16) -> u32x16 {
        cast::<__m512i, _>(self.avx512f._mm512_srli_epi32::<N>(cast(a)))
    }

    #[inline(always)]
    fn shl_u64<const N: u32>(self, a: u64x8) -> u64x8 {
        cast::<__m512i, _>(self.avx512f._mm512_slli_epi64::<N>(cast(a)))
    }

    #[inline(always)]
    fn shr_u64<const N: u32>(self, a: u64x8) -> u64x8 {
        cast::<__m512i, _>(self.avx512f._mm512_srli_epi64::<N>(cast(a)))
    }

    #[inline(always)]
    fn mask_bits_32(self, mask: b16) -> u32 {
        u32::from(mask.0)
    }

    #[inline(always)]
    fn mask_bits_64(self, mask: b8) -> u32 {
        u32::from(mask.0)
    }

    #[inline(always)]
    fn shift_up_32(self, before: [f32x16; 1], lanes: [f32x16; 1]) -> [f32x16; 1] {
        let (before, lanes) = (cast(before), cast(lanes));
        cast::<__m512i, _>(self.avx512f._mm512_alignr_epi32::<15>(lanes, before))
    }

    #[inline(always)]
    fn shift_up_64(self, before: [f64x8; 1], lanes: [f64x8; 1]) -> [f64x8; 1] {
        let (before, lanes) = (cast(before), cast(lanes));
        cast::<__m512i, _>(self.avx512f._mm512_alignr_epi64::<7>(lanes, before))
    }

    #[inline(always)]
    fn shift_down_32(self, lanes: [f32x16; 1], after: [f32x16; 1]) -> [f32x16; 1] {
        let (lanes, after) = (cast(lanes), cast(after));
        cast::<__m512i, _>(self.avx512f._mm512_alignr_epi32::<1>(after, lanes))
    }

    #[inline(always)]
    fn shift_down_64(self, lanes: [f64x8; 1], after: [f64x8; 1]) -> [f64x8; 1] {
        let (lanes, after) = (cast(lanes), cast(after));
        cast::<__m512i, _>(self.avx512f._mm512_alignr_epi64::<1>(after, lanes))
    }

    #[inline(always)]
    fn interleave_32(self, a: [f32x16; 1], b: [f32x16; 1]) -> [[f32x16; 1]; 2] {
        const LOW: [i32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];
        const HIGH: [i32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];
        let (a, b): (__m512, __m512) = (cast(a), cast(b));
        [
            cast(self.avx512f._mm512_permutex2var_ps(a, cast(LOW), b)),
            cast(self.avx512f._mm512_permutex2var_ps(a, cast(HIGH), b)),
        ]
    }

    #[inline(always)]
    fn interleave_64(self, a: [f64x8; 1], b: [f64x8; 1]) -> [[f64x8; 1]; 2] {
        const LOW: [i64; 8] = [0, 8, 1, 9, 2, 10, 3, 11];
        const HIGH: [i64; 8] = [4, 12, 5, 13, 6, 14, 7, 15];
        let (a, b): (__m512d, __m512d) = (cast(a), cast(b));
        [
            cast(self.avx512f._mm512_permutex2var_pd(a, cast(LOW), b)),
            cast(self.avx512f._mm512_permutex2var_pd(a, cast(HIGH), b)),
        ]
    }

    #[inline(always)]
    fn gather_f32(self, table: &[f32], index: &[u32], to: &mut [f32]) {
        // Two registers of the table, which one instruction chooses from.
        if let Ok(halves) = registers::<f32x16, 2>(table) {
            let (indices, rest) = index.as_chunks::<16>();
            let (places, places_rest) = to.as_chunks_mut::<16>();
            let [low, high] = halves;
            for (index, place) in indices.iter().zip(places) {
                let index: __m512i = cast(*index);
                let entry = self
                    .avx512f
                    ._mm512_permutex2var_ps(cast(low), index, cast(high));
                *place = cast(entry);
            }
            if rest.is_empty() {
                return;
            }
            let table: [f32; 32] = cast(halves);
            return gather(&table, rest, places_rest);
        }
        let (indices, rest) = index.as_chunks::<16>();
        let (places, places_rest) = to.as_chunks_mut::<16>();
        // Four registers: a bit of the index chooses the pair.
        let Ok(table): Result<[f32x16; 4], _> = registers(table) else {
            let Ok(len) = i32::try_from(table.len()) else {
                return gather(table, index, to);
            };
            let len = self.avx512f._mm512_set1_epi32(len);
            for (index, place) in indices.iter().zip(places) {
                let index: __m512i = cast(*index);
                let inside = self.avx512f._mm512_cmplt_epu32_mask(index, len);
                assert!(inside == u16::MAX, "an index is no entry of the table");
                let from = table.as_ptr();
                // SAFETY: every index is one of the table's.
                *place = cast(unsafe { self.avx512f._mm512_i32gather_ps::<4>(index, from.cast()) });
            }
            return gather(table, rest, places_rest);
        };
        let [a, b, c, d] = table;
        for (index, place) in indices.iter().zip(places) {
            let index: __m512i = cast(*index);
            let low = self.avx512f._mm512_permutex2var_ps(cast(a), index, cast(b));
            let high = self.avx512f._mm512_permutex2var_ps(cast(c), index, cast(d));
            let upper = self
                .avx512f
                ._mm512_cmpgt_epi32_mask(index, self.avx512f._mm512_set1_epi32(31));
            *place = cast(self.avx512f._mm512_mask_blend_ps(upper, low, high));
        }
        if rest.is_empty() {
            return;
        }
        let table: [f32; 64] = cast(table);
        gather(&table, rest, places_rest);
    }

    #[inline(always)]
    fn widen(self, lanes: [f32x16; 1]) -> [[f64x8; 1]; 2] {
        let [low, high]: [__m256; 2] = cast(lanes[0]);
        [
            [cast::<__m512d, _>(self.avx512f._mm512_cvtps_pd(low))],
            [cast::<__m512d, _>(self.avx512f._mm512_cvtps_pd(high))],
        ]
    }

    #[inline(always)]
    unsafe fn stream_f32(self, to: *mut f32, register: f32x16) {
        let halves = [
            cast(self.avx512f._mm512_castps512_ps256(cast(register))),
            cast(self.avx512f._mm512_extractf64x4_pd::<1>(cast(register))),
        ];
        // SAFETY: as the caller promises.
        unsafe { (*self).stream_f32(to, halves[0]) };
        // SAFETY: as above.
        unsafe { (*self).stream_f32(to.wrapping_add(8), halves[1]) };
    }

    #[inline(always)]
    unsafe fn stream_f64(self, to: *mut f64, register: f64x8) {
        // SAFETY: as the caller promises.
        unsafe { self.stream_f32(to.cast(), cast(register)) }
    }

    #[inline(always)]
    unsafe fn stream_piece(self, to: *mut u8, from: *const u8) {
        // SAFETY: as the caller promises.
        unsafe { (*self).stream_piece(to, from) }
    }

    #[inline(always)]
    fn fence(self) {
        self.sse._mm_sfence();
    }

    #[inline(always)]
    fn prefetch(self, line: *const u8) {
        // SAFETY: every x86-64 has the instruction, and it touches nothing that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
}
