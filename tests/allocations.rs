//! The calls that write into given arrays allocate nothing, up to rank 4: not for the loss, not for a
//! setter, not for a check, not for sharing work with other threads.
//!
//! The counter counts what any thread allocates, so this is a program without the test runner, whose
//! own thread allocates now and then.

mod common;

use std::alloc::System;
use std::sync::Barrier;

use common::levels::shrunk;
use common::random::Random;
use common::real::Real;
use lossgrad::{
    CosineEmbeddingLoss, CtcLayout, CtcLoss, CtcStatus, Error, Exec, HingeLoss, HuberLoss,
    KlDivLoss, L1Loss, L2Loss, Level, LogFactorial, LogisticLoss, PoissonNllLoss, Reduction,
    SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss, Threading, TripletLoss, Workspace,
};
use ndarray::{Array, Array1, Array2, Array3, Dimension, RemoveAxis, ShapeBuilder};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 100;

/// How often memory was asked for so far.
fn requests() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

/// Fails if the call allocates, once it was made before.
#[track_caller]
fn nothing_by(what: &str, mut call: impl FnMut() -> Result<(), Error>) {
    for _ in 0..2 {
        call().unwrap();
    }
    let calls = shrunk(CALLS);
    let before = requests();
    let mut result = Ok(());
    for _ in 0..calls {
        result = result.and(call());
    }
    let count = requests() - before;
    result.unwrap();
    assert_eq!(count, 0, "{what}: allocations in {calls} calls");
}

/// On which thread calls run, and how large a call is that uses all of them.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    exec: Exec,
    elements: usize,
    /// Whether the first axis is the fastest one in memory.
    fortran: &'static [bool],
}

impl Setting {
    /// An extent such that arrays with `others` elements beside it have about as many as wanted.
    fn extent(&self, others: usize) -> usize {
        (self.elements / others).max(2)
    }
}

/// Numbers in (0, 1), which are something to every loss.
fn filled<T: Real, D: Dimension>(shape: D, fortran: bool, random: &mut Random) -> Array<T, D> {
    let mut array = Array::from_elem(shape.set_f(fortran), T::of(0.0));
    array.mapv_inplace(|_| T::of(random.within(0.05, 0.95)));
    array
}

/// Every form of a call of one prediction: `$on` and `$in_place` make the loss and apply it to
/// inputs, `$each` is the shape of its losses without a reduction.
macro_rules! forms {
    ($what:expr, $exec:expr, $pred:ident, $each:expr, $random:expr,
     $loss:expr, ($($input:expr),*) $(, $setter:ident($value:expr))*) => {{
        let (what, exec) = ($what, $exec);
        let samples = $pred.shape()[0];
        let mut grad = $pred.clone();
        let mut losses = Array1::from_elem(samples, T::of(0.0));
        let mut each = filled::<T, _>($each, false, $random);
        let (per_sample, per_unit) = (Array1::from_elem(samples, T::of(0.5)), each.clone());
        macro_rules! call {
            ($reduction:ident, $weight:expr, $upstream:expr) => {
                $loss.on(&$pred, $($input),*)$(.$setter($value))*
                    .sample_weight($weight).upstream($upstream)
                    .reduction(Reduction::$reduction).exec(exec)
            };
        }
        macro_rules! in_place {
            ($reduction:ident) => {
                $loss.in_place(&mut $pred, $($input),*)$(.$setter($value))*
                    .sample_weight(&per_sample)
                    .reduction(Reduction::$reduction).exec(exec)
            };
        }
        let form = |form: &str| format!("{what}, {form}");
        nothing_by(&form("loss_into"), || {
            call!(SampleMean, &per_sample, &per_sample).loss_into(&mut losses)
        });
        nothing_by(&form("grad_into"), || {
            call!(SampleSum, &per_unit, &per_sample).grad_into(&mut grad)
        });
        nothing_by(&form("loss_and_grad_into"), || {
            call!(None, &per_unit, &per_unit).loss_and_grad_into(&mut each, &mut grad)
        });
        let one = ndarray::arr0(T::of(0.5));
        nothing_by(&form("scalar"), || call!(Mean, &per_sample, &one).scalar().map(drop));
        nothing_by(&form("scalar_and_grad_into"), || {
            call!(Sum, &per_sample, &one).scalar_and_grad_into(&mut grad).map(drop)
        });
        nothing_by(&form("loss_into in place"), || {
            in_place!(SampleMean).loss_into(&mut losses)
        });
        nothing_by(&form("grad in place"), || in_place!(SampleSum).grad());
        nothing_by(&form("scalar in place"), || in_place!(Mean).scalar().map(drop));
    }};
}

