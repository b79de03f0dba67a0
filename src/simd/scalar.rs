use super::Isa;
use pulp::Scalar;

impl Isa for Scalar {
    type Registers32<R: Copy> = [R; 16];
    type Registers64<R: Copy> = [R; 8];

    #[inline(always)]
    fn max_f32(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }

    #[inline(always)]
    fn max_f64(self, a: f64, b: f64) -> f64 {
        if a > b { a } else { b }
    }

    #[inline(always)]
    fn min_f32(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }

    #[inline(always)]
    fn min_f64(self, a: f64, b: f64) -> f64 {
        if a < b { a } else { b }
    }

    #[inline(always)]
    fn shl_u32<const N: u32>(self, a: u32) -> u32 {
        a << N
    }

    #[inline(always)]
    fn shr_u32<const N: u32>(self, a: u32) -> u32 {
        a >> N
    }

    #[inline(always)]
    fn shl_u64<const N: u32>(self, a: u64) -> u64 {
        a << N
    }

    #[inline(always)]
    fn shr_u64<const N: u32>(self, a: u64) -> u64 {
        a >> N
    }

    #[inline(always)]
    fn mask_bits_32(self, mask: bool) -> u32 {
        mask as u32
    }

    #[inline(always)]
    fn mask_bits_64(self, mask: bool) -> u32 {
        mask as u32
    }

    #[inline(always)]
    fn shift_up_32(self, before: [f32; 16], mut lanes: [f32; 16]) -> [f32; 16] {
        lanes.rotate_right(1);
        lanes[0] = before[15];
        lanes
    }

    #[inline(always)]
    fn shift_up_64(self, before: [f64; 8], mut lanes: [f64; 8]) -> [f64; 8] {
        lanes.rotate_right(1);
        lanes[0] = before[7];
        lanes
    }

    #[inline(always)]
    fn shift_down_32(self, mut lanes: [f32; 16], after: [f32; 16]) -> [f32; 16] {
        lanes.rotate_left(1);
        lanes[15] = after[0];
        lanes
    }

    #[inline(always)]
    fn shift_down_64(self, mut lanes: [f64; 8], after: [f64; 8]) -> [f64; 8] {
        lanes.rotate_left(1);
        lanes[7] = after[0];
        lanes
    }

    #[inline(always)]
    fn interleave_32(self, a: [f32; 16], b: [f32; 16]) -> [[f32; 16]; 2] {
        [0, 8].map(|half| core::array::from_fn(|k| [a, b][k % 2][half + k / 2]))
    }

    #[inline(always)]
    fn interleave_64(self, a: [f64; 8], b: [f64; 8]) -> [[f64; 8]; 2] {
        [0, 4].map(|half| core::array::from_fn(|k| [a, b][k % 2][half + k / 2]))
    }

    #[inline(always)]
    fn widen(self, lanes: [f32; 16]) -> [[f64; 8]; 2] {
        let mut halves = [[0.0; 8]; 2];
        for k in 0..16 {
            halves[k / 8][k % 8] = f64::from(lanes[k]);
        }
        halves
    }

    #[inline(always)]
    unsafe fn stream_f32(self, to: *mut f32, register: f32) {
        // SAFETY: the caller promises that `to` is valid for a register.
        unsafe { to.write(register) }
    }

    #[inline(always)]
    unsafe fn stream_f64(self, to: *mut f64, register: f64) {
        // SAFETY: the caller promises that `to` is valid for a register.
        unsafe { to.write(register) }
    }

    #[inline(always)]
    fn fence(self) {}
}
