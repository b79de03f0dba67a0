//! The order in which units are visited, and where they lie in memory.

use smallvec::SmallVec;

/// Extents, one per axis; on the stack up to rank 4.
pub type Extents = SmallVec<[usize; 4]>;

/// The extent and the stride of an axis, in elements.
pub type Axis = (usize, isize);

/// Some axes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AxisSet {
    None,
    One(usize),
    AllBut(usize),
    All,
}

impl AxisSet {
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

/// What lies along an axis of pred: samples, units or the entries of rows.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Sample,
    Unit,
    Row,
}

/// The order in which a call visits its units (elements, or rows): sample by sample, and within a
/// sample along the other axes in their logical order. Memory never changes the order.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'s> {
    /// pred's shape.
    shape: &'s [usize],
    sample_axis: Option<usize>,
    row_axes: AxisSet,
    pub(crate) samples: usize,
    /// How many units a sample has.
    pub(crate) units: usize,
    /// How many entries a unit has.
    pub(crate) row_len: usize,
}

impl<'s> Grid<'s> {
    /// Samples along `sample_axis` (one sample if there is none), and units along the other axes without
    /// those `row_axes` that each unit runs along.
    pub(crate) fn new(shape: &'s [usize], sample_axis: Option<usize>, row_axes: AxisSet) -> Self {
        let mut grid = Self {
            shape,
            sample_axis,
            row_axes,
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
    fn role(&self, axis: usize) -> Role {
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
    fn is_in_order(&self) -> bool {
        let rank = self.shape.len();
        let rows_are_last = match self.row_axes {
            AxisSet::None | AxisSet::All => true,
            AxisSet::One(axis) => axis + 1 == rank,
            AxisSet::AllBut(axis) => axis == 0,
        };
        rows_are_last && self.sample_axis.is_none_or(|axis| axis == 0)
    }

    /// The same samples with one unit each: where their totals go.
    pub(crate) fn totals(self) -> Self {
        Self {
            row_axes: AxisSet::All,
            units: 1,
            row_len: self.units * self.row_len,
            ..self
        }
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

/// Some axes in their logical order, with neighbours merged where memory allows.
#[derive(Clone, Copy)]
pub(crate) struct Axes<'l> {
    /// The slower ones.
    outer: &'l [Axis],
    /// The fastest one; of stride 0 where all entries share one place.
    last: Axis,
}

impl Axes<'_> {
    /// The offset of an entry, and how many lie one stride apart from it on.
    #[inline]
    pub(crate) fn locate(self, entry: usize) -> (isize, usize) {
        let (last, stride) = self.last;
        if self.outer.is_empty() {
            return (entry as isize * stride, last - entry);
        }
        let (mut rest, position) = (entry / last, entry % last);
        let mut offset = position as isize * stride;
        for &(extent, stride) in self.outer.iter().rev() {
            offset += (rest % extent) as isize * stride;
            rest /= extent;
        }
        (offset, last - position)
    }

    /// The stride from entry to entry within what [`locate`](Self::locate) calls a stretch.
    #[inline]
    pub(crate) fn stride(self) -> isize {
        self.last.1
    }

    /// Whether all entries lie one stride apart.
    #[inline]
    pub(crate) fn is_single(self) -> bool {
        self.outer.is_empty()
    }

    /// Whether the entries are neighbours in memory, all of them.
    #[inline]
    pub(crate) fn is_run(self) -> bool {
        self.outer.is_empty() && self.last.1 == 1
    }
}

/// The slower axes of a layout, of units and then of rows: none where memory is one run. Up to rank 4
/// there are three of them at most.
#[derive(Clone, Default)]
struct Outer {
    axes: SmallVec<[Axis; 3]>,
    units: usize,
}

impl Outer {
    /// Keeps an axis of units, or else of rows, that memory does not merge with the next one.
    #[cold]
    fn keep(&mut self, axis: Axis, of_units: bool) {
        if of_units {
            self.axes.insert(self.units, axis);
            self.units += 1;
        } else {
            self.axes.push(axis);
        }
    }
}

/// The layout of a tensor over a [`Grid`].
#[derive(Clone)]
pub struct Layout {
    pub(crate) sample_stride: isize,
    /// The fastest axes of units and of a row's entries.
    unit: Axis,
    entry: Axis,
    outer: Outer,
}

impl Layout {
    /// Of a tensor with a row of entries a unit, or with one entry where it has no `rows`, given its own
    /// axes: those of pred in their order, without the ones that it `lacks`. Along these, and where
    /// an extent is 1 and pred's is not, its entries are the same throughout if it is `spread`.
    ///
    /// Panics unless the axes fit.
    pub(crate) fn new(
        grid: &Grid<'_>,
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
                outer: Outer::default(),
            };
        }
        Self::of_axes(grid, rows, (shape, strides), lacks, spread)
    }

    /// Whether a tensor has all axes of pred, or all but those of rows if it has no `rows`, and its
    /// entries are neighbours in the order of visits.
    #[inline]
    fn is_standard(
        grid: &Grid<'_>,
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
    fn of_axes(
        grid: &Grid<'_>,
        rows: bool,
        (shape, strides): (&[usize], &[isize]),
        lacks: AxisSet,
        spread: bool,
    ) -> Self {
        let mut layout = Self {
            sample_stride: 0,
            unit: (grid.units, 0),
            entry: (grid.row_len, 0),
            outer: Outer::default(),
        };
        if grid.units == 0 || (rows && grid.row_len == 0) {
            // There is nothing to be located.
            return layout;
        }
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
                layout.outer.keep(slower, role == Role::Unit);
            }
        }
        (layout.unit, layout.entry) = (unit, entry);
        layout
    }

