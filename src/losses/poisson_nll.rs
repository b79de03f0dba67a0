use super::common::{applied, common_options};
use super::pointwise::{FlatLabel, LabelInput};
use super::{Common, Labelled, Pointwise};
use crate::Error;
use crate::checks::not_negative;
use crate::drivers::compiled;
use crate::drivers::elementwise::{Elements, Elementwise, ValueGrad};
use crate::element::Element;
use crate::math::lanes::{exp, ln_factorial, log, stirling};
use crate::simd::{Isa, Lanes, Mask};

/// Negative log-likelihood of a count under a Poisson distribution, given the logarithm of its rate,
/// or the rate.
///
/// With the label `y` and [`epsilon`](Self::epsilon) ε, 10⁻⁸ where it is not given:
///
/// | | of a log-rate `x` (the default) | of a rate `x` ([`from_logits(false)`](Self::from_logits)) |
/// |---|---|---|
/// | loss | `e^x − y x` | `x − y ln(x + ε)` |
/// | gradient | `e^x − y` | `1 − y / (x + ε)` |
/// | pred | any number; −∞ is the rate 0 | not below −ε, else NaN, loss and gradient |
/// | pred of +∞ | loss and gradient +∞ | loss +∞, gradient 1 |
/// | rate 0 | costs 0 for the label 0, +∞ above | ε keeps it finite; with ε = 0 as beside, and a gradient of −∞ above |
/// | accuracy | A and G: the terms' absolute values, the larger one for G | the same; rounding `x + ε` adds a relative 2⁻²³ (`f64`: 2⁻⁵²) of `y` to the loss |
///
/// `label` has pred's shape and holds counts, or any number from 0 on; negative ones follow the
/// formulas. For a label of 0 the second term is 0, whatever the logarithm. An infinite label makes
/// the loss and the gradient ±∞ or NaN, since the formulas may say ∞ − ∞. A NaN of pred or label is the loss and gradient of its
/// element.
///
/// Both leave out a term that does not depend on pred, `ln(y!)`, so a loss may be below 0;
/// [`compute_full`](Self::compute_full) adds it to the loss, and to A. It has no gradient.
///
/// Gluon averages over everything, batch included:
/// [`Reduction::Mean`](crate::Reduction::Mean) does.
///
/// ```
/// use lossgrad::{LogFactorial, PoissonNllLoss};
/// use ndarray::array;
///
/// let (log_rate, label) = (array![[0.0f32, 0.0]], array![[0.0, 3.0]]);
/// let poisson = PoissonNllLoss::new();
/// let (loss, grad) = poisson.loss_and_grad(&log_rate, &label)?;
/// assert_eq!(loss, array![1.0]);
/// assert_eq!(grad, array![[0.5, -1.0]]);
///
/// let full = poisson.compute_full(LogFactorial::Exact).loss(&log_rate, &label)?;
/// assert!((full[0] - (1.0 + 0.5 * 6f32.ln())).abs() < 1e-6);
/// # Ok::<(), lossgrad::Error>(())
/// ```
#[doc(alias("PoissonNLLLoss", "poisson_nll_loss", "Poisson"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonNllLoss {
    common: Common,
    from_logits: bool,
    epsilon: f64,
    log_factorial: LogFactorial,
}

/// What a [`PoissonNllLoss`] adds for the factorial of a label `y`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFactorial {
    /// Nothing.
    #[default]
    Omitted,
    /// Stirling's approximation `y ln(y) − y + ½ ln(2π y)` for labels above 1, and 0 for the others,
    /// as Gluon and PyTorch do. Its terms' absolute values count in A.
    Stirling,
    /// `ln Γ(y + 1)`, which is `ln(y!)`; NaN for a negative label. Its absolute value counts in A.
    Exact,
}

impl Default for PoissonNllLoss {
    fn default() -> Self {
        Self {
            common: Common::default(),
            from_logits: true,
            epsilon: 1e-8,
            log_factorial: LogFactorial::Omitted,
        }
    }
}

impl PoissonNllLoss {
    common_options!();

