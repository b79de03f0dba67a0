//! The losses beside plain streaming loops of the same traffic: `<loss>/<shape>/<dtype>/t<threads>`.
//!
//! Outputs are given and touched before; the group `limit` reads and writes the same bytes and does
//! nothing else, so a loss's share of the machine's limit comes from one run.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lossgrad::{
    CosineEmbeddingLoss, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, LogisticLoss,
    PoissonNllLoss, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss, TripletLoss,
    Workspace,
};
use ndarray::{Array1, Array2};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

const SHAPES: [(usize, usize); 2] = [(64, 1024), (4096, 4096)];
const THREADS: [usize; 2] = [1, 2];

/// Loss and gradient of all predictions.
macro_rules! elementwise {
    ($loss:expr, $data:expr) => {{
        let call = $loss.on(&$data.pred, &$data.label);
        call.loss_and_grad_into(&mut $data.loss, &mut $data.grad)
            .expect("a valid call");
        black_box(&$data.loss);
    }};
}

/// Predictions, labels and places for the results.
struct Data {
    pred: Array2<f32>,
    label: Array2<f32>,
    class: Array1<u32>,
    loss: Array1<f32>,
    grad: Array2<f32>,
}

impl Data {
    fn new(shape: (usize, usize)) -> Self {
        let mut state = 1_u32;
        let mut uniform = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        Self {
            pred: Array2::from_shape_simple_fn(shape, || 8.0 * uniform() - 4.0),
            label: Array2::from_shape_simple_fn(shape, &mut uniform),
            class: Array1::from_shape_fn(shape.0, |row| (row * 7919 % shape.1) as u32),
            loss: Array1::ones(shape.0),
            grad: Array2::ones(shape),
        }
    }
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool of threads")
}

fn losses(criterion: &mut Criterion) {
    for shape in SHAPES {
        let data = &mut Data::new(shape);
        let elements = (shape.0 * shape.1) as u64;
        for threads in THREADS {
            let pool = pool(threads);
            let id = |what: &str| format!("{what}/({},{})/f32/t{threads}", shape.0, shape.1);

            let mut three_streams = criterion.benchmark_group("read two, write one");
            three_streams.throughput(Throughput::Bytes(12 * elements));
            three_streams.bench_function(id("limit"), |bencher| {
                pool.install(|| bencher.iter(|| stream_difference(data)));
            });
            for (name, loss) in ELEMENTWISE {
                three_streams.bench_function(id(name), |bencher| {
                    pool.install(|| bencher.iter(|| loss(data)));
                });
            }
            three_streams.finish();

            let mut two_streams = criterion.benchmark_group("read one, write one");
            two_streams.throughput(Throughput::Bytes(8 * elements));
            two_streams.bench_function(id("limit"), |bencher| {
                pool.install(|| bencher.iter(|| stream_copy(data)));
            });
            two_streams.bench_function(id("softmax_ce"), |bencher| {
                pool.install(|| bencher.iter(|| softmax_ce(data)));
            });
            two_streams.finish();
        }
    }
}

