//! The images: 1,797 handwritten digits of 8×8 pixels (`examples/data/README.md` names the source).

use std::num::ParseIntError;

use fastrand::Rng;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

/// Pixels of an image.
pub(crate) const PIXELS: usize = 64;
/// Digits there are.
pub(crate) const CLASSES: usize = 10;

/// The file's pixels run from 0 to this; a network learns best from numbers near 1.
const WHITE: f32 = 16.0;

/// Images and the digits they show.
pub(crate) struct Digits {
    /// One image a row, pixels from 0 to 1.
    pub(crate) images: Array2<f32>,
    /// The digit of each row: integer labels, as `SoftmaxCeLoss` takes them.
    pub(crate) labels: Array1<u8>,
}

impl Digits {
    /// Reads the file: on each line 64 pixels, then the digit.
    pub(crate) fn load() -> Result<Self, Box<dyn std::error::Error>> {
        let numbers = include_str!("../data/digits.csv")
            .lines()
            .flat_map(|line| line.split(','))
            .map(str::parse)
            .collect::<Result<Vec<u8>, ParseIntError>>()?;
        let table = ArrayView2::from_shape((numbers.len() / (PIXELS + 1), PIXELS + 1), &numbers)?;
        Ok(Self {
            images: table
                .slice(s![.., ..PIXELS])
                .mapv(|pixel| f32::from(pixel) / WHITE),
            labels: table.column(PIXELS).to_owned(),
        })
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The same images in another order.
    pub(crate) fn shuffled(&self, rng: &mut Rng) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut order);
        Self {
            images: self.images.select(Axis(0), &order),
            labels: self.labels.select(Axis(0), &order),
        }
    }

    /// The first `part` of `whole` equal parts, and the rest.
    pub(crate) fn split(&self, part: usize, whole: usize) -> (Self, Self) {
        let at = self.len() * part / whole;
        let (images, other_images) = self.images.view().split_at(Axis(0), at);
        let (labels, other_labels) = self.labels.view().split_at(Axis(0), at);
        let owned = |images: ArrayView2<f32>, labels: ArrayView1<u8>| Self {
            images: images.to_owned(),
            labels: labels.to_owned(),
        };
        (owned(images, labels), owned(other_images, other_labels))
    }
}
