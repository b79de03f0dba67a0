//! Smoothed deep metric learning over a batch.

use ndarray::{Array2, ArrayD, ArrayRefD, Axis};

use super::maths::{part, sum};
use super::reduction::{Factors, Reduced, Weighting};
use super::terms::{Terms, resolve_axis};

/// The SDML loss of a batch, reduced, with the gradient of x1 and with that of x2.
///
/// A pair's loss depends on the whole batch, so weights are applied here, not by [`Terms::reduce`].
/// With d_ij = ‖x1_i − x2_j‖², p_i = softmax(−d_i), t_ij = 1 − smoothing for j = i and
/// smoothing/(N − 1) otherwise (t = 1 for N = 1), and c_i the coefficient of loss i:
///
/// ```text
/// loss_i           = Σ_j t_ij·(log t_ij − log p_ij)     magnitude = Σ_j t_ij·(|log t_ij| + |log p_ij|)
/// gradient of x1_i = Σ_j 2·c_i·(t_ij − p_ij)·(x1_i − x2_j)
/// gradient of x2_j = Σ_i 2·c_i·(t_ij − p_ij)·(x2_j − x1_i)
/// ```
///
/// A distance beyond the range of f64 counts as its largest number. A weight of 0 masks its pair.
///
/// scale is the sum of the absolute values of the gradient's terms, where t_ij and p_ij make two.
/// Slack is what rounding the differences of entries once moves: d_ij for a distance, with
/// D_i = Σ_j p_ij·d_ij thus Σ_j t_ij·(d_ij + D_i) for the loss, and p_ij·(d_ij + D_i) in the place
/// of t_ij − p_ij for the gradient.
///
/// # Panics
/// Where the shapes differ.
pub fn sdml(
    x1: &ArrayRefD<f64>,
    x2: &ArrayRefD<f64>,
    smoothing: f64,
    how: &Weighting,
) -> [Reduced; 2] {
    assert_eq!(x1.shape(), x2.shape(), "x1 and x2");
    let axis = resolve_axis(how.batch_axis, x1.ndim());
    let vectors = |x: &ArrayRefD<f64>| -> Vec<Vec<f64>> {
        let samples = x.axis_iter(Axis(axis));
        samples
            .map(|sample| sample.iter().copied().collect())
            .collect()
    };
    let (a, b) = (vectors(x1), vectors(x2));
    let count = a.len();
    let share = Array2::from_shape_fn([count, count], |(i, j)| match (count, i == j) {
        (1, _) => 1.0,
        (_, true) => 1.0 - smoothing,
        (_, false) => smoothing / (count - 1) as f64,
    });
    let distance = Array2::from_shape_fn([count, count], |(i, j)| {
        let square = sum(a[i].iter().zip(&b[j]).map(|(a, b)| (a - b) * (a - b)));
        // f64::min would pass over a NaN.
        if square == f64::INFINITY {
            f64::MAX
        } else {
            square
        }
    });
    let log_probability = Array2::from_shape_fn([count, count], |(i, j)| {
        let row = distance.row(i);
        // f64::min would pass over a NaN.
        let nearest = row.iter().fold(f64::INFINITY, |near, &d| match d < near {
            true => d,
            false if d.is_nan() => d,
            false => near,
        });
        let total = sum(row.iter().map(|d| (nearest - d).exp()));
        (nearest - distance[[i, j]]) - total.ln()
    });
    let probability = log_probability.mapv(f64::exp);

    // What each pair contributes, for the weights and reduction that all losses have.
    let per_pair = |term: &dyn Fn(usize, usize) -> f64| {
        ArrayD::from_shape_fn(vec![count], |i| sum((0..count).map(|j| term(i[0], j))))
    };
    let log_share = share.mapv(f64::ln);
    let mean = |i: usize| sum((0..count).map(|j| part(probability[[i, j]], distance[[i, j]])));
    let means: Vec<f64> = (0..count).map(mean).collect();
    let moved = Array2::from_shape_fn([count, count], |(i, j)| distance[[i, j]] + means[i]);
    let loss = per_pair(&|i, j| {
        part(share[[i, j]], log_share[[i, j]]) - part(share[[i, j]], log_probability[[i, j]])
    });
    let magnitude = per_pair(&|i, j| {
        let sizes = [log_share[[i, j]], log_probability[[i, j]]].map(f64::abs);
        part(share[[i, j]], sizes[0]) + part(share[[i, j]], sizes[1])
    });
    let loss_slack = per_pair(&|i, j| part(share[[i, j]], moved[[i, j]]));
    let terms = Terms {
        loss,
        magnitude,
        loss_slack,
        grad: ArrayD::zeros(vec![count]),
        grad_scale: ArrayD::zeros(vec![count]),
        grad_slack: ArrayD::zeros(vec![count]),
        row_axes: Vec::new(),
    };
    let how = Weighting {
        batch_axis: 0,
        ..how.of_samples(x1.ndim(), axis, count)
    };
    let reduced = terms.reduce(&how);
    let Factors {
        weight: mask,
        coefficient,
        ..
    } = terms.factors(&how);

    let gradient = |of_x1: bool, weight: &dyn Fn(usize, usize) -> f64, absolute: bool| {
        let mut grad = ArrayD::zeros(x1.raw_dim());
        for (own, mut lane) in grad.axis_iter_mut(Axis(axis)).enumerate() {
            for (k, place) in lane.iter_mut().enumerate() {
                *place = sum((0..count).map(|other| {
                    let (i, j) = if of_x1 { (own, other) } else { (other, own) };
                    if mask[[i]] == 0.0 {
                        return 0.0;
                    }
                    let difference = match of_x1 {
                        true => a[i][k] - b[j][k],
                        false => b[j][k] - a[i][k],
                    };
                    let factor = 2.0 * coefficient[[i]];
                    if absolute {
                        part(factor * difference, weight(i, j)).abs()
                    } else {
                        factor * weight(i, j) * difference
                    }
                }));
            }
        }
        grad
    };
    let derivative = |i: usize, j: usize| share[[i, j]] - probability[[i, j]];
    let both = |i: usize, j: usize| share[[i, j]] + probability[[i, j]];
    let shifted = |i: usize, j: usize| part(probability[[i, j]], moved[[i, j]]);
    [true, false].map(|of_x1| Reduced {
        grad: gradient(of_x1, &derivative, false),
        scale: gradient(of_x1, &both, true),
        grad_slack: gradient(of_x1, &shifted, true),
        ..reduced.clone()
    })
}

