use super::{Tensor, TensorMut};
use core::marker::PhantomData;
use core::ops::Range;

/// The axes of samples, frames and classes.
pub type Axes = [usize; 3];

/// Samples of frames of classes to read, and perhaps a place of the same shape to write; for work
/// in place the two are one.
///
/// It is not `Clone`: two of them never share a frame, so whoever holds one may write all of it.
pub struct Frames<'a, T> {
    source: *const T,
    source_strides: [isize; 3],
    target: *mut T,
    target_strides: [isize; 3],
    writable: bool,
    samples: Range<usize>,
    frames: Range<usize>,
    classes: usize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: frames are the only way to the elements that they write, like a mutable slice; those that
// they only read are borrowed shared for as long as they live.
unsafe impl<T: Send + Sync> Send for Frames<'_, T> {}

// SAFETY: through a shared reference frames can only be read.
unsafe impl<T: Sync> Sync for Frames<'_, T> {}

impl<'a, T: Copy> Frames<'a, T> {
    /// Frames to read.
    pub(crate) fn read(tensor: Tensor<'a, T>, axes: Axes) -> Self {
        let strides = axes.map(|axis| tensor.strides[axis]);
        let [samples, frames, classes] = axes.map(|axis| tensor.shape[axis]);
        Self {
            source: tensor.base,
            source_strides: strides,
            target: core::ptr::null_mut(),
            target_strides: strides,
            writable: false,
            samples: 0..samples,
            frames: 0..frames,
            classes,
            memory: PhantomData,
        }
    }

    /// Frames to read and as many to write elsewhere.
    pub(crate) fn copy(tensor: Tensor<'a, T>, target: TensorMut<'a, T>, axes: Axes) -> Self {
        assert!(tensor.shape == target.shape);
        Self {
            target: target.base,
            target_strides: axes.map(|axis| target.strides[axis]),
            writable: true,
            ..Self::read(tensor, axes)
        }
    }

    /// Frames to read and to overwrite.
    pub(crate) fn in_place(tensor: TensorMut<'a, T>, axes: Axes) -> Self {
        let strides = axes.map(|axis| tensor.strides[axis]);
        let [samples, frames, classes] = axes.map(|axis| tensor.shape[axis]);
        Self {
            source: tensor.base,
            source_strides: strides,
            target: tensor.base,
            target_strides: strides,
            writable: true,
            samples: 0..samples,
            frames: 0..frames,
            classes,
            memory: PhantomData,
        }
    }

    /// Whether there is a place to write.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// How many samples are left.
    pub(crate) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Takes the first sample off.
    pub(crate) fn next_sample(&mut self) -> Frames<'a, T> {
        assert!(!self.samples.is_empty());
        let sample = self.samples.start;
        self.samples.start += 1;
        Self {
            samples: sample..sample + 1,
            frames: self.frames.clone(),
            memory: PhantomData,
            ..*self
        }
    }

    /// Splits before frame `at`; frames keep their numbers.
    pub(crate) fn split(&mut self, at: usize) -> (Frames<'_, T>, Frames<'_, T>) {
        assert!(self.frames.start <= at && at <= self.frames.end);
        let part = |frames| Self {
            samples: self.samples.clone(),
            frames,
            memory: PhantomData,
            ..*self
        };
        (part(self.frames.start..at), part(at..self.frames.end))
    }

    /// The offset of a frame of the first sample. Panics unless it is one of these frames.
    #[inline(always)]
    fn offset(&self, frame: usize, strides: [isize; 3]) -> isize {
        assert!(self.frames.start <= frame && frame < self.frames.end);
        assert!(!self.samples.is_empty());
        self.samples.start as isize * strides[0] + frame as isize * strides[1]
    }

    /// The classes of a frame of the first sample: where they lie if they are neighbours in memory,
    /// else copied into `buffer`.
    #[inline(always)]
    pub(crate) fn row<'b>(&'b self, frame: usize, buffer: &'b mut [T]) -> &'b [T] {
        let place = self
            .source
            .wrapping_offset(self.offset(frame, self.source_strides));
        let stride = self.source_strides[2];
        if stride == 1 {
            // SAFETY: the frame is one of these, and its classes are neighbours.
            return unsafe { core::slice::from_raw_parts(place, self.classes) };
        }
        let buffer = &mut buffer[..self.classes];
        self.read_each(frame, buffer, core::convert::identity);
        buffer
    }

    /// Copies the classes of a frame of the first sample, each converted.
    #[inline(always)]
    pub(crate) fn read_each<W>(&self, frame: usize, to: &mut [W], convert: impl Fn(T) -> W) {
        let place = self
            .source
            .wrapping_offset(self.offset(frame, self.source_strides));
        for (class, value) in to.iter_mut().take(self.classes).enumerate() {
            let offset = class as isize * self.source_strides[2];
            // SAFETY: the frame is one of these, and its classes lie a stride apart.
            *value = convert(unsafe { *place.wrapping_offset(offset) });
        }
    }

    /// The place of a frame of the first sample, where its classes are neighbours in memory.
    #[inline(always)]
    pub(crate) fn place(&mut self, frame: usize) -> Option<&mut [T]> {
        assert!(self.writable);
        let place = self
            .target
            .wrapping_offset(self.offset(frame, self.target_strides));
        // SAFETY: the frame is one of these, which nobody else can reach, and its classes are
        // neighbours.
        (self.target_strides[2] == 1)
            .then(|| unsafe { core::slice::from_raw_parts_mut(place, self.classes) })
    }

    /// Whether every row lies, to read and to write, in a run of its own.
    pub(crate) fn is_copy(&self) -> bool {
        self.writable
            && self.source != self.target.cast_const()
            && self.source_strides[2] == 1
            && self.target_strides[2] == 1
    }

    /// The classes of two frames of the first sample, and the place of another, which must be
    /// [`is_copy`](Self::is_copy).
    #[inline(always)]
    pub(crate) fn rows_and_place(
        &mut self,
        rows: [usize; 2],
        place: usize,
    ) -> ([&[T]; 2], &mut [T]) {
        assert!(self.is_copy());
        let rows = rows.map(|frame| {
            let row = self.offset(frame, self.source_strides);
            // SAFETY: the frame is one of these, its classes are neighbours, and they are borrowed
            // apart from the places.
            unsafe { core::slice::from_raw_parts(self.source.wrapping_offset(row), self.classes) }
        });
        let place = self.offset(place, self.target_strides);
        let place = self.target.wrapping_offset(place);
        // SAFETY: the frame is one of these, which nobody else can reach, and its classes are
        // neighbours.
        (rows, unsafe {
            core::slice::from_raw_parts_mut(place, self.classes)
        })
    }

    /// Writes the classes of a frame of the first sample.
    #[inline(always)]
    pub(crate) fn write(&mut self, frame: usize, values: impl Iterator<Item = T>) {
        assert!(self.writable);
        let place = self
            .target
            .wrapping_offset(self.offset(frame, self.target_strides));
        for (class, value) in values.take(self.classes).enumerate() {
            let offset = class as isize * self.target_strides[2];
            // SAFETY: the frame is one of these, which nobody else can reach.
            unsafe { *place.wrapping_offset(offset) = value }
        }
    }

    /// Sets every class of some frames of the first sample to one value.
    pub(crate) fn fill(&mut self, frames: Range<usize>, value: T) {
        for frame in frames {
            match self.place(frame) {
                Some(place) => place.fill(value),
                None => self.write(frame, core::iter::repeat(value)),
            }
        }
    }
}
