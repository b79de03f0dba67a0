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
    pub(crate) samples: usize,
    pub(crate) units: usize,
}

impl Grid {
    /// Samples along `sample_axis` (one sample if there is none); units along the other axes,
    /// without `class_axis`.
    pub(crate) fn new(
        shape: &[usize],
        sample_axis: Option<usize>,
        class_axis: Option<usize>,
    ) -> Self {
        let unit_axes: Extents = (0..shape.len())
            .filter(|&axis| Some(axis) != sample_axis && Some(axis) != class_axis)
            .collect();
        Self {
            sample_axis,
            samples: sample_axis.map_or(1, |axis| shape[axis]),
            units: unit_axes.iter().map(|&axis| shape[axis]).product(),
            unit_axes,
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

    /// The position on pred's axes of a unit; the class axis, if there is one, is left at 0.
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

/// The layout of a tensor's units: one stride from sample to sample, and the unit axes with
/// neighbours merged where memory allows.
#[derive(Clone, Debug)]
pub struct Layout {
    sample_stride: isize,
    /// Extent and stride, the last axis the fastest. Empty where all units share one place.
    axes: SmallVec<[(usize, isize); 4]>,
}

impl Layout {
    pub(crate) fn new(grid: &Grid, shape: &[usize], strides: &[isize]) -> Self {
        let mut axes: SmallVec<[(usize, isize); 4]> = SmallVec::new();
        for &axis in &grid.unit_axes {
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
        let sample_stride = grid.sample_axis.map_or(0, |axis| strides[axis]);
        Self {
            sample_stride,
            axes,
        }
    }

    /// The offset of a unit, and how many units from it on lie one stride apart.
    #[inline]
    pub(crate) fn locate(&self, sample: usize, unit: usize, grid_units: usize) -> (isize, usize) {
        let mut offset = sample as isize * self.sample_stride;
        let Some((&(last, stride), outer)) = self.axes.split_last() else {
            return (offset, grid_units - unit);
        };
        let mut rest = unit / last;
        let position = if outer.is_empty() { unit } else { unit % last };
        offset += position as isize * stride;
        for &(extent, stride) in outer.iter().rev() {
            offset += (rest % extent) as isize * stride;
            rest /= extent;
        }
        (offset, last - position)
    }

    /// The stride from unit to unit within what [`locate`](Self::locate) calls a stretch.
    #[inline]
    pub(crate) fn stride(&self) -> isize {
        self.axes.last().map_or(0, |&(_, stride)| stride)
    }

    /// Whether the units of a sample are neighbours in memory, all of them.
    pub(crate) fn is_run(&self) -> bool {
        self.axes.len() == 1 && self.axes[0].1 == 1
    }
}
