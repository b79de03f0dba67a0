//! CTC where others stumble: labels that just fit and that do not, nothing to read, NaN, infinities
//! and masks. The numbers of issues are those in which peers had it wrong.

mod common;

use common::ctc::{Batch, Ctc, Data, assert_same, label, logits, serial, shortest};
use common::levels::for_each_level;
use common::random::Random;
use lossgrad::{CtcLoss, CtcStatus, Error, Reduction};
use ndarray::{Array1, Array2, Array3, Axis, array, s};

fn some(frames: usize, classes: usize) -> Array2<f32> {
    Array2::from_shape_fn((frames, classes), |(t, c)| {
        ((7 * t + 3 * c + t * c) as f32).sin()
    })
}

/// A label is read in as many frames as it has classes and repeats, and not in one less
/// (SeanNaren/warp-ctc #29, baidu-research/warp-ctc #96).
#[test]
fn ctc_edge_as_many_frames_as_it_takes() {
    let mut random = Random::new(1);
    for (length, repeats) in [(1, 0), (2, 1), (5, 2), (16, 3), (17, 1), (40, 2), (100, 3)] {
        let label = label(length, 9, 0, repeats, &mut random);
        let frames = shortest(&label);
        let enough = Batch::single(some(frames, 9), &label).blank(0);
        assert!(enough.expected().feasible[0]);
        enough.check_at_every_level("just enough frames");
        let short = Batch::single(some(frames - 1, 9), &label).blank(0);
        assert!(!short.expected().feasible[0]);
        short.check_at_every_level("one frame too few");
        let outcome = short.run(serial());
        assert_eq!(outcome.status, [CtcStatus::Infeasible]);
        assert_eq!(outcome.loss[0], f32::INFINITY);
    }
}

/// An infeasible sample touches neither its own gradient nor its neighbours (pytorch #16199).
#[test]
fn ctc_edge_infeasible_among_others() {
    for_each_level(|exec| {
        let mut pred = Array3::zeros((3, 6, 4));
        for sample in 0..3 {
            pred.index_axis_mut(Axis(0), sample).assign(&some(6, 4));
        }
        let alone = Batch::single(some(6, 4), &[1, 2]).run(exec);
        let mut batch = Batch::new(pred, vec![vec![1, 2], vec![1, 1, 1, 1], vec![1, 2]]);
        for zero_infinity in [false, true] {
            batch.zero_infinity = zero_infinity;
            let outcome = batch.run(exec);
            for sample in [0, 2] {
                assert_eq!(outcome.loss[sample], alone.loss[0]);
                let grad = outcome.grad.index_axis(Axis(0), sample);
                assert_eq!(grad, alone.grad.index_axis(Axis(0), 0));
            }
            let cost = if zero_infinity { 0.0 } else { f32::INFINITY };
            assert_eq!(outcome.loss[1], cost);
            assert!(
                outcome
                    .grad
                    .index_axis(Axis(0), 1)
                    .iter()
                    .all(|&g| g == 0.0)
            );
            use CtcStatus::{Feasible, Infeasible};
            assert_eq!(outcome.status, [Feasible, Infeasible, Feasible]);
        }
    });
}

/// The gradient beyond a sample's frames is 0 whatever is there, and what is there is never read
/// (pytorch #14335, #21392; `run` hands in outputs full of NaN).
#[test]
fn ctc_edge_poisoned_padding() {
    for_each_level(|exec| {
        let lengths = [9, 1, 0, 5, 12];
        let labels = vec![vec![1, 2], vec![0], vec![], vec![], vec![2, 2, 0]];
        let mut batch =
            Batch::new(Array3::<f32>::zeros((5, 12, 4)), labels).lengths(lengths.to_vec());
        for (sample, &frames) in lengths.iter().enumerate() {
            let mut pred = batch.pred.index_axis_mut(Axis(0), sample);
            pred.slice_mut(s![..frames, ..]).assign(&some(frames, 4));
        }
        let clean = batch.run(exec);
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (sample, &frames) in lengths.iter().enumerate() {
                batch.pred.slice_mut(s![sample, frames.., ..]).fill(poison);
            }
            for log_probs in [false, true] {
                batch.log_probs = log_probs;
                let outcome = batch.run(exec);
                if !log_probs {
                    assert_same(&outcome, &clean, "poisoned padding");
                }
                for (sample, &frames) in lengths.iter().enumerate() {
                    let padding = outcome.grad.slice(s![sample, frames.., ..]).to_owned();
                    assert!(padding.iter().all(|&g| g == 0.0));
                    assert!(outcome.loss[sample].is_finite());
                }
            }
        }
    });
}

