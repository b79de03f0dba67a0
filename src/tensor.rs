//! Tensors whose rank no longer matters: the one room that turns ndarray's arrays into runs of memory, and hands disjoint parts of an output to several threads.
//!
//! A [`Tensor`] or [`TensorMut`] is an ndarray view with its rank erased. Laid out over a
//! [`Grid`] (samples, and the units of each) it becomes a [`Source`] to read or a [`Target`] to
//! write. Both give a stretch of units as a slice where memory allows, and copy it otherwise.
//! A `Target` owns a rectangle of the grid and can be split, never copied: whoever has one may
//! write its units and nobody else can.

mod frames;
mod lines;

pub use frames::Frames;
pub use lines::Lines;

use crate::layout::{AxisSet, Grid, Layout};
use crate::simd::Float;
use core::marker::PhantomData;
use core::ops::Range;
use ndarray::{ArrayRef, Dimension};

/// An array to read, of any rank.
#[derive(Clone, Copy)]
pub struct Tensor<'a, T> {
    base: *const T,
    pub(crate) shape: &'a [usize],
    strides: &'a [isize],
    /// The axes of pred that it lacks.
    lacks: AxisSet,
    memory: PhantomData<&'a [T]>,
}

/// An array to write, of any rank.
pub struct TensorMut<'a, T> {
    base: *mut T,
    pub(crate) shape: &'a [usize],
    strides: &'a [isize],
    /// The axes of pred that it lacks.
    lacks: AxisSet,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: a tensor only reads elements of an array that is borrowed shared for as long as it lives.
unsafe impl<T: Sync> Send for Tensor<'_, T> {}
// SAFETY: as above; reading from several threads is what `T: Sync` allows.
unsafe impl<T: Sync> Sync for Tensor<'_, T> {}

impl<T: Copy> Tensor<'_, T> {
    /// The value at a position on the first axis and, where there is another, one on that.
    #[inline]
    pub(crate) fn at(&self, first: usize, second: usize) -> T {
        assert!(self.shape.len() <= 2 && first < self.shape[0]);
        let mut offset = first as isize * self.strides[0];
        if self.shape.len() == 2 {
            assert!(second < self.shape[1]);
            offset += second as isize * self.strides[1];
        }
        // SAFETY: the position lies within the array.
        unsafe { *self.base.wrapping_offset(offset) }
    }
}

impl<'a, T> Tensor<'a, T> {
    #[inline]
    pub(crate) fn new<D: Dimension>(array: &'a ArrayRef<T, D>) -> Self {
        Self {
            base: array.as_ptr(),
            shape: array.shape(),
            strides: array.strides(),
            lacks: AxisSet::None,
            memory: PhantomData,
        }
    }

    /// Values of a slice, the first of them given.
    pub(crate) fn of_slice(
        values: &'a [T],
        first: usize,
        (shape, strides): (&'a [usize], &'a [isize]),
    ) -> Self {
        assert!(lie_within(values.len(), first, (shape, strides)));
        Self {
            base: values.as_ptr().wrapping_add(first),
            shape,
            strides,
            lacks: AxisSet::None,
            memory: PhantomData,
        }
    }

    /// Whether the tensor spreads over `shape` by NumPy's rule: of the same rank, each extent equal
    /// or 1.
    pub(crate) fn spreads_over(&self, shape: &[usize]) -> bool {
        let fits = |(&own, &extent)| own == extent || own == 1;
        self.shape.len() == shape.len() && self.shape.iter().zip(shape).all(fits)
    }

    /// The tensor, spread along some axes of pred that it lacks.
    pub(crate) fn lacking(self, lacks: AxisSet) -> Self {
        Self { lacks, ..self }
    }
}

/// Whether all values of some shape and strides lie within a slice of `len`, from the first on.
fn lie_within(len: usize, first: usize, (shape, strides): (&[usize], &[isize])) -> bool {
    let (mut lowest, mut highest) = (Some(first), Some(first));
    for (&extent, &stride) in shape.iter().zip(strides) {
        let last = extent.saturating_sub(1);
        let reach = last.saturating_mul(stride.unsigned_abs());
        if stride < 0 {
            lowest = lowest.and_then(|lowest| lowest.checked_sub(reach));
        } else {
            highest = highest.and_then(|highest| highest.checked_add(reach));
        }
    }
    let within = lowest.is_some() && highest.is_some_and(|highest| highest < len);
    shape.len() == strides.len() && (within || shape.contains(&0))
}