/// The losses of one prediction that have a label per element.
fn dense<T: Real, D: Dimension>(shape: D, fortran: bool, setting: Setting) {
    let random = &mut Random::new(1);
    let mut pred = filled::<T, D>(shape.clone(), fortran, random);
    let label = filled::<T, D>(shape.clone(), fortran, random);
    let pos_weight = filled::<T, D>(shape.clone(), fortran, random);
    let Setting { name, exec, .. } = setting;
    macro_rules! of {
        ($loss:expr $(, $setter:ident($value:expr))*) => {{
            let what = format!("{} of {shape:?} in {}, {name}", stringify!($loss), T::NAME);
            forms!(what, exec, pred, shape.clone(), random, $loss, (&label) $(, $setter($value))*);
        }};
    }
    of!(L2Loss::new().weight(0.5)?.batch_axis(0));
    of!(L1Loss::new());
    of!(HuberLoss::new(0.5)?);
    of!(HingeLoss::new().margin(0.5)?);
    of!(SquaredHingeLoss::new());
    of!(LogisticLoss::new());
    of!(PoissonNllLoss::new().compute_full(LogFactorial::Exact));
    of!(PoissonNllLoss::new().from_logits(false));
    of!(KlDivLoss::new());
    of!(SigmoidBceLoss::new());
    of!(SigmoidBceLoss::new(), pos_weight(&pos_weight));
    of!(
        SigmoidBceLoss::new().from_sigmoid(true),
        pos_weight(&pos_weight)
    );
}

/// The losses of rows of classes, whose axis is the last or the one after the batch's.
fn rows<T: Real, D: RemoveAxis>(shape: D, fortran: bool, setting: Setting) {
    let Setting { name, exec, .. } = setting;
    let mut axes = vec![1, shape.ndim() - 1];
    axes.dedup();
    for axis in axes {
        let random = &mut Random::new(2);
        let mut pred = filled::<T, D>(shape.clone(), fortran, random);
        let label = filled::<T, D>(shape.clone(), fortran, random);
        let units = shape.remove_axis(ndarray::Axis(axis));
        let classes = Array::from_elem(units.clone(), 1_u8);
        let option = axis as isize;
        macro_rules! of {
            ($loss:expr, $label:expr, $each:expr) => {{
                let what = format!("{} of {shape:?} in {}, {name}", stringify!($loss), T::NAME);
                forms!(what, exec, pred, $each, random, $loss, ($label));
            }};
        }
        of!(SoftmaxCeLoss::new().axis(option), &classes, units.clone());
        of!(SoftmaxCeLoss::new().axis(option), &label, units.clone());
        of!(
            SoftmaxCeLoss::new().axis(option).from_logits(true),
            &classes,
            units.clone()
        );
        of!(
            SoftmaxCeLoss::new().axis(option).from_logits(true),
            &label,
            units.clone()
        );
        of!(
            KlDivLoss::new().from_logits(false).axis(option),
            &label,
            shape.clone()
        );
    }
}

/// Every form of a call of several embeddings.
macro_rules! several {
    ($what:expr, $exec:expr, [$pred:ident $(, $other:ident)*], ($($label:expr)?), $each:expr,
     $random:expr, $loss:expr $(, $setter:ident($value:expr))*) => {{
        let (what, exec) = ($what, $exec);
        let samples = $pred.shape()[0];
        let mut grads = [$pred.clone() $(, $other.clone())*];
        let mut losses = Array1::from_elem(samples, T::of(0.0));
        let mut each = filled::<T, _>($each, false, $random);
        let (per_sample, per_unit) = (Array1::from_elem(samples, T::of(0.5)), each.clone());
        macro_rules! call {
            ($reduction:ident, $weight:expr, $upstream:expr) => {
                $loss.on(&$pred, $(&$other,)* $($label)?)$(.$setter($value))*
                    .sample_weight($weight).upstream($upstream)
                    .reduction(Reduction::$reduction).exec(exec)
            };
        }
        macro_rules! in_place {
            ($reduction:ident) => {
                $loss.in_place(&mut $pred, $(&mut $other,)* $($label)?)$(.$setter($value))*
                    .sample_weight(&per_sample)
                    .reduction(Reduction::$reduction).exec(exec)
            };
        }
        macro_rules! places {
            () => { grads.each_mut().map(|grad| Some(&mut **grad)) };
        }
        let form = |form: &str| format!("{what}, {form}");
        nothing_by(&form("loss_into"), || {
            call!(SampleMean, &per_sample, &per_sample).loss_into(&mut losses)
        });
        nothing_by(&form("grads_into"), || {
            call!(SampleSum, &per_sample, &per_sample).grads_into(places!())
        });
        nothing_by(&form("loss_and_grads_into"), || {
            call!(None, &per_unit, &per_unit).loss_and_grads_into(&mut each, places!())
        });
        nothing_by(&form("one gradient"), || {
            let mut places = places!();
            places[1..].iter_mut().for_each(|place| *place = None);
            call!(None, &per_unit, &per_unit).loss_and_grads_into(&mut each, places)
        });
        let one = ndarray::arr0(T::of(0.5));
        nothing_by(&form("scalar"), || call!(Mean, &per_sample, &one).scalar().map(drop));
        nothing_by(&form("scalar_and_grads_into"), || {
            call!(Sum, &per_sample, &one).scalar_and_grads_into(places!()).map(drop)
        });
        nothing_by(&form("loss_into in place"), || {
            in_place!(SampleMean).loss_into(&mut losses)
        });
        nothing_by(&form("grads in place"), || in_place!(SampleSum).grads());
        nothing_by(&form("scalar in place"), || in_place!(Mean).scalar().map(drop));
    }};
}

