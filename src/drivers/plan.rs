use crate::Exec;
use crate::element::Element;
use crate::layout::Grid;
use crate::simd::{Isa, Kernel, dispatch};
use crate::tensor::Source;
use core::ops::Range;

/// A factor of the losses: `sample_weight` or `upstream`.
pub struct Factor<'a, T> {
    /// Its values on the grid; 1 everywhere where there is none.
    pub(crate) values: Option<Source<'a, T>>,
    /// Whether its shape says that a sample's units share one value.
    pub(crate) uniform: bool,
    /// Whether its shape gives the classes of a row a value each.
    pub(crate) by_class: bool,
}

impl<T: Element> Factor<'_, T> {
    /// 1 everywhere.
    #[inline]
    pub(crate) fn one() -> Self {
        Self {
            values: None,
            uniform: true,
            by_class: false,
        }
    }

    /// Copies the values of a stretch of units.
    fn copy(&self, sample: usize, units: Range<usize>, to: &mut [T]) {
        match &self.values {
            Some(values) => values.copy(sample, units, to),
            None => to.fill(T::from_f64(1.0)),
        }
    }

    /// Copies the values of some classes of a row.
    fn copy_classes(&self, sample: usize, unit: usize, classes: Range<usize>, to: &mut [T]) {
        match &self.values {
            Some(values) => values.copy_row(sample, unit, classes, to),
            None => to.fill(T::from_f64(1.0)),
        }
    }

    /// The value of a unit.
    #[inline]
    pub(crate) fn get(&self, sample: usize, unit: usize) -> f64 {
        self.values
            .as_ref()
            .map_or(1.0, |values| values.get(sample, unit).to_f64())
    }

    /// The value that a sample's units share.
    #[inline]
    fn of_sample(&self, sample: usize) -> f64 {
        self.values
            .as_ref()
            .map_or(1.0, |values| values.get(sample, 0).to_f64())
    }
}

/// What a call computes, after every check: the same for every driver.
pub struct Plan<'a, T> {
    pub(crate) exec: Exec,
    pub(crate) grid: Grid<'a>,
    pub(crate) scaling: Scaling,
    pub(crate) sample_weight: Factor<'a, T>,
    pub(crate) upstream: Factor<'a, T>,
    /// Whether each class of a row has a loss that is not summed: by the shapes of the call, whether
    /// or not losses are wanted.
    pub(crate) each_class: bool,
    /// Whether predictions, labels and gradients are too large for the caches, and gradients are
    /// written elsewhere than in place.
    pub(crate) may_stream: bool,
}

/// What every loss is multiplied by and divided by.
#[derive(Clone, Copy)]
pub struct Scaling {
    /// The loss's own weight, rounded to the type computed in.
    pub(crate) weight: f64,
    /// What sums are divided by.
    pub(crate) divisor: f64,
}

impl Scaling {
    /// The factors of units that share a weight and an upstream.
    #[inline]
    pub(crate) fn scale<T: Element>(self, weight: f64, upstream: f64) -> Scale<T> {
        Scale {
            loss: T::from_f64(self.weight * weight),
            grad: T::from_f64(self.weight / self.divisor * (weight * upstream)),
        }
    }

    /// The loss of units that share a weight, given the sum of their terms.
    #[inline]
    pub(crate) fn total<T: Element>(self, weight: f64, sum: f64) -> T {
        T::from_f64(sum * (self.weight * weight) / self.divisor)
    }
}

/// The factors of a sample's units.
#[derive(Clone, Copy)]
pub struct Scale<T> {
    /// What a unit's loss is multiplied by.
    pub(crate) loss: T,
    /// What a unit's derivative is multiplied by.
    pub(crate) grad: T,
}

