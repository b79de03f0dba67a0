//! Every check of a call, before the first write.

use crate::drivers::Factor;
use crate::drivers::flat::{MOST_SAMPLES, MOST_VALUES};
use crate::element::Element;
use crate::layout::{AxisSet, Extents, Grid, Shelf};
use crate::tensor::{Source, Target, Tensor, TensorMut};
use crate::{Error, Reduction};

/// An option that must be a finite number.
pub(crate) fn finite(option: &'static str, value: f64) -> Result<f64, Error> {
    option_value(option, value, "a finite number", value.is_finite())
}

/// An option that must be a finite number above 0.
pub(crate) fn positive(option: &'static str, value: f64) -> Result<f64, Error> {
    let fits = value.is_finite() && value > 0.0;
    option_value(option, value, "a finite number above 0", fits)
}

/// An option that must be a finite number, 0 or more.
pub(crate) fn not_negative(option: &'static str, value: f64) -> Result<f64, Error> {
    let fits = value.is_finite() && value >= 0.0;
    option_value(option, value, "a finite number, 0 or more", fits)
}

fn option_value(
    option: &'static str,
    found: f64,
    expected: &'static str,
    fits: bool,
) -> Result<f64, Error> {
    if fits {
        Ok(found)
    } else {
        Err(Error::Value {
            option,
            found,
            expected,
        })
    }
}

/// An argument that must have a given shape.
#[inline]
pub(crate) fn shape(
    argument: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), Error> {
    // A loop is faster than comparing the memory of so few numbers.
    if found.iter().eq(expected) {
        return Ok(());
    }
    Err(shape_error(argument, found, expected))
}

#[cold]
fn shape_error(argument: &'static str, found: &[usize], expected: &[usize]) -> Error {
    Error::Shape {
        argument,
        found: found.to_vec(),
        expected: expected.to_vec(),
    }
}

/// An axis counted from the front; a negative one counts from the back.
fn axis(option: &'static str, axis: isize, rank: usize) -> Result<usize, Error> {
    let from_front = if axis < 0 {
        axis.checked_add_unsigned(rank)
    } else {
        Some(axis)
    };
    from_front
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
        .ok_or(Error::Axis { option, axis, rank })
}

/// What a loss computes at a time, and what has a loss of its own before any reduction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// An element.
    Element,
    /// A row along an axis.
    Row {
        /// The axis; from the back where negative.
        axis: isize,
    },
    /// A row along an axis, but each of its classes has a loss of its own.
    Class {
        /// The axis; from the back where negative.
        axis: isize,
    },
    /// A whole sample.
    Sample,
}

/// The shapes of a call: what each argument is checked against.
pub struct Shapes<'s> {
    /// pred's shape.
    pub(crate) pred: &'s [usize],
    /// The batch axis, counted from the front.
    batch_axis: usize,
    /// The axes that a unit runs along, counted from the front.
    row_axes: AxisSet,
    /// The axes that the losses lack: those of `row_axes`, unless each class has a loss.
    lacking: AxisSet,
    /// Whether each class of a row has a loss of its own.
    pub(crate) each_class: bool,
    /// How the losses are gathered.
    reduction: Reduction,
    /// How many losses a sample has before any reduction.
    losses_per_sample: usize,
}

