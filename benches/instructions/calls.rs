//! The calls that are counted.

use lossgrad::ndarray::{Array, Array1, Array2, Array3, Dimension, ShapeBuilder};
use lossgrad::{
    CosineEmbeddingLoss, CtcLoss, Exec, HingeLoss, HuberLoss, KlDivLoss, L1Loss, L2Loss, Level,
    LogisticLoss, PoissonNllLoss, SdmlLoss, SigmoidBceLoss, SoftmaxCeLoss, SquaredHingeLoss,
    Threading, TripletLoss, Workspace,
};

/// A call with everything that it reads and writes.
pub type Call = Box<dyn FnMut()>;

/// A call that was made once: levels are known, workspaces have grown.
pub fn ready(mut call: Call) -> Call {
    call();
    call
}

fn exec() -> Exec {
    let level = Level::v3().expect("a CPU with AVX2 and FMA");
    Exec::new(level, Threading::Serial)
}

/// Numbers from −4 to 4.
fn uniform<D: Dimension>(shape: impl ShapeBuilder<Dim = D>, seed: u32) -> Array<f32, D> {
    let mut state = seed;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        8.0 * (state >> 8) as f32 / (1 << 24) as f32 - 4.0
    })
}

/// A loss of predictions and labels, made into a call.
macro_rules! call {
    ($name:ident, $loss:expr, $pred:expr, $label:expr, $losses:expr) => {
        pub fn $name() -> Call {
            let (pred, label) = ($pred, $label);
            let mut loss = Array1::<f32>::ones($losses);
            let mut grad = pred.clone();
            Box::new(move || {
                let made = $loss;
                let call = made.on(&pred, &label).exec(exec());
                call.loss_and_grad_into(&mut loss, &mut grad)
                    .expect("a valid call");
            })
        }
    };
}

macro_rules! elementwise {
    ($($name:ident: $loss:expr, $label:expr;)*) => {
        $(call!($name, $loss, uniform([16, 1000], 1), uniform([16, 1000], 2).mapv($label), 16);)*
    };
}

elementwise! {
    l1: L1Loss::new(), |y| y;
    l2: L2Loss::new(), |y| y;
    huber: HuberLoss::default(), |y| y;
    hinge: HingeLoss::new(), f32::signum;
    squared_hinge: SquaredHingeLoss::new(), f32::signum;
    logistic: LogisticLoss::new(), f32::signum;
    sigmoid_bce: SigmoidBceLoss::new(), |y| (y + 4.0) / 8.0;
    poisson_nll: PoissonNllLoss::new(), |y| (y + 4.0).floor();
    kl_div: KlDivLoss::new(), |y| (y + 4.0) / 4000.0;
    kl_div_of_logits: KlDivLoss::new().from_logits(false), |y| (y + 4.0) / 4000.0;
    softmax_ce_dense: SoftmaxCeLoss::new(), |y| (y + 4.0) / 4000.0;
}

call!(
    softmax_ce,
    SoftmaxCeLoss::new(),
    uniform([16, 1000], 1),
    Array1::from_shape_fn(16, |n| 61 * n),
    16
);

// What little is computed in these counts for less than what is checked.
call!(
    l2_small,
    L2Loss::new(),
    uniform([1, 16], 1),
    uniform([1, 16], 2),
    1
);
call!(
    softmax_ce_small,
    SoftmaxCeLoss::new(),
    uniform([1, 10], 1),
    Array1::from_elem(1, 3_i64),
    1
);

call!(
    softmax_ce_columns,
    SoftmaxCeLoss::new().axis(1),
    uniform([4, 21, 192], 1),
    Array2::from_shape_fn([4, 192], |(n, i)| (5 * n + 7 * i) % 21),
    4
);

call!(
    softmax_ce_long,
    SoftmaxCeLoss::new(),
    uniform([1, 20_000], 1),
    Array1::from_elem(1, 12_345_usize),
    1
);

/// A loss of embeddings, made into a call that gives all gradients.
macro_rules! embeddings {
    ($name:ident, $loss:expr, [$($operand:ident),*], [$($label:ident)?], [$($grad:ident),*]) => {
        pub fn $name() -> Call {
            let mut seed = 0;
            let mut embedding = || {
                seed += 1;
                uniform([64, 100], seed) * 0.05
            };
            $(let $operand = embedding();)*
            $(let $label = Array1::from_shape_fn(64, |n| 1 - 2 * (n as i32 % 2));)?
            let mut loss = Array1::<f32>::ones(64);
            $(let mut $grad = embedding();)*
            Box::new(move || {
                let made = $loss;
                let call = made.on($(&$operand),* $(, &$label)?).exec(exec());
                call.loss_and_grads_into(&mut loss, [$(Some(&mut *$grad)),*])
                    .expect("a valid call");
            })
        }
    };
}

embeddings!(triplet, TripletLoss::new(), [a, b, c], [], [da, db, dc]);
embeddings!(
    cosine_embedding,
    CosineEmbeddingLoss::new(),
    [a, b],
    [sign],
    [da, db]
);

/// In a workspace of its own, which is kept.
pub fn sdml() -> Call {
    let [x1, x2] = [1, 2].map(|seed| uniform([64, 100], seed) * 0.05);
    let mut loss = Array1::<f32>::ones(64);
    let (mut d1, mut d2) = (x1.clone(), x2.clone());
    let mut workspace = Workspace::new();
    Box::new(move || {
        let call = SdmlLoss::new().on(&x1, &x2).exec(exec());
        call.workspace(&mut workspace)
            .loss_and_grads_into(&mut loss, [Some(&mut *d1), Some(&mut *d2)])
            .expect("a valid call");
    })
}

fn ctc_of(shape: [usize; 3], labels: usize) -> Call {
    let [samples, _, classes] = shape;
    let pred: Array3<f32> = uniform(shape, 1);
    let label = Array2::from_shape_fn([samples, labels], |(n, i)| {
        ((n * 7919 + i * 104_729 + i * i * 31) % (classes - 1)) as i32
    });
    let mut loss = Array1::<f32>::ones(samples);
    let mut grad = pred.clone();
    let mut workspace = Workspace::new();
    Box::new(move || {
        let call = CtcLoss::new().on(&pred, &label).exec(exec());
        call.workspace(&mut workspace)
            .loss_and_grad_into(&mut loss, &mut grad)
            .expect("a valid call");
    })
}

pub fn ctc() -> Call {
    ctc_of([2, 100, 32], 30)
}

pub fn ctc_of_many_classes() -> Call {
    ctc_of([2, 50, 500], 20)
}
