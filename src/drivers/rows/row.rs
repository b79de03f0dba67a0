use super::RowLoss;
use crate::drivers::terms::{Terms, sum_terms};
use crate::element::Element;
use crate::math::lanes::{exp_nonpos, log1p};
use crate::simd::{InOut, Isa, Lanes, Mask, Sum, Trail};

/// What a pass over some classes of a row sums.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// The exponentials, but for that of the class that is left out.
    pub(super) rest: f64,
    /// The label's shares.
    pub(super) share: f64,
    /// The loss's terms, with the distance to the largest logit for the surprise.
    pub(super) terms: f64,
}

impl Sums {
    pub(super) const NONE: Self = Self {
        rest: 0.0,
        share: 0.0,
        terms: 0.0,
    };

    /// What a label of one class adds, given its term.
    pub(super) fn of_class(term: f64) -> Self {
        Self {
            share: 1.0,
            terms: term,
            ..Self::NONE
        }
    }

    #[inline(always)]
    pub(super) fn of<S: Isa>([rest, share, terms]: [Sum<S>; 3]) -> Self {
        Self {
            rest: rest.fold(),
            share: share.fold(),
            terms: terms.fold(),
        }
    }

    /// Adds the sums over the classes that follow.
    pub(super) fn add(&mut self, next: Self) {
        self.rest += next.rest;
        self.share += next.share;
        self.terms += next.terms;
    }
}

/// A class that is left out of a row's sum, and the largest logit, whose multiples the exponentials
/// are.
///
/// It is the label's class, else the likeliest: adding its exponential to those of the others would
/// round away what a confident prediction costs.
#[derive(Clone, Copy)]
pub(super) struct LeftOut<T> {
    pub(super) class: usize,
    pub(super) logit: T,
    pub(super) max: T,
    /// Its exponential.
    pub(super) own: T,
}

impl<T: Element> LeftOut<T> {
    /// A class of log-probabilities, which have no exponentials.
    pub(super) fn of_log_probabilities(class: usize, logit: T) -> Self {
        Self {
            class,
            logit,
            max: T::ZERO,
            own: T::ZERO,
        }
    }

    #[inline(always)]
    pub(super) fn new<S: Isa>(simd: S, class: usize, logit: T, max: T) -> Self {
        let distance = Lanes::splat(simd, logit) - Lanes::splat(simd, subtracted(max));
        Self {
            class,
            logit,
            max,
            own: first_lane(exp_nonpos(distance)),
        }
    }
}

/// What is subtracted from logits: the largest of them, or 0 where that is −∞, since −∞ − −∞ is NaN.
pub(super) fn subtracted<T: Element>(max: T) -> T {
    if max == T::from_f64(f64::NEG_INFINITY) {
        T::ZERO
    } else {
        max
    }
}

/// Whole rows, one a lane, ready for their second pass; or one row in every lane.
#[derive(Clone, Copy)]
pub(super) struct Row<S: Isa> {
    /// The exponential of the class that is left out, and the sum of the others'.
    own: Lanes<f64, S>,
    rest: Lanes<f64, S>,
    /// How far the logit of that class lies below the largest.
    below: Lanes<f64, S>,
    share: Lanes<f64, S>,
    terms: Lanes<f64, S>,
}

impl<S: Isa> Row<S> {
    /// Rows of logits: their largest ones, those of the classes that are left out and the
    /// exponentials of these, and the sums of `rest`, shares and terms.
    #[inline(always)]
    pub(super) fn new(
        [max, logit, own]: [Lanes<f64, S>; 3],
        [rest, share, terms]: [Lanes<f64, S>; 3],
    ) -> Self {
        Self {
            own,
            // An infinite maximum leaves no distribution: everything is NaN.
            rest: rest + max * max.splat_like(0.0),
            below: max - logit,
            share,
            terms,
        }
    }

    /// Rows of log-probabilities, which are not normalised: the sums of shares and terms.
    #[inline(always)]
    pub(super) fn of_log_probabilities([share, terms]: [Lanes<f64, S>; 2]) -> Self {
        Self {
            own: share.splat_like(1.0),
            rest: share.splat_like(0.0),
            below: share.splat_like(0.0),
            share,
            terms,
        }
    }

