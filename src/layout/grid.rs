use super::{AxisSet, Extents, Shelf};

/// What lies along an axis of pred: samples, units or the entries of rows.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Sample,
    Unit,
    Row,
}

/// The order in which a call visits its units (elements, or rows): sample by sample, and within a
/// sample along the other axes in their logical order. Memory never changes the order.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'s> {
    /// pred's shape.
    pub(super) shape: &'s [usize],
    sample_axis: Option<usize>,
    pub(super) row_axes: AxisSet,
    /// Where layouts over the grid keep axes.
    pub(crate) shelf: &'s Shelf,
    pub(crate) samples: usize,
    /// How many units a sample has.
    pub(crate) units: usize,
    /// How many entries a unit has.
    pub(crate) row_len: usize,
}

impl<'s> Grid<'s> {
    /// Samples along `sample_axis` (one sample if there is none), and units along the other axes without
    /// those `row_axes` that each unit runs along.
    #[inline]
    pub(crate) fn new(
        shape: &'s [usize],
        sample_axis: Option<usize>,
        row_axes: AxisSet,
        shelf: &'s Shelf,
    ) -> Self {
        let mut grid = Self {
            shape,
            sample_axis,
            row_axes,
            shelf,
            samples: 1,
            units: 1,
            row_len: 1,
        };
        for (axis, &extent) in shape.iter().enumerate() {
            let count = match grid.role(axis) {
                Role::Sample => &mut grid.samples,
                Role::Unit => &mut grid.units,
                Role::Row => &mut grid.row_len,
            };
            *count *= extent;
        }
        grid
    }

    /// What lies along an axis of pred.
    #[inline]
    pub(super) fn role(&self, axis: usize) -> Role {
        if self.sample_axis == Some(axis) {
            Role::Sample
        } else if self.row_axes.contains(axis) {
            Role::Row
        } else {
            Role::Unit
        }
    }

    /// Whether units are visited in the order of pred's axes: samples lie along the first, rows along
    /// the last ones.
    #[inline]
    pub(super) fn is_in_order(&self) -> bool {
        let rank = self.shape.len();
        let rows_are_last = match self.row_axes {
            AxisSet::None | AxisSet::All => true,
            AxisSet::One(axis) => axis + 1 == rank,
            AxisSet::AllBut(axis) => axis == 0,
        };
        rows_are_last && self.sample_axis.is_none_or(|axis| axis == 0)
    }

    /// The position on pred's axes of a unit; axes of rows are left at 0.
    pub(crate) fn index(&self, sample: usize, unit: usize) -> Extents {
        let mut index = Extents::from_elem(0, self.shape.len());
        if let Some(axis) = self.sample_axis {
            index[axis] = sample;
        }
        let mut rest = unit;
        for (axis, &extent) in self.shape.iter().enumerate().rev() {
            if self.role(axis) == Role::Unit {
                index[axis] = rest % extent;
                rest /= extent;
            }
        }
        index
    }
}
