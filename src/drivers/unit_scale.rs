use super::plan::Scale;
use super::{Outputs, Plan};
use crate::element::Element;
use core::ops::Range;

/// The factors of one unit, for the losses whose units are rows.
#[derive(Clone, Copy)]
pub(crate) struct UnitScale<T> {
    /// The weight of the unit's term in a sum.
    weight: f64,
    /// What its loss is multiplied by.
    loss: T,
    /// What its derivative is multiplied by.
    pub(crate) grad: f64,
}

impl<T: Element> UnitScale<T> {
    /// The factors of a unit, or `None` where a weight of 0 masks it.
    #[inline]
    pub(crate) fn of(plan: &Plan<'_, T>, sample: usize, unit: usize) -> Option<Self> {
        if plan.is_masked(sample) {
            return None;
        }
        if plan.is_uniform() {
            return Some(plan.scale(sample).into());
        }
        let weight = plan.sample_weight.get(sample, unit);
        if weight == 0.0 {
            return None;
        }
        let scaled = plan.scaling.weight * weight;
        let grad = scaled * plan.upstream.get(sample, unit) / plan.scaling.divisor;
        let (loss, grad) = (T::from_f64(scaled), T::from_f64(grad).to_f64());
        Some(Self { weight, loss, grad })
    }

    /// Writes a unit's loss where each is wanted, and returns its term of the sum.
    #[inline]
    pub(crate) fn emit<const K: usize>(
        &self,
        outputs: &mut Outputs<'_, T, K>,
        sample: usize,
        unit: usize,
        loss: T,
    ) -> f64 {
        if let Some(each) = &mut outputs.each {
            each.set(sample, unit, self.scaled(loss));
        }
        self.term(loss)
    }

    /// A unit's loss as it is returned.
    #[inline]
    pub(crate) fn scaled(&self, loss: T) -> T {
        T::from_f64(self.loss.to_f64() * loss.to_f64())
    }

    /// Adds the terms of some units to `sum`, one by one.
    #[inline]
    pub(crate) fn add_terms(&self, losses: &[T], sum: &mut f64) {
        for &loss in losses {
            *sum += self.term(loss);
        }
    }

    #[inline]
    fn term(&self, loss: T) -> f64 {
        self.weight * loss.to_f64()
    }
}

impl<T: Element> From<Scale<T>> for UnitScale<T> {
    /// The factors of a unit that shares them with others.
    #[inline]
    fn from(scale: Scale<T>) -> Self {
        Self {
            weight: 1.0,
            loss: scale.loss,
            grad: scale.grad.to_f64(),
        }
    }
}

/// The factors of the units of a leaf, or of a call.
pub(crate) enum UnitScales<'p, 'a, T> {
    /// The same for all, unless they are masked.
    Same(Option<UnitScale<T>>),
    /// Each unit's own, as the plan says.
    Own(&'p Plan<'a, T>),
}

impl<'p, 'a, T: Element> UnitScales<'p, 'a, T> {
    pub(crate) fn new(plan: &'p Plan<'a, T>) -> Self {
        match plan.is_constant() {
            true => Self::Same(UnitScale::of(plan, 0, 0)),
            false => Self::Own(plan),
        }
    }

    /// The factors of a unit, or `None` where a weight of 0 masks it.
    #[inline(always)]
    pub(crate) fn of(&self, sample: usize, unit: usize) -> Option<UnitScale<T>> {
        match self {
            Self::Same(scale) => *scale,
            Self::Own(plan) => UnitScale::of(plan, sample, unit),
        }
    }

    /// What all units' derivatives are multiplied by where they have the same factors, 0 if these mask
    /// them.
    #[inline(always)]
    pub(crate) fn grad_of_all(&self) -> Option<f64> {
        match self {
            Self::Same(scale) => Some(scale.map_or(0.0, |scale| scale.grad)),
            Self::Own(_) => None,
        }
    }

    /// Adds the terms of some units of a sample to `sum`, one by one, and writes their losses where each
    /// is wanted; zeros for what is masked. What is left in `losses` is of no use.
    pub(crate) fn emit<const K: usize>(
        &self,
        outputs: &mut Outputs<'_, T, K>,
        sample: usize,
        units: Range<usize>,
        losses: &mut [T],
        sum: &mut f64,
    ) {
        assert_eq!(units.len(), losses.len());
        match self {
            Self::Own(plan) => {
                for (unit, &loss) in units.zip(&*losses) {
                    match UnitScale::of(plan, sample, unit) {
                        None => outputs.mask(sample, unit..unit + 1),
                        Some(scale) => *sum += scale.emit(outputs, sample, unit, loss),
                    }
                }
            }
            Self::Same(None) => outputs.mask(sample, units),
            Self::Same(Some(scale)) => {
                scale.add_terms(losses, sum);
                if let Some(each) = &mut outputs.each {
                    for loss in &mut *losses {
                        *loss = scale.scaled(*loss);
                    }
                    each.write(sample, units.start, losses);
                }
            }
        }
    }
}
