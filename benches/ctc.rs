//! CTC, loss and gradient into given places: `ctc/<case>/f32/t<threads>`, and beside it
//! `ctc/<case>/limit/t<threads>`, which copies the same logits to the place of the gradient.
//!
//! `LOSSGRAD_LEVEL=v3` (or another level's name) chooses the instruction set; the best is the
//! default. Logits are normal, or as trained networks give them (`peaky`): ten times as large, the
//! blank in front.

use criterion::{Criterion, criterion_group, criterion_main};
use lossgrad::ndarray::{Array1, Array2, Array3};
use lossgrad::{CtcLoss, Exec, Level, Threading, Workspace};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use std::time::Duration;

/// A batch of one shape.
struct Case {
    name: &'static str,
    samples: usize,
    frames: usize,
    classes: usize,
    labels: usize,
    peaky: bool,
}

const fn case(name: &'static str, shape: [usize; 4], peaky: bool) -> Case {
    let [samples, frames, classes, labels] = shape;
    Case {
        name,
        samples,
        frames,
        classes,
        labels,
        peaky,
    }
}

const CASES: [Case; 6] = [
    case("A", [32, 500, 32, 80], false),
    case("B", [16, 150, 80, 20], false),
    case("C", [16, 1500, 5000, 60], false),
    case("D", [1, 10_000, 32, 1500], false),
    case("A-peaky", [32, 500, 32, 80], true),
    case("D-peaky", [1, 10_000, 32, 1500], true),
];

/// A normally distributed number, from twelve uniform ones.
fn normal(state: &mut u32) -> f32 {
    let mut sum = -6.0;
    for _ in 0..12 {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sum += (*state >> 8) as f32 / (1 << 24) as f32;
    }
    sum
}

fn level() -> Level {
    let name = std::env::var("LOSSGRAD_LEVEL").unwrap_or_default();
    Level::all()
        .find(|level| level.name() == name)
        .unwrap_or_default()
}

/// Inputs, places for the results and memory.
struct Data {
    pred: Array3<f32>,
    label: Array2<i32>,
    loss: Array1<f32>,
    grad: Array3<f32>,
    workspace: Workspace,
}

impl Data {
    fn new(case: &Case) -> Self {
        let mut state = 1;
        let shape = (case.samples, case.frames, case.classes);
        let pred = Array3::from_shape_fn(shape, |(_, _, class)| {
            let x = normal(&mut state);
            match (case.peaky, class + 1 == case.classes) {
                (false, _) => x,
                (true, false) => 10.0 * x,
                (true, true) => 10.0 * x + 10.0,
            }
        });
        let label = Array2::from_shape_fn((case.samples, case.labels), |(n, i)| {
            ((n * 7919 + i * 104_729 + i * i * 31) % (case.classes - 1)) as i32
        });
        Self {
            pred,
            label,
            loss: Array1::ones(case.samples),
            grad: Array3::ones(shape),
            workspace: Workspace::new(),
        }
    }
}

/// Reads every logit and writes every derivative, and does nothing else.
fn copy(data: &mut Data) {
    let sample = data.pred.len() / data.pred.dim().0;
    let from = data.pred.as_slice().expect("one run of memory");
    let to = data.grad.as_slice_mut().expect("one run of memory");
    to.par_chunks_mut(sample)
        .zip(from.par_chunks(sample))
        .for_each(|(to, from)| to.copy_from_slice(from));
}

fn ctc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ctc");
    for case in CASES {
        let mut data = None;
        for threads in [1, 2] {
            let pool = ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool of threads");
            group.bench_function(format!("{}/f32/t{threads}", case.name), |bencher| {
                // Only now: a case that is not asked for is not made.
                let data = data.get_or_insert_with(|| Data::new(&case));
                pool.install(|| {
                    let call = CtcLoss::new()
                        .on(&data.pred, &data.label)
                        .exec(Exec::new(level(), Threading::Auto))
                        .workspace(&mut data.workspace);
                    bencher.iter(|| call.loss_and_grad_into(&mut data.loss, &mut data.grad));
                });
            });
            group.bench_function(format!("{}/limit/t{threads}", case.name), |bencher| {
                let data = data.get_or_insert_with(|| Data::new(&case));
                pool.install(|| bencher.iter(|| copy(data)));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = ctc
}
criterion_main!(benches);
