//! Tensors whose rank no longer matters: the one room that turns ndarray's arrays into runs of memory, and hands disjoint parts of an output to several threads.
//!
//! A [`Tensor`] or [`TensorMut`] is an ndarray view with its rank erased. Laid out over a
//! [`Grid`](crate::layout::Grid) (samples, and the units of each) it becomes a [`Source`] to read or a
//! [`Target`] to write, which find their values by a [`plane`]. Both give a stretch of units as a slice
//! where memory allows, and copy it otherwise; rows that lie a stride apart are [`Lines`].
//! A `Target` owns a rectangle of the grid and can be split, never copied: whoever has one may
//! write its units and nobody else can.

mod frames;
mod lines;
mod plane;
mod source;
mod target;

pub use frames::Frames;
pub use lines::Lines;
pub use source::Source;
pub use target::{Along, Target};

use crate::layout::AxisSet;
use core::marker::PhantomData;
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

    /// The values in their order, if they lie in it without gaps.
    #[inline]
    pub(crate) fn in_order(&self) -> Option<&'a [T]> {
        let len = len_in_order(self.shape, self.strides)?;
        // SAFETY: the array is borrowed shared for `'a`, and its values lie one behind the other from its
        // base on, which is aligned and not null even where there are none.
        Some(unsafe { core::slice::from_raw_parts(self.base, len) })
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

/// How many values some shape has, if each lies behind the one before it.
#[inline]
fn len_in_order(shape: &[usize], strides: &[isize]) -> Option<usize> {
    let mut len = 1;
    for (&extent, &stride) in shape.iter().zip(strides).rev() {
        if extent != 1 && stride != len as isize {
            return None;
        }
        len *= extent;
    }
    Some(len)
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
        assert!(shape.len() == strides.len());
        assert_eq!(len_in_order(shape, strides), Some(values.len()));
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

    /// The values in their order, if they lie in it without gaps.
    #[inline]
    pub(crate) fn in_order(&mut self) -> Option<&mut [T]> {
        let len = len_in_order(self.shape, self.strides)?;
        // SAFETY: the array is borrowed mutably, for as long as the tensor lives or longer, and its
        // values lie one behind the other from its base on, which is aligned and not null even where
        // there are none.
        Some(unsafe { core::slice::from_raw_parts_mut(self.base, len) })
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
