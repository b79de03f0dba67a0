//! Weights, upstream gradients and reductions, for any loss.

use ndarray::{ArrayD, ArrayRefD, Axis, IxDyn};

use super::maths::{part, sum};
use super::terms::{Terms, resolve_axis};
use crate::Reduction;

/// How units are weighted and what becomes of their losses.
#[derive(Clone, Debug)]
pub struct Weighting {
    /// The loss's own weight.
    pub weight: f64,
    /// Of pred's rank, broadcast by NumPy's rule (1 along the class axis); or one per unit; or one
    /// per sample, of shape (N,).
    pub sample_weight: Option<ArrayD<f64>>,
    /// d objective / d returned loss, one per returned loss: for `Reduction::None` in the forms
    /// of `sample_weight`, otherwise in any shape whose elements are the samples in order, or a
    /// single element for all.
    pub upstream: Option<ArrayD<f64>>,
    /// The axis of pred that counts samples; from the back where negative.
    pub batch_axis: isize,
    /// What becomes of the units' losses.
    pub reduction: Reduction,
}

impl Default for Weighting {
    fn default() -> Self {
        Self {
            weight: 1.0,
            sample_weight: None,
            upstream: None,
            batch_axis: 0,
            reduction: Reduction::SampleMean,
        }
    }
}

/// What the library returns, and how exact it has to be; see the [module's page](super).
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced {
    /// The returned losses.
    pub loss: ArrayD<f64>,
    /// A of each returned loss.
    pub magnitude: ArrayD<f64>,
    /// The slack of each returned loss.
    pub loss_slack: ArrayD<f64>,
    /// d(sum of upstream · loss) / d pred.
    pub grad: ArrayD<f64>,
    /// |coefficient| · G of each derivative.
    pub scale: ArrayD<f64>,
    /// |coefficient| · slack of each derivative.
    pub grad_slack: ArrayD<f64>,
}

/// What units are multiplied by on their way through weights and reduction.
pub(super) struct Factors {
    /// The batch axis among the axes that units have.
    unit_axis: usize,
    /// How many units a mean runs over; 1 where there is none.
    divisor: f64,
    /// aᵢ of each unit's loss.
    pub(super) weight: ArrayD<f64>,
    /// cᵢ of each unit's derivative.
    pub(super) coefficient: ArrayD<f64>,
}

impl Terms {
    /// Applies weights, upstream and reduction.
    ///
    /// With aᵢ = weight · sample_weightᵢ, a unit's weighted loss is aᵢ·lossᵢ. Means divide by the
    /// number of units they run over, never by weights:
    ///
    /// ```text
    /// None        every aᵢ·lossᵢ
    /// SampleSum   per sample, the sum over its units
    /// SampleMean  per sample, that sum divided by the units per sample, M
    /// Sum         the sum over all units
    /// Mean        that sum divided by the number of units
    /// ```
    ///
    /// The derivative of a unit is multiplied by its coefficient cᵢ = aᵢ · upstream / divisor,
    /// where upstream belongs to the returned loss that the unit went into. A unit whose aᵢ is
    /// exactly 0 is masked: its loss and derivative are 0 even where its input is NaN. A mean over
    /// nothing is NaN here; the library refuses it.
    ///
    /// # Panics
    /// Where a shape does not fit, or the batch axis is the class axis.
    pub fn reduce(&self, how: &Weighting) -> Reduced {
        let Factors {
            unit_axis,
            divisor,
            weight,
            coefficient,
        } = self.factors(how);

        let loss = |of_unit: &ArrayD<f64>, signed: bool| {
            let mut weighted = of_unit.clone();
            weighted.zip_mut_with(&weight, |value, &a| {
                let a = if signed { a } else { a.abs() };
                *value = masked(a, *value);
            });
            reduced(&weighted, how.reduction, unit_axis, divisor)
        };
        let grad = |of_pred: &ArrayD<f64>, signed: bool| {
            let mut out = of_pred.clone();
            out.zip_mut_with(&self.over_classes(&coefficient), |value, &c| {
                *value *= if signed { c } else { c.abs() };
            });
            out.zip_mut_with(&self.over_classes(&weight), |value, &a| {
                *value = if a == 0.0 { 0.0 } else { *value };
            });
            out
        };
        Reduced {
            loss: loss(&self.loss, true),
            magnitude: loss(&self.magnitude, false),
            loss_slack: loss(&self.loss_slack, false),
            grad: grad(&self.grad, true),
            scale: grad(&self.grad_scale, false),
            grad_slack: grad(&self.grad_slack, false),
        }
    }