impl<'a, T> TensorMut<'a, T> {
    #[inline]
    pub(crate) fn new<D: Dimension>(array: &'a mut ArrayRef<T, D>) -> Self {
        let base = array.as_mut_ptr();
        let array = &*array;
        Self {
            base,
            shape: array.shape(),
            strides: array.strides(),
            lacks: AxisSet::None,
            memory: PhantomData,
        }
    }

    /// The values of a slice in their order.
    pub(crate) fn of_slice(
        values: &'a mut [T],
        (shape, strides): (&'a [usize], &'a [isize]),
    ) -> Self {
        let mut stride = 1_usize;
        for (&extent, &given) in shape.iter().zip(strides).rev() {
            assert_eq!(given, stride as isize);
            stride = stride.saturating_mul(extent);
        }
        assert!(shape.len() == strides.len() && stride == values.len());
        Self {
            base: values.as_mut_ptr(),
            shape,
            strides,
            lacks: AxisSet::None,
            memory: PhantomData,
        }
    }

    /// One value, as a tensor of no axes.
    pub(crate) fn of_value(value: &'a mut T) -> Self {
        Self {
            base: value,
            shape: &[],
            strides: &[],
            lacks: AxisSet::None,
            memory: PhantomData,
        }
    }

    /// A shorter loan of the same tensor.
    pub(crate) fn reborrow(&mut self) -> TensorMut<'_, T> {
        TensorMut {
            memory: PhantomData,
            ..*self
        }
    }

    /// The tensor with an extent of 1 along some axes of pred that it lacks: pred must have no more, unless
    /// units run along them.
    pub(crate) fn lacking(self, lacks: AxisSet) -> Self {
        Self { lacks, ..self }
    }
}

/// A rectangle of a grid, laid over memory: what [`Source`] and [`Target`] have in common.
#[derive(Clone)]
struct Plane<T> {
    base: *mut T,
    layout: Layout,
    row_len: usize,
    samples: Range<usize>,
    units: Range<usize>,
    classes: Range<usize>,
}

impl<T> Plane<T> {
    #[inline]
    fn new(base: *mut T, grid: &Grid<'_>, layout: Layout, row_len: usize) -> Self {
        Self {
            base,
            layout,
            row_len,
            samples: 0..grid.samples,
            units: 0..grid.units,
            classes: 0..row_len,
        }
    }

    /// Where a unit's first class lies, whoever owns that, and how many of the wanted units from it on
    /// are neighbours in memory. Panics unless the plane owns all of them.
    #[inline]
    fn locate(&self, sample: usize, units: Range<usize>) -> (*mut T, usize) {
        assert!(self.samples.start <= sample && sample < self.samples.end);
        assert!(self.units.start <= units.start && units.start < units.end);
        assert!(units.end <= self.units.end);
        let (offset, stretch) = self.layout.locate(sample, units.start);
        let neighbours = if self.layout.units().stride() == 1 {
            stretch
        } else {
            1
        };
        (
            self.base.wrapping_offset(offset),
            neighbours.min(units.len()),
        )
    }

    /// As [`locate`](Self::locate), where the first class is to be read or written. Panics unless the
    /// plane owns that too.
    #[inline]
    fn locate_first(&self, sample: usize, units: Range<usize>) -> (*mut T, usize) {
        assert!(self.classes.contains(&0));
        self.locate(sample, units)
    }

    /// Where the first of some classes of a unit lies. Panics unless the plane owns all of them.
    #[inline]
    fn locate_classes(&self, sample: usize, unit: usize, classes: Range<usize>) -> *mut T {
        assert!(self.classes.start <= classes.start && classes.start <= classes.end);
        assert!(classes.end <= self.classes.end);
        let (unit, _) = self.locate(sample, unit..unit + 1);
        let (offset, _) = self.layout.row().locate(classes.start);
        unit.wrapping_offset(offset)
    }

    #[inline]
    fn classes_contiguous(&self) -> bool {
        self.layout.row().is_run() || self.classes.len() <= 1
    }

    /// Where the first class of neighbouring units lies, and the stride from class to class. Panics
    /// unless the units are neighbours and the stride is the same for all classes.
    #[inline]
    fn columns(&self, sample: usize, units: Range<usize>) -> (*mut T, isize) {
        let (first, neighbours) = self.locate(sample, units.clone());
        assert!(neighbours == units.len() && self.classes == (0..self.row_len));
        assert!(self.layout.row().is_single());
        (first, self.layout.row().stride())
    }