impl Weighting {
    /// The same for losses of which there is one per sample: what has pred's rank, 1 but for the
    /// batch axis, becomes one value per sample.
    fn of_samples(&self, rank: usize, axis: usize, samples: usize) -> Self {
        let flat = |factor: &ArrayD<f64>| match factor.ndim() == rank && factor.len() == samples {
            true if rank > 1 => {
                assert_eq!(factor.shape()[axis], samples, "one per sample");
                let flat: Vec<f64> = factor.iter().copied().collect();
                ArrayD::from_shape_vec(vec![samples], flat).expect("as many")
            }
            _ if factor.len() == 1 => ArrayD::from_elem(vec![1], factor.sum()),
            _ => factor.clone(),
        };
        Self {
            sample_weight: self.sample_weight.as_ref().map(flat),
            upstream: self.upstream.as_ref().map(flat),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn close(actual: &ArrayD<f64>, expected: &[f64]) {
        for (a, e) in actual.iter().zip(expected) {
            assert!((a - e).abs() <= 1e-9 * e.abs(), "{a} is not {e}");
        }
    }

    // Published with 10⁻¹² added to the shares inside their logarithms.
    #[test]
    fn published_values() {
        let x1 = array![[0.0, 0.0], [1.0, 1.0]].into_dyn();
        let x2 = array![[0.0, 0.1], [1.0, 0.9]].into_dyn();
        let [of_x1, _] = sdml(&x1, &x2, 0.3, &Weighting::default());
        close(&of_x1.loss, &[0.0821133085, 0.0821133085]);
    }

    #[test]
    fn published_values_of_three_pairs() {
        let x1 = array![[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]].into_dyn();
        let x2 = array![[0.0, 0.1], [1.0, 0.9], [1.5, 0.5]].into_dyn();
        let [of_x1, of_x2] = sdml(&x1, &x2, 0.3, &Weighting::default());
        let published = [0.0464011513256, 0.100138656595, 0.166338069792];
        close(&of_x1.loss, &published);
        close(&of_x2.loss, &published);
    }

    #[test]
    fn one_pair_costs_nothing() {
        let x = array![[1.0, 2.0]].into_dyn();
        let [of_x1, of_x2] = sdml(&x, &(&x * 3.0), 0.3, &Weighting::default());
        assert_eq!(of_x1.loss, array![0.0].into_dyn());
        assert_eq!(of_x1.grad, array![[0.0, 0.0]].into_dyn());
        assert_eq!(of_x2.grad, array![[0.0, 0.0]].into_dyn());
    }
}