impl<T: Element> Plan<'_, T> {
    /// Whether there are neither weights nor upstream: all units have the same factors.
    pub(crate) fn is_constant(&self) -> bool {
        self.sample_weight.values.is_none() && self.upstream.values.is_none()
    }

    /// Whether the gradients of so many operands, where they are runs, go past the caches; `light` if
    /// computing them takes less time than memory does.
    pub(crate) fn streams(&self, light: bool, operands: usize) -> bool {
        self.may_stream && self.exec.stores.past_caches(light, operands)
    }

    /// Whether the units of a sample share their factors.
    #[inline]
    pub(crate) fn is_uniform(&self) -> bool {
        self.sample_weight.uniform && self.upstream.uniform
    }

    /// The factors that the units of a sample share. If they do not, the units' own weight and
    /// upstream are still to be multiplied in.
    #[inline]
    pub(crate) fn scale(&self, sample: usize) -> Scale<T> {
        let (mut weight, mut upstream) = (1.0, 1.0);
        if self.is_uniform() {
            weight = self.sample_weight.of_sample(sample);
            upstream = self.upstream.of_sample(sample);
        }
        self.scaling.scale(weight, upstream)
    }

    /// The factors of units that do not share them: weights, and what losses and derivatives are
    /// multiplied by, each rounded once.
    pub(crate) fn factors(&self, sample: usize, units: Range<usize>, to: [&mut [T]; 3]) {
        let len = units.len();
        let [weight, loss, grad] = to.map(|buffer| &mut buffer[..len]);
        self.sample_weight.copy(sample, units.clone(), weight);
        self.upstream.copy(sample, units, grad);
        self.multiply(weight, loss, grad);
    }

    /// As [`factors`](Self::factors), of some classes of a row.
    pub(crate) fn class_factors(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        to: [&mut [T]; 3],
    ) {
        let len = classes.len();
        let [weight, loss, grad] = to.map(|buffer| &mut buffer[..len]);
        self.sample_weight
            .copy_classes(sample, unit, classes.clone(), weight);
        self.upstream.copy_classes(sample, unit, classes, grad);
        self.multiply(weight, loss, grad);
    }

    /// Whether the classes of a row have losses or factors of their own.
    pub(crate) fn is_by_class(&self) -> bool {
        self.each_class || self.sample_weight.by_class || self.upstream.by_class
    }

    /// What losses and derivatives are multiplied by, given the weights and, in the last place,
    /// upstream.
    fn multiply(&self, weight: &[T], loss: &mut [T], grad: &mut [T]) {
        let multiply = Multiply {
            factor: self.scaling.weight,
            divisor: self.scaling.divisor,
            weight,
            loss,
            grad,
        };
        dispatch(self.exec.level, multiply);
    }

    /// Whether a weight of 0 masks a whole sample.
    #[inline]
    pub(crate) fn is_masked(&self, sample: usize) -> bool {
        self.scaling.weight == 0.0
            || (self.sample_weight.uniform && self.sample_weight.of_sample(sample) == 0.0)
    }

    /// A sample's loss, given the sum of its terms.
    #[inline]
    pub(crate) fn total(&self, sample: usize, sum: f64) -> T {
        if self.is_masked(sample) {
            return T::ZERO;
        }
        let weight = if self.is_uniform() {
            self.sample_weight.of_sample(sample)
        } else {
            1.0
        };
        self.scaling.total(weight, sum)
    }
}

/// The factors of a stretch, in a loop that the compiler makes vectors of.
struct Multiply<'m, T> {
    factor: f64,
    divisor: f64,
    weight: &'m [T],
    loss: &'m mut [T],
    grad: &'m mut [T],
}

impl<T: Element> Kernel for Multiply<'_, T> {
    type Home = Self;
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        let Self {
            factor,
            divisor,
            weight,
            loss,
            grad,
        } = self;
        for ((weight, loss), grad) in weight.iter().zip(loss).zip(grad) {
            let scaled = factor * weight.to_f64();
            *loss = T::from_f64(scaled);
            *grad = T::from_f64(scaled * grad.to_f64() / divisor);
        }
    }
}
