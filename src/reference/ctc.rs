//! Connectionist temporal classification: the cost of a label that says what is read, not when.

use ndarray::{Array1, Array2, ArrayRef2, ArrayView1, Axis};

use super::maths::sum;

/// What [`ctc`] says about one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Ctc {
    /// −log of the probability that the frames read as the label.
    pub loss: f64,
    /// The derivative of the loss with respect to the input, of the input's shape.
    pub grad: Array2<f64>,
    /// Whether any path of a probability other than 0 reads as the label.
    pub feasible: bool,
}

/// Connectionist temporal classification of one sample: frames × classes, and the label's classes
/// in their order (Graves, Fernández, Gomez, Schmidhuber, ICML 2006).
///
/// A path names one class a frame, the blank among them. It reads as the label when one of each
/// run of equal classes is kept and the blanks are dropped; two equal neighbours in the label
/// therefore need a blank between them. Its probability is the product of its classes'
/// probabilities y over the frames, and the loss is −log of the sum over all paths that read as
/// the label.
///
/// The label with a blank before, between and after its L classes is z, of length S = 2L + 1.
/// In the log domain, where ⊕ is log-add-exp and a cell outside the table is −∞:
///
/// ```text
/// α(0, s) = log y(0, z_s)   for s < 2, else −∞
/// α(t, s) = log y(t, z_s) + (α(t−1, s) ⊕ α(t−1, s−1) ⊕ α(t−1, s−2) where s may be skipped to)
/// β(T−1, s) = 0             for s ≥ S − 2, else −∞
/// β(t, s) = β'(t+1, s) ⊕ β'(t+1, s+1) ⊕ β'(t+1, s+2) where s + 2 may be skipped to,
///           with β'(t, s) = β(t, s) + log y(t, z_s)
/// −loss   = α(T−1, S−1) ⊕ α(T−1, S−2)
/// γ(t, c) = Σ exp(α(t, s) + β(t, s) + loss) over the s with z_s = c
/// ```
///
/// A state may be skipped to from two before it when it is a class of the label, not a blank, and
/// differs from the class before. γ is the posterior: how much of the label's probability passes
/// through class c at frame t.
///
/// Input that is logits has log y = log softmax and the gradient softmax − γ. With `log_probs` the
/// input is log y itself, normalised or not, and the gradient is −γ.
///
/// A label that no path reads as costs +∞ and has the gradient 0: one with more classes and
/// repeats than frames, or one that needs a class of probability 0. No frames read as the empty
/// label, at the cost 0. A NaN or a +∞ anywhere in enough frames, or a frame of logits that are
/// nothing but −∞, makes the loss NaN, and with the loss the whole gradient.
///
/// ```
/// use lossgrad::reference;
/// use ndarray::array;
///
/// // Two frames, blank or 1 with equal odds: 01, 10 and 11 of the four paths read as [1].
/// let result = reference::ctc(&array![[0.0, 0.0], [0.0, 0.0]], &[1], 0, false);
/// assert!((result.loss + 0.75_f64.ln()).abs() < 1e-15);
/// assert!((result.grad[[0, 1]] - (0.5 - 2.0 / 3.0)).abs() < 1e-15);
/// ```
///
/// # Panics
/// Where the blank is no class, or the label holds the blank or something that is no class.
pub fn ctc(input: &ArrayRef2<f64>, label: &[usize], blank: usize, log_probs: bool) -> Ctc {
    let (frames, classes) = input.dim();
    assert!(blank < classes, "blank {blank} of {classes} classes");
    for &class in label {
        assert!(class < classes, "label {class} of {classes} classes");
        assert!(class != blank, "label {class} is the blank");
    }
    let infeasible = Ctc {
        loss: f64::INFINITY,
        grad: Array2::zeros(input.raw_dim()),
        feasible: false,
    };
    if frames < shortest(label) {
        return infeasible;
    }
    if frames == 0 {
        return Ctc {
            loss: 0.0,
            feasible: true,
            ..infeasible
        };
    }

    let undefined = |x: &f64| x.is_nan() || *x == f64::INFINITY;
    let mut rows = input.rows().into_iter();
    let empty = !log_probs && rows.any(|row| row.iter().all(|x| *x == f64::NEG_INFINITY));
    if empty || input.iter().any(undefined) {
        return Ctc {
            loss: f64::NAN,
            grad: Array2::from_elem(input.raw_dim(), f64::NAN),
            feasible: true,
        };
    }

    let log_y = if log_probs {
        input.to_owned()
    } else {
        log_softmax(input)
    };
    let lattice = Lattice {
        states: with_blanks(label, blank),
        log_y: &log_y,
    };
    let alpha = lattice.alpha();
    let last = alpha.row(frames - 1);
    let ends = last.len().saturating_sub(2)..last.len();
    let log_total = log_add_exp(ends.map(|s| last[s]));
    if log_total == f64::NEG_INFINITY {
        return infeasible;
    }
    if log_total.is_nan() {
        return Ctc {
            loss: f64::NAN,
            grad: Array2::from_elem(input.raw_dim(), f64::NAN),
            feasible: true,
        };
    }
    let mut grad = if log_probs {
        Array2::zeros(input.raw_dim())
    } else {
        log_y.mapv(f64::exp)
    };
    lattice.subtract_posterior(&alpha, log_total, &mut grad);
    // A softmax gives no path more than 1, whatever rounding says.
    let certain = !log_probs && log_total > 0.0;
    Ctc {
        loss: if certain { 0.0 } else { -log_total },
        grad,
        feasible: true,
    }
}

