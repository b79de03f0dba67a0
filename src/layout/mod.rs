//! The order in which units are visited, and where they lie in memory.

mod axes;
mod grid;
#[cfg(test)]
mod tests;

pub(crate) use axes::{Axes, Shelf};
pub use grid::Grid;

use axes::{Axis, Slower, axis, follow};
use grid::Role;
use smallvec::SmallVec;

/// Extents, one per axis; on the stack up to rank 4.
pub type Extents = SmallVec<[usize; 4]>;

/// Some axes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AxisSet {
    None,
    One(usize),
    AllBut(usize),
    All,
}

impl AxisSet {
    /// All of `rank` axes but one, in the simplest form, so that equal sets compare equal.
    #[inline]
    pub(crate) fn all_but(axis: usize, rank: usize) -> Self {
        match rank {
            1 => Self::None,
            2 => Self::One(1 - axis),
            _ => Self::AllBut(axis),
        }
    }

    /// How many they are of `rank` axes, among which those named are.
    fn count(self, rank: usize) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::AllBut(_) => rank - 1,
            Self::All => rank,
        }
    }

    #[inline]
    pub(crate) fn contains(self, axis: usize) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => axis == one,
            Self::AllBut(one) => axis != one,
            Self::All => true,
        }
    }
}

/// The layout of a tensor over a [`Grid`].
#[derive(Clone, Copy)]
pub struct Layout<'s> {
    pub(crate) sample_stride: isize,
    /// The fastest axes of units and of a row's entries.
    unit: Axis,
    entry: Axis,
    /// The slower ones, where memory does not merge them all.
    slower: Option<&'s Slower>,
}

// What is laid out goes from thread to thread.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Layout<'static>>();
};

impl<'s> Layout<'s> {
    /// Of a tensor with a row of entries a unit, or with one entry where it has no `rows`, given its own
    /// axes: those of pred in their order, without the ones that it `lacks`. Along these, and where
    /// an extent is 1 and pred's is not, its entries are the same throughout if it is `spread`.
    ///
    /// Panics unless the axes fit.
    #[inline]
    pub(crate) fn new(
        grid: &Grid<'s>,
        rows: bool,
        (shape, strides): (&[usize], &[isize]),
        lacks: AxisSet,
        spread: bool,
    ) -> Self {
        let rank = grid.shape.len();
        assert_eq!(shape.len() + lacks.count(rank), rank);
        // Most are, and small calls do little else than find layouts.
        if Self::is_standard(grid, rows, (shape, strides), lacks) {
            let len = if rows { grid.row_len } else { 1 };
            return Self {
                sample_stride: axis(grid.samples, grid.units * len).1,
                unit: axis(grid.units, len),
                entry: axis(len, 1),
                slower: None,
            };
        }
        Self::of_axes(grid, rows, (shape, strides), lacks, spread)
    }

    /// Whether a tensor has all axes of pred, or all but those of rows if it has no `rows`, and its
    /// entries are neighbours in the order of visits.
    #[inline]
    fn is_standard(
        grid: &Grid<'s>,
        rows: bool,
        (shape, strides): (&[usize], &[isize]),
        lacks: AxisSet,
    ) -> bool {
        let has_its_axes = lacks == if rows { AxisSet::None } else { grid.row_axes };
        if !has_its_axes || !grid.is_in_order() {
            return false;
        }
        let mut neighbours = 1;
        let axes = shape.iter().zip(strides).zip(grid.shape);
        axes.rev().all(|((&extent, &stride), &pred)| {
            let follows = extent == 1 || stride == neighbours;
            neighbours *= extent as isize;
            extent == pred && follows
        })
    }

    /// The layout of any tensor, as [`new`](Self::new) says.
    #[cold]
    fn of_axes(
        grid: &Grid<'s>,
        rows: bool,
        (shape, strides): (&[usize], &[isize]),
        lacks: AxisSet,
        spread: bool,
    ) -> Self {
        let mut layout = Self {
            sample_stride: 0,
            unit: (grid.units, 0),
            entry: (grid.row_len, 0),
            slower: None,
        };
        if grid.units == 0 || (rows && grid.row_len == 0) {
            // There is nothing to be located.
            return layout;
        }
        let mut slower_axes = Slower::default();
        let (mut unit, mut entry) = ((1, 0), (1, 0));
        let mut own = 0;
        for (number, &pred) in grid.shape.iter().enumerate() {
            let (mut extent, mut stride) = (1, 0);
            if !lacks.contains(number) {
                (extent, stride) = (shape[own], strides[own]);
                own += 1;
            }
            let role = grid.role(number);
            if role == Role::Row && !rows {
                assert_eq!(extent, 1);
                continue;
            }
            assert!(extent == pred || (extent == 1 && spread));
            if extent == 1 {
                stride = 0;
            }
            let last = match role {
                Role::Sample => {
                    layout.sample_stride = stride;
                    continue;
                }
                Role::Unit => &mut unit,
                Role::Row => &mut entry,
            };
            if let Some(slower) = follow(last, (pred, stride)) {
                slower_axes.keep(slower, role == Role::Unit);
            }
        }
        (layout.unit, layout.entry) = (unit, entry);
        if !slower_axes.is_empty() {
            layout.slower = Some(grid.shelf.keep(slower_axes));
        }
        layout
    }

    /// Of the units of one sample, which are neighbours.
    #[inline]
    pub(crate) fn of_units(units: usize) -> Self {
        Self {
            sample_stride: 0,
            unit: axis(units, 1),
            entry: (1, 0),
            slower: None,
        }
    }

    /// Of one value a sample, `stride` apart.
    pub(crate) fn of_samples(stride: isize) -> Self {
        Self {
            sample_stride: stride,
            unit: (1, 0),
            entry: (1, 0),
            slower: None,
        }
    }

    /// The axes of units.
    #[inline]
    pub(crate) fn units(&self) -> Axes<'s> {
        Axes {
            slower: self.slower.map_or(&[], Slower::units),
            last: self.unit,
        }
    }

    /// The axes of a row's entries.
    #[inline]
    pub(crate) fn row(&self) -> Axes<'s> {
        Axes {
            slower: self.slower.map_or(&[], Slower::row),
            last: self.entry,
        }
    }

    /// The offset of a unit's first entry, and how many units lie one stride apart from it on.
    #[inline]
    pub(crate) fn locate(&self, sample: usize, unit: usize) -> (isize, usize) {
        let (offset, stretch) = self.units().locate(unit);
        (sample as isize * self.sample_stride + offset, stretch)
    }
}
