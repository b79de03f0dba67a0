use crate::layout::{Grid, Layout};
use core::ops::Range;

/// A rectangle of a grid, laid over memory: what [`Source`] and [`Target`] have in common.
#[derive(Clone)]
pub(super) struct Plane<'a, T> {
    base: *mut T,
    layout: Layout<'a>,
    pub(super) row_len: usize,
    pub(super) samples: Range<usize>,
    pub(super) units: Range<usize>,
    pub(super) classes: Range<usize>,
}

impl<'a, T> Plane<'a, T> {
    #[inline]
    pub(super) fn new(base: *mut T, grid: &Grid<'_>, layout: Layout<'a>, row_len: usize) -> Self {
        Self {
            base,
            layout,
            row_len,
            samples: 0..grid.samples,
            units: 0..grid.units,
            classes: 0..row_len,
        }
    }

    /// One unit of one class a sample, `stride` apart.
    #[inline]
    pub(super) fn of_samples(base: *mut T, samples: usize, stride: isize) -> Self {
        Self {
            base,
            layout: Layout::of_samples(stride),
            row_len: 1,
            samples: 0..samples,
            units: 0..1,
            classes: 0..1,
        }
    }

    /// One sample of so many units, neighbours of one class each.
    #[inline]
    pub(super) fn of_slice(base: *mut T, units: usize) -> Self {
        Self {
            base,
            layout: Layout::of_units(units),
            row_len: 1,
            samples: 0..1,
            units: 0..units,
            classes: 0..1,
        }
    }

    /// Where a unit's first class lies, whoever owns that, and how many of the wanted units from it on
    /// are neighbours in memory. Panics unless the plane owns all of them.
    #[inline(always)]
    pub(super) fn locate(&self, sample: usize, units: Range<usize>) -> (*mut T, usize) {
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
    pub(super) fn locate_first(&self, sample: usize, units: Range<usize>) -> (*mut T, usize) {
        assert!(self.classes.contains(&0));
        self.locate(sample, units)
    }

    /// Where the first of some classes of a unit lies. Panics unless the plane owns all of them.
    #[inline]
    pub(super) fn locate_classes(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
    ) -> *mut T {
        assert!(self.classes.start <= classes.start && classes.start <= classes.end);
        assert!(classes.end <= self.classes.end);
        let (unit, _) = self.locate(sample, unit..unit + 1);
        let (offset, _) = self.layout.row().locate(classes.start);
        unit.wrapping_offset(offset)
    }

    #[inline]
    pub(super) fn classes_contiguous(&self) -> bool {
        self.layout.row().is_run() || self.classes.len() <= 1
    }

    /// Where the first class of neighbouring units lies, and the stride from class to class. Panics
    /// unless the units are neighbours and the stride is the same for all classes.
    #[inline]
    pub(super) fn columns(&self, sample: usize, units: Range<usize>) -> (*mut T, isize) {
        let (first, neighbours) = self.locate(sample, units.clone());
        assert!(neighbours == units.len() && self.classes == (0..self.row_len));
        assert!(self.layout.row().is_single());
        (first, self.layout.row().stride())
    }

    /// Where the first of some rows lies, and the stride from row to row in the order of visits, if
    /// their classes are neighbours and the stride is the same for all.
    #[inline]
    pub(super) fn rows(
        &self,
        samples: Range<usize>,
        units: Range<usize>,
    ) -> Option<(*mut T, isize)> {
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
    pub(super) fn stretches(&self, samples: Range<usize>, units: Range<usize>) -> (*mut T, isize) {
        assert!(!samples.is_empty() && self.classes == (0..self.row_len));
        let (first, neighbours) = self.locate(samples.start, units.clone());
        assert!(neighbours == units.len() && samples.end <= self.samples.end);
        (first, self.layout.sample_stride)
    }

    /// Whether the units of every sample are neighbours in memory.
    pub(super) fn is_run(&self) -> bool {
        self.layout.units().is_run() || self.units.len() <= 1
    }

    /// Calls `each` with the address of every one of some classes of a unit in turn.
    #[inline]
    pub(super) fn for_each_class(
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

    /// Calls `each` with the address that every sample's unit has, in turn.
    #[inline]
    pub(super) fn for_each_sample(
        &self,
        samples: Range<usize>,
        unit: usize,
        mut each: impl FnMut(*mut T),
    ) {
        if samples.is_empty() {
            return;
        }
        self.locate_first(samples.end - 1, unit..unit + 1);
        let (mut place, _) = self.locate_first(samples.start, unit..unit + 1);
        for _ in samples {
            each(place);
            place = place.wrapping_offset(self.layout.sample_stride);
        }
    }

    /// Calls `each` with the address of every unit of a stretch in turn.
    #[inline]
    pub(super) fn for_each(
        &self,
        sample: usize,
        units: Range<usize>,
        mut each: impl FnMut(*mut T),
    ) {
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

impl<T: Copy> Plane<'_, T> {
    /// Some classes of a row: where they lie if they are neighbours in memory, else copied into
    /// `buffer`.
    ///
    /// # Safety
    /// Nobody writes what the plane owns for as long as it is borrowed.
    #[inline]
    pub(super) unsafe fn read_row<'b>(
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
    pub(super) unsafe fn copy_row(
        &self,
        sample: usize,
        unit: usize,
        classes: Range<usize>,
        buffer: &mut [T],
    ) {
        let mut values = buffer.iter_mut();
        self.for_each_class(sample, unit, classes, |place| {
            if let Some(value) = values.next() {
                // SAFETY: the plane owns the class, and nobody writes it.
                *value = unsafe { *place };
            }
        });
    }
}
