//! Noise, which keeps a network from learning the images by heart.

use fastrand::Rng;

use crate::data::Digits;

impl Digits {
    /// The same images with up to `amount` added to or taken from every pixel, at random.
    pub(crate) fn noisy(mut self, amount: f32, rng: &mut Rng) -> Self {
        self.images
            .map_inplace(|pixel| *pixel += amount * (2.0 * rng.f32() - 1.0));
        self
    }
}
