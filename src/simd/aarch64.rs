use super::Isa;
use crate::unroll::unroll;
use core::arch::aarch64::{
    float32x2_t, float32x4_t, float64x2_t, int32x4_t, int64x2_t, uint32x4_t, uint64x2_t,
};
use pulp::aarch64::Neon;
use pulp::{cast, f32x4, f64x2, m32x4, m64x2, u32x4, u64x2};

impl Isa for Neon {
    type Registers32<R: Copy> = [R; 4];
    type Registers64<R: Copy> = [R; 4];

    #[inline(always)]
    fn max_f32(self, a: f32x4, b: f32x4) -> f32x4 {
        pulp::Simd::select_f32s(self, pulp::Simd::greater_than_f32s(self, a, b), a, b)
    }

    #[inline(always)]
    fn max_f64(self, a: f64x2, b: f64x2) -> f64x2 {
        pulp::Simd::select_f64s(self, pulp::Simd::greater_than_f64s(self, a, b), a, b)
    }

    #[inline(always)]
    fn min_f32(self, a: f32x4, b: f32x4) -> f32x4 {
        pulp::Simd::select_f32s(self, pulp::Simd::less_than_f32s(self, a, b), a, b)
    }

    #[inline(always)]
    fn min_f64(self, a: f64x2, b: f64x2) -> f64x2 {
        pulp::Simd::select_f64s(self, pulp::Simd::less_than_f64s(self, a, b), a, b)
    }

    // NEON shifts by a signed count held in a register; the compiler turns the constant into the
    // immediate form.
    #[inline(always)]
    fn shl_u32<const N: u32>(self, a: u32x4) -> u32x4 {
        let count: int32x4_t = self.neon.vdupq_n_s32(N as i32);
        cast::<uint32x4_t, _>(self.neon.vshlq_u32(cast(a), count))
    }

    #[inline(always)]
    fn shr_u32<const N: u32>(self, a: u32x4) -> u32x4 {
        let count: int32x4_t = self.neon.vdupq_n_s32(-(N as i32));
        cast::<uint32x4_t, _>(self.neon.vshlq_u32(cast(a), count))
    }

    #[inline(always)]
    fn shl_u64<const N: u32>(self, a: u64x2) -> u64x2 {
        let count: int64x2_t = self.neon.vdupq_n_s64(N as i64);
        cast::<uint64x2_t, _>(self.neon.vshlq_u64(cast(a), count))
    }

    #[inline(always)]
    fn shr_u64<const N: u32>(self, a: u64x2) -> u64x2 {
        let count: int64x2_t = self.neon.vdupq_n_s64(-(N as i64));
        cast::<uint64x2_t, _>(self.neon.vshlq_u64(cast(a), count))
    }

    #[inline(always)]
    fn mask_bits_32(self, mask: m32x4) -> u32 {
        let weights: uint32x4_t = cast([1u32, 2, 4, 8]);
        self.neon
            .vaddvq_u32(self.neon.vandq_u32(cast(mask), weights))
    }

    #[inline(always)]
    fn mask_bits_64(self, mask: m64x2) -> u32 {
        let weights: uint64x2_t = cast([1u64, 2]);
        self.neon
            .vaddvq_u64(self.neon.vandq_u64(cast(mask), weights)) as u32
    }

    #[inline(always)]
    fn shift_up_32(self, before: [f32x4; 4], lanes: [f32x4; 4]) -> [f32x4; 4] {
        let before = [before[3], lanes[0], lanes[1], lanes[2]];
        let mut shifted = lanes;
        unroll!(k in 0..4 => {
            let lanes = self.neon.vextq_f32::<3>(cast(before[k]), cast(lanes[k]));
            shifted[k] = cast::<float32x4_t, _>(lanes);
        });
        shifted
    }

    #[inline(always)]
    fn shift_up_64(self, before: [f64x2; 4], lanes: [f64x2; 4]) -> [f64x2; 4] {
        let before = [before[3], lanes[0], lanes[1], lanes[2]];
        let mut shifted = lanes;
        unroll!(k in 0..4 => {
            let lanes = self.neon.vextq_f64::<1>(cast(before[k]), cast(lanes[k]));
            shifted[k] = cast::<float64x2_t, _>(lanes);
        });
        shifted
    }

    #[inline(always)]
    fn shift_down_32(self, lanes: [f32x4; 4], after: [f32x4; 4]) -> [f32x4; 4] {
        let after = [lanes[1], lanes[2], lanes[3], after[0]];
        let mut shifted = lanes;
        unroll!(k in 0..4 => {
            let lanes = self.neon.vextq_f32::<1>(cast(lanes[k]), cast(after[k]));
            shifted[k] = cast::<float32x4_t, _>(lanes);
        });
        shifted
    }

    #[inline(always)]
    fn shift_down_64(self, lanes: [f64x2; 4], after: [f64x2; 4]) -> [f64x2; 4] {
        let after = [lanes[1], lanes[2], lanes[3], after[0]];
        let mut shifted = lanes;
        unroll!(k in 0..4 => {
            let lanes = self.neon.vextq_f64::<1>(cast(lanes[k]), cast(after[k]));
            shifted[k] = cast::<float64x2_t, _>(lanes);
        });
        shifted
    }

    #[inline(always)]
    fn interleave_32(self, a: [f32x4; 4], b: [f32x4; 4]) -> [[f32x4; 4]; 2] {
        let mut halves = [a; 2];
        unroll!(k in 0..4 => {
            let (a, b): (float32x4_t, float32x4_t) = (cast(a[k]), cast(b[k]));
            halves[k / 2][k % 2 * 2] = cast::<float32x4_t, _>(self.neon.vzip1q_f32(a, b));
            halves[k / 2][k % 2 * 2 + 1] = cast::<float32x4_t, _>(self.neon.vzip2q_f32(a, b));
        });
        halves
    }

    #[inline(always)]
    fn interleave_64(self, a: [f64x2; 4], b: [f64x2; 4]) -> [[f64x2; 4]; 2] {
        let mut halves = [a; 2];
        unroll!(k in 0..4 => {
            let (a, b): (float64x2_t, float64x2_t) = (cast(a[k]), cast(b[k]));
            halves[k / 2][k % 2 * 2] = cast::<float64x2_t, _>(self.neon.vzip1q_f64(a, b));
            halves[k / 2][k % 2 * 2 + 1] = cast::<float64x2_t, _>(self.neon.vzip2q_f64(a, b));
        });
        halves
    }

    #[inline(always)]
    fn widen(self, lanes: [f32x4; 4]) -> [[f64x2; 4]; 2] {
        let mut halves = [[f64x2(0.0, 0.0); 4]; 2];
        unroll!(k in 0..4 => {
            let [low, high]: [float32x2_t; 2] = cast(lanes[k]);
            halves[k / 2][k % 2 * 2] = cast::<float64x2_t, _>(self.neon.vcvt_f64_f32(low));
            halves[k / 2][k % 2 * 2 + 1] = cast::<float64x2_t, _>(self.neon.vcvt_f64_f32(high));
        });
        halves
    }

    #[inline(always)]
    unsafe fn stream_f32(self, to: *mut f32, register: f32x4) {
        // SAFETY: the caller promises 16 writable bytes.
        unsafe { to.cast::<f32x4>().write_unaligned(register) }
    }

    #[inline(always)]
    unsafe fn stream_f64(self, to: *mut f64, register: f64x2) {
        // SAFETY: the caller promises 16 writable bytes.
        unsafe { to.cast::<f64x2>().write_unaligned(register) }
    }

    #[inline(always)]
    fn fence(self) {}
}