impl<'s> Shapes<'s> {
    // A call of its own would hand it over in memory, which small calls wait for.
    #[inline(always)]
    pub(crate) fn new(
        pred: &'s [usize],
        batch_axis: isize,
        unit: Unit,
        reduction: Reduction,
    ) -> Result<Self, Error> {
        let rank = pred.len();
        let class_axis = match unit {
            Unit::Row { axis } | Unit::Class { axis } => Some(self::axis("axis", axis, rank)?),
            Unit::Element | Unit::Sample => None,
        };
        let batch_axis = axis("batch_axis", batch_axis, rank)?;
        if let Some(axis) = class_axis {
            if axis == batch_axis {
                return Err(Error::SameAxis { axis });
            }
            if pred[axis] == 0 {
                return Err(Error::NoClasses {
                    shape: pred.to_vec(),
                    axis,
                });
            }
        }
        let row_axes = match (unit, class_axis) {
            (Unit::Sample, _) => AxisSet::all_but(batch_axis, rank),
            (_, Some(axis)) => AxisSet::One(axis),
            (_, None) => AxisSet::None,
        };
        let each_class = matches!(unit, Unit::Class { .. });
        let lacking = if each_class { AxisSet::None } else { row_axes };
        let mut losses_per_sample = 1;
        for (axis, &extent) in pred.iter().enumerate() {
            if axis != batch_axis && !lacking.contains(axis) {
                losses_per_sample *= extent;
            }
        }
        let shapes = Self {
            pred,
            batch_axis,
            row_axes,
            lacking,
            each_class,
            reduction,
            losses_per_sample,
        };
        let nothing = match reduction {
            Reduction::Mean => shapes.samples() * losses_per_sample == 0,
            Reduction::SampleMean => shapes.samples() > 0 && losses_per_sample == 0,
            _ => false,
        };
        if nothing {
            return Err(Error::EmptyMean {
                shape: pred.to_vec(),
                reduction,
            });
        }
        Ok(shapes)
    }

    /// How many samples there are.
    #[inline]
    fn samples(&self) -> usize {
        self.pred[self.batch_axis]
    }

    /// How many entries a row has, where units are rows along an axis.
    #[inline]
    pub(crate) fn classes(&self) -> usize {
        match self.row_axes {
            AxisSet::One(axis) => self.pred[axis],
            _ => 1,
        }
    }

    /// The position of a unit in the labels, which lack the axes of rows.
    pub(crate) fn label_index(&self, grid: &Grid<'_>, sample: usize, unit: usize) -> Vec<usize> {
        let index = grid.index(sample, unit).into_iter().enumerate();
        index
            .filter(|&(axis, _)| !self.row_axes.contains(axis))
            .map(|(_, position)| position)
            .collect()
    }

    /// pred's shape with 1 on every axis that the losses lack.
    fn broadcast(&self) -> Extents {
        let mut shape = Extents::from_slice(self.pred);
        for (axis, extent) in shape.iter_mut().enumerate() {
            if self.lacking.contains(axis) {
                *extent = 1;
            }
        }
        shape
    }

    /// One place per loss before any reduction: pred's shape without the axes that losses lack.
    fn each_loss(&self) -> impl Iterator<Item = usize> {
        let axes = self.pred.iter().enumerate();
        axes.filter(|&(axis, _)| !self.lacking.contains(axis))
            .map(|(_, &extent)| extent)
    }

    /// Whether a shape has one place per loss before any reduction.
    #[inline]
    fn is_each_loss(&self, found: &[usize]) -> bool {
        found.iter().copied().eq(self.each_loss())
    }

    /// Checks an argument that has one place per loss before any reduction.
    pub(crate) fn check_each_loss(
        &self,
        argument: &'static str,
        found: &[usize],
    ) -> Result<(), Error> {
        if self.is_each_loss(found) {
            return Ok(());
        }
        shape(argument, found, &self.each_loss().collect::<Extents>())
    }

    /// The shape of the reduced losses.
    pub(crate) fn reduced(&self) -> Extents {
        match self.reduction {
            Reduction::None => self.each_loss().collect(),
            Reduction::SampleMean | Reduction::SampleSum => Extents::from_slice(&[self.samples()]),
            Reduction::Mean | Reduction::Sum => Extents::new(),
        }
    }

    /// Checks the shape of the losses' place.
    #[inline]
    pub(crate) fn check_loss(&self, found: &[usize]) -> Result<(), Error> {
        match self.reduction {
            Reduction::None => self.check_each_loss("loss", found),
            Reduction::SampleMean | Reduction::SampleSum => shape("loss", found, &[self.samples()]),
            Reduction::Mean | Reduction::Sum => shape("loss", found, &[]),
        }
    }

