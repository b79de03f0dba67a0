//! What an epoch does with the images: noise, and a few of them at a time.

use fastrand::Rng;
use ndarray::{ArrayView1, ArrayView2, Axis};

use crate::data::Digits;

impl Digits {
    /// The same images with up to `amount` added to or taken from every pixel, at random.
    pub(crate) fn noisy(mut self, amount: f32, rng: &mut Rng) -> Self {
        self.images
            .map_inplace(|pixel| *pixel += amount * (2.0 * rng.f32() - 1.0));
        self
    }

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