/// The empty label is read from blanks alone (pytorch #18215, tensorflow #14659).
#[test]
fn ctc_edge_empty_label() {
    let pred = some(7, 5);
    let batch = Batch::single(pred.clone(), &[]).blank(1);
    batch.check_at_every_level("empty label");
    let outcome = batch.run(serial());
    let mut blanks = 0.0;
    for (t, row) in pred.mapv(f64::from).rows().into_iter().enumerate() {
        let p = row.mapv(f64::exp) / row.mapv(f64::exp).sum();
        blanks -= p[1].ln();
        for (class, p) in p.iter().enumerate() {
            let exact = if class == 1 { p - 1.0 } else { *p };
            assert!((f64::from(outcome.grad[[0, t, class]]) - exact).abs() < 1e-6);
        }
    }
    assert!((f64::from(outcome.loss[0]) - blanks).abs() < 1e-6);
    batch
        .log_probs()
        .check_at_every_level("empty label, log-probabilities");
}

/// No frames read as the empty label, and as nothing else.
#[test]
fn ctc_edge_no_frames() {
    for_each_level(|exec| {
        for (pred, lengths) in [
            (Array3::<f32>::zeros((2, 0, 3)), None),
            (Array3::from_elem((2, 4, 3), f32::NAN), Some(vec![0, 0])),
        ] {
            let batch = Batch {
                lengths,
                ..Batch::new(pred, vec![vec![], vec![1]])
            };
            batch.check(exec, &batch.expected(), "no frames");
            let outcome = batch.run(exec);
            assert_eq!(outcome.loss, array![0.0, f32::INFINITY]);
            assert_eq!(outcome.status, [CtcStatus::Feasible, CtcStatus::Infeasible]);
            assert!(outcome.grad.iter().all(|&g| g == 0.0));
        }
    });
}

#[test]
fn ctc_edge_no_samples() {
    let (pred, labels) = (
        Array3::<f32>::zeros((0, 5, 3)),
        Array2::<i32>::zeros((0, 2)),
    );
    let call = CtcLoss::new();
    let (loss, grad) = call.loss_and_grad(&pred, &labels).unwrap();
    assert_eq!((loss.len(), grad.dim()), (0, (0, 5, 3)));
    let total = call.on(&pred, &labels).reduction(Reduction::Sum).scalar();
    assert_eq!(total, Ok(0.0));
    let mean = call.on(&pred, &labels).reduction(Reduction::Mean).scalar();
    assert!(matches!(mean, Err(Error::EmptyMean { .. })), "{mean:?}");
}

/// `per_label` divides by the length of the label, and by 1 for the empty one (burn divides by 0).
#[test]
fn ctc_edge_mean_with_an_empty_label() {
    let mut pred = Array3::zeros((2, 5, 4));
    for sample in 0..2 {
        pred.index_axis_mut(Axis(0), sample).assign(&some(5, 4));
    }
    let mut batch = Batch::new(pred, vec![vec![], vec![2, 0, 1]]);
    let plain = batch.run(serial());
    batch.per_label = true;
    batch.check_at_every_level("per label");
    let labels = array![[-1, -1, -1], [2, 0, 1]];
    let mean = CtcLoss::new()
        .per_label(true)
        .on(&batch.pred, &labels)
        .reduction(Reduction::Mean)
        .scalar()
        .unwrap();
    let exact = (f64::from(plain.loss[0]) + f64::from(plain.loss[1]) / 3.0) / 2.0;
    assert!((f64::from(mean) - exact).abs() < 1e-6, "{mean}, {exact}");
}

