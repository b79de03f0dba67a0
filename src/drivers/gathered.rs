use super::terms::SUM_BLOCK;
use crate::simd::{Isa, Sum};

/// A sum of many sums, some of which are gathered before they go to the whole: a long running sum
/// loses digits of f64.
#[derive(Clone, Copy)]
pub(crate) struct Gathered<S: Isa> {
    whole: Sum<S>,
    some: Sum<S>,
    count: usize,
}

impl<S: Isa> Gathered<S> {
    #[inline(always)]
    pub(crate) fn zero(simd: S) -> Self {
        Self {
            whole: Sum::zero(simd),
            some: Sum::zero(simd),
            count: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn gather(&mut self, sum: Sum<S>) {
        self.some = self.some.plus(sum);
        self.count += 1;
        if self.count == SUM_BLOCK {
            let simd = self.some.simd();
            self.whole = self.whole.plus(self.some);
            (self.some, self.count) = (Sum::zero(simd), 0);
        }
    }

    #[inline(always)]
    pub(crate) fn total(self) -> Sum<S> {
        self.whole.plus(self.some)
    }
}
