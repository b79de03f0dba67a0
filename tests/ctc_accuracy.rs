//! CTC against the plain `f64` reference, within the contract, on data of every kind.

mod common;

use common::ctc::{Batch, Data, Expected, label, logits, shortest};
use common::levels::{levels, shrunk};
use common::random::Random;
use lossgrad::{Exec, Level, Threading};
use ndarray::{Array2, Array3};

const KINDS: [Data; 5] = [
    Data::Normal(1.0),
    Data::Normal(5.0),
    Data::Normal(30.0),
    Data::Peaky,
    Data::Collapsed,
];

/// The same numbers in both precisions, held to the reference at these levels.
#[track_caller]
fn check(batch: &Batch<f32>, levels: &[Level], what: &str) {
    let double = batch.widen();
    let expected: Expected = batch.expected();
    for &level in levels {
        let exec = Exec::new(level, Threading::Auto);
        batch.check(exec, &expected, what);
        double.check(exec, &expected, what);
    }
}

/// Batches of every small shape, blank and length, of logits and of log-probabilities.
#[test]
fn ctc_accuracy_of_anything_small() {
    let mut random = Random::new(1);
    for round in 0..shrunk(600) {
        let (samples, frames, classes) = (
            1 + random.below(4),
            1 + random.below(70),
            2 + random.below(40),
        );
        let blank = random.below(classes);
        let kind = KINDS[random.below(KINDS.len())];
        let mut pred = logits([samples, frames, classes], blank, kind, &mut random);
        let lengths: Vec<usize> = (0..samples).map(|_| 1 + random.below(frames)).collect();
        let labels = lengths
            .iter()
            .map(|&frames| {
                let length = random.below(frames + 1);
                // Two classes are one beside the blank: it can only repeat itself.
                let repeats = if classes == 2 {
                    1
                } else {
                    [0, 2, 10][random.below(3)]
                };
                label(length, classes, blank, repeats, &mut random)
            })
            .collect();
        let log_probs = random.once_in(3);
        if log_probs && random.once_in(2) {
            // Not normalised, as a gradient check would have them.
            pred.mapv_inplace(|x| 0.3 * x - 1.0);
        }
        let batch = Batch {
            lengths: random.once_in(2).then_some(lengths),
            log_probs,
            zero_infinity: random.once_in(2),
            per_label: random.once_in(3),
            weight: [1.0, 0.5, -2.0][random.below(3)],
            ..Batch::new(pred, labels).blank(blank)
        };
        // A negative weight makes losses of logits negative.
        let batch = if log_probs {
            batch
        } else {
            Batch {
                weight: batch.weight.abs(),
                ..batch
            }
        };
        check(&batch, &levels(), &format!("round {round}, {kind:?}"));
    }
}

#[test]
fn ctc_accuracy_of_batches_like_those_of_recognisers() {
    let mut random = Random::new(2);
    for kind in KINDS {
        for (samples, frames, classes, length) in
            [(4, 500, 32, 80), (4, 150, 80, 20), (2, 300, 1000, 40)]
        {
            let blank = [0, classes - 1][random.below(2)];
            let pred = logits([samples, frames, classes], blank, kind, &mut random);
            let labels = (0..samples)
                .map(|sample| label(length + sample, classes, blank, 15, &mut random))
                .collect();
            let batch = Batch::new(pred, labels).blank(blank);
            check(
                &batch,
                &levels(),
                &format!("{kind:?}, {frames} frames, {classes} classes"),
            );
        }
    }
}

/// One long sample.
#[track_caller]
fn long(frames: usize, classes: usize, length: usize, kind: Data) {
    let (frames, length) = (shrunk(frames), shrunk(length));
    let mut random = Random::new((frames + length) as u64);
    let label = label(
        length,
        classes,
        0,
        if classes < 4 { 5 } else { 25 },
        &mut random,
    );
    assert!(shortest(&label) <= frames, "a label that is to be read");
    let pred = logits([1, frames, classes], 0, kind, &mut random);
    let batch = Batch::new(pred, vec![label]).blank(0);
    let what = format!("{kind:?}, {frames} frames, {length} labels");
    check(&batch, &levels(), &what);
}

/// One scale a frame gives infinities and NaN here, log-add-exp in f32 gradients that are 3e-3 off.
#[test]
fn ctc_accuracy_of_hard_data_at_scale_20() {
    for length in [900, 1400, 1800] {
        long(2000, 32, length, Data::Normal(20.0));
    }
}

#[test]
fn ctc_accuracy_of_hard_data_at_scale_50() {
    for length in [900, 1400, 1800] {
        long(2000, 32, length, Data::Normal(50.0));
    }
}

/// Log-add-exp in f32 loses the gradient altogether here.
#[test]
fn ctc_accuracy_of_ten_thousand_frames() {
    long(10_000, 32, 1500, Data::Normal(1.0));
}

#[test]
fn ctc_accuracy_of_ten_thousand_peaky_frames() {
    long(10_000, 32, 1500, Data::Peaky);
}

#[test]
fn ctc_accuracy_of_twenty_thousand_frames_and_five_labels() {
    for kind in KINDS {
        long(20_000, 8, 5, kind);
    }
}