/// A perfect prediction has nothing to learn (MXNet takes log p = 0 for "no path" and gives 1).
#[test]
fn ctc_edge_perfect_prediction() {
    for_each_level(|exec| {
        let batch = Batch::single(array![[1000.0_f32, 0.0, 0.0]], &[0]);
        let outcome = batch.run(exec);
        assert_eq!(outcome.loss[0], 0.0);
        assert!(outcome.grad.iter().all(|&g| g == 0.0), "{}", outcome.grad);
        let batch = Batch::single(array![[0.0_f32, f32::NEG_INFINITY]], &[0]).log_probs();
        let outcome = batch.run(exec);
        assert_eq!(outcome.loss[0], 0.0);
        assert_eq!(outcome.grad, array![[[-1.0, 0.0]]]);
    });
}

/// A class of probability 0 that no path needs (a NaN in PyTorch's gradient).
#[test]
fn ctc_edge_impossible_classes_that_are_not_needed() {
    for log_probs in [false, true] {
        let mut pred = some(8, 5);
        // A class that is not in the label, at every frame.
        pred.column_mut(3).fill(f32::NEG_INFINITY);
        // One that is, and the blank, at frames where there is another way.
        pred[[0, 1]] = f32::NEG_INFINITY;
        pred[[5, 4]] = f32::NEG_INFINITY;
        let batch = Batch {
            log_probs,
            ..Batch::single(pred, &[1, 0])
        };
        assert!(batch.expected().feasible[0]);
        batch.check_at_every_level("impossible classes");
        let outcome = batch.run(serial());
        assert!(outcome.loss[0].is_finite());
        assert!(outcome.grad.iter().all(|g| g.is_finite()));
        let column = outcome.grad.slice(s![0, .., 3]).to_owned();
        assert!(column.iter().all(|&g| g == 0.0));
    }
}

/// The blank has probability 0 throughout: read if nothing repeats.
#[test]
fn ctc_edge_impossible_blank() {
    for log_probs in [false, true] {
        let mut pred = some(8, 5);
        pred.column_mut(4).fill(f32::NEG_INFINITY);
        for (label, feasible) in [
            (vec![1, 0, 2], true),
            (vec![1, 1, 2], false),
            (vec![], false),
        ] {
            let batch = Batch {
                log_probs,
                ..Batch::single(pred.clone(), &label)
            };
            assert_eq!(batch.expected().feasible[0], feasible);
            batch.check_at_every_level("impossible blank");
        }
    }
}

/// A class of probability 0 that every path needs (MXNet: a gradient of softmax).
#[test]
fn ctc_edge_impossible_classes_that_are_needed() {
    for (frames, label) in [
        (8, vec![1, 3, 0]),
        (3, vec![1, 3, 0]),
        (200, vec![0, 1, 2, 3, 0]),
    ] {
        for log_probs in [false, true] {
            let mut everywhere = some(frames, 5);
            everywhere.column_mut(3).fill(f32::NEG_INFINITY);
            // Or at the one frame in which the only path is there.
            let mut once = some(shortest(&label), 5);
            once[[label.len() - 1, label[label.len() - 1]]] = f32::NEG_INFINITY;
            for pred in [everywhere, once] {
                let batch = Batch {
                    log_probs,
                    ..Batch::single(pred, &label)
                };
                assert!(!batch.expected().feasible[0]);
                batch.check_at_every_level("a needed class is impossible");
                let outcome = batch.run(serial());
                assert_eq!(outcome.loss[0], f32::INFINITY);
                assert_eq!(outcome.status, [CtcStatus::Infeasible]);
                assert!(outcome.grad.iter().all(|&g| g == 0.0));
            }
        }
    }
}

