//! A few images at a time.

use ndarray::{ArrayView1, ArrayView2, Axis};

use crate::data::Digits;

impl Digits {
    /// Views of `size` images and labels at a time; the last one may be shorter.
    pub(crate) fn batches(
        &self,
        size: usize,
    ) -> impl Iterator<Item = (ArrayView2<'_, f32>, ArrayView1<'_, u8>)> {
        self.images
            .axis_chunks_iter(Axis(0), size)
            .zip(self.labels.axis_chunks_iter(Axis(0), size))
    }
}