    /// Whether sums are gathered sample by sample. A sample of one loss needs no sum: its losses
    /// are visited like those of a reduction that gathers nothing.
    #[inline]
    fn gathers_samples(&self) -> bool {
        self.reduction.per_sample() && self.losses_per_sample != 1
    }

    /// How many samples, units of each and entries of a unit a flat call has, if this can be
    /// one: there are few of them, and they are visited in the order of pred's axes.
    #[inline]
    pub(crate) fn flat_extents(&self) -> Option<[usize; 3]> {
        let rows_are_last = match self.row_axes {
            AxisSet::None => true,
            AxisSet::One(axis) => axis + 1 == self.pred.len(),
            AxisSet::AllBut(_) | AxisSet::All => false,
        };
        if !rows_are_last {
            return None;
        }
        let row_len = self.classes();
        let (samples, units) = match self.gathers_samples() {
            true if self.batch_axis == 0 => (self.samples(), self.losses_per_sample),
            true => return None,
            false => (1, self.samples() * self.losses_per_sample),
        };
        let values = samples * units * row_len;
        let fits = samples <= MOST_SAMPLES && (1..=MOST_VALUES).contains(&values);
        (fits && !self.each_class).then_some([samples, units, row_len])
    }

    /// The order in which the call visits its units.
    #[inline]
    pub(crate) fn grid(&self, shelf: &'s Shelf) -> Grid<'s> {
        let sample_axis = self.gathers_samples().then_some(self.batch_axis);
        Grid::new(self.pred, sample_axis, self.row_axes, shelf)
    }

    /// Whether the units' losses are written one by one.
    #[inline]
    pub(crate) fn writes_each(&self) -> bool {
        !self.reduction.is_scalar() && !self.gathers_samples()
    }

    /// What sums are divided by.
    #[inline]
    pub(crate) fn divisor(&self) -> f64 {
        match self.reduction {
            Reduction::SampleMean => self.losses_per_sample as f64,
            Reduction::Mean => (self.samples() * self.losses_per_sample) as f64,
            _ => 1.0,
        }
    }

    /// The values of an input of pred's shape, if they lie in their order without gaps.
    #[inline]
    pub(crate) fn in_order<'a, T>(&self, input: Tensor<'a, T>) -> Option<&'a [T]> {
        match input.shape.iter().eq(self.pred) {
            true => input.in_order(),
            false => None,
        }
    }

    /// The same of an input that has one place per loss before any reduction.
    #[inline]
    pub(crate) fn each_loss_in_order<'a, T>(&self, input: Tensor<'a, T>) -> Option<&'a [T]> {
        match self.is_each_loss(input.shape) {
            true => input.in_order(),
            false => None,
        }
    }

    /// A label or factor with one value per loss, spread over pred.
    pub(crate) fn spread<'a, T>(&self, tensor: Tensor<'a, T>) -> Tensor<'a, T> {
        tensor.lacking(self.lacking)
    }

    /// Checks an input that spreads over pred by NumPy's rule.
    pub(crate) fn check_broadcast<T>(
        &self,
        argument: &'static str,
        tensor: Tensor<'_, T>,
    ) -> Result<(), Error> {
        if tensor.spreads_over(self.pred) {
            return Ok(());
        }
        Err(Error::Shape {
            argument,
            found: tensor.shape.to_vec(),
            expected: self.pred.to_vec(),
        })
    }

    /// Spreads `sample_weight` over the units.
    #[inline]
    pub(crate) fn sample_weight<'a, T: Element>(
        &self,
        tensor: Option<Tensor<'a, T>>,
        grid: &Grid<'a>,
    ) -> Result<Factor<'a, T>, Error> {
        let Some(tensor) = tensor else {
            return Ok(Factor::one());
        };
        let losses: Extents = self.each_loss().collect();
        self.factor("sample_weight", tensor, grid, &self.broadcast(), &losses)
    }

    /// Spreads `upstream`, which has one value per returned loss, over the units.
    #[inline]
    pub(crate) fn upstream<'a, T: Element>(
        &self,
        tensor: Option<Tensor<'a, T>>,
        grid: &Grid<'a>,
    ) -> Result<Factor<'a, T>, Error> {
        let Some(tensor) = tensor else {
            return Ok(Factor::one());
        };
        let mut broadcast = self.broadcast();
        if self.reduction != Reduction::None {
            for (axis, extent) in broadcast.iter_mut().enumerate() {
                if self.reduction.is_scalar() || axis != self.batch_axis {
                    *extent = 1;
                }
            }
        }
        self.factor("upstream", tensor, grid, &broadcast, &self.reduced())
    }

    fn factor<'a, T: Element>(
        &self,
        argument: &'static str,
        tensor: Tensor<'a, T>,
        grid: &Grid<'a>,
        broadcast: &[usize],
        losses: &[usize],
    ) -> Result<Factor<'a, T>, Error> {
        let scalar = argument == "upstream" && self.reduction.is_scalar();
        let per_sample = !scalar && tensor.shape == [self.samples()];
        let each = self.each_loss().eq(losses.iter().copied());
        let spread = if tensor.spreads_over(broadcast) {
            tensor
        } else if scalar && tensor.shape.is_empty() {
            tensor.lacking(AxisSet::All)
        } else if each && tensor.shape == losses {
            self.spread(tensor)
        } else if per_sample {
            tensor.lacking(AxisSet::all_but(self.batch_axis, self.pred.len()))
        } else {
            if scalar {
                shape(argument, tensor.shape, &[])?;
            }
            return Err(Error::Broadcast {
                argument,
                found: tensor.shape.to_vec(),
                broadcast: broadcast.to_vec(),
                losses: losses.to_vec(),
                samples: self.samples(),
            });
        };
        if grid.units == 0 {
            return Ok(Factor::one());
        }
        // Only the shape decides whether a sample's units share a value, never the strides: an
        // array and a broadcast view of the same shape give the same bits.
        let (own, rank) = (tensor.shape, self.pred.len());
        let one_per_sample = per_sample
            || (own.len() == rank
                && (0..rank).all(|axis| axis == self.batch_axis || own[axis] == 1));
        // One value per loss: per unit, or per class where each has a loss.
        let values = match self.each_class {
            true => Source::of_rows(spread, grid),
            false => Source::of_units(spread, grid),
        };
        Ok(Factor {
            values: Some(values),
            uniform: scalar || (self.gathers_samples() && one_per_sample),
            by_class: self.each_class && own.len() == rank && self.spans_rows(own),
        })
    }

    /// The places of single losses, whose shape has been checked.
    #[inline]
    pub(crate) fn lay_each<'a, T: Copy>(
        &self,
        loss: TensorMut<'a, T>,
        grid: &Grid<'a>,
    ) -> Target<'a, T> {
        let loss = loss.lacking(match self.reduction.per_sample() {
            true => AxisSet::all_but(self.batch_axis, self.pred.len()),
            false => self.lacking,
        });
        match self.each_class {
            true => Target::of_rows(loss, grid),
            false => Target::of_units(loss, grid),
        }
    }

    /// Whether there is nothing to visit.
    #[inline]
    pub(crate) fn has_no_units(&self) -> bool {
        let mut axes = self.pred.iter().enumerate();
        axes.any(|(axis, &extent)| extent == 0 && !self.row_axes.contains(axis))
    }

    /// Whether a shape of pred's rank has an extent along a row.
    fn spans_rows(&self, shape: &[usize]) -> bool {
        let mut axes = shape.iter().enumerate();
        axes.any(|(axis, &extent)| extent != 1 && self.row_axes.contains(axis))
    }
}
