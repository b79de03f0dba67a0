use super::plane::Plane;
use super::{Lines, Tensor};
use crate::layout::{Grid, Layout};
use crate::simd::Float;
use core::marker::PhantomData;
use core::ops::Range;

/// A rectangle of a grid to read.
#[derive(Clone)]
pub struct Source<'a, T> {
    plane: Plane<'a, T>,
    memory: PhantomData<&'a [T]>,
}

// SAFETY: a source only reads elements of an array that is borrowed shared for as long as it lives; its
// layout is plain numbers, of which some are behind a shared reference.
unsafe impl<T: Sync> Send for Source<'_, T> {}
// SAFETY: as above; reading from several threads is what `T: Sync` allows.
unsafe impl<T: Sync> Sync for Source<'_, T> {}

impl<'a, T: Copy> Source<'a, T> {
    /// Lays `tensor`, which spreads over pred, out over `grid`, one entry a unit.
    #[inline]
    pub(crate) fn of_units(tensor: Tensor<'a, T>, grid: &Grid<'a>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, false, axes, tensor.lacks, true);
        let plane = Plane::new(tensor.base.cast_mut(), grid, layout, 1);
        // SAFETY: the tensor's array is borrowed shared for as long as the source lives.
        unsafe { Self::new(plane) }
    }

    /// Lays `tensor`, which spreads over pred, out over `grid`, a row of entries a unit.
    #[inline]
    pub(crate) fn of_rows(tensor: Tensor<'a, T>, grid: &Grid<'a>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, true, axes, tensor.lacks, true);
        let plane = Plane::new(tensor.base.cast_mut(), grid, layout, grid.row_len);
        // SAFETY: as above.
        unsafe { Self::new(plane) }
    }

    /// One value for each sample along an axis of `tensor`, whose other extents are 1; or a single value,
    /// which all samples share.
    pub(crate) fn of_samples(tensor: Tensor<'a, T>, axis: usize, samples: usize) -> Self {
        let values: usize = tensor.shape.iter().product();
        let mut stride = 0;
        if values != 1 {
            assert!(values == samples && tensor.shape[axis] == samples);
            stride = tensor.strides[axis];
        }
        let plane = Plane::of_samples(tensor.base.cast_mut(), samples, stride);
        // SAFETY: as above.
        unsafe { Self::new(plane) }
    }

    /// The units of the only sample, one value each.
    #[inline]
    pub(crate) fn of_slice(values: &'a [T]) -> Self {
        let plane = Plane::of_slice(values.as_ptr().cast_mut(), values.len());
        // SAFETY: the slice is borrowed shared for as long as the source lives.
        unsafe { Self::new(plane) }
    }

    /// What a plane owns.
    ///
    /// # Safety
    /// Nobody writes that for as long as the source lives.
    #[inline]
    pub(super) unsafe fn new(plane: Plane<'a, T>) -> Self {
        let memory = PhantomData;
        Self { plane, memory }
    }

    /// The value of a unit.
    #[inline]
    pub(crate) fn get(&self, sample: usize, unit: usize) -> T {
        let (place, _) = self.plane.locate_first(sample, unit..unit + 1);
        // SAFETY: the plane owns the unit, so its element is the array's.
        unsafe { *place }
    }

    /// Whether the units of every sample are neighbours in memory.
    pub(crate) fn is_run(&self) -> bool {
        self.plane.is_run()
    }

    /// How many of `units` are neighbours in memory, from the first on.
    #[inline]
    pub(crate) fn contiguous(&self, sample: usize, units: Range<usize>) -> usize {
        self.plane.locate(sample, units).1
    }

    /// A stretch of units, if they are neighbours in memory.
    #[inline]
    fn stretch(&self, sample: usize, units: Range<usize>) -> Option<&[T]> {
        let (place, neighbours) = self.plane.locate_first(sample, units.clone());
        // SAFETY: the plane owns the units, and they are neighbours.
        (neighbours == units.len())
            .then(|| unsafe { core::slice::from_raw_parts(place, neighbours) })
    }

    /// A stretch of units: where they lie if they are neighbours in memory, else copied into
    /// `buffer`.
    #[inline]
    pub(crate) fn stretch_or<'b>(
        &'b self,
        sample: usize,
        units: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        if let Some(stretch) = self.stretch(sample, units.clone()) {
            return stretch;
        }
        let buffer = &mut buffer[..units.len()];
        self.copy(sample, units, buffer);
        buffer
    }

    /// Copies a stretch of units.
    #[inline(never)]
    pub(crate) fn copy(&self, sample: usize, units: Range<usize>, buffer: &mut [T]) {
        let mut places = buffer.iter_mut();
        self.for_each(sample, units, |value| {
            if let Some(place) = places.next() {
                *place = value;
            }
        });
    }

    /// Calls `each` with the value that every sample has of a unit, in turn.
    #[inline]
    pub(crate) fn for_each_sample(
        &self,
        samples: Range<usize>,
        unit: usize,
        mut each: impl FnMut(T),
    ) {
        self.plane.for_each_sample(samples, unit, |place| {
            // SAFETY: the plane owns the unit of these samples.
            each(unsafe { *place });
        });
    }

    /// Calls `each` with the value of every unit of a stretch in turn.
    #[inline]
    pub(crate) fn for_each(&self, sample: usize, units: Range<usize>, mut each: impl FnMut(T)) {
        self.plane.for_each(sample, units, |place| {
            // SAFETY: the plane owns the unit.
            each(unsafe { *place });
        });
    }

    /// The sample, the unit and the value of the first unit that `accepts` does not like.
    pub(crate) fn first_refused(&self, accepts: impl Fn(T) -> bool) -> Option<(usize, usize, T)> {
        let Plane { samples, units, .. } = &self.plane;
        if units.is_empty() {
            return None;
        }
        for sample in samples.clone() {
            // All of them, not only up to the first refused: the compiler makes vectors of that.
            let mut all = true;
            match self.stretch(sample, units.clone()) {
                Some(values) => values.iter().for_each(|&value| all &= accepts(value)),
                None => self.for_each(sample, units.clone(), |value| all &= accepts(value)),
            }
            if !all {
                let mut each = units
                    .clone()
                    .map(|unit| (sample, unit, self.get(sample, unit)));
                return each.find(|&(_, _, value)| !accepts(value));
            }
        }
        None
    }

    /// Whether the classes of a row are neighbours in memory.
    #[inline]
    pub(crate) fn classes_contiguous(&self) -> bool {
        self.plane.classes_contiguous()
    }

    /// The value of one class of a row.
    #[inline]
    pub(crate) fn class(&self, sample: usize, unit: usize, class: usize) -> T {
        let place = self.plane.locate_classes(sample, unit, class..class + 1);
        // SAFETY: the plane owns the unit and the class.
        unsafe { *place }
    }

    /// Some classes of a row: where they lie if they are neighbours in memory, else copied into
    /// `buffer`.
    #[inline]
    pub(crate) fn row<'b>(
        &'b self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        // SAFETY: nobody writes what a source reads.
        unsafe { self.plane.read_row(sample, unit, classes, buffer) }
    }

    /// Copies some classes of a row.
    pub(crate) fn copy_row(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &mut [T],
    ) {
        // SAFETY: nobody writes what a source reads.
        unsafe { self.plane.copy_row(sample, unit, classes, buffer) }
    }
}

