//! CTC of so many classes that a frame's exponentials are taken as multiples of a power of 2 that is
//! guessed from the blank, and that large gradients are written past the caches.

mod common;

use common::ctc::{Batch, Ctc, Data, LAYOUTS, assert_same, label, logits, serial};
use common::ctc_forms::{assert_every_form, assert_laid_out};
use common::layouts::Layout;
use common::levels::{for_each_level, shrunk};
use common::random::Random;
use lossgrad::{CtcLoss, Exec, Level, Reduction, Stores, Threading};
use ndarray::{Array1, Array2, Array3, Axis, array, s};

/// Numbers of classes around the edges of vectors, of four vectors and of a table.
const CLASSES: [usize; 12] = [65, 79, 80, 81, 127, 128, 129, 191, 192, 193, 300, 1000];

fn batch<T: Ctc>(shape: [usize; 3], length: usize, data: Data, seed: u64) -> Batch<T> {
    let random = &mut Random::new(seed);
    let blank = random.below(shape[2]);
    let pred = logits(shape, blank, data, random);
    let labels = (0..shape[0])
        .map(|_| label(length, shape[2], blank, 3, random))
        .collect();
    Batch::new(pred, labels).blank(blank)
}

fn at_every_width<T: Ctc>() {
    for (seed, classes) in CLASSES.into_iter().enumerate() {
        for (data, length) in [
            (Data::Normal(1.0), 5),
            (Data::Peaky, 16),
            (Data::Collapsed, 9),
        ] {
            let batch: Batch<T> = batch([2, 40, classes], length, data, seed as u64);
            batch.check_at_every_level(&format!("{classes} classes, {data:?}"));
        }
    }
}

#[test]
fn ctc_many_classes_are_as_accurate_as_few() {
    at_every_width::<f32>();
    at_every_width::<f64>();
}

/// The guess is off by more than the exponents of `f32` can hold, in either direction.
fn blank_far_away<T: Ctc>(log_probs: bool) {
    for apart in [
        -1e30, -1e9, -3000.0, -200.0, -60.0, -30.0, -20.0, 20.0, 42.0, 60.0, 200.0, 999.0,
    ] {
        if log_probs && apart > 0.0 {
            // No log-probability is that large.
            continue;
        }
        let mut batch: Batch<T> = batch([1, 12, 100], 4, Data::Normal(1.0), 7);
        batch.log_probs = log_probs;
        if log_probs {
            batch.pred.mapv_inplace(|x| T::of(x.wide() - 10.0));
        }
        let blank = batch.blank;
        // Every third frame stays as it is, every third is moved as a whole.
        for (frame, mut row) in batch
            .pred
            .index_axis_mut(Axis(0), 0)
            .outer_iter_mut()
            .enumerate()
        {
            match frame % 3 {
                0 => row[blank] = T::of(apart),
                1 => row.mapv_inplace(|x| T::of(x.wide() + apart)),
                _ => {}
            }
        }
        // Factors so small that what a sum is off by must not be in their way.
        for weight in [1.0, 1e-28] {
            batch.weight = weight;
            batch.check_at_every_level(&format!("{apart} apart, weight {weight}"));
        }
    }
}

#[test]
fn ctc_many_classes_whose_blank_says_nothing() {
    for log_probs in [false, true] {
        blank_far_away::<f32>(log_probs);
        blank_far_away::<f64>(log_probs);
    }
}

/// Where nothing can be guessed from the blank the result is as with few classes.
#[test]
fn ctc_many_classes_with_special_values() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (blank, other) in [
        (-inf, 0.0),
        (nan, 0.0),
        (inf, 0.0),
        (0.0, nan),
        (0.0, inf),
        (-inf, -inf),
    ] {
        for log_probs in [false, true] {
            let mut batch: Batch<f32> = batch([3, 9, 150], 4, Data::Normal(1.0), 3);
            batch.log_probs = log_probs;
            let at = batch.blank;
            let mut frame = batch.pred.slice_mut(s![1, 4, ..]);
            if blank == other {
                frame.fill(blank as f32);
            } else {
                frame[at] = blank as f32;
                frame[(at + 1) % 150] += other as f32;
            }
            batch.check_at_every_level(&format!("blank {blank}, other {other}"));
        }
    }
}