/// What is timed, with its name.
type Timed = (&'static str, fn(&mut Data));

/// Losses of one element at a time.
const ELEMENTWISE: [Timed; 9] = [
    ("l1", |data| elementwise!(L1Loss::new(), data)),
    ("l2", |data| elementwise!(L2Loss::new(), data)),
    ("huber", |data| elementwise!(HuberLoss::default(), data)),
    ("hinge", |data| elementwise!(HingeLoss::new(), data)),
    ("squared_hinge", |data| {
        elementwise!(SquaredHingeLoss::new(), data)
    }),
    ("logistic", |data| elementwise!(LogisticLoss::new(), data)),
    ("sigmoid_bce", |data| {
        elementwise!(SigmoidBceLoss::new(), data)
    }),
    ("poisson_nll", |data| {
        elementwise!(PoissonNllLoss::new(), data)
    }),
    ("kl_div", |data| elementwise!(KlDivLoss::new(), data)),
];

fn softmax_ce(data: &mut Data) {
    let call = SoftmaxCeLoss::new().on(&data.pred, &data.class);
    call.loss_and_grad_into(&mut data.loss, &mut data.grad)
        .expect("a valid call");
    black_box(&data.loss);
}

/// Losses of embeddings: vectors a sample, and their length.
fn embeddings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("embeddings");
    for shape in [(256, 512), (1024, 512)] {
        let [a, b, c] = [0, 1, 2].map(|_| Data::new(shape).pred);
        // Distances of some units.
        let (x1, x2) = (&a * 0.02, &b * 0.02);
        let sign = Array1::from_shape_fn(shape.0, |row| 1 - 2 * (row as i32 % 2));
        let mut loss = Array1::<f32>::ones(shape.0);
        let [mut da, mut db, mut dc] = [0, 1, 2].map(|_| Array2::<f32>::ones(shape));
        let mut workspace = Workspace::new();
        for threads in THREADS {
            let pool = pool(threads);
            let id = |what: &str| format!("{what}/({},{})/f32/t{threads}", shape.0, shape.1);
            group.bench_function(id("triplet"), |bencher| {
                let call = TripletLoss::new();
                let call = call.on(&a, &b, &c);
                pool.install(|| {
                    bencher.iter(|| {
                        let grads = [Some(&mut *da), Some(&mut *db), Some(&mut *dc)];
                        call.loss_and_grads_into(&mut loss, grads)
                            .expect("a valid call");
                    });
                });
            });
            group.bench_function(id("cosine_embedding"), |bencher| {
                let call = CosineEmbeddingLoss::new();
                let call = call.on(&a, &b, &sign);
                pool.install(|| {
                    bencher.iter(|| {
                        let grads = [Some(&mut *da), Some(&mut *db)];
                        call.loss_and_grads_into(&mut loss, grads)
                            .expect("a valid call");
                    });
                });
            });
            group.bench_function(id("sdml"), |bencher| {
                pool.install(|| {
                    bencher.iter(|| {
                        let call = SdmlLoss::new().on(&x1, &x2).workspace(&mut workspace);
                        let grads = [Some(&mut *da), Some(&mut *db)];
                        call.loss_and_grads_into(&mut loss, grads)
                            .expect("a valid call");
                    });
                });
            });
        }
    }
    group.finish();
}

fn stream_difference(data: &mut Data) {
    let part = part(data);
    let grad = slice_mut(&mut data.grad).par_chunks_mut(part);
    let pred = slice(&data.pred).par_chunks(part);
    let label = slice(&data.label).par_chunks(part);
    grad.zip(pred).zip(label).for_each(|((grad, pred), label)| {
        for ((grad, pred), label) in grad.iter_mut().zip(pred).zip(label) {
            *grad = pred - label;
        }
    });
    black_box(&data.grad);
}

fn stream_copy(data: &mut Data) {
    let part = part(data);
    let grad = slice_mut(&mut data.grad).par_chunks_mut(part);
    grad.zip(slice(&data.pred).par_chunks(part))
        .for_each(|(grad, pred)| {
            for (grad, pred) in grad.iter_mut().zip(pred) {
                *grad = pred * 0.5;
            }
        });
    black_box(&data.grad);
}

/// What one task streams: all of it on one thread, else a share small enough to balance.
fn part(data: &Data) -> usize {
    match rayon::current_num_threads() {
        1 => data.pred.len(),
        threads => data.pred.len().div_ceil(4 * threads),
    }
}

fn slice(array: &Array2<f32>) -> &[f32] {
    array.as_slice().expect("a contiguous array")
}

fn slice_mut(array: &mut Array2<f32>) -> &mut [f32] {
    array.as_slice_mut().expect("a contiguous array")
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(30);
    targets = losses, embeddings
}
criterion_main!(benches);
