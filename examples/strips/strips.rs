//! Strips: handwritten digits side by side, and the windows that a network sees of them.

use fastrand::Rng;
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, s};

use crate::data::Digits;

/// Rows and columns of an image of one digit.
const SIDE: usize = 8;
/// Columns of a window: an image and a little on either side.
const WIDTH: usize = 13;
/// What the network sees of a column: the pixels of the window around it.
pub(crate) const PIXELS: usize = SIDE * WIDTH;
/// Digits of a strip, at least and at most.
const SHORTEST: usize = 4;
const LONGEST: usize = 8;
/// Columns between two images: from some that they share, to some that are left empty.
const OVERLAP: usize = 2;
const GAP: usize = 4;

/// What stands in a label after its last digit.
const PADDING: i8 = -1;

/// Strips of different widths, filled up with empty columns to the widest.
pub(crate) struct Strips {
    /// Strips × rows × columns, pixels from 0 to 1.
    pub(crate) images: Array3<f32>,
    /// Columns of each strip: the time steps, as `CtcLoss` takes their number.
    pub(crate) lengths: Array1<usize>,
    /// Strips × digits, filled up with [`PADDING`], as `CtcLoss` takes them.
    pub(crate) labels: Array2<i8>,
}

impl Strips {
    /// Draws `count` strips with digits and gaps at random. Nothing says where a digit begins.
    pub(crate) fn draw(count: usize, digits: &Digits, rng: &mut Rng) -> Self {
        let widest = OVERLAP + GAP + LONGEST * (SIDE + GAP);
        let mut images = Array3::zeros((count, SIDE, widest));
        let mut labels = Array2::from_elem((count, LONGEST), PADDING);
        let lengths = Array1::from_shape_fn(count, |strip| {
            let mut at = OVERLAP + rng.usize(..=GAP);
            for place in 0..rng.usize(SHORTEST..=LONGEST) {
                let digit = rng.usize(..digits.len());
                at -= rng.usize(..=OVERLAP);
                for ((row, column), &ink) in digits.image(digit).indexed_iter() {
                    // Where two images overlap the darker pixel is seen.
                    let seen: &mut f32 = &mut images[[strip, row, at + column]];
                    *seen = seen.max(ink);
                }
                labels[[strip, place]] = digits.labels[digit].cast_signed();
                at += SIDE + rng.usize(..=GAP);
            }
            at
        });
        Self {
            images,
            lengths,
            labels,
        }
    }

    /// The same strips with up to `amount` added to or taken from every pixel, at random.
    pub(crate) fn noisy(mut self, amount: f32, rng: &mut Rng) -> Self {
        self.images
            .map_inplace(|pixel| *pixel += amount * (2.0 * rng.f32() - 1.0));
        self
    }

    /// How many strips there are.
    pub(crate) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// How many digits there are on all strips.
    pub(crate) fn digits(&self) -> usize {
        self.labels
            .iter()
            .filter(|&&digit| digit != PADDING)
            .count()
    }

    /// Columns of the widest strip.
    pub(crate) fn columns(&self) -> usize {
        self.images.len_of(Axis(2))
    }

    /// The window around each column of each strip, one a row: a column at the edge sees nothing
    /// beyond it.
    pub(crate) fn windows(&self) -> Array2<f32> {
        let (count, columns) = (self.len(), self.columns());
        let mut padded = Array3::zeros((count, SIDE, columns + WIDTH - 1));
        padded
            .slice_mut(s![.., .., WIDTH / 2..WIDTH / 2 + columns])
            .assign(&self.images);
        let mut windows = Array2::zeros((count * columns, PIXELS));
        for (row, mut window) in windows.rows_mut().into_iter().enumerate() {
            let (strip, column) = (row / columns, row % columns);
            let seen = padded.slice(s![strip, .., column..column + WIDTH]);
            window
                .iter_mut()
                .zip(seen)
                .for_each(|(to, &from)| *to = from);
        }
        windows
    }

    /// The digits of a strip.
    pub(crate) fn label(&self, strip: usize) -> Vec<usize> {
        let label = self.labels.row(strip);
        label
            .iter()
            .filter_map(|&digit| usize::try_from(digit).ok())
            .collect()
    }

    /// The image of a strip, without what fills it up.
    pub(crate) fn image(&self, strip: usize) -> ArrayView2<'_, f32> {
        self.images.slice(s![strip, .., ..self.lengths[strip]])
    }
}

impl Digits {
    /// Rows × columns of an image.
    fn image(&self, digit: usize) -> Array2<f32> {
        let pixel = |(row, column)| self.images[[digit, SIDE * row + column]];
        Array2::from_shape_fn((SIDE, SIDE), pixel)
    }
}