    /// Whether pred holds logarithms of rates; yes where it is not given. They are more accurate,
    /// and cannot leave the domain.
    #[doc(alias = "log_input")]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    /// What is added to a rate before its logarithm is taken; 10⁻⁸ where it is not given. It is
    /// rounded once to the type computed in, and log-rates do without it. An error unless it is
    /// finite and at least 0.
    #[doc(alias = "eps")]
    pub fn epsilon(mut self, epsilon: f64) -> Result<Self, Error> {
        self.epsilon = not_negative("epsilon", epsilon)?;
        Ok(self)
    }

    /// Which logarithm of the label's factorial is added; none where it is not given.
    #[doc(alias = "full")]
    pub fn compute_full(mut self, log_factorial: LogFactorial) -> Self {
        self.log_factorial = log_factorial;
        self
    }

    applied!(labels: T, problem: Labelled<'a, Self, T>);
}

impl Pointwise for PoissonNllLoss {
    fn common(self) -> Common {
        self.common
    }
}

compiled!(PoissonNllLoss, inputs: LabelInput<'a, T>, run: run, flat: FlatLabel<'a, T>, run: run);

fn run<T: Element>(loss: PoissonNllLoss, work: impl Elements<T, 1>) {
    let of_rate = OfRate {
        epsilon: T::from_f64(loss.epsilon),
    };
    match (loss.log_factorial, loss.from_logits) {
        (LogFactorial::Omitted, true) => work.run(OfLogRate),
        (LogFactorial::Omitted, false) => work.run(of_rate),
        (term, from_logits) => {
            let formula = Full {
                of_rate,
                from_logits,
                exact: term == LogFactorial::Exact,
            };
            work.run(formula);
        }
    }
}

#[derive(Clone, Copy)]
struct OfLogRate;

impl<T: Element> Elementwise<T, 1> for OfLogRate {
    #[inline(always)]
    fn eval<S: Isa>(self, log_rate: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let rate = exp(log_rate);
        ValueGrad {
            value: less_share(rate, label, log_rate, label.eq(label.splat_like(0.0))),
            grad: rate - label,
        }
    }
}

#[derive(Clone, Copy)]
struct OfRate<T> {
    epsilon: T,
}

impl<T: Element> Elementwise<T, 1> for OfRate<T> {
    #[inline(always)]
    fn eval<S: Isa>(self, rate: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let (zero, one) = (rate.splat_like(0.0), rate.splat_like(1.0));
        let shifted = rate + Lanes::splat(rate.simd(), self.epsilon);
        let possible = shifted.ge(zero);
        let none = label.eq(zero) & possible;
        let slope = none.select(one, one - label / shifted);
        ValueGrad {
            value: less_share(rate, label, log(shifted), none),
            grad: possible.select(slope, rate.splat_like(f64::NAN)),
        }
    }
}

/// `rate − label log_rate`, where `none` is the rate alone: 0 · ∞ = 0.
///
/// The product is exact inside the sum, so that a rate of +∞ stands above it if only its logarithm
/// is finite: the largest number stands for that.
#[inline(always)]
fn less_share<T: Element, S: Isa>(
    rate: Lanes<T, S>,
    label: Lanes<T, S>,
    log_rate: Lanes<T, S>,
    none: Mask<T, S>,
) -> Lanes<T, S> {
    let finite = rate.splat_like(T::LARGEST_FINITE).min(log_rate);
    none.select(rate, label.neg_mul_add(finite, rate))
}

/// With the logarithm of the label's factorial. One kernel serves all choices: they are the same for
/// a whole call, and the common ones do not come here.
#[derive(Clone, Copy)]
struct Full<T> {
    of_rate: OfRate<T>,
    from_logits: bool,
    exact: bool,
}

impl<T: Element> Elementwise<T, 1> for Full<T> {
    #[inline(always)]
    fn eval<S: Isa>(self, pred: Lanes<T, S>, [label]: [Lanes<T, S>; 1]) -> ValueGrad<T, S> {
        let ValueGrad { value, grad } = if self.from_logits {
            OfLogRate.eval(pred, [label])
        } else {
            self.of_rate.eval(pred, [label])
        };
        let log_factorial = if self.exact {
            ln_factorial(label)
        } else {
            let (zero, one) = (label.splat_like(0.0), label.splat_like(1.0));
            label.gt(one).select(stirling(label), zero)
        };
        ValueGrad {
            value: value + log_factorial,
            grad,
        }
    }
}