    /// The sum of all exponentials.
    #[inline(always)]
    fn total(&self) -> Lanes<f64, S> {
        self.rest + self.own
    }

    /// What an exponential is multiplied by to become the gradient.
    #[inline(always)]
    pub(super) fn factor(&self, grad_scale: Lanes<f64, S>) -> Lanes<f64, S> {
        grad_scale * self.share / self.total()
    }

    /// What an exponential is multiplied by to become a probability.
    #[inline(always)]
    pub(super) fn probability(&self) -> Lanes<f64, S> {
        self.share.splat_like(1.0) / self.total()
    }

    /// The gradient of the class that is left out, whose share of the label is `share`. Of a
    /// probability p above one half, 1 − p is taken from the other classes and never by subtraction.
    #[inline(always)]
    pub(super) fn grad_of_left_out(
        &self,
        share: Lanes<f64, S>,
        grad_scale: Lanes<f64, S>,
        normalise: bool,
    ) -> Lanes<f64, S> {
        if !normalise {
            return share.splat_like(0.0) - grad_scale;
        }
        let of_rest = self.rest.lt(self.own) | share.eq(self.share);
        let part = self.share * (of_rest.select(self.rest, self.own) / self.total());
        let difference = of_rest.select((self.share - share) - part, part - share);
        grad_scale * difference
    }

    /// The loss; log-probabilities have no cost but their terms.
    #[inline(always)]
    pub(super) fn loss(&self, normalise: bool) -> Lanes<f64, S> {
        let mut surprise = self.share.splat_like(0.0);
        if normalise {
            surprise = self.surprise();
        }
        surprise * self.share + self.terms
    }

    /// What the class that is left out costs. Where it is the likeliest, `own` is 1 and nothing is
    /// rounded away.
    #[inline(always)]
    pub(super) fn surprise(&self) -> Lanes<f64, S> {
        log1p(self.rest + (self.own - self.share.splat_like(1.0))) + self.below
    }
}

