//! The same bits whatever the level, the threads, the rest of the batch and the layout.

mod common;

use common::call::{Outcome, Places, Request, assert_every_form, fused, fused_at};
use common::cases::{Case, Problem, table};
use common::layouts::Layout;
use common::levels::{emulated, levels};
use common::random::Random;
use common::real::{Real, assert_same_bits};
use lossgrad::{Exec, Level, Reduction, Threading};
use ndarray::{ArrayD, Axis};

const REDUCTIONS: [Reduction; 5] = [
    Reduction::None,
    Reduction::SampleMean,
    Reduction::SampleSum,
    Reduction::Mean,
    Reduction::Sum,
];

/// A shape with its batch axis and its class axis.
type Arrangement = (&'static [usize], isize, isize);

/// Short and long samples, batches inside and outside, classes on every axis. The long ones are
/// several leaves for every loss, so that threads can share them.
const ARRANGEMENTS: [Arrangement; 8] = [
    (&[64, 100], 0, 1),
    (&[3, 70_001], 0, 1),
    (&[1, 100_003], 0, 1),
    (&[30, 5, 33], 2, 0),
    (&[300, 5, 70], 2, 0),
    (&[8, 30, 37], 1, 2),
    (&[2, 9, 5003], 0, 1),
    (&[2, 5003, 9], 0, 1),
];

/// Every form of the call and every layout would take long on the large ones.
fn is_small(shape: &[usize]) -> bool {
    shape.iter().product::<usize>() < 10_000
}

fn arrangements() -> Vec<Arrangement> {
    ARRANGEMENTS
        .into_iter()
        .filter(|(shape, _, _)| !emulated() || is_small(shape))
        .collect()
}

/// Runs `test` on every loss in every arrangement, with and without weights and upstream.
fn for_each_call<T: Real>(test: impl Fn(&Case<T>, &Problem<T>, &Request<T>, &str)) {
    for case in table::<T>() {
        for (number, (shape, batch_axis, class_axis)) in arrangements().into_iter().enumerate() {
            let random = &mut Random::new(number as u64);
            let problem = (case.draw)(shape, class_axis as usize, random);
            let reduction = REDUCTIONS[number % REDUCTIONS.len()];
            let plain = Request {
                batch_axis,
                class_axis,
                reduction,
                ..Request::default()
            };
            let mut units = shape.to_vec();
            if case.classes {
                units[class_axis as usize] = 1;
            }
            let mut weighted = plain.clone();
            weighted.weight = 0.3;
            weighted.sample_weight = Some(factor(&units, random));
            weighted.upstream = Some(factor(&plain.loss_shape(shape, case.classes), random));
            for request in [plain, weighted] {
                let what = format!("{} in {} of {shape:?} by {reduction:?}", case.name, T::NAME);
                test(&case, &problem, &request, &what);
            }
        }
    }
}

fn factor<T: Real>(shape: &[usize], random: &mut Random) -> ArrayD<T> {
    ArrayD::from_shape_simple_fn(shape, || T::of(random.within(-0.5, 2.0)))
}

#[track_caller]
fn assert_same<T: Real>(actual: &Outcome<T>, expected: &Outcome<T>, what: &str) {
    assert_same_bits(&actual.loss, &expected.loss, &format!("{what}, loss"));
    assert_same_bits(&actual.grad, &expected.grad, &format!("{what}, gradient"));
}

fn levels_agree<T: Real>() {
    for_each_call::<T>(|case, problem, request, what| {
        let expected = fused(case, problem, request);
        for level in levels() {
            let exec = Exec::new(level, Threading::Serial);
            let actual = fused(case, problem, &request.exec(exec));
            assert_same(
                &actual,
                &expected,
                &format!("{what}, {level} against {}", Level::best()),
            );
        }
    });
}

#[test]
fn levels_agree_in_f32() {
    levels_agree::<f32>();
}

#[test]
fn levels_agree_in_f64() {
    levels_agree::<f64>();
}

fn threads_agree<T: Real>() {
    let pools = [1, 2, 7].map(|threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool")
    });
    for_each_call::<T>(|case, problem, request, what| {
        let expected = fused(case, problem, request);
        for pool in &pools {
            let request = request.exec(Exec::new(Level::best(), Threading::Auto));
            let what = format!("{what}, {} threads", pool.current_num_threads());
            pool.install(|| {
                assert_same(&fused(case, problem, &request), &expected, &what);
                if is_small(problem.pred.shape()) {
                    return;
                }
                // Small work is never shared, large work in every form.
                let losses = request.loss_shape(problem.pred.shape(), case.classes).len();
                let places = Places::from(problem, losses, Layout::contiguous);
                assert_every_form(case, problem, &request.views(), &places, &expected, &what);
            });
        }
        // The caller's own thread, outside of any pool of the test.
        let request = request.exec(Exec::default());
        assert_same(
            &fused(case, problem, &request),
            &expected,
            &format!("{what}, global pool"),
        );
    });
}

#[test]
fn threads_agree_in_f32() {
    threads_agree::<f32>();
}

#[test]
fn threads_agree_in_f64() {
    threads_agree::<f64>();
}

