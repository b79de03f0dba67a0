use crate::math::Functions;
use crate::math::lanes::power_of_two;
use crate::simd::{Bits, Isa, Lanes};

/// Probabilities of states, each `mantissa · 2^exponent`: a logarithm in two parts, its integer part
/// the exponent. Sums and products need neither exp nor log, and nothing underflows.
///
/// Exponents are integers, or −∞ for a state that no path visits; mantissas are positive, and
/// 1 for such a state. A mantissa at least doubles no more than three times a frame, so it has to be
/// brought back to between 1 and 2 only once in a while ([`normal`](Self::normal)).
#[derive(Clone, Copy)]
pub(super) struct States<W: Functions, S: Isa> {
    pub(super) mantissa: Lanes<W, S>,
    pub(super) exponent: Lanes<W, S>,
}

impl<W: Functions, S: Isa> States<W, S> {
    /// States that no path visits.
    #[inline(always)]
    pub(super) fn dead(simd: S) -> Self {
        Self {
            mantissa: Lanes::splat(simd, W::from_f64(1.0)),
            exponent: Lanes::splat(simd, W::from_f64(f64::NEG_INFINITY)),
        }
    }

    /// The same state in every lane.
    #[inline(always)]
    pub(super) fn splat(simd: S, mantissa: W, exponent: W) -> Self {
        Self {
            mantissa: Lanes::splat(simd, mantissa),
            exponent: Lanes::splat(simd, exponent),
        }
    }

    /// Mantissas and exponents.
    #[inline(always)]
    pub(super) fn of(simd: S, (mantissas, exponents): (&[W], &[W])) -> Self {
        Self {
            mantissa: Lanes::load(simd, mantissas),
            exponent: Lanes::load(simd, exponents),
        }
    }

    /// Mantissas, and behind them exponents.
    #[inline(always)]
    pub(super) fn load(simd: S, from: &[W]) -> Self {
        Self {
            mantissa: Lanes::load(simd, from),
            exponent: Lanes::load(simd, &from[W::LANES..]),
        }
    }

    /// Mantissas, and behind them exponents.
    #[inline(always)]
    pub(super) fn store(self, to: &mut [W]) {
        let (mantissas, exponents) = to.split_at_mut(W::LANES);
        self.mantissa.store(mantissas);
        self.exponent.store(exponents);
    }

    /// The sum of two probabilities. The smaller exponent's is scaled to the larger's; what is lost
    /// below 2^[`Self::NOTHING`] of it is less than rounding loses.
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        let swap = self.exponent.lt(other.exponent);
        let high = self.exponent.max(other.exponent);
        let low = self.exponent.min(other.exponent);
        // Two states that no path visits differ by NaN, for which `max` gives the constant.
        let difference = (low - high).max(low.splat_like(Self::NOTHING));
        let larger = swap.select(other.mantissa, self.mantissa);
        let smaller = swap.select(self.mantissa, other.mantissa);
        Self {
            mantissa: smaller.scale(difference) + larger,
            exponent: high,
        }
    }

    /// A difference of exponents beyond which a sum is its larger part: a mantissa's bits, and the
    /// quotient of two mantissas.
    const NOTHING: f64 = -(W::FRACTION as f64) - 77.0;

    /// The product of two probabilities.
    #[inline(always)]
    pub(super) fn times(self, other: Self) -> Self {
        Self {
            mantissa: self.mantissa * other.mantissa,
            exponent: self.exponent + other.exponent,
        }
    }

    /// `self` where `mask` is set, `other` elsewhere.
    #[inline(always)]
    pub(super) fn or(self, mask: crate::simd::Mask<W, S>, other: Self) -> Self {
        Self {
            mantissa: mask.select(self.mantissa, other.mantissa),
            exponent: mask.select(self.exponent, other.exponent),
        }
    }

    /// State `i − 1` in place of `i`; `before` are the states before these.
    #[inline(always)]
    pub(super) fn shift_up(self, before: Self) -> Self {
        Self {
            mantissa: self.mantissa.shift_up(before.mantissa),
            exponent: self.exponent.shift_up(before.exponent),
        }
    }

    /// State `i + 1` in place of `i`; `after` are the states after these.
    #[inline(always)]
    pub(super) fn shift_down(self, after: Self) -> Self {
        Self {
            mantissa: self.mantissa.shift_down(after.mantissa),
            exponent: self.exponent.shift_down(after.exponent),
        }
    }

    /// The same probabilities with mantissas between 1 and 2.
    #[inline(always)]
    pub(super) fn normal(self) -> Self {
        let simd = self.mantissa.simd();
        let bits = self.mantissa.to_bits();
        let one = self.mantissa.splat_like(1.0).to_bits();
        let counting = self.mantissa.splat_like(W::COUNTING).to_bits();
        let bias = self.mantissa.splat_like(W::COUNTING + f64::from(W::BIAS));
        let growth = (W::shift_from_exponent(bits) | counting).to_float() - bias;
        Self {
            mantissa: ((bits & Bits::splat(simd, W::FRACTION_BITS)) | one).to_float(),
            exponent: self.exponent + growth,
        }
    }

    /// The probabilities themselves, as multiples of `2^exponent`, those below the range of the
    /// type as 0.
    #[inline(always)]
    pub(super) fn value(self, exponent: Lanes<W, S>) -> Lanes<W, S> {
        let lowest = exponent.splat_like(-f64::from(W::BIAS));
        self.mantissa * power_of_two((self.exponent - exponent).max(lowest))
    }
}

/// One probability in `f64`, for where two half lattices meet.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) mantissa: f64,
    pub(super) exponent: f64,
}

impl State {
    pub(super) const DEAD: Self = Self {
        mantissa: 1.0,
        exponent: f64::NEG_INFINITY,
    };

    /// The sum of two probabilities; what is less than 2^−200 of the other adds nothing.
    #[inline(always)]
    pub(super) fn plus(self, other: Self) -> Self {
        let (high, low) = if self.exponent < other.exponent {
            (other, self)
        } else {
            (self, other)
        };
        let difference = low.exponent - high.exponent;
        // False for the NaN that two states differ by that no path visits.
        if difference > -200.0 {
            let power = f64::from_bits(((1023.0 + difference) as u64) << 52);
            Self {
                mantissa: high.mantissa + low.mantissa * power,
                ..high
            }
        } else {
            high
        }
    }

    /// The product of two probabilities.
    #[inline(always)]
    pub(super) fn times(self, other: Self) -> Self {
        Self {
            mantissa: self.mantissa * other.mantissa,
            exponent: self.exponent + other.exponent,
        }
    }
}
