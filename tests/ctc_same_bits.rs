//! One CTC call made in every way there is: at every level (every other suite checks that too), on
//! any number of threads, alone and in a batch, with every form, layout, type of label, and
//! workspace; the bits are the same.

mod common;

use common::ctc::{
    Batch, Ctc, Data, LAYOUTS, Outcome, assert_same, label, laid_out, logits, padded, serial,
    shortest,
};
use common::ctc_forms::{assert_every_form, assert_laid_out};
use common::layouts::{Laid, Layout};
use common::levels::{for_each_level, levels, shrunk};
use common::random::Random;
use common::real::assert_same_bits;
use lossgrad::{CtcLayout, CtcLoss, CtcStatus, Exec, Level, Reduction, Threading, Workspace};
use ndarray::{Array1, Array3, Axis, IxDyn, arr0, s};
use rayon::ThreadPoolBuilder;

/// Samples of every kind: long, short, repeated, empty, infeasible, without frames.
fn batch<T: Ctc>() -> Batch<T> {
    let mut random = Random::new(1);
    let (frames, classes) = (70, 21);
    let pred = logits(
        [7, frames, classes],
        classes - 1,
        Data::Normal(2.0),
        &mut random,
    );
    let labels = [30, 5, 17, 0, 40, 0, 1]
        .map(|length| label(length, classes, classes - 1, 4, &mut random))
        .to_vec();
    Batch::new(pred, labels).lengths(vec![70, 70, 33, 12, 39, 0, 1])
}

fn infeasible<T>(outcome: &Outcome<T>) -> usize {
    let of = |status: &&CtcStatus| **status == CtcStatus::Infeasible;
    outcome.status.iter().filter(of).count()
}

#[test]
fn ctc_same_bits_with_any_number_of_threads() {
    let mut random = Random::new(2);
    // Many samples; fewer than threads; one, short and long, which has to be shared too.
    for (samples, frames, classes, length) in [
        (33, 120, 30, 20),
        (3, 900, 60, 90),
        (1, 50, 5000, 10),
        (1, 6000, 33, 700),
        (1, 6001, 33, 5),
    ] {
        let (frames, length) = match frames {
            ..=500 => (frames, length),
            _ => (shrunk(frames), shrunk(length)),
        };
        for kind in [Data::Normal(1.0), Data::Peaky] {
            let pred = logits::<f32>([samples, frames, classes], 0, kind, &mut random);
            let labels = (0..samples)
                .map(|_| label(length.min(frames / 2), classes, 0, 10, &mut random))
                .collect();
            let lengths = (0..samples).map(|n| frames - n).collect();
            let batch = Batch::new(pred, labels).blank(0).lengths(lengths);
            for level in levels() {
                let alone = batch.run(Exec::new(level, Threading::Serial));
                for threads in [1, 2, 7] {
                    let pool = ThreadPoolBuilder::new()
                        .num_threads(threads)
                        .build()
                        .unwrap();
                    let shared = pool.install(|| batch.run(Exec::new(level, Threading::Auto)));
                    let what =
                        format!("{samples} × {frames} × {classes}, {threads} threads at {level}");
                    assert_same(&shared, &alone, &what);
                }
            }
        }
    }
}