#[inline(always)]
pub(super) fn first_lane<T: Element, S: Isa>(lanes: Lanes<T, S>) -> T {
    let mut values = [T::ZERO; 16];
    lanes.store(&mut values);
    values[0]
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
    lanes.largest()
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

/// The first pass over neighbouring classes of a row: sums of exponentials, shares and terms.
pub(super) struct Forward<'f, 't, T: Element, S: Isa, R> {
    pub(super) simd: S,
    pub(super) loss: R,
    pub(super) run: InOut<'f, T>,
    /// The label's shares; empty where the label is a class.
    pub(super) shares: &'f [T],
    pub(super) subtracted: Lanes<T, S>,
    /// Whether to write the exponentials.
    pub(super) keep: bool,
    /// How many bytes ahead memory is asked for: what the next pass for the largest logit reads.
    pub(super) ahead: usize,
    /// The position that is left out of the sum of exponentials, if it lies in the run.
    pub(super) left_out: isize,
    /// The gradient of another row on its way past the caches.
    pub(super) trail: Option<&'f mut Trail<'t, T>>,
}

impl<'t, T: Element, S: Isa, R: RowLoss<T>> Forward<'_, 't, T, S, R> {
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
    fn restricted(&mut self, at: usize, len: usize) -> Forward<'_, 't, T, S, R> {
        let shares = if self.shares.is_empty() {
            self.shares
        } else {
            &self.shares[at..at + len]
        };
        Forward {
            run: self.run.part(at, len),
            shares,
            left_out: self.left_out - at as isize,
            trail: self.trail.as_deref_mut(),
            ..*self
        }
    }

    /// The distance to the largest logit and the exponential at `at`.
    #[inline(always)]
    fn exponential<const FULL: bool>(&mut self, at: usize) -> [Lanes<T, S>; 2] {
        let zero = Lanes::splat(self.simd, T::ZERO);
        self.run.prefetch(self.simd, at, self.ahead);
        if let Some(trail) = &mut self.trail {
            trail.line(self.simd);
        }
        let logit = self.run.load::<S, FULL>(self.simd, at);
        let surprise = self.subtracted - logit;
        if !self.loss.normalises() {
            return [surprise, zero];
        }
        let mut exponential = exp_nonpos(logit - self.subtracted);
        if self.keep {
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

impl<'t, T: Element, S: Isa, R: RowLoss<T>> Terms<T, S, 1> for Forward<'_, 't, T, S, R> {
    type Part<'p>
        = Forward<'p, 't, T, S, R>
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

impl<'t, T: Element, S: Isa, R: RowLoss<T>> Terms<T, S, 3> for Forward<'_, 't, T, S, R> {
    type Part<'p>
        = Forward<'p, 't, T, S, R>
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

/// The second pass over neighbouring classes of a row: to gradients, from the exponentials that the
/// first pass kept, or from the logits once more.
pub(super) struct Backward<'b, T: Element, S: Isa> {
    pub(super) simd: S,
    pub(super) run: InOut<'b, T>,
    /// Whether the run holds logits.
    pub(super) logits: bool,
    /// The label's shares; empty where the label is a class.
    pub(super) shares: &'b [T],
    pub(super) subtracted: Lanes<T, S>,
    /// What the exponentials are multiplied by.
    pub(super) factor: Lanes<T, S>,
    /// What the shares are multiplied by and subtracted.
    pub(super) grad_scale: Lanes<T, S>,
    /// Whether to write past the caches.
    pub(super) stream: bool,
}

impl<T: Element, S: Isa> Backward<'_, T, S> {
    /// `normalise` if the exponentials count; else only the label's shares do.
    #[inline(always)]
    pub(super) fn run<const DENSE: bool>(mut self, normalise: bool) {
        let len = self.run.len();
        let mut at = 0;
        if self.stream {
            // Lines are written whole: in pieces they would be read first.
            let head = self.run.first_line().min(len);
            self.part(0, head).step::<DENSE, false>(0, normalise);
            at = head;
            while len - at >= T::LANES {
                let grad = self.grad::<DENSE, true>(at, normalise);
                self.run.stream(at, grad);
                at += T::LANES;
            }
        }
        while len - at >= 4 * T::LANES {
            for k in 0..4 {
                self.step::<DENSE, true>(at + k * T::LANES, normalise);
            }
            at += 4 * T::LANES;
        }
        while len - at >= T::LANES {
            self.step::<DENSE, true>(at, normalise);
            at += T::LANES;
        }
        if at < len {
            self.step::<DENSE, false>(at, normalise);
        }
    }

    /// The `len` positions from `at` on.
    #[inline(always)]
    fn part(&mut self, at: usize, len: usize) -> Backward<'_, T, S> {
        let shares = if self.shares.is_empty() {
            self.shares
        } else {
            &self.shares[at..at + len]
        };
        Backward {
            run: self.run.part(at, len),
            shares,
            ..*self
        }
    }

    #[inline(always)]
    fn step<const DENSE: bool, const FULL: bool>(&mut self, at: usize, normalise: bool) {
        let grad = self.grad::<DENSE, FULL>(at, normalise);
        self.run.store::<S, FULL>(at, grad);
    }

    #[inline(always)]
    fn grad<const DENSE: bool, const FULL: bool>(&self, at: usize, normalise: bool) -> Lanes<T, S> {
        let mut grad = Lanes::splat(self.simd, T::ZERO);
        if normalise {
            let mut exponential = self.run.load::<S, FULL>(self.simd, at);
            if self.logits {
                exponential = exp_nonpos(exponential - self.subtracted);
            }
            grad = exponential * self.factor;
        }
        if DENSE {
            let share = if FULL {
                Lanes::load(self.simd, &self.shares[at..])
            } else {
                Lanes::load_partial(self.simd, &self.shares[at..])
            };
            grad = share.neg_mul_add(self.grad_scale, grad);
        }
        grad
    }
}
