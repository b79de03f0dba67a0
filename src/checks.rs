//! Every check of a call, before the first write.

use crate::drivers::Factor;
use crate::element::Element;
use crate::layout::{Extents, Grid};
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
pub(crate) fn shape(
    argument: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape {
        argument,
        found: found.to_vec(),
        expected: expected.to_vec(),
    })
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
pub struct Shapes {
    /// pred's shape.
    pub(crate) pred: Extents,
    /// The batch axis, counted from the front.
    batch_axis: usize,
    /// The axes that a unit runs along, counted from the front.
    row_axes: Extents,
    /// The axes that the losses lack: those of `row_axes`, unless each class has a loss.
    lacking: Extents,
    /// How the losses are gathered.
    reduction: Reduction,
}

impl Shapes {
    pub(crate) fn new(
        pred: &[usize],
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
        let row_axes: Extents = match unit {
            Unit::Sample => (0..rank).filter(|&axis| axis != batch_axis).collect(),
            _ => class_axis.into_iter().collect(),
        };
        let shapes = Self {
            pred: Extents::from_slice(pred),
            batch_axis,
            lacking: match unit {
                Unit::Class { .. } => Extents::new(),
                _ => row_axes.clone(),
            },
            row_axes,
            reduction,
        };
        let nothing = match reduction {
            Reduction::Mean => shapes.samples() * shapes.losses_per_sample() == 0,
            Reduction::SampleMean => shapes.samples() > 0 && shapes.losses_per_sample() == 0,
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
    fn samples(&self) -> usize {
        self.pred[self.batch_axis]
    }

    /// How many entries a unit has: the classes of a row, or whatever a sample holds.
    pub(crate) fn row_len(&self) -> usize {
        self.row_axes.iter().map(|&axis| self.pred[axis]).product()
    }

    /// The position of a unit in the labels, which lack the axes of rows.
    pub(crate) fn label_index(&self, grid: &Grid, sample: usize, unit: usize) -> Vec<usize> {
        let mut index = grid.index(&self.pred, sample, unit).to_vec();
        for &axis in self.row_axes.iter().rev() {
            index.remove(axis);
        }
        index
    }

    /// How many losses a sample has before any reduction.
    fn losses_per_sample(&self) -> usize {
        let axes = self.pred.iter().enumerate();
        axes.filter(|(axis, _)| *axis != self.batch_axis && !self.lacking.contains(axis))
            .map(|(_, &extent)| extent)
            .product()
    }

    /// pred's shape with 1 on every axis that the losses lack.
    fn broadcast(&self) -> Extents {
        let mut shape = self.pred.clone();
        for &axis in &self.lacking {
            shape[axis] = 1;
        }
        shape
    }

    /// One place per loss before any reduction: pred's shape without the axes that losses lack.
    pub(crate) fn losses(&self) -> Extents {
        let mut shape = self.pred.clone();
        for &axis in self.lacking.iter().rev() {
            shape.remove(axis);
        }
        shape
    }

    /// The shape of the reduced losses.
    pub(crate) fn reduced(&self) -> Extents {
        match self.reduction {
            Reduction::None => self.losses(),
            Reduction::SampleMean | Reduction::SampleSum => Extents::from_slice(&[self.samples()]),
            Reduction::Mean | Reduction::Sum => Extents::new(),
        }
    }

    /// Whether sums are gathered sample by sample. A sample of one loss needs no sum: its losses
    /// are visited like those of a reduction that gathers nothing.
    fn gathers_samples(&self) -> bool {
        self.reduction.per_sample() && self.losses_per_sample() != 1
    }

    /// The order in which the call visits its units.
    pub(crate) fn grid(&self) -> Grid {
        let sample_axis = self.gathers_samples().then_some(self.batch_axis);
        Grid::new(&self.pred, sample_axis, &self.row_axes)
    }

    /// Whether the units' losses are written one by one.
    pub(crate) fn writes_each(&self) -> bool {
        !self.reduction.is_scalar() && !self.gathers_samples()
    }

    /// What sums are divided by.
    pub(crate) fn divisor(&self) -> f64 {
        match self.reduction {
            Reduction::SampleMean => self.losses_per_sample() as f64,
            Reduction::Mean => (self.samples() * self.losses_per_sample()) as f64,
            _ => 1.0,
        }
    }

    /// A label or factor of the losses' shape, brought to pred's rank.
    pub(crate) fn insert_lacking_axes<'a, T: Copy>(&self, tensor: &Tensor<'a, T>) -> Tensor<'a, T> {
        let mut tensor = tensor.clone();
        for &axis in &self.lacking {
            tensor = tensor.insert_axis(axis, self.pred[axis]);
        }
        tensor
    }

