//! The order in which units are visited, and where they lie in memory.

use smallvec::SmallVec;

/// Extents, one per axis; on the stack up to rank 4.
pub type Extents = SmallVec<[usize; 4]>;

/// The extent and the stride of an axis, in elements.
pub type Axis = (usize, isize);

/// The axes that each unit runs along.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowAxes {
    /// None: units are single elements.
    None,
    /// One axis.
    One(usize),
    /// Every axis but one.
    AllBut(usize),
    /// Every axis but that of the samples.
    All,
}

impl RowAxes {
    pub(crate) fn contains(self, axis: usize) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => axis == one,
            Self::AllBut(one) => axis != one,
            Self::All => true,
        }
    }
}

/// The order in which a call visits its units (elements, or rows): sample by sample, and within a
/// sample along the other axes in their logical order. Memory never changes the order.
#[derive(Clone, Copy, Debug)]
pub struct Grid<'s> {
    /// pred's shape.
    shape: &'s [usize],
    sample_axis: Option<usize>,
    row_axes: RowAxes,
    pub(crate) samples: usize,
    /// How many units a sample has.
    pub(crate) units: usize,
    /// How many entries a unit has.
    pub(crate) row_len: usize,
}

impl<'s> Grid<'s> {
    /// Samples along `sample_axis` (one sample if there is none); units along the other axes,
    /// without `row_axes`, which each unit runs along.
    pub(crate) fn new(shape: &'s [usize], sample_axis: Option<usize>, row_axes: RowAxes) -> Self {
        let mut grid = Self {
            shape,
            sample_axis,
            row_axes,
            samples: 1,
            units: 1,
            row_len: 1,
        };
        for (axis, &extent) in shape.iter().enumerate() {
            let count = if sample_axis == Some(axis) {
                &mut grid.samples
            } else if row_axes.contains(axis) {
                &mut grid.row_len
            } else {
                &mut grid.units
            };
            *count *= extent;
        }
        grid
    }

    /// The axes of units, or else those of rows.
    fn axes(&self, of_rows: bool) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.shape.len()).filter(move |&axis| {
            self.sample_axis != Some(axis) && self.row_axes.contains(axis) == of_rows
        })
    }

    /// The same samples with one unit each: where their totals go.
    pub(crate) fn totals(self) -> Self {
        Self {
            row_axes: RowAxes::All,
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
        for axis in self.axes(false).rev() {
            index[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
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

/// The layout of a tensor over a [`Grid`].
#[derive(Clone)]
pub struct Layout {
    pub(crate) sample_stride: isize,
    /// The fastest axes of units and of a row's entries.
    unit: Axis,
    entry: Axis,
    /// The slower axes, of units and then of rows: none where memory is one run. Up to rank 4 there
    /// are three of them at most.
    outer: SmallVec<[Axis; 3]>,
    outer_units: usize,
}

impl Layout {
    /// Of a tensor with a row of entries a unit, or with one entry where units have no `rows`. `axis`
    /// gives the tensor's own extent along an axis of pred, and its stride.
    ///
    /// Panics unless the extents are pred's, or 1 with stride 0.
    pub(crate) fn new(grid: &Grid<'_>, rows: bool, axis: impl Fn(usize) -> Axis) -> Self {
        let axis = |number: usize| {
            let (extent, stride) = axis(number);
            let pred = grid.shape[number];
            assert!(extent == pred || (extent == 1 && stride == 0));
            (pred, stride)
        };
        let mut layout = Self {
            sample_stride: grid.sample_axis.map_or(0, |sample| axis(sample).1),
            unit: (1, 0),
            entry: (1, 0),
            outer: SmallVec::new(),
            outer_units: 0,
        };
        layout.unit = layout.merge(grid.units, grid.axes(false).map(axis));
        layout.outer_units = layout.outer.len();
        if rows {
            layout.entry = layout.merge(grid.row_len, grid.axes(true).map(axis));
        }
        layout
    }

    /// Of one value a sample, `stride` apart.
    pub(crate) fn of_samples(stride: isize) -> Self {
        Self {
            sample_stride: stride,
            unit: (1, 0),
            entry: (1, 0),
            outer: SmallVec::new(),
            outer_units: 0,
        }
    }

    /// The fastest of some axes, which have so many entries; the slower ones that memory does not merge
    /// with it are kept.
    fn merge(&mut self, entries: usize, axes: impl Iterator<Item = Axis>) -> Axis {
        if entries == 0 {
            return (0, 1);
        }
        let mut last = (1, 0);
        for (extent, stride) in axes.filter(|&(extent, _)| extent != 1) {
            let (slower, slower_stride) = last;
            last = if slower == 1 {
                (extent, stride)
            } else if slower_stride == stride * extent as isize {
                (slower * extent, stride)
            } else {
                self.outer.push(last);
                (extent, stride)
            };
        }
        last
    }

    /// The axes of units.
    #[inline]
    pub(crate) fn units(&self) -> Axes<'_> {
        Axes {
            outer: &self.outer[..self.outer_units],
            last: self.unit,
        }
    }

    /// The axes of a row's entries.
    #[inline]
    pub(crate) fn row(&self) -> Axes<'_> {
        Axes {
            outer: &self.outer[self.outer_units..],
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