/// A NaN, a +∞ or nothing but −∞ leaves a frame of logits without a softmax: its sample's loss is
/// NaN, and no other's.
#[test]
fn ctc_edge_nan_in_one_sample() {
    let mut random = Random::new(2);
    for_each_level(|exec| {
        let labels = vec![vec![1, 2], vec![], vec![2, 2]];
        let pred = logits::<f32>([3, 20, 40], 39, Data::Normal(1.0), &mut random);
        let clean = Batch::new(pred, labels);
        let before = clean.run(exec);
        for sample in 0..3 {
            for (frame, class) in [(0, 0), (7, 1), (19, 38), (3, 39), (10, 17)] {
                for value in [f32::NAN, f32::INFINITY] {
                    let mut batch = clean.clone();
                    batch.pred[[sample, frame, class]] = value;
                    let outcome = batch.run(exec);
                    assert!(
                        outcome.loss[sample].is_nan(),
                        "{value} at {class}: {}",
                        outcome.loss
                    );
                    let row = outcome.grad.slice(s![sample, frame, ..]).to_owned();
                    assert!(row.iter().all(|g| g.is_nan()), "{value}: {row}");
                    for other in (0..3).filter(|&other| other != sample) {
                        assert_eq!(outcome.loss[other], before.loss[other]);
                        let grad = outcome.grad.index_axis(Axis(0), other);
                        assert_eq!(grad, before.grad.index_axis(Axis(0), other));
                    }
                }
            }
        }
    });
}

#[test]
fn ctc_edge_frame_of_nothing_possible() {
    for_each_level(|exec| {
        let mut pred = some(6, 4);
        pred.row_mut(2).fill(f32::NEG_INFINITY);
        assert!(Batch::single(pred, &[1]).run(exec).loss[0].is_nan());
    });
}

/// Of log-probabilities a NaN counts where a path can take it.
#[test]
fn ctc_edge_nan_log_probability() {
    for_each_level(|exec| {
        let labels = vec![vec![1, 2], vec![0, 0]];
        let pred = Array3::from_shape_fn((2, 9, 4), |(n, t, c)| -0.1 * (n + t + c) as f32 - 1.0);
        let clean = Batch::new(pred, labels).log_probs();
        let before = clean.run(exec);
        for class in [1, 2, 3] {
            let mut batch = clean.clone();
            batch.pred[[0, 4, class]] = f32::NAN;
            let outcome = batch.run(exec);
            assert!(outcome.loss[0].is_nan());
            assert!(
                outcome
                    .grad
                    .index_axis(Axis(0), 0)
                    .iter()
                    .any(|g| g.is_nan())
            );
            assert_eq!(outcome.loss[1], before.loss[1]);
            let grad = outcome.grad.index_axis(Axis(0), 1);
            assert_eq!(grad, before.grad.index_axis(Axis(0), 1));
        }
    });
}

/// Masks of large finite numbers: on classes that no path needs they change nothing, on those that
/// every path needs they cost what they are.
#[track_caller]
fn mask<T: Ctc>(value: f64, costs: f64) {
    let masked = |pred: Array2<f32>, column: usize| {
        let mut pred = pred.mapv(|x| T::of(f64::from(x)));
        pred.column_mut(column).fill(T::of(value));
        pred
    };
    for frames in [6, 60] {
        let label = [1, 0, 2];
        // Not in the label.
        let unneeded = Batch::single(masked(some(frames, 5), 3), &label);
        unneeded.check_at_every_level("mask of another class");
        assert!(unneeded.run(serial()).loss[0].wide() < 1000.0);
        // The blank, which nothing makes necessary.
        let blank = Batch::single(masked(some(frames, 5), 4), &label);
        blank.check_at_every_level("mask of the blank");
        assert!(blank.run(serial()).loss[0].wide() < 1000.0);
        // A class of the label: the cheapest path takes it for one frame.
        let needed = Batch::single(masked(some(frames, 5), 0), &label);
        needed.check_at_every_level("mask of a needed class");
        let loss = needed.run(serial()).loss[0].wide();
        assert!((loss - costs).abs() < 300.0 + 1e-6 * costs, "{loss}");
        // Twice.
        let twice = Batch::single(masked(some(frames, 5), 0), &[0, 1, 0]);
        twice.check_at_every_level("mask of a class needed twice");
        let loss = twice.run(serial()).loss[0].wide();
        assert!((loss - 2.0 * costs).abs() < 300.0 + 2e-6 * costs, "{loss}");
        // The blank between repeats, and the blank as all there is to read.
        let between = Batch::single(masked(some(frames, 5), 4), &[1, 1]);
        between.check_at_every_level("mask of a needed blank");
        let all = Batch::single(masked(some(frames, 5), 4), &[]);
        all.check_at_every_level("mask of every blank");
        let loss = all.run(serial()).loss[0].wide();
        let costs = frames as f64 * costs;
        assert!((loss - costs).abs() < 300.0 + 1e-6 * costs, "{loss}");
    }
    // At some frames only, past which the paths can go.
    let mut pred = masked(some(40, 5), 3);
    for frame in (0..40).step_by(3) {
        pred[[frame, frame % 3]] = T::of(value);
        pred[[frame, 4]] = T::of(value);
    }
    Batch::single(pred, &[1, 0, 2, 2, 0]).check_at_every_level("masks here and there");
}

