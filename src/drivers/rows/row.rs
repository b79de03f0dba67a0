use super::RowLoss;
use crate::drivers::terms::{Terms, sum_terms};
use crate::element::Element;
use crate::math::lanes::{exp_nonpos, log1p};
use crate::simd::{InOut, Isa, Lanes, Mask, Sum};

/// What the first pass knows of a chunk of a row.
#[derive(Clone, Copy)]
pub(super) struct Chunk<T> {
    /// The largest logit; −∞ if all are.
    pub(super) max: T,
    /// The class of the first largest logit.
    pub(super) argmax: usize,
    /// The sum of `e^(x − max)` over all classes but `argmax`: adding that one's 1 here would round
    /// away what a confident prediction costs.
    pub(super) rest: f64,
    /// The sum of the label's shares.
    pub(super) share: f64,
    /// The sum of the loss's terms, with `max − x` for the surprise.
    pub(super) terms: f64,
}

impl<T: Element> Chunk<T> {
    /// What is known before the first class is read.
    pub(super) fn new() -> Self {
        let max = T::from_f64(f64::NEG_INFINITY);
        Self {
            max,
            argmax: 0,
            rest: 0.0,
            share: 0.0,
            terms: 0.0,
        }
    }

    /// What is subtracted from the logits: the maximum, or 0 where it is −∞, since −∞ − −∞ is NaN.
    pub(super) fn shift(&self) -> T {
        if self.max == T::from_f64(f64::NEG_INFINITY) {
            T::ZERO
        } else {
            self.max
        }
    }
}

/// A whole row, ready for its second pass.
pub(super) struct Row {
    pub(super) max: f64,
    pub(super) argmax: usize,
    pub(super) rest: f64,
    pub(super) share: f64,
    pub(super) terms: f64,
}

impl Row {
    /// A row of a single chunk.
    pub(super) fn of_chunk<T: Element>(chunk: &Chunk<T>) -> Self {
        let max = chunk.max.to_f64();
        // An infinite maximum leaves no distribution: everything is NaN.
        let rest = if max.is_finite() {
            chunk.rest
        } else {
            f64::NAN
        };
        Self {
            max,
            argmax: chunk.argmax,
            rest,
            share: chunk.share,
            terms: chunk.terms,
        }
    }

    /// What an exponential is multiplied by to become the gradient.
    pub(super) fn factor<T: Element>(&self, grad_scale: f64) -> T {
        T::from_f64(grad_scale * self.share / (1.0 + self.rest))
    }

    /// What an exponential is multiplied by to become a probability.
    pub(super) fn probability<T: Element>(&self) -> T {
        T::from_f64(1.0 / (1.0 + self.rest))
    }

    /// The gradient of the likeliest class, whose share of the label is `share`. Of a probability p
    /// above one half, 1 − p is taken from the other classes and never by subtraction.
    pub(super) fn grad_of_argmax<T: Element>(&self, share: f64, grad_scale: f64) -> T {
        let total = 1.0 + self.rest;
        let difference = if self.rest < 1.0 {
            (self.share - share) - self.share * (self.rest / total)
        } else {
            self.share / total - share
        };
        T::from_f64(grad_scale * difference)
    }

    /// The loss, given the logarithm of the sum of the exponentials.
    pub(super) fn loss<T: Element>(&self, ln_sum: T) -> T {
        T::from_f64(ln_sum.to_f64() * self.share + self.terms)
    }
}

/// The logarithm of the sum of a row's exponentials, `ln(1 + rest)`.
#[inline(always)]
pub(super) fn ln_sum<T: Element, S: Isa>(simd: S, rest: f64) -> T {
    first_lane(log1p(Lanes::splat(simd, T::from_f64(rest))))
}

#[inline(always)]
fn first_lane<T: Element, S: Isa>(lanes: Lanes<T, S>) -> T {
    let mut first = [T::ZERO];
    lanes.store_partial(&mut first);
    first[0]
}

/// The largest value of a run, or −∞; NaNs are passed over, the sum of exponentials shows them.
#[inline(always)]
pub(super) fn max<T: Element, S: Isa>(simd: S, run: &InOut<'_, T>) -> T {
    let lowest = Lanes::splat(simd, T::from_f64(f64::NEG_INFINITY));
    let mut most = [lowest; 4];
    let mut at = 0;
    while run.len() - at >= 4 * T::LANES {
        for (k, most) in most.iter_mut().enumerate() {
            *most = run.load::<S, true>(simd, at + k * T::LANES).max(*most);
        }
        at += 4 * T::LANES;
    }
    while at < run.len() {
        let inside = Mask::first(simd, run.len() - at);
        let lanes = inside.select(run.load::<S, false>(simd, at), lowest);
        most[0] = lanes.max(most[0]);
        at += T::LANES;
    }
    let [a, b, c, d] = most;
    let lanes = a.max(b).max(c.max(d));
    let mut values = [T::ZERO; 16];
    lanes.store(&mut values);
    let mut max = values[0];
    for &value in &values[1..T::LANES] {
        if value > max {
            max = value;
        }
    }
    // The order of comparison decides which zero is found; this makes it the positive one.
    T::from_f64(max.to_f64() + 0.0)
}

/// The position of the first value that equals `value`.
#[inline(always)]
pub(super) fn position<T: Element, S: Isa>(simd: S, run: &InOut<'_, T>, value: T) -> Option<usize> {
    let value = Lanes::splat(simd, value);
    let mut at = 0;
    while run.len() - at >= T::LANES {
        let bits = run.load::<S, true>(simd, at).eq(value).to_bits();
        if bits != 0 {
            return Some(at + bits.trailing_zeros() as usize);
        }
        at += T::LANES;
    }
    let inside = Mask::first(simd, run.len() - at);
    let bits = (run.load::<S, false>(simd, at).eq(value) & inside).to_bits();
    (bits != 0).then(|| at + bits.trailing_zeros() as usize)
}