/// The losses of several embeddings.
fn embeddings<T: Real, D: RemoveAxis>(shape: D, fortran: bool, setting: Setting) {
    let Setting { name, exec, .. } = setting;
    let random = &mut Random::new(3);
    let [mut a, mut b, mut c] =
        std::array::from_fn(|_| filled::<T, D>(shape.clone(), fortran, random));
    let what = |loss: &str| format!("{loss} of {shape:?} in {}, {name}", T::NAME);
    let samples = shape[0];
    several!(
        what("TripletLoss"),
        exec,
        [a, b, c],
        (),
        ndarray::Dim([samples]),
        random,
        TripletLoss::new()
    );
    let units = shape.remove_axis(ndarray::Axis(shape.ndim() - 1));
    let label = Array::from_elem(units.clone(), -1_i8);
    several!(
        what("CosineEmbeddingLoss"),
        exec,
        [a, b],
        (&label),
        units,
        random,
        CosineEmbeddingLoss::new().margin(0.1)?
    );
}

/// SDML compares every vector with every other: a batch of its own size, in a workspace.
fn sdml<T: Real, D: RemoveAxis>(shape: D, fortran: bool, setting: Setting) {
    let Setting { name, exec, .. } = setting;
    let random = &mut Random::new(4);
    let [mut a, mut b] = std::array::from_fn(|_| filled::<T, D>(shape.clone(), fortran, random));
    let what = format!("SdmlLoss of {shape:?} in {}, {name}", T::NAME);
    let (mut workspace, samples) = (Workspace::new(), shape[0]);
    several!(
        what,
        exec,
        [a, b],
        (),
        ndarray::Dim([samples]),
        random,
        SdmlLoss::new().smoothing_parameter(0.2)?,
        workspace(&mut workspace)
    );
}

/// CTC in a workspace: labels filled up with −1, and with their lengths.
fn ctc<T: Real>(setting: Setting) {
    let Setting { name, exec, .. } = setting;
    let random = &mut Random::new(5);
    let (frames, classes, length) = (60, 20, 12);
    // A lattice is shared from twice as much work on as anything else.
    let samples = setting.extent(frames * classes / 2);
    let mut labels = Array2::from_shape_fn([samples, length], |(n, at)| {
        if at < length - n % 3 {
            (1 + (n + 2 * at) % (classes - 1)) as i32
        } else {
            -1
        }
    });
    labels.row_mut(1).fill(-1);
    let label_lengths = Array1::from_shape_fn(samples, |n| (length - n % 3) as u16);
    let frames_of = Array1::from_shape_fn(samples, |n| frames - n % 7);
    let unpadded = labels.mapv(|class| class.max(1) as u8);
    let weight = Array1::from_elem(samples, T::of(0.5));
    let one = ndarray::arr0(T::of(0.5));
    let mut losses = Array1::from_elem(samples, T::of(0.0));
    let mut status = Array1::from_elem(samples, CtcStatus::Feasible);
    let mut workspace = Workspace::new();
    for layout in [CtcLayout::Ntc, CtcLayout::Tnc] {
        let shape = match layout {
            CtcLayout::Ntc => [samples, frames, classes],
            CtcLayout::Tnc => [frames, samples, classes],
        };
        let mut pred: Array3<T> = filled(ndarray::Dim(shape), false, random);
        let mut grad = pred.clone();
        for log_probs in [false, true] {
            macro_rules! loss {
                () => {
                    CtcLoss::new()
                        .weight(0.5)?
                        .layout(layout)
                        .blank(0)
                        .log_probs(log_probs)
                };
            }
            macro_rules! every_form {
                ($labels:ident $(, $lengths:ident($value:expr))*) => {
                    let form = |form: &str| {
                        let labels = stringify!($labels);
                        format!("CtcLoss {layout:?}, {labels}, in {}, {name}, {form}", T::NAME)
                    };
                    macro_rules! call {
                        ($reduction:ident, $upstream:expr) => {
                            loss!().on(&pred, &$labels)$(.$lengths($value))*
                                .sample_weight(&weight).upstream($upstream)
                                .reduction(Reduction::$reduction).exec(exec)
                                .workspace(&mut workspace).status(&mut status)
                        };
                    }
                    macro_rules! in_place {
                        ($reduction:ident) => {
                            loss!().in_place(&mut pred, &$labels)$(.$lengths($value))*
                                .sample_weight(&weight)
                                .reduction(Reduction::$reduction).exec(exec)
                                .workspace(&mut workspace).status(&mut status)
                        };
                    }
                    nothing_by(&form("loss_into"), || call!(None, &weight).loss_into(&mut losses));
                    nothing_by(&form("grad_into"), || {
                        call!(SampleMean, &weight).grad_into(&mut grad)
                    });
                    nothing_by(&form("loss_and_grad_into"), || {
                        call!(SampleMean, &weight).loss_and_grad_into(&mut losses, &mut grad)
                    });
                    nothing_by(&form("scalar"), || call!(Sum, &one).scalar().map(drop));
                    nothing_by(&form("scalar_and_grad_into"), || {
                        call!(Mean, &one).scalar_and_grad_into(&mut grad).map(drop)
                    });
                    nothing_by(&form("loss_into in place"), || {
                        in_place!(SampleMean).loss_into(&mut losses)
                    });
                    nothing_by(&form("grad in place"), || in_place!(SampleMean).grad());
                    nothing_by(&form("scalar in place"), || in_place!(Mean).scalar().map(drop));
                };
            }
            every_form!(labels);
            every_form!(
                unpadded,
                pred_lengths(&frames_of),
                label_lengths(&label_lengths)
            );
        }
    }
}

