//! The contract against a textbook in `f64` log space, and the same bits however it is computed.

use crate::contract::CTC;
use crate::{
    CtcGreedy, CtcLabelLayout, CtcLayout, CtcLoss, CtcStatus, Error, Exec, Level, Reduction,
    Threading, Workspace,
};
use ndarray::{Array1, Array2, Array3, ArrayView3, Axis, array, s};

/// ln(e^a + e^b).
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// The loss and gradient of one sample of logits, or of log-probabilities, `frames` times `classes`.
fn textbook(
    logits: &[f64],
    classes: usize,
    labels: &[usize],
    blank: usize,
    log_probs: bool,
) -> (f64, Vec<f64>) {
    let frames = logits.len() / classes;
    let mut log_p = logits.to_vec();
    for row in log_p.chunks_mut(classes).filter(|_| !log_probs) {
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
            *g = if log_probs { 0.0 } else { p.exp() };
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

/// Normal logits times `scale`, the last class `blank` higher, and random labels of the others.
fn case([samples, frames, classes, labels]: [usize; 4], scale: f64, blank: f64) -> Case {
    let mut random = Random((frames * 31 + classes * 7 + labels) as u64);
    let logits = Array3::from_shape_fn((samples, frames, classes), |(_, _, c)| {
        let shift = if c == classes - 1 { blank } else { 0.0 };
        (random.normal() * scale + shift) as f32
    });
    let labels = Array2::from_shape_fn((samples, labels), |_| {
        (random.next() as usize % (classes - 1)) as i32
    });
    Case { logits, labels }
}

/// Scale and blank of random, trained, blank-collapsed and hard data.
const KINDS: [(f64, f64); 5] = [
    (1.0, 0.0),
    (10.0, 10.0),
    (0.1, 7.0),
    (20.0, 0.0),
    (50.0, 0.0),
];

/// Compares a sample with the textbook.
#[track_caller]
fn compare(name: &str, logits: ArrayView3<'_, f32>, labels: &[i32]) {
    let (_, frames, classes) = logits.dim();
    let wide: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    let classes_of: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
    let (expected, grad) = textbook(&wide, classes, &classes_of, classes - 1, false);
    let labels = Array2::from_shape_vec((1, labels.len()), labels.to_vec()).unwrap();
    let (loss, found) = CtcLoss::new().loss_and_grad(&logits, &labels).unwrap();
    let off = (f64::from(loss[0]) - expected).abs();
    let pairs = found.iter().zip(&grad);
    let worst = pairs
        .map(|(&f, &e)| (f64::from(f) - e).abs())
        .fold(0.0, f64::max);
    println!("{name}: loss {expected:.6} off by {off:.1e}, gradient by {worst:.1e}");
    // f32 rounds the loss itself, which the bound is not for.
    let rounding = expected * f64::from(f32::EPSILON) / 2.0;
    let bound = (CTC.loss * expected).max(CTC.loss_per_frame * frames as f64) + rounding;
    assert!(off <= bound, "{name}: loss {}, {expected}", loss[0]);
    assert!(worst <= CTC.grad, "{name}");
    assert!(loss[0] >= 0.0, "{name}");
}

#[test]
fn ctc_is_as_near_to_the_textbook_as_promised() {
    let shapes = [
        [1, 2, 0],
        [1, 2, 1],
        [2, 3, 1],
        [5, 4, 2],
        [20, 5, 9],
        [40, 6, 15],
        [40, 6, 16],
        [40, 6, 17],
        [150, 80, 20],
        [60, 200, 12],
        [80, 40, 70],
        [400, 70, 350],
        [500, 32, 80],
        [400, 32, 199],
        // With checkpoints, and with many classes besides.
        [3000, 32, 400],
        [2000, 70, 300],
    ];
    for [frames, classes, labels] in shapes {
        for (scale, blank) in KINDS {
            let Case { logits, labels } = case([1, frames, classes, labels], scale, blank);
            let name = format!("{frames} {classes} {} {scale}", labels.len());
            compare(&name, logits.view(), labels.as_slice().unwrap());
        }
    }
}

#[test]
fn ctc_of_masks_is_that_of_the_textbook() {
    // What no f32 exponent counts: masks that a path need not take, may and must take.
    for mask in [-1e4, -1e9, -3e38] {
        for (masked, labels) in [
            (0, vec![1, 2]),
            (1, vec![1, 2]),
            (1, vec![1, 2, 1]),
            (3, vec![1]),
        ] {
            let mut logits = case([1, 12, 4, 1], 1.0, 0.0).logits;
            logits.index_axis_mut(Axis(2), masked).fill(mask);
            let name = format!("{masked} at {mask}");
            if mask == -3e38 {
                let labels = Array2::from_shape_vec((1, labels.len()), labels).unwrap();
                let (loss, grad) = CtcLoss::new().loss_and_grad(&logits, &labels).unwrap();
                assert!(
                    !loss[0].is_nan() && grad.iter().all(|g| g.is_finite()),
                    "{name}"
                );
            } else {
                compare(&name, logits.view(), &labels);
            }
        }
    }
    // In some frames only, so that the best path goes around them.
    let mut logits = case([1, 40, 4, 1], 1.0, 0.0).logits;
    logits.slice_mut(s![0, 5..20, 1]).fill(-1e9);
    logits.slice_mut(s![0, 22..30, 3]).fill(f32::NEG_INFINITY);
    compare("some frames", logits.view(), &[1, 2, 1, 0]);
}

#[test]
fn ctc_of_equal_logits_is_the_closed_form() {
    let ln_binomial = |n: usize, k: usize| -> f64 {
        (0..k).map(|i| ((n - i) as f64 / (k - i) as f64).ln()).sum()
    };
    for (frames, labels, repeats, classes) in [
        (3, 2, 0, 3),
        (3, 2, 1, 2),
        (2, 1, 0, 2),
        (20, 3, 1, 4),
        (10_000, 5, 0, 5),
        (20_000, 5, 0, 5),
        (10_000, 500, 0, 32),
        (100_000, 20, 0, 32),
    ] {
        let logits = Array3::<f32>::zeros((1, frames, classes));
        let label = Array2::from_shape_fn((1, labels), |(_, i): (usize, usize)| {
            i.saturating_sub(repeats) as u32 % (classes - 1) as u32
        });
        let adjacent = (1..labels)
            .filter(|&i| label[[0, i]] == label[[0, i - 1]])
            .count();
        assert_eq!(adjacent, repeats);
        let expected = frames as f64 * (classes as f64).ln()
            - ln_binomial(frames + labels - repeats, 2 * labels);
        let (loss, grad) = CtcLoss::new().loss_and_grad(&logits, &label).unwrap();
        let off = (f64::from(loss[0]) - expected).abs();
        println!(
            "{frames} {labels}: {expected}, off by {:.1e} relative",
            off / expected
        );
        assert!(
            off <= 1.6e-7 * expected,
            "{frames} {labels}: {} {expected}",
            loss[0]
        );
        let sums = grad.sum_axis(Axis(2));
        assert!(sums.iter().all(|sum| sum.abs() < 1e-5));
    }
}

#[test]
fn ctc_gives_the_public_values() {
    let check = |logits: &[&[f64]], blank: usize, labels: &[u8], expected: f64| {
        let classes = logits[0].len();
        let pred = Array3::from_shape_vec((1, logits.len(), classes), logits.concat()).unwrap();
        let labels = Array2::from_shape_vec((1, labels.len()), labels.to_vec()).unwrap();
        let loss = CtcLoss::new().blank(blank);
        let found = loss.loss(&pred, &labels).unwrap()[0];
        assert!(
            (found - expected).abs() < 1e-10 * expected.max(1.0),
            "{found} {expected}"
        );
        let found = loss.loss(&pred.mapv(|x| x as f32), &labels).unwrap()[0];
        assert!(
            (f64::from(found) - expected).abs() < 3e-7 * expected.max(1.0),
            "{found} {expected}"
        );
    };
    let graves: [&[f64]; 2] = [&[0.1, 0.6, 0.1, 0.1, 0.1], &[0.1, 0.1, 0.6, 0.1, 0.1]];
    check(&graves, 0, &[1, 2], 2.46285839154674);
    check(&[&[0.0, -150.0, 0.0, 0.0, 0.0]], 0, &[1], 151.386294361);
    check(&[&[0.0, 17.0], &[0.0, 17.0]], 0, &[1], 1.7139082896325e-15);
    let x: [&[f64]; 4] = [
        &[0.1, 0.2, 0.3],
        &[0.4, -0.5, 0.6],
        &[-0.7, 0.8, -0.9],
        &[1.0, 0.0, -1.0],
    ];
    check(&x, 0, &[1, 2], 2.65532826393);
    check(&x, 0, &[1, 1], 2.4019296516);
    check(&x, 0, &[], 4.41637768758);
    check(&x, 0, &[1, 1, 2], 4.81637768758);
    check(&x, 2, &[0, 0], 2.98000056961);
}

/// Every level, on several numbers of threads.
fn execs() -> Vec<(Exec, usize)> {
    let mut execs = Vec::new();
    for level in Level::all() {
        execs.push((Exec::new(level, Threading::Serial), 1));
        for threads in [2, 7] {
            execs.push((Exec::new(level, Threading::Auto), threads));
        }
    }
    execs
}

#[test]
fn ctc_has_the_same_bits_everywhere() {
    for shape in [
        [3, 37, 5, 7],
        [2, 300, 40, 33],
        [1, 2500, 12, 300],
        [3, 90, 150, 16],
        [2, 80, 40, 70],
        [2, 5, 3, 0],
    ] {
        for (scale, blank) in [(1.0, 0.0), (10.0, 10.0)] {
            let Case { logits, labels } = case(shape, scale, blank);
            let lengths = Array1::from_shape_fn(shape[0], |n| shape[1] - 2 * n);
            let expected = CtcLoss::new()
                .on(&logits, &labels)
                .pred_lengths(&lengths)
                .exec(Exec::new(Level::best(), Threading::Serial))
                .loss_and_grad()
                .unwrap();
            let bits = |values: ndarray::ArrayViewD<'_, f32>| -> Vec<u32> {
                values.iter().map(|x| x.to_bits()).collect()
            };
            let (loss_bits, grad_bits) =
                (bits(expected.0.view()), bits(expected.1.view().into_dyn()));
            for (exec, threads) in execs() {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let (loss, grad) = pool.install(|| {
                    let call = CtcLoss::new().on(&logits, &labels).pred_lengths(&lengths);
                    call.exec(exec).loss_and_grad().unwrap()
                });
                assert_eq!(bits(loss.view()), loss_bits, "{shape:?} {exec:?} {threads}");
                assert_eq!(
                    bits(grad.view().into_dyn()),
                    grad_bits,
                    "{shape:?} {exec:?} {threads}"
                );
                let alone = pool.install(|| {
                    let call = CtcLoss::new().on(&logits, &labels).pred_lengths(&lengths);
                    call.exec(exec).loss().unwrap()
                });
                assert_eq!(
                    bits(alone.view()),
                    loss_bits,
                    "loss alone, {shape:?} {exec:?}"
                );
            }
            // Alone, with other strides, in place.
            for n in 0..shape[0] {
                let (loss, grad) = CtcLoss::new()
                    .on(
                        &logits.slice(s![n..n + 1, .., ..]),
                        &labels.slice(s![n..n + 1, ..]),
                    )
                    .pred_lengths(&lengths.slice(s![n..n + 1]))
                    .loss_and_grad()
                    .unwrap();
                assert_eq!(bits(loss.view()), loss_bits[n..n + 1]);
                let per_sample = shape[1] * shape[2];
                assert_eq!(
                    bits(grad.view().into_dyn()),
                    grad_bits[n * per_sample..][..per_sample]
                );
            }
            let turned = logits.view().permuted_axes([1, 0, 2]);
            let turned_labels = labels.view().reversed_axes();
            let loss = CtcLoss::new()
                .layout(CtcLayout::Tnc)
                .label_layout(CtcLabelLayout::Tn);
            let (_, grad) = loss
                .on(&turned, &turned_labels)
                .pred_lengths(&lengths)
                .loss_and_grad()
                .unwrap();
            assert_eq!(
                bits(grad.permuted_axes([1, 0, 2]).view().into_dyn()),
                grad_bits
            );
            let mut strided = Array3::<f32>::zeros((shape[2], shape[1], shape[0])).reversed_axes();
            strided.assign(&logits);
            let mut losses = Array1::zeros(shape[0]);
            CtcLoss::new()
                .in_place(&mut strided, &labels)
                .pred_lengths(&lengths)
                .loss_into(&mut losses)
                .unwrap();
            assert_eq!(bits(strided.view().into_dyn()), grad_bits);
            let mut pred = logits.clone();
            CtcLoss::new()
                .in_place(&mut pred, &labels)
                .pred_lengths(&lengths)
                .grad()
                .unwrap();
            assert_eq!(bits(pred.view().into_dyn()), grad_bits);
            assert_eq!(bits(losses.view().into_dyn()), loss_bits);
        }
    }
}

#[test]
fn ctc_in_f64_follows_the_textbook_and_finite_differences() {
    for log_probs in [false, true] {
        let Case { logits, labels } = case([1, 9, 5, 3], 1.0, 0.0);
        let pred = logits.mapv(f64::from);
        let classes: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
        let loss = CtcLoss::new().log_probs(log_probs);
        let (found, grad) = loss.loss_and_grad(&pred, &labels).unwrap();
        let (expected, of_textbook) = textbook(pred.as_slice().unwrap(), 5, &classes, 4, log_probs);
        assert!(
            (found[0] - expected).abs() < 1e-12,
            "{} {expected}",
            found[0]
        );
        for (at, (&found, &expected)) in grad.iter().zip(&of_textbook).enumerate() {
            assert!((found - expected).abs() < 1e-13, "{found} {expected}");
            let moved = |by: f64| {
                let mut pred = pred.clone();
                pred.as_slice_mut().unwrap()[at] += by;
                loss.loss(&pred, &labels).unwrap()[0]
            };
            let difference = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!((found - difference).abs() < 1e-6, "{found} {difference}");
        }
    }
    let Case { logits, labels } = case([1, 1200, 20, 150], 1.0, 0.0);
    let pred = logits.mapv(f64::from);
    let classes: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
    let (found, grad) = CtcLoss::new().loss_and_grad(&pred, &labels).unwrap();
    let (expected, of_textbook) = textbook(pred.as_slice().unwrap(), 20, &classes, 19, false);
    assert!((found[0] / expected - 1.0).abs() < 1e-13);
    let worst = grad
        .iter()
        .zip(&of_textbook)
        .map(|(f, e)| (f - e).abs())
        .fold(0.0, f64::max);
    assert!(worst < 1e-9, "{worst}");
}

#[test]
fn ctc_never_reads_padding() {
    let Case {
        mut logits,
        mut labels,
    } = case([3, 20, 6, 5], 1.0, 0.0);
    let (frames, lengths) = (array![20i64, 0, 11], array![5u8, 0, 2]);
    let clean = CtcLoss::new()
        .on(&logits, &labels)
        .pred_lengths(&frames)
        .label_lengths(&lengths)
        .loss_and_grad()
        .unwrap();
    for n in 0..3 {
        logits
            .slice_mut(s![n, frames[n] as usize.., ..])
            .fill(f32::NAN);
        labels.slice_mut(s![n, usize::from(lengths[n])..]).fill(99);
    }
    let mut loss = Array1::from_elem(3, f32::NAN);
    let mut grad = Array3::from_elem(logits.dim(), f32::NAN);
    let mut status = Array1::from_elem(3, CtcStatus::Infeasible);
    CtcLoss::new()
        .on(&logits, &labels)
        .pred_lengths(&frames)
        .label_lengths(&lengths)
        .status(&mut status)
        .loss_and_grad_into(&mut loss, &mut grad)
        .unwrap();
    assert_eq!((loss.into_dyn(), grad.clone()), clean);
    assert_eq!(clean.0[[1]], 0.0);
    assert!(grad.slice(s![2, 11.., ..]).iter().all(|&g| g == 0.0));
    assert!(status.iter().all(|&s| s == CtcStatus::Feasible));
    // Padded by −1, concatenated, and by lengths, they are the same labels.
    let padded = array![[0, 1, 1, -1, 7], [2, -1, 0, 0, 0], [-1, 0, 0, 0, 0]];
    let logits = case([3, 20, 6, 5], 1.0, 0.0).logits;
    let by_padding = CtcLoss::new().loss(&logits, &padded).unwrap();
    let lengths = array![3i8, 1, 0];
    let concatenated = CtcLoss::new()
        .on(&logits, &array![0u64, 1, 1, 2])
        .label_lengths(&lengths)
        .loss()
        .unwrap();
    assert_eq!(by_padding.into_dyn(), concatenated);
}

#[test]
fn ctc_knows_what_no_path_spells() {
    let logits = case([4, 5, 4, 3], 1.0, 0.0).logits;
    let labels = array![[0, 0, 1], [0, 0, 0], [0, 0, 1], [1, 2, 0]];
    let mut pred = logits.clone();
    pred.slice_mut(s![3, .., 2]).fill(f32::NEG_INFINITY);
    let frames = array![4, 5, 3, 5];
    let mut status = Array1::default(4);
    let (loss, grad) = CtcLoss::new()
        .on(&pred, &labels)
        .pred_lengths(&frames)
        .status(&mut status)
        .loss_and_grad()
        .unwrap();
    use CtcStatus::{Feasible, Infeasible};
    assert_eq!(status, array![Feasible, Feasible, Infeasible, Infeasible]);
    assert!(loss[[0]].is_finite() && loss[[1]].is_finite());
    assert_eq!((loss[[2]], loss[[3]]), (f32::INFINITY, f32::INFINITY));
    assert!(grad.slice(s![2.., .., ..]).iter().all(|&g| g == 0.0));
    assert!(grad.slice(s![..2, .., ..]).iter().any(|&g| g != 0.0));
    let call = CtcLoss::new().zero_infinity(true);
    let zero = call
        .on(&pred, &labels)
        .pred_lengths(&frames)
        .loss_and_grad()
        .unwrap();
    assert_eq!((zero.0[[2]], zero.0[[3]]), (0.0, 0.0));
    assert_eq!(zero.1, grad);
    // No frames at all, no labels at all, nothing but the blank.
    let none = Array3::<f32>::zeros((1, 0, 3));
    assert_eq!(
        CtcLoss::new()
            .loss(&none, &Array2::<i32>::zeros((1, 0)))
            .unwrap(),
        array![0.0]
    );
    assert_eq!(
        CtcLoss::new().loss(&none, &array![[1]]).unwrap(),
        array![f32::INFINITY]
    );
    let (loss, grad) = CtcLoss::new()
        .loss_and_grad(&array![[[3f32], [4.0]]], &Array2::<u8>::zeros((1, 0)))
        .unwrap();
    assert_eq!((loss, grad), (array![0.0], array![[[0.0], [0.0]]]));
}

#[test]
fn ctc_keeps_a_nan_in_its_sample() {
    let Case { logits, labels } = case([3, 12, 5, 3], 1.0, 0.0);
    let clean = CtcLoss::new().loss_and_grad(&logits, &labels).unwrap();
    for poison in [f32::NAN, f32::INFINITY] {
        let mut pred = logits.clone();
        pred[[1, 7, 2]] = poison;
        let (loss, grad) = CtcLoss::new().loss_and_grad(&pred, &labels).unwrap();
        assert!(loss[1].is_nan() && grad.slice(s![1, .., ..]).iter().all(|g| g.is_nan()));
        for n in [0, 2] {
            assert_eq!(loss[n], clean.0[n]);
            assert_eq!(grad.index_axis(Axis(0), n), clean.1.index_axis(Axis(0), n));
        }
        // A weight of 0 masks even that.
        let weights = array![1.0, 0.0, 2.0];
        let (loss, grad) = CtcLoss::new()
            .on(&pred, &labels)
            .sample_weight(&weights)
            .loss_and_grad()
            .unwrap();
        assert_eq!(loss, array![clean.0[0], 0.0, 2.0 * clean.0[2]].into_dyn());
        assert!(grad.slice(s![1, .., ..]).iter().all(|&g| g == 0.0));
    }
}

#[test]
fn ctc_multiplies_and_reduces() {
    let Case { logits, labels } = case([3, 12, 5, 3], 1.0, 0.0);
    let lengths = array![3, 0, 1];
    let pred = logits.mapv(f64::from);
    let (loss, grad) = CtcLoss::new()
        .on(&pred, &labels)
        .label_lengths(&lengths)
        .loss_and_grad()
        .unwrap();
    let weights = array![[[0.5]], [[2.0]], [[-1.0]]];
    let upstream = array![3.0, 1.0, 0.25];
    let weighted = CtcLoss::new().weight(2.0).unwrap().per_label(true);
    let call = weighted
        .on(&pred, &labels)
        .label_lengths(&lengths)
        .sample_weight(&weights);
    let (scaled, scaled_grad) = call.upstream(&upstream).loss_and_grad().unwrap();
    let mut sum = 0.0;
    for n in 0..3 {
        let factor = 2.0 * weights[[n, 0, 0]] / f64::from(lengths[n].max(1));
        assert!((scaled[[n]] - loss[[n]] * factor).abs() < 1e-12);
        sum += loss[[n]] * factor;
        let expected = grad
            .index_axis(Axis(0), n)
            .mapv(|g| g * factor * upstream[n]);
        let found = scaled_grad.index_axis(Axis(0), n);
        assert!(
            found
                .iter()
                .zip(&expected)
                .all(|(f, e)| (f - e).abs() < 1e-13)
        );
    }
    let mean = || {
        weighted
            .on(&pred, &labels)
            .label_lengths(&lengths)
            .sample_weight(&weights)
            .reduction(Reduction::Mean)
    };
    let mut mean_grad = Array3::zeros(pred.dim());
    let up = array![[[6.0]]];
    let found = mean()
        .upstream(&up)
        .scalar_and_grad_into(&mut mean_grad)
        .unwrap();
    assert!((found - sum / 3.0).abs() < 1e-12);
    let expected = scaled_grad[[0, 0, 0]] / upstream[0] * 2.0;
    assert!((mean_grad[[0, 0, 0]] - expected).abs() < 1e-13);
    assert!((mean().reduction(Reduction::Sum).scalar().unwrap() - sum).abs() < 1e-12);
    let empty = Array3::<f32>::zeros((0, 4, 3));
    let none = Array2::<i32>::zeros((0, 2));
    assert_eq!(CtcLoss::new().loss(&empty, &none).unwrap().len(), 0);
    assert_eq!(
        CtcLoss::new()
            .on(&empty, &none)
            .reduction(Reduction::Sum)
            .scalar()
            .unwrap(),
        0.0
    );
}

#[test]
fn ctc_does_not_depend_on_what_a_workspace_held() {
    for shape in [
        [2, 70, 5, 40],
        [1, 3000, 6, 700],
        // So many labels that the first pairs cannot be left in time.
        [2, 80, 40, 70],
        [1, 1200, 60, 1000],
        [2, 90, 150, 80],
        [1, 1200, 70, 1000],
    ] {
        let Case { logits, labels } = case(shape, 1.0, 0.0);
        let clean = CtcLoss::new().loss_and_grad(&logits, &labels).unwrap();
        for garbage in [f32::NAN, f32::INFINITY, 1e30, -1e30] {
            let mut workspace = Workspace::new();
            let mut room = workspace.room(16 << 20).unwrap();
            room.take::<f32>(4 << 20).fill(garbage);
            let call = CtcLoss::new()
                .on(&logits, &labels)
                .workspace(&mut workspace);
            let (loss, grad) = call.loss_and_grad().unwrap();
            assert_eq!(loss, clean.0.clone().into_dyn(), "{shape:?} {garbage}");
            assert!(grad == clean.1, "{shape:?} {garbage}");
            assert_eq!(call.loss().unwrap(), loss);
        }
    }
}

#[test]
fn ctc_takes_little_memory() {
    let Case { logits, labels } = case([1, 10_000, 32, 1500], 1.0, 0.0);
    let mut workspace = Workspace::new();
    CtcLoss::new()
        .on(&logits, &labels)
        .workspace(&mut workspace)
        .loss()
        .unwrap();
    assert!(workspace.bytes() <= 1 << 20, "{}", workspace.bytes());
    let mut grad = Array3::zeros(logits.dim());
    CtcLoss::new()
        .on(&logits, &labels)
        .workspace(&mut workspace)
        .grad_into(&mut grad)
        .unwrap();
    assert!(workspace.bytes() <= 16 << 20, "{}", workspace.bytes());
    let bytes = workspace.bytes();
    CtcLoss::new()
        .on(&logits, &labels)
        .workspace(&mut workspace)
        .grad_into(&mut grad)
        .unwrap();
    assert_eq!(workspace.bytes(), bytes);
}

#[test]
fn ctc_refuses_what_is_wrong_and_writes_nothing() {
    let pred = Array3::<f32>::zeros((2, 4, 3));
    let label = array![[0, 1], [1, -1]];
    let mut loss = Array1::from_elem(2, 7.0);
    let mut grad = Array3::from_elem((2, 4, 3), 7.0);
    let mut status = Array1::from_elem(2, CtcStatus::Infeasible);
    let ctc = CtcLoss::new();
    macro_rules! refused {
        ($call:expr, $message:expr) => {
            let error = $call
                .status(&mut status)
                .loss_and_grad_into(&mut loss, &mut grad)
                .unwrap_err();
            assert_eq!(error.to_string(), $message);
            assert!(loss.iter().all(|&x| x == 7.0) && grad.iter().all(|&x| x == 7.0));
            assert!(status.iter().all(|&s| s == CtcStatus::Infeasible));
        };
    }
    refused!(
        ctc.on(&Array2::zeros((2, 4)), &label),
        "pred has shape [2, 4], expected rank 3"
    );
    refused!(
        ctc.on(&Array3::zeros((2, 4, 0)), &label),
        "pred has shape [2, 4, 0]: axis 2 has no classes"
    );
    refused!(
        ctc.blank(3).on(&pred, &label),
        "blank is 3, expected a class below 3"
    );
    refused!(
        ctc.on(&pred, &Array3::<i32>::zeros((2, 2, 1))),
        "label has shape [2, 2, 1], expected rank 1 (concatenated) or 2 (padded)"
    );
    refused!(
        ctc.on(&pred, &Array2::<i32>::zeros((3, 2))),
        "label has shape [3, 2], expected [2, 2]"
    );
    refused!(
        ctc.label_layout(CtcLabelLayout::Tn)
            .on(&pred, &Array2::<i32>::zeros((2, 3))),
        "label has shape [2, 3], expected [2, 2]"
    );
    refused!(
        ctc.on(&pred, &array![0, 1]),
        "label has shape [2]: concatenated labels need label_lengths"
    );
    refused!(
        ctc.on(&pred, &array![0, 1]).label_lengths(&array![1, 2]),
        "label_lengths add up to 3, label has 2 entries"
    );
    refused!(
        ctc.on(&pred, &array![0, 1]).label_lengths(&array![1, 3]),
        "label_lengths at 1 is 3, expected 0 to 2"
    );
    refused!(
        ctc.on(&pred, &label).label_lengths(&array![-1i64, 1]),
        "label_lengths at 0 is -1, expected 0 to 2"
    );
    refused!(
        ctc.on(&pred, &label).label_lengths(&array![1]),
        "label_lengths has shape [1], expected [2]"
    );
    refused!(
        ctc.on(&pred, &label).pred_lengths(&array![4, 5]),
        "pred_lengths at 1 is 5, expected 0 to 4"
    );
    refused!(
        ctc.on(&pred, &label).pred_lengths(&array![[4, 4]]),
        "pred_lengths has shape [1, 2], expected [2]"
    );
    refused!(
        ctc.on(&pred, &array![[0, 1], [2, 0]]),
        "label at [1, 0] is 2, which is the blank"
    );
    refused!(
        ctc.on(&pred, &array![[0, 3], [1, 0]]),
        "label at [0, 1] is 3, expected a class below 3"
    );
    refused!(
        ctc.on(&pred, &array![[0, 1], [-2, 0]]),
        "label at [1, 0] is -2, expected a class below 3"
    );
    refused!(
        ctc.on(&pred, &array![0, u128::MAX])
            .label_lengths(&array![1, 1]),
        format!("label at [1] is {}, expected a class below 3", u128::MAX)
    );
    refused!(
        ctc.label_layout(CtcLabelLayout::Tn)
            .on(&pred, &array![[0, 1], [1, 9]]),
        "label at [1, 1] is 9, expected a class below 3"
    );
    let wrong = array![1f32, 1.0, 1.0];
    assert!(matches!(
        ctc.on(&pred, &label).sample_weight(&wrong).loss(),
        Err(Error::Broadcast {
            argument: "sample_weight",
            ..
        })
    ));
    assert!(matches!(
        ctc.on(&pred, &label).upstream(&wrong).loss(),
        Err(Error::Broadcast {
            argument: "upstream",
            ..
        })
    ));
    let mean = ctc
        .on(&pred, &label)
        .reduction(Reduction::Mean)
        .upstream(&wrong)
        .scalar();
    assert!(matches!(
        mean,
        Err(Error::Shape {
            argument: "upstream",
            ..
        })
    ));
    assert!(matches!(
        ctc.on(&pred, &label).scalar(),
        Err(Error::NotScalar { .. })
    ));
    let empty = Array3::<f32>::zeros((0, 4, 3));
    let mean = ctc
        .on(&empty, &Array2::<i32>::zeros((0, 2)))
        .reduction(Reduction::Mean)
        .scalar();
    assert!(matches!(mean, Err(Error::EmptyMean { .. })));
    let mut short = Array1::zeros(3);
    assert!(matches!(
        ctc.on(&pred, &label).loss_into(&mut short),
        Err(Error::Shape {
            argument: "loss",
            ..
        })
    ));
    let mut short = Array3::zeros((2, 4, 2));
    assert!(matches!(
        ctc.on(&pred, &label).grad_into(&mut short),
        Err(Error::Shape {
            argument: "grad",
            ..
        })
    ));
    let mut short = Array1::default(1);
    assert!(matches!(
        ctc.on(&pred, &label).status(&mut short).loss(),
        Err(Error::Shape {
            argument: "status",
            ..
        })
    ));
    assert!(matches!(
        ctc.weight(f64::NAN),
        Err(Error::Value {
            option: "weight",
            ..
        })
    ));
}

#[test]
fn ctc_greedy_reads_the_likeliest_classes() {
    let path = [[0usize, 0, 2, 0, 1, 1], [2, 2, 2, 1, 0, 0]];
    let pred = Array3::from_shape_fn((2, 6, 3), |(n, t, c)| f32::from(u8::from(path[n][t] == c)));
    assert_eq!(
        CtcGreedy::new().decode(&pred).unwrap(),
        [vec![0, 0, 1], vec![1, 0]]
    );
    let lengths = array![3, 0];
    let turned = pred.view().permuted_axes([1, 0, 2]);
    let greedy = CtcGreedy::new().layout(CtcLayout::Tnc).blank(0);
    assert_eq!(
        greedy.decode_lengths(&turned, &lengths).unwrap(),
        [vec![2], vec![]]
    );
    assert!(matches!(
        greedy.blank(3).decode(&pred),
        Err(Error::Blank { .. })
    ));
    let nan = array![[[f32::NAN, 1.0, 2.0], [f32::NAN, 3.0, 2.0]]];
    assert_eq!(CtcGreedy::new().decode(&nan).unwrap(), [[1]]);
}
