//! The order in which units are visited, and where they lie in memory.

use smallvec::SmallVec;

/// Extents or axis numbers, one per axis; on the stack up to rank 4.
pub type Extents = SmallVec<[usize; 4]>;

/// Strides in elements, one per axis; on the stack up to rank 4.
pub type Strides = SmallVec<[isize; 4]>;

/// The order in which a call visits its units (elements, or rows): sample by sample, and within a
/// sample along the other axes in their logical order. Memory never changes the order.
#[derive(Clone, Debug)]
pub struct Grid {
    sample_axis: Option<usize>,
    unit_axes: Extents,
    row_axes: Extents,
    pub(crate) samples: usize,
    pub(crate) units: usize,
}

impl Grid {
    /// Samples along `sample_axis` (one sample if there is none); units along the other axes,
    /// without `row_axes`, which each unit runs along.
    pub(crate) fn new(shape: &[usize], sample_axis: Option<usize>, row_axes: &[usize]) -> Self {
        let unit_axes: Extents = (0..shape.len())
            .filter(|axis| Some(*axis) != sample_axis && !row_axes.contains(axis))
            .collect();
        Self {
            sample_axis,
            samples: sample_axis.map_or(1, |axis| shape[axis]),
            units: unit_axes.iter().map(|&axis| shape[axis]).product(),
            unit_axes,
            row_axes: Extents::from_slice(row_axes),
        }
    }

    /// The same samples with one unit each: where their totals go.
    pub(crate) fn totals(&self) -> Self {
        Self {
            unit_axes: Extents::new(),
            units: 1,
            ..self.clone()
        }
    }

    /// The position on pred's axes of a unit; axes of rows are left at 0.
    pub(crate) fn index(&self, shape: &[usize], sample: usize, unit: usize) -> Extents {
        let mut index = Extents::from_elem(0, shape.len());
        if let Some(axis) = self.sample_axis {
            index[axis] = sample;
        }
        let mut rest = unit;
        for &axis in self.unit_axes.iter().rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        index
    }
}

/// Some axes in their logical order, with neighbours merged where memory allows.
#[derive(Clone, Debug)]
pub struct Axes {
    /// Extent and stride, the last axis the fastest. Empty where all entries share one place.
    axes: SmallVec<[(usize, isize); 4]>,
}

impl Axes {
    fn new(which: &[usize], shape: &[usize], strides: &[isize]) -> Self {
        let mut axes: SmallVec<[(usize, isize); 4]> = SmallVec::new();
        if which.iter().any(|&axis| shape[axis] == 0) {
            axes.push((0, 1));
            return Self { axes };
        }
        for &axis in which {
            let (extent, stride) = (shape[axis], strides[axis]);
            if extent == 1 {
                continue;
            }
            match axes.last_mut() {
                Some((outer, outer_stride)) if *outer_stride == stride * extent as isize => {
                    (*outer, *outer_stride) = (*outer * extent, stride);
                }
                _ => axes.push((extent, stride)),
            }
        }
        Self { axes }
    }

    /// No axes: one entry.
    pub(crate) fn none() -> Self {
        Self {
            axes: SmallVec::new(),
        }
    }

    /// The offset of an entry, and how many of the `entries` there are lie one stride apart from it
    /// on.
    #[inline]
    pub(crate) fn locate(&self, entry: usize, entries: usize) -> (isize, usize) {
        let Some((&(last, stride), outer)) = self.axes.split_last() else {
            return (0, entries - entry);
        };
        if outer.is_empty() {
            return (entry as isize * stride, last - entry);
        }
        let (mut rest, position) = (entry / last, entry % last);
        let mut offset = position as isize * stride;
        for &(extent, stride) in outer.iter().rev() {
            offset += (rest % extent) as isize * stride;
            rest /= extent;
        }
        (offset, last - position)
    }

    /// The stride from entry to entry within what [`locate`](Self::locate) calls a stretch.
    #[inline]
    pub(crate) fn stride(&self) -> isize {
        self.axes.last().map_or(0, |&(_, stride)| stride)
    }

    /// Whether all entries lie one stride apart.
    #[inline]
    pub(crate) fn is_single(&self) -> bool {
        self.axes.len() <= 1
    }

    /// Whether the entries are neighbours in memory, all of them.
    #[inline]
    pub(crate) fn is_run(&self) -> bool {
        self.axes.len() == 1 && self.axes[0].1 == 1
    }
}

/// The layout of a tensor over a [`Grid`].
#[derive(Clone, Debug)]
pub struct Layout {
    pub(crate) sample_stride: isize,
    /// From unit to unit of a sample.
    pub(crate) units: Axes,
    /// From entry to entry of a row; a single entry where units are no rows.
    pub(crate) row: Axes,
}

impl Layout {
    /// Of a tensor with one entry a unit.
    pub(crate) fn of_units(grid: &Grid, shape: &[usize], strides: &[isize]) -> Self {
        Self {
            sample_stride: grid.sample_axis.map_or(0, |axis| strides[axis]),
            units: Axes::new(&grid.unit_axes, shape, strides),
            row: Axes::none(),
        }
    }

    /// Of a tensor with a row of entries a unit.
    pub(crate) fn of_rows(grid: &Grid, shape: &[usize], strides: &[isize]) -> Self {
        Self {
            row: Axes::new(&grid.row_axes, shape, strides),
            ..Self::of_units(grid, shape, strides)
        }
    }

    /// The offset of a unit's first entry, and how many of the `units` there are lie one stride
    /// apart from it on.
    #[inline]
    pub(crate) fn locate(&self, sample: usize, unit: usize, units: usize) -> (isize, usize) {
        let (offset, stretch) = self.units.locate(unit, units);
        (sample as isize * self.sample_stride + offset, stretch)
    }
}

/// How many entries the rows of a grid over `shape` have.
pub(crate) fn row_len(grid: &Grid, shape: &[usize]) -> usize {
    grid.row_axes.iter().map(|&axis| shape[axis]).product()
}