    /// Where the first of some rows lies, and the stride from row to row in the order of visits, if
    /// their classes are neighbours and the stride is the same for all.
    #[inline]
    fn rows(&self, samples: Range<usize>, units: Range<usize>) -> Option<(*mut T, isize)> {
        let whole = self.classes == (0..self.row_len);
        if samples.is_empty() || units.is_empty() || !whole || !self.classes_contiguous() {
            return None;
        }
        let (first, _) = self.locate(samples.start, units.clone());
        self.locate(samples.end - 1, units.clone());
        let (by_sample, by_unit) = (self.layout.sample_stride, self.layout.units().stride());
        let stride = match (samples.len(), units.len()) {
            (_, 1) => by_sample,
            _ if !self.layout.units().is_single() => return None,
            (1, _) => by_unit,
            (_, units) if by_sample == units as isize * by_unit => by_unit,
            _ => return None,
        };
        Some((first, stride))
    }

    /// Where the first of some units lies, and the stride from sample to sample. Panics unless the
    /// units are neighbours.
    #[inline]
    fn stretches(&self, samples: Range<usize>, units: Range<usize>) -> (*mut T, isize) {
        assert!(!samples.is_empty() && self.classes == (0..self.row_len));
        let (first, neighbours) = self.locate(samples.start, units.clone());
        assert!(neighbours == units.len() && samples.end <= self.samples.end);
        (first, self.layout.sample_stride)
    }

    /// Whether the units of every sample are neighbours in memory.
    fn is_run(&self) -> bool {
        self.layout.units().is_run() || self.units.len() <= 1
    }

    /// Calls `each` with the address of every one of some classes of a unit in turn.
    #[inline]
    fn for_each_class(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        mut each: impl FnMut(*mut T),
    ) {
        if classes.is_empty() {
            return;
        }
        self.locate_classes(sample, unit, classes.clone());
        let (row, _) = self.locate(sample, unit..unit + 1);
        let stride = self.layout.row().stride();
        let mut class = classes.start;
        while class < classes.end {
            let (offset, stretch) = self.layout.row().locate(class);
            let count = stretch.min(classes.end - class);
            let mut place = row.wrapping_offset(offset);
            for _ in 0..count {
                each(place);
                place = place.wrapping_offset(stride);
            }
            class += count;
        }
    }

    /// Calls `each` with the address of every unit of a stretch in turn.
    #[inline]
    fn for_each(&self, sample: usize, units: Range<usize>, mut each: impl FnMut(*mut T)) {
        if units.is_empty() {
            return;
        }
        self.locate_first(sample, units.clone());
        let stride = self.layout.units().stride();
        let mut unit = units.start;
        while unit < units.end {
            let (offset, stretch) = self.layout.locate(sample, unit);
            let count = stretch.min(units.end - unit);
            let mut place = self.base.wrapping_offset(offset);
            for _ in 0..count {
                each(place);
                place = place.wrapping_offset(stride);
            }
            unit += count;
        }
    }
}

impl<T: Copy> Plane<T> {
    /// Some classes of a row: where they lie if they are neighbours in memory, else copied into
    /// `buffer`.
    ///
    /// # Safety
    /// Nobody writes what the plane owns for as long as it is borrowed.
    #[inline]
    unsafe fn read_row<'b>(
        &'b self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        if !self.classes_contiguous() {
            let buffer = &mut buffer[..classes.len()];
            // SAFETY: as the caller promises.
            unsafe { self.copy_row(sample, unit, classes, buffer) };
            return buffer;
        }
        let place = self.locate_classes(sample, unit, classes.clone());
        // SAFETY: the plane owns the classes, they are neighbours, and nobody writes them.
        unsafe { core::slice::from_raw_parts(place, classes.len()) }
    }

    /// Copies some classes of a row.
    ///
    /// # Safety
    /// Nobody writes what the plane owns for as long as it is borrowed.
    unsafe fn copy_row(&self, sample: usize, unit: usize, classes: Range<usize>, buffer: &mut [T]) {
        let mut values = buffer.iter_mut();
        self.for_each_class(sample, unit, classes, |place| {
            if let Some(value) = values.next() {
                // SAFETY: the plane owns the class, and nobody writes it.
                *value = unsafe { *place };
            }
        });
    }
}

