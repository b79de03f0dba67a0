//! The same bits whatever the level, the threads, the rest of the batch and the layout.

mod common;

use common::alone::{alone, part};
use common::call::{Outcome, Places, REDUCTIONS, Request, assert_every_form, fused, fused_at};
use common::cases::{Case, Problem, Unit, table};
use common::layouts::Layout;
use common::levels::{levels, shrunk};
use common::random::Random;
use common::real::Real;
use lossgrad::{Exec, Level, Reduction, Stores, Threading};
use ndarray::{ArrayD, Axis};

/// A shape with its batch axis and its class axis.
type Arrangement = (&'static [usize], isize, isize);

/// Short and long samples, batches inside and outside, classes on every axis. The long ones are
/// several leaves for every loss, so that threads can share them.
const ARRANGEMENTS: [Arrangement; 13] = [
    (&[64, 100], 0, 1),
    (&[3, 70_001], 0, 1),
    (&[1, 100_003], 0, 1),
    (&[30, 5, 33], 2, 0),
    (&[300, 5, 70], 2, 0),
    (&[8, 30, 37], 1, 2),
    (&[2, 9, 5003], 0, 1),
    (&[2, 5003, 9], 0, 1),
    (&[2, 100, 301], 0, 1),
    (&[2, 1100, 21], 0, 1),
    (&[97, 10], 0, 1),
    (&[257, 10], 0, 1),
    (&[301, 10], 0, 1),
];

/// Every form of the call and every layout would take long on the large ones.
fn is_small(shape: &[usize]) -> bool {
    shape.iter().product::<usize>() < 10_000
}

/// Those that are no larger than the largest is when it shrinks.
fn arrangements() -> Vec<Arrangement> {
    let most = shrunk(3 * 70_001);
    ARRANGEMENTS
        .into_iter()
        .filter(|(shape, _, _)| shape.iter().product::<usize>() <= most)
        .collect()
}

/// Runs `test` on every loss in every arrangement, with and without weights and upstream.
fn for_each_call<T: Real>(test: impl Fn(&Case<T>, &Problem<T>, &Request<T>, &str)) {
    for case in table::<T>() {
        for (number, (shape, batch_axis, class_axis)) in arrangements().into_iter().enumerate() {
            if case.unit == Unit::LastRow && class_axis as usize != shape.len() - 1 {
                continue;
            }
            let random = &mut Random::new(number as u64);
            let problem = (case.draw)(shape, class_axis as usize, random);
            let reduction = REDUCTIONS[number % REDUCTIONS.len()];
            let plain = Request {
                batch_axis,
                class_axis,
                reduction,
                ..Request::default()
            };
            let units = plain.units(shape, &case);
            let mut weighted = plain.clone();
            weighted.weight = 0.3;
            weighted.sample_weight = Some(factor(&units, random));
            weighted.upstream = Some(factor(&plain.loss_shape(shape, &case), random));
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

fn levels_agree<T: Real>() {
    for_each_call::<T>(|case, problem, request, what| {
        let expected = fused(case, problem, request);
        for level in levels() {
            let exec = Exec::new(level, Threading::Serial);
            let actual = fused(case, problem, &request.exec(exec));
            actual.assert_same(
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
                fused(case, problem, &request).assert_same(&expected, &what);
                if is_small(problem.pred.shape()) {
                    return;
                }
                // Small work is never shared, large work in every form.
                let losses = request.loss_shape(problem.pred.shape(), case).len();
                let places = Places::from(problem, losses, Layout::contiguous);
                assert_every_form(case, problem, &request.views(), &places, &expected, &what);
            });
        }
        // The caller's own thread, outside of any pool of the test.
        let request = request.exec(Exec::default());
        fused(case, problem, &request).assert_same(&expected, &format!("{what}, global pool"));
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
        let losses = request.loss_shape(problem.pred.shape(), case).len();
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
                    actual.assert_same(&expected, &what);
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

/// Small calls, some of which are just too large to be called so, or visit units in another order than
/// that of the axes.
const SMALL: [Arrangement; 20] = [
    (&[1, 2], 0, 1),
    (&[1, 10], 0, 1),
    (&[1, 16], 0, 1),
    (&[2, 17], 0, 1),
    (&[7, 33], 0, 1),
    (&[8, 5], 0, 1),
    (&[9, 16], 0, 1),
    (&[6, 1], 0, 1),
    (&[2, 3, 40], 0, 2),
    (&[3, 2, 1], 0, 2),
    (&[3, 1, 65], 0, 2),
    (&[8, 512], 0, 1),
    (&[7, 585], 0, 1),
    (&[7, 586], 0, 1),
    (&[1, 4096], 0, 1),
    (&[1, 4097], 0, 1),
    (&[2, 3, 7], 1, 2),
    (&[1, 5, 7], 1, 2),
    (&[3, 2, 5], 0, 1),
    (&[5, 3], 1, 0),
];

/// Small calls whose arrays all lie in order skip what finds out where others lie.
fn small_calls_agree<T: Real>() {
    for case in table::<T>() {
        for (number, (shape, batch_axis, class_axis)) in SMALL.into_iter().enumerate() {
            if case.unit == Unit::LastRow && class_axis as usize != shape.len() - 1 {
                continue;
            }
            let random = &mut Random::new(200 + number as u64);
            let problem = (case.draw)(shape, class_axis as usize, random);
            for (reduction, weight) in REDUCTIONS.into_iter().zip([0.3, 1.0, -2.0, 1e-60, 0.7]) {
                let request = Request::<T> {
                    weight,
                    batch_axis,
                    class_axis,
                    reduction,
                    ..Request::default()
                };
                let losses = request.loss_shape(shape, &case).len();
                let in_order = Places::from(&problem, losses, Layout::contiguous);
                let elsewhere = Places::from(&problem, losses, |rank| Layout::stepped(rank, -3));
                let expected = fused_at(&case, &problem, &request.views(), &elsewhere);
                for level in levels() {
                    let request = request.exec(Exec::new(level, Threading::Auto));
                    let what = format!(
                        "{} in {} of {shape:?} by {reduction:?}, {level}",
                        case.name,
                        T::NAME
                    );
                    let setters = request.views();
                    assert_every_form(&case, &problem, &setters, &in_order, &expected, &what);
                    // Each array in turn out of order.
                    let places = in_order.clone();
                    let [mut pred, mut label, mut loss, mut grad] =
                        [(); 4].map(|()| places.clone());
                    pred.pred = elsewhere.pred.clone();
                    label.label = elsewhere.label.clone();
                    loss.loss = elsewhere.loss.clone();
                    grad.grad = elsewhere.grad.clone();
                    for places in [pred, label, loss, grad] {
                        let actual = fused_at(&case, &problem, &setters, &places);
                        actual.assert_same(&expected, &format!("{what}, {places:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn small_calls_agree_in_f32() {
    small_calls_agree::<f32>();
}

#[test]
fn small_calls_agree_in_f64() {
    small_calls_agree::<f64>();
}

/// A sample taken out of its batch, alone or with a neighbour, keeps its bits.
fn batches_agree<T: Real>() {
    for case in table::<T>().into_iter().filter(|case| case.independent) {
        for (number, (shape, batch_axis, class_axis)) in arrangements().into_iter().enumerate() {
            let (batch, class) = (batch_axis as usize, class_axis as usize);
            if case.unit == Unit::LastRow && class != shape.len() - 1 {
                continue;
            }
            let random = &mut Random::new(100 + number as u64);
            let problem = (case.draw)(shape, class, random);
            let plain = Request::<T> {
                batch_axis,
                class_axis,
                exec: Exec::default(),
                ..Request::default()
            };
            let weight: ArrayD<T> = factor(&plain.units(shape, &case), random);
            let samples = shape[batch];
            for reduction in [Reduction::None, Reduction::SampleMean, Reduction::SampleSum] {
                for weighted in [false, true] {
                    let request = Request::<T> {
                        reduction,
                        sample_weight: weighted.then(|| weight.clone()),
                        ..plain.clone()
                    };
                    let whole = fused(&case, &problem, &request);
                    for first in [0, samples / 2, samples - 1] {
                        for count in [1, 2] {
                            let range = first..(first + count).min(samples);
                            let (some, alone) = alone(&case, &problem, &request, range.clone());
                            let what = format!(
                                "{} in {} of {shape:?} by {reduction:?}, samples {range:?}",
                                case.name,
                                T::NAME,
                            );
                            let expected = part(&case, shape, &request, &whole, range);
                            fused(&case, &some, &alone).assert_same(&expected, &what);
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
    let names = [
        "l2",
        "sigmoid_bce",
        "softmax_ce sparse",
        "softmax_ce dense",
        "triplet",
        "cosine_embedding",
    ];
    for name in names {
        let case = common::cases::case::<f32>(name);
        let shapes = [
            [3, shrunk(1_000_003)],
            [shrunk(700), 4100],
            [shrunk(2801), 1044],
        ];
        for shape in &shapes {
            let problem = (case.draw)(shape, 1, &mut Random::new(17));
            for level in levels()
                .into_iter()
                .filter(|&level| level != Level::scalar())
            {
                for threading in [Threading::Serial, Threading::Auto] {
                    let exec = Exec {
                        stores: Stores::PastCaches,
                        ..Exec::new(level, threading)
                    };
                    let request = Request::<f32> {
                        exec,
                        ..Request::default()
                    };
                    let whole = fused(&case, &problem, &request);
                    for sample in [0, 1, shape[0] / 2, shape[0] - 1] {
                        let range = sample..sample + 1;
                        let part = problem.samples(0, Some(1), range.clone());
                        let alone = fused(&case, &part, &request);
                        let cut = |a: &ArrayD<f32>| {
                            a.slice_axis(Axis(0), range.clone().into()).to_owned()
                        };
                        let expected = Outcome {
                            loss: cut(&whole.loss),
                            grads: whole.grads.iter().map(cut).collect(),
                        };
                        let what = format!("{name} of {shape:?} at {level}, {threading:?}");
                        alone.assert_same(&expected, &what);
                    }
                    for layout in [Layout::window(2), Layout::reversed(2)] {
                        let places = Places {
                            grad: layout,
                            ..Places::from(&problem, 1, Layout::contiguous)
                        };
                        let elsewhere = fused_at(&case, &problem, &request.views(), &places);
                        elsewhere.assert_same(&whole, name);
                    }
                }
            }
        }
    }
}

/// Rows whose classes are neighbours, rows side by side and embeddings, past the caches, between others
/// that a weight of 0 masks: as each sample by itself.
fn rows_past_the_caches_agree<T: Real>() {
    let names = [
        "softmax_ce sparse",
        "softmax_ce dense",
        "softmax_ce sparse from_logits",
        "softmax_ce dense from_logits",
        "triplet",
        "cosine_embedding",
    ];
    for name in names {
        let case = common::cases::case::<T>(name);
        let shapes: &[&[usize]] = match case.unit {
            Unit::LastRow | Unit::Sample => &[&[shrunk(17_000), 204]],
            _ => &[
                &[shrunk(3000), 1003],
                &[shrunk(750), 4003],
                &[3, 100, shrunk(10_001)],
            ],
        };
        for &shape in shapes {
            let (samples, random) = (shape[0], &mut Random::new(19));
            let mut problem = (case.draw)(shape, 1, random);
            let mut weight = ArrayD::from_elem(vec![samples], T::of(0.5));
            for masked in [1, samples / 2, samples - 1] {
                weight[[masked]] = T::of(0.0);
                let mut row = problem.pred.index_axis_mut(Axis(0), masked);
                row.fill(T::of(f64::NAN));
            }
            for level in levels() {
                if level == Level::scalar() {
                    continue;
                }
                let request = Request::<T> {
                    class_axis: 1,
                    sample_weight: Some(weight.clone()),
                    exec: Exec {
                        stores: Stores::PastCaches,
                        ..Exec::new(level, Threading::Auto)
                    },
                    ..Request::default()
                };
                let whole = fused(&case, &problem, &request);
                for first in [0, 1, samples / 2, samples - 1] {
                    let range = first..(first + 2).min(samples);
                    let (some, alone) = alone(&case, &problem, &request, range.clone());
                    let expected = part(&case, shape, &request, &whole, range);
                    let what = format!("{name} in {} of {shape:?} at {level}", T::NAME);
                    fused(&case, &some, &alone).assert_same(&expected, &what);
                }
            }
        }
    }
}

#[test]
fn rows_past_the_caches_agree_in_f32() {
    rows_past_the_caches_agree::<f32>();
}

#[test]
fn rows_past_the_caches_agree_in_f64() {
    rows_past_the_caches_agree::<f64>();
}