    /// What the losses and the derivatives are multiplied by, one of each per unit.
    pub(super) fn factors(&self, how: &Weighting) -> Factors {
        let batch_axis = resolve_axis(how.batch_axis, self.grad.ndim());
        assert!(!self.row_axes.contains(&batch_axis), "batch axis in a row");
        let samples = self.grad.shape()[batch_axis];
        // The batch axis among the axes that units have.
        let below = self.row_axes.iter().filter(|&&axis| axis < batch_axis);
        let unit_axis = batch_axis - below.count();
        let units = self.loss.len();
        let divisor = match how.reduction {
            Reduction::SampleMean => units.checked_div(samples).unwrap_or(0) as f64,
            Reduction::Mean => units as f64,
            _ => 1.0,
        };

        let ones = || ArrayD::ones(self.loss.raw_dim());
        let weight = match &how.sample_weight {
            Some(w) => self.per_unit(w, unit_axis),
            None => ones(),
        } * how.weight;
        let upstream = match &how.upstream {
            Some(u) => self.spread_upstream(u, how.reduction, unit_axis),
            None => ones(),
        };
        let coefficient = &weight * &upstream / divisor;
        Factors {
            unit_axis,
            divisor,
            weight,
            coefficient,
        }
    }

    /// Brings a weight in any of its accepted shapes to one per unit.
    fn per_unit(&self, given: &ArrayRefD<f64>, unit_axis: usize) -> ArrayD<f64> {
        let units = self.loss.raw_dim();
        if given.shape() == self.loss.shape() {
            return given.to_owned();
        }
        let of_pred_rank = given.ndim() == self.grad.ndim();
        if !of_pred_rank && given.shape() == [self.loss.shape()[unit_axis]] {
            let mut shape = vec![1; self.loss.ndim()];
            shape[unit_axis] = given.len();
            let column = given.to_shape(shape).expect("as many elements");
            return column.broadcast(units).expect("1 elsewhere").to_owned();
        }
        assert!(
            of_pred_rank,
            "weight {:?} for {:?}",
            given.shape(),
            self.grad.shape()
        );
        let mut of_units = given.view();
        for &axis in self.row_axes.iter().rev() {
            assert_eq!(of_units.shape()[axis], 1, "weight along a row");
            of_units = of_units.index_axis_move(Axis(axis), 0);
        }
        of_units
            .broadcast(units)
            .expect("weight broadcasts")
            .to_owned()
    }

    /// Upstream of each unit: that of the returned loss it goes into.
    fn spread_upstream(
        &self,
        given: &ArrayRefD<f64>,
        reduction: Reduction,
        unit_axis: usize,
    ) -> ArrayD<f64> {
        match reduction {
            Reduction::None => self.per_unit(given, unit_axis),
            Reduction::SampleMean | Reduction::SampleSum if given.len() != 1 => {
                let flat = given.flatten().into_dyn();
                assert_eq!(
                    flat.len(),
                    self.loss.shape()[unit_axis],
                    "one upstream per sample"
                );
                let mut shape = vec![1; self.loss.ndim()];
                shape[unit_axis] = flat.len();
                let column = flat.to_shape(shape).expect("as many elements");
                column
                    .broadcast(self.loss.raw_dim())
                    .expect("1 elsewhere")
                    .to_owned()
            }
            _ => {
                assert_eq!(given.len(), 1, "one upstream for all");
                ArrayD::from_elem(self.loss.raw_dim(), given.iter().copied().sum())
            }
        }
    }

    /// A value per unit as a value per element of pred.
    fn over_classes(&self, of_unit: &ArrayD<f64>) -> ArrayD<f64> {
        let mut with_axes = of_unit.view();
        for &axis in &self.row_axes {
            with_axes = with_axes.insert_axis(Axis(axis));
        }
        with_axes
            .broadcast(self.grad.raw_dim())
            .expect("1 along the rows")
            .to_owned()
    }
}

fn masked(weight: f64, value: f64) -> f64 {
    if weight == 0.0 {
        0.0
    } else {
        part(weight, value)
    }
}

