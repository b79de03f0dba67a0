//! Memory of the cases.

use bytemuck::Pod;
use fastrand::Rng;
use lossgrad::ndarray::{Array1, ArrayView, ArrayViewMut, Dimension, Ix1, LinalgScalar};
use std::ops::Range;

/// What arrays of the cases hold.
pub trait Number: LinalgScalar + Pod + Send + Sync {}

impl<T: LinalgScalar + Pod + Send + Sync> Number for T {}

/// Numbers from a range, for [`Buffer::new`].
pub fn uniform<T: From<f32>>(range: Range<f32>, seed: u64) -> impl FnMut(usize) -> T {
    let mut random = Rng::with_seed(seed);
    move |_| T::from(range.start + (range.end - range.start) * random.f32())
}

/// A place for an array and for the same array one element further on.
pub struct Buffer<T, D> {
    memory: Array1<T>,
    shape: D,
}

impl<T: Number, D: Dimension> Buffer<T, D> {
    /// Memory as `zeros` gives it, filled and so touched.
    pub fn new(shape: D, each: impl FnMut(usize) -> T) -> Self {
        let mut memory = Array1::zeros(shape.size() + 1);
        let values = (0..memory.len()).map(each);
        memory.iter_mut().zip(values).for_each(|(to, x)| *to = x);
        Self { memory, shape }
    }

    pub fn ones(shape: D) -> Self {
        Self::new(shape, |_| T::one())
    }

    pub fn view(&self, offset: usize) -> ArrayView<'_, T, D> {
        let values = &self.memory.as_slice().expect("one run of memory")[offset..];
        ArrayView::from_shape(self.shape.clone(), values).expect("room for the shape")
    }

    pub fn view_mut(&mut self, offset: usize) -> ArrayViewMut<'_, T, D> {
        let values = &mut self.memory.as_slice_mut().expect("one run of memory")[offset..];
        ArrayViewMut::from_shape(self.shape.clone(), values).expect("room for the shape")
    }

    /// The memory for streams that only move it.
    pub fn bytes(&self) -> &[f32] {
        let values = self.memory.as_slice().expect("one run of memory");
        bytemuck::cast_slice(&values[..self.shape.size()])
    }

    pub fn bytes_mut(&mut self) -> &mut [f32] {
        let values = self.memory.as_slice_mut().expect("one run of memory");
        bytemuck::cast_slice_mut(&mut values[..self.shape.size()])
    }
}

/// Predictions, labels and places for the results.
pub struct Data<T, L, D, E> {
    pub pred: Buffer<T, D>,
    pub label: Buffer<L, E>,
    pub loss: Buffer<T, Ix1>,
    pub grad: Buffer<T, D>,
}

impl<T: Number, L: Number, D: Dimension, E: Dimension> Data<T, L, D, E> {
    pub fn new(pred: Buffer<T, D>, label: Buffer<L, E>) -> Self {
        Self {
            loss: Buffer::ones(Ix1(pred.shape[0])),
            grad: Buffer::ones(pred.shape.clone()),
            pred,
            label,
        }
    }

    pub fn views(&mut self, offset: usize) -> Views<'_, T, L, D, E> {
        Views {
            pred: self.pred.view_mut(offset),
            label: self.label.view(offset),
            loss: self.loss.view_mut(offset),
            grad: self.grad.view_mut(offset),
        }
    }
}

/// The arrays that a call is given.
pub struct Views<'a, T, L, D, E> {
    pub pred: ArrayViewMut<'a, T, D>,
    pub label: ArrayView<'a, L, E>,
    pub loss: ArrayViewMut<'a, T, Ix1>,
    pub grad: ArrayViewMut<'a, T, D>,
}
