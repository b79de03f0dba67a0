//! The angle between two vectors.

use ndarray::{ArrayRefD, Axis};

use super::maths::sum;
use super::terms::{Row, Terms, rows_of};

/// The cosine embedding loss along the last axis, with the terms of input1 and of input2; a label is
/// 1 or −1.
///
/// With û and v̂ the vectors divided by their lengths, c = û·v̂, and a = Σ |û v̂|:
///
/// ```text
/// label 1     loss = 1 − c                  magnitude = 1 + a
/// label −1    loss = max(0, c − margin)     magnitude = a + |margin|
/// ∂c/∂u       = (v̂ − c·û) / ‖u‖              scale     = (|v̂| + a·|û|) / ‖u‖
/// ```
///
/// The cosine with a vector of zeros is 0, and so is then the gradient of both. Vectors are divided
/// by their largest component first, so that none is too long or too short to be squared.
///
/// # Panics
/// Where the shapes do not fit.
pub fn cosine_embedding(
    input1: &ArrayRefD<f64>,
    input2: &ArrayRefD<f64>,
    label: &ArrayRefD<f64>,
    margin: f64,
) -> [Terms; 2] {
    assert_eq!(input1.shape(), input2.shape(), "input1 and input2");
    let axis = input1.ndim() - 1;
    assert_eq!(
        label.shape(),
        input1.index_axis(Axis(axis), 0).shape(),
        "label and inputs without their last axis"
    );
    let rows: Vec<[Row; 2]> = rows_of(input1, axis)
        .iter()
        .zip(&rows_of(input2, axis))
        .zip(label)
        .map(|((u, v), &label)| pair(u, v, label == 1.0, margin))
        .collect();
    let (of_input1, of_input2): (Vec<_>, Vec<_>) = rows.into_iter().map(|[a, b]| (a, b)).unzip();
    [
        Terms::of_rows(input1.shape(), axis, &of_input1),
        Terms::of_rows(input1.shape(), axis, &of_input2),
    ]
}

/// A vector times a power of 2 that takes its largest component near 1, with that power.
struct Scaled {
    entries: Vec<f64>,
    power: f64,
    square: f64,
}

impl Scaled {
    fn of(u: &[f64]) -> Self {
        let largest = u.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        // Halved, since the inverse of the largest power of 2 is no normal number.
        let power = match largest {
            _ if largest.is_normal() => 0.5 / f64::from_bits(largest.to_bits() & (0x7ff << 52)),
            _ if largest.is_subnormal() => 1e300,
            _ => 1.0,
        };
        let entries: Vec<f64> = u.iter().map(|x| x * power).collect();
        Self {
            square: dot(&entries, &entries),
            entries,
            power,
        }
    }
}

/// The sum of products, rounded once: each with what its own rounding loses.
fn dot(u: &[f64], v: &[f64]) -> f64 {
    let products = u.iter().zip(v).flat_map(|(&u, &v)| {
        let product = u * v;
        [product, u.mul_add(v, -product)]
    });
    sum(products)
}

fn pair(u: &[f64], v: &[f64], same: bool, margin: f64) -> [Row; 2] {
    let (a, b) = (Scaled::of(u), Scaled::of(v));
    let zero = a.square == 0.0 || b.square == 0.0;
    let nan = u.iter().chain(v).any(|x| !x.is_finite());
    let sizes = a.entries.iter().zip(&b.entries).map(|(a, b)| (a * b).abs());
    let lengths = (a.square * b.square).sqrt();
    let (dot, size) = (dot(&a.entries, &b.entries), sum(sizes));
    let (cosine, size) = match (nan, zero) {
        (true, _) => (f64::NAN, f64::NAN),
        (false, true) => (0.0, 0.0),
        (false, false) => (dot / lengths, size / lengths),
    };
    let (loss, magnitude) = match same {
        true => (1.0 - cosine, 1.0 + size),
        false => (cosine - margin, size + margin.abs()),
    };
    let inactive = !same && loss <= 0.0;
    let sign = if same { -1.0 } else { 1.0 };
    let row = |own: &Scaled, other: &Scaled| {
        let entries = || own.entries.iter().zip(&other.entries);
        let grad = entries().map(|(&own_entry, &other_entry)| {
            if (zero && !nan) || inactive {
                return [0.0, 0.0];
            }
            if nan {
                return [f64::NAN, f64::NAN];
            }
            let across = (other_entry - own_entry * (dot / own.square)) / lengths;
            let scale = other_entry.abs() / lengths + size * own_entry.abs() / own.square;
            [sign * across * own.power, scale * own.power]
        });
        let grad: Vec<[f64; 2]> = grad.collect();
        Row {
            loss: if inactive { 0.0 } else { loss },
            magnitude: if inactive { 0.0 } else { magnitude },
            loss_slack: 0.0,
            grad_slack: vec![0.0; grad.len()],
            grad_scale: grad.iter().map(|[_, scale]| *scale).collect(),
            grad: grad.iter().map(|[grad, _]| *grad).collect(),
        }
    };
    [row(&a, &b), row(&b, &a)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn published_values_with_a_margin_of_a_fifth() {
        let input1 = array![[1.0, 2.0], [1.0, 2.0]].into_dyn();
        let input2 = array![[2.0, 1.0], [2.0, 1.0]].into_dyn();
        let label = array![1.0, -1.0].into_dyn();
        let [of_input1, _] = cosine_embedding(&input1, &input2, &label, 0.2);
        assert!((of_input1.loss[0] - 0.2).abs() < 1e-15);
        assert!((of_input1.loss[1] - 0.6).abs() < 1e-15);
        // ∂c/∂u = (v̂ − ⅘û)/√5 = ([2, 1] − ⅘[1, 2])/5.
        assert!((of_input1.grad[[1, 0]] - 0.24).abs() < 1e-15);
        assert!((of_input1.grad[[1, 1]] + 0.12).abs() < 1e-15);
    }

    #[test]
    fn no_length_is_out_of_range() {
        for scale in [1e-300, 1.0, 1e300] {
            let input1 = (array![[3.0, 4.0]] * scale).into_dyn();
            let input2 = array![[4.0, 3.0]].into_dyn();
            let [terms, _] = cosine_embedding(&input1, &input2, &array![1.0].into_dyn(), 0.0);
            assert!((terms.loss[0] - 0.04).abs() < 1e-15);
        }
        let zeros = array![[0.0, 0.0]].into_dyn();
        let [terms, other] = cosine_embedding(&zeros, &zeros, &array![1.0].into_dyn(), 0.0);
        assert_eq!(terms.loss[0], 1.0);
        assert_eq!((terms.grad, other.grad), (zeros.clone(), zeros));
    }
}