fn reduced(
    units: &ArrayD<f64>,
    reduction: Reduction,
    unit_axis: usize,
    divisor: f64,
) -> ArrayD<f64> {
    match reduction {
        Reduction::None => units.clone(),
        Reduction::SampleMean | Reduction::SampleSum => {
            let sample = |of: ndarray::ArrayViewD<'_, f64>| sum(of.iter().copied()) / divisor;
            units
                .axis_iter(Axis(unit_axis))
                .map(sample)
                .collect::<ndarray::Array1<_>>()
                .into_dyn()
        }
        Reduction::Mean | Reduction::Sum => {
            ArrayD::from_elem(IxDyn(&[]), sum(units.iter().copied()) / divisor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{l2, softmax_ce_sparse};
    use super::*;
    use ndarray::array;

    /// Losses 2, 8, 18 and 0, 2, 32 for two samples of three.
    fn terms() -> Terms {
        let pred = array![[2.0, 4.0, -6.0], [0.0, 2.0, 8.0]].into_dyn();
        l2(&pred, &ArrayD::zeros(pred.raw_dim()))
    }

    fn loss(how: Weighting) -> ArrayD<f64> {
        terms().reduce(&how).loss
    }

    fn by(reduction: Reduction) -> Weighting {
        Weighting {
            reduction,
            ..Weighting::default()
        }
    }

    #[test]
    fn each_reduction_divides_by_what_it_runs_over() {
        let per_element = array![[2.0, 8.0, 18.0], [0.0, 2.0, 32.0]].into_dyn();
        assert_eq!(loss(by(Reduction::None)), per_element);
        assert_eq!(
            loss(by(Reduction::SampleSum)),
            array![28.0, 34.0].into_dyn()
        );
        assert_eq!(
            loss(by(Reduction::SampleMean)),
            array![28.0 / 3.0, 34.0 / 3.0].into_dyn()
        );
        assert_eq!(loss(by(Reduction::Sum))[[]], 62.0);
        assert_eq!(loss(by(Reduction::Mean))[[]], 62.0 / 6.0);
        let by_column = Weighting {
            batch_axis: -1,
            ..by(Reduction::SampleSum)
        };
        assert_eq!(loss(by_column), array![2.0, 10.0, 50.0].into_dyn());
    }

    #[test]
    fn every_form_of_weight_says_the_same() {
        let forms = [
            array![1.0, 3.0].into_dyn(),
            array![[1.0], [3.0]].into_dyn(),
            array![[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]].into_dyn(),
        ];
        for form in forms {
            let how = Weighting {
                weight: 0.5,
                sample_weight: Some(form),
                ..by(Reduction::SampleSum)
            };
            let reduced = terms().reduce(&how);
            assert_eq!(reduced.loss, array![14.0, 51.0].into_dyn());
            assert_eq!(
                reduced.grad,
                array![[1.0, 2.0, -3.0], [0.0, 3.0, 12.0]].into_dyn()
            );
            assert_eq!(reduced.scale, reduced.grad.abs());
        }
    }

    #[test]
    fn upstream_scales_the_gradient_of_its_own_loss_only() {
        let how = Weighting {
            upstream: Some(array![3.0, -1.0].into_dyn()),
            ..Weighting::default()
        };
        let reduced = terms().reduce(&how);
        assert_eq!(reduced.loss, loss(Weighting::default()));
        assert_eq!(
            reduced.grad,
            array![[2.0, 4.0, -6.0], [0.0, -2.0 / 3.0, -8.0 / 3.0]].into_dyn()
        );
    }

    #[test]
    fn a_weight_of_zero_masks_what_is_not_a_number() {
        let pred = array![[f64::NAN, 1.0], [f64::INFINITY, 2.0]].into_dyn();
        let how = Weighting {
            sample_weight: Some(array![[0.0, 1.0], [0.0, 1.0]].into_dyn()),
            ..by(Reduction::Sum)
        };
        let reduced = l2(&pred, &ArrayD::zeros(pred.raw_dim())).reduce(&how);
        assert_eq!(reduced.loss[[]], 2.5);
        assert_eq!(reduced.grad, array![[0.0, 1.0], [0.0, 2.0]].into_dyn());
    }

    #[test]
    fn rows_are_weighted_without_their_class_axis() {
        // Two classes along axis 1, samples along axis 2: every loss is log 2.
        let pred = ArrayD::zeros(vec![2, 2, 3]);
        let terms = softmax_ce_sparse(&pred, &ArrayD::zeros(vec![2, 3]), 1, false);
        let per_sample = array![1.0, 2.0, 3.0];
        let forms = [
            per_sample.clone().into_dyn(),
            array![[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]].into_dyn(),
            array![[[1.0, 2.0, 3.0]]].into_dyn(),
        ];
        for form in forms {
            let how = Weighting {
                sample_weight: Some(form),
                batch_axis: 2,
                ..Weighting::default()
            };
            let reduced = terms.reduce(&how);
            assert_eq!(
                reduced.loss,
                (&per_sample * std::f64::consts::LN_2).into_dyn()
            );
            assert_eq!(reduced.grad[[1, 1, 2]], 0.75);
            assert_eq!(reduced.grad[[1, 0, 2]], -0.75);
        }
    }

    #[test]
    fn an_empty_batch_has_no_losses_and_the_sum_of_nothing_is_zero() {
        let nothing = ArrayD::zeros(vec![0, 3]);
        let terms = l2(&nothing, &nothing);
        assert_eq!(terms.reduce(&by(Reduction::SampleMean)).loss.shape(), [0]);
        assert_eq!(terms.reduce(&by(Reduction::Sum)).loss[[]], 0.0);
        assert!(terms.reduce(&by(Reduction::Mean)).loss[[]].is_nan());
    }
}