impl<T: Float> Source<'_, T> {
    /// The same units, which must be neighbours in memory, of several samples.
    #[inline]
    pub(crate) fn stretches(&self, samples: Range<usize>, units: Range<usize>) -> Lines<'_, T> {
        let (lines, len) = (samples.len(), units.len());
        let (first, stride) = self.plane.stretches(samples, units);
        // SAFETY: the plane owns the units of these samples, which are neighbours, and nobody writes
        // them.
        unsafe { Lines::read((first, stride), lines, len) }
    }

    /// Rows that are neighbours in memory, class by class.
    pub(crate) fn columns(&self, sample: usize, units: Range<usize>) -> Lines<'_, T> {
        let (rows, classes) = (units.len(), self.plane.classes.len());
        let (first, stride) = self.plane.columns(sample, units);
        // SAFETY: the plane owns all classes of these rows, which are neighbours, and nobody writes
        // them.
        unsafe { Lines::read((first, stride), classes, rows) }
    }

    /// Rows whose classes are neighbours, row by row, if they lie a stride apart.
    pub(crate) fn rows(&self, samples: Range<usize>, units: Range<usize>) -> Option<Lines<'_, T>> {
        let (rows, classes) = (samples.len() * units.len(), self.plane.classes.len());
        let (first, stride) = self.plane.rows(samples, units)?;
        // SAFETY: the plane owns all classes of these rows, which are neighbours, and nobody writes
        // them.
        Some(unsafe { Lines::read((first, stride), rows, classes) })
    }
}