fn every_loss<T: Real>(setting: Setting) {
    let n = |others| setting.extent(others);
    for &fortran in setting.fortran {
        dense::<T, _>(ndarray::Dim([n(1)]), fortran, setting);
        dense::<T, _>(ndarray::Dim([n(33), 33]), fortran, setting);
        dense::<T, _>(ndarray::Dim([3, n(21), 7]), fortran, setting);
        dense::<T, _>(ndarray::Dim([5, 3, n(30), 2]), fortran, setting);
        // Many rows, and a few long ones.
        rows::<T, _>(ndarray::Dim([n(33), 33]), fortran, setting);
        rows::<T, _>(ndarray::Dim([2, n(2)]), fortran, setting);
        rows::<T, _>(ndarray::Dim([3, n(21), 7]), fortran, setting);
        rows::<T, _>(ndarray::Dim([5, 3, n(30), 2]), fortran, setting);
        embeddings::<T, _>(ndarray::Dim([n(33), 33]), fortran, setting);
        embeddings::<T, _>(ndarray::Dim([2, n(2)]), fortran, setting);
        embeddings::<T, _>(ndarray::Dim([3, n(21), 7]), fortran, setting);
        embeddings::<T, _>(ndarray::Dim([5, 3, n(30), 2]), fortran, setting);
        sdml::<T, _>(ndarray::Dim([70, n(700)]), fortran, setting);
        sdml::<T, _>(ndarray::Dim([70, 3, n(2100)]), fortran, setting);
        sdml::<T, _>(ndarray::Dim([70, 3, 2, n(4200)]), fortran, setting);
    }
    ctc::<T>(setting);
}

/// What a thread of a pool needs to take work from another it allocates when it first does so: each of
/// two waits here for the other to have done it.
fn take_work_from_each_other() {
    let (first, second) = (Barrier::new(2), Barrier::new(2));
    let meet = |barrier: &Barrier| {
        barrier.wait();
    };
    rayon::join(
        || meet(&first),
        || {
            meet(&first);
            rayon::join(|| meet(&second), || meet(&second));
        },
    );
}

fn main() {
    // As the test runner does it: a name that is asked for is a part of the test's.
    if let Some(asked) = std::env::args().nth(1)
        && !(asked.starts_with('-') || "allocations".contains(&asked))
    {
        return;
    }
    // What is counted is counted: a call that makes its results allocates.
    let before = requests();
    let array = Array1::from_elem(3, 1.0_f32);
    L2Loss::new().loss_and_grad(&array, &array).unwrap();
    assert!(requests() > before);

    let serial = Setting {
        name: "on the calling thread",
        exec: Exec::new(Level::best(), Threading::Serial),
        elements: 1500,
        fortran: &[false, true],
    };
    every_loss::<f32>(serial);
    every_loss::<f64>(serial);
    let shared = Setting {
        name: "on two threads",
        exec: Exec::default(),
        elements: 40_000,
        fortran: &[false],
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .expect("a pool");
    pool.install(|| {
        take_work_from_each_other();
        // Who does the work does not depend on its type.
        every_loss::<f32>(shared);
    });
    println!("no allocations in any call");
}