fn layouts_agree<T: Real>() {
    for_each_call::<T>(|case, problem, request, what| {
        let expected = fused(case, problem, request);
        let losses = request.loss_shape(problem.pred.shape(), case.classes).len();
        let small = is_small(problem.pred.shape());
        for threading in [Threading::Serial, Threading::Auto] {
            if small && threading == Threading::Auto {
                continue;
            }
            let request = request.exec(Exec::new(Level::best(), threading));
            for (number, layout) in Layout::all(problem.pred.ndim()).iter().enumerate() {
                let what = format!("{what}, {threading:?}, {layout:?}");
                // Everything alike, then the outputs alone, then the inputs alone.
                let named = |rank: usize| Layout::all(rank).swap_remove(number);
                let alike = Places::from(problem, losses, named);
                let plain = Places::from(problem, losses, Layout::contiguous);
                let outputs = Places {
                    loss: alike.loss.clone(),
                    grad: alike.grad.clone(),
                    ..plain.clone()
                };
                let inputs = Places {
                    loss: plain.loss,
                    grad: plain.grad,
                    ..alike.clone()
                };
                let setters = request.views();
                if small {
                    assert_every_form(case, problem, &setters, &alike, &expected, &what);
                }
                for places in [alike, outputs, inputs] {
                    let actual = fused_at(case, problem, &setters, &places);
                    assert_same(&actual, &expected, &what);
                }
            }
        }
    });
}

#[test]
fn layouts_agree_in_f32() {
    layouts_agree::<f32>();
}

#[test]
fn layouts_agree_in_f64() {
    layouts_agree::<f64>();
}

/// A sample taken out of its batch, alone or with a neighbour, keeps its bits.
fn batches_agree<T: Real>() {
    for case in table::<T>() {
        for (number, (shape, batch_axis, class_axis)) in arrangements().into_iter().enumerate() {
            let (batch, class) = (batch_axis as usize, class_axis as usize);
            let random = &mut Random::new(100 + number as u64);
            let problem = (case.draw)(shape, class, random);
            let mut units = shape.to_vec();
            if case.classes {
                units[class] = 1;
            }
            let weight: ArrayD<T> = factor(&units, random);
            let samples = shape[batch];
            for reduction in [Reduction::None, Reduction::SampleMean, Reduction::SampleSum] {
                for weighted in [false, true] {
                    let request = Request::<T> {
                        batch_axis,
                        class_axis,
                        reduction,
                        sample_weight: weighted.then(|| weight.clone()),
                        exec: Exec::default(),
                        ..Request::default()
                    };
                    let whole = fused(&case, &problem, &request);
                    // The axis of the losses that counts samples.
                    let loss_axis = match reduction {
                        Reduction::None if case.classes && class < batch => batch - 1,
                        Reduction::None => batch,
                        _ => 0,
                    };
                    for first in [0, samples / 2, samples - 1] {
                        for count in [1, 2] {
                            let range = first..(first + count).min(samples);
                            let class = case.classes.then_some(class);
                            let part = problem.samples(batch, class, range.clone());
                            let cut = |a: &ArrayD<T>, axis| {
                                a.slice_axis(Axis(axis), range.clone().into()).to_owned()
                            };
                            let alone = Request {
                                sample_weight: request
                                    .sample_weight
                                    .as_ref()
                                    .map(|w| cut(w, batch)),
                                ..request.clone()
                            };
                            let actual = fused(&case, &part, &alone);
                            let what = format!(
                                "{} in {} of {shape:?} by {reduction:?}, samples {range:?}",
                                case.name,
                                T::NAME,
                            );
                            assert_same_bits(&actual.loss, &cut(&whole.loss, loss_axis), &what);
                            assert_same_bits(&actual.grad, &cut(&whole.grad, batch), &what);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn batches_agree_in_f32() {
    batches_agree::<f32>();
}

#[test]
fn batches_agree_in_f64() {
    batches_agree::<f64>();
}

/// Past the caches gradients are written another way; sample by sample they are not, which has to
/// give the same bits, from any address on.
#[test]
fn gradients_past_the_caches_agree() {
    if emulated() {
        return;
    }
    for name in ["l2", "sigmoid_bce", "softmax_ce sparse", "softmax_ce dense"] {
        let case = common::cases::case::<f32>(name);
        let shapes: &[&[usize]] = &[&[3, 1_000_003], &[700, 4099]];
        for &shape in &shapes[..if case.classes { 2 } else { 1 }] {
            let problem = (case.draw)(shape, 1, &mut Random::new(17));
            for level in levels()
                .into_iter()
                .filter(|&level| level != Level::scalar())
            {
                for threading in [Threading::Serial, Threading::Auto] {
                    let exec = Exec::new(level, threading);
                    let request = Request::<f32> {
                        exec,
                        ..Request::default()
                    };
                    let whole = fused(&case, &problem, &request);
                    for sample in [0, 1, shape[0] - 1] {
                        let range = sample..sample + 1;
                        let part = problem.samples(0, Some(1), range.clone());
                        let alone = fused(&case, &part, &request);
                        let grad = whole.grad.slice_axis(Axis(0), range.into()).to_owned();
                        let what = format!("{name} of {shape:?} at {level}, {threading:?}");
                        assert_same_bits(&alone.grad, &grad, &what);
                        assert_eq!(
                            alone.loss[0].to_bits(),
                            whole.loss[sample].to_bits(),
                            "{what}"
                        );
                    }
                    for layout in [Layout::window(2), Layout::reversed(2)] {
                        let places = Places {
                            grad: layout,
                            ..Places::from(&problem, 1, Layout::contiguous)
                        };
                        let elsewhere = fused_at(&case, &problem, &request.views(), &places);
                        assert_same_bits(&elsewhere.grad, &whole.grad, name);
                    }
                }
            }
        }
    }
}
