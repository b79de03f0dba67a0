//! What the network reads, and how far that is from what is written.

use lossgrad::{CtcGreedy, Error};
use ndarray::{Array3, ArrayView2, s};

use crate::strips::Strips;

/// What the network says at each column of a strip.
pub(crate) fn columns<'a>(
    logits: &'a Array3<f32>,
    strips: &Strips,
    strip: usize,
) -> ArrayView2<'a, f32> {
    logits.slice(s![strip, ..strips.lengths[strip], ..])
}

/// The digits read on each strip: the likeliest class of every column, repeats merged, blanks
/// dropped.
pub(crate) fn read(logits: &Array3<f32>, strips: &Strips) -> Result<Vec<Vec<usize>>, Error> {
    CtcGreedy::new().decode_lengths(logits, &strips.lengths)
}

/// The share of the digits that are misread, missing or made up: the edit distance between what is
/// read and what is written, over the number of digits written.
pub(crate) fn error_rate(read: &[Vec<usize>], strips: &Strips) -> f64 {
    let errors = read.iter().enumerate();
    let errors = errors.map(|(strip, read)| edit_distance(read, &strips.label(strip)));
    errors.sum::<usize>() as f64 / strips.digits() as f64
}

/// How many digits have to be replaced, inserted or deleted to turn one reading into the other.
fn edit_distance(a: &[usize], b: &[usize]) -> usize {
    // distances[j]: from what was taken of `a` so far to the first j of `b`.
    let mut distances: Vec<usize> = (0..=b.len()).collect();
    for (i, digit) in a.iter().enumerate() {
        let mut diagonal = distances[0];
        distances[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(digit != other);
            diagonal = distances[j + 1];
            distances[j + 1] = replaced.min(distances[j] + 1).min(diagonal + 1);
        }
    }
    distances[b.len()]
}