#[test]
fn ctc_edge_masks() {
    mask::<f32>(-1e9, 1e9);
    mask::<f64>(-1e9, 1e9);
    mask::<f32>(-1e4, 1e4);
    mask::<f64>(-1e4, 1e4);
}

#[test]
fn ctc_edge_masks_of_log_probabilities() {
    for value in [-1e4_f32, -1e9] {
        let mut pred = some(40, 5).mapv(|x| x - 2.0);
        pred.column_mut(3).fill(value);
        for label in [vec![1, 0], vec![3, 1], vec![3, 3, 3]] {
            Batch::single(pred.clone(), &label)
                .log_probs()
                .check_at_every_level("masked log-probabilities");
        }
    }
}

/// The lowest number there is, as masks often are: harmless where it is not needed, and no NaN
/// where it is.
#[test]
fn ctc_edge_masks_of_the_lowest_number() {
    for_each_level(|exec| {
        for column in [0, 3, 4] {
            let mut pred = some(30, 5);
            pred.column_mut(column).fill(f32::MIN);
            let outcome = Batch::single(pred.clone(), &[1, 0, 2]).run(exec);
            assert!(
                outcome.grad.iter().all(|g| g.is_finite()),
                "column {column}"
            );
            assert_eq!(outcome.loss[0] > 1e38, column == 0, "{}", outcome.loss);
            assert_eq!(outcome.status, [CtcStatus::Feasible]);
            // As if the class were impossible.
            if column != 0 {
                pred.column_mut(column).fill(f32::NEG_INFINITY);
                let impossible = Batch::single(pred, &[1, 0, 2]).run(exec);
                assert_same(&outcome, &impossible, "masked and impossible");
            }
        }
    });
}

/// A weight of 0 masks, even what costs +∞ or is NaN.
#[test]
fn ctc_edge_weight_of_zero() {
    for_each_level(|exec| {
        let mut pred = Array3::zeros((3, 4, 3));
        pred[[1, 2, 0]] = f32::NAN;
        let labels = array![[0, 0, 0, 0], [1, -1, -1, -1], [1, 0, -1, -1]];
        let weights = array![0.0, 0.0, 2.0];
        let (mut loss, mut grad) = (Array1::from_elem(3, f32::NAN), pred.clone());
        let ctc = CtcLoss::new();
        let call = ctc.on(&pred, &labels).exec(exec).sample_weight(&weights);
        call.loss_and_grad_into(&mut loss, &mut grad).unwrap();
        assert_eq!(loss.slice(s![..2]), array![0.0, 0.0]);
        assert!(grad.slice(s![..2, .., ..]).iter().all(|&g| g == 0.0));
        assert!(loss[2] > 0.0 && grad.slice(s![2.., .., ..]).iter().any(|&g| g != 0.0));
    });
}