/// A sample's bits depend on its own frames, label and classes: not on who else is there, nor on
/// how far the batch is filled up.
#[test]
fn ctc_same_bits_alone_and_in_a_batch() {
    fn check<T: Ctc>() {
        let batch = batch::<T>();
        for_each_level(|exec| {
            let together = batch.run(exec);
            assert_eq!(infeasible(&together), 1);
            for (sample, &frames) in batch.frames().iter().enumerate() {
                let mut alone = batch.sample(sample);
                alone.lengths = None;
                alone.pred = alone.pred.slice(s![.., ..frames, ..]).to_owned();
                let outcome = alone.run(exec);
                assert_eq!(
                    outcome.loss[0].bits(),
                    together.loss[sample].bits(),
                    "{sample}"
                );
                assert_eq!(outcome.status[0], together.status[sample]);
                let grad = together.grad.slice(s![sample..sample + 1, ..frames, ..]);
                assert_same_bits(
                    &outcome.grad.into_dyn(),
                    &grad.to_owned().into_dyn(),
                    "alone",
                );
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

/// Everything lies anywhere, in either order of axes.
#[test]
fn ctc_same_bits_in_every_layout() {
    fn check<T: Ctc>() {
        let batch = batch::<T>();
        let mut random = Random::new(3);
        for_each_level(|exec| {
            let expected = batch.run(exec);
            for layouts in LAYOUTS {
                let mut places = Layout::all(3);
                places.extend((0..6).map(|_| Layout::random(3, &mut random)));
                for place in &places {
                    assert_laid_out(&batch, layouts, place, &mut random, exec, &expected);
                }
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

/// Every way to ask.
#[test]
fn ctc_same_bits_in_every_form() {
    fn check<T: Ctc>() {
        let mut batch = batch::<T>();
        for (log_probs, zero_infinity) in [(false, false), (true, false), (false, true)] {
            (batch.log_probs, batch.zero_infinity) = (log_probs, zero_infinity);
            for_each_level(|exec| {
                for reduction in [
                    Reduction::None,
                    Reduction::SampleMean,
                    Reduction::SampleSum,
                    Reduction::Mean,
                    Reduction::Sum,
                ] {
                    assert_every_form(&batch, reduction, exec);
                }
            });
        }
    }
    check::<f32>();
    check::<f64>();
}

/// Straight from the loss, without setters.
#[test]
fn ctc_same_bits_without_setters() {
    let batch = Batch {
        lengths: None,
        ..batch::<f32>()
    };
    let expected = batch.run(Exec::default());
    let (ctc, labels) = (batch.ctc(), padded(&batch.labels));
    let (loss, grad) = ctc.loss_and_grad(&batch.pred, &labels).unwrap();
    assert_eq!((&loss, &grad), (&expected.loss, &expected.grad));
    assert_eq!(ctc.loss(&batch.pred, &labels).unwrap(), loss);
    assert_eq!(ctc.grad(&batch.pred, &labels).unwrap(), grad);
}

/// The blank is the last class where none is named.
#[test]
fn ctc_same_bits_with_the_blank_by_default() {
    let batch = Batch {
        lengths: None,
        ..batch::<f32>()
    };
    let labels = padded(&batch.labels);
    let loss = CtcLoss::new().loss(&batch.pred, &labels).unwrap();
    assert_eq!(loss, batch.run(Exec::default()).loss);
    // A NaN-free batch, so that equality is equality of bits.
    assert!(loss.iter().all(|loss| !loss.is_nan()));
}

/// The status is written by every method, and by itself changes nothing.
#[test]
fn ctc_same_bits_and_status_in_every_form() {
    let batch = batch::<f32>();
    let expected = batch.run(serial());
    let (ctc, labels, lengths) = (
        batch.ctc(),
        padded(&batch.labels),
        Array1::from(batch.frames()),
    );
    let wrong: Vec<CtcStatus> = (expected.status.iter())
        .map(|status| match status {
            CtcStatus::Feasible => CtcStatus::Infeasible,
            _ => CtcStatus::Feasible,
        })
        .collect();
    let wrong = Array1::from(wrong);
    macro_rules! on {
        ($status:ident) => {
            ctc.on(&batch.pred, &labels)
                .pred_lengths(&lengths)
                .exec(serial())
                .status(&mut $status)
        };
    }

    let mut status = wrong.clone();
    on!(status).loss().unwrap();
    assert_eq!(status.to_vec(), expected.status, "loss");
    status.assign(&wrong);
    on!(status).grad().unwrap();
    assert_eq!(status.to_vec(), expected.status, "grad");
    status.assign(&wrong);
    on!(status).reduction(Reduction::Sum).scalar().unwrap();
    assert_eq!(status.to_vec(), expected.status, "scalar");
    status.assign(&wrong);
    let mut pred = batch.pred.clone();
    let call = ctc.in_place(&mut pred, &labels).pred_lengths(&lengths);
    call.status(&mut status).grad().unwrap();
    assert_eq!(status.to_vec(), expected.status, "in place");
    assert_eq!(pred, expected.grad);
}

/// Labels and lengths of every integer type, filled up or one after the other.
#[test]
fn ctc_same_bits_with_every_type_of_label() {
    let batch = batch::<f32>();
    let expected = batch.run(serial());
    let ctc = batch.ctc();
    macro_rules! check {
        ($integer:ty, $signed:expr) => {
            let to = |n: usize| <$integer>::try_from(n).unwrap();
            let frames: Array1<$integer> = batch.frames().iter().map(|&n| to(n)).collect();
            let lengths: Array1<$integer> = batch.labels.iter().map(|l| to(l.len())).collect();
            let all: Array1<$integer> = batch.labels.iter().flatten().map(|&n| to(n)).collect();
            // What stands behind a label's length is not read: here the blank, and no class.
            for filler in [to(batch.blank), <$integer>::MAX, <$integer>::MIN] {
                let labels = padded(&batch.labels);
                let labels = labels.mapv(|n| usize::try_from(n).map_or(filler, to));
                let call = ctc.on(&batch.pred, &labels).pred_lengths(&frames);
                let (loss, grad) = call.label_lengths(&lengths).loss_and_grad().unwrap();
                let name = stringify!($integer);
                assert_eq!(loss, expected.loss.clone().into_dyn(), "{name}, filled up");
                assert_eq!(grad, expected.grad, "{name}, filled up");
            }
            let call = ctc.on(&batch.pred, &all).pred_lengths(&frames);
            let (loss, grad) = call.label_lengths(&lengths).loss_and_grad().unwrap();
            assert_eq!(loss, expected.loss.clone().into_dyn(), "concatenated");
            assert_eq!(grad, expected.grad, "concatenated");
            if $signed {
                let labels = padded(&batch.labels);
                let end = (0 as $integer).wrapping_sub(1);
                let labels = labels.mapv(|n| usize::try_from(n).map_or(end, to));
                let loss = ctc
                    .on(&batch.pred, &labels)
                    .pred_lengths(&frames)
                    .loss()
                    .unwrap();
                assert_eq!(loss, expected.loss.clone().into_dyn(), "−1");
            }
        };
    }
    check!(i8, true);
    check!(i16, true);
    check!(i32, true);
    check!(i64, true);
    check!(i128, true);
    check!(isize, true);
    check!(u8, false);
    check!(u16, false);
    check!(u32, false);
    check!(u64, false);
    check!(u128, false);
    check!(usize, false);
}

/// A padded label ends at its first −1, whatever follows.
#[test]
fn ctc_same_bits_with_anything_after_the_end_of_a_label() {
    let batch = batch::<f32>();
    let expected = batch.run(serial());
    let mut labels = padded(&batch.labels);
    for (mut row, label) in labels.rows_mut().into_iter().zip(&batch.labels) {
        let len = row.len();
        for at in (label.len() + 1).min(len)..len {
            row[at] = [3, -5, i32::MAX, batch.blank as i32, -1][at % 5];
        }
    }
    let lengths = Array1::from(batch.frames());
    let ctc = batch.ctc();
    let call = ctc
        .on(&batch.pred, &labels)
        .pred_lengths(&lengths)
        .exec(serial());
    assert_eq!(call.loss().unwrap(), expected.loss.into_dyn());
    assert_eq!(call.grad().unwrap(), expected.grad);
}

/// A workspace remembers nothing, serves any type and level, and grows once.
#[test]
fn ctc_same_bits_from_a_used_workspace() {
    let mut workspace = Workspace::new();
    let (single, double) = (batch::<f32>(), batch::<f64>());
    let mut random = Random::new(4);
    let pred = logits::<f32>([2, 300, 40], 39, Data::Peaky, &mut random);
    let labels = vec![
        label(60, 40, 39, 8, &mut random),
        label(9, 40, 39, 8, &mut random),
    ];
    let larger = Batch::new(pred, labels);
    for level in levels() {
        let exec = Exec::new(level, Threading::Serial);
        for _ in 0..2 {
            used(&single, exec, &mut workspace);
            used(&larger, exec, &mut workspace);
            used(&double, exec, &mut workspace);
        }
    }
    let grown = workspace.bytes();
    assert!(grown > 0);
    for level in levels() {
        let exec = Exec::new(level, Threading::Serial);
        used(&single, exec, &mut workspace);
        used(&larger, exec, &mut workspace);
        used(&double, exec, &mut workspace);
    }
    assert_eq!(workspace.bytes(), grown);
}

fn used<T: Ctc>(batch: &Batch<T>, exec: Exec, workspace: &mut Workspace) {
    let expected = batch.run(exec);
    let (ctc, labels, lengths) = (
        batch.ctc(),
        padded(&batch.labels),
        Array1::from(batch.frames()),
    );
    let call = ctc
        .on(&batch.pred, &labels)
        .pred_lengths(&lengths)
        .exec(exec);
    let (loss, grad) = call.workspace(workspace).loss_and_grad().unwrap();
    assert_same_bits(&loss, &expected.loss.clone().into_dyn(), "used workspace");
    assert_same_bits(
        &grad.into_dyn(),
        &expected.grad.clone().into_dyn(),
        "used workspace",
    );
    let mut pred = batch.pred.clone();
    let call = ctc
        .in_place(&mut pred, &labels)
        .pred_lengths(&lengths)
        .exec(exec);
    call.workspace(workspace).grad().unwrap();
    assert_same_bits(
        &pred.into_dyn(),
        &expected.grad.into_dyn(),
        "used workspace, in place",
    );
}

/// Whatever is left in the workspace is never read: here NaN, in labels just short enough for their
/// frames, where most states can be skipped.
#[test]
fn ctc_same_bits_from_a_workspace_full_of_nan() {
    fn check<T: Ctc>() {
        let random = &mut Random::new(6);
        let mut workspace = Workspace::new();
        for frames in [7, 31, 32, 33, 90, 200] {
            for spare in [0, 1, 5, frames / 2] {
                let mut label = label(frames - spare, 9, 8, 5, random);
                while shortest(&label) > frames {
                    label.pop();
                }
                let pred = logits::<T>([1, frames, 9], 8, Data::Normal(3.0), random);
                let batch = Batch::new(pred, vec![label]);
                for_each_level(|exec| {
                    poison::<f32>(2 * frames, exec, &mut workspace);
                    used(&batch, exec, &mut workspace);
                    poison::<f64>(2 * frames, exec, &mut workspace);
                    used(&batch, exec, &mut workspace);
                });
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

/// Fills the workspace with NaN: of a label that visits most states of a larger lattice.
fn poison<T: Ctc>(frames: usize, exec: Exec, workspace: &mut Workspace) {
    let pred = Array3::from_elem((1, frames, 9), T::NAN);
    let label: Vec<usize> = (0..frames / 2).map(|at| at % 8).collect();
    let labels = padded(&[label]);
    let call = CtcLoss::new().on(&pred, &labels).exec(exec);
    let (loss, _) = call.workspace(workspace).loss_and_grad().unwrap();
    assert!(loss[IxDyn(&[0])].wide().is_nan());
}

/// The memory of ten thousand frames and 1,500 labels: 16 MB, and 1 MB for the loss alone.
#[test]
fn ctc_memory_does_not_grow_with_frames_times_labels() {
    let mut random = Random::new(5);
    let (frames, length) = (shrunk(10_000), shrunk(1500));
    let pred = logits::<f32>([1, frames, 32], 0, Data::Normal(1.0), &mut random);
    let label = Array1::from(label(length, 32, 0, 30, &mut random)).insert_axis(Axis(0));
    let ctc = CtcLoss::new().blank(0);
    let exec = Exec::new(Level::best(), Threading::Serial);
    let mut forward = Workspace::new();
    ctc.on(&pred, &label)
        .exec(exec)
        .workspace(&mut forward)
        .loss()
        .unwrap();
    let mut both = Workspace::new();
    ctc.on(&pred, &label)
        .exec(exec)
        .workspace(&mut both)
        .loss_and_grad()
        .unwrap();
    println!(
        "forward {} bytes, gradient {}",
        forward.bytes(),
        both.bytes()
    );
    assert!(forward.bytes() <= 1_000_000, "{}", forward.bytes());
    assert!(both.bytes() <= 16_000_000, "{}", both.bytes());
}

/// A factor per sample scales that sample, and a factor of 1 changes nothing.
#[test]
fn ctc_factors_scale_samples() {
    fn check<T: Ctc>() {
        let batch = batch::<T>();
        let (ctc, labels, lengths) = (
            batch.ctc(),
            padded(&batch.labels),
            Array1::from(batch.frames()),
        );
        let factors = [0.7, -1.5, 0.0, 3.0, 2.0, 1.0, -0.1];
        let wide = Array1::from_iter(factors);
        let factors = wide.mapv(T::of);
        let ones = Array1::from_elem(7, T::of(1.0));
        for_each_level(|exec| {
            let plain = batch.run(exec);
            let on = || {
                ctc.on(&batch.pred, &labels)
                    .pred_lengths(&lengths)
                    .exec(exec)
            };
            for trivial in [on().upstream(&ones), on().sample_weight(&ones)] {
                let (loss, grad) = trivial.loss_and_grad().unwrap();
                assert_same_bits(&loss, &plain.loss.clone().into_dyn(), "factors of 1");
                assert_same_bits(
                    &grad.into_dyn(),
                    &plain.grad.clone().into_dyn(),
                    "factors of 1",
                );
            }
            let scaled = |grad: &Array3<T>, what: &str| {
                for (sample, &factor) in factors.iter().enumerate() {
                    let pairs = grad.index_axis(Axis(0), sample);
                    let pairs = pairs.iter().zip(plain.grad.index_axis(Axis(0), sample));
                    for (&grad, &one) in pairs {
                        let exact = one.wide() * factor.wide();
                        // The factor may be applied before or after the difference is rounded.
                        let allowed =
                            (2.0 * T::CONTRACT.epsilon + T::CTC.grad) * factor.wide().abs();
                        assert!(
                            (grad.wide() - exact).abs() <= allowed,
                            "{what}: {grad}, {exact}"
                        );
                    }
                }
            };
            // An upstream scales the gradient alone.
            let (loss, grad) = on().upstream(&factors).loss_and_grad().unwrap();
            assert_same_bits(
                &loss,
                &plain.loss.clone().into_dyn(),
                "loss with an upstream",
            );
            scaled(&grad, "upstream");
            // A weight scales both, and 0 masks even +∞.
            let (loss, grad) = on().sample_weight(&factors).loss_and_grad().unwrap();
            scaled(&grad, "sample_weight");
            for (sample, &loss) in loss.iter().enumerate() {
                let factor = factors[sample].wide();
                let one = plain.loss[sample].wide();
                let exact = if factor == 0.0 { 0.0 } else { factor * one };
                let error = (loss.wide() - exact).abs();
                assert!(loss.wide() == exact || error <= 2.0 * T::CONTRACT.epsilon * exact.abs());
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

/// Factors that spread from pred's rank are those of the samples, wherever they lie; a single one is that
/// of all samples, or of their total.
#[test]
fn ctc_factors_spread_over_samples() {
    let batch = batch::<f32>();
    let (labels, lengths) = (padded(&batch.labels), Array1::from(batch.frames()));
    let factors = Array1::from_iter([0.7_f32, -1.5, 0.0, 3.0, 2.0, 1.0, -0.1]);
    let (alike, of_all) = (
        Array1::from_elem(7, 0.7_f32),
        Array3::from_elem((1, 1, 1), 0.7),
    );
    let of_total = arr0(0.7_f32);
    for (layout, shape) in [(CtcLayout::Ntc, [7, 1, 1]), (CtcLayout::Tnc, [1, 7, 1])] {
        let (ctc, pred) = (batch.ctc().layout(layout), laid_out(&batch.pred, layout));
        let spread = factors.clone().into_shape_with_order(shape).unwrap();
        let mut laid = Vec::new();
        for place in [
            Layout::contiguous(3),
            Layout::window(3),
            Layout::reversed(3),
        ] {
            for (given, plain) in [(&spread, &factors), (&of_all, &alike)] {
                let given = Laid::new(&given.clone().into_dyn(), &place, f32::NAN);
                laid.push((given, plain, format!("{layout:?}, {place:?}")));
            }
        }
        let views: Vec<_> = laid.iter().map(|(given, ..)| given.view()).collect();
        let on = || {
            let call = ctc.on(&pred, &labels).pred_lengths(&lengths);
            call.exec(serial())
        };
        for ((_, plain, what), given) in laid.iter().zip(&views) {
            for (given, plain) in [
                (on().upstream(given), on().upstream(plain)),
                (on().sample_weight(given), on().sample_weight(plain)),
            ] {
                let (loss, grad) = given.loss_and_grad().unwrap();
                let (plain_loss, plain_grad) = plain.loss_and_grad().unwrap();
                assert_same_bits(&loss, &plain_loss, what);
                assert_same_bits(&grad.into_dyn(), &plain_grad.into_dyn(), what);
            }
        }
        let total = || on().reduction(Reduction::Sum);
        let [given, plain] = [total().upstream(&of_all), total().upstream(&of_total)]
            .map(|call| call.grad().unwrap().into_dyn());
        assert_same_bits(&given, &plain, "the total");

        let samples = Axis(shape.iter().position(|&extent| extent == 7).unwrap());
        let nobody = |array: &Array3<f32>| array.slice_axis(samples, (..0).into()).to_owned();
        let (pred, weights) = (nobody(&pred), nobody(&spread));
        let labels = labels.slice(s![..0, ..]);
        let call = ctc.on(&pred, &labels).sample_weight(&weights);
        assert!(call.loss().unwrap().is_empty());
    }
}

/// Whole-batch reductions are those of the samples' losses, and their gradient is divided likewise.
#[test]
fn ctc_reductions_of_the_batch() {
    fn check<T: Ctc>() {
        // Nothing infeasible, which would make every total infinite.
        let batch = Batch {
            zero_infinity: true,
            ..batch::<T>()
        };
        let (ctc, labels, lengths) = (
            batch.ctc(),
            padded(&batch.labels),
            Array1::from(batch.frames()),
        );
        for_each_level(|exec| {
            let plain = batch.run(exec);
            let total: f64 = plain.loss.iter().map(|loss| loss.wide()).sum();
            for (reduction, divisor) in [(Reduction::Sum, 1.0), (Reduction::Mean, 7.0)] {
                let upstream = arr0(T::of(-3.0));
                let call = ctc.on(&batch.pred, &labels).pred_lengths(&lengths);
                let call = call.exec(exec).reduction(reduction).upstream(&upstream);
                let mut grad = Array3::from_elem(batch.pred.raw_dim(), T::NAN);
                let value = call.scalar_and_grad_into(&mut grad).unwrap().wide();
                let exact = total / divisor;
                assert!((value - exact).abs() <= 8.0 * T::CONTRACT.epsilon * exact);
                for (&grad, &one) in grad.iter().zip(&plain.grad) {
                    let exact = one.wide() * -3.0 / divisor;
                    let allowed = 3.0 * (2.0 * T::CONTRACT.epsilon + T::CTC.grad) / divisor;
                    assert!((grad.wide() - exact).abs() <= allowed, "{grad}, {exact}");
                }
            }
        });
    }
    check::<f32>();
    check::<f64>();
}

/// The axes mean what they say: swapping two samples swaps the results.
#[test]
fn ctc_same_bits_with_samples_swapped() {
    let batch = batch::<f32>();
    let order: Vec<usize> = (0..7).rev().collect();
    let swapped = Batch {
        pred: batch.pred.select(Axis(0), &order),
        labels: order.iter().map(|&n| batch.labels[n].clone()).collect(),
        lengths: Some(order.iter().map(|&n| batch.frames()[n]).collect()),
        ..batch.clone()
    };
    for_each_level(|exec| {
        let (one, other) = (batch.run(exec), swapped.run(exec));
        let back = Outcome {
            loss: other.loss.select(Axis(0), &order),
            grad: other.grad.select(Axis(0), &order),
            status: order.iter().map(|&n| other.status[n]).collect(),
        };
        assert_same(&back, &one, "swapped");
        // With the frames first the same memory means other things.
        let tnc = laid_out(&batch.pred, CtcLayout::Tnc);
        let labels = padded(&batch.labels);
        let lengths = Array1::from(batch.frames());
        let call = batch.ctc().layout(CtcLayout::Tnc).on(&tnc, &labels);
        let loss = call.pred_lengths(&lengths).exec(exec).loss().unwrap();
        assert_same_bits(&loss, &one.loss.clone().into_dyn(), "frames first");
    });
}
