//! The contract against a textbook in `f64` log space, and the same bits however it is computed.

use crate::CtcLoss;
use ndarray::{Array2, Array3};

/// ln(e^a + e^b).
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// The loss and gradient of one sample of logits, `frames` times `classes`.
fn textbook(logits: &[f64], classes: usize, labels: &[usize], blank: usize) -> (f64, Vec<f64>) {
    let frames = logits.len() / classes;
    let mut log_p = logits.to_vec();
    for row in log_p.chunks_mut(classes) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|x| (x - max).exp()).sum();
        row.iter_mut().for_each(|x| *x -= max + sum.ln());
    }
    let states: Vec<usize> = (0..2 * labels.len() + 1)
        .map(|s| if s % 2 == 0 { blank } else { labels[s / 2] })
        .collect();
    let skips = |s: usize| s % 2 == 1 && s >= 2 && states[s] != states[s - 2];
    let dead = f64::NEG_INFINITY;
    let n = states.len();
    let mut alpha = vec![vec![dead; n]; frames + 1];
    // A frame before the first, in which every path is in front of the first state.
    for t in 0..frames {
        for s in 0..n {
            let mut sum = if t == 0 {
                if s < 2 { 0.0 } else { dead }
            } else {
                alpha[t][s]
            };
            if t > 0 && s > 0 {
                sum = log_add(sum, alpha[t][s - 1]);
            }
            if t > 0 && skips(s) {
                sum = log_add(sum, alpha[t][s - 2]);
            }
            alpha[t + 1][s] = sum + log_p[t * classes + states[s]];
        }
    }
    let mut beta = vec![dead; n];
    beta[n - 1] = 0.0;
    if n > 1 {
        beta[n - 2] = 0.0;
    }
    let total = (0..n).fold(dead, |sum, s| log_add(sum, alpha[frames][s] + beta[s]));
    let mut grad = vec![0.0; logits.len()];
    for t in (0..frames).rev() {
        let row = &mut grad[t * classes..][..classes];
        for (g, p) in row.iter_mut().zip(&log_p[t * classes..]) {
            *g = p.exp();
        }
        for s in 0..n {
            row[states[s]] -= (alpha[t + 1][s] + beta[s] - total).exp();
        }
        let emitted: Vec<f64> = (0..n)
            .map(|s| beta[s] + log_p[t * classes + states[s]])
            .collect();
        for s in 0..n {
            beta[s] = emitted[s];
            if s + 1 < n {
                beta[s] = log_add(beta[s], emitted[s + 1]);
            }
            if s + 2 < n && skips(s + 2) {
                beta[s] = log_add(beta[s], emitted[s + 2]);
            }
        }
    }
    (-total, grad)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn uniform(&mut self) -> f64 {
        (self.next() as f64 + 0.5) / 2f64.powi(31)
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (2.0 * core::f64::consts::PI * self.uniform()).cos()
    }
}

struct Case {
    logits: Array3<f32>,
    labels: Array2<i32>,
}

fn case(frames: usize, classes: usize, labels: usize, scale: f64, blank: f64) -> Case {
    let mut random = Random((frames * 31 + classes * 7 + labels) as u64);
    let logits = Array3::from_shape_fn((1, frames, classes), |(_, _, c)| {
        let shift = if c == classes - 1 { blank } else { 0.0 };
        (random.normal() * scale + shift) as f32
    });
    let labels = Array2::from_shape_fn((1, labels), |_| {
        (random.next() as usize % (classes - 1)) as i32
    });
    Case { logits, labels }
}

/// Compares a case with the textbook and says how far it is off.
fn compare(name: &str, case: &Case) {
    let (_, frames, classes) = case.logits.dim();
    let wide: Vec<f64> = case.logits.iter().map(|&x| f64::from(x)).collect();
    let labels: Vec<usize> = case.labels.iter().map(|&l| l as usize).collect();
    let (expected, grad) = textbook(&wide, classes, &labels, classes - 1);
    let (loss, found) = CtcLoss::new()
        .loss_and_grad(&case.logits, &case.labels)
        .unwrap();
    let off = (f64::from(loss[0]) - expected).abs();
    let worst = found
        .iter()
        .zip(&grad)
        .map(|(&f, &e)| (f64::from(f) - e).abs())
        .fold(0.0, f64::max);
    println!(
        "{name}: loss {expected:.6} off by {:.1e} relative, {:.1e} a frame; gradient {worst:.1e}",
        off / expected,
        off / frames as f64
    );
    assert!(
        off <= (1e-7 * expected).max(2e-8 * frames as f64),
        "{name}: loss {}",
        loss[0]
    );
    assert!(worst <= 1e-6, "{name}");
}

#[test]
fn ctc_is_as_near_to_the_textbook_as_promised() {
    for (frames, classes, labels) in [
        (1, 2, 0),
        (1, 2, 1),
        (2, 3, 1),
        (5, 4, 2),
        (20, 5, 9),
        (40, 6, 15),
        (40, 6, 16),
        (40, 6, 17),
        (150, 80, 20),
        (500, 32, 80),
        (400, 32, 199),
    ] {
        for (scale, blank) in [
            (1.0, 0.0),
            (10.0, 10.0),
            (0.1, 7.0),
            (20.0, 0.0),
            (50.0, 0.0),
        ] {
            compare(
                &format!("{frames} {classes} {labels} {scale}"),
                &case(frames, classes, labels, scale, blank),
            );
        }
    }
}