/// A rectangle of a grid to read.
#[derive(Clone)]
pub struct Source<'a, T> {
    plane: Plane<T>,
    memory: PhantomData<&'a [T]>,
}

// SAFETY: a source only reads elements of an array that is borrowed shared for as long as it lives.
unsafe impl<T: Sync> Send for Source<'_, T> {}
// SAFETY: as above; reading from several threads is what `T: Sync` allows.
unsafe impl<T: Sync> Sync for Source<'_, T> {}

impl<'a, T: Copy> Source<'a, T> {
    /// Lays `tensor`, which spreads over pred, out over `grid`, one entry a unit.
    #[inline]
    pub(crate) fn of_units(tensor: Tensor<'a, T>, grid: &Grid<'_>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, false, axes, tensor.lacks, true);
        Self::new(Plane::new(tensor.base.cast_mut(), grid, layout, 1))
    }

    /// Lays `tensor`, which spreads over pred, out over `grid`, a row of entries a unit.
    #[inline]
    pub(crate) fn of_rows(tensor: Tensor<'a, T>, grid: &Grid<'_>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, true, axes, tensor.lacks, true);
        let base = tensor.base.cast_mut();
        Self::new(Plane::new(base, grid, layout, grid.row_len))
    }

    #[inline]
    fn new(plane: Plane<T>) -> Self {
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

    /// A stretch of units: where they lie if they are neighbours in memory, else copied into
    /// `buffer`.
    #[inline]
    pub(crate) fn stretch<'b>(
        &'b self,
        sample: usize,
        units: Range<usize>,
        buffer: &'b mut [T],
    ) -> &'b [T] {
        let (place, neighbours) = self.plane.locate_first(sample, units.clone());
        if neighbours == units.len() {
            // SAFETY: the plane owns the units, and they are neighbours.
            unsafe { core::slice::from_raw_parts(place, neighbours) }
        } else {
            let buffer = &mut buffer[..units.len()];
            self.copy(sample, units, buffer);
            buffer
        }
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
        if samples.is_empty() {
            return;
        }
        self.plane.locate_first(samples.end - 1, unit..unit + 1);
        let (mut place, _) = self.plane.locate_first(samples.start, unit..unit + 1);
        for _ in samples {
            // SAFETY: the plane owns the unit of these samples, which lie a stride apart.
            each(unsafe { *place });
            place = place.wrapping_offset(self.plane.layout.sample_stride);
        }
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
        for sample in samples.clone() {
            let mut all = true;
            self.for_each(sample, units.clone(), |value| all &= accepts(value));
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
    plane: Plane<T>,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: a target is the only way to its elements, like a mutable slice.
unsafe impl<T: Send> Send for Target<'_, T> {}
// SAFETY: through a shared reference a target can only be read.
unsafe impl<T: Sync> Sync for Target<'_, T> {}

impl<'a, T: Copy> Target<'a, T> {
    /// Lays `tensor`, which has an entry for every unit of pred, out over `grid`.
    ///
    /// Mutable ndarray views never let two indices share an element, so no two units do.
    #[inline]
    pub(crate) fn of_units(tensor: TensorMut<'a, T>, grid: &Grid<'_>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, false, axes, tensor.lacks, false);
        Self::new(Plane::new(tensor.base, grid, layout, 1))
    }

    /// Lays `tensor`, which has a row of entries for every unit of pred, out over `grid`.
    #[inline]
    pub(crate) fn of_rows(tensor: TensorMut<'a, T>, grid: &Grid<'_>) -> Self {
        let axes = (tensor.shape, tensor.strides);
        let layout = Layout::new(grid, true, axes, tensor.lacks, false);
        Self::new(Plane::new(tensor.base, grid, layout, grid.row_len))
    }

    /// One value for each sample of `grid`, in a tensor of one axis, or one for its only sample.
    #[inline]
    pub(crate) fn of_samples(tensor: TensorMut<'a, T>, grid: &Grid<'_>) -> Self {
        let samples: usize = tensor.shape.iter().product();
        assert!(tensor.shape.len() <= 1 && samples == grid.samples);
        let layout = Layout::of_samples(tensor.strides.first().copied().unwrap_or(0));
        Self::new(Plane::new(tensor.base, &grid.totals(), layout, 1))
    }

    #[inline]
    fn new(plane: Plane<T>) -> Self {
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
        Source {
            plane: self.plane.clone(),
            memory: PhantomData,
        }
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
