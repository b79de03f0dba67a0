use super::lanes::run;
use super::{Float, Isa, Lanes};

/// A sum that is held in f64, lane by lane, and folded by halves at the end.
///
/// Lane k of every vector added belongs to lane k of the sum, so the result depends on the order
/// of the vectors alone.
#[derive(Clone, Copy)]
pub(crate) struct Sum<S: Isa> {
    simd: S,
    lanes: [<f64 as Float>::Many<S, <f64 as Float>::Vector<S>>; 2],
}

/// What a [`Sum`] holds, lane by lane, between two kernels.
#[derive(Clone, Copy, Default)]
pub(crate) struct LaneTotals([f64; 16]);

impl<S: Isa> Sum<S> {
    #[inline(always)]
    pub(crate) fn zero(simd: S) -> Self {
        let zeros = Lanes::<f64, S>::splat(simd, 0.0).registers;
        Self {
            simd,
            lanes: [zeros; 2],
        }
    }

    /// Goes on where another kernel has stopped.
    #[inline(always)]
    pub(crate) fn resume(simd: S, totals: &LaneTotals) -> Self {
        let low = Lanes::<f64, S>::load(simd, &totals.0[..8]);
        let high = Lanes::<f64, S>::load(simd, &totals.0[8..]);
        Self {
            simd,
            lanes: [low.registers, high.registers],
        }
    }

    /// Each lane's sum, for another kernel to go on with.
    #[inline(always)]
    pub(crate) fn totals(self) -> LaneTotals {
        LaneTotals(self.to_array())
    }

    /// The token that the sum carries.
    #[inline(always)]
    pub(crate) fn simd(self) -> S {
        self.simd
    }

    /// Adds every lane to its own sum.
    #[inline(always)]
    pub(crate) fn add<T: Float>(&mut self, terms: Lanes<T, S>) {
        #[inline(always)]
        fn add<T: Float, S: Isa>(simd: S, (sum, terms): (&mut Sum<S>, &Lanes<T, S>)) {
            T::widen_add(simd, &mut sum.lanes, terms.registers);
        }
        run!(add::<T, S>, self.simd, (self, &terms));
    }

    /// Adds the product of every two lanes to their own sum, with no rounding before the addition.
    #[inline(always)]
    pub(crate) fn add_product<T: Float>(&mut self, a: Lanes<T, S>, b: Lanes<T, S>) {
        #[inline(always)]
        fn add<T: Float, S: Isa>(simd: S, (sum, a, b): (&mut Sum<S>, &Lanes<T, S>, &Lanes<T, S>)) {
            T::widen_mul_add(simd, &mut sum.lanes, a.registers, b.registers);
        }
        run!(add::<T, S>, self.simd, (self, &a, &b));
    }

    /// Adds two sums lane by lane.
    #[inline(always)]
    pub(crate) fn plus(mut self, other: Self) -> Self {
        let ([low, high], [more_low, more_high]) = (self.halves(), other.halves());
        self.lanes = [(low + more_low).registers, (high + more_high).registers];
        self
    }

    /// Each lane's sum. The second half is 0 where the lanes added were f64.
    #[inline(always)]
    pub(crate) fn to_array(self) -> [f64; 16] {
        let mut sums = [0.0; 16];
        let [low, high] = self.halves();
        low.store(&mut sums[..8]);
        high.store(&mut sums[8..]);
        sums
    }

    /// The sums of the first lanes and of the last, as [`to_array`](Self::to_array) gives them.
    #[inline(always)]
    pub(crate) fn halves(self) -> [Lanes<f64, S>; 2] {
        let [low, high] = self.lanes;
        let simd = self.simd;
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

    /// All lanes, folded by halves.
    #[inline(always)]
    pub(crate) fn fold(self) -> f64 {
        let mut sums = [0.0; 8];
        let [low, high] = self.halves();
        (low + high).store(&mut sums);
        let [a, b, c, d, e, f, g, h] = sums;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
