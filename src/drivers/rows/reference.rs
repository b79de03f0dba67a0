use super::row::first_lane;
use crate::element::Element;
use crate::math::lanes::exp_over_power;
use crate::simd::{Isa, Lanes};

/// Logits farther from 0 than this are subtracted from the others.
const FARTHEST: f64 = 1000.0;

/// Between which powers of 2 the sum of a row's exponentials may be, as a multiple of its reference:
/// so near to 1 that no factor of a gradient loses bits by what the sum is off.
const NEAR: core::ops::RangeInclusive<f64> = 1.0 / BOUND..=BOUND;
const BOUND: f64 = (1_u64 << 30) as f64;

/// What the exponentials of a row's logits are taken as multiples of: `e^subtracted 2^power`.
#[derive(Clone, Copy)]
pub(super) struct Reference<T> {
    pub(super) subtracted: T,
    power: T,
}

impl<T: Element> Reference<T> {
    /// None: 1.
    pub(super) const NONE: Self = Self {
        subtracted: T::ZERO,
        power: T::ZERO,
    };

    /// The largest logit's exponential; 1 where that logit is −∞, since −∞ − −∞ is NaN.
    pub(super) fn exact(max: T) -> Self {
        let subtracted = if max == T::from_f64(f64::NEG_INFINITY) {
            T::ZERO
        } else {
            max
        };
        Self {
            subtracted,
            power: T::ZERO,
        }
    }

    /// A power of 2 near to the exponential of this logit, or that itself where it is far from 1.
    #[inline(always)]
    pub(super) fn guess<S: Isa>(simd: S, logit: T) -> Self {
        let lanes = ReferenceLanes::guess(Lanes::splat(simd, logit));
        Self {
            subtracted: first_lane(lanes.subtracted),
            power: first_lane(lanes.power),
        }
    }

    /// Whether the sum of a row's exponentials is near enough to 1 as a multiple of a reference.
    #[inline(always)]
    pub(super) fn suits(total: f64) -> bool {
        NEAR.contains(&total)
    }

    /// The logarithm of the reference.
    pub(super) fn ln(self) -> f64 {
        self.subtracted.to_f64() + self.power.to_f64() * core::f64::consts::LN_2
    }
}

/// A [`Reference`] for every lane.
#[derive(Clone, Copy)]
pub(super) struct ReferenceLanes<T: Element, S: Isa> {
    pub(super) subtracted: Lanes<T, S>,
    power: Lanes<T, S>,
    /// What a logit counts as at most, less what is subtracted: a guess that is too low gives a sum
    /// that is seen to be too large.
    most: Lanes<T, S>,
}

impl<T: Element, S: Isa> ReferenceLanes<T, S> {
    #[inline(always)]
    fn new(subtracted: Lanes<T, S>, power: Lanes<T, S>) -> Self {
        let above = power.splat_like(100.0);
        Self {
            subtracted,
            power,
            most: (power + above) * power.splat_like(core::f64::consts::LN_2),
        }
    }

    /// None: 1 for all.
    #[inline(always)]
    pub(super) fn none(simd: S) -> Self {
        Self::splat(simd, Reference::NONE)
    }

    /// The same reference for all.
    #[inline(always)]
    pub(super) fn splat(simd: S, reference: Reference<T>) -> Self {
        let subtracted = Lanes::splat(simd, reference.subtracted);
        Self::new(subtracted, Lanes::splat(simd, reference.power))
    }

    /// As [`Reference::exact`].
    #[inline(always)]
    pub(super) fn exact(max: Lanes<T, S>) -> Self {
        let (zero, lowest) = (max.splat_like(0.0), max.splat_like(f64::NEG_INFINITY));
        Self::new(max.eq(lowest).select(zero, max), zero)
    }

    /// As [`Reference::guess`].
    #[inline(always)]
    pub(super) fn guess(logit: Lanes<T, S>) -> Self {
        let zero = logit.splat_like(0.0);
        let near = logit.abs().le(logit.splat_like(FARTHEST));
        let counting = logit.splat_like(1.5 * T::COUNTING);
        let binary = logit.mul_add(logit.splat_like(core::f64::consts::LOG2_E), counting);
        let power = near.select(binary - counting, zero);
        let far = Self::exact(logit);
        Self::new(near.select(zero, far.subtracted), power)
    }

    /// `self` where the numbers are not 0, `other` elsewhere.
    #[inline(always)]
    pub(super) fn or(self, other: Self, which: Lanes<T, S>) -> Self {
        let other_is = which.eq(which.splat_like(0.0));
        Self {
            subtracted: other_is.select(other.subtracted, self.subtracted),
            power: other_is.select(other.power, self.power),
            most: other_is.select(other.most, self.most),
        }
    }

    /// The lanes' references.
    #[inline(always)]
    pub(super) fn to_array(self) -> [Reference<T>; 16] {
        let (mut subtracted, mut power) = ([T::ZERO; 16], [T::ZERO; 16]);
        self.subtracted.store(&mut subtracted);
        self.power.store(&mut power);
        core::array::from_fn(|k| Reference {
            subtracted: subtracted[k],
            power: power[k],
        })
    }

    /// The exponentials of logits.
    #[inline(always)]
    pub(super) fn exponential(self, logits: Lanes<T, S>) -> Lanes<T, S> {
        let [exponential] = exp_over_power([self.most.min(logits - self.subtracted)], self.power);
        exponential
    }
}
