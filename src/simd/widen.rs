use super::{Float, Isa, Lanes};

impl<T: Float, S: Isa> Lanes<T, S> {
    /// The lanes in f64: those of f32 in two halves, those of f64 and then zeros.
    #[inline(always)]
    pub fn widen(self) -> [Lanes<f64, S>; 2] {
        let (mut lanes, mut wide) = ([T::ZERO; 16], [0.0; 16]);
        self.store(&mut lanes);
        for (wide, lane) in wide.iter_mut().zip(lanes) {
            *wide = lane.to_f64();
        }
        let simd = self.simd();
        [Lanes::load(simd, &wide[..8]), Lanes::load(simd, &wide[8..])]
    }

    /// The opposite of [`widen`](Self::widen): each lane rounded once.
    #[inline(always)]
    pub fn narrow([low, high]: [Lanes<f64, S>; 2]) -> Self {
        let (mut wide, mut lanes) = ([0.0; 16], [T::ZERO; 16]);
        low.store(&mut wide[..8]);
        high.store(&mut wide[8..]);
        for (lane, wide) in lanes.iter_mut().zip(wide) {
            *lane = T::from_f64(wide);
        }
        Self::load(low.simd(), &lanes)
    }
}
