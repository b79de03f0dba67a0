use crate::simd::{Float, InOut, Isa};
use core::marker::PhantomData;

/// Runs of memory a stride apart, to read and perhaps to write: the classes of rows that are
/// neighbours, rows whose classes are, the units of several samples, or a single slice.
///
/// For as long as `'a` lasts, every line that begins a multiple of the source's stride behind the
/// source is readable and, if `writable`, every one of the target's writable through this value
/// alone. No two targets share memory, and a source shares none with a target but, in place, its own.
pub struct Lines<'a, T> {
    source: *const T,
    source_stride: isize,
    target: *mut T,
    target_stride: isize,
    lines: usize,
    len: usize,
    writable: bool,
    memory: PhantomData<&'a mut [T]>,
}

impl<'a, T: Float> Lines<'a, T> {
    /// Lines to read, given where the first lies and how far apart they are.
    ///
    /// # Safety
    /// For as long as `'a` lasts, so many lines of so many values are readable there, and nobody writes
    /// them.
    pub(super) unsafe fn read(
        (source, stride): (*const T, isize),
        lines: usize,
        len: usize,
    ) -> Self {
        Self {
            source,
            source_stride: stride,
            target: core::ptr::null_mut(),
            target_stride: 0,
            lines,
            len,
            writable: false,
            memory: PhantomData,
        }
    }

    /// Lines to read and to overwrite.
    ///
    /// # Safety
    /// For as long as `'a` lasts, so many lines of so many values are readable and writable there, by
    /// nobody else, and no two of them share memory.
    pub(super) unsafe fn written_in_place(
        (target, stride): (*mut T, isize),
        lines: usize,
        len: usize,
    ) -> Self {
        Self {
            source: target,
            source_stride: stride,
            target,
            target_stride: stride,
            lines,
            len,
            writable: true,
            memory: PhantomData,
        }
    }

    /// One line to read.
    pub(crate) fn of_slice(values: &'a [T]) -> Self {
        // SAFETY: the slice is borrowed shared for as long as the line lives.
        unsafe { Self::read((values.as_ptr(), 0), 1, values.len()) }
    }

    /// One line to read and to overwrite.
    pub(crate) fn of_slice_mut(values: &'a mut [T]) -> Self {
        // SAFETY: the slice is borrowed mutably for as long as the line lives.
        unsafe { Self::written_in_place((values.as_mut_ptr(), 0), 1, values.len()) }
    }

    /// One line, cut into `lines` of `len` values. (Where it is only read, the target's stride is of no
    /// use to anyone.)
    #[inline]
    pub(crate) fn cut(self, lines: usize, len: usize) -> Self {
        assert!(self.lines == 1 && lines.checked_mul(len) == Some(self.len));
        Self {
            source_stride: len as isize,
            target_stride: len as isize,
            lines,
            len,
            ..self
        }
    }

    /// Lines to read, and as many to write elsewhere.
    pub(crate) fn copy(source: Self, target: Self) -> Self {
        assert!(target.writable && (source.lines, source.len) == (target.lines, target.len));
        Self {
            source: source.source,
            source_stride: source.source_stride,
            ..target
        }
    }

    /// Whether the lines are written too.
    #[inline]
    pub(crate) fn is_written(&self) -> bool {
        self.writable
    }

    /// How many lines there are.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.lines
    }

    /// How many values a line has.
    #[inline(always)]
    pub(crate) fn line_len(&self) -> usize {
        self.len
    }

    /// A line to read.
    #[inline(always)]
    pub(crate) fn values(&self, line: usize) -> &[T] {
        assert!(line < self.lines);
        let source = self
            .source
            .wrapping_offset(line as isize * self.source_stride);
        // SAFETY: the line is readable, and through `&self` nothing is written.
        unsafe { core::slice::from_raw_parts(source, self.len) }
    }

    /// Where a line is written.
    #[inline(always)]
    pub(crate) fn written(&mut self, line: usize) -> &mut [T] {
        assert!(self.writable && line < self.lines);
        let target = self
            .target
            .wrapping_offset(line as isize * self.target_stride);
        // SAFETY: the line is writable by this value alone, which is borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(target, self.len) }
    }

    /// A line to read and a line to write, which are not in one place.
    #[inline(always)]
    pub(crate) fn read_and_written(&mut self, read: usize, written: usize) -> (&[T], &mut [T]) {
        assert!(self.writable && !core::ptr::eq(self.source, self.target));
        assert!(read < self.lines && written < self.lines);
        let source = self
            .source
            .wrapping_offset(read as isize * self.source_stride);
        let target = self
            .target
            .wrapping_offset(written as isize * self.target_stride);
        // SAFETY: the line is readable, and no target shares its memory.
        let source = unsafe { core::slice::from_raw_parts(source, self.len) };
        // SAFETY: the line is writable by this value alone, which is borrowed mutably.
        (source, unsafe {
            core::slice::from_raw_parts_mut(target, self.len)
        })
    }

    /// Asks for the memory of a value to read, wherever that is.
    #[inline(always)]
    pub(crate) fn prefetch<S: Isa>(&self, simd: S, line: usize, at: usize) {
        let line = line as isize * self.source_stride;
        let value = self.source.wrapping_offset(line).wrapping_add(at);
        simd.prefetch(value.cast());
    }

    /// A line.
    #[inline(always)]
    pub(crate) fn line(&mut self, line: usize) -> InOut<'_, T> {
        // SAFETY: this value is borrowed mutably, for one line.
        unsafe { self.unbound_line(line) }
    }

    /// Two lines, which are not the same one.
    #[inline(always)]
    pub(crate) fn two_lines(&mut self, one: usize, other: usize) -> [InOut<'_, T>; 2] {
        assert!(one != other);
        // SAFETY: this value is borrowed mutably, for two lines that are not one.
        unsafe { [self.unbound_line(one), self.unbound_line(other)] }
    }

    /// A line that does not borrow this value.
    ///
    /// # Safety
    /// As long as the line lives, this value gives no other access to it.
    #[inline(always)]
    unsafe fn unbound_line(&self, line: usize) -> InOut<'a, T> {
        assert!(line < self.lines);
        let source = self
            .source
            .wrapping_offset(line as isize * self.source_stride);
        let target = self
            .target
            .wrapping_offset(line as isize * self.target_stride);
        // SAFETY: the source's line is readable and, if they are writable, the target's writable by this
        // value alone, of which the caller makes no other use; the two are one or share no memory, and
        // what others are written meanwhile share none with either.
        unsafe { InOut::from_raw(source, target, self.len, self.writable) }
    }
}
