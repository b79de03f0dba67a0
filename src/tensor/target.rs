use super::plane::Plane;
use super::{Lines, Source, TensorMut};
use crate::layout::{Grid, Layout};
use crate::simd::Float;
use core::marker::PhantomData;
use core::ops::Range;

/// A direction of a [`Target`]'s rectangle.
#[derive(Clone, Copy)]
pub enum Along {
    Samples,
    Units,
    Classes,
}

/// A rectangle of a grid to write (and, for work in place, to read).
///
/// It is not `Clone`: two targets never share a unit, so whoever holds one may write all of it.
pub struct Target<'a, T> {
    plane: Plane<'a, T>,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: a target is the only way to its elements, like a mutable slice; its layout is plain numbers, of
// which some are behind a shared reference.
unsafe impl<T: Send> Send for Target<'_, T> {}
// SAFETY: through a shared reference a target can only be read.
unsafe impl<T: Sync> Sync for Target<'_, T> {}

impl<'a, T: Copy> Target<'a, T> {
    /// Lays `tensor`, which has an entry for every unit of pred, out over `grid`.
    ///
    /// Mutable ndarray views never let two indices share an element, so no two units do.
    #[inline]
    pub(crate) fn of_units(tensor: TensorMut<'a, T>, grid: &Grid<'a>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, false, axes, tensor.lacks, false);
        Self::new(Plane::new(tensor.base, grid, layout, 1))
    }

    /// Lays `tensor`, which has a row of entries for every unit of pred, out over `grid`.
    #[inline]
    pub(crate) fn of_rows(tensor: TensorMut<'a, T>, grid: &Grid<'a>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, true, axes, tensor.lacks, false);
        Self::new(Plane::new(tensor.base, grid, layout, grid.row_len))
    }

    /// One value for each sample, in a tensor of one axis, or one for the only sample.
    #[inline]
    pub(crate) fn of_samples(tensor: TensorMut<'a, T>, samples: usize) -> Self {
        let values: usize = tensor.shape.iter().product();
        assert!(tensor.shape.len() <= 1 && values == samples);
        let stride = tensor.strides.first().copied().unwrap_or(0);
        Self::new(Plane::of_samples(tensor.base, samples, stride))
    }

    #[inline]
    fn new(plane: Plane<'a, T>) -> Self {
        let memory = PhantomData;
        Self { plane, memory }
    }

    /// Splits the rectangle before position `at` of one direction.
    pub(crate) fn split(self, along: Along, at: usize) -> (Self, Self) {
        // Two owners of the same rectangle for a moment, disjoint before anyone can use them.
        let mut head = Self {
            plane: self.plane.clone(),
            memory: PhantomData,
        };
        let mut tail = self;
        let (end, start) = match along {
            Along::Samples => (&mut head.plane.samples, &mut tail.plane.samples),
            Along::Units => (&mut head.plane.units, &mut tail.plane.units),
            Along::Classes => (&mut head.plane.classes, &mut tail.plane.classes),
        };
        assert!(start.start <= at && at <= start.end);
        (end.end, start.start) = (at, at);
        (head, tail)
    }

    /// A shorter loan of the same rectangle.
    pub(crate) fn reborrow(&mut self) -> Target<'_, T> {
        Target {
            plane: self.plane.clone(),
            memory: PhantomData,
        }
    }

    /// A shorter loan of some of its units.
    pub(crate) fn part(&mut self, units: Range<usize>) -> Target<'_, T> {
        let (_, from_start) = self.reborrow().split(Along::Units, units.start);
        from_start.split(Along::Units, units.end).0
    }

    /// The rectangle, to read.
    pub(crate) fn as_source(&self) -> Source<'_, T> {
        // SAFETY: the target, which is the only way to write that, is borrowed shared as long.
        unsafe { Source::new(self.plane.clone()) }
    }

    /// Sets the value of a unit.
    #[inline]
    pub(crate) fn set(&mut self, sample: usize, unit: usize, value: T) {
        let (place, _) = self.plane.locate_first(sample, unit..unit + 1);
        // SAFETY: the plane owns the unit.
        unsafe { *place = value }
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
    pub(crate) fn stretch(&mut self, sample: usize, units: Range<usize>) -> Option<&mut [T]> {
        let (place, neighbours) = self.plane.locate_first(sample, units.clone());
        // SAFETY: the plane owns the units, and they are neighbours.
        (neighbours == units.len())
            .then(|| unsafe { core::slice::from_raw_parts_mut(place, neighbours) })
    }

    /// A stretch of units: where they lie if they are neighbours in memory, else `buffer`, from
    /// which they are still to be written; the flag says so.
    #[inline]
    pub(crate) fn stretch_or<'b>(
        &'b mut self,
        sample: usize,
        units: Range<usize>,
        buffer: &'b mut [T],
    ) -> (&'b mut [T], bool) {
        let len = units.len();
        match self.stretch(sample, units) {
            Some(stretch) => (stretch, false),
            None => (&mut buffer[..len], true),
        }
    }

    /// Sets all units of a stretch, every class of them, to one value.
    pub(crate) fn fill(&mut self, sample: usize, units: Range<usize>, value: T) {
        if self.plane.row_len == 1 {
            self.plane.for_each(sample, units, |place| {
                // SAFETY: the plane owns the unit.
                unsafe { *place = value }
            });
            return;
        }
        for unit in units {
            let classes = self.plane.classes.clone();
            if self.classes_contiguous() {
                self.row(sample, unit, classes).fill(value);
                continue;
            }
            self.plane.for_each_class(sample, unit, classes, |place| {
                // SAFETY: the plane owns the unit and its classes.
                unsafe { *place = value }
            });
        }
    }

    /// Copies values to the units from `unit` on.
    #[inline(never)]
    pub(crate) fn write(&mut self, sample: usize, unit: usize, values: &[T]) {
        if !values.is_empty()
            && let Some(stretch) = self.stretch(sample, unit..unit + values.len())
        {
            stretch.copy_from_slice(values);
            return;
        }
        let mut values = values.iter();
        self.plane
            .for_each(sample, unit..unit + values.len(), |place| {
                if let Some(&value) = values.next() {
                    // SAFETY: the plane owns the unit.
                    unsafe { *place = value }
                }
            });
    }

    /// Sets one class of a row.
    #[inline]
    pub(crate) fn set_class(&mut self, sample: usize, unit: usize, class: usize, value: T) {
        let place = self.plane.locate_classes(sample, unit, class..class + 1);
        // SAFETY: the plane owns the unit and the class.
        unsafe { *place = value }
    }

    /// Whether the classes of a row are neighbours in memory.
    #[inline]
    pub(crate) fn classes_contiguous(&self) -> bool {
        self.plane.classes_contiguous()
    }

    /// Some classes of a row, which must be neighbours in memory.
    #[inline]
    pub(crate) fn row(&mut self, sample: usize, unit: usize, classes: Range<usize>) -> &mut [T] {
        assert!(self.classes_contiguous());
        let place = self.plane.locate_classes(sample, unit, classes.clone());
        // SAFETY: the plane owns the classes, and they are neighbours.
        unsafe { core::slice::from_raw_parts_mut(place, classes.len()) }
    }

    /// Some classes of a row, to read: where they lie if they are neighbours in memory, else copied
    /// into `buffer`.
    #[inline]
    pub(crate) fn read_row<'b>(
        &'b self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        // SAFETY: the target is the only way to its elements, and it is borrowed shared.
        unsafe { self.plane.read_row(sample, unit, classes, buffer) }
    }

    /// The value of one class of a row.
    #[inline]
    pub(crate) fn class(&self, sample: usize, unit: usize, class: usize) -> T {
        let place = self.plane.locate_classes(sample, unit, class..class + 1);
        // SAFETY: the plane owns the unit and the class.
        unsafe { *place }
    }

    /// Copies values to the classes of a row from `class` on.
    pub(crate) fn write_row(&mut self, sample: usize, unit: usize, class: usize, values: &[T]) {
        let classes = class..class + values.len();
        if self.classes_contiguous() {
            self.row(sample, unit, classes).copy_from_slice(values);
            return;
        }
        let mut values = values.iter();
        self.plane.for_each_class(sample, unit, classes, |place| {
            if let Some(&value) = values.next() {
                // SAFETY: the plane owns the class.
                unsafe { *place = value }
            }
        });
    }
}