/// How many frames a label takes: one a class, and a blank wherever a class follows itself.
fn shortest(label: &[usize]) -> usize {
    let repeats = label.windows(2).filter(|pair| pair[0] == pair[1]).count();
    label.len() + repeats
}

/// A blank before, between and after the classes of the label.
fn with_blanks(label: &[usize], blank: usize) -> Vec<usize> {
    let mut states = vec![blank];
    for &class in label {
        states.extend([class, blank]);
    }
    states
}

/// x − log Σ eˣ for each row.
fn log_softmax(x: &ArrayRef2<f64>) -> Array2<f64> {
    let mut log_y = x.to_owned();
    for mut row in log_y.rows_mut() {
        // f64::max would pass over a NaN.
        let larger = |m: f64, v: &f64| if m.is_nan() || m >= *v { m } else { *v };
        let max = row.iter().fold(f64::NEG_INFINITY, larger);
        // The largest class keeps its relative accuracy: log 1p of the others.
        let top = row.iter().position(|&v| v == max);
        let others = row.iter().enumerate().filter(|&(at, _)| Some(at) != top);
        let log_sum = sum(others.map(|(_, v)| (v - max).exp())).ln_1p();
        // An infinite maximum leaves no distribution.
        let log_sum = if max.is_finite() { log_sum } else { f64::NAN };
        row.mapv_inplace(|v| (v - max) - log_sum);
    }
    log_y
}

/// log Σ eᵛ. Nothing but −∞, or nothing at all, gives −∞.
fn log_add_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let possible = values.filter(|&v| v != f64::NEG_INFINITY);
    let max = possible.clone().fold(f64::NEG_INFINITY, f64::max);
    if possible.clone().next().is_none() {
        return f64::NEG_INFINITY;
    }
    max + possible.map(|v| (v - max).exp()).sum::<f64>().ln()
}

/// The states that the label gives, and the log-probabilities of all classes at each frame.
struct Lattice<'a> {
    states: Vec<usize>,
    log_y: &'a Array2<f64>,
}

