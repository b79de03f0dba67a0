use crate::element::Element;
use crate::tensor::Frames;

/// Frames as a lattice reads and writes them: in the type that it is computed in, which is the
/// tensor's own or, for the few samples whose exponents `f32` cannot count, `f64`.
pub(super) trait Sequence<W>: Send + Sync {
    /// A frame: where it lies, or in `buffer`.
    fn row<'b>(&'b self, frame: usize, buffer: &'b mut [W]) -> &'b [W];

    /// A frame, converted.
    fn widen(&self, frame: usize, buffer: &mut [f64]);

    /// The place of a frame's gradient, if it can be written to directly.
    fn place(&mut self, frame: usize) -> Option<&mut [W]>;

    /// Writes a frame's gradient.
    fn write(&mut self, frame: usize, values: &[W]);

    /// Whether frames and gradient are two runs of memory, frame by frame.
    fn is_copy(&self) -> bool;

    /// Two frames and the place of another one's gradient, where they [are](Self::is_copy) runs.
    fn rows_and_place(&mut self, rows: [usize; 2], place: usize) -> ([&[W]; 2], &mut [W]);
}

impl<T: Element> Sequence<T> for Frames<'_, T> {
    fn row<'b>(&'b self, frame: usize, buffer: &'b mut [T]) -> &'b [T] {
        self.row(frame, buffer)
    }

    fn widen(&self, frame: usize, buffer: &mut [f64]) {
        self.read_each(frame, buffer, T::to_f64);
    }

    fn place(&mut self, frame: usize) -> Option<&mut [T]> {
        self.place(frame)
    }

    fn write(&mut self, frame: usize, values: &[T]) {
        self.write(frame, values.iter().copied());
    }

    fn is_copy(&self) -> bool {
        self.is_copy()
    }

    fn rows_and_place(&mut self, rows: [usize; 2], place: usize) -> ([&[T]; 2], &mut [T]) {
        self.rows_and_place(rows, place)
    }
}

/// Frames whose lattice is computed in `f64`.
pub(super) struct Wide<'f, T>(pub(super) Frames<'f, T>);

impl<T: Element> Sequence<f64> for Wide<'_, T> {
    fn row<'b>(&'b self, frame: usize, buffer: &'b mut [f64]) -> &'b [f64] {
        self.widen(frame, buffer);
        buffer
    }

    fn widen(&self, frame: usize, buffer: &mut [f64]) {
        self.0.read_each(frame, buffer, T::to_f64);
    }

    fn place(&mut self, _: usize) -> Option<&mut [f64]> {
        None
    }

    fn write(&mut self, frame: usize, values: &[f64]) {
        self.0
            .write(frame, values.iter().map(|&value| T::from_f64(value)));
    }

    fn is_copy(&self) -> bool {
        false
    }

    fn rows_and_place(&mut self, _: [usize; 2], _: usize) -> ([&[f64]; 2], &mut [f64]) {
        unreachable!("these frames are converted one by one")
    }
}

/// Frames that are read in `f64` while their gradient is still to be computed in `W`.
pub(super) struct Widened<'f, W>(pub(super) &'f dyn Sequence<W>);

impl<W> Sequence<f64> for Widened<'_, W> {
    fn row<'b>(&'b self, frame: usize, buffer: &'b mut [f64]) -> &'b [f64] {
        self.widen(frame, buffer);
        buffer
    }

    fn widen(&self, frame: usize, buffer: &mut [f64]) {
        self.0.widen(frame, buffer);
    }

    fn place(&mut self, _: usize) -> Option<&mut [f64]> {
        None
    }

    fn write(&mut self, _: usize, _: &[f64]) {
        unreachable!("these frames are only read")
    }

    fn is_copy(&self) -> bool {
        false
    }

    fn rows_and_place(&mut self, _: [usize; 2], _: usize) -> ([&[f64]; 2], &mut [f64]) {
        unreachable!("these frames are converted one by one")
    }
}
