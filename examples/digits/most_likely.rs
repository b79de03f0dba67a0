//! What logits say.

use ndarray::ArrayRef2;

/// For each row of logits the class with the largest.
pub(crate) fn most_likely(logits: &ArrayRef2<f32>) -> impl Iterator<Item = usize> {
    logits.rows().into_iter().map(|row| {
        let best = row
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        best.map_or(0, |(class, _)| class)
    })
}
