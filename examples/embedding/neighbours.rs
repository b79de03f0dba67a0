//! Reading a digit from what lies nearest.

use ndarray::{Array1, Array2, ArrayView1};

/// For each place the label of the nearest known one.
pub(crate) fn labels(
    places: &Array2<f32>,
    known: &Array2<f32>,
    known_labels: &Array1<u8>,
) -> Vec<u8> {
    let nearest = |place| {
        let distances = known.rows().into_iter().map(|other| distance(place, other));
        let nearest = distances
            .zip(known_labels)
            .min_by(|a, b| a.0.total_cmp(&b.0));
        nearest.map_or(0, |(_, &label)| label)
    };
    places.rows().into_iter().map(nearest).collect()
}

/// The squared distance.
fn distance(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
