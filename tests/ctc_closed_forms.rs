//! CTC of equal logits, whose cost is known at any length: T·ln C − ln (T + L − r choose 2L) for T
//! frames, C classes and a label of length L with r repeats.

mod common;

use common::ctc::{Batch, Ctc, shortest};
use common::levels::{for_each_level, shrunk};
use ndarray::Array2;

/// A label of `length` classes of which `repeats` are like the one before; the blank is the last
/// of `classes`.
fn label(length: usize, repeats: usize, classes: usize) -> Vec<usize> {
    let mut label = vec![0; length];
    for at in 1..length {
        let next = (label[at - 1] + 1) % (classes - 1);
        label[at] = if at <= repeats { label[at - 1] } else { next };
    }
    label
}

/// ln (n choose k), every factor rounded once and the sum compensated.
fn ln_binomial(n: usize, k: usize) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for i in 1..=k {
        // ln ((n − k + i) / i)
        let value = ((n - k) as f64 / i as f64).ln_1p() - lost;
        let next = total + value;
        lost = (next - total) - value;
        total = next;
    }
    total
}

fn cost(frames: usize, classes: usize, length: usize, repeats: usize) -> f64 {
    frames as f64 * (classes as f64).ln() - ln_binomial(frames + length - repeats, 2 * length)
}

#[track_caller]
fn holds<T: Ctc>(frames: usize, length: usize, repeats: usize, classes: usize, exact: f64) {
    let label = label(length, repeats, classes);
    assert_eq!(shortest(&label), length + repeats);
    // The value is of no importance, and the longest sequences take it once.
    let values = if frames > 1000 {
        &[1.0][..]
    } else {
        &[0.0, -3.5]
    };
    for &value in values {
        let batch = Batch::single(Array2::from_elem((frames, classes), T::of(value)), &label);
        for_each_level(|exec| {
            let outcome = batch.run(exec);
            let loss = outcome.loss[0].wide();
            let allowed = (T::CTC.loss * exact).max(T::CTC.loss_per_frame * frames as f64);
            let what = format!(
                "{frames} {length} {repeats} {classes} at {}, {}",
                exec.level,
                T::NAME
            );
            assert!(
                (loss - exact).abs() <= allowed,
                "{what}: {loss}, exactly {exact}"
            );
            for row in outcome.grad.rows() {
                let sum: f64 = row.iter().map(|g| g.wide()).sum();
                let allowed = 2.0 * classes as f64 * T::CTC.grad;
                assert!(
                    sum.abs() <= allowed,
                    "{what}: a row's gradient adds up to {sum:e}"
                );
            }
            // Read backwards, the label and the frames are the same problem.
            if repeats == 0 && length == 1 {
                let grad = outcome.grad;
                for (forth, back) in (0..frames).zip((0..frames).rev()) {
                    let difference = (grad[[0, forth, 0]].wide() - grad[[0, back, 0]].wide()).abs();
                    assert!(difference <= 2.0 * T::CTC.grad, "{what}: lopsided");
                }
            }
        });
    }
}

/// The numbers that burn, gtn, MXNet, TensorFlow (#4193) and others have in their tests.
#[test]
fn ctc_closed_form_has_the_published_values() {
    for (frames, length, repeats, classes, published) in [
        (3, 2, 0, 3, 1.68639895357),
        (3, 2, 1, 2, 2.07944154168),
        (3, 2, 0, 4, 2.54944517093),
        (2, 1, 0, 2, 0.287682072452),
        (20, 2, 0, 4, 18.8282049089),
        (20, 3, 1, 4, 16.5058171887),
        (10_000, 5, 0, 5, 16017.3796336),
        (20_000, 5, 0, 5, 32104.8275358),
        (10_000, 500, 0, 32, 31359.5137732),
        (100_000, 20, 0, 32, 346223.393701),
    ] {
        let exact = cost(frames, classes, length, repeats);
        let digit = 1e-11 * f64::max(1.0, published);
        assert!((exact - published).abs() <= digit, "{exact}, {published}");
    }
}

#[test]
fn ctc_closed_form_of_short_labels() {
    for classes in [2, 3, 5, 17, 33] {
        for length in [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33] {
            // Two classes are one beside the blank: every other class is a repeat.
            let most = length.max(1) - 1;
            let repeats = if classes == 2 { most..=most } else { 0..=most };
            for repeats in repeats.step_by(3) {
                let shortest = length + repeats;
                for frames in [shortest, shortest + 1, shortest + 2, 2 * shortest + 5] {
                    if frames > 0 {
                        let exact = cost(frames, classes, length, repeats);
                        holds::<f32>(frames, length, repeats, classes, exact);
                        holds::<f64>(frames, length, repeats, classes, exact);
                    }
                }
            }
        }
    }
}

#[test]
fn ctc_closed_form_of_long_sequences() {
    for (frames, length, repeats, classes) in [
        (1000, 100, 0, 5),
        (1000, 500, 100, 3),
        (1000, 900, 0, 32),
        (10_000, 5, 0, 5),
        (20_000, 5, 0, 5),
        (10_000, 500, 0, 32),
        (100_000, 20, 0, 32),
        (100_000, 1, 0, 2),
    ] {
        let (frames, length, repeats) = (shrunk(frames), shrunk(length), shrunk(repeats));
        let exact = cost(frames, classes, length, repeats);
        holds::<f32>(frames, length, repeats, classes, exact);
        holds::<f64>(frames, length, repeats, classes, exact);
    }
}