/// The first pass over neighbouring classes of a row: exponentials to the gradient's place, sums of
/// exponentials, shares and terms to `sums`.
pub(super) struct Forward<'f, T: Element, S: Isa, R, const GRAD: bool> {
    pub(super) simd: S,
    pub(super) loss: R,
    pub(super) run: InOut<'f, T>,
    /// The label's shares; empty where the label is a class.
    pub(super) shares: &'f [T],
    pub(super) shift: Lanes<T, S>,
    /// The position that is left out of the sum of exponentials, if it lies in the run.
    pub(super) left_out: isize,
}

impl<T: Element, S: Isa, R: RowLoss<T>, const GRAD: bool> Forward<'_, T, S, R, GRAD> {
    /// Adds the run's exponentials, shares and terms to `sums`.
    #[inline(always)]
    pub(super) fn sum<const DENSE: bool>(&mut self, sums: &mut [Sum<S>; 3]) {
        let (simd, len) = (self.simd, self.run.len());
        if DENSE {
            sum_terms::<_, _, 3>(simd, self, len, sums);
        } else {
            let mut exponentials = [sums[0]];
            sum_terms::<_, _, 1>(simd, self, len, &mut exponentials);
            sums[0] = exponentials[0];
        }
    }

    #[inline(always)]
    fn restricted(&mut self, at: usize, len: usize) -> Forward<'_, T, S, R, GRAD> {
        let shares = if self.shares.is_empty() {
            self.shares
        } else {
            &self.shares[at..at + len]
        };
        Forward {
            run: self.run.part(at, len),
            shares,
            left_out: self.left_out - at as isize,
            ..*self
        }
    }

    /// The distance to the maximum and the exponential at `at`.
    #[inline(always)]
    fn exponential<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 2] {
        let zero = Lanes::splat(self.simd, T::ZERO);
        let surprise = self.shift - self.run.load::<S, FULL>(self.simd, at);
        if !R::NORMALISE {
            return [surprise, zero];
        }
        let mut exponential = exp_nonpos(-surprise);
        if GRAD {
            self.run.store::<S, FULL>(at, exponential);
        }
        if !FULL {
            let inside = Mask::first(self.simd, self.run.len() - at);
            exponential = inside.select(exponential, zero);
        }
        let lane = self.left_out - at as isize;
        if 0 <= lane && lane < T::LANES as isize {
            let lane = lane as usize;
            let others = !Mask::first(self.simd, lane + 1) | Mask::first(self.simd, lane);
            exponential = others.select(exponential, zero);
        }
        [surprise, exponential]
    }
}

impl<T: Element, S: Isa, R: RowLoss<T>, const GRAD: bool> Terms<T, S, 1>
    for Forward<'_, T, S, R, GRAD>
{
    type Part<'p>
        = Forward<'p, T, S, R, GRAD>
    where
        Self: 'p;

    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Self::Part<'_> {
        self.restricted(at, len)
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 1] {
        let [_, exponential] = self.exponential::<FULL>(at);
        [exponential]
    }
}

impl<T: Element, S: Isa, R: RowLoss<T>, const GRAD: bool> Terms<T, S, 3>
    for Forward<'_, T, S, R, GRAD>
{
    type Part<'p>
        = Forward<'p, T, S, R, GRAD>
    where
        Self: 'p;

    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Self::Part<'_> {
        self.restricted(at, len)
    }

    #[inline(always)]
    fn step<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 3] {
        let share = if FULL {
            Lanes::load(self.simd, &self.shares[at..])
        } else {
            Lanes::load_partial(self.simd, &self.shares[at..])
        };
        // Behind the end the share is 0, and so is the term.
        let [surprise, exponential] = self.exponential::<FULL>(at);
        let term = self.loss.term(share, surprise);
        [exponential, self.loss.share(share), term]
    }
}

/// The second pass over neighbouring classes of a row: exponentials to gradients, in place.
pub(super) struct Backward<'b, T: Element, S: Isa> {
    pub(super) simd: S,
    /// The exponentials.
    pub(super) run: InOut<'b, T>,
    /// The label's shares; empty where the label is a class.
    pub(super) shares: &'b [T],
    /// What the exponentials are multiplied by.
    pub(super) factor: Lanes<T, S>,
    /// What the shares are multiplied by and subtracted.
    pub(super) grad_scale: Lanes<T, S>,
}

impl<T: Element, S: Isa> Backward<'_, T, S> {
    /// `normalise` if the run holds exponentials; else only the label's shares count.
    #[inline(always)]
    pub(super) fn run<const DENSE: bool>(&mut self, normalise: bool) {
        let len = self.run.len();
        let mut at = 0;
        while len - at >= T::LANES {
            self.step::<DENSE, true>(at, normalise);
            at += T::LANES;
        }
        if at < len {
            self.step::<DENSE, false>(at, normalise);
        }
    }

    #[inline(always)]
    fn step<const DENSE: bool, const FULL: bool>(&mut self, at: usize, normalise: bool) {
        let mut grad = Lanes::splat(self.simd, T::ZERO);
        if normalise {
            grad = self.run.load::<S, FULL>(self.simd, at) * self.factor;
        }
        if DENSE {
            let share = if FULL {
                Lanes::load(self.simd, &self.shares[at..])
            } else {
                Lanes::load_partial(self.simd, &self.shares[at..])
            };
            grad = share.neg_mul_add(self.grad_scale, grad);
        }
        self.run.store::<S, FULL>(at, grad);
    }
}