    /// An input that spreads over pred by NumPy's rule.
    pub(crate) fn broadcast_to_pred<'a, T>(
        &self,
        argument: &'static str,
        tensor: &Tensor<'a, T>,
    ) -> Result<Tensor<'a, T>, Error> {
        tensor.broadcast(&self.pred).ok_or_else(|| Error::Shape {
            argument,
            found: tensor.shape.to_vec(),
            expected: self.pred.to_vec(),
        })
    }

    /// Spreads `sample_weight` over the units.
    pub(crate) fn sample_weight<'a, T: Element>(
        &self,
        tensor: Option<&Tensor<'a, T>>,
        grid: &Grid,
    ) -> Result<Factor<'a, T>, Error> {
        let (broadcast, losses) = (self.broadcast(), self.losses());
        self.factor("sample_weight", tensor, grid, &broadcast, &losses)
    }

    /// Spreads `upstream`, which has one value per returned loss, over the units.
    pub(crate) fn upstream<'a, T: Element>(
        &self,
        tensor: Option<&Tensor<'a, T>>,
        grid: &Grid,
    ) -> Result<Factor<'a, T>, Error> {
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
        tensor: Option<&Tensor<'a, T>>,
        grid: &Grid,
        broadcast: &[usize],
        losses: &[usize],
    ) -> Result<Factor<'a, T>, Error> {
        let Some(tensor) = tensor else {
            return Ok(Factor::ONE);
        };
        let scalar = argument == "upstream" && self.reduction.is_scalar();
        let per_sample = !scalar && tensor.shape[..] == [self.samples()];
        let spread = if let Some(spread) = tensor.broadcast(broadcast) {
            spread.broadcast(&self.broadcast())
        } else if scalar && tensor.shape.is_empty() {
            Some(tensor.everywhere(&self.pred))
        } else if *losses == self.losses()[..] && tensor.shape[..] == *losses {
            Some(self.insert_lacking_axes(tensor))
        } else if per_sample {
            Some(tensor.along(&self.pred, self.batch_axis))
        } else {
            None
        };
        let Some(spread) = spread else {
            if scalar {
                shape(argument, &tensor.shape, &[])?;
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
            return Ok(Factor::ONE);
        }
        // Only the shape decides whether a sample's units share a value, never the strides: an
        // array and a broadcast view of the same shape give the same bits.
        let own = &tensor.shape;
        let one_per_sample = per_sample
            || (own.len() == self.pred.len()
                && (0..own.len()).all(|axis| axis == self.batch_axis || own[axis] == 1));
        Ok(Factor {
            values: Some(self.lay_factor(&spread, grid)),
            uniform: scalar || (self.gathers_samples() && one_per_sample),
            by_class: self.each_class() && own.len() == self.pred.len() && self.spans_rows(own),
        })
    }

    /// One value per loss: per unit, or per class where each has a loss.
    fn lay_factor<'a, T: Copy>(&self, spread: &Tensor<'a, T>, grid: &Grid) -> Source<'a, T> {
        if self.each_class() {
            Source::of_rows(spread, grid)
        } else {
            Source::of_units(spread, grid)
        }
    }

    /// The places of single losses, which [`loss_place`](Self::loss_place) gave.
    pub(crate) fn lay_each<'a, T: Copy>(
        &self,
        loss: TensorMut<'a, T>,
        grid: &Grid,
    ) -> Target<'a, T> {
        if self.each_class() {
            Target::of_rows(loss, grid)
        } else {
            Target::of_units(loss, grid)
        }
    }

    /// Whether there is nothing to visit.
    pub(crate) fn has_no_units(&self) -> bool {
        let axes = self.pred.iter().enumerate();
        axes.filter(|(axis, _)| !self.row_axes.contains(axis))
            .any(|(_, &extent)| extent == 0)
    }

    /// Whether a shape of pred's rank has an extent along a row.
    fn spans_rows(&self, shape: &[usize]) -> bool {
        self.row_axes.iter().any(|&axis| shape[axis] != 1)
    }

    /// Whether each class of a row has a loss of its own.
    pub(crate) fn each_class(&self) -> bool {
        self.lacking.len() < self.row_axes.len()
    }

    /// Checks the shape of the losses' place and brings it to pred's rank.
    pub(crate) fn loss_place<'a, T>(
        &self,
        loss: TensorMut<'a, T>,
    ) -> Result<TensorMut<'a, T>, Error> {
        shape("loss", &loss.shape, &self.reduced())?;
        Ok(match self.reduction {
            Reduction::None => {
                let mut loss = loss;
                for &axis in &self.lacking {
                    loss = loss.insert_unit_axis(axis);
                }
                loss
            }
            Reduction::SampleMean | Reduction::SampleSum => {
                loss.along(self.pred.len(), self.batch_axis)
            }
            Reduction::Mean | Reduction::Sum => loss.with_unit_axes(self.pred.len()),
        })
    }
}