/// Every way to call, every layout and every length give the same bits: the frames that are written
/// on the way forward, those that lie apart, and those that are computed again.
#[test]
fn ctc_many_classes_have_the_same_bits_anywhere() {
    for (seed, classes) in [70, 128, 333].into_iter().enumerate() {
        for data in [Data::Normal(1.0), Data::Normal(50.0), Data::Peaky] {
            let batch: Batch<f32> = batch([3, 50, classes], 6, data, seed as u64);
            let random = &mut Random::new(seed as u64);
            for_each_level(|exec| {
                let expected = batch.run(exec);
                assert_same(&expected, &batch.run(serial()), "the best level");
                assert_every_form(&batch, Reduction::SampleMean, exec);
                for layout in LAYOUTS {
                    let place = Layout::random(3, random);
                    assert_laid_out(&batch, layout, &place, random, exec, &expected);
                }
            });
        }
    }
}

/// A gradient that is written past the caches starts anywhere in a line, and has the bits of one that
/// is not.
#[test]
fn ctc_many_classes_are_written_past_the_caches() {
    let (samples, frames) = (4, shrunk(48));
    // Two tensors of more than 32 MiB together, if nothing is shrunk.
    let classes = 23_003;
    let batch: Batch<f32> = batch(
        [samples, frames, classes],
        7.min(frames),
        Data::Normal(2.0),
        1,
    );
    let labels = common::ctc::padded(&batch.labels);
    let alone: Vec<_> = (0..samples)
        .map(|n| batch.sample(n).run(serial()))
        .collect();
    let ctc = CtcLoss::new().blank(batch.blank);
    for offset in [0, 1, 5, 16] {
        let memory = batch.pred.len() + offset + 1;
        for level in Level::all() {
            let mut memory = Array1::from_elem(memory, f32::NAN);
            let mut loss = Array1::from_elem(samples, f32::NAN);
            let place = memory.slice_mut(s![offset..offset + batch.pred.len()]);
            let mut grad = place.into_shape_with_order(batch.pred.raw_dim()).unwrap();
            ctc.on(&batch.pred, &labels)
                .exec(Exec {
                    stores: Stores::PastCaches,
                    ..Exec::new(level, Threading::Auto)
                })
                .loss_and_grad_into(&mut loss, &mut grad)
                .unwrap();
            for (n, alone) in alone.iter().enumerate() {
                assert_eq!(
                    loss[n].to_bits(),
                    alone.loss[0].to_bits(),
                    "{level}, {offset}"
                );
                let same = grad
                    .index_axis(Axis(0), n)
                    .iter()
                    .zip(&alone.grad)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(
                    same,
                    "sample {n} at {level}, {offset} values behind a boundary"
                );
            }
            let around = memory
                .iter()
                .take(offset)
                .chain(memory.iter().skip(offset + batch.pred.len()));
            assert!(
                around.into_iter().all(|x| x.is_nan()),
                "wrote around the gradient"
            );
        }
    }
}

/// No more classes than a label names, and labels of all classes.
#[test]
fn ctc_many_classes_that_are_all_named() {
    for (classes, length) in [
        (65, 64),
        (80, 79),
        (81, 64),
        (128, 127),
        (129, 15),
        (129, 16),
        (129, 31),
    ] {
        let label: Vec<usize> = (1..=length).collect();
        let random = &mut Random::new(classes as u64);
        let pred = Array2::from_shape_simple_fn((length + 20, classes), || random.normal() as f32);
        let batch = Batch::single(pred, &label).blank(0);
        batch.check_at_every_level(&format!("{length} of {classes} classes"));
        batch
            .widen()
            .check_at_every_level(&format!("{length} of {classes} classes"));
    }
    // Three paths of 10,000 read as the label.
    let pred = Array3::from_elem((1, 2, 100), 3.0_f32);
    let loss = CtcLoss::new().loss(&pred, &array![[5]]).unwrap();
    assert!((loss[0] - (10_000.0_f32 / 3.0).ln()).abs() < 1e-6);
}