    /// Of one value a sample, `stride` apart.
    pub(crate) fn of_samples(stride: isize) -> Self {
        Self {
            sample_stride: stride,
            unit: (1, 0),
            entry: (1, 0),
            outer: Outer::default(),
        }
    }

    /// The axes of units.
    #[inline]
    pub(crate) fn units(&self) -> Axes<'_> {
        Axes {
            outer: &self.outer.axes[..self.outer.units],
            last: self.unit,
        }
    }

    /// The axes of a row's entries.
    #[inline]
    pub(crate) fn row(&self) -> Axes<'_> {
        Axes {
            outer: &self.outer.axes[self.outer.units..],
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

/// An axis along which entries lie `stride` apart.
#[inline]
fn axis(extent: usize, stride: usize) -> Axis {
    match extent {
        1 => (1, 0),
        _ => (extent, stride as isize),
    }
}

/// Lets `next` follow the fastest axis so far: merged with it where memory allows, else in its place,
/// and the other is returned.
#[inline]
fn follow(last: &mut Axis, next: Axis) -> Option<Axis> {
    let ((slower, slower_stride), (extent, stride)) = (*last, next);
    if extent == 1 {
        return None;
    }
    if slower != 1 && slower_stride != stride * extent as isize {
        return Some(core::mem::replace(last, next));
    }
    *last = (slower * extent, stride);
    None
}

#[cfg(test)]
mod tests {
    use super::{Axes, AxisSet, Grid, Layout};

    fn standard_strides(shape: &[usize]) -> Vec<isize> {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
        }
        strides
    }

    fn offsets(axes: Axes<'_>, count: usize) -> Vec<(isize, usize)> {
        (0..count).map(|entry| axes.locate(entry)).collect()
    }

    #[test]
    fn a_standard_layout_is_what_its_axes_say() {
        let mut standard = 0;
        for shape in [
            &[6][..],
            &[1, 16],
            &[3, 4],
            &[3, 1],
            &[2, 3, 4],
            &[1, 3, 1],
            &[2, 1, 3, 2],
            &[0, 3],
            &[2, 0],
        ] {
            let last = shape.len() - 1;
            let (nothing, mut strides) = (AxisSet::None, standard_strides(shape));
            // Where an extent is 1 the stride says nothing.
            for (stride, &extent) in strides.iter_mut().zip(shape) {
                if extent == 1 {
                    *stride = -77;
                }
            }
            for sample_axis in [None, Some(0), Some(last)] {
                for row_axes in [
                    AxisSet::None,
                    AxisSet::One(last),
                    AxisSet::One(0),
                    AxisSet::AllBut(0),
                    AxisSet::All,
                ] {
                    if sample_axis.is_some_and(|axis| row_axes.contains(axis)) {
                        continue;
                    }
                    let grid = Grid::new(shape, sample_axis, row_axes);
                    let own = &shape[..shape.len() - row_axes.count(shape.len())];
                    let of_units = standard_strides(own);
                    for (rows, axes, lacks) in [
                        (true, (shape, &strides[..]), nothing),
                        (false, (own, &of_units[..]), row_axes),
                    ] {
                        if !Layout::is_standard(&grid, rows, axes, lacks) {
                            continue;
                        }
                        standard += 1;
                        let found = Layout::new(&grid, rows, axes, lacks, false);
                        if shape.contains(&0) {
                            // There is nothing to be located.
                            continue;
                        }
                        let expected = Layout::of_axes(&grid, rows, axes, lacks, false);
                        let what = format!("{grid:?}, rows: {rows}");
                        assert_eq!(found.sample_stride, expected.sample_stride, "{what}");
                        let units = [found.units(), expected.units()];
                        let [found_units, expected_units] =
                            units.map(|axes| offsets(axes, grid.units));
                        assert_eq!(found_units, expected_units, "{what}");
                        let count = if rows { grid.row_len } else { 1 };
                        let row = [found.row(), expected.row()];
                        let [found_row, expected_row] = row.map(|axes| offsets(axes, count));
                        assert_eq!(found_row, expected_row, "{what}");
                    }
                }
            }
        }
        assert!(standard > 20, "{standard}");
    }

    #[test]
    fn what_is_nearly_standard_is_not() {
        let shape = &[3, 4][..];
        let grid = Grid::new(shape, Some(0), AxisSet::None);
        for (own, strides) in [
            (shape, &[1, 3][..]),
            (shape, &[4, 2]),
            (shape, &[8, 1]),
            (shape, &[-4, 1]),
            (shape, &[4, 0]),
            (&[1, 4], &[4, 1]),
            (&[3, 1], &[1, 1]),
        ] {
            let is_standard =
                |strides| Layout::is_standard(&grid, true, (own, strides), AxisSet::None);
            assert!(!is_standard(strides), "{own:?} {strides:?}");
        }
        assert!(Layout::is_standard(
            &grid,
            true,
            (shape, &[4, 1]),
            AxisSet::None
        ));
        // Samples along the last axis.
        let grid = Grid::new(shape, Some(1), AxisSet::None);
        assert!(!Layout::is_standard(
            &grid,
            true,
            (shape, &[4, 1]),
            AxisSet::None
        ));
    }
}