impl<T: Float> Target<'_, T> {
    /// The same units, which must be neighbours in memory, of several samples.
    #[inline]
    pub(crate) fn stretches(&mut self, samples: Range<usize>, units: Range<usize>) -> Lines<'_, T> {
        let (lines, len) = (samples.len(), units.len());
        let place = self.plane.stretches(samples, units);
        // SAFETY: the plane owns the units of these samples, which are neighbours, each in a place of
        // its own, and is borrowed mutably.
        unsafe { Lines::written_in_place(place, lines, len) }
    }

    /// Rows that are neighbours in memory, class by class.
    pub(crate) fn columns(&mut self, sample: usize, units: Range<usize>) -> Lines<'_, T> {
        let (rows, classes) = (units.len(), self.plane.classes.len());
        let place = self.plane.columns(sample, units);
        // SAFETY: the plane owns all classes of these rows, which are neighbours, each in a place of
        // its own, and is borrowed mutably.
        unsafe { Lines::written_in_place(place, classes, rows) }
    }

    /// Rows whose classes are neighbours, row by row, if they lie a stride apart.
    pub(crate) fn rows(
        &mut self,
        samples: Range<usize>,
        units: Range<usize>,
    ) -> Option<Lines<'_, T>> {
        let (rows, classes) = (samples.len() * units.len(), self.plane.classes.len());
        let place = self.plane.rows(samples, units)?;
        // SAFETY: the plane owns all classes of these rows, which are neighbours, each in a place of
        // its own, and is borrowed mutably.
        Some(unsafe { Lines::written_in_place(place, rows, classes) })
    }
}