/// The blank at 0.999 at every frame: the label is far from the likeliest reading.
#[test]
fn ctc_accuracy_of_collapsed_frames() {
    long(3000, 16, 300, Data::Collapsed);
    long(1000, 5, 700, Data::Collapsed);
}

/// PyTorch's test of long targets, and of a label about as long as half the frames.
#[test]
fn ctc_accuracy_of_pytorchs_long_targets() {
    long(4000, 3, 1200, Data::Normal(1.0));
    long(500, 10, 256, Data::Normal(1.0));
}

/// PyTorch's `zero_infinity` test: the first label does not fit its frames.
#[test]
fn ctc_accuracy_of_pytorchs_zero_infinity() {
    let mut random = Random::new(7);
    let labels = [60, 25, 20].map(|length| label(length, 20, 0, 10, &mut random));
    let pred = logits([3, 50, 20], 0, Data::Normal(1.0), &mut random);
    let mut batch = Batch::new(pred, labels.to_vec()).blank(0);
    for zero_infinity in [false, true] {
        batch.zero_infinity = zero_infinity;
        check(&batch, &levels(), "zero_infinity");
    }
}

/// A recogniser that is right and sure of it costs next to nothing, and never less than that.
#[test]
fn ctc_accuracy_of_confident_frames() {
    let mut random = Random::new(3);
    for margin in [5.0, 10.0, 15.0, 17.0, 20.0, 40.0, 80.0, 1000.0] {
        for length in [1, 4, 30, 200] {
            let classes = 12;
            let label = label(length, classes, 0, 6, &mut random);
            let mut path = Vec::new();
            for (at, &class) in label.iter().enumerate() {
                if at > 0 && (label[at - 1] == class || random.once_in(2)) {
                    path.push(0);
                }
                path.resize(path.len() + 1 + random.below(3), class);
            }
            let pred = Array2::from_shape_fn((path.len(), classes), |(t, c)| {
                if path[t] == c { margin as f32 } else { 0.0 }
            });
            let batch = Batch::single(pred, &label).blank(0);
            check(
                &batch,
                &levels(),
                &format!("margin {margin}, {length} labels"),
            );
        }
    }
}

/// A common offset of a frame's logits changes nothing, however large.
#[test]
fn ctc_accuracy_with_offsets() {
    let mut random = Random::new(4);
    for offset in [-1e6_f32, -300.0, 88.0, 1e4, 1e8] {
        let mut pred = logits::<f32>([1, 60, 9], 8, Data::Normal(2.0), &mut random);
        for (frame, mut row) in pred
            .outer_iter_mut()
            .next()
            .unwrap()
            .outer_iter_mut()
            .enumerate()
        {
            row += if frame % 3 == 0 { offset } else { 0.0 };
        }
        let label = label(12, 9, 8, 5, &mut random);
        let batch = Batch::new(pred, vec![label]);
        check(&batch, &levels(), &format!("offset {offset}"));
    }
}

/// Logits so large that one path takes everything, in every frame anew.
#[test]
fn ctc_accuracy_at_large_scales() {
    let mut random = Random::new(5);
    for scale in [1e2, 1e3, 1e4] {
        let pred = logits::<f32>([1, 400, 8], 0, Data::Normal(scale), &mut random);
        let label = label(120, 8, 0, 5, &mut random);
        let batch = Batch::new(pred, vec![label]).blank(0);
        check(&batch, &levels(), &format!("scale {scale}"));
    }
}

/// Ties: every path of the same probability, at a cost far beyond the exponents of f32.
#[test]
fn ctc_accuracy_of_ties() {
    for value in [-1.0_f32, -100.0, -3e4] {
        let mut pred = Array3::zeros((1, 300, 6));
        // A class that no path takes is the likeliest by far.
        pred.slice_mut(ndarray::s![.., .., 1..]).fill(value);
        let batch = Batch::new(pred, vec![vec![1, 2, 3, 3, 4]]);
        check(&batch, &levels(), &format!("ties at {value}"));
    }
}

/// The slope, where the reference plays no part: central differences of the loss in f64.
#[test]
fn ctc_accuracy_of_the_gradient_as_a_slope() {
    let mut random = Random::new(6);
    for log_probs in [false, true] {
        let pred = logits::<f64>([2, 9, 5], 2, Data::Normal(1.0), &mut random);
        let labels = vec![vec![0, 0, 3], vec![4, 1]];
        let batch = Batch {
            log_probs,
            ..Batch::new(pred, labels).blank(2)
        };
        let exec = common::ctc::serial();
        let outcome = batch.run(exec);
        for ((n, t, c), &slope) in outcome.grad.indexed_iter() {
            let loss_at = |offset: f64| {
                let mut moved = batch.clone();
                moved.pred[[n, t, c]] += offset;
                moved.run(exec).loss[n]
            };
            let h = 1e-5;
            let difference = (loss_at(h) - loss_at(-h)) / (2.0 * h);
            assert!((slope - difference).abs() < 1e-9, "{slope}, {difference}");
        }
        let sum = if log_probs { -1.0 } else { 0.0 };
        for row in outcome.grad.rows() {
            assert!((row.sum() - sum).abs() < 1e-14);
        }
    }
}