impl Lattice<'_> {
    /// Whether `s` is reached from `s − 2` too: both are classes of the label, and they differ.
    fn skips_to(&self, s: usize) -> bool {
        // Blanks, which stand at the even places, equal each other.
        s >= 2 && self.states[s] != self.states[s - 2]
    }

    /// The states from which `s` is reached in one frame.
    fn before(&self, s: usize) -> impl Iterator<Item = usize> + Clone {
        (s.saturating_sub(1)..=s).chain(self.skips_to(s).then(|| s - 2))
    }

    /// The states that `s` reaches in one frame.
    fn after(&self, s: usize) -> impl Iterator<Item = usize> + Clone {
        let count = self.states.len();
        let skip = s + 2 < count && self.skips_to(s + 2);
        (s..(s + 2).min(count)).chain(skip.then_some(s + 2))
    }

    /// α, frames × states.
    fn alpha(&self) -> Array2<f64> {
        let (frames, count) = (self.log_y.nrows(), self.states.len());
        let mut alpha = Array2::from_elem((frames, count), f64::NEG_INFINITY);
        for (s, &class) in self.states.iter().enumerate().take(2) {
            alpha[[0, s]] = self.log_y[[0, class]];
        }
        for t in 1..frames {
            for (s, &class) in self.states.iter().enumerate() {
                let reached = log_add_exp(self.before(s).map(|from| alpha[[t - 1, from]]));
                // Where no path leads nothing is read: not even a NaN.
                if reached != f64::NEG_INFINITY {
                    alpha[[t, s]] = reached + self.log_y[[t, class]];
                }
            }
        }
        alpha
    }

    /// Subtracts γ from what `grad` holds, with β from the last frame to the first.
    fn subtract_posterior(&self, alpha: &Array2<f64>, log_total: f64, grad: &mut Array2<f64>) {
        let count = self.states.len();
        let mut beta = Array1::from_elem(count, f64::NEG_INFINITY);
        for s in count.saturating_sub(2)..count {
            beta[s] = 0.0;
        }
        for t in (0..self.log_y.nrows()).rev() {
            let alpha = alpha.row(t);
            for (s, &class) in self.states.iter().enumerate() {
                let through = alpha[s] + beta[s];
                if through != f64::NEG_INFINITY {
                    grad[[t, class]] -= (through - log_total).exp();
                }
            }
            beta = self.beta_before(&beta, self.log_y.index_axis(Axis(0), t));
        }
    }

    /// β of the frame before the one with these log-probabilities.
    fn beta_before(&self, beta: &Array1<f64>, log_y: ArrayView1<f64>) -> Array1<f64> {
        let continued: Vec<f64> = beta
            .iter()
            .zip(&self.states)
            .map(|(&b, &class)| {
                if b == f64::NEG_INFINITY {
                    b
                } else {
                    b + log_y[class]
                }
            })
            .collect();
        (0..beta.len())
            .map(|s| log_add_exp(self.after(s).map(|to| continued[to])))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// The definition itself: every path of `classes` to the power of `frames` there are.
    fn by_enumeration(
        input: &Array2<f64>,
        label: &[usize],
        blank: usize,
        log_probs: bool,
    ) -> (f64, Array2<f64>) {
        let (frames, classes) = input.dim();
        let mut y = input.mapv(f64::exp);
        if !log_probs {
            for mut row in y.rows_mut() {
                let total = row.sum();
                row /= total;
            }
        }
        let mut total = 0.0;
        let mut through = Array2::<f64>::zeros((frames, classes));
        for number in 0..classes.pow(frames as u32) {
            let digit = |t: usize| number / classes.pow(t as u32) % classes;
            let path: Vec<usize> = (0..frames).map(digit).collect();
            let mut read = path.clone();
            read.dedup();
            read.retain(|&class| class != blank);
            if read == label {
                let probability: f64 = path.iter().enumerate().map(|(t, &c)| y[[t, c]]).product();
                total += probability;
                for (t, &class) in path.iter().enumerate() {
                    through[[t, class]] += probability;
                }
            }
        }
        let grad = match (total == 0.0, log_probs) {
            (true, _) => Array2::zeros((frames, classes)),
            (false, true) => -through / total,
            (false, false) => y - through / total,
        };
        (-total.ln(), grad)
    }

    #[track_caller]
    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!(
            actual == expected || (actual - expected).abs() <= tolerance,
            "{actual}, expected {expected}"
        );
    }

    /// Numbers between −2 and 2, the same every time.
    fn numbers(frames: usize, classes: usize) -> Array2<f64> {
        Array2::from_shape_fn((frames, classes), |(t, c)| {
            ((7 * t + 3 * c + t * c) as f64 * 1.3).sin() * 2.0
        })
    }

    /// Every label of up to `longest` classes.
    fn labels(classes: usize, blank: usize, longest: usize) -> Vec<Vec<usize>> {
        let mut all = vec![vec![]];
        for length in 0..longest {
            let shorter: Vec<_> = all.iter().filter(|l| l.len() == length).cloned().collect();
            for label in shorter {
                for class in (0..classes).filter(|&class| class != blank) {
                    all.push([label.clone(), vec![class]].concat());
                }
            }
        }
        all
    }

    #[test]
    fn ctc_is_the_sum_over_all_paths() {
        let mut compared = 0;
        for (frames, classes) in [
            (1, 1),
            (1, 3),
            (2, 2),
            (3, 3),
            (4, 3),
            (5, 2),
            (5, 3),
            (4, 4),
        ] {
            let input = numbers(frames, classes);
            for blank in 0..classes {
                for label in labels(classes, blank, 4) {
                    for log_probs in [false, true] {
                        let result = ctc(&input, &label, blank, log_probs);
                        let (loss, grad) = by_enumeration(&input, &label, blank, log_probs);
                        close(result.loss, loss, 1e-13 * (1.0 + loss.abs()));
                        for (&ours, &theirs) in result.grad.iter().zip(&grad) {
                            close(ours, theirs, 1e-13);
                        }
                        assert_eq!(result.feasible, loss < f64::INFINITY);
                        assert_eq!(result.feasible, shortest(&label) <= frames);
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    #[test]
    fn ctc_without_some_classes_is_the_sum_over_all_paths() {
        for (t, class) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
            let mut input = numbers(4, 3);
            input[[t, class]] = f64::NEG_INFINITY;
            for label in labels(3, 0, 4) {
                for log_probs in [false, true] {
                    let result = ctc(&input, &label, 0, log_probs);
                    let (loss, grad) = by_enumeration(&input, &label, 0, log_probs);
                    close(result.loss, loss, 1e-13);
                    assert_eq!(result.feasible, loss < f64::INFINITY);
                    for (&ours, &theirs) in result.grad.iter().zip(&grad) {
                        close(ours, theirs, 1e-13);
                    }
                }
            }
        }
    }

    /// Equal logits: T·ln C − ln (T + L − r choose 2L) for r repeats.
    #[test]
    fn ctc_of_equal_logits_has_a_closed_form() {
        let repeated = array![[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]];
        close(
            ctc(&repeated, &[1, 1], 0, false).loss,
            3.0 * 2f64.ln(),
            1e-15,
        );
        let twenty = Array2::ones((20, 4));
        close(ctc(&twenty, &[1, 0], 3, false).loss, 18.8282049089, 1e-10);
        close(
            ctc(&twenty, &[2, 1, 1], 3, false).loss,
            16.5058171887,
            1e-10,
        );
        let long = Array2::zeros((10_000, 5));
        close(
            ctc(&long, &[1, 2, 3, 4, 1], 0, false).loss,
            16017.3796336,
            1e-7,
        );
    }

    #[test]
    fn ctc_gradient_is_the_slope() {
        for log_probs in [false, true] {
            let input = numbers(6, 4);
            let label = [2, 2, 1];
            let grad = ctc(&input, &label, 0, log_probs).grad;
            for ((t, c), &slope) in grad.indexed_iter() {
                let loss_at = |offset: f64| {
                    let mut moved = input.clone();
                    moved[[t, c]] += offset;
                    ctc(&moved, &label, 0, log_probs).loss
                };
                let h = 1e-5;
                close(slope, (loss_at(h) - loss_at(-h)) / (2.0 * h), 1e-9);
            }
            let rows = if log_probs { -1.0 } else { 0.0 };
            for row in grad.rows() {
                close(row.sum(), rows, 1e-14);
            }
        }
    }

    #[test]
    fn ctc_without_frames() {
        let nothing = Array2::zeros((0, 3));
        let empty = ctc(&nothing, &[], 0, false);
        assert_eq!((empty.loss, empty.feasible), (0.0, true));
        let one = ctc(&nothing, &[1], 0, false);
        assert_eq!((one.loss, one.feasible), (f64::INFINITY, false));
    }

    #[test]
    fn ctc_of_a_frame_without_a_softmax_is_nan() {
        for value in [f64::NAN, f64::INFINITY] {
            let mut input = numbers(4, 3);
            input[[2, 1]] = value;
            let result = ctc(&input, &[2], 0, false);
            assert!(result.loss.is_nan() && result.feasible);
            assert!(result.grad.iter().all(|g| g.is_nan()));
        }
        // So does a log-probability, on a path or not.
        let mut input = numbers(4, 3);
        input[[2, 1]] = f64::NAN;
        assert!(ctc(&input, &[2], 0, true).loss.is_nan());
        assert!(ctc(&input, &[1], 0, true).loss.is_nan());
    }

    /// Confident frames: f32 log-softmax gives a negative loss here (google-deepmind/optax #1771).
    #[test]
    fn ctc_of_logits_is_never_negative() {
        let loss = ctc(&array![[0.0, 17.0], [0.0, 17.0]], &[1], 0, false).loss;
        // Exactly 1.7139e-15: rounding at 1 leaves an absolute error.
        assert!((0.0..2e-15).contains(&loss), "{loss}");
        assert_eq!(ctc(&array![[1000.0, 0.0, 0.0]], &[0], 2, false).loss, 0.0);
    }
}
